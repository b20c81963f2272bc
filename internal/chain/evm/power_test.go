package evm

import (
	"math"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// TestHashRate: the hash rate is the difficulty over the time between blocks, so that the cost of an attack is known of the headers alone; where
// nothing is mined, or the field means something else, there is none.
func TestHashRate(t *testing.T) {
	for _, c := range []struct {
		name, difficulty string
		rate             float64
	}{
		{"Ethereum Classic", "0x1c6bf52634000", 500e12 / 12},
		{"after the merge", "0x0", 0},
		{"Clique", "0x2", 0},
		{"Polygon", "0x69", 0},
		{"nonsense", "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t, 80)
			n.chainID, n.difficulty = "0x3d", c.difficulty
			w := watch(t, Config{URL: "http://" + n.addr, ChainID: "61"})
			w.mon = chain.NewMonitor(chain.Config{Chain: "eth", Family: chain.EVM, ChainID: "61", Nodes: []string{"a"}, HashPrice: 1e-7, Confirmations: 100, OpenDeposits: 2e6})
			if c.rate == 0 {
				w.until("fees", kind(chain.KindFees))
				w.until("peers, again", kind(chain.KindPeers))
				if v := w.mon.View(0); v.HashRate != nil || v.AttackCost != nil {
					t.Errorf("hash rate %v, cost %v", v.HashRate, v.AttackCost)
				}
				return
			}
			if o := w.until("hash rate", kind(chain.KindHashRate)); math.Abs(o.HashRate/c.rate-1) > 1e-9 {
				t.Errorf("%g hashes a second, want %g", o.HashRate, c.rate)
			}
			v := w.mon.View(0)
			want := c.rate * 1e-7 * 100 * float64(v.Interval) / 86400000
			if v.AttackCost == nil || math.Abs(*v.AttackCost/want-1) > 1e-3 || v.OpenDeposits == nil || *v.OpenDeposits != 2e6 {
				t.Errorf("cost %v, want %g; open %v", v.AttackCost, want, v.OpenDeposits)
			}
			n.mu.Lock()
			n.difficulty = "0x0"
			n.mu.Unlock()
			n.mine("b", true)
			w.until("the end of mining", func(o chain.Observation) bool { return o.Kind == chain.KindHashRate && o.HashRate == 0 })
			if v := w.mon.View(0); v.AttackCost != nil {
				t.Errorf("cost %v when nothing is mined", *v.AttackCost)
			}
		})
	}
}
