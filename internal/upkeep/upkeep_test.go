package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/grouping"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/maintenance"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/reactor"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/upkeep"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const start = int64(1_795_000_000_000)

// house is one process on a store, with everything that a signal passes.
type house struct {
	t     *testing.T
	db    store.DB
	log   *eventlog.Log
	desk  *intake.Desk
	world *projection.World
	rooms *room.Rooms
	up    *upkeep.Service
	corr  *reactor.Correlator
	now   atomic.Int64
	next  int64
	ids   int
}

type rooms struct{ *room.Rooms }

func (r rooms) Declare(ctx context.Context, c incident.Declare, m incident.Meta) (int64, error) {
	a, err := r.Rooms.Declare(ctx, c, m)
	return a.Number, err
}

func (r rooms) Do(ctx context.Context, n int64, c incident.Command, m incident.Meta) error {
	_, err := r.Rooms.Do(ctx, n, c, m)
	return err
}

func open(t *testing.T) *house {
	h := &house{t: t, db: mem.Open(mem.Options{MaxOps: 4096})}
	h.now.Store(start)
	h.restart()
	return h
}

// restart is a kill -9 and a new process.
func (h *house) restart() {
	h.t.Helper()
	log, err := eventlog.Open(h.t.Context(), h.db, eventlog.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	clock := func() time.Time { return time.UnixMilli(h.now.Load()) }
	h.log, h.rooms, h.world, h.desk = log, room.New(log), projection.New(log), intake.NewDesk(log, clock)
	h.up = upkeep.New(upkeep.Options{Log: log, Clock: clock, Direct: h.desk.Direct, Open: func(see func(signal.Signal)) {
		h.world.Look(func(v projection.View) {
			for g := range v.Signals() {
				see(g)
			}
		})
	}})
	if err := h.up.Refresh(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.desk.StampWith(h.up.Stamp)
	h.corr = reactor.NewCorrelator(log, rooms{h.rooms}, signal.Rules{}, clock, slog.New(slog.DiscardHandler))
}

func (h *house) send(obs ...signal.Observation) {
	h.t.Helper()
	if _, err := h.desk.Submit(h.t.Context(), "am", "source:am", obs); err != nil {
		h.t.Fatal(err)
	}
	h.settle()
}

// settle lets the correlator and the pages see everything.
func (h *house) settle() {
	h.t.Helper()
	for h.next < h.log.Size() {
		page, err := h.log.Read(h.t.Context(), h.next, 512)
		if err != nil {
			h.t.Fatal(err)
		}
		var wanted []eventlog.Event
		for _, e := range page {
			if h.corr.Wants(e.Type) {
				wanted = append(wanted, e)
			}
		}
		if len(wanted) > 0 {
			if err := h.corr.Handle(h.t.Context(), wanted); err != nil {
				h.t.Fatal(err)
			}
		}
		h.next = page[len(page)-1].Offset + 1
	}
	if err := h.world.CatchUp(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) do(command any) {
	h.t.Helper()
	h.ids++
	if _, err := h.up.Do(h.t.Context(), fmt.Sprintf("cmd-%d", h.ids), "person:ana", command); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) signal(key string) signal.Signal {
	h.t.Helper()
	g, ok, err := h.desk.Known(h.t.Context(), "am", key)
	if err != nil || !ok {
		h.t.Fatalf("signal %s: %v", key, err)
	}
	return g
}

func (h *house) incidents() (n int64) {
	for {
		if _, err := h.rooms.Load(h.t.Context(), n+1); err != nil {
			return n
		}
		n++
	}
}

func fire(key string, change ...func(*signal.Observation)) signal.Observation {
	o := signal.Observation{Key: key, Kind: key, Title: "Title of " + key, Severity: "SEV3", Firing: true, Component: "Bridge " + key}
	for _, f := range change {
		f(&o)
	}
	return o
}

// A signal that opens in a window declares nothing; it is placed when the window ends and it is still open, also when the program was killed meanwhile.
func TestMaintenance(t *testing.T) {
	h := open(t)
	h.do(maintenance.Plan{Window: maintenance.Window{ID: "w", Name: "Upgrade", Reason: "new validators", Match: signal.Match{Kinds: []string{"a", "b", "c"}}, From: start, Until: start + 3600_000, Loud: "SEV1"}})
	h.send(fire("before", func(o *signal.Observation) { o.Kind = "other" }))
	if n := h.incidents(); n != 1 {
		t.Fatalf("%d incidents of what the window does not cover", n)
	}
	h.send(fire("a"), fire("b"), fire("c"))
	if g := h.signal("a"); h.incidents() != 1 || g.Quiet == nil || g.Quiet.Window != "w" {
		t.Fatalf("%d incidents, %+v", h.incidents(), g.Quiet)
	}
	h.up.Release(t.Context())
	h.settle()
	h.send(signal.Observation{Key: "b"}) // it cleared meanwhile
	h.send(fire("c", func(o *signal.Observation) { o.Severity = "SEV1" }))
	if h.incidents() != 2 {
		t.Fatalf("%d incidents: SEV1 is loud", h.incidents())
	}
	h.restart()
	h.settle()
	h.now.Add(3600_000)
	h.up.Release(t.Context())
	h.settle()
	h.up.Release(t.Context()) // again is nothing
	h.settle()
	if n := h.incidents(); n != 3 {
		t.Fatalf("%d incidents after the window", n)
	}
	st, err := h.rooms.Load(t.Context(), 3)
	if err != nil || len(st.Signals) != 1 || st.Signals[0].Kind != "a" {
		t.Errorf("%+v, %v", st.Signals, err)
	}
	if g := h.signal("a"); g.Quiet != nil {
		t.Errorf("%+v", g.Quiet)
	}
	released := 0
	for off := int64(0); off < h.log.Size(); off++ {
		e, _ := h.log.Read(t.Context(), off, 1)
		if e[0].Type == signal.TypeReleased {
			released++
			if e[0].Actor != upkeep.Actor || !strings.Contains(string(e[0].Data), "The maintenance “Upgrade” is over") {
				t.Errorf("%s %s", e[0].Actor, e[0].Data)
			}
		}
	}
	if released != 1 {
		t.Errorf("%d released, want 1", released)
	}
}

// Stopping releases at once; an edit changes the mark; a second window takes over.
func TestWindowsThatChange(t *testing.T) {
	h := open(t)
	h.do(maintenance.Plan{Window: maintenance.Window{ID: "w1", Name: "One", Reason: "r", Match: signal.Match{Kinds: []string{"a"}}, From: start, Until: start + 1000_000}})
	h.do(maintenance.Plan{Window: maintenance.Window{ID: "w2", Name: "Two", Reason: "r", Match: signal.Match{Kinds: []string{"a"}}, From: start, Until: start + 500_000}})
	h.send(fire("a"))
	check := func(window string, incidents int64) {
		t.Helper()
		h.up.Release(t.Context())
		h.settle()
		got := ""
		if q := h.signal("a").Quiet; q != nil {
			got = q.Window
		}
		if got != window || h.incidents() != incidents {
			t.Errorf("window %q and %d incidents, want %q and %d", got, h.incidents(), window, incidents)
		}
	}
	check("w1", 0)
	h.do(maintenance.Cancel{ID: "w1"})
	check("w2", 0)
	h.do(maintenance.Stop{ID: "w2"})
	check("", 1)
}

func TestSnooze(t *testing.T) {
	h := open(t)
	h.send(fire("info", func(o *signal.Observation) { o.Severity = "SEV5" }))
	g := h.signal("info")
	q := &signal.Quiet{By: signal.QuietSnooze, Name: "Ana", Until: start + 60_000}
	if err := h.desk.Direct(t.Context(), g, "person:ana", q, ""); err != nil {
		t.Fatal(err)
	}
	h.settle()
	h.up.Release(t.Context())
	if h.signal("info").Quiet == nil {
		t.Fatal("woken before its time")
	}
	h.now.Add(60_000)
	h.up.Release(t.Context())
	h.settle()
	if h.signal("info").Quiet != nil || h.incidents() != 0 {
		t.Errorf("%+v, %d incidents: SEV5 declares nothing", h.signal("info").Quiet, h.incidents())
	}
	_ = h.desk.Direct(t.Context(), g, "person:ana", &signal.Quiet{By: signal.QuietSnooze, Name: "Ana"}, "")
	h.settle()
	h.now.Add(61_000)
	h.send(fire("info", func(o *signal.Observation) { o.Severity = "SEV2" }))
	if h.signal("info").Quiet != nil || h.incidents() != 1 {
		t.Errorf("it became worse: %+v, %d incidents", h.signal("info").Quiet, h.incidents())
	}
}

func TestGrouping(t *testing.T) {
	h := open(t)
	h.do(grouping.Add{Rule: grouping.Rule{ID: "r", Name: "same bridge", By: []string{"bridge"}}})
	label := func(bridge string) func(*signal.Observation) {
		return func(o *signal.Observation) { o.Labels = map[string]string{"bridge": bridge} }
	}
	h.send(fire("a", label("nomad")), fire("b", label("wormhole")))
	h.now.Add(60_000)
	h.send(fire("c", label("nomad")), fire("d", label("nomad")), fire("e", label("wormhole")), fire("f"))
	if n := h.incidents(); n != 3 {
		t.Fatalf("%d incidents", n)
	}
	st, _ := h.rooms.Load(t.Context(), 1)
	if len(st.Signals) != 3 || !strings.Contains(st.Signals[1].Correlation, "the rule “same bridge”: bridge=nomad, 1 min after") {
		t.Errorf("%+v", st.Signals)
	}
	// Taken off, and never by this rule: the next episode stands alone.
	c := h.signal("c")
	h.do(grouping.Except{ID: "r", Identity: c.Identity(), Signal: c.ID})
	if _, err := h.rooms.Do(t.Context(), 1, incident.DetachSignal{Signal: c.ID}, incident.Meta{ID: "d1", At: h.now.Load(), Actor: "person:ana"}); err != nil {
		t.Fatal(err)
	}
	h.send(signal.Observation{Key: "c"})
	h.now.Add(1000)
	h.send(fire("c", label("nomad")))
	if g := h.signal("c"); g.Joint != nil || h.incidents() != 4 {
		t.Errorf("%+v, %d incidents", g.Joint, h.incidents())
	}
}

// Four thousand alerts of fifty groups make fifty incidents; the whole program takes ten thousand in a test of its own.
func TestStorm(t *testing.T) {
	h := open(t)
	h.do(grouping.Add{Rule: grouping.Rule{ID: "r", Name: "same service", By: []string{"service"}}})
	began := time.Now()
	for batch := range 8 {
		var obs []signal.Observation
		for i := range 500 {
			n := batch*500 + i
			obs = append(obs, signal.Observation{Key: fmt.Sprint("k", n), Kind: "Alert", Title: fmt.Sprint("alert ", n), Severity: "SEV3", Firing: true, Labels: map[string]string{"service": fmt.Sprint("s", n%50)}})
		}
		if _, err := h.desk.Submit(t.Context(), "am", "source:am", obs); err != nil {
			t.Fatal(err)
		}
	}
	taken := time.Since(began)
	h.settle()
	if n := h.incidents(); n < 50 || n > 50 {
		t.Errorf("%d incidents", n)
	}
	t.Logf("4,000 alerts of 50 groups: durable in memory after %s, 50 incidents after %s", taken.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// Two replicas: what one sets the other stamps, and only the leader releases.
func TestRun(t *testing.T) {
	h := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- h.log.Run(ctx) }()
	go func() { done <- h.up.Run(ctx) }()
	other := upkeep.New(upkeep.Options{Log: h.log, Clock: time.Now, Open: func(func(signal.Signal)) {}})
	if _, err := other.Do(ctx, "x", "person:ana", grouping.Add{Rule: grouping.Rule{ID: "r", Name: "n", By: []string{"a"}}}); err != nil {
		t.Fatal(err)
	}
	for seen := 0; seen == 0; time.Sleep(time.Millisecond) {
		h.up.Look(func(_ *maintenance.State, r *grouping.State) { seen = len(r.Rules()) })
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}
