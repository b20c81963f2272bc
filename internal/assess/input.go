package assess

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/forecast"
	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
)

func key(number, before int64) string { return fmt.Sprintf("incident %d after %d", number, before) }

// measure evaluates every query once for real incidents and once for drills, as far as there are any open. One that fails says so once, and what
// it would tell is not known then.
func (s *Service) measure(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askMost)
	defer cancel()
	now := s.o.Clock().UnixMilli()
	for _, drill := range []bool{false, true} {
		s.reads[drill] = nil
		if !s.any(drill) {
			continue
		}
		for _, q := range s.o.Queries {
			values, err := s.o.Ask(ctx, q.Expr, drill)
			if err != nil {
				if ctx.Err() == nil && !s.failed[q.Expr] {
					s.o.Logger.WarnContext(ctx, "a query of the impact cannot be answered; what it tells is not known", "query", q.Expr, "for", cmp.Or(q.Name, q.Service, q.Kind), "err", err)
				}
				s.failed[q.Expr] = true
				continue
			}
			delete(s.failed, q.Expr)
			if v, ok := together(q.Name, values); ok {
				s.reads[drill] = append(s.reads[drill], impact.Reading{Name: q.Name, Service: q.Service, Kind: q.Kind, Value: v, Query: q.Expr, At: now})
			}
		}
	}
}

// together is one value of several series: their sum, of shares the largest.
func together(name string, values []float64) (sum float64, ok bool) {
	k, _ := impact.FactNamed(name)
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if k.Kind == impact.KindShare || k.Kind == impact.KindMinutes {
			sum = max(sum, v)
		} else {
			sum += v
		}
		ok = true
	}
	if k.Kind == impact.KindShare {
		sum = min(sum, 100)
	}
	return sum, ok
}

// input is all that is known of an incident.
func (s *Service) input(st incident.State, now int64, closed bool) impact.Input {
	in := impact.Input{
		At: now, Began: cmp.Or(st.ImpactBeganAt, st.DetectedAt, st.DeclaredAt), Closed: closed, Components: st.Components, Chains: st.Chains,
		Facts: st.Facts, Suffering: map[string]int64{},
	}
	if st.Impact.At != 0 {
		before := st.Impact
		in.Before = &before
	}
	mine := map[string]bool{}
	for _, n := range append(slices.Clone(st.Components), st.Chains...) {
		mine[strings.ToLower(n)] = true
	}
	for _, g := range st.Signals {
		x := impact.Signal{ID: g.ID, Kind: g.Kind, Subject: g.Subject, Title: g.Title, Severity: string(g.Severity), Chain: g.Chain, Component: g.Component,
			Open: g.State != incident.SignalCleared, OpenedAt: g.OpenedAt, At: g.LastAt, Numbers: s.numbers[g.ID]}
		in.Signals = append(in.Signals, x)
		for _, n := range []string{g.Component, g.Chain} {
			if n == "" {
				continue
			}
			mine[strings.ToLower(n)] = true
			if at, ok := in.Suffering[n]; x.Open && g.Severity.Rank() < 5 && (!ok || g.OpenedAt < at) {
				in.Suffering[n] = g.OpenedAt
			}
		}
	}
	for _, r := range s.reads[st.Drill] {
		if r.Service != "" && r.Name != impact.FactLossPerMinute {
			if !mine[strings.ToLower(r.Service)] {
				continue
			}
			r.Service = "" // a fact of this incident
		}
		in.Readings = append(in.Readings, r)
	}
	if len(s.o.Graph) > 0 && len(in.Suffering) > 0 {
		var past []forecast.Past
		if s.o.Past != nil {
			past = s.o.Past()
		}
		in.Reach = forecast.Spread(s.o.Graph, past, in.Suffering, now)
	}
	return in
}

// any says whether an incident is open that is a drill, or is none.
func (s *Service) any(drill bool) (found bool) {
	s.o.World.Look(func(v projection.View) {
		found = slices.ContainsFunc(v.Open(), func(st incident.State) bool { return st.Drill == drill })
	})
	return found
}
