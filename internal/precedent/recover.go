package precedent

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

const (
	// LeastResolved is how many resolved incidents that lasted as long as this one, or longer, an expectation needs.
	LeastResolved = 8
	// Interval is how often the interval of a recovery holds the true duration.
	Interval = 0.8
)

// Recovery is how much longer an incident is likely to last. Durations are in ms, counted from now.
type Recovery struct {
	Known    bool
	Low      int64 // of the interval
	Likely   int64 // the median
	High     int64 // of the interval; -1 = longer than anything on record
	Resolved int   // incidents that it is made from
	Alike    bool  // made from those like it, not from all
	Sentence string
}

// Recovery estimates how much longer c lasts, given that it has lasted elapsed ms since it was declared. It is the distribution of what resolved
// incidents took, each counted by its likeness, of those that lasted longer than elapsed (Kaplan and Meier, 1958, so that open ones count for as
// long as they have lasted; now is unix ms). The interval has one case more on either side, as in conformal prediction (Vovk, Gammerman, Shafer,
// 2005), so that it holds what it says with few cases, too. Of those like c when there are LeastResolved, else of all; else not known. Drills
// count for drills only.
func (x *Index) Recovery(c Case, elapsed, now int64) Recovery {
	like, _, _ := x.likenesses(c)
	elapsed = max(elapsed, 0)
	near := x.lifetimes(c, like, now, true)
	if r, ok := recovery(near, elapsed); ok {
		r.Alike = true
		return r.said()
	}
	r, _ := recovery(x.lifetimes(c, like, now, false), elapsed)
	return r.said()
}

// lifetime is what one case tells: it ended after took, or had not ended by then.
type lifetime struct {
	took   int64
	ended  bool
	weight float64
	number int64
}

func (x *Index) lifetimes(c Case, like []float64, now int64, alike bool) []lifetime {
	var out []lifetime
	for i, e := range x.order {
		k := e.c
		if k.Number == c.Number || k.Merged || k.Drill != c.Drill || alike && like[i] < Alike {
			continue
		}
		l := lifetime{took: k.Took(), ended: k.over(), weight: like[i], number: k.Number}
		if !alike {
			l.weight = 1
		}
		if !l.ended {
			l.took = now - k.DeclaredAt
		}
		if l.took > 0 && (l.ended || k.Open) {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b lifetime) int {
		if c := cmp.Compare(a.took, b.took); c != 0 {
			return c
		}
		if a.ended != b.ended { // who ended at a time was there at that time, and who is still there, too
			if a.ended {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.number, b.number)
	})
	return out
}

// recovery reads the interval off. list is sorted by time.
func recovery(list []lifetime, elapsed int64) (r Recovery, ok bool) {
	at, _ := slices.BinarySearchFunc(list, elapsed, func(l lifetime, t int64) int {
		if l.took <= t {
			return -1
		}
		return 1
	})
	list = list[at:]
	var sum, squares float64
	for _, l := range list {
		sum += l.weight
		squares += l.weight * l.weight
		if l.ended {
			r.Resolved++
		}
	}
	if r.Resolved < LeastResolved {
		return r, false
	}
	n := sum * sum / squares // how many cases of equal weight would tell as much (Kish, 1965)
	tail := (1 - Interval) / 2
	// With one case more, which may lie anywhere: below all for the low end, beyond all for the high one.
	low, high := tail*(n+1)/n-1/n, (1-tail)*(n+1)/n
	r.Low, r.Likely, r.High = -2, -2, -1
	alive, left := 1.0, sum
	for i, l := range list {
		if l.ended {
			alive *= 1 - l.weight/left
		}
		left -= l.weight
		if i+1 < len(list) && list[i+1].took == l.took || !l.ended {
			continue
		}
		gone, more := 1-alive, l.took-elapsed
		if r.Low == -2 && gone >= low {
			r.Low = more
			if low <= 0 {
				r.Low = 0
			}
		}
		if r.Likely == -2 && gone >= 0.5-1e-9 {
			r.Likely = more
		}
		if r.High == -1 && gone >= high-1e-9 && high <= 1+1e-9 {
			r.High = more
		}
	}
	if r.Likely == -2 { // most are open: what is known is only that it is longer
		return r, false
	}
	r.Low = max(r.Low, 0)
	r.Known = true
	return r, true
}

func (r Recovery) said() Recovery {
	of := fmt.Sprintf("from %d resolved like it", r.Resolved)
	if !r.Alike {
		of = fmt.Sprintf("from all %d resolved that took as long; too few are like it", r.Resolved)
	}
	switch {
	case !r.Known && r.Resolved == 0:
		r.Sentence = "No resolved incident lasted as long as this one, so nothing is said of how long it takes."
	case !r.Known:
		r.Sentence = fmt.Sprintf("Too few (%d) resolved incidents lasted as long as this one to say how long it takes.", r.Resolved)
	case r.High < 0:
		r.Sentence = fmt.Sprintf("likely %s or more, half of them over %s more (%s)", Span(r.Low), Span(r.Likely), of)
	default:
		r.Sentence = fmt.Sprintf("likely %s to %s more (%s)", Span(r.Low), Span(r.High), of)
	}
	return r
}

// Span writes a duration in ms as people say it, coarser the longer it is: "40 m", "1 h 20 m", "2 d 4 h".
func Span(ms int64) string {
	m := int64(math.Round(float64(ms) / float64(minute)))
	switch {
	case ms < minute/2:
		return "0 m"
	case m < 20:
	case m < 120:
		m = (m + 2) / 5 * 5
	case m < 600:
		m = (m + 5) / 10 * 10
	case m < 2*24*60:
		m = (m + 30) / 60 * 60
	default:
		h := (m + 30) / 60
		if d, h := h/24, h%24; d < 7 && h > 0 {
			return fmt.Sprintf("%d d %d h", d, h)
		}
		return fmt.Sprintf("%d d", (h+12)/24)
	}
	switch h, m := m/60, m%60; {
	case h == 0:
		return fmt.Sprintf("%d m", m)
	case m == 0:
		return fmt.Sprintf("%d h", h)
	default:
		return fmt.Sprintf("%d h %d m", h, m)
	}
}
