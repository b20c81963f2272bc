package impact

// Names of the facts that people state about an incident.
const (
	FactUsersAffected   = "users_affected"
	FactUsersShare      = "users_share"
	FactTransactions    = "transactions_share"
	FactCounterparts    = "counterparts_share"
	FactMoneyAtRisk     = "money_at_risk_usd"
	FactMoneyMoved      = "money_moved_usd"
	FactMoneyFrozen     = "money_frozen_usd"
	FactFundsMoving     = "funds_moving"
	FactLossPerMinute   = "loss_per_minute_usd"
	FactCriticalService = "critical_services"
	FactDowntime        = "downtime_minutes"
	FactDataLoss        = "data_loss"
	FactMaliciousAccess = "malicious_access"
	FactMemberStates    = "member_states"
	FactRegulators      = "regulators"
	FactSameCause       = "same_cause_before"
	FactPress           = "press_coverage"
	FactSentiment       = "sentiment"
)

// Kinds of values.
const (
	KindCount   = "count"   // a whole number
	KindShare   = "share"   // per cent, 0 to 100
	KindUSD     = "usd"     // dollars
	KindMinutes = "minutes" // minutes
	KindChoice  = "choice"  // one of Choices
	KindList    = "list"    // names, separated by commas
)

// FactKind says what a fact is and which values it takes.
type FactKind struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"` // what people read: "Users affected"
	Kind    string   `json:"kind"`
	Choices []string `json:"choices,omitempty"` // of KindChoice, from mild to bad
	Max     float64  `json:"max,omitempty"`     // of numbers; the least is 0
	Help    string   `json:"help"`              // one sentence
	Example string   `json:"example"`
	Axis    string   `json:"axis"` // where it counts first
}

// Fact is what somebody stated. Value is as ParseFact wrote it.
type Fact struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Note   string `json:"note,omitempty"`
	By     string `json:"by,omitempty"` // actor
	At     int64  `json:"at,omitempty"`
	Offset int64  `json:"offset,omitempty"`
}

// Bounds of facts.
const (
	MaxFactValue = 1_000 // bytes of a value, as typed and as kept
	MaxListNames = 50
	maxListName  = 80 // runes
	mostUSD      = 1e13
	mostCount    = 1e10
	mostMinutes  = 60 * 24 * 366
)

var catalogue = []FactKind{
	{FactUsersAffected, "Users affected", KindCount, nil, mostCount, "How many clients cannot do what they came for, or lost something.", "12,000", "users"},
	{FactUsersShare, "Share of users affected", KindShare, nil, 100, "The same as per cent of all clients of the service.", "12 %", "users"},
	{FactTransactions, "Share of transactions affected", KindShare, nil, 100, "Transactions not done or done wrong, as per cent of a usual day's.", "30 %", "users"},
	{FactCounterparts, "Share of counterparts affected", KindShare, nil, 100, "Institutions that trade or settle with you and are affected, as per cent of all.", "5 %", "users"},
	{FactMoneyAtRisk, "Money at risk", KindUSD, nil, mostUSD, "What could still be taken or lost, in dollars.", "$190M", "money"},
	{FactMoneyMoved, "Money moved", KindUSD, nil, mostUSD, "What was taken or left without a right to, in dollars.", "$16.6M", "money"},
	{FactMoneyFrozen, "Money frozen or back", KindUSD, nil, mostUSD, "Of what moved: frozen, returned or recovered, in dollars.", "$7M", "money"},
	{FactFundsMoving, "Funds are moving", KindChoice, []string{"no", "yes"}, 0, "Yes while value leaves that nobody explains. No says that it is explained or has been stopped, whatever signals say.", "yes", "money"},
	{FactLossPerMinute, "Loss per minute", KindUSD, nil, mostUSD, "What a minute costs in fees, trades and penalties, in dollars; not what was stolen.", "$2,000", "money"},
	{FactCriticalService, "Critical services hit", KindList, nil, 0, "Which critical services are down or wrong; “none” when there is none.", "withdrawals, matching", "services"},
	{FactDowntime, "Downtime", KindMinutes, nil, mostMinutes, "For how long a critical service was down or wrong.", "2h10m", "services"},
	{FactDataLoss, "Data lost", KindChoice, []string{"no", "possible", "yes"}, 0, "Whether data was lost, changed or seen by those who must not.", "possible", "regulatory"},
	{FactMaliciousAccess, "Malicious access", KindChoice, []string{"no", "suspected", "yes"}, 0, "Whether somebody got in who must not.", "suspected", "regulatory"},
	{FactMemberStates, "EU member states affected", KindList, nil, 0, "Two-letter codes of the member states with affected clients; “none” when there is none.", "DE, FR", "regulatory"},
	{FactRegulators, "Regulators to be told", KindList, nil, 0, "Authorities that must or do know; “none” when there is none.", "BaFin, MAS", "regulatory"},
	{FactSameCause, "Same cause before", KindCount, nil, 1000, "How many incidents of the last six months had the same root cause.", "1", "regulatory"},
	{FactPress, "Press coverage", KindChoice, []string{"none", "social", "trade", "national"}, 0, "Who writes about it.", "trade", "sentiment"},
	{FactSentiment, "Sentiment", KindChoice, []string{"calm", "worried", "angry", "panic"}, 0, "How clients and the public take it.", "worried", "sentiment"},
}

// Facts is the catalogue, in the order in which forms show it. The caller must not change it.
func Facts() []FactKind { return catalogue }

// FactNamed finds a fact by its name.
func FactNamed(name string) (FactKind, bool) {
	for _, k := range catalogue {
		if k.Name == name {
			return k, true
		}
	}
	return FactKind{}, false
}
