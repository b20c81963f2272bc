package pager

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/notify"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// An incident is declared: it comes to the front line, who is on call is paged at once, and the next step when its time has come.
func TestRoutedPagedEscalated(t *testing.T) {
	h := open(t, t.Context())
	p := h.pager()
	n := h.declare("SEV2")
	next := h.step(p)
	s := h.load(n)
	if s.Triage.Team != "team-front" || s.Triage.Name != "Front" || s.Triage.Tier != 1 || s.Paging.Policy.ID != "esc-front" || s.Paging.Phase != escalation.Running {
		t.Fatalf("%+v %+v", s.Triage, s.Paging)
	}
	if next != h.now+5*minute {
		t.Errorf("the next step is due at %d", next-h.now)
	}
	first := escalation.PageID(n, 1, 1, 1, "ana")
	if got := h.pages(n); !slices.Equal(got, []string{first}) {
		t.Fatalf("%v", got)
	}
	h.agree(n)
	m := h.post.known[first]
	if m.Person != "ana" || m.Kind != notify.KindPage || m.Incident != n || m.Severity != "SEV2" || m.Title != s.Title || m.Sentence != "on call in primary" ||
		m.URL != "https://tocsin.example/incidents/1/page" || !strings.HasPrefix(m.AckURL, "https://tocsin.example/page/") || m.Drill || m.At != start {
		t.Errorf("%+v", m)
	}
	if l, err := p.o.Links.Open(t.Context(), m.AckURL[len("https://tocsin.example/page/"):]); err != nil || l.Person != "ana" || l.Incident != n || l.Page != first {
		t.Errorf("%+v, %v", l, err)
	}
	h.until(p, start+5*minute-1)
	if got := h.pages(n); len(got) != 1 {
		t.Errorf("a step began too early: %v", got)
	}
	h.now = start + 5*minute
	h.step(p)
	h.agree(n)
	if got := h.post.alive(n); len(got) != 3 {
		t.Errorf("after the second step %v are paged", got)
	}
	// "I have it" is one event, and all is quiet with it.
	h.do(n, "bo", incident.Acknowledge{})
	if got := h.pages(n); len(got) != 0 {
		t.Errorf("the room still waits for %v", got)
	}
	h.step(p)
	h.agree(n)
	h.until(p, h.now+59*minute)
	if len(h.post.sent()) != 3 {
		t.Errorf("paged: %v", h.post.sent())
	}
	// The room stays silent for an hour: it pages again.
	h.until(p, h.now+2*minute)
	h.agree(n)
	if got := h.post.alive(n); len(got) == 0 {
		t.Error("an acknowledgement that expired pages nobody")
	}
	h.do(n, "ana", incident.Resolve{Validation: "checked"})
	h.step(p)
	h.agree(n)
	h.do(n, "ana", incident.Reopen{Reason: "it is back"})
	h.step(p)
	h.agree(n)
	if got := h.post.alive(n); len(got) != 1 {
		t.Errorf("reopened: %v", got)
	}
}

// Nobody answers: all steps as often as the policy says, then the room says so, and nothing more comes; or, when it is grave, all are paged again half
// an hour later, whoever leads then.
func TestNobodyAnswers(t *testing.T) {
	h := open(t, t.Context())
	p := h.pager()
	grave := h.declare("SEV1")
	h.until(p, start+59*minute)
	if s := h.load(grave); s.Paging.Phase != escalation.Exhausted || len(h.post.sent()) != 6 {
		t.Errorf("%s after %v", s.Paging.Phase, h.post.sent())
	}
	p = h.pager()
	h.until(p, start+61*minute)
	if s := h.load(grave); s.Paging.Round != 3 || len(h.post.sent()) != 7 || !s.Paging.WaitsFor("ana") {
		t.Errorf("round %d after %v", s.Paging.Round, h.post.sent())
	}
	h.agree(grave)

	h = open(t, t.Context())
	p = h.pager()
	n := h.declare("SEV3")
	h.until(p, start+40*minute)
	s := h.load(n)
	if s.Paging.Phase != escalation.Exhausted || len(h.post.sent()) != 6 {
		t.Errorf("%s after %v", s.Paging.Phase, h.post.sent())
	}
	h.agree(n)
	head, err := h.log.StreamHead(t.Context(), "incident/1")
	if err != nil {
		t.Fatal(err)
	}
	h.until(p, start+24*60*minute)
	if after, err := h.log.StreamHead(t.Context(), "incident/1"); err != nil || after != head {
		t.Errorf("%d events more, %v", after-head, err)
	}
}

func TestDeclinedAndHandedOn(t *testing.T) {
	h := open(t, t.Context())
	p := h.pager()
	n := h.declare("SEV2")
	h.step(p)
	h.do(n, "ana", incident.DeclinePage{Reason: "I am on a plane"})
	h.step(p)
	h.agree(n)
	if got := h.post.alive(n); len(got) != 2 || strings.HasSuffix(got[0], "-ana") {
		t.Errorf("after “not me”: %v", got)
	}
	h.do(n, "bo", incident.HandOn{Team: "treasury", Note: "it is the vault"})
	h.step(p)
	s := h.load(n)
	if s.Triage.Team != "team-treasury" || s.Triage.Name != "Treasury" || s.Paging.Policy.ID != "esc-treasury" {
		t.Errorf("%+v, %s", s.Triage, s.Paging.Policy.ID)
	}
	h.agree(n)
	if got := h.post.alive(n); !slices.Equal(got, []string{escalation.PageID(n, s.Paging.Epoch, 1, 1, "cy")}) {
		t.Errorf("handed on: %v", got)
	}
	h.do(n, "bo", incident.HandOn{Team: "nobody knows"})
	h.step(p)
	if s := h.load(n); s.Triage.Team != "team-front" {
		t.Errorf("%+v", s.Triage)
	}
	h.agree(n)
}

func TestByHand(t *testing.T) {
	h := open(t, t.Context())
	p := h.pager()
	n := h.declare("SEV5")
	h.step(p)
	if s := h.load(n); s.Triage.Team != "" || s.Paging.Epoch != 0 {
		t.Errorf("information is sent to a team: %+v", s.Triage)
	}
	h.do(n, "dee", incident.PageByHand{Person: "bo", Reason: "have a look"})
	h.do(n, "dee", incident.PageByHand{Team: "team-treasury"})
	h.step(p)
	h.agree(n)
	if got := h.post.alive(n); len(got) != 2 {
		t.Errorf("by hand: %v", got)
	}
	h.do(n, "dee", incident.PageByHand{Policy: "no-such"})
	h.step(p)
	if asks := h.load(n).Paging.Asks; len(asks) != 0 {
		t.Errorf("a wish that cannot be fulfilled stays: %+v", asks)
	}
	h.do(n, "dee", incident.HandOn{Team: "team-treasury"})
	h.step(p)
	if s := h.load(n); s.Triage.Name != "Treasury" || s.Paging.Epoch != 0 {
		t.Errorf("SEV5 handed on: %+v, epoch %d", s.Triage, s.Paging.Epoch)
	}
	before := len(h.post.sent())
	h.do(n, "dee", incident.SetSeverity{Severity: "SEV2", Reason: "funds move"})
	h.step(p)
	if s := h.load(n); s.Paging.Phase != escalation.Running || len(h.post.sent()) != before+1 {
		t.Errorf("it became worse: %s, %v", s.Paging.Phase, h.post.sent())
	}
	h.agree(n)
	h.do(n, "dee", incident.PageByHand{Policy: "esc-front"})
	h.step(p)
	if s := h.load(n); s.Paging.Policy.ID != "esc-front" || s.Triage.Name != "Treasury" {
		t.Errorf("a policy by hand: %s, %+v", s.Paging.Policy.ID, s.Triage)
	}
	h.agree(n)
}

// A courier that takes nothing holds up nobody: acknowledgements work, and what still waits is handed over when it takes again.
func TestCourierDown(t *testing.T) {
	h := open(t, t.Context())
	p := h.pager()
	a, b := h.declare("SEV2"), h.declare("SEV3")
	h.post.reject = notify.ErrFull
	if _, err := p.Step(t.Context()); !errors.Is(err, notify.ErrFull) {
		t.Fatalf("%v", err)
	}
	if len(h.pages(a)) != 1 || len(h.pages(b)) != 1 {
		t.Errorf("the rooms wait for %v and %v", h.pages(a), h.pages(b))
	}
	before := h.links()
	for range 5 {
		if _, err := p.Step(t.Context()); !errors.Is(err, notify.ErrFull) {
			t.Fatalf("%v", err)
		}
	}
	if after := h.links(); before != 2 || after != before {
		t.Errorf("each try makes links: %d, then %d", before, after)
	}
	h.do(a, "ana", incident.Acknowledge{})
	h.now += minute
	if _, err := p.Step(t.Context()); !errors.Is(err, notify.ErrFull) {
		t.Fatalf("%v", err)
	}
	if f := p.Figures(); f != (Figures{Leads: true, Open: 2, Waiting: 1, Owed: 1, Unheard: minute, Failing: 7}) {
		t.Errorf("%+v", f)
	}
	h.post.reject = nil
	p = h.pager() // and who led is gone
	h.step(p)
	h.agree(a)
	h.agree(b)
	if got := h.post.alive(b); len(got) != 1 || len(h.post.sent()) != 1 {
		t.Errorf("%v, in all %v", got, h.post.sent())
	}
}

// While another one led, incidents were resolved, acknowledged and declared: whoever leads next takes back what is over and forgets nothing.
func TestTakenOver(t *testing.T) {
	h := open(t, t.Context())
	p := h.pager()
	a, b, c := h.declare("SEV2"), h.declare("SEV2"), h.declare("SEV2")
	h.step(p)
	h.do(a, "ana", incident.Resolve{Validation: "checked"})
	h.do(b, "ana", incident.Acknowledge{})
	d := h.declare("SEV1")
	h.now += 7 * minute
	p = h.pager()
	h.step(p)
	for _, n := range []int64{a, b, c, d} {
		h.agree(n)
	}
	if got := h.post.alive(c); len(got) != 3 {
		t.Errorf("a step that was due while nobody led: %v", got)
	}
	links := h.links()
	if links != len(h.post.sent()) {
		t.Errorf("%d links for %d pages", links, len(h.post.sent()))
	}
	// Nothing happened meanwhile: nothing is handed over again.
	size := h.events()
	p = h.pager()
	h.step(p)
	if after := h.events(); after != size || len(h.post.sent()) != 6 {
		t.Errorf("%d events more, %v", after-size, h.post.sent())
	}
}

// Two that both believe to lead page once, and the one that was deposed is told so.
func TestTwoLeaders(t *testing.T) {
	h := open(t, t.Context())
	p, q := h.pager(), h.pager()
	n := h.declare("SEV2")
	h.step(p)
	h.now += minute
	h.step(q)
	h.now += 4 * minute
	if _, err := p.Step(t.Context()); !errors.Is(err, errDeposed) {
		t.Errorf("%v", err)
	}
	h.step(q)
	h.agree(n)
	if len(h.post.sent()) != 3 {
		t.Errorf("%v", h.post.sent())
	}
	if at, err := LastLed(t.Context(), h.db); err != nil || at != h.now {
		t.Errorf("last led at %d, %v", at, err)
	}
}

// Steps wait for the newest settings of on-call for a moment, not for ever.
func TestSettingsAreBehind(t *testing.T) {
	h := open(t, t.Context())
	p := h.pager()
	h.step(p)
	n := h.declare("SEV2")
	p.unseen = 3
	if _, err := p.Step(t.Context()); !errors.Is(err, errBehind) {
		t.Errorf("%v", err)
	}
	h.duty.settings.Seq = 3
	h.duty.on["primary"] = "cy"
	h.step(p)
	if got := h.pages(n); len(got) != 1 || !strings.HasSuffix(got[0], "-cy") {
		t.Errorf("%v", got)
	}
	p.unseen = 4
	if _, err := p.Step(t.Context()); !errors.Is(err, errBehind) {
		t.Errorf("%v", err)
	}
	h.now += patience
	h.step(p)
}

// Nothing is set: everybody is paged.
func TestFreshInstallation(t *testing.T) {
	h := open(t, t.Context())
	h.duty.settings = oncall.Settings{}
	p := h.pager()
	n := h.declare("SEV3")
	h.step(p)
	if got := h.pages(n); len(got) != 3 {
		t.Errorf("%v", got)
	}
	h.agree(n)
}

func TestDrillSaysDrill(t *testing.T) {
	h := open(t, t.Context())
	p := h.pager()
	a, err := h.room.Declare(t.Context(), incident.Declare{Title: "Exercise", Severity: "SEV1"}, incident.Meta{ID: "x", At: start, Actor: "person:dee", Drill: true})
	if err != nil {
		t.Fatal(err)
	}
	h.step(p)
	for id, m := range h.post.known {
		if !m.Drill || m.LeaveUntil != 0 {
			t.Errorf("%s: %+v", id, m)
		}
	}
	if !h.load(a.Number).Drill || len(h.post.known) != 1 {
		t.Errorf("%v", h.post.known)
	}
}

func TestReceipts(t *testing.T) {
	h := open(t, t.Context())
	p := h.pager()
	n := h.declare("SEV2")
	h.step(p)
	id := h.pages(n)[0]
	head, _ := h.log.StreamHead(t.Context(), "incident/1")
	list := []notify.Receipt{
		{Message: id, Incident: n, Person: "ana", Route: "r1", Label: "push", Outcome: notify.Failed, Detail: "The device\r\nis gone\u202e. " + strings.Repeat("x", 1000), Attempt: 1, At: start + 1},
		{Message: id, Incident: n, Person: "ana", Route: "r1", Label: "push", Outcome: notify.Failed, Detail: "The device is gone.", Attempt: 2, At: start + 2},
		{Message: id, Incident: n, Person: "ana", Route: "r2", Label: "e-mail", Outcome: notify.Sent, Attempt: 1, At: start + 3},
		{Message: "notice-1", Incident: n, Person: "ana", Route: "r2", Outcome: notify.Sent, At: start + 3},
		{Message: "test-1", Person: "ana", Route: "r2", Outcome: notify.Sent, At: start + 3},
		{Message: "page-99-1-1-1-ana", Incident: 99, Person: "ana", Route: "r2", Outcome: notify.Sent, At: start + 3},
	}
	if err := p.Receipts(t.Context(), list); err == nil || !strings.Contains(err.Error(), "no such incident") {
		t.Fatalf("of an incident that is not there: %v", err)
	}
	list = list[:5]
	for range 3 {
		if err := p.Receipts(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	h.step(p)
	if f := p.Figures(); f != (Figures{Leads: true, Open: 1, Waiting: 1}) {
		t.Errorf("%+v", f)
	}
	after, _ := h.log.StreamHead(t.Context(), "incident/1")
	if g := h.load(n).Paging.Pages[0]; after != head+1 || len(g.Receipts) != 2 || g.Receipts[0].Outcome != "failed" || g.Receipts[1].Label != "e-mail" {
		t.Errorf("%d events, %+v", after-head, g.Receipts)
	}
}
