package chain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	waitDefault = 120000 // ms until what nobody confirms is given out once more
	revertHold  = 10000  // ms that a node must be back on the old branch before its reorg is called reverted
	seenKept    = 32     // nodes named in a finding
)

// wait is how long a finding waits for a second node. A chain whose nodes are of one operator has nobody to wait for: a quarter is left for it to
// take back what it said.
func (m *Monitor) wait() int64 {
	w := m.cfg.Wait
	if w <= 0 {
		w = waitDefault
	}
	if len(m.opers) == 1 {
		w /= 4
	}
	return w
}

// voice is what a node's word counts as: all nodes of one operator are one.
func (n *node) voice() string { return strings.ToLower(n.operator) }

// operator is who runs the named node, as it was written.
func (m *Monitor) operator(name string) string {
	if n := m.node(name); n != nil {
		return n.operator
	}
	return name
}

// voices counts the operators of the named nodes.
func (m *Monitor) voices(names []string) int {
	seen := map[string]bool{}
	for _, name := range names {
		if n := m.node(name); n != nil {
			name = n.voice()
		}
		seen[name] = true
	}
	return len(seen)
}

// verdict is what the voices that show a finding and others that were asked make of it.
func verdict(voices, asked int) Verification {
	switch {
	case voices >= 2:
		return Confirmed
	case asked > 0:
		return OneNode
	}
	return Unverifiable
}

// witness tells whether a node's not showing something counts: it is believed, has answered lately and does not stand still itself.
func (m *Monitor) witness(n *node) bool {
	if !n.ok() || !n.has || (!m.cfg.Recorded && m.now-n.asked >= 2*silentAfter) {
		return false
	}
	return m.open[m.key(FindingHalted, n.name)] == nil
}

// verify sets who has seen a finding, of whom asked others could have. Two nodes of one operator are one voice: then the second was asked too.
func (m *Monitor) verify(f *Finding, seen []string, asked int) {
	f.Verification = verdict(m.voices(seen), asked+max(len(seen)-1, 0))
	slices.Sort(seen)
	f.Seen = seen[:min(len(seen), seenKept)]
}

// carry says what of an open finding's verification stays true of its update: what was confirmed stays so unless it became worse, and what
// has waited does not wait again.
func carry(have, f Finding) (Verification, []string) {
	switch {
	case !f.Verification.Held():
	case have.Verification == Confirmed && f.Severity >= have.Severity:
		return Confirmed, have.Seen
	case have.Verification == Waited:
		return Waited, f.Seen
	}
	return f.Verification, f.Seen
}

// standing is a verification as far as its change is worth telling at once: whether there is no second node, or one that does not show it, is not.
func standing(v Verification) Verification {
	if v.Held() {
		return OneNode
	}
	return v
}

// overdue gives out once more what nobody has confirmed within the wait.
func (m *Monitor) overdue() {
	for _, k := range slices.Sorted(maps.Keys(m.open)) {
		f := m.open[k]
		if !f.Verification.Held() || m.now-m.first[k] < m.wait() {
			continue
		}
		g := *f
		g.Reason = m.unvoiced(g)
		g.At, g.Verification = m.now, Waited
		g.Reason += m.voiced(g)
		m.open[k], m.told[k] = &g, m.now
		m.out = append(m.out, g)
	}
}

// fire opens or updates a finding as ledger.fire does. What was confirmed of it stays so, it keeps the score that was furthest beyond its bound, so
// that it does not become weak while it calms down, and its reason ends with who else shows it.
func (m *Monitor) fire(f Finding, evidence any, urgent bool) {
	if have, ok := m.open[f.Key]; ok {
		f.Verification, f.Seen = carry(*have, f)
		if have.Bound > 0 && have.Score*f.Bound < f.Score*have.Bound {
			f.Score, f.Bound = have.Score, have.Bound
		}
	}
	f.Reason += m.voiced(f)
	m.ledger.fire(f, evidence, urgent)
}

// voiced is the sentence on who else shows a finding, with the blank before it; "" when it is confirmed, or nothing is to be.
func (m *Monitor) voiced(f Finding) string {
	two := f.Kind == FindingDivergence // of these, both sides are known: a third has to say which stands
	one := ""                          // whose word it is alone
	if len(f.Seen) > 1 && m.voices(f.Seen) == 1 {
		one = map[bool]string{true: "both are of ", false: "all are of "}[len(f.Seen) == 2] + m.operator(f.Seen[0])
	}
	switch v := f.Verification; {
	case v == OneNode && two && len(f.Seen) > 2:
		return " " + m.alike(f) + " No third operator shows either branch so far."
	case v == OneNode && two:
		return " No third node shows either branch so far."
	case v == Unverifiable && two:
		return " There is no third node to ask which branch stands."
	case v == OneNode && one != "":
		return " " + list(f.Seen) + " show it so far, but " + one + ": that is one voice."
	case v == OneNode && len(f.Seen) == 1:
		return " Only " + f.Seen[0] + " shows it so far."
	case v == OneNode && len(f.Seen) > 1:
		return " Only " + list(f.Seen) + " show it so far."
	case v == OneNode:
		return " No second node shows it so far."
	case v == Unverifiable && len(f.Seen) == 1:
		return " Only " + f.Seen[0] + " shows it so far; no other could be asked."
	case v == Unverifiable:
		return " No second node could be asked so far."
	case v == Waited && two && len(f.Seen) > 2:
		return " " + m.alike(f) + " No third operator has confirmed it within " + span(m.wait()) + "."
	case v == Waited && one != "":
		return " " + list(f.Seen) + " show it, but " + one + "; no second operator has confirmed it within " + span(m.wait()) + "."
	case v == Waited && two:
		return " No third node has confirmed it within " + span(m.wait()) + "."
	case v == Waited && len(f.Seen) > 1:
		return " The other nodes have not confirmed it within " + span(m.wait()) + "."
	case v == Waited:
		return " No second node has confirmed it within " + span(m.wait()) + "."
	}
	return ""
}

// alike says of the nodes that show a side of a divergence beside the two that differ whose they are, so that they are no third voice.
func (m *Monitor) alike(f Finding) string {
	a, b, _ := strings.Cut(f.Subject, "~")
	out := ""
	for _, name := range f.Seen {
		n := m.node(name)
		if n == nil || name == a || name == b {
			continue
		}
		for _, side := range []string{a, b} {
			if s := m.node(side); s != nil && s.voice() == n.voice() {
				out = fmt.Sprintf("%s shows one of them too, but is of %s, as %s is.", name, n.operator, side)
				break
			}
		}
	}
	return out
}

// unvoiced is a finding's reason without that sentence.
func (m *Monitor) unvoiced(f Finding) string { return strings.TrimSuffix(f.Reason, m.voiced(f)) }

// span writes a duration that somebody chose.
func span(ms int64) string {
	if ms >= 60000 && ms%60000 == 0 {
		return fmt.Sprintf("%d min", ms/60000)
	}
	return dur(ms)
}

// waiting tells whether a finding still waits for a second node: it does not end before that, unless it was taken back.
func (m *Monitor) waiting(key string) bool {
	f := m.open[key]
	return f != nil && f.Verification.Held() && m.now-m.first[key] < m.wait()
}

// showing lists the nodes that show a reorg: they left the old branch and are not on it again, or are on the new one. Asked is how many
// others could show it and do not.
func (m *Monitor) showing(r *reorg) (seen []string, asked int) {
	told := map[string]bool{}
	for _, name := range r.view.Nodes {
		told[name] = true
	}
	for _, n := range m.nodes {
		switch {
		case !n.ok() || !n.has:
		case len(r.new) > 0 && onBranch(n, r.new, r.view.New), told[n.name] && !onBranch(n, r.old, r.view.Old):
			seen = append(seen, n.name)
		case m.witness(n):
			asked++
		}
	}
	return seen, asked
}

// takenBack tells whether every node that told of a reorg is on the old branch again, and nobody else ever showed the new one.
func (m *Monitor) takenBack(r *reorg) bool {
	f := m.open[r.key]
	if f == nil || f.Verification == Confirmed {
		return false
	}
	back := 0
	for _, name := range r.view.Nodes {
		n := m.node(name)
		switch {
		case n == nil || !n.ok():
		case onBranch(n, r.old, r.view.Old):
			back++
		default:
			return false
		}
	}
	return back > 0
}

// toldByNobody tells whether a reorg that was never confirmed rests on nodes only that are no longer believed.
func (m *Monitor) toldByNobody(r *reorg) bool {
	f := m.open[r.key]
	if f == nil || f.Verification == Confirmed || len(r.view.Nodes) == 0 {
		return false
	}
	for _, name := range r.view.Nodes {
		if n := m.node(name); n == nil || n.trusted() {
			return false
		}
	}
	return true
}
