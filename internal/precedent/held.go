package precedent

import (
	"cmp"
	"slices"
)

// Held says how often the interval of a recovery held what an incident then took: the newest most closed cases, each asked for when it was declared,
// with what was known at that moment. Where nothing was foretold it does not count.
func Held(cases []Case, most int) (s Share) {
	list := slices.DeleteFunc(slices.Clone(cases), func(c Case) bool { return !c.Closed() })
	slices.SortFunc(list, func(a, b Case) int {
		return cmp.Or(cmp.Compare(a.DeclaredAt, b.DeclaredAt), cmp.Compare(a.Number, b.Number))
	})
	ended := slices.Clone(list)
	slices.SortFunc(ended, func(a, b Case) int {
		return cmp.Or(cmp.Compare(a.ResolvedAt, b.ResolvedAt), cmp.Compare(a.Number, b.Number))
	})
	x, over := NewIndex(nil), 0
	for i, c := range list {
		for ; over < len(ended) && ended[over].ResolvedAt < c.DeclaredAt; over++ {
			x.Put(ended[over])
		}
		took := c.Took()
		c.Open, c.ResolvedAt, c.All, c.Category = true, 0, c.Began, ""
		x.Put(c)
		if i < len(list)-most {
			continue
		}
		if r := x.Recovery(c, 0, c.DeclaredAt); r.Known {
			s.count(took >= r.Low && (r.High < 0 || took <= r.High))
		}
	}
	return s
}
