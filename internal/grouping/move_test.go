package grouping_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/grouping"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// rules folds what is decided, through the log's own form.
type rules struct {
	t *testing.T
	s grouping.State
	n int
}

func (r *rules) do(command any) error {
	r.t.Helper()
	b, err := grouping.Decide(&r.s, command)
	if err != nil || b == nil {
		return err
	}
	r.n++
	r.s.Apply(grouping.Event{ID: fmt.Sprint("e", r.n), At: int64(r.n), Actor: "person:ana", Body: *b})
	return nil
}

func (r *rules) must(command any) {
	r.t.Helper()
	if err := r.do(command); err != nil {
		r.t.Fatalf("%+v: %v", command, err)
	}
}

// order is that of the rules that count.
func (r *rules) order() string {
	var out []string
	for _, x := range r.s.Rules() {
		if !x.Removed {
			out = append(out, x.ID)
		}
	}
	return strings.Join(out, " ")
}

func (r *rules) is(what, want string) {
	r.t.Helper()
	if got := r.order(); got != want {
		r.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func some(t *testing.T, ids ...string) *rules {
	r := &rules{t: t}
	for _, id := range ids {
		r.must(grouping.Add{Rule: grouping.Rule{ID: id, Name: "rule " + id, By: []string{"chain"}}})
	}
	return r
}

func code(err error) string {
	var r *grouping.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

func TestMove(t *testing.T) {
	r := some(t, "a", "b", "c")
	g := signal.Signal{Source: "am", Key: "k", Chain: "ethereum"}
	r.must(grouping.Move{ID: "b", Up: true})
	r.is("up", "b a c")
	if j := r.s.Joint(g); j == nil || j.Rule != "b" {
		t.Errorf("the first rule that fits is %+v", j)
	}
	r.must(grouping.Undo{ID: "b"})
	r.is("undone", "a b c")
	r.must(grouping.Undo{ID: "b"})
	r.is("undone again", "b a c")
	r.must(grouping.Move{ID: "b"})
	r.must(grouping.Move{ID: "b"})
	r.is("down twice", "a c b")
	before := r.n
	r.must(grouping.Move{ID: "b"})
	r.must(grouping.Move{ID: "a", Up: true})
	if r.n != before {
		t.Error("a move beyond the end is an event")
	}
	// What is removed is passed over, and an undo of the removal puts it where it was.
	r.must(grouping.Remove{ID: "c"})
	r.must(grouping.Move{ID: "b", Up: true})
	r.is("over a removed rule", "b a")
	r.must(grouping.Undo{ID: "c"})
	r.is("and back", "b a c")
	// A change of the rule itself leaves its place alone, and the undo of the change too.
	r.must(grouping.Edit{Rule: grouping.Rule{ID: "b", Name: "changed", By: []string{"kind"}}})
	r.must(grouping.Undo{ID: "b"})
	r.is("an edit and its undo", "b a c")
	// Another's move may have undone it already.
	r.must(grouping.Move{ID: "c", Up: true})
	r.must(grouping.Move{ID: "a", Up: true})
	r.is("the other way about", "b a c")
	if got := code(r.do(grouping.Undo{ID: "c"})); got != "nothing_to_undo" {
		t.Errorf("undo of what is undone: %q", got)
	}
	for _, c := range []any{grouping.Move{ID: "nothing"}, grouping.Undo{ID: "nothing"}} {
		if got := code(r.do(c)); got != "not_found" {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// TestUndoOfOneChange: the button after a change takes back that change, never one that came later.
func TestUndoOfOneChange(t *testing.T) {
	r := some(t, "a")
	first := r.s.Rules()[0].Change
	r.must(grouping.Edit{Rule: grouping.Rule{ID: "a", Name: "by ben", By: []string{"kind"}}})
	if got := code(r.do(grouping.Undo{ID: "a", Change: first})); got != "not_newest" {
		t.Errorf("%q", got)
	}
	r.must(grouping.Undo{ID: "a", Change: r.s.Rules()[0].Change})
	if x := r.s.Rules()[0]; x.Name != "rule a" || x.Removed {
		t.Errorf("%+v", x)
	}
}

// TestMovesLoseNothing: whatever is done, the rules stay the same ones, and an undo at once gives the order back.
func TestMovesLoseNothing(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		ids := []string{"a", "b", "c", "d", "e"}
		r := some(t, ids...)
		for range 40 {
			id := ids[rnd.IntN(len(ids))]
			before, n := r.order(), r.n
			var c any
			switch rnd.IntN(4) {
			case 0:
				c = grouping.Remove{ID: id}
			case 1:
				c = grouping.Undo{ID: id}
			default:
				c = grouping.Move{ID: id, Up: rnd.IntN(2) == 0}
			}
			if err := r.do(c); err != nil && code(err) == "" {
				t.Fatal(err)
			}
			if _, moved := c.(grouping.Move); moved && r.n > n && rnd.IntN(3) == 0 {
				r.must(grouping.Undo{ID: id})
				r.is(fmt.Sprintf("seed %d: %+v undone", seed, c), before)
			}
		}
		all := make([]string, 0, len(ids))
		for _, x := range r.s.Rules() {
			all = append(all, x.ID)
		}
		if slices.Sort(all); !slices.Equal(all, ids) {
			t.Fatalf("seed %d: %v", seed, all)
		}
	}
}
