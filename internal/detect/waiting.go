package detect

import (
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// The rule of stuck deposits: of the last ones that are older than nine tenths of all took, a tenth may wait (and whom it is usual to wait
// for); many more, by chance less than once in a million, are stuck.
const (
	mostQueued  = 2048
	stuckOf     = 20   // deposits judged
	stuckLeast  = 10   // of them there must be
	stuckRare   = 1e-6 // chance
	stuckKnown  = 50   // releases before the usual time is known
	stuckCalm   = 30 * 60_000
	mostSums    = 256 // tokens of one bridge
	stuckWeight = 0.01
)

// queued is a deposit in order of time.
type queued struct {
	Link string
	At   int64
}

// sum is what was deposited and released of a token, exactly.
type sum struct{ In, Out string }

// Tick implements Heuristic: the grace of releases ends, and deposits become old.
func (b *Backing) Tick(at int64) []chain.Finding {
	out := b.book.advance(at)
	if b.book.Now-b.s.Checked < again {
		return out
	}
	b.s.Checked = b.book.Now
	for _, name := range slices.Sorted(maps.Keys(b.s.Bridges)) {
		l := b.s.Bridges[name]
		out = append(out, b.stuck(name, l)...)
		if b.facts[name].Complete {
			for _, symbol := range slices.Sorted(maps.Keys(l.Sums)) {
				out = append(out, b.supply(name, symbol, l)...)
			}
		}
		if len(l.Waiting) == 0 {
			continue
		}
		chains, left := map[string]int{}, map[string]bool{}
		l.Waiting = slices.DeleteFunc(l.Waiting, func(w release) bool {
			old := b.book.Now-w.At >= unmatchedLast
			chains[w.Chain]++
			left[w.Chain] = left[w.Chain] || !old
			return old
		})
		if len(l.Waiting) == 0 {
			l.More = 0
		}
		for _, c := range slices.Sorted(maps.Keys(chains)) {
			if !left[c] {
				out = append(out, b.book.settle(key(where(c, "bridge"), KindBridgeUnmatched, name),
					fmt.Sprintf("For 24 hours every further release had its deposit; of the last %d none was ever seen.", chains[c]), 0)...)
				continue
			}
			out = append(out, b.tellWaiting(name, c, l, false)...)
		}
	}
	return out
}

func (b *Backing) grace(bridge string) int64 {
	if s := b.facts[bridge].GraceSeconds; s > 0 {
		return s * 1000
	}
	return graceDefault
}

// tellWaiting judges the releases of a bridge on one chain that have no deposit.
func (b *Backing) tellWaiting(bridge, on string, l *ledger, further bool) []chain.Finding {
	facts, grace := b.facts[bridge], b.grace(bridge)
	at := where(on, "bridge")
	k := key(at, KindBridgeUnmatched, bridge)
	n, over, fresh, unseen, usd, largest := 0, 0, 0, 0, 0.0, 0.0
	var since int64
	var newest []map[string]any
	for i := range l.Waiting {
		w := &l.Waiting[i]
		if w.Chain != on {
			continue
		}
		if n++; n == 1 {
			since = w.At
		}
		if w.At > l.Last {
			unseen++
		}
		usd, largest = usd+w.USD, max(largest, w.USD)
		if age := b.book.Now - max(w.At, l.Resumed); age >= grace {
			over++
			w.Told = true
		} else {
			fresh++
		}
		newest = append(newest, map[string]any{"ago_ms": b.book.Now - w.At, "tx": w.Tx, "id": w.ID, "message": w.Message, "amount": w.Amount, "token": w.Token, "to": w.To, "usd": w.USD})
	}
	if n == 0 {
		return b.book.settle(k, "Every release has its deposit now; the last ones were only seen late.", 0)
	}
	was := b.book.Entries[k]
	if was != nil && !further && over == 0 {
		return nil // it stands as it was told
	}
	large := facts.TVLUSD > 0 && largest >= repeatShare*facts.TVLUSD || l.USD.N >= 100 && largest > max(l.USD.quantile(0.99), 10_000)
	f := chain.Finding{Key: k, Kind: KindBridgeUnmatched, Chain: at, Subject: cut(bridge, subjectMax), Severity: "SEV1", Drill: l.Drill, Since: since,
		Title: facts.title(bridge) + ": value is released without a deposit"}
	value := ""
	if usd > 0 {
		value = " (" + dollars(usd) + ")"
	}
	f.Reason = fmt.Sprintf("%d %s%s no known deposit; of %d before, %d had none.", n+l.More, map[bool]string{true: "withdrawal has", false: "withdrawals have"}[n+l.More == 1], value, l.Matched+l.Unmatched-int64(n+l.More), l.Unmatched-int64(n+l.More))
	if l.Matched == 0 {
		f.Reason = fmt.Sprintf("%d %s%s no known deposit.", n+l.More, map[bool]string{true: "withdrawal has", false: "withdrawals have"}[n+l.More == 1], value)
	}
	prompt := l.LateRate < matchPrompt
	switch {
	case unseen == n && l.silent(b.book.Now): // a deposit seen since would show that the other side is watched
		f.Severity, f.Verification = "SEV3", chain.Unverifiable
		f.Title = facts.title(bridge) + ": releases cannot be verified now"
		f.Reason += fmt.Sprintf(" No deposit at all has been seen for %s, where one is seen every %s: that side may not be watched now.", minutes(b.book.Now-l.Last), minutes(int64(l.Gap)))
	case over > 0:
		if !large && n+l.More < repeatLeast {
			f.Severity = "SEV2" // little, or nobody knows; those who try out begin so
		}
		f.Reason += fmt.Sprintf(" %d of them for over %s, within which one that is only seen late comes.", over, minutes(grace))
	case large && prompt:
		f.Reason += fmt.Sprintf(" The largest is %s, which is not waited for.", dollars(largest))
	case fresh >= repeatLeast && prompt:
		f.Reason += " They come repeatedly, which is not waited for."
	case l.LateRate > matchLate:
		return nil // deposits of this bridge are often seen late
	default:
		f.Severity = "SEV4"
		f.Title = facts.title(bridge) + ": a release is not verified yet"
		f.Reason += fmt.Sprintf(" It becomes an alarm if none is seen within %s.", minutes(grace))
	}
	f.Evidence = proof(map[string]any{"unmatched": n + l.More, "usd": usd, "over_grace": over, "grace_ms": grace, "matched_before": l.Matched, "seen_late_before": l.Late,
		"usual_delay_s": l.Delay.quantile(0.5), "newest": newest[max(len(newest)-10, 0):]})
	return b.book.raise(f, life{lasts: unmatchedLast, why: "For 24 hours every further release had its deposit."})
}

// takenBack forgets a release that a reorganisation took back.
func (b *Backing) takenBack(o observation.Observation, w release, l *ledger) []chain.Finding {
	l.add(o, -1)
	for i, x := range l.Waiting {
		if x.Tx == w.Tx && x.ID == w.ID && x.Chain == w.Chain {
			l.Waiting = slices.Delete(l.Waiting, i, i+1)
			l.Unmatched--
			return b.tellWaiting(o.Bridge, w.Chain, l, false)
		}
	}
	if d := b.find(w, l); d != nil && d.Taken && d.By == w.Tx {
		d.Taken, d.By = false, ""
		l.Matched--
	}
	return nil
}

// silent tells whether no deposit has been seen for longer than chance explains.
func (l *ledger) silent(now int64) bool {
	return l.Deposits >= matchTrust && float64(now-l.Last) > max(silentTimes*l.Gap, graceDefault)
}

func (l *ledger) enqueue(link string, at int64) {
	if l.Queue = append(l.Queue, queued{link, at}); len(l.Queue) > mostQueued {
		l.Queue = slices.Clone(l.Queue[mostQueued/4:])
	}
}

// stuck judges whether deposits wait for longer than is usual.
func (b *Backing) stuck(name string, l *ledger) []chain.Finding {
	if l.Delay.N < stuckKnown || len(l.Queue) == 0 {
		return nil
	}
	usual := max(int64(l.Delay.quantile(0.9)*1000), 60_000)
	end := len(l.Queue)
	for end > 0 && b.book.Now-l.Queue[end-1].At < usual {
		end--
	}
	judged := l.Queue[max(end-stuckOf, 0):end]
	if len(judged) < stuckLeast {
		return nil
	}
	waits, oldest := 0, int64(0)
	for _, q := range judged {
		s := b.s.Deposits.Young[q.Link] // looking does not make it young
		if s == nil {
			s = b.s.Deposits.Old[q.Link]
		}
		if s == nil {
			continue
		}
		for _, d := range s.Deposits {
			if d.At == q.At && !d.Taken {
				if waits++; oldest == 0 {
					oldest = q.At
				}
				break
			}
		}
	}
	share := float64(waits) / float64(len(judged))
	p := binomial(len(judged), waits, min(max(l.Left, 0.1), 0.9))
	at := where(b.facts[name].Chain, "bridge")
	k := key(at, KindBridgeStuck, name)
	if p >= stuckRare {
		if !b.book.is(k) {
			l.Left += stuckWeight * (share - l.Left)
		}
		return b.book.settle(k, fmt.Sprintf("Deposits are released as usual again: of the last %d, %d wait.", len(judged), waits), stuckCalm)
	}
	return b.book.raise(chain.Finding{Key: k, Kind: KindBridgeStuck, Chain: at, Subject: cut(name, subjectMax), Severity: "SEV4", Score: p, Bound: stuckRare, Drill: l.Drill, Since: oldest,
		Title:    b.facts[name].title(name) + ": deposits wait for their release",
		Reason:   fmt.Sprintf("%d of %d deposits still wait after %s, within which nine in ten are released; half are within %s.", waits, len(judged), minutes(usual), minutes(int64(l.Delay.quantile(0.5)*1000))),
		Evidence: proof(map[string]any{"waiting": waits, "of": len(judged), "usual_share": l.Left, "nine_tenths_within_ms": usual, "half_within_s": l.Delay.quantile(0.5), "tail": p})}, life{})
}

// add books an amount under what its token is called.
func (l *ledger) add(o observation.Observation, sign int64) {
	if o.Symbol == "" {
		return
	}
	s := l.Sums[cut(o.Symbol, 40)]
	if s == nil {
		if len(l.Sums) >= mostSums {
			return
		}
		s = &sum{"0", "0"}
		l.Sums[cut(o.Symbol, 40)] = s
	}
	to := &s.In
	if o.Kind == observation.Withdrawal {
		to = &s.Out
	}
	a, ok := new(big.Rat).SetString(*to)
	v, valid := new(big.Rat).SetString(normal(o.Amount))
	if ok && valid && observation.Decimal(o.Amount) {
		*to = a.Add(a, v.Mul(v, big.NewRat(sign, 1))).RatString()
	}
}

// supply holds what was released of a token in all against what was deposited, for bridges whose feed is complete.
func (b *Backing) supply(bridge, symbol string, l *ledger) []chain.Finding {
	facts, s := b.facts[bridge], l.Sums[symbol]
	if !facts.Complete || s == nil {
		return nil
	}
	at, subject := where(facts.Chain, "bridge"), bridge+":"+symbol
	k := key(at, KindBridgeOverpaid, subject)
	in, _ := new(big.Rat).SetString(s.In)
	out, _ := new(big.Rat).SetString(s.Out)
	if in == nil || out == nil || out.Cmp(in) <= 0 {
		return b.book.settle(k, "No more is released than was deposited.", 0)
	}
	return b.book.raise(chain.Finding{Key: k, Kind: KindBridgeOverpaid, Chain: at, Subject: cut(subject, subjectMax), Severity: "SEV1", Drill: l.Drill,
		Title:    fmt.Sprintf("%s: more %s was released than was ever deposited", facts.title(bridge), symbol),
		Reason:   fmt.Sprintf("%s %s were released and %s deposited since the bridge began.", grouped(out.FloatString(6)), symbol, grouped(in.FloatString(6))),
		Evidence: proof(map[string]any{"released": out.FloatString(18), "deposited": in.FloatString(18)})}, life{hold: b.grace(bridge)})
}

// minutes writes a length of time as people say it.
func minutes(ms int64) string {
	switch {
	case ms < 120_000:
		return fmt.Sprintf("%d s", ms/1000)
	case ms < 120*60_000:
		return fmt.Sprintf("%d min", ms/60_000)
	case ms < 72*3_600_000:
		return fmt.Sprintf("%d h", ms/3_600_000)
	}
	return fmt.Sprintf("%d days", ms/86_400_000)
}
