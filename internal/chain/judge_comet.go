package chain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kinds of finding of CometBFT chains.
const (
	FindingConsensus        = "consensus"         // the validators cannot decide on the next block
	FindingNodeStuck        = "node_stuck"        // a node takes no part in deciding, though it answers
	FindingPowerMissing     = "power_missing"     // so much voting power does not sign that a third is near
	FindingValidatorMissing = "validator_missing" // a watched validator does not sign
	FindingValidatorWindow  = "validator_window"  // a watched validator has used up much of what it may miss
	FindingValidatorJailed  = "validator_jailed"  // a watched validator is jailed or tombstoned
	FindingValidatorLeft    = "validator_left"    // a watched validator is not in the active set any more
	FindingDoubleSign       = "double_sign"       // a block holds the proof that a validator signed twice, or attacked light clients
	FindingUpgrade          = "upgrade"           // the chain stands at the height of a planned upgrade
)

const (
	setMost    = 512 // validators of one set that are looked at
	smallSet   = 20  // where none is named, all of a set up to this size are watched
	sharesKept = 10
	powerLong  = 5 // commits in a row
	powerWarn  = 0.20
	powerPage  = 0.28 // a third stops the chain
	powerOver  = 0.15
	missedLong = 5  // blocks in a row (tenderduty's consecutive_missed)
	missedPage = 50 // blocks in a row
	signedLong = 3  // in a row: the validator is back
	windowWarn = 0.25
	windowPage = 0.75
	windowOver = 0.20
	proofFor   = 64 // blocks for which a double sign stays open
	proofsMost = 64
	toldKept   = 8
)

// cometWatch is what a Monitor of a CometBFT chain knows beside the heads. It is saved as it is.
type cometWatch struct {
	Set     map[string]Validator     `json:"set,omitempty"`
	Last    int64                    `json:"last,omitempty"`   // newest height whose commit was judged
	Shares  []float64                `json:"shares,omitempty"` // of the power that did not sign, newest last
	Told    []cometTold              `json:"told,omitempty"`   // the newest commits and who told them so, newest last
	Runs    map[string]*cometRun     `json:"runs,omitempty"`   // watched validators
	Records map[string]cometRecord   `json:"records,omitempty"`
	Says    map[string][]string      `json:"says,omitempty"` // nodes whose newest word on a watched validator is so, by kind of finding and address
	Proofs  map[string]*cometProof   `json:"proofs,omitempty"`
	Plans   map[string]CometUpgrade  `json:"plans,omitempty"` // by node
	Stands  map[string]cometStanding `json:"stands,omitempty"`
}

type cometTold struct {
	Height int64    `json:"height"`
	Missed string   `json:"missed"`
	Nodes  []string `json:"nodes"`
}

type cometRun struct {
	Missed int64 `json:"missed"` // blocks in a row
	Signed int64 `json:"signed"` // blocks in a row
	Since  int64 `json:"since"`  // of the row of missed ones, our clock
	From   int64 `json:"from"`   // its first height
	Left   int64 `json:"left"`   // since when it is not in the set; 0 = it is
	Free   bool  `json:"free"`   // it was seen unjailed
}

type cometProof struct {
	Evidence Evidence `json:"evidence"`
	In       int64    `json:"in"` // height of the block that holds it
	At       int64    `json:"at"`
	Nodes    []string `json:"nodes"`
}

func (m *Monitor) applyComet(n *node, s *CometSaid) {
	if s == nil || m.cfg.Family != Comet {
		return
	}
	w := &m.comet
	if len(s.Validators) > 0 && n.ok() {
		if len(w.Set) == 0 || n == m.best {
			m.applySet(s.Validators)
		}
		m.saySet(n, s.Validators)
	}
	if s.Round != nil {
		m.applyRound(n, *s.Round)
	}
	if s.Commit != nil && n.ok() {
		m.applyCommit(n, *s.Commit)
	}
	if s.Slashing != nil && n.ok() {
		m.applySlashing(n, s.Slashing)
	}
	if u := s.Upgrade; u != nil {
		if w.Plans == nil {
			w.Plans = map[string]CometUpgrade{}
		}
		w.Plans[n.name] = *u
		if u.Height > 0 && m.best != nil {
			m.sample("tocsin_comet_upgrade_blocks_left", nil, float64(u.Height-m.best.head.Height))
		}
	}
	m.changed = true
}

// watching tells whether a validator is looked at by itself: those that are named, or all of a small set where none is.
func (m *Monitor) watching(address string) bool {
	if len(m.cfg.Watch) == 0 {
		return len(m.comet.Set) <= smallSet
	}
	name := m.comet.Set[address].Name
	return slices.ContainsFunc(m.cfg.Watch, func(w string) bool {
		return strings.EqualFold(w, address) || name != "" && strings.EqualFold(w, name)
	})
}

// called is a validator as people know it.
func (m *Monitor) called(address string) string {
	if v := m.comet.Set[address]; v.Name != "" {
		return fmt.Sprintf("%s (%s)", v.Name, Short(address))
	}
	return Short(address)
}

// list names at most five.
func (m *Monitor) list(addresses []string) string {
	var out []string
	for i, a := range addresses {
		if i == 5 {
			out = append(out, fmt.Sprintf("%d more", len(addresses)-i))
			break
		}
		out = append(out, m.called(a))
	}
	return strings.Join(out, ", ")
}

func (m *Monitor) applySet(list []Validator) {
	w, set := &m.comet, map[string]Validator{}
	for _, v := range list[:min(len(list), setMost)] {
		if v.Power = max(v.Power, 0); v.Address != "" {
			set[v.Address] = v
		}
	}
	if len(set) == 0 {
		return
	}
	w.Set = set
	if w.Runs == nil {
		w.Runs = map[string]*cometRun{}
	}
	for a := range w.Set {
		if r := w.Runs[a]; r != nil {
			r.Left = 0
		} else if m.watching(a) {
			w.Runs[a] = &cometRun{}
		}
	}
	for _, a := range slices.Sorted(maps.Keys(w.Runs)) {
		r := w.Runs[a]
		if _, in := w.Set[a]; !in && r.Left == 0 {
			r.Left = m.now
		}
		if _, in := w.Set[a]; !in && len(m.cfg.Watch) == 0 {
			m.unwatch(a) // it was watched for being one of a few
			for _, kind := range []string{FindingValidatorMissing, FindingValidatorWindow, FindingValidatorJailed} {
				m.clear(m.key(kind, a), m.now, "The validator is not in the active set any more.")
			}
		}
	}
	m.sample("tocsin_comet_validators", nil, float64(len(list)))
}

// applyCommit counts every height once, whoever tells it first; the others' word confirms it.
func (m *Monitor) applyCommit(n *node, c CometCommit) {
	w := &m.comet
	if c.Height <= 0 || !n.has || c.Height > n.head.Height {
		return // a height that cannot be must not hide those that come
	}
	missed := strings.Join(c.Missed, " ")
	m.applyProofs(n, c)
	for i, t := range w.Told {
		if t.Height == c.Height {
			if t.Missed == missed && !slices.Contains(t.Nodes, n.name) {
				w.Told[i].Nodes = append(slices.Clone(t.Nodes), n.name)
			}
			return
		}
	}
	if c.Height <= w.Last {
		return
	}
	w.Last = c.Height
	w.Told = append(w.Told, cometTold{c.Height, missed, []string{n.name}})
	w.Told = slices.Clone(w.Told[max(0, len(w.Told)-toldKept):])
	m.sample("tocsin_comet_commit_round", nil, float64(c.Round))
	m.sample("tocsin_comet_absent_signatures", nil, float64(c.Absent))
	if len(w.Set) == 0 {
		return
	}
	all, gone := 0.0, 0.0
	for a, v := range w.Set {
		all += float64(v.Power)
		if slices.Contains(c.Missed, a) {
			gone += float64(v.Power)
		}
	}
	if all > 0 {
		w.Shares = append(w.Shares, gone/all)
		w.Shares = slices.Clone(w.Shares[max(0, len(w.Shares)-sharesKept):])
		m.sample("tocsin_comet_missing_power_ratio", nil, gone/all)
	}
	for _, a := range slices.Sorted(maps.Keys(w.Runs)) {
		r := w.Runs[a]
		if r.Left > 0 {
			continue
		}
		if slices.Contains(c.Missed, a) {
			if r.Missed == 0 {
				r.Since, r.From = m.now, c.Height
			}
			r.Missed, r.Signed = r.Missed+1, 0
		} else if r.Signed++; r.Signed >= signedLong || r.Missed < missedLong {
			r.Missed = 0
		}
		m.validatorSample("tocsin_comet_validator_missed_run", a, float64(r.Missed))
	}
}

func (m *Monitor) validatorSample(name, validator string, v float64) {
	m.samples = append(m.samples, Sample{Name: name, Labels: map[string]string{"chain": m.cfg.Chain, "validator": validator}, At: m.now, Value: v})
}

func (m *Monitor) applyProofs(n *node, c CometCommit) {
	w := &m.comet
	for _, e := range c.Evidence {
		for _, a := range e.Validators {
			if w.Proofs == nil {
				w.Proofs = map[string]*cometProof{}
			}
			p := w.Proofs[a]
			if p == nil && len(w.Proofs) < proofsMost {
				p = &cometProof{Evidence: e, In: c.Height, At: m.now}
				w.Proofs[a] = p
				m.sample("tocsin_comet_evidence", nil, 1)
			}
			if p != nil && !slices.Contains(p.Nodes, n.name) && p.In == c.Height {
				p.Nodes = append(p.Nodes, n.name)
			}
		}
	}
}

func (m *Monitor) judgeComet() {
	if m.cfg.Family != Comet {
		return
	}
	m.judgeUpgrade()
	m.judgeRounds()
	m.judgePower()
	m.judgeValidators()
	m.judgeProofs()
}

// attest writes into a finding which nodes show it, and whether others were asked.
func (m *Monitor) attest(f *Finding, seen []string) {
	asked := 0
	for _, n := range m.nodes {
		if !slices.Contains(seen, n.name) && m.witness(n) {
			asked++
		}
	}
	m.verify(f, slices.Clone(seen), asked)
}

// tellers are the nodes that agree on who signed one of the commits from a height on.
func (m *Monitor) tellers(from int64) []string {
	w := &m.comet
	var last []string
	for i := len(w.Told) - 1; i >= 0; i-- {
		if last == nil || w.Told[i].Height >= from && m.voices(w.Told[i].Nodes) > m.voices(last) {
			last = w.Told[i].Nodes
		}
	}
	return last
}

func (m *Monitor) judgePower() {
	w := &m.comet
	if len(w.Shares) < powerLong {
		return
	}
	last := w.Shares[len(w.Shares)-powerLong:]
	low, high := slices.Min(last), slices.Max(last)
	key := m.key(FindingPowerMissing, "")
	if low < powerWarn && m.open[key] == nil || high < powerOver {
		m.clear(key, m.now, fmt.Sprintf("At most %.1f %% of the voting power missed any of the last %d blocks.", 100*high, powerLong))
		return
	}
	f := m.finding(FindingPowerMissing, "", sev3)
	if low >= powerPage {
		f.Severity = sev2
	}
	f.Title = fmt.Sprintf("%s: voting power does not sign", m.cfg.Chain)
	missed := strings.Fields(w.Told[len(w.Told)-1].Missed)
	f.Reason = fmt.Sprintf("Block %d was not signed by %.1f %% of the voting power, and at least %.1f %% missed each of the last %d blocks; from 33.3 %% on the chain stops. Missing: %s.",
		w.Last, 100*w.Shares[len(w.Shares)-1], 100*low, powerLong, m.list(missed))
	if len(missed) == 0 {
		f.Reason = fmt.Sprintf("Up to %.1f %% of the voting power missed one of the last %d blocks; from 33.3 %% on the chain stops.", 100*high, powerLong)
	}
	m.attest(&f, m.tellers(w.Last-powerLong+1))
	m.fire(f, map[string]any{"height": w.Last, "missing_share": last, "missed": missed}, false)
}

func (m *Monitor) judgeValidators() {
	w := &m.comet
	base, worse := sev4, sev3
	if len(m.cfg.Watch) > 0 {
		base, worse = sev3, sev2
	}
	for _, a := range slices.Sorted(maps.Keys(w.Runs)) {
		r := w.Runs[a]
		key := m.key(FindingValidatorMissing, a)
		switch {
		case r.Left > 0:
			m.clear(key, m.now, "The validator is not in the active set any more.")
		case r.Missed >= missedLong:
			f := m.finding(FindingValidatorMissing, a, base)
			if f.Since = r.Since; r.Missed >= missedPage {
				f.Severity = worse
			}
			f.Title = fmt.Sprintf("%s: validator %s does not sign", m.cfg.Chain, m.called(a))
			f.Reason = fmt.Sprintf("It missed %d blocks in a row, from height %d to %d.", r.Missed, r.From, w.Last)
			m.attest(&f, m.tellers(r.From))
			m.fire(f, map[string]any{"validator": w.Set[a], "missed": r.Missed, "from": r.From, "to": w.Last}, false)
		case m.open[key] != nil:
			m.clear(key, m.now, fmt.Sprintf("It signed the last %d blocks, up to height %d.", r.Signed, w.Last))
		}
		m.judgeLeft(a, r)
		if i, ok := w.Records[a]; ok {
			m.judgeRecord(a, r, i)
		}
	}
}

func (m *Monitor) judgeProofs() {
	for _, a := range slices.Sorted(maps.Keys(m.comet.Proofs)) {
		p := m.comet.Proofs[a]
		key := m.key(FindingDoubleSign, a)
		if m.comet.Last >= p.In+proofFor {
			m.clear(key, m.now, fmt.Sprintf("%d further blocks were built since.", m.comet.Last-p.In))
			delete(m.comet.Proofs, a)
			continue
		}
		f := m.finding(FindingDoubleSign, a, sev1)
		f.Since = p.At
		f.Title = fmt.Sprintf("%s: validator %s signed two blocks at one height", m.cfg.Chain, m.called(a))
		f.Reason = fmt.Sprintf("Block %d holds the proof that it signed two blocks at height %d: its key is used twice or was stolen.", p.In, p.Evidence.Height)
		if p.Evidence.Kind != "DuplicateVote" {
			f.Title = fmt.Sprintf("%s: validator %s attacked light clients", m.cfg.Chain, m.called(a))
			f.Reason = fmt.Sprintf("Block %d holds the proof (%s) of an attack at height %d.", p.In, p.Evidence.Kind, p.Evidence.Height)
		}
		m.attest(&f, p.Nodes)
		m.fire(f, map[string]any{"evidence": p.Evidence, "in_block": p.In, "validator": m.comet.Set[a]}, false)
	}
}
