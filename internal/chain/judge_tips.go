package chain

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

const (
	headersOnlyAt = 3
	announcedKept = 64 // branches; more, and the lowest goes
)

// announced is a branch whose headers somebody announces and whose blocks nobody shows, named by the height it leaves the chain at: its tip grows.
type announced struct {
	Tip   Tip               `json:"tip"`
	At    int64             `json:"at"`
	Nodes map[string]string `json:"nodes"`          // who has it, and the hash of the tip there
	Over  int64             `json:"over,omitempty"` // when it ended; it is remembered for an hour, since then its blocks may come
}

// applyTips looks for the early sign of an attack: somebody announces the headers of a long branch and shows no blocks of it. Status
// headers-only of getchaintips says so; a node lists tips years old, so only those near the head count.
func (m *Monitor) applyTips(n *node, tips []Tip) {
	for _, t := range tips {
		fork := strconv.FormatInt(t.Height-t.Branch, 10)
		if t.Status != "headers-only" {
			for _, k := range slices.Sorted(maps.Keys(m.announced)) {
				if m.announced[k].Nodes[n.name] == t.Hash {
					m.unannounce(k, n.name, "The node now calls this tip "+t.Status+".")
				}
			}
			continue
		}
		if t.Branch < headersOnlyAt || !n.has || !n.ok() || t.Hash == "" || t.Height > heightMax || t.Height < n.head.Height-t.Branch-144 {
			continue
		}
		a := m.announced[fork]
		if a == nil || a.Over > 0 {
			a = &announced{Tip: t, At: m.now, Nodes: map[string]string{}}
			if len(m.announced) >= announcedKept {
				low := slices.Sorted(maps.Keys(m.announced))[0]
				m.unannounce(low, "", "Too many other branches are announced.")
				delete(m.announced, low)
			}
			m.announced[fork] = a
		}
		if t.Height >= a.Tip.Height {
			a.Tip = t
		}
		a.Nodes[n.name], m.changed = t.Hash, true
		m.fireTip(fork, a)
	}
}

func (m *Monitor) fireTip(fork string, a *announced) {
	t := a.Tip
	f := m.finding(FindingHeadersOnly, "above-"+fork, sev3)
	f.Subject, f.Since = m.cfg.Chain, a.At
	f.Title = fmt.Sprintf("%s: a branch of %d blocks is announced that nobody shows", m.cfg.Chain, t.Branch)
	names := slices.Sorted(maps.Keys(a.Nodes))
	best := int64(-1)
	asked := 0
	for _, n := range m.nodes {
		if n.has && n.ok() {
			best = max(best, n.head.Height)
		}
		if a.Nodes[n.name] == "" && m.witness(n) {
			asked++
		}
	}
	who := "Node " + list(names) + " has"
	if len(names) > 1 {
		who = "Nodes " + list(names) + " have"
	}
	f.Reason = fmt.Sprintf("%s the headers of a branch of %d blocks up to height %d (%s), but not its blocks; the head is %d.", who, t.Branch, t.Height, Short(t.Hash), best)
	cost := 0.0
	if m.mined() {
		cost = m.costOf(t.Branch)
	}
	f.Reason += m.money(cost)
	open, _ := m.openDeposits()
	m.verify(&f, names, asked)
	m.fire(f, map[string]any{"nodes": names, "tip": t, "head": best, "cost_usd": cost, "open_deposits_usd": open}, false)
}

// unannounce ends what a node announced; the finding ends with the last one. No name: all of them.
func (m *Monitor) unannounce(fork, name, reason string) {
	a := m.announced[fork]
	delete(a.Nodes, name)
	if name != "" && len(a.Nodes) > 0 {
		return
	}
	a.Over = m.now
	m.clear(m.key(FindingHeadersOnly, "above-"+fork), m.now, reason)
}

// judgeTips ends announced branches that the chain has left behind.
func (m *Monitor) judgeTips() {
	if len(m.announced) == 0 || m.best == nil {
		return
	}
	for _, fork := range slices.Sorted(maps.Keys(m.announced)) {
		a := m.announced[fork]
		if a.Over > 0 {
			if m.now-a.Over > 3600000 {
				delete(m.announced, fork)
			}
			continue
		}
		if over := m.best.head.Height - a.Tip.Height; over >= clearAtLeast {
			m.unannounce(fork, "", fmt.Sprintf("The chain is at %d, %d blocks above the announced branch.", m.best.head.Height, over))
		}
	}
}

// list writes names for people: at most eight of them.
func list(names []string) string {
	out := ""
	for i, s := range names {
		if i == 8 && len(names) > 9 {
			return out + fmt.Sprintf(" and %d more", len(names)-8)
		}
		if i > 0 {
			out += ", "
		}
		out += s
	}
	return out
}
