package forecast

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Edge says that a service depends on another: a fault of On may be felt at Service.
type Edge struct{ Service, On string }

// Past is one incident of the past: when each service was first seen to suffer, unix ms.
type Past map[string]int64

// Reach is where a fault is likely to be felt next.
type Reach struct {
	Service    string
	Likelihood float64 // 0..1, that it is felt there within a day of the fault
	Median     int64   // unix ms; Low and High hold it with 80 % probability
	Low, High  int64
	Path       []string // from the service that fails, the likeliest way
	Learned    int      // incidents of the past that taught the last step; 0 = only the graph speaks
	Reason     string
}

// What the graph alone says of a direct dependency, before any incident has taught better: felt two times of three, after five minutes, give or
// take a factor of four. It weighs as much as three incidents.
const (
	priorLikely = 2.0 / 3
	priorWeight = 3.0
	priorDelay  = 5 * 60_000.0
	priorSpread = 1.386 // of the logarithm: ln 4
	leastLikely = 0.05
	mostReach   = 200
	mostHops    = 6
	dayMS       = 86_400_000
)

// hop is what is known of one edge.
type hop struct {
	edge       Edge
	likely     float64
	mean, sd   float64 // of the logarithm of the delay in ms
	seen, felt int
}

// learn weighs an edge by the past: of the incidents in which On suffered, in how many Service did after it, and how much later. The likelihood
// is the mean of a Beta distribution, the delay log-normal with a normal prior on the mean of its logarithm.
func learn(e Edge, past []Past) hop {
	h := hop{edge: e}
	a, sum := priorLikely*priorWeight, math.Log(priorDelay)*priorWeight
	squares := priorSpread * priorSpread * priorWeight
	n := priorWeight
	for _, p := range past {
		on, ok := p[e.On]
		if !ok {
			continue
		}
		h.seen++
		at, ok := p[e.Service]
		if !ok || at < on || at-on > dayMS {
			continue
		}
		h.felt++
		a++
		l := math.Log(math.Max(float64(at-on), 1000))
		d := l - sum/n
		sum += l
		n++
		squares += d * (l - sum/n)
	}
	h.likely = a / (priorWeight + float64(h.seen))
	h.mean, h.sd = sum/n, math.Sqrt(squares/n)
	return h
}

// Spread says where a fault will be felt: services that suffer now, with the time that each began (unix ms), spread along the graph. Services
// that suffer already are not listed. The likeliest come first; at most 200.
//
// Likelihoods multiply along a path (each step is taken to be independent of the others) and paths of one length do not add up: the likeliest
// way counts, which is the cautious reading of a noisy-or.
func Spread(graph []Edge, past []Past, suffering map[string]int64, now int64) []Reach {
	from := map[string][]hop{}
	for _, e := range graph {
		if e.Service != e.On {
			from[e.On] = append(from[e.On], learn(e, past))
		}
	}
	best := map[string]Reach{}
	type step struct {
		Reach
		mean, squares float64
		began         int64
	}
	var todo []step
	for _, s := range sorted(suffering) {
		todo = append(todo, step{Reach: Reach{Service: s, Likelihood: 1, Path: []string{s}}, began: suffering[s]})
	}
	for len(todo) > 0 {
		slices.SortStableFunc(todo, func(a, b step) int { return cmp.Compare(b.Likelihood, a.Likelihood) })
		at := todo[0]
		todo = todo[1:]
		if len(at.Path) > mostHops {
			continue
		}
		for _, h := range from[at.Service] {
			s := h.edge.Service
			if _, hurt := suffering[s]; hurt || slices.Contains(at.Path, s) {
				continue
			}
			r := step{Reach: Reach{Service: s, Likelihood: at.Likelihood * h.likely, Path: append(slices.Clone(at.Path), s), Learned: h.seen}, began: at.began}
			if r.Likelihood < leastLikely || r.Likelihood <= best[s].Likelihood {
				continue
			}
			// delays add: the median of the sum is taken as the sum of the medians, its spread as that of the widest step
			median := at.mean + math.Exp(h.mean)
			r.mean, r.squares = median, math.Max(at.squares, h.sd)
			wide := math.Exp(1.2816 * r.squares)
			r.Median = r.began + int64(math.Round(median))
			r.Low, r.High = r.began+int64(median/wide), r.began+int64(median*wide)
			r.Reason = h.say(r.Reach, now)
			best[s] = r.Reach
			todo = append(todo, r)
		}
	}
	out := make([]Reach, 0, len(best))
	for _, r := range best {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Reach) int {
		return cmp.Or(cmp.Compare(b.Likelihood, a.Likelihood), cmp.Compare(a.Median, b.Median), cmp.Compare(a.Service, b.Service))
	})
	return out[:min(len(out), mostReach)]
}

func (h hop) say(r Reach, now int64) string {
	why := "the service graph says so; no incident of the past has shown it yet"
	if h.seen > 0 {
		why = fmt.Sprintf("%d of %d incidents of %s were felt there", h.felt, h.seen, h.edge.On)
	}
	when := "in about " + span(r.Median-now)
	if r.Median <= now {
		when = "by now"
	}
	return fmt.Sprintf("It depends on %s: %.0f %% likely to be felt %s; %s.", h.edge.On, 100*r.Likelihood, when, why)
}

func sorted(m map[string]int64) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
