package precedent

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Alike is the likeness from which on two incidents are called alike.
const Alike = 0.25

// How much one feature of a kind counts beside one of another, before its rarity. A signal's kind and a component are chosen from short lists by
// people or programs; a word is whatever was typed.
const (
	wordWeight      = 1.0
	kindWeight      = 3.0
	sourceWeight    = 0.5
	componentWeight = 2.0
	chainWeight     = 1.5
	addressWeight   = 1.0
	categoryWeight  = 2.0
)

// common is what a feature counts that every incident has, and unheard one that none has; the rarest of a thousand counts fourteen times as much.
const (
	common  = 0.5
	unheard = 1.0
)

// Match is a case that is like another.
type Match struct {
	Case     Case
	Likeness float64 // 0..1
	Reasons  []string
}

// Index holds cases so that those like one are found quickly. It is not safe for concurrent use.
type Index struct {
	ids   map[string]int32 // feature -> number
	names []string
	kinds []byte  // of features: the first byte of the name
	df    []int32 // in how many cases of the index a feature is
	cases map[int64]*entry
	order []*entry // by number
}

type entry struct {
	c        Case
	features []int32
}

// NewIndex makes an index of cases.
func NewIndex(cases []Case) *Index {
	x := &Index{ids: map[string]int32{}, cases: map[int64]*entry{}}
	for _, c := range cases {
		x.Put(c)
	}
	return x
}

// Put adds a case or replaces the one of its number.
func (x *Index) Put(c Case) {
	x.Drop(c.Number)
	e := &entry{c: c, features: x.number(c, true)}
	for _, f := range e.features {
		x.df[f]++
	}
	x.cases[c.Number] = e
	at, _ := slices.BinarySearchFunc(x.order, c.Number, func(e *entry, n int64) int { return cmp.Compare(e.c.Number, n) })
	x.order = slices.Insert(x.order, at, e)
}

// Drop takes a case out.
func (x *Index) Drop(number int64) {
	e := x.cases[number]
	if e == nil {
		return
	}
	for _, f := range e.features {
		x.df[f]--
	}
	delete(x.cases, number)
	if at, ok := slices.BinarySearchFunc(x.order, number, func(e *entry, n int64) int { return cmp.Compare(e.c.Number, n) }); ok {
		x.order = slices.Delete(x.order, at, at+1)
	}
}

// Len is the number of cases.
func (x *Index) Len() int { return len(x.order) }

// number turns features into numbers; those that nobody has are numbered only when add is set.
func (x *Index) number(c Case, add bool) []int32 {
	var out []int32
	take := func(kind byte, names []string) {
		for _, n := range names {
			key := string(kind) + n
			id, ok := x.ids[key]
			if !add && (!ok || x.df[id] == 0) {
				continue
			}
			if !ok {
				id = int32(len(x.names))
				x.ids[key], x.names, x.kinds, x.df = id, append(x.names, n), append(x.kinds, kind), append(x.df, 0)
			}
			out = append(out, id)
		}
	}
	f := c.All
	take('w', f.Words)
	take('k', f.Kinds)
	take('s', f.Sources)
	take('p', f.Components)
	take('c', f.Chains)
	take('a', f.Addresses)
	if c.Category != "" {
		take('g', []string{c.Category})
	}
	return out
}

func weightOf(kind byte) float64 {
	switch kind {
	case 'k':
		return kindWeight
	case 's':
		return sourceWeight
	case 'p':
		return componentWeight
	case 'c':
		return chainWeight
	case 'a':
		return addressWeight
	case 'g':
		return categoryWeight
	}
	return wordWeight
}

// weights are of every feature: how much its kind counts times how rare it is (the inverse document frequency of BM25: Robertson and Zaragoza,
// The Probabilistic Relevance Framework, 2009, in the form that is never negative), and a little more, so that what happens here again and again is
// still like itself.
func (x *Index) weights() []float64 {
	n := float64(len(x.order))
	out := make([]float64, len(x.names))
	for i, df := range x.df {
		out[i] = weightOf(x.kinds[i]) * (common + math.Log1p((n-float64(df)+0.5)/(float64(df)+0.5)))
	}
	return out
}

// likenesses are those of every case of x.order to c: the cosine of the two vectors of weighted features.
func (x *Index) likenesses(c Case) (like, weights []float64, has []bool) {
	weights = x.weights()
	has = make([]bool, len(x.names))
	own, known := 0.0, x.number(c, false)
	for _, f := range known {
		has[f] = true
		own += weights[f] * weights[f]
	}
	own += float64(c.All.count()-min(c.All.count(), len(known))) * unheard * unheard
	like = make([]float64, len(x.order))
	for i, e := range x.order {
		dot, norm := 0.0, 0.0
		for _, f := range e.features {
			w := weights[f] * weights[f]
			norm += w
			if has[f] {
				dot += w
			}
		}
		if dot > 0 {
			like[i] = dot / math.Sqrt(own*norm)
		}
	}
	return like, weights, has
}

func (f Features) count() int {
	return len(f.Words) + len(f.Kinds) + len(f.Sources) + len(f.Components) + len(f.Chains) + len(f.Addresses)
}

// Similar gives at most n cases that are like c, the closed ones first, the more alike first, of equal ones the real and then the newer. c itself and those that were merged
// into others are not among them; drills are, for drills and for others, and say so in Case.Drill.
func (x *Index) Similar(c Case, n int) []Match {
	like, weights, has := x.likenesses(c)
	var at []int
	for i, e := range x.order {
		if like[i] >= Alike && e.c.Number != c.Number && !e.c.Merged {
			at = append(at, i)
		}
	}
	slices.SortFunc(at, func(a, b int) int {
		p, q := x.order[a].c, x.order[b].c
		if p.Open != q.Open {
			if q.Open {
				return -1
			}
			return 1
		}
		if like[a] == like[b] && p.Drill != q.Drill {
			if q.Drill {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(like[b], like[a]), cmp.Compare(q.Number, p.Number))
	})
	var out []Match
	for _, i := range at[:min(n, len(at))] {
		out = append(out, Match{Case: x.order[i].c, Likeness: like[i], Reasons: x.reasons(x.order[i], weights, has)})
	}
	return out
}

// reasons are what two cases share, the most telling first, by kind.
func (x *Index) reasons(e *entry, weights []float64, has []bool) []string {
	shared := map[byte][]int32{}
	for _, f := range e.features {
		if has[f] && weights[f] > 1.5*common*weightOf(x.kinds[f]) {
			k := x.kinds[f]
			shared[k] = append(shared[k], f)
		}
	}
	var out []string
	for _, of := range []struct {
		kind      byte
		one, many string
		most      int
	}{
		{'k', "same signal kind ", "same signal kinds ", 3}, {'g', "same category ", "", 1}, {'p', "same component ", "same components ", 3},
		{'c', "same chain ", "same chains ", 3}, {'a', "addresses of the same kind: ", "addresses of the same kinds: ", 3}, {'w', "word ", "words ", 4},
	} {
		list := shared[of.kind]
		if len(list) == 0 {
			continue
		}
		slices.SortFunc(list, func(a, b int32) int {
			return cmp.Or(cmp.Compare(weights[b], weights[a]), strings.Compare(x.names[a], x.names[b]))
		})
		var names []string
		for _, f := range list[:min(of.most, len(list))] {
			names = append(names, strings.ReplaceAll(x.names[f], "_", " "))
		}
		if len(names) == 1 {
			out = append(out, of.one+names[0])
		} else {
			out = append(out, of.many+strings.Join(names, ", "))
		}
	}
	return out
}
