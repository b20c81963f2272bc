package mem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tocsin-ops/tocsin/store"
)

// Replica is one process's hold on a DB that several share: the same keys and
// the same elections, and what this one has told as long as it is open. It
// implements store.DB, store.Elector, store.Revisioner and store.Ephemeral.
type Replica struct {
	*DB
	gone context.Context
	end  context.CancelCauseFunc

	mu   sync.Mutex
	told map[string]bool // keys that end with this replica
}

// Replica returns a new hold on d. Its Close takes away what it told and its
// leaderships, and leaves d open.
func (d *DB) Replica() *Replica {
	r := &Replica{DB: d, told: map[string]bool{}}
	r.gone, r.end = context.WithCancelCause(context.Background())
	return r
}

// Tell is store.Ephemeral.Tell.
func (r *Replica) Tell(ctx context.Context, key, value []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone.Err() != nil {
		return fmt.Errorf("tell %q: %w", key, store.ErrClosed)
	}
	if _, err := r.Commit(ctx, store.Txn{Then: []store.Op{{Key: key, Value: value, Delete: value == nil}}}); err != nil {
		return fmt.Errorf("tell %q: %w", key, err)
	}
	if value == nil {
		delete(r.told, string(key))
	} else {
		r.told[string(bytes.Clone(key))] = true
	}
	return nil
}

// Lead is store.Elector.Lead among all replicas of the DB.
func (r *Replica) Lead(ctx context.Context, name string, run func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.gone, func() { cancel(store.ErrClosed) })()
	return r.DB.Lead(ctx, name, run)
}

// Close ends the hold as if the process had died: leaderships are lost, and
// what it told is taken away.
func (r *Replica) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone.Err() != nil {
		return fmt.Errorf("close: %w", store.ErrClosed)
	}
	r.end(store.ErrClosed)
	for key := range r.told {
		_, err := r.Commit(context.Background(), store.Txn{Then: []store.Op{{Key: []byte(key), Delete: true}}})
		if err != nil && !errors.Is(err, store.ErrClosed) {
			return fmt.Errorf("close: %w", err)
		}
	}
	return nil
}
