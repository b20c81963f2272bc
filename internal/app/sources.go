package app

import (
	"context"
	"fmt"

	"github.com/tocsin-ops/tocsin/internal/exercise"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/web"

	"github.com/tocsin-ops/tocsin/internal/auth"
)

// fixedSources makes the sources of the configuration file known.
func (a *App) fixedSources(ctx context.Context, sources *intake.Sources) error {
	for _, s := range a.opt.Config.Sources {
		if _, err := sources.Ensure(ctx, "system:config", s.Name, s.Kind, s.Key.Reveal()); err != nil {
			return fmt.Errorf("source %s of the configuration: %w", s.Name, err)
		}
	}
	return nil
}

// drills shows the player to the pages.
type drills struct{ *exercise.Player }

// Scenarios implements web.Drills.
func (d drills) Scenarios() []web.DrillScenario {
	var out []web.DrillScenario
	for _, s := range d.Player.Scenarios() {
		out = append(out, web.DrillScenario{Key: s.Key, Name: s.Name, Text: s.Text, Figures: s.Figures, Length: s.Length})
	}
	return out
}

// Running implements web.Drills.
func (d drills) Running() *web.DrillRun {
	r := d.Player.Running()
	if r == nil {
		return nil
	}
	return &web.DrillRun{Key: r.Key, Name: r.Name, Since: r.Since, Speed: r.Speed, Done: r.Done}
}

// Start implements web.Drills.
func (d drills) Start(ctx context.Context, by auth.Actor, key string, speed float64) error {
	return d.Player.Start(ctx, key, speed, by.String())
}

// Stop implements web.Drills.
func (d drills) Stop(ctx context.Context, by auth.Actor) error {
	return d.Player.Stop(ctx, by.String())
}
