package detect

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Kinds of finding that Oracle makes.
const (
	KindOracleStale     = "oracle_stale"
	KindOracleDeviation = "oracle_deviation"
)

// The rule. A feed is stale by its own heartbeat (ETH / USD an hour, stablecoins a day: one limit for all is a known fault), and off by twice
// its own threshold of deviation (docs.chain.link: a round is due when the price moves by it). One read decides nothing: a node may lag; and one
// node decides nothing: what two operators tell is confirmed, what one tells waits for a second.
const (
	mostFeeds     = 1024
	graceLeast    = 60_000
	feedHold      = 60_000
	feedCalm      = 5 * 60_000
	feedReads     = 2
	deviationElse = 0.01 // of feeds whose threshold nobody told
	intervalsKept = 16   // of updates, to learn a heartbeat that nobody told
	feedUnseen    = 5 * 60_000
)

// Oracle watches price feeds.
type Oracle struct {
	keeper[oracles]
	facts map[string]FeedFacts
	by    operators
}

type oracles struct {
	Feeds  map[string]*feed
	Quotes quotes
	Looked int64
}

// NewOracle starts to watch.
func NewOracle(c Config) *Oracle {
	a := &Oracle{facts: map[string]FeedFacts{}, by: c.operators}
	a.keeper = newKeeper("oracle", 1, func() oracles { return oracles{Feeds: map[string]*feed{}, Quotes: quotes{}} }, KindOracleStale, KindOracleDeviation)
	for _, f := range c.Feeds {
		a.facts[f.Chain+"|"+f.Feed] = f
	}
	return a
}

// Observe implements Heuristic.
func (a *Oracle) Observe(o observation.Observation) []chain.Finding {
	out := a.Tick(o.At)
	if o.Kind == observation.Price {
		a.s.Quotes.take(o, a.book.Now)
		return out
	}
	if o.Kind != observation.Feed || o.Answer == nil || math.IsNaN(*o.Answer) || math.IsInf(*o.Answer, 0) {
		return out
	}
	k := cut(o.Chain, 60) + "|" + cut(o.Feed, 100)
	f := a.s.Feeds[k]
	if f == nil {
		if len(a.s.Feeds) >= mostFeeds {
			return out
		}
		f = &feed{Feed: cut(o.Feed, 100), Chain: cut(o.Chain, 60), Drill: o.Drill}
		a.s.Feeds[k] = f
	}
	a.learn(f, o)
	by := f.take(o, a.by, a.book.Now)
	return append(append(out, a.stale(f, by, true)...), a.deviates(f, by)...)
}

// learn takes what a read says of the feed itself.
func (a *Oracle) learn(f *feed, o observation.Observation) {
	facts, has := a.facts[f.Chain+"|"+f.Feed]
	if !has {
		facts = a.facts["|"+f.Feed]
	}
	f.Heartbeat, f.Deviation, f.Grace = int64(o.Heartbeat), o.Deviation, facts.GraceSeconds*1000
	if f.Heartbeat <= 0 {
		f.Heartbeat = facts.HeartbeatSeconds * 1000
	}
	if f.Deviation <= 0 || f.Deviation >= 1 {
		f.Deviation = facts.Deviation
	}
	if f.Asset = facts.Asset; f.Asset == "" {
		asset, _, _ := strings.Cut(f.Feed, "/")
		f.Asset = strings.TrimSpace(asset)
	}
}

// Tick implements Heuristic. A feed that nobody reads any more is not called stale: who does not look cannot say.
func (a *Oracle) Tick(at int64) []chain.Finding {
	out := a.book.advance(at)
	if a.book.Now-a.s.Looked < feedHold {
		return out
	}
	a.s.Looked = a.book.Now
	for _, k := range slices.Sorted(maps.Keys(a.s.Feeds)) {
		out = append(out, a.stale(a.s.Feeds[k], "", false)...)
	}
	return out
}

// stale judges the newest round of each voice. by is who has just read the feed.
func (a *Oracle) stale(f *feed, by string, read bool) []chain.Finding {
	limit, from := f.limit()
	at := where(f.Chain, "feeds")
	k := key(at, KindOracleStale, f.Feed)
	all := f.voices(a.by, a.book.Now)
	if len(all) == 0 {
		return nil
	}
	var old []voice
	for _, v := range all {
		if limit > 0 && a.book.Now-v.round.Updated > limit {
			old = append(old, v)
		}
	}
	if !slices.ContainsFunc(old, func(v voice) bool { return !v.lags }) {
		f.StaleReads = 0
		return a.book.settle(k, fmt.Sprintf("%s has new rounds again.", f.Feed), feedCalm)
	}
	if read && said(old, by) {
		f.StaleReads++
	}
	if f.StaleReads < feedReads {
		return nil
	}
	slices.SortStableFunc(old, func(x, y voice) int { return cmp.Compare(x.round.Updated, y.round.Updated) })
	v := old[min(1, len(old)-1)] // as old as two say
	age := a.book.Now - v.round.Updated
	severity := "SEV3"
	if age > 2*limit {
		severity = "SEV2"
	}
	reason := fmt.Sprintf("The newest round is %s old, seen at %d reads; %s, so one is late after %s. The price may be far from the market.", minutes(age), f.StaleReads, from, minutes(limit))
	if w := newer(all, v); w != "" {
		reason += fmt.Sprintf(" %s shows a newer round that no second operator shows.", w)
	}
	verification, seen := f.attested(old, a.book.Now)
	return a.book.raise(chain.Finding{Key: k, Kind: KindOracleStale, Chain: at, Subject: f.Feed, Severity: severity, Drill: f.Drill, Since: v.round.Updated + limit,
		Verification: verification, Seen: seen, Title: f.Feed + ": the price feed is stale", Reason: reason,
		Evidence: proof(map[string]any{"age_ms": age, "limit_ms": limit, "heartbeat_ms": f.Heartbeat, "answer": v.round.Answer, "reads": f.StaleReads, "nodes": f.answers()})}, life{hold: feedHold})
}

// deviates holds the answer of each voice against the median of what else is known of the asset: venues, and other feeds that are not stale. by is
// who has just read the feed.
func (a *Oracle) deviates(f *feed, by string) []chain.Finding {
	var others []float64
	told := map[string]float64{}
	for _, v := range a.s.Quotes.fresh(f.Asset, a.book.Now) {
		others = append(others, a.s.Quotes[f.Asset][v].Close)
		told[where(v, "a venue")] = others[len(others)-1]
	}
	for _, k := range slices.Sorted(maps.Keys(a.s.Feeds)) {
		g := a.s.Feeds[k]
		if limit, _ := g.limit(); g != f && g.Asset == f.Asset && g.Answer > 0 && !g.Unsure && quoted(g.Feed) == quoted(f.Feed) && a.book.Now-g.Updated <= max(limit, quoteFresh) {
			others = append(others, g.Answer)
			if len(told) < shown {
				told[where(g.Chain, "feeds")+": "+g.Feed] = g.Answer
			}
		}
	}
	at := where(f.Chain, "feeds")
	k := key(at, KindOracleDeviation, f.Feed)
	if len(others) == 0 {
		f.OffReads = 0
		return a.book.settle(k, "There is nothing fresh to compare with any more.", feedCalm)
	}
	mid, threshold := median(others), f.Deviation
	if threshold <= 0 || threshold >= 1 {
		threshold = deviationElse
	}
	var off []voice
	agrees := true
	all := f.voices(a.by, a.book.Now)
	if len(all) == 0 {
		return nil
	}
	for _, v := range all {
		v.apart = math.Abs(v.round.Answer/mid - 1)
		if agrees = agrees && (v.lags || v.apart <= threshold); v.apart > 2*threshold {
			off = append(off, v)
		}
	}
	switch {
	case agrees:
		f.OffReads = 0
		return a.book.settle(k, fmt.Sprintf("%s agrees with the market again.", f.Feed), feedCalm)
	case !slices.ContainsFunc(off, func(v voice) bool { return !v.lags }):
		f.OffReads = 0
		a.book.stir(k)
		return nil
	}
	if said(off, by) {
		f.OffReads++
	}
	if f.OffReads < feedReads {
		return nil
	}
	slices.SortStableFunc(off, func(x, y voice) int { return cmp.Compare(y.apart, x.apart) })
	v := off[min(1, len(off)-1)] // as far as two say
	severity := "SEV3"
	switch {
	case len(others) >= 2 && v.apart > 20*threshold:
		severity = "SEV1"
	case len(others) >= 2:
		severity = "SEV2"
	}
	verification, seen := f.attested(off, a.book.Now)
	return a.book.raise(chain.Finding{Key: k, Kind: KindOracleDeviation, Chain: at, Subject: f.Feed, Severity: severity, Drill: f.Drill, Verification: verification, Seen: seen,
		Title: f.Feed + ": the feed is far from the market",
		Reason: fmt.Sprintf("The feed says %.6g while the median of %d %s says %.6g: %s apart, at %d reads; a new round is due at %s and twice that is an alarm.", v.round.Answer, len(others),
			plural(len(others), "other"), mid, percent(v.apart), f.OffReads, percent(threshold)),
		Evidence: proof(map[string]any{"answer": v.round.Answer, "median": mid, "others": told, "apart": v.apart, "threshold": threshold, "reads": f.OffReads, "nodes": f.answers()})}, life{hold: feedHold})
}

// quoted is the currency of a feed named like "ETH / USD".
func quoted(feed string) string {
	_, currency, _ := strings.Cut(feed, "/")
	currency, _, _ = strings.Cut(strings.TrimSpace(currency), " ")
	return currency
}
