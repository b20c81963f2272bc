package chain

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestEveryFieldIsSaved fails when a field is added to what a Monitor remembers and state.go does not know of it: a restart would forget it.
// Write it into saved, MarshalBinary and UnmarshalBinary, and then here.
func TestEveryFieldIsSaved(t *testing.T) {
	for _, c := range []struct {
		of    any
		names string
	}{
		{Monitor{}, "cfg net nodes names union pace best progress intervals sizedAt ledger reorgs depths splits opers now started sampled judged drill samples headMoved changed announced finality market deposits beacon rollup comet solana"},
		{Tree{}, "keep blocks heights canon low tip has lost"},
		{pace{}, "prior regular onDemand ring next fresh mean slots after learned"},
		{ledger{}, "open told since first inherited out"},
	} {
		typ := reflect.TypeOf(c.of)
		known := strings.Fields(c.names)
		for f := range typ.Fields() {
			if !slices.Contains(known, f.Name) {
				t.Errorf("%s.%s is not saved: a restart would forget it; see state.go", typ.Name(), f.Name)
			}
		}
	}
}

// TestRestart cuts any stream after any observation: the monitor that took the state over says the same from then on, to the byte.
func TestRestart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{Chain: "x", Family: EVM, ChainID: rapid.SampledFrom([]string{"1", "31337", "none"}).Draw(t, "id"), Nodes: []string{"a", "b"},
			Confirmations: rapid.IntRange(0, 4).Draw(t, "confirmations"), Recorded: rapid.Bool().Draw(t, "recorded")}
		m, w, at := NewMonitor(cfg), grow(t, 40), int64(1_000_000)
		m.Ensure("c")
		m.Resume([]string{"x/stall", "x/unreachable/zz"})
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 5).Draw(t, "cut") == 0 {
				b, err := m.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				next := NewMonitor(cfg)
				if err := next.UnmarshalBinary(b); err != nil {
					t.Fatal(err)
				}
				if again, _ := next.MarshalBinary(); string(again) != string(b) {
					t.Fatalf("saved as\n%s\nand then as\n%s", b, again)
				}
				goOn(t, m)
				m = next
			}
			at += rapid.SampledFrom([]int64{0, 1, 500, 1000, 12000, 40000, 600000}).Draw(t, "pass")
			o := Observation{At: at, Node: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "node"),
				Kind: rapid.SampledFrom([]Kind{KindHead, KindHead, KindHead, KindRollback, KindState, KindTips, KindFinality, KindMempool, KindFees, KindPeers}).Draw(t, "kind")}
			b := w.blocks[rapid.IntRange(0, len(w.blocks)-1).Draw(t, "block")]
			b.Time = at - rapid.Int64Range(-5000, 20000).Draw(t, "late")
			o.Head = &b
			o.State = rapid.SampledFrom([]NodeState{Up, Down, Down, Syncing, WrongChain}).Draw(t, "state")
			o.Limited = rapid.SampledFrom([]int64{0, 0, 20000, 600000}).Draw(t, "limited")
			o.Tips = []Tip{{Height: b.Height, Hash: b.Hash, Branch: rapid.Int64Range(0, 5).Draw(t, "branch"), Status: "headers-only"}}
			o.Finality = &Finality{Safe: b.Height - 2, Finalized: b.Height - 3}
			o.Mempool, o.Fees, o.Peers = &Mempool{Pending: 1}, &Fees{Next: new(1.5)}, &Peers{Total: 3, In: -1, Out: -1}
			if rapid.Bool().Draw(t, "who") {
				out := Side{Peers: 9, Own: 1, Groups: 2, By: "prefix", Top: []PeerGroup{{Name: "203.0.0.0/16", Peers: rapid.Int64Range(2, 7).Draw(t, "top")}, {Name: "11.1.0.0/16", Peers: 1}}}
				o.Peers.Crowd = &Crowd{All: out, Out: &out, In: &Side{}}
				first := rapid.Uint32Range(0, 8).Draw(t, "first")
				for id := first; id < first+8; id++ {
					o.Peers.Crowd.IDs = append(o.Peers.Crowd.IDs, id)
				}
				o.Client = rapid.SampledFrom([]string{"", "Geth/v1", "Geth/v2", "Besu/v1"}).Draw(t, "client")
			}
			m.Observe(o)
			m.Tick(at + rapid.Int64Range(0, 50000).Draw(t, "tick"))
		}
	})
}

// goOn gives a monitor and a restored one the same ticks and heads, and compares what they say. The first is of no use afterwards.
func goOn(t *rapid.T, m *Monitor) {
	state, _ := m.MarshalBinary()
	restored := NewMonitor(m.cfg)
	if err := restored.UnmarshalBinary(state); err != nil {
		t.Fatal(err)
	}
	start := m.now
	var said [2]string
	for i, m := range []*Monitor{m, restored} {
		at := start
		for k := range int64(12) {
			at += k * 7000
			o := m.Observe(Observation{At: at, Node: "a", Kind: KindHead, Head: &Block{Height: 30 + k, Hash: string(rune('p' + k)), Parent: string(rune('o' + k)), Time: at}})
			raw, err := json.Marshal([]any{o, m.Tick(at + 6000), m.Open(), m.Due()})
			if err != nil {
				t.Fatal(err)
			}
			said[i] += string(raw) + "\n"
		}
	}
	if said[0] != said[1] {
		t.Fatalf("without a restart:\n%s\nafter one:\n%s", said[0], said[1])
	}
}

// TestNodesGoneFromTheConfig: a node that the settings no longer name is not taken on again from the state, and what was open of it ends; one
// that Ensure took on comes back.
func TestNodesGoneFromTheConfig(t *testing.T) {
	m := NewMonitor(Config{Chain: "x", Family: EVM, ChainID: "1", Nodes: []string{"a", "b"}})
	m.Ensure("c")
	for at := int64(1000); at <= 40000; at += 1000 {
		m.Observe(Observation{Kind: KindHead, Node: "a", At: at, Head: &Block{Height: 5, Hash: "h5", Parent: "h4", Time: at}})
		m.Tick(at)
	}
	state, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.Open(), " "); got != "x/unreachable/b x/unreachable/c" {
		t.Fatalf("open: %s", got)
	}
	next := NewMonitor(Config{Chain: "x", Family: EVM, ChainID: "1", Nodes: []string{"a"}})
	if err := next.UnmarshalBinary(state); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range next.View(0).Nodes {
		names = append(names, n.Name)
	}
	ended := ""
	for _, f := range next.Tick(41000).Findings {
		ended += f.Key + ": " + f.Reason
	}
	if strings.Join(names, " ") != "a c" || ended != "x/unreachable/b: The node is no longer watched." || strings.Join(next.Open(), " ") != "x/unreachable/c" {
		t.Errorf("nodes %v, ended %q, open %v", names, ended, next.Open())
	}
}
