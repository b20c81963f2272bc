// Package projection owns the read models folded from the log's tail: every
// incident, every signal, and what changed since somebody last looked. It never
// writes and never renders; what it shows is at most one event page behind.
//
// Open incidents are held whole, and closed ones as cards: what is held does not
// grow with what was ever said. A closed incident that somebody looks into is
// read from its stream. What is held can be written down (Image) and taken up
// again (Resume), so that a start does not fold the whole log.
package projection

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

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

const (
	// keptClosed is how many closed incidents stay whole: those last used.
	keptClosed = 64
	// loadAtOnce is how many incidents are read from their streams together.
	loadAtOnce = 4
	// looks is how often LookInto reads an incident that keeps changing.
	looks = 20
)

// Log is the part of the event log that the world reads.
type Log interface {
	Follow(ctx context.Context, from int64) iter.Seq2[[]eventlog.Event, error]
	Read(ctx context.Context, from int64, limit int) ([]eventlog.Event, error)
	ReadStream(ctx context.Context, stream string, fromSeq int64, limit int) ([]eventlog.Event, error)
	Size() int64
}

// World folds the log. Reads may come from any number of goroutines.
type World struct {
	// Progress is told about once a second how far CatchUp is, in events of all.
	// Set it before CatchUp; nil is silent.
	Progress func(done, of int64)

	log  Log
	kept int // keptClosed
	most int // sketchesAtOnce

	mu       sync.RWMutex // one lock for the states and what changed: no reader sees one without the other
	fold     fold
	whole    map[int64]incident.State // every open incident, and the closed ones in recent; the others are cards in fold
	redacted int64                    // offset of the newest redaction folded, -1 for none
	moved    chan struct{}            // closed and replaced when position grows

	leaf    sync.Mutex       // guards what follows; taken last, held shortly
	recent  []int64          // closed incidents that are whole, the last used last; at most keptClosed
	changed map[string]int64 // topic -> position of its last change
	pending map[string]int64 // topics changed since Changes was last drained; bounded by the number of topics
	wake    chan struct{}    // capacity 1
}

// New returns an empty world.
func New(log Log) *World {
	return &World{
		log: log, kept: keptClosed, most: sketchesAtOnce, fold: newFold(), whole: map[int64]incident.State{}, redacted: -1,
		moved: make(chan struct{}), changed: map[string]int64{}, pending: map[string]int64{}, wake: make(chan struct{}, 1),
	}
}

// CatchUp folds everything that is durable now, from where Resume put the
// world. Call it once before Run. ErrStale says that what was resumed does not
// fit the log after all: then Reset, and call it again.
func (w *World) CatchUp(ctx context.Context) error {
	w.mu.RLock()
	f := w.fold.clone()
	w.mu.RUnlock()
	k := sketcher{log: w.log, most: w.most, fold: &f, sketches: map[int64]incident.Sketch{}, progress: w.Progress, redacted: -1}
	if err := k.run(ctx, w.log.Size()); err != nil {
		return fmt.Errorf("fold the log: %w", err)
	}
	whole, err := loadOpen(ctx, w.log, &f)
	if err != nil {
		return fmt.Errorf("fold the log: %w", err)
	}
	changed := maps.Clone(f.changed)
	for n, c := range f.cards {
		changed[room.Stream(n)] = c.Position
	}
	for n := range whole {
		delete(f.cards, n)
	}
	w.mu.Lock()
	w.fold, w.whole, w.redacted = f, whole, max(w.redacted, k.redacted)
	w.tell(changed)
	w.mu.Unlock()
	return nil
}

// loadOpen reads every open incident whole, as of the fold's position.
func loadOpen(ctx context.Context, log Log, f *fold) (map[int64]incident.State, error) {
	whole := map[int64]incident.State{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(loadAtOnce)
	for n, c := range f.cards {
		if !c.Open() {
			continue
		}
		g.Go(func() error {
			st, err := load(ctx, log, n, f.position)
			if err != nil {
				return err
			}
			if st.Position != c.Position {
				return fmt.Errorf("incident %d is at %d in its stream and at %d in the fold: %w", n, st.Position, c.Position, ErrStale)
			}
			mu.Lock()
			defer mu.Unlock()
			whole[n] = st
			return nil
		})
	}
	return whole, g.Wait()
}

// ErrStale says that what was taken up again is not what the log says.
var ErrStale = errors.New("the snapshot does not fit the log")

// Reset makes the world empty again, as New does, before CatchUp.
func (w *World) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fold = newFold()
}

// load folds an incident from its stream, through the event at offset through.
func load(ctx context.Context, log Log, n, through int64) (incident.State, error) {
	st := incident.New(n, "")
	for seq := int64(1); ; {
		page, err := log.ReadStream(ctx, room.Stream(n), seq, 0)
		if err != nil {
			return st, fmt.Errorf("read incident %d from %d: %w", n, seq, err)
		}
		for _, e := range page {
			if e.Offset > through {
				return st, nil
			}
			st = incident.Apply(st, room.Decode(e))
		}
		if len(page) < eventlog.PageSize {
			return st, nil
		}
		seq = page[len(page)-1].Seq + 1
	}
}

// Run follows the log until ctx ends.
func (w *World) Run(ctx context.Context) error {
	for page, err := range w.log.Follow(ctx, w.Position()+1) {
		if err == nil {
			err = w.advance(ctx, decode(page))
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("follow the log: %w", err)
		}
	}
	return nil
}

// advance folds a page. Only Run calls it: nobody else moves the position.
func (w *World) advance(ctx context.Context, page []item) error {
	back, err := w.fetch(ctx, page)
	if err != nil {
		return err
	}
	touched := map[string]int64{}
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, st := range back {
		if _, away := w.fold.cards[n]; away { // or somebody looked into it meanwhile
			w.keep(n, st)
		}
	}
	for i := range page {
		it := &page[i]
		if it.offset <= w.fold.position {
			continue
		}
		if it.redaction {
			w.redacted = it.offset
		}
		if it.incident != 0 {
			before, seen := w.whole[it.incident]
			if !seen {
				before = incident.New(it.incident, "")
			}
			after := incident.Apply(before, it.fact)
			w.whole[it.incident] = after
			w.use(it.incident, !incident.Open(after))
			w.fold.follow(it.incident, before.Signals, after.Signals)
			touched[it.stream] = it.offset
			w.fold.mark(it, !before.Declared || before.Told() != after.Told())
		} else {
			w.fold.other(it)
		}
		w.fold.position = it.offset
	}
	maps.Copy(touched, w.fold.take())
	w.evict()
	w.tell(touched)
	return nil
}

// fetch reads the incidents that the page is about and that are only cards. As
// only advance moves the position, they are as of the event before the page.
func (w *World) fetch(ctx context.Context, page []item) (map[int64]incident.State, error) {
	var away []int64
	w.mu.RLock()
	for i := range page {
		n := page[i].incident
		_, card := w.fold.cards[n]
		if card && !slices.Contains(away, n) {
			away = append(away, n)
		}
	}
	position := w.fold.position
	w.mu.RUnlock()
	if len(away) == 0 {
		return nil, nil
	}
	back := make(map[int64]incident.State, len(away))
	for _, n := range away {
		st, err := load(ctx, w.log, n, position)
		if err != nil {
			return nil, err
		}
		back[n] = st
	}
	return back, nil
}

// keep makes an incident whole that was a card. The caller holds mu.
func (w *World) keep(n int64, st incident.State) {
	w.whole[n] = st
	delete(w.fold.cards, n)
	w.use(n, !incident.Open(st))
}

// use notes that an incident was looked into or changed.
func (w *World) use(n int64, closed bool) {
	w.leaf.Lock()
	defer w.leaf.Unlock()
	if i := slices.Index(w.recent, n); i >= 0 {
		w.recent = slices.Delete(w.recent, i, i+1)
	}
	if closed {
		w.recent = append(w.recent, n)
	}
}

// evict turns closed incidents that were not used lately into cards. The caller
// holds mu.
func (w *World) evict() {
	w.leaf.Lock()
	defer w.leaf.Unlock()
	for len(w.recent) > w.kept {
		n := w.recent[0]
		w.recent = slices.Delete(w.recent, 0, 1)
		w.fold.cards[n] = w.whole[n].Card()
		delete(w.whole, n)
	}
}

// tell makes changes known. The caller holds mu.
func (w *World) tell(touched map[string]int64) {
	w.leaf.Lock()
	maps.Copy(w.changed, touched)
	maps.Copy(w.pending, touched)
	w.leaf.Unlock()
	close(w.moved)
	w.moved = make(chan struct{})
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Position returns the offset of the last event folded, -1 for none.
func (w *World) Position() int64 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.fold.position
}

// until waits until done, which is called under mu, says so, or ctx ends.
func (w *World) until(ctx context.Context, done func() bool) error {
	for {
		w.mu.RLock()
		enough, moved := done(), w.moved
		w.mu.RUnlock()
		if enough {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// WaitFor returns when the world has folded position, or ctx ends.
func (w *World) WaitFor(ctx context.Context, position int64) error {
	if err := w.until(ctx, func() bool { return w.fold.position >= position }); err != nil {
		return fmt.Errorf("wait for position %d at %d: %w", position, w.Position(), err)
	}
	return nil
}

// Redacted waits until the world has folded position or a redaction beyond
// after, and says whether there was a redaction.
func (w *World) Redacted(ctx context.Context, after, position int64) (redacted bool, err error) {
	err = w.until(ctx, func() bool {
		redacted = w.redacted > after
		return redacted || w.fold.position >= position
	})
	return redacted, err
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

// Source returns what the world knows of a source's stream: the state after its
// event seq, which is the one at offset position; 0 and -1 when it knows none.
func (w *World) Source(id string) (s signal.State, seq, position int64) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	src, ok := w.fold.sources[id]
	if !ok {
		return signal.State{Source: id}, 0, -1
	}
	return src.state, src.seq, src.state.Position
}
