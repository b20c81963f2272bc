package precedent

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/incident"
)

// Item is one thing that waits to be worked on: an open incident, or a signal without one.
type Item struct {
	ID        string
	Severity  incident.Severity
	Since     int64 // unix ms
	Drill     bool
	PerMinute float64 // loss in USD a minute; used when CostKnown
	CostKnown bool
	Longer    Recovery // how much longer it is likely to last
}

// Ranked is an item in its place, and why it is there.
type Ranked struct {
	Item
	Cost    float64 // USD that it is likely to cost from now on
	Assumed bool    // the cost a minute or the duration is an assumption
	Reason  string
}

// typical is what is assumed of a severity while nothing is known: USD a minute, and how much longer it lasts in ms. They are not measured; they
// only keep the order of severities, a factor of ten apart.
func typical(v incident.Severity) (perMinute float64, longer int64) {
	switch v {
	case incident.SEV1:
		return 10_000, 180 * minute
	case incident.SEV2:
		return 1_000, 120 * minute
	case incident.SEV3:
		return 100, 120 * minute
	case incident.SEV4:
		return 10, 120 * minute
	}
	return 1, 120 * minute
}

// Order sorts by what each item is likely to cost from now on: cost a minute times how many minutes more, the dearest first. Of equal ones the worse
// severity comes first, then the older, then the lower ID, so that the order of the same items is always the same. Drills cost nothing and come
// last. What is not known is assumed from the severity, and the reason says so.
func Order(items []Item) []Ranked {
	out := make([]Ranked, 0, len(items))
	for _, i := range items {
		out = append(out, rank(i))
	}
	slices.SortStableFunc(out, func(a, b Ranked) int {
		if a.Drill != b.Drill {
			if b.Drill {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Cost, a.Cost), cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), cmp.Compare(a.Since, b.Since), strings.Compare(a.ID, b.ID))
	})
	return out
}

func rank(i Item) Ranked {
	r := Ranked{Item: i}
	rate, longer := typical(i.Severity)
	perMinute, lasts := "", ""
	if i.CostKnown && i.PerMinute >= 0 && !math.IsNaN(i.PerMinute) && !math.IsInf(i.PerMinute, 0) {
		rate = i.PerMinute
		perMinute = Money(rate) + " a minute"
	} else {
		r.Assumed = true
		perMinute = Money(rate) + " a minute (assumed for " + string(i.Severity) + ")"
	}
	if i.Longer.Known {
		longer = i.Longer.Likely
		lasts = "likely " + Span(longer) + " more"
	} else {
		r.Assumed = true
		lasts = Span(longer) + " more (assumed)"
	}
	if i.Drill {
		r.Assumed = false
		r.Reason = "A drill: it costs nothing, and comes after what is real."
		return r
	}
	// What the words show is multiplied, so that the sum on the page is right.
	r.Cost = rate * float64(max(longer, minute)) / float64(minute)
	r.Reason = fmt.Sprintf("%s × %s = %s", perMinute, lasts, Money(r.Cost))
	return r
}

// Money writes USD as people say it, with two digits that count: "$2,000", "$1.2 million".
func Money(v float64) string {
	if v < 0 || math.IsNaN(v) {
		v = 0
	}
	round := func(v float64, digits int) float64 {
		if v == 0 {
			return 0
		}
		unit := math.Pow(10, math.Floor(math.Log10(v))-float64(digits-1))
		return math.Round(v/unit) * unit
	}
	switch v = round(v, 2); {
	case v >= 1e15:
		return "over $1,000,000 billion"
	case v >= 1e9:
		return "$" + trim(v/1e9) + " billion"
	case v >= 1e6:
		return "$" + trim(v/1e6) + " million"
	case v < 10 && v != math.Trunc(v):
		return "$" + fmt.Sprintf("%.2f", v)
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return "$" + s
}

func trim(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}
