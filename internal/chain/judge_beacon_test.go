package chain

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// slots is a beacon chain for tests: it makes blocks of slots and tells them to a monitor.
type slots struct {
	t    *testing.T
	m    *Monitor
	last map[string]Block // by node
	at   int64
	said []Finding
}

func newSlots(t *testing.T, nodes ...string) *slots {
	return &slots{t: t, m: NewMonitor(Config{Chain: "cl", Family: Beacon, ChainID: "mainnet", Nodes: nodes}), last: map[string]Block{}, at: 1_000_000_000}
}

func (s *slots) take(o Outcome) { s.said = append(s.said, o.Findings...) }

func (s *slots) tell(node string, o Observation) {
	o.At, o.Node, o.Chain = s.at, node, "cl"
	s.take(s.m.Observe(o))
}

// head lets a node have a block of branch at a slot on its last one, filled as the collector fills it.
func (s *slots) head(node, branch string, slot int64) {
	b := Block{Height: slot, Hash: fmt.Sprintf("0x%s%d", branch, slot), Time: s.at}
	o := Observation{Kind: KindHead, How: Polled}
	if s.last[node].Hash == b.Hash {
		return
	}
	if p, ok := s.last[node]; ok {
		b.Parent = p.Hash
		b, o.Branch = FillSlots(b, p.Height, 64)
	}
	o.Head = &b
	s.last[node] = Block{Height: slot, Hash: b.Hash}
	s.tell(node, o)
}

func (s *slots) points(node string, finalized int64) {
	s.tell(node, Observation{Kind: KindBeacon, Beacon: &Slots{Checkpoints: &Checkpoints{Previous: finalized, Justified: finalized + 1, Finalized: finalized, PerEpoch: 32}}})
}

func (s *slots) pass(ms int64) {
	s.at += ms
	s.take(s.m.Tick(s.at))
}

// newest gives the last word on a key: "" when nothing was said, else OPEN or OVER, severity and reason.
func (s *slots) newest(key string) string {
	for i := len(s.said) - 1; i >= 0; i-- {
		if f := s.said[i]; f.Key == key {
			return map[bool]string{true: "OPEN ", false: "OVER "}[f.Firing] + f.Severity + " " + f.Reason
		}
	}
	return ""
}

func (s *slots) want(key, begin, has string) {
	s.t.Helper()
	got := s.newest(key)
	if begin == "" && got != "" || !strings.HasPrefix(got, begin) || !strings.Contains(got, has) {
		s.t.Errorf("%s: %q, want %q … %q", key, got, begin, has)
	}
}

// TestFinality: 2 epochs are normal, 3 warn, 4 page, more is critical; one look is none, and a node that is behind on its own makes no alarm.
func TestFinality(t *testing.T) {
	s := newSlots(t, "a", "b")
	const key = "cl/finality"
	epoch := func(e int64) {
		s.head("a", "x", e*32)
		s.head("b", "x", e*32)
	}
	epoch(100)
	s.points("a", 98)
	s.points("b", 98)
	s.pass(12000)
	s.want(key, "", "")
	both := func(e int64) { s.points("a", e); s.points("b", e) }
	epoch(101)
	both(98)
	s.pass(1000)
	s.want(key, "", "") // a node lags its own events by seconds
	both(99)
	s.pass(12000)
	both(98) // and says the old one once more
	s.pass(1000)
	s.want(key, "", "")
	both(99)
	epoch(102)
	both(99)
	s.pass(12000)
	both(99)
	s.pass(1000)
	s.want(key, "OPEN SEV4", "The newest finalized epoch is 99, 3 behind that of the head; 2 is normal")
	epoch(103)
	both(99)
	s.pass(1000)
	s.want(key, "OPEN SEV2", "4 behind")
	s.tell("a", Observation{Kind: KindBeacon, Beacon: &Slots{Participation: &Participation{Epoch: 101, Ratio: 0.61}}})
	epoch(104)
	both(99)
	s.pass(1000)
	s.want(key, "OPEN SEV1", "In epoch 101 61.0 % of the stake attested; 66.7 % are needed")
	both(102)
	s.pass(1000)
	s.want(key, "OVER", "Epoch 102 is finalized, 2 behind")
}

// TestFinalityOfOne: a node that is behind as a whole makes no alarm; one that alone sees no finality is the matter of that node, and one that
// claims finality while the others lost it does not hide it.
func TestFinalityOfOne(t *testing.T) {
	const key = "cl/finality"
	s := newSlots(t, "a", "b", "c")
	tell := func(e int64, final map[string]int64) {
		for _, n := range []string{"a", "b", "c"} {
			if n != "c" {
				s.head(n, "x", e*32)
			}
			s.points(n, final[n])
		}
		s.pass(12000)
	}
	s.head("c", "x", 95*32) // c is five epochs behind with all it says
	s.at += 5 * 32 * 12000
	for range 3 {
		tell(100, map[string]int64{"a": 98, "b": 98, "c": 93})
	}
	s.want(key, "", "")
	for range 3 {
		tell(101, map[string]int64{"a": 99, "b": 95, "c": 93})
	}
	s.want(key, "OPEN SEV4", "so say 1 of ")
	for range 3 {
		tell(102, map[string]int64{"a": 100, "b": 100, "c": 93})
	}
	s.want(key, "OVER", "")
	tell(103, map[string]int64{"a": 101, "b": 101, "c": 93})
	tell(104, map[string]int64{"a": 101, "b": 101, "c": 93})
	s.head("c", "x", 104*32)
	for range 8 {
		tell(104, map[string]int64{"a": 99, "b": 99, "c": 102})
	}
	s.want(key, "OPEN SEV1", "so say 2 of 3 nodes")
}

// TestNoFinalityYet: a chain just born has finalized nothing, and that is no alarm.
func TestNoFinalityYet(t *testing.T) {
	s := newSlots(t, "a")
	for e := range int64(5) {
		s.head("a", "x", e*32+1)
		s.points("a", 0)
		s.pass(12000)
	}
	s.want("cl/finality", "", "")
}

func TestParticipation(t *testing.T) {
	s := newSlots(t, "a")
	const key = "cl/participation"
	say := func(e int64, r float64) {
		s.head("a", "x", e*32+64)
		s.tell("a", Observation{Kind: KindBeacon, Beacon: &Slots{Participation: &Participation{Epoch: e, Ratio: r}}})
		s.pass(12000)
	}
	for i, r := range []float64{0.99, 0.79, 0.97} { // one read is none
		say(int64(10+i), r)
	}
	s.want(key, "", "")
	say(13, 0.78)
	say(14, 0.77)
	s.want(key, "OPEN SEV4", "In epoch 14 77.0 % of the stake attested")
	say(15, 0.60)
	s.want(key, "OPEN SEV2", "below 66.7 % nothing can be finalized")
	say(16, 0.81) // hysteresis
	s.want(key, "OPEN", "")
	say(17, 0.95)
	s.want(key, "OVER", "In epoch 17 95.0 %")
	say(18, math.NaN())
	say(18, -1)
	s.want(key, "OVER", "In epoch 17")
}

// TestMissedSlots: chance is silent, more than chance opens, a slot counts only four below the head, and the finding ends.
func TestMissedSlots(t *testing.T) {
	s := newSlots(t, "a")
	const key = "cl/missed_slots"
	slot := int64(1000)
	run := func(n int, missed func(int) bool) {
		for i := range n {
			slot++
			s.pass(12000)
			if !missed(i) {
				s.head("a", "x", slot)
			}
		}
	}
	run(200, func(i int) bool { return i%40 == 7 })
	s.want(key, "", "")
	run(10, func(i int) bool { return i >= 2 && i < 9 })
	s.want(key, "", "") // the last ones are not four below the head yet
	run(5, func(int) bool { return false })
	s.want(key, "OPEN SEV4", "of the last 32 slots up to slot")
	run(60, func(int) bool { return false })
	s.want(key, "OVER", "within chance here")
	if r := s.m.beacon.Slots.rate(); r > 0.03 {
		t.Errorf("own rate %f: the trouble was learned", r)
	}
}

// TestSideBranch: a block of a side branch neither fills a slot nor empties one.
func TestSideBranch(t *testing.T) {
	s := newSlots(t, "a")
	for slot := int64(100); slot < 140; slot++ {
		s.pass(12000)
		if slot == 120 {
			before := s.last["a"]
			s.head("a", "side", slot) // becomes head, and is left by the next block, which builds on the one before
			s.last["a"] = before
			continue
		}
		s.head("a", "x", slot)
	}
	if k := s.m.beacon.Slots.missed(); k != 1 {
		t.Errorf("%d missed, want 1: slot 120 is empty on the chain", k)
	}
	if len(s.m.reorgs) != 1 || s.m.reorgs[0].view.Depth != 1 || s.m.reorgs[0].view.AtLeast || !s.m.reorgs[0].view.Routine {
		t.Errorf("reorgs %+v, want one of depth 1, with its ancestor, routine", s.m.reorgs)
	}
	for _, f := range s.said {
		t.Errorf("said %s %s", f.Key, f.Reason)
	}
}

// TestReorgAcrossEmptySlots: empty slots that both branches share are common, so the ancestor is the last of them; and two deep is a finding with both branches.
func TestReorgAcrossEmptySlots(t *testing.T) {
	s := newSlots(t, "a")
	for slot := int64(100); slot < 110; slot++ {
		s.head("a", "x", slot)
		s.pass(12000)
	}
	fork := s.last["a"]
	s.head("a", "old", 111)
	s.head("a", "old", 112)
	s.pass(12000)
	s.last["a"] = fork
	s.head("a", "new", 114)
	found := ""
	for _, f := range s.said {
		if f.Kind == FindingReorg {
			found = f.Title + "; " + f.Reason
		}
	}
	if !strings.Contains(found, "reorg of 2 blocks") || !strings.Contains(found, "common ancestor 110") {
		t.Errorf("got %q", found)
	}
}

// TestTold: a reorg that only an event told is found when the headers do not show it, and is not found twice when they do.
func TestTold(t *testing.T) {
	s := newSlots(t, "a", "b")
	s.head("a", "x", 100)
	s.head("b", "x", 100)
	tell := func(depth int64) {
		s.tell("a", Observation{Kind: KindBeacon, Beacon: &Slots{Reorg: &ToldReorg{Slot: 101, Depth: depth, Old: "0xold", New: "0xnew"}}})
	}
	tell(1)
	s.pass(20000)
	s.want("cl/reorg/told-0xnew", "", "")
	tell(5)
	s.pass(10000)
	s.want("cl/reorg/told-0xnew", "", "")
	s.pass(10000)
	s.want("cl/reorg/told-0xnew", "OPEN SEV2", "5 slots deep; depth up to 1 is routine")
	s.pass(witnessFor)
	s.head("a", "x", 130)
	s.pass(1000)
	s.want("cl/reorg/told-0xnew", "OVER", "The chain went on")
}

func TestHealth(t *testing.T) {
	s := newSlots(t, "a")
	s.head("a", "x", 100)
	health := func(h Health) { s.tell("a", Observation{Kind: KindBeacon, Beacon: &Slots{Health: &h}}) }
	health(Health{Optimistic: true, Offline: true})
	s.pass(20000)
	health(Health{Optimistic: true})
	s.pass(20000)
	s.want("cl/optimistic/a", "OPEN SEV4", "has not checked the blocks yet")
	s.want("cl/el_offline/a", "", "")
	health(Health{})
	s.pass(1000)
	s.want("cl/optimistic/a", "OVER", "")
}

func TestBinomialTail(t *testing.T) {
	for _, c := range []struct {
		n, k int
		p, v float64
	}{{10, 0, 0.3, 1}, {10, 10, 0.5, 1.0 / 1024}, {2, 1, 0.5, 0.75}, {32, 1, 0.01, 1 - math.Pow(0.99, 32)}} {
		if got := binomialTail(c.n, c.k, c.p); math.Abs(got-c.v) > 1e-9 {
			t.Errorf("tail(%d,%d,%g) = %g, want %g", c.n, c.k, c.p, got, c.v)
		}
	}
}

// TestFamilyLife: whatever beacon and rollup nodes say, findings open before they end, samples are in the table, and a monitor cut at any
// point and restored says the same.
func TestFamilyLife(t *testing.T) {
	series := map[string]bool{}
	for _, s := range AllSeries {
		series[s.Name] = true
	}
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{Chain: "x", Family: rapid.SampledFrom([]Family{Beacon, Rollup}).Draw(t, "family"), ChainID: "10", Nodes: []string{"a", "b"}}
		m, open, at := NewMonitor(cfg), map[string]bool{}, int64(1_000_000)
		odd := rapid.SampledFrom([]int64{-1 << 62, -1, 0, 1, 5, 31, 100, 3600, 1 << 40, 1 << 62})
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			at += rapid.SampledFrom([]int64{0, 1000, 12000, 40000, 3600000}).Draw(t, "pass")
			slot := rapid.Int64Range(0, 400).Draw(t, "slot")
			b, branch := FillSlots(Block{Height: slot, Hash: fmt.Sprint("0x", slot), Parent: fmt.Sprint("0x", slot/2), Time: at}, slot/2, 64)
			lv := func() Level { return Level{Height: odd.Draw(t, "h"), Time: odd.Draw(t, "t"), Origin: odd.Draw(t, "o")} }
			o := Observation{At: at, Node: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "node"), Head: &b, Branch: branch, State: Up,
				Kind: rapid.SampledFrom([]Kind{KindHead, KindHead, KindBeacon, KindRollup, KindState}).Draw(t, "kind"),
				Beacon: &Slots{Checkpoints: &Checkpoints{Finalized: odd.Draw(t, "f"), Justified: odd.Draw(t, "j"), PerEpoch: odd.Draw(t, "per")}, Health: &Health{Optimistic: rapid.Bool().Draw(t, "opt")},
					Participation: &Participation{Epoch: odd.Draw(t, "e"), Ratio: rapid.Float64().Draw(t, "r")}, Reorg: &ToldReorg{Depth: odd.Draw(t, "d"), New: "n"}},
				Rollup: &Layers{Unsafe: lv(), Safe: lv(), Finalized: lv(), HeadL1: lv(), CurrentL1: lv(), Settled: rapid.Bool().Draw(t, "settled"), Window: odd.Draw(t, "w"), Batch: &Batch{Time: odd.Draw(t, "bt"), Upto: odd.Draw(t, "bu")}}}
			outs := []Outcome{m.Observe(o), m.Tick(at + 100)}
			for _, out := range outs {
				for _, f := range out.Findings {
					if !f.Firing && !open[f.Key] {
						t.Fatalf("%s ended without being open", f.Key)
					}
					if open[f.Key] = f.Firing; f.Since > f.At || f.Reason == "" || f.Title == "" || !json.Valid(f.Evidence) || f.Score < 0 || math.IsNaN(f.Score) {
						t.Fatalf("bad finding %+v", f)
					}
				}
				for _, s := range out.Samples {
					if !series[s.Name] || math.IsNaN(s.Value) {
						t.Fatalf("sample %+v", s)
					}
				}
			}
			raw, err := m.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			next := NewMonitor(cfg)
			if err := next.UnmarshalBinary(raw); err != nil {
				t.Fatal(err)
			}
			if again, _ := next.MarshalBinary(); string(again) != string(raw) {
				t.Fatalf("saved %s\nthen %s", raw, again)
			}
			m = next
		}
	})
}
