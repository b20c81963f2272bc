package reactor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/reactor"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

const start = int64(1_795_000_000_000)

// tb is what testing.T and rapid.T have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// rooms is the real room as the reactor needs it.
type rooms struct{ *room.Rooms }

func (r rooms) Declare(ctx context.Context, c incident.Declare, m incident.Meta) (int64, error) {
	a, err := r.Rooms.Declare(ctx, c, m)
	return a.Number, err
}

func (r rooms) Do(ctx context.Context, n int64, c incident.Command, m incident.Meta) error {
	_, err := r.Rooms.Do(ctx, n, c, m)
	return err
}

// house is one process on a store. Its correlator is driven by hand: step acts
// on what is new, as the runner would.
type house struct {
	t    tb
	ctx  context.Context
	db   store.DB
	log  *eventlog.Log
	desk *intake.Desk
	room rooms
	corr *reactor.Correlator
	next int64 // cursor
	now  int64
	ids  int

	wrap  func(reactor.Room) reactor.Room
	rules signal.Rules

	restarts int
}

func open(t tb, ctx context.Context) *house {
	h := &house{t: t, ctx: ctx, db: mem.Open(mem.Options{MaxOps: 4096}), now: start}
	h.restart()
	return h
}

// restart is a kill -9 and a new process: only the store and the cursor stay,
// and every other time the correlator's fold, written down.
func (h *house) restart() {
	h.t.Helper()
	var image []byte
	if h.restarts++; h.corr != nil && h.restarts%2 == 0 {
		var err error
		if _, image, err = h.corr.Image(h.ctx); err != nil {
			h.t.Fatalf("%v", err)
		}
	}
	log, err := eventlog.Open(h.ctx, h.db, eventlog.Options{})
	if err != nil {
		h.t.Fatalf("%v", err)
	}
	h.log, h.room = log, rooms{room.New(log)}
	h.desk = intake.NewDesk(log, h.clock)
	var r reactor.Room = h.room
	if h.wrap != nil {
		r = h.wrap(r)
	}
	h.corr = reactor.NewCorrelator(log, r, h.rules, h.clock, silent)
	h.corr.Keep(1)
	if image != nil {
		h.corr.Resume(image)
	}
}

func (h *house) clock() time.Time { return time.UnixMilli(h.now) }

func (h *house) send(source string, obs ...signal.Observation) {
	h.t.Helper()
	if _, err := h.desk.Submit(h.ctx, source, "source:"+source, obs); err != nil {
		h.t.Fatalf("%v", err)
	}
}

// step handles at most limit events after the cursor, which it moves on success.
func (h *house) step(limit int) (more bool, err error) {
	h.t.Helper()
	page, err := h.log.Read(h.ctx, h.next, limit)
	if err != nil {
		h.t.Fatalf("%v", err)
	}
	if len(page) == 0 {
		return false, nil
	}
	var wanted []eventlog.Event
	for _, e := range page {
		if h.corr.Wants(e.Type) {
			wanted = append(wanted, e)
		}
	}
	if len(wanted) > 0 {
		if err := h.corr.Handle(h.ctx, wanted); err != nil {
			return true, err
		}
	}
	h.next = page[len(page)-1].Offset + 1
	return true, nil
}

// settle steps until nothing is new.
func (h *house) settle() {
	h.t.Helper()
	for {
		more, err := h.step(512)
		if err != nil {
			h.t.Fatalf("%v", err)
		}
		if !more {
			return
		}
	}
}

func (h *house) do(number int64, actor string, c incident.Command) {
	h.t.Helper()
	h.ids++
	if err := h.room.Do(h.ctx, number, c, incident.Meta{ID: fmt.Sprintf("cmd-%d", h.ids), At: h.now, Actor: actor}); err != nil {
		h.t.Fatalf("%v", err)
	}
}

func (h *house) load(number int64) incident.State {
	h.t.Helper()
	s, err := h.room.Load(h.ctx, number)
	if err != nil {
		h.t.Fatalf("incident %d: %v", number, err)
	}
	return s
}

// incidents is how many there are.
func (h *house) incidents() int {
	h.t.Helper()
	for n := int64(1); ; n++ {
		if _, err := h.room.Load(h.ctx, n); errors.Is(err, room.ErrNoIncident) {
			return int(n) - 1
		} else if err != nil {
			h.t.Fatalf("%v", err)
		}
	}
}

// kinds are the kinds of the signals attached to an incident, sorted; the tests
// give every key a kind of its own.
func (h *house) kinds(number int64) []string {
	h.t.Helper()
	var out []string
	for _, g := range h.load(number).Signals {
		out = append(out, g.Kind)
	}
	slices.Sort(out)
	return out
}

func (h *house) want(number int64, kinds ...string) {
	h.t.Helper()
	if got := h.kinds(number); !slices.Equal(got, kinds) {
		h.t.Errorf("incident %d has %v, want %v", number, got, kinds)
	}
}

// fire is a firing of key, whose kind is the key too.
func fire(key string, more ...func(*signal.Observation)) signal.Observation {
	o := signal.Observation{Key: key, Kind: key, Title: "Title of " + key, Severity: "SEV2", Firing: true}
	for _, m := range more {
		m(&o)
	}
	return o
}

func clear(key string) signal.Observation { return signal.Observation{Key: key} }

func on(chain string) func(*signal.Observation) {
	return func(o *signal.Observation) { o.Chain = chain }
}

func of(component string) func(*signal.Observation) {
	return func(o *signal.Observation) { o.Component = component }
}

func sev(s string) func(*signal.Observation) {
	return func(o *signal.Observation) { o.Severity = s }
}

func drill(o *signal.Observation) { o.Drill = true }

var _ tb = (*testing.T)(nil)
