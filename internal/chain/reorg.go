package chain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// reorg is one reorganisation of the chain, seen by one or more nodes. Reorgs from the same ancestor are one: flips between two branches
// are counted, not listed.
type reorg struct {
	key      string
	view     ReorgView
	old, new []Block
	flips    int
	top      int64 // height of the higher tip when it happened
	clearAt  int64 // height at which the finding ends
	past     string
	floor    int64 // of the broken promise: the safe or finalized height
	open     bool
	seen     []sighting
	signs    []sign // of an attack
}

type sighting struct {
	Node    string `json:"node"`
	At      int64  `json:"at"`
	Depth   int    `json:"depth"`
	AtLeast bool   `json:"at_least,omitempty"`
	Old     Ref    `json:"old"`
	New     Ref    `json:"new"`
}

const (
	reorgsKept   = 32
	branchKept   = 48 // headers of one branch in the evidence
	depthsEnough = 100
	clearAtLeast = 6
	clearAtMost  = 64
	reorgLife    = 60000  // ms that a reorg is told for at least: on a fast chain six blocks are over in a moment
	witnessFor   = 120000 // ms after a reorg in which the word of the other nodes is kept up to date
)

// routine is the reorg depth of daily life: the configured one, or the 99th percentile of at least a hundred observed depths, never less
// than configured and never more than twice that: an attack must not teach the alarm to be quiet.
func (m *Monitor) routine() int {
	if m.cfg.Family == Comet {
		return 0 // a block is final: any reorganisation, any second block at one height, is a fork
	}
	r := m.cfg.Routine
	if len(m.depths) >= depthsEnough {
		s := slices.Clone(m.depths)
		slices.Sort(s)
		r = min(max(r, s[len(s)*99/100]), 2*r)
	}
	return r
}

// depthSeverity: deeper than routine SEV3, three times SEV2, six times SEV1. With known confirmations half of them is SEV2, all of them SEV1.
func (m *Monitor) depthSeverity(depth int) string {
	r, c := m.routine(), m.cfg.Confirmations
	switch {
	case depth >= 6*r || (c > 0 && depth >= c):
		return sev1
	case depth >= 3*r || (c > 0 && depth*2 >= c && depth > r):
		return sev2
	}
	return sev3
}

func (m *Monitor) addReorg(n *node, c Change) {
	m.sample("tocsin_chain_reorg_depth", n, float64(c.Depth))
	subject := "from-" + Short(c.Ancestor.Hash)
	if c.AtLeast && c.Ancestor.Hash == "" {
		low := c.New.Hash
		if len(c.Adopted) > 0 {
			low = c.Adopted[0].Hash
		}
		subject = "unknown-" + Short(low)
	}
	key := m.key(FindingReorg, subject)
	var r *reorg
	for _, have := range m.reorgs {
		if have.key == key || have.sameAs(c) {
			r = have
		}
	}
	if r == nil {
		r = &reorg{key: key, view: ReorgView{At: m.now, Ancestor: c.Ancestor, AtLeast: c.AtLeast}}
		m.reorgs = append(m.reorgs, r)
		if len(m.reorgs) > reorgsKept {
			m.reorgs = slices.Clone(m.reorgs[len(m.reorgs)-reorgsKept:])
		}
	} else if len(r.new) > 0 && len(c.Dropped) > 0 && r.new[0].Hash == c.Dropped[0].Hash {
		r.flips++
		if f := m.open[r.key]; r.open && f != nil && f.Verification != Confirmed && r.returns(c) {
			m.fault(n, "flip", fmt.Sprintf("It goes to and fro between two branches above block %d: answers of different servers.", r.view.Ancestor.Height))
			return // it takes back what only it had said
		}
	}
	deeper := c.Depth > r.view.Depth
	if c.Depth >= r.view.Depth || (r.view.AtLeast && !c.AtLeast) {
		r.view.Depth, r.view.AtLeast, r.view.Old = c.Depth, c.AtLeast, c.Old
		r.old = c.Dropped
		if !c.AtLeast {
			r.view.Ancestor = c.Ancestor
		}
	}
	r.view.New, r.new = c.New, c.Adopted
	if !slices.Contains(r.view.Nodes, n.name) {
		r.view.Nodes = append(r.view.Nodes, n.name)
		if len(r.view.Nodes) == 1 && !c.AtLeast {
			m.depths = append(m.depths, c.Depth)
			if len(m.depths) > 1000 {
				m.depths = slices.Clone(m.depths[len(m.depths)-1000:])
			}
		}
	}
	if len(r.seen) < 32 {
		r.seen = append(r.seen, sighting{n.name, m.now, c.Depth, c.AtLeast, c.Old, c.New})
	}
	further := min(max(2*r.view.Depth, clearAtLeast), clearAtMost)
	r.top = max(r.view.Old.Height, r.view.New.Height)
	r.clearAt = r.top + int64(further)
	low := r.view.Old.Height - int64(r.view.Depth) // height of the ancestor, or above it
	for _, o := range m.nodes {
		if !o.trusted() {
			continue
		}
		if o.final > low && o.final > 0 && r.past != "finalized" {
			r.past, r.floor = "finalized", o.final
		} else if o.safe > low && o.safe > 0 && r.past == "" {
			r.past, r.floor = "safe", o.safe
		}
	}
	r.view.Routine = r.view.Depth <= m.routine() && r.past == "" && (m.cfg.Confirmations == 0 || r.view.Depth < m.cfg.Confirmations)
	if !r.view.Routine {
		r.open = true
		f := m.open[r.key]
		if f == nil || len(m.nodes) <= pairsUpTo || f.Verification != Confirmed || deeper {
			m.fireReorg(r, true)
		}
		m.judgeSigns(n, r, c)
	}
	m.changed = true
}

// sameAs recognises a reorg that another node came to from a different tip, or that was first seen without its ancestor.
func (r *reorg) sameAs(c Change) bool {
	if len(r.new) == 0 || len(c.Adopted) == 0 {
		return false
	}
	if r.view.AtLeast || c.AtLeast {
		for _, b := range c.Adopted {
			if b.Hash == r.new[0].Hash || b.Hash == r.view.New.Hash {
				return true
			}
		}
		return false
	}
	return r.view.Ancestor == c.Ancestor && r.new[0].Hash == c.Adopted[0].Hash
}

// returns tells whether a node goes back to the branch that had left.
func (r *reorg) returns(c Change) bool {
	for _, b := range c.Adopted {
		if b.Hash == r.view.Old.Hash || (len(r.old) > 0 && b.Hash == r.old[0].Hash) {
			return true
		}
	}
	return false
}

// grow adds to the new branch what is built on it, so that the evidence holds both branches.
func (m *Monitor) grow(n *node, b Block) {
	for _, r := range m.reorgs {
		tip := r.view.Ancestor
		if k := len(r.new); k > 0 {
			tip = r.new[k-1].Ref()
		}
		if !r.open || b.Parent != tip.Hash || len(r.new) >= branchKept {
			continue
		}
		r.new = append(r.new[:len(r.new):len(r.new)], b)
		if len(r.new) == 1 { // it had only gone back
			r.view.New = b.Ref()
			m.fireReorg(r, true)
		}
		if len(r.new) >= minerBlocks && m.now-r.view.At <= lateWithin { // the branch is told block by block
			m.judgeSigns(n, r, Change{Kind: Reorg, Adopted: r.new, Dropped: r.old})
		}
	}
}

func (m *Monitor) fireReorg(r *reorg, urgent bool) {
	v := r.view
	f := m.finding(FindingReorg, strings.TrimPrefix(r.key, m.key(FindingReorg, "")+"/"), m.depthSeverity(v.Depth))
	f.Subject, f.Since = m.cfg.Chain, v.At
	atLeast := ""
	if v.AtLeast {
		atLeast = "at least "
	}
	f.Title = fmt.Sprintf("%s: reorg of %s%d %s", m.cfg.Chain, atLeast, v.Depth, plural(v.Depth, "block"))
	if v.Ancestor.Height < 0 && !v.AtLeast {
		m.fireReset(f, r)
		return
	}
	if r.past != "" {
		f.Severity = sev1
		f.Title += fmt.Sprintf(", past the %s block", r.past)
	}
	if v.AtLeast {
		f.Reason = fmt.Sprintf("At least %d blocks up to %d %s left the chain; the branches were not followed down to a common block. ", v.Depth, v.Old.Height, Short(v.Old.Hash))
	} else {
		f.Reason = fmt.Sprintf("%s %d to %d left the chain above their common ancestor %d %s. ", upper(plural(v.Depth, "block")), v.Ancestor.Height+1, v.Old.Height, v.Ancestor.Height, Short(v.Ancestor.Hash))
		if v.Depth == 1 {
			f.Reason = fmt.Sprintf("Block %d left the chain above the common ancestor %d %s. ", v.Old.Height, v.Ancestor.Height, Short(v.Ancestor.Hash))
		}
	}
	if len(r.new) > 0 {
		f.Reason += fmt.Sprintf("The new head is %d %s. ", v.New.Height, Short(v.New.Hash))
	} else {
		f.Reason += "The node went back; no new branch was seen yet. "
	}
	f.Reason += fmt.Sprintf("Depth up to %d is routine here. ", m.routine())
	if r.past != "" {
		f.Reason += fmt.Sprintf("Block %d had been called %s. ", r.floor, r.past)
	}
	switch c := m.cfg.Confirmations; {
	case c > 0 && v.Depth >= c:
		f.Reason += fmt.Sprintf("Deposits are credited after %d confirmations: stop credits. ", c)
	case r.past == "finalized":
		f.Reason += "Nothing can be credited until it is known which branch holds: stop credits. "
	case c > 0 && 2*v.Depth >= c:
		f.Reason += fmt.Sprintf("That is half or more of the %d confirmations after which deposits are credited. ", c)
	}
	if r.flips > 0 {
		f.Reason += fmt.Sprintf("The new branch was left again, %d %s. ", r.flips, plural(r.flips, "time"))
	}
	said, others := m.witnesses(r)
	f.Reason += said
	seen, asked := m.showing(r)
	m.verify(&f, seen, asked)
	m.fire(f, map[string]any{"depth": v.Depth, "at_least": v.AtLeast, "ancestor": v.Ancestor, "old_tip": v.Old, "new_tip": v.New,
		"old": clip(r.old), "new": clip(r.new), "old_known": len(r.old), "new_known": len(r.new), "seen": r.seen, "others": others,
		"routine": m.routine(), "confirmations": m.cfg.Confirmations, "past": r.past, "promised_height": r.floor}, urgent)
}

// fireReset tells of a node whose very first block is another one.
func (m *Monitor) fireReset(f Finding, r *reorg) {
	said, others := m.witnesses(r)
	f.Severity, f.Title = sev3, m.cfg.Chain+": a node has another first block"
	f.Reason = fmt.Sprintf("The chain up to %d is gone, its first block too; the head is %d now. The node was reset, or it serves another network with the same id. %s", r.view.Old.Height, r.view.New.Height, said)
	seen, asked := m.showing(r)
	m.verify(&f, seen, asked)
	m.fire(f, map[string]any{"old_tip": r.view.Old, "new_tip": r.view.New, "old": clip(r.old), "new": clip(r.new), "seen": r.seen, "others": others}, true)
}

// witnesses says which nodes saw it, and what the others have to say; of many nodes, how many say what.
func (m *Monitor) witnesses(r *reorg) (string, map[string]string) {
	others, told := map[string]string{}, map[string]bool{}
	for _, name := range r.view.Nodes {
		told[name] = true
	}
	s := fmt.Sprintf("Seen by %d of %d nodes (%s)", len(r.view.Nodes), len(m.nodes), list(r.view.Nodes))
	count := map[string]int{}
	for _, n := range m.nodes {
		if told[n.name] {
			continue
		}
		what := "has neither branch"
		tip, _ := n.tree.Tip()
		switch {
		case !n.trusted():
			what = "is not trusted"
		case !n.ok() || !n.has:
			what = "could not be asked"
		case len(r.new) > 0 && onBranch(n, r.new, r.view.New):
			what = "is on the new branch and was not seen on the old one"
		case onBranch(n, r.old, r.view.Old):
			what = "is still on the old branch"
		case !r.view.AtLeast && tip.Height <= r.view.Ancestor.Height:
			what = "has not come so far"
		}
		count[what]++
		if len(others) < seenKept {
			others[n.name] = what
		}
		if len(m.nodes) <= pairsUpTo {
			s += "; " + n.name + " " + what
		}
	}
	if len(m.nodes) > pairsUpTo {
		for _, what := range slices.Sorted(maps.Keys(count)) {
			s += fmt.Sprintf("; of %d others each %s", count[what], what)
		}
	}
	return s + ".", others
}

func onBranch(n *node, branch []Block, tip Ref) bool {
	if len(branch) > 0 {
		tip = branch[0].Ref()
	}
	b, ok := n.tree.At(tip.Height)
	return ok && b.Hash == tip.Hash
}

// judgeReorgs keeps the word of the other nodes up to date, and ends a reorg when enough was built on top and its time of waiting is over, or when
// the only node that told of it takes it back or is not believed any more.
func (m *Monitor) judgeReorgs() {
	for _, r := range m.reorgs {
		if !r.open {
			continue
		}
		if m.held("reverted/"+r.key, m.takenBack(r), m.now, revertHold) {
			m.endReorg(r, fmt.Sprintf("Observed, since reverted: %s went back to the old branch, and no second node ever showed the new one.", strings.Join(r.view.Nodes, ", ")))
			continue
		}
		if m.toldByNobody(r) {
			m.endReorg(r, fmt.Sprintf("Only %s told of it, which is not trusted any more.", strings.Join(r.view.Nodes, ", ")))
			continue
		}
		if m.best != nil && m.best.head.Height >= r.clearAt && m.now-r.view.At >= reorgLife && !m.waiting(r.key) {
			reason := fmt.Sprintf("%d further blocks were built since: the head is %d.", m.best.head.Height-r.top, m.best.head.Height)
			if b, ok := m.best.tree.At(r.view.Old.Height); ok && b.Hash == r.view.Old.Hash {
				reason += " The old branch is the chain again."
			}
			m.endReorg(r, reason)
			continue
		}
		f := m.open[r.key]
		if f == nil {
			continue
		}
		if f.Verification != Confirmed {
			if seen, _ := m.showing(r); m.voices(seen) > 1 {
				m.fireReorg(r, true)
				if len(r.signs) > 0 {
					m.fireAttack(r)
				}
				continue
			}
		}
		if m.now-r.view.At > witnessFor {
			continue // who goes away or comes back later has nothing more to say about it
		}
		if said, _ := m.witnesses(r); !strings.HasSuffix(m.unvoiced(*f), said) {
			m.fireReorg(r, len(m.nodes) <= pairsUpTo)
		}
	}
}

func (m *Monitor) endReorg(r *reorg, reason string) {
	r.open = false
	m.clear(m.key(FindingAttack, strings.TrimPrefix(r.key, m.key(FindingReorg, "")+"/")), m.now, reason)
	m.held("reverted/"+r.key, false, m.now, 0)
	m.clear(r.key, m.now, reason)
}

func clip(b []Block) []Block {
	if len(b) > branchKept {
		return append(slices.Clone(b[:branchKept/2]), b[len(b)-branchKept/2:]...)
	}
	return b
}
