package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// Stopping takes ten seconds at most: HTTP may use six, the last snapshot and
// leaving the store have the rest.
const finishWithin = 6 * time.Second

// Run answers until ctx ends or a room fails, then stops in order: live sockets
// are told to come back, HTTP finishes what it has begun (six seconds at most),
// reactors and collectors end, then what follows the log, then the store. One of
// several replicas lets go of reactors and collectors first, so that another
// takes them over at once. An outage of a shared store ends nothing.
func (a *App) Run(ctx context.Context) error {
	defer a.close()
	// Three circles, ended from the outside in: who writes, who delivers, who follows the log.
	outer, endOuter := context.WithCancel(context.WithoutCancel(ctx))
	inner, endInner := context.WithCancel(context.WithoutCancel(ctx))
	defer endOuter()
	defer endInner()
	g, failed := errgroup.WithContext(ctx)
	run := func(ctx context.Context, name string, f func(context.Context) error) {
		g.Go(func() error {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	run(inner, "store", a.watchStore)
	run(inner, "log", a.endure("log", a.log.Run))
	if err := a.endure("projection", a.keep.catchUp)(ctx); err != nil {
		endOuter()
		endInner()
		return errors.Join(err, g.Wait())
	}
	run(inner, "projection", a.endure("projection", a.world.Run))
	run(inner, "snapshots", a.keep.run)
	run(inner, "people", a.endure("people", a.auth.Run))
	run(inner, "sources", a.endure("sources", a.followSources))
	run(inner, "replicas", a.peers.Run)
	run(inner, "hub", a.hub.Run)
	run(inner, "live regions", a.web.Run)
	run(outer, "correlator", a.react.Run)
	run(outer, "telemetry", a.watch.Run)
	run(outer, "collectors", a.chain.run)
	run(outer, "chains", a.followChains)
	run(outer, "drills", a.play.Run)
	run(outer, "the stage", a.stage.run)
	g.Go(func() error {
		if err := a.serve(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve HTTP: %w", err)
		}
		return nil
	})
	a.ready.Store(true)
	g.Go(func() error {
		<-failed.Done()
		a.ready.Store(false)
		if a.peers.Shared() {
			endOuter()
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
		defer cancel()
		_ = a.hub.Stop(stop) // 1012 to every page first: they are connections that Shutdown does not see
		if err := a.http.Shutdown(stop); err != nil {
			_ = a.http.Close()
		}
		endOuter()
		endInner()
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
