package chain

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// cluster plays a Solana cluster with two nodes, a slot every 400 ms.
type cluster struct {
	cosmos
	slot int64
}

func newCluster(t *testing.T, watch ...string) *cluster {
	c := &cluster{slot: 300_000_000, cosmos: cosmos{t: t, at: 1_000_000_000, last: map[string]Finding{}, said: map[string]float64{},
		m: NewMonitor(Config{Chain: "sol", Family: Solana, ChainID: "mainnet-beta", Nodes: []string{"a", "b"}, Watch: watch})}}
	c.run(10)
	return c
}

func (c *cluster) tell(node string, s SolanaSaid) {
	for _, x := range c.send(Observation{Kind: KindSolana, Node: node, At: c.at, Solana: &s}).Samples {
		if !slices.ContainsFunc(AllSeries, func(y Series) bool { return x.Name == y.Name }) {
			c.t.Errorf("sample %s is in no table", x.Name)
		}
	}
}

func (c *cluster) send(o Observation) Outcome {
	out := c.m.Observe(o)
	c.take(Outcome{Findings: out.Findings})
	return out
}

// run lets seconds pass with slots.
func (c *cluster) run(seconds int) {
	for range seconds {
		c.at += 1000
		c.slot += 2 + (c.at/1000)%2
		for _, n := range []string{"a", "b"} {
			b := Block{Height: c.slot, Hash: fmt.Sprint("S", c.slot)}
			c.send(Observation{Kind: KindHead, Node: n, At: c.at, How: Polled, Head: &b})
		}
		c.take(Outcome{Findings: c.m.Tick(c.at).Findings})
	}
}

// window tells of 200 slots, of which so many have no block.
func (c *cluster) window(skipped int64, nodes ...string) {
	first := c.slot
	c.run(80)
	for _, n := range nodes {
		c.tell(n, SolanaSaid{Production: &SolanaProduction{First: first, Last: c.slot - 1, Leader: 200, Produced: 200 - skipped}})
	}
}

// TestSolanaHalt: a cluster whose slots stop is a stall, though its heads carry no time; nothing is reorganised by gaps of skipped slots.
func TestSolanaHalt(t *testing.T) {
	c := newCluster(t)
	c.run(100)
	c.expect()
	for range 12 {
		c.at += 1000
		for _, n := range []string{"a", "b"} {
			b := Block{Height: c.slot, Hash: fmt.Sprint("S", c.slot)}
			c.send(Observation{Kind: KindHead, Node: n, At: c.at, How: Polled, Head: &b})
		}
		c.take(Outcome{Findings: c.m.Tick(c.at).Findings})
	}
	c.expect("+sol/stall SEV2")
	c.run(12)
	c.expect("+sol/stall SEV2", "-sol/stall")
}

// TestSkipRate: relative to the cluster's own windows; one bad window is none, a falling one is none, and a finding does not flap.
func TestSkipRate(t *testing.T) {
	c := newCluster(t)
	for i := range int64(120) { // 2 % to 25 %
		c.window(4+i%47, "a", "b")
	}
	c.window(90, "a", "b") // 45 %, once
	c.window(20, "a", "b")
	c.window(118, "a", "b")
	c.window(66, "a", "b") // above the bound and falling
	c.window(10, "a", "b")
	c.expect()
	c.window(80, "a", "b")
	c.window(84, "a", "b")
	c.expect("+sol/skip_rate SEV3")
	if f := c.last["sol/skip_rate"]; f.Verification != Confirmed || !strings.Contains(f.Reason, "42 % of the 200 slots") {
		t.Errorf("%+v", f)
	}
	c.window(55, "a", "b") // between: it lasts
	c.window(84, "a", "b")
	c.window(130, "a", "b")
	c.window(20, "a", "b")
	c.window(20, "a", "b")
	c.expect("+sol/skip_rate SEV3", "+sol/skip_rate SEV2", "-sol/skip_rate")
	few := newCluster(t)
	for range 3 { // the start of an epoch, or a node that tells of four slots
		few.run(2)
		few.tell("a", SolanaSaid{Production: &SolanaProduction{First: few.slot, Last: few.slot + 3, Leader: 4, Produced: 0}})
	}
	few.expect()
}

func (c *cluster) stake(late float64, nodes ...string) {
	for _, n := range nodes {
		c.tell(n, SolanaSaid{Stake: &SolanaStake{Active: 400e6, Delinquent: late * 400e6, Voters: 900, Late: int(late * 900)}})
	}
	c.run(1)
}

func TestDelinquentStake(t *testing.T) {
	c := newCluster(t)
	c.stake(0.02, "a", "b")
	c.stake(0.12, "a")
	if f := c.last["sol/delinquent_stake"]; f.Severity != "SEV3" || f.Verification != OneNode {
		t.Fatalf("%+v", f)
	}
	c.stake(0.22, "a", "b")
	c.stake(0.34, "a", "b")
	if f := c.last["sol/delinquent_stake"]; f.Verification != Confirmed || !strings.Contains(f.Reason, "34.0 % of the stake (306 of 900 validators)") {
		t.Fatalf("%+v", f)
	}
	c.stake(0.09, "a", "b") // not yet
	c.stake(0.03, "a", "b")
	c.expect("+sol/delinquent_stake SEV3", "+sol/delinquent_stake SEV2", "+sol/delinquent_stake SEV1", "-sol/delinquent_stake")
	test := newCluster(t) // a test cluster, where eight in a hundred are always away
	for range 30 {
		test.stake(0.08, "a", "b")
	}
	test.stake(0.15, "a", "b")
	test.expect()
	test.stake(0.21, "a", "b")
	test.expect("+sol/delinquent_stake SEV2")
}

func TestFinalityLagSolana(t *testing.T) {
	c := newCluster(t)
	lag := func(seconds int, a, b int64) {
		for range seconds {
			c.tell("a", SolanaSaid{Slots: &SolanaSlots{Processed: c.slot, Confirmed: c.slot - 2, Finalized: c.slot - a, Epoch: 700, Index: 1000, Length: 432000}})
			c.tell("b", SolanaSaid{Slots: &SolanaSlots{Processed: c.slot, Finalized: c.slot - b}})
			c.run(1)
		}
	}
	lag(30, 32, 500) // one node's own affair
	c.expect()
	lag(15, 150, 150)
	lag(5, 32, 32)
	c.expect()
	lag(25, 150, 150)
	lag(5, 400, 400)
	lag(5, 80, 80)
	lag(2, 40, 40)
	c.expect("+sol/finality_lag SEV3", "+sol/finality_lag SEV2", "-sol/finality_lag")
}

func TestVoteOnlyAndSlow(t *testing.T) {
	c := newCluster(t)
	minute := func(n int, slots, txs, users int64) {
		for range n {
			c.run(60)
			for _, node := range []string{"a", "b"} {
				c.tell(node, SolanaSaid{Performance: &SolanaPerformance{Slot: c.slot, Slots: slots, Period: 60, Txs: txs, NonVote: users}})
			}
		}
		c.run(1)
	}
	minute(12, 148, 180000, 60000)
	if len(c.m.solana.Slots) != 12 {
		t.Fatalf("two nodes told of 12 minutes: %d", len(c.m.solana.Slots))
	}
	minute(1, 140, 120000, 3)
	c.expect()
	minute(2, 140, 120000, 3)
	if f := c.last["sol/vote_only"]; f.Verification != Confirmed {
		t.Errorf("%+v", f)
	}
	minute(1, 148, 180000, 60000)
	minute(2, 40, 50000, 20000)
	minute(1, 148, 180000, 60000)
	c.expect("+sol/vote_only SEV2", "-sol/vote_only", "+sol/slow_slots SEV3", "-sol/slow_slots")
	local := newCluster(t) // a cluster of one developer: votes only, always
	for range 20 {
		local.run(60)
		local.tell("a", SolanaSaid{Performance: &SolanaPerformance{Slot: local.slot, Slots: 150, Period: 60, Txs: 150, NonVote: 0}})
	}
	local.expect()
}

func TestNodeBehindAndVotes(t *testing.T) {
	c := newCluster(t, "id1")
	vote := func(known, late bool, nodes ...string) {
		for _, n := range nodes {
			c.tell(n, SolanaSaid{Stake: &SolanaStake{Active: 1e6, Watched: []SolanaVote{{Identity: "id1", Known: known, Delinquent: late, LastVote: 299}}}})
		}
	}
	c.tell("b", SolanaSaid{Health: &SolanaHealth{Behind: 214}})
	c.run(10)
	c.tell("b", SolanaSaid{Health: &SolanaHealth{Behind: 0}})
	c.run(2)
	c.expect()
	c.tell("b", SolanaSaid{Health: &SolanaHealth{Behind: -1}})
	c.run(20)
	c.tell("b", SolanaSaid{Health: &SolanaHealth{}})
	vote(false, false, "a")
	vote(true, true, "a")
	if f := c.last["sol/validator_delinquent/id1"]; f.Verification != OneNode {
		t.Errorf("%+v", f)
	}
	vote(true, true, "b")
	vote(true, false, "a")
	vote(true, false, "b")
	c.expect("+sol/unhealthy/b SEV4", "-sol/unhealthy/b", "+sol/validator_delinquent/id1 SEV2", "-sol/validator_delinquent/id1")
}

// TestSolanaRestart: what only the log knows ends, and what was learned is not learned again.
func TestSolanaRestart(t *testing.T) {
	c := newCluster(t, "id1")
	for range 110 {
		c.window(30, "a")
	}
	raw, err := c.m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	next := NewMonitor(c.m.cfg)
	if err := next.UnmarshalBinary(raw); err != nil {
		t.Fatal(err)
	}
	if again, _ := next.MarshalBinary(); string(again) != string(raw) || len(next.solana.Skips) != 110 {
		t.Fatal("the state changed by being saved")
	}
	keys := []string{"sol/skip_rate", "sol/delinquent_stake", "sol/finality_lag", "sol/vote_only", "sol/slow_slots", "sol/unhealthy/b", "sol/unhealthy/gone", "sol/validator_delinquent/id1", "sol/validator_delinquent/id9"}
	c = &cluster{slot: 300_000_000, cosmos: cosmos{t: t, at: 1_000_000_000, last: map[string]Finding{}, said: map[string]float64{}, m: NewMonitor(c.m.cfg)}}
	c.m.Resume(keys)
	for range 3 {
		c.tell("b", SolanaSaid{Slots: &SolanaSlots{Processed: c.slot, Finalized: c.slot - 32}, Health: &SolanaHealth{},
			Stake:       &SolanaStake{Active: 1, Watched: []SolanaVote{{Identity: "id1", Known: true}}},
			Performance: &SolanaPerformance{Slot: c.slot, Slots: 150, Period: 60, Txs: 1000, NonVote: 500}})
		c.window(10, "b")
	}
	for _, k := range keys {
		if !slices.Contains(c.log, "-"+k) {
			t.Errorf("%s never ends: %v", k, c.log)
		}
	}
}
