package app

import (
	"context"
	"fmt"

	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/intake"
)

// fixedSources makes the sources of the configuration file known.
func (a *App) fixedSources(ctx context.Context, sources *intake.Sources) error {
	for _, s := range a.opt.Config.Sources {
		o := intake.Order{Name: s.Name, Kind: s.Kind, Pace: heartbeat.Pace{Every: configPace}}
		if _, err := sources.Ensure(ctx, "system:config", o, s.Key.Reveal()); err != nil {
			return fmt.Errorf("source %s of the configuration: %w", s.Name, err)
		}
	}
	return nil
}
