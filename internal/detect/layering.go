package detect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Kinds of finding that Layering makes.
const (
	KindFanOut     = "fan_out"
	KindFanIn      = "fan_in"
	KindPeelChain  = "peel_chain"
	KindLaundering = "laundering" // several signs at once, or of money from a flagged address
)

// The rule. There is no agreed number (FATF's red flags of 2020 name none); ten new addresses within an hour, ten senders and then out, five
// hops that each pass on more than nine tenths are our own. Each is an indicator and pages nobody; together they are a finding.
const (
	layerSpan   = 3_600_000
	layerLasts  = 24 * 3_600_000
	fanLeast    = 10
	peelHops    = 5
	peelShare   = 0.9
	mostKnown   = 40_000 // addresses seen
	mostActors  = 10_000
	mostPath    = 8    // addresses of a peel chain, the first and the newest
	mostBranch  = 64   // counterparties of an actor within the span
	knownBefore = 200  // addresses seen before "new" means anything
	busyActor   = 500  // transfers; exchanges and contracts
	layerLeast  = 10.0 // dollars; less is dust
)

// Layering watches for the signs of money being hidden.
type Layering struct {
	keeper[layers]
	watch watchlist
}

type layers struct {
	Known  recent[bool]
	Actors recent[actor]
	Since  map[string]int64 // by chain
}

// actor is an address and what it did lately.
type actor struct {
	N     int64
	Out   []dealing // to new addresses
	In    []dealing
	Usual float64 // new recipients in an hour, at most so far
	Hops  int
	Got   float64
	Unit  string
	GotAt int64
	Times int // it received
	Path  []string
	Signs map[string]int64
	Dirty string // the flagged address that its money came from
}

type dealing struct {
	Who   string
	At    int64
	Value float64
}

// NewLayering starts to watch.
func NewLayering(c Config) *Layering {
	l := &Layering{watch: newWatchlist(c.Watched)}
	l.keeper = newKeeper("layering", 1, func() layers {
		return layers{newRecent[bool](mostKnown / 2), newRecent[actor](mostActors / 2), map[string]int64{}}
	}, KindFanOut, KindFanIn, KindPeelChain, KindLaundering)
	return l
}

// Observe implements Heuristic.
func (l *Layering) Observe(o observation.Observation) []chain.Finding {
	out := l.book.advance(o.At)
	if o.Kind != observation.Transfer || o.From == "" || o.To == "" || o.Removed || l.twice(o) {
		return out
	}
	v, unit := number(o.Amount), account(cut(o.Token, 100))
	if o.USD != nil {
		v, unit = priced(o), "usd"
	}
	from, to, on := account(cut(o.From, 100)), account(cut(o.To, 100)), cut(o.Chain, 60)
	if from == to || v <= 0 || unit == "usd" && v < layerLeast {
		return out
	}
	if l.s.Since[on] == 0 && len(l.s.Since) < mostBridges {
		l.s.Since[on] = l.book.Now
	}
	isNew := l.s.Known.get(on+"|"+to) == nil
	ripe := l.s.Known.len() >= knownBefore && l.book.Now-l.s.Since[on] >= layerSpan
	for _, a := range []string{from, to} {
		if l.s.Known.get(on+"|"+a) == nil {
			l.s.Known.put(on+"|"+a, new(bool))
		}
	}
	a := l.s.Actors.need(on + "|" + from)
	b := l.s.Actors.need(on + "|" + to)
	a.N++
	b.N++
	l.taint(on, from, to, a, b, v)
	found := l.peel(o, on, from, to, a, b, v, unit, isNew && ripe)
	if !l.public(on, from) && a.N <= busyActor {
		if isNew && ripe {
			found = append(found, l.fanOut(o, on, from, a, to, v)...)
		}
		found = append(found, l.fanIn(o, on, from, a, v)...)
	}
	if b.N <= busyActor && !l.public(on, to) {
		b.In = lately(b.In, l.book.Now, from, v)
	}
	return append(out, found...)
}

// Tick implements Heuristic.
func (l *Layering) Tick(at int64) []chain.Finding { return l.tick(at) }

// public tells whether an address is one that deals with everybody.
func (l *Layering) public(on, address string) bool {
	w, ok := l.watch.find(on, address)
	return ok && (w.Kind == "exchange" || w.Kind == "hot_wallet" || w.Kind == "bridge" || w.Kind == "contract" || w.Kind == "mixer")
}

// lately adds a counterparty and drops what is older than the span.
func lately(list []dealing, now int64, who string, v float64) []dealing {
	list = slices.DeleteFunc(list, func(x dealing) bool { return now-x.At >= layerSpan })
	for i := range list {
		if list[i].Who == who {
			list[i].At, list[i].Value = now, list[i].Value+v
			return list
		}
	}
	if list = append(list, dealing{who, now, v}); len(list) > mostBranch {
		list = list[1:]
	}
	return list
}

// taint carries the name of a flagged source to whom it pays, and on to whom those pay half or more of it. Busy addresses take none: whoever
// deals with everybody would pass it on to everybody.
func (l *Layering) taint(on, from, to string, a, b *actor, v float64) {
	if w, ok := l.watch.find(on, from); ok && (w.Kind == "attacker" || w.Kind == "mixer") {
		a.Dirty = w.name()
	}
	if a.Dirty != "" && b.N <= busyActor && !l.public(on, to) && (a.Got == 0 || v >= a.Got/2) {
		b.Dirty = a.Dirty
	}
}

func (l *Layering) fanOut(o observation.Observation, on, from string, a *actor, to string, v float64) []chain.Finding {
	before := len(a.Out)
	a.Out = lately(a.Out, l.book.Now, to, v)
	n := len(a.Out)
	if n < before { // an hour is over
		a.Usual = max(a.Usual, float64(before))
	}
	k := key(on, KindFanOut, from)
	if n < fanLeast || float64(n) < 3*a.Usual && !l.book.is(k) {
		return nil
	}
	f := l.sign(o, on, from, KindFanOut, from+": pays many new addresses",
		fmt.Sprintf("%s paid %d addresses within an hour that were never seen before, %s in all.", shortened(from), n, total(a.Out, o)), a.Out[0].At, a.Out)
	return append(l.book.raise(f, life{lasts: layerLasts, why: "For 24 hours it paid no further burst of new addresses."}), l.together(o, on, from, a, KindFanOut)...)
}

func (l *Layering) fanIn(o observation.Observation, on, from string, a *actor, v float64) []chain.Finding {
	a.In = slices.DeleteFunc(a.In, func(x dealing) bool { return l.book.Now-x.At >= layerSpan })
	sum := 0.0
	for _, x := range a.In {
		sum += x.Value
	}
	if len(a.In) < fanLeast || v < sum/2 {
		return nil
	}
	f := l.sign(o, on, from, KindFanIn, from+": gathers from many and passes on",
		fmt.Sprintf("%s was paid by %d addresses within an hour (%s in all) and passed %.0f %% of it on at once.", shortened(from), len(a.In), total(a.In, o), min(100*v/sum, 100)), a.In[0].At, a.In)
	return append(l.book.raise(f, life{lasts: layerLasts, why: "For 24 hours it did not gather again."}), l.together(o, on, from, a, KindFanIn)...)
}

// peel follows money that each address passes on almost whole to a new one.
func (l *Layering) peel(o observation.Observation, on, from, to string, a, b *actor, v float64, unit string, isNew bool) []chain.Finding {
	b.Times++
	follows := a.Times == 1 && a.Unit == unit && l.book.Now-a.GotAt < layerLasts && v >= peelShare*a.Got && v <= a.Got*1.0001
	b.Got, b.Unit, b.GotAt, b.Hops, b.Path = v, unit, l.book.Now, 0, nil
	if b.Times > 1 || !isNew || l.public(on, from) {
		return nil
	}
	b.Path = []string{from}
	if follows && len(a.Path) > 0 {
		b.Hops = a.Hops + 1
		if b.Path = append(slices.Clone(a.Path), from); len(b.Path) > mostPath {
			b.Path = append(b.Path[:1:1], b.Path[2:]...)
		}
	}
	if b.Hops < peelHops {
		return nil
	}
	origin := b.Path[0]
	f := l.sign(o, on, origin, KindPeelChain, origin+": money is passed on from one new address to the next",
		fmt.Sprintf("%d addresses in a row, each used once, passed on more than 90 %% of what they got from %s; %s has arrived at %s.", b.Hops, shortened(origin), size(v, unit, o), shortened(to)), 0, nil)
	f.Evidence = proof(map[string]any{"path": append(slices.Clone(b.Path), to), "hops": b.Hops, "tx": cut(o.Tx, 100), "size": v, "unit": unit})
	return append(l.book.raise(f, life{lasts: layerLasts, why: "For 24 hours the money did not move on."}), l.together(o, on, origin, l.s.Actors.need(on+"|"+origin), KindPeelChain)...)
}

func (l *Layering) sign(o observation.Observation, on, who, kind, title, reason string, since int64, list []dealing) chain.Finding {
	var newest []map[string]any
	for _, x := range list[max(len(list)-shown, 0):] {
		newest = append(newest, map[string]any{"address": x.Who, "ago_ms": l.book.Now - x.At, "size": x.Value})
	}
	return chain.Finding{Key: key(on, kind, who), Kind: kind, Chain: on, Subject: who, Severity: "SEV5", Title: strings.Replace(title, who, shortened(who), 1), Reason: reason, Since: since,
		Drill: o.Drill, Evidence: proof(map[string]any{"address": who, "newest": newest, "tx": cut(o.Tx, 100)})}
}

// together judges the signs that an address has shown within a day, and where its money came from.
func (l *Layering) together(o observation.Observation, on, who string, a *actor, kind string) []chain.Finding {
	if a.Signs == nil {
		a.Signs = map[string]int64{}
	}
	a.Signs[kind] = l.book.Now
	maps.DeleteFunc(a.Signs, func(_ string, at int64) bool { return l.book.Now-at >= layerLasts })
	if len(a.Signs) < 2 && a.Dirty == "" {
		return nil
	}
	signs := slices.Sorted(maps.Keys(a.Signs))
	f := chain.Finding{Key: key(on, KindLaundering, who), Kind: KindLaundering, Chain: on, Subject: who, Severity: "SEV3", Drill: o.Drill,
		Title:    shortened(who) + ": money is being hidden",
		Reason:   fmt.Sprintf("Within a day %s showed: %s.", shortened(who), strings.ReplaceAll(shortList(signs), "_", " ")),
		Evidence: proof(map[string]any{"address": who, "signs": signs, "from": a.Dirty, "tx": cut(o.Tx, 100)})}
	if a.Dirty != "" {
		f.Reason += fmt.Sprintf(" Its money came from %s.", a.Dirty)
	}
	return l.book.raise(f, life{lasts: layerLasts, why: "For 24 hours no further sign was seen."})
}

// total adds up a list in its unit.
func total(list []dealing, o observation.Observation) string {
	sum := 0.0
	for _, x := range list {
		sum += x.Value
	}
	unit := account(cut(o.Token, 100))
	if o.USD != nil {
		unit = "usd"
	}
	return size(sum, unit, o)
}
