package oncall

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// TestUndoRestores: after any commands, undoing the newest change restores the settings as they stood, and undoing that brings the change back.
func TestUndoRestores(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := &play{t: t, at: noon}
		bare := func() string {
			s := p.Settings
			s.Seq = 0
			for i := range s.Policies {
				s.Policies = append([]escalation.Policy{}, s.Policies...)
				s.Policies[i].Version = 0
			}
			return string(mustJSON(normal(s)))
		}
		for range rapid.IntRange(1, 15).Draw(t, "commands") {
			before := bare()
			b, err := p.do("ana", drawCommand(t, p.Settings))
			if err != nil || b == nil {
				continue
			}
			after, event := bare(), p.History[len(p.History)-1].ID
			if _, err := p.do("ana", Undo{Event: event}); err != nil {
				t.Fatalf("undo of %s: %v", b.Type, err)
			}
			if got := bare(); got != before {
				t.Fatalf("undo of %s left\n%s\nwant\n%s", b.Type, got, before)
			}
			if _, err := p.do("ana", Undo{Event: event}); err == nil {
				t.Fatal("undone twice")
			}
			if _, err := p.do("ana", Undo{Event: p.History[len(p.History)-1].ID}); err != nil {
				t.Fatalf("undo of the undo of %s: %v", b.Type, err)
			}
			if got := bare(); got != after {
				t.Fatalf("redo of %s left\n%s\nwant\n%s", b.Type, got, after)
			}
		}
		// One after the other, the newest first, everything is taken back.
		began := bare()
		var done []string
		for range rapid.IntRange(0, 6).Draw(t, "more commands") {
			if b, err := p.do("ana", drawCommand(t, p.Settings)); err == nil && b != nil {
				done = append(done, p.History[len(p.History)-1].ID)
			}
		}
		for i, event := range slices.Backward(done) {
			if _, err := p.do("ana", Undo{Event: event}); err != nil {
				t.Fatalf("undo of change %d of %d: %v", i+1, len(done), err)
			}
		}
		if got := bare(); got != began {
			t.Fatalf("all was taken back, and left\n%s\nwant\n%s", got, began)
		}
		// The settings always work: whatever is routed reaches a policy with steps, and every check is a sentence.
		if _, pol, _ := p.Route("SEV1", []string{"a"}, nil, nil); len(pol.Steps) == 0 {
			t.Fatal("routed to a policy without steps")
		}
		for _, w := range Check(p.Settings, testWorld(), noon) {
			if !strings.HasSuffix(w.Sentence, ".") {
				t.Fatalf("%+v", w)
			}
		}
	})
}

// Two changes of one policy are taken back one after the other; its version rises all the same, so that no incident takes one for the other.
func TestUndoOfTwoChangesOfOnePolicy(t *testing.T) {
	p := &play{t: t, at: noon}
	edit := func(name string) (event string) {
		t.Helper()
		pol := p.Policies[0]
		pol.Name = name
		if _, err := p.do("ana", EditPolicy{pol}); err != nil {
			t.Fatal(err)
		}
		return p.History[len(p.History)-1].ID
	}
	if _, err := p.do("ana", CreatePolicy{Policy: escalation.Policy{Name: "One", Steps: []escalation.Step{{Targets: []escalation.Target{{Kind: escalation.TargetPerson, Name: "ana"}}, Wait: 60_000}}}}); err != nil {
		t.Fatal(err)
	}
	first, second := edit("Two"), edit("Three")
	if _, err := p.do("ana", Undo{Event: first}); err == nil {
		t.Error("the earlier change was taken back under the later one")
	}
	for i, event := range []string{second, first} {
		if _, err := p.do("ana", Undo{Event: event}); err != nil {
			t.Fatal(err)
		}
		if x := p.Policies[0]; x.Name != []string{"Two", "One"}[i] || x.Version != int64(4+i) {
			t.Errorf("%s, version %d", x.Name, x.Version)
		}
	}
}
