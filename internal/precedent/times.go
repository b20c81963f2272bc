package precedent

import (
	"cmp"
	"slices"
	"strings"
)

// Spread is how long something took, in ms: a tenth took less than Low, half less than Median, a tenth more than High.
type Spread struct {
	Of                int
	Low, Median, High int64
}

// TimesOf is how long the incidents of one category took, each counted from when impact began, or from the declaration when that is unknown.
type TimesOf struct {
	Category    string // "" = those that nobody gave one
	Incidents   int
	Acknowledge Spread
	Mitigate    Spread
	Recover     Spread
}

// Times sums up closed cases by category, the most common first.
func Times(cases []Case) []TimesOf {
	type spans struct{ ack, mitigate, over []int64 }
	of := map[string]*spans{}
	for _, c := range cases {
		if !c.Closed() {
			continue
		}
		s := of[c.Category]
		if s == nil {
			s = &spans{}
			of[c.Category] = s
		}
		from := c.DeclaredAt
		if c.ImpactAt > 0 && c.ImpactAt < from {
			from = c.ImpactAt
		}
		add := func(list *[]int64, at int64) {
			if at >= from {
				*list = append(*list, at-from)
			}
		}
		add(&s.ack, c.AcknowledgedAt)
		add(&s.mitigate, c.MitigatedAt)
		add(&s.over, c.ResolvedAt)
	}
	var out []TimesOf
	for k, s := range of {
		out = append(out, TimesOf{Category: k, Incidents: len(s.over), Acknowledge: spread(s.ack), Mitigate: spread(s.mitigate), Recover: spread(s.over)})
	}
	slices.SortFunc(out, func(a, b TimesOf) int {
		return cmp.Or(cmp.Compare(b.Incidents, a.Incidents), strings.Compare(a.Category, b.Category))
	})
	return out
}

func spread(list []int64) Spread {
	if len(list) == 0 {
		return Spread{}
	}
	slices.Sort(list)
	at := func(p float64) int64 { return list[min(len(list)-1, int(p*float64(len(list))))] }
	return Spread{Of: len(list), Low: at(.1), Median: at(.5), High: at(.9)}
}
