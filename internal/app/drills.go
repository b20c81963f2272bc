package app

import (
	"context"
	"errors"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/exercise"
	"github.com/tocsin-ops/tocsin/internal/replica"
	"github.com/tocsin-ops/tocsin/web"
)

// drills shows the drills to the pages: the one played here, or the one that
// another replica plays. All replicas together play one at a time.
type drills struct {
	*exercise.Player
	peers *replica.Peers
	stage *stage
}

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
	if r := d.Player.Running(); r != nil {
		return &web.DrillRun{Key: r.Key, Name: r.Name, Since: r.Since, Speed: r.Speed, Done: r.Done, Out: r.Out}
	}
	if r := d.peers.Drill(); r != nil {
		return &web.DrillRun{Key: r.Key, Name: r.Name, Since: r.Since, Speed: r.Speed, Done: r.Done, Out: r.Out}
	}
	return nil
}

// Start implements web.Drills.
func (d drills) Start(ctx context.Context, by auth.Actor, key string, speed float64, out bool) error {
	if r := d.peers.Drill(); r != nil && d.Player.Running() == nil {
		return errElsewhere(r)
	}
	return d.stage.enter(ctx, func() error { return d.Player.Start(ctx, key, speed, by.String(), out) })
}

// Stop implements web.Drills: wherever it is played.
func (d drills) Stop(ctx context.Context, by auth.Actor) error {
	r := d.peers.Drill()
	if r == nil || d.Player.Running() != nil {
		return d.Player.Stop(ctx, by.String())
	}
	err := d.peers.AskStop(ctx, *r, by.String())
	if errors.Is(err, replica.ErrNoAnswer) {
		return refuse("drill_elsewhere", "The drill is played by replica %s, which does not answer. Stop it there, or wait: it ends with its replica.", r.Replica)
	}
	return err
}

// playedHere is what the other replicas are told.
func playedHere(p *exercise.Player) *replica.Drill {
	r := p.Running()
	if r == nil {
		return nil
	}
	return &replica.Drill{Key: r.Key, Name: r.Name, Since: r.Since, Speed: r.Speed, Done: r.Done, Out: r.Out}
}

// stopDrill ends the drill that began at since, because another replica was asked to.
func (a *App) stopDrill(ctx context.Context, since int64, by string) {
	if r := a.play.Running(); r == nil || r.Since != since {
		return
	}
	if err := a.play.Stop(ctx, by); err != nil {
		a.opt.Logger.Warn("end the drill", "component", "drill", "err", err)
	}
}
