package chain

import (
	"cmp"
	"fmt"
	"slices"
)

const (
	depositsFor = 10 * 60000 // ms that a told sum of open deposits holds
	minersMost  = 256        // of one observation
	minerLength = 96         // bytes of a miner's name
	shareEnough = minerPast / 4
)

// deposits is the last told sum of what could be taken back, when Config has none.
type deposits struct {
	USD float64 `json:"usd"`
	At  int64   `json:"at"`
}

// openDeposits gives the dollars that could be taken back; false when it is not known, or was told more than ten minutes ago.
func (m *Monitor) openDeposits() (float64, bool) {
	if m.cfg.OpenDeposits > 0 {
		return m.cfg.OpenDeposits, true
	}
	return m.deposits.USD, m.deposits.At > 0 && m.now-m.deposits.At <= depositsFor
}

// hashRate is the median of what the nodes in use tell, the lower of two: one of them that lies moves it little. 0 = not known.
func (m *Monitor) hashRate() float64 {
	var all []float64
	for _, n := range m.nodes {
		if n.ok() && n.hashRate > 0 {
			all = append(all, n.hashRate)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)-1)/2]
}

// costOf is what so many blocks cost by rented hash power, in dollars; 0 = not known. It is the whole network's power for their time: who
// rents that much makes half of the blocks from then on.
func (m *Monitor) costOf(blocks int64) float64 {
	m.pace.judge()
	return m.hashRate() * m.cfg.HashPrice * float64(max(blocks, 0)) * m.slot() / 86400000
}

// cost is what the branch cost by rented hash power, in dollars; 0 = not known.
func (m *Monitor) cost(r *reorg) float64 {
	blocks := r.view.New.Height - r.view.Ancestor.Height
	if r.view.AtLeast {
		blocks = int64(len(r.new))
	}
	return m.costOf(blocks)
}

// price is what taking back a credited deposit would cost: as many blocks as there are confirmations. 0 = not known, or nothing is mined.
func (m *Monitor) price() float64 {
	if m.cfg.Confirmations <= 0 || !m.mined() {
		return 0
	}
	return m.costOf(int64(m.cfg.Confirmations))
}

// money says what an announced branch costs beside what is open, "" when the cost is not known.
func (m *Monitor) money(cost float64) string {
	open, known := m.openDeposits()
	switch {
	case cost <= 0:
		return ""
	case known:
		return fmt.Sprintf(" By rented hash power it costs about %s; deposits of %s are open.", dollars(cost), dollars(open))
	}
	return fmt.Sprintf(" By rented hash power it costs about %s; how much is open in deposits is not known.", dollars(cost))
}

// costSamples writes the cost of an attack and its gain before there is one.
func (m *Monitor) costSamples() {
	if cost := m.price(); cost > 0 {
		m.sample("tocsin_chain_attack_cost_usd", nil, cost)
	}
	if open, known := m.openDeposits(); known {
		m.sample("tocsin_chain_open_deposits_usd", nil, open)
	}
	if share, ok := m.minerShare(); ok {
		m.sample("tocsin_chain_top_miner_ratio", nil, share)
	}
}

// minerShare is the share of the newest 144 blocks that their most frequent miner made; false when too few of them name one.
func (m *Monitor) minerShare() (float64, bool) {
	if m.best == nil || !m.mined() || m.cfg.Family != Bitcoin && m.hashRate() == 0 {
		return 0, false
	}
	count, all, most := map[string]int{}, 0, 0
	b, ok := m.best.head, true
	for range minerPast {
		if !ok {
			break
		}
		if b.Miner != "" {
			all++
			count[b.Miner]++
			most = max(most, count[b.Miner])
		}
		b, ok = m.best.tree.Get(b.Parent)
	}
	return float64(most) / float64(max(all, 1)), all >= shareEnough
}

// applyMiners writes who made blocks that a node told before, and looks again at open reorgs whose branch they belong to.
func (m *Monitor) applyMiners(n *node, list []Mined) {
	if len(list) > minersMost {
		list = list[:minersMost]
	}
	told := map[string]string{}
	for _, x := range list {
		if x.Miner == "" || len(x.Miner) > minerLength {
			continue
		}
		n.tree.mined(x)
		if n.head.Hash == x.Hash && n.head.Miner == "" {
			n.head.Miner = x.Miner
		}
		if n.trusted() {
			m.union.mined(x)
			told[x.Hash] = x.Miner
		}
	}
	for _, r := range m.reorgs {
		if !r.open || r.view.Routine || !m.mined() {
			continue
		}
		fresh := false
		var branch []Block // what the node went over to, without what was built on it since
		for i := range r.new {
			if who := told[r.new[i].Hash]; who != "" {
				fresh = true
				r.new[i].Miner = cmp.Or(r.new[i].Miner, who)
			}
			if r.new[i].Height <= r.view.New.Height {
				branch = append(branch, r.new[i])
			}
		}
		if !fresh {
			continue
		}
		if s, ok := m.oneMiner(n, Change{Adopted: branch}); ok {
			r.sign(s)
			m.fireAttack(r)
		}
	}
}

// mined writes who made a known block; what is written stays.
func (t *Tree) mined(x Mined) {
	if b, ok := t.blocks[x.Hash]; ok && b.Miner == "" {
		b.Miner = x.Miner
		t.blocks[x.Hash] = b
	}
	if t.tip.Hash == x.Hash && t.tip.Miner == "" {
		t.tip.Miner = x.Miner
	}
}

// dollars writes an amount of money short.
func dollars(v float64) string {
	switch {
	case v >= 999_950_000:
		return fmt.Sprintf("%.1f G$", v/1e9)
	case v >= 999_950:
		return fmt.Sprintf("%.1f M$", v/1e6)
	case v >= 999.5:
		return fmt.Sprintf("%.0f k$", v/1e3)
	}
	return fmt.Sprintf("%.0f $", v)
}
