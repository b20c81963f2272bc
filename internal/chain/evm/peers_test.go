package evm

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// adminAPI answers admin_peers as go-ethereum does (p2p.PeerInfo).
type adminAPI struct{ peers string }

func (a adminAPI) Peers() json.RawMessage { return json.RawMessage(a.peers) }

// TestWhoThePeersAre: a node that opens its admin namespace tells who its peers are; one that does not, or tells what is not taken, is watched
// without, over HTTP and over a websocket.
func TestWhoThePeersAre(t *testing.T) {
	const geth = `[{"enode":"enode://aa@203.0.113.5:30303","id":"aa","name":"Geth/v1.17","caps":["eth/69"],"network":{"localAddress":"10.0.0.1:30303","remoteAddress":"203.0.113.5:30303","inbound":false,"trusted":false,"static":false},"protocols":{}},
		{"id":"bb","network":{"remoteAddress":"198.51.100.5:40000","inbound":true,"trusted":false,"static":false}}]`
	for name, c := range map[string]struct {
		peers string
		scare bool
	}{
		"closed": {"", true}, "geth": {geth, false}, "no list": {`{"x":1}`, true}, "too many": {"[" + strings.Repeat(`{"id":"x"},`, 9000) + `{"id":"y"}]`, true},
	} {
		for _, scheme := range []string{"http://", "ws://"} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				n := newNode(t, 10)
				if c.peers != "" {
					if err := n.rpc.RegisterName("admin", adminAPI{c.peers}); err != nil {
						t.Fatal(err)
					}
				}
				w := watch(t, Config{URL: scheme + n.addr, ChainID: "1"})
				p := w.until("peers", kind(chain.KindPeers)).Peers
				if p.Total != 25 || (p.Crowd == nil) != c.scare {
					t.Fatalf("%+v", p)
				}
				if !c.scare && (p.In != 1 || p.Out != 1 || p.Crowd.Out.Top[0].Name != "203.0.0.0/16" || len(p.Crowd.IDs) != 1) {
					t.Errorf("%+v of %+v", p, p.Crowd)
				}
				w.until("peers again", kind(chain.KindPeers))
				for _, o := range w.seen {
					if o.State == chain.Down {
						t.Errorf("the node is called down: %s", o.Reason)
					}
				}
			})
		}
	}
}
