package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Stopping takes ten seconds at most: HTTP may use six, each circle one, the last
// snapshot and leaving the store have the rest.
const (
	finishWithin = 6 * time.Second
	circleWithin = time.Second
)

// circle is what ends together.
type circle struct {
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup
}

func newCircle(ctx context.Context) *circle {
	c := &circle{}
	c.ctx, c.end = context.WithCancel(context.WithoutCancel(ctx))
	return c
}

// wait returns when all of the circle has ended, or after most.
func (c *circle) wait(most time.Duration) {
	ended := make(chan struct{})
	go func() {
		c.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(most):
	}
}

// Run answers until ctx ends or a room fails, then stops in order: live sockets
// are told to come back, HTTP finishes what it has begun (six seconds at most),
// reactors and collectors end, then what follows the log, then the store. One of
// several replicas lets go of reactors and collectors first, so that another
// takes them over at once. An outage of a shared store ends nothing.
func (a *App) Run(ctx context.Context) error {
	defer a.close()
	// Three circles, ended from the outside in, each when the one around it has ended: who sees, who judges what they saw, who follows the log.
	outer, middle, inner := newCircle(ctx), newCircle(ctx), newCircle(ctx)
	defer inner.end()
	defer middle.end()
	defer outer.end()
	g, failed := errgroup.WithContext(ctx)
	run := func(in *circle, name string, f func(context.Context) error) {
		in.running.Add(1)
		g.Go(func() error {
			defer in.running.Done()
			if err := f(in.ctx); err != nil && in.ctx.Err() == nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	run(inner, "store", a.watchStore)
	run(inner, "log", a.endure("log", a.log.Run))
	if err := a.endure("projection", a.keep.catchUp)(ctx); err != nil {
		inner.end()
		return errors.Join(err, g.Wait())
	}
	run(inner, "projection", a.endure("projection", a.world.Run))
	run(inner, "snapshots", a.keep.run)
	run(inner, "people", a.endure("people", a.auth.Run))
	run(inner, "sources", a.endure("sources", a.followSources))
	run(inner, "replicas", a.peers.Run)
	run(inner, "findings", a.endure("findings", func(ctx context.Context) error { return a.judged.Run(ctx, a.log.Follow) }))
	run(inner, "past incidents", a.endure("past incidents", func(ctx context.Context) error { return a.past.Run(ctx, a.log.Follow) }))
	run(inner, "on-call", a.endure("on-call", func(ctx context.Context) error { return a.paging.roster.Run(ctx, a.log.Follow) }))
	reading, enough := context.WithTimeout(ctx, pastWithin)
	a.past.Awake(reading)
	enough()
	run(inner, "hub", a.hub.Run)
	run(inner, "live regions", a.web.Run)
	if a.peers.Shared() {
		run(inner, "telling", a.telling.run)
	}
	run(middle, "correlator", a.react.Run)
	run(middle, "impact", a.scoring.Run)
	run(middle, "pager", a.paging.run)
	run(middle, "courier", a.paging.office.Run)
	run(outer, "watchdog", a.paging.dog.Run)
	run(middle, "maintenance", a.endure("maintenance", a.upkeep.Run))
	run(outer, "heartbeats", a.endure("heartbeats", a.pulse.Run))
	run(outer, "telemetry", a.watch.Run)
	run(middle, "detection", a.detect.run.Run)
	run(middle, "wallets", a.detect.wallets.run)
	run(outer, "forecasts", a.detect.ahead.Run)
	run(outer, "this machine", a.detect.runSelf)
	run(outer, "learning", a.detect.runLearning)
	run(outer, "collectors", a.chain.run)
	run(outer, "chains", a.followChains)
	run(outer, "figures", a.figures.run)
	run(outer, "followed addresses", a.runFollowed)
	run(outer, "open deposits", a.owed.run)
	run(outer, "drills", a.play.Run)
	run(outer, "the stage", a.stage.run)
	g.Go(func() error {
		if err := a.serve(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve HTTP: %w", err)
		}
		return nil
	})
	for _, ln := range a.opt.Also {
		g.Go(func() error {
			if err := a.http.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve HTTP on %s: %w", ln.Addr(), err)
			}
			return nil
		})
	}
	a.ready.Store(true)
	g.Go(func() error {
		<-failed.Done()
		a.ready.Store(false)
		if a.peers.Shared() {
			outer.end()
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
		defer cancel()
		_ = a.hub.Stop(stop) // 1012 to every page first: they are connections that Shutdown does not see
		if err := a.http.Shutdown(stop); err != nil {
			_ = a.http.Close()
		}
		for _, c := range []*circle{outer, middle, inner} {
			c.end()
			c.wait(circleWithin)
		}
		return nil
	})
	err := g.Wait()
	a.keep.stop()
	return err
}

func (a *App) close() {
	if a.ln != nil {
		_ = a.ln.Close()
	}
	for _, ln := range a.opt.Also {
		_ = ln.Close()
	}
	if a.tsdb != nil {
		if err := a.tsdb.Close(); err != nil {
			a.opt.Logger.Error("close the metrics", "err", err)
		}
		a.tsdb = nil
	}
	if a.blobs != nil {
		if err := a.blobs.Close(); err != nil {
			a.opt.Logger.Error("close the blobs", "err", err)
		}
		a.blobs = nil
	}
	if a.db != nil {
		if err := a.db.Close(); err != nil {
			a.opt.Logger.Error("close the store", "err", err)
		}
		a.db = nil
	}
}

// WaitReady returns when the App answers.
func (a *App) WaitReady(ctx context.Context, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !a.ready.Load() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the room to answer: %w", ctx.Err())
		}
	}
	return nil
}
