package chain

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// FindingAttack is the kind of finding that a branch bears the signs of a 51 % attack.
const FindingAttack = "attack"

const (
	lateBlocks  = 3      // blocks of a branch that arrive together ...
	lateWithin  = 10000  // ... within so many ms ...
	lateSpan    = 120000 // ... and were made over so many ms, at least
	lateSlots   = 2      // ... and over so many intervals
	minerBlocks = 3      // blocks of a branch by one miner ...
	minerChance = 1e-3   // ... less likely than this by its share before
	minerPast   = 144    // blocks that the share is taken from
	attackDay   = 24 * 3600000
)

// sign is one reason to take a branch for an attack.
type sign struct {
	Name  string  `json:"name"`
	Text  string  `json:"text"`
	Score float64 `json:"score,omitempty"` // probability if all were normal; 0 = by rule
}

// The signs.
const (
	signLate     = "late"     // built in private, then published at once
	signMiner    = "miner"    // every block by one miner
	signAnnounce = "headers"  // its headers were announced before
	signAgain    = "again"    // not the first deep reorg of the day
	signCheap    = "cheap"    // costs less than what is open
	signDeep     = "deposits" // reaches the confirmations of deposits
)

// judgeSigns looks at the branch a node went over to for what the known attacks had in common: ETC and BTG 2018 to 2020, VTC 2019 (branches
// mined in private for hours and published within seconds, all by one miner, repeated within days). Slots have no hash power to rent, so
// only chains without them are judged. A node that was away itself, or whose own head is old, proves nothing.
func (m *Monitor) judgeSigns(n *node, r *reorg, c Change) {
	m.pace.judge()
	if !m.mined() || r.view.Routine && r.view.Depth < minerBlocks {
		return
	}
	if s, ok := m.late(n, c); ok {
		r.sign(s)
	}
	if s, ok := m.oneMiner(n, c); ok {
		r.sign(s)
	}
	if len(r.signs) > 0 {
		m.fireAttack(r)
	}
}

// mined tells whether hash power decides on this chain, as far as known.
func (m *Monitor) mined() bool {
	slots := m.net.Regular || (m.net.Name == "" && m.pace.slots)
	return (m.cfg.Family == EVM || m.cfg.Family == Bitcoin) && !slots && !m.pace.onDemand
}

func (r *reorg) sign(s sign) {
	for i := range r.signs {
		if r.signs[i].Name == s.Name {
			r.signs[i] = s
			return
		}
	}
	r.signs = append(r.signs, s)
}

// late: the blocks came within seconds, but their headers span much longer, while the node followed the old branch as it grew.
func (m *Monitor) late(n *node, c Change) (sign, bool) {
	var came []Block
	for _, b := range c.Adopted {
		if b.Time > 0 && (b.SeenAt == 0 || m.now-b.SeenAt <= lateWithin) && !m.seenBefore(n, b) {
			came = append(came, b)
		}
	}
	if len(came) < lateBlocks || len(c.Dropped) == 0 {
		return sign{}, false
	}
	span := came[len(came)-1].Time - came[0].Time
	last := c.Dropped[len(c.Dropped)-1].SeenAt
	slot := m.slot()
	switch {
	case span < max(lateSpan, int64(lateSlots*slot)):
		return sign{}, false
	case last == 0 || float64(m.now-last) > max(6*slot, lateSpan) || n.stated > came[0].Time: // it may have been away
		return sign{}, false
	}
	return sign{Name: signLate, Text: fmt.Sprintf("%d blocks came within %d s, but their headers say that they were made over %s: the branch was kept back.", len(came), lateWithin/1000, dur(span))}, true
}

// seenBefore tells whether another node had the block more than a moment ago.
func (m *Monitor) seenBefore(n *node, b Block) bool {
	have, ok := m.union.Get(b.Hash)
	return ok && have.SeenAt > 0 && m.now-have.SeenAt > lateWithin
}

// oneMiner: all blocks of the branch by one miner, whose share of the blocks before makes that unlikely.
func (m *Monitor) oneMiner(n *node, c Change) (sign, bool) {
	if len(c.Adopted) < minerBlocks {
		return sign{}, false
	}
	who := ""
	for i, b := range c.Adopted {
		if have, ok := n.tree.Get(b.Hash); ok {
			b = have // by the names that this node gives: another may name the same makers otherwise
		}
		if i == 0 {
			who = b.Miner
		}
		if b.Miner == "" || b.Miner != who {
			return sign{}, false
		}
	}
	mine, all := 0, 0
	for b, ok := n.tree.Get(c.Adopted[0].Parent); ok && all < minerPast; b, ok = n.tree.Get(b.Parent) {
		if b.Miner != "" {
			all++
			if b.Miner == who {
				mine++
			}
		}
	}
	p := math.Pow(float64(mine+1)/float64(all+2), float64(len(c.Adopted)))
	if p >= minerChance {
		return sign{}, false
	}
	name := who
	if len(name) > 20 { // an address; pools have names
		name = Short(who)
	}
	return sign{signMiner, fmt.Sprintf("All %d blocks of the branch are by %s, who made %d of the %d before.", len(c.Adopted), name, mine, all), p}, true
}

// fireAttack opens or updates the finding of a branch that bears signs.
func (m *Monitor) fireAttack(r *reorg) {
	subject := strings.TrimPrefix(r.key, m.key(FindingReorg, "")+"/")
	signs := slices.Clone(r.signs)
	for _, a := range m.announced {
		if fork := a.Tip.Height - a.Tip.Branch; !r.view.AtLeast && fork == r.view.Ancestor.Height {
			signs = append(signs, sign{Name: signAnnounce, Text: fmt.Sprintf("Its headers were announced %s before its blocks.", dur(m.now-a.At))})
		}
	}
	before := 0
	for _, o := range m.reorgs {
		if o != r && !o.view.Routine && o.view.Depth >= minerBlocks && m.now-o.view.At < attackDay {
			before++
		}
	}
	if before > 0 {
		signs = append(signs, sign{Name: signAgain, Text: fmt.Sprintf("There %s %d other deep %s in the last 24 h.", map[bool]string{true: "was", false: "were"}[before == 1], before, plural(before, "reorg"))})
	}
	c, deep := m.cfg.Confirmations, false
	if c > 0 && 2*r.view.Depth >= c {
		deep = r.view.Depth >= c
		signs = append(signs, sign{Name: signDeep, Text: fmt.Sprintf("It takes back %d of the %d confirmations after which deposits are credited.", min(r.view.Depth, c), c)})
	}
	open, known := m.openDeposits()
	cost, money := m.cost(r), "What such a branch costs is not known: there is no hash rate or rental price."
	switch {
	case cost > 0 && known:
		money = fmt.Sprintf("By rented hash power it costs about %s; deposits of %s are open.", dollars(cost), dollars(open))
		if cost < open {
			signs = append(signs, sign{Name: signCheap, Text: money})
			money = ""
		}
	case cost > 0:
		money = fmt.Sprintf("By rented hash power it costs about %s; how much is open in deposits is not known.", dollars(cost))
	}
	f := m.finding(FindingAttack, subject, sev3)
	switch {
	case len(signs) > 1 && deep:
		f.Severity = sev1
	case len(signs) > 1:
		f.Severity = sev2
	}
	f.Subject, f.Since = m.cfg.Chain, r.view.At
	f.Title = m.cfg.Chain + ": a branch bears the signs of a 51 % attack"
	f.Score = 1
	for _, s := range signs {
		f.Reason += s.Text + " "
		if s.Score > 0 {
			f.Score *= s.Score
		}
	}
	if f.Score == 1 {
		f.Score = 0
	}
	f.Reason = strings.TrimSpace(f.Reason + money)
	seen, asked := m.showing(r)
	m.verify(&f, seen, asked)
	m.fire(f, map[string]any{"signs": signs, "ancestor": r.view.Ancestor, "depth": r.view.Depth, "old_tip": r.view.Old, "new_tip": r.view.New,
		"new": clip(r.new), "cost_usd": cost, "open_deposits_usd": open, "hash_price": m.cfg.HashPrice}, false)
}
