package chain

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestLifeCycle: whatever nodes say, every finding opens before it ends, ends once, carries bounded evidence, and the open ones are those
// in the view; every sample is in the table of series; the monitor never panics.
func TestLifeCycle(t *testing.T) {
	series := map[string]bool{}
	for _, s := range AllSeries {
		series[s.Name] = true
	}
	rapid.Check(t, func(t *rapid.T) {
		nodes := []string{"a", "b", "c"}
		family := rapid.SampledFrom([]Family{EVM, Bitcoin}).Draw(t, "family")
		m := NewMonitor(Config{Chain: "x", Family: family, ChainID: rapid.SampledFrom([]string{"1", "main", "31337", "137"}).Draw(t, "id"), Nodes: nodes,
			Confirmations: rapid.IntRange(0, 4).Draw(t, "confirmations")})
		open := map[string]bool{}
		for _, k := range rapid.SliceOfN(rapid.SampledFrom([]string{"x/stall", "x/unreachable/a", "x/divergence/a~b", "x/reorg/from-b1", "x/odd", "x/lag/zz", "y/stall"}), 0, 4).Draw(t, "open") {
			m.Resume([]string{k})
			if strings.HasPrefix(k, "x/") {
				open[k] = true
			}
		}
		w := grow(t, 40)
		at := int64(1_000_000)
		check := func(o Outcome) {
			for _, f := range o.Findings {
				if !f.Firing && !open[f.Key] {
					t.Fatalf("%s ended without being open", f.Key)
				}
				open[f.Key] = f.Firing
				if !strings.HasPrefix(f.Key, "x/"+f.Kind) || f.Title == "" || f.Reason == "" || !json.Valid(f.Evidence) || len(f.Evidence) > 24<<10 || f.Severity < "SEV1" || f.Severity > "SEV5" || f.Since > f.At {
					t.Fatalf("bad finding %+v", f)
				}
			}
			for _, s := range o.Samples {
				if !series[s.Name] || s.Labels["chain"] != "x" {
					t.Fatalf("sample %+v is not in the table", s)
				}
			}
		}
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			at += rapid.SampledFrom([]int64{0, 1, 500, 1000, 12000, 40000, 600000}).Draw(t, "pass")
			o := Observation{At: at, Node: rapid.SampledFrom(append(nodes, "stranger")).Draw(t, "node"),
				Kind: rapid.SampledFrom([]Kind{KindHead, KindHead, KindHead, KindRollback, KindState, KindTips, KindFinality, KindMempool, KindFees, KindPeers, KindHashRate, KindMiners, KindDeposits, KindTick, "odd"}).Draw(t, "kind")}
			b := w.blocks[rapid.IntRange(0, len(w.blocks)-1).Draw(t, "block")]
			b.Time = at - rapid.Int64Range(-5000, 20000).Draw(t, "late")
			o.Head = &b
			for p, ok := w.get(b.Parent); ok && rapid.IntRange(0, 5).Draw(t, "walk") > 0; p, ok = w.get(p.Parent) {
				o.Branch = append(o.Branch, p)
			}
			o.Cut = rapid.Bool().Draw(t, "cut")
			o.State = rapid.SampledFrom([]NodeState{Up, Up, Down, Down, Syncing, WrongChain, "odd"}).Draw(t, "state")
			o.Reason = "r"
			h := rapid.Int64Range(-1, 120).Draw(t, "h")
			o.Finality, o.Mempool, o.Fees, o.Peers = &Finality{h, h}, &Mempool{Pending: 1}, &Fees{}, &Peers{Total: 2}
			o.Tips = []Tip{{Height: h + 10, Hash: fmt.Sprint("t", h%3), Branch: h % 7, Status: rapid.SampledFrom([]string{"headers-only", "valid-fork"}).Draw(t, "status")}}
			check(m.Observe(o))
			check(m.Tick(at))
			v := m.View(at)
			n := 0
			for _, f := range v.Findings {
				if !open[f.Key] {
					t.Fatalf("%s shown, but not open", f.Key)
				}
			}
			for _, k := range m.Open() {
				if !open[k] {
					t.Fatalf("%s kept, but not open", k)
				}
				n++
			}
			for k, is := range open {
				if is {
					n--
					_ = k
				}
			}
			if n != 0 {
				t.Fatalf("open is %v, the monitor has %v", open, m.Open())
			}
		}
		check(Outcome{Findings: m.Close(at, "No longer watched.")})
		for k, is := range open {
			if is {
				t.Fatalf("%s outlived the chain", k)
			}
		}
	})
}

// TestObservationsReplay: observations survive being written as NDJSON, so a recording replays to the same findings.
func TestObservationsReplay(t *testing.T) {
	fee, txs := 1.5, int64(3)
	in := Observation{Kind: KindHead, Chain: "x", Node: "a", At: 5, Cut: true, How: Walked, Head: &Block{Height: 2, Hash: "h2", Parent: "h1", Time: 4, BaseFee: &fee, Txs: &txs}, Branch: []Block{{Height: 1, Hash: "h1", Parent: "h0"}}}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out Observation
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	again, _ := json.Marshal(out)
	if string(raw) != string(again) || *out.Head.Txs != 3 {
		t.Fatalf("%s\n%s", raw, again)
	}
}

// TestRoutineLearns: a chain that reorgs two deep every day is not paged for it for ever; an attack cannot teach the alarm beyond twice.
func TestRoutineLearns(t *testing.T) {
	m := NewMonitor(Config{Chain: "x", Family: EVM, ChainID: "1", Nodes: []string{"a"}})
	for range 200 {
		m.depths = append(m.depths, 2)
	}
	if m.routine() != 2 {
		t.Errorf("routine %d", m.routine())
	}
	for range 200 {
		m.depths = append(m.depths, 50)
	}
	if m.routine() != 2 {
		t.Errorf("routine %d after an attack", m.routine())
	}
}

func TestShort(t *testing.T) {
	for in, want := range map[string]string{
		"0x2476668036b88dfc": "0x2476668036", "000000000000000000009bec03c14ba2087a": "…9bec03c14b", "00000": "00000", "x": "x", "": "",
	} {
		if got := Short(in); got != want {
			t.Errorf("Short(%q) = %q", in, got)
		}
	}
}
