package impact

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// loss is what a minute costs: what a person stated or a query of the whole measures, the worse of both; or the sum over the services that are hit
// and the kinds of signals that are open, each measured where a query says so, when that is more. What is assumed counts where nobody stated it.
func (k known) loss() Loss {
	l := Loss{}
	if v, from, ok := k.number(FactLossPerMinute); ok {
		l = Loss{Known: true, PerMinute: v, From: from}
	}
	var parts []LossPart
	low, high, assumed := 0.0, 0.0, []string(nil)
	add := func(name, setting string, of func(Reading) bool, per, lo, hi float64, while string) {
		for _, r := range k.reads {
			if r.Name == FactLossPerMinute && of(r) {
				v := max(r.Value, 0)
				parts = append(parts, LossPart{name, v, From{Kind: FromMetric, Name: r.Query, At: r.At}})
				low, high = low+v, high+v
				return
			}
		}
		if per > 0 && !l.Known { // what somebody stated goes before what is assumed
			parts = append(parts, LossPart{name, per, From{Kind: FromAssumed, Name: setting, At: k.At}})
			low, high = low+cmp.Or(lo, per), high+cmp.Or(hi, per)
			assumed = append(assumed, fmt.Sprintf("%s a minute while %s", USD(per), while))
		}
	}
	for _, x := range k.hit() {
		if s, ok := k.m.service(x.name); ok {
			add(s.Name, "impact.services."+s.Name, func(r Reading) bool { return strings.EqualFold(r.Service, s.Name) && r.Service != "" }, s.PerMinute, s.Low, s.High, s.Name+" is affected")
		}
	}
	k.eachKind(func(s Signal) {
		for _, x := range k.m.Losses {
			if x.Kind == s.Kind {
				add(s.Kind, "impact.losses."+s.Kind, func(r Reading) bool { return r.Kind == s.Kind }, x.PerMinute, x.Low, x.High, "a signal "+s.Kind+" is open")
				return
			}
		}
	})
	sum := 0.0
	for _, p := range parts {
		sum += p.PerMinute
	}
	if len(parts) > 0 && (!l.Known || sum > l.PerMinute) {
		slices.SortStableFunc(parts, func(a, b LossPart) int {
			return cmp.Or(cmp.Compare(b.PerMinute, a.PerMinute), strings.Compare(a.Service, b.Service))
		})
		l = Loss{Known: true, PerMinute: sum, From: parts[0].From, Parts: parts[:min(len(parts), MaxBlast)]}
		if low < high {
			l.Low, l.High = low, high
		}
		if len(assumed) > 0 {
			l.Assumption = shorten("Assumed: "+strings.Join(assumed, "; ")+", from the configuration.", MaxSentence)
			for _, p := range parts {
				if p.From.Kind == FromAssumed {
					l.From = p.From // as sure as the least sure part
					break
				}
			}
		}
	}
	l.Sum = k.lost(l)
	if k.Closed {
		l.PerMinute, l.Low, l.High, l.Parts, l.Assumption = 0, 0, 0, nil, ""
	}
	return l
}

// lost is what was lost since the impact began: what the assessment before said, and its rate since then. Where there was none before, the rate of
// now is taken for the whole time.
func (k known) lost(l Loss) float64 {
	b := k.Before
	if b != nil && b.Loss.Known {
		return b.Loss.Sum + b.Loss.PerMinute*elapsed(b.At, k.At)
	}
	if !l.Known || k.Began <= 0 {
		return 0
	}
	return l.PerMinute * elapsed(k.Began, k.At)
}

// LostBy is what was lost until a time after the assessment, in dollars, at its rate; ended is when the incident was resolved, 0 while it is open.
func (a Assessment) LostBy(at, ended int64) float64 {
	if ended > 0 {
		at = min(at, ended)
	}
	return a.Loss.Sum + a.Loss.PerMinute*elapsed(a.At, at)
}

func elapsed(from, to int64) float64 { return float64(max(to-from, 0)) / 60_000 }
