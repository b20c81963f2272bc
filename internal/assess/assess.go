// Package assess owns the follower that scores open incidents again whenever something about them, or a figure behind them, has changed, and records
// the score when it differs. It never changes a severity, and never lets a drill's figures touch a real incident or the other way round.
package assess

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/tocsin-ops/tocsin/internal/forecast"
	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/reactor"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store"
)

// Actor is who scores.
const Actor = "system:impact"

const (
	every    = 15 * time.Second       // between evaluations of the queries
	gather   = 200 * time.Millisecond // what comes within it is scored at once
	perhaps  = 2 * time.Second        // pause after a fault, doubling to every
	askMost  = 10 * time.Second       // for all queries of one evaluation
	seldom   = time.Minute            // between two recorded scores of one incident, unless a severity changes
	election = "assess"
	keptMost = 20_000 // signals whose numbers are kept; beyond, all are read anew
)

// Query is one figure that the configuration names.
type Query struct {
	Name    string // see impact.Reading; a fact's name for facts
	Service string
	Kind    string
	Expr    string
}

// Room is where scores are recorded.
type Room interface {
	Do(ctx context.Context, number int64, c incident.Command, m incident.Meta) error
}

// Options of a Service.
type Options struct {
	Model   impact.Model
	Queries []Query
	World   *projection.World
	Room    Room
	// Ask evaluates PromQL now over the series of drills, or over all others: one value a series.
	Ask func(ctx context.Context, expr string, drill bool) ([]float64, error)
	// Graph is what depends on what; Past is what closed incidents taught of how faults spread. Both may be nil.
	Graph []forecast.Edge
	Past  func() []forecast.Past
	// Elector lets one replica score; nil: there is no other.
	Elector store.Elector
	Clock   func() time.Time
	Logger  *slog.Logger
}

// Service scores. Its zero value is not usable; see New.
type Service struct {
	o       Options
	numbers map[string]map[string]float64 // of signals' evidence, by id
	scored  map[int64]int64               // incident -> its position when it was last looked at
	open    map[int64]bool                // those that were open when last looked at
	reads   map[bool][]impact.Reading     // by drill
	failed  map[string]bool               // queries that failed last time
}

// New returns a Service; Run starts it.
func New(o Options) *Service {
	return &Service{o: o, numbers: map[string]map[string]float64{}, scored: map[int64]int64{}, open: map[int64]bool{}, reads: map[bool][]impact.Reading{}, failed: map[string]bool{}}
}

// Run scores until ctx ends; then it returns nil. Of several replicas one does. What fails is tried again: what is scored follows from the log and
// the figures of the moment, so nothing is lost with a fault.
func (s *Service) Run(ctx context.Context) error {
	wait := perhaps
	for ctx.Err() == nil {
		var err error
		if s.o.Elector == nil {
			err = s.lead(ctx)
		} else if err = s.o.Elector.Lead(ctx, election, s.lead); errors.Is(err, errors.ErrUnsupported) {
			s.o.Elector = nil
			continue
		}
		if ctx.Err() != nil {
			break
		}
		s.o.Logger.WarnContext(ctx, "scoring starts over", "err", err, "in", wait)
		rest(ctx, wait)
		wait = min(2*wait, every)
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// lead scores until ctx ends. It begins with everything that is open.
func (s *Service) lead(ctx context.Context) error {
	clear(s.scored)
	next := time.Time{}
	for ctx.Err() == nil {
		due := !s.o.Clock().Before(next)
		if due {
			next = s.o.Clock().Add(every)
			s.measure(ctx)
		}
		at := s.o.World.Position()
		if err := s.pass(ctx, due); err != nil {
			return err
		}
		until, cancel := context.WithTimeout(ctx, max(next.Sub(s.o.Clock()), gather))
		err := s.o.World.WaitFor(until, at+1)
		cancel()
		if err == nil {
			rest(ctx, gather)
		}
	}
	return nil
}

// pass scores what changed since it was last scored, or all when all is due.
func (s *Service) pass(ctx context.Context, all bool) error {
	var list []incident.State
	evidence := map[string]signal.Signal{}
	if len(s.numbers) > keptMost {
		clear(s.numbers)
	}
	s.o.World.Look(func(v projection.View) {
		work := map[int64]bool{}
		for _, st := range v.Open() {
			if at, ok := s.scored[st.Number]; all || !ok || at != st.Position {
				list = append(list, st)
				work[st.Number] = true
			}
		}
		if len(work) == 0 {
			return
		}
		for g := range v.Signals() {
			if work[g.Incident] && len(g.Evidence) > 0 && s.numbers[g.ID] == nil {
				evidence[g.ID] = g
			}
		}
	})
	for id, g := range evidence {
		n := impact.Numbers(g.Evidence)
		if n == nil {
			n = map[string]float64{}
		}
		s.numbers[id] = n
	}
	if !all && slices.ContainsFunc(list, func(st incident.State) bool { return !s.open[st.Number] }) {
		s.measure(ctx) // the first score of an incident does not wait for its figures
	}
	open := make(map[int64]bool, len(s.open))
	for _, st := range list {
		open[st.Number] = true
		if err := s.score(ctx, st, false); err != nil {
			return err
		}
	}
	return s.close(ctx, open, all)
}

// close says of what is not open any more that a minute costs nothing now. When the leader dies between the end of an incident and this, the page
// counts up to the end by itself.
func (s *Service) close(ctx context.Context, seen map[int64]bool, all bool) error {
	if !all { // only a full pass has seen all that is open
		for n := range seen {
			s.open[n] = true
		}
		return nil
	}
	for n := range s.open {
		if seen[n] {
			continue
		}
		delete(s.scored, n)
		var st incident.State
		if err := s.o.World.LookInto(ctx, n, func(_ projection.View, found incident.State) { st = found }); err != nil {
			return err
		}
		if st.MergedInto == 0 && !incident.Open(st) {
			if err := s.score(ctx, st, true); err != nil {
				return err
			}
		}
	}
	s.open = seen
	return nil
}

// score scores one incident, and records it when it differs so much that it matters: at most once a minute, at once when a severity changes.
func (s *Service) score(ctx context.Context, st incident.State, closed bool) error {
	now := max(s.o.Clock().UnixMilli(), st.LastAt)
	a := impact.Assess(s.o.Model, s.input(st, now, closed))
	s.scored[st.Number] = st.Position
	before := st.Impact
	switch {
	case before.At == 0 && !a.Known && !a.Loss.Known:
		return nil // nothing is known, and that was never different
	case before.At != 0 && !impact.Material(before, a):
		return nil
	case before.At != 0 && !closed && now-before.At < seldom.Milliseconds() && !impact.Urgent(before, a):
		delete(s.scored, st.Number) // again with the next pass
		return nil
	}
	// One assessment has one successor, whoever makes it: a second leader, or the same after a crash, gets the answer of the first.
	id := reactor.CommandID(incident.Score{}.Name(), key(st.Number, before.At))
	err := s.o.Room.Do(ctx, st.Number, incident.Score{Assessment: a}, incident.Meta{ID: id, At: now, Actor: Actor, Drill: st.Drill})
	var refusal *incident.Refusal
	if errors.As(err, &refusal) {
		s.o.Logger.WarnContext(ctx, "an incident took no score", "incident", st.Number, "code", refusal.Code, "sentence", refusal.Sentence)
		return nil
	}
	return err
}
