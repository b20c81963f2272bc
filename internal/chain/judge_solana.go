package chain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kinds of finding of Solana clusters.
const (
	FindingSkipRate            = "skip_rate"            // leaders leave more slots empty than they use to
	FindingDelinquent          = "delinquent_stake"     // so much stake does not vote that finality is in danger
	FindingFinalityLag         = "finality_lag"         // slots are processed and not finalized
	FindingVoteOnly            = "vote_only"            // blocks hold votes and nothing else
	FindingSlowSlots           = "slow_slots"           // fewer slots a minute than the cluster uses to have
	FindingUnhealthy           = "unhealthy"            // a node says that it is behind the cluster
	FindingValidatorDelinquent = "validator_delinquent" // a watched validator does not vote
)

const (
	solanaFresh  = 120000 // ms a node's word counts for
	skipSlots    = 100    // with a leader, at least, in one window
	skipKept     = 500    // windows remembered
	skipLearned  = 100    // windows before their 99th percentile counts
	skipFloor    = 0.30   // the 99th percentile of 80 s windows on mainnet was 25 %
	skipPage     = 0.60
	stakeWarn    = 0.10
	stakePage    = 0.20
	stakeThird   = 1.0 / 3 // what does not vote must stay below it, or nothing is finalized
	stakeKept    = 288     // answers remembered
	stakeLearned = 20
	finalWarn    = 100 // slots between processed and finalized; 32 is normal
	finalPage    = 300
	finalOver    = 64
	finalLong    = 20000 // ms
	sampleFew    = 10    // performance samples before their median counts
	sampleKept   = 240
	voteOnly     = 0.01 // share of transactions that are no votes
	voteUsual    = 0.05 // and what it must have been before
	behindHold   = 15000
)

// solanaWatch is what a Monitor of a Solana cluster knows beside the heads. It is saved as it is.
type solanaWatch struct {
	Skips    []float64              `json:"skips,omitempty"` // of quiet windows, for what is usual
	Window   *SolanaProduction      `json:"window,omitempty"`
	Rate     float64                `json:"rate,omitempty"`
	High     int                    `json:"high,omitempty"` // windows in a row above the bound
	Low      int                    `json:"low,omitempty"`  // windows in a row below the way out
	Stakes   []float64              `json:"stakes,omitempty"`
	Slots    []float64              `json:"slots,omitempty"`     // slots a minute of performance samples
	Users    []float64              `json:"users,omitempty"`     // share of transactions that are no votes
	SampleAt int64                  `json:"sample_at,omitempty"` // slot of the newest performance sample
	Few      int                    `json:"few,omitempty"`       // vote-only samples in a row
	Slow     int                    `json:"slow,omitempty"`      // slow samples in a row
	Nodes    map[string]*solanaNode `json:"nodes,omitempty"`
}

type solanaNode struct {
	Slots   SolanaSlots           `json:"slots"`
	SlotsAt int64                 `json:"slots_at"`
	Stake   *SolanaStake          `json:"stake,omitempty"`
	StakeAt int64                 `json:"stake_at"`
	Behind  int64                 `json:"behind"`
	Perf    *SolanaPerformance    `json:"perf,omitempty"`
	PerfAt  int64                 `json:"perf_at"`
	Skip    float64               `json:"skip"`
	SkipAt  int64                 `json:"skip_at"`
	Watched map[string]SolanaVote `json:"watched,omitempty"`
}

func (m *Monitor) applySolana(n *node, s *SolanaSaid) {
	if s == nil || m.cfg.Family != Solana {
		return
	}
	w := &m.solana
	if w.Nodes == nil {
		w.Nodes = map[string]*solanaNode{}
	}
	k := w.Nodes[n.name]
	if k == nil {
		k = &solanaNode{}
		w.Nodes[n.name] = k
	}
	if x := s.Slots; x != nil && min(x.Processed, x.Confirmed, x.Finalized) >= 0 && max(x.Processed, x.Confirmed, x.Finalized) < heightMax {
		k.Slots, k.SlotsAt = *x, m.now
		m.sample("tocsin_solana_processed_slot", n, float64(x.Processed))
		m.sample("tocsin_solana_finalized_slot", n, float64(x.Finalized))
		m.sample("tocsin_solana_finality_lag_slots", n, float64(max(x.Processed-x.Finalized, 0)))
		if x.Length > 0 {
			m.sample("tocsin_solana_epoch", n, float64(x.Epoch))
			m.sample("tocsin_solana_epoch_progress_ratio", n, float64(x.Index)/float64(x.Length))
		}
		if x.Time > 0 {
			m.sample("tocsin_solana_block_age_seconds", n, float64(max(m.now-x.Time, 0))/1000)
		}
	}
	if x := s.Health; x != nil {
		k.Behind = x.Behind
		m.sample("tocsin_solana_behind_slots", n, float64(max(x.Behind, 0)))
	}
	if x := s.Stake; x != nil && x.Active >= 1 && x.Delinquent >= 0 && x.Delinquent <= x.Active {
		m.applyStake(n, k, x)
	}
	if x := s.Production; x != nil && n.ok() {
		m.applyProduction(k, *x)
	}
	if x := s.Performance; x != nil && x.Period > 0 && x.Slot >= 0 && x.Slot < heightMax && x.Slots >= 0 && x.Slots < 1<<20 && n.ok() {
		m.applyPerformance(n, k, *x)
	}
	if x := s.Cluster; x != nil {
		m.sample("tocsin_solana_cluster_nodes", n, float64(x.Nodes))
	}
	m.changed = true
}

func (m *Monitor) applyStake(n *node, k *solanaNode, x *SolanaStake) {
	share := x.Delinquent / x.Active
	k.Stake, k.StakeAt, k.Watched = x, m.now, map[string]SolanaVote{}
	for _, v := range x.Watched {
		k.Watched[v.Identity] = v
		if v.Known && k.Slots.Processed > 0 {
			m.validatorSample("tocsin_solana_validator_vote_lag_slots", v.Identity, float64(max(k.Slots.Processed-v.LastVote, 0)))
		}
	}
	if n == m.best && share < stakePage {
		m.solana.Stakes = keep(m.solana.Stakes, share, stakeKept)
	}
	m.sample("tocsin_solana_delinquent_stake_ratio", n, share)
	m.sample("tocsin_solana_active_stake", n, x.Active)
	m.sample("tocsin_solana_validators", n, float64(x.Voters))
	m.sample("tocsin_solana_validators_delinquent", n, float64(x.Late))
}

// applyProduction judges one window of slots. Windows overlap when two nodes tell of the same slots: the later is passed over. A window with
// few slots that had a leader says nothing.
func (m *Monitor) applyProduction(k *solanaNode, x SolanaProduction) {
	w := &m.solana
	if x.Leader < skipSlots || x.Produced < 0 || x.Produced > x.Leader || x.First < 0 || x.Last < x.First || x.Last >= heightMax {
		return
	}
	k.Skip, k.SkipAt = 1-float64(x.Produced)/float64(x.Leader), m.now
	if w.Window != nil && x.First <= w.Window.Last {
		return
	}
	before := w.Rate
	w.Window, w.Rate = &x, k.Skip
	m.sample("tocsin_solana_skip_ratio", nil, w.Rate)
	bound := m.skipBound()
	switch {
	case w.Rate < bound*0.8:
		w.High, w.Low = 0, w.Low+1
	case w.Rate >= skipPage: // one window is enough
		w.High, w.Low = w.High+2, 0
	case w.Rate < bound, w.High == 1 && w.Rate < before*0.6: // high and falling fast is no news
		w.High, w.Low = min(w.High, 1), 0
	default:
		w.High, w.Low = w.High+1, 0
	}
	if w.Rate < bound {
		w.Skips = keep(w.Skips, w.Rate, skipKept)
	}
}

// skipBound is what a window has to exceed: the 99th percentile of the cluster's own windows and a fifth more, not less than skipFloor. What is
// above it is not learned.
func (m *Monitor) skipBound() float64 {
	s := slices.Sorted(slices.Values(m.solana.Skips))
	if len(s) < skipLearned {
		return skipFloor
	}
	return min(max(skipFloor, 1.2*s[len(s)*99/100]), skipPage)
}

func (m *Monitor) applyPerformance(n *node, k *solanaNode, x SolanaPerformance) {
	w := &m.solana
	if k.Perf != nil && x.Slot <= k.Perf.Slot {
		return
	}
	k.Perf, k.PerfAt = &x, m.now
	minute, period := x.minute(), float64(x.Period)
	m.sample("tocsin_solana_slots_per_minute", n, minute)
	m.sample("tocsin_solana_transactions_per_second", n, float64(x.Txs)/period)
	if x.NonVote >= 0 {
		m.sample("tocsin_solana_nonvote_per_second", n, float64(x.NonVote)/period)
	}
	if x.Slot < w.SampleAt+int64(minute*float64(x.Period)/120) { // another node told of this minute already
		return
	}
	w.SampleAt = x.Slot
	if w.slow(minute) {
		w.Slow++
	} else {
		w.Slow, w.Slots = 0, keep(w.Slots, minute, sampleKept)
	}
	if x.NonVote < 0 || x.Txs <= 0 {
		return
	}
	users := x.users()
	if users < voteOnly && len(w.Users) >= sampleFew && median(w.Users) >= voteUsual {
		w.Few++
	} else {
		w.Few, w.Users = 0, keep(w.Users, users, sampleKept)
	}
}

// minute is how many slots a sample's minute had.
func (x SolanaPerformance) minute() float64 { return float64(x.Slots) * 60 / float64(x.Period) }

// users is the share of a sample's transactions that are no votes; it has some.
func (x SolanaPerformance) users() float64 { return float64(x.NonVote) / float64(x.Txs) }

// slow tells whether so few slots a minute are not as usual.
func (w *solanaWatch) slow(minute float64) bool {
	return len(w.Slots) >= sampleFew && minute < median(w.Slots)/2 || minute < 75
}

func keep(list []float64, v float64, most int) []float64 {
	list = append(list, v)
	return slices.Clone(list[max(0, len(list)-most):])
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

func (m *Monitor) judgeSolana() {
	if m.cfg.Family != Solana {
		return
	}
	m.judgeSkips()
	m.judgeStake()
	m.judgeFinalityLag()
	m.judgePerformance()
	m.judgeHealth()
	m.judgeVotes()
}

func (m *Monitor) judgeSkips() {
	w, key := &m.solana, m.key(FindingSkipRate, "")
	if w.Window == nil {
		return
	}
	if w.Low >= 2 || w.High < 2 && m.open[key] == nil {
		m.clear(key, m.now, fmt.Sprintf("In the last two windows at most %.0f %% of the slots were skipped, or little more.", 100*w.Rate))
		return
	}
	if w.High == 0 {
		return // between the way out and the bound: it lasts
	}
	f := m.finding(FindingSkipRate, "", sev3)
	if w.Rate >= skipPage {
		f.Severity = sev2
	}
	f.Title = m.cfg.Chain + ": many slots are skipped"
	f.Reason = fmt.Sprintf("%.0f %% of the %d slots from %d to %d had no block; the bound for such a window is %.0f %% here, half of the windows stay below %.0f %%.",
		100*w.Rate, w.Window.Leader, w.Window.First, w.Window.Last, 100*m.skipBound(), 100*median(w.Skips))
	m.attest(&f, m.nodesWith(func(k *solanaNode) bool { return k.Skip >= 0.8*m.skipBound() && m.now-k.SkipAt < 2*solanaFresh }))
	m.fire(f, map[string]any{"window": w.Window, "rate": w.Rate, "usual": median(w.Skips), "learned_from": len(w.Skips)}, false)
}

// nodesWith are the nodes for which a condition holds, among those whose word is fresh.
func (m *Monitor) nodesWith(is func(*solanaNode) bool) []string {
	var out []string
	for _, n := range m.nodes {
		if k := m.solana.Nodes[n.name]; k != nil && n.ok() && is(k) {
			out = append(out, n.name)
		}
	}
	return out
}

func (m *Monitor) judgeStake() {
	key := m.key(FindingDelinquent, "")
	warn := stakeWarn
	if len(m.solana.Stakes) >= stakeLearned {
		warn = min(max(warn, 2*median(m.solana.Stakes)), stakePage) // a test cluster lives with more
	}
	worst, told := 0.0, (*SolanaStake)(nil)
	var shares []float64 // of those who see it
	seen := m.nodesWith(func(k *solanaNode) bool {
		if k.Stake == nil || m.now-k.StakeAt > 10*solanaFresh {
			return false
		}
		share := k.Stake.Delinquent / k.Stake.Active
		if told == nil || share > worst {
			worst, told = share, k.Stake
		}
		if share >= warn {
			shares = append(shares, share)
		}
		return share >= warn
	})
	if told == nil {
		return
	}
	if worst < warn*0.8 || len(seen) == 0 && m.open[key] == nil {
		m.clear(key, m.now, fmt.Sprintf("%.1f %% of the stake does not vote.", 100*worst))
		return
	}
	f := m.finding(FindingDelinquent, "", sev3)
	sure := worst
	if len(shares) > 1 { // how bad it is, is what two nodes say at least
		slices.Sort(shares)
		sure = shares[len(shares)-2]
	}
	switch {
	case sure >= stakeThird:
		f.Severity = sev1
	case sure >= stakePage:
		f.Severity = sev2
	}
	f.Title = m.cfg.Chain + ": stake does not vote"
	f.Reason = fmt.Sprintf("%.1f %% of the stake (%d of %d validators) has not voted for 128 slots; usual here is %.1f %%. From 33.3 %% on nothing is finalized.",
		100*worst, told.Late, told.Voters, 100*median(m.solana.Stakes))
	m.attest(&f, seen)
	m.fire(f, map[string]any{"active": told.Active, "delinquent": told.Delinquent, "share": worst, "validators": told.Voters, "late": told.Late}, false)
}

func (m *Monitor) judgeFinalityLag() {
	key := m.key(FindingFinalityLag, "")
	least, has := int64(0), false
	seen := m.nodesWith(func(k *solanaNode) bool {
		if k.Slots.Finalized <= 0 || m.now-k.SlotsAt > solanaFresh {
			return false
		}
		lag := k.Slots.Processed - k.Slots.Finalized
		if !has || lag < least {
			least, has = lag, true
		}
		return lag >= finalWarn
	})
	if !has {
		return
	}
	long := m.held(key, least >= finalWarn, m.now, finalLong) // the best node decides: one that lags in finalizing is its own affair
	if least <= finalOver || !long && m.open[key] == nil {
		m.clear(key, m.now, fmt.Sprintf("Finality is %d slots behind.", least))
		return
	}
	if len(seen) == 0 {
		return
	}
	f := m.finding(FindingFinalityLag, "", sev3)
	if least >= finalPage {
		f.Severity = sev2
	}
	f.Title = m.cfg.Chain + ": slots are not finalized"
	f.Reason = fmt.Sprintf("The newest finalized slot is %d slots behind the newest processed one; 32 is normal. Hold credits that wait for finality.", least)
	m.attest(&f, seen)
	m.fire(f, map[string]any{"lag": least, "nodes": seen}, false)
}

func (m *Monitor) judgePerformance() {
	w := &m.solana
	fresh := func(k *solanaNode) bool { return k.Perf != nil && m.now-k.PerfAt < solanaFresh }
	slow := m.nodesWith(func(k *solanaNode) bool { return fresh(k) && w.slow(k.Perf.minute()) })
	votes := m.nodesWith(func(k *solanaNode) bool {
		return fresh(k) && k.Perf.NonVote >= 0 && k.Perf.Txs > 0 && k.Perf.users() < voteOnly
	})
	if len(w.Slots)+w.Slow == 0 {
		return
	}
	if key := m.key(FindingSlowSlots, ""); w.Slow == 0 {
		m.clear(key, m.now, fmt.Sprintf("%.0f slots came in the last minute.", w.Slots[len(w.Slots)-1]))
	} else if w.Slow >= 2 && len(slow) > 0 {
		f := m.finding(FindingSlowSlots, "", sev3)
		f.Title = m.cfg.Chain + ": slots are slow"
		f.Reason = fmt.Sprintf("For %d minutes there were fewer than half of the usual %.0f slots a minute.", w.Slow, max(median(w.Slots), 150))
		m.attest(&f, slow)
		m.fire(f, map[string]any{"minutes": w.Slow, "usual": median(w.Slots)}, false)
	}
	if key := m.key(FindingVoteOnly, ""); w.Few == 0 {
		m.clear(key, m.now, "Blocks hold transactions of users again.")
	} else if w.Few >= 2 && len(votes) > 0 {
		f := m.finding(FindingVoteOnly, "", sev2)
		f.Title = m.cfg.Chain + ": blocks hold votes only"
		f.Reason = fmt.Sprintf("For %d minutes less than %.0f %% of the transactions were of users; usual is %.0f %%. The cluster has cut off users, or nobody gets through.", w.Few, 100*voteOnly, 100*median(w.Users))
		m.attest(&f, votes)
		m.fire(f, map[string]any{"minutes": w.Few, "usual_share": median(w.Users)}, false)
	}
}

// judgeHealth is the node's own word: it knows the cluster by gossip also when it is our only node.
func (m *Monitor) judgeHealth() {
	for _, n := range m.nodes {
		k, key := m.solana.Nodes[n.name], m.key(FindingUnhealthy, n.name)
		if k == nil {
			continue
		}
		long := m.held(key, n.ok() && k.Behind != 0, m.now, behindHold)
		switch {
		case !n.ok():
			m.clear(key, m.now, "The node cannot be compared any more: "+string(n.state)+".")
		case k.Behind == 0:
			m.clear(key, m.now, "The node says that it is well.")
		case long:
			f := m.finding(FindingUnhealthy, n.name, sev4)
			f.Title = fmt.Sprintf("%s: node %s is behind the cluster", m.cfg.Chain, n.name)
			f.Reason = fmt.Sprintf("It says itself that it is %d slots behind the cluster.", k.Behind)
			if k.Behind < 0 {
				f.Reason = "It says itself that it is not well, and not how far it is behind the cluster."
			}
			m.fire(f, map[string]any{"node": n.name, "behind": k.Behind}, false)
		}
	}
}

func (m *Monitor) judgeVotes() {
	say := map[string][]string{} // identity -> nodes that call it delinquent
	told := map[string]SolanaVote{}
	for _, n := range m.nodes {
		if k := m.solana.Nodes[n.name]; k != nil && n.ok() {
			for id, v := range k.Watched {
				told[id] = v
				if v.Known && v.Delinquent {
					say[id] = append(say[id], n.name)
				}
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(told)) {
		if len(say[id]) == 0 {
			m.clear(m.key(FindingValidatorDelinquent, id), m.now, "The validator votes again.")
			continue
		}
		f := m.finding(FindingValidatorDelinquent, id, sev2)
		f.Title = fmt.Sprintf("%s: validator %s does not vote", m.cfg.Chain, Short(id))
		f.Reason = fmt.Sprintf("It is delinquent: its last vote was for slot %d.", told[id].LastVote)
		m.attest(&f, say[id])
		m.fire(f, map[string]any{"validator": told[id]}, false)
	}
}

// solanaOver says why a finding that only the log knows is over; "" while that is not known.
func (m *Monitor) solanaOver(kind, subject string) string {
	w := &m.solana
	switch kind {
	case FindingSkipRate:
		if w.Window != nil && w.Low > 0 {
			return "Few slots were skipped in the first window after Tocsin started again."
		}
	case FindingDelinquent:
		if len(m.nodesWith(func(k *solanaNode) bool { return k.Stake != nil })) > 0 {
			return "Enough stake votes again."
		}
	case FindingFinalityLag:
		if len(m.nodesWith(func(k *solanaNode) bool { return k.SlotsAt > 0 && k.Slots.Processed-k.Slots.Finalized <= finalOver })) > 0 {
			return "Slots are finalized again."
		}
	case FindingVoteOnly, FindingSlowSlots:
		if len(w.Slots) >= 2 && w.Slow+w.Few == 0 {
			return "The last minutes were as usual."
		}
	case FindingUnhealthy:
		k, n := w.Nodes[subject], m.node(subject)
		if n == nil {
			return "The node is no longer watched."
		}
		if k != nil && n.ok() && k.Behind == 0 {
			return "The node says that it is well."
		}
	case FindingValidatorDelinquent:
		named := slices.ContainsFunc(m.cfg.Watch, func(x string) bool { return strings.EqualFold(x, subject) })
		voted := m.nodesWith(func(k *solanaNode) bool { return k.Watched[subject].Known && !k.Watched[subject].Delinquent })
		if len(w.Nodes) > 0 && (!named || len(voted) > 0) {
			return "The validator votes again, or is no longer watched."
		}
	}
	return ""
}
