package chain

import (
	"fmt"
	"slices"
	"time"
)

// View shows the chain at a time (unix ms). The slices in it are the caller's.
func (m *Monitor) View(at int64) View {
	at = max(at, m.now)
	m.pace.judge()
	v := View{Chain: m.cfg.Chain, Family: m.cfg.Family, ChainID: m.cfg.ChainID, Network: m.net.Name, At: at, Drill: m.drill,
		Status: "waiting", Sentence: "Waiting for the first block.", Height: -1, HeadAge: -1, Safe: -1, Finalized: -1,
		Interval: int64(m.pace.mean), Learned: m.pace.learned, Regular: m.pace.slots, StallAfter: int64(m.pace.after),
		Intervals: slices.Clone(m.intervals), Routine: m.routine(), Findings: m.sorted()}
	down, ok := 0, 0
	for _, n := range m.nodes {
		v.Nodes = append(v.Nodes, m.nodeView(n, at))
		if n.state == Down {
			down++
		}
		if n.ok() {
			ok++
		}
		v.Safe, v.Finalized = max(v.Safe, n.safe), max(v.Finalized, n.final)
		if p := n.mempool; p != nil && (v.Pending == nil || n == m.best) {
			v.Pending = &p.Pending
			if m.cfg.Family == Bitcoin {
				v.MempoolBytes = &p.Bytes
			}
		}
		if n.fees != nil && n.fees.Rate != nil {
			v.FeeRate = n.fees.Rate
		}
	}
	if h := m.hashRate(); h > 0 {
		v.HashRate = &h
	}
	if cost := m.price(); cost > 0 {
		v.AttackCost = &cost
		if open, known := m.openDeposits(); known {
			v.OpenDeposits = &open
		}
	}
	for i := len(m.reorgs) - 1; i >= 0 && len(v.Reorgs) < 10; i-- {
		r := m.reorgs[i].view
		r.Nodes = slices.Clone(r.Nodes)
		v.Reorgs = append(v.Reorgs, r)
	}
	if m.best != nil {
		b := m.best.head
		v.Height, v.Head, v.BaseFee = b.Height, b, b.BaseFee
		if b.Time > 0 {
			v.HeadAge = max(at-b.Time, 0)
		}
		if b.GasLimit > 0 {
			g := float64(b.GasUsed) / float64(b.GasLimit)
			v.GasRatio = &g
		}
		v.Status, v.Sentence = "live", fmt.Sprintf("Head %d, seen by %d of %d nodes.", b.Height, m.seenBy(b), len(m.nodes))
	}
	switch {
	case len(m.nodes) > 0 && down == len(m.nodes):
		v.Status, v.Sentence = "blind", "No node can be asked."
	case len(m.nodes) > 0 && !m.anyTrusted():
		v.Status, v.Sentence = "blind", "No node that can be asked is trusted."
	case m.open[m.key(FindingStall, "")] != nil && m.progress <= m.open[m.key(FindingStall, "")].Since:
		v.Status, v.Sentence = "stalled", m.open[m.key(FindingStall, "")].Reason
	}
	return v
}

func (m *Monitor) seenBy(b Block) int {
	k := 0
	for _, n := range m.nodes {
		if got, have := n.tree.At(b.Height); have && n.ok() && got.Hash == b.Hash {
			k++
		}
	}
	return k
}

func (m *Monitor) nodeView(n *node, at int64) NodeView {
	v := NodeView{Name: n.name, State: n.state, Reason: n.reason, Height: -1, HeadAge: -1, Heard: n.heard, Peers: n.peers, How: n.how, Client: n.client, Operator: n.operator}
	if w := n.crowd; w != nil && w.Last != nil && at-w.At < crowdLost {
		v.Networks, v.TopShare = w.Last.All.Groups, w.Last.All.share(1)
	}
	if n.has {
		v.Height, v.Hash, v.Lag = n.head.Height, n.head.Hash, m.lag(n)
		if n.head.Time > 0 {
			v.HeadAge = max(at-n.head.Time, 0)
		}
	}
	if !n.trusted() && n.state != Down {
		v.State, v.Reason = Distrusted, n.trust.Why
	}
	if v.Reason == "" {
		switch {
		case n.state == Waiting:
			v.Reason = "Nothing was heard yet."
		case !n.has:
			v.Reason = "It answers; no block was seen yet."
		case m.open[m.key(FindingHalted, n.name)] != nil:
			v.Reason = m.open[m.key(FindingHalted, n.name)].Reason
		case n.back > 0:
			v.Reason = fmt.Sprintf("Its height went back by %d without another branch: a rollback, or a lagging server behind one address.", n.back)
		case v.Lag > 0:
			v.Reason = fmt.Sprintf("%d %s behind.", v.Lag, plural(int(v.Lag), "block"))
		default:
			v.Reason = fmt.Sprintf("At the head, by %s; it last answered %s ago.", n.how, dur(at-n.heard))
		}
	}
	return v
}

// dur writes milliseconds for people: two units at most.
func dur(ms int64) string {
	d := time.Duration(max(ms, 0)) * time.Millisecond
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days %d h", int(d.Hours())/24, int(d.Hours())%24)
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func upper(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-32) + s[1:]
}
