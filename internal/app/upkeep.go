package app

import (
	"context"

	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/pulse"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/upkeep"
)

// configPace is what a heartbeat of the configuration promises until somebody
// sets another pace, in milliseconds.
const configPace = 60_000

// newUpkeep lets what people set about signals act on the desk, and beats be heard.
func (a *App) newUpkeep(ctx context.Context, desk *intake.Desk, gate *intake.Gate) error {
	a.upkeep = upkeep.New(upkeep.Options{
		Log: a.log, Clock: a.opt.Clock, Logger: a.component("maintenance"), Direct: desk.Direct, Lead: a.leading("maintenance"),
		Open: func(see func(signal.Signal)) {
			a.world.Look(func(v projection.View) {
				for g := range v.Signals() {
					see(g)
				}
			})
		},
	})
	if err := a.upkeep.Refresh(ctx); err != nil {
		return err
	}
	desk.StampWith(a.upkeep.Stamp)
	a.pulse = pulse.New(pulse.Options{
		DB: a.db, Clock: a.opt.Clock, Logger: a.component("heartbeats"), Sources: a.sources.Known, Submit: desk.Submit, Known: desk.Known,
		Deaf: func() bool { return a.health().ReadOnly }, Lead: a.leading("heartbeats"),
	})
	gate.HearWith(func(ctx context.Context, src intake.Source, b heartbeat.Beat) error { return a.pulse.Beat(ctx, src, b) })
	return nil
}

// leading runs something while this replica leads it; nil when there is no other.
func (a *App) leading(what string) func(context.Context, func(context.Context) error) error {
	if a.watched == nil {
		return nil
	}
	return func(ctx context.Context, f func(context.Context) error) error { return a.watched.Lead(ctx, what, f) }
}
