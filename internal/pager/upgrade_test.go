package pager

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// The program is replaced by one that pages, on a log with many open incidents: nobody is woken by them. What is new, what has just begun, what is
// handed on or becomes worse than informing pages as ever, also after the next start.
func TestOpenBeforePagingBegan(t *testing.T) {
	h := open(t, t.Context())
	var old []int64
	for range 40 {
		old = append(old, h.declare("SEV1"))
	}
	inform := h.declare("SEV5")
	h.now += settled
	fresh := h.declare("SEV2")
	h.now += minute
	p := h.pager()
	h.step(p)
	if got := fmt.Sprint(h.post.sent()); got != fmt.Sprintf("[%s]", strings.Join(h.pages(fresh), " ")) || len(h.pages(fresh)) != 1 {
		t.Fatalf("paged: %s", got)
	}
	for _, n := range old {
		if s := h.load(n); s.Triage.Name != "Front" || s.Paging.Phase != escalation.Idle || s.Paging.Epoch != 1 {
			t.Fatalf("%d: %+v", n, s.Triage)
		}
	}
	h.now += 24 * 60 * minute
	h.do(fresh, "ana", incident.Acknowledge{})
	p = h.pager()
	h.step(p)
	if got := h.pages(old[0]); len(got) != 0 {
		t.Fatalf("after another start: %v", got)
	}
	h.do(old[0], "dee", incident.HandOn{Team: "Treasury", Note: "it begins again"})
	h.do(old[1], "dee", incident.PageByHand{Policy: "Front line"})
	h.do(inform, "dee", incident.SetSeverity{Severity: "SEV1", Reason: "it drains"})
	h.step(p)
	for _, n := range []int64{old[0], old[1], inform} {
		if len(h.pages(n)) != 1 {
			t.Errorf("%d: %v", n, h.pages(n))
		}
	}
}

// A clock that is set back while people are paged does not give the next step an hour more, and one that is set forward does not run through the steps.
func TestClockIsSet(t *testing.T) {
	for _, by := range []int64{-60 * minute, 60 * minute} {
		h := open(t, t.Context())
		p := h.pager()
		n := h.declare("SEV1")
		h.step(p)
		h.now += minute
		h.step(p)
		h.now += by
		h.step(p)
		if by > 0 {
			if got := h.load(n).Paging; got.Step != 2 || got.Round != 1 {
				t.Errorf("set forward: step %d of round %d", got.Step, got.Round)
			}
			h.now -= by // and it was a mistake
			h.step(p)
			h.now += 10*minute - 1
			h.step(p)
			if got := h.load(n).Paging; got.Round != 1 {
				t.Errorf("set forward and back: step %d of round %d", got.Step, got.Round)
			}
			h.now++
			h.step(p)
			if got := h.load(n).Paging; got.Round != 2 {
				t.Errorf("set forward and back, and waited: step %d of round %d", got.Step, got.Round)
			}
			continue
		}
		h.do(n, "dee", incident.AddNote{Text: "still looking"})
		h.now += 4*minute - 1
		h.step(p)
		if got := h.load(n).Paging.Step; got != 1 {
			t.Errorf("a moment early: step %d", got)
		}
		h.now++
		h.step(p)
		if got := h.load(n).Paging.Step; got != 2 {
			t.Errorf("set back: step %d", got)
		}
		h.now += minute
		q := h.pager() // another process, whose clock was always behind
		h.step(q)
		h.now += 10 * minute
		h.step(q)
		if got := h.load(n).Paging.Round; got != 2 {
			t.Errorf("another process: round %d", got)
		}
	}
}

// Who has left is not paged although a policy names them, and the next step begins at once.
func TestNamedAndGone(t *testing.T) {
	h := open(t, t.Context())
	h.duty.settings.Policies[0].Steps[0].Targets = []escalation.Target{{Kind: escalation.TargetPerson, Name: "zoe"}}
	p := h.pager()
	n := h.declare("SEV1")
	h.step(p)
	if s := h.load(n); s.Paging.Step != 2 || s.Paging.WaitsFor("zoe") || !s.Paging.WaitsFor("bo") {
		t.Errorf("%+v", s.Paging)
	}
	h.agree(n)
	h.duty.settings.Teams = append(h.duty.settings.Teams, oncall.Team{ID: "t", Name: "T"})
	h.do(n, "dee", incident.HandOn{Team: "team-nowhere", Note: "x"})
	h.step(p)
	if s := h.load(n); s.Triage.Name == "" || len(s.Paging.Waits()) == 0 {
		t.Errorf("handed on to nowhere: %+v", s.Triage)
	}
}

// A SEV1 that nobody answers is paged again and again, although its first step names somebody who has left and its second one a deputy who has.
func TestNamedAndGoneAndPagedAgain(t *testing.T) {
	h := open(t, t.Context())
	steps := []escalation.Step{
		{Targets: []escalation.Target{{Kind: escalation.TargetPerson, Name: "zoe"}}, Wait: 5 * minute},
		{Targets: []escalation.Target{{Kind: escalation.TargetRole, Name: "deputy"}}, Wait: 5 * minute},
		{Targets: []escalation.Target{{Kind: escalation.TargetPerson, Name: "bo"}}, Wait: 5 * minute},
	}
	h.duty.settings.Policies[0].Steps, h.duty.settings.Policies[0].Repeat = steps, 0
	p := h.pager()
	n := h.declare("SEV1")
	h.do(n, "dee", incident.AssignRole{Role: "deputy", Person: "yan"})
	h.until(p, start+6*minute)
	if s := h.load(n); s.Paging.Phase != escalation.Exhausted || len(h.post.sent()) != 1 {
		t.Fatalf("%s after %v", s.Paging.Phase, h.post.sent())
	}
	before := h.events()
	at, people := Ahead(h.load(n), h.duty, h.now)
	if len(people) != 1 || people[0].Person != "bo" || at != start+35*minute {
		t.Errorf("next: %v at %d min", people, (at-start)/minute)
	}
	h.until(p, start+36*minute)
	if s := h.load(n); s.Paging.Round != 2 || s.Paging.Step != 3 || len(h.post.sent()) != 2 || h.events() != before+1 {
		t.Errorf("step %d of round %d, %d events more, after %v", s.Paging.Step, s.Paging.Round, h.events()-before, h.post.sent())
	}
	h.until(p, start+72*minute)
	if got := len(h.post.sent()); got != 3 {
		t.Errorf("paged %v", h.post.sent())
	}
	h.agree(n)
}
