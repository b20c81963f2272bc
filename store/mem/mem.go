// Package mem owns the reference engine of store: the whole contract in memory,
// for tests and throw-away rooms; it never touches a disk.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"sort"
	"sync"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/internal/ring"
	"github.com/tocsin-ops/tocsin/store/internal/seat"
)

// Limits of one Txn beside the number of operations, in bytes.
const (
	maxKey   = 32 << 10
	maxBytes = 16 << 20
)

// Options bound the engine. The zero value is the strictest that the contract
// allows, so that code tested on it also runs on etcd.
type Options struct {
	MaxOps    int // operations in one Txn; 0 = store.MaxOps
	KeepCount int // newest changes kept for Watch; 0 = 4096
	KeepBytes int // bytes of these; 0 = 16 MiB
}

// DB implements store.DB, store.Elector and store.Revisioner.
type DB struct {
	seats   seat.Seats
	maxOps  int
	changes *ring.Ring

	mu     sync.RWMutex
	sorted []*store.KV // by key; an entry is never changed, only replaced
	rev    int64
	closed bool
}

// New returns an empty store with the zero Options.
func New() *DB { return Open(Options{}) }

// Open returns an empty store. It cannot fail.
func Open(o Options) *DB {
	or := func(v, otherwise int) int {
		if v > 0 {
			return v
		}
		return otherwise
	}
	return &DB{
		maxOps:  or(o.MaxOps, store.MaxOps),
		changes: ring.New(0, or(o.KeepCount, 4096), or(o.KeepBytes, 16<<20)),
	}
}

// MaxOps is the number of conditions, and of changes, taken in one Txn.
func (d *DB) MaxOps() int { return d.maxOps }

// find returns the place of key in sorted and whether it is there.
func (d *DB) find(key []byte) (int, bool) {
	i := sort.Search(len(d.sorted), func(i int) bool { return bytes.Compare(d.sorted[i].Key, key) >= 0 })
	return i, i < len(d.sorted) && bytes.Equal(d.sorted[i].Key, key)
}

// Get is store.DB.Get.
func (d *DB) Get(ctx context.Context, key []byte) (store.KV, error) {
	if err := ctx.Err(); err != nil {
		return store.KV{}, fmt.Errorf("get %q: %w", key, err)
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return store.KV{}, fmt.Errorf("get %q: %w", key, store.ErrClosed)
	}
	i, ok := d.find(key)
	if !ok {
		return store.KV{}, fmt.Errorf("get %q: %w", key, store.ErrNotFound)
	}
	return clone(d.sorted[i]), nil
}

func clone(kv *store.KV) store.KV {
	return store.KV{Key: bytes.Clone(kv.Key), Value: bytes.Clone(kv.Value), Rev: kv.Rev}
}

// Scan is store.DB.Scan. It holds no lock while the loop body runs.
func (d *DB) Scan(ctx context.Context, r store.Range) iter.Seq2[store.KV, error] {
	r.From, r.To = bytes.Clone(r.From), bytes.Clone(r.To)
	return func(yield func(store.KV, error) bool) {
		hits, err := d.snapshot(r)
		if err != nil {
			yield(store.KV{}, fmt.Errorf("scan from %q: %w", r.From, err))
			return
		}
		for _, kv := range hits {
			if err := ctx.Err(); err != nil {
				yield(store.KV{}, fmt.Errorf("scan from %q: %w", r.From, err))
				return
			}
			if !yield(clone(kv), nil) {
				return
			}
		}
	}
}

// snapshot returns the entries of r in the order asked for.
func (d *DB) snapshot(r store.Range) ([]*store.KV, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil, store.ErrClosed
	}
	from, _ := d.find(r.From)
	to := len(d.sorted)
	if len(r.To) > 0 {
		to, _ = d.find(r.To)
	}
	if from >= to {
		return nil, nil
	}
	if n := to - from; r.Limit > 0 && r.Limit < n {
		if r.Reverse {
			from = to - r.Limit
		} else {
			to = from + r.Limit
		}
	}
	hits := slices.Clone(d.sorted[from:to])
	if r.Reverse {
		slices.Reverse(hits)
	}
	return hits, nil
}

// Commit is store.DB.Commit. When ctx has ended before, nothing happened.
func (d *DB) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	if err := store.Check(txn, d.maxOps, maxKey, maxBytes); err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, fmt.Errorf("commit: %w", store.ErrClosed)
	}
	for _, c := range txn.If {
		var rev int64
		if i, ok := d.find(c.Key); ok {
			rev = d.sorted[i].Rev
		}
		if rev != c.Rev {
			return 0, fmt.Errorf("commit: key %q is at revision %d, not %d: %w", c.Key, rev, c.Rev, store.ErrConflict)
		}
	}
	d.rev++
	done := store.Change{Rev: d.rev}
	for _, op := range txn.Then {
		i, there := d.find(op.Key)
		if op.Delete {
			if there {
				d.sorted = slices.Delete(d.sorted, i, i+1)
				done.Ops = append(done.Ops, store.Op{Key: bytes.Clone(op.Key), Delete: true})
			}
			continue
		}
		kv := &store.KV{Key: bytes.Clone(op.Key), Value: bytes.Clone(op.Value), Rev: d.rev}
		if there {
			d.sorted[i] = kv
		} else {
			d.sorted = slices.Insert(d.sorted, i, kv)
		}
		done.Ops = append(done.Ops, store.Op{Key: kv.Key, Value: kv.Value})
	}
	d.changes.Add(done)
	return d.rev, nil
}

// Watch is store.DB.Watch. How much is kept is said in Options.
func (d *DB) Watch(ctx context.Context, prefix []byte, from int64) iter.Seq2[store.Change, error] {
	return d.changes.Watch(ctx, prefix, from)
}

// Revision is store.Revisioner.Revision.
func (d *DB) Revision(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("revision: %w", err)
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return 0, fmt.Errorf("revision: %w", store.ErrClosed)
	}
	return d.rev, nil
}

// Lead is store.Elector.Lead among the users of this DB.
func (d *DB) Lead(ctx context.Context, name string, run func(context.Context) error) error {
	return d.seats.Lead(ctx, name, run)
}

// Close is store.DB.Close. Leaders lose what they lead.
func (d *DB) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("close: %w", store.ErrClosed)
	}
	d.closed = true
	d.changes.Close()
	d.seats.Close()
	return nil
}
