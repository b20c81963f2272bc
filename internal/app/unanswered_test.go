package app

import (
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// everybody is ana, in a house of one.
type everybody struct{}

func (everybody) OnCall(string, int64) ([]string, string) { return nil, "" }
func (everybody) Team(string) ([]string, string)          { return []string{"ana"}, "everybody" }
func (everybody) Role(string) []string                    { return nil }
func (everybody) Here(string) bool                        { return true }

// A SEV1 that nobody answers keeps the heartbeat back after five minutes, also while all are paged again, so that the other site hears of it; a drill, and
// what is milder or answered, does not.
func TestUnansweredHoldsTheHeartbeat(t *testing.T) {
	ctx, db := t.Context(), mem.New()
	log, err := eventlog.Open(ctx, db, eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC).UnixMilli()
	rooms := room.New(log)
	a := &App{opt: Options{Clock: func() time.Time { return time.UnixMilli(now) }}, db: db, log: log}
	ask := func() string {
		t.Helper()
		a.world = projection.New(log)
		if err := a.world.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		for _, c := range (&paging{app: a}).checks() {
			if c.Name == "answered" {
				return c.Ask(ctx)
			}
		}
		t.Fatal("nobody asks whether anybody answers")
		return ""
	}
	declare := func(id, severity string, drill bool) int64 {
		t.Helper()
		r, err := rooms.Declare(ctx, incident.Declare{Title: "Bridge drains", Severity: severity}, incident.Meta{ID: id, At: now, Actor: "source:alerts", Drill: drill})
		if err != nil {
			t.Fatal(err)
		}
		p := oncall.Default()
		if _, err := rooms.Do(ctx, r.Number, incident.Route{Team: oncall.Everybody, TeamName: "Everybody", Tier: 1, Policy: &p, Why: "x"}, incident.Meta{ID: id + "-route", At: now, Actor: "system:pager", Drill: drill}); err != nil {
			t.Fatal(err)
		}
		return r.Number
	}
	until := func(at int64, numbers ...int64) {
		t.Helper()
		for ; now <= at; now += 60_000 {
			for _, n := range numbers {
				s, err := rooms.Load(ctx, n)
				if err != nil {
					t.Fatal(err)
				}
				acts, _ := escalation.Due(s.Paging, s.Situation(), everybody{}, now)
				for _, act := range acts {
					if _, err := rooms.Do(ctx, n, incident.CommandOf(act), incident.Meta{ID: act.ID, At: now, Actor: "system:pager", Drill: s.Drill}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		now = at
	}
	began := now
	const minute = int64(60_000)
	mild, drill, grave := declare("mild", "SEV3", false), declare("drill", "SEV1", true), declare("grave", "SEV1", false)
	until(began+25*minute, mild, drill, grave) // all steps are through after 20
	if why := ask(); why != "" {
		t.Errorf("after five minutes: %s", why)
	}
	until(began+26*minute, mild, drill, grave)
	if why := ask(); !strings.Contains(why, "incident #3 is SEV1") || !strings.Contains(why, "since 03:20 UTC on 2 March") {
		t.Errorf("after six minutes: %q", why)
	}
	until(began+52*minute, mild, drill, grave)
	if s, _ := rooms.Load(ctx, grave); s.Paging.Phase != escalation.Running {
		t.Fatalf("paging is %s", s.Paging.Phase)
	}
	if why := ask(); why == "" {
		t.Error("while all are paged again the heartbeat goes on")
	}
	if _, err := rooms.Do(ctx, grave, incident.Acknowledge{}, incident.Meta{ID: "ack", At: now, Actor: "person:ana"}); err != nil {
		t.Fatal(err)
	}
	if why := ask(); why != "" {
		t.Errorf("answered: %s", why)
	}
}
