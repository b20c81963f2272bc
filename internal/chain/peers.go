package chain

// Crowd is who a node's peers are, reduced by its collector to what is bounded: counts by network, and hashes of who they are.
type Crowd struct {
	All Side `json:"all"`
	// In and Out are nil when the node does not tell who called whom.
	In  *Side `json:"in,omitempty"`
	Out *Side `json:"out,omitempty"`
	// IDs are hashes of the outgoing peers that are not one's own (of all, where directions are not told), ascending; none when there are more
	// than CrowdIDs.
	IDs []uint32 `json:"ids,omitempty"`
}

// CrowdIDs is how many peers of a node are followed one by one.
const CrowdIDs = 128

// Side are the peers of one direction. A network group is what addresses that are easily had together have in common: the autonomous system
// where the node tells it, else the /16 of IPv4 and the /32 of IPv6, as Bitcoin Core groups them (netgroup.cpp).
type Side struct {
	Peers int64 `json:"peers"`
	// Own of them are on private or local addresses, or were named by the node's operator: one's own sentries and proxies, in no group.
	Own int64 `json:"own,omitempty"`
	// Unplaced of them are in no group: Tor, I2P, CJDNS, and addresses that cannot be read.
	Unplaced int64  `json:"unplaced,omitempty"`
	Groups   int64  `json:"groups,omitempty"`
	By       string `json:"by,omitempty"` // "as" or "prefix"; "" without any group
	// Top are the largest groups, the largest first, at most CrowdTop.
	Top []PeerGroup `json:"top,omitempty"`
}

// PeerGroup is a network and how many peers are in it.
type PeerGroup struct {
	Name  string `json:"name"` // "203.0.0.0/16", "2001:db8::/32", "AS64500"
	Peers int64  `json:"peers"`
}

// CrowdTop is how many groups of a Side are named.
const CrowdTop = 4

// public counts the peers that are not one's own.
func (s Side) public() int64 { return s.Peers - s.Own }

// top counts the peers in the n largest groups.
func (s Side) top(n int) int64 {
	sum := int64(0)
	for _, g := range s.Top[:min(n, len(s.Top))] {
		sum += g.Peers
	}
	return sum
}

// share is that of the n largest groups among the peers that are not one's own.
func (s Side) share(n int) float64 {
	if s.public() <= 0 {
		return 0
	}
	return float64(s.top(n)) / float64(s.public())
}

func (s Side) sane() bool {
	last := int64(1) << 32
	for _, g := range s.Top {
		if g.Peers < 1 || g.Peers > last || len(g.Name) > 64 {
			return false
		}
		last = g.Peers
	}
	return s.Own >= 0 && s.Unplaced >= 0 && s.Peers <= 1<<32 && len(s.Top) <= CrowdTop && s.Groups >= int64(len(s.Top)) && s.Own+s.Unplaced+s.top(CrowdTop) <= s.Peers
}

func (c *Crowd) sane() bool {
	if c == nil || !c.All.sane() || len(c.IDs) > CrowdIDs {
		return false
	}
	return (c.In == nil || c.In.sane()) && (c.Out == nil || c.Out.sane())
}
