package impact

import (
	"cmp"
	"slices"
	"strings"
)

// blast is where it is felt: the services of the incident now, and those that the graph says will be next because of them. What other incidents
// make suffer is not in it.
func (k known) blast() []Affected {
	var out []Affected
	for _, x := range k.hit() {
		name := x.name
		since, why := k.Began, "The incident names it."
		first := int64(0)
		for n, at := range k.Suffering {
			if strings.EqualFold(n, name) && at > 0 && (first == 0 || at < first) {
				first = at
			}
		}
		since = cmp.Or(first, since)
		for _, s := range k.sigs {
			if s.Open && (strings.EqualFold(s.Component, name) || strings.EqualFold(s.Chain, name)) {
				why = s.title() + "."
				break
			}
		}
		out = append(out, Affected{Service: name, Now: true, Likelihood: 1, At: since, Reason: shorten(why, MaxSentence)})
	}
	now := len(out)
	for _, r := range k.Reach {
		if len(r.Path) == 0 || !slices.ContainsFunc(out[:now], func(a Affected) bool { return strings.EqualFold(a.Service, r.Path[0]) }) {
			continue
		}
		if slices.ContainsFunc(out[:now], func(a Affected) bool { return strings.EqualFold(a.Service, r.Service) }) {
			continue
		}
		out = append(out, Affected{Service: r.Service, Likelihood: r.Likelihood, At: r.Median, Reason: shorten(r.Reason, MaxSentence)})
	}
	return out[:min(len(out), MaxBlast)]
}
