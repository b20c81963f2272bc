// Package store owns the storage contracts of Tocsin: an ordered key-value
// store shaped like etcd. It holds no engine; store/bolt, store/mem and later
// store/etcd implement it, and store/storetest is the one suite all must pass.
package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
)

var (
	// ErrNotFound is returned by Get when the key does not exist.
	ErrNotFound = errors.New("key not found")
	// ErrConflict is returned by Commit when a condition did not hold. Nothing
	// of that Txn was applied. See DB.Commit for what other errors mean.
	ErrConflict = errors.New("condition did not hold")
	// ErrCompacted is yielded by Watch when the changes asked for are no longer
	// kept. The caller reads the state anew and watches from that revision.
	ErrCompacted = errors.New("revision is compacted")
	// ErrTooLarge is returned by Commit for a Txn with more operations, or a key
	// or value longer, than the engine takes. Nothing was applied.
	ErrTooLarge = errors.New("transaction too large")
	// ErrInvalid is returned by Commit for a Txn that no engine takes: an empty
	// key, or a key written twice. Nothing was applied.
	ErrInvalid = errors.New("transaction not valid")
	// ErrUnavailable is within every error of a store that several replicas share
	// which says that it did not answer, or would not take anything, and that has
	// no name above. After a Commit, the Txn may have happened.
	ErrUnavailable = errors.New("store is not available")
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
// may be written at most once in one Txn. To delete a key that does not exist
// is allowed and changes nothing.
type Txn struct {
	If   []Cond
	Then []Op
}

// Change is what one Commit did to the watched prefix, in the order of its
// operations, without deletes of keys that did not exist. The receiver owns
// the slices; the Value of a delete is empty.
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
	// created; revisions grow strictly, one for each Txn, also for one that
	// changes nothing. The change is durable on return. ErrConflict,
	// ErrTooLarge, ErrInvalid and ErrClosed: nothing happened. Any other error,
	// that of ctx included: the Txn may have happened, now or later; the caller
	// finds out by reading what it wrote.
	Commit(ctx context.Context, txn Txn) (rev int64, err error)

	// Watch yields every Change with a key under prefix and a revision > from,
	// in commit order, without gap, for ever, until ctx ends (then it stops
	// without an error) or the loop is left. It yields ErrCompacted and stops
	// when from is older than the engine still keeps. Only durable changes are
	// yielded.
	Watch(ctx context.Context, prefix []byte, from int64) iter.Seq2[Change, error]

	// Close waits for commits in flight and releases the engine. Watches end
	// with ErrClosed. It must not be called from the body of a Scan.
	Close() error
}

// Elector makes one holder of a name at a time across all replicas.
type Elector interface {
	// Lead blocks until this caller leads name, then calls run with a context
	// that ends when leadership is lost or ctx ends, and returns run's error.
	Lead(ctx context.Context, name string, run func(context.Context) error) error
}

// Revisioner is implemented by engines that can tell the newest durable
// revision, to start a Watch from. Ask it before the Scan that the Watch is to
// continue: a change between the two is then seen twice (KV.Rev tells), never
// missed.
type Revisioner interface {
	Revision(ctx context.Context) (int64, error)
}

// Ephemeral is implemented by engines that several replicas share. It carries
// what is true only while a process lives: presence, live samples. It is for no
// fact that anybody decides on.
type Ephemeral interface {
	// Tell shows value under key to the other replicas until this process tells
	// otherwise or is gone for some seconds; a nil value takes the key away. The
	// newest wins, and what was told while the store was troubled may be lost.
	// Others see it by Get, Scan and Watch like any key.
	Tell(ctx context.Context, key, value []byte) error
}

type staleKey struct{}

// AllowStale returns a context in which Get and Scan of an engine that has lost
// its quorum may answer with what was durable some time ago. It is for showing,
// on pages that say so, never for deciding.
func AllowStale(ctx context.Context) context.Context {
	return context.WithValue(ctx, staleKey{}, new(atomic.Bool))
}

// StaleAllowed reports whether ctx came from AllowStale.
func StaleAllowed(ctx context.Context) bool {
	_, ok := ctx.Value(staleKey{}).(*atomic.Bool)
	return ok
}

// MarkStale is called by engines that answer something in ctx with what may be
// old. Outside of AllowStale it does nothing.
func MarkStale(ctx context.Context) {
	if stale, ok := ctx.Value(staleKey{}).(*atomic.Bool); ok {
		stale.Store(true)
	}
}

// AnsweredStale reports whether anything asked in ctx was answered with what may
// be old, so that whoever shows it can say so.
func AnsweredStale(ctx context.Context) bool {
	stale, ok := ctx.Value(staleKey{}).(*atomic.Bool)
	return ok && stale.Load()
}

// OpLimit returns the number of operations db takes in one Txn: what its
// MaxOps method says, or MaxOps.
func OpLimit(db DB) int {
	if l, ok := db.(interface{ MaxOps() int }); ok {
		return l.MaxOps()
	}
	return MaxOps
}

// Check tells whether a Txn is one that an engine with these limits takes: at
// most ops conditions, at most ops changes, no key longer than key bytes, keys
// and values together at most total bytes. The error is ErrTooLarge or
// ErrInvalid. Engines call it before anything else.
func Check(txn Txn, ops, key, total int) error {
	if len(txn.If) > ops || len(txn.Then) > ops {
		return fmt.Errorf("%w: %d conditions and %d changes, the limit is %d of each", ErrTooLarge, len(txn.If), len(txn.Then), ops)
	}
	for _, c := range txn.If {
		if err := checkKey(c.Key, key); err != nil {
			return err
		}
	}
	size := 0
	seen := make(map[string]struct{}, len(txn.Then))
	for _, op := range txn.Then {
		if err := checkKey(op.Key, key); err != nil {
			return err
		}
		if _, twice := seen[string(op.Key)]; twice {
			return fmt.Errorf("%w: key %q is written twice", ErrInvalid, op.Key)
		}
		seen[string(op.Key)] = struct{}{}
		size += len(op.Key) + len(op.Value)
	}
	if size > total {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, size, total)
	}
	return nil
}

func checkKey(key []byte, limit int) error {
	switch {
	case len(key) == 0:
		return fmt.Errorf("%w: empty key", ErrInvalid)
	case len(key) > limit:
		return fmt.Errorf("%w: a key of %d bytes, the limit is %d", ErrTooLarge, len(key), limit)
	}
	return nil
}
