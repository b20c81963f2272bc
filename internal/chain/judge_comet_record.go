package chain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// cometRecord is a validator's record with what the node that told it says is allowed.
type cometRecord struct {
	CometSigning
	Window    int64   `json:"window"`
	MinSigned float64 `json:"min_signed"`
}

// spent is the share of the misses that a validator is allowed in its window: at 1 it is jailed.
func (r cometRecord) spent() float64 {
	allowed := float64(r.Window) * (1 - r.MinSigned)
	if allowed <= 0 {
		return 0
	}
	return float64(r.Missed) / allowed
}

func (r cometRecord) jailed(now int64) bool {
	return r.Tombstoned || r.Jailed || r.JailedUntil > now
}

// say keeps whether a node's newest word on a watched validator is so.
func (m *Monitor) say(kind, address string, n *node, so bool) {
	w, k := &m.comet, kind+"/"+address
	have := slices.Contains(w.Says[k], n.name)
	switch {
	case so && !have:
		if w.Says == nil {
			w.Says = map[string][]string{}
		}
		w.Says[k] = append(w.Says[k], n.name)
	case !so && have:
		if w.Says[k] = slices.DeleteFunc(w.Says[k], func(x string) bool { return x == n.name }); len(w.Says[k]) == 0 {
			delete(w.Says, k)
		}
	}
}

// sayers are the nodes that are believed and say so.
func (m *Monitor) sayers(kind, address string) []string {
	return slices.DeleteFunc(slices.Clone(m.comet.Says[kind+"/"+address]), func(name string) bool {
		n := m.node(name)
		return n == nil || !n.ok()
	})
}

// unwatch forgets a validator.
func (m *Monitor) unwatch(address string) {
	delete(m.comet.Runs, address)
	maps.DeleteFunc(m.comet.Says, func(k string, _ []string) bool { return strings.HasSuffix(k, "/"+address) })
}

// saySet takes who is not in a node's set.
func (m *Monitor) saySet(n *node, list []Validator) {
	in := map[string]bool{}
	for _, v := range list[:min(len(list), setMost)] {
		in[v.Address] = true
	}
	for a := range m.comet.Runs {
		m.say(FindingValidatorLeft, a, n, !in[a])
	}
}

// applySlashing takes the records of the watched validators. As long as some node says that one is in trouble, its record is the one kept: what
// the others say decides how far it is confirmed, not whether it is told.
func (m *Monitor) applySlashing(n *node, s *CometSlashing) {
	w := &m.comet
	if w.Records == nil {
		w.Records = map[string]cometRecord{}
	}
	maps.DeleteFunc(w.Records, func(a string, _ cometRecord) bool { return w.Runs[a] == nil })
	for _, i := range s.Infos[:min(len(s.Infos), setMost)] {
		run := w.Runs[i.Address]
		if run == nil {
			continue
		}
		r := cometRecord{i, s.Window, s.MinSigned}
		jailed, from := r.jailed(m.now), windowWarn
		if m.open[m.key(FindingValidatorWindow, i.Address)] != nil {
			from = windowOver
		}
		low := !jailed && r.spent() >= from
		m.say(FindingValidatorJailed, i.Address, n, jailed)
		m.say(FindingValidatorWindow, i.Address, n, low)
		run.Free = run.Free || !jailed
		trouble := len(m.sayers(FindingValidatorJailed, i.Address))+len(m.sayers(FindingValidatorWindow, i.Address)) > 0
		if _, ok := w.Records[i.Address]; !ok || jailed || low || !trouble {
			w.Records[i.Address] = r
		}
		m.validatorSample("tocsin_comet_validator_window_ratio", i.Address, r.spent())
	}
}

// judgeLeft speaks only of validators that are named and were in the set before.
func (m *Monitor) judgeLeft(a string, r *cometRun) {
	if r.Left == 0 {
		m.clear(m.key(FindingValidatorLeft, a), m.now, "The validator is in the active set again.")
		return
	}
	f := m.finding(FindingValidatorLeft, a, sev3)
	f.Since = r.Left
	f.Title = fmt.Sprintf("%s: validator %s left the active set", m.cfg.Chain, m.called(a))
	f.Reason = "It has no voting power any more: it was jailed, or others have more stake."
	m.attest(&f, m.sayers(FindingValidatorLeft, a))
	m.fire(f, map[string]any{"validator": a}, false)
}

func (m *Monitor) judgeRecord(a string, r *cometRun, i cometRecord) {
	key, spent := m.key(FindingValidatorWindow, a), i.spent()
	jailedBy, lowBy := m.sayers(FindingValidatorJailed, a), m.sayers(FindingValidatorWindow, a)
	switch {
	case i.jailed(m.now) || len(lowBy) == 0:
		m.clear(key, m.now, fmt.Sprintf("It has used %.0f %% of the misses it is allowed in %d blocks.", 100*spent, i.Window))
	default:
		f := m.finding(FindingValidatorWindow, a, sev3)
		if spent >= windowPage {
			f.Severity = sev2
		}
		f.Title = fmt.Sprintf("%s: validator %s nears jail", m.cfg.Chain, m.called(a))
		f.Reason = fmt.Sprintf("It missed %d of the last %d blocks: %.0f %% of what it is allowed before it is jailed.", i.Missed, i.Window, 100*spent)
		m.attest(&f, lowBy)
		m.fire(f, map[string]any{"validator": a, "missed": i.Missed, "window": i.Window, "min_signed": i.MinSigned}, false)
	}
	key = m.key(FindingValidatorJailed, a)
	switch {
	case !i.jailed(m.now) || len(jailedBy) == 0:
		m.clear(key, m.now, "The validator is not jailed any more.")
	case r.Free || len(m.cfg.Watch) > 0: // one of a few that has been jailed since before we came is no news
		f := m.finding(FindingValidatorJailed, a, sev2)
		f.Title = fmt.Sprintf("%s: validator %s is jailed", m.cfg.Chain, m.called(a))
		f.Reason = "It is jailed and earns nothing until it is unjailed."
		if i.Tombstoned {
			f.Severity, f.Title = sev1, fmt.Sprintf("%s: validator %s is tombstoned", m.cfg.Chain, m.called(a))
			f.Reason = "It signed twice and is tombstoned: this key can never validate again."
		}
		m.attest(&f, jailedBy)
		m.fire(f, map[string]any{"validator": a, "record": i}, false)
	}
}
