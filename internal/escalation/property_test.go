package escalation_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"pgregory.net/rapid"
)

const minute = int64(60_000)

var (
	crew    = []string{"ana", "bob", "cy", "dan", "eve"}
	handle  = rapid.SampledFrom(crew)
	minutes = rapid.Int64Range(0, 90)
	sevs    = rapid.SampledFrom([]string{"SEV1", "SEV2", "SEV3", "SEV4", "SEV5"})
)

func drawPolicy(t *rapid.T) escalation.Policy {
	p := escalation.Policy{ID: "p", Name: "p", Version: rapid.Int64Range(1, 9).Draw(t, "version"), Repeat: rapid.IntRange(0, 3).Draw(t, "repeat"),
		AckTimeout: rapid.SampledFrom([]int64{0, 10 * minute, 45 * minute}).Draw(t, "ack timeout")}
	for range rapid.IntRange(0, 4).Draw(t, "steps") {
		s := escalation.Step{Wait: rapid.SampledFrom([]int64{0, minute, 5 * minute, 30 * minute}).Draw(t, "wait"), Need: rapid.SampledFrom([]int{0, 0, 1, 2, 3}).Draw(t, "need")}
		for range rapid.IntRange(0, 3).Draw(t, "targets") {
			kind := rapid.SampledFrom([]string{escalation.TargetPerson, escalation.TargetSchedule, escalation.TargetRole, escalation.TargetTeam, escalation.TargetSigners, "robot"}).Draw(t, "kind")
			name := handle.Draw(t, "who")
			switch kind {
			case escalation.TargetSchedule:
				name = rapid.SampledFrom([]string{"primary", "second", "hole"}).Draw(t, "schedule")
			case escalation.TargetRole:
				name = rapid.SampledFrom([]string{"commander", "deputy"}).Draw(t, "role")
			case escalation.TargetTeam, escalation.TargetSigners:
				name = rapid.SampledFrom([]string{"ops", "keys", "ghosts"}).Draw(t, "team")
			}
			s.Targets = append(s.Targets, escalation.Target{Kind: kind, Name: name})
		}
		if rapid.IntRange(0, 3).Draw(t, "conditional") == 0 {
			s.If = &escalation.Condition{Severity: rapid.SampledFrom([]string{"", "SEV1", "SEV3"}).Draw(t, "at least"), Unacked: rapid.SampledFrom([]int64{0, 20 * minute}).Draw(t, "unacked"),
				Alerts: rapid.IntRange(0, 2).Draw(t, "alerts"), Within: 10 * minute}
		}
		p.Steps = append(p.Steps, s)
	}
	return p
}

func drawWorld(t *rapid.T) *world {
	w := newWorld(t, 1_772_438_400_000)
	list := rapid.SliceOfNDistinct(handle, 0, 3, rapid.ID[string])
	w.fixed = map[string][]string{"primary": list.Draw(t, "primary"), "second": list.Draw(t, "second")}
	w.teams = map[string]team{"ops": {people: list.Draw(t, "ops")}, "keys": {people: crew[:3]}}
	w.policies["p"] = drawPolicy(t)
	w.gone = rapid.SliceOfNDistinct(handle, 0, 2, rapid.ID[string]).Draw(t, "gone")
	return w
}

func drawCommand(t *rapid.T) incident.Command {
	switch rapid.IntRange(0, 19).Draw(t, "command") {
	case 0, 1, 2:
		return incident.Acknowledge{}
	case 3, 4:
		return incident.DeclinePage{}
	case 5:
		return incident.Escalate{Step: rapid.IntRange(0, 5).Draw(t, "step")}
	case 6:
		return incident.PageByHand{Person: handle.Draw(t, "to")}
	case 7:
		return incident.PageByHand{Team: rapid.SampledFrom([]string{"ops", "ghosts"}).Draw(t, "team")}
	case 8:
		return incident.PageByHand{Policy: rapid.SampledFrom([]string{"p", "nowhere"}).Draw(t, "policy")}
	case 9:
		return incident.Reassign{Person: handle.Draw(t, "to")}
	case 10:
		return incident.Snooze{For: "20m"}
	case 11:
		return incident.Unsnooze{}
	case 12:
		return incident.SetSeverity{Severity: sevs.Draw(t, "severity"), Reason: "because"}
	case 13:
		return incident.Resolve{Validation: "checked"}
	case 14, 15:
		return incident.Reopen{Reason: "again"}
	case 16:
		return incident.AssignRole{Role: "deputy", Person: handle.Draw(t, "to")}
	case 17:
		return incident.ReleaseRole{Role: "commander", Person: handle.Draw(t, "from")}
	case 18:
		return incident.HandOn{Team: "keys"}
	}
	return incident.AddNote{Text: "a word"}
}

// TestNobodyIsPagedTwiceAndNobodyIsForgotten plays random policies, commands, jumps of the clock and crashes of the pager between working out what is due
// and giving it. What it has given is given again later, also by a replica that has not read the newest events.
func TestNobodyIsPagedTwiceAndNobodyIsForgotten(t *testing.T) {
	for i := range 5 { // more than rapid does by itself: what it found here was found once in some hundred
		t.Run(fmt.Sprint(i), func(t *testing.T) { rapid.Check(t, history) })
	}
}

func history(t *rapid.T) {
	w := drawWorld(t)
	if _, err := w.give("declare", incident.Declare{Title: "x", Severity: sevs.Draw(t, "severity")}, "source:alerts"); err != nil {
		t.Fatalf("%v", err)
	}
	type todo struct {
		act escalation.Act
		c   incident.Command
	}
	var kept []todo // acts that were worked out some time, done or not
	for i := range rapid.IntRange(1, 40).Draw(t, "events") {
		switch rapid.IntRange(0, 8).Draw(t, "what") {
		case 0:
			p := w.policies["p"]
			if rapid.Bool().Draw(t, "edit") {
				p = drawPolicy(t)
				w.policies["p"] = p
			}
			_, _ = w.give(fmt.Sprint("route", i), incident.Route{Team: "front", TeamName: "Front", Tier: 1, Policy: &p, Why: "x"}, pager)
		case 1, 2:
			_, _ = w.give(fmt.Sprint("c", i), drawCommand(t), "person:"+handle.Draw(t, "by"))
		case 3:
			w.now += minutes.Draw(t, "minutes") * minute
		case 4:
			w.now = max(w.now-minutes.Draw(t, "back")*minute, w.now-10*minute) // a clock that was set back
		case 5: // the pager works out what is due, and crashes somewhere
			acts, next := escalation.Due(w.state.Paging, w.state.Situation(), w, w.now)
			if next != 0 && next <= w.now {
				t.Fatalf("ask again at %d, which is not after %d", next, w.now)
			}
			for _, a := range acts {
				if c := incident.CommandOf(a); c != nil {
					kept = append(kept, todo{a, c})
				}
			}
			for _, a := range acts[:rapid.IntRange(0, len(acts)).Draw(t, "before the crash")] {
				if w.act(a); a.Do == escalation.DoPolicy {
					break // what is behind it is of the escalation before
				}
			}
		case 7: // a pager that is wrong about the time
			p := w.state.Paging
			early := incident.PageStep{Turn: escalation.Turn{Epoch: p.Epoch, Round: p.Round + rapid.IntRange(0, 1).Draw(t, "round"), Step: p.Step + rapid.IntRange(-1, 1).Draw(t, "early"),
				People: []escalation.Callee{{Person: handle.Draw(t, "early for"), Why: "x"}}}}
			_, _ = w.give(fmt.Sprint("early", i), early, pager)
		case 8: // who has it takes it back
			if has := w.state.Paging.Has(); len(has) > 0 {
				_, _ = w.give(fmt.Sprint("back", i), incident.DeclinePage{}, "person:"+rapid.SampledFrom(has).Draw(t, "not me after all"))
			}
		case 6: // it, or another replica, gives again what it knew
			if len(kept) > 0 {
				x := rapid.SampledFrom(kept).Draw(t, "again")
				_, _ = w.give(x.act.ID, x.c, pager)
			}
		}
	}
	w.quiet(t)
}

// quiet lets the pager do its work while nobody does anything: whoever the rest of the round means must be paged, and it must come to an end.
func (w *world) quiet(t *rapid.T) {
	for name := range w.fixed {
		w.fixed[name] = []string{"ana"} // everybody can be found, so that nobody has an excuse
	}
	at, people := escalation.Ahead(w.state.Paging, w.state.Situation(), w, w.now)
	foretold := !slices.ContainsFunc(w.state.Paging.Asks, func(a escalation.Ask) bool { return a.Policy != "" })
	w.first = nil
	w.settle()
	before := w.state.Paging
	open := incident.Open(w.state)
	if acts, next := escalation.Due(before, w.state.Situation(), w, w.now); open && (before.Phase == escalation.Running || before.Phase == escalation.Snoozed) && next == 0 || len(acts) > 0 {
		t.Fatalf("%s and nothing is due ever again (%d acts)", before.Phase, len(acts))
	}
	long := 3 * 24 * 60 * minute
	if escalation.Grave(string(w.state.Severity)) {
		long = 16 * 60 * minute // it goes on and on
	}
	w.lean = true
	w.run(w.now + long)
	w.lean = false
	w.refold()
	if foretold {
		w.came(t, at, people)
	}
	after := w.state.Paging
	if !open {
		if after.Phase != escalation.Stopped && after.Phase != escalation.Idle || len(after.Waits()) > 0 {
			t.Fatalf("it is over, and paging is %s with %d pages that wait", after.Phase, len(after.Waits()))
		}
		return
	}
	switch before.Phase {
	case escalation.Running:
		for k := before.Step + 1; k <= len(before.Policy.Steps); k++ {
			w.meant(t, before, after, k)
		}
	case escalation.Acknowledged:
		if before.Policy.AckTimeout == 0 {
			if after.Phase != escalation.Acknowledged || len(after.Pages) != len(before.Pages) {
				t.Fatalf("acknowledged for ever, and then %s", after.Phase)
			}
			return
		}
		if len(before.Policy.Steps) > 0 && after.Phase == escalation.Acknowledged {
			t.Fatalf("the acknowledgement never expires")
		}
	}
	if p := after.Phase; p == escalation.Running && after.Unanswered == 0 || p == escalation.Snoozed {
		t.Fatalf("long after, paging is still %s", p)
	}
	if after.Unanswered != 0 {
		w.stillAsked(t, after)
	}
}

// came wants the first page to be the one that was foretold.
func (w *world) came(t *rapid.T, at int64, people []escalation.Callee) {
	switch f := w.first; {
	case at == 0 && f != nil && f.hops <= escalation.MaxSteps:
		t.Fatalf("nobody was foretold, and %v are paged at %d", f.people, f.at)
	case at != 0 && f == nil:
		t.Fatalf("%v at %d were foretold, and nobody is paged", people, at)
	case at != 0 && (f.at != at || !slices.Equal(f.people, people)):
		t.Fatalf("%v at %d were foretold, and %v are paged at %d", people, at, f.people, f.at)
	}
}

// stillAsked wants everybody whom a step without a condition names to have been paged lately: nobody has answered, and it is grave.
func (w *world) stillAsked(t *rapid.T, p escalation.State) {
	lately := w.now - escalation.AgainEvery - int64(len(p.Policy.Steps)+1)*30*minute
	for _, s := range p.Policy.Steps {
		for _, x := range s.Targets {
			if s.If == nil && x.Kind == escalation.TargetPerson && w.Here(x.Name) && !slices.ContainsFunc(p.Pages, func(g escalation.Page) bool { return g.Person == x.Name && g.At >= lately }) {
				t.Fatalf("nobody has answered, and %s was not paged since %d", x.Name, lately)
			}
		}
	}
}

// meant wants a page in that round for every person whom a step without a condition names, and who has not taken back in it that they have it.
func (w *world) meant(t *rapid.T, before, after escalation.State, step int) {
	p := before.Policy.Steps[step-1]
	if p.If != nil || before.Jump > step {
		return
	}
	for _, x := range p.Targets {
		if x.Kind != escalation.TargetPerson || !w.Here(x.Name) || slices.Contains(before.Passed, x.Name) {
			continue
		}
		if !slices.ContainsFunc(after.Pages, func(g escalation.Page) bool {
			return g.Person == x.Name && g.Epoch == before.Epoch && g.Round >= before.Round
		}) {
			t.Fatalf("step %d means %s, who was never paged: %+v", step, x.Name, after.Pages)
		}
	}
}

// TestDueOfAnything: any state of a stream, also one that nobody would write, comes to an end, and asks again only later.
func TestDueOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		small := rapid.IntRange(-1, 6)
		s := escalation.State{Policy: drawPolicy(t), Epoch: small.Draw(t, "epoch"), Round: small.Draw(t, "round"), Step: small.Draw(t, "step"), From: small.Draw(t, "from"),
			Repeats: small.Draw(t, "repeats"), AgainAt: rapid.Int64().Draw(t, "again"), Unanswered: rapid.Int64().Draw(t, "unanswered"), Passed: []string{"bob"}, Jump: small.Draw(t, "jump"), Reached: rapid.Bool().Draw(t, "reached"), Skipped: rapid.Bool().Draw(t, "skipped"),
			Since: rapid.Int64().Draw(t, "since"), Heard: rapid.Int64().Draw(t, "heard"), SnoozedUntil: rapid.Int64().Draw(t, "until"),
			Phase: rapid.SampledFrom([]escalation.Phase{escalation.Idle, escalation.Running, escalation.Acknowledged, escalation.Snoozed, escalation.Exhausted, escalation.Stopped, "x"}).Draw(t, "phase"),
			Asked: []string{"ana"}, Asks: []escalation.Ask{{Number: 1, Team: "ops"}}}
		now := rapid.Int64Range(0, 1<<50).Draw(t, "now")
		before := fmt.Sprintf("%+v", s)
		acts, next := escalation.Due(s, escalation.Situation{Incident: number, Open: true, Severity: sevs.Draw(t, "severity")}, w, now)
		if len(acts) > 300 || next != 0 && next <= now {
			t.Fatalf("%d acts, again at %d after %d", len(acts), next, now)
		}
		ids := map[string]bool{}
		for _, a := range acts {
			if ids[a.ID] {
				t.Fatalf("two acts with the id %s", a.ID)
			}
			ids[a.ID] = true
		}
		if got := fmt.Sprintf("%+v", s); got != before {
			t.Fatalf("Due changed the state")
		}
	})
}
