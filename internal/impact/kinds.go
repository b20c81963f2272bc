package impact

import "slices"

// class is what a kind of signal speaks of.
type class int

const (
	other    class = iota // alerts of the operator's own, anomalies, forecasts
	ledger                // what was written may be rewritten, or is written twice
	liveness              // the chain does not go on, or not finally
	duty                  // one's own validators
	node                  // one's own nodes
	backing               // value is released that nobody brought
	control               // who may change a contract
	price                 // what things are worth
	account               // transfers of watched accounts
	cost                  // fees and pools
	classes
)

var kindsOf = [classes][]string{
	ledger: {"reorg", "attack", "double_spend", "divergence", "headers_only", "replacement", "fork"},
	liveness: {"stall", "consensus", "blind", "sequencer", "batcher", "finality", "finality_lag", "missed_slots", "participation", "delinquent_stake",
		"power_missing", "vote_only", "slow_slots", "skip_rate", "upgrade"},
	duty:    {"double_sign", "validator_missing", "validator_window", "validator_jailed", "validator_left", "validator_delinquent"},
	node:    {"halted", "lag", "unreachable", "wrong_chain", "syncing", "distrusted", "optimistic", "el_offline", "derivation", "node_stuck", "unhealthy", "eclipse", "peers_concentrated", "peers_replaced", "sybil"},
	backing: {"bridge_drain", "bridge_outflow", "bridge_unmatched", "bridge_overpaid", "bridge_stuck", "bridge_one_sided", "withdrawal_reused", "withdrawal_out_of_range", "repeated_amount"},
	control: {"control_change"},
	price:   {"depeg", "oracle_stale", "oracle_deviation"},
	account: {"large_transfer", "new_recipient", "paid_to_flagged", "laundering", "fan_out", "fan_in", "peel_chain", "address_poisoning"},
	cost:    {"fee_spike", "mempool_full"},
}

func classOf(kind string) class {
	for c := ledger; c < classes; c++ {
		if slices.Contains(kindsOf[c], kind) {
			return c
		}
	}
	return other
}

// relevance is how much, in per cent, a class of signal says about the services of a trade: a halted chain is all of a validator's work, and one
// of many chains to an exchange. Columns are the presets in the order of Presets.
var relevance = [classes][7]float64{
	other:    {100, 100, 100, 100, 100, 100, 100},
	ledger:   {100, 90, 85, 100, 85, 75, 100},
	liveness: {70, 60, 100, 80, 85, 100, 70},
	duty:     {20, 40, 100, 20, 20, 30, 30},
	node:     {50, 40, 80, 60, 50, 70, 50},
	backing:  {70, 70, 20, 100, 90, 85, 70},
	control:  {80, 100, 50, 100, 100, 90, 80},
	price:    {80, 40, 20, 65, 100, 60, 70},
	account:  {90, 100, 40, 90, 90, 60, 90},
	cost:     {55, 40, 20, 50, 55, 55, 55},
}

// pointsOf are the points of a signal that is wholly relevant, by its severity: SEV1 first.
var pointsOf = [...]float64{90, 70, 45, 20, 5}

// belief is how much of what a signal would cost counts, by its severity: SEV1 first. A mild signal about a large service or a large sum is a
// suspicion, not yet a harm.
var belief = [...]float64{1, 0.95, 0.7, 0.3, 0}

func (m Model) column() int { return max(slices.Index(Presets(), m.Preset), 0) }

// outflow are kinds that say that value leaves.
var outflow = []string{"bridge_drain", "bridge_outflow", "bridge_unmatched", "bridge_overpaid", "large_transfer", "paid_to_flagged", "repeated_amount", "withdrawal_reused"}

// rule sets a least severity by a signal, whatever the weighted mean of the axes says. The classic failure of a score is a mean that hides the
// one axis that matters.
type rule struct {
	name  string
	kinds []string
	from  int // the signal counts when it is at least as bad: 1 = SEV1 only
	// least is the severity by preset, 0: the rule says nothing there.
	least  [7]int
	say    string // what it means, after the signal's title
	source string // where the rule comes from, for the operators' guide
	moving bool   // it says that funds are moving; the fact funds_moving = no takes it back
}

// rules by signals. Order is that of reading: the first of the worst ones is named.
var rules = []rule{
	{"funds_moving", []string{"bridge_drain", "bridge_unmatched", "bridge_overpaid", "withdrawal_reused", "repeated_amount", "double_spend"}, 1, [7]int{1, 1, 1, 1, 1, 1, 1},
		"Funds are moving, and nobody explains it.", "SEV1 is “funds are moving”; Nomad 2022: 79 % left between minute 60 and 90", true},
	{"keys_misused", []string{"double_sign"}, 1, [7]int{0, 2, 1, 2, 0, 2, 0},
		"A validator's key signed twice: it is slashed, or stolen.", "Solana 30 Sep 2022: the same fault of an operator stopped the chain", false},
	{"validator_out", []string{"validator_jailed"}, 2, [7]int{0, 3, 2, 3, 0, 3, 0}, "A validator of yours is out of the set and earns nothing.", "CometBFT chains", false},
	{"ledger_rewritten", []string{"reorg", "attack"}, 1, [7]int{1, 1, 2, 1, 2, 2, 1},
		"What was final to you can be taken back: stop crediting.", "Ethereum Classic 2019 and 2020, Bitcoin Gold 2020: each reorg was deeper than the confirmations asked for", false},
	{"ledger_split", []string{"divergence", "reorg", "attack"}, 2, [7]int{2, 2, 2, 2, 3, 3, 2},
		"It is not known which branch holds.", "Bitcoin 2013, Ethereum 2020: whoever follows the wrong branch credits what does not exist", false},
	{"finality_lost", []string{"finality", "participation", "delinquent_stake"}, 2, [7]int{3, 3, 2, 2, 3, 3, 3},
		"Blocks are not final.", "Ethereum, 11 and 12 May 2023", false},
	{"finality_long", []string{"finality", "delinquent_stake"}, 1, [7]int{2, 2, 1, 1, 2, 2, 2},
		"Blocks have not been final for so long that stake leaks and withdrawals wait.", "Holesky 2025: 13 days without finality, and the majority was wrong", false},
	{"chain_stopped", []string{"stall", "consensus", "sequencer"}, 2, [7]int{3, 3, 2, 2, 2, 2, 3},
		"The chain does not go on.", "Solana 2021 to 2024, BNB Smart Chain 2022, Arbitrum 2023", false},
	{"own_chain_stopped", []string{"stall", "consensus", "sequencer"}, 1, [7]int{3, 3, 2, 2, 2, 1, 3},
		"The chain has stopped: nobody can trade, withdraw or repay.", "Arbitrum 2023, dYdX 2024 and 2025", false},
	{"control_lost", []string{"control_change"}, 2, [7]int{2, 1, 3, 2, 2, 2, 2},
		"Nobody announced that it changes who holds it or what it does.", "Bybit 2025: the wallet's code was changed two minutes before it was emptied", false},
	{"control_lost_much", []string{"control_change"}, 1, [7]int{2, 1, 2, 1, 1, 1, 2},
		"Several parts of the control of one contract changed at once.", "Ronin 2022: who holds the keys holds the funds", false},
	{"price_broken", []string{"depeg", "oracle_deviation"}, 1, [7]int{2, 3, 4, 2, 1, 2, 2},
		"Loans and liquidations are valued wrongly.", "USDC, March 2023; dYdX 2025: $462,000 of executions at stale prices", false},
	{"price_off", []string{"depeg", "oracle_deviation", "oracle_stale"}, 2, [7]int{3, 4, 0, 3, 2, 3, 3},
		"What it is worth is not what is said.", "USDC, March 2023", false},
	{"backing_broken", []string{"bridge_outflow", "bridge_unmatched", "withdrawal_out_of_range", "repeated_amount"}, 2, [7]int{3, 3, 0, 2, 2, 2, 3},
		"What leaves is not what came.", "Wormhole 2022: minted here without being locked there", false},
	{"paid_to_attacker", []string{"paid_to_flagged"}, 2, [7]int{2, 1, 0, 2, 2, 3, 2}, "An account of yours paid a listed address.", "SEAL: follow the money from the first hour", false},
}
