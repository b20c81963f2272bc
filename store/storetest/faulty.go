package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/tocsin-ops/tocsin/store"
)

// ErrInjected is the error of a Commit that Faulty made fail. It says, as every
// unlisted error of Commit does, that the Txn may have happened.
var ErrInjected = errors.New("injected fault")

// Fault is what Faulty does to one Commit. The zero value lets it pass.
type Fault struct {
	kind  kind
	until <-chan struct{}
}

type kind int

const (
	pass kind = iota
	lose
	saveAndFail
	saveLater
	hold
)

// Pass lets the Commit through untouched.
func Pass() Fault { return Fault{} }

// Lose saves nothing and answers ErrInjected.
func Lose() Fault { return Fault{kind: lose} }

// SaveAndFail saves the Txn as the engine does and answers ErrInjected all the
// same; ErrConflict and the other errors of the engine pass as they are.
func SaveAndFail() Fault { return Fault{kind: saveAndFail} }

// SaveLater answers ErrInjected at once and keeps the Txn until Settle commits
// it: the request that was still on its way when its sender gave up.
func SaveLater() Fault { return Fault{kind: saveLater} }

// Hold blocks the Commit until the channel is closed, then lets it through. If
// ctx ends first, nothing is saved and the error of ctx is the answer.
func Hold(until <-chan struct{}) Fault { return Fault{kind: hold, until: until} }

// Plan chooses the fault of each Commit; n counts them from 0. It is called by
// one goroutine at a time and must not use the store.
type Plan func(n int, txn store.Txn) Fault

// Sequence is the Plan with one fault for each Commit in order, then Pass.
func Sequence(faults ...Fault) Plan {
	return func(n int, _ store.Txn) Fault {
		if n < len(faults) {
			return faults[n]
		}
		return Pass()
	}
}

// FaultyDB is a store.DB whose Commits fail as planned. Everything else goes to
// the engine beneath. It is a store.Elector and a store.Revisioner when the
// engine is one; else Lead and Revision return errors.ErrUnsupported.
type FaultyDB struct {
	store.DB
	mu    sync.Mutex
	n     int
	plan  Plan
	later []store.Txn
}

// Faulty wraps db so that its Commits fail as plan says.
func Faulty(db store.DB, plan Plan) *FaultyDB { return &FaultyDB{DB: db, plan: plan} }

// Commit is store.DB.Commit with the planned fault.
func (f *FaultyDB) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	f.mu.Lock()
	n := f.n
	f.n++
	fault := f.plan(n, txn)
	if fault.kind == saveLater {
		f.later = append(f.later, cloneTxn(txn))
	}
	f.mu.Unlock()
	switch fault.kind {
	case lose, saveLater:
		return 0, fmt.Errorf("commit %d: %w", n, ErrInjected)
	case hold:
		select {
		case <-fault.until:
		case <-ctx.Done():
			return 0, fmt.Errorf("commit %d: %w", n, ctx.Err())
		}
	}
	rev, err := f.DB.Commit(ctx, txn)
	if err == nil && fault.kind == saveAndFail {
		return 0, fmt.Errorf("commit %d: %w", n, ErrInjected)
	}
	return rev, err
}

// Commits returns how many Commits were asked for.
func (f *FaultyDB) Commits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// Settle commits what SaveLater kept, in order, and returns the answer of the
// engine to each: nil for one that now happened.
func (f *FaultyDB) Settle(ctx context.Context) []error {
	f.mu.Lock()
	later := f.later
	f.later = nil
	f.mu.Unlock()
	answers := make([]error, len(later))
	for i, txn := range later {
		_, answers[i] = f.DB.Commit(ctx, txn)
	}
	return answers
}

// MaxOps is that of the engine.
func (f *FaultyDB) MaxOps() int { return store.OpLimit(f.DB) }

// Revision is that of the engine.
func (f *FaultyDB) Revision(ctx context.Context) (int64, error) {
	if r, ok := f.DB.(store.Revisioner); ok {
		return r.Revision(ctx)
	}
	return 0, errors.ErrUnsupported
}

// Lead is that of the engine.
func (f *FaultyDB) Lead(ctx context.Context, name string, run func(context.Context) error) error {
	if e, ok := f.DB.(store.Elector); ok {
		return e.Lead(ctx, name, run)
	}
	return errors.ErrUnsupported
}

// Unwatched wraps db so that every Watch answers ErrCompacted until the caller
// asks from a revision at or beyond from: the follower that fell behind.
func Unwatched(db store.DB, from int64) store.DB { return unwatched{db, from} }

type unwatched struct {
	store.DB
	from int64
}

func (u unwatched) Watch(ctx context.Context, prefix []byte, from int64) iter.Seq2[store.Change, error] {
	if from >= u.from {
		return u.DB.Watch(ctx, prefix, from)
	}
	return func(yield func(store.Change, error) bool) { yield(store.Change{}, store.ErrCompacted) }
}

func (u unwatched) MaxOps() int { return store.OpLimit(u.DB) }
