package precedent_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/internal/precedent/precedenttest"
)

// walk goes through the made-up years in time: at every declaration, and at each of after (minutes) while the incident is open, it asks with what
// was known then.
func walk(list []precedenttest.Incident, after []int64, from int, ask func(x *precedent.Index, c precedent.Case, elapsed, now, took int64)) {
	type moment struct {
		at    int64
		n     int
		what  int // 0: over, 1: declared, 2: asked
		after int64
	}
	var moments []moment
	for n, i := range list {
		c, _ := i.Case(1 << 62)
		moments = append(moments, moment{c.ResolvedAt, n, 0, 0}, moment{c.DeclaredAt, n, 1, 0})
		for _, m := range after {
			if n >= from && m*60_000 < c.Took() {
				moments = append(moments, moment{c.DeclaredAt + m*60_000, n, 2, m * 60_000})
			}
		}
	}
	slices.SortFunc(moments, func(a, b moment) int {
		switch {
		case a.at != b.at:
			return int(min(1, max(-1, a.at-b.at)))
		case a.what != b.what:
			return a.what - b.what
		}
		return a.n - b.n
	})
	x := precedent.NewIndex(nil)
	for _, m := range moments {
		at := m.at
		if m.what == 0 {
			at = 1 << 62
		}
		c, _ := list[m.n].Case(at)
		x.Put(c)
		if m.what == 2 {
			over, _ := list[m.n].Case(1 << 62)
			ask(x, c, m.after, m.at, over.Took()-m.after)
		}
	}
}

// The interval holds what it says, asked with what was known at that time, drift included.
func TestRecoveryHoldsWhatItSays(t *testing.T) {
	var b strings.Builder
	type tally struct{ held, below, above, asked, known, alike int }
	all := tally{}
	by := map[int64]*tally{}
	after := []int64{0, 15, 60, 240}
	var width, plain []float64
	for seed := uint64(1); seed <= 6; seed++ {
		walk(precedenttest.Years(seed, 500), after, 100, func(x *precedent.Index, c precedent.Case, elapsed, now, took int64) {
			k := by[elapsed]
			if k == nil {
				k = &tally{}
				by[elapsed] = k
			}
			k.asked++
			all.asked++
			r := x.Recovery(c, elapsed, now)
			if !r.Known {
				return
			}
			k.known++
			all.known++
			if r.Alike {
				k.alike++
			}
			if r.Low > r.Likely || r.High >= 0 && r.Likely > r.High || r.Low < 0 {
				t.Fatalf("#%d: %+v", c.Number, r)
			}
			switch {
			case took < r.Low:
				k.below++
			case r.High >= 0 && took > r.High:
				k.above++
			default:
				k.held++
				all.held++
			}
			if all := x.Recovery(precedent.Case{Number: c.Number}, elapsed, now); elapsed == 0 && r.High > 0 && all.High > 0 { // like nothing: from all
				width, plain = append(width, float64(r.High-r.Low)/60_000), append(plain, float64(all.High-all.Low)/60_000)
			}
		})
	}
	for _, m := range after {
		k := by[m*60_000]
		fmt.Fprintf(&b, "after %3d m: asked %4d, answered %4d (%4d from those like it), held %.1f %%, shorter %.1f %%, longer %.1f %%\n", m, k.asked, k.known, k.alike,
			100*float64(k.held)/float64(k.known), 100*float64(k.below)/float64(k.known), 100*float64(k.above)/float64(k.known))
		if held := float64(k.held) / float64(k.known); held < 0.76 || held > 0.87 {
			t.Errorf("after %d m the interval of 80 %% held %.1f %%", m, 100*held)
		}
	}
	slices.Sort(width)
	slices.Sort(plain)
	fmt.Fprintf(&b, "all: held %.1f %% of %d; median width at the beginning %.0f m, of one from all incidents alike %.0f m\n",
		100*float64(all.held)/float64(all.known), all.known, width[len(width)/2], plain[len(plain)/2])
	if width[len(width)/2] > 0.9*plain[len(plain)/2] {
		t.Error("likeness does not make the interval narrower: leave it out")
	}
	t.Log("\n" + b.String())
	golden(t, "recovery.txt", b.String())
}

func TestHeldAgreesWithWhatIsAskedInTime(t *testing.T) {
	all := precedent.Share{}
	for seed := uint64(1); seed <= 6; seed++ {
		h := precedent.Held(precedenttest.Cases(precedenttest.Years(seed, 500)), 300)
		all.Right, all.Of = all.Right+h.Right, all.Of+h.Of
	}
	low, high := all.Interval()
	t.Logf("held %.1f %% of %d", 100*all.Value(), all.Of)
	if all.Of < 1700 || low < 0.76 || high > 0.88 {
		t.Errorf("held %.3f of %d", all.Value(), all.Of)
	}
	if h := precedent.Held(nil, 300); h.Of != 0 {
		t.Errorf("of nothing: %+v", h)
	}
}
