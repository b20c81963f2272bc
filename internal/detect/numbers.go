package detect

import (
	"fmt"
	"strconv"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Kinds of finding that Numbers makes.
const (
	KindWithdrawalReused   = "withdrawal_reused"
	KindWithdrawalOutRange = "withdrawal_out_of_range"
)

// The rule: a message is processed once. 4,482 innocent withdrawals of Nomad had 4,482 numbers; the 382 false ones had 57, the first of them
// four times in one block. A bridge whose numbers repeat as a rule (one that counts per token, say) is not judged by them.
const (
	mostNumbers  = 40_000         // numbers remembered, of all bridges
	numberCalm   = 3_600_000      // ms after the last reuse
	numberTrust  = 20             // withdrawals before a single reuse is certain
	reusesNormal = 0.05           // share of reuse beyond which the numbers mean nothing
	jumpLeast    = 1000           // numbers; and many times the largest jump there was
	jumpTimes    = 20             //
	numberTop    = int64(1) << 53 // larger ones are hashes, not running numbers
)

// Numbers watches the running numbers and messages of bridges' withdrawals.
type Numbers struct {
	keeper[numbers]
	facts map[string]BridgeFacts
}

type numbers struct {
	Bridges map[string]*numbering
	Used    recent[use]
}

// numbering is what is known of a bridge's numbers on one chain.
type numbering struct {
	N, Reused int64 // by history, without what is judged wrong now
	Top       int64 // the largest
	Jump      int64 // the largest step to a new top
	Run       int64 // steps to a new top so far
	Far       int64 // the last number out of range
	Follow    int64 // numbers out of range that followed on one another
}

// use is the first use of a number, and how often it was used.
type use struct {
	At          int64
	Tx          string
	Beneficiary string
	Token       string
	Amount      string
	N           int
	Parties     []string // the first five
	USD         float64
}

// NewNumbers starts to watch.
func NewNumbers(c Config) *Numbers {
	n := &Numbers{facts: map[string]BridgeFacts{}}
	n.keeper = newKeeper("withdrawal_numbers", 1, func() numbers {
		return numbers{Bridges: map[string]*numbering{}, Used: newRecent[use](mostNumbers / 2)}
	}, KindWithdrawalReused, KindWithdrawalOutRange)
	for _, b := range c.Bridges {
		n.facts[b.Name] = b
	}
	return n
}

// Observe implements Heuristic.
func (n *Numbers) Observe(o observation.Observation) []chain.Finding {
	out := n.book.advance(o.At)
	id, message := cut(o.ID, 100), false
	if o.Message != "" {
		id, message = cut(o.Message, 140), true
	}
	if o.Kind != observation.Withdrawal || id == "" || n.twice(o) {
		return out
	}
	scope := where(o.Chain, "bridge") + "/" + o.Bridge
	b := n.s.Bridges[scope]
	if b == nil {
		if len(n.s.Bridges) >= mostBridges {
			return out
		}
		b = &numbering{}
		n.s.Bridges[scope] = b
	}
	k := scope + "|" + map[bool]string{true: "m", false: "n"}[message] + id
	u := n.s.Used.get(k)
	if o.Removed {
		switch {
		case u != nil && u.N == 1 && u.Tx == cut(o.Tx, 100):
			n.s.Used.drop(k)
		case u != nil && u.N > 1:
			u.N--
			out = append(out, n.reverted(o, key(where(o.Chain, "bridge"), KindWithdrawalReused, o.Bridge))...)
		}
		return append(out, n.reverted(o, key(where(o.Chain, "bridge"), KindWithdrawalOutRange, o.Bridge))...)
	}
	if !message {
		out = append(out, n.jump(o, b, id)...)
	}
	party, usd := account(where(cut(o.Beneficiary, 100), cut(o.Tx, 100))), priced(o) // who is not named is known by the transaction
	b.N++
	if u == nil {
		n.s.Used.put(k, &use{At: n.book.Now, Tx: cut(o.Tx, 100), Beneficiary: party, Token: account(cut(o.Token, 100)), Amount: normal(cut(o.Amount, 110)), N: 1,
			Parties: []string{party}, USD: usd})
		return out
	}
	if u.Tx == cut(o.Tx, 100) && o.Tx != "" {
		return out // one withdrawal that pays several things out
	}
	u.N, u.USD = u.N+1, u.USD+usd
	if len(u.Parties) < 5 && !has(u.Parties, party) {
		u.Parties = append(u.Parties, party)
	}
	return append(out, n.reused(o, b, u, id, message)...)
}

// Tick implements Heuristic.
func (n *Numbers) Tick(at int64) []chain.Finding { return n.tick(at) }

func (n *Numbers) reused(o observation.Observation, b *numbering, u *use, id string, message bool) []chain.Finding {
	before := b.N - 1 - b.Reused
	usual := !message && float64(b.Reused) > reusesNormal*float64(b.N) && b.N >= numberTrust
	trusted := message || before >= numberTrust && float64(b.Reused) <= reusesNormal*float64(b.N)
	k := key(where(o.Chain, "bridge"), KindWithdrawalReused, o.Bridge)
	same := u.Amount == normal(cut(o.Amount, 110)) && u.Token == account(cut(o.Token, 100))
	if e := n.book.Entries[k]; e == nil || !e.Open || e.Finding.Weak {
		b.Reused++ // what is judged wrong is not learned as usual
	}
	facts := n.facts[o.Bridge]
	f := chain.Finding{Key: k, Kind: KindWithdrawalReused, Chain: where(o.Chain, "bridge"), Subject: cut(o.Bridge, subjectMax), Severity: "SEV3", Drill: o.Drill,
		Since: u.At, Title: facts.title(o.Bridge) + ": the same withdrawal was paid out again"}
	word := "Withdrawal"
	if message {
		word = "Message"
	}
	parties, worth := "", ""
	switch n := len(u.Parties); {
	case n >= 5:
		parties = ", to 5 different parties or more"
	case n > 1:
		parties = fmt.Sprintf(", to %d different parties", n)
	}
	if u.USD > 0 {
		worth = ", " + dollars(u.USD) + " in all"
	}
	f.Reason = fmt.Sprintf("%s %s was paid out %d times%s%s; each may be paid once.", word, shortened(id), u.N, parties, worth)
	if !same {
		f.Reason += " What was paid differs: the number was used for another payload."
	}
	switch {
	case trusted:
		f.Severity = "SEV1"
		f.Reason += fmt.Sprintf(" Of the %d withdrawals before, %d were such.", before, b.Reused-1)
	case !usual && same && u.N >= repeatLeast && len(u.Parties) >= repeatLeast:
		f.Severity = "SEV1"
		f.Reason += " There is little history yet, but so many different parties with one number are no accident."
	case usual:
		return n.book.settle(k, fmt.Sprintf("Numbers repeat as a rule on this bridge (%d of %d): they say nothing.", b.Reused, b.N), 0)
	default:
		f.Weak = true
		f.Reason += " There is too little history to tell whether the numbers of this bridge repeat as a rule."
	}
	f.Evidence = proof(map[string]any{"id": id, "message": message, "times": u.N, "parties": u.Parties, "first_tx": u.Tx, "tx": cut(o.Tx, 100), "token": cut(o.Token, 100),
		"amount": cut(o.Amount, 110), "first_amount": u.Amount, "usd": u.USD, "withdrawals_before": before, "reused_before": b.Reused - 1})
	return n.book.raise(f, life{lasts: numberCalm, why: "For an hour no withdrawal was paid out twice."})
}

// jump judges a number that is far above all before. Low numbers prove nothing: some withdraw months late.
func (n *Numbers) jump(o observation.Observation, b *numbering, id string) []chain.Finding {
	v, err := strconv.ParseInt(id, 10, 64)
	if err != nil || v < 0 || v > numberTop {
		return nil
	}
	if b.Run == 0 {
		b.Top, b.Run = v, 1
		return nil
	}
	step := v - b.Top
	if step <= 0 {
		return nil
	}
	limit := max(jumpLeast, jumpTimes*b.Jump)
	if b.Run < numberTrust || step <= limit {
		b.Top, b.Run, b.Jump = v, b.Run+1, max(b.Jump, step)
		return nil
	}
	if d := v - b.Far; b.Far > 0 && d >= -limit && d <= limit {
		b.Follow++
	} else {
		b.Follow = 0
	}
	b.Far = v
	k := key(where(o.Chain, "bridge"), KindWithdrawalOutRange, o.Bridge)
	if b.Follow >= numberTrust {
		b.Top, b.Far, b.Follow = v, 0, 0
		return n.book.settle(k, fmt.Sprintf("%d numbers followed on one another: the bridge counts on from there.", numberTrust), 0)
	}
	facts := n.facts[o.Bridge]
	f := chain.Finding{Key: k, Kind: KindWithdrawalOutRange, Chain: where(o.Chain, "bridge"),
		Subject: cut(o.Bridge, subjectMax), Severity: "SEV2", Drill: o.Drill, Title: facts.title(o.Bridge) + ": a withdrawal whose number is out of range",
		Reason: fmt.Sprintf("Withdrawal %d was paid out while the largest number before was %d; the largest step in %d was %d. A number that was never given out may be forged.",
			v, b.Top, b.Run, b.Jump),
		Evidence: proof(map[string]any{"id": v, "top": b.Top, "largest_step": b.Jump, "steps": b.Run, "tx": cut(o.Tx, 100), "beneficiary": cut(o.Beneficiary, 100), "amount": cut(o.Amount, 110)})}
	return n.book.raise(f, life{lasts: numberCalm, why: "For an hour no number was out of range."})
}

func has(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
