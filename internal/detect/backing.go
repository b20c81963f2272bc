package detect

import (
	"fmt"
	"strconv"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Kinds of finding that Backing makes.
const (
	KindBridgeUnmatched  = "bridge_unmatched" // value was released that nobody is known to have deposited
	KindBridgeOverpaid   = "bridge_overpaid"  // more was released than was deposited
	KindBridgeStuck      = "bridge_stuck"     // deposits wait for longer than is usual
	KindBridgeUnverified = "bridge_one_sided" // no deposits are seen, so releases cannot be verified
)

// The rule. XChainWatcher (github.com/AndreAugusto11/XChainWatcher, acceptance rules) and OP Stack's withdrawal monitors hold every release
// against its deposit: on Nomad that is wrong from the very first transaction of the looting, and never on 203 innocent days.
const (
	mostDeposits  = 40_000 // remembered, of all bridges
	mostWaiting   = 1000   // releases without a deposit, of one bridge
	graceDefault  = 10 * 60_000
	unmatchedLast = 24 * 3_600_000 // ms that a release without a deposit is kept and told
	matchTrust    = 20             // releases matched in a row before an unmatched one is judged
	matchLate     = 0.002          // share of deposits seen after their release, above which nothing is said before the grace is over
	matchPrompt   = 0.001          // below which what is large or repeated is not waited for
	lateWindow    = 500            // releases that the share is of
	silentTimes   = 7              // usual gaps between deposits (chance about 1 in 1,000) and ten minutes: that side is not seen now
	overTolerance = 1.001          // of the deposit
	sidesAfter    = 20             // releases without any deposit until it is said that there are none
)

// Backing holds every release of a bridge against its deposit: matched by message, else by number, else by amount and beneficiary.
type Backing struct {
	keeper[backing]
	facts map[string]BridgeFacts
}

type backing struct {
	Bridges  map[string]*ledger
	Deposits recent[slot]
	Checked  int64 // when waiting deposits were last judged
}

// slot is what was deposited under one link; several deposits may share one, as those of equal amount to one party do.
type slot struct{ Deposits []deposit }

type deposit struct {
	At            int64
	Chain, Amount string
	Tx            string
	Symbol        string
	By            string // the transaction that released it, "" = none yet
	Taken         bool
}

// ledger is one bridge.
type ledger struct {
	Deposits, Releases       int64
	Matched, Unmatched, Late int64
	Row                      int64   // matched in a row
	LateRate                 float64 // share of deposits seen after their release, lately
	Last, Resumed            int64   // newest deposit, and the first one after a silence
	Gap                      float64 // ms between deposits, usually
	Over                     int64   // releases of more than was deposited
	First, Top               int64   // lowest number of the first deposits, and the largest, -1 = none
	Delay                    spread  // seconds from deposit to release
	USD                      spread  // of matched releases
	Waiting                  []release
	More                     int // beyond mostWaiting
	Queue                    []queued
	Left                     float64 // usual share of deposits that wait for longer than nine tenths do
	Sums                     map[string]*sum
	Sides                    []string // chains that deposits were seen on, at most 16
	Drill                    bool
}

// release waits for its deposit.
type release struct {
	At                                        int64
	Chain, Tx, ID, Message, Amount, Token, To string
	USD                                       float64
	Links                                     []string
	Told                                      bool // its grace is over
}

// NewBacking starts to watch.
func NewBacking(c Config) *Backing {
	b := &Backing{facts: map[string]BridgeFacts{}}
	b.keeper = newKeeper("bridge_backing", 1, func() backing {
		return backing{Bridges: map[string]*ledger{}, Deposits: newRecent[slot](mostDeposits / 2)}
	}, KindBridgeUnmatched, KindBridgeOverpaid, KindBridgeStuck, KindBridgeUnverified)
	for _, f := range c.Bridges {
		b.facts[f.Name] = f
	}
	return b
}

// Observe implements Heuristic.
func (b *Backing) Observe(o observation.Observation) []chain.Finding {
	if o.Kind != observation.Deposit && o.Kind != observation.Withdrawal {
		return b.book.advance(o.At)
	}
	out := b.Tick(o.At)
	if b.twice(o) {
		return out
	}
	l := b.s.Bridges[o.Bridge]
	if l == nil {
		if len(b.s.Bridges) >= mostBridges {
			return out
		}
		l = &ledger{First: -1, Top: -1, Sums: map[string]*sum{}, Drill: o.Drill}
		b.s.Bridges[o.Bridge] = l
	}
	if o.Kind == observation.Deposit {
		return append(out, b.deposited(o, l)...)
	}
	return append(out, b.released(o, l)...)
}

// links are the names under which a deposit and its release may find one another, the surest first.
func links(o observation.Observation) (all []string) {
	switch {
	case o.Message != "":
		return []string{o.Bridge + "|m" + cut(o.Message, 140)}
	case o.ID != "":
		return []string{o.Bridge + "|i" + cut(o.ID, 100)}
	}
	amount := o.Bridge + "|a" + normal(cut(o.Amount, 110)) + "|"
	if o.Beneficiary != "" {
		all = append(all, amount+account(cut(o.Beneficiary, 100)))
	}
	return append(all, amount)
}

func (b *Backing) deposited(o observation.Observation, l *ledger) []chain.Finding {
	all := links(o)
	if o.Removed {
		if s := b.s.Deposits.get(all[0]); s != nil {
			for i, d := range s.Deposits {
				if d.Tx == cut(o.Tx, 100) && !d.Taken {
					s.Deposits = append(s.Deposits[:i], s.Deposits[i+1:]...)
					l.add(o, -1)
					break
				}
			}
		}
		return nil
	}
	if l.Deposits > 0 {
		if l.silent(b.book.Now) {
			l.Resumed = b.book.Now
		}
		l.Gap += (float64(b.book.Now-l.Last) - l.Gap) / min(float64(l.Deposits), 20)
	}
	l.Last = b.book.Now
	l.Deposits++
	l.add(o, 1)
	if id, err := strconv.ParseInt(o.ID, 10, 64); err == nil && id >= 0 {
		if l.First < 0 || l.Deposits <= matchTrust {
			if l.First < 0 {
				l.First = id
			}
			l.First = min(l.First, id)
		}
		l.Top = max(l.Top, id)
	}
	d := deposit{At: b.book.Now, Chain: cut(o.Chain, 60), Amount: normal(cut(o.Amount, 110)), Tx: cut(o.Tx, 100), Symbol: cut(o.Symbol, 40)}
	if !has(l.Sides, d.Chain) && len(l.Sides) < 16 {
		l.Sides = append(l.Sides, d.Chain)
	}
	out := b.book.settle(key(b.at(o), KindBridgeUnverified, o.Bridge), "Deposits are seen now.", 0)
	// One that a release has waited for comes late.
	for i, w := range l.Waiting {
		if has(w.Links, all[0]) && (w.Chain == "" || w.Chain != d.Chain || len(l.Sides) == 1) {
			l.Waiting = append(l.Waiting[:i:i], l.Waiting[i+1:]...)
			l.Late++
			l.LateRate += (1 - l.LateRate) / lateWindow
			l.Matched++
			l.Unmatched--
			l.Row++
			d.By, d.Taken = w.Tx, true
			out = append(out, b.tellWaiting(o.Bridge, w.Chain, l, false)...)
			out = append(out, b.compare(o.Bridge, w, d, l)...)
			break
		}
	}
	s := b.s.Deposits.need(all[0])
	if len(s.Deposits) >= 16 { // equal deposits of one party under one link
		s.Deposits = s.Deposits[1:]
	}
	s.Deposits = append(s.Deposits, d)
	l.enqueue(all[0], d.At)
	return out
}

func (b *Backing) released(o observation.Observation, l *ledger) []chain.Finding {
	all := links(o)
	w := release{At: b.book.Now, Chain: cut(o.Chain, 60), Tx: cut(o.Tx, 100), ID: cut(o.ID, 100), Message: cut(o.Message, 140), Amount: normal(cut(o.Amount, 110)),
		Token: cut(o.Token, 100), To: account(cut(o.Beneficiary, 100)), Links: all}
	w.USD = priced(o)
	if o.Removed {
		return b.takenBack(o, w, l)
	}
	l.Releases++
	l.add(o, 1)
	out := b.supply(o.Bridge, cut(o.Symbol, 40), l)
	if d := b.find(w, l); d != nil {
		if d.Taken { // the same transaction pays several things out
			return out
		}
		d.Taken, d.By = true, w.Tx
		l.LateRate -= l.LateRate / lateWindow
		l.Matched++
		l.Row++
		l.Delay.add(float64(max(w.At-d.At, 1000)) / 1000)
		out = append(out, b.compare(o.Bridge, w, *d, l)...)
		l.USD.add(w.USD)
		return out
	}
	facts := b.facts[o.Bridge]
	if l.Deposits == 0 && !facts.DepositsSeen {
		return append(out, b.oneSided(o, l)...)
	}
	if id, err := strconv.ParseInt(o.ID, 10, 64); err == nil && (l.First >= 0 && id < l.First || b.s.Deposits.Lost > 0 && id < l.Top-mostDeposits/2) {
		return out // deposited before anybody watched, or too long ago to be remembered
	}
	trusted := facts.DepositsSeen || l.Row >= matchTrust && float64(l.Unmatched) <= 0.05*float64(l.Matched)
	if !trusted && len(l.Waiting) == 0 {
		l.Row = 0
		l.Unmatched++
		return out
	}
	l.Unmatched++
	if len(l.Waiting) >= mostWaiting {
		l.Waiting = l.Waiting[1:]
		l.More++
	}
	l.Waiting = append(l.Waiting, w)
	return append(out, b.tellWaiting(o.Bridge, w.Chain, l, true)...)
}

// find looks for a deposit on another chain that is not taken; one of the same amount goes before. What the same transaction has taken already
// is given back as taken. A feed that names one chain for both sides is taken as it is.
func (b *Backing) find(w release, l *ledger) *deposit {
	var other *deposit
	one := len(l.Sides) == 1 && l.Sides[0] == w.Chain
	for _, link := range w.Links {
		s := b.s.Deposits.get(link)
		if s == nil {
			continue
		}
		for i := range s.Deposits {
			d := &s.Deposits[i]
			if w.Chain != "" && d.Chain == w.Chain && !one {
				continue
			}
			switch {
			case d.Taken && d.By == w.Tx && w.Tx != "":
				return d
			case d.Taken:
			case d.Amount == w.Amount:
				return d
			case other == nil:
				other = d
			}
		}
	}
	return other
}

// compare holds what was released against what was deposited. Bridges whose releases are larger as a rule (another unit, say) are not judged.
func (b *Backing) compare(bridge string, w release, d deposit, l *ledger) []chain.Finding {
	in, out := number(d.Amount), number(w.Amount)
	if out <= in*overTolerance {
		return nil
	}
	judged := l.Matched > matchTrust && float64(l.Over) <= 0.02*float64(l.Matched)
	l.Over++
	if !judged {
		return nil
	}
	facts := b.facts[bridge]
	at := where(w.Chain, "bridge")
	return b.book.raise(chain.Finding{Key: key(at, KindBridgeOverpaid, bridge), Kind: KindBridgeOverpaid, Chain: at, Subject: cut(bridge, subjectMax), Severity: "SEV1", Drill: l.Drill,
		Title: facts.title(bridge) + ": more was released than was deposited",
		Reason: fmt.Sprintf("Withdrawal %s released %s, but its deposit was of %s. Of the %d releases before, %d were larger than their deposit.", shortened(where(w.ID, w.Tx)), grouped(cut(w.Amount, 60)),
			grouped(cut(d.Amount, 60)), l.Matched-1, l.Over-1),
		Evidence: proof(map[string]any{"released": w.Amount, "deposited": d.Amount, "tx": w.Tx, "deposit_tx": d.Tx, "id": w.ID, "usd": w.USD})},
		life{lasts: unmatchedLast, why: "For 24 hours no more was released than deposited."})
}

// oneSided says once that nothing can be verified, and is silent from then on.
func (b *Backing) oneSided(o observation.Observation, l *ledger) []chain.Finding {
	if l.Releases != sidesAfter {
		return nil
	}
	facts := b.facts[o.Bridge]
	return b.book.raise(chain.Finding{Key: key(b.at(o), KindBridgeUnverified, o.Bridge), Kind: KindBridgeUnverified, Chain: b.at(o), Subject: cut(o.Bridge, subjectMax), Severity: "SEV5",
		Drill: o.Drill, Verification: chain.Unverifiable, Title: facts.title(o.Bridge) + ": releases cannot be verified",
		Reason: fmt.Sprintf("%d withdrawals were seen and not one deposit, so none can be held against its deposit. Watch the other chain too; this is said once.", l.Releases)}, life{})
}

// at is the scope of what concerns the bridge as a whole.
func (b *Backing) at(o observation.Observation) string {
	return where(b.facts[o.Bridge].Chain, "bridge")
}
