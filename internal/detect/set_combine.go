package detect

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// Combination. What alone is too little for an alarm may be one together with others about the same thing: at least three signs within ten
// minutes, judged by the product of their tail probabilities; below 1e-4 it is told, below 1e-7 it is critical. The rule and both bounds are
// those of Forta's alert combiner. That product means nothing unless it is corrected for how often one looked:
//
//   - how rare a score is, is taken from the series' own past scores, never rarer than their number can tell;
//   - a series had several samples in the window: its tail counts times their number (Bonferroni over time);
//   - n signs were found among m series and detectors that could have shown one: the product counts times "m choose n", and times the number
//     of n that were tried (Bonferroni over the choice);
//   - signs are not independent. Of one series and detector the best counts only; the k-th best sign of the same series name (one metric of
//     several nodes, say) counts with the power 1/k. What remains is taken for independent, so the score is a bound only as far as it is.
//
// A sign without a probability (an indicator by rule, SEV5) counts as 0.01.
const (
	combineLeast  = 3
	combineOpens  = 1e-4
	combineWorse  = 1e-7
	combineEnds   = 10.0 // times combineOpens: hysteresis
	plainFactor   = 0.01 // of both bounds when all signs are of plain series: of those there are dozens of groups, each judged 144 times a day
	ruleTail      = 0.01
	leastTail     = 1e-9 // no sign counts more than this
	otherwise     = 20   // detectors that could show a sign beside the series
	mostParts     = 64   // signs kept of one group; more, and the oldest goes
	mostGroups    = 2048 // groups with signs; more, and new ones are not combined
	shownParts    = 8
	combineCalm   = 60_000
	chancesBeyond = 10_000 // samples of one series that a window is taken to have at most
)

// group are the signs about one thing.
type group struct {
	Members int             `json:"members"` // series about it
	Parts   map[string]part `json:"parts,omitempty"`
}

// part is one sign.
type part struct {
	Detector string  `json:"detector"`
	Name     string  `json:"name"` // of the series, or the kind of the indicator
	Subject  string  `json:"subject"`
	Group    string  `json:"group"`
	Chain    string  `json:"chain,omitempty"`
	Tail     float64 `json:"tail"`
	At       int64   `json:"at"`
	Every    float64 `json:"every,omitempty"` // ms between the chances for such a sign; 0 = there was one
	Why      string  `json:"why,omitempty"`
	Drill    bool    `json:"drill,omitempty"`
}

// count keeps how many series a group has.
func (q *seriesSet) count(name string, by int) {
	g := q.groups[name]
	if g == nil {
		g = &group{}
		q.groups[name] = g
	}
	if g.Members += by; g.Members <= 0 && len(g.Parts) == 0 {
		delete(q.groups, name)
	}
}

// indicate keeps a finding that is too weak to be an alarm as a sign.
func (q *seriesSet) indicate(f chain.Finding) {
	if !f.Firing || (!f.Weak && f.Severity != "SEV5") || f.Kind == KindCombined || f.Kind == KindWeakAnomaly || f.Kind == KindAnomaly || f.Kind == KindMissing {
		return
	}
	about := "chain=" + f.Chain
	if f.Chain == "" || f.Chain == "all" || f.Chain == "series" || f.Chain == "detect" {
		about = f.Subject
	}
	detector := f.Detector
	if detector == "" {
		detector = f.Kind
	}
	tail := f.Score
	if tail <= 0 {
		tail = ruleTail
	}
	q.part(part{Detector: detector, Name: f.Kind, Subject: f.Key, Group: about, Chain: f.Chain, Tail: tail, At: f.At, Why: f.Title, Drill: f.Drill}, f.At)
}

// part takes a sign and judges its group.
func (q *seriesSet) part(p part, at int64) {
	g := q.groups[p.Group]
	if g == nil {
		if len(q.groups) >= mostGroups+len(q.tracks) {
			return
		}
		g = &group{}
		q.groups[p.Group] = g
	}
	if g.Parts == nil {
		g.Parts = map[string]part{}
	}
	p.Why = cut(p.Why, 300)
	id := p.Detector + "|" + p.Subject
	if have, ok := g.Parts[id]; ok && at-have.At < int64(q.set.setup.CombineWithin) && have.Tail < p.Tail {
		return // the better one stands, for its own time
	}
	g.Parts[id] = p
	if len(g.Parts) > mostParts {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(g.Parts)), func(a, b string) int {
			return cmp.Or(cmp.Compare(g.Parts[a].At, g.Parts[b].At), strings.Compare(a, b))
		})
		delete(g.Parts, oldest)
	}
	q.judgeGroup(p.Group, g, at)
}

// combineTick lets signs go that are too old.
func (q *seriesSet) combineTick(at int64) {
	q.set.emit(q.combined.advance(at))
	var old []string
	for name, g := range q.groups {
		for _, p := range g.Parts {
			if at-p.At >= int64(q.set.setup.CombineWithin) {
				old = append(old, name)
				break
			}
		}
	}
	slices.Sort(old)
	for _, name := range old {
		g := q.groups[name]
		maps.DeleteFunc(g.Parts, func(_ string, p part) bool { return at-p.At >= int64(q.set.setup.CombineWithin) })
		q.judgeGroup(name, g, at)
		if len(g.Parts) == 0 && g.Members <= 0 {
			delete(q.groups, name)
		}
	}
}

// score is the corrected product, and the signs in it.
func (q *seriesSet) score(g *group) (float64, []part) {
	if len(g.Parts) < combineLeast {
		return 1, nil
	}
	list := slices.Collect(maps.Values(g.Parts))
	logs := map[string]float64{}
	for _, p := range list {
		chances := 1.0
		if p.Every > 0 {
			chances = min(max(float64(q.set.setup.CombineWithin)/p.Every, 1), chancesBeyond)
		}
		logs[p.Detector+"|"+p.Subject] = math.Log(min(max(p.Tail, leastTail)*chances, 1))
	}
	of := func(p part) float64 { return logs[p.Detector+"|"+p.Subject] }
	slices.SortFunc(list, func(a, b part) int { return cmp.Or(cmp.Compare(of(a), of(b)), strings.Compare(a.Subject, b.Subject)) })
	m := max(g.Members+otherwise, len(list))
	best, most, sum, tried := 0.0, 0, 0.0, 0
	same := map[string]float64{}
	for i, p := range list {
		same[p.Name]++
		sum += of(p) / same[p.Name]
		if i+1 < combineLeast {
			continue
		}
		tried++
		if s := sum + choose(m, i+1); s < best {
			best, most = s, i+1
		}
	}
	if most == 0 {
		return 1, nil
	}
	return math.Exp(min(best+math.Log(float64(tried)), 0)), list[:most]
}

// choose is the logarithm of "m choose n".
func choose(m, n int) float64 {
	a, _ := math.Lgamma(float64(m + 1))
	b, _ := math.Lgamma(float64(n + 1))
	c, _ := math.Lgamma(float64(m - n + 1))
	return a - b - c
}

func (q *seriesSet) judgeGroup(name string, g *group, at int64) {
	q.combined.advance(at)
	score, parts := q.score(g)
	scope := "combined"
	if c, ok := strings.CutPrefix(name, "chain="); ok {
		scope = strings.ReplaceAll(c, "/", "_")
	}
	k := key(scope, KindCombined, name)
	opens, worse := combineOpens, combineWorse
	if !slices.ContainsFunc(parts, func(p part) bool { return p.Detector != "series" }) {
		opens, worse = opens*plainFactor, worse*plainFactor
	}
	if score >= opens {
		if score >= combineEnds*opens && q.combined.is(k) {
			q.set.emit(q.combined.settle(k, "The signs are no longer together: fewer than three, or too common, within "+lasting(int64(q.set.setup.CombineWithin))+".", combineCalm))
		}
		return
	}
	f := chain.Finding{Key: k, Kind: KindCombined, Chain: scope, Subject: cut(name, subjectMax), Severity: "SEV4", Score: score, Bound: opens, Since: at,
		Title: fmt.Sprintf("%d weak signs about %s at once", len(parts), name)}
	if score < worse {
		f.Severity = "SEV2"
	}
	var words []string
	for i, p := range parts {
		f.Since = min(f.Since, p.At)
		f.Drill = f.Drill || p.Drill
		if i < shownParts {
			words = append(words, fmt.Sprintf("%s (%s)", p.Subject, odds(p.Tail)))
		}
	}
	f.Reason = fmt.Sprintf("%d signs, each too little for an alarm, came within %s: %s. That so many come together by chance has a probability of %s at most; below %s it is told.",
		len(parts), lasting(int64(q.set.setup.CombineWithin)), strings.Join(words, ", "), odds(score), odds(opens))
	f.Evidence = proof(map[string]any{"parts": parts[:min(len(parts), 20)], "count": len(parts), "candidates": g.Members + otherwise, "score": score})
	q.set.emit(q.combined.raise(f, life{}))
}
