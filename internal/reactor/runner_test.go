package reactor_test

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/reactor"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

var silent = slog.New(slog.DiscardHandler)

// recorder wants "x" and remembers what it handled; it fails as often as told.
type recorder struct {
	fail    int
	calls   int
	handled []int64
}

func (r *recorder) Name() string          { return "recorder" }
func (r *recorder) Wants(typ string) bool { return typ == "x" }

func (r *recorder) Handle(_ context.Context, page []eventlog.Event) error {
	r.calls++
	if r.fail > 0 {
		r.fail--
		return errors.New("not now")
	}
	for _, e := range page {
		r.handled = append(r.handled, e.Offset)
	}
	return nil
}

// plain hides that mem elects.
type plain struct{ store.DB }

func write(t *testing.T, log *eventlog.Log, types ...string) {
	t.Helper()
	for _, typ := range types {
		if _, err := log.Append(t.Context(), eventlog.Batch{Stream: "s", Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{{Actor: "system:test", Type: typ}}}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRunner(t *testing.T) {
	for name, wrap := range map[string]func(store.DB) store.DB{"elected": func(db store.DB) store.DB { return db }, "alone": func(db store.DB) store.DB { return plain{db} }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := wrap(mem.New())
				log, err := eventlog.Open(t.Context(), db, eventlog.Options{})
				if err != nil {
					t.Fatal(err)
				}
				write(t, log, "x", "y", "x")
				run := func(r reactor.Reactor) (stop func()) {
					ctx, cancel := context.WithCancel(t.Context())
					ended := make(chan error, 1)
					runner := reactor.NewRunner(r, log, db, silent)
					go func() { ended <- runner.Run(ctx) }()
					return func() {
						t.Helper()
						cancel()
						if err := <-ended; err != nil {
							t.Error(err)
						}
					}
				}
				// The page comes again until it is done, less and less often.
				first := &recorder{fail: 12}
				began := time.Now()
				stop := run(first)
				time.Sleep(time.Hour) // of the bubble's clock
				write(t, log, "x")
				synctest.Wait()
				if !slices.Equal(first.handled, []int64{0, 2, 3}) || first.calls != 14 || time.Since(began) != time.Hour {
					t.Errorf("%+v", first)
				}
				stop()
				// The next process goes on where this one stopped.
				write(t, log, "y", "x")
				second := &recorder{}
				stop = run(second)
				synctest.Wait()
				if !slices.Equal(second.handled, []int64{5}) {
					t.Errorf("%+v", second)
				}
				// Another replica takes over and moves the cursor; this one follows it.
				if _, err := db.Commit(t.Context(), store.Txn{Then: []store.Op{{Key: []byte("reactor/recorder"), Value: binary.BigEndian.AppendUint64(nil, 8)}}}); err != nil {
					t.Fatal(err)
				}
				write(t, log, "x", "x", "x")
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := len(second.handled); n == 0 || second.handled[n-1] != 8 {
					t.Errorf("%+v", second)
				}
				stop()
			})
		})
	}
}

func TestCommandID(t *testing.T) {
	a := reactor.CommandID("e1", "declare")
	if a != reactor.CommandID("e1", "declare") || a == reactor.CommandID("e2", "declare") || a == reactor.CommandID("e1", "tell 1") || len(a) != 36 {
		t.Error(a)
	}
}
