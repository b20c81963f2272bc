package detect

import (
	"fmt"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// KindDepeg is the kind of finding that Depeg makes.
const KindDepeg = "depeg"

// The rule. Closes, not lows, which carry false wicks; a trigger of 0.995, as on-chain price providers use it (DEPEG_TRIGGER_PRICE), which
// flaps when one bar decides; so two bars in a row, at more than one venue where there is more than one, and back only after a while.
const (
	depegBars = 2
	barLeast  = 30_000        // ms between prices that count as bars of their own
	depegLost = 6 * 3_600_000 // ms without any price until nobody can say
)

// Depeg watches pegged assets by their closes.
type Depeg struct {
	keeper[depegs]
	pegs map[string]Peg
}

type depegs struct{ Quotes quotes }

// NewDepeg starts to watch.
func NewDepeg(c Config) *Depeg {
	d := &Depeg{pegs: map[string]Peg{}}
	d.keeper = newKeeper("depeg", 1, func() depegs { return depegs{Quotes: quotes{}} }, KindDepeg)
	for _, a := range PeggedByDefault {
		d.pegs[a] = Peg{Asset: a}.filled()
	}
	for _, p := range c.Pegs {
		d.pegs[p.Asset] = p.filled()
	}
	return d
}

// Observe implements Heuristic.
func (d *Depeg) Observe(o observation.Observation) []chain.Finding {
	peg, pegged := d.pegs[o.Asset]
	if o.Kind != observation.Price || !pegged {
		return d.book.advance(o.At)
	}
	out := d.Tick(o.At)
	now := d.book.Now
	q := d.s.Quotes.take(o, now)
	if q == nil {
		return out
	}
	if q.Counted == 0 || now-q.Counted >= max(barLeast, q.Interval/2) {
		q.Counted = now
		side := off(q.Close/peg.Value, peg.Trigger)
		if side == 0 || side*q.Bars < 0 {
			q.Bars = 0
		}
		q.Bars += side
	}
	return append(out, d.judge(o.Asset, peg, o.Drill)...)
}

// off is -1 under the peg by more than the trigger, 1 as much above it, else 0.
func off(value, trigger float64) int {
	switch {
	case value < trigger:
		return -1
	case value > 2-trigger:
		return 1
	}
	return 0
}

func (d *Depeg) judge(asset string, peg Peg, drill bool) []chain.Finding {
	venues := d.s.Quotes.fresh(asset, d.book.Now)
	k := key("prices", KindDepeg, asset)
	var closes []float64
	var names []string
	prices := map[string]float64{}
	below, above := 0, 0
	for _, v := range venues {
		q := d.s.Quotes[asset][v]
		closes = append(closes, q.Close)
		prices[v] = q.Close
		switch {
		case q.Bars <= -depegBars:
			below++
			names = append(names, where(v, "one venue"))
		case q.Bars >= depegBars:
			above++
			names = append(names, where(v, "one venue"))
		}
	}
	mid := median(slices.Clone(closes)) / peg.Value
	n := max(below, above)
	if n == 0 || n < min(len(venues), 2) || 2*n < len(venues) || off(mid, peg.Trigger) == 0 {
		if off(mid, peg.Clear) == 0 {
			return d.book.settle(k, fmt.Sprintf("%s has been within %s of its peg again for %s.", asset, percent(1-peg.Clear), minutes(peg.HoldSeconds*1000)), peg.HoldSeconds*1000)
		}
		d.book.stir(k)
		return nil
	}
	side, share := "below", 1-mid
	if above > below {
		side, share = "above", mid-1
	}
	f := chain.Finding{Key: k, Kind: KindDepeg, Chain: "prices", Subject: cut(asset, subjectMax), Severity: "SEV3", Drill: drill,
		Title: fmt.Sprintf("%s is %s its peg", cut(asset, 60), side),
		Reason: fmt.Sprintf("%s closes at %.4f, %s %s its peg of %g, for two bars or more at %d of %d %s (%s); over %s is an alarm.", cut(asset, 60), mid*peg.Value, percent(share), side, peg.Value,
			n, len(venues), plural(len(venues), "venue"), shortList(names), percent(1-peg.Trigger)),
		Evidence: proof(map[string]any{"closes": prices, "median": mid * peg.Value, "peg": peg.Value, "trigger": peg.Trigger, "clear": peg.Clear, "venues_off": n})}
	switch times := share / (1 - peg.Trigger); {
	case times >= 10:
		f.Severity = "SEV1"
	case times >= 2:
		f.Severity = "SEV2"
	}
	return d.book.raise(f, life{})
}

// Tick implements Heuristic.
func (d *Depeg) Tick(at int64) []chain.Finding {
	out := d.book.advance(at)
	for _, k := range d.book.open() {
		e := d.book.Entries[k]
		last := int64(0)
		for _, q := range d.s.Quotes[e.Finding.Subject] {
			last = max(last, q.At)
		}
		if last > 0 && d.book.Now-last >= depegLost {
			out = append(out, d.book.end(k, "No venue has told a price for 6 hours, so nobody can say.")...)
		}
	}
	return out
}

// shortList names at most five.
func shortList(names []string) string {
	s := ""
	for i, n := range names {
		if i == 5 {
			return s + fmt.Sprintf(" and %d more", len(names)-5)
		}
		if i > 0 {
			s += ", "
		}
		s += n
	}
	return s
}
