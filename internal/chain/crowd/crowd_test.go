package crowd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// decoders read the answers of the families; Comet's is recorded (see ../comet/testdata/PROVENANCE.md), the others are written after what their
// projects specify.
var decoders = map[string]func(json.RawMessage) ([]Peer, error){"bitcoin": Bitcoin, "evm": EVM, "comet": Comet, "beacon": Beacon}

// answers are what the projects specify: Bitcoin Core 25 (getpeerinfo), btcd 0.26.2 (btcjson.GetPeerInfoResult), go-ethereum 1.17
// (p2p.PeerInfo), CometBFT 0.38 (net_info), beacon-APIs (getPeers).
var answers = []struct{ name, family, answer, want string }{
	{"bitcoin core", "bitcoin", `[
		{"id":1,"addr":"203.0.113.5:8333","network":"ipv4","inbound":false,"connection_type":"outbound-full-relay","conntime":1700000000},
		{"id":2,"addr":"203.0.7.5:8333","network":"ipv4","inbound":false,"connection_type":"block-relay-only"},
		{"id":3,"addr":"[2001:db8:1::9]:8333","network":"ipv6","inbound":false,"connection_type":"outbound-full-relay"},
		{"id":4,"addr":"127.0.0.1:40404","network":"onion","inbound":true,"connection_type":"inbound"},
		{"id":5,"addr":"10.0.0.7:40404","network":"not_publicly_routable","inbound":true,"connection_type":"inbound"},
		{"id":6,"addr":"198.51.100.1:8333","network":"ipv4","inbound":false,"connection_type":"manual"},
		{"id":7,"addr":"192.0.2.9:8333","network":"ipv4","inbound":false,"connection_type":"feeler"},
		{"id":8,"addr":"[fc00::1]:8333","network":"cjdns","inbound":false,"connection_type":"outbound-full-relay"},
		{"id":9,"addr":"abcdefghijklmnop.b32.i2p:0","network":"i2p","inbound":false,"connection_type":"outbound-full-relay"}]`,
		`all 8 own 2 unplaced 3 groups 2 prefix [203.0.0.0/16 2, 2001:db8::/32 1] in 2 own 1 unplaced 1 groups 0  [] out 6 own 1 unplaced 2 groups 2 prefix [203.0.0.0/16 2, 2001:db8::/32 1] ids 5`},
	{"bitcoin core with an AS map", "bitcoin", `[{"addr":"203.0.113.5:8333","inbound":true,"mapped_as":64500},{"addr":"198.51.100.5:8333","inbound":true,"mapped_as":64500},{"addr":"192.0.2.1:8333","inbound":true,"mapped_as":0}]`,
		`all 3 own 0 unplaced 0 groups 2 as [AS64500 2, 192.0.0.0/16 1] in 3 own 0 unplaced 0 groups 2 as [AS64500 2, 192.0.0.0/16 1] out 0 own 0 unplaced 0 groups 0  [] ids 0`},
	{"btcd", "bitcoin", `[{"id":1,"addr":"203.0.113.5:18555","services":"00000001","relaytxes":true,"conntime":1700000000,"subver":"/btcwire:0.5.0/btcd:0.26.2/","inbound":false,"startingheight":0,"syncnode":true}]`,
		`all 1 own 0 unplaced 0 groups 1 prefix [203.0.0.0/16 1] in 0 own 0 unplaced 0 groups 0  [] out 1 own 0 unplaced 0 groups 1 prefix [203.0.0.0/16 1] ids 1`},
	{"geth", "evm", `[{"enode":"enode://aa@203.0.113.5:30303","id":"aa","name":"Geth/v1.14","network":{"localAddress":"10.0.0.1:30303","remoteAddress":"203.0.113.5:30303","inbound":false,"trusted":false,"static":false}},
		{"enode":"enode://bb@198.51.100.5:30303","id":"bb","network":{"remoteAddress":"198.51.100.5:30303","inbound":true,"trusted":false,"static":true}}]`,
		`all 2 own 1 unplaced 0 groups 1 prefix [203.0.0.0/16 1] in 1 own 1 unplaced 0 groups 0  [] out 1 own 0 unplaced 0 groups 1 prefix [203.0.0.0/16 1] ids 1`},
	{"a client that tells no direction", "evm", `[{"id":"aa","network":{"remoteAddress":"203.0.113.5:30303"}},{"id":"bb","network":{"remoteAddress":"203.0.113.6:30303","inbound":true}}]`,
		`all 2 own 0 unplaced 0 groups 1 prefix [203.0.0.0/16 2] ids 2`},
	{"comet", "comet", `[{"node_info":{"id":"aa","version":"0.38"},"is_outbound":true,"remote_ip":"95.179.155.35"},{"node_info":{"id":"bb"},"is_outbound":false,"remote_ip":"172.16.0.9"}]`,
		`all 2 own 1 unplaced 0 groups 1 prefix [95.179.0.0/16 1] in 1 own 1 unplaced 0 groups 0  [] out 1 own 0 unplaced 0 groups 1 prefix [95.179.0.0/16 1] ids 1`},
	{"beacon", "beacon", `[{"peer_id":"16Uiu2A","enr":null,"last_seen_p2p_address":"/ip4/87.91.153.252/tcp/8041","state":"connected","direction":"inbound"},
		{"peer_id":"16Uiu2B","last_seen_p2p_address":"/ip4/88.211.204.108/tcp/4001","state":"disconnected","direction":"inbound"},
		{"peer_id":"16Uiu2C","last_seen_p2p_address":"/ip6/2001:db8::1/udp/9001/quic-v1/p2p/16Uiu2C","state":"connected","direction":"outbound"},
		{"peer_id":"16Uiu2D","last_seen_p2p_address":"/dns4/node.example/tcp/9000","state":"connected","direction":"outbound"}]`,
		`all 3 own 0 unplaced 1 groups 2 prefix [2001:db8::/32 1, 87.91.0.0/16 1] in 1 own 0 unplaced 0 groups 1 prefix [87.91.0.0/16 1] out 2 own 0 unplaced 1 groups 1 prefix [2001:db8::/32 1] ids 2`},
	{"nobody", "bitcoin", `[]`, `all 0 own 0 unplaced 0 groups 0  [] ids 0`},
}

func text(c *chain.Crowd) string {
	side := func(name string, s chain.Side) string {
		var top []string
		for _, g := range s.Top {
			top = append(top, fmt.Sprint(g.Name, " ", g.Peers))
		}
		return fmt.Sprintf("%s %d own %d unplaced %d groups %d %s [%s] ", name, s.Peers, s.Own, s.Unplaced, s.Groups, s.By, strings.Join(top, ", "))
	}
	out := side("all", c.All)
	if c.In != nil {
		out += side("in", *c.In) + side("out", *c.Out)
	}
	return out + fmt.Sprintf("ids %d", len(c.IDs))
}

func TestAnswers(t *testing.T) {
	for _, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			peers, err := decoders[a.family](json.RawMessage(a.answer))
			if err != nil {
				t.Fatal(err)
			}
			c, err := Reduce(peers)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(c); got != a.want {
				t.Errorf("got  %s\nwant %s", got, a.want)
			}
			slices.Reverse(peers)
			if again, _ := Reduce(peers); !reflect.DeepEqual(c, again) {
				t.Errorf("in another order: %s", text(again))
			}
		})
	}
}

// TestRecordedComet: four validators on one computer are one's own, each a peer by its id.
func TestRecordedComet(t *testing.T) {
	raw, err := os.ReadFile("../comet/testdata/net_info.json")
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Result struct {
			Peers json.RawMessage `json:"peers"`
		} `json:"result"`
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatal(err)
	}
	peers, err := Comet(a.Result.Peers)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Reduce(peers)
	if err != nil || c.All.Peers != 3 || c.All.Own != 3 || c.In == nil || c.In.Peers+c.Out.Peers != 3 || peers[0].ID != "f6ba591998cd84bf990867076c9679bdd02ac1bb" {
		t.Errorf("%s of %+v, %v", text(c), peers, err)
	}
}

func TestNetworks(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.9:8333":                     "203.0.0.0/16",
		"203.0.113.9":                          "203.0.0.0/16",
		"::ffff:203.0.113.9":                   "203.0.0.0/16",
		"[::ffff:203.0.113.9]:1":               "203.0.0.0/16",
		"[2a01:4f8:1:2::3]:8333":               "2a01:4f8::/32",
		"2a01:4f8:1:2::3%eth0":                 "2a01:4f8::/32",
		"2002:cb00:7109::1":                    "203.0.0.0/16", // 6to4
		"2001:0:4136:e378:8000:63bf:34ff:8ef6": "203.0.0.0/16", // Teredo: 34ff:8ef6 is the complement of 203.0.113.9
		"64:ff9b::203.0.113.9":                 "203.0.0.0/16",
		"/ip4/203.0.113.9/udp/9001/quic-v1":    "203.0.0.0/16",
		"10.1.2.3:1":                           "own",
		"192.168.0.1":                          "own",
		"127.0.0.1:8333":                       "own",
		"[::1]:8333":                           "own",
		"[fe80::1%eth0]:8333":                  "own",
		"fd00::1":                              "own",
		"100.64.3.4:1":                         "own",
		"0.0.0.0":                              "own",
		"2002:0a00:0001::1":                    "own",
		"/ip4/172.31.0.1/tcp/9000":             "own",
		"":                                     "none",
		"abcdefghijklmnop.onion:8333":          "none",
		"node.example:30303":                   "none",
		"203.0.113.9:http":                     "none",
		"/dns4/node.example/tcp/9000":          "none",
		"/":                                    "none",
		"1.2.3.4.5":                            "none",
		"203.0.113.9:8333" + strings.Repeat(" ", 1): "none",
		strings.Repeat("1", 1<<20):                  "none",
	} {
		group, own := place(Peer{Address: address})
		got := group
		if own {
			got = "own"
		} else if group == "" {
			got = "none"
		}
		if got != want {
			t.Errorf("%.60q: %s, not %s", address, got, want)
		}
	}
}

// TestBounds: whatever a node tells, what is kept is small; who tells more than can be is not heard.
func TestBounds(t *testing.T) {
	many := func(n int) (list []Peer) {
		for i := range n {
			list = append(list, Peer{Address: fmt.Sprintf("%d.%d.0.1:8333", 11+i/200, i%200), ID: strings.Repeat("x", 1000) + fmt.Sprint(i), Way: Out})
		}
		return list
	}
	c, err := Reduce(many(8000))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(c)
	if c.Out.Peers != 8000 || c.Out.Groups < 1000 || len(c.IDs) != 0 || len(raw) > 1000 {
		t.Errorf("%d bytes: %s", len(raw), text(c))
	}
	if c, _ := Reduce(many(128)); len(c.IDs) != 128 || !slices.IsSorted(c.IDs) {
		t.Errorf("%d ids", len(c.IDs))
	}
	var too TooMany
	if _, err := Reduce(many(100_000)); !errors.As(err, &too) || too != 100_000 {
		t.Errorf("%v", err)
	}
	for name, decode := range decoders {
		for _, bad := range []string{`{}`, `[1]`, `"x"`, `[{"addr":7,"network":7,"node_info":7,"peer_id":7}]`, `[`} {
			if list, err := decode(json.RawMessage(bad)); err == nil {
				t.Errorf("%s takes %s as %+v", name, bad, list)
			}
		}
	}
}

func FuzzPeers(f *testing.F) {
	for _, a := range answers {
		f.Add(a.family, []byte(a.answer))
	}
	f.Add("bitcoin", []byte(`[{"addr":"[::ffff:1.2.3.4]:99999","mapped_as":-1,"inbound":null}]`))
	f.Fuzz(func(t *testing.T, family string, answer []byte) {
		decode := decoders[family]
		if decode == nil {
			return
		}
		peers, err := decode(answer)
		if err != nil {
			return
		}
		c, err := Reduce(peers)
		if err != nil {
			return
		}
		for _, s := range []*chain.Side{&c.All, c.In, c.Out} {
			if s == nil {
				continue
			}
			sum := s.Own + s.Unplaced
			for i, g := range s.Top {
				sum += g.Peers
				if len(g.Name) > 64 || g.Name == "" || i > 0 && g.Peers > s.Top[i-1].Peers {
					t.Errorf("group %+v of %+v", g, s)
				}
			}
			if sum > s.Peers || len(s.Top) > chain.CrowdTop || (s.By == "") != (s.Groups == 0) {
				t.Errorf("%+v", s)
			}
		}
		if c.In != nil && c.In.Peers+c.Out.Peers != c.All.Peers {
			t.Errorf("%d in and %d out of %d", c.In.Peers, c.Out.Peers, c.All.Peers)
		}
		if len(c.IDs) > chain.CrowdIDs || !slices.IsSorted(c.IDs) {
			t.Errorf("ids %v", c.IDs)
		}
		slices.Reverse(peers)
		if again, _ := Reduce(peers); !reflect.DeepEqual(c, again) {
			t.Errorf("the order shows: %+v and %+v", c, again)
		}
	})
}
