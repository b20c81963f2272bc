package backup

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/gzip"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
)

// Open opens a backup at its beginning. It is called once for every pass; all
// passes must see the same bytes.
type Open func() (io.ReadCloser, error)

// errEnough ends a pass early.
var errEnough = errors.New("enough")

// pass reads the whole backup once.
func (o Open) pass(ctx context.Context, each func(key, value []byte) error) (Summary, error) {
	r, err := o()
	if err != nil {
		return Summary{}, err
	}
	defer r.Close()
	file := bufio.NewReaderSize(r, 64<<10)
	packed, err := gzip.NewReader(file)
	if err != nil {
		return Summary{}, damaged("it is no backup of tocsin (%v)", err)
	}
	packed.Multistream(false) // what comes after is refused below
	s, err := decode(ctx, packed, each)
	if err != nil {
		return s, err
	}
	if _, err := file.ReadByte(); err != io.EOF {
		return s, damaged("something follows its end")
	}
	c, err := eventlog.ParseCheckpoint([]byte(s.Checkpoint), s.Verifier)
	if err != nil {
		return s, damaged("its checkpoint is not signed with its key: %v", err)
	}
	if c.Size != s.Events || c.Origin != s.Origin {
		return s, damaged("its checkpoint is of %d events of %s, written down are %d of %.80q", c.Size, c.Origin, s.Events, s.Origin)
	}
	return s, nil
}

// Inspect reads a backup to its end and tells what it is. A nil error says that
// it is whole: format, order of the keys, counts and digest. It does not verify
// the log; Log is for that.
func Inspect(ctx context.Context, open Open) (Summary, error) {
	s, err := open.pass(ctx, func(_, _ []byte) error { return nil })
	if err != nil {
		return s, fmt.Errorf("read the backup: %w", err)
	}
	return s, nil
}

// Log is the log in a backup, to be verified as it is. place is how reports and a
// Memory call it. It reads the backup twice.
func Log(place string, open Open) eventlog.Source { return eventlog.Stored(view{open}, place) }

// view shows a backup as a store that is read from its beginning to its end.
type view struct{ open Open }

// Get implements store.DB.
func (v view) Get(ctx context.Context, key []byte) (store.KV, error) {
	for kv, err := range v.Scan(ctx, store.Range{From: key, Limit: 1}) {
		if err != nil {
			return store.KV{}, err
		}
		if bytes.Equal(kv.Key, key) {
			return kv, nil
		}
	}
	return store.KV{}, fmt.Errorf("get %q: %w", key, store.ErrNotFound)
}

// Scan implements store.DB, forwards only. Even when the range ends before the
// backup does, the rest is read, so that a whole scan is one of a whole backup.
func (v view) Scan(ctx context.Context, r store.Range) iter.Seq2[store.KV, error] {
	return func(yield func(store.KV, error) bool) {
		if r.Reverse {
			yield(store.KV{}, errors.New("a backup is not read backwards"))
			return
		}
		n := 0
		_, err := v.open.pass(ctx, func(key, value []byte) error {
			if bytes.Compare(key, r.From) < 0 || len(r.To) > 0 && bytes.Compare(key, r.To) >= 0 {
				return nil
			}
			if !yield(store.KV{Key: bytes.Clone(key), Value: bytes.Clone(value)}, nil) {
				return errEnough
			}
			if n++; n == r.Limit {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(store.KV{}, fmt.Errorf("read the backup: %w", err))
		}
	}
}

var errReadOnly = errors.New("a backup is only read; restore it first")

// Commit implements store.DB.
func (view) Commit(context.Context, store.Txn) (int64, error) { return 0, errReadOnly }

// Watch implements store.DB.
func (view) Watch(context.Context, []byte, int64) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) { yield(store.Change{}, errReadOnly) }
}

// Close implements store.DB.
func (view) Close() error { return nil }
