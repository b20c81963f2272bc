package eventlog

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/store"
)

// MaxPending is how many appends may wait for the one that is being written.
// The next one gets ErrBusy at once. Each waiting append is a blocked caller.
const MaxPending = 8192

// groupBytes bounds what is grouped into one Txn, so that an engine with a
// request limit (etcd: 1.5 MiB) takes it. A single larger batch goes alone.
const groupBytes = 1 << 20

// groupOps are the operations of a Txn besides those of its batches: the hash
// run, the checkpoint and the end of a turn.
const groupOps = 3

// commitTimeout bounds one group. Its context is not the caller's: a caller who
// leaves must not fail the others in the group.
const commitTimeout = 30 * time.Second

// yields bounds how often a leader lets others run before it takes its group;
// with nobody to run that is a few microseconds.
const yields = 16

// gather is the part of the last group's time that a leader waits for those who
// were in it or came during it and are not back. Less than gatherLeast is not
// worth a timer, and a store in trouble is no reason for more than gatherMost.
// Yields alone do not bring them: whoever yields in a loop keeps its processor
// from taking over what others have to run.
const (
	gather      = 8
	gatherLeast = 20 * time.Microsecond
	gatherMost  = 5 * time.Millisecond
)

// MaxDrafts is how many events of single commands a batch may have, whatever else
// they are, so that the store takes it in one Txn.
func (l *Log) MaxDrafts() int {
	return (store.OpLimit(l.db) - groupOps - 1) / 3 // record, id and causation of each; the run; see prepare
}

// request is one batch on its way into the log.
type request struct {
	batch   Batch
	target  int64  // offset to blank, or -1
	reason  string // of the redaction
	fixed   bool   // the caller chose at least one id: it may be in the log already
	ready   []prepared
	ops     int
	bytes   int
	taken   bool      // in a group; guarded by Log.mu
	lead    bool      // has been handed the lead; guarded by Log.mu
	wake    chan bool // takes one message: true = lead the next group, false = events and err are set
	events  []Event
	err     error
	settled bool
}

// prepared is what of a draft does not depend on its place.
type prepared struct {
	salt    [saltSize]byte
	payload [32]byte
}

// Append adds a batch to its stream: all or nothing, durable on return, in one
// global order; the events come back with their places.
//
// errors.Is(err, ErrConflict) when the stream's head is not Batch.Expect (the
// *ConflictError has the head), ErrInvalid, ErrTooLarge, ErrBusy: nothing was
// appended. A batch whose ids are all in the log already, in this order in this
// stream, is answered with the stored events, whatever Expect says; if only some
// are, ErrDuplicate. When the store fails in the middle, Append looks the ids up
// and answers the truth; only if it cannot, the error is ErrUncertain.
//
// Concurrent calls share Txns: whoever comes first leads and writes all that
// wait; meanwhile the next group forms. ctx ends the waiting, not the writing.
func (l *Log) Append(ctx context.Context, b Batch) ([]Event, error) {
	for i := range b.Drafts {
		if b.Drafts[i].Type == RedactedType {
			return nil, fmt.Errorf("append %s: %s is appended by Redact only: %w", b.Stream, RedactedType, ErrInvalid)
		}
	}
	r, err := l.prepare(b, -1)
	if err != nil {
		return nil, fmt.Errorf("append %s: %w", b.Stream, err)
	}
	return l.submit(ctx, r)
}

// prepare checks a batch and does all work that needs no lock.
func (l *Log) prepare(b Batch, target int64) (*request, error) {
	r := &request{batch: b, target: target, wake: make(chan bool, 1)}
	if err := name("stream", b.Stream, target < 0); err != nil {
		return nil, err
	}
	if len(b.Drafts) == 0 {
		return nil, fmt.Errorf("batch has no events: %w", ErrInvalid)
	}
	if b.Expect < AnySeq {
		return nil, fmt.Errorf("expected head %d: %w", b.Expect, ErrInvalid)
	}
	// Two writes an event (record, id), one for each run of one causation, one for
	// the run in the stream, one for the blanked record.
	r.ops = 2*len(b.Drafts) + 1
	if target >= 0 {
		r.ops++
	}
	r.batch.Drafts = slices.Clone(b.Drafts)
	r.ready = make([]prepared, len(b.Drafts))
	var ids map[string]bool
	if len(b.Drafts) > 1 {
		ids = make(map[string]bool, len(b.Drafts))
	}
	cause := ""
	for i := range r.batch.Drafts {
		d := &r.batch.Drafts[i]
		if d.ID == "" {
			id, err := uuid.NewV7()
			if err != nil {
				return nil, fmt.Errorf("new id: %w", err)
			}
			d.ID = id.String()
		} else {
			r.fixed = true
		}
		if len(d.Data) == 0 {
			d.Data = json.RawMessage("{}")
		} else {
			d.Data = slices.Clone(d.Data)
		}
		if err := d.check(); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		if ids[d.ID] {
			return nil, fmt.Errorf("event %d: id %s twice in one batch: %w", i, d.ID, ErrInvalid)
		}
		if ids != nil {
			ids[d.ID] = true
		}
		if d.Causation != "" && (i == 0 || d.Causation != cause) {
			r.ops++
		}
		cause = d.Causation
		rand.Read(r.ready[i].salt[:])
		r.ready[i].payload = digest(r.ready[i].salt, d.Data)
		r.bytes += maxHeader + len(d.Data)
	}
	if limit := store.OpLimit(l.db); r.ops+groupOps > limit {
		return nil, fmt.Errorf("%d events need %d writes in one transaction and the store takes %d; append them in smaller batches: %w",
			len(b.Drafts), r.ops+groupOps, limit, ErrTooLarge)
	}
	return r, nil
}

// submit queues r and leads or waits.
func (l *Log) submit(ctx context.Context, r *request) ([]Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	if len(l.pending) >= MaxPending {
		l.mu.Unlock()
		return nil, fmt.Errorf("append %s: %w", r.batch.Stream, ErrBusy)
	}
	l.pending = append(l.pending, r)
	if l.full != nil && len(l.pending) >= l.crowd {
		close(l.full)
		l.full = nil
	}
	leads := !l.leading
	l.leading = true
	l.mu.Unlock()

	if !leads {
		select {
		case leads = <-r.wake:
		case <-ctx.Done():
			l.mu.Lock()
			if !r.lead && !r.taken {
				i := slices.Index(l.pending, r)
				l.pending = slices.Delete(l.pending, i, i+1)
				l.mu.Unlock()
				return nil, ctx.Err()
			}
			l.mu.Unlock()
			leads = <-r.wake // it is being written, or has to lead: wait for the truth
		}
	}
	if leads {
		l.leadOnce(context.WithoutCancel(ctx))
	}
	return r.events, r.err
}

// leadOnce writes one group, whose first request is the caller's own, and hands
// the lead to the first that waits, so that nobody works for others for ever.
func (l *Log) leadOnce(ctx context.Context) {
	// Those whom the last group has just released may want to be in this one:
	// let them run first. Without it, 100 busy writers fall into a rhythm of two
	// half groups, and each waits for two. A lone writer never waits.
	l.mu.Lock()
	for i := 0; i < yields && len(l.pending) < l.crowd; i++ {
		l.mu.Unlock()
		runtime.Gosched()
		l.mu.Lock()
	}
	if wait := min(l.took/gather, gatherMost); wait >= gatherLeast && len(l.pending) < l.crowd {
		full := make(chan struct{})
		l.full = full
		l.mu.Unlock()
		late := time.NewTimer(wait)
		select {
		case <-full:
		case <-late.C:
		}
		late.Stop()
		l.mu.Lock()
		l.full = nil
	}
	group := l.take()
	l.mu.Unlock()
	begin := time.Now()
	defer func() { // also when a store panics: nobody may wait for ever
		l.mu.Lock()
		l.crowd, l.took = len(group)+len(l.pending), time.Since(begin)
		if len(l.pending) > 0 {
			l.pending[0].lead = true
			l.pending[0].wake <- true
		} else {
			l.leading = false
		}
		l.mu.Unlock()
		for _, r := range group {
			r.settle(nil, ErrUncertain)
			if r != group[0] { // the caller
				r.wake <- false
			}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	l.write(ctx, group)
}

// settle gives r its answer, once.
func (r *request) settle(events []Event, err error) {
	if r.settled {
		return
	}
	r.settled, r.events = true, events
	if err != nil {
		r.events, r.err = nil, fmt.Errorf("append %s: %w", r.batch.Stream, err)
	}
}

// take removes the next group from the queue: in order, as many as fit one Txn.
func (l *Log) take() []*request {
	ops, bytes, n := groupOps, 0, 0
	limit := store.OpLimit(l.db)
	for _, r := range l.pending {
		if n > 0 && (ops+r.ops > limit || bytes+r.bytes > groupBytes) {
			break
		}
		ops, bytes, n = ops+r.ops, bytes+r.bytes, n+1
		r.taken = true
	}
	group := slices.Clone(l.pending[:n])
	l.pending = slices.Delete(l.pending, 0, n)
	return group
}
