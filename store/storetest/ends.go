package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
)

// pull turns a Watch of everything into a function that returns the revision of
// the next change.
func pull(t *testing.T, db store.DB, from int64) (next func() (int64, error), stop func()) {
	n, stop := iter.Pull2(db.Watch(context.Background(), nil, from))
	return func() (int64, error) {
		c, err, ok := n()
		if !ok {
			t.Fatal("the watch ended without an error")
		}
		return c.Rev, err
	}, stop
}

func testClosed(t *testing.T, db store.DB) {
	ctx := context.Background()
	must(t, db, put("a", "1"))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", what, err)
		}
	}
	_, err := db.Get(ctx, []byte("a"))
	check("get", err)
	_, err = db.Commit(ctx, store.Txn{Then: []store.Op{put("a", "2")}})
	check("commit", err)
	n := 0
	for _, err := range db.Scan(ctx, store.Range{}) {
		check("scan", err)
		n++
	}
	for _, err := range db.Watch(ctx, nil, 0) {
		check("watch", err)
		n++
	}
	if n != 2 {
		t.Errorf("scan and watch yielded %d times, want once each", n)
	}
	if r, ok := db.(store.Revisioner); ok {
		_, err := r.Revision(ctx)
		check("revision", err)
	}
	if e, ok := db.(store.Elector); ok {
		check("lead", e.Lead(ctx, "x", func(context.Context) error { return errors.New("it ran") }))
	}
	check("close", db.Close())
}

// testCloseDuring closes under load: every Commit either happened or says
// ErrClosed, and none hangs.
func testCloseDuring(t *testing.T, db store.DB) {
	hammer(t, db, 16, nil)
}

// hammer commits from n goroutines until the store is closed, which it does
// itself after a while, and returns the keys that were acknowledged.
func hammer(t *testing.T, db store.DB, n int, txn func(key string) store.Txn) []string {
	if txn == nil {
		txn = func(key string) store.Txn { return store.Txn{Then: []store.Op{put(key, "x")}} }
	}
	var mu sync.Mutex
	var acknowledged []string
	enough := make(chan struct{})
	var wg sync.WaitGroup
	for w := range n {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("h/%d/%d", w, i)
				_, err := db.Commit(context.Background(), txn(key))
				if errors.Is(err, store.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				mu.Lock()
				if acknowledged = append(acknowledged, key); len(acknowledged) == 20*n {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wg.Wait()
	return acknowledged
}

func testElector(t *testing.T, db store.DB) {
	e, ok := db.(store.Elector)
	if !ok {
		t.Log("the engine is no Elector")
		return
	}
	ctx := context.Background()
	var leaders, terms atomic.Int32
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for range 5 {
				err := e.Lead(ctx, "one", func(context.Context) error {
					if leaders.Add(1) != 1 {
						t.Error("two leaders at a time")
					}
					runtime.Gosched() // let another one try
					terms.Add(1)
					leaders.Add(-1)
					return nil
				})
				if err != nil {
					t.Errorf("lead: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if terms.Load() != 60 {
		t.Errorf("%d terms, want 60", terms.Load())
	}
	own := errors.New("my own")
	if err := e.Lead(ctx, "one", func(context.Context) error { return own }); !errors.Is(err, own) {
		t.Errorf("lead returned %v, want the error of run", err)
	}
	// While one leads, another name is free, the same name waits until its ctx
	// ends, and the leader's context ends with the one it gave.
	mine, end := context.WithCancel(ctx)
	err := e.Lead(mine, "one", func(leading context.Context) error {
		if err := e.Lead(ctx, "two", func(context.Context) error { return nil }); err != nil {
			t.Errorf("lead two: %v", err)
		}
		waiting, giveUp := context.WithCancel(ctx)
		answer := make(chan error)
		go func() { answer <- e.Lead(waiting, "one", func(context.Context) error { return own }) }()
		giveUp()
		if err := <-answer; !errors.Is(err, context.Canceled) {
			t.Errorf("the one who waited got %v, want the error of ctx", err)
		}
		end()
		<-leading.Done()
		return leading.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("lead: %v", err)
	}
	// A panic in run must not keep the seat.
	func() {
		defer func() { recover() }()
		e.Lead(ctx, "one", func(context.Context) error { panic("in run") })
	}()
	leading, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- e.Lead(ctx, "one", func(c context.Context) error {
			close(leading)
			<-c.Done()
			return nil
		})
	}()
	<-leading
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	<-ended
}
