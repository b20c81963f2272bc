package precedent_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/internal/precedent/precedenttest"
)

func made(n int64, title string, kinds ...string) precedent.Case {
	c := precedent.Typed(title, "", nil, []string{"ethereum"})
	c.Number, c.All.Kinds, c.Open, c.DeclaredAt, c.ResolvedAt = n, kinds, false, n*1000, n*1000+3_600_000
	return c
}

func TestSimilarSaysWhy(t *testing.T) {
	x := precedent.NewIndex([]precedent.Case{
		made(1, "Bridge withdrawal proof forged", "bridge_drain"), made(2, "Disk full on database", "disk_space"), made(3, "Price feed stale", "feed_stale"),
		made(4, "Certificate expired on gateway", "tls_expiry"), made(5, "Reorg of 12 blocks", "reorg"),
	})
	drill, open := made(6, "Bridge withdrawal proof forged again", "bridge_drain"), made(7, "Withdrawal proof odd at the bridge", "bridge_drain")
	drill.Drill, open.Open, open.ResolvedAt = true, true, 0
	x.Put(drill)
	x.Put(open)
	got := x.Similar(made(9, "Withdrawals: a proof nobody can explain", "bridge_drain"), 3)
	var b strings.Builder
	for _, m := range got {
		fmt.Fprintf(&b, "#%d open %v drill %v: %s\n", m.Case.Number, m.Case.Open, m.Case.Drill, strings.Join(m.Reasons, "; "))
		if m.Likeness < precedent.Alike || m.Likeness > 1 {
			t.Errorf("likeness %v", m.Likeness)
		}
	}
	want := `#1 open false drill false: same signal kind bridge drain; words proof, withdrawal
#6 open false drill true: same signal kind bridge drain; words proof, withdrawal
#7 open true drill false: same signal kind bridge drain; words proof, withdrawal
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	if far := x.Similar(made(10, "Something nobody has ever met", "never_seen"), 3); len(far) != 0 {
		t.Errorf("likes what it cannot know: %+v", far)
	}
	if self := x.Similar(made(1, "Bridge withdrawal proof forged", "bridge_drain"), 9); slices.ContainsFunc(self, func(m precedent.Match) bool { return m.Case.Number == 1 }) {
		t.Error("an incident is its own precedent")
	}
}

// Of the three most alike, far more have the same category than by chance.
func TestSimilarFindsTheSameSort(t *testing.T) {
	list := precedenttest.Years(5, 600)
	cases := precedenttest.Cases(list)
	for i := range cases {
		cases[i].Category = "" // it must not help itself
	}
	x := precedent.NewIndex(cases)
	same, of, chance := 0, 0, 0
	for i, c := range cases {
		for _, m := range x.Similar(c, 3) {
			of++
			if list[m.Case.Number-1].Truth == list[i].Truth {
				same++
			}
			if list[(int(c.Number)*131+of)%len(list)].Truth == list[i].Truth {
				chance++
			}
		}
	}
	t.Logf("the same category: %.0f %% of %d, by chance %.0f %%", 100*float64(same)/float64(of), of, 100*float64(chance)/float64(of))
	if float64(same) < 0.7*float64(of) {
		t.Errorf("only %d of %d", same, of)
	}
}

func TestIndexForgetsWhatIsDropped(t *testing.T) {
	cases := precedenttest.Cases(precedenttest.Years(2, 60))
	x, fresh := precedent.NewIndex(cases), precedent.NewIndex(cases[:30])
	for _, c := range cases[30:] {
		x.Drop(c.Number)
	}
	for _, c := range cases {
		a, b := x.Similar(c, 5), fresh.Similar(c, 5)
		if len(a) != len(b) {
			t.Fatalf("#%d: %d and %d", c.Number, len(a), len(b))
		}
		for i := range a {
			if a[i].Case.Number != b[i].Case.Number || math.Abs(a[i].Likeness-b[i].Likeness) > 0.1 {
				t.Fatalf("#%d: %v and %v", c.Number, a[i], b[i])
			}
		}
	}
}

func TestRecoveryNeedsPrecedents(t *testing.T) {
	var cases []precedent.Case
	for n := int64(1); n <= 20; n++ {
		c := made(n, "Bridge withdrawal proof forged", "bridge_drain")
		c.ResolvedAt = c.DeclaredAt + n*600_000 // 10 m to 200 m
		if n > 3 {
			x := precedent.NewIndex(cases)
			if r := x.Recovery(made(99, "Bridge withdrawal proof forged", "bridge_drain"), 0, 0); n <= precedent.LeastResolved && (r.Known || !strings.Contains(r.Sentence, fmt.Sprintf("Too few (%d)", n-1))) {
				t.Errorf("of %d: %+v", n-1, r)
			}
		}
		cases = append(cases, c)
	}
	x := precedent.NewIndex(cases)
	c := made(99, "Bridge withdrawal proof forged", "bridge_drain")
	r := x.Recovery(c, 0, 0)
	if !r.Known || !r.Alike || r.Resolved != 20 || r.Likely != 100*60_000 || r.Low > 20*60_000 || r.High < 180*60_000 {
		t.Errorf("%+v", r)
	}
	later := x.Recovery(c, 100*60_000, 0)
	if later.Resolved != 10 || later.Likely != 50*60_000 {
		t.Errorf("after 100 minutes: %+v", later)
	}
	if gone := x.Recovery(c, 1000*60_000, 0); gone.Known || gone.Resolved != 0 {
		t.Errorf("longer than anything: %+v", gone)
	}
	// Those that are still open count for as long as they have lasted: it looks longer with them than without.
	for n := int64(21); n <= 30; n++ {
		o := made(n, "Bridge withdrawal proof forged", "bridge_drain")
		o.Open, o.ResolvedAt, o.DeclaredAt = true, 0, 0
		x.Put(o)
	}
	if with := x.Recovery(c, 0, 150*60_000); with.Likely <= r.Likely {
		t.Errorf("with ten open for 150 minutes %d, without %d", with.Likely, r.Likely)
	}
	drill := c
	drill.Drill = true
	if r := x.Recovery(drill, 0, 0); r.Known {
		t.Errorf("a drill learns from what is real: %+v", r)
	}
}

func TestSpan(t *testing.T) {
	for _, k := range []struct {
		minutes int64
		want    string
	}{{0, "0 m"}, {7, "7 m"}, {43, "45 m"}, {60, "1 h"}, {80, "1 h 20 m"}, {179, "3 h"}, {1000, "17 h"}, {3000, "2 d 2 h"}, {20000, "14 d"}} {
		if got := precedent.Span(k.minutes * 60_000); got != k.want {
			t.Errorf("%d m: %q, not %q", k.minutes, got, k.want)
		}
	}
}
