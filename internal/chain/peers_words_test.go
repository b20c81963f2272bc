package chain

import (
	"fmt"
	"strings"
	"testing"
)

// TestWordsOfPeers: a finding about peers names the network they are in now, and ends with what is so.
func TestWordsOfPeers(t *testing.T) {
	const both = "n1,n2"
	closedIn := func(s *scene) {
		s.say("n1 up client=Geth/v1.16.0")
		s.peers("out=" + spread(0, 8) + " ids=1-8")
		s.pass(aDay, both)
		s.peers("out=203.0.0.0/16:8 ids=1-8")
		s.pass(30, both)
	}
	anew := "Its peers are told apart in another way, or by another program, now: what is usual is learned anew."
	for name, c := range map[string]struct {
		then func(s *scene)
		want []string // in the order of the lines, each in one
		not  string
	}{
		"they move to a network whose name is the end of the other's": {func(s *scene) {
			s.peers("out=3.0.0.0/16:8 ids=1-8")
			s.pass(30, both)
		}, []string{"are in 203.0.0.0/16;", "are in 3.0.0.0/16;"}, "CLEAR"},
		"networks are told apart by AS now": {func(s *scene) {
			s.peers("out=AS64500:8 ids=1-8")
			s.pass(60, both)
		}, []string{"OPEN", "CLEAR", anew}, "spread again"},
		"another program answers at once": {func(s *scene) {
			s.say("n1 up client=Nethermind/v1.30.0")
			s.peers("out=203.0.0.0/16:8 ids=1-8")
			s.pass(60, both)
		}, []string{"OPEN", "CLEAR", anew}, "has not told"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(both)
			closedIn(s)
			c.then(s)
			got := conspicuous(t, s.String())
			rest := got
			for _, w := range c.want {
				_, after, ok := strings.Cut(rest, w)
				if !ok {
					t.Fatalf("no %q in\n%s", w, got)
				}
				rest = after
			}
			if strings.Contains(got, c.not) {
				t.Errorf("%q in\n%s", c.not, got)
			}
		})
	}
}

// TestEclipseKeepsNoPeer: from the hash of a peer and its network its address can be guessed, so no hash goes where findings go.
func TestEclipseKeepsNoPeer(t *testing.T) {
	m := NewMonitor(Config{Chain: "x", Family: EVM, ChainID: "4242", Nodes: []string{"n1", "n2"}, Interval: 60000})
	n := m.node("n1")
	crowd := &Crowd{All: Side{Peers: 8, Groups: 1, By: "prefix", Top: []PeerGroup{{"203.0.0.0/16", 8}}}, IDs: []uint32{4242424242}}
	crowd.Out = &crowd.All
	at := int64(1_000_000)
	for _, o := range []Observation{
		{Kind: KindHead, Node: "n1", Head: &Block{Height: 1, Hash: "a1", Parent: "a0"}}, {Kind: KindHead, Node: "n2", Head: &Block{Height: 1, Hash: "a1", Parent: "a0"}},
		{Kind: KindPeers, Node: "n1", Peers: &Peers{Total: 8, In: -1, Out: -1, Crowd: crowd}},
	} {
		o.Chain, o.At = "x", at
		m.Observe(o)
	}
	n.crowd.Swap, n.crowd.Calm = &swap{At: at, Within: 60000, Gone: 8, Of: 8, New: 8, Now: 8}, 1
	var found *Finding
	for i := int64(1); i < 60 && found == nil; i++ {
		at += 20_000
		m.Observe(Observation{Kind: KindHead, Chain: "x", Node: "n2", At: at, Head: &Block{Height: 1 + i, Hash: fmt.Sprint("a", 1+i), Parent: fmt.Sprint("a", i)}})
		m.Observe(Observation{Kind: KindPeers, Chain: "x", Node: "n1", At: at, Peers: &Peers{Total: 8, In: -1, Out: -1, Crowd: crowd}})
		n.crowd.Calm = 1
		found = m.open[m.keyOf(n, FindingEclipse)]
	}
	if found == nil {
		t.Fatal("no eclipse was found")
	}
	if e := fmt.Sprint(string(found.Evidence)); strings.Contains(e, "4242424242") || !strings.Contains(e, "203.0.0.0/16") {
		t.Errorf("evidence: %s", e)
	}
}
