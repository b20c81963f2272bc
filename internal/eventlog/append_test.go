package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/bolt"
	"github.com/tocsin-ops/tocsin/store/mem"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

// TestConcurrentAppends: writers with and without expected heads, on two replicas
// of one store, against what must hold whatever the order was.
func TestConcurrentAppends(t *testing.T) {
	bdb, err := bolt.Open(filepath.Join(t.TempDir(), "db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer bdb.Close()
	for name, db := range map[string]store.DB{"mem": newDB(t), "64 operations": mem.Open(mem.Options{}), "bolt": bdb} {
		t.Run(name, func(t *testing.T) {
			logs := []*Log{open(t, db), open(t, db)}
			const writers, rounds, streams = 24, 12, 3
			var mu sync.Mutex
			acked := map[string]Event{}
			conflicts := 0
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					l := logs[w%len(logs)]
					for i := range rounds {
						stream := fmt.Sprintf("incident/%d", rand.N(streams))
						b := Batch{Stream: stream, Expect: AnySeq, Drafts: []Draft{draft("a"), draft("b")}[:1+i%2]}
						for n := range b.Drafts {
							b.Drafts[n].Causation = fmt.Sprintf("c-%d-%d", w, i)
							b.Drafts[n].Data = json.RawMessage(fmt.Sprintf(`{"w":%d,"i":%d,"n":%d}`, w, i, n))
						}
						for {
							if w%2 == 0 {
								head, err := l.StreamHead(t.Context(), stream)
								if err != nil {
									t.Error(err)
									return
								}
								b.Expect = head
							}
							events, err := l.Append(t.Context(), b)
							if errors.Is(err, ErrConflict) {
								mu.Lock()
								conflicts++
								mu.Unlock()
								continue
							}
							if err != nil {
								t.Error(err)
								return
							}
							mu.Lock()
							for n, e := range events {
								if b.Expect != AnySeq && e.Seq != b.Expect+1+int64(n) {
									t.Errorf("event %d of %s appended at %d has seq %d", e.Offset, stream, b.Expect, e.Seq)
								}
								acked[e.ID] = e
							}
							mu.Unlock()
							break
						}
					}
				})
			}
			wg.Wait()
			r := mustVerify(t, db)
			if want := writers * rounds * 3 / 2; len(acked) != want || r.Checkpoint.Size != int64(want) {
				t.Errorf("%d answered, %d stored, want %d", len(acked), r.Checkpoint.Size, want)
			}
			all, err := open(t, db).Read(t.Context(), 0, MaxRead)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range all {
				if a, ok := acked[e.ID]; !ok || fmt.Sprint(a) != fmt.Sprint(e) {
					t.Errorf("stored %+v, answered %+v", e, a)
				}
			}
			t.Logf("%d events, %d conflicts", len(all), conflicts)
		})
	}
}

// TestAppendModel drives one log by a random script, faults and reopening
// included, and holds it against a plain model.
func TestAppendModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		inner := mem.Open(mem.Options{})
		defer inner.Close()
		var fault storetest.Fault
		db := storetest.Faulty(inner, func(int, store.Txn) storetest.Fault { f := fault; fault = storetest.Pass(); return f })
		l, err := Open(ctx, db, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var model []Event
		heads := map[string]int64{}
		ids := 0
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"append", "append", "append", "other", "redact", "reopen"}).Draw(t, "step") {
			case "reopen":
				if l, err = Open(ctx, db, Options{}); err != nil {
					t.Fatal(err)
				}
			case "other": // another replica appends
				o, err := Open(ctx, inner, Options{})
				if err != nil {
					t.Fatal(err)
				}
				events, err := o.Append(ctx, Batch{Stream: "b", Expect: AnySeq, Drafts: []Draft{draft("o")}})
				if err != nil {
					t.Fatal(err)
				}
				model = append(model, events...)
				heads["b"]++
			case "redact":
				if len(model) == 0 {
					continue
				}
				at := rapid.IntRange(0, len(model)-1).Draw(t, "at")
				e, err := l.Redact(ctx, int64(at), Draft{Actor: "a", Data: json.RawMessage(`{"reason":"r"}`)})
				if refused := model[at].Redacted != nil || model[at].Type == RedactedType; refused != errors.Is(err, ErrRedacted) {
					t.Fatalf("redact %d: %v", at, err)
				} else if refused {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				model[at].Data, model[at].Redacted = nil, &Redaction{By: "a", Reason: "r"}
				model = append(model, e)
				heads[e.Stream]++
			case "append":
				stream := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "stream")
				expect := heads[stream] + int64(rapid.IntRange(-1, 1).Draw(t, "off"))
				if expect < AnySeq {
					expect = AnySeq
				}
				drafts := make([]Draft, rapid.IntRange(1, 5).Draw(t, "events"))
				for i := range drafts {
					drafts[i] = draft("t")
					drafts[i].Causation = rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "cause")
					if rapid.Bool().Draw(t, "own id") {
						ids++
						drafts[i].ID = fmt.Sprintf("id-%d", ids)
					}
				}
				fault = rapid.SampledFrom([]storetest.Fault{storetest.Pass(), storetest.SaveAndFail(), storetest.Lose(), storetest.SaveLater()}).Draw(t, "fault")
				events, err := l.Append(ctx, Batch{Stream: stream, Expect: expect, Drafts: drafts})
				fault = storetest.Pass()
				if ok := expect == heads[stream] || expect == AnySeq; ok != (err == nil) || (!ok && !errors.Is(err, ErrConflict)) {
					t.Fatalf("append %s at %d of %d: %v", stream, expect, heads[stream], err)
				}
				db.Settle(ctx) // what was on its way must not land now
				model = append(model, events...)
				heads[stream] += int64(len(events))
			}
		}
		check, err := Open(ctx, inner, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := check.Read(ctx, 0, MaxRead)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := show(got), show(model); a != b {
			t.Fatalf("stored\n%s\nmodel\n%s", a, b)
		}
		for _, stream := range []string{"a", "b", "c"} {
			from := rapid.IntRange(1, 20).Draw(t, "from")
			var want []Event
			for _, e := range model {
				if e.Stream == stream && e.Seq >= int64(from) {
					want = append(want, e)
				}
			}
			if got, err := check.ReadStream(ctx, stream, int64(from), 0); err != nil || show(got) != show(want) {
				t.Fatalf("stream %s from %d:\n%s\nwant\n%s\n%v", stream, from, show(got), show(want), err)
			}
		}
		for _, cause := range []string{"x", "y"} {
			var want []Event
			for _, e := range model {
				if e.Causation == cause {
					want = append(want, e)
				}
			}
			if got, err := check.ByCausation(ctx, cause); err != nil || show(got) != show(want) {
				t.Fatalf("by causation %s:\n%s\nwant\n%s\n%v", cause, show(got), show(want), err)
			}
		}
		if _, err := Verify(ctx, Stored(inner, "x"), VerifyOptions{}); err != nil {
			t.Fatal(err)
		}
	})
}

func show(events []Event) string {
	b, err := json.MarshalIndent(events, "", " ")
	if err != nil {
		panic(err)
	}
	if events == nil {
		return "[]"
	}
	return string(b)
}

func TestUncertain(t *testing.T) {
	ctx := t.Context()
	repeat := func(f storetest.Fault, n int) storetest.Plan {
		return func(i int, _ store.Txn) storetest.Fault {
			if i > 0 && i <= n { // 0 makes the key
				return f
			}
			return storetest.Pass()
		}
	}
	for _, c := range []struct {
		name string
		plan storetest.Plan
		want error
		size int64
	}{
		{"saved but error returned", repeat(storetest.SaveAndFail(), 1), nil, 1},
		{"lost once", repeat(storetest.Lose(), 1), nil, 1},
		{"saved later, after the second try", repeat(storetest.SaveLater(), 1), nil, 1},
		{"lost every time", repeat(storetest.Lose(), 99), ErrUncertain, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inner := newDB(t)
			db := storetest.Faulty(inner, c.plan)
			l := open(t, db)
			events, err := l.Append(ctx, Batch{Stream: "s", Expect: 0, Drafts: []Draft{draft("a")}})
			if !errors.Is(err, c.want) {
				t.Errorf("append = %v, %v; want %v", events, err, c.want)
			}
			for _, err := range db.Settle(ctx) {
				if !errors.Is(err, store.ErrConflict) {
					t.Errorf("the late Txn was taken: %v", err)
				}
			}
			if l.Size() != c.size {
				t.Errorf("size = %d, want %d", l.Size(), c.size)
			}
			if r := mustVerify(t, inner); r.Checkpoint.Size != c.size {
				t.Errorf("stored %d, want %d", r.Checkpoint.Size, c.size)
			}
		})
	}
}

// TestGrouping: what waits while one commit runs goes into the next one together,
// in order; who fails its Expect fails alone; who leaves while waiting is not
// written; who leaves while being written gets the truth.
func TestGrouping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := mem.Open(mem.Options{MaxOps: 4096})
		defer inner.Close()
		release := make(chan struct{})
		db := storetest.Faulty(inner, func(n int, _ store.Txn) storetest.Fault {
			if n == 1 {
				return storetest.Hold(release)
			}
			return storetest.Pass()
		})
		l := open(t, db)
		type answer struct {
			events []Event
			err    error
		}
		start := func(ctx context.Context, expect int64) chan answer {
			out := make(chan answer, 1)
			go func() {
				events, err := l.Append(ctx, Batch{Stream: "s", Expect: expect, Drafts: []Draft{draft("a")}})
				out <- answer{events, err}
			}()
			synctest.Wait()
			return out
		}
		leader, leave := context.WithCancel(t.Context())
		first := start(leader, 0)
		waiter, abandon := context.WithCancel(t.Context())
		second := start(waiter, AnySeq)
		third := start(t.Context(), 1)
		fourth := start(t.Context(), 1) // the third is before it
		fifth := start(t.Context(), 2)
		abandon()
		if a := <-second; !errors.Is(a.err, context.Canceled) {
			t.Errorf("who left while waiting: %v", a.err)
		}
		leave()
		synctest.Wait()
		close(release)
		for i, c := range []chan answer{first, third, fifth} {
			if a := <-c; a.err != nil || a.events[0].Offset != int64(i) {
				t.Errorf("append %d = %+v, %v", i, a.events, a.err)
			}
		}
		var conflict *ConflictError
		if a := <-fourth; !errors.As(a.err, &conflict) || conflict.Head != 2 {
			t.Errorf("fourth = %+v, %v", a.events, a.err)
		}
		if n := db.Commits(); n != 3 { // key, first, the rest together
			t.Errorf("%d commits, want 3", n)
		}
		mustVerify(t, inner)
	})
}

// TestBusy: a full queue is an answer, not a wait.
func TestBusy(t *testing.T) {
	l := open(t, newDB(t))
	l.leading = true
	l.pending = make([]*request, MaxPending)
	if _, err := l.Append(t.Context(), Batch{Stream: "s", Drafts: []Draft{draft("a")}}); !errors.Is(err, ErrBusy) {
		t.Errorf("append to a full queue: %v", err)
	}
}

// TestBoltReadOnly: what one process wrote verifies from a read-only file.
func TestBoltReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := sample(t, db, 30)
	redact(t, l, 3)
	drafts := make([]Draft, 1000)
	for i := range drafts {
		drafts[i] = draft("signal.opened")
	}
	add(t, l, "signal/a", drafts...)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = bolt.OpenReadOnly(path); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if r := mustVerify(t, db); r.Checkpoint.Size != l.Size() || len(r.Redacted) != 1 {
		t.Errorf("report = %+v", r)
	}
}
