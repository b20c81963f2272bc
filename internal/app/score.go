package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ops/tocsin/internal/assess"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/forecast"
	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/store"
)

// newScoring makes what scores open incidents; it runs with the App.
func newScoring(ctx context.Context, a *App) (*assess.Service, error) {
	c := a.opt.Config.Impact
	queries := impactQueries(c)
	for _, q := range queries {
		if _, err := a.tsdb.Query(ctx, q.Expr, a.opt.Clock()); errors.Is(err, metrics.ErrQuery) {
			return nil, fmt.Errorf("impact: %w; mend the query in the configuration (it is PromQL)", err)
		}
	}
	var elector store.Elector
	if a.watched != nil {
		elector = a.watched
	}
	return assess.New(assess.Options{
		Model: c.Model(), Queries: queries, World: a.world, Room: correlatorRoom{a.rooms}, Ask: a.askImpact, Graph: a.detect.file.Graph(), Past: a.detect.lessons,
		Elector: elector, Clock: a.opt.Clock, Logger: a.component("impact"),
	}), nil
}

// impactQueries are all the queries that the configuration names.
func impactQueries(c config.Impact) (out []assess.Query) {
	add := func(q assess.Query) {
		if q.Expr != "" {
			out = append(out, q)
		}
	}
	add(assess.Query{Name: impact.ReadUsersTotal, Expr: c.UsersTotalQuery})
	add(assess.Query{Name: impact.ReadHeld, Expr: c.HeldQuery})
	for _, s := range c.Services {
		add(assess.Query{Name: impact.FactLossPerMinute, Service: s.Name, Expr: s.LossPerMinute.Query})
	}
	for _, k := range c.Losses {
		add(assess.Query{Name: impact.FactLossPerMinute, Kind: k.Kind, Expr: k.LossPerMinute.Query})
	}
	for _, m := range c.Metrics {
		add(assess.Query{Name: m.Fact, Service: m.Service, Expr: m.Query})
	}
	return out
}

// askImpact evaluates a query over the series of drills, or over all others. A series that names no chain is of reality; in a demo all are of the drill.
func (a *App) askImpact(ctx context.Context, expr string, drill bool) ([]float64, error) {
	r, err := a.tsdb.Query(ctx, expr, a.opt.Clock())
	if err != nil {
		return nil, err
	}
	var out []float64
	for _, s := range r.Series {
		if n := len(s.Values); n > 0 && (a.opt.Demo || a.detect.isReal(s.Labels) != drill) {
			out = append(out, s.Values[n-1])
		}
	}
	return out, nil
}

// lessons are what closed incidents taught of how faults spread.
func (d *detectors) lessons() []forecast.Past {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.taught
}
