package chain

import (
	"fmt"
	"math"
	"slices"
)

// Kinds of finding of the fee market.
const (
	FindingFeeSpike    = "fee_spike"    // a block costs far more than usual at this hour
	FindingMempoolFull = "mempool_full" // the pool refuses or drops transactions, or is far fuller than usual
)

const (
	spikeZ     = 6.0    // spreads above the same hour's median that open, and ...
	spikeRatio = 3.0    // ... times the median: congestion days were three to four times the week before
	spikeGreat = 10.0   // times the median that are worse
	calmZ      = 3.0    // hysteresis: below either of these ...
	calmRatio  = 1.5    // ... for feeCalm ends it
	feeHold    = 300000 // ms
	feeCalm    = 600000
	feeSmooth  = 0.2
	relayFloor = 1.0 // sat/vB: Bitcoin Core's relay minimum until version 29
)

// market is what a Monitor remembers of fees and pools.
type market struct {
	Fee     season             `json:"fee"`
	Now     float64            `json:"now,omitempty"` // smoothed fee
	At      int64              `json:"at,omitempty"`
	Pool    season             `json:"pool"`
	Pending float64            `json:"pending,omitempty"`
	PoolAt  int64              `json:"pool_at,omitempty"`
	Relay   float64            `json:"relay,omitempty"` // lowest pool minimum ever seen, at most relayFloor
	Full    map[string]bool    `json:"full,omitempty"`  // by node: whether its newest answer said so
	MinFees map[string]float64 `json:"min_fees,omitempty"`
}

// feeSeen takes the fee of a block that is new to the chain: base fee in gwei, or median fee rate in sat/vB.
func (m *Monitor) feeSeen(v float64) {
	w := &m.market
	if v <= 0 || m.pace.onDemand {
		return
	}
	if w.Now == 0 {
		w.Now = v
	}
	w.Now += feeSmooth * (v - w.Now)
	w.At, m.changed = m.now, true
	w.Fee.add(m.now, v)
}

// poolSeen takes what a node that is believed said of its pool.
func (m *Monitor) poolSeen(n *node, p Mempool) {
	if !n.ok() || m.pace.onDemand {
		return
	}
	w := &m.market
	if m.cfg.Family == Bitcoin {
		if p.MinFee <= 0 {
			return
		}
		relay := p.MinRelay
		if relay <= 0 {
			if w.Relay == 0 || p.MinFee < w.Relay {
				w.Relay = min(p.MinFee, relayFloor)
			}
			relay = w.Relay
		}
		if w.Full == nil {
			w.Full, w.MinFees = map[string]bool{}, map[string]float64{}
		}
		w.Full[n.name], w.MinFees[n.name] = p.MinFee > relay*1.01, p.MinFee/relay
		w.PoolAt = m.now
		return
	}
	if n == m.best || m.now-w.PoolAt > 60000 { // pools differ: one node's is followed, its own history is the measure
		w.Pending, w.PoolAt = float64(p.Pending+1), m.now
		w.Pool.add(m.now, w.Pending)
	}
}

func (m *Monitor) judgeMarket() {
	m.judgeSpike()
	switch m.cfg.Family {
	case Bitcoin:
		m.judgeRefusal()
	case EVM:
		m.judgePool()
	}
}

// judgeSpike compares the fee with the same hour of the days before: robust z of the logarithm, since fees grow by factors.
func (m *Monitor) judgeSpike() {
	w, key := &m.market, m.key(FindingFeeSpike, "")
	z, normal, ok := w.Fee.judge(m.now, w.Now)
	if !ok || m.now-w.At > feeCalm {
		return
	}
	ratio, unit := w.Now/normal, "gwei"
	if m.cfg.Family == Bitcoin {
		unit = "sat/vB"
	}
	high := z >= spikeZ && ratio >= spikeRatio
	if m.open[key] != nil {
		if m.held("calm/"+FindingFeeSpike, z < calmZ || ratio < calmRatio, m.now, feeCalm) {
			m.clear(key, m.now, fmt.Sprintf("A block costs %.3g %s again; %.3g is normal at this hour.", w.Now, unit, normal))
		}
		if !high {
			return
		}
	} else if !m.held(FindingFeeSpike, high, m.now, feeHold) {
		return
	}
	m.held("calm/"+FindingFeeSpike, false, m.now, 0)
	f := m.finding(FindingFeeSpike, "", sev4)
	if ratio >= spikeGreat {
		f.Severity = sev3
	}
	f.Score, f.Bound = spikeTail(z), spikeBound(z, ratio)
	f.Title = m.cfg.Chain + ": fees are far above normal"
	f.Reason = fmt.Sprintf("A block costs %.3g %s; %.3g is normal at this hour of the day, by the last two weeks (%.1f times; %.0f spreads above the median).", w.Now, unit, normal, ratio, z)
	seen, asked := m.shownBy()
	m.verify(&f, seen, asked)
	m.fire(f, map[string]any{"fee": w.Now, "unit": unit, "normal": normal, "ratio": ratio, "z": z}, false)
}

// spikeTail is the probability of being so many spreads above the median, if the logarithm is as likely to be far off as in a Laplace distribution,
// whose tails are those of a power law in the value itself. (Its median absolute deviation is ln 2 times its scale.)
func spikeTail(z float64) float64 {
	return max(math.Exp(-1.4826*math.Ln2*z)/2, math.SmallestNonzeroFloat64)
}

// spikeBound is the same of a value that would just be an alarm: far enough in spreads and in times.
func spikeBound(z, ratio float64) float64 {
	spread := math.Log(ratio) / z
	return spikeTail(max(spikeZ, math.Log(spikeRatio)/spread))
}

// shownBy lists who has the best head: what is read from its blocks is confirmed by whoever has them.
func (m *Monitor) shownBy() (seen []string, asked int) {
	if m.best == nil {
		return nil, 0
	}
	back := max(m.best.head.Height-3, 0) // a block that the slower ones had time to get
	b, ok := m.best.tree.At(back)
	for _, n := range m.nodes {
		got, have := n.tree.At(back)
		switch {
		case !n.ok() || !n.has:
		case n == m.best || (ok && have && got.Hash == b.Hash):
			seen = append(seen, n.name)
		case m.witness(n):
			asked++
		}
	}
	return seen, asked
}

// judgeRefusal: a Bitcoin pool is full when it asks for more than the relay minimum; cheaper transactions are dropped then.
func (m *Monitor) judgeRefusal() {
	w, key := &m.market, m.key(FindingMempoolFull, "")
	var full []string
	well, most := 0, 0.0
	for _, n := range m.nodes {
		is, ok := w.Full[n.name]
		switch {
		case !ok || !n.ok():
		case is:
			full, most = append(full, n.name), max(most, w.MinFees[n.name])
		default:
			well++
		}
	}
	if len(full) == 0 {
		m.held(FindingMempoolFull, false, m.now, 0)
		if well > 0 && m.open[key] != nil && m.held("calm/"+FindingMempoolFull, true, m.now, feeHold) {
			m.clear(key, m.now, "The pool takes transactions at the relay minimum again.")
		}
		return
	}
	m.held("calm/"+FindingMempoolFull, false, m.now, 0)
	if !m.held(FindingMempoolFull, true, m.now, 60000) && m.open[key] == nil {
		return
	}
	f := m.finding(FindingMempoolFull, "", sev4)
	if most >= 10 {
		f.Severity = sev3
	}
	f.Title = m.cfg.Chain + ": the mempool is full"
	f.Reason = fmt.Sprintf("It asks for %.1f times the relay minimum; cheaper transactions are refused or dropped. Seen by %d of %d nodes (%s).", most, len(full), len(m.nodes), list(full))
	m.verify(&f, full, well)
	m.fire(f, map[string]any{"full": full, "times_relay_minimum": most}, false)
}

// judgePool: an EVM node has its own limits, so its pending transactions are held against its own past at the same hour.
func (m *Monitor) judgePool() {
	w, key := &m.market, m.key(FindingMempoolFull, "")
	z, normal, ok := w.Pool.judge(m.now, w.Pending)
	if !ok || m.now-w.PoolAt > feeCalm {
		return
	}
	ratio := w.Pending / normal
	high := z >= spikeZ && ratio >= spikeRatio
	if m.open[key] != nil {
		if m.held("calm/"+FindingMempoolFull, z < calmZ || ratio < calmRatio, m.now, feeCalm) {
			m.clear(key, m.now, fmt.Sprintf("%.0f transactions wait; %.0f is normal at this hour.", w.Pending-1, normal-1))
		}
		if !high {
			return
		}
	} else if !m.held(FindingMempoolFull, high, m.now, feeHold) {
		return
	}
	m.held("calm/"+FindingMempoolFull, false, m.now, 0)
	f := m.finding(FindingMempoolFull, "", sev4)
	f.Score, f.Bound = spikeTail(z), spikeBound(z, ratio)
	f.Title = m.cfg.Chain + ": far more transactions wait than usual"
	f.Reason = fmt.Sprintf("%.0f transactions wait in the pool; %.0f is normal at this hour of the day, by the last two weeks (%.1f times; %.0f spreads above the median).", w.Pending-1, normal-1, ratio, z)
	var seen []string
	asked := 0
	for _, n := range m.nodes {
		switch p := n.mempool; {
		case p == nil || !n.ok():
		case float64(p.Pending) >= normal*spikeRatio:
			seen = append(seen, n.name)
		default:
			asked++
		}
	}
	slices.Sort(seen)
	m.verify(&f, seen, asked)
	m.fire(f, map[string]any{"pending": w.Pending - 1, "normal": normal - 1, "ratio": ratio, "z": z}, false)
}

// marketOver says why a finding that the log holds open from before the start is over; "" = it is not known yet.
func (m *Monitor) marketOver(kind string) string {
	w := &m.market
	if m.open[m.key(kind, "")] != nil || m.now-m.started < 2*feeHold {
		return ""
	}
	switch {
	case kind == FindingFeeSpike && w.At > m.started, kind == FindingMempoolFull && w.PoolAt > m.started:
		return "It is not so any more since Tocsin started again, as far as is known."
	}
	return ""
}
