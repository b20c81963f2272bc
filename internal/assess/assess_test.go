package assess_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/assess"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/forecast"
	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is one process on a store.
type house struct {
	t     *testing.T
	db    store.DB
	log   *eventlog.Log
	world *projection.World
	rooms *room.Rooms
	desk  *intake.Desk
	ids   int
	lose  atomic.Bool // the next score is done, and its answer lost

	mu     sync.Mutex
	values map[string][]float64 // answers of queries; "drill " before those of drills
}

func (h *house) Do(ctx context.Context, n int64, c incident.Command, m incident.Meta) error {
	_, err := h.rooms.Do(ctx, n, c, m)
	if h.lose.Swap(false) {
		return errors.Join(err, errors.New("the answer was lost"))
	}
	return err
}

func (h *house) ask(_ context.Context, expr string, drill bool) ([]float64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if drill {
		expr = "drill " + expr
	}
	if expr == "broken" || expr == "drill broken" {
		return nil, errors.New("no such function")
	}
	return h.values[expr], nil
}

func (h *house) set(expr string, values ...float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values[expr] = values
}

// live opens a process on db and calls f while it runs; then it stops, as by kill: nothing is written at the end.
func live(t *testing.T, db store.DB, f func(*house)) {
	t.Helper()
	log, err := eventlog.Open(t.Context(), db, eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, db: db, log: log, world: projection.New(log), rooms: room.New(log), values: map[string][]float64{}}
	h.desk = intake.NewDesk(log, time.Now)
	if err := h.world.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := assess.New(assess.Options{
		Model: impact.Model{Preset: impact.Bridge, HeldUSD: 200e6, Services: []impact.Service{{Name: "nomad", Criticality: impact.Critical, PerMinute: 500}}},
		Queries: []assess.Query{{Name: impact.FactMoneyMoved, Expr: "moved", Service: "nomad"}, {Name: impact.FactUsersShare, Expr: "share"}, {Name: impact.FactUsersAffected, Expr: "broken"},
			{Name: impact.FactLossPerMinute, Service: "nomad", Expr: "loss"}},
		World: h.world, Room: h, Ask: h.ask, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
		Graph: []forecast.Edge{{Service: "lending", On: "nomad"}},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = log.Run(ctx) })
	running.Go(func() { _ = h.world.Run(ctx) })
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	f(h)
	cancel()
	running.Wait()
}

func (h *house) meta(drill bool) incident.Meta {
	h.ids++
	return incident.Meta{ID: fmt.Sprintf("%d-%d", time.Now().UnixNano(), h.ids), At: time.Now().UnixMilli(), Actor: "person:ana", Drill: drill}
}

func (h *house) declare(title string, drill bool) int64 {
	h.t.Helper()
	a, err := h.rooms.Declare(h.t.Context(), incident.Declare{Title: title, Severity: "SEV3", Components: []string{"nomad"}}, h.meta(drill))
	if err != nil {
		h.t.Fatal(err)
	}
	return a.Number
}

func (h *house) do(n int64, c incident.Command) {
	h.t.Helper()
	if _, err := h.rooms.Do(h.t.Context(), n, c, h.meta(false)); err != nil {
		h.t.Fatal(err)
	}
}

// after lets time pass and returns the incident as it is then.
func (h *house) after(d time.Duration, n int64) incident.State {
	h.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	st, err := h.rooms.Load(h.t.Context(), n)
	if err != nil {
		h.t.Fatal(err)
	}
	return st
}

func TestFactsAreScoredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live(t, mem.Open(mem.Options{MaxOps: 4096}), func(h *house) {
			n := h.declare("Something leaves", false)
			st := h.after(time.Second, n)
			if st.Impact.At == 0 || st.Impact.Score == 0 || !st.Impact.Loss.Known || st.Impact.Loss.Assumption == "" {
				t.Fatalf("declared: %+v", st.Impact)
			}
			if len(st.Impact.Blast) != 1 || !st.Impact.Blast[0].Now {
				t.Errorf("nothing suffers by a signal yet: %+v", st.Impact.Blast)
			}
			first := len(st.Scores)
			h.do(n, incident.SetFact{Fact: "funds_moving", Value: "yes"})
			st = h.after(time.Second, n)
			if st.Impact.Severity != "SEV1" || st.Impact.Rule != "funds_moving" || !st.Advice.Speaks(string(st.Severity), st.Impact.Moment) || len(st.Scores) != first+1 {
				t.Fatalf("funds are moving: %+v, %+v", st.Impact, st.Advice)
			}
			if st.Severity != "SEV3" {
				t.Errorf("the score changed the severity to %s", st.Severity)
			}
			// a further fact within the minute waits, as no severity changes
			h.do(n, incident.SetFact{Fact: "press_coverage", Value: "national"})
			if st = h.after(5*time.Second, n); len(st.Scores) != first+1 {
				t.Errorf("%d scores within a minute", len(st.Scores))
			}
			if st = h.after(75*time.Second, n); len(st.Scores) != first+2 || !strings.Contains(strings.Join(st.Impact.Changes, "\n"), "National press") {
				t.Errorf("%d scores after it; %q", len(st.Scores), st.Impact.Changes)
			}
			if st = h.after(time.Hour, n); len(st.Scores) != first+2 {
				t.Errorf("%d scores though nothing changed", len(st.Scores))
			}
			h.do(n, incident.FollowAdvice{})
			if st = h.after(time.Second, n); st.Severity != "SEV1" || st.Advice.Speaks("SEV1", st.Impact.Moment) {
				t.Errorf("followed: %s %+v", st.Severity, st.Advice)
			}
			h.do(n, incident.Resolve{Validation: "nothing leaves any more"})
			st = h.after(30*time.Second, n)
			if st.Impact.Loss.PerMinute != 0 || st.Impact.Loss.Sum < 61*500 || st.Impact.Loss.Sum > 63*500 {
				t.Errorf("resolved after 62 minutes at $500: %+v", st.Impact.Loss)
			}
		})
	})
}

func TestFiguresOfDrillsAndOfReality(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live(t, mem.Open(mem.Options{MaxOps: 4096}), func(h *house) {
			h.set("moved", 5e6, 11e6)
			h.set("drill moved", 3000)
			h.set("share", 4, 7)
			h.set("loss", 90)
			n, d := h.declare("Something leaves", false), h.declare("An exercise", true)
			real, drill := h.after(20*time.Second, n), h.after(0, d)
			if real.Impact.Severity != "SEV1" || real.Impact.Rule != "funds_taken" || !strings.Contains(real.Impact.RuleReason.Sentence, "$16 M") || real.Impact.RuleReason.From.Kind != impact.FromMetric {
				t.Errorf("real: %+v", real.Impact)
			}
			if real.Impact.Loss.PerMinute != 90 || real.Impact.Loss.From.Kind != impact.FromMetric {
				t.Errorf("loss: %+v", real.Impact.Loss)
			}
			if s := fmt.Sprintf("%+v", real.Impact.Axes[impact.Users]); !strings.Contains(s, "7 %") {
				t.Errorf("of shares the largest counts: %s", s)
			}
			if drill.Impact.Rule != "" || drill.Impact.Loss.PerMinute != 500 || !strings.Contains(fmt.Sprintf("%+v", drill.Impact.Axes[impact.Money]), "$3,000 was taken") {
				t.Errorf("drill: %+v", drill.Impact)
			}
			h.set("moved", 30e6)
			before := real.Impact.At
			if real = h.after(90*time.Second, n); real.Impact.At != before {
				t.Errorf("a figure that moves no axis by five points is recorded: %v", real.Impact.Changes)
			}
			h.set("moved")
			real = h.after(2*time.Minute, n)
			if real.Impact.Moment == "SEV1" || real.Impact.Severity != "SEV1" || real.Impact.MilderSince == 0 {
				t.Errorf("the figure is gone: %s, held %s", real.Impact.Moment, real.Impact.Severity)
			}
			if real = h.after(10*time.Minute, n); real.Impact.Severity == "SEV1" {
				t.Errorf("ten minutes later: %+v", real.Impact.Severity)
			}
		})
	})
}

// TestRestartScoresTheSame: a process that dies between two scores, or whose answer is lost, changes nothing.
func TestRestartScoresTheSame(t *testing.T) {
	play := func(t *testing.T, restarts bool) (out []string) {
		synctest.Test(t, func(t *testing.T) {
			db := mem.Open(mem.Options{MaxOps: 4096})
			var n int64
			steps := []func(h *house){
				func(h *house) { n = h.declare("Something leaves", false); h.after(30*time.Second, n) },
				func(h *house) {
					h.do(n, incident.SetFact{Fact: "money_at_risk_usd", Value: "$40M"})
					h.lose.Store(restarts)
					h.after(90*time.Second, n)
				},
				func(h *house) {
					h.do(n, incident.SetFact{Fact: "funds_moving", Value: "yes"})
					h.after(30*time.Second, n)
				},
				func(h *house) {
					h.do(n, incident.SetFact{Fact: "funds_moving", Value: "no"})
					h.after(2*time.Minute, n)
				},
				func(h *house) { h.after(10*time.Minute, n) },
			}
			end := func(h *house) {
				for _, p := range h.after(0, n).Scores {
					out = append(out, fmt.Sprint(p.Score, p.High, p.Severity, p.PerMinute))
				}
			}
			if restarts {
				for _, s := range steps {
					live(t, db, s)
				}
				live(t, db, end)
				return
			}
			live(t, db, func(h *house) {
				for _, s := range steps {
					s(h)
				}
				end(h)
			})
		})
		return out
	}
	once, often := play(t, false), play(t, true)
	if fmt.Sprint(once) != fmt.Sprint(often) || len(once) < 4 {
		t.Errorf("with restarts\n%v\nwithout\n%v", often, once)
	}
	t.Log(once)
}

func TestSignalsAreWeighedWithTheirEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live(t, mem.Open(mem.Options{MaxOps: 4096}), func(h *house) {
			_, err := h.desk.Submit(t.Context(), "detect", "system:detection", []signal.Observation{{
				Key: "k", Kind: "bridge_drain", Subject: "nomad", Title: "The bridge loses its value", Severity: "SEV1", Firing: true, At: time.Now().UnixMilli(), Component: "nomad",
				Evidence: []byte(`{"lost":0.2,"net_usd":30000000}`)}})
			if err != nil {
				t.Fatal(err)
			}
			n := h.declare("The bridge loses its value", false)
			var g signal.Signal
			h.after(0, n)
			h.world.Look(func(v projection.View) {
				for s := range v.Signals() {
					g = s
				}
			})
			h.do(n, incident.AttachSignals{Signals: []incident.Signal{{ID: g.ID, Source: g.Source, Kind: g.Kind, Title: g.Title, Severity: "SEV1", Component: "nomad", State: "open", OpenedAt: g.OpenedAt, Correlation: "by hand"}}})
			st := h.after(2*time.Minute, n)
			if s := fmt.Sprintf("%+v", st.Impact.Axes[impact.Money]); st.Impact.Rule != "funds_moving" || !strings.Contains(s, "at least $30 M") || !strings.Contains(s, "20 % of the value") {
				t.Errorf("%s", s)
			}
			if len(st.Impact.Blast) != 2 || st.Impact.Blast[1].Service != "lending" || st.Impact.Blast[1].Likelihood < 0.5 {
				t.Errorf("blast: %+v", st.Impact.Blast)
			}
		})
	})
}
