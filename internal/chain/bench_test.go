package chain

import (
	"fmt"
	"testing"
)

// crowd is a chain of twelve-second blocks whose nodes are polled once a second; a node gets a block up to a second late.
type crowd struct {
	m     *Monitor
	nodes []string
	at    int64
	last  Block
	split int // from this node on they follow another branch
	other Block
	main  []Block // the newest of the main branch, which a walk gives
	walks bool
}

func newCrowd(n int) *crowd {
	c := &crowd{at: 1_700_000_000_000, split: n}
	for i := range n {
		c.nodes = append(c.nodes, fmt.Sprintf("node-%04d", i))
	}
	c.m = NewMonitor(Config{Chain: "eth", Family: EVM, ChainID: "1", Nodes: c.nodes})
	c.last = Block{Height: 1000, Hash: "h1000", Parent: "h999", Time: c.at}
	c.other = c.last
	return c
}

// block lets one interval pass: twelve polls of every node and twelve ticks.
func (c *crowd) block() (out []Finding) {
	grow := func(b Block, as string) Block {
		return Block{Height: b.Height + 1, Hash: fmt.Sprint(as, b.Height+1), Parent: b.Hash, Time: b.Time + 12000}
	}
	last, other := c.last, c.other
	c.last, c.other = grow(last, "h"), grow(other, "h")
	if c.split < len(c.nodes) {
		c.other = grow(other, "q")
	}
	base := 20.0 + float64(c.last.Height%7)
	c.main = append(c.main[max(len(c.main)-20, 0):], last)
	c.last.BaseFee, c.other.BaseFee = &base, &base
	for s := range int64(12) {
		for i, name := range c.nodes {
			b := c.last
			if i >= c.split {
				b = c.other
			}
			if s == 0 && i%2 == 1 {
				if b = last; i >= c.split {
					b = other
				}
			}
			o := Observation{Kind: KindHead, Chain: "eth", Node: name, At: c.at + s*1000 + int64(i)%1000, How: Polled, Head: &b}
			if c.walks {
				o.Branch = c.main
			}
			out = append(out, c.m.Observe(o).Findings...)
		}
		out = append(out, c.m.Tick(c.at+s*1000+999).Findings...)
	}
	c.at += 12000
	return out
}

func benchmarkNodes(b *testing.B, n int) {
	c := newCrowd(n)
	for range 30 {
		c.block()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		c.block()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/12e9*100, "%core")
}

func BenchmarkMonitor10Nodes(b *testing.B)   { benchmarkNodes(b, 10) }
func BenchmarkMonitor100Nodes(b *testing.B)  { benchmarkNodes(b, 100) }
func BenchmarkMonitor1000Nodes(b *testing.B) { benchmarkNodes(b, 1000) }
