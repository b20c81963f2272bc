package chain

import (
	"fmt"
	"strings"
	"testing"
)

// trusts plays heads of node b beside an honest a, and gives the reason why b is not trusted in the end.
func trusts(t *testing.T, blocks int, lie func(h int64, honest Block) Block) (string, []Finding) {
	t.Helper()
	m := NewMonitor(Config{Chain: "eth", Family: EVM, ChainID: "1", Nodes: []string{"a", "b"}})
	at := int64(1_700_000_000_000)
	var said []Finding
	for h := int64(1000); h < 1000+int64(blocks); h++ {
		honest := Block{Height: h, Hash: fmt.Sprint("h", h), Parent: fmt.Sprint("h", h-1), Time: at}
		for s := range int64(12) {
			for _, n := range []string{"a", "b"} {
				b := honest
				if n == "b" {
					b = lie(h, honest)
				}
				said = append(said, m.Observe(Observation{Kind: KindHead, Node: n, At: at + s*1000, Head: &b}).Findings...)
			}
			said = append(said, m.Tick(at+s*1000).Findings...)
		}
		at += 12000
	}
	if !m.node("a").trusted() {
		t.Errorf("the honest node is not trusted: %s", m.node("a").trust.Why)
	}
	return m.node("b").trust.Why, said
}

// TestFrozenTime: stale answers whose heights rise while the time of their blocks stands still.
func TestFrozenTime(t *testing.T) {
	why, said := trusts(t, 60, func(h int64, b Block) Block {
		if h > 1020 {
			b.Time = 1_700_000_000_000 + 20*12000
			b.Hash, b.Parent = "f"+b.Hash[1:], "f"+b.Parent[1:]
			if h == 1021 {
				b.Parent = "h1020"
			}
		}
		return b
	})
	if !strings.Contains(why, "has stood still for") {
		t.Errorf("%q, %v", why, said)
	}
}

// TestToAndFro: two servers behind one address answer in turn from two branches. It is not told as one reorg after the other, and in the end not
// believed.
func TestToAndFro(t *testing.T) {
	turn := 0
	why, said := trusts(t, 40, func(h int64, b Block) Block {
		if h >= 1020 {
			turn++
			if turn%4 == 0 {
				if h > 1022 {
					h = 1022
				}
				return Block{Height: h, Hash: fmt.Sprint("q", h), Parent: map[bool]string{true: "h1019", false: fmt.Sprint("q", h-1)}[h == 1020], Time: b.Time}
			}
		}
		return b
	})
	opened := openings(of(said, FindingReorg))
	if why == "" || opened > 2 {
		t.Errorf("%q, %d reorgs opened", why, opened)
	}
	for _, f := range said {
		if f.Firing && f.Kind == FindingReorg && !f.Verification.Held() {
			t.Errorf("%s: %s", f.Verification, f.Reason)
		}
	}
}

// TestOneStepBackIsForgiven: a load balancer whose second server is a block late is no liar.
func TestOneStepBackIsForgiven(t *testing.T) {
	n := 0
	why, _ := trusts(t, 60, func(h int64, b Block) Block {
		if n++; n%2 == 0 && h > 1005 {
			return Block{Height: h - 1, Hash: fmt.Sprint("h", h-1), Parent: fmt.Sprint("h", h-2), Time: b.Time - 12000}
		}
		return b
	})
	if why != "" {
		t.Error(why)
	}
}
