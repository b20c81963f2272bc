package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/reactor"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// TestKeeper: a snapshot comes with so many events, leaves at once with a
// redaction, and comes again without what was blanked.
func TestKeeper(t *testing.T) {
	const secret = "the-seed-phrase"
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		log, err := eventlog.Open(ctx, mem.Open(mem.Options{MaxOps: 4096}), eventlog.Options{})
		if err != nil {
			t.Fatal(err)
		}
		rooms, world, logger := room.New(log), projection.New(log), slog.New(slog.DiscardHandler)
		begin := func() *keeper {
			c := reactor.NewCorrelator(log, correlatorRoom{rooms}, signal.Rules{}, time.Now, logger)
			k := newKeeper(dir, log, world, c, logger)
			k.every = 10
			return k
		}
		k := begin()
		if err := k.catchUp(ctx); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { _ = world.Run(ctx) })
		wg.Go(func() { _ = k.run(ctx) })
		meta := func(id string) incident.Meta { return incident.Meta{ID: id, At: 1, Actor: "person:ana"} }
		do := func(id string, c incident.Command) room.Answer {
			t.Helper()
			a, err := rooms.Do(ctx, 1, c, meta(id))
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		size := func() int64 {
			t.Helper()
			n, _, err := k.worldFile.Read(ctx, log)
			if err != nil {
				return -1
			}
			if m, _, err := k.correlatorFile.Read(ctx, log); err != nil || m != n {
				t.Errorf("the correlator is at %d, the world at %d, %v", m, n, err)
			}
			return n
		}
		says := func() bool {
			b, err := os.ReadFile(k.worldFile.Path)
			return err == nil && strings.Contains(string(b), secret)
		}
		if _, err := rooms.Declare(ctx, incident.Declare{Title: secret, Severity: "SEV3"}, meta("c1")); err != nil {
			t.Fatal(err)
		}
		named, err := log.Read(ctx, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := size(); n != -1 {
			t.Errorf("a snapshot of %d events after two", n)
		}
		for i := range 12 {
			do("n"+string(rune('a'+i)), incident.AddNote{Text: "note"})
			synctest.Wait()
		}
		if n := size(); n != 10 || !says() {
			t.Errorf("a snapshot of %d events after 14, every 10; it has the title: %v", n, says())
		}
		do("redact", incident.Redact{Event: named[0].ID, Reason: "private"})
		synctest.Wait()
		if left, err := os.ReadDir(filepath.Dir(k.worldFile.Path)); err != nil || len(left) != 0 {
			t.Errorf("at once after the redaction there is %v, %v", left, err)
		}
		time.Sleep(2 * afterRedaction)
		synctest.Wait()
		if n := size(); n != log.Size() || says() {
			t.Errorf("later there is a snapshot of %d of %d events; it has the title: %v", n, log.Size(), says())
		}
		do("last", incident.AddNote{Text: "note"})
		synctest.Wait()
		cancel()
		wg.Wait()
		k.stop()
		if n, _, err := k.worldFile.Read(t.Context(), log); err != nil || n != log.Size() {
			t.Errorf("after the stop there is a snapshot of %d of %d events, %v", n, log.Size(), err)
		}

		// A stop in the middle of a snapshot ends run, and stop writes it.
		k.saved = 0
		if err := k.run(ctx); err != nil { // ctx has ended
			t.Error(err)
		}
		k.saveWorld(ctx)
		if k.saved != 0 {
			t.Errorf("an interrupted snapshot of %d events counts as written", k.saved)
		}
		k.stop()
		if k.saved != log.Size() {
			t.Errorf("the stop wrote a snapshot of %d of %d events", k.saved, log.Size())
		}

		// What does not fit goes, and the world is the log's all the same.
		for _, f := range []string{k.worldFile.Path, k.correlatorFile.Path} {
			if err := os.WriteFile(f, []byte(secret), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		world = projection.New(log)
		k = begin()
		if err := k.catchUp(t.Context()); err != nil || world.Position() != log.Size()-1 || k.saved != 0 {
			t.Errorf("at %d of %d, from %d, %v", world.Position(), log.Size(), k.saved, err)
		}
		if _, err := os.Stat(k.worldFile.Path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the bad file is still there: %v", err)
		}
	})
}
