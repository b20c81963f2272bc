package detect

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// KindBridgeOutflow is the kind of finding of an outflow that a bridge's own history does not know.
const KindBridgeOutflow = "bridge_outflow"

// The rule of outflow by history. Measured on 203 innocent days of Nomad: every 5 minutes over 3 % of the value were one party's leaving, and
// the looting's first block was four parties'.
const (
	looks        = 10_000 // ms between looks at all bridges when flows come without ticks
	mostBridges  = 256    // watched, a bridge on a chain; more, and the new ones are not
	loneOpensAt  = 0.10   // of the value, when it all goes to one party
	outflowRare  = 1e-3   // chance by history, of spans of 5 minutes in which anything left
	outflowShare = 0.03   // of the value, to several parties
	outflowTimes = 3      // times the largest of history, when the value is not known
	outflowSpans = 100    // of history before it is judged
)

// Drain watches how fast value leaves bridges: BridgeDrain for those whose value is known (source: Wormhole's Governor counts net flow; five
// minutes and 5 % were measured), and for all of them the outflow of five minutes against the bridge's own history.
type Drain struct {
	keeper[drains]
	facts map[string]BridgeFacts
}

type drains struct {
	Bridges map[string]*drained
	Looked  int64 // when all were last judged
}

// drained is one bridge on one chain.
type drained struct {
	Drain     BridgeDrain
	Known     bool // the value is known from facts or a series
	Measured  bool // by a series
	Set       int64
	Out       spread  // what left in spans of 5 minutes in which anything left
	Span      int64   // start of the one under way
	SpanOut   float64 // its sum
	CameIn    float64
	Left      float64
	Overdrawn float64 // the most that had left beyond what had come: so much was there before
}

// NewDrain starts to watch.
func NewDrain(c Config) *Drain {
	d := &Drain{facts: map[string]BridgeFacts{}}
	d.keeper = newKeeper("bridge_drain", 1, func() drains { return drains{Bridges: map[string]*drained{}} }, KindBridgeDrain, KindBridgeOutflow)
	for _, b := range c.Bridges {
		d.facts[b.Name] = b
	}
	return d
}

// Observe implements Heuristic. Withdrawals that were taken back count as value that came back.
func (d *Drain) Observe(o observation.Observation) []chain.Finding {
	switch o.Kind {
	case observation.Sample:
		d.measure(o)
		return d.book.advance(o.At)
	case observation.Deposit, observation.Withdrawal:
	default:
		return d.book.advance(o.At)
	}
	out := d.book.advance(o.At)
	if d.book.Now-d.s.Looked >= looks {
		out = append(out, d.look()...)
	}
	facts := d.facts[o.Bridge]
	if d.twice(o) {
		return out
	}
	if facts.Chain != "" && o.Chain != "" && facts.Chain != o.Chain {
		facts = BridgeFacts{Name: facts.Name, Title: facts.Title} // the value is locked elsewhere: by its own history
	}
	b := d.of(o, facts)
	if b == nil {
		return out
	}
	f := Flow{At: d.book.Now, ID: cut(o.ID, 80), Token: cut(o.Symbol, 40), Amount: normal(o.Amount)}
	if f.Token == "" {
		f.Token = shortened(cut(o.Token, 80))
	}
	usd := priced(o)
	switch {
	case o.Kind == observation.Withdrawal && !o.Removed:
		f.Out, f.Party = usd, shortened(account(cut(o.Beneficiary, 100)))
		b.Left += usd
	case o.Kind == observation.Withdrawal || !o.Removed:
		f.In, f.Amount, f.Party = usd, "", shortened(account(cut(o.Sender, 100)))
		b.CameIn += usd
	default:
		return out
	}
	b.Overdrawn = max(b.Overdrawn, b.Left-b.CameIn)
	b.refill(facts, d.book.Now)
	b.Drain.owned = true
	if b.Known {
		var seen chain.Outcome
		b.Drain, seen = b.Drain.Observe(f)
		out = append(out, d.pass(seen.Findings)...)
	} else {
		b.Drain = b.Drain.take(f)
	}
	if f.Out > 0 {
		out = append(out, d.outflow(b, o)...)
		if span := d.book.Now - d.book.Now%window; span != b.Span {
			b.Out.add(b.SpanOut)
			b.Span, b.SpanOut = span, 0
		}
		b.SpanOut += f.Out
	}
	return out
}

// Tick implements Heuristic.
func (d *Drain) Tick(at int64) []chain.Finding { return append(d.book.advance(at), d.look()...) }

// look judges every bridge that something left lately.
func (d *Drain) look() (out []chain.Finding) {
	d.s.Looked = d.book.Now
	for _, k := range slices.Sorted(maps.Keys(d.s.Bridges)) {
		b := d.s.Bridges[k]
		if len(b.Drain.flows) == 0 && !b.Drain.open && b.Drain.baseline == 0 {
			continue
		}
		if b.Known {
			var seen chain.Outcome
			b.Drain, seen = b.Drain.Tick(d.book.Now)
			out = append(out, d.pass(seen.Findings)...)
		} else {
			b.Drain = b.Drain.at(d.book.Now)
		}
		if b.Drain.net <= b.value()*calmBelow || len(b.Drain.flows) == 0 {
			out = append(out, d.book.settle(b.key(KindBridgeOutflow), "The outflow has been usual again for 15 minutes.", calmFor)...)
		}
	}
	return out
}

// of finds the bridge, or begins with it; nil when there are too many.
func (d *Drain) of(o observation.Observation, facts BridgeFacts) *drained {
	at := where(facts.Chain, where(o.Chain, "bridge"))
	k := at + "/" + o.Bridge
	b := d.s.Bridges[k]
	if b == nil && len(d.s.Bridges) < mostBridges {
		b = &drained{Known: facts.TVLUSD > 0, Set: d.book.Now, Drain: NewBridgeDrain(Bridge{Slug: cut(o.Bridge, subjectMax), Name: facts.title(o.Bridge),
			Chain: cut(at, subjectMax), TVL: facts.TVLUSD, Lone: loneOpensAt, Drill: o.Drill})}
		d.s.Bridges[k] = b
	}
	return b
}

// measure takes the value locked from a series that the facts name.
func (d *Drain) measure(o observation.Observation) {
	if o.Value == nil || *o.Value < 0 || len(d.facts) == 0 {
		return
	}
	for _, k := range slices.Sorted(maps.Keys(d.s.Bridges)) {
		b := d.s.Bridges[k]
		facts := d.facts[b.Drain.bridge.Slug]
		if facts.TVLSeries == "" || facts.TVLSeries != o.Series || o.Labels["bridge"] != "" && o.Labels["bridge"] != facts.Name || b.Drain.open {
			continue
		}
		b.Known, b.Measured, b.Set = true, true, d.book.Now
		b.Drain.tvl = *o.Value
	}
}

// refill takes the facts' value anew once a day while all is calm: a feed that shows only what leaves would empty any bridge. A feed with both
// sides keeps its own sum as long as that is near the facts.
func (b *drained) refill(facts BridgeFacts, now int64) {
	if facts.TVLUSD <= 0 || b.Measured || b.Drain.open || b.Drain.baseline > 0 || now-b.Set < forget {
		return
	}
	b.Set = now
	if held := b.Drain.tvl / facts.TVLUSD; b.CameIn == 0 || held < 0.2 || held > 5 {
		b.Drain.tvl = facts.TVLUSD
	}
}

// value is what the bridge held at the window's start, or at least held by its flows; 0 = nobody knows.
func (b *drained) value() float64 {
	if b.Known {
		return b.Drain.tvl + b.Drain.net
	}
	if b.CameIn == 0 || b.Out.N < outflowSpans {
		return 0
	}
	return b.CameIn - b.Left + b.Overdrawn + b.Drain.net
}

// pass gives out what BridgeDrain found; it has a life cycle of its own.
func (d *Drain) pass(found []chain.Finding) []chain.Finding {
	for i, f := range found {
		found[i].Detector = d.name
		if f.Firing {
			d.book.Entries[f.Key] = &entry{Finding: found[i], Open: true, Told: f.At}
		} else {
			delete(d.book.Entries, f.Key)
		}
	}
	return found
}

// outflow judges the window by the bridge's own history.
func (d *Drain) outflow(b *drained, o observation.Observation) []chain.Finding {
	net, held := b.Drain.net, b.value()
	if b.Out.N < outflowSpans || net <= 0 {
		return nil
	}
	p := b.Out.tail(net)
	if p >= outflowRare {
		return nil
	}
	lone, share := b.Drain.lone(), 0.0
	f := chain.Finding{Key: b.key(KindBridgeOutflow), Kind: KindBridgeOutflow, Chain: b.Drain.bridge.Chain, Subject: b.Drain.bridge.Slug, Severity: "SEV2",
		Score: p, Bound: outflowRare, Drill: o.Drill, Since: b.Drain.flows[0].At, Title: b.Drain.bridge.Name + ": more leaves than ever before",
		Reason: fmt.Sprintf("%s left in 5 min through %d %s; the most in any 5 minutes before was %s, and 99 in 100 had less than %s.", dollars(net), b.Drain.out,
			plural(b.Drain.out, "withdrawal"), dollars(b.Out.Max), dollars(b.Out.quantile(0.99)))}
	if net <= b.Out.Max {
		f.Title = b.Drain.bridge.Name + ": much more leaves than is usual"
	}
	if held > 0 {
		share = min(net/held, 1)
		f.Reason += fmt.Sprintf(" That is %s of the bridge's value (%s).", percent(share), dollars(held))
	}
	times, named := net/b.Out.Max, false
	for _, x := range b.Drain.flows {
		named = named || x.Party != ""
	}
	switch {
	case held > 0 && share < outflowShare, held == 0 && times < outflowTimes:
		return nil
	case !named && (held > 0 && share < loneOpensAt || held == 0 && times < 10):
		f.Severity, f.Weak = "SEV4", true
		f.Reason += " The feed does not say who took it, so it may be one large holder who leaves."
	case lone && (held > 0 && share < loneOpensAt || held == 0 && times < 10):
		f.Severity, f.Weak = "SEV4", true
		f.Reason += " It all went to one party, by withdrawals that each have a number of their own: a large holder who leaves looks like that."
	}
	f.Evidence = proof(map[string]any{"window_ms": window, "net_usd": net, "withdrawals": b.Drain.out, "largest_before_usd": b.Out.Max,
		"spans_of_history": b.Out.N, "held_usd": held, "share": share, "one_party": lone, "tail": p, "tx": cut(o.Tx, 100)})
	return d.book.raise(f, life{})
}

func (b *drained) key(kind string) string {
	return key(b.Drain.bridge.Chain, kind, b.Drain.bridge.Slug)
}

// title is what people call the bridge.
func (f BridgeFacts) title(name string) string {
	if f.Title != "" {
		return cut(f.Title, subjectMax)
	}
	return cut(name, subjectMax)
}
