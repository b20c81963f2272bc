package eventlog

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// TestFollow: many followers, begun at all times, on two replicas, see every event
// once and in order.
func TestFollow(t *testing.T) {
	db := newDB(t)
	writer, reader := open(t, db), open(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var run sync.WaitGroup
	run.Go(func() {
		if err := reader.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	const total = 1500
	var wg sync.WaitGroup
	follow := func(l *Log, from int64) {
		wg.Go(func() {
			next := from
			for page, err := range l.Follow(ctx, from) {
				if err != nil {
					t.Error(err)
					return
				}
				if len(page) > PageSize {
					t.Errorf("page of %d", len(page))
				}
				for _, e := range page {
					if e.Offset != next {
						t.Errorf("follower from %d got event %d, wanted %d", from, e.Offset, next)
						return
					}
					next++
				}
				if next == total {
					return
				}
			}
			t.Errorf("follower from %d ended at %d", from, next)
		})
	}
	for i := range 20 {
		follow(writer, int64(i))
		follow(reader, int64(i*75))
	}
	for i := range total / 3 {
		add(t, writer, "s", draft("a"), draft("b"), draft("c"))
		if i%50 == 0 {
			follow(writer, int64(i))
			follow(reader, int64(i))
		}
	}
	wg.Wait()
	cancel()
	run.Wait()
}

// TestFollowWaits: a follower at the end waits, wakes for each append, and ends
// with its context, without an error.
func TestFollowWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := mem.New()
		defer db.Close()
		l := open(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		pages := make(chan int, 10)
		go func() {
			defer close(pages)
			for page, err := range l.Follow(ctx, -5) {
				if err != nil {
					t.Error(err)
				}
				pages <- len(page)
			}
		}()
		synctest.Wait()
		for range 3 {
			if len(pages) != 0 {
				t.Fatal("a page without an event")
			}
			add(t, l, "s", draft("a"), draft("b"))
			synctest.Wait()
			if n := <-pages; n != 2 {
				t.Errorf("page of %d", n)
			}
		}
		cancel()
		if _, open := <-pages; open {
			t.Error("the follower did not end with its context")
		}
	})
}

func TestFollowTellsOfDamage(t *testing.T) {
	db := newDB(t)
	l := sample(t, db, 4)
	put(t, db, eventKey(2), nil)
	var last error
	for _, err := range l.Follow(t.Context(), 0) {
		last = err
	}
	if !errors.Is(last, ErrCorrupt) {
		t.Errorf("follow over a gap: %v", last)
	}
}

// TestRun ends with ctx, and with an error when the store is closed; it survives
// a compacted watch.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := mem.Open(mem.Options{KeepCount: 2})
		l, writer := open(t, db), open(t, db)
		for range 5 { // more than the engine keeps: Run starts over
			add(t, writer, "s", draft("a"))
		}
		done := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- l.Run(ctx) }()
		synctest.Wait()
		if l.Size() != 5 {
			t.Errorf("size = %d after a compacted watch", l.Size())
		}
		add(t, writer, "s", draft("a"))
		synctest.Wait()
		if l.Size() != 6 {
			t.Errorf("size = %d", l.Size())
		}
		add(t, l, "s", draft("a")) // builds on the other's
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run after ctx ended: %v", err)
		}
		go func() { done <- l.Run(t.Context()) }()
		synctest.Wait()
		db.Close()
		if err := <-done; !errors.Is(err, store.ErrClosed) {
			t.Errorf("Run on a closed store: %v", err)
		}
		if _, err := l.Append(t.Context(), Batch{Stream: "s", Expect: AnySeq, Drafts: []Draft{draft("a")}}); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Append on a closed store: %v", err)
		}
	})
}
