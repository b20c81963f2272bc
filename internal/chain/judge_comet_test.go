package chain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// cosmos plays a CometBFT chain with two nodes and four validators of equal power, a block a second.
type cosmos struct {
	t    *testing.T
	m    *Monitor
	at   int64
	h    int64
	log  []string // findings as they come: "+key SEV" or "-key"
	last map[string]Finding
	said map[string]float64 // newest samples by name
}

var four = []Validator{{"AA", 1, "ann"}, {"BB", 1, "ben"}, {"CC", 1, ""}, {"DD", 1, "dan"}}

func newCosmos(t *testing.T, watch ...string) *cosmos {
	c := &cosmos{t: t, at: 1_000_000_000, h: 100, last: map[string]Finding{}, said: map[string]float64{},
		m: NewMonitor(Config{Chain: "hub", Family: Comet, ChainID: "x", Nodes: []string{"a", "b"}, Interval: 1000, Watch: watch})}
	c.both(&CometSaid{Validators: four})
	c.blocks(25)
	return c
}

func (c *cosmos) take(o Outcome) {
	for _, f := range o.Findings {
		c.last[f.Key] = f
		if entry := "-" + f.Key; !f.Firing {
			c.log = append(c.log, entry)
		} else if entry = "+" + f.Key + " " + f.Severity; !slices.Contains(c.log, entry) {
			c.log = append(c.log, entry)
		}
	}
	for _, s := range o.Samples {
		known := slices.ContainsFunc(AllSeries, func(x Series) bool { return x.Name == s.Name })
		if !known {
			c.t.Errorf("sample %s is in no table", s.Name)
		}
		c.said[s.Name] = s.Value
	}
}

func (c *cosmos) say(node string, s *CometSaid) {
	c.take(c.m.Observe(Observation{Kind: KindComet, Chain: "hub", Node: node, At: c.at, Comet: s}))
}

func (c *cosmos) both(s *CometSaid) { c.say("a", s); c.say("b", s) }

func (c *cosmos) head(node string, h int64) {
	b := Block{Height: h, Hash: fmt.Sprint("H", h), Parent: fmt.Sprint("H", h-1), Time: c.at}
	c.take(c.m.Observe(Observation{Kind: KindHead, Chain: "hub", Node: node, At: c.at, How: Polled, Head: &b}))
}

// blocks builds n blocks that these validators do not sign.
func (c *cosmos) blocks(n int, missed ...string) {
	for range n {
		c.at += 1000
		c.h++
		c.head("a", c.h)
		c.head("b", c.h)
		c.both(&CometSaid{Commit: &CometCommit{Height: c.h - 1, Validators: 4, Absent: len(missed), Missed: missed}})
		c.take(c.m.Tick(c.at))
	}
}

// silence lets seconds pass in which the nodes repeat their head, and say where they stand.
func (c *cosmos) silence(seconds int, stand func(i int) CometRound, nodes ...string) {
	for i := range seconds {
		c.at += 1000
		for _, n := range []string{"a", "b"} {
			c.head(n, c.h)
		}
		for _, n := range nodes {
			r := stand(i)
			r.Height = c.h + 1
			c.say(n, &CometSaid{Round: &r})
		}
		c.take(c.m.Tick(c.at))
	}
}

func (c *cosmos) expect(want ...string) {
	c.t.Helper()
	if !slices.Equal(c.log, want) {
		c.t.Fatalf("findings\n got %s\nwant %s", strings.Join(c.log, "\n     "), strings.Join(want, "\n     "))
	}
}

func (c *cosmos) reason(key, want string) {
	c.t.Helper()
	if got := c.last[key].Reason; !strings.Contains(got, want) {
		c.t.Errorf("%s: %q, want %q", key, got, want)
	}
}

// TestHaltOnMissingVotes: with half of the power gone the first round never ends (recorded from CometBFT 1.0.1). That is the chain, not a
// node that hangs, though the round stands still.
func TestHaltOnMissingVotes(t *testing.T) {
	c := newCosmos(t)
	c.silence(15, func(int) CometRound { return CometRound{Step: 4, Prevotes: 0.5, Absent: []string{"CC", "DD"}} }, "a", "b")
	c.expect("+hub/stall SEV2", "+hub/consensus SEV2")
	f := c.last["hub/consensus"]
	if f.Verification != Confirmed || !slices.Equal(f.Seen, []string{"a", "b"}) {
		t.Errorf("%+v", f)
	}
	c.reason("hub/consensus", "No block after 125 for 10 s; one is expected every 1.0 s. The validators are in round 0 of height 126 and 50.0 % of the voting power was heard; more than 66.7 % is needed. Not heard: CC, dan (DD).")
	c.silence(30, func(int) CometRound { return CometRound{Step: 4, Prevotes: 0.5} }, "a", "b")
	c.blocks(3) // not over at once: it may stop again
	c.expect("+hub/stall SEV2", "+hub/consensus SEV2", "+hub/consensus SEV1", "+hub/stall SEV1")
	c.blocks(12)
	c.expect("+hub/stall SEV2", "+hub/consensus SEV2", "+hub/consensus SEV1", "+hub/stall SEV1", "-hub/stall", "-hub/consensus")
}

// TestRoundsRise: votes come and nobody agrees; one node alone does not confirm it.
func TestRoundsRise(t *testing.T) {
	c := newCosmos(t)
	c.silence(14, func(i int) CometRound { return CometRound{Round: int64(i / 2), Step: 6, Prevotes: 1, Precommits: 0.9} }, "a")
	if f := c.last["hub/consensus"]; !f.Firing || f.Verification != OneNode {
		t.Fatalf("%+v", f)
	}
	c.silence(4, func(i int) CometRound { return CometRound{Round: int64(7 + i), Step: 6, Prevotes: 1, Precommits: 0.9} }, "a", "b")
	if f := c.last["hub/consensus"]; f.Verification != Confirmed {
		t.Fatalf("a second node did not confirm: %+v", f)
	}
	c.silence(4, func(i int) CometRound { return CometRound{Round: int64(11 + i), Step: 6, Prevotes: 1, Precommits: 0.9} }, "a")
	if f := c.m.open["hub/consensus"]; f.Verification != Confirmed {
		t.Fatal("what was confirmed became doubtful")
	}
}

// TestNodeStuck: all votes are there and nothing moves, or the node has no peers: that is the node.
func TestNodeStuck(t *testing.T) {
	c := newCosmos(t)
	c.silence(14, func(int) CometRound { return CometRound{Step: 4, Prevotes: 1} }, "a")
	c.expect("+hub/stall SEV2", "+hub/node_stuck/a SEV3")
	c.blocks(12)
	c.expect("+hub/stall SEV2", "+hub/node_stuck/a SEV3", "-hub/stall", "-hub/node_stuck/a")
	c = newCosmos(t)
	c.take(c.m.Observe(Observation{Kind: KindPeers, Node: "a", At: c.at, Peers: &Peers{Total: 0}}))
	c.silence(14, func(int) CometRound { return CometRound{Step: 4, Prevotes: 0.25} }, "a")
	c.reason("hub/node_stuck/a", "has no peers")
	if c.last["hub/consensus"].Firing {
		t.Error("a node without peers speaks for the chain")
	}
}

// TestUpgrade: the halt at the planned height does not page, but not for ever; the word of one node of two plans nothing.
func TestUpgrade(t *testing.T) {
	stand := func(int) CometRound { return CometRound{Step: 4, Prevotes: 0.5} }
	c := newCosmos(t)
	c.both(&CometSaid{Upgrade: &CometUpgrade{Name: "v20", Height: c.h + 6}})
	c.blocks(5)
	c.silence(60, stand, "a", "b")
	c.expect("+hub/upgrade SEV5")
	c.silence(1800, stand, "a", "b")
	if !c.last["hub/stall"].Firing || c.last["hub/upgrade"].Severity != "SEV2" {
		t.Fatalf("it stands for ever and nobody is told: %v", c.log)
	}
	c.blocks(12)
	if c.last["hub/upgrade"].Firing || c.last["hub/stall"].Firing || c.last["hub/consensus"].Firing {
		t.Fatalf("%v", c.log)
	}
	liar := newCosmos(t)
	liar.say("a", &CometSaid{Upgrade: &CometUpgrade{Name: "none", Height: liar.h + 1}})
	liar.silence(30, stand, "a", "b")
	if !liar.last["hub/stall"].Firing {
		t.Fatal("one node talked the stall away")
	}
	for _, operators := range []map[string]string{nil, {"a": "acme", "b": "acme"}} {
		two := &cosmos{t: t, at: 1_000_000_000, h: 100, last: map[string]Finding{}, said: map[string]float64{},
			m: NewMonitor(Config{Chain: "hub", Family: Comet, ChainID: "x", Nodes: []string{"a", "b", "c"}, Operators: operators, Interval: 1000})}
		two.both(&CometSaid{Validators: four})
		two.blocks(25)
		two.both(&CometSaid{Upgrade: &CometUpgrade{Name: "none", Height: two.h + 1}})
		two.silence(30, stand, "a", "b")
		if told := two.last["hub/stall"].Firing; told != (operators != nil) {
			t.Fatalf("two nodes of %v plan an upgrade: the stall is told: %t", operators, told)
		}
	}
}

// TestValidatorMisses: one of four does not sign: a finding about it and one about the power; both end when it signs again.
func TestValidatorMisses(t *testing.T) {
	c := newCosmos(t)
	c.blocks(4, "DD")
	c.expect()
	c.blocks(4, "DD")
	c.expect("+hub/power_missing SEV3", "+hub/validator_missing/DD SEV4")
	c.reason("hub/power_missing", "from 33.3 % on the chain stops. Missing: dan (DD).")
	if f := c.last["hub/power_missing"]; f.Verification != Confirmed {
		t.Errorf("%+v", f)
	}
	if c.said["tocsin_comet_missing_power_ratio"] != 0.25 || c.m.comet.Runs["DD"].Missed != 8 {
		t.Errorf("%v", c.said)
	}
	c.blocks(1) // one signature is not back: no flapping
	c.blocks(2, "DD")
	c.expect("+hub/power_missing SEV3", "+hub/validator_missing/DD SEV4")
	c.blocks(8)
	c.expect("+hub/power_missing SEV3", "+hub/validator_missing/DD SEV4", "-hub/validator_missing/DD", "-hub/power_missing")
}

// TestTwoNodesDisagreeOnCommit: a node that tells other signers confirms nothing, and counts nothing twice.
func TestTwoNodesDisagreeOnCommit(t *testing.T) {
	c := newCosmos(t)
	for range 12 {
		c.at += 1000
		c.h++
		c.head("a", c.h)
		c.head("b", c.h)
		c.say("a", &CometSaid{Commit: &CometCommit{Height: c.h - 1, Absent: 1, Missed: []string{"DD"}}})
		c.say("b", &CometSaid{Commit: &CometCommit{Height: c.h - 1}})
	}
	f := c.last["hub/validator_missing/DD"]
	if f.Verification != OneNode || !slices.Equal(f.Seen, []string{"a"}) || c.m.comet.Runs["DD"].Missed != 12 {
		t.Fatalf("%+v %+v", f, c.m.comet.Runs["DD"])
	}
}

// TestNamedValidator: only what is named is watched, by address or name; leaving the set, jail and tombstone are told.
func TestNamedValidator(t *testing.T) {
	c := newCosmos(t, "dan")
	c.blocks(6, "CC")
	if c.last["hub/validator_missing/CC"].Firing {
		t.Fatal("a validator that nobody named")
	}
	c.log = nil
	slash := func(missed int64, jailed, tombstoned bool) {
		c.both(&CometSaid{Slashing: &CometSlashing{Window: 1000, MinSigned: 0.5, Infos: []CometSigning{{Address: "DD", Missed: missed, Jailed: jailed, Tombstoned: tombstoned}, {Address: "CC", Missed: 499}}}})
	}
	slash(100, false, false)
	c.blocks(5)
	c.log = nil
	slash(130, false, false)
	slash(110, false, false) // still above the way out
	slash(380, false, false)
	slash(90, false, false)
	slash(500, true, false)
	slash(500, false, true)
	c.both(&CometSaid{Validators: four[:3]})
	slash(0, false, false)
	c.both(&CometSaid{Validators: four})
	c.expect("+hub/validator_window/DD SEV3", "+hub/validator_window/DD SEV2", "-hub/validator_window/DD", "+hub/validator_jailed/DD SEV2",
		"+hub/validator_jailed/DD SEV1", "+hub/validator_left/DD SEV3", "-hub/validator_jailed/DD", "-hub/validator_left/DD")
}

func TestDoubleSign(t *testing.T) {
	c := newCosmos(t)
	proof := &CometSaid{Commit: &CometCommit{Height: c.h, Evidence: []Evidence{{Kind: "DuplicateVote", Height: 120, Validators: []string{"BB"}}}}}
	c.say("a", proof)
	if f := c.last["hub/double_sign/BB"]; f.Severity != "SEV1" || f.Verification != OneNode {
		t.Fatalf("%+v", f)
	}
	c.say("b", proof)
	if f := c.last["hub/double_sign/BB"]; f.Verification != Confirmed || !strings.Contains(f.Reason, "two blocks at height 120") {
		t.Fatalf("%+v", f)
	}
	c.blocks(proofFor + 1)
	c.expect("+hub/double_sign/BB SEV1", "-hub/double_sign/BB")
}

// TestFork: two hashes at one height cannot be on a chain whose blocks are final.
func TestFork(t *testing.T) {
	c := newCosmos(t)
	c.h++
	c.head("a", c.h)
	for range 12 {
		c.at += 1000
		b := Block{Height: c.h, Hash: "other", Parent: fmt.Sprint("H", c.h-1), Time: c.at}
		c.take(c.m.Observe(Observation{Kind: KindHead, Node: "b", At: c.at, Head: &b}))
		c.take(c.m.Tick(c.at))
	}
	f := c.last["hub/divergence/a~b"]
	if f.Severity != "SEV1" || !strings.Contains(f.Reason, "this is a fork") {
		t.Fatalf("%+v %v", f, c.log)
	}
}

// TestCometRestart: a monitor that was saved in mid-stream goes on as if there had been no restart; one that knows only the open keys ends
// what is over, and nothing twice.
func TestCometRestart(t *testing.T) {
	play := func(restart bool) []string {
		c := newCosmos(t, "DD")
		c.blocks(7, "DD")
		if restart {
			raw, err := c.m.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			c.m = NewMonitor(c.m.cfg)
			if err := c.m.UnmarshalBinary(raw); err != nil {
				t.Fatal(err)
			}
		}
		c.blocks(60, "DD")
		c.blocks(9)
		out, _ := json.Marshal(c.m.View(0).Findings)
		return append(c.log, string(out))
	}
	if a, b := play(false), play(true); !slices.Equal(a, b) {
		t.Fatalf("without restart %v\nwith %v", a, b)
	}
	keys := []string{"hub/consensus", "hub/validator_missing/DD", "hub/validator_left/ZZ", "hub/double_sign/BB", "hub/node_stuck/gone", "hub/upgrade", "hub/validator_missing/AA"}
	c := &cosmos{t: t, at: 1_000_000_000, h: 100, last: map[string]Finding{}, said: map[string]float64{}, m: NewMonitor(Config{Chain: "hub", Family: Comet, Nodes: []string{"a", "b"}, Interval: 1000})}
	c.m.Resume(keys)
	c.both(&CometSaid{Validators: four})
	c.blocks(100, "AA")
	for _, k := range keys[:6] {
		if !slices.Contains(c.log, "-"+k) {
			t.Errorf("%s never ends", k)
		}
	}
	if !slices.Contains(c.log, "+hub/validator_missing/AA SEV4") || slices.Contains(c.log, "-hub/validator_missing/AA") {
		t.Errorf("%v", c.log)
	}
}
