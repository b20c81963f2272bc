package backup_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/backup"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

// large is a log in a file, of 200,000 events or TOCSIN_BENCH_EVENTS.
func large(b *testing.B) (*bolt.DB, *eventlog.Log, int) {
	b.Helper()
	n, _ := strconv.Atoi(os.Getenv("TOCSIN_BENCH_EVENTS"))
	if n <= 0 {
		n = 200_000
	}
	db := must(bolt.Open(filepath.Join(b.TempDir(), "tocsin.db"), bolt.Options{}))(b)
	b.Cleanup(func() { _ = db.Close() })
	log := must(eventlog.Open(b.Context(), db, eventlog.Options{}))(b)
	// One event a batch, as most commands do; many at a time, to be through soon.
	var writers sync.WaitGroup
	for w := range 128 {
		writers.Go(func() {
			for i := w; i < n; i += 128 {
				_, err := log.Append(b.Context(), eventlog.Batch{Stream: fmt.Sprint("incident/", w), Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{draft(i)}})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	return db, log, n
}

// heap samples the most memory that is in use while run runs, over what was.
func heap(run func()) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, m.HeapAlloc
	done := make(chan struct{})
	var sampling sync.WaitGroup
	sampling.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	})
	run()
	close(done)
	sampling.Wait()
	return (most - before) >> 20
}

// BenchmarkWhole is one log through all: writing, inspecting, restoring into a
// file, with the most memory that each took.
func BenchmarkWhole(b *testing.B) {
	db, _, n := large(b)
	file := filepath.Join(b.TempDir(), "backup")
	open := func() (io.ReadCloser, error) { return os.Open(file) }
	for b.Loop() {
		step := func(name string, run func() error) {
			b.Helper()
			began := time.Now()
			mib := heap(func() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			})
			b.Logf("%-8s %d events: %6.2f s, at most %d MiB more memory", name, n, time.Since(began).Seconds(), mib)
		}
		step("backup", func() error {
			f, err := os.Create(file)
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err := backup.Write(b.Context(), db, f, maker); err != nil {
				return err
			}
			st, err := f.Stat()
			b.Logf("the file has %d MiB", st.Size()>>20)
			return err
		})
		step("inspect", func() error { _, err := backup.Inspect(b.Context(), open); return err })
		step("restore", func() error {
			target, err := bolt.Open(filepath.Join(b.TempDir(), "restored.db"), bolt.Options{})
			if err != nil {
				return err
			}
			defer target.Close()
			_, _, err = backup.Restore(b.Context(), open, target, backup.Restoration{})
			return err
		})
	}
}

// BenchmarkBeside is what a commit waits, with and without a backup beside it,
// in turns. Four write one after the other's answer.
func BenchmarkBeside(b *testing.B) {
	db, log, _ := large(b)
	type waited struct{ median, high time.Duration }
	measure := func() waited {
		var mu sync.Mutex
		var waits []time.Duration
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				for i := range 200 {
					began := time.Now()
					_, err := log.Append(b.Context(), eventlog.Batch{Stream: fmt.Sprint("beside/", w), Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{draft(i)}})
					if err != nil {
						b.Error(err)
						return
					}
					mu.Lock()
					waits = append(waits, time.Since(began))
					mu.Unlock()
				}
			})
		}
		writers.Wait()
		slices.Sort(waits)
		return waited{waits[len(waits)/2], waits[len(waits)*99/100]}
	}
	for b.Loop() {
		var alone, beside waited
		add := func(sum *waited, w waited) { sum.median, sum.high = sum.median+w.median, sum.high+w.high }
		const rounds = 6
		for range rounds {
			add(&alone, measure())
			ctx, stop := context.WithCancel(b.Context())
			var making sync.WaitGroup
			making.Go(func() {
				f, err := os.Create(filepath.Join(b.TempDir(), "backup"))
				if err != nil {
					b.Error(err)
					return
				}
				defer f.Close()
				for ctx.Err() == nil {
					_, _ = backup.Write(ctx, db, f, maker)
					_, _ = f.Seek(0, io.SeekStart)
				}
			})
			add(&beside, measure())
			stop()
			making.Wait()
		}
		b.Logf("alone: median %s, 99th %s; beside a backup: median %s, 99th %s", alone.median/rounds, alone.high/rounds, beside.median/rounds, beside.high/rounds)
		b.ReportMetric(float64(beside.median)/float64(alone.median), "beside/alone")
		b.ReportMetric(float64(beside.high)/float64(alone.high), "beside/alone-p99")
	}
}
