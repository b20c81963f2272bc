package bitcoin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

func told(o chain.Observation) bool { return o.Kind == chain.KindPeers && o.Peers.Crowd != nil }

// TestWhoThePeersAre: the answer of Bitcoin Core (as specified) is reduced to networks; who tells too many, or what cannot be read, is asked for
// the totals only, and the node stays up.
func TestWhoThePeersAre(t *testing.T) {
	peer := func(address, network string, inbound bool) string {
		return fmt.Sprintf(`{"addr":%q,"network":%q,"inbound":%t}`, address, network, inbound)
	}
	core := func(peers string) (*node, *watched) {
		n := newNode(t, 3)
		n.core, n.network, n.peers = true, "main", peers
		return n, watch(t, Config{URL: n.url(), ChainID: "main"})
	}
	n, w := core("[" + strings.Join([]string{peer("203.0.113.7:8333", "ipv4", false), peer("203.0.1.1:8333", "ipv4", false), peer("127.0.0.1:5000", "onion", true)}, ",") + "]")
	c := w.until("who they are", told).Peers.Crowd
	if c.Out.Peers != 2 || c.Out.Top[0] != (chain.PeerGroup{Name: "203.0.0.0/16", Peers: 2}) || c.In.Unplaced != 1 || len(c.IDs) != 2 {
		t.Errorf("%+v", c)
	}
	w.until("the totals alone", func(o chain.Observation) bool {
		return o.Kind == chain.KindPeers && o.Peers.Crowd == nil && o.Peers.Total == 10
	})
	n.mu.Lock()
	asked, sums := n.calls["getpeerinfo"], n.calls["getnetworkinfo"]
	n.mu.Unlock()
	if asked*2 > sums {
		t.Errorf("getpeerinfo was asked %d times, getnetworkinfo %d times", asked, sums)
	}
	list := strings.Repeat(peer("203.0.113.7:8333", "ipv4", true)+",", 9000)
	for name, peers := range map[string]string{"9,000 peers": "[" + list + peer("203.0.113.8:8333", "ipv4", true) + "]", "no list": `{"addr":"x"}`,
		"more values than are taken": "[" + strings.Repeat("{},", 100_000) + "{}]"} {
		t.Run(name, func(t *testing.T) {
			n, w := core(peers)
			for range 6 {
				if p := w.until("the totals", kind(chain.KindPeers)).Peers; p.Total != 10 || p.Crowd != nil {
					t.Fatalf("%+v", p)
				}
			}
			for _, o := range w.seen {
				if o.State == chain.Down {
					t.Errorf("the node is called down: %s", o.Reason)
				}
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			if n.calls["getpeerinfo"] != 1 {
				t.Errorf("asked %d times", n.calls["getpeerinfo"])
			}
		})
	}
}

// TestRealNodePeers: two nodes that are connected, on this computer: each is one's own to the other.
func TestRealNodePeers(t *testing.T) {
	const payee = "rqTMJDfpq2kCv6VQbPDqP1opgLBeMRrasV"
	a := startBtcd(t, payee)
	if a == nil {
		return
	}
	b := startBtcd(t, payee)
	b.do(nil, "addnode", a.p2p, "onetry")
	first, second := watch(t, Config{URL: a.url, ChainID: "simnet"}), watch(t, Config{URL: b.url, ChainID: "simnet"})
	one := func(o chain.Observation) bool { return told(o) && o.Peers.Total == 1 }
	called, caller := first.until("who called", one).Peers, second.until("whom it called", one).Peers
	if called.In != 1 || called.Crowd.In.Own != 1 || called.Crowd.Out.Peers != 0 || caller.Out != 1 || caller.Crowd.Out.Own != 1 || len(caller.Crowd.IDs) != 0 {
		t.Errorf("called %+v of %+v, caller %+v of %+v", called, called.Crowd, caller, caller.Crowd)
	}
}
