// Package pulse owns the beats of the sources of kind heartbeat while the program runs: it keeps the newest of each in the store,
// and while this replica leads raises and clears their signals; it never logs a beat and never decides what late means.
package pulse

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store"
)

// Actor is who raises and clears the signals.
const Actor = "system:heartbeat"

const (
	prefix = "heartbeat/beat/"
	// key of the one signal of a source.
	key   = "heartbeat"
	every = time.Second // between two looks
	// gap is the time between two looks from which on we count as not having
	// listened: the machine slept, or was too busy to tell.
	gap = 5 * time.Second
	// most is how many sources are kept in memory: more than there can be.
	most = 4096
)

// Options of a Watch.
type Options struct {
	DB      store.DB
	Clock   func() time.Time
	Logger  *slog.Logger
	Sources func() []intake.Source
	Submit  func(ctx context.Context, source, actor string, obs []signal.Observation) (int64, error)
	Known   func(ctx context.Context, source, key string) (signal.Signal, bool, error)
	// Deaf says that beats cannot be taken now; that time does not count. nil = never.
	Deaf func() bool
	// Lead runs f while this replica leads; nil = this one is alone.
	Lead func(ctx context.Context, f func(context.Context) error) error
}

// Watch takes beats and judges them. Safe for concurrent use.
type Watch struct {
	o Options

	mu      sync.Mutex
	last    map[string]heartbeat.Beat // heard here; at most most
	written map[string]heartbeat.Beat // what of that is in the store
	since   int64                     // from when on we have listened without a break
	looked  int64
}

// New makes a watch that has heard nothing.
func New(o Options) *Watch {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Deaf == nil {
		o.Deaf = func() bool { return false }
	}
	return &Watch{o: o, last: map[string]heartbeat.Beat{}, written: map[string]heartbeat.Beat{}, since: o.Clock().UnixMilli()}
}

// Beat takes one beat of a source. It is written down when it changes the state,
// and else at most four times in an interval, so that a fast sender costs no
// more than a slow one; what is not written is known to this replica. The error
// is the store's: the beat counts here all the same, and the sender sends again.
func (w *Watch) Beat(ctx context.Context, src intake.Source, b heartbeat.Beat) error {
	w.mu.Lock()
	if _, known := w.last[src.ID]; !known && len(w.last) >= most {
		clear(w.last) // they are in the store
		clear(w.written)
	}
	w.last[src.ID] = b
	old := w.written[src.ID]
	spare := min(src.Pace.Every/4, src.Pace.Grace/2)
	write := old.At == 0 || b.At-old.At >= spare || b.Failing != old.Failing || b.Failing && b.Reason != old.Reason
	w.mu.Unlock()
	if !write {
		return nil
	}
	raw, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("encode a beat: %w", err)
	}
	if _, err := w.o.DB.Commit(ctx, store.Txn{Then: []store.Op{{Key: []byte(prefix + src.ID), Value: raw}}}); err != nil {
		return fmt.Errorf("keep the beat of source %s: %w", src.ID, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.written[src.ID].At < b.At {
		w.written[src.ID] = b
	}
	return nil
}

// newest gives the newest beat of each source, heard here or elsewhere.
func (w *Watch) newest(ctx context.Context) (map[string]heartbeat.Beat, error) {
	out := map[string]heartbeat.Beat{}
	for kv, err := range w.o.DB.Scan(ctx, store.Range{From: []byte(prefix), To: []byte(prefix + "\xff")}) {
		if err != nil {
			return nil, fmt.Errorf("read the beats: %w", err)
		}
		var b heartbeat.Beat
		if json.Unmarshal(kv.Value, &b) == nil {
			out[strings.TrimPrefix(string(kv.Key), prefix)] = b
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, b := range w.last {
		if b.At > out[id].At {
			out[id] = b
		}
	}
	return out, nil
}

// Look says what is thought of every heartbeat that is not revoked, by the id of
// its source, and when it was last heard.
func (w *Watch) Look(ctx context.Context) (map[string]heartbeat.Verdict, map[string]heartbeat.Beat, error) {
	beats, err := w.newest(ctx)
	if err != nil {
		return nil, nil, err
	}
	w.mu.Lock()
	since := w.since
	w.mu.Unlock()
	now, out := w.o.Clock().UnixMilli(), map[string]heartbeat.Verdict{}
	for _, src := range w.o.Sources() {
		if src.Kind == intake.Heartbeat && src.RevokedAt == 0 {
			out[src.ID] = heartbeat.Judge(src.Pace, beats[src.ID], since, now)
		}
	}
	return out, beats, nil
}

// Run judges while this replica leads, until ctx ends. What fails is tried again.
func (w *Watch) Run(ctx context.Context) error {
	if w.o.Lead == nil {
		w.watch(ctx)
		return nil
	}
	err := w.o.Lead(ctx, func(ctx context.Context) error { w.watch(ctx); return ctx.Err() })
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (w *Watch) watch(ctx context.Context) {
	w.anew()
	raised := map[string]bool{} // what this leader knows of the signals
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		w.Step(ctx, raised)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// anew begins the wait for every sender at now.
func (w *Watch) anew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = w.o.Clock().UnixMilli()
	w.looked = w.since
}

// Step looks once, and raises and clears what has changed. raised is what the
// caller's earlier steps found; it begins empty.
func (w *Watch) Step(ctx context.Context, raised map[string]bool) {
	now := w.o.Clock().UnixMilli()
	w.mu.Lock()
	slept := now-w.looked > gap.Milliseconds() || now < w.looked
	w.looked = now
	w.mu.Unlock()
	if slept || w.o.Deaf() {
		w.anew()
	}
	verdicts, _, err := w.Look(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.o.Logger.WarnContext(ctx, "the beats cannot be read; no sender is missed until they can", "err", err)
		}
		w.anew()
		return
	}
	for _, src := range w.o.Sources() {
		v, ok := verdicts[src.ID]
		if !ok || !v.Raised() && v.State != heartbeat.Alive {
			continue
		}
		up, known := raised[src.ID]
		if !known {
			g, found, err := w.o.Known(ctx, src.ID, key)
			if err != nil {
				continue // the next look asks again
			}
			up = found && g.IsOpen()
		}
		if up == v.Raised() {
			raised[src.ID] = up
			continue
		}
		if _, err := w.o.Submit(ctx, src.ID, Actor, []signal.Observation{observation(src, v)}); err != nil {
			w.o.Logger.WarnContext(ctx, "a heartbeat's signal was not stored and is tried again", "source", src.ID, "err", err)
			delete(raised, src.ID)
			continue
		}
		raised[src.ID] = v.Raised()
	}
}

func observation(src intake.Source, v heartbeat.Verdict) signal.Observation {
	o := signal.Observation{
		Key: key, Kind: "heartbeat", Subject: src.Name, Title: src.Name + " is silent", Reason: v.Reason, Severity: src.Pace.Severity, Firing: v.Raised(),
	}
	if v.State == heartbeat.Failing {
		o.Title = src.Name + " reports a failure"
	}
	return o
}
