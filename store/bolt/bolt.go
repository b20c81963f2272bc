// Package bolt owns the engine of store that keeps everything in one file, by
// bbolt, with group commit; it never lets a second process write that file.
package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/internal/ring"
	"github.com/tocsin-ops/tocsin/store/internal/seat"
)

// Limits of one Txn: operations, bytes of a key, bytes of all keys and values.
const (
	maxOps   = 4096
	maxKey   = bbolt.MaxKeySize
	maxBytes = 16 << 20
)

var (
	// ErrLocked is returned by Open when another process has the file open.
	ErrLocked = errors.New("another tocsin serves this directory; stop it or choose another --data")
	// ErrDamaged is returned when the file is not one that this engine wrote, or
	// no longer.
	ErrDamaged = errors.New("the store file is damaged; restore it from a backup")
	// ErrReadOnly is returned by Commit after OpenReadOnly. Nothing happened.
	ErrReadOnly = errors.New("the store is open for reading only")
)

// Buckets and keys of the file. A value in the keys bucket is the revision that
// wrote it (8 bytes, big endian) and then the bytes of the caller.
var (
	bucketKeys = []byte("keys")
	bucketSelf = []byte("self")
	keyRev     = []byte("rev")
	keyFormat  = []byte("format")
	format     = []byte("tocsin store 1")
)

// DB implements store.DB, store.Elector (among the goroutines of this process,
// which is the only one that can open the file) and store.Revisioner.
type DB struct {
	bolt     *bbolt.DB
	readOnly bool
	rev      atomic.Int64 // newest durable revision
	changes  *ring.Ring
	seats    seat.Seats

	mu     sync.Mutex    // guards what follows
	queue  []*call       // the batch that forms; queue[0] will lead it
	weight int           // of the queue
	busy   bool          // somebody leads, or is told to
	crowd  int           // callers of the last batch and of the queue it left
	space  chan struct{} // closed and replaced when the queue was taken
	closed bool
	idle   chan struct{} // made by Close, closed when not busy

	broken error       // only the leader touches it, and
	ahead  ahead       // this
	begun  func(*call) // for tests: called in the Update before each Txn
}

// MaxOps is the number of conditions, and of changes, taken in one Txn: 4096.
func (d *DB) MaxOps() int { return maxOps }

// view runs fn in a read transaction. What bbolt panics with on a damaged file,
// and a fault in its memory map, become ErrDamaged.
func (d *DB) view(ctx context.Context, fn func(keys *bbolt.Bucket) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer guard(debug.SetPanicOnFault(true), &err)
	err = d.bolt.View(func(tx *bbolt.Tx) error { return fn(tx.Bucket(bucketKeys)) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return store.ErrClosed
	}
	return err
}

// guard is deferred: it turns a panic into ErrDamaged and puts the setting of
// debug.SetPanicOnFault back.
func guard(before bool, err *error) {
	debug.SetPanicOnFault(before)
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w (%v)", ErrDamaged, p)
	}
}

// split parts a stored value into revision and the caller's bytes, copied.
func split(key, stored []byte) (store.KV, error) {
	if len(stored) < 8 || len(stored) > maxBytes+8 || len(key) > maxKey {
		return store.KV{}, fmt.Errorf("%w (an entry of %d and %d bytes)", ErrDamaged, len(key), len(stored))
	}
	return store.KV{
		Key:   bytes.Clone(key),
		Value: bytes.Clone(stored[8:]),
		Rev:   int64(binary.BigEndian.Uint64(stored)),
	}, nil
}

// Get is store.DB.Get. It may return what a Commit wrote a moment before that
// Commit has returned.
func (d *DB) Get(ctx context.Context, key []byte) (kv store.KV, err error) {
	err = d.view(ctx, func(keys *bbolt.Bucket) error {
		stored := keys.Get(key)
		if stored == nil {
			return store.ErrNotFound
		}
		kv, err = split(key, stored)
		return err
	})
	if err != nil {
		return store.KV{}, fmt.Errorf("get %q: %w", key, err)
	}
	return kv, nil
}

// Scan is store.DB.Scan. A read transaction is open while the loop body runs:
// pages freed meanwhile are not used again, so a body that takes long makes the
// file grow, and Close waits for it.
func (d *DB) Scan(ctx context.Context, r store.Range) iter.Seq2[store.KV, error] {
	r.From, r.To = bytes.Clone(r.From), bytes.Clone(r.To)
	return func(yield func(store.KV, error) bool) {
		fail := func(err error) { yield(store.KV{}, fmt.Errorf("scan from %q: %w", r.From, err)) }
		if err := ctx.Err(); err != nil {
			fail(err)
			return
		}
		tx, err := d.bolt.Begin(false)
		if errors.Is(err, berrors.ErrDatabaseNotOpen) {
			err = store.ErrClosed
		}
		if err != nil {
			fail(err)
			return
		}
		defer tx.Rollback()
		w := walk{r: r}
		for n := 0; r.Limit <= 0 || n < r.Limit; n++ {
			kv, ok, err := w.next(tx)
			if err == nil && ok {
				err = ctx.Err()
			}
			if err != nil {
				fail(err)
				return
			}
			if !ok || !yield(kv, nil) {
				return
			}
		}
	}
}

// walk steps through a range. It guards each step and not the loop body, whose
// panics are not ours.
type walk struct {
	r      store.Range
	cursor *bbolt.Cursor
	last   []byte
}

func (w *walk) next(tx *bbolt.Tx) (kv store.KV, ok bool, err error) {
	defer guard(debug.SetPanicOnFault(true), &err)
	var key, stored []byte
	switch {
	case w.cursor == nil:
		w.cursor = tx.Bucket(bucketKeys).Cursor()
		key, stored = w.first()
	case w.r.Reverse:
		key, stored = w.cursor.Prev()
	default:
		key, stored = w.cursor.Next()
	}
	if key == nil {
		return store.KV{}, false, nil
	}
	if w.r.Reverse && bytes.Compare(key, w.r.From) < 0 ||
		!w.r.Reverse && len(w.r.To) > 0 && bytes.Compare(key, w.r.To) >= 0 {
		return store.KV{}, false, nil
	}
	if c := bytes.Compare(key, w.last); w.last != nil && (c == 0 || (c < 0) != w.r.Reverse) {
		return store.KV{}, false, fmt.Errorf("%w (key %q comes after %q)", ErrDamaged, key, w.last)
	}
	kv, err = split(key, stored)
	w.last = append(w.last[:0], key...)
	return kv, err == nil, err
}

func (w *walk) first() (key, stored []byte) {
	switch {
	case !w.r.Reverse:
		return w.cursor.Seek(w.r.From)
	case len(w.r.To) == 0:
		return w.cursor.Last()
	}
	if key, _ = w.cursor.Seek(w.r.To); key == nil {
		return w.cursor.Last()
	}
	return w.cursor.Prev()
}

// Watch is store.DB.Watch. It keeps the newest changes since Open, as many as
// Options say; revisions of before Open are compacted.
func (d *DB) Watch(ctx context.Context, prefix []byte, from int64) iter.Seq2[store.Change, error] {
	return d.changes.Watch(ctx, prefix, from)
}

// Revision is store.Revisioner.Revision.
func (d *DB) Revision(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("revision: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, fmt.Errorf("revision: %w", store.ErrClosed)
	}
	return d.rev.Load(), nil
}

// Lead is store.Elector.Lead.
func (d *DB) Lead(ctx context.Context, name string, run func(context.Context) error) error {
	return d.seats.Lead(ctx, name, run)
}

// Backup writes the whole store, as of one revision, to w and returns the
// number of bytes. Commits go on meanwhile. The bytes are a file that Open and
// OpenReadOnly take.
func (d *DB) Backup(w io.Writer) (n int64, err error) {
	err = d.bolt.View(func(tx *bbolt.Tx) error {
		n, err = tx.WriteTo(w)
		return err
	})
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		err = store.ErrClosed
	}
	if err != nil {
		return n, fmt.Errorf("back up the store: %w", err)
	}
	return n, nil
}

// Close is store.DB.Close: Commits that wait are still made durable, new ones
// are refused, Scans are waited for, leaders lose what they lead.
func (d *DB) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return fmt.Errorf("close: %w", store.ErrClosed)
	}
	d.closed = true
	close(d.space) // who waits for space finds the store closed
	idle := make(chan struct{})
	if d.idle = idle; !d.busy {
		close(idle)
	}
	d.mu.Unlock()
	d.changes.Close()
	d.seats.Close()
	<-idle
	if err := d.bolt.Close(); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	return nil
}
