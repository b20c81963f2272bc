package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/reactor"
	"github.com/tocsin-ops/tocsin/internal/snapshot"
)

// SnapshotDir is the name of the directory of snapshots in the data directory.
// It may be deleted at any time while nothing runs: the next start takes longer.
const SnapshotDir = "snapshot"

const (
	// snapshotEvery is after how many events a new snapshot is written: what a
	// start after a crash folds at most, well below a second.
	snapshotEvery = 20_000
	// afterRedaction is how long no snapshot is written after a redaction, so
	// that many in a row do not write as many.
	afterRedaction = time.Second
	// garbage is after how many folded events the memory is given back.
	garbage = 200_000
	// stopSnapshot bounds the last snapshots, when the App stops.
	stopSnapshot = 5 * time.Second
)

// keeper writes the folds of the world and the correlator down and takes them up
// again. Each replica has its own files; nothing hangs on any of them.
type keeper struct {
	log        *eventlog.Log
	world      *projection.World
	correlator *reactor.Correlator
	slog       *slog.Logger

	worldFile, correlatorFile snapshot.File

	// owned by whoever calls catchUp, then run, then stop
	tried      bool
	every      int64 // snapshotEvery
	saved      int64 // events in worldFile, or tried to be
	correlated int64 // events in correlatorFile
}

func newKeeper(dir string, log *eventlog.Log, world *projection.World, c *reactor.Correlator, logger *slog.Logger) *keeper {
	return &keeper{
		log: log, world: world, correlator: c, slog: logger, every: snapshotEvery,
		worldFile:      snapshot.File{Path: filepath.Join(dir, SnapshotDir, "world"), Shape: projection.Shape()},
		correlatorFile: snapshot.File{Path: filepath.Join(dir, SnapshotDir, "correlator"), Shape: reactor.Shape()},
	}
}

// catchUp brings the world up to the log: from its snapshot when that is good,
// else from the first event. It may be called again after an error.
func (k *keeper) catchUp(ctx context.Context) error {
	began := time.Now()
	if !k.tried {
		k.tried = true
		k.resume(ctx)
	}
	k.world.Progress = func(done, of int64) {
		k.slog.InfoContext(ctx, "reading the log", "events", done, "of", of, "percent", 100*done/max(of, 1))
	}
	err := k.world.CatchUp(ctx)
	if errors.Is(err, projection.ErrStale) {
		k.slog.WarnContext(ctx, "the whole log is read", "err", err)
		k.remove(k.worldFile)
		k.saved = 0
		k.world.Reset()
		err = k.world.CatchUp(ctx)
	}
	if err != nil {
		return err
	}
	size := k.world.Position() + 1
	if size-k.saved >= garbage {
		debug.FreeOSMemory()
	}
	k.slog.InfoContext(ctx, "the log is read", "events", size, "snapshot", k.saved, "ms", time.Since(began).Milliseconds())
	return nil
}

func (k *keeper) resume(ctx context.Context) {
	size, body, err := k.worldFile.Read(ctx, k.log)
	if err == nil {
		err = k.world.Resume(size, body)
	}
	if k.fit(ctx, k.worldFile, err) {
		k.saved = size
	}
	size, body, err = k.correlatorFile.Read(ctx, k.log)
	if k.fit(ctx, k.correlatorFile, err) {
		k.correlator.Resume(body)
		k.correlated = size
	}
}

// fit says whether a file was good. One that was not goes: it may hold what has
// been redacted since.
func (k *keeper) fit(ctx context.Context, f snapshot.File, err error) bool {
	if err == nil {
		return true
	}
	if !errors.Is(err, fs.ErrNotExist) {
		k.slog.WarnContext(ctx, "a snapshot is not used; the whole log is read, which takes longer and changes nothing", "err", err)
		k.remove(f)
	}
	return false
}

func (k *keeper) remove(f snapshot.File) {
	if err := f.Remove(); err != nil {
		k.slog.Error("a snapshot could not be removed; it may hold what was redacted", "err", err)
	}
}

// run writes snapshots as the log grows, and new ones soon after a redaction:
// what was blanked leaves the directory as soon as the world knows.
func (k *keeper) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if k.saved-k.correlated >= k.every { // it was lost, or its turn was cut short
			k.saveCorrelator(ctx)
			continue
		}
		redacted, err := k.world.Redacted(ctx, k.saved-1, k.saved+k.every-1)
		if err != nil {
			return nil // ctx ended
		}
		if redacted {
			k.remove(k.worldFile)
			k.remove(k.correlatorFile)
			t := time.NewTimer(afterRedaction)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return nil
			}
		}
		k.saveWorld(ctx)
		k.saveCorrelator(ctx)
	}
	return nil
}

// stop writes the last snapshots; nothing may run any more. A correlator that
// would have to read much of the log first has none.
func (k *keeper) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopSnapshot)
	defer cancel()
	size := k.world.Position() + 1
	if k.tried && size > k.saved {
		k.saveWorld(ctx)
	}
	if k.tried && size > k.correlated && size-k.correlated < garbage {
		k.saveCorrelator(ctx)
	}
}

func (k *keeper) saveWorld(ctx context.Context) {
	size, write := k.world.Image()
	body, err := write()
	k.saved = k.wrote(ctx, k.worldFile, k.saved, size, body, err)
}

// saveCorrelator writes the correlator down, which then first reads what it has
// not read yet; on a replica that has never led, that keeps it ready to.
func (k *keeper) saveCorrelator(ctx context.Context) {
	size, body, err := k.correlator.Image(ctx)
	if err != nil {
		size = k.saved
	}
	k.correlated = k.wrote(ctx, k.correlatorFile, k.correlated, size, body, err)
}

// wrote puts a body into its file and returns how many events the file has now,
// or should have had: after a failure the next attempt waits for as many more.
func (k *keeper) wrote(ctx context.Context, f snapshot.File, before, size int64, body []byte, err error) int64 {
	if err == nil {
		err = f.Write(ctx, k.log, size, body)
	}
	if err != nil && ctx.Err() != nil {
		return before
	}
	if err != nil {
		k.slog.ErrorContext(ctx, "no snapshot was written; the next start reads more of the log; is there room on the disk?", "err", err)
	}
	return size
}
