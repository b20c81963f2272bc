package pulse_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/pulse"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type house struct {
	t       *testing.T
	db      store.DB
	broken  bool
	log     *eventlog.Log
	sources *intake.Sources
	desk    *intake.Desk
	watch   *pulse.Watch
	src     intake.Source
	now     time.Time
	raised  map[string]bool
}

// flaky is a store whose scans fail while it is broken.
type flaky struct {
	store.DB
	h *house
}

func (f flaky) Scan(ctx context.Context, r store.Range) iter.Seq2[store.KV, error] {
	if f.h.broken {
		return func(yield func(store.KV, error) bool) { yield(store.KV{}, errors.New("broken")) }
	}
	return f.DB.Scan(ctx, r)
}

func open(t *testing.T) *house {
	h := &house{t: t, db: mem.New(), now: time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)}
	h.restart()
	var err error
	if h.src, _, err = h.sources.Create(t.Context(), "person:ana", intake.Order{Name: "backup", Kind: intake.Heartbeat, Pace: heartbeat.Pace{Every: 60_000, Grace: 30_000, Severity: "SEV2"}}); err != nil {
		t.Fatal(err)
	}
	return h
}

// restart is a kill -9 and a new process.
func (h *house) restart() {
	h.t.Helper()
	log, err := eventlog.Open(h.t.Context(), h.db, eventlog.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	clock := func() time.Time { return h.now }
	h.log, h.sources, h.desk = log, intake.NewSources(log, h.db, clock), intake.NewDesk(log, clock)
	if err := h.sources.Refresh(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.watch = h.replica()
	h.raised = map[string]bool{}
}

func (h *house) replica() *pulse.Watch {
	return pulse.New(pulse.Options{DB: flaky{h.db, h}, Clock: func() time.Time { return h.now }, Sources: h.sources.Known, Submit: h.desk.Submit, Known: h.desk.Known})
}

func (h *house) beat(w *pulse.Watch, failing bool) {
	h.t.Helper()
	if err := w.Beat(h.t.Context(), h.src, heartbeat.Beat{At: h.now.UnixMilli(), Failing: failing, Reason: "disk full"}); err != nil {
		h.t.Fatal(err)
	}
}

// pass lets time go by, a second at a time, and says what the signals went through.
func (h *house) pass(d time.Duration) string {
	h.t.Helper()
	from := h.log.Size()
	for ; d > 0; d -= time.Second {
		h.now = h.now.Add(time.Second)
		h.watch.Step(h.t.Context(), h.raised)
	}
	var out []string
	for ; from < h.log.Size(); from++ {
		e, err := h.log.Read(h.t.Context(), from, 1)
		if err != nil {
			h.t.Fatal(err)
		}
		out = append(out, strings.TrimPrefix(e[0].Type, "signal."))
	}
	return strings.Join(out, " ")
}

func TestScripts(t *testing.T) {
	for name, script := range map[string]func(h *house, want func(what, got, want string)){
		"never heard": func(h *house, want func(what, got, want string)) {
			want("an hour", h.pass(time.Hour), "")
		},
		"regular, late, dead, back": func(h *house, want func(what, got, want string)) {
			for range 10 {
				h.beat(h.watch, false)
				want("regular", h.pass(59*time.Second), "")
			}
			want("late", h.pass(30*time.Second), "")
			want("dead", h.pass(10*time.Second), "opened")
			g, _, _ := h.desk.Known(h.t.Context(), h.src.ID, "heartbeat")
			want("reason", g.Title+": "+g.Reason+" "+g.Severity, "backup is silent: Nothing since 14:08:51 UTC, expected every 60 s. SEV2")
			want("still dead", h.pass(time.Hour), "")
			h.beat(h.watch, false)
			want("back", h.pass(time.Second), "cleared")
		},
		"jitter within the grace": func(h *house, want func(what, got, want string)) {
			for _, gap := range []time.Duration{60, 75, 40, 89, 90, 1, 88} {
				h.beat(h.watch, false)
				want("jitter", h.pass(gap*time.Second), "")
			}
		},
		"a restart fires nothing": func(h *house, want func(what, got, want string)) {
			h.beat(h.watch, false)
			h.now = h.now.Add(3 * time.Hour) // we were down
			h.restart()
			want("the wait begins anew", h.pass(90*time.Second), "")
			h.beat(h.watch, false)
			want("it was alive all the time", h.pass(60*time.Second), "")
		},
		"dead while we were down": func(h *house, want func(what, got, want string)) {
			h.beat(h.watch, false)
			h.now = h.now.Add(3 * time.Hour)
			h.restart()
			want("after interval and grace", h.pass(92*time.Second), "opened")
			h.restart()
			want("a restart does not raise it again", h.pass(10*time.Minute), "")
			h.beat(h.watch, false)
			want("and it clears", h.pass(time.Second), "cleared")
		},
		"the machine slept": func(h *house, want func(what, got, want string)) {
			h.beat(h.watch, false)
			want("awake", h.pass(10*time.Second), "")
			h.now = h.now.Add(8 * time.Hour)
			want("slept", h.pass(80*time.Second), "")
		},
		"the store cannot be read": func(h *house, want func(what, got, want string)) {
			h.beat(h.watch, false)
			h.broken = true
			want("blind", h.pass(time.Hour), "")
			h.broken = false
			want("the wait begins anew", h.pass(80*time.Second), "")
			want("and ends", h.pass(20*time.Second), "opened")
		},
		"failing": func(h *house, want func(what, got, want string)) {
			h.beat(h.watch, false)
			want("well", h.pass(5*time.Second), "")
			h.beat(h.watch, true)
			want("fails", h.pass(time.Second), "opened")
			h.beat(h.watch, false)
			want("well again", h.pass(time.Second), "cleared")
		},
		"another replica heard it": func(h *house, want func(what, got, want string)) {
			other := h.replica()
			for range 5 {
				h.beat(other, false)
				want("heard there", h.pass(59*time.Second), "")
			}
			want("nowhere", h.pass(40*time.Second), "opened")
		},
		"a fast sender costs few writes, and loses none": func(h *house, want func(what, got, want string)) {
			for range 300 {
				h.beat(h.watch, false)
				want("fast", h.pass(time.Second), "")
			}
			_, beats, err := h.replica().Look(h.t.Context())
			if err != nil {
				h.t.Fatal(err)
			}
			if behind := h.now.UnixMilli() - beats[h.src.ID].At; behind > 15_000 {
				h.t.Errorf("the store is %d ms behind", behind)
			}
		},
		"revoked": func(h *house, want func(what, got, want string)) {
			h.beat(h.watch, false)
			if err := h.sources.Revoke(h.t.Context(), "person:ana", h.src.ID); err != nil {
				h.t.Fatal(err)
			}
			want("nobody misses it", h.pass(time.Hour), "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.watch.Step(t.Context(), h.raised)
			script(h, func(what, got, want string) {
				t.Helper()
				if got != want {
					t.Errorf("%s: %q, want %q", what, got, want)
				}
			})
		})
	}
}

// Run judges while it leads, and ends with its context.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var raised, cleared atomic.Int32
		src := intake.Source{ID: "hb", Name: "backup", Kind: intake.Heartbeat, Pace: heartbeat.Pace{Every: 60_000, Grace: 30_000}}
		w := pulse.New(pulse.Options{DB: mem.New(), Clock: time.Now, Sources: func() []intake.Source { return []intake.Source{src} },
			Submit: func(_ context.Context, _, _ string, obs []signal.Observation) (int64, error) {
				for _, o := range obs {
					if o.Firing {
						raised.Add(1)
					} else {
						cleared.Add(1)
					}
				}
				return 0, nil
			},
			Known: func(context.Context, string, string) (signal.Signal, bool, error) { return signal.Signal{}, false, nil },
			Lead:  func(ctx context.Context, f func(context.Context) error) error { return f(ctx) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		if err := w.Beat(ctx, src, heartbeat.Beat{At: time.Now().UnixMilli()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(89 * time.Second)
		synctest.Wait()
		if raised.Load() != 0 {
			t.Error("raised before interval and grace were over")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if raised.Load() != 1 || cleared.Load() != 0 {
			t.Errorf("%d raised, %d cleared", raised.Load(), cleared.Load())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
