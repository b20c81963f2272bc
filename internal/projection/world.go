// Package projection owns the read models folded from the log's tail: every
// incident, every signal, and what changed since somebody last looked. It never
// writes and never renders; what it shows is at most one event page behind.
package projection

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Topics that the world reports as changed, besides an incident's own, which is
// named like its stream.
const (
	TopicBoard   = "board"
	TopicWall    = "wall"
	TopicSignals = "signals"
	TopicStatus  = "status"
)

// Log is the part of the event log that the world follows.
type Log interface {
	Follow(ctx context.Context, from int64) iter.Seq2[[]eventlog.Event, error]
	Size() int64
}

// View is a consistent picture of everything at one position. It is valid only
// inside World.Look, except for values copied out of it: incident and signal
// states are never changed after they were made.
type View struct{ w *World }

// World folds the log. Reads may come from any number of goroutines.
type World struct {
	log Log

	mu        sync.RWMutex // one lock for the states and what changed: no reader sees one without the other
	position  int64
	incidents map[int64]incident.State
	signals   map[string]signal.State
	attached  map[string]int64 // signal id -> incident
	moved     chan struct{}    // closed and replaced when position grows

	leaf    sync.Mutex       // guards changed and pending; taken last, held shortly
	changed map[string]int64 // topic -> position of its last change
	pending map[string]int64 // topics changed since Changes was last drained; bounded by the number of topics
	wake    chan struct{}    // capacity 1
}

// New returns an empty world.
func New(log Log) *World {
	return &World{
		log: log, position: -1,
		incidents: map[int64]incident.State{}, signals: map[string]signal.State{}, attached: map[string]int64{},
		moved: make(chan struct{}), changed: map[string]int64{}, pending: map[string]int64{}, wake: make(chan struct{}, 1),
	}
}

// CatchUp folds everything that is durable now. Call it once before Run.
func (w *World) CatchUp(ctx context.Context) error {
	target := w.log.Size() - 1
	if target < 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for page, err := range w.log.Follow(ctx, 0) {
		if err != nil {
			return fmt.Errorf("fold the log: %w", err)
		}
		w.advance(page)
		if page[len(page)-1].Offset >= target {
			return nil
		}
	}
	return ctx.Err()
}

// Run follows the log until ctx ends.
func (w *World) Run(ctx context.Context) error {
	for page, err := range w.log.Follow(ctx, w.Position()+1) {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("follow the log: %w", err)
		}
		w.advance(page)
	}
	return nil
}

func (w *World) advance(page []eventlog.Event) {
	touched := map[string]int64{}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range page {
		if e.Offset <= w.position {
			continue
		}
		w.apply(e, touched)
		w.position = e.Offset
	}
	w.leaf.Lock()
	for t, p := range touched {
		w.changed[t] = p
		w.pending[t] = p
	}
	w.leaf.Unlock()
	close(w.moved)
	w.moved = make(chan struct{})
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *World) apply(e eventlog.Event, touched map[string]int64) {
	mark := func(topics ...string) {
		for _, t := range topics {
			touched[t] = e.Offset
		}
	}
	if n, ok := room.Number(e.Stream); ok {
		before, seen := w.incidents[n]
		if !seen {
			before = incident.New(n, "")
		}
		after := incident.Apply(before, room.Decode(e))
		w.incidents[n] = after
		w.follow(before, after)
		mark(e.Stream, TopicBoard, TopicWall, TopicSignals)
		if !before.Declared || told(before) != told(after) {
			mark(TopicStatus)
		}
		return
	}
	if source, ok := strings.CutPrefix(e.Stream, signal.StreamPrefix); ok {
		w.signals[source] = signal.Apply(w.signals[source], DecodeSignal(source, e))
		mark(TopicBoard, TopicWall, TopicSignals)
		return
	}
	mark(TopicBoard, TopicWall)
}

// told counts what status pages show of an incident. Published updates stay
// published and change only by being blanked, so equal counts mean equal pages;
// visitors are not asked to load anew for what they may not see.
func told(s incident.State) (n struct{ published, blanked int }) {
	for _, u := range s.Updates {
		if u.State == incident.UpdateIsPublished {
			n.published++
			if u.Redacted {
				n.blanked++
			}
		}
	}
	return n
}

// follow keeps the index from signal to incident.
func (w *World) follow(before, after incident.State) {
	if len(before.Signals) == 0 && len(after.Signals) == 0 {
		return
	}
	for _, s := range before.Signals {
		if w.attached[s.ID] == before.Number {
			delete(w.attached, s.ID)
		}
	}
	for _, s := range after.Signals {
		w.attached[s.ID] = after.Number
	}
}

// DecodeSignal turns an event of a signal stream into the core's. What cannot
// be read becomes a body that the core passes over.
func DecodeSignal(source string, e eventlog.Event) signal.Event {
	body, err := signal.Decode(e.Type, e.Version, e.Data)
	if err != nil {
		body = signal.Unknown{Name: e.Type}
	}
	return signal.Event{Source: source, Offset: e.Offset, EventID: e.ID, At: e.At, Actor: e.Actor, Drill: e.Drill, Body: body}
}

// Position returns the offset of the last event folded, -1 for none.
func (w *World) Position() int64 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.position
}

// WaitFor returns when the world has folded position, or ctx ends.
func (w *World) WaitFor(ctx context.Context, position int64) error {
	for {
		w.mu.RLock()
		at, moved := w.position, w.moved
		w.mu.RUnlock()
		if at >= position {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for position %d at %d: %w", position, at, ctx.Err())
		}
	}
}

// Look calls see with a picture that stands still meanwhile. see must be quick
// and must not call the world.
func (w *World) Look(see func(View)) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	see(View{w})
}

// ChangedAt returns the position of the last change that concerns a topic, -1
// for none. It takes only a leaf lock, so the hub may call it under its own.
func (w *World) ChangedAt(topic string) int64 {
	w.leaf.Lock()
	defer w.leaf.Unlock()
	if p, ok := w.changed[topic]; ok {
		return p
	}
	return -1
}

// Changes waits until something changed and returns the topics with the
// position of their newest change, each once, however often it changed. There
// may be only one caller.
func (w *World) Changes(ctx context.Context) (map[string]int64, error) {
	for {
		w.leaf.Lock()
		if len(w.pending) > 0 {
			out := w.pending
			w.pending = map[string]int64{}
			w.leaf.Unlock()
			return out, nil
		}
		w.leaf.Unlock()
		select {
		case <-w.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ErrUnknown says that the view has no such thing.
var ErrUnknown = errors.New("not known")

// Position is the offset of the last event in the picture.
func (v View) Position() int64 { return v.w.position }

// Incident returns one incident, or ErrUnknown.
func (v View) Incident(number int64) (incident.State, error) {
	s, ok := v.w.incidents[number]
	if !ok {
		return s, ErrUnknown
	}
	return s, nil
}

// Incidents returns all incidents, ascending by number.
func (v View) Incidents() []incident.State {
	out := make([]incident.State, 0, len(v.w.incidents))
	for _, n := range slices.Sorted(maps.Keys(v.w.incidents)) {
		out = append(out, v.w.incidents[n])
	}
	return out
}

// Signals yields the newest episode of every signal, with the incident it is
// attached to filled in.
func (v View) Signals() iter.Seq[signal.Signal] {
	return func(yield func(signal.Signal) bool) {
		for _, source := range slices.Sorted(maps.Keys(v.w.signals)) {
			for s := range v.w.signals[source].All() {
				s.Incident = v.w.attached[s.ID]
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Signal returns one signal by id, or ErrUnknown.
func (v View) Signal(id string) (signal.Signal, error) {
	for s := range v.Signals() {
		if s.ID == id {
			return s, nil
		}
	}
	return signal.Signal{}, ErrUnknown
}
