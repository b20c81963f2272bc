package chain

import (
	"fmt"
	"slices"
)

// epochs are the blocks of one epoch of the EVM chains that finalize by Ethereum's consensus (slots of an epoch, consensus specification and
// the Gnosis preset).
var epochs = map[string]int64{"1": 32, "100": 16, "17000": 32, "560048": 32, "11155111": 32}

const (
	lagKept    = 512    // lags remembered, ...
	lagEvery   = 60000  // ... one a minute at most
	lagEnough  = 60     // before the chain's own history counts
	lagMoves   = 3      // times that the finalized block must have moved: a chain that never finalizes has no lag
	lagRecent  = 300000 // ms that a read counts
	lagMarkers = 3
)

// finality is what a Monitor remembers of finalized blocks beside those of the nodes: how far they usually are behind. Source of the fixed
// rules: Casper FFG finalizes two epochs behind the head at best; the inactivity leak begins above four.
type finality struct {
	Lags  []float64      `json:"lags,omitempty"` // the chain's own history, newest last
	LagAt int64          `json:"lag_at,omitempty"`
	High  int64          `json:"high,omitempty"`
	Moves int            `json:"moves,omitempty"`
	Level int            `json:"level,omitempty"` // 0 = well, 1 late, 2 page, 3 critical
	Minor bool           `json:"minor,omitempty"` // most nodes show finalized blocks: it is the matter of the others
	Late  map[string]lag `json:"late,omitempty"`  // by node, its newest read
}

// lag is what one node's finalized block is behind its own head.
type lag struct {
	Blocks int64  `json:"blocks"`
	Final  int64  `json:"final"`
	At     int64  `json:"at"`
	Reads  *reads `json:"reads,omitempty"` // in a row that were too late
}

// limits are the lags in blocks at which it is late, pages and is critical; false while nothing is known to judge by.
func (m *Monitor) limits() (at [lagMarkers]int64, normal int64, ok bool) {
	w := &m.finality
	if len(w.Lags) >= lagEnough && w.Moves >= lagMoves {
		s := slices.Clone(w.Lags)
		slices.Sort(s)
		normal = int64(s[len(s)*99/100])
	}
	if e := epochs[m.cfg.ChainID]; e > 0 && m.cfg.Family == EVM {
		at = [lagMarkers]int64{3 * e, 4 * e, 5 * e}
		if most := 2*e + e - 1; normal > most { // this chain's finality is usually later than the rule
			for i := range at {
				at[i] += normal - most
			}
		}
		return at, max(normal, 2*e), true
	}
	if normal == 0 {
		return at, 0, false
	}
	floor := int64(0)
	if s := m.slot(); s > 0 {
		floor = int64(60000 / s) // a minute's blocks
	}
	return [lagMarkers]int64{max(2*normal, normal+floor), max(3*normal, normal+2*floor), max(5*normal, normal+4*floor)}, normal, true
}

// applyFinality takes one read of a node that is believed. One read never alerts: a node lags its own events by seconds.
func (m *Monitor) applyFinality(n *node, f Finality) {
	if m.cfg.Family != EVM || m.pace.onDemand || !n.ok() || !n.has || f.Finalized < 0 {
		return
	}
	w := &m.finality
	if w.Late == nil {
		w.Late = map[string]lag{}
	}
	l := lag{Blocks: max(n.head.Height-f.Finalized, 0), Final: f.Finalized, At: m.now}
	if b, ok := n.tree.Get(n.head.Hash); ok { // empty slots are time too: the lag by the clock, when both headers are known
		if fin, ok := n.tree.At(f.Finalized); ok && b.Time > fin.Time && m.net.Regular && m.net.Interval > 0 {
			l.Blocks = max(l.Blocks, (b.Time-fin.Time)/m.net.Interval)
		}
	}
	if f.Finalized > w.High {
		if w.High > 0 {
			w.Moves++
		}
		w.High = f.Finalized
	}
	at, _, known := m.limits()
	if known && l.Blocks >= m.lateAt(at) {
		l.Reads = w.Late[n.name].Reads.again(m.now)
	}
	w.Late[n.name] = l
	if m.now-w.LagAt >= lagEvery {
		v := l.Blocks
		if known {
			v = min(v, at[0]) // an outage must not teach that it is normal
		}
		w.LagAt, w.Lags = m.now, append(w.Lags, float64(v))
		if k := len(w.Lags) - lagKept; k > 0 {
			w.Lags = slices.Clone(w.Lags[k:])
		}
	}
	m.changed = true
}

// lateAt is the lag that counts as late: less while the finding is open, so that it does not flap.
func (m *Monitor) lateAt(at [lagMarkers]int64) int64 {
	if m.finality.Level > 0 {
		return at[0] - max((at[1]-at[0])/4, 1)
	}
	return at[0]
}

// judgeLag opens, raises and ends the finding that blocks are not finalized. The execution nodes' word is held against each other: as long as
// most of those asked finalize, it is the matter of one node.
func (m *Monitor) judgeLag() {
	w, key := &m.finality, m.key(FindingFinality, "")
	at, normal, known := m.limits()
	if m.cfg.Family != EVM || !known {
		return
	}
	var late []string
	var lags []int64
	var fine []string
	final, first := int64(-1), m.now
	for _, n := range m.nodes {
		l, ok := w.Late[n.name]
		switch {
		case !ok || !n.ok() || m.now-l.At > lagRecent:
		case l.Reads.sure(m.now):
			late, lags = append(late, n.name), append(lags, l.Blocks)
			final, first = max(final, l.Final), min(first, l.Reads.First)
		case l.Reads == nil:
			fine = append(fine, n.name)
		}
	}
	well := len(fine)
	minor := m.voices(fine) >= m.voices(late)
	if len(late) == 0 || (minor && !w.Minor && m.open[key] != nil) { // most are well again
		if well > 0 && m.open[key] != nil {
			m.calm(key, m.now, fmt.Sprintf("Block %d is finalized; up to %d blocks behind the head is normal here.", w.High, normal))
		}
		if m.open[key] == nil {
			w.Level = 0
		}
		return
	}
	slices.Sort(lags)
	behind := lags[len(lags)/2]
	level := 1
	for i := 1; i < lagMarkers; i++ {
		if behind >= at[i] || (w.Level > i && behind >= at[i]-(at[i]-at[i-1])/4) {
			level = i + 1
		}
	}
	w.Level = level
	f := m.finding(FindingFinality, "", [...]string{sev3, sev2, sev1}[level-1])
	f.Since = first
	m.verify(&f, late, well)
	f.Title = m.cfg.Chain + ": blocks are not finalized"
	if level == 1 {
		f.Title = m.cfg.Chain + ": finalization is late"
	}
	if w.Minor = minor; minor { // not the chain's doing
		f.Severity, f.Verification = sev4, OneNode
		f.Title = fmt.Sprintf("%s: %s %s no finalized blocks", m.cfg.Chain, list(late), map[bool]string{true: "sees", false: "see"}[len(late) == 1])
	}
	f.Reason = fmt.Sprintf("The newest finalized block is %d, %d blocks behind the head", final, behind)
	if e := epochs[m.cfg.ChainID]; e > 0 {
		f.Reason += fmt.Sprintf(" (%d epochs; 2 is normal, above 4 absent validators are punished)", behind/e)
	} else {
		f.Reason += fmt.Sprintf("; up to %d is normal here", normal)
	}
	f.Reason += fmt.Sprintf(". Seen by %d of %d nodes (%s)", len(late), len(m.nodes), list(late))
	if well > 0 {
		f.Reason += fmt.Sprintf("; %d %s finalized blocks as usual", well, map[bool]string{true: "shows", false: "show"}[well == 1])
	}
	f.Reason += "."
	m.fire(f, map[string]any{"lag_blocks": behind, "finalized": final, "limits": at, "normal": normal, "late": late, "well": well}, false)
}

// lagOver says why a finality finding that the log holds open from before the start is over; "" = it is not known yet.
func (m *Monitor) lagOver() string {
	w := &m.finality
	if _, _, known := m.limits(); !known || m.open[m.key(FindingFinality, "")] != nil {
		return ""
	}
	for _, l := range w.Late {
		if l.Reads != nil {
			return ""
		}
	}
	if len(w.Late) == 0 || w.Moves == 0 {
		return ""
	}
	return fmt.Sprintf("Block %d is finalized.", w.High)
}
