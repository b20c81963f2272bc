package chain

import "fmt"

// cometStanding is where a node stands in deciding, and since when.
type cometStanding struct {
	CometRound
	At    int64 `json:"at"`    // last told
	Moved int64 `json:"moved"` // height, round or step last changed
	First int64 `json:"first"` // round in which it was first seen at this height
}

const (
	standFresh = 30000   // ms a node's word on its round counts
	roundMoves = 120000  // ms within which a round that is not the first must have moved
	upgradeFor = 1800000 // ms that a chain may stand at the height of a planned upgrade before it pages
	twoThirds  = 2.0 / 3
)

func (m *Monitor) applyRound(n *node, r CometRound) {
	w := &m.comet
	if w.Stands == nil {
		w.Stands = map[string]cometStanding{}
	}
	s, ok := w.Stands[n.name]
	if !ok || s.Height != r.Height {
		s = cometStanding{First: r.Round, Moved: m.now}
	} else if s.Round != r.Round || s.Step != r.Step {
		s.Moved = m.now
	}
	s.CometRound, s.At = r, m.now
	w.Stands[n.name] = s
	m.sample("tocsin_comet_round", n, float64(r.Round))
	m.sample("tocsin_comet_prevotes_ratio", n, r.Prevotes)
}

// starved tells that a node waits for votes that do not come. The first round does not end while a third of the power is silent, so a round
// that stands still does not show that the node hangs (seen on CometBFT 1.0.1 with two of four validators stopped).
func (s *cometStanding) starved() bool {
	switch s.Step {
	case 4, 5:
		return s.Prevotes < twoThirds
	case 6, 7:
		return s.Precommits < twoThirds
	}
	return false
}

// votes is the share of the power heard in the present step.
func (s *cometStanding) votes() float64 {
	if s.Step >= 6 {
		return s.Precommits
	}
	return s.Prevotes
}

// judgeRounds says why there is no block: the validators cannot agree (rounds pass, or votes are missing), or a node takes no part in it
// (nothing moves though nothing is missing, or it has no peers).
func (m *Monitor) judgeRounds() {
	key := m.key(FindingConsensus, "")
	if f := m.open[key]; f != nil && m.progress > f.Since {
		m.calm(key, m.now, fmt.Sprintf("Block %d came, %s after the last one.", m.best.head.Height, dur(m.progress-f.Since)))
	}
	m.pace.judge()
	silence := m.now - m.progress
	quiet := m.best != nil && m.progress > 0 && m.pace.after > 0 && float64(silence) >= m.pace.after && !m.planned()
	var seen []string
	var most cometStanding
	for _, n := range m.nodes {
		s, ok := m.comet.Stands[n.name]
		stuckKey := m.key(FindingNodeStuck, n.name)
		if !quiet || !ok || !n.ok() || !n.has || m.now-s.At > standFresh || n.head.Height < m.best.head.Height {
			if n.ok() && n.moved > m.sinceOf(stuckKey) {
				m.calm(stuckKey, m.now, "The node decides on blocks again.")
			} else if m.best != nil && n.has && n.head.Height < m.best.head.Height {
				m.clear(stuckKey, m.now, "The others went on without it: see halted.")
			}
			continue
		}
		alone := n.peers == 0 && len(m.comet.Set) > 1
		rising := s.Round > 0 && m.now-s.Moved < roundMoves
		if !alone && (rising || s.starved()) {
			m.clear(stuckKey, m.now, "The node takes part in deciding again.")
			if len(seen) == 0 || s.Round > most.Round || s.Round == most.Round && s.votes() > most.votes() {
				most = s
			}
			seen = append(seen, n.name)
			continue
		}
		if float64(m.now-s.Moved) < m.pace.after {
			continue
		}
		f := m.finding(FindingNodeStuck, n.name, sev3)
		f.Since = s.Moved
		f.Title = fmt.Sprintf("%s: node %s does not take part in deciding", m.cfg.Chain, n.name)
		f.Reason = fmt.Sprintf("It stands at height %d, round %d, step %d for %s, though no votes are missing: the node itself hangs.", s.Height, s.Round, s.Step, dur(m.now-s.Moved))
		if alone {
			f.Reason = fmt.Sprintf("It stands at height %d for %s and has no peers: it hears no votes.", s.Height, dur(m.now-s.Moved))
		}
		m.fire(f, map[string]any{"node": n.name, "round": s, "peers": n.peers}, false)
	}
	if len(seen) == 0 {
		return
	}
	f := m.finding(FindingConsensus, "", sev2)
	if float64(silence) >= 2*m.pace.after {
		f.Severity = sev1
	}
	f.Since = m.progress
	f.Title = m.cfg.Chain + ": the validators cannot agree on the next block"
	f.Reason = fmt.Sprintf("No block after %d for %s; one is expected every %s. The validators are in round %d of height %d and %.1f %% of the voting power was heard; more than 66.7 %% is needed.",
		m.best.head.Height, dur(silence), dur(int64(m.pace.mean)), most.Round, most.Height, 100*most.votes())
	if len(most.Absent) > 0 {
		f.Reason += " Not heard: " + m.list(most.Absent) + "."
	}
	f.Reason += fmt.Sprintf(" %d of %d nodes say so.", len(seen), len(m.nodes))
	m.attest(&f, seen)
	m.fire(f, map[string]any{"head": m.best.head, "silence_ms": silence, "round": most, "nodes": seen}, false)
}

// plan is the upgrade that is planned, when the word of one node does not decide it: two operators must agree where there are two to ask.
func (m *Monitor) plan() (CometUpgrade, bool) {
	said := map[CometUpgrade][]string{}
	for name, u := range m.comet.Plans {
		said[u] = append(said[u], name)
	}
	best, most := CometUpgrade{}, 0
	for u, names := range said {
		if k := m.voices(names); k > most || k == most && (u.Height > best.Height || u.Height == best.Height && u.Name < best.Name) {
			best, most = u, k
		}
	}
	return best, best.Height > 0 && most >= min(2, len(m.opers))
}

// atPlan tells whether the chain stands at the height of the plan: the block before it is the last one.
func (m *Monitor) atPlan() (CometUpgrade, bool) {
	u, ok := m.plan()
	if !ok || m.best == nil {
		return u, false
	}
	return u, m.best.head.Height == u.Height-1 || m.best.head.Height == u.Height
}

// planned tells that silence is explained by an upgrade, and not for too long yet.
func (m *Monitor) planned() bool {
	if m.cfg.Family != Comet {
		return false
	}
	_, at := m.atPlan()
	return at && m.now-m.progress < upgradeFor
}

func (m *Monitor) judgeUpgrade() {
	key := m.key(FindingUpgrade, "")
	u, at := m.atPlan()
	if !at {
		if f := m.open[key]; f != nil && m.best != nil {
			m.clear(key, m.now, fmt.Sprintf("The chain went on: its head is %d, %s after the halt.", m.best.head.Height, dur(m.now-f.Since)))
		}
		return
	}
	silence := m.now - m.progress
	if silence < stallFloor {
		return
	}
	f := m.finding(FindingUpgrade, "", sev5)
	f.Since = m.progress
	f.Title = fmt.Sprintf("%s: halted for upgrade %s", m.cfg.Chain, u.Name)
	f.Reason = fmt.Sprintf("The chain stands at %d as planned for upgrade %s; a stall is not paged before it has stood for %s.", m.best.head.Height, u.Name, dur(upgradeFor))
	if silence >= upgradeFor {
		f.Severity = sev2
		f.Reason = fmt.Sprintf("The chain stands at %d for upgrade %s since %s: upgrades take less.", m.best.head.Height, u.Name, dur(silence))
	}
	var by []string
	for _, n := range m.nodes {
		if n.ok() && m.comet.Plans[n.name] == u {
			by = append(by, n.name)
		}
	}
	m.attest(&f, by)
	m.fire(f, map[string]any{"plan": u, "head": m.best.head.Ref(), "silence_ms": silence}, false)
}

// cometOver says why a finding that only the log knows is over; "" while that is not known.
func (m *Monitor) cometOver(kind, subject string) string {
	w := &m.comet
	r, set := w.Runs[subject], len(w.Set) > 0 && len(w.Shares) >= powerLong
	switch kind {
	case FindingConsensus, FindingUpgrade:
		if m.progress > m.started {
			return "New blocks came after Tocsin started again."
		}
	case FindingNodeStuck:
		n := m.node(subject)
		if n == nil {
			return "The node is no longer watched."
		}
		if n.ok() && n.moved > m.started && n.head.Height > n.firstHeight {
			return "The node decides on blocks again."
		}
	case FindingPowerMissing:
		if set {
			return fmt.Sprintf("Enough voting power signed the last %d blocks.", powerLong)
		}
	case FindingDoubleSign:
		if first := m.firstHeight(); first > 0 && w.Last >= first+proofFor {
			return fmt.Sprintf("%d further blocks were seen after Tocsin started again.", proofFor)
		}
	case FindingValidatorMissing:
		if set && (r == nil || r.Left > 0 || r.Signed >= signedLong) {
			return "The validator signs again, or is no longer watched."
		}
	case FindingValidatorLeft:
		if set && (r == nil || r.Left == 0) {
			return "The validator is in the active set, or is no longer watched."
		}
	case FindingValidatorWindow, FindingValidatorJailed:
		i, ok := w.Records[subject]
		switch {
		case ok && kind == FindingValidatorJailed && !i.jailed(m.now):
			return "The validator is not jailed any more."
		case ok && kind == FindingValidatorWindow && i.spent() < windowWarn:
			return "The validator signs enough again."
		case set && w.Records != nil && !ok:
			return "The validator is no longer watched."
		}
	}
	return ""
}
