package wallet

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// Bounds of the questions.
const (
	MostHops   = 12     // of a path or a picture
	mostVisits = 50_000 // addresses looked at for one answer; beyond, what was found so far is the answer
	peelShare  = 0.9    // of what came, passed on in one piece
	peelSpan   = 24 * 3_600_000
)

// Fan is a burst of counterparties within a span of time.
type Fan struct {
	Who     string   `json:"who"`
	Others  []string `json:"others"` // sorted
	From    int64    `json:"from"`
	To      int64    `json:"to"`
	USD     float64  `json:"usd"`
	Onwards float64  `json:"onwards,omitempty"` // of a fan-in: the share in dollars that left within as long again
}

// FanOut is the densest burst of recipients, within span ms, that had never been paid or paid before; Others is empty when there is none.
func (g *Graph) FanOut(id string, span int64) Fan {
	var list []Edge
	for _, e := range g.Out(id) {
		if first := g.first(e.To); first == e {
			list = append(list, e)
		}
	}
	return densest(id, list, span)
}

// FanIn is the densest burst of payers within span ms, and how much of it left again within as long.
func (g *Graph) FanIn(id string, span int64) Fan {
	f := densest(id, g.In(id), span)
	if len(f.Others) == 0 || f.USD == 0 {
		return f
	}
	for _, e := range g.Out(id) {
		if e.At >= f.From && e.At <= f.To+span {
			f.Onwards += e.USD / f.USD
		}
	}
	f.Onwards = min(f.Onwards, 1)
	return f
}

// first is the first transfer that an address took part in.
func (g *Graph) first(id string) Edge {
	v := g.nodes[id]
	e, _ := g.earliest(slices.Concat(v.in, v.out))
	return e
}

func densest(id string, list []Edge, span int64) (best Fan) {
	best.Who = id
	from, count := 0, map[string]int{}
	for to, e := range list {
		count[other(e, id)]++
		for e.At-list[from].At > span {
			o := other(list[from], id)
			if count[o]--; count[o] == 0 {
				delete(count, o)
			}
			from++
		}
		if len(count) > len(best.Others) {
			best.Others, best.From, best.To, best.USD = slices.Sorted(maps.Keys(count)), list[from].At, e.At, 0
			for _, x := range list[from : to+1] {
				best.USD += x.USD
			}
		}
	}
	return best
}

// Peel follows money from an address: at each hop the largest piece goes on within a day, and is more than nine tenths of what came. It starts
// with each transfer that the address made and returns the longest chain; at most 100 hops.
func (g *Graph) Peel(id string) (longest []Edge) {
	for _, start := range g.Out(id) {
		chain, seen := []Edge{start}, map[string]bool{id: true, start.To: true}
		for len(chain) < 100 {
			came := chain[len(chain)-1]
			var next Edge
			for _, e := range g.Out(came.To) {
				if e.At < came.At || e.At-came.At > peelSpan || e.Token != came.Token || seen[e.To] {
					continue
				}
				if share := float(e.Amount) / float(came.Amount); share > peelShare && share <= 1 && float(e.Amount) > float(next.Amount) {
					next = e
				}
			}
			if next.To == "" {
				break
			}
			seen[next.To] = true
			chain = append(chain, next)
		}
		if len(chain) > len(longest) {
			longest = chain
		}
	}
	return longest
}

// Search says how a path is looked for.
type Search struct {
	Backward bool    // where the money came from; else where it went
	Hops     int     // at most, 0 = 6, never above MostHops
	LeastUSD float64 // smaller transfers are passed over; those without a price are not
	At       int64   // labels that count then
	// Ends tells which addresses are looked for. Addresses that deal with everybody end a path and are never gone through: behind an exchange
	// the money of all is one.
	Ends func(id string, labels []Label, t Type) bool
}

// Path is the way money took.
type Path struct {
	Hops  []Edge  `json:"hops"` // in the order asked for
	End   string  `json:"end"`
	USD   float64 `json:"usd"`   // the smallest priced transfer of the way: no more than this can have gone through
	Whole bool    `json:"whole"` // false = the search met its bound, and there may be a shorter way
}

// Labelled is an end for Search: any address that bears a label.
func Labelled(_ string, labels []Label, _ Type) bool { return len(labels) > 0 }

// Shortest finds the way with the fewest hops along which time never runs backwards: money is spent after it came. Among equals the earliest
// goes before, backwards the latest.
func (g *Graph) Shortest(from string, s Search) (Path, bool) {
	if s.Hops <= 0 {
		s.Hops = 6
	}
	s.Hops = min(s.Hops, MostHops)
	type place struct {
		id   string
		at   int64
		by   Edge
		prev int
	}
	begin := int64(math.MinInt64)
	if s.Backward {
		begin = math.MaxInt64
	}
	better := func(a, b int64) bool { return a < b && !s.Backward || a > b && s.Backward }
	places, best, whole := []place{{id: from, at: begin, prev: -1}}, map[string]int64{from: begin}, true
	public := g.publics(s.At)
	for lo, hop := 0, 0; lo < len(places) && hop < s.Hops; hop++ {
		hi := len(places)
		level := map[string]int{}
		for p := lo; p < hi; p++ {
			here := places[p]
			if p > 0 && public(here.id) || here.at != best[here.id] {
				continue
			}
			list := g.list(here.id, s.Backward)
			if s.Backward {
				slices.Reverse(list)
			}
			for _, e := range list {
				to := other(e, here.id)
				if better(e.At, here.at) || e.USD > 0 && e.USD < s.LeastUSD {
					continue
				}
				if t, seen := best[to]; seen && !better(e.At, t) {
					continue
				}
				if len(places) >= mostVisits {
					whole = false
					break
				}
				best[to] = e.At
				if at, has := level[to]; has {
					places[at] = place{to, e.At, e, p}
					continue
				}
				level[to] = len(places)
				places = append(places, place{to, e.At, e, p})
			}
		}
		found := -1
		for p := hi; p < len(places); p++ {
			x := places[p]
			if s.Ends != nil && s.Ends(x.id, g.Labels(x.id, s.At), g.Type(x.id, s.At)) &&
				(found < 0 || cmp.Or(cmp.Compare(x.at, places[found].at)*map[bool]int{true: -1, false: 1}[s.Backward], cmp.Compare(x.id, places[found].id)) < 0) {
				found = p
			}
		}
		if found >= 0 {
			out := Path{End: places[found].id, Whole: whole}
			for p := found; p > 0; p = places[p].prev {
				out.Hops = append(out.Hops, places[p].by)
				if u := places[p].by.USD; u > 0 && (out.USD == 0 || u < out.USD) {
					out.USD = u
				}
			}
			slices.Reverse(out.Hops)
			return out, true
		}
		lo = hi
	}
	return Path{Whole: whole}, false
}

// Share is how much of what came to an address came from the sources.
type Share struct {
	ID  string  `json:"id"`
	Hop int     `json:"hop"` // fewest hops from a source
	USD float64 `json:"usd"` // that came from them
	Of  float64 `json:"of"`  // share of all dollars that came
}

// Taint spreads what sources paid, in time order, by the haircut rule (M. Möser, R. Böhme, D. Breuker, 2014): an address passes on the share
// that it holds. What was there before the graph began counts as clean as soon as more leaves than came. Addresses that deal with everybody
// take, and pass nothing on. Sorted by dollars, at most most; without prices nothing spreads.
func (g *Graph) Taint(sources []string, hops, most int, at int64) []Share {
	type purse struct {
		held, dirty, came, got float64
		hop                    int
	}
	purses := map[string]*purse{}
	source := map[string]bool{}
	for _, s := range sources {
		source[s] = true
	}
	need := func(id string) *purse {
		if purses[id] == nil {
			purses[id] = &purse{hop: math.MaxInt}
		}
		return purses[id]
	}
	public := g.publics(at)
	order := slices.Clone(g.edges)
	slices.SortFunc(order, compare)
	for _, e := range order {
		if e.USD <= 0 {
			continue
		}
		a, b := need(e.From), need(e.To)
		moved, hop := 0.0, math.MaxInt
		switch {
		case source[e.From]:
			moved, hop = e.USD, 1
		case a.dirty > 0 && a.hop < hops && !public(e.From):
			moved, hop = e.USD*a.dirty/max(a.held, e.USD), a.hop+1
		}
		if !source[e.From] {
			a.held, a.dirty = max(a.held-e.USD, 0), max(a.dirty-moved, 0)
		}
		b.held, b.came = b.held+e.USD, b.came+e.USD
		if moved > 0 {
			b.dirty, b.got, b.hop = b.dirty+moved, b.got+moved, min(b.hop, hop)
		}
	}
	var out []Share
	for id, p := range purses {
		if p.got > 0 && !source[id] {
			out = append(out, Share{id, p.hop, p.got, p.got / p.came})
		}
	}
	slices.SortFunc(out, func(a, b Share) int { return cmp.Or(cmp.Compare(b.USD, a.USD), cmp.Compare(a.ID, b.ID)) })
	return out[:min(len(out), max(most, 0))]
}
