package chain

import "fmt"

const (
	lagEnter  = 3     // blocks behind that count, and ...
	lagExit   = 1     // ... blocks behind that end it (the hysteresis of fork-observer)
	lagTime   = 5000  // ms that those blocks must be worth, so that a chain of four blocks a second does not flap
	lagHold   = 10000 // ms that it must last
	haltAhead = 3     // blocks that others must have advanced while a node stood still
	haltSlots = 2     // and intervals that it stood still
	haltHold  = 3000  // ms that this must last: after empty slots the others are ahead by several at once, and nodes do not tell in one instant
)

// pick chooses the node with the best head among those that may be compared; the present one keeps its place until another is higher.
func (m *Monitor) pick() {
	best := m.best
	if best != nil && (!best.ok() || !best.has) {
		best = nil
	}
	for _, n := range m.nodes {
		if n.ok() && n.has && (best == nil || n.head.Height > best.head.Height) {
			best = n
		}
	}
	if best == nil {
		return // the last known head stays
	}
	m.lead(best)
}

// consider lets the change of one node count for the best head, without asking all the others.
func (m *Monitor) consider(n *node) {
	switch best := m.best; {
	case best == nil || n == best || !best.ok() || !best.has:
		m.pick()
	case n.ok() && n.has && n.head.Height > best.head.Height:
		m.lead(n)
	}
}

func (m *Monitor) lead(best *node) {
	m.best = best
	if tip, ok := m.union.Tip(); !ok || tip.Ref() != best.head.Ref() {
		m.union.Add(best.head)
	}
}

// ahead is how many blocks others must have come further before a node is called halted. Three slots of Solana are one second: there it is
// what takes longer than a node's poll.
func (m *Monitor) ahead() int64 {
	if m.cfg.Family == Solana {
		return lagTime * 2 / 400
	}
	return haltAhead
}

func (m *Monitor) lag(n *node) int64 {
	if m.best == nil || !n.has {
		return 0
	}
	return max(m.best.head.Height-n.head.Height, 0)
}

// judgeOrder compares every node with the best one: halted (answers, but its head stands while the others advance) or lagging (advances,
// but behind). The two exclude each other.
func (m *Monitor) judgeOrder() {
	m.pace.judge()
	for _, n := range m.nodes {
		haltKey, lagKey := m.keyOf(n, FindingHalted), m.keyOf(n, FindingLag)
		if !n.has || !n.ok() || m.best == nil {
			m.held(n.mark("halt/"), false, m.now, 0)
			m.held(n.mark("lag/"), false, m.now, 0)
			why := "The node cannot be compared any more: " + string(n.state) + "."
			m.clear(haltKey, m.now, why)
			m.clear(lagKey, m.now, why)
			continue
		}
		lag, stood := m.lag(n), m.now-max(n.moved, n.stated)
		others := m.best.head.Height - n.bestThen // how far the others came since it last moved
		standing := n != m.best && lag >= m.ahead() && others >= m.ahead() && stood >= max(lagHold, int64(haltSlots*m.slot()))
		if standing = m.held(n.mark("halt/"), standing, m.now, haltHold); standing {
			f := m.finding(FindingHalted, n.name, sev3)
			f.Since = n.moved
			f.Title = fmt.Sprintf("%s: node %s has halted", m.cfg.Chain, n.name)
			f.Reason = fmt.Sprintf("It answers, but its head stands at %d for %s while the others went on to %d (%d blocks).", n.head.Height, dur(stood), m.best.head.Height, lag)
			m.fire(f, map[string]any{"node": n.name, "head": n.head.Ref(), "best_node": m.best.name, "best": m.best.head.Ref(), "lag": lag, "stood_ms": stood}, false)
			m.held(n.mark("lag/"), false, m.now, 0)
			m.clear(lagKey, m.now, "The node does not advance at all now: see halted.")
			continue
		}
		if m.open[haltKey] != nil && (stood < lagHold || lag < m.ahead()) {
			m.calm(haltKey, m.now, fmt.Sprintf("The node advances again: its head is %d, %d behind the best.", n.head.Height, lag))
		}
		worth := float64(lag) * m.slot()
		if m.open[lagKey] != nil {
			if lag <= lagExit || (m.slot() > 0 && worth < lagTime/2) {
				m.held(n.mark("lag/"), false, m.now, 0)
				m.calm(lagKey, m.now, fmt.Sprintf("The node has caught up: it is at %d, the best is at %d.", n.head.Height, m.best.head.Height))
				continue
			}
		} else if !m.held(n.mark("lag/"), lag >= lagEnter && (m.slot() == 0 || worth >= lagTime), m.now, lagHold) || others >= m.ahead() && lag == others {
			continue // not long enough, or it does not move: that will be a halt
		}
		f := m.finding(FindingLag, n.name, sev4)
		f.Title = fmt.Sprintf("%s: node %s is behind", m.cfg.Chain, n.name)
		f.Reason = fmt.Sprintf("Its head is %d, %d blocks behind %s at %d.", n.head.Height, lag, m.best.name, m.best.head.Height)
		m.fire(f, map[string]any{"node": n.name, "head": n.head.Ref(), "best_node": m.best.name, "best": m.best.head.Ref(), "lag": lag}, false)
	}
}

// slot is the expected interval in ms, 0 while unknown.
func (m *Monitor) slot() float64 {
	m.pace.judge()
	return m.pace.mean
}
