package chain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	splitLong    = 3     // intervals that a split of routine depth may last
	splitShort   = 10000 // ms that a deeper split may last
	pairsUpTo    = 8     // nodes of which every pair is told; of more, one pair for every two branches
	branchesKept = 8     // branches told apart at a time
)

// pair names two nodes whose branches are followed, in the order of their names.
type pair struct {
	A string `json:"a"`
	B string `json:"b"`
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

// same tells whether two nodes are known to have the same block at the lower of their heads.
func (m *Monitor) same(a, b *node) bool {
	s := m.compare(a, b)
	return s.known && !s.differ
}

// sides says how far it is confirmed that two branches exist: it is when a third node that is believed has the block of either, and is of another
// operator than both. Without a third, who of the two is right is only one node's word.
func (m *Monitor) sides(a, b *node, s split) ([]string, Verification) {
	asked, alike := 0, []string(nil)
	for _, n := range m.nodes {
		if n == a || n == b || !n.ok() || !n.has {
			continue
		}
		if got, ok := n.tree.At(s.height); ok && (got.Hash == s.a.Hash || got.Hash == s.b.Hash) {
			if n.voice() == a.voice() || n.voice() == b.voice() {
				alike = append(alike, n.name)
				continue
			}
			seen := []string{a.name, b.name, n.name}
			slices.Sort(seen)
			return seen, Confirmed
		}
		if m.witness(n) {
			asked++
		}
	}
	seen := append([]string{a.name, b.name}, alike[:min(len(alike), 1)]...)
	slices.Sort(seen)
	return seen, verdict(0, asked+len(alike))
}

// pairs lists the pairs of nodes to be compared. Of few nodes that is every pair. Of many, the nodes are sorted into branches, each against the
// highest node of a branch at its own height, and one pair stands for every two branches: a thousand nodes cost a thousand looks, and one
// cause gives one finding.
func (m *Monitor) pairs() []pair {
	var all []*node
	for _, n := range m.nodes {
		if _, has := n.tree.Tip(); has && n.ok() {
			all = append(all, n)
		}
	}
	var out []pair
	if len(all) <= pairsUpTo {
		for i, a := range all {
			for _, b := range all[i+1:] {
				out = append(out, pair{min(a.name, b.name), max(a.name, b.name)})
			}
		}
		return out
	}
	top := slices.MaxFunc(all, func(a, b *node) int { return int(a.tree.tip.Height - b.tree.tip.Height) })
	branch, leads := map[string]int{}, []*node{top}
	var rest []*node
	for _, n := range all {
		if b, ok := top.tree.At(n.tree.tip.Height); ok && b.Hash == n.tree.tip.Hash {
			branch[n.name] = 0
		} else {
			rest = append(rest, n)
		}
	}
	slices.SortStableFunc(rest, func(a, b *node) int { return int(b.tree.tip.Height - a.tree.tip.Height) })
	for _, n := range rest {
		found := false
		for i, l := range leads[1:] {
			if b, ok := l.tree.At(n.tree.tip.Height); ok && b.Hash == n.tree.tip.Hash {
				branch[n.name], found = i+1, true
				break
			}
		}
		if !found && len(leads) < branchesKept {
			branch[n.name] = len(leads)
			leads = append(leads, n)
		}
	}
	stands := map[[2]int]bool{}
	for _, k := range slices.Sorted(maps.Keys(m.splits)) { // a pair that is told goes on to stand for its branches
		p := m.splits[k]
		i, iok := branch[p.A]
		j, jok := branch[p.B]
		if two := [2]int{min(i, j), max(i, j)}; iok && jok && i != j && !stands[two] {
			stands[two] = true
			out = append(out, p)
		}
	}
	for i, a := range leads {
		for j, b := range leads[i+1:] {
			if !stands[[2]int{i, i + 1 + j}] {
				out = append(out, pair{min(a.name, b.name), max(a.name, b.name)})
			}
		}
	}
	return out
}

// judgeSplits compares nodes by pair at the lower of their heads, so that one that has halted hides nothing. Two branches of routine depth may
// live for some intervals, a deeper split not.
func (m *Monitor) judgeSplits() {
	due := map[string]bool{}
	for _, p := range m.pairs() {
		key := m.key(FindingDivergence, p.A+"~"+p.B)
		due[key] = true
		m.judgePair(key, p)
	}
	for _, key := range slices.Sorted(maps.Keys(m.splits)) {
		if !due[key] {
			m.judgePair(key, m.splits[key])
		}
	}
}

func (m *Monitor) judgePair(key string, p pair) {
	first, second := m.node(p.A), m.node(p.B)
	if first == nil || second == nil || !first.ok() || !second.ok() {
		m.held(key, false, m.now, 0)
		m.held(key+"/deep", false, m.now, 0)
		m.clear(key, m.now, "One of the two nodes cannot be compared any more.")
		delete(m.splits, key)
		return
	}
	s := m.compare(first, second)
	if !s.known {
		return
	}
	shallow := m.held(key, s.differ, m.now, max(int64(splitLong*m.slot()), 30000))
	deep := m.held(key+"/deep", s.differ && s.depth > m.routine(), m.now, splitShort)
	if !s.differ {
		m.calm(key, m.now, fmt.Sprintf("Both nodes have the same block at height %d again.", s.height))
		if m.open[key] == nil {
			delete(m.splits, key)
		}
		return
	}
	m.splits[key] = p
	if !shallow && !deep && m.open[key] == nil {
		return
	}
	m.firePair(first, second, s)
}

func (m *Monitor) firePair(first, second *node, s split) {
	f := m.finding(FindingDivergence, first.name+"~"+second.name, m.depthSeverity(s.depth))
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
	if m.cfg.Family == Comet {
		f.Reason += " Blocks of this chain are final at once: this is a fork. Stop credits until it is known which one stands."
	}
	clients := m.clients(s)
	f.Reason += clients
	f.Seen, f.Verification = m.sides(first, second, s)
	m.fire(f, map[string]any{"height": s.height, "a": map[string]any{"node": first.name, "block": s.a, "head": first.head.Ref()},
		"b": map[string]any{"node": second.name, "block": s.b, "head": second.head.Ref()}, "depth": s.depth, "at_least": s.atLeast, "common": s.common, "by_client": strings.TrimSpace(clients)}, false)
}
