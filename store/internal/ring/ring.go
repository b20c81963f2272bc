// Package ring owns the recent changes of an engine that lives in one process,
// and the watches that read them; it never decides whether a change is durable.
package ring

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"sort"
	"sync"

	"github.com/tocsin-ops/tocsin/store"
)

// page bounds how many changes a watch takes from the ring under one lock.
const page = 64

// overhead is counted for each change and each operation beside its bytes.
const overhead = 64

// Ring keeps the newest changes, bounded by number and by bytes; it always
// keeps the newest one. A watch holds only a cursor: there is no buffer for
// each watcher, so a slow one costs nothing and is told ErrCompacted when what
// it has not seen was dropped.
type Ring struct {
	count, bytes int // limits

	mu     sync.Mutex
	kept   []store.Change // ascending Rev
	size   int            // bytes of kept
	floor  int64          // every change with Rev > floor is in kept
	wake   chan struct{}  // closed and replaced by Add
	closed bool
}

// New returns an empty ring for an engine whose newest revision is rev. It
// keeps at most count changes of together at most bytes bytes.
func New(rev int64, count, bytes int) *Ring {
	return &Ring{count: count, bytes: bytes, floor: rev, wake: make(chan struct{})}
}

// Add appends durable changes, in ascending order of revision. The ring owns
// their slices from then on. It never blocks on a watcher.
func (r *Ring) Add(changes ...store.Change) {
	if len(changes) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range changes {
		r.kept = append(r.kept, c)
		r.size += weight(c)
	}
	drop := 0
	for len(r.kept)-drop > 1 && (len(r.kept)-drop > r.count || r.size > r.bytes) {
		r.floor = r.kept[drop].Rev
		r.size -= weight(r.kept[drop])
		r.kept[drop] = store.Change{}
		drop++
	}
	r.kept = r.kept[drop:]
	close(r.wake)
	r.wake = make(chan struct{})
}

func weight(c store.Change) int {
	n := overhead
	for _, op := range c.Ops {
		n += len(op.Key) + len(op.Value) + overhead
	}
	return n
}

// Close ends all watches with store.ErrClosed.
func (r *Ring) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		close(r.wake)
		r.wake = make(chan struct{})
	}
}

// Watch is store.DB.Watch.
func (r *Ring) Watch(ctx context.Context, prefix []byte, from int64) iter.Seq2[store.Change, error] {
	prefix = bytes.Clone(prefix)
	return func(yield func(store.Change, error) bool) {
		seen := max(from, 0)
		for ctx.Err() == nil {
			changes, wake, err := r.after(seen)
			if err != nil {
				yield(store.Change{}, err)
				return
			}
			for _, c := range changes {
				seen = c.Rev
				if under, ok := filter(c, prefix); ok {
					if ctx.Err() != nil || !yield(under, nil) {
						return
					}
				}
			}
			if len(changes) > 0 {
				continue
			}
			select {
			case <-wake:
			case <-ctx.Done():
			}
		}
	}
}

// after returns the next changes beyond rev, or the channel that is closed when
// there are some.
func (r *Ring) after(rev int64) ([]store.Change, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, store.ErrClosed
	}
	if rev < r.floor {
		return nil, nil, store.ErrCompacted
	}
	i := sort.Search(len(r.kept), func(i int) bool { return r.kept[i].Rev > rev })
	return slices.Clone(r.kept[i:min(i+page, len(r.kept))]), r.wake, nil
}

// filter returns the part of c under prefix, in slices of its own.
func filter(c store.Change, prefix []byte) (store.Change, bool) {
	out := store.Change{Rev: c.Rev}
	for _, op := range c.Ops {
		if bytes.HasPrefix(op.Key, prefix) {
			op.Key, op.Value = bytes.Clone(op.Key), bytes.Clone(op.Value)
			out.Ops = append(out.Ops, op)
		}
	}
	return out, len(out.Ops) > 0
}
