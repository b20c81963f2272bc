package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
)

// ErrNoLog is returned by Write for a store without a log.
var ErrNoLog = errors.New("there is no log in this store; check --data and --store")

// Maker is what a manifest tells of who writes it.
type Maker struct {
	Version string // of the program
	Engine  string // of the store
	At      time.Time
}

// breath is after how many keys Write lets others run.
const breath = 128

// Write writes everything durable of db, as of one revision, and returns what it
// wrote. It holds one Scan open while it writes: give it a file, not somebody
// slow. Memory does not grow with the store. After an error what was written is
// no backup, and no reader takes it for one.
func Write(ctx context.Context, db store.DB, w io.Writer, by Maker) (s Summary, err error) {
	if err := Unfinished(ctx, db); err != nil {
		return s, fmt.Errorf("back up: %w", err)
	}
	verifier, err := db.Get(ctx, []byte(keyVerifier))
	if errors.Is(err, store.ErrNotFound) {
		return s, fmt.Errorf("back up: %w", ErrNoLog)
	}
	if err != nil {
		return s, fmt.Errorf("back up: %w", err)
	}
	origin, _, _ := strings.Cut(string(verifier.Value), "+")
	m := Manifest{Format: Format, Version: by.Version, Engine: by.Engine, MadeAt: by.At.UTC().Truncate(time.Second), Origin: origin, Verifier: string(verifier.Value)}
	// The fastest level: most of it is digests, which no level makes shorter.
	packed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return s, err
	}
	e := newEncoder(packed)
	if err := e.object(recordManifest, m); err != nil {
		return s, fmt.Errorf("back up: %w", err)
	}
	for kv, err := range db.Scan(ctx, store.Range{}) {
		if err == nil && bytes.HasPrefix(kv.Key, []byte(prefixLive)) {
			continue
		}
		if err == nil && string(kv.Key) == keyHead {
			var c eventlog.Checkpoint
			if c, err = eventlog.ParseCheckpoint(kv.Value, m.Verifier); err == nil {
				e.c.Events, e.c.Checkpoint = c.Size, c.Signed
			}
		}
		if err == nil {
			err = e.key(kv.Key, kv.Value)
		}
		if e.c.Keys%breath == 0 {
			runtime.Gosched() // on few cores whoever commits would wait for 10 ms
		}
		if err != nil {
			return s, fmt.Errorf("back up: %w", err)
		}
	}
	if e.c.Checkpoint == "" {
		return s, fmt.Errorf("back up: %w", ErrNoLog)
	}
	if err := e.finish(); err != nil {
		return s, fmt.Errorf("back up: %w", err)
	}
	if err := packed.Close(); err != nil {
		return s, fmt.Errorf("back up: %w", err)
	}
	return Summary{m, e.c}, nil
}
