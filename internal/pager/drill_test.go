package pager

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

// drill declares an incident of a drill whose signal lets it out until a time; 0: it does not.
func (h *house) drill(until int64) (n int64, g incident.Signal) {
	h.t.Helper()
	h.ids++
	g = incident.Signal{ID: fmt.Sprintf("drill-%d", h.ids), State: incident.SignalOpen, OpenedAt: h.now, OutUntil: until}
	a, err := h.room.Declare(h.ctx, incident.Declare{Title: "Exercise", Severity: "SEV1", Signal: g.ID, Attach: []incident.Signal{g}},
		incident.Meta{ID: fmt.Sprintf("cmd-%d", h.ids), At: h.now, Actor: "system:correlator", Drill: true})
	if err != nil {
		h.t.Fatalf("%v", err)
	}
	return a.Number, g
}

// What was chosen when the drill began reaches the pages of its incident, and of no other; whoever leads.
func TestDrillIsLetOutByItsOwnSignals(t *testing.T) {
	h := open(t, t.Context())
	until := start + 30*minute
	p := h.pager()
	inside, _ := h.drill(0)
	outside, _ := h.drill(until)
	real := h.declare("SEV1", func(d *incident.Declare) { d.Attach = []incident.Signal{{ID: "of-a-drill", OutUntil: until}} })
	h.step(p)
	h.now += 6 * minute
	h.step(h.pager()) // another one takes over: the log tells
	seen := map[int64]int{}
	for id, m := range h.post.known {
		seen[m.Incident]++
		want := map[int64]int64{inside: 0, outside: until, real: 0}[m.Incident]
		if m.LeaveUntil != want || m.Drill != (m.Incident != real) {
			t.Errorf("%s: %+v", id, m)
		}
	}
	if seen[outside] < 2 || seen[inside] < 2 || seen[real] < 2 {
		t.Errorf("%v", seen)
	}
	// Nobody lets a drill out by attaching a signal to it.
	h.do(inside, "dee", incident.AttachSignal{Signal: incident.Signal{ID: "smuggled", State: incident.SignalOpen, OutUntil: until}})
	if got := incident.OutUntil(h.load(inside)); got != 0 {
		t.Errorf("a person let a drill out until %d", got)
	}
}

// When the drill ends its signals are cleared: nothing of it goes out any more, whoever leads then, and the incident is paged inside only.
func TestEndOfADrillTakesItsPagesBack(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		t.Run(fmt.Sprint("takeover ", takeover), func(t *testing.T) {
			h := open(t, t.Context())
			p := h.pager()
			n, g := h.drill(start + 60*minute)
			h.step(p)
			if got := h.post.alive(n); len(got) != 1 || h.post.known[got[0]].LeaveUntil == 0 {
				t.Fatalf("%v", got)
			}
			h.now += minute
			g.State, g.ClearedAt, g.LastAt, g.OutUntil = incident.SignalCleared, h.now, h.now, 0
			h.ids++
			if err := h.room.Do(h.ctx, n, incident.SignalChanged{Signal: g}, incident.Meta{ID: fmt.Sprintf("cmd-%d", h.ids), At: h.now, Actor: "system:correlator", Drill: true}); err != nil {
				t.Fatal(err)
			}
			if takeover {
				p = h.pager()
			}
			h.step(p)
			if got := h.post.alive(n); len(got) != 0 {
				t.Errorf("after its end %v are being sent", got)
			}
			before := h.post.sent()
			h.now += 6 * minute
			h.step(p)
			for _, id := range h.post.sent() {
				if m := h.post.known[id]; !slices.Contains(before, id) && m.LeaveUntil != 0 {
					t.Errorf("after its end: %+v", m)
				}
			}
			if len(h.post.sent()) == len(before) {
				t.Error("the incident is not paged inside any more")
			}
		})
	}
}

// An older page of somebody is taken back although a newer one of the same person goes on.
func TestOlderPageOfTheSamePersonEnds(t *testing.T) {
	h := open(t, t.Context())
	p := h.pager()
	n := h.declare("SEV2")
	h.step(p)
	h.do(n, "dee", incident.PageByHand{Person: "ana", Reason: "please"})
	h.step(p)
	h.agree(n)
	for range 8 { // steps and rounds come and go
		h.now += 5 * minute
		h.step(p)
		h.agree(n)
	}
}
