package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
)

var (
	// ErrNotEmpty says that the target holds something. Nothing was written.
	ErrNotEmpty = errors.New("the store to restore into is not empty; restore into a new --data directory, or an empty etcd prefix or cluster")
	// ErrInUse says that somebody else writes the target.
	ErrInUse = errors.New("somebody else uses this store, a server or another restore; stop it and restore again")
	// ErrUnfinished says that a restore into this store did not come to its end.
	ErrUnfinished = errors.New("a restore into this store was not finished; run “tocsin restore” again, it begins anew")
	// ErrTooLarge says that the target does not take something that is in the backup. Nothing was written.
	ErrTooLarge = errors.New("the store to restore into does not take it; restore into a directory instead")
)

const (
	batchBytes = 1 << 20 // of keys (twice: they are conditions too) and values in one Txn: etcd takes 1.5 MiB
	opBytes    = 64      // what an operation costs an engine beside its bytes
	inFlight   = 4       // Txns at a time; engines sync several at once
)

// Unfinished returns ErrUnfinished for a store that a Restore has not finished:
// nobody may serve it.
func Unfinished(ctx context.Context, db store.DB) error {
	kv, err := db.Get(ctx, []byte(keyMarker))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	var m marker
	_ = json.Unmarshal(kv.Value, &m) // only for the sentence
	return fmt.Errorf("%w (begun %s)", ErrUnfinished, m.Begun.Format(time.RFC3339))
}

// marker is the value of restore/unfinished.
type marker struct {
	Begun  time.Time `json:"begun"`
	SHA256 string    `json:"sha256"` // of the backup
}

// Restoration says how to restore. The zero value works.
type Restoration struct {
	// Verifier is the key that the log must be signed with; "" = the backup's own.
	Verifier string
	// ValueLimit is the longest value that the target takes; 0 = what a backup takes.
	ValueLimit int
	// Now is the time; nil = the wall clock.
	Now func() time.Time
}

// Restore puts a backup into the empty store db and verifies the log there. It
// reads the backup twice: nothing is written before all of it was found whole and
// within what db takes. If it does not come to its end, the store stays marked
// as unfinished, and the next Restore empties it and begins anew.
//
// Errors: ErrNotEmpty, ErrTooLarge, ErrDamaged, ErrFormat: nothing was written.
// ErrInUse, a *eventlog.Bad, and those of the store: the marker stays.
func Restore(ctx context.Context, open Open, db store.DB, o Restoration) (Summary, eventlog.Report, error) {
	s, report, err := restore(ctx, open, db, o)
	if err != nil {
		err = fmt.Errorf("restore: %w", err)
	}
	return s, report, err
}

func restore(ctx context.Context, open Open, db store.DB, o Restoration) (s Summary, report eventlog.Report, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ValueLimit <= 0 || o.ValueLimit > maxValue {
		o.ValueLimit = maxValue
	}
	s, err = open.pass(ctx, func(key, value []byte) error {
		if len(value) > o.ValueLimit {
			return fmt.Errorf("the value of %.200q has %d bytes, at most %d are taken: %w", key, len(value), o.ValueLimit, ErrTooLarge)
		}
		return nil
	})
	if err != nil {
		return s, report, err
	}
	seen, err := eventlog.ParseCheckpoint([]byte(s.Checkpoint), s.Verifier)
	if err != nil {
		return s, report, err
	}
	m, err := json.Marshal(marker{o.Now().UTC().Truncate(time.Second), s.SHA256})
	if err != nil {
		return s, report, err
	}
	w, err := claim(ctx, db, m)
	if err != nil {
		return s, report, err
	}
	if err := w.fill(ctx, open, s); err != nil {
		return s, report, err
	}
	report, err = eventlog.Verify(ctx, eventlog.Stored(db, "the restored store"), eventlog.VerifyOptions{Verifier: o.Verifier, Known: &seen})
	if err != nil {
		return s, report, err
	}
	if report.Checkpoint.Signed != s.Checkpoint {
		return s, report, fmt.Errorf("the log is not the one that was restored: %w", ErrInUse)
	}
	return s, report, w.commit(ctx, nil, []store.Op{{Key: []byte(keyMarker), Delete: true}})
}

// writer writes into a store that bears our marker.
type writer struct {
	db  store.DB
	rev int64 // that wrote the marker
}

// claim marks db as being restored into. An unfinished restore is taken over
// and what it wrote is removed.
func claim(ctx context.Context, db store.DB, value []byte) (*writer, error) {
	w := &writer{db: db}
	put := []store.Op{{Key: []byte(keyMarker), Value: value}}
	before, err := db.Get(ctx, []byte(keyMarker))
	switch {
	case err == nil:
		w.rev = before.Rev
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	default:
		for kv, err := range db.Scan(ctx, store.Range{}) {
			if err != nil {
				return nil, err
			}
			if !bytes.HasPrefix(kv.Key, []byte(prefixLive)) {
				return nil, fmt.Errorf("it has the key %.200q: %w", kv.Key, ErrNotEmpty)
			}
		}
	}
	// A server that makes a new log at this moment makes these two first.
	conds := []store.Cond{{Key: []byte(keyMarker), Rev: w.rev}}
	if w.rev == 0 {
		conds = append(conds, store.Cond{Key: []byte(keyHead)}, store.Cond{Key: []byte(keySigner)})
	}
	w.rev, err = db.Commit(ctx, store.Txn{If: conds, Then: put})
	if err != nil {
		return nil, inUse(err)
	}
	if before.Rev == 0 {
		return w, nil
	}
	return w, w.empty(ctx)
}

// empty removes everything but the marker and what is ephemeral.
func (w *writer) empty(ctx context.Context) error {
	most := store.OpLimit(w.db)
	for {
		var ops []store.Op
		for kv, err := range w.db.Scan(ctx, store.Range{}) {
			if err != nil {
				return err
			}
			if string(kv.Key) == keyMarker || bytes.HasPrefix(kv.Key, []byte(prefixLive)) {
				continue
			}
			if ops = append(ops, store.Op{Key: kv.Key, Delete: true}); len(ops) == most {
				break
			}
		}
		if len(ops) == 0 {
			return nil
		}
		if err := w.commit(ctx, nil, ops); err != nil {
			return err
		}
	}
}

// commit writes under the condition that the marker is still ours.
func (w *writer) commit(ctx context.Context, conds []store.Cond, ops []store.Op) error {
	conds = append([]store.Cond{{Key: []byte(keyMarker), Rev: w.rev}}, conds...)
	_, err := w.db.Commit(ctx, store.Txn{If: conds, Then: ops})
	return inUse(err)
}

func inUse(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("%w (%w)", ErrInUse, err)
	}
	return err
}

// fill writes every key of the backup, several Txns at a time; at most inFlight+1
// batches are in memory.
func (w *writer) fill(ctx context.Context, open Open, want Summary) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(inFlight)
	most := store.OpLimit(w.db) - 1 // one condition is the marker
	var conds []store.Cond
	var ops []store.Op
	size := 0
	flush := func() {
		c, o := conds, ops
		conds, ops, size = nil, nil, 0
		g.Go(func() error { return w.commit(gctx, c, o) })
	}
	got, err := open.pass(gctx, func(key, value []byte) error {
		cost := 2*len(key) + len(value) + opBytes
		if len(ops) > 0 && (len(ops) == most || size+cost > batchBytes) {
			flush()
		}
		key = bytes.Clone(key)
		conds, ops, size = append(conds, store.Cond{Key: key}), append(ops, store.Op{Key: key, Value: bytes.Clone(value)}), size+cost
		return nil
	})
	if err == nil && len(ops) > 0 {
		flush()
	}
	if e := g.Wait(); e != nil {
		return e
	}
	if err == nil && got != want {
		err = damaged("it has changed while it was read")
	}
	return err
}
