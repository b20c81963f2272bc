package detect

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// KindRepeatedAmount is the kind of finding that Repeats makes.
const KindRepeatedAmount = "repeated_amount"

// The rule: of Nomad's 382 false withdrawals 275 were of exactly 202,440.725413 USDC, by people who copied one call. Round amounts repeat by
// themselves (167 of the 4,482 innocent ones were of 0.1 ether), and so do those of one party that sends in portions.
const (
	repeatSpan   = 3_600_000 // ms that equal amounts are counted within
	repeatCalm   = 3_600_000 // ms after the last one
	repeatRare   = 1e-6      // chance by how common the amount is
	repeatLeast  = 3         // different parties, or
	repeatOne    = 6         // withdrawals of one party, that are not round
	repeatShare  = 0.01      // of the bridge's value: pages
	repeatDigits = 6         // significant digits that make an amount one that is not round
	repeatSizes  = 50        // withdrawals of a token before its sizes are known
	mostAmounts  = 8192      // of all bridges
	mostRepeats  = 64        // withdrawals of one amount kept within the span; beyond, they are counted
)

// Repeats watches bridges for withdrawals of one exact amount by different parties, more often than that amount is common there.
type Repeats struct {
	keeper[repeats]
	facts map[string]BridgeFacts
}

type repeats struct {
	Bridges map[string]*payer
	Amounts recent[amounts]
	Tokens  recent[spread] // sizes by bridge and token, for those without a price
}

// payer is one bridge's history.
type payer struct {
	N    int64   // withdrawals
	Hour []int64 // their times within the span, at most 4,096
	USD  spread
}

// amounts is the history of one exact amount at one bridge.
type amounts struct {
	N      int64 // all there were
	Recent []taking
}

type taking struct {
	At    int64
	Party string
	Tx    string
	USD   float64
}

// NewRepeats starts to watch.
func NewRepeats(c Config) *Repeats {
	r := &Repeats{facts: map[string]BridgeFacts{}}
	r.keeper = newKeeper("repeated_amount", 1, func() repeats {
		return repeats{Bridges: map[string]*payer{}, Amounts: newRecent[amounts](mostAmounts / 2), Tokens: newRecent[spread](mostUnits / 2)}
	}, KindRepeatedAmount)
	for _, b := range c.Bridges {
		r.facts[b.Name] = b
	}
	return r
}

// Observe implements Heuristic.
func (r *Repeats) Observe(o observation.Observation) []chain.Finding {
	out := r.book.advance(o.At)
	if o.Kind != observation.Withdrawal || r.twice(o) {
		return out
	}
	b := r.s.Bridges[o.Bridge]
	if b == nil {
		if len(r.s.Bridges) >= mostBridges {
			return out
		}
		b = &payer{}
		r.s.Bridges[o.Bridge] = b
	}
	now, token := r.book.Now, cut(o.Token, 100)
	if token == "" {
		token = cut(o.Symbol, 40)
	}
	amount := normal(o.Amount)
	a := r.s.Amounts.need(o.Bridge + "|" + account(token) + "|" + amount)
	if o.Removed {
		a.Recent = slices.DeleteFunc(a.Recent, func(t taking) bool { return t.Tx == cut(o.Tx, 100) })
		return out
	}
	usd := priced(o)
	b.Hour = slices.DeleteFunc(b.Hour, func(t int64) bool { return now-t >= repeatSpan })
	a.Recent = slices.DeleteFunc(a.Recent, func(t taking) bool { return now-t.At >= repeatSpan })
	common := r.common(b, a, amount)
	if b.Hour = append(b.Hour, now); len(b.Hour) > maxFlows {
		b.Hour = b.Hour[1:]
	}
	if a.Recent = append(a.Recent, taking{now, account(cut(o.Beneficiary, 100)), cut(o.Tx, 100), usd}); len(a.Recent) > mostRepeats {
		a.Recent = a.Recent[1:]
	}
	a.N, b.N = a.N+1, b.N+1
	sizes := r.s.Tokens.need(o.Bridge + "|" + account(token))
	out = append(out, r.judge(o, b, a, sizes, amount, common)...)
	b.USD.add(usd)
	sizes.add(number(amount))
	return out
}

// Tick implements Heuristic.
func (r *Repeats) Tick(at int64) []chain.Finding { return r.tick(at) }

// common is the chance that a withdrawal is of this amount: by the history before the span, and by how round it is where the history is short.
func (r *Repeats) common(b *payer, a *amounts, amount string) float64 {
	round := min(0.05, math.Pow(10, -float64(digits(amount)-1)/2)/20)
	before, all := float64(max(a.N-int64(len(a.Recent)), 0)), float64(max(b.N-int64(len(b.Hour)), 0))
	return (before + 20*round) / (all + 20)
}

func (r *Repeats) judge(o observation.Observation, b *payer, a *amounts, sizes *spread, amount string, common float64) []chain.Finding {
	n := len(a.Recent)
	parties, sum := map[string]bool{}, 0.0
	for _, t := range a.Recent {
		parties[t.Party] = true
		sum += t.USD
	}
	// One party that sends in portions is one choice of an amount, not many.
	choices := len(parties)
	if len(parties) == 1 && n >= repeatOne && digits(amount) >= repeatDigits {
		choices = n
	}
	if choices < repeatLeast {
		return nil
	}
	p := binomial(max(len(b.Hour), choices), choices, common)
	if p >= repeatRare {
		return nil
	}
	symbol := o.Symbol
	if symbol == "" {
		symbol = shortened(cut(o.Token, 80))
	}
	facts := r.facts[o.Bridge]
	at := where(facts.Chain, where(o.Chain, "bridge"))
	f := chain.Finding{Key: key(at, KindRepeatedAmount, o.Bridge), Kind: KindRepeatedAmount, Chain: at, Subject: cut(o.Bridge, subjectMax),
		Severity: "SEV2", Score: max(p, 1e-300), Bound: repeatRare, Drill: o.Drill, Since: a.Recent[0].At,
		Title: fmt.Sprintf("%s: many withdrawals of exactly %s %s", facts.title(o.Bridge), grouped(cut(amount, 60)), cut(symbol, 40)),
		Reason: fmt.Sprintf("%d withdrawals of exactly %s %s by %d %s within an hour", n, grouped(cut(amount, 60)), cut(symbol, 40), len(parties),
			map[bool]string{true: "party", false: "different parties"}[len(parties) == 1])}
	if sum > 0 {
		f.Reason += ", " + dollars(sum) + " in all"
	}
	f.Reason += fmt.Sprintf("; of the %d withdrawals before, %d were of that amount. The same call may be being repeated.", b.N-int64(n), max(a.N-int64(n), 0))
	known := sum > 0 && (facts.TVLUSD > 0 || b.USD.N >= 100)
	large := facts.TVLUSD > 0 && sum >= repeatShare*facts.TVLUSD || b.USD.N >= 100 && sum >= 3*b.USD.quantile(0.99)
	if sum == 0 && sizes.N >= repeatSizes { // without prices: by what is usual of the token
		known, large = true, float64(n)*number(amount) >= 3*sizes.quantile(0.99)
	}
	switch {
	case large && n >= 10:
		f.Severity = "SEV1"
	case large:
	case known: // little money, as this bridge goes
		f.Severity, f.Weak = "SEV4", true
	case n < 10: // nobody knows whether that is much
		f.Severity, f.Weak = "SEV3", true
	}
	var last []map[string]any
	for _, t := range a.Recent[max(n-shown, 0):] {
		last = append(last, map[string]any{"ago_ms": r.book.Now - t.At, "party": t.Party, "tx": t.Tx})
	}
	f.Evidence = proof(map[string]any{"amount": cut(amount, 120), "token": cut(o.Token, 100), "withdrawals": n, "parties": slices.Sorted(maps.Keys(parties))[:min(len(parties), shown)],
		"usd": sum, "chance_of_this_amount": common, "tail": p, "newest": last})
	return r.book.raise(f, life{lasts: repeatCalm, why: "For an hour no amount was repeated beyond what is common."})
}
