package appraise_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/appraise"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/feedback"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const start = int64(1_795_000_000_000)

func open(t *testing.T) *eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), mem.Open(mem.Options{}), eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func raise(t *testing.T, log *eventlog.Log, b signal.Body) {
	t.Helper()
	typ, ver, data, err := signal.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), eventlog.Batch{Stream: "signal/chains", Expect: eventlog.AnySeq,
		Drafts: []eventlog.Draft{{At: start, Actor: "system:telemetry", Type: typ, Version: ver, Data: data}}}); err != nil {
		t.Fatal(err)
	}
}

func figures(s *appraise.Service) (out map[string]feedback.Detector) {
	out = map[string]feedback.Detector{}
	s.Look(func(st *feedback.State) {
		for name, d := range st.Detectors {
			out[name] = *d
		}
	})
	return out
}

func TestFindingsAndVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := open(t)
		path := filepath.Join(t.TempDir(), "detectors")
		var told []map[string]float64
		s := appraise.New(appraise.Options{Log: log, Path: path, Moved: func(m map[string]float64) { told = append(told, m) }})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx, log.Follow) }()
		raise(t, log, signal.Opened{Signal: "w", Key: "w", Finding: signal.Finding{Detector: "anomaly", Score: 1e-4, Bound: 1e-5, Weak: true}})
		raise(t, log, signal.Updated{Signal: "w", Key: "w", Finding: signal.Finding{Detector: "anomaly", Score: 1e-6, Bound: 1e-5}})
		raise(t, log, signal.Opened{Signal: "x", Key: "x"}) // from outside: none of ours
		synctest.Wait()
		for id, path := range map[string][]string{
			"confirmed": {"one_node", "confirmed"}, "alone": {"one_node", "waited"}, "unverifiable": {"unverifiable", "waited", "waited"}, "over": {"unverifiable"}, "free": {""},
		} {
			for i, v := range path {
				f := signal.Finding{Detector: "reorg", Verification: v}
				if i == 0 {
					raise(t, log, signal.Opened{Signal: id, Key: id, Finding: f})
				} else {
					raise(t, log, signal.Updated{Signal: id, Key: id, Finding: f})
				}
			}
		}
		raise(t, log, signal.Cleared{Signal: "over", Key: "over"})
		synctest.Wait()
		s.Look(func(st *feedback.State) {
			for _, m := range st.Summaries(start) {
				if m.Name == "reorg" && (m.Sure != 1 || m.Alone != 1 || m.Unsettled != 2 || m.Last[feedback.Days-1] != 5) {
					t.Errorf("confirmed %d, one node %d, unverifiable %d of %v", m.Sure, m.Alone, m.Unsettled, m.Last)
				}
			}
		})
		if d := figures(s); len(d) != 2 || d["anomaly"].Alerts[d["anomaly"].Day%feedback.Days] != 1 || d["anomaly"].Weak[d["anomaly"].Day%feedback.Days] != 1 {
			t.Errorf("%+v", d)
		}
		for i := range 3 {
			if err := s.Do(t.Context(), fmt.Sprint("c", i), "person:ana", start, feedback.Judge{Signal: fmt.Sprint("s", i), Detector: "anomaly", Score: 1e-6, Bound: 1e-5, Title: "secret", Verdict: feedback.False}); err != nil {
				t.Fatal(err)
			}
		}
		if last := told[len(told)-1]; last["anomaly"] != feedback.Step {
			t.Errorf("told %v", told)
		}
		events, err := log.ReadStream(t.Context(), feedback.Stream, 1, 0)
		if err != nil || len(events) != 4 || events[3].Actor != appraise.Actor || events[3].Type != feedback.TypeChanged || events[2].Actor != "person:ana" {
			t.Fatalf("%+v %v", events, err)
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		// A new process takes up what was written down; one without it reads the log; both know the same.
		for _, p := range []string{path, ""} {
			again := appraise.New(appraise.Options{Log: log, Path: p})
			var r *feedback.Refusal
			if err := again.Do(t.Context(), "q", "person:li", start, feedback.Undo{Change: "none"}); !errors.As(err, &r) {
				t.Error(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			go func() { done <- again.Run(ctx, log.Follow) }()
			synctest.Wait()
			if !reflect.DeepEqual(figures(again), figures(s)) {
				t.Errorf("with %q: %+v, want %+v", p, figures(again), figures(s))
			}
			// What is redacted leaves the figures' memory too.
			if p == "" {
				data, _ := json.Marshal(map[string]string{"reason": "a secret"})
				if _, err := log.Redact(t.Context(), events[0].Offset, eventlog.Draft{At: start, Actor: "person:ana", Data: data}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				again.Look(func(st *feedback.State) {
					if len(st.Labels) != 2 || st.Detectors["anomaly"].False != 2 {
						t.Errorf("after the redaction: %+v", st.Labels)
					}
				})
				if err := again.Do(t.Context(), "later", "person:li", start, feedback.Judge{Signal: "t", Detector: "anomaly", Verdict: feedback.True}); err != nil {
					t.Errorf("after the redaction: %v", err)
				}
			}
			stop()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestManyJudgeAtOnce: two replicas, many people: no verdict is lost, and the thresholds move as if they had spoken one after the other.
func TestManyJudgeAtOnce(t *testing.T) {
	log := open(t)
	a, b := appraise.New(appraise.Options{Log: log}), appraise.New(appraise.Options{Log: log})
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i := range 24 {
		wg.Go(func() {
			for {
				err := []*appraise.Service{a, b}[i%2].Do(t.Context(), fmt.Sprint("c", i), "person:ana", start, feedback.Judge{Signal: fmt.Sprint("s", i), Detector: "d", Score: 1e-6, Bound: 1e-5, Verdict: feedback.False})
				var r *feedback.Refusal
				if errors.As(err, &r) && r.Code == "busy" {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				done++
				mu.Unlock()
				return
			}
		})
	}
	wg.Wait()
	for _, s := range []*appraise.Service{a, b} {
		_ = s.Do(t.Context(), "look", "person:ana", start, feedback.Undo{Change: "none"})
		if d := figures(s)["d"]; d.False != 24 || d.Strictness != 8*feedback.Step || done != 24 {
			t.Errorf("%+v after %d", d, done)
		}
	}
}

// lagging is a replica's log whose follower has not yet heard of what others wrote.
type lagging struct {
	*eventlog.Log
	mu   sync.Mutex
	size int64 // 0: it keeps up
}

func (l *lagging) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 {
		return l.size
	}
	return l.Log.Size()
}

func (l *lagging) Read(ctx context.Context, from int64, limit int) ([]eventlog.Event, error) {
	return l.Log.Read(ctx, from, min(limit, int(l.Size()-from)))
}

// TestWhoLagsIsNotRefused: what another replica said is read from the stream where this one's log has not heard of it, and is counted once when it has.
func TestWhoLagsIsNotRefused(t *testing.T) {
	log := open(t)
	raise(t, log, signal.Opened{Signal: "w", Key: "w", Finding: signal.Finding{Detector: "d"}})
	behind := &lagging{Log: log, size: log.Size()}
	var told []map[string]float64
	a := appraise.New(appraise.Options{Log: log})
	b := appraise.New(appraise.Options{Log: behind, Moved: func(m map[string]float64) { told = append(told, m) }})
	judge := func(s *appraise.Service, i int) {
		t.Helper()
		if err := s.Do(t.Context(), fmt.Sprint("c", i), "person:ana", start, feedback.Judge{Signal: fmt.Sprint("s", i), Detector: "d", Score: 1e-6, Bound: 1e-5, Verdict: feedback.False}); err != nil {
			t.Fatalf("verdict %d: %v", i, err)
		}
	}
	for i := range 4 {
		judge(a, i)
	}
	judge(b, 4)
	if d := figures(b)["d"]; d.False < 4 || len(told) == 0 || told[len(told)-1]["d"] != feedback.Step {
		t.Errorf("%+v, told %v", d, told)
	}
	judge(a, 5)
	judge(b, 6)
	behind.mu.Lock()
	behind.size = 0
	behind.mu.Unlock()
	for _, s := range []*appraise.Service{a, b} {
		_ = s.Do(t.Context(), "look", "person:ana", start, feedback.Undo{Change: "none"})
	}
	if !reflect.DeepEqual(figures(a), figures(b)) || figures(b)["d"].False != 7 {
		t.Errorf("%+v and %+v", figures(a), figures(b))
	}
}

// TestCertaintyOutlivesARestart: an alert that was raised before a restart and is confirmed after it is counted once, as confirmed.
func TestCertaintyOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := open(t)
		path := filepath.Join(t.TempDir(), "detectors")
		done := make(chan error, 1)
		run := func() (*appraise.Service, func()) {
			s := appraise.New(appraise.Options{Log: log, Path: path})
			ctx, stop := context.WithCancel(t.Context())
			go func() { done <- s.Run(ctx, log.Follow) }()
			synctest.Wait()
			return s, func() {
				stop()
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
		}
		_, stop := run()
		raise(t, log, signal.Opened{Signal: "r", Key: "r", Finding: signal.Finding{Detector: "reorg", Verification: "one_node"}})
		synctest.Wait()
		stop()
		s, stop := run()
		raise(t, log, signal.Updated{Signal: "r", Key: "r", Finding: signal.Finding{Detector: "reorg", Verification: "confirmed"}})
		synctest.Wait()
		s.Look(func(st *feedback.State) {
			if m := st.Summaries(start)[0]; m.Sure != 1 || m.Alone != 0 || m.Last[feedback.Days-1] != 1 {
				t.Errorf("confirmed %d, one node %d of %v", m.Sure, m.Alone, m.Last)
			}
		})
		stop()
	})
}
