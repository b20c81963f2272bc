// Package upkeep owns what people have set about signals while the program runs: maintenance windows and grouping rules. It is
// the only way to change them, stamps them on what opens, and releases what stayed open when its window ends; it never places a
// signal itself.
package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/grouping"
	"github.com/tocsin-ops/tocsin/internal/maintenance"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

const (
	attempts = 4   // of a command whose stream moves meanwhile
	page     = 512 // events read at once
)

// Log is what the service needs of the event log.
type Log interface {
	Append(ctx context.Context, b eventlog.Batch) ([]eventlog.Event, error)
	ReadStream(ctx context.Context, stream string, fromSeq int64, limit int) ([]eventlog.Event, error)
	Follow(ctx context.Context, from int64) iter.Seq2[[]eventlog.Event, error]
	Size() int64
}

// Options of a Service.
type Options struct {
	Log    Log
	Clock  func() time.Time
	Logger *slog.Logger
	// Open yields the open signals as they are known; those that are quiet are looked at.
	Open func(see func(signal.Signal))
	// Direct marks or releases one open episode; signal.ErrNotOpen when it is not open.
	Direct func(ctx context.Context, g signal.Signal, actor string, q *signal.Quiet, reason string) error
	// Lead runs f while this replica leads; nil = this one is alone.
	Lead func(ctx context.Context, f func(context.Context) error) error
	// Moved is told that windows or rules changed; it must return at once. nil = nobody.
	Moved func()
}

// Service holds the windows and rules. Safe for concurrent use.
type Service struct {
	o Options

	turn chan struct{} // capacity 1: who holds it may fold and append

	mu      sync.RWMutex // guards what is below
	windows maintenance.State
	rules   grouping.State

	nudge chan struct{} // capacity 1: the windows changed, look again; full = it will
}

// New makes a service that has read nothing yet.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Moved == nil {
		o.Moved = func() {}
	}
	return &Service{o: o, turn: make(chan struct{}, 1), nudge: make(chan struct{}, 1)}
}

var zones struct {
	sync.Mutex
	known map[string]*time.Location // at most maxZones
}

const maxZones = 1000

// Zone gives the location of an IANA name, nil when there is none.
func Zone(name string) *time.Location {
	if name == "" || name == "Local" {
		return nil
	}
	zones.Lock()
	defer zones.Unlock()
	if l := zones.known[name]; l != nil {
		return l
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	if zones.known == nil || len(zones.known) >= maxZones {
		zones.known = map[string]*time.Location{}
	}
	zones.known[name] = l
	return l
}

// Refresh folds what the log has beyond what is known.
func (s *Service) Refresh(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	return s.refresh(ctx)
}

func (s *Service) lock(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the windows: %w", ctx.Err())
	}
}

func (s *Service) unlock() { <-s.turn }

func (s *Service) refresh(ctx context.Context) error {
	moved := false
	for _, stream := range []string{maintenance.Stream, grouping.Stream} {
		for {
			s.mu.RLock()
			seq := s.windows.Seq
			if stream == grouping.Stream {
				seq = s.rules.Seq
			}
			s.mu.RUnlock()
			events, err := s.o.Log.ReadStream(ctx, stream, seq+1, page)
			if err != nil {
				return fmt.Errorf("read %s from %d: %w", stream, seq+1, err)
			}
			moved = moved || len(events) > 0
			s.fold(stream, events)
			if len(events) < page {
				break
			}
		}
	}
	if moved {
		select {
		case s.nudge <- struct{}{}:
		default:
		}
		s.o.Moved()
	}
	return nil
}

func (s *Service) fold(stream string, events []eventlog.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		var err error
		if stream == maintenance.Stream {
			var b maintenance.Set
			var ok bool
			if b, ok, err = maintenance.Decode(e.Type, e.Data); ok {
				s.windows.Apply(maintenance.Event{ID: e.ID, At: e.At, Actor: e.Actor, Body: b})
			}
			s.windows.Seq = e.Seq
		} else {
			var b grouping.Set
			var ok bool
			if b, ok, err = grouping.Decode(e.Type, e.Data); ok {
				s.rules.Apply(grouping.Event{ID: e.ID, At: e.At, Actor: e.Actor, Body: b})
			}
			s.rules.Seq = e.Seq
		}
		if err != nil {
			s.o.Logger.Warn("an event cannot be read and is passed over", "stream", stream, "offset", e.Offset, "err", err)
		}
	}
}

// Look shows the windows and rules as they stand; see must be quick and keep nothing.
func (s *Service) Look(see func(*maintenance.State, *grouping.State)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	see(&s.windows, &s.rules)
}

// Stamp gives an observation its marks, as its signal would open at now. It answers from memory.
func (s *Service) Stamp(source string, o *signal.Observation, now int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := o.About(source)
	o.Quiet = s.windows.Quiet(g, now, Zone)
	o.Joint = s.rules.Joint(g)
}

// Do carries out a command of maintenance or of grouping: when it returns nil, its event is durable and folded. changed is
// false when it was so already: then nothing was appended. The error is a
// *maintenance.Refusal or *grouping.Refusal when a person can read why not. id names the command: the same id appends nothing again.
func (s *Service) Do(ctx context.Context, id, actor string, command any) (changed bool, err error) {
	if err := s.lock(ctx); err != nil {
		return false, err
	}
	defer s.unlock()
	for range attempts {
		if err := s.refresh(ctx); err != nil {
			return false, err
		}
		stream, typ, seq, body, err := s.decide(command)
		if err != nil || body == nil {
			return false, err
		}
		data, err := json.Marshal(body)
		if err != nil {
			return false, fmt.Errorf("encode %s: %w", typ, err)
		}
		_, err = s.o.Log.Append(ctx, eventlog.Batch{Stream: stream, Expect: seq, Drafts: []eventlog.Draft{
			{ID: EventID(id), At: s.o.Clock().UnixMilli(), Actor: actor, Type: typ, Version: 1, Data: data, Causation: id},
		}})
		if errors.Is(err, eventlog.ErrConflict) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("append %s: %w", typ, err)
		}
		return true, s.refresh(ctx)
	}
	return false, &maintenance.Refusal{Code: "busy", Sentence: "Others change the same at this very moment. Try again."}
}

// EventID is the id of the event that a command of Do made, if it made one.
func EventID(command string) string { return command + ".0" }

func (s *Service) decide(command any) (stream, typ string, seq int64, body any, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch command.(type) {
	case grouping.Add, grouping.Edit, grouping.Move, grouping.Remove, grouping.Except, grouping.Admit, grouping.Undo:
		b, err := grouping.Decide(&s.rules, command)
		if b != nil {
			body = b
		}
		return grouping.Stream, grouping.TypeSet, s.rules.Seq, body, err
	}
	b, err := maintenance.Decide(&s.windows, command, s.o.Clock().UnixMilli(), Zone)
	if b != nil {
		body = b
	}
	return maintenance.Stream, maintenance.TypeSet, s.windows.Seq, body, err
}
