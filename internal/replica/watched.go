package replica

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ops/tocsin/store"
)

// Shared is a store that several replicas share.
type Shared interface {
	store.DB
	store.Elector
	store.Revisioner
	store.Ephemeral
}

// Watched is a shared store whose answers are looked at as they pass: how long
// they take, and whether any failed, so that a Prober looks again at once. What
// fails with no error that package store names fails with store.ErrUnavailable.
type Watched struct {
	Shared
	reads, commits, tells histogram

	failed atomic.Int64  // reads and commits, over all time
	wrote  atomic.Int64  // unix ns of the start of the newest write that succeeded
	doubt  atomic.Bool   // a write failed since one succeeded
	news   chan struct{} // capacity 1; full: a look is due already

	mu    sync.Mutex
	leads map[string]int // every election that was stood in; as many as the program has
}

// Watch returns db, watched. Nobody may use db itself any more but through it.
func Watch(db Shared) *Watched {
	return &Watched{Shared: db, news: make(chan struct{}, 1), leads: map[string]int{}}
}

// MaxOps is that of the store.
func (w *Watched) MaxOps() int { return store.OpLimit(w.Shared) }

// Get is store.DB.Get.
func (w *Watched) Get(ctx context.Context, key []byte) (store.KV, error) {
	began := time.Now()
	kv, err := w.Shared.Get(ctx, key)
	w.reads.seen(time.Since(began))
	return kv, w.heard(ctx, err)
}

// Scan is store.DB.Scan.
func (w *Watched) Scan(ctx context.Context, r store.Range) iter.Seq2[store.KV, error] {
	return func(yield func(store.KV, error) bool) {
		for kv, err := range w.Shared.Scan(ctx, r) {
			if !yield(kv, w.heard(ctx, err)) {
				return
			}
		}
	}
}

// Revision is store.Revisioner.Revision.
func (w *Watched) Revision(ctx context.Context) (int64, error) {
	rev, err := w.Shared.Revision(ctx)
	return rev, w.heard(ctx, err)
}

// Commit is store.DB.Commit.
func (w *Watched) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	began := time.Now()
	rev, err := w.Shared.Commit(ctx, txn)
	w.commits.seen(time.Since(began))
	if err == nil {
		w.written(began)
	} else if out(ctx, err) {
		w.doubt.Store(true)
	}
	return rev, w.heard(ctx, err)
}

// Tell is store.Ephemeral.Tell.
func (w *Watched) Tell(ctx context.Context, key, value []byte) error {
	began := time.Now()
	err := w.Shared.Tell(ctx, key, value)
	w.tells.seen(time.Since(began))
	if err == nil {
		w.written(began)
	} else if out(ctx, err) { // nobody waits for what is told: it is no witness, but a reason to look
		w.doubt.Store(true)
		w.nudge()
	}
	return err
}

// Lead is store.Elector.Lead.
func (w *Watched) Lead(ctx context.Context, name string, run func(context.Context) error) error {
	w.turn(name, 0)
	return w.Shared.Lead(ctx, name, func(ctx context.Context) error {
		w.turn(name, 1)
		defer w.turn(name, -1)
		return run(ctx)
	})
}

// Leads returns every election that this replica has stood in, and whether it
// leads it.
func (w *Watched) Leads() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]bool{}
	for name, n := range w.leads {
		out[name] = n > 0
	}
	return out
}

// turn counts, because another goroutine of ours may follow at once.
func (w *Watched) turn(name string, by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leads[name] += by
}

func (w *Watched) written(at time.Time) {
	w.wrote.Store(at.UnixNano())
	w.doubt.Store(false)
}

func (w *Watched) nudge() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *Watched) heard(ctx context.Context, err error) error {
	if !out(ctx, err) {
		return err
	}
	w.failed.Add(1)
	w.nudge()
	return &unavailable{err}
}

// named are the errors that are answers.
var named = []error{store.ErrNotFound, store.ErrConflict, store.ErrCompacted, store.ErrTooLarge, store.ErrInvalid, store.ErrClosed}

// out reports whether err says that the store is not available. Who went away
// before there was an answer says nothing about it.
func out(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && !slices.ContainsFunc(named, func(n error) bool { return errors.Is(err, n) })
}

// unavailable is an error that is store.ErrUnavailable, in its own words.
type unavailable struct{ error }

func (u *unavailable) Unwrap() []error { return []error{store.ErrUnavailable, u.error} }

// Bounds are the upper bounds of Latency's counts, in seconds; what took longer
// is counted last.
var Bounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5}

// Latency is how long one kind of call to the store took, over all time.
type Latency struct {
	Kind   string // read, commit, tell
	Counts []int64
	Sum    float64 // seconds
}

// Latencies returns how long calls took, each kind once.
func (w *Watched) Latencies() []Latency {
	return []Latency{w.reads.latency("read"), w.commits.latency("commit"), w.tells.latency("tell")}
}

type histogram struct {
	counts [16]atomic.Int64
	nanos  atomic.Int64
}

func (h *histogram) seen(d time.Duration) {
	i, _ := slices.BinarySearch(Bounds, d.Seconds())
	h.counts[i].Add(1)
	h.nanos.Add(int64(d))
}

func (h *histogram) latency(kind string) Latency {
	l := Latency{Kind: kind, Sum: time.Duration(h.nanos.Load()).Seconds()}
	for i := range len(Bounds) + 1 {
		l.Counts = append(l.Counts, h.counts[i].Load())
	}
	return l
}
