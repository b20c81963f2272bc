package chain

import (
	"strings"
	"testing"
)

// TestOneCauseOneFinding: uptime-kuma#4779, one cause and 2,800 pages. Sixty of a hundred nodes go over to another branch: that is one reorg and
// one pair, confirmed, not 2,400 pairs.
func TestOneCauseOneFinding(t *testing.T) {
	c := newCrowd(100)
	for range 30 {
		c.block()
	}
	c.split = 60
	var said []Finding
	for range 8 {
		said = append(said, c.block()...)
	}
	keys := map[string]int{}
	for _, f := range said {
		keys[f.Key]++
		if f.Kind == FindingDivergence && f.Verification != Confirmed {
			t.Errorf("%s by %v", f.Verification, f.Seen)
		}
		if len(f.Evidence) > 16<<10 || len(f.Reason) > 1000 {
			t.Errorf("%s: %d bytes of evidence, %d of reason", f.Key, len(f.Evidence), len(f.Reason))
		}
	}
	if len(keys) != 1 {
		t.Fatalf("findings %v", keys)
	}
	// the forty come back: one reorg told by forty nodes, and the pair ends
	c.split, said = 100, nil
	c.other, c.walks = c.last, true
	for range 4 {
		said = append(said, c.block()...)
	}
	reorgs, ended := map[string]int{}, false
	for _, f := range said {
		if f.Kind == FindingReorg {
			reorgs[f.Key]++
			if len(f.Evidence) > 24<<10 {
				t.Errorf("%d bytes of evidence", len(f.Evidence))
			}
		}
		ended = ended || f.Kind == FindingDivergence && !f.Firing
	}
	t.Logf("told: %v", reorgs)
	if len(reorgs) != 1 || !ended {
		t.Fatalf("reorgs %v, the pair ended: %t", reorgs, ended)
	}
	for k, n := range reorgs {
		if n > 6 {
			t.Errorf("%s was told %d times", k, n)
		}
	}
	for _, f := range said {
		if strings.Contains(f.Reason, "node-0040, node-0041, node-0042, node-0043, node-0044, node-0045, node-0046, node-0047, node-0048") {
			t.Errorf("too many names: %s", f.Reason)
		}
	}
}

// TestTenTimesTheNodesCostTenTimes: what is allocated in one interval grows with the nodes, not with their square, also while they are on two
// branches.
func TestTenTimesTheNodesCostTenTimes(t *testing.T) {
	for _, share := range []int{0, 3} {
		cost := func(n int) float64 {
			c := newCrowd(n)
			for range 4 {
				c.block()
			}
			if share > 0 {
				c.split = n - n/share
			}
			return testing.AllocsPerRun(2, func() { c.block() })
		}
		hundred, thousand := cost(100), cost(1000)
		t.Logf("one of %d on another branch: %.0f allocations of 100 nodes, %.0f of 1,000: %.1f times", share, hundred, thousand, thousand/hundred)
		if thousand > 10*hundred {
			t.Errorf("%.1f times as much", thousand/hundred)
		}
	}
}
