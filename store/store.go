// Package store owns the storage contracts of Tocsin: an ordered key-value
// store shaped like etcd. It holds no engine; store/bolt, store/mem and later
// store/etcd implement it, and store/storetest is the one suite all must pass.
package store

import (
	"context"
	"errors"
	"iter"
)

var (
	// ErrNotFound is returned by Get when the key does not exist.
	ErrNotFound = errors.New("key not found")
	// ErrConflict is returned by Commit when a condition did not hold. Nothing
	// of that Txn was applied. Every other error of Commit means that the Txn
	// may or may not have happened.
	ErrConflict = errors.New("condition did not hold")
	// ErrCompacted is yielded by Watch when the changes asked for are no longer
	// kept. The caller reads the state anew and watches from that revision.
	ErrCompacted = errors.New("revision is compacted")
	// ErrTooLarge is returned by Commit for a Txn with more operations, or a key
	// or value longer, than the engine takes. Nothing was applied.
	ErrTooLarge = errors.New("transaction too large")
	// ErrClosed is returned by every method after Close.
	ErrClosed = errors.New("store is closed")
)

// MaxOps is the number of operations (conditions and changes, counted apart)
// that every engine takes in one Txn. It is below etcd's default limit of 128.
// Engines that take more say so through OpLimit.
const MaxOps = 64

// KV is one key with its value. Rev is the revision of the Commit that last
// wrote the key. The receiver owns the slices.
type KV struct {
	Key   []byte
	Value []byte
	Rev   int64
}

// Range selects keys From <= key < To in key order. An empty To means "to the
// end". Limit 0 means no limit. Reverse walks from the highest key down.
type Range struct {
	From, To []byte
	Limit    int
	Reverse  bool
}

// Cond holds when the revision that last wrote Key equals Rev. Rev 0 means that
// the key must not exist.
type Cond struct {
	Key []byte
	Rev int64
}

// Op writes Value under Key, or removes Key when Delete is set.
type Op struct {
	Key    []byte
	Value  []byte
	Delete bool
}

// Txn is applied as a whole when all conditions hold, else not at all. A key
// may be written at most once in one Txn.
type Txn struct {
	If   []Cond
	Then []Op
}

// Change is what one Commit did to the watched prefix, in the order of its
// operations.
type Change struct {
	Rev int64
	Ops []Op
}

// DB is an ordered key-value store. All methods may be called from any number
// of goroutines. Engines keep no reference to slices passed in after the call
// returns, and never change slices they have handed out.
type DB interface {
	// Get returns the newest committed value, or ErrNotFound. It sees every
	// Commit that returned before Get was called.
	Get(ctx context.Context, key []byte) (KV, error)

	// Scan yields the keys of one revision in key order, and at most one error,
	// last. The loop body must not call Commit (an engine may hold a read
	// transaction open): collect first, then write.
	Scan(ctx context.Context, r Range) iter.Seq2[KV, error]

	// Commit applies the Txn if all conditions hold and returns the revision it
	// created; revisions grow strictly, one for each Txn. The change is durable
	// on return. ErrConflict and ErrTooLarge: nothing happened. Any other
	// error: the Txn may have happened, now or later; the caller finds out by
	// reading what it wrote.
	Commit(ctx context.Context, txn Txn) (rev int64, err error)

	// Watch yields every Change with a key under prefix and a revision > from,
	// in commit order, without gap, for ever, until ctx ends (then it stops
	// without an error) or the loop is left. It yields ErrCompacted and stops
	// when from is older than the engine still keeps. Only durable changes are
	// yielded.
	Watch(ctx context.Context, prefix []byte, from int64) iter.Seq2[Change, error]

	// Close waits for commits in flight and releases the engine. Watches end
	// with ErrClosed.
	Close() error
}

// Elector makes one holder of a name at a time across all replicas.
type Elector interface {
	// Lead blocks until this caller leads name, then calls run with a context
	// that ends when leadership is lost or ctx ends, and returns run's error.
	Lead(ctx context.Context, name string, run func(context.Context) error) error
}

// Revisioner is implemented by engines that can tell the newest durable
// revision, to start a Watch from.
type Revisioner interface {
	Revision(ctx context.Context) (int64, error)
}

// OpLimit returns the number of operations db takes in one Txn: what its
// MaxOps method says, or MaxOps.
func OpLimit(db DB) int {
	if l, ok := db.(interface{ MaxOps() int }); ok {
		return l.MaxOps()
	}
	return MaxOps
}
