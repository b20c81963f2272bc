package chain

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// voice says of a finding how far it is confirmed, by whom, and how its reason ends.
func (c *cosmos) voice(key string, v Verification, seen []string, ends string) {
	c.t.Helper()
	f := c.last[key]
	if !f.Firing || f.Verification != v || !slices.Equal(f.Seen, seen) || !strings.HasSuffix(f.Reason, ends) {
		c.t.Errorf("%s: firing %v, %q by %v: %s\nwant %q by %v: … %s", key, f.Firing, f.Verification, f.Seen, f.Reason, v, seen, ends)
	}
}

// wait lets minutes pass in which blocks come.
func (c *cosmos) wait(minutes int) { c.blocks(60 * minutes) }

// TestRecordsNeedTwo: what a node says of a validator is held while the other does not say it, confirmed when it does, and given out as waited when
// nobody does; a node that says otherwise neither ends it nor begins it anew.
func TestRecordsNeedTwo(t *testing.T) {
	for _, x := range []struct {
		key       string
		bad, good *CometSaid
	}{
		{"hub/validator_jailed/BB", &CometSaid{Slashing: &CometSlashing{Window: 100, MinSigned: 0.5, Infos: []CometSigning{{Address: "BB", Jailed: true}}}},
			&CometSaid{Slashing: &CometSlashing{Window: 100, MinSigned: 0.5, Infos: []CometSigning{{Address: "BB"}}}}},
		{"hub/validator_window/BB", &CometSaid{Slashing: &CometSlashing{Window: 100, MinSigned: 0.5, Infos: []CometSigning{{Address: "BB", Missed: 30}}}},
			&CometSaid{Slashing: &CometSlashing{Window: 100, MinSigned: 0.5, Infos: []CometSigning{{Address: "BB", Missed: 1}}}}},
		{"hub/validator_left/BB", &CometSaid{Validators: []Validator{{"AA", 1, "ann"}, {"CC", 1, ""}, {"DD", 1, "dan"}}}, &CometSaid{Validators: four}},
	} {
		c := newCosmos(t, "BB")
		c.both(x.good)
		c.blocks(2)
		one, other := c.m.best.name, "b"
		if one == "b" {
			other = "a"
		}
		for range 3 { // they contradict each other, and go on to
			c.say(one, x.bad)
			c.blocks(1)
			c.say(other, x.good)
			c.blocks(1)
		}
		c.voice(x.key, OneNode, []string{one}, " Only "+one+" shows it so far.")
		if n := len(slices.DeleteFunc(slices.Clone(c.log), func(s string) bool { return !strings.Contains(s, x.key) })); n != 1 {
			t.Errorf("%s: told %d times: %v", x.key, n, c.log)
		}
		late := newCosmos(t, "BB")
		late.both(x.good)
		late.blocks(2)
		late.say(one, x.bad)
		late.wait(3)
		late.voice(x.key, Waited, []string{one}, " No second node has confirmed it within 2 min.")
		c.say(other, x.bad)
		c.blocks(1)
		c.voice(x.key, Confirmed, []string{"a", "b"}, ".")
		if r := c.last[x.key].Reason; strings.Contains(r, "so far") {
			t.Errorf("%s: confirmed, and says %q", x.key, r)
		}
		c.both(x.good)
		c.blocks(1)
		if c.last[x.key].Firing {
			t.Errorf("%s: it lasts though both say it is over", x.key)
		}
	}
}

// TestHostileSlashing: one node's false rules for jail open what is held, and change nothing about what the other's records say.
func TestHostileSlashing(t *testing.T) {
	c := newCosmos(t, "BB")
	for range 5 {
		c.say("a", &CometSaid{Slashing: &CometSlashing{Window: 10000, MinSigned: 0.05, Infos: []CometSigning{{Address: "BB", Missed: 3}}}})
		c.say("b", &CometSaid{Slashing: &CometSlashing{Window: 1, MinSigned: 0, Infos: []CometSigning{{Address: "BB", Missed: 3}}}})
		c.blocks(1)
	}
	c.voice("hub/validator_window/BB", OneNode, []string{"b"}, " Only b shows it so far.")
}

// TestUpgradeSaidByOne: of three nodes two agree on the plan, so it is confirmed; in a chain of one there is nobody to ask.
func TestUpgradeSaidByOne(t *testing.T) {
	c := newCosmos(t)
	c.both(&CometSaid{Upgrade: &CometUpgrade{Name: "v9", Height: c.h + 1}})
	c.silence(12, func(int) CometRound { return CometRound{Step: 1} }, "a", "b")
	c.voice("hub/upgrade", Confirmed, []string{"a", "b"}, ".")
}

// TestPerformanceOfOne: minutes are counted by whoever tells them first; a node whose own sample is as usual confirms nothing.
func TestPerformanceOfOne(t *testing.T) {
	c := newCluster(t)
	minute := func(n int, a, b SolanaPerformance) {
		for range n {
			c.run(60)
			a.Slot, b.Slot, a.Period, b.Period = c.slot, c.slot, 60, 60
			c.tell("a", SolanaSaid{Performance: &a})
			c.tell("b", SolanaSaid{Performance: &b})
		}
		c.run(1)
	}
	usual := SolanaPerformance{Slots: 148, Txs: 180000, NonVote: 60000}
	minute(12, usual, usual)
	minute(2, SolanaPerformance{Slots: 40, Txs: 50000, NonVote: 10}, usual)
	c.voice("sol/slow_slots", OneNode, []string{"a"}, " Only a shows it so far.")
	c.voice("sol/vote_only", OneNode, []string{"a"}, " Only a shows it so far.")
	minute(2, SolanaPerformance{Slots: 40, Txs: 50000, NonVote: 10}, usual)
	c.voice("sol/slow_slots", Waited, []string{"a"}, " No second node has confirmed it within 2 min.")
	minute(1, SolanaPerformance{Slots: 40, Txs: 50000, NonVote: 10}, SolanaPerformance{Slots: 41, Txs: 50000, NonVote: 10})
	c.voice("sol/slow_slots", Confirmed, []string{"a", "b"}, ".")
	c.voice("sol/vote_only", Confirmed, []string{"a", "b"}, ".")
}

// TestStakeAsTwoSay: how much stake is away is as much as two nodes say at least.
func TestStakeAsTwoSay(t *testing.T) {
	c := newCluster(t)
	c.stake(0.02, "a", "b")
	c.stake(0.12, "a", "b")
	c.stake(0.40, "b")
	if f := c.last["sol/delinquent_stake"]; f.Severity != "SEV3" || f.Verification != Confirmed {
		t.Errorf("one node's word made it %s (%s)", f.Severity, f.Verification)
	}
	c.stake(0.34, "a")
	if f := c.last["sol/delinquent_stake"]; f.Severity != "SEV1" || f.Verification != Confirmed {
		t.Errorf("two nodes' word made it %s (%s)", f.Severity, f.Verification)
	}
}

// TestParticipationOfOne: of one epoch the node that saw most is right, whoever speaks first; who tells little alone is held, and a node that
// cannot tell does not contradict.
func TestParticipationOfOne(t *testing.T) {
	s := newSlots(t, "a", "b")
	const key = "cl/participation"
	share := func(node string, epoch int64, ratio float64) {
		s.tell(node, Observation{Kind: KindBeacon, Beacon: &Slots{Participation: &Participation{Epoch: epoch, Ratio: ratio}}})
	}
	newest := func() (f Finding) {
		for _, x := range s.said {
			if x.Key == key {
				f = x
			}
		}
		return f
	}
	s.head("a", "x", 3200)
	s.head("b", "x", 3200)
	for range 4 {
		share("b", 99, 0.97)
		share("a", 99, 0.50)
		s.pass(12000)
	}
	s.want(key, "", "")
	for range 3 {
		share("a", 100, 0.50)
		s.pass(12000)
	}
	if f := newest(); f.Verification != Unverifiable || !slices.Equal(f.Seen, []string{"a"}) {
		t.Errorf("%+v", f)
	}
	share("b", 100, 0.51)
	s.pass(1000)
	if f := newest(); f.Verification != Confirmed || strings.Contains(f.Reason, "so far") {
		t.Errorf("%+v", f)
	}
}

// TestSequencerOfOne: a node that does not answer any more does not say that the sequencer stands.
func TestSequencerOfOne(t *testing.T) {
	l := newLayers(t, "a", "b")
	l.run(600, 300)
	l.stop = true
	newest := func() (f Finding) {
		for _, x := range l.said {
			if x.Key == "cl/sequencer" {
				f = x
			}
		}
		return f
	}
	l.run(36, 0)
	if f := newest(); f.Verification != Confirmed || !slices.Equal(f.Seen, []string{"a", "b"}) {
		t.Errorf("%+v", f)
	}
	l = newLayers(t, "a", "b")
	l.run(600, 300)
	l.stop, l.nodes = true, []string{"a"}
	l.run(36, 0)
	if f := newest(); f.Verification != Unverifiable || !slices.Equal(f.Seen, []string{"a"}) || !strings.HasSuffix(f.Reason, " Only a shows it so far; no other could be asked.") {
		t.Errorf("%+v", f)
	}
	l.run(132, 0)
	if f := newest(); f.Verification != Waited {
		t.Errorf("%+v", f)
	}
}

// TestBoundsHoldWhereItAlarms: whatever carries a score and a bound alarms at or below the bound, and barely above it it does not.
func TestBoundsHoldWhereItAlarms(t *testing.T) {
	for _, z := range []float64{spikeZ, 7, 12, 40} {
		for _, ratio := range []float64{spikeRatio, 3.5, 30} {
			if s, b := spikeTail(z), spikeBound(z, ratio); s > b*(1+1e-9) || b > spikeTail(spikeZ)*(1+1e-9) {
				t.Errorf("z %g, %g times: score %g, bound %g", z, ratio, s, b)
			}
		}
	}
	if s, b := spikeTail(5.9), spikeBound(5.9, 10); s <= b {
		t.Errorf("a fee below the bound has score %g, bound %g", s, b)
	}
	if s, b := spikeTail(9), spikeBound(9, 2.5); s <= b {
		t.Errorf("a fee of too few times the usual has score %g, bound %g", s, b)
	}
	m := NewMonitor(Config{Chain: "btc", Family: Bitcoin, ChainID: "main", Nodes: []string{"a"}, Recorded: true})
	b := Block{Height: 1, Hash: "x1", Time: 1_000_000_000}
	m.Observe(Observation{Kind: KindHead, Node: "a", At: b.Time, Head: &b})
	var all []Finding
	for at := b.Time; at < b.Time+6*3600000; at += 10000 {
		all = append(all, m.Tick(at).Findings...)
	}
	scores := 0.0
	for _, f := range all {
		if f.Kind != FindingStall {
			continue
		}
		if f.Score <= 0 || f.Bound <= 0 || f.Score > f.Bound || f.Score < f.Bound*1e-12 {
			t.Errorf("score %g, bound %g: %s", f.Score, f.Bound, f.Reason)
		}
		if scores > 0 && f.Score > scores {
			t.Error("a longer silence is told as less rare")
		}
		scores = f.Score
	}
	if first := all[0]; math.Abs(math.Log10(first.Score/first.Bound)) > 0.1 {
		t.Errorf("the stall opened at %g, its bound is %g", first.Score, first.Bound)
	}
}
