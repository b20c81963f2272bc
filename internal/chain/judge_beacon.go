package chain

import (
	"fmt"
	"slices"
)

// Slots is what a beacon node said beside its head. A part that is nil was not asked for, or is not offered by the node.
type Slots struct {
	Checkpoints   *Checkpoints   `json:"checkpoints,omitempty"`
	Health        *Health        `json:"health,omitempty"`
	Participation *Participation `json:"participation,omitempty"`
	Reorg         *ToldReorg     `json:"reorg,omitempty"`
}

// Checkpoints are epochs by /eth/v1/beacon/states/head/finality_checkpoints; PerEpoch is the slots of one epoch.
type Checkpoints struct {
	Previous  int64 `json:"previous_justified"`
	Justified int64 `json:"justified"`
	Finalized int64 `json:"finalized"`
	PerEpoch  int64 `json:"per_epoch"`
}

// Health is what a node says of itself: Optimistic = it follows blocks whose transactions it has not checked; Offline = it cannot reach its
// execution client.
type Health struct {
	Optimistic bool `json:"is_optimistic"`
	Offline    bool `json:"el_offline"`
}

// Participation is the share of stake (0..1) whose vote for the target of an epoch was included.
type Participation struct {
	Epoch int64   `json:"epoch"`
	Ratio float64 `json:"ratio"`
}

// ToldReorg is a chain_reorg event: the node's own word, with the depth in slots.
type ToldReorg struct {
	Slot  int64  `json:"slot"`
	Depth int64  `json:"depth"`
	Old   string `json:"old_head"`
	New   string `json:"new_head"`
}

// Kinds of finding of beacon chains.
const (
	FindingFinality      = "finality"      // the chain does not finalize as it should
	FindingParticipation = "participation" // too few validators attest
	FindingMissedSlots   = "missed_slots"  // more slots stay empty than chance explains
	FindingOptimistic    = "optimistic"    // a node follows blocks that it has not checked
	FindingOffline       = "el_offline"    // a node cannot reach its execution client
)

const (
	epochsLate     = 3     // epochs from the head's to the finalized one; 2 is normal, the inactivity leak runs above 4 (consensus specification)
	readAgain      = 10000 // ms between two reads that both must show a thing: a node lags its own events by seconds
	enoughStake    = 0.80
	enoughAgain    = 0.82 // hysteresis
	cannotFinalize = 2.0 / 3
	healthHold     = 30000
	defaultEpoch   = 32
	toldWait       = 15000 // ms that the headers have to show a reorg which an event told
)

// beaconWatch is what is known of a beacon chain beside its headers. It is part of the saved state, hence the exported fields.
type beaconWatch struct {
	Nodes map[string]*beaconNode `json:"nodes,omitempty"` // as many as the Monitor has
	Late  *reads                 `json:"late,omitempty"`  // finality
	Low   *reads                 `json:"low,omitempty"`   // participation
	Share Participation          `json:"share,omitzero"`
	By    []string               `json:"by,omitempty"` // nodes that told Share
	Slots slotWatch              `json:"slots,omitzero"`
	Told  *toldBy                `json:"told,omitempty"` // the newest deep reorg told that no header has shown yet
}

type beaconNode struct {
	Points Checkpoints `json:"points,omitzero"`
	At     int64       `json:"at,omitempty"` // of Points; 0 = never
	Health Health      `json:"health,omitzero"`
}

// reads counts the looks in a row that showed a thing.
type reads struct {
	First int64 `json:"first"`
	Count int   `json:"count"`
}

func (r *reads) again(at int64) *reads {
	if r == nil {
		return &reads{at, 1}
	}
	return &reads{r.First, r.Count + 1}
}

// sure: two looks or more, apart in time.
func (r *reads) sure(at int64) bool { return r != nil && r.Count >= 2 && at-r.First >= readAgain }

type toldBy struct {
	ToldReorg
	Node string `json:"node"`
	At   int64  `json:"at"`
}

func (m *Monitor) applyBeacon(n *node, s *Slots) {
	if s == nil {
		return
	}
	w := &m.beacon
	if w.Nodes == nil {
		w.Nodes = map[string]*beaconNode{}
	}
	b := w.Nodes[n.name]
	if b == nil {
		b = &beaconNode{}
		w.Nodes[n.name] = b
	}
	if s.Checkpoints != nil {
		p := *s.Checkpoints
		if p.PerEpoch <= 0 || p.PerEpoch > 1<<16 {
			p.PerEpoch = defaultEpoch
		}
		b.Points, b.At, m.changed = p, m.now, true
		n.safe, n.final = p.Justified*p.PerEpoch, p.Finalized*p.PerEpoch
		m.sample("tocsin_beacon_finalized_epoch", n, float64(p.Finalized))
		m.sample("tocsin_beacon_justified_epoch", n, float64(p.Justified))
		if n.has {
			m.sample("tocsin_beacon_head_slot", n, float64(n.head.Height))
			m.sample("tocsin_beacon_finality_lag_epochs", n, float64(n.head.Height/p.PerEpoch-p.Finalized))
		}
		if l := m.finalityLags(); len(l.late) > 0 {
			w.Late = w.Late.again(m.now)
		} else if len(l.well) > 0 {
			w.Late = nil
		}
	}
	if h := s.Health; h != nil {
		b.Health, m.changed = *h, m.changed || b.Health != *h
		m.sample("tocsin_beacon_optimistic", n, truth(h.Optimistic))
		m.sample("tocsin_beacon_el_offline", n, truth(h.Offline))
	}
	if s.Participation != nil && s.Participation.Ratio >= 0 && s.Participation.Ratio <= 1 {
		p := *s.Participation
		m.sample("tocsin_beacon_participation_ratio", n, p.Ratio)
		if n.ok() && p.Epoch >= w.Share.Epoch {
			if p.Epoch == w.Share.Epoch {
				p.Ratio = max(p.Ratio, w.Share.Ratio) // another node saw more of the same epoch
			}
			if p.Epoch > w.Share.Epoch {
				w.By = nil
			}
			if !slices.Contains(w.By, n.name) {
				w.By = append(w.By, n.name)
			}
			w.Share, m.changed = p, true
			if p.Ratio < enoughStake || m.open[m.key(FindingParticipation, "")] != nil && p.Ratio < enoughAgain {
				w.Low = w.Low.again(m.now)
			} else {
				w.Low = nil
			}
		}
	}
	if r := s.Reorg; r != nil && r.Depth > 0 {
		m.sample("tocsin_beacon_reorg_depth_slots", n, float64(r.Depth))
		if int(min(r.Depth, 1<<20)) > m.routine() && (w.Told == nil || r.Depth > w.Told.Depth || m.now-w.Told.At > witnessFor) {
			w.Told = &toldBy{*r, n.name, m.now}
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// lags is how many epochs the nodes' newest finalized ones are behind the epochs of their own heads, so that a node which is behind as a whole
// makes no alarm of it. worst is that of the late nodes whose finalized epoch is the newest; without late nodes, the same of the others.
type lags struct {
	late, well []string
	lag        int64
	points     Checkpoints
}

func (m *Monitor) finalityLags() (l lags) {
	best := int64(-1)
	for _, late := range []bool{true, false} {
		for _, n := range m.nodes {
			b := m.beacon.Nodes[n.name]
			if b == nil || b.At == 0 || !n.ok() || !n.has || m.now-b.At > 10*60000 {
				continue
			}
			head := n.head.Height / b.Points.PerEpoch
			lag := head - b.Points.Finalized
			if b.Points.Finalized == 0 && head <= 4 {
				continue // a chain just born has finalized nothing yet
			}
			if late != (lag >= epochsLate) {
				continue
			}
			if late {
				l.late = append(l.late, n.name)
			} else {
				l.well = append(l.well, n.name)
			}
			if b.Points.Finalized > best && (late || len(l.late) == 0) {
				best, l.lag, l.points = b.Points.Finalized, lag, b.Points
			}
		}
	}
	return l
}

func (m *Monitor) judgeBeacon() {
	if m.cfg.Family != Beacon {
		return
	}
	m.judgeFinality()
	m.judgeParticipation()
	m.judgeSlots()
	m.judgeTold()
	for _, n := range m.nodes {
		b := m.beacon.Nodes[n.name]
		if b == nil {
			continue
		}
		m.judgeSelf(n, FindingOptimistic, b.Health.Optimistic, "follows blocks it has not checked",
			"It follows the chain optimistically: its execution client has not checked the blocks yet, so its head may be invalid.", "Its blocks are checked again.")
		m.judgeSelf(n, FindingOffline, b.Health.Offline, "has lost its execution client",
			"It says that its execution client cannot be reached: it cannot check new blocks, and its validators cannot propose.", "Its execution client answers again.")
	}
}

func (m *Monitor) judgeSelf(n *node, kind string, bad bool, title, reason, over string) {
	key := m.key(kind, n.name)
	if !n.ok() {
		m.held(key, false, m.now, 0)
		m.clear(key, m.now, "The node cannot be compared any more: "+string(n.state)+".")
		return
	}
	if !bad {
		m.clear(key, m.now, over)
	}
	if !m.held(key, bad, m.now, healthHold) {
		return
	}
	f := m.finding(kind, n.name, sev4)
	f.Title, f.Reason = fmt.Sprintf("%s: node %s %s", m.cfg.Chain, n.name, title), reason
	m.fire(f, map[string]any{"node": n.name, "head": n.head.Ref()}, false)
}

func (m *Monitor) judgeFinality() {
	key := m.key(FindingFinality, "")
	l := m.finalityLags()
	lag, p := l.lag, l.points
	switch {
	case len(l.late)+len(l.well) == 0:
		return // what nobody can read is neither lost nor back
	case len(l.late) == 0:
		m.clear(key, m.now, fmt.Sprintf("Epoch %d is finalized, %d behind the head's; 2 is normal.", p.Finalized, lag))
		return
	}
	if !m.beacon.Late.sure(m.now) {
		return
	}
	f := m.finding(FindingFinality, "", sev4)
	switch {
	case len(l.late) <= len(l.well): // it is the matter of those nodes, or of the branch they are on
	case lag > 4:
		f.Severity = sev1
	case lag == 4:
		f.Severity = sev2
	}
	f.Since = m.beacon.Late.First
	f.Title = m.cfg.Chain + ": blocks are not finalized"
	if lag == epochsLate {
		f.Title = m.cfg.Chain + ": finalization is late"
	}
	f.Reason = fmt.Sprintf("The newest finalized epoch is %d, %d behind that of the head; 2 is normal, at 4 something is broken, above 4 absent validators are punished (inactivity leak). ", p.Finalized, lag)
	if p.Justified > p.Finalized {
		f.Reason += fmt.Sprintf("Epoch %d is justified. ", p.Justified)
	}
	if s := m.beacon.Share; s.Epoch > 0 {
		f.Reason += fmt.Sprintf("In epoch %d %.1f %% of the stake attested; 66.7 %% are needed. ", s.Epoch, 100*s.Ratio)
	}
	f.Reason += fmt.Sprintf("Read %d times; so say %d of %d nodes.", m.beacon.Late.Count, len(l.late), len(l.late)+len(l.well))
	m.verify(&f, slices.Clone(l.late), len(l.well))
	m.fire(f, map[string]any{"lag_epochs": lag, "checkpoints": p, "participation": m.beacon.Share, "reads": m.beacon.Late.Count, "late": l.late, "well": l.well}, false)
}

func (m *Monitor) judgeParticipation() {
	key, s := m.key(FindingParticipation, ""), m.beacon.Share
	if m.beacon.Low == nil {
		if s.Epoch > 0 {
			m.clear(key, m.now, fmt.Sprintf("In epoch %d %.1f %% of the stake attested.", s.Epoch, 100*s.Ratio))
		}
		return
	}
	if !m.beacon.Low.sure(m.now) {
		return
	}
	f := m.finding(FindingParticipation, "", sev4)
	f.Since = m.beacon.Low.First
	f.Title = m.cfg.Chain + ": few validators attest"
	f.Reason = fmt.Sprintf("In epoch %d %.1f %% of the stake attested; above 95 %% is normal, below 80 %% is a warning", s.Epoch, 100*s.Ratio)
	if s.Ratio < cannotFinalize {
		f.Severity = sev2
		f.Title = m.cfg.Chain + ": too few validators attest to finalize"
		f.Reason += ", and below 66.7 % nothing can be finalized"
	}
	f.Reason += "."
	m.verify(&f, slices.Clone(m.beacon.By), 0) // a node that cannot tell it does not contradict
	m.fire(f, map[string]any{"participation": s, "reads": m.beacon.Low.Count}, false)
}

// judgeTold gives a finding of a reorg that a node told and whose branches its headers did not show: else the reorg would be lost.
func (m *Monitor) judgeTold() {
	t := m.beacon.Told
	if t == nil || m.now-t.At < toldWait {
		return
	}
	key := m.key(FindingReorg, "told-"+Short(t.New))
	for _, r := range m.reorgs {
		if r.view.At >= t.At-witnessFor && int64(r.view.Depth)+1 >= t.Depth {
			m.beacon.Told = nil // the headers tell it, with both branches
			return
		}
	}
	if m.best != nil && m.best.head.Height >= t.Slot+max(clearAtLeast, min(2*t.Depth, clearAtMost)) && m.now-t.At > witnessFor {
		m.clear(key, m.now, fmt.Sprintf("The chain went on: the head is slot %d.", m.best.head.Height))
		m.beacon.Told = nil
		return
	}
	f := m.finding(FindingReorg, "told-"+Short(t.New), m.depthSeverity(int(min(t.Depth, 1<<20))))
	f.Subject, f.Since = m.cfg.Chain, t.At
	f.Title = fmt.Sprintf("%s: reorg of %d slots", m.cfg.Chain, t.Depth)
	f.Reason = fmt.Sprintf("Node %s told that its head went from %s to %s at slot %d, %d slots deep; depth up to %d is routine here. No headers of the old branch were seen.",
		t.Node, Short(t.Old), Short(t.New), t.Slot, t.Depth, m.routine())
	asked := 0
	for _, n := range m.nodes {
		if n.name != t.Node && m.witness(n) {
			asked++
		}
	}
	m.verify(&f, []string{t.Node}, asked)
	m.fire(f, map[string]any{"told": t}, false)
}

// beaconOver says why a finding that the log holds open from before the start is over; "" = it is not known yet.
func (m *Monitor) beaconOver(kind string) string {
	switch l := m.finalityLags(); {
	case kind == FindingFinality && len(l.late) == 0 && len(l.well) > 0:
		return fmt.Sprintf("Epoch %d is finalized, %d behind the head's; 2 is normal.", l.points.Finalized, l.lag)
	case kind == FindingParticipation && m.beacon.Share.Ratio >= enoughAgain:
		return fmt.Sprintf("In epoch %d %.1f %% of the stake attested.", m.beacon.Share.Epoch, 100*m.beacon.Share.Ratio)
	case kind == FindingMissedSlots && len(m.beacon.Slots.Window) >= slotWindow && m.beacon.Slots.tail() > slotsNormal:
		return fmt.Sprintf("%d of the last %d slots are empty.", m.beacon.Slots.missed(), len(m.beacon.Slots.Window))
	}
	return ""
}
