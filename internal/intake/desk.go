package intake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

const (
	maxChunk    = 400       // events in one append
	chunkBytes  = 512 << 10 // payload in one append; a single larger event goes alone
	maxAttempts = 48        // conflicts in a row of one append, with waits between them: about a second
	page        = 512       // events read at once
)

// ErrContended says that other replicas won every attempt; of a delivery of more
// than one append, the first may have been written.
var ErrContended = errors.New("the source kept changing under this delivery")

// Desk makes observations durable. It may be used from any number of
// goroutines: deliveries of one source are decided one after the other, those
// of different sources in parallel.
type Desk struct {
	log   Log
	clock Clock
	seed  Seed // may be nil
	stamp Stamp

	mu    sync.Mutex // guards the map and the tallies, never held during I/O
	tills map[string]*till
}

// Seed gives the state of a source's stream after its event seq, at offset
// position, from somebody who has folded it already; seq 0 when nobody has.
type Seed func(source string) (s signal.State, seq, position int64)

// SeedFrom lets the desk begin with what seed knows of a source, and read only
// what came after, rather than the source's whole stream. Call it before the
// first Submit.
func (d *Desk) SeedFrom(seed Seed) { d.seed = seed }

// Stamp gives an observation that may open a signal the marks that hold at now;
// it must answer from memory. A mark counts only for the event that opens.
type Stamp func(source string, o *signal.Observation, now int64)

// StampWith lets the desk mark what opens. Call it before the first Submit.
func (d *Desk) StampWith(stamp Stamp) { d.stamp = stamp }

// till is what the desk knows of one source: a cache of its stream.
type till struct {
	turn  chan struct{} // capacity 1: who holds it owns what is below
	state signal.State
	seq   int64
	pos   int64 // offset of the stream's newest event, -1 for none

	tally map[signal.Verdict]int64 // guarded by Desk.mu
}

// NewDesk returns a desk on log. It starts nothing.
func NewDesk(log Log, clock Clock) *Desk {
	return &Desk{log: log, clock: clock, tills: map[string]*till{}}
}

// Submit judges the observations of one source in order, in the light of all
// that its stream says, and appends what they change. On return that is
// durable; position is the offset of the source's newest event, -1 when it has
// none. Observations without a time get the desk's. Sending anything again is
// safe after any outcome. Errors are ErrContended, ctx's, or the log's, after
// which a part may have been appended: the sender sends again.
func (d *Desk) Submit(ctx context.Context, source, actor string, obs []signal.Observation) (position int64, err error) {
	t := d.till(source)
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return -1, fmt.Errorf("wait for source %s: %w", source, ctx.Err())
	}
	defer func() { <-t.turn }()

	now := d.clock().UnixMilli()
	for conflicts := 0; ; {
		// What another replica wrote since matters also when nothing is to be
		// appended, so the tail is read every time.
		if err := d.load(ctx, t, source); err != nil {
			t.forget(source)
			return -1, err
		}
		rest, err := d.submit(ctx, t, source, actor, obs, now)
		if err == nil {
			return t.pos, nil
		}
		if !errors.Is(err, eventlog.ErrConflict) {
			t.forget(source)
			return -1, err
		}
		if conflicts++; len(rest) < len(obs) {
			conflicts = 1 // a part is in the log
		}
		if obs = rest; conflicts == maxAttempts || ctx.Err() != nil {
			t.forget(source)
			return -1, fmt.Errorf("append %s%s: %w", signal.StreamPrefix, source, ErrContended)
		}
		backOff(ctx, conflicts)
	}
}

// Direct marks one open signal as quiet, or with a nil mark releases it; it is
// durable on return. The error is signal.ErrNotOpen, or one of Submit's.
func (d *Desk) Direct(ctx context.Context, g signal.Signal, actor string, q *signal.Quiet, reason string) error {
	t := d.till(g.Source)
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for source %s: %w", g.Source, ctx.Err())
	}
	defer func() { <-t.turn }()
	for n := 1; n <= maxAttempts; n++ {
		if err := d.load(ctx, t, g.Source); err != nil {
			t.forget(g.Source)
			return err
		}
		bodies, err := signal.Direct(t.state, g.Key, g.Drill, g.ID, q, reason)
		if err != nil || len(bodies) == 0 {
			return err
		}
		typ, version, data, err := signal.Encode(bodies[0])
		if err != nil {
			return err
		}
		_, err = d.log.Append(ctx, eventlog.Batch{Stream: signal.StreamPrefix + g.Source, Expect: t.seq, Drafts: []eventlog.Draft{
			{At: d.clock().UnixMilli(), Actor: actor, Drill: g.Drill, Type: typ, Version: version, Data: data},
		}})
		if err == nil {
			return nil // the next one to come folds it
		}
		if !errors.Is(err, eventlog.ErrConflict) {
			t.forget(g.Source)
			return fmt.Errorf("append %s to %s%s at %d: %w", typ, signal.StreamPrefix, g.Source, t.seq, err)
		}
		backOff(ctx, n)
	}
	return fmt.Errorf("direct signal %s: %w", g.ID, ErrContended)
}

// Known returns the newest episode of a key, as this desk last saw the source's stream.
func (d *Desk) Known(ctx context.Context, source, key string) (signal.Signal, bool, error) {
	t := d.till(source)
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return signal.Signal{}, false, ctx.Err()
	}
	defer func() { <-t.turn }()
	if err := d.load(ctx, t, source); err != nil {
		return signal.Signal{}, false, err
	}
	g, ok := t.state.Get(key, false)
	return g, ok, nil
}

// backOff lets other replicas go on after the n-th conflict in a row: not at all
// at first, then for a random time below 1, 2, 4 … 32 ms.
func backOff(ctx context.Context, n int) {
	if n < 3 {
		return
	}
	wait := time.NewTimer(rand.N(time.Millisecond << min(n-3, 5)))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

// Open returns the number of open signals of a source, as this desk last saw it.
func (d *Desk) Open(ctx context.Context, source string) (int, error) {
	t := d.till(source)
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-t.turn }()
	if err := d.load(ctx, t, source); err != nil {
		return 0, err
	}
	return t.state.Len(), nil
}

// Tally counts what became of a source's observations since the desk was made,
// also of those that left no event.
func (d *Desk) Tally(source string) map[signal.Verdict]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.tills[source]; t != nil {
		return maps.Clone(t.tally)
	}
	return nil
}

func (d *Desk) till(source string) *till {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tills[source]
	if t == nil {
		t = &till{turn: make(chan struct{}, 1), tally: map[signal.Verdict]int64{}}
		t.forget(source)
		d.tills[source] = t
	}
	return t
}

func (t *till) forget(source string) {
	t.state, t.seq, t.pos = signal.State{Source: source}, 0, -1
}

// load folds what the stream has beyond the cache.
func (d *Desk) load(ctx context.Context, t *till, source string) error {
	if t.seq == 0 && d.seed != nil {
		if s, seq, position := d.seed(source); seq > 0 {
			t.state, t.seq, t.pos = s, seq, position
		}
	}
	for {
		events, err := d.log.ReadStream(ctx, signal.StreamPrefix+source, t.seq+1, page)
		if err != nil {
			return fmt.Errorf("read %s%s from %d: %w", signal.StreamPrefix, source, t.seq+1, err)
		}
		for _, e := range events {
			t.state = signal.Apply(t.state, Fact(source, e))
			t.seq, t.pos = e.Seq, e.Offset
		}
		if len(events) < page {
			return nil
		}
	}
}

// Fact turns an event of a source's stream into the core's. It never fails:
// what cannot be read becomes signal.Unknown, which the core passes over.
func Fact(source string, e eventlog.Event) signal.Event {
	body, err := signal.Decode(e.Type, e.Version, e.Data)
	if err != nil {
		body = signal.Unknown{Name: e.Type, Data: e.Data}
	}
	return signal.Event{Source: source, Offset: e.Offset, EventID: e.ID, At: e.At, Actor: e.Actor, Drill: e.Drill, Body: body}
}

// submit decides and appends in chunks. On a conflict it returns what is not
// done yet, with the cache as of the last chunk that is.
func (d *Desk) submit(ctx context.Context, t *till, source, actor string, obs []signal.Observation, now int64) (rest []signal.Observation, err error) {
	limit := maxChunk
	for len(obs) > 0 {
		state := t.state
		var drafts []eventlog.Draft
		var verdicts []signal.Verdict
		size, n := 0, 0
		for ; n < len(obs) && len(drafts) < limit && size < chunkBytes; n++ {
			o := obs[n]
			if o.At == 0 {
				o.At = now
			}
			if d.stamp != nil && o.Firing && !o.Ack {
				if old, ok := state.Get(o.Key, o.Drill); !ok || !old.IsOpen() {
					d.stamp(source, &o, now)
				}
			}
			bodies, verdict := signal.Judge(state, o)
			verdicts = append(verdicts, verdict)
			for _, b := range bodies {
				typ, version, data, err := signal.Encode(b)
				if err != nil {
					return nil, err
				}
				drafts = append(drafts, eventlog.Draft{At: o.At, Actor: actor, Drill: o.Drill, Type: typ, Version: version, Data: data})
				size += len(data)
				state = signal.Apply(state, signal.Event{Source: source, Offset: t.pos, At: o.At, Actor: actor, Drill: o.Drill, Body: b})
			}
			state = signal.Heard(state, o)
		}
		if len(drafts) > 0 {
			events, err := d.log.Append(ctx, eventlog.Batch{Stream: signal.StreamPrefix + source, Expect: t.seq, Drafts: drafts})
			if errors.Is(err, eventlog.ErrTooLarge) && len(drafts) > 1 {
				limit = len(drafts) / 2
				continue
			}
			if err != nil {
				return obs, fmt.Errorf("append %d events to %s%s at %d: %w", len(drafts), signal.StreamPrefix, source, t.seq, err)
			}
			last := events[len(events)-1]
			t.seq, t.pos = last.Seq, last.Offset
		}
		t.state = state
		d.count(t, verdicts)
		obs = obs[n:]
	}
	return nil, nil
}

func (d *Desk) count(t *till, verdicts []signal.Verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range verdicts {
		t.tally[v]++
	}
}
