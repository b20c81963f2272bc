package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/tocsin-ops/tocsin/store"
)

// The queue holds at most queueCalls Txns of together at most queueWeight bytes
// (each operation counts 64 beside its own), or one Txn of any size allowed.
// When it is full, Commit blocks until the leader has taken it or ctx ends.
const (
	queueCalls  = 1024
	queueWeight = 16 << 20
)

// yields bounds how often a leader lets others run before it takes its batch;
// with nobody to run that is a few microseconds.
const yields = 16

// errNothing rolls a batch back in which no Txn held: there is nothing to sync.
var errNothing = errors.New("no transaction held")

// call is one Commit on its way. Its fields are the leader's while it is in a
// batch, and its caller's after wake.
type call struct {
	txn    store.Txn // a copy: it outlives a caller whose ctx ends
	stored [][]byte  // its values, each behind room for the revision
	weight int
	wake   chan bool // takes one message: true = lead the batch that formed, false = it is done
	leads  bool      // true was sent, or will not have to be; guarded by DB.mu
	rev    int64
	done   store.Change
	err    error
}

// newCall copies txn, into one piece of memory: each value with 8 bytes before it,
// where write puts the revision, as the file has it.
func newCall(txn store.Txn) *call {
	c := &call{wake: make(chan bool, 1), txn: store.Txn{If: slices.Clone(txn.If), Then: slices.Clone(txn.Then)}}
	size := 0
	for _, cond := range txn.If {
		size += len(cond.Key)
	}
	for _, op := range txn.Then {
		size += len(op.Key) + 8 + len(op.Value)
	}
	c.weight = size + 64*(len(txn.If)+len(txn.Then))
	all := make([]byte, 0, size)
	copied := func(parts ...[]byte) []byte {
		from := len(all)
		for _, p := range parts {
			all = append(all, p...)
		}
		return all[from:len(all):len(all)]
	}
	for i, cond := range txn.If {
		c.txn.If[i].Key = copied(cond.Key)
	}
	c.stored = make([][]byte, len(txn.Then))
	var rev [8]byte
	for i, op := range txn.Then {
		c.txn.Then[i].Key = copied(op.Key)
		c.stored[i] = copied(rev[:], op.Value)
		c.txn.Then[i].Value = c.stored[i][8:]
	}
	return c
}

// Commit is store.DB.Commit. Concurrent Commits share one sync of the disk: the
// first caller leads a batch while the next batch forms behind it, then hands
// the lead to the first of those. So nobody does more than one batch for
// others, and there is no goroutine and no timer.
//
// When ctx ends before a leader took the Txn, nothing happened; when it ends
// later, the Txn goes on without its caller, who cannot tell the two apart.
func (d *DB) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	if err := store.Check(txn, maxOps, maxKey, maxBytes); err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	c := newCall(txn)
	lead, err := d.enter(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	if !lead {
		select {
		case lead = <-c.wake:
		case <-ctx.Done():
			d.withdraw(c)
			return 0, fmt.Errorf("commit, which may have happened: %w", ctx.Err())
		}
	}
	if lead {
		d.lead()
	}
	if c.err != nil {
		return 0, fmt.Errorf("commit: %w", c.err)
	}
	return c.rev, nil
}

// enter puts c into the queue, waiting for space, and tells whether its caller
// must lead at once.
func (d *DB) enter(ctx context.Context, c *call) (lead bool, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		d.mu.Lock()
		if d.closed || d.readOnly {
			err := store.ErrClosed
			if !d.closed {
				err = ErrReadOnly
			}
			d.mu.Unlock()
			return false, err
		}
		if len(d.queue) == 0 || len(d.queue) < queueCalls && d.weight+c.weight <= queueWeight {
			d.queue = append(d.queue, c)
			d.weight += c.weight
			lead = !d.busy
			d.busy = true
			c.leads = lead
			d.mu.Unlock()
			return lead, nil
		}
		space := d.space
		d.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
		}
	}
}

// withdraw takes c out of the queue if no leader took it yet, and passes the
// lead on if c was to have it.
func (d *DB) withdraw(c *call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.queue, c)
	if i < 0 {
		return
	}
	d.queue = slices.Delete(d.queue, i, i+1)
	d.weight -= c.weight
	d.freeSpace()
	if c.leads {
		d.pass()
	}
}

// freeSpace wakes those who wait for space in the queue. DB.mu is held.
func (d *DB) freeSpace() {
	if !d.closed {
		close(d.space)
		d.space = make(chan struct{})
	}
}

// pass gives the lead to the first of the queue, or to nobody. DB.mu is held.
func (d *DB) pass() {
	if len(d.queue) > 0 {
		d.queue[0].leads = true
		d.queue[0].wake <- true
		return
	}
	d.busy = false
	if d.idle != nil {
		close(d.idle)
	}
}

// lead takes the queue, of which the caller is the first, and commits it.
func (d *DB) lead() {
	// Those whom the last batch has just released may want to be in this one:
	// let them run first. Without it, 100 busy writers fall into a rhythm of two
	// half batches, and each waits for two. No timer: a lone writer never waits.
	d.mu.Lock()
	for i := 0; i < yields && len(d.queue) < d.crowd; i++ {
		d.mu.Unlock()
		runtime.Gosched()
		d.mu.Lock()
	}
	batch := d.queue
	d.queue, d.weight = nil, 0
	d.freeSpace()
	d.mu.Unlock()

	if err := d.apply(batch); err != nil {
		for _, c := range batch {
			c.err = err
		}
	}
	for _, c := range batch[1:] {
		c.wake <- false
	}
	d.mu.Lock()
	d.crowd = len(batch) + len(d.queue)
	d.pass()
	d.mu.Unlock()
}

// apply commits a batch with one sync. A Txn whose conditions do not hold gets
// ErrConflict and leaves nothing. An error is the answer to the whole batch:
// even a conflict may have been with a Txn that now is not there.
func (d *DB) apply(batch []*call) (err error) {
	if d.broken != nil {
		return d.broken
	}
	defer func() {
		if p := recover(); p != nil {
			d.broken = fmt.Errorf("%w (%v)", ErrDamaged, p)
			err = d.broken
		}
	}()
	before := d.rev.Load()
	rev := before
	err = d.bolt.Update(func(tx *bbolt.Tx) error {
		d.ahead.reserve(tx)
		keys := tx.Bucket(bucketKeys)
		keys.FillPercent = 0.8 // most keys are appended
		for _, c := range batch {
			if d.begun != nil {
				d.begun(c)
			}
			if c.err = c.check(keys); c.err != nil {
				continue
			}
			rev++
			if err := c.write(keys, rev); err != nil {
				return err
			}
		}
		if rev == before {
			return errNothing
		}
		return tx.Bucket(bucketSelf).Put(keyRev, binary.BigEndian.AppendUint64(nil, uint64(rev)))
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	if err != nil {
		return d.failed(err, before)
	}
	d.rev.Store(rev)
	changes := make([]store.Change, 0, len(batch))
	for _, c := range batch {
		if c.err == nil {
			changes = append(changes, c.done)
		}
	}
	d.changes.Add(changes...)
	return nil
}

// failed decides whether the engine can go on after an Update failed. If the
// batch is not visible, bbolt is where it was, and the next batch writes all of
// its own pages anew. If it is visible although the disk did not confirm it,
// nothing may be built on it: every later Commit is refused until the file is
// opened again.
func (d *DB) failed(err error, before int64) error {
	err = fmt.Errorf("write the store: %w", err)
	visible := d.bolt.View(func(tx *bbolt.Tx) error {
		if rev, e := revision(tx); e != nil || rev != before {
			return fmt.Errorf("revision %d, not %d: %w", rev, before, errors.Join(e, ErrDamaged))
		}
		return nil
	})
	if visible != nil {
		d.broken = fmt.Errorf("the disk did not confirm a write; check it, then start tocsin again: %w", err)
		return d.broken
	}
	return err
}

// check tells whether the conditions hold.
func (c *call) check(keys *bbolt.Bucket) error {
	for _, cond := range c.txn.If {
		var rev int64
		if stored := keys.Get(cond.Key); len(stored) >= 8 {
			rev = int64(binary.BigEndian.Uint64(stored))
		}
		if rev != cond.Rev {
			return fmt.Errorf("key %q is at revision %d, not %d: %w", cond.Key, rev, cond.Rev, store.ErrConflict)
		}
	}
	return nil
}

// write makes the changes and notes them for the watches. The slices of c are
// its own, and never change.
func (c *call) write(keys *bbolt.Bucket, rev int64) error {
	c.rev, c.done = rev, store.Change{Rev: rev}
	c.done.Ops = make([]store.Op, 0, len(c.txn.Then))
	for i, op := range c.txn.Then {
		if op.Delete {
			if keys.Get(op.Key) == nil {
				continue
			}
			if err := keys.Delete(op.Key); err != nil {
				return fmt.Errorf("delete %q: %w", op.Key, err)
			}
			c.done.Ops = append(c.done.Ops, store.Op{Key: op.Key, Delete: true})
			continue
		}
		binary.BigEndian.PutUint64(c.stored[i], uint64(rev))
		if err := keys.Put(op.Key, c.stored[i]); err != nil {
			return fmt.Errorf("put %q: %w", op.Key, err)
		}
		c.done.Ops = append(c.done.Ops, op)
	}
	return nil
}
