package projection_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const start = int64(1_795_000_000_000)

// tb is what testing.T and rapid.T have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

type house struct {
	t     tb
	ctx   context.Context
	log   *eventlog.Log
	rooms *room.Rooms
	desk  *intake.Desk
	world *projection.World
	now   int64
	ids   int
}

func open(t tb) *house {
	t.Helper()
	ctx := context.Background()
	log, err := eventlog.Open(ctx, mem.Open(mem.Options{MaxOps: 4096}), eventlog.Options{})
	if err != nil {
		t.Fatalf("%v", err)
	}
	h := &house{t: t, ctx: ctx, log: log, rooms: room.New(log), world: projection.New(log), now: start}
	h.desk = intake.NewDesk(log, func() time.Time { return time.UnixMilli(h.now) })
	return h
}

// run lets the world follow the log until stop is called.
func (h *house) run() (stop func()) {
	ctx, cancel := context.WithCancel(h.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.world.Run(ctx); err != nil {
			h.t.Errorf("run: %v", err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

func (h *house) meta() incident.Meta {
	h.ids++
	h.now += 1000
	return incident.Meta{ID: fmt.Sprintf("c%d", h.ids), At: h.now, Actor: "person:ana"}
}

func (h *house) declare(title string, signals ...incident.Signal) int64 {
	h.t.Helper()
	a, err := h.rooms.Declare(h.ctx, incident.Declare{Title: title, Severity: "SEV2", Attach: signals}, h.meta())
	if err != nil {
		h.t.Fatalf("declare: %v", err)
	}
	return a.Number
}

func (h *house) do(n int64, c incident.Command) room.Answer {
	h.t.Helper()
	a, err := h.rooms.Do(h.ctx, n, c, h.meta())
	if err != nil {
		h.t.Fatalf("%s on %d: %v", c.Name(), n, err)
	}
	return a
}

func (h *house) settle() {
	h.t.Helper()
	if err := h.world.WaitFor(h.ctx, h.log.Size()-1); err != nil {
		h.t.Fatalf("%v", err)
	}
}

func (h *house) fire(source, key string, firing bool) {
	h.t.Helper()
	h.now += 1000
	_, err := h.desk.Submit(h.ctx, source, "source:"+source, []signal.Observation{{Key: key, Kind: "alert", Title: key, Severity: "SEV3", Firing: firing, At: h.now}})
	if err != nil {
		h.t.Fatalf("submit: %v", err)
	}
}

func (h *house) incident(n int64) (s incident.State, err error) {
	err = h.world.LookInto(h.ctx, n, func(_ projection.View, st incident.State) { s = st })
	return s, err
}

func (h *house) signals() (all []signal.Signal) {
	h.world.Look(func(v projection.View) { all = slices.Collect(v.Signals()) })
	return all
}

var words = rapid.SampledFrom([]string{"withdrawals stuck", "both nodes agree", "", "two\nlines", "日本語"})

// command draws what people do; refusals are part of life.
func command(t *rapid.T, numbers int64) incident.Command {
	text := func() string { return words.Draw(t, "text") }
	who := rapid.SampledFrom([]string{"ana", "ben", "li"}).Draw(t, "who")
	switch rapid.IntRange(0, 16).Draw(t, "command") {
	case 0:
		return incident.Rename{Title: text()}
	case 1:
		return incident.SetSeverity{Severity: rapid.SampledFrom([]string{"SEV1", "SEV4"}).Draw(t, "severity"), Reason: text()}
	case 2:
		return incident.SetStatus{Status: rapid.SampledFrom([]string{"investigating", "mitigating", "monitoring"}).Draw(t, "status"), Reason: text()}
	case 3:
		return incident.AssignRole{Role: rapid.SampledFrom([]string{"commander", "comms"}).Draw(t, "role"), Person: who}
	case 4:
		return incident.HandOverRole{Role: "commander", To: who, Note: text()}
	case 5:
		return incident.AddTask{Title: text(), Assignee: who}
	case 6:
		return incident.CompleteTask{Task: "T1"}
	case 7:
		return incident.DraftUpdate{Audience: "public", Text: text()}
	case 8:
		return incident.ApproveUpdate{Update: "U1"}
	case 9:
		return incident.PublishUpdate{Update: "U1"}
	case 10:
		return incident.AttachSignals{Signals: []incident.Signal{{ID: rapid.SampledFrom([]string{"s1", "s2"}).Draw(t, "signal"), Title: text(), State: "open"}}}
	case 11:
		return incident.DetachSignal{Signal: "s1", Reason: text()}
	case 12:
		return incident.Resolve{Validation: text()}
	case 13:
		return incident.Reopen{Reason: text()}
	case 14:
		return incident.Merge{Into: rapid.Int64Range(1, numbers).Draw(t, "into")}
	case 15:
		return incident.Redact{Event: fmt.Sprint(rapid.IntRange(0, 60).Draw(t, "offset")), Reason: "private"}
	}
	return incident.AddNote{Text: text()}
}

// TestFoldIsLoad: whatever people do, the followed state, a state folded from
// the start, and what the room reads from the log are the same.
func TestFoldIsLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := open(t)
		stop := h.run()
		defer stop()
		numbers := rapid.Int64Range(1, 3).Draw(t, "incidents")
		for range numbers {
			h.declare("Bridge")
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			n := rapid.Int64Range(1, numbers).Draw(t, "number")
			_, err := h.rooms.Do(h.ctx, n, command(t, numbers), h.meta())
			var r *incident.Refusal
			if err != nil && !errors.As(err, &r) {
				t.Fatalf("%v", err)
			}
		}
		h.settle()
		fresh := projection.New(h.log)
		if err := fresh.CatchUp(h.ctx); err != nil {
			t.Fatalf("%v", err)
		}
		for n := int64(1); n <= numbers; n++ {
			loaded, err := h.rooms.Load(h.ctx, n)
			if err != nil {
				t.Fatalf("%v", err)
			}
			followed, err := h.incident(n)
			if err != nil {
				t.Fatalf("%v", err)
			}
			var refolded incident.State
			if err := fresh.LookInto(h.ctx, n, func(_ projection.View, st incident.State) { refolded = st }); err != nil {
				t.Fatalf("%v", err)
			}
			for name, s := range map[string]incident.State{"followed": followed, "folded anew": refolded} {
				if dump(s) != dump(loaded) {
					t.Fatalf("incident %d %s:\n%s\nloaded:\n%s", n, name, dump(s), dump(loaded))
				}
			}
		}
		if got := h.world.Position(); got != h.log.Size()-1 || fresh.Position() != got {
			t.Errorf("positions %d and %d, log size %d", got, fresh.Position(), h.log.Size())
		}
	})
}

func dump(s incident.State) string {
	var b strings.Builder
	for _, e := range s.Timeline.Last(s.Timeline.Len()) {
		if e.Redacted != nil {
			fmt.Fprintf(&b, "blanked %+v: ", *e.Redacted)
			e.Redacted = nil
		}
		fmt.Fprintf(&b, "%+v\n", e)
	}
	s.Timeline = incident.Timeline{}
	return fmt.Sprintf("%+v\n%s", s, &b)
}

func TestWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		stop := h.run()
		defer stop()
		if err := h.world.WaitFor(h.ctx, -1); err != nil {
			t.Error(err)
		}
		var arrived int64 = -1
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := h.world.WaitFor(h.ctx, 1); err != nil {
				t.Error(err)
			}
			arrived = h.world.Position()
		})
		synctest.Wait()
		if arrived != -1 {
			t.Fatal("returned before anything happened")
		}
		h.declare("Bridge") // events 0 and 1
		wg.Wait()
		if arrived < 1 {
			t.Errorf("returned at %d", arrived)
		}
		ctx, cancel := context.WithTimeout(h.ctx, time.Second)
		defer cancel()
		if err := h.world.WaitFor(ctx, 99); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waited for what never comes: %v", err)
		}
	})
}

func TestChangesMerge(t *testing.T) {
	h := open(t)
	if err := h.world.CatchUp(h.ctx); err != nil {
		t.Fatal(err)
	}
	if p := h.world.ChangedAt(projection.TopicBoard); p != -1 {
		t.Errorf("an empty log changed the board at %d", p)
	}
	stop := h.run()
	defer stop()
	one, two := h.declare("One"), h.declare("Two")
	last := h.do(one, incident.AddNote{Text: "a"}).Position
	for range 20 {
		last = h.do(one, incident.AddNote{Text: "again"}).Position
	}
	h.settle()
	got := map[string]int64{}
	for got[room.Stream(one)] < last {
		c, err := h.world.Changes(h.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for topic, p := range c {
			if p <= got[topic] && got[topic] != 0 {
				t.Errorf("%s told at %d after %d", topic, p, got[topic])
			}
			got[topic] = p
		}
	}
	want := map[string]int64{
		room.Stream(one): last, projection.TopicBoard: last, projection.TopicWall: last,
	}
	for topic, p := range want {
		if got[topic] != p || h.world.ChangedAt(topic) != p {
			t.Errorf("%s: told %d, ChangedAt %d, want %d", topic, got[topic], h.world.ChangedAt(topic), p)
		}
	}
	if p := h.world.ChangedAt(room.Stream(two)); p != got[room.Stream(two)] || p >= last {
		t.Errorf("the other incident changed at %d, told %d", p, got[room.Stream(two)])
	}
	// Nothing new: Changes waits, and ends with its context.
	ctx, cancel := context.WithCancel(h.ctx)
	cancel()
	if c, err := h.world.Changes(ctx); err == nil {
		t.Errorf("told twice: %v", c)
	}
	// A signal concerns the board, not an incident's room.
	h.fire("am", "disk", true)
	h.settle()
	c, err := h.world.Changes(h.ctx)
	if err != nil || c[projection.TopicSignals] != h.log.Size()-1 || c[room.Stream(one)] != 0 {
		t.Errorf("a signal: %v, %v", c, err)
	}
}

// TestStatusChangesOnlyWhenPublic: visitors of the status page must not be told
// to load anew for what they cannot see.
func TestStatusChangesOnlyWhenPublic(t *testing.T) {
	h := open(t)
	stop := h.run()
	defer stop()
	n := h.declare("Bridge")
	changed := func() int64 { h.settle(); return h.world.ChangedAt(projection.TopicStatus) }
	at := changed()
	h.do(n, incident.AddNote{Text: "internal"})
	h.do(n, incident.SetSeverity{Severity: "SEV1", Reason: "internal"})
	h.do(n, incident.DraftUpdate{Audience: "public", Text: "We are looking."})
	h.do(n, incident.ApproveUpdate{Update: "U1"})
	h.fire("am", "disk", true)
	if now := changed(); now != at {
		t.Errorf("the status page changed at %d by internal events", now)
	}
	a := h.do(n, incident.PublishUpdate{Update: "U1"})
	if now := changed(); now != a.Position {
		t.Errorf("published at %d, but the status page changed at %d", a.Position, now)
	}
	var draft string
	for _, e := range h.all() {
		if e.Type == "incident.update_drafted" {
			draft = e.ID
		}
	}
	a = h.do(n, incident.Redact{Event: draft, Reason: "too much"})
	if now := changed(); now < a.Position-1 {
		t.Errorf("withdrawn at %d, but the status page changed at %d", a.Position, now)
	}
}

func (h *house) all() []eventlog.Event {
	h.t.Helper()
	page, err := h.log.Read(h.ctx, 0, 512)
	if err != nil {
		h.t.Fatalf("%v", err)
	}
	return page
}

func TestRedactionLeavesNothingInMemory(t *testing.T) {
	const secret = "the-seed-phrase"
	h := open(t)
	stop := h.run()
	defer stop()
	n := h.declare("Bridge")
	a := h.do(n, incident.AddNote{Text: secret})
	h.settle()
	old, _ := h.incident(n)
	if !strings.Contains(dump(old), secret) {
		t.Fatal("the note is not there")
	}
	h.do(n, incident.Redact{Event: a.Events[0].ID, Reason: "private"})
	h.do(n, incident.AddNote{Text: "after"})
	h.settle()
	now, _ := h.incident(n)
	if strings.Contains(dump(now), secret) {
		t.Error("the followed state still says it")
	}
	if now.Timeline.Len() != old.Timeline.Len()+2 {
		t.Errorf("%d entries after %d", now.Timeline.Len(), old.Timeline.Len())
	}
}

func TestWhoHasTheSignal(t *testing.T) {
	h := open(t)
	stop := h.run()
	defer stop()
	h.fire("am", "disk", true)
	h.settle()
	g := h.signals()[0]
	if g.Incident != 0 {
		t.Fatalf("attached to %d", g.Incident)
	}
	snap := incident.Signal{ID: g.ID, Source: "am", Title: "disk", State: "open"}
	one := h.declare("One", snap)
	two := h.declare("Two")
	steps := []struct {
		do   func()
		want int64
	}{
		{func() {}, one},
		{func() { h.do(one, incident.DetachSignal{Signal: g.ID, Reason: "not here"}) }, 0},
		{func() { h.do(two, incident.AttachSignals{Signals: []incident.Signal{snap}}) }, two},
		{func() { h.do(one, incident.AddNote{Text: "unrelated"}) }, two},
		{func() { h.do(two, incident.Redact{Event: lastOf(h, "incident.signals_attached"), Reason: "private"}) }, two},
		{func() { h.fire("am", "disk", false) }, two},
	}
	for i, s := range steps {
		s.do()
		h.settle()
		h.world.Look(func(v projection.View) {
			got, err := v.Signal(g.ID)
			if err != nil || got.Incident != s.want {
				t.Errorf("step %d: attached to %d, %v, want %d", i, got.Incident, err, s.want)
			}
		})
	}
	h.world.Look(func(v projection.View) {
		if _, err := v.Signal("nobody-0"); !errors.Is(err, projection.ErrUnknown) {
			t.Error(err)
		}
		if _, err := v.Card(99); !errors.Is(err, projection.ErrUnknown) {
			t.Error(err)
		}
	})
	if _, err := h.incident(99); !errors.Is(err, projection.ErrUnknown) {
		t.Error(err)
	}
}

func lastOf(h *house, typ string) (id string) {
	for _, e := range h.all() {
		if e.Type == typ {
			id = e.ID
		}
	}
	return id
}

// TestNoGapBetweenPictureAndChanges: a reader that takes a picture at m and then
// hears of changes sees every event in one of the two, however they interleave.
func TestNoGapBetweenPictureAndChanges(t *testing.T) {
	h := open(t)
	stop := h.run()
	defer stop()
	n := h.declare("Busy")
	h.settle()
	const notes = 300
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range notes {
			if _, err := h.rooms.Do(h.ctx, n, incident.AddNote{Text: "note"}, incident.Meta{ID: fmt.Sprint("n", i), At: start, Actor: "person:ana"}); err != nil {
				t.Errorf("%v", err)
			}
		}
	})
	topic, seen := room.Stream(n), int64(0)
	for seen < 2+notes-1 {
		c, err := h.world.Changes(h.ctx)
		if err != nil {
			t.Fatal(err)
		}
		err = h.world.LookInto(h.ctx, n, func(v projection.View, st incident.State) {
			if st.Position < c[topic] || v.Position() < st.Position || int64(st.Timeline.Len()) < st.Position-1 {
				t.Errorf("told of %d, but the picture is at %d with %d entries", c[topic], st.Position, st.Timeline.Len())
			}
			if h.world.ChangedAt(topic) < st.Position {
				t.Errorf("the picture is at %d, ahead of ChangedAt %d", st.Position, h.world.ChangedAt(topic))
			}
			seen = st.Position
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

// TestForeignEventsDoNoHarm: what this build does not know is passed over.
func TestForeignEventsDoNoHarm(t *testing.T) {
	h := open(t)
	n := h.declare("Bridge")
	for _, b := range []eventlog.Batch{
		{Stream: room.Stream(n), Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{{At: start, Actor: "system:future", Type: "incident.teleported", Version: 9, Data: []byte(`{"to":"moon"}`)}}},
		{Stream: "signal/x", Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{{At: start, Actor: "system:future", Type: "signal.sang", Version: 9, Data: []byte(`[1]`)}}},
		{Stream: "incident/not-a-number", Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{{At: start, Actor: "system:future", Type: "x.y", Version: 1}}},
		{Stream: "weather", Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{{At: start, Actor: "system:future", Type: "weather.rained", Version: 1}}},
	} {
		if _, err := h.log.Append(h.ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.world.CatchUp(h.ctx); err != nil {
		t.Fatal(err)
	}
	if s, err := h.incident(n); err != nil || s.Title != "Bridge" {
		t.Errorf("%q, %v", s.Title, err)
	}
}
