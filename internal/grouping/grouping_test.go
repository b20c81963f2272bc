package grouping_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/grouping"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

func TestRules(t *testing.T) {
	var s grouping.State
	n := 0
	do := func(command any) string {
		t.Helper()
		b, err := grouping.Decide(&s, command)
		var r *grouping.Refusal
		switch {
		case errors.As(err, &r):
			return r.Code
		case err != nil:
			t.Fatal(err)
		case b == nil:
			return "nothing"
		}
		n++
		s.Apply(grouping.Event{ID: fmt.Sprint(n), At: int64(n), Actor: "person:ana", Body: *b})
		return b.What
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	joint := func(g signal.Signal) string {
		if j := s.Joint(g); j != nil {
			return j.Name + ": " + j.By
		}
		return ""
	}
	nomad := signal.Signal{Source: "am", Key: "k1", Chain: "ethereum", Labels: map[string]string{"bridge": "nomad", "env": "prod"}}
	test := signal.Signal{Source: "am", Key: "k2", Chain: "ethereum", Labels: map[string]string{"bridge": "nomad", "env": "test"}}
	plain := signal.Signal{Source: "am", Key: "k3", Chain: "ethereum"}
	a := grouping.Rule{ID: "a", Name: "same bridge", By: []string{"bridge", "chain"}, Match: signal.Match{Labels: []string{"env!=test"}}, Window: 1000}
	want("add", do(grouping.Add{Rule: a}), "added")
	want("again", do(grouping.Add{Rule: a}), "nothing")
	want("second", do(grouping.Add{Rule: grouping.Rule{ID: "b", Name: "same chain", By: []string{"chain"}}}), "added")
	want("a bridge", joint(nomad), "same bridge: bridge=nomad, chain=ethereum")
	want("a test", joint(test), "same chain: chain=ethereum")
	want("no bridge", joint(plain), "same chain: chain=ethereum")
	want("nothing to go by", joint(signal.Signal{Source: "am"}), "")
	want("never", do(grouping.Except{ID: "a", Identity: nomad.Identity(), Signal: "s1"}), "excepted")
	want("never again", do(grouping.Except{ID: "a", Identity: nomad.Identity(), Signal: "s1"}), "nothing")
	want("excepted", joint(nomad), "same chain: chain=ethereum")
	want("edit", do(grouping.Edit{Rule: grouping.Rule{ID: "a", Name: "bridges", By: []string{"bridge"}}}), "changed")
	want("stays excepted", joint(nomad), "same chain: chain=ethereum")
	want("admit", do(grouping.Admit{ID: "a", Identity: nomad.Identity(), Signal: "s1"}), "admitted")
	want("admit again", do(grouping.Admit{ID: "a", Identity: nomad.Identity(), Signal: "s1"}), "nothing")
	want("admitted", joint(nomad), "bridges: bridge=nomad")
	want("undo the admission", do(grouping.Undo{ID: "a"}), "undone")
	want("and never", do(grouping.Edit{Rule: grouping.Rule{ID: "a", Name: "bridge", By: []string{"bridge"}}}), "changed")
	want("undo the edit", do(grouping.Undo{ID: "a"}), "undone")
	want("as before", joint(nomad), "same chain: chain=ethereum")
	want("remove", do(grouping.Remove{ID: "b"}), "removed")
	want("removed", joint(plain), "")
	want("undo the removal", do(grouping.Undo{ID: "b"}), "undone")
	want("back", joint(plain), "same chain: chain=ethereum")
	for code, r := range map[string]grouping.Rule{
		"name_missing": {ID: "x", By: []string{"a"}}, "by_missing": {ID: "x", Name: "n"}, "by_bad": {ID: "x", Name: "n", By: []string{"a", "a"}},
		"by_too_many": {ID: "x", Name: "n", By: []string{"1", "2", "3", "4", "5", "6"}}, "bad_window": {ID: "x", Name: "n", By: []string{"a"}, Window: -1},
		"bad_match": {ID: "x", Name: "n", By: []string{"a"}, Match: signal.Match{Labels: []string{"nonsense"}}},
	} {
		want("refusal", do(grouping.Add{Rule: r}), code)
	}
	want("unknown", do(grouping.Remove{ID: "zz"}), "not_found")
}
