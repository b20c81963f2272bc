package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/pager"
	"github.com/tocsin-ops/tocsin/store"
)

// fakeLinks has the link of each token.
type fakeLinks struct {
	h      *house
	links  map[string]pager.Link
	broken error
}

func (f *fakeLinks) Open(_ context.Context, token string) (pager.Link, error) {
	l, ok := f.links[token]
	switch {
	case f.broken != nil:
		return pager.Link{}, f.broken
	case !ok:
		return l, pager.ErrNoLink
	case f.h.millis() >= l.ExpiresAt:
		return l, pager.ErrNoLink
	}
	return l, nil
}

func (f *fakeLinks) give(token, person string, n int64) string {
	now := f.h.millis()
	f.links[token] = pager.Link{Person: person, Incident: n, Page: "page-of-" + person, CreatedAt: now, ExpiresAt: now + pager.LinkLife.Milliseconds()}
	return "/page/" + token
}

func pagedHouse(t *testing.T) (*house, *fakeLinks) {
	f := &fakeLinks{links: map[string]pager.Link{}}
	h := newHouse(t, func(o *Options) { o.PageLinks = f })
	f.h = h
	return h, f
}

const haveIt, notMe, notMeAfterAll = ">I have it<", ">Not me<", ">Not me after all<"

// Looking changes nothing; answering does, without a session, and says what came of it.
func TestPageByLink(t *testing.T) {
	h, links := pagedHouse(t)
	h.member("bo", auth.RoleResponder, "")
	n := h.declare(incident.Declare{Title: "Bridge drains", Severity: "SEV1", Summary: "Funds leave the vault.\nMore below."})
	h.cmd(n, incident.PageByHand{Person: "bo"})
	h.cmd(n, incident.PageByHand{Person: "ana"})
	path := links.give("T0", "bo", n)
	size := h.Log.Size()
	out := h.nobody()
	page := out.get(path).want(200).has("SEV1", "Bridge drains", `<p class="sentence">Funds leave the vault.</p>`, haveIt, notMe, "Ana Alvarez", `action="`+path+`/acknowledge"`, "paged").hasNot("DRILL", "<script")
	if page.header.Get("Cache-Control") != "no-store" || page.header.Get("Referrer-Policy") != "same-origin" {
		t.Errorf("%v", page.header)
	}
	out.do("HEAD", path, "", nil).want(200)
	out.get(path+"/acknowledge").want(404, 405)
	if h.Log.Size() != size {
		t.Error("looking at a page changed something")
	}
	out.header.Set("Origin", "null") // as from inside of a mail program
	out.post(path + "/acknowledge").want(303)
	h.settle()
	out.get(path).want(200).has("You have it", "Sign in and open the room").hasNot(haveIt)
	size = h.Log.Size()
	out.post(path + "/acknowledge").want(303)
	if h.Log.Size() != size {
		t.Error("acknowledging twice is done twice")
	}
	st, err := h.Rooms.Load(t.Context(), n)
	if err != nil || st.Commander() != "bo" || len(st.Paging.Waits()) != 0 {
		t.Errorf("%v: %s, %+v", err, st.Commander(), st.Paging.Waits())
	}
	// What the others see then.
	other := links.give("T1", "ana", n)
	out.get(other).want(200).has("Person bo has it", "I have it, too").hasNot(notMe, notMeAfterAll)
	out.post(other+"/decline", "reason", "too late").want(422).has("No page waits for you: @bo has it already")
	h.ana().get("/incidents/1/page").want(200).has("Person bo has it")
	h.cmd(n, incident.Resolve{Validation: "checked"})
	h.settle()
	out.get(path).want(200).has("It is over").hasNot(haveIt)
	out.post(path + "/acknowledge").want(422).has("nobody is paged about it")
}

// A slip of the thumb is taken back with one: somebody else is asked then, and it can be taken after all.
func TestPageTakenBack(t *testing.T) {
	h, links := pagedHouse(t)
	bo := h.member("bo", auth.RoleResponder, "")
	n := h.declare(incident.Declare{Title: "Bridge drains", Severity: "SEV2"})
	policy := oncall.Default()
	give := func(c incident.Command) {
		t.Helper()
		if _, err := h.Rooms.Do(t.Context(), n, c, incident.Meta{ID: uuid.NewString(), At: h.millis(), Actor: pager.Actor}); err != nil {
			t.Fatal(err)
		}
		h.settle()
	}
	due := func() {
		t.Helper()
		st, err := h.Rooms.Load(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		acts, _ := escalation.Due(st.Paging, st.Situation(), nobodyYet{h.OnCall}, h.millis())
		for _, a := range acts {
			give(incident.CommandOf(a))
		}
	}
	give(incident.Route{Team: oncall.Everybody, TeamName: "Everybody", Policy: &policy, Why: "a test"})
	due()
	path := links.give("T0", "bo", n)
	out := h.nobody()
	out.get(path).want(200).has(haveIt, notMe).hasNot(notMeAfterAll)
	out.post(path + "/acknowledge").want(303)
	h.settle()
	out.get(path).want(200).has("You have it", notMeAfterAll, `action="`+path+`/decline"`)
	bo.get("/incidents/1").has(`data-said="You do not have it any more. Paged now: Ana Alvarez."`, `data-only="bo"`, notMeAfterAll)
	out.post(path + "/decline").want(303)
	h.settle()
	out.get(path).want(200).has("You said: not me.", "Next, now: Ana Alvarez", "I have it after all").hasNot(notMeAfterAll)
	due()
	out.get(path).want(200).has("You said: not me.", "Asked now: Ana Alvarez")
	bo.get("/incidents/1").has("not me after all; nobody has it, so paging goes on at step 1", notMe).hasNot(notMeAfterAll)
	size := h.Log.Size()
	out.post(path + "/decline").want(303)
	if h.Log.Size() != size {
		t.Error("taking it back twice is done twice")
	}
	st, err := h.Rooms.Load(t.Context(), n)
	if err != nil || len(st.Paging.Has()) != 0 || st.Paging.WaitsFor("bo") || !st.Paging.WaitsFor("ana") || st.Commander() != "" {
		t.Errorf("%v: %+v", err, st.Paging)
	}
	out.post(path + "/acknowledge").want(303)
	h.settle()
	out.get(path).want(200).has("You have it", notMeAfterAll)
	bo.post("/incidents/1/page/decline").want(303)
	h.settle()
	bo.get("/incidents/1/page").want(200).has("You said: not me.")
}

func TestPageDeclined(t *testing.T) {
	h, links := pagedHouse(t)
	h.member("bo", auth.RoleResponder, "")
	n := h.declare(incident.Declare{Title: "Bridge drains", Severity: "SEV2"})
	h.cmd(n, incident.PageByHand{Person: "bo"})
	path := links.give("T0", "bo", n)
	h.nobody().post(path+"/decline", "reason", "on a plane").want(303)
	h.settle()
	h.nobody().get(path).want(200).has("You said: not me", "I have it after all").hasNot(notMe)
	policy := oncall.Default()
	if _, err := h.Rooms.Do(t.Context(), n, incident.Route{Team: oncall.Everybody, TeamName: "Everybody", Policy: &policy, Why: "a test"}, incident.Meta{ID: "r", At: h.millis(), Actor: pager.Actor}); err != nil {
		t.Fatal(err)
	}
	h.cmd(n, incident.Snooze{For: "30m"})
	h.settle()
	h.nobody().get(links.give("T1", "ana", n)).want(200).has("Snoozed")
}

// A link is good for a day, for somebody who is here, and for nothing else. What is not good tells nothing.
func TestPageLinksEnd(t *testing.T) {
	h, links := pagedHouse(t)
	h.member("bo", auth.RoleResponder, "")
	h.member("cy", auth.RoleStakeholder, "clients")
	n := h.declare(incident.Declare{Title: "Bridge drains", Severity: "SEV2"})
	h.cmd(n, incident.PageByHand{Person: "bo"})
	path := links.give("T0", "bo", n)
	dead := func(path string) {
		t.Helper()
		h.nobody().get(path).want(404).has("This link is not good").hasNot("Bridge", "SEV2", haveIt)
		h.nobody().post(path + "/acknowledge").want(404).hasNot("Bridge")
		h.nobody().post(path + "/decline").want(404).hasNot("Bridge")
	}
	dead("/page/T9")
	dead("/page/" + strings.Repeat("x", 4000))
	dead(links.give("T2", "cy", n))      // a stakeholder sees no rooms
	dead(links.give("T3", "nobody-", n)) // was never here
	if err := h.Auth.Remove(t.Context(), h.admin, "bo"); err != nil {
		t.Fatal(err)
	}
	dead(path)
	h.late.Add(1000)
	h.member("bo", auth.RoleResponder, "") // whoever came back is not who was paged
	dead(path)
	path = links.give("T4", "bo", n)
	h.late.Add(pager.LinkLife.Milliseconds())
	h.nobody().get(path).want(410).has("This link has ended").hasNot(haveIt)
	size := h.Log.Size()
	h.nobody().post(path + "/acknowledge").want(410)
	if h.Log.Size() != size {
		t.Error("a link that has ended answers")
	}
	links.broken = store.ErrUnavailable
	h.nobody().get(path).want(503)
	links.broken = errors.New("disk on fire")
	h.nobody().get(path).want(500).hasNot("fire")
}

func TestPageGuessing(t *testing.T) {
	h, links := pagedHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge drains", Severity: "SEV2"})
	path := links.give("T0", "ana", n)
	for range 200 {
		h.nobody().get(path).want(200) // who has a good one may look as often as they like
	}
	for i := 0; h.nobody().get("/page/wrong").status != http.StatusTooManyRequests; i++ {
		if i > 1000 {
			t.Fatal("anybody may guess without end")
		}
	}
}

func TestPageSignedIn(t *testing.T) {
	h, _ := pagedHouse(t)
	bo := h.member("bo", auth.RoleResponder, "")
	n := h.declare(incident.Declare{Title: "Bridge drains", Severity: "SEV2"})
	h.cmd(n, incident.PageByHand{Person: "bo"})
	bo.get("/incidents/1/page").want(200).has(haveIt, notMe, `name="_csrf"`, ">Open the room<")
	bo.get("/incidents/99/page").want(404)
	bo.header.Set("Origin", "https://evil.example")
	bo.post("/incidents/1/page/acknowledge").want(403)
	bo.header.Del("Origin")
	robot, _ := h.token(auth.RoleResponder, "")
	robot.get("/incidents/1/page").want(200).hasNot(haveIt)
	robot.post("/incidents/1/page/acknowledge").want(422)
	if st, err := h.Rooms.Load(t.Context(), n); err != nil || len(st.Paging.Has()) != 0 {
		t.Errorf("%v, %v", st.Paging.Has(), err)
	}
	bo.post("/incidents/1/page/acknowledge").want(303)
	h.settle()
	bo.get("/incidents/1/page").want(200).has("You have it")
}

func TestPageOfADrillSaysSo(t *testing.T) {
	h, links := pagedHouse(t)
	a, err := h.Rooms.Declare(t.Context(), incident.Declare{Title: "Exercise", Severity: "SEV1"}, incident.Meta{ID: "x", At: h.millis(), Actor: "person:ana", Drill: true})
	if err != nil {
		t.Fatal(err)
	}
	h.settle()
	path := links.give("T0", "ana", a.Number)
	h.nobody().get(path).want(200).has("DRILL", "exercise")
	h.nobody().post(path + "/acknowledge").want(303)
	list, err := h.Log.ReadStream(t.Context(), "incident/1", 1, 0)
	if err != nil || !list[len(list)-1].Drill {
		t.Errorf("%v: answering a drill's page is no drill: %+v", err, list[len(list)-1])
	}
}
