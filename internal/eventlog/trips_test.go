package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// far is a replica's hold on a store across a network: each call takes a trip of
// 2 ms, and those that wait for one another are counted by the clock.
type far struct {
	*mem.Replica
	mu    sync.Mutex
	calls []string
}

const trip = 2 * time.Millisecond

func (f *far) call(what string, key []byte) {
	time.Sleep(trip)
	f.mu.Lock()
	f.calls = append(f.calls, what+" "+strings.TrimRight(string(key), "\x00"))
	f.mu.Unlock()
}

func (f *far) Get(ctx context.Context, key []byte) (store.KV, error) {
	f.call("get", key)
	return f.Replica.Get(ctx, key)
}

func (f *far) Scan(ctx context.Context, r store.Range) iter.Seq2[store.KV, error] {
	return func(yield func(store.KV, error) bool) {
		f.call("scan", r.From)
		for kv, err := range f.Replica.Scan(ctx, r) {
			if !yield(kv, err) {
				return
			}
		}
	}
}

func (f *far) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	f.call("commit", nil)
	return f.Replica.Commit(ctx, txn)
}

// trips runs what and fails if it made more calls than this, or one after the other
// in more trips; how many share a group is the scheduler's. It must be called in a synctest bubble.
func (f *far) trips(t *testing.T, name string, calls, after int, what func()) {
	t.Helper()
	f.mu.Lock()
	f.calls = nil
	f.mu.Unlock()
	begin := time.Now()
	what()
	took := int(time.Since(begin) / trip)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) > calls || took > after {
		t.Errorf("%s: %d calls in %d trips, want at most %d in %d: %q", name, len(f.calls), took, calls, after, f.calls)
	}
	t.Logf("%s: %d calls in %d trips", name, len(f.calls), took)
}

// replicas are two processes on one store; running, they watch.
func replicas(t *testing.T, running bool) (a, b *Log, fa, fb *far, stop func()) {
	t.Helper()
	db := mem.New()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	start := func() (*Log, *far) {
		f := &far{Replica: db.Replica()}
		l := open(t, f)
		if running {
			wg.Go(func() {
				if err := l.Run(ctx); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(time.Second)
			synctest.Wait()
		}
		return l, f
	}
	a, fa = start()
	b, fb = start()
	return a, b, fa, fb, func() {
		cancel()
		wg.Wait()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func expecting(t *testing.T, l *Log, stream string, head int64) {
	t.Helper()
	if _, err := l.Append(t.Context(), Batch{Stream: stream, Expect: head, Drafts: []Draft{draft("x")}}); err != nil {
		t.Error(err)
	}
}

func TestTripsOfAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, fa, fb, stop := replicas(t, true)
		defer stop()
		fa.trips(t, "first append to a stream", 2, 2, func() { expecting(t, a, "s", 0) })
		fa.trips(t, "append", 1, 1, func() { expecting(t, a, "s", 1) })
		fa.trips(t, "twelve appends at once", 2, 2, func() { // the one that leads, and the others
			var wg sync.WaitGroup
			for range 12 {
				wg.Go(func() { add(t, a, "s", draft("y")) })
			}
			wg.Wait()
		})
		fa.trips(t, "appends to twelve new streams at once", 2+12, 2+2, func() {
			var wg sync.WaitGroup
			for i := range 12 {
				wg.Go(func() { expecting(t, a, fmt.Sprint("new/", i), 0) })
			}
			wg.Wait()
		})
		synctest.Wait() // b's watch
		fb.trips(t, "append behind another replica's, whose stream it never saw before", 1, 1, func() { expecting(t, b, "s", 14) })
		synctest.Wait()
		fa.trips(t, "append behind the other's again", 1, 1, func() { expecting(t, a, "s", 15) })
		synctest.Wait()
		if a.Size() != 28 || b.Size() != 28 {
			t.Errorf("sizes %d and %d", a.Size(), b.Size())
		}
		r := verifyStored(t, fa.Replica)
		if r.Checkpoint.Size != 28 {
			t.Errorf("verified %d events", r.Checkpoint.Size)
		}
	})
}

// TestTripsOfConflict: nobody watches, so that the append runs into the other
// replica's: the refused Txn, whose turn it is, the head, what is new, and
// the Txn again; not the edge of the tree, nor heads of streams.
func TestTripsOfConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, fa, _, stop := replicas(t, false)
		defer stop()
		for i := range 200 { // the edge of a larger tree is not read again
			expecting(t, a, "s", int64(i))
		}
		add(t, b, "other", draft("x"))
		fa.trips(t, "append behind a stranger", 5, 5, func() { expecting(t, a, "s", 200) })
		for range 3 {
			add(t, b, "other", draft("x"), draft("x"))
		}
		fa.trips(t, "append behind three of them", 5, 5, func() { expecting(t, a, "s", 201) })
		add(t, b, "s", draft("x"))
		fa.trips(t, "append that the other has overtaken", 4, 4, func() {
			_, err := a.Append(t.Context(), Batch{Stream: "s", Expect: 202, Drafts: []Draft{draft("x")}})
			if c := new(ConflictError); !errors.As(err, &c) || c.Head != 203 {
				t.Errorf("overtaken: %v", err)
			}
		})
	})
}

func TestTripsOfReadStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, fa, _, stop := replicas(t, false)
		defer stop()
		for i := range 40 { // far apart
			expecting(t, a, "s", int64(i))
			for range 5 {
				add(t, a, "other", many(14)...)
			}
			expecting(t, a, "near", int64(i))
			add(t, a, "other", draft("x"))
		}
		read := func(stream string, from int64, want int) func() {
			return func() {
				events, err := a.ReadStream(t.Context(), stream, from, 0)
				if err != nil || len(events) != want {
					t.Errorf("%s from %d: %d events, %v", stream, from, len(events), err)
				}
			}
		}
		fa.trips(t, "a stream in 40 far places", 1+40, 1+3, read("s", 1, 40))
		fa.trips(t, "its end", 2, 2, read("s", 40, 1))
		fa.trips(t, "past its end", 2, 2, read("s", 41, 0))
		fa.trips(t, "no such stream", 1, 1, read("none", 1, 0))
		expecting(t, a, "t", 0)
		for i := range 30 { // close together
			expecting(t, a, "t", int64(i+1))
			add(t, a, "other", draft("x"))
		}
		fa.trips(t, "a stream in 30 near places", 2, 2, read("t", 1, 31))
	})
}

// TestTripsOfFollow: who waits at the end reads nothing, on whichever replica the
// event was appended.
func TestTripsOfFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, fa, fb, stop := replicas(t, true)
		defer stop()
		add(t, a, "s", draft("x"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		seen := map[*Log]*int{}
		for _, l := range []*Log{a, b} {
			n := new(int)
			seen[l] = n
			wg.Go(func() {
				for page, err := range l.Follow(ctx, 0) {
					if err != nil {
						t.Error(err)
					}
					for _, e := range page {
						if e.Offset != int64(*n) || e.Stream != "s" || string(e.Data) == "" {
							t.Errorf("event %d in the place of %d: %+v", e.Offset, *n, e)
						}
						*n++
					}
				}
			})
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for i, l := range []*Log{a, b, a, a, b} {
			for _, f := range []*far{fa, fb} {
				f.mu.Lock()
				f.calls = nil
				f.mu.Unlock()
			}
			expecting(t, l, "s", int64(i+1))
			synctest.Wait()
			if len(fa.calls)+len(fb.calls) != 1 {
				t.Errorf("append %d and two followers: %q and %q", i, fa.calls, fb.calls)
			}
			if *seen[a] != i+2 || *seen[b] != i+2 {
				t.Errorf("after append %d the followers saw %d and %d", i, *seen[a], *seen[b])
			}
		}
		cancel()
		wg.Wait()
	})
}

// TestFollowAfterRedaction: what was blanked is in no memory.
func TestFollowAfterRedaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _, stop := replicas(t, true)
		defer stop()
		for range 4 {
			add(t, a, "s", draft("secret"))
		}
		synctest.Wait()
		if _, err := b.Redact(t.Context(), 1, Draft{At: 1, Actor: "person:ana", Data: json.RawMessage(`{"reason":"leaked"}`)}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, l := range []*Log{a, b} {
			l.mu.Lock()
			for _, e := range l.tail.events {
				if e.Offset == 1 && e.Data != nil {
					t.Error("a blanked payload is kept")
				}
			}
			l.mu.Unlock()
		}
		expecting(t, a, "s", 5)
	})
}

func many(n int) []Draft {
	out := make([]Draft, n)
	for i := range out {
		out[i] = draft("x")
	}
	return out
}

func verifyStored(t *testing.T, db store.DB) Report {
	t.Helper()
	r, err := Verify(t.Context(), Stored(db, "test"), VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
