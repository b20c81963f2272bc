package beacon

import (
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// TestWhoThePeersAre: the answer as beacon-APIs specifies it is reduced to networks; who does not serve it, or tells what is not taken, is
// watched without.
func TestWhoThePeersAre(t *testing.T) {
	peer := func(id, address, way string) map[string]any {
		return map[string]any{"peer_id": id, "enr": nil, "last_seen_p2p_address": address, "state": "connected", "direction": way}
	}
	var many []any
	for range 9000 {
		many = append(many, peer("x", "/ip4/203.0.113.7/tcp/9000", "outbound"))
	}
	for name, c := range map[string]struct {
		peers any
		told  bool
	}{
		"served":     {[]any{peer("a", "/ip4/203.0.113.7/tcp/9000", "outbound"), peer("b", "/ip6/2001:db8::1/udp/9001/quic-v1", "inbound"), peer("c", "", "inbound")}, true},
		"not served": {nil, false},
		"no list":    {map[string]any{"a": 1}, false},
		"too many":   {many, false},
		"too large":  {[]any{peer("a", strings.Repeat("x", 9<<20), "outbound")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, span(980, 990)...)
			n.peers = c.peers
			w := watch(t, Config{URL: n.srv.URL, ChainID: "devnet", Poll: time.Hour})
			p := w.until("peers", func(o chain.Observation) bool { return o.Kind == chain.KindPeers }).Peers
			if p.Total != 56 || (p.Crowd != nil) != c.told {
				t.Fatalf("%+v", p)
			}
			if c.told && (p.In != 2 || p.Out != 1 || p.Crowd.Out.Top[0].Name != "203.0.0.0/16" || p.Crowd.In.Unplaced != 1 || len(p.Crowd.IDs) != 1) {
				t.Errorf("%+v of %+v", p, p.Crowd)
			}
			for _, o := range w.seen {
				if o.State == chain.Down {
					t.Errorf("the node is called down: %s", o.Reason)
				}
			}
		})
	}
}
