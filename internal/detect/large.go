package detect

import (
	"fmt"
	"math"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Kinds of finding that Large makes.
const (
	KindLargeTransfer = "large_transfer"
	KindNewRecipient  = "new_recipient" // a watched account that pays few pays somebody for the first time
	KindTaintedPaid   = "paid_to_flagged"
)

// The rule. Forta's large-transfer bot uses fixed sums of ether and is by its own words noisy; busy accounts made its findings stale
// (starter-kits #377). Here a transfer is large by the account's own history, in dollars where priced and else in the token; accounts of more
// than 500 transfers are only judged when extreme, as its combiner does; an account without history is judged by all transfers of its kind.
const (
	mostAccounts   = 30_000 // whose history is kept, by chain and unit
	mostUnits      = 512    // tokens whose transfers' sizes are known
	mostRecipients = 20_000 // of watched accounts
	largeDefault   = 100_000
	ownHistory     = 10   // transfers
	allHistory     = 1000 // transfers of everybody
	busyAfter      = 500
	largeTimes     = 5  // the largest before; of watched accounts 2
	extremeTimes   = 10 // of accounts that are busy
	largeRare      = 1e-3
	largeCalm      = 3_600_000
	knownAfter     = 24 * 3_600_000 // ms of watching after which a first transfer is one
	passThrough    = 24 * 3_600_000 // ms within which what came and leaves again is told
)

// Large watches transfers that are large for the account that makes them. Of accounts that are not watched its findings are weak.
type Large struct {
	keeper[large]
	watch watchlist
	floor float64
}

type large struct {
	Since      int64 // when watching began
	Accounts   recent[spender]
	Units      recent[spread]
	Recipients recent[bool]
}

// spender is the history of what an account paid, in one unit.
type spender struct {
	N             int64
	Mean, Squares float64 // of the logarithm (B. P. Welford, 1962)
	Max           float64
	Came          float64 // within a day, fading
	CameAt        int64
}

// NewLarge starts to watch.
func NewLarge(c Config) *Large {
	l := &Large{watch: newWatchlist(c.Watched), floor: c.LargeUSD}
	if l.floor <= 0 {
		l.floor = largeDefault
	}
	l.keeper = newKeeper("large_transfer", 1, func() large {
		return large{0, newRecent[spender](mostAccounts / 2), newRecent[spread](mostUnits / 2), newRecent[bool](mostRecipients / 2)}
	}, KindLargeTransfer, KindNewRecipient, KindTaintedPaid)
	return l
}

// Observe implements Heuristic.
func (l *Large) Observe(o observation.Observation) []chain.Finding {
	out := l.book.advance(o.At)
	if o.Kind != observation.Transfer {
		return out
	}
	received := !l.twice(o)
	paid := received
	if o.Traced { // who paid may be told later, by a node that can read it
		named := o
		named.ID += " by whom"
		paid = o.From != "" && !l.twice(named)
	}
	if !received && !paid {
		return out
	}
	if o.Removed {
		for _, kind := range []string{KindLargeTransfer, KindNewRecipient, KindTaintedPaid} {
			out = append(out, l.reverted(o, key(cut(o.Chain, 60), kind, account(cut(o.From, 100))))...)
		}
		return out
	}
	if l.s.Since == 0 {
		l.s.Since = l.book.Now
	}
	v, unit := number(o.Amount), account(cut(o.Token, 100))
	if o.USD != nil {
		v, unit = priced(o), "usd"
	}
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return out
	}
	on := cut(o.Chain, 60)
	from, to := account(cut(o.From, 100)), account(cut(o.To, 100))
	all := l.s.Units.need(on + "|" + unit)
	if paid && from != "" && from != to {
		a := l.s.Accounts.need(on + "|" + unit + "|" + from)
		out = append(out, l.judge(o, on, from, to, v, unit, a, all)...)
		a.add(v)
	}
	if !received {
		return out
	}
	if to != "" {
		b := l.s.Accounts.need(on + "|" + unit + "|" + to)
		b.Came, b.CameAt = b.lately(l.book.Now)+v, l.book.Now
	}
	all.add(v)
	return out
}

// Tick implements Heuristic.
func (l *Large) Tick(at int64) []chain.Finding { return l.tick(at) }

func (a *spender) add(v float64) {
	a.N++
	x := math.Log(v)
	d := x - a.Mean
	a.Mean += d / float64(a.N)
	a.Squares += d * (x - a.Mean)
	a.Max = max(a.Max, v)
}

// lately is what came within about a day.
func (a *spender) lately(now int64) float64 {
	return a.Came * math.Exp(-float64(max(now-a.CameAt, 0))/passThrough)
}

// tail is the chance of v beyond the largest so far: a power law that is the flatter the more the account's transfers differ.
func (a *spender) tail(v float64) float64 {
	if a.N == 0 || v <= a.Max {
		return 1
	}
	sd := math.Sqrt(a.Squares / float64(max(a.N-1, 1)))
	return math.Pow(a.Max/v, min(max(1/max(sd, 0.25), 0.5), 4)) / float64(a.N+1)
}

func (l *Large) judge(o observation.Observation, on, from, to string, v float64, unit string, a *spender, all *spread) (out []chain.Finding) {
	w, watched := l.watch.find(on, from)
	flagged := watched && (w.Kind == "attacker" || w.Kind == "mixer")
	ours := watched && !flagged && w.Kind != "exchange"
	floor := l.floor
	if ours {
		floor /= 10
	}
	if unit != "usd" { // without a price: what is rare for all transfers of the token
		floor = math.Inf(1)
		switch {
		case ours && all.N >= 100:
			floor = all.quantile(0.99)
		case all.N >= allHistory:
			floor = all.quantile(0.999)
		case ours:
			floor = 0
		}
	}
	first := false
	if ours && to != "" {
		k := on + "|" + from + "|" + to
		if first = l.s.Recipients.get(k) == nil; first {
			l.s.Recipients.put(k, new(bool))
		}
		out = append(out, l.recipient(o, w, on, from, to, v, unit, a, first)...)
	}
	if v < floor {
		return out
	}
	f := chain.Finding{Key: key(on, KindLargeTransfer, from), Kind: KindLargeTransfer, Chain: on, Subject: from, Severity: "SEV4", Weak: !ours, Drill: o.Drill}
	who := shortened(from)
	if watched {
		who = w.name()
	}
	times := v / max(a.Max, math.SmallestNonzeroFloat64)
	why := ""
	switch {
	case a.N >= ownHistory:
		f.Score = a.tail(v)
		limit := float64(largeTimes)
		switch {
		case ours:
			limit = 2
		case a.N > busyAfter:
			limit = extremeTimes
			if v < 10*floor {
				return out
			}
		}
		if times < limit || !ours && f.Score >= largeRare {
			return out
		}
		if f.Bound = a.tail(limit * a.Max); !ours {
			f.Bound = min(f.Bound, largeRare)
		}
		why = fmt.Sprintf("%.0f times the largest of its %d transfers before (%s; usually about %s)", times, a.N, size(a.Max, unit, o), size(math.Exp(a.Mean), unit, o))
	case ours:
		why = fmt.Sprintf("and it made only %d %s before", a.N, plural(int(a.N), "transfer"))
		if a.N == 0 {
			why = "and it made none before"
		}
		if a.N > 0 && times < 2 || v < l.floor && unit == "usd" {
			return out
		}
	case all.N >= allHistory:
		if f.Score, f.Bound = all.tail(v), largeRare; f.Score >= largeRare || unit == "usd" && v < 10*floor {
			return out
		}
		why = fmt.Sprintf("it is hardly known (%d %s), and of all %d transfers seen 99.9 %% were under %s", a.N, plural(int(a.N), "transfer"), all.N, size(all.quantile(0.999), unit, o))
	default:
		return out
	}
	if ours {
		f.Severity = "SEV3"
		young := l.book.Now-l.s.Since < knownAfter
		switch {
		case a.N < ownHistory && young: // everything is the first of its kind then
			f.Severity = "SEV4"
		case first && (a.N < ownHistory || times >= largeTimes):
			f.Severity = "SEV2"
		}
	}
	f.Title = who + ": a large transfer"
	f.Reason = fmt.Sprintf("%s paid %s to %s: %s.", who, size(v, unit, o), shortened(to), why)
	if first {
		f.Reason += " It never paid that recipient before."
	}
	if came := a.lately(l.book.Now); came >= 0.9*v && !ours {
		f.Reason += " As much came to it within the last day: it passes through."
	}
	f.Evidence = proof(map[string]any{"tx": cut(o.Tx, 100), "from": from, "to": to, "amount": cut(o.Amount, 110), "token": cut(o.Token, 100), "size": v, "unit": unit, "transfers_before": a.N,
		"largest_before": a.Max, "first_time": first, "came_lately": a.lately(l.book.Now), "tail": f.Score})
	return append(out, l.book.raise(f, life{lasts: largeCalm, why: "For an hour it made no further transfer that is large for it."})...)
}

// recipient judges whom a watched account pays: flagged addresses always, new ones where new ones are rare.
func (l *Large) recipient(o observation.Observation, w Watched, on, from, to string, v float64, unit string, a *spender, first bool) []chain.Finding {
	t, known := l.watch.find(on, to)
	if known && (t.Kind == "attacker" || t.Kind == "mixer") {
		return l.book.raise(chain.Finding{Key: key(on, KindTaintedPaid, from), Kind: KindTaintedPaid, Chain: on, Subject: from, Severity: "SEV2", Drill: o.Drill,
			Title:    fmt.Sprintf("%s paid %s", w.name(), t.name()),
			Reason:   fmt.Sprintf("%s paid %s to %s, which is listed as %s.", w.name(), size(v, unit, o), t.name(), t.Kind),
			Evidence: proof(map[string]any{"tx": cut(o.Tx, 100), "from": from, "to": to, "amount": cut(o.Amount, 110), "token": cut(o.Token, 100)})},
			life{lasts: 24 * 3_600_000, why: "For 24 hours it paid no flagged address."})
	}
	if !first || known || w.Kind == "hot_wallet" || w.Kind == "bridge" || a.N < ownHistory {
		return nil
	}
	return l.book.raise(chain.Finding{Key: key(on, KindNewRecipient, from), Kind: KindNewRecipient, Chain: on, Subject: from, Severity: "SEV5", Drill: o.Drill,
		Title:    w.name() + ": a recipient it never paid before",
		Reason:   fmt.Sprintf("%s paid %s to %s, which was in none of its %d transfers before.", w.name(), size(v, unit, o), shortened(to), a.N),
		Evidence: proof(map[string]any{"tx": cut(o.Tx, 100), "to": to, "amount": cut(o.Amount, 110), "transfers_before": a.N})},
		life{lasts: largeCalm, why: "For an hour it paid nobody new."})
}

// size writes an amount in its unit.
func size(v float64, unit string, o observation.Observation) string {
	if unit == "usd" {
		return dollars(v)
	}
	name := cut(o.Symbol, 20)
	if name == "" && unit != "" {
		name = "of " + shortened(unit)
	}
	return fmt.Sprintf("%.6g %s", v, where(name, "coins"))
}
