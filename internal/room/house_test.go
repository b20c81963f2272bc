package room

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/bolt"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const start = int64(1_795_000_000_000)

// house is one process on a store.
type house struct {
	*Rooms
	t   testing.TB
	ctx context.Context
	db  store.DB
	log *eventlog.Log
}

func memory() store.DB { return mem.Open(mem.Options{MaxOps: 4096}) }

// engines are the stores that the bigger tests run on.
func engines(t *testing.T, f func(t *testing.T, db store.DB)) {
	t.Run("mem", func(t *testing.T) { f(t, memory()) })
	t.Run("bolt", func(t *testing.T) {
		db, err := bolt.Open(filepath.Join(t.TempDir(), "tocsin.db"), bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		f(t, db)
	})
}

// open starts a process on the store; doing it again is a restart or a replica.
func open(t testing.TB, db store.DB) *house {
	t.Helper()
	ctx := context.Background()
	log, err := eventlog.Open(ctx, db, eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &house{Rooms: New(log), t: t, ctx: ctx, db: db, log: log}
}

func meta(id string) incident.Meta {
	return incident.Meta{ID: id, At: start, Actor: "person:ana"}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// must does the command and fails the test on any error.
func (h *house) must(number int64, c incident.Command, id string) Answer {
	h.t.Helper()
	a, err := h.Do(h.ctx, number, c, meta(id))
	if err != nil {
		h.t.Fatalf("%s on %d: %v", c.Name(), number, err)
	}
	return a
}

// declared makes a new incident and returns its number.
func (h *house) declared(title string) int64 {
	h.t.Helper()
	a, err := h.Declare(h.ctx, incident.Declare{Title: title, Severity: "SEV2"}, meta(newID()))
	if err != nil {
		h.t.Fatalf("declare: %v", err)
	}
	return a.Number
}

func (h *house) load(number int64) incident.State {
	h.t.Helper()
	s, err := h.Load(h.ctx, number)
	if err != nil {
		h.t.Fatalf("load %d: %v", number, err)
	}
	return s
}

// events returns the whole log.
func (h *house) events() []eventlog.Event {
	h.t.Helper()
	var all []eventlog.Event
	for from := int64(0); ; {
		page, err := h.log.Read(h.ctx, from, 512)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		from = all[len(all)-1].Offset + 1
	}
}

// once fails unless every id caused exactly n events of the type.
func (h *house) once(typ string, n int, ids ...string) {
	h.t.Helper()
	got := map[string]int{}
	for _, e := range h.events() {
		if e.Type == typ {
			got[e.Causation]++
		}
	}
	for _, id := range ids {
		if got[id] != n {
			h.t.Errorf("command %s caused %d events %s, want %d", id, got[id], typ, n)
		}
	}
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var r *incident.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Fatalf("error %v, want the refusal %s", err, code)
	}
}

// same fails unless both answers tell the same.
func same(t testing.TB, a, b Answer) {
	t.Helper()
	if a.Number != b.Number || a.Position != b.Position || len(a.Events) != len(b.Events) {
		t.Fatalf("answers differ: %s and %s", tell(a), tell(b))
	}
	for i := range a.Events {
		if a.Events[i].ID != b.Events[i].ID {
			t.Fatalf("answers differ at event %d: %s and %s", i, tell(a), tell(b))
		}
	}
}

func tell(a Answer) string {
	return fmt.Sprintf("{incident %d, position %d, %d events}", a.Number, a.Position, len(a.Events))
}
