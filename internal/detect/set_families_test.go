package detect_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// maker makes blocks that two nodes tell, 150 ms apart.
type maker struct {
	chain  string
	at     int64
	height int64
	hash   string
	noise  uint64
}

func (m *maker) random() float64 {
	m.noise = m.noise*6364136223846793005 + 1442695040888963407
	return float64(m.noise>>11) / (1 << 53)
}

func (m *maker) block(height int64, hash, parent string) []observation.Observation {
	header := observation.Time(m.at)
	o := observation.Observation{At: m.at, Kind: observation.Block, Chain: m.chain, Node: "a", Height: height, Hash: hash, Parent: parent, Time: &header}
	p := o
	p.Node, p.At = "b", o.At+150
	m.height, m.hash = height, hash
	return []observation.Observation{o, p}
}

// TestFamilies puts halts and reorganisations into a healthy chain of each family and measures how soon they are found, and what else pages.
func TestFamilies(t *testing.T) {
	for _, c := range []struct {
		facts    detect.ChainFacts
		interval float64 // ms
		poisson  bool
		skipped  float64 // share of slots without a block
		blocks   int
		within   float64 // seconds a halt may take to be found after the block that was due
		routine  int     // deepest reorg that is not told
	}{
		{detect.ChainFacts{Name: "ethereum"}, 12_000, false, 0.01, 7200, 90, 1},
		{detect.ChainFacts{Name: "polygon"}, 2000, false, 0, 10_000, 20, 32},
		{detect.ChainFacts{Name: "pow", Family: "evm", Interval: 13_000}, 13_000, true, 0, 6000, 200, 1},
		{detect.ChainFacts{Name: "bitcoin"}, 600_000, true, 0, 4000, 6500, 1},
		{detect.ChainFacts{Name: "hub", Family: "comet", ChainID: "cosmoshub-4"}, 6000, false, 0, 10_000, 60, 0},
		{detect.ChainFacts{Name: "sol", Family: "solana", ChainID: "mainnet-beta"}, 400, false, 0.05, 20_000, 15, 1},
		{detect.ChainFacts{Name: "beacon", Family: "beacon", ChainID: "mainnet"}, 12_000, false, 0.01, 5000, 90, 1},
		{detect.ChainFacts{Name: "rollup", Family: "evm", ChainID: "10"}, 2000, false, 0, 10_000, 20, 1},
	} {
		t.Run(c.facts.Name, func(t *testing.T) {
			s := newStage(t, detect.Setup{Chains: []detect.ChainFacts{c.facts}})
			m := &maker{chain: c.facts.Name, at: begin, height: 1000, hash: "g", noise: 7}
			next := func() []observation.Observation {
				step := c.interval
				slots := int64(1)
				if c.poisson {
					step *= -math.Log(1 - m.random())
				}
				for m.random() < c.skipped {
					step += c.interval
					slots++
				}
				m.at += max(int64(step), 200)
				h := m.height + 1
				if c.facts.Family == "solana" || c.facts.Family == "beacon" {
					h = m.height + slots // heights are slots
				}
				return m.block(h, fmt.Sprintf("%s%d", c.facts.Name, h), m.hash)
			}
			for range c.blocks {
				s.see(next()...)
			}
			healthy := s.pages(0, 0)
			days := float64(m.at-begin) / 86_400_000

			from := s.set.Now()
			due := m.at + int64(c.interval)
			m.at += 12 * 3_600_000
			s.see(next()...)
			halt := -1.0
			for _, f := range s.all {
				if f.Kind == "stall" && f.Firing && f.At > from {
					halt = float64(f.At-due) / 1000
					break
				}
			}
			for range 300 {
				s.see(next()...)
			}
			reorgs := map[int]float64{}
			for _, depth := range []int{2, 3, 6} {
				for range depth { // the branch that will be left
					s.see(next()...)
				}
				base := m.height - int64(depth)
				old := fmt.Sprintf("%s%d", c.facts.Name, base)
				if c.facts.Family == "solana" || c.facts.Family == "beacon" {
					continue // heights are slots: the maker does not know what is so far below
				}
				at := m.at + 1000
				for i := range depth + 1 {
					m.at = at + int64(i)
					h := base + int64(i) + 1
					s.see(m.block(h, fmt.Sprintf("%s%d-%d", c.facts.Name, h, depth), old)...)
					old = m.hash
				}
				reorgs[depth] = -1
				for _, f := range s.all {
					if (f.Kind == "reorg" || f.Kind == "fork") && f.Severity < "SEV5" && f.Firing && f.At >= at {
						reorgs[depth] = float64(f.At-at) / 1000
						break
					}
				}
				for range 80 {
					s.see(next()...)
				}
				if found := reorgs[depth] >= 0; found != (depth > c.routine) {
					t.Errorf("reorg of %d: %v", depth, reorgs)
				}
			}
			t.Logf("| %s | healthy %.2f days: pages %v | halt found %.1f s after the block that was due | reorgs of 2, 3, 6 after s: %v |", c.facts.Name, days, healthy, halt, reorgs)
			if halt < 0 || halt > c.within || len(healthy) > 0 && !(c.poisson && healthy["stall"] <= 2) {
				t.Errorf("halt %v s, healthy pages %v\n%v", halt, healthy, s.lines[:min(len(s.lines), 10)])
			}
		})
	}
}
