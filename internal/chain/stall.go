package chain

import (
	"fmt"
	"math"
)

// judgeStall opens a stall when no node shows a new block for longer than chance explains, and ends it at the next one. It needs a node
// that has told its head lately: what nobody can see is not called a stall.
func (m *Monitor) judgeStall() {
	key := m.key(FindingStall, "")
	m.pace.judge()
	if m.progress == 0 || m.best == nil || m.cfg.Family == Rollup { // there it is the sequencer: see judgeSequencer
		return
	}
	silence := m.now - m.progress
	if f := m.open[key]; f != nil && m.progress > f.Since {
		m.calm(key, m.now, fmt.Sprintf("Block %d came, %s after the last one.", m.best.head.Height, dur(m.progress-f.Since)))
		return
	}
	if m.pace.after <= 0 || float64(silence) < m.pace.after || m.planned() {
		return
	}
	var seen []string
	for _, n := range m.nodes {
		if n.ok() && n.has && (m.cfg.Recorded || (n.asked >= n.stated && m.now-n.asked < 2*silentAfter)) {
			seen = append(seen, n.name)
		}
	}
	if len(seen) == 0 {
		return
	}
	f := m.finding(FindingStall, "", sev3)
	f.Since = m.progress
	if m.pace.slots {
		f.Severity = sev2
	}
	f.Title = m.cfg.Chain + ": no new block"
	over := float64(silence) / m.pace.after
	switch {
	case over >= 4:
		f.Severity = sev1
	case over >= 2:
		f.Severity = sev2
	}
	f.Reason = fmt.Sprintf("No new block for %s after block %d; one is expected every %s, ", dur(silence), m.best.head.Height, dur(int64(m.pace.mean)))
	if m.pace.slots {
		f.Reason += fmt.Sprintf("so %d in a row are missing.", int(float64(silence)/m.pace.mean))
	} else {
		f.Score = max(math.Exp(-float64(silence)/m.pace.mean), math.SmallestNonzeroFloat64)
		f.Bound = max(math.Exp(-m.pace.after/m.pace.mean), math.SmallestNonzeroFloat64)
		f.Reason += fmt.Sprintf("and a silence over %s is less likely than 1 in 10,000.", dur(int64(m.pace.after)))
	}
	f.Reason += fmt.Sprintf(" %d of %d nodes %s so.", len(seen), len(m.nodes), map[bool]string{true: "says", false: "say"}[len(seen) == 1])
	m.verify(&f, seen, 0)
	m.fire(f, map[string]any{"head": m.best.head, "silence_ms": silence, "expected_ms": int64(m.pace.mean), "stall_after_ms": int64(m.pace.after),
		"regular": m.pace.slots, "learned_from": len(m.pace.ring), "nodes": len(seen)}, false)
}
