package exercise_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/exercise"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is all that a drill touches: real monitors under a real supervisor, and a desk, a chart and a timeline that remember.
type house struct {
	watch *telemetry.Supervisor
	play  *exercise.Player

	mu       sync.Mutex
	chains   []string // of the last SetDrill
	sets     int
	names    map[string]string
	monitors []chain.Finding // from the supervisor
	found    []chain.Finding // from the player
	samples  []chain.Sample  // from the player
	notes    []string
	noted    []time.Time
	refuse   int // findings to refuse
	injects  int
}

func (h *house) SetDrill(c []telemetry.Chain, names map[string]string) error {
	h.mu.Lock()
	h.chains, h.names = nil, names
	h.sets++
	for _, x := range c {
		h.chains = append(h.chains, x.Name)
		if !x.Manual || len(x.Nodes) == 0 || x.Nodes[0].URL != "" {
			panic(fmt.Sprintf("not a drill's chain: %+v", x))
		}
	}
	h.mu.Unlock()
	return h.watch.Set(c)
}

func (h *house) Inject(ctx context.Context, o chain.Observation) error {
	if !o.Drill {
		panic("not marked as a drill")
	}
	h.mu.Lock()
	h.injects++
	h.mu.Unlock()
	return h.watch.Inject(ctx, o)
}

func (h *house) OnSamples([]chain.Sample)    {}
func (h *house) OnView(v chain.View, _ bool) {}
func (h *house) OnFindings(_ context.Context, _ string, f []chain.Finding) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.monitors = append(h.monitors, f...)
	return nil
}

// in runs f with a house whose rooms are running, in a time of its own.
func in(t *testing.T, f func(ctx context.Context, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &house{}
		h.watch = telemetry.New(telemetry.Options{Sink: h})
		h.play = exercise.New(exercise.Options{
			Telemetry: h,
			Findings: func(_ context.Context, f []chain.Finding) error {
				h.mu.Lock()
				defer h.mu.Unlock()
				if h.refuse > 0 {
					h.refuse--
					return errors.New("the log does not answer")
				}
				h.found = append(h.found, f...)
				return nil
			},
			Samples: func(s []chain.Sample) {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.samples = append(h.samples, s...)
			},
			Note: func(_ context.Context, s string) error {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.notes, h.noted = append(h.notes, s), append(h.noted, time.Now())
				return nil
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		var rooms sync.WaitGroup
		rooms.Go(func() { _ = h.watch.Run(ctx) })
		rooms.Go(func() { _ = h.play.Run(ctx) })
		f(ctx, h)
		cancel()
		rooms.Wait()
	})
}

func start(t *testing.T, h *house, key string, speed float64) {
	t.Helper()
	if err := h.play.Start(t.Context(), key, speed, "person:ana", false); err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	var r *incident.Refusal
	if !errors.As(err, &r) || r.Code != code || !strings.HasSuffix(r.Sentence, ".") {
		t.Errorf("got %v, want a refusal %s", err, code)
	}
}

// lives lists what happened to findings, without times and figures.
func lives(list []chain.Finding) []string {
	var out []string
	open := map[string]bool{}
	for _, f := range list {
		if f.Firing && open[f.Key] {
			continue // updates depend on how often somebody looks
		}
		open[f.Key] = f.Firing
		out = append(out, fmt.Sprint(f.Key, " ", f.Firing, " ", f.Severity))
	}
	return out
}

func TestNomadIsPlayedAtASpeed(t *testing.T) {
	in(t, func(_ context.Context, h *house) {
		began := time.Now()
		start(t, h, "nomad", 60)
		synctest.Wait()
		if r := h.play.Running(); r == nil || r.Key != "nomad" || r.Speed != 60 || r.Since != began.UnixMilli() || r.Done != 0 {
			t.Fatalf("running %+v", r)
		}
		refused(t, h.play.Start(t.Context(), "polygon-reorg", 60, "person:bo", false), exercise.CodeRunning)

		time.Sleep(2 * time.Second) // the first withdrawals are 31 s, the alarm 43 s into the scenario
		synctest.Wait()
		h.mu.Lock()
		if len(h.found) == 0 {
			t.Fatal("nothing found in two minutes of the scenario")
		}
		f := h.found[0]
		if f.Key != "drill-ethereum/bridge_drain/nomad" || !f.Drill || f.Severity != "SEV1" {
			t.Errorf("found %+v", f)
		}
		if d := f.At - began.UnixMilli(); d < 716 || d > 800 {
			t.Errorf("found after %d ms of the wall, want 43/60 s", d)
		}
		if f.Since > f.At || f.At-f.Since != 200 {
			t.Errorf("since %d ms, want 12 s at speed 60", f.At-f.Since)
		}
		if !slices.Equal(h.chains, []string{"drill-ethereum"}) || h.names["drill-ethereum"] != "Ethereum (drill)" {
			t.Errorf("watched %v %v", h.chains, h.names)
		}
		h.mu.Unlock()

		time.Sleep(75600 * time.Millisecond)
		if r := h.play.Running(); r == nil || r.Done != 50 {
			t.Errorf("half way: %+v", r)
		}
		v, ok := h.watch.View("drill-ethereum")
		if !ok || v.Height < 15_259_400 || !v.Drill || v.HeadAge > 13_000 || v.Interval != 12_000 || len(v.Intervals) != 60 || v.At > time.Now().UnixMilli() {
			t.Errorf("half way: %+v", v)
		}
		time.Sleep(79 * time.Second)
		synctest.Wait()
		if r := h.play.Running(); r != nil {
			t.Errorf("after its length: %+v", r)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		want := "drill-ethereum/bridge_drain/nomad true SEV1|drill-ethereum/bridge_drain/nomad false SEV1|drill-ethereum/bridge_drain/nomad true SEV1|drill-ethereum/bridge_drain/nomad false SEV1"
		if got := strings.Join(lives(h.found), "|"); got != want {
			t.Errorf("found\n%s\nwant\n%s", got, want)
		}
		if len(h.monitors) != 0 {
			t.Errorf("a healthy chain has findings: %+v", h.monitors)
		}
		if len(h.notes) != 6 || !strings.Contains(h.notes[4], "23:35 UTC") || h.notes[5] != "The drill is over." {
			t.Errorf("notes %q", h.notes)
		}
		if d := h.noted[4].Sub(began); d < 123*time.Second || d > 123200*time.Millisecond {
			t.Errorf("the message of 23:35 came after %v", d)
		}
		if len(h.chains) != 0 || h.sets != 2 {
			t.Errorf("%v are still watched", h.chains)
		}
	})
}

// TestSamplesHaveABeforeAndAscend holds what charts and the sample store rely on.
func TestSamplesHaveABeforeAndAscend(t *testing.T) {
	in(t, func(_ context.Context, h *house) {
		for _, key := range []string{"nomad", "nomad", "polygon-reorg"} {
			began := time.Now().UnixMilli()
			h.samples = nil
			start(t, h, key, 1000)
			synctest.Wait()
			h.mu.Lock()
			lead := len(h.samples)
			h.mu.Unlock()
			if lead == 0 {
				t.Fatalf("%s: nothing before the start", key)
			}
			time.Sleep(11 * time.Second)
			synctest.Wait()
			newest := map[string]int64{}
			for i, s := range h.samples {
				id := fmt.Sprint(s.Name, s.Labels)
				if s.At < newest[id] || s.At > time.Now().UnixMilli() || math.IsNaN(s.Value) {
					t.Fatalf("%s: sample %d %+v after %d", key, i, s, newest[id])
				}
				if key == "nomad" && i >= lead && (s.At < began || s.At-newest[id] < 100 && newest[id] > began && i < len(h.samples)-3) {
					t.Fatalf("%s: sample %d %+v after %d", key, i, s, newest[id])
				}
				newest[id] = s.At
			}
			time.Sleep(10 * time.Minute) // what the last play wrote is not written again
		}
	})
}

func TestPolygonIsTheSameAtAnySpeed(t *testing.T) {
	var first []string
	for _, speed := range []float64{1, 60, 1000} {
		in(t, func(_ context.Context, h *house) {
			start(t, h, "polygon-reorg", speed)
			time.Sleep(time.Duration(float64(35*time.Minute) / speed))
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if h.play.Running() != nil {
				t.Fatalf("still running at speed %v", speed)
			}
			got := lives(h.monitors)
			if first == nil {
				first = got
			}
			if len(got) < 8 || !slices.Equal(got, first) {
				t.Errorf("at speed %v\n%s\nat speed 1\n%s", speed, strings.Join(got, "\n"), strings.Join(first, "\n"))
			}
			if !strings.Contains(h.monitors[0].Title, "reorg of 157 blocks") {
				t.Errorf("first %+v", h.monitors[0])
			}
			for _, f := range h.monitors {
				if !f.Drill {
					t.Errorf("%s is not marked as a drill", f.Key)
				}
			}
		})
	}
}

func TestStopEndsEverythingAtOnce(t *testing.T) {
	in(t, func(ctx context.Context, h *house) {
		for range 3 {
			h.found, h.notes = nil, nil
			start(t, h, "nomad", 60)
			time.Sleep(2 * time.Second)
			if err := h.play.Stop(ctx, "person:bo"); err != nil {
				t.Fatal(err)
			}
			if h.play.Running() != nil {
				t.Error("still running")
			}
			n := len(h.found)
			if last := h.found[n-1]; last.Firing || last.Reason != "The drill is over: stopped by person:bo." {
				t.Errorf("last finding %+v", last)
			}
			if len(h.chains) != 0 || len(h.notes) != 2 || !strings.Contains(h.notes[1], "stopped by person:bo") {
				t.Errorf("chains %v, notes %q", h.chains, h.notes)
			}
			before := h.injects
			time.Sleep(time.Minute)
			if len(h.found) != n || h.injects != before {
				t.Error("it went on after Stop")
			}
		}
		if err := h.play.Stop(ctx, "person:bo"); err != nil {
			t.Errorf("stopping nothing: %v", err)
		}
	})
}

func TestStopBeforeRunTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := exercise.New(exercise.Options{})
		if err := p.Start(t.Context(), "nomad", 60, "person:ana", false); err != nil {
			t.Fatal(err)
		}
		if err := p.Stop(t.Context(), "person:ana"); err != nil || p.Running() != nil {
			t.Errorf("%v, %+v", err, p.Running())
		}
		if err := p.Start(t.Context(), "nomad", 60, "person:ana", false); err != nil {
			t.Errorf("after that: %v", err)
		}
	})
}

func TestEndOfTheProgramClearsUp(t *testing.T) {
	var h *house
	in(t, func(_ context.Context, x *house) {
		h = x
		start(t, h, "nomad", 60)
		time.Sleep(2 * time.Second)
	})
	if last := h.found[len(h.found)-1]; last.Firing || h.play.Running() != nil || len(h.chains) != 0 {
		t.Errorf("left behind: %+v, chains %v", last, h.chains)
	}
}

func TestFindingsAreGivenUntilTheyAreTaken(t *testing.T) {
	in(t, func(_ context.Context, h *house) {
		h.refuse = 4
		start(t, h, "nomad", 60)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.found) == 0 || !h.found[0].Firing || h.refuse != 0 {
			t.Errorf("found %+v", h.found)
		}
	})
}

func TestRefusals(t *testing.T) {
	p := exercise.New(exercise.Options{})
	refused(t, p.Start(t.Context(), "no-such", 60, "person:ana", false), exercise.CodeUnknown)
	for _, speed := range []float64{0, -1, 1001, math.NaN(), math.Inf(1)} {
		refused(t, p.Start(t.Context(), "nomad", speed, "person:ana", false), exercise.CodeSpeed)
	}
	if p.Running() != nil {
		t.Error("a refused drill is running")
	}
	for _, s := range p.Scenarios() {
		if s.Key == "" || s.Name == "" || strings.Count(s.Text, ". ") != 1 || len(s.Figures) < 3 || s.Length < time.Minute {
			t.Errorf("scenario %+v", s)
		}
	}
}
