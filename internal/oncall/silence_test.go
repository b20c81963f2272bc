package oncall

import (
	"fmt"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// What pages people allows an hour of silence after an acknowledgement unless somebody chose otherwise, and a log from before is read so that "never"
// is left where somebody chose it, and nowhere else.
func TestSilenceAfterAnAcknowledgement(t *testing.T) {
	for name, p := range map[string]escalation.Policy{"the built-in policy": Default(), "that of a team without one": implied(Team{ID: "t"}), "nothing said": Paging(escalation.Policy{})} {
		if p.AckTimeout != Silence {
			t.Errorf("%s: %d", name, p.AckTimeout)
		}
	}
	if p := Paging(escalation.Policy{AckTimeout: escalation.Never}); p.AckTimeout != escalation.Never {
		t.Errorf("never: %d", p.AckTimeout)
	}
	says := func(ms int64) *escalation.Policy { return &escalation.Policy{ID: "p", Name: "P", AckTimeout: ms} }
	type change struct {
		before, after *escalation.Policy
		explicit      bool
	}
	for name, c := range map[string]struct {
		log  []change
		want int64
	}{
		"made without a word":          {[]change{{after: says(0)}}, 0},
		"made so, and renamed":         {[]change{{after: says(0)}, {before: says(0), after: says(0)}}, 0},
		"taken away":                   {[]change{{after: says(minute)}, {before: says(minute), after: says(0)}}, escalation.Never},
		"taken away, and renamed":      {[]change{{after: says(minute)}, {before: says(minute), after: says(0)}, {before: says(0), after: says(0)}}, escalation.Never},
		"taken away, and given back":   {[]change{{after: says(minute)}, {before: says(minute), after: says(0)}, {before: says(0), after: says(minute)}}, minute},
		"taken away by this program":   {[]change{{after: says(minute), explicit: true}, {before: says(minute), after: says(0), explicit: true}}, 0},
		"never, chosen":                {[]change{{after: says(escalation.Never), explicit: true}}, escalation.Never},
		"never, and no longer":         {[]change{{after: says(escalation.Never), explicit: true}, {before: says(escalation.Never), after: says(0), explicit: true}}, 0},
		"removed and made another one": {[]change{{after: says(minute)}, {before: says(minute)}, {after: says(0)}}, 0},
	} {
		var s State
		for i, x := range c.log {
			s.Apply(Event{Seq: int64(i + 1), Body: Body{Policies: []Diff[escalation.Policy]{{x.before, x.after}}, Explicit: x.explicit}})
		}
		if p, ok := s.Policy("p"); !ok || p.AckTimeout != c.want {
			t.Errorf("%s: %d, want %d", name, p.AckTimeout, c.want)
		}
	}
}

// What an older version wrote can be taken back, and "never" is never on both sides of it.
func TestUndoOfSilence(t *testing.T) {
	says := func(name string, ms int64) *escalation.Policy {
		return &escalation.Policy{ID: "p", Name: name, AckTimeout: ms}
	}
	log := []Diff[escalation.Policy]{
		{nil, says("a", minute)}, {says("a", minute), says("a", 0)}, {says("a", 0), says("b", 0)}, {says("b", 0), nil}, {nil, says("c", 0)}, {says("c", 0), says("d", 0)},
	}
	for i, want := range []*escalation.Policy{nil, says("a", minute), says("a", escalation.Never), says("b", escalation.Never), nil, says("c", 0)} {
		p := &play{t: t, at: noon}
		for j, d := range log[:i+1] {
			typ, ver, data, err := Encode(Body{Type: policyChanged, Says: "x", Policies: []Diff[escalation.Policy]{d}})
			if err != nil {
				t.Fatal(err)
			}
			b, ok, err := Decode(typ, ver, data)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			p.Apply(Event{ID: fmt.Sprint("old", j), Seq: int64(j + 1), At: p.at, Actor: "person:ana", Body: b})
		}
		if _, err := p.do("ana", Undo{Event: fmt.Sprint("old", i)}); err != nil {
			t.Errorf("the change %d: %v", i, err)
			continue
		}
		got, ok := p.Policy("p")
		if ok != (want != nil) || ok && (got.Name != want.Name || got.AckTimeout != want.AckTimeout) {
			t.Errorf("the change %d taken back: %s with %d, %v; want %+v", i, got.Name, got.AckTimeout, ok, want)
		}
	}
}
