package upkeep

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/grouping"
	"github.com/tocsin-ops/tocsin/internal/maintenance"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Actor is who releases signals when their window ends.
const Actor = "system:maintenance"

// every is how often quiet signals are looked at; a change of the windows is looked at once.
const every = time.Second

// Run takes over what other replicas set, and releases signals whose window or snooze is over, until ctx ends. Of several
// replicas the leader releases. What fails is tried again.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.follow(ctx) })
	g.Go(func() error {
		if s.o.Lead == nil {
			return s.watch(ctx)
		}
		return s.o.Lead(ctx, s.watch)
	})
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (s *Service) follow(ctx context.Context) error {
	from := s.o.Log.Size()
	if err := s.Refresh(ctx); err != nil {
		return err
	}
	for list, err := range s.o.Log.Follow(ctx, from) {
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(e eventlog.Event) bool { return e.Stream == maintenance.Stream || e.Stream == grouping.Stream }) {
			if err := s.Refresh(ctx); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (s *Service) watch(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		s.Release(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-s.nudge:
		}
	}
}

// Release looks at every quiet signal once: one whose mark is over is released, one that another window covers gets that mark.
func (s *Service) Release(ctx context.Context) {
	now := s.o.Clock().UnixMilli()
	var quiet []signal.Signal
	s.o.Open(func(g signal.Signal) {
		if g.Quiet != nil && g.IsOpen() {
			quiet = append(quiet, g)
		}
	})
	for _, g := range quiet {
		q, reason := s.due(g, now)
		if q != nil && *q == *g.Quiet || ctx.Err() != nil {
			continue
		}
		if err := s.o.Direct(ctx, g, Actor, q, reason); err != nil && !errors.Is(err, signal.ErrNotOpen) && ctx.Err() == nil {
			s.o.Logger.WarnContext(ctx, "a signal was not released and is tried again", "signal", g.ID, "err", err)
		}
	}
}

// due is the mark that a quiet signal has at now.
func (s *Service) due(g signal.Signal, now int64) (q *signal.Quiet, reason string) {
	if g.Quiet.By == signal.QuietSnooze && (g.Quiet.Until == 0 || now < g.Quiet.Until) {
		return g.Quiet, ""
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if q := s.windows.Quiet(g, now, Zone); q != nil {
		return q, ""
	}
	if g.Quiet.By == signal.QuietSnooze {
		return nil, "The snooze is over."
	}
	return nil, "The maintenance “" + g.Quiet.Name + "” is over, and the signal is still open."
}
