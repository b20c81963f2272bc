package web

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/replica"
	"github.com/tocsin-ops/tocsin/views"
)

// Nobody flickers: who comes back within the grace was never away.
func TestGraceOfLeaving(t *testing.T) {
	p, now := replica.NewPresence(), int64(1000)
	a := newAttendance(p, func() int64 { return now })
	at := func(ms int64, want string) {
		t.Helper()
		now = ms
		if got := strings.Join(a.present("incident/1"), " "); got != want {
			t.Errorf("at %d: %q, want %q", ms, got, want)
		}
	}
	leave := p.Enter("incident/1", "ana")
	stay := p.Enter("incident/1", "bo")
	at(1000, "ana bo")
	leave()
	at(60_000, "ana bo") // however long ago somebody looked last
	at(64_999, "ana bo")
	leave = p.Enter("incident/1", "ana")
	at(65_000, "ana bo")
	leave()
	at(70_000, "ana bo")
	at(75_000, "bo")
	stay()
	at(80_000, "bo")
	at(85_000, "")
	if len(a.shown) != 0 {
		t.Errorf("kept: %v", a.shown)
	}
	p.Enter("incident/9", "ana")
	a.present("incident/9")
	a.forget([]string{"board"})
	if len(a.shown) != 0 {
		t.Errorf("kept of a room that nobody watches: %v", a.shown)
	}
}

// TestWhoIsInTheRoom: people by their sockets, once each, commander first; no
// robot, no wall, no page that was only loaded.
func TestWhoIsInTheRoom(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge"})
	topic, page := "incident/"+itoa(n), "/incidents/"+itoa(n)
	ana, rita := h.ana(), h.member("rita", auth.RoleResponder, "")
	robot, _ := h.token(auth.RoleResponder, "")
	h.cmd(n, incident.AssignRole{Role: "commander", Person: "rita"})
	ana.get(page).want(200).has(`id="in-the-room" class="present" data-count="0"`, "Nobody has this room open")

	says := func(words ...string) func(frame) bool {
		return func(f frame) bool {
			if f.Key != views.RegionPresence {
				return false
			}
			got := strings.Join(strings.Fields(tags.ReplaceAllString(f.HTML, "")), " ")
			return got == strings.Join(words, " ")
		}
	}
	first := ana.watch(topic)
	first.until(says("In the room 1 Ana Alvarez"))
	second, machine := ana.watch(topic), robot.watch(topic)
	r := rita.watch(topic)
	first.until(says("In the room 2 Person rita (Commander), Ana Alvarez"))
	machine.until(says("In the room 2 Person rita (Commander), Ana Alvarez")) // once rendered, the same for all
	ana.get(page).want(200).has(`data-count="2"`, `data-handle="rita"`).hasNot("robot")

	h.stand()
	// One tab of two closes, then rita reconnects at once: nothing is to be seen of either.
	second.ws.Close()
	r.ws.Close()
	r = rita.watch(topic)
	h.until("rita is back", func() bool { return slices.Contains(h.Presence.Who(topic), "rita") })
	h.late.Store(2 * leaveGrace)
	for _, f := range append(first.rest(), first.rest()...) { // from beat to beat: at least one census, in which something could go wrong
		if f.Key == views.RegionPresence {
			t.Errorf("somebody flickered: %s", head(f.HTML))
		}
	}
	// Then she really goes.
	r.ws.Close()
	h.until("she has left", func() bool { return slices.Equal(h.Presence.Who(topic), []string{"ana"}) })
	ana.get(page).want(200).has(`data-count="2"`) // not yet shown
	h.late.Add(leaveGrace)
	first.until(says("In the room 1 Ana Alvarez"))

	// Who may not see the room does not see who is in it.
	sam := h.member("sam", auth.RoleStakeholder, "clients")
	sam.get(page).want(403).hasNot("Ana", "in-the-room")
	if s, res := sam.dial("/live?topic=" + topic); s != nil || res.StatusCode != 403 {
		t.Error("an outsider watches the room")
	}
	h.nobody().get("/status").want(200).hasNot("in-the-room", "Ana Alvarez")
}

// until waits for what no frame tells.
func (h *house) until(what string, done func() bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestPresenceOverflows(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge"})
	for i := range 40 {
		defer h.Presence.Enter("incident/"+itoa(n), "p"+itoa(int64(i+100)))()
	}
	a := h.ana().get("/incidents/"+itoa(n)).want(200).has(`data-count="40"`, "and 28 more")
	if got := strings.Count(a.body, `class="present-one"`); got != shownPeople {
		t.Errorf("%d names", got)
	}
}

// TestAsideIsNobody: a program that keeps pages by a person's session hears all that the person may, is present nowhere, and ends with the session.
func TestAsideIsNobody(t *testing.T) {
	h := newHouse(t)
	n := h.declare(incident.Declare{Title: "Bridge"})
	topic := "incident/" + itoa(n)
	ana := h.ana()
	keeper := ana.live("/live?topic=" + topic + "&since=" + itoa(h.World.Position()) + "&aside=1")
	h.cmd(n, incident.AddNote{Text: "said while nobody looks"})
	keeper.until(func(f frame) bool { return strings.Contains(f.HTML, "said while nobody looks") })
	ana.get("/incidents/" + itoa(n)).want(200).has(`id="in-the-room" class="present" data-count="0"`)
	page := ana.watch(topic)
	page.until(func(f frame) bool { return f.Key == views.RegionPresence && strings.Contains(f.HTML, `data-count="1"`) })
	ana.post("/signout").want(303)
	for _, s := range []*socket{keeper, page} {
		for _, ok := s.read(); ok; _, ok = s.read() {
		}
		if s.closed != 4401 {
			t.Errorf("closed with %d when the session ended, want 4401", s.closed)
		}
	}
}
