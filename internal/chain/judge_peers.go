package chain

import (
	"fmt"
	"slices"
	"strings"
)

// Kinds of finding on who a node's peers are. The first three are weak: each has innocent causes, so they are for the review queue;
// only together with a head that others do not share they are an alarm (see judgeEclipse).
const (
	FindingSybil        = "sybil"              // one network holds far more of a node's incoming peers than it used to
	FindingConcentrated = "peers_concentrated" // a node's outgoing peers are in one or two networks, as they never were
	FindingReplaced     = "peers_replaced"     // nearly all outgoing peers of a node were replaced while it was up
	FindingEclipse      = "eclipse"            // the same, and its head is not that of independent nodes
)

const (
	farAbove   = 0.3  // of a share above what is usual for the node that open a finding, ...
	farStill   = 0.15 // ... and that keep it open
	floorStill = 0.1  // as much below its floor
	swapShare  = 0.8  // of the peers of 15 to 30 min ago that are gone, and of those there that are new
	swapStands = 2 * 3600000
	peersCalm  = 600000           // ms that a concentration must be over
	newNormal  = 7 * 24 * 3600000 // ms after which it is taken for usual
)

// shareRule is what a share of the largest groups must be to be told, besides being farAbove the node's own.
type shareRule struct {
	kind, mark string
	top        int     // groups
	floor      float64 // share
	least      int64   // peers
	hold       int64   // ms
}

var (
	sybilRule   = shareRule{FindingSybil, FindingSybil + "/", 1, 0.5, 16, 600000}
	fewNetworks = shareRule{FindingConcentrated, FindingConcentrated + "/", 2, 0.8, 6, 300000}
)

// applyCrowd takes who a node's peers are, and learns what is usual for it. Rules and bounds, all relative to the node's own last seven days:
// who can have many identities at once has them where addresses are cheap together (Douceur, "The Sybil Attack", 2002), which is why Bitcoin
// Core makes no two outgoing connections into one network group since Heilman, Kendler, Zohar and Goldberg, "Eclipse Attacks on Bitcoin's
// Peer-to-Peer Network", USENIX Security 2015. Ethereum's discovery keeps them apart less (Marcus, Heilman, Goldberg, "Low-Resource Eclipse
// Attacks on Ethereum's Peer-to-Peer Network", 2018).
func (m *Monitor) applyCrowd(n *node, c *Crowd) {
	if !c.sane() {
		return
	}
	w := n.crowd
	if w == nil {
		w = &crowdWatch{Calm: m.now, Program: programOf(n.client)}
		n.crowd = w
	}
	if w.At > 0 && m.now-w.At > crowdGap {
		w.disturb(m.now)
	}
	m.changed = m.changed || w.Last == nil || w.Last.All.Groups != c.All.Groups || w.Last.All.share(1) != c.All.share(1)
	w.Last, w.At = c, m.now
	m.sample("tocsin_chain_peer_groups", n, float64(c.All.Groups))
	if c.All.public() > 0 {
		m.sample("tocsin_chain_peer_group_ratio", n, c.All.share(1))
	}
	if !n.ok() || !w.settled(m.now) {
		return
	}
	in, how := c.incoming()
	m.learnSide(n, sybilRule, &w.In, in, how)
	if c.Out != nil {
		m.learnSide(n, fewNetworks, &w.Out, *c.Out, "out")
	}
	w.follow(m.now, c.IDs)
}

// incoming are the peers that anybody may become, and how they are told apart.
func (c *Crowd) incoming() (Side, string) {
	if c.In != nil {
		return *c.In, "in"
	}
	return c.All, "all"
}

// learnSide learns a share while no finding says that it is out of the ordinary.
func (m *Monitor) learnSide(n *node, r shareRule, u *usual, s Side, how string) {
	if s.public() < learnLeast {
		return
	}
	if by := how + " " + s.By; s.By != "" && u.By != by {
		if u.By != "" {
			*u = usual{}
		}
		u.By = by
	}
	if m.open[m.keyOf(n, r.kind)] == nil {
		u.learn(m.now, s.share(r.top), false)
	}
}

// programOf is what a client's name says without its version: after another one, nothing of before counts.
func programOf(client string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(client, "/"), "/")
	name, _, _ = strings.Cut(name, ":")
	name, _, _ = strings.Cut(name, " ")
	return name[:min(len(name), programShown)]
}

// disturbed notes that a node failed, was started, or is another program now.
func (m *Monitor) disturbed(n *node, o Observation) {
	w := n.crowd
	if w == nil {
		return
	}
	if o.Client != "" && n.client != "" && o.Client != n.client {
		if p := programOf(o.Client); p != w.Program {
			*w = crowdWatch{Program: p, Swap: w.Swap, At: w.At}
		}
		w.disturb(m.now)
	}
	if w.Program == "" {
		w.Program = programOf(o.Client)
	}
	if o.State != Up || n.state != Up {
		w.disturb(m.now)
	}
}

// judgePeers tells which nodes have conspicuous peers.
func (m *Monitor) judgePeers() {
	for _, n := range m.nodes {
		if n.crowd != nil {
			m.judgeCrowd(n, n.crowd)
		}
	}
}

func (m *Monitor) judgeCrowd(n *node, w *crowdWatch) {
	if !n.ok() || m.now-w.At > crowdLost {
		m.endCrowd(n, w)
		return
	}
	if !w.settled(m.now) {
		return
	}
	in, _ := w.Last.incoming()
	m.judgeShare(n, sybilRule, &w.In, in)
	out := Side{}
	if w.Last.Out != nil {
		out = *w.Last.Out
	}
	m.judgeShare(n, fewNetworks, &w.Out, out)
	m.judgeSwap(n, w)
	m.judgeEclipse(n, w)
}

// endCrowd ends what is told of a node's peers: it cannot be judged now, or does not tell who they are any more.
func (m *Monitor) endCrowd(n *node, w *crowdWatch) {
	w.Swap = nil
	if !n.ok() {
		w.disturb(m.now)
	}
	m.held(n.mark(sybilRule.mark), false, m.now, 0)
	m.held(n.mark(fewNetworks.mark), false, m.now, 0)
	m.held(n.mark("eclipse/"), false, m.now, 0)
	m.held(n.mark("behind/"), false, m.now, 0)
	for _, key := range [...]string{m.keyOf(n, FindingEclipse), m.keyOf(n, FindingConcentrated), m.keyOf(n, FindingReplaced), m.keyOf(n, FindingSybil)} {
		switch {
		case m.open[key] == nil:
		case !n.ok():
			m.clear(key, m.now, "The node cannot be judged any more: "+string(n.shown())+".")
		default:
			m.clear(key, m.now, fmt.Sprintf("The node has not told who its peers are for %s.", dur(m.now-w.At)))
		}
	}
}

// judgeShare looks for networks with far more of a node's peers than they have had.
func (m *Monitor) judgeShare(n *node, r shareRule, u *usual, s Side) {
	key := m.keyOf(n, r.kind)
	have := m.open[key]
	most, known := u.known()
	far := known && s.public() >= r.least && s.share(r.top) >= max(r.floor, most+farAbove)
	if have != nil {
		far = s.public() >= r.least*3/4 && s.share(r.top) >= max(r.floor-floorStill, most+farStill)
	}
	held := m.held(n.mark(r.mark), far, m.now, r.hold)
	switch {
	case have == nil && !held:
		return
	case have != nil && !known:
		m.clear(key, m.now, "Its peers are told apart in another way, or by another program, now: what is usual is learned anew.")
		return
	}
	whose := "incoming "
	switch {
	case r.kind == FindingConcentrated:
		whose = "outgoing "
	case strings.HasPrefix(u.By, "all"):
		whose = ""
	}
	switch {
	case !far && m.held("calm/"+key, true, m.now, peersCalm):
		reason := fmt.Sprintf("Its %speers are spread again: %s.", whose, s.words(r.top))
		if s.public() < r.least*3/4 {
			reason = fmt.Sprintf("It has only %d %speers now.", s.public(), whose)
		}
		m.clear(key, m.now, reason)
	case have != nil && m.now-have.Since > newNormal && m.open[m.keyOf(n, FindingEclipse)] == nil:
		*u = usual{}
		m.clear(key, m.now, "It has been so for 7 days: it is taken for usual from now on.")
	case far:
		f := m.finding(FindingSybil, n.name, sev4)
		if r.kind == FindingConcentrated {
			f = m.finding(FindingConcentrated, n.name, sev4)
		}
		f.Weak, f.Since = true, m.since[n.mark(r.mark)]
		f.Title = fmt.Sprintf("%s: most %speers of node %s are in one network", m.cfg.Chain, whose, n.name)
		if r.top > 1 {
			f.Title = fmt.Sprintf("%s: the %speers of node %s are in few networks", m.cfg.Chain, whose, n.name)
		}
		f.Reason = fmt.Sprintf("%s; before, at most %.0f %% were in %s. Weak by itself: a change of the network around the node looks the same.",
			upper(s.told(whose, n.name, r.top)), 100*most, [...]string{"", "one network", "two networks"}[r.top])
		if have != nil && len(s.Top) > 0 && slices.Contains(namedIn(have.Reason), s.Top[0].Name) {
			f.Reason = have.Reason // the same network with a peer more or less is no news
		}
		m.fire(f, map[string]any{"node": n.name, "peers": s, "usual_share": most, "share": s.share(r.top)}, false)
	}
}

// told says in which networks the peers of a side are.
func (s Side) told(whose, node string, top int) string {
	if s.top(top) == s.public() {
		return fmt.Sprintf("all %d %speers of %s are in %s", s.public(), whose, node, s.names(top))
	}
	return fmt.Sprintf("%d of the %d %speers of %s are in %s", s.top(top), s.public(), whose, node, s.names(top))
}

// namedIn are the networks that a reason made of told names.
func namedIn(reason string) []string {
	_, rest, _ := strings.Cut(reason, " are in ")
	rest, _, _ = strings.Cut(rest, ";")
	return strings.Split(rest, " and ")
}

func (s Side) words(top int) string {
	if len(s.Top) == 0 {
		return "none of them is in a network that is known"
	}
	return fmt.Sprintf("%d of %d are in %s", s.top(top), s.public(), s.names(top))
}

func (s Side) names(top int) string {
	var names []string
	for _, g := range s.Top[:min(top, len(s.Top))] {
		names = append(names, g.Name)
	}
	return strings.Join(names, " and ")
}

// judgeSwap tells that nearly all outgoing peers were replaced while the node was up, for two hours, or as long as the node is apart from others.
func (m *Monitor) judgeSwap(n *node, w *crowdWatch) {
	s, key := w.Swap, m.keyOf(n, FindingReplaced)
	if s == nil {
		m.clear(key, m.now, "The node's peers are followed anew.")
		return
	}
	if m.now-s.At >= swapStands && m.open[m.keyOf(n, FindingEclipse)] == nil {
		w.Swap = nil
		m.clear(key, m.now, fmt.Sprintf("It was %s ago, and nothing else was seen since.", dur(m.now-s.At)))
		return
	}
	f := m.finding(FindingReplaced, n.name, sev4)
	f.Weak, f.Since = true, s.At-s.Within
	f.Title = fmt.Sprintf("%s: nearly all peers of node %s were replaced", m.cfg.Chain, n.name)
	f.Reason = fmt.Sprintf("%s; %d of the %d before are gone. It answered all the time, and so many never went at once before. Weak by itself: a new address of the node looks the same.",
		upper(s.told()), s.Gone, s.Of)
	m.fire(f, map[string]any{"node": n.name, "replaced": s, "peers": w.Last.All}, false)
}

func (s swap) told() string {
	return fmt.Sprintf("%d of %d peers are new within %s", s.New, s.Now, dur(s.Within))
}
