package escalation_test

import (
	"testing"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// While nobody answers something grave all are paged again, and after a day less often: what nobody looks at for weeks does not fill the log.
func TestPagedAgainLessOftenAfterADay(t *testing.T) {
	w := newWorld(t, 1_772_438_400_000)
	w.lean = true
	p := oncall.Default()
	w.teams[oncall.Everybody] = team{people: []string{"ana"}}
	if _, err := w.give("declare", incident.Declare{Title: "x", Severity: "SEV1"}, "source:alerts"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.give("route", incident.Route{Team: "everybody", TeamName: "Everybody", Tier: 1, Policy: &p, Why: "x"}, pager); err != nil {
		t.Fatal(err)
	}
	began := w.now
	var rounds []int64 // when each began, once the policy's own were through
	for range 60 {
		round := w.state.Paging.Round
		for w.state.Paging.Round == round {
			next := w.settle()
			if next == 0 {
				t.Fatalf("round %d is the last one", round)
			}
			w.now = next
			w.settle()
		}
		if round > p.Repeat {
			rounds = append(rounds, w.now-began)
		}
	}
	pass := p.Steps[0].Wait
	for i := 1; i < len(rounds); i++ {
		want := pass + escalation.AgainEvery
		if i >= escalation.AgainOften {
			want = pass + escalation.AgainRarely
		}
		if got := rounds[i] - rounds[i-1]; got != want {
			t.Errorf("between the times %d and %d: %d min, want %d", i, i+1, got/minute, want/minute)
		}
	}
	if since, ok := w.state.Unanswered(w.now); !ok || since != began+20*minute {
		t.Errorf("unanswered since %d min: %v", (since-began)/minute, ok)
	}
	if _, err := w.give("ack", incident.Acknowledge{}, "person:ana"); err != nil {
		t.Fatal(err)
	}
	if since, ok := w.state.Unanswered(w.now); ok {
		t.Errorf("answered, and unanswered since %d", since)
	}
	w.refold()
}

// Nobody outside hears of a drill that nobody answers, of what is milder, or of what is over.
func TestUnanswered(t *testing.T) {
	for _, c := range []struct {
		severity string
		drill    bool
		then     incident.Command
		want     bool
	}{
		{severity: "SEV1", want: true}, {severity: "SEV2", want: true}, {severity: "SEV3"}, {severity: "SEV1", drill: true},
		{severity: "SEV1", then: incident.Resolve{Validation: "checked"}}, {severity: "SEV1", then: incident.SetSeverity{Severity: "SEV3", Reason: "milder"}},
		{severity: "SEV1", then: incident.AddNote{Text: "I only watch"}, want: true}, {severity: "SEV1", then: incident.Snooze{For: "1h"}},
		{severity: "SEV1", then: incident.Escalate{Step: 1}, want: true}, {severity: "SEV1", then: incident.Acknowledge{}},
	} {
		w := newWorld(t, 1_772_438_400_000)
		w.state.Drill = c.drill
		w.lean = true
		p := oncall.Default()
		w.teams[oncall.Everybody] = team{people: []string{"ana"}}
		give := func(id string, x incident.Command, actor string) {
			if _, err := w.give(id, x, actor); err != nil {
				t.Fatal(err)
			}
		}
		give("declare", incident.Declare{Title: "x", Severity: c.severity}, "source:alerts")
		give("route", incident.Route{Team: "everybody", TeamName: "Everybody", Tier: 1, Policy: &p, Why: "x"}, pager)
		w.run(w.now + 21*minute)
		if c.then != nil {
			give("then", c.then, "person:bob")
			w.settle()
		}
		if _, got := w.state.Unanswered(w.now); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// What an event of before exhausted, which says nothing of what follows, is taken up for a day, and people are paged about it again; what is older is left.
func TestExhaustedBefore(t *testing.T) {
	for _, c := range []struct {
		severity      string
		later         int64 // after the steps were through
		drill, silent bool
		rounds        int
	}{
		{severity: "SEV1", later: minute, rounds: 1}, {severity: "SEV1", later: escalation.AgainEvery, rounds: 2}, {severity: "SEV2", later: 24 * 60 * minute, rounds: 2},
		{severity: "SEV1", later: 24*60*minute + 1, rounds: 1, silent: true}, {severity: "SEV3", later: 60 * minute, rounds: 1, silent: true},
		{severity: "SEV1", later: 60 * minute, rounds: 2, drill: true, silent: true},
	} {
		w := newWorld(t, 1_772_438_400_000)
		w.state.Drill, w.lean, w.fixed = c.drill, true, map[string][]string{"primary": {"ana"}}
		p := escalation.Policy{ID: "p", Name: "p", Steps: []escalation.Step{{Wait: 5 * minute, Targets: []escalation.Target{{Kind: escalation.TargetSchedule, Name: "primary"}}}}}
		if _, err := w.give("declare", incident.Declare{Title: "x", Severity: c.severity}, "source:alerts"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.give("route", incident.Route{Team: "t", TeamName: "T", Tier: 1, Policy: &p, Why: "x"}, pager); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.now += 5 * minute
		n := int64(len(w.log))
		m := incident.Meta{ID: "exhaust", At: w.now, Actor: pager, Drill: c.drill}
		body := incident.PagingExhausted{Reached: true}
		typ, version, data, err := incident.Encode(body)
		if err != nil {
			t.Fatal(err)
		}
		w.log = append(w.log, logged{m, typ, version, data})
		w.state = incident.Apply(w.state, incident.Event{Meta: m, Offset: n, EventID: "old", Body: body})
		through := w.now
		w.now += c.later
		since, ok := w.state.Unanswered(w.now)
		if ok == c.silent || ok && since != through {
			t.Errorf("%+v: unanswered since %d, %v", c, since-through, ok)
		}
		at, again := w.state.PagedAgain(w.now)
		if want := !c.silent || c.drill; again != want || again && at != through+escalation.AgainEvery {
			t.Errorf("%+v: paged again at %d, %v", c, at-through, again)
		}
		acts, next := escalation.Due(w.state.Paging, w.state.Situation(), w, w.now)
		for _, a := range acts {
			w.act(a)
		}
		if got := w.state.Paging.Round; got != c.rounds {
			t.Errorf("%+v: round %d", c, got)
		}
		if c.rounds == 1 && (next == 0) != c.silent {
			t.Errorf("%+v: next at %d", c, next-through)
		}
		if since, ok := w.state.Unanswered(w.now); ok == c.silent || ok && since != through {
			t.Errorf("%+v, afterwards: unanswered since %d, %v", c, since-through, ok)
		}
	}
}

// Neither that it becomes worse by itself nor that somebody asks for a step again is an answer; who writes in the room is somebody, and the time counts from then.
func TestUnansweredGoesOn(t *testing.T) {
	w := newWorld(t, 1_772_438_400_000)
	p := oncall.Default()
	w.teams[oncall.Everybody] = team{people: []string{"ana"}}
	give := func(id string, c incident.Command, actor string) {
		t.Helper()
		if _, err := w.give(id, c, actor); err != nil {
			t.Fatal(err)
		}
		w.settle()
	}
	since := func(what string, want int64) {
		t.Helper()
		if got, ok := w.state.Unanswered(w.now); ok != (want != 0) || got != want {
			t.Errorf("%s: unanswered since %d, %v, want %d", what, got, ok, want)
		}
	}
	give("declare", incident.Declare{Title: "x", Severity: "SEV2"}, "source:alerts")
	give("route", incident.Route{Team: "everybody", TeamName: "Everybody", Tier: 1, Policy: &p, Why: "x"}, pager)
	w.run(w.now + 21*minute)
	through := w.now - minute
	since("the steps are through", through)
	give("worse", incident.SetSeverity{Severity: "SEV1", Reason: "it drains"}, "system:rules")
	if w.state.Paging.Phase != escalation.Running {
		t.Fatalf("worse, and paging is %s", w.state.Paging.Phase)
	}
	since("worse", through)
	w.now += minute
	give("note", incident.AddNote{Text: "I look"}, "person:bob")
	since("somebody writes", w.now)
	w.now += minute
	give("again", incident.Escalate{Step: 1}, "person:bob")
	since("a person has all paged again", w.now)
	w.now += minute
	since("and a minute later", w.now-minute)
	give("mild", incident.SetSeverity{Severity: "SEV3", Reason: "only the test network"}, "system:rules")
	since("milder", 0)
	w.run(w.now + 60*minute)
	give("grave", incident.SetSeverity{Severity: "SEV1", Reason: "no, both"}, "system:rules")
	since("grave after all", 0)
	w.run(w.now + 20*minute)
	since("and through again", w.now)
	give("mild again", incident.SetSeverity{Severity: "SEV3", Reason: "only the test network"}, "system:rules")
	w.run(w.now + 60*minute)
	give("grave again", incident.SetSeverity{Severity: "SEV1", Reason: "no, both"}, "system:rules")
	since("milder when all were through, and grave again", 0)
	give("ack", incident.Acknowledge{}, "person:ana")
	since("answered", 0)
	give("worse again", incident.Escalate{Step: 1}, "person:ana")
	since("escalated by who has it", 0)
}
