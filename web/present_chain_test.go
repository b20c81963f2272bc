package web

import (
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/views"
)

// TestAttackCostOnTheCard: what an attack costs stands on the card of a mined chain, out of its band when more is open; others show nothing of it.
func TestAttackCostOnTheCard(t *testing.T) {
	cost, less, more := 62_400.0, 5_000.0, 2e6
	find := func(v chain.View) (views.Metric, bool) {
		for _, m := range chainMetrics(v, "a") {
			if m.Label == "attack cost" {
				return m, true
			}
		}
		return views.Metric{}, false
	}
	for _, c := range []struct {
		name     string
		v        chain.View
		shown    bool
		abnormal bool
	}{
		{"bitcoin", chain.View{Family: chain.Bitcoin, AttackCost: &cost, OpenDeposits: &less}, true, false},
		{"bitcoin, more is open", chain.View{Family: chain.Bitcoin, AttackCost: &cost, OpenDeposits: &more}, true, true},
		{"ethereum classic", chain.View{Family: chain.EVM, Finalized: -1, AttackCost: &cost, OpenDeposits: &more}, true, true},
		{"not known what is open", chain.View{Family: chain.EVM, Finalized: -1, AttackCost: &cost}, true, false},
		{"not known what it costs", chain.View{Family: chain.Bitcoin, OpenDeposits: &more}, false, false},
		{"ethereum", chain.View{Family: chain.EVM, Height: 100, Finalized: 30}, false, false},
	} {
		m, shown := find(c.v)
		if shown != c.shown || m.Abnormal != c.abnormal || shown && (m.Value != "62.4 k" || m.Unit != "USD") {
			t.Errorf("%s: shown %t, %+v", c.name, shown, m)
		}
	}
}

// TestConspicuousPeersOnTheCard: what is for review alone changes nothing on the card; a node that may be cut off is said on the card and on its
// line, before that it is behind. How the peers are spread stands on the line of a node that tells it.
func TestConspicuousPeersOnTheCard(t *testing.T) {
	weak := chain.Finding{Kind: chain.FindingConcentrated, Subject: "a", Severity: "SEV4", Weak: true, Title: "the outgoing peers of node a are in few networks"}
	cut := chain.Finding{Kind: chain.FindingEclipse, Subject: "a", Severity: "SEV2", Title: "x: node a may be cut off from the network"}
	lag := chain.Finding{Kind: chain.FindingLag, Subject: "a", Severity: "SEV4", Title: "x: node a is behind"}
	v := chain.View{Chain: "x", Height: 7, Status: "live", Nodes: []chain.NodeView{{Name: "a", State: chain.Up, Height: 7, Peers: 20, Client: "btcd", Networks: 18, TopShare: 0.1}}}
	v.Findings = []chain.Finding{weak}
	if c := presentChain(v, "X", 0); c.State != "normal" || c.Severity != "" || c.Nodes[0].Says != "" || c.Nodes[0].Networks != "18 peer networks" {
		t.Errorf("with a weak finding: %+v", c)
	}
	if v.Nodes[0].TopShare = 0.62; presentChain(v, "X", 0).Nodes[0].Networks != "18 peer networks, 62 % in one" {
		t.Error("most peers in one network are not said")
	}
	if v.Findings = []chain.Finding{cut}; presentChain(v, "X", 0).Nodes[0].State != "behind" {
		t.Error("a node that may be cut off is drawn as one that is well")
	}
	v.Findings, v.Nodes[0].Networks = []chain.Finding{cut, lag, weak}, 1
	c := presentChain(v, "X", 0)
	if c.State != "abnormal" || c.Severity != "SEV2" || c.Word != "node cut off" || c.Nodes[0].State != "behind" || c.Nodes[0].Networks != "1 peer network" {
		t.Errorf("cut off: %+v", c)
	}
	if c.Nodes[0].Says != sentence(cut) {
		t.Errorf("the node's line says %q", c.Nodes[0].Says)
	}
}
