package chain

import (
	"fmt"
	"slices"
)

// Layers is what a rollup node (OP Stack, optimism_syncStatus) said of its levels of safety and of its L1.
type Layers struct {
	Unsafe    Level `json:"unsafe"`     // built by the sequencer, not on L1 yet
	Safe      Level `json:"safe"`       // derived from L1
	Finalized Level `json:"finalized"`  // derived from finalized L1
	CurrentL1 Level `json:"current_l1"` // up to which the node has derived
	HeadL1    Level `json:"head_l1"`    // the newest the node knows
	// Settled is false after a restart, while the node does not know the finalized L1 block (its hash is zero): nothing is judged then.
	Settled bool   `json:"settled"`
	Window  int64  `json:"window,omitempty"` // sequencer window in L1 blocks; 0 = the node does not tell
	Batch   *Batch `json:"batch,omitempty"`  // newest batch as L1 itself shows it; nil = L1 is not asked, or it shows none yet
}

// Level is one block named by a rollup node. Origin is the L1 block that an L2 block belongs to.
type Level struct {
	Height int64  `json:"height"`
	Hash   string `json:"hash"`
	Time   int64  `json:"time"` // unix ms
	Origin int64  `json:"origin,omitempty"`
}

// Batch is the newest transaction to the batch inbox. Its age is measured from L1, not from what the poster says.
type Batch struct {
	Height int64 `json:"height"` // L1 block; 0 = none in the L1 blocks looked at
	Time   int64 `json:"time"`   // of that block, unix ms; when none was found, of the oldest looked at: the age is at least that
	Upto   int64 `json:"upto"`   // newest L1 block looked at
}

// Kinds of finding of rollups.
const (
	FindingBatcher    = "batcher"    // the unsafe head advances and the safe head does not: batches do not reach L1
	FindingSequencer  = "sequencer"  // the unsafe head does not advance
	FindingDerivation = "derivation" // a node does not keep up with L1
)

const (
	batchFirst   = 3600000 // ms that the safe head may stand before its rhythm is known
	batchLeast   = 600000  // ms it may always stand
	batchGaps    = 50      // advances remembered
	batchEnough  = 10
	batchTimes   = 3 // times the longest of them
	windowHalf   = 0.5
	windowEnd    = 0.8
	unsafeAhead  = 30000 // ms that the unsafe head must have gone on since the safe head stood
	sequencerFor = 30000 // ms that the unsafe head may always stand
	sequencerOf  = 15    // and intervals
	deriveBehind = 64    // L1 blocks
	deriveHold   = 120000
	l1Interval   = 12000 // ms, for the window in time
)

// rollupWatch is what is known of a rollup beside its headers. It is part of the saved state, hence the exported fields.
type rollupWatch struct {
	Nodes  map[string]*Layers  `json:"nodes,omitempty"` // as many as the Monitor has
	Stood  map[string]progress `json:"stood,omitempty"` // the safe head of each node
	Safe   progress            `json:"safe,omitzero"`
	Unsafe progress            `json:"unsafe,omitzero"`
	Gaps   []int64             `json:"gaps,omitempty"` // ms between advances of the safe head, newest last
}

// progress is the newest height of any node and when it came.
type progress struct {
	Height int64 `json:"height"`
	At     int64 `json:"at"`
	Time   int64 `json:"time"` // of the block
}

func (m *Monitor) applyRollup(n *node, l *Layers) {
	if l == nil {
		return
	}
	w := &m.rollup
	if w.Nodes == nil {
		w.Nodes = map[string]*Layers{}
	}
	now := *l
	if have := w.Nodes[n.name]; now.Batch == nil && have != nil {
		now.Batch = have.Batch
	}
	w.Nodes[n.name], m.changed = &now, true
	m.sample("tocsin_rollup_unsafe_height", n, float64(l.Unsafe.Height))
	m.sample("tocsin_rollup_safe_height", n, float64(l.Safe.Height))
	m.sample("tocsin_rollup_safe_lag_blocks", n, float64(l.Unsafe.Height-l.Safe.Height))
	if l.Settled {
		m.sample("tocsin_rollup_finalized_height", n, float64(l.Finalized.Height))
	}
	if l.Safe.Time > 0 {
		m.sample("tocsin_rollup_safe_age_seconds", n, float64(max(m.now-l.Safe.Time, 0))/1000)
	}
	if l.HeadL1.Height > 0 {
		m.sample("tocsin_rollup_derivation_lag_blocks", n, float64(max(l.HeadL1.Height-l.CurrentL1.Height, 0)))
		m.sample("tocsin_rollup_origin_age_blocks", n, float64(max(l.HeadL1.Height-l.Safe.Origin, 0)))
		if l.Window > 0 {
			m.sample("tocsin_rollup_window_used_ratio", n, float64(max(l.HeadL1.Height-l.Safe.Origin, 0))/float64(l.Window))
		}
	}
	if b := now.Batch; b != nil && b.Time > 0 {
		m.sample("tocsin_rollup_batch_age_seconds", n, float64(max(m.now-b.Time, 0))/1000)
	}
	if !l.Settled || !n.ok() {
		return
	}
	if w.Stood == nil {
		w.Stood = map[string]progress{}
	}
	if have, ok := w.Stood[n.name]; !ok || l.Safe.Height > have.Height {
		w.Stood[n.name] = progress{l.Safe.Height, m.now, l.Safe.Time}
	}
	if l.Unsafe.Height > w.Unsafe.Height {
		w.Unsafe = progress{l.Unsafe.Height, m.now, l.Unsafe.Time}
	}
	if l.Safe.Height > w.Safe.Height {
		if w.Safe.At > 0 && m.open[m.key(FindingBatcher, "")] == nil {
			if w.Gaps = append(w.Gaps, m.now-w.Safe.At); len(w.Gaps) > batchGaps {
				w.Gaps = slices.Clone(w.Gaps[1:])
			}
		}
		w.Safe = progress{l.Safe.Height, m.now, l.Safe.Time}
	}
}

// batchAfter is how long the safe head may stand: three times the longest of its last advances, never below ten minutes nor above half of the
// sequencer window; an hour while fewer than ten are known. The rhythm is the operator's choice, from two minutes to hours.
func (m *Monitor) batchAfter(window int64) (ms int64, learned bool) {
	g := m.rollup.Gaps
	if len(g) < batchEnough {
		return batchFirst, false
	}
	ms = max(batchTimes*slices.Max(g), batchLeast)
	if half := window * l1Interval / 2; half > 0 {
		ms = min(ms, max(half, batchLeast))
	}
	return ms, true
}

// level gives the newest word of the nodes that may be judged: the one whose safe head is highest.
func (m *Monitor) level() (best *Layers, seen []string) {
	for _, n := range m.nodes {
		l := m.rollup.Nodes[n.name]
		if l == nil || !l.Settled || !n.ok() {
			continue
		}
		seen = append(seen, n.name)
		if best == nil || l.Safe.Height > best.Safe.Height {
			best = l
		}
	}
	slices.Sort(seen)
	return best, seen
}

func (m *Monitor) judgeRollup() {
	if m.cfg.Family != Rollup {
		return
	}
	for _, n := range m.nodes {
		m.judgeDerivation(n, m.rollup.Nodes[n.name])
	}
	l, seen := m.level()
	if l == nil {
		return // no node that has settled after its start: alerts are held
	}
	m.judgeBatcher(l, seen)
	m.judgeSequencer(l, seen)
}

func (m *Monitor) judgeBatcher(l *Layers, seen []string) {
	w, key := &m.rollup, m.key(FindingBatcher, "")
	after, learned := m.batchAfter(l.Window)
	stood := m.now - w.Safe.At
	// Each node is judged by its own safe head, so that one node neither makes nor hides it.
	var late, well []string
	for _, name := range seen {
		p, own := w.Stood[name], w.Nodes[name]
		if p.At > 0 && m.now-p.At >= after && w.Unsafe.At >= p.At+unsafeAhead && own.HeadL1.Height-own.CurrentL1.Height < deriveBehind {
			if late = append(late, name); len(late) == 1 || own.Safe.Height > l.Safe.Height {
				l, stood = own, m.now-p.At
			}
		} else {
			well = append(well, name)
		}
	}
	frozen := len(late) > 0
	few := frozen && len(late) <= len(well)
	used, left := 0.0, int64(0)
	if l.Window > 0 && l.HeadL1.Height > 0 {
		used = float64(max(l.HeadL1.Height-l.Safe.Origin, 0)) / float64(l.Window)
		left = max(l.Window-(l.HeadL1.Height-l.Safe.Origin), 0)
	}
	batchAge := int64(-1)
	if l.Batch != nil && l.Batch.Time > 0 && l.HeadL1.Height-l.Batch.Upto <= 64 {
		batchAge = max(m.now-l.Batch.Time, 0)
	}
	if !frozen && used < windowHalf && batchAge < after {
		if m.open[key] != nil && stood < after/2 {
			m.clear(key, m.now, fmt.Sprintf("The safe head advances again: it is %d, %d behind the unsafe head.", l.Safe.Height, l.Unsafe.Height-l.Safe.Height))
		}
		return
	}
	f := m.finding(FindingBatcher, "", sev3)
	switch {
	case few: // it is the matter of those nodes
		f.Severity = sev4
	case used >= windowEnd:
		f.Severity = sev1
	case used >= windowHalf:
		f.Severity = sev2
	}
	if w.Safe.At > 0 {
		f.Since = m.now - stood
	}
	f.Title = m.cfg.Chain + ": batches do not reach L1"
	f.Reason = fmt.Sprintf("The safe head stands at %d for %s while the unsafe head is %d. ", l.Safe.Height, dur(stood), l.Unsafe.Height)
	if learned {
		f.Reason += fmt.Sprintf("It moved at least every %s before. ", dur(slices.Max(w.Gaps)))
	}
	switch {
	case batchAge >= 0 && l.Batch.Height == 0:
		f.Reason += fmt.Sprintf("L1 shows no batch since at least %s. ", dur(batchAge))
	case batchAge >= after:
		f.Reason += fmt.Sprintf("The newest batch on L1 is %s old, in block %d: the batcher has stopped. ", dur(batchAge), l.Batch.Height)
	case batchAge >= 0:
		f.Title = m.cfg.Chain + ": batches reach L1, but the safe head stands"
		f.Reason += fmt.Sprintf("The newest batch on L1 is only %s old: batches come, but are not valid or not derived. ", dur(batchAge))
	}
	if l.Window > 0 {
		f.Reason += fmt.Sprintf("%.0f %% of the sequencer window are used; after %d more L1 blocks (about %s) unsafe blocks are thrown away.", 100*used, left, dur(left*l1Interval))
	}
	if frozen {
		f.Reason += fmt.Sprintf(" So say %d of %d nodes.", len(late), len(seen))
		seen = late
	}
	m.verify(&f, slices.Clone(seen), len(well))
	m.fire(f, map[string]any{"layers": l, "stood_ms": stood, "after_ms": after, "gaps_known": len(w.Gaps), "window_used": used, "batch_age_ms": batchAge}, false)
}

func (m *Monitor) judgeSequencer(l *Layers, seen []string) {
	w, key := &m.rollup, m.key(FindingSequencer, "")
	stood, after := m.now-w.Unsafe.At, max(sequencerFor, int64(sequencerOf*m.slot()))
	if w.Unsafe.At == 0 {
		return
	}
	if stood < after {
		m.clear(key, m.now, fmt.Sprintf("The unsafe head advances again: it is %d.", w.Unsafe.Height))
		return
	}
	seen = slices.DeleteFunc(slices.Clone(seen), func(name string) bool { // a node that does not answer does not show that the sequencer stands
		n := m.node(name)
		return m.now-n.asked >= 2*silentAfter || n.asked <= w.Unsafe.At
	})
	if len(seen) == 0 {
		return
	}
	f := m.finding(FindingSequencer, "", sev2)
	if stood >= 10*60000 {
		f.Severity = sev1
	}
	f.Since = w.Unsafe.At
	f.Title = m.cfg.Chain + ": the sequencer makes no blocks"
	f.Reason = fmt.Sprintf("The unsafe head stands at %d for %s", w.Unsafe.Height, dur(stood))
	if slot := m.slot(); slot > 0 {
		f.Reason += fmt.Sprintf("; a block is due every %s", dur(int64(slot)))
	}
	f.Reason += fmt.Sprintf(". L1 is seen up to block %d. %d of %d nodes %s so.", l.HeadL1.Height, len(seen), len(m.nodes), map[bool]string{true: "says", false: "say"}[len(seen) == 1])
	m.verify(&f, seen, 0) // a node that does not answer does not contradict
	m.fire(f, map[string]any{"layers": l, "stood_ms": stood, "after_ms": after}, false)
}

// judgeDerivation tells of a node that follows L1 too far behind, so that its safe head says nothing of the batcher.
func (m *Monitor) judgeDerivation(n *node, l *Layers) {
	key := m.key(FindingDerivation, n.name)
	if l == nil || !n.ok() || !l.Settled {
		m.held(key, false, m.now, 0)
		return
	}
	behind := l.HeadL1.Height - l.CurrentL1.Height
	if behind < deriveBehind/2 {
		m.clear(key, m.now, fmt.Sprintf("It has derived up to L1 block %d again.", l.CurrentL1.Height))
	}
	if !m.held(key, behind >= deriveBehind, m.now, deriveHold) {
		return
	}
	f := m.finding(FindingDerivation, n.name, sev4)
	f.Title = fmt.Sprintf("%s: node %s is behind L1", m.cfg.Chain, n.name)
	f.Reason = fmt.Sprintf("It has derived up to L1 block %d, %d behind the L1 head %d that it knows: its safe head is old.", l.CurrentL1.Height, behind, l.HeadL1.Height)
	m.fire(f, map[string]any{"node": n.name, "layers": l}, false)
}

// rollupOver says why a finding that the log holds open from before the start is over; "" = it is not known yet.
func (m *Monitor) rollupOver(kind string) string {
	w := m.rollup
	switch {
	case kind == FindingSequencer && w.Unsafe.At > m.started:
		return "The unsafe head advanced after Tocsin started again."
	case kind == FindingBatcher && len(w.Gaps) > 0 && w.Safe.At > m.started:
		return "The safe head advanced after Tocsin started again."
	}
	return ""
}
