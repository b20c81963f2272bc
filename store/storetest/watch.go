package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
)

// text writes a change as "+key=value -key".
func text(c store.Change) string {
	var parts []string
	for _, op := range c.Ops {
		if op.Delete {
			parts = append(parts, "-"+string(op.Key))
		} else {
			parts = append(parts, "+"+string(op.Key)+"="+string(op.Value))
		}
	}
	return strings.Join(parts, " ")
}

// take collects n changes of a Watch.
func take(t testing.TB, db store.DB, prefix string, from int64, n int) []store.Change {
	t.Helper()
	var changes []store.Change
	for c, err := range db.Watch(context.Background(), []byte(prefix), from) {
		if err != nil {
			t.Fatalf("watch: %v after %d changes", err, len(changes))
		}
		if c.Rev <= from {
			t.Fatalf("watch from %d yielded revision %d", from, c.Rev)
		}
		from = c.Rev
		if changes = append(changes, c); len(changes) == n {
			break
		}
	}
	return changes
}

func testWatchOrder(t *testing.T, db store.DB) {
	revs := []int64{
		must(t, db, put("b", "1"), put("a", "1"), put("c", "1")),
		must(t, db, del("c"), put("a", "2"), del("never")),
		must(t, db, del("never")),
		must(t, db, put("a", "3")),
	}
	got := take(t, db, "", revs[0]-1, 3)
	for i, wanted := range []string{"+b=1 +a=1 +c=1", "-c +a=2", "+a=3"} {
		if text(got[i]) != wanted {
			t.Errorf("change %d is %q, want %q", i, text(got[i]), wanted)
		}
	}
	if got[0].Rev != revs[0] || got[1].Rev != revs[1] || got[2].Rev != revs[3] {
		t.Errorf("revisions %d %d %d, want those of %v", got[0].Rev, got[1].Rev, got[2].Rev, revs)
	}
}

func testWatchFrom(t *testing.T, db store.DB) {
	r1 := must(t, db, put("x/1", "1"), put("y/1", "1"))
	r2 := must(t, db, put("y/2", "2"))
	r3 := must(t, db, put("y/3", "3"), put("x/3", "3"), put("x", "3"), put("x0", "3"))
	for _, c := range []struct {
		prefix string
		from   int64
		want   []string
	}{
		{"x/", r1 - 1, []string{"+x/1=1", "+x/3=3"}},
		{"x/", r1, []string{"+x/3=3"}},
		{"x/", r2, []string{"+x/3=3"}},
		{"y/", r1, []string{"+y/2=2", "+y/3=3"}},
		{"y/2", r1 - 1, []string{"+y/2=2"}},
		{"x", r1, []string{"+x/3=3 +x=3 +x0=3"}},
	} {
		var got []string
		for _, change := range take(t, db, c.prefix, c.from, len(c.want)) {
			got = append(got, text(change))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("watch %q from %d: %q, want %q", c.prefix, c.from, got, c.want)
		}
	}
	// From the newest revision on: what was is not repeated, what comes is seen.
	got := make(chan store.Change, 1)
	started := make(chan struct{})
	go func() {
		close(started)
		for c, err := range db.Watch(context.Background(), []byte("x/"), r3) {
			if err != nil {
				t.Errorf("watch: %v", err)
			}
			got <- c
			return
		}
	}()
	<-started
	must(t, db, put("z", "4"))
	r5 := must(t, db, put("x/5", "5"))
	if c := <-got; c.Rev != r5 || text(c) != "+x/5=5" {
		t.Fatalf("got %q at %d, want +x/5=5 at %d", text(c), c.Rev, r5)
	}
}

// testWatchConcurrent has watchers that start at different times while many
// write: each must see every commit once, in order, with what Commit returned.
func testWatchConcurrent(t *testing.T, db store.DB) {
	const writers, each = 6, 30
	start := must(t, db, put("begin", ""))
	var mu sync.Mutex
	made := map[int64]string{}
	var watchers, wg sync.WaitGroup
	seen := make([][]store.Change, 3)
	watch := func(i int) {
		watchers.Go(func() {
			seen[i] = take(t, db, "w/", start, writers*each)
		})
	}
	watch(0)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if w == 0 && i == each/2 {
					watch(1)
				}
				key := fmt.Sprintf("w/%d/%d", w, i)
				rev, err := db.Commit(context.Background(), store.Txn{Then: []store.Op{put(key, "x"), put("other", key)}})
				if err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				mu.Lock()
				made[rev] = "+" + key + "=x"
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	watch(2)
	watchers.Wait()
	for i, changes := range seen {
		if len(changes) != len(made) {
			t.Fatalf("watcher %d saw %d changes, want %d", i, len(changes), len(made))
		}
		for _, c := range changes {
			if made[c.Rev] != text(c) {
				t.Fatalf("watcher %d: %q at %d, the commit was %q", i, text(c), c.Rev, made[c.Rev])
			}
		}
	}
}

func testWatchEnds(t *testing.T, db store.DB) {
	rev := must(t, db, put("a", "1"))
	watch := func(ctx context.Context) (<-chan store.Change, <-chan error) {
		got, ended := make(chan store.Change, 1), make(chan error, 1)
		go func() {
			var last error
			for c, err := range db.Watch(ctx, []byte("a"), rev-1) {
				if last = err; err == nil {
					got <- c
				}
			}
			ended <- last
		}()
		return got, ended
	}
	ctx, end := context.WithCancel(context.Background())
	got, ended := watch(ctx)
	<-got
	end()
	if err := <-ended; err != nil {
		t.Fatalf("the end of ctx was yielded as %v", err)
	}
	for c, err := range db.Watch(ctx, nil, 0) {
		t.Fatalf("a watch with an ended ctx yielded %v, %v", c, err)
	}
	got, ended = watch(context.Background())
	<-got
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, store.ErrClosed) {
		t.Fatalf("after Close the watch ended with %v, want ErrClosed", err)
	}
}

// RunCompaction checks what a Watch says of changes no longer kept. open
// returns an empty store that keeps the newest keep changes, or as few as it
// can if it cannot keep so few.
func RunCompaction(t *testing.T, open func(t *testing.T, keep int) store.DB) {
	const keep, more = 8, 400
	db := open(t, keep)
	t.Cleanup(func() { db.Close() })
	first := must(t, db, put("a", "0"))
	next, stop := pull(t, db, first-1)
	defer stop()
	if rev, err := next(); err != nil || rev != first {
		t.Fatalf("revision %d, %v; want %d", rev, err, first)
	}
	rev := first
	bulk := strings.Repeat("x", 16<<10) // more than a connection holds on its way
	for i := range more {
		rev = must(t, db, put("a", fmt.Sprint(i)+bulk))
	}
	for c, err := range db.Watch(context.Background(), nil, first-1) {
		if !errors.Is(err, store.ErrCompacted) {
			t.Fatalf("%v, %v; want ErrCompacted", c, err)
		}
	}
	for c, err := range db.Watch(context.Background(), []byte("never"), first) {
		if !errors.Is(err, store.ErrCompacted) {
			t.Fatalf("%v, %v; want ErrCompacted also where nothing changed", c, err)
		}
	}
	if c := take(t, db, "a", rev-1, 1); c[0].Rev != rev {
		t.Fatalf("the newest change is %d, want %d", c[0].Rev, rev)
	}
	// The watcher that slept through it has no gap before it is told.
	for seen := first; ; {
		got, err := next()
		if errors.Is(err, store.ErrCompacted) {
			break
		}
		if err != nil || got != seen+1 {
			t.Fatalf("after %d: %d, %v", seen, got, err)
		}
		if seen = got; seen == rev {
			t.Fatal("a watcher that slept through everything was never told")
		}
	}
}
