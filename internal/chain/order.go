package chain

import "fmt"

const (
	lagEnter   = 3     // blocks behind that count, and ...
	lagExit    = 1     // ... blocks behind that end it (the hysteresis of fork-observer)
	lagTime    = 5000  // ms that those blocks must be worth, so that a chain of four blocks a second does not flap
	lagHold    = 10000 // ms that it must last
	haltAhead  = 3     // blocks that others must have advanced while a node stood still
	haltSlots  = 2     // and intervals that it stood still
	splitLong  = 3     // intervals that a split of routine depth may last
	splitShort = 10000 // ms that a deeper split may last
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
	m.best = best
	if tip, ok := m.union.Tip(); !ok || tip.Hash != best.head.Hash {
		m.union.Add(best.head)
	}
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
		haltKey, lagKey := m.key(FindingHalted, n.name), m.key(FindingLag, n.name)
		if !n.has || !n.ok() || m.best == nil {
			m.held("halt/"+n.name, false, m.now, 0)
			m.held("lag/"+n.name, false, m.now, 0)
			why := "The node cannot be compared any more: " + string(n.state) + "."
			m.clear(haltKey, m.now, why)
			m.clear(lagKey, m.now, why)
			continue
		}
		lag, stood := m.lag(n), m.now-max(n.moved, n.stated)
		others := m.best.head.Height - n.bestThen // how far the others came since it last moved
		standing := n != m.best && lag >= haltAhead && others >= haltAhead && stood >= max(lagHold, int64(haltSlots*m.slot()))
		if standing {
			f := m.finding(FindingHalted, n.name, sev3)
			f.Since = n.moved
			f.Title = fmt.Sprintf("%s: node %s has halted", m.cfg.Chain, n.name)
			f.Reason = fmt.Sprintf("It answers, but its head stands at %d for %s while the others went on to %d (%d blocks).", n.head.Height, dur(stood), m.best.head.Height, lag)
			m.fire(f, map[string]any{"node": n.name, "head": n.head.Ref(), "best_node": m.best.name, "best": m.best.head.Ref(), "lag": lag, "stood_ms": stood}, false)
			m.held("lag/"+n.name, false, m.now, 0)
			m.clear(lagKey, m.now, "The node does not advance at all now: see halted.")
			continue
		}
		if m.open[haltKey] != nil && (stood < lagHold || lag < haltAhead) {
			m.clear(haltKey, m.now, fmt.Sprintf("The node advances again: its head is %d, %d behind the best.", n.head.Height, lag))
		}
		worth := float64(lag) * m.slot()
		if m.open[lagKey] != nil {
			if lag <= lagExit || (m.slot() > 0 && worth < lagTime/2) {
				m.held("lag/"+n.name, false, m.now, 0)
				m.clear(lagKey, m.now, fmt.Sprintf("The node has caught up: it is at %d, the best is at %d.", n.head.Height, m.best.head.Height))
				continue
			}
		} else if !m.held("lag/"+n.name, lag >= lagEnter && (m.slot() == 0 || worth >= lagTime), m.now, lagHold) || others >= haltAhead && lag == others {
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

// split is how two nodes differ.
type split struct {
	known   bool // they can be compared
	differ  bool
	depth   int // blocks below the lower head that differ
	atLeast bool
	height  int64 // compared at: the lower of the two heads
	a, b    Block // their blocks there
	common  Ref
}

// compare looks at the lower of the two heads, so a node that has halted is still compared with the others, on what it has.
func (m *Monitor) compare(a, b *node) split {
	at, aok := a.tree.Tip()
	bt, bok := b.tree.Tip()
	if !aok || !bok {
		return split{}
	}
	s := split{height: min(at.Height, bt.Height)}
	var ok1, ok2 bool
	s.a, ok1 = a.tree.At(s.height)
	s.b, ok2 = b.tree.At(s.height)
	if !ok1 || !ok2 {
		return s
	}
	s.known = true
	x, y := s.a, s.b
	for x.Hash != y.Hash {
		s.differ = true
		s.depth++
		if x.Parent == y.Parent {
			s.common = Ref{x.Height - 1, x.Parent}
			return s
		}
		x, ok1 = a.tree.At(x.Height - 1)
		y, ok2 = b.tree.At(y.Height - 1)
		if !ok1 || !ok2 {
			s.atLeast = true
			return s
		}
	}
	return s
}

// judgeSplits compares every pair of nodes at min(pair). Two branches of routine depth may live for some intervals, a deeper split not.
func (m *Monitor) judgeSplits() {
	for i, a := range m.nodes {
		for _, b := range m.nodes[i+1:] {
			first, second := a, b
			if second.name < first.name {
				first, second = second, first
			}
			subject := first.name + "~" + second.name
			key := m.key(FindingDivergence, subject)
			if !a.ok() || !b.ok() {
				m.held(key, false, m.now, 0)
				m.held(key+"/deep", false, m.now, 0)
				m.clear(key, m.now, "One of the two nodes cannot be compared any more.")
				continue
			}
			s := m.compare(first, second)
			if !s.known {
				continue
			}
			shallow := m.held(key, s.differ, m.now, max(int64(splitLong*m.slot()), 30000))
			deep := m.held(key+"/deep", s.differ && s.depth > m.routine(), m.now, splitShort)
			if !s.differ {
				m.clear(key, m.now, fmt.Sprintf("Both nodes have the same block at height %d again.", s.height))
				continue
			}
			if !shallow && !deep && m.open[key] == nil {
				continue
			}
			f := m.finding(FindingDivergence, subject, m.depthSeverity(s.depth))
			if s.depth <= m.routine() {
				f.Severity = sev4
			}
			f.Title = fmt.Sprintf("%s: nodes %s and %s are on different branches", m.cfg.Chain, first.name, second.name)
			f.Reason = fmt.Sprintf("At height %d %s has block %s and %s has %s; ", s.height, first.name, Short(s.a.Hash), second.name, Short(s.b.Hash))
			if s.atLeast {
				f.Reason += fmt.Sprintf("they differ over at least %d blocks.", s.depth)
			} else {
				f.Reason += fmt.Sprintf("they differ over %d %s, since height %d.", s.depth, plural(s.depth, "block"), s.common.Height+1)
			}
			m.fire(f, map[string]any{"height": s.height, "a": map[string]any{"node": first.name, "block": s.a, "head": first.head.Ref()},
				"b": map[string]any{"node": second.name, "block": s.b, "head": second.head.Ref()}, "depth": s.depth, "at_least": s.atLeast, "common": s.common}, false)
		}
	}
}
