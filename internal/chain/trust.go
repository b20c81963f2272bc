package chain

import "fmt"

// FindingDistrusted is the kind of finding that says why a node's word does not count.
const FindingDistrusted = "distrusted"

// Distrusted is how a NodeView shows a node that answers, but is not believed.
const Distrusted NodeState = "distrusted"

const (
	faultsKept   = 16
	faultWindow  = 300000             // ms in which faults count together
	trustAfter   = 600000             // ms without a fault, and ...
	trustAnswers = 20                 // ... answers in order, before it is trusted again
	heightMax    = int64(1) << 48     // no chain has so many blocks
	jumpBlocks   = 16                 // blocks, and ...
	jumpTime     = 600000             // ... ms worth of blocks above all others who are at the tip: nobody believes that without the headers between
	finalAhead   = 1000               // blocks that a finalized one may be above the node's own head, which is read at another time
	futureTime   = int64(2 * 3600000) // ms ahead of our clock: Bitcoin's own rule for headers
	backTime     = 10000              // ms that the blocks of a step back must be worth
	frozenHeads  = 20                 // heads without a later header time, and ...
	frozenTime   = 60000              // ... ms over which they came
)

// faults says how often a node may do a thing within five minutes before it is no longer believed. One step back, one empty answer or one
// header that does not link may be a load balancer with two servers behind it (go-ethereum#27353, bor#142); a height of 2^60 may not.
var faults = map[string]int{"back": 3, "empty": 3, "finality": 3, "flip": 3, "unlinked": 2, "future": 2, "frozen": 1, "absurd": 1}

type fault struct {
	Kind string `json:"kind"`
	At   int64  `json:"at"`
	Text string `json:"text"`
}

// trust is how far a node is believed. The zero value is full trust.
type trust struct {
	Faults []fault `json:"faults,omitempty"` // newest last
	Why    string  `json:"why,omitempty"`    // why it is not believed; "" = it is
	Since  int64   `json:"since,omitempty"`
	Last   int64   `json:"last,omitempty"` // when the newest fault was
	Good   int     `json:"good,omitempty"` // answers in order since
	Time   int64   `json:"time,omitempty"` // newest header time, ...
	TimeAt int64   `json:"time_at,omitempty"`
	Heads  int     `json:"heads,omitempty"` // ... and heads since that were not later
}

func (n *node) trusted() bool { return n.trust.Why == "" }

// shown is its state as a page shows it.
func (n *node) shown() NodeState {
	if n.state == Up && !n.trusted() {
		return Distrusted
	}
	return n.state
}

// fault notes that a node said what cannot be, and stops believing it when that was once too often.
func (m *Monitor) fault(n *node, kind, text string) {
	t := &n.trust
	t.Last, t.Good = m.now, 0
	t.Faults = append(t.Faults, fault{kind, m.now, text})
	if k := len(t.Faults) - faultsKept; k > 0 {
		t.Faults = append([]fault(nil), t.Faults[k:]...)
	}
	times := 0
	for _, f := range t.Faults {
		if f.Kind == kind && m.now-f.At < faultWindow {
			times++
		}
	}
	if t.Why != "" || times < faults[kind] {
		return
	}
	t.Why, t.Since, m.changed = text, m.now, true
	if times > 1 {
		t.Why += fmt.Sprintf(" That was %d times within 5 min.", times)
	}
	m.consider(n)
}

// believe looks at a head before anything is made of it: false = it is not taken.
func (m *Monitor) believe(n *node, o Observation) bool {
	b := o.Head
	switch {
	case b == nil || b.Hash == "" || b.Height < 0:
		m.fault(n, "empty", "It answers without a block.")
		return false
	case b.Height > heightMax:
		m.fault(n, "absurd", fmt.Sprintf("It claims height %d.", b.Height))
		return false
	}
	if p, ok := n.tree.Get(b.Parent); ok && p.Height != b.Height-1 {
		m.fault(n, "unlinked", fmt.Sprintf("It says that block %d %s follows block %d %s.", b.Height, Short(b.Hash), p.Height, Short(p.Hash)))
		return false
	}
	if have, ok := n.tree.Get(b.Hash); ok && have.Height != b.Height {
		m.fault(n, "unlinked", fmt.Sprintf("It gives block %s the heights %d and %d.", Short(b.Hash), have.Height, b.Height))
		return false
	}
	for i := 1; i < len(o.Branch); i++ {
		if p, c := o.Branch[i-1], o.Branch[i]; c.Height == p.Height+1 && c.Parent != "" && c.Parent != p.Hash {
			m.fault(n, "unlinked", fmt.Sprintf("Its header %d %s does not follow its header %d %s.", c.Height, Short(c.Hash), p.Height, Short(p.Hash)))
			return false
		}
	}
	if others, ok := m.fresh(n); ok && b.Height > others+jumpBlocks && float64(b.Height-others)*m.slot() > jumpTime && !m.linked(n, o) {
		m.fault(n, "absurd", fmt.Sprintf("It claims height %d while the others, who are at the tip of the chain, are at %d, and it shows no headers between.", b.Height, others))
		return false
	}
	if b.Time > m.now+futureTime && !m.pace.onDemand && !m.drill && !m.elsewhere(n, *b) {
		m.fault(n, "future", fmt.Sprintf("Its block %d is of %s after now: its clock is wrong, or the one here.", b.Height, dur(b.Time-m.now)))
	}
	return true
}

// watch looks at what a head was after it was taken.
func (m *Monitor) watch(n *node, b Block, c Change, rollback bool) {
	t := &n.trust
	before := t.Last
	worth := float64(c.Depth) * m.slot()
	if c.Kind == Behind && !rollback && c.Depth >= 2 && (worth >= backTime || (m.slot() == 0 && c.Depth >= 3)) {
		m.fault(n, "back", fmt.Sprintf("Its height went back by %d to %d without another branch: old answers, or several servers behind one address.", c.Depth, b.Height))
	}
	switch {
	case b.Time > t.Time:
		t.Time, t.TimeAt, t.Heads = b.Time, m.now, 0
	case c.Kind == Extends && b.Time > 0:
		if t.Heads++; t.Heads >= frozenHeads && !m.pace.onDemand && m.now-t.TimeAt >= max(frozenTime, int64(10*m.slot())) {
			m.fault(n, "frozen", fmt.Sprintf("Its height rises, but the time of its blocks has stood still for %d blocks and %s.", t.Heads, dur(m.now-t.TimeAt)))
			t.TimeAt, t.Heads = m.now, 0
		}
	}
	if t.Last == before {
		t.Good++
	}
}

// linked tells whether a head's headers lead down to a block that is known.
func (m *Monitor) linked(n *node, o Observation) bool {
	walk := make(map[string]Block, len(o.Branch))
	for _, b := range o.Branch {
		walk[b.Hash] = b
	}
	b := *o.Head
	for range len(o.Branch) + 1 {
		for _, t := range []*Tree{n.tree, m.union} {
			if p, ok := t.Get(b.Parent); ok && p.Height == b.Height-1 {
				return true
			}
		}
		p, ok := walk[b.Parent]
		if !ok || p.Height != b.Height-1 {
			return false
		}
		b = p
	}
	return false
}

// fresh gives the greatest height among the other nodes, if one of them is trusted, goes on, and has a head of now by its own time: one that
// catches up proves nothing.
func (m *Monitor) fresh(n *node) (int64, bool) {
	b := m.best
	if b == n { // the best may not vouch for itself
		b = nil
		for _, o := range m.nodes {
			if o != n && o.ok() && o.has && (b == nil || o.head.Height > b.head.Height) {
				b = o
			}
		}
	}
	late := max(120000, int64(10*m.slot()))
	if b == nil || !b.ok() || !b.has || m.slot() == 0 || m.now-b.moved > late || (b.head.Time > 0 && m.now-b.head.Time > late) {
		return 0, false
	}
	return b.head.Height, true
}

// elsewhere tells whether a node of another operator that is trusted has this block too.
func (m *Monitor) elsewhere(n *node, b Block) bool {
	for _, o := range m.nodes {
		if o.voice() != n.voice() && o.ok() && o.tree.Has(b.Hash) {
			return true
		}
	}
	return false
}

// judgeTrust tells who is not believed and why, and takes it back after ten minutes of answers in order.
func (m *Monitor) judgeTrust() {
	for _, n := range m.nodes {
		t := &n.trust
		if t.Why == "" {
			continue
		}
		key := m.key(FindingDistrusted, n.name)
		if m.now-t.Last >= trustAfter && t.Good >= trustAnswers {
			t.Why, t.Faults, m.changed = "", nil, true
			m.consider(n)
			m.clear(key, m.now, fmt.Sprintf("%d answers in a row were in order, for %s.", t.Good, dur(m.now-t.Last)))
			continue
		}
		f := m.finding(FindingDistrusted, n.name, sev4)
		f.Since = t.Since
		f.Title = fmt.Sprintf("%s: node %s is not trusted", m.cfg.Chain, n.name)
		f.Reason = t.Why + " What it says does not count until it was in order for 10 min."
		if !m.anyTrusted() {
			f.Severity = sev3
			f.Reason += " No other node is left: the chain is not being watched."
		}
		m.fire(f, map[string]any{"node": n.name, "faults": t.Faults, "head": n.head.Ref()}, false)
	}
}

func (m *Monitor) anyTrusted() bool {
	for _, n := range m.nodes {
		if n.trusted() && n.state != Down && n.state != WrongChain {
			return true
		}
	}
	return false
}

// believeFinality refuses a finalized block above the node's own head.
func (m *Monitor) believeFinality(n *node, f Finality) bool {
	if n.has && max(f.Safe, f.Finalized) > n.head.Height+finalAhead {
		m.fault(n, "finality", fmt.Sprintf("It calls block %d final, but its head is %d.", max(f.Safe, f.Finalized), n.head.Height))
		return false
	}
	return true
}
