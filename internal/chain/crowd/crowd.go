// Package crowd owns how the answers that tell who a node's peers are become a bounded chain.Crowd: which network an address belongs to, and
// who is one's own. It asks nobody and never judges.
package crowd

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// Way says who called whom.
type Way int

// The ways a connection comes about.
const (
	Untold Way = iota
	In
	Out
)

// Peer is one connection as a node tells it.
type Peer struct {
	ID      string // stays the same while the connection lasts; "" = the address
	Address string // host:port, address, or multiaddr
	AS      int64  // autonomous system; 0 = not told
	Hidden  bool   // Tor, I2P or CJDNS: its address says nothing of where it is
	Own     bool   // the node's operator named it, or it is nowhere on the public network
	Way     Way
}

// Every is how many looks at what changes slowly there are to one at who the peers are, where that is a question of its own.
const Every = 4

const (
	mostPeers   = 8192 // of one answer; who tells more is not heard
	mostAddress = 300  // bytes; a longer one is not read
	mostAS      = 1<<32 - 1
)

// TooMany is a list of peers that is not taken.
type TooMany int

func (n TooMany) Error() string {
	return fmt.Sprintf("it tells %d peers, more than %d", int(n), mostPeers)
}

// Of reduces what a decoder gave.
func Of(peers []Peer, err error) (*chain.Crowd, error) {
	if err != nil {
		return nil, err
	}
	return Reduce(peers)
}

// Reduce sums peers up. The same peers in any order give the same.
func Reduce(peers []Peer) (*chain.Crowd, error) {
	if len(peers) > mostPeers {
		return nil, TooMany(len(peers))
	}
	var all, in, out tally
	told := len(peers) > 0
	for _, p := range peers {
		told = told && p.Way != Untold
	}
	var ids []uint32
	for _, p := range peers {
		group, own := place(p)
		as := strings.HasPrefix(group, "AS")
		all.add(group, own, as)
		switch p.Way {
		case In:
			in.add(group, own, as)
		case Out:
			out.add(group, own, as)
		}
		if !own && (p.Way == Out || !told) {
			ids = append(ids, identity(p))
		}
	}
	c := &chain.Crowd{All: all.side()}
	if told {
		i, o := in.side(), out.side()
		c.In, c.Out = &i, &o
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) <= chain.CrowdIDs {
		c.IDs = ids
	}
	return c, nil
}

func identity(p Peer) uint32 {
	sum := sha256.Sum256([]byte(cmp.Or(p.ID, p.Address)))
	return binary.BigEndian.Uint32(sum[:4])
}

// place names the group a peer is in, "" = none, and tells whether it is one's own.
func place(p Peer) (group string, own bool) {
	if p.Own {
		return "", true
	}
	if p.Hidden {
		return "", false
	}
	a, ok := Address(p.Address)
	if !ok {
		return "", false
	}
	if Local(a) {
		return "", true
	}
	if p.AS > 0 && p.AS <= mostAS {
		return "AS" + strconv.FormatInt(p.AS, 10), false
	}
	return Network(a), false
}

// Address reads "192.0.2.1:8333", "[2001:db8::1]:8333", "192.0.2.1", "2001:db8::1" and the multiaddr "/ip4/192.0.2.1/tcp/9000". It is false for
// names, .onion and .i2p, and all else.
func Address(s string) (netip.Addr, bool) {
	if len(s) > mostAddress {
		return netip.Addr{}, false
	}
	if rest, ok := strings.CutPrefix(s, "/"); ok {
		kind, rest, _ := strings.Cut(rest, "/")
		if kind != "ip4" && kind != "ip6" {
			return netip.Addr{}, false
		}
		s, _, _ = strings.Cut(rest, "/")
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		a = ap.Addr()
	}
	return inner(a.WithZone("").Unmap()), true
}

// inner gives the IPv4 address that stands in an IPv6 address of 6to4 (RFC 3056), Teredo (RFC 4380) or NAT64 (RFC 6052): those cost as little as
// it does.
func inner(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6]))
	case b[0] == 0x20 && b[1] == 0x01 && b[2] == 0 && b[3] == 0:
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
	return a
}

var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	shared = netip.MustParsePrefix("100.64.0.0/10") // of carriers and overlay networks, RFC 6598
)

// Local tells whether an address is nowhere on the public network: private, loopback, link-local, shared, or none at all.
func Local(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast() || shared.Contains(a)
}

// Network is the group of a public address.
func Network(a netip.Addr) string {
	bits := 32
	if a.Is4() {
		bits = 16
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// tally counts the peers of one direction.
type tally struct {
	peers, own, unplaced int64
	groups               map[string]int64
	as                   bool
}

func (t *tally) add(group string, own, as bool) {
	t.peers++
	switch {
	case own:
		t.own++
	case group == "":
		t.unplaced++
	default:
		if t.groups == nil {
			t.groups = map[string]int64{}
		}
		t.groups[group]++
		t.as = t.as || as
	}
}

func (t *tally) side() chain.Side {
	s := chain.Side{Peers: t.peers, Own: t.own, Unplaced: t.unplaced, Groups: int64(len(t.groups))}
	if len(t.groups) == 0 {
		return s
	}
	if s.By = "prefix"; t.as {
		s.By = "as"
	}
	names := slices.SortedFunc(maps.Keys(t.groups), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.groups[b], t.groups[a]), strings.Compare(a, b))
	})
	for _, name := range names[:min(len(names), chain.CrowdTop)] {
		s.Top = append(s.Top, chain.PeerGroup{Name: name, Peers: t.groups[name]})
	}
	return s
}
