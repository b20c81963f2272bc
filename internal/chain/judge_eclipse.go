package chain

import (
	"fmt"
	"strings"
)

const (
	eclipseHold = 60000  // ms that a node with conspicuous peers must be apart from the others, and be with them again
	apartHold   = 300000 // ms behind by one block, where blocks take longer than ...
	apartSlow   = 60000  // ... this
)

// apart is how a node differs from an independent one.
type apart struct {
	from   *node
	lag    int64
	branch split
}

// judgeEclipse is the alarm: a node whose peers are conspicuous (by concentration or replacement) calls itself in sync, and its head is behind
// most independent nodes, or on another branch. An eclipsed node sees what its peers show it (Heilman et al. 2015), so it cannot know; nodes of
// its own operator may have the same peers, so only those of others count. A chain without them has the weak findings alone.
func (m *Monitor) judgeEclipse(n *node, w *crowdWatch) {
	key := m.keyOf(n, FindingEclipse)
	few, new := m.open[m.keyOf(n, FindingConcentrated)] != nil && w.Last.Out != nil, w.Swap != nil
	if !few && !new && m.open[key] == nil {
		m.held(n.mark("behind/"), false, m.now, 0)
		m.held(n.mark("eclipse/"), false, m.now, 0)
		return
	}
	a, others := m.apart(n)
	cut := a != nil && (few || new)
	held := m.held(n.mark("eclipse/"), cut, m.now, eclipseHold)
	have := m.open[key]
	switch {
	case cut && (held || have != nil):
		f := m.finding(FindingEclipse, n.name, sev3)
		if few && new {
			f.Severity = sev2
		}
		if have != nil {
			f.Severity = min(f.Severity, have.Severity)
		}
		f.Since = m.since[n.mark("eclipse/")]
		f.Title = fmt.Sprintf("%s: node %s may be cut off from the network", m.cfg.Chain, n.name)
		var signs []string
		if few {
			signs = append(signs, w.Last.Out.told("outgoing ", n.name, 2))
		}
		if new {
			signs = append(signs, w.Swap.told())
		}
		f.Reason = upper(strings.Join(signs, ", ")) + ", and " + a.words() + " It calls itself in sync. Rely on other nodes until it has other peers."
		peers := *w.Last
		peers.IDs = nil // from a hash and its network an address can be guessed: it is not for the log
		m.fire(f, map[string]any{"node": n.name, "head": n.head.Ref(), "compared_with": a.from.name, "best": a.from.head.Ref(), "lag": a.lag, "independent_nodes": others,
			"peers": peers, "replaced": w.Swap}, false)
	case !cut && have != nil && m.held("calm/"+key, true, m.now, eclipseHold):
		reason := "Its head is that of the independent nodes again."
		switch {
		case a != nil:
			reason = "Its peers are not conspicuous any more."
		case others == 0:
			reason = "No independent node is left to compare it with."
		}
		m.clear(key, m.now, reason)
	}
}

// apart compares a node with the nodes of other operators that are believed and answer. It is nil unless it differs from most of them; others
// counts them. One that stands still with it speaks for it.
func (m *Monitor) apart(n *node) (worst *apart, others int) {
	differ, behind := 0, false
	var list []apart
	for _, o := range m.nodes {
		lately := m.cfg.Recorded || m.now-o.asked < 2*silentAfter
		if o == n || o.voice() == n.voice() || !o.ok() || !o.has || !n.has || !lately {
			continue
		}
		others++
		a := apart{from: o, lag: o.head.Height - n.head.Height, branch: m.compare(n, o)}
		behind = behind || a.lag >= 1
		list = append(list, a)
	}
	slow := m.held(n.mark("behind/"), behind, m.now, apartHold) && m.slot() >= apartSlow
	for i, a := range list {
		late := a.lag >= lagEnter && (m.slot() == 0 || float64(a.lag)*m.slot() >= lagTime) || slow && a.lag >= 1
		forked := a.branch.known && a.branch.differ && (a.branch.depth > m.routine() || m.open[m.key(FindingDivergence, min(n.name, a.from.name)+"~"+max(n.name, a.from.name))] != nil)
		if !late && !forked {
			continue
		}
		differ++
		if !forked {
			list[i].branch = split{}
		}
		if worst == nil || a.lag > worst.lag {
			worst = &list[i]
		}
	}
	if differ*2 <= others {
		return nil, others
	}
	return worst, others
}

// words say how the node's head differs.
func (a apart) words() string {
	switch {
	case a.branch.differ && a.branch.atLeast:
		return fmt.Sprintf("its head is on another branch than that of %s, over at least %d blocks.", a.from.name, a.branch.depth)
	case a.branch.differ:
		return fmt.Sprintf("its head is on another branch than that of %s since height %d.", a.from.name, a.branch.common.Height+1)
	}
	return fmt.Sprintf("its head is %d %s behind %s.", a.lag, plural(int(a.lag), "block"), a.from.name)
}
