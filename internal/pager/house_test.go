package pager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/notify"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	start  = int64(1_795_000_000_000)
	minute = int64(60_000)
)

// tb is what testing.T and rapid.T have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// duty is on-call settings that the test changes.
type duty struct {
	settings oncall.Settings
	on       map[string]string // schedule: person
}

func (d *duty) Settings() oncall.Settings { return d.settings }

func (d *duty) OnCall(schedule string, _ int64) ([]string, string) {
	if who := d.on[schedule]; who != "" {
		return []string{who}, "on call in " + schedule
	}
	return nil, "nobody is on call in " + schedule
}

func (d *duty) Team(id string) []string {
	t, _ := d.settings.Team(id)
	if id == oncall.Everybody {
		return []string{"ana", "bo", "cy"}
	}
	return t.Members
}

// post is a courier that keeps what it takes, as the real one does beside the log: it outlives every pager.
type post struct {
	mu     sync.Mutex
	known  map[string]notify.Message
	order  []string
	ended  map[string]bool // taken back
	reject error           // of Submit
}

func newPost() *post { return &post{known: map[string]notify.Message{}, ended: map[string]bool{}} }

func (c *post) Submit(_ context.Context, list []notify.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reject != nil {
		return c.reject
	}
	for _, m := range list {
		if _, is := c.known[m.ID]; !is {
			c.known[m.ID] = m
			c.order = append(c.order, m.ID)
		}
	}
	return nil
}

func (c *post) Cancel(_ context.Context, n int64, but ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, m := range c.known {
		if m.Incident == n && !slices.Contains(but, id) {
			c.ended[id] = true
		}
	}
	return nil
}

// sent are all pages that it ever took, in order.
func (c *post) sent() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.order)
}

// alive are the pages of an incident that are being sent, sorted.
func (c *post) alive(n int64) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []string{}
	for id, m := range c.known {
		if m.Incident == n && !c.ended[id] {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

type rooms struct{ *room.Rooms }

func (r rooms) Do(ctx context.Context, n int64, c incident.Command, m incident.Meta) error {
	_, err := r.Rooms.Do(ctx, n, c, m)
	return err
}

// house is one store with any number of processes on it; each has a log, rooms and a pager of its own.
type house struct {
	t    tb
	ctx  context.Context
	db   *mem.DB
	now  int64
	ids  int
	duty *duty
	post *post
	log  *eventlog.Log // of the people in the rooms
	room rooms

	lag      func(size int64) int64 // how far a read model has come; nil: it keeps up
	wrapRoom func(Room) Room
	wrapPost func(Courier) Courier
	wrapDB   func(store.DB) store.DB
}

func open(t tb, ctx context.Context) *house {
	h := &house{t: t, ctx: ctx, db: mem.Open(mem.Options{MaxOps: 4096}), now: start, post: newPost(),
		duty: &duty{on: map[string]string{"primary": "ana", "secondary": "bo"}}}
	h.duty.settings = oncall.Settings{
		Teams: []oncall.Team{
			{ID: "team-front", Name: "Front", Tier: 1, Skill: "front-line", Members: []string{"ana", "bo"}, Policy: "esc-front"},
			{ID: "team-treasury", Name: "Treasury", Tier: 2, Skill: "treasury", Members: []string{"cy"}, Policy: "esc-treasury"},
		},
		Policies: []escalation.Policy{
			{ID: "esc-front", Name: "Front line", Repeat: 1, AckTimeout: 60 * minute, Steps: []escalation.Step{
				{Targets: []escalation.Target{{Kind: escalation.TargetSchedule, Name: "primary"}}, Wait: 5 * minute},
				{Targets: []escalation.Target{{Kind: escalation.TargetSchedule, Name: "secondary"}, {Kind: escalation.TargetPerson, Name: "cy"}}, Wait: 10 * minute},
			}},
			{ID: "esc-treasury", Name: "Treasury", Steps: []escalation.Step{{Targets: []escalation.Target{{Kind: escalation.TargetTeam, Name: "team-treasury"}}, Wait: 5 * minute}}},
		},
	}
	h.log, h.room = h.process()
	return h
}

func (h *house) process() (*eventlog.Log, rooms) {
	h.t.Helper()
	log, err := eventlog.Open(h.ctx, h.db, eventlog.Options{})
	if err != nil {
		h.t.Fatalf("%v", err)
	}
	return log, rooms{room.New(log)}
}

// pager is a new process that has just begun to lead.
func (h *house) pager() *Pager {
	h.t.Helper()
	log, inside := h.process()
	var r Room = inside
	if h.wrapRoom != nil {
		r = h.wrapRoom(r)
	}
	var c Courier = h.post
	if h.wrapPost != nil {
		c = h.wrapPost(c)
	}
	var db store.DB = h.db
	if h.wrapDB != nil {
		db = h.wrapDB(db)
	}
	clock := func() time.Time { return time.UnixMilli(h.now) }
	return New(Options{
		Log: log, Room: r, OnCall: h.duty, Courier: c, DB: db, Links: NewLinks(db, func() int64 { return h.now }),
		Open: func() ([]int64, int64) { return h.openNumbers(log) }, URL: func() string { return "https://tocsin.example" }, Clock: clock, Logger: slog.New(slog.DiscardHandler),
	})
}

// openNumbers is what a read model would say, as late as the test has it.
func (h *house) openNumbers(log *eventlog.Log) (numbers []int64, next int64) {
	next = log.Size()
	if h.lag != nil {
		next = h.lag(next)
	}
	for n := int64(1); ; n++ {
		s, err := h.room.Load(h.ctx, n)
		if errors.Is(err, room.ErrNoIncident) {
			return numbers, next
		}
		if err != nil {
			h.t.Fatalf("%v", err)
		}
		first, err := log.ReadStream(h.ctx, room.Stream(n), 1, 1)
		if err != nil {
			h.t.Fatalf("%v", err)
		}
		if first[0].Offset < next && incident.Open(s) {
			numbers = append(numbers, n)
		}
	}
}

func (h *house) declare(severity incident.Severity, more ...func(*incident.Declare)) int64 {
	h.t.Helper()
	h.ids++
	d := incident.Declare{Title: fmt.Sprintf("Incident %d", h.ids), Severity: string(severity)}
	for _, f := range more {
		f(&d)
	}
	a, err := h.room.Declare(h.ctx, d, incident.Meta{ID: fmt.Sprintf("cmd-%d", h.ids), At: h.now, Actor: "person:dee"})
	if err != nil {
		h.t.Fatalf("%v", err)
	}
	return a.Number
}

func (h *house) do(n int64, who string, c incident.Command) {
	h.t.Helper()
	if err := h.try(n, who, c); err != nil {
		h.t.Fatalf("%s: %v", c.Name(), err)
	}
}

func (h *house) try(n int64, who string, c incident.Command) error {
	h.ids++
	return h.room.Do(h.ctx, n, c, incident.Meta{ID: fmt.Sprintf("cmd-%d", h.ids), At: h.now, Actor: "person:" + who})
}

func (h *house) load(n int64) incident.State {
	h.t.Helper()
	s, err := h.room.Load(h.ctx, n)
	if err != nil {
		h.t.Fatalf("incident %d: %v", n, err)
	}
	return s
}

// step lets a pager do what is due now.
func (h *house) step(p *Pager) int64 {
	h.t.Helper()
	next, err := p.Step(h.ctx)
	if err != nil {
		h.t.Fatalf("step: %v", err)
	}
	return next
}

// until steps a pager from moment to moment up to a time.
func (h *house) until(p *Pager, end int64) {
	h.t.Helper()
	for {
		next := h.step(p)
		if next == 0 || next > end {
			h.now = end
			return
		}
		h.now = max(h.now+1, next)
	}
}

// events is how many there are in the log.
func (h *house) events() int {
	h.t.Helper()
	list, err := h.log.Read(h.ctx, 0, eventlog.MaxRead)
	if err != nil || len(list) == eventlog.MaxRead {
		h.t.Fatalf("%d events, %v", len(list), err)
	}
	return len(list)
}

// pages are the ids of the pages of an incident that wait, sorted.
func (h *house) pages(n int64) []string {
	h.t.Helper()
	out := []string{}
	for _, g := range h.load(n).Paging.Waits() {
		out = append(out, g.ID)
	}
	slices.Sort(out)
	return out
}

// agree holds when what is being sent is what waits.
func (h *house) agree(n int64) {
	h.t.Helper()
	want, got := []string{}, h.post.alive(n)
	if s := h.load(n); incident.Open(s) {
		want = h.pages(n)
	}
	if !slices.Equal(got, want) {
		h.t.Fatalf("of incident %d %v are being sent, %v wait", n, got, want)
	}
}

var _ tb = (*testing.T)(nil)

// links is how many the store keeps.
func (h *house) links() (n int) {
	h.t.Helper()
	for _, err := range h.db.Scan(h.ctx, store.Range{From: []byte(linkPrefix), To: []byte("pager/link0")}) {
		if err != nil {
			h.t.Fatalf("%v", err)
		}
		n++
	}
	return n
}
