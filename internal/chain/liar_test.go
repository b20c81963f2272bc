package chain

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestLiarsBlindNobody: whatever one node of three says, the other two are still followed, nothing of the liar's is confirmed, and memory stays
// bounded.
func TestLiarsBlindNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMonitor(Config{Chain: "eth", Family: EVM, ChainID: "1", Nodes: []string{"a", "b", "liar"}})
		at, tip := int64(1_700_000_000_000), Block{Height: 1000, Hash: "h1000", Parent: "h999"}
		known := []string{"h999", "h1000", "", "0x0"}
		var honest []Block
		height := rapid.OneOf(rapid.Int64Range(960, 1060), rapid.Int64(), rapid.SampledFrom([]int64{-1, 0, 1 << 60, 1<<63 - 1, 1 << 47}))
		hash := rapid.OneOf(rapid.SampledFrom([]string{"", "l1", "l2", "l3"}), rapid.Custom(func(t *rapid.T) string { return rapid.SampledFrom(known).Draw(t, "known") }))
		header := rapid.Custom(func(t *rapid.T) Block {
			if len(honest) > 0 && rapid.IntRange(0, 3).Draw(t, "true") == 0 {
				return honest[rapid.IntRange(0, len(honest)-1).Draw(t, "which")]
			}
			return Block{Height: height.Draw(t, "h"), Hash: hash.Draw(t, "hash"), Parent: hash.Draw(t, "parent"), Time: at + rapid.Int64Range(-1e9, 1e9).Draw(t, "time")}
		})
		take := func(o Outcome) {
			for _, f := range o.Findings {
				if f.Kind == FindingStall || f.Kind == FindingDistrusted && f.Subject != "liar" {
					t.Fatalf("a lie made %+v", f)
				}
				alone := len(f.Seen) > 0
				for _, n := range f.Seen {
					alone = alone && n == "liar"
				}
				if f.Firing && f.Severity <= sev2 && (f.Verification == Confirmed && alone || f.Verification == NotNeeded && f.Kind == FindingReorg) {
					t.Fatalf("alone it made %+v", f)
				}
			}
		}
		for range rapid.IntRange(5, 40).Draw(t, "blocks") {
			tip = Block{Height: tip.Height + 1, Hash: fmt.Sprint("h", tip.Height+1), Parent: tip.Hash, Time: at}
			honest, known = append(honest, tip), append(known, tip.Hash, fmt.Sprint("h", tip.Height+1))
			for range 4 {
				for _, n := range []string{"a", "b"} {
					b := tip
					take(m.Observe(Observation{Kind: KindHead, Node: n, At: at, Head: &b}))
				}
				for range rapid.IntRange(0, 2).Draw(t, "lies") {
					o := Observation{Node: "liar", At: at, Kind: rapid.SampledFrom([]Kind{KindHead, KindHead, KindHead, KindRollback, KindTips, KindFinality, KindState}).Draw(t, "kind"),
						Cut: rapid.Bool().Draw(t, "cut"), State: rapid.SampledFrom([]NodeState{Up, Down, Syncing}).Draw(t, "state"), Reason: "r"}
					if rapid.IntRange(0, 9).Draw(t, "headless") > 0 {
						b := header.Draw(t, "head")
						o.Head = &b
					}
					o.Branch = rapid.SliceOfN(header, 0, 4).Draw(t, "branch")
					o.Finality = &Finality{height.Draw(t, "safe"), height.Draw(t, "final")}
					o.Tips = []Tip{{Height: height.Draw(t, "tip"), Hash: hash.Draw(t, "tip hash"), Branch: height.Draw(t, "length"), Status: "headers-only"}}
					take(m.Observe(o))
				}
				take(m.Tick(at))
				at += 3000
			}
			for _, n := range []string{"a", "b"} {
				if m.node(n).head.Hash != tip.Hash || !m.node(n).ok() {
					t.Fatalf("%s is at %+v and trusted %t, the chain is at %+v", n, m.node(n).head.Ref(), m.node(n).trusted(), tip.Ref())
				}
			}
			// a lead of ten minutes at most is believed for a while
			if v := m.View(at); v.Height < tip.Height || v.Height > tip.Height+50+jumpBlocks {
				t.Fatalf("the head is %d, the chain is at %d", v.Height, tip.Height)
			}
		}
		if n := len(m.node("liar").tree.blocks) + len(m.union.blocks); n > 4*keepHeaders {
			t.Fatalf("%d headers are kept", n)
		}
		if len(m.announced) > announcedKept || len(m.reorgs) > reorgsKept || len(m.node("liar").trust.Faults) > faultsKept {
			t.Fatal("more is kept than the bounds say")
		}
	})
}

// TestAHashWithAnotherHeight: who knows a new block first and gives its hash another height does not hide it from the others.
func TestAHashWithAnotherHeight(t *testing.T) {
	m := NewMonitor(Config{Chain: "eth", Family: EVM, ChainID: "1", Nodes: []string{"a", "liar"}})
	at := int64(1_700_000_000_000)
	for h := int64(1000); h < 1030; h++ {
		lie := Block{Height: h - 3, Hash: fmt.Sprint("h", h), Parent: fmt.Sprint("q", h), Time: at}
		m.Observe(Observation{Kind: KindHead, Node: "liar", At: at, Head: &lie})
		b := Block{Height: h, Hash: fmt.Sprint("h", h), Parent: fmt.Sprint("h", h-1), Time: at}
		m.Observe(Observation{Kind: KindHead, Node: "a", At: at + 100, Head: &b})
		if m.progress != at+100 || m.best.head.Height != h {
			t.Fatalf("block %d was hidden", h)
		}
		at += 12000
	}
}
