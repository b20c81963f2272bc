package casebook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/casebook"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/internal/precedent/precedenttest"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a log with rooms and a casebook beside it.
type house struct {
	t     testing.TB
	log   *eventlog.Log
	rooms *room.Rooms
	loads int
}

func open(t testing.TB) *house {
	t.Helper()
	log, err := eventlog.Open(t.Context(), mem.Open(mem.Options{MaxOps: 4096}), eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &house{t: t, log: log, rooms: room.New(log)}
}

func (h *house) book(path string) *casebook.Service {
	return casebook.New(casebook.Options{Log: h.log, Path: path, Load: func(ctx context.Context, n, _ int64) (incident.State, error) {
		h.loads++
		st, err := h.rooms.Load(ctx, n)
		if errors.Is(err, room.ErrNoIncident) {
			err = casebook.ErrUnknown
		}
		return st, err
	}})
}

// write puts made-up incidents into the log, as if they had happened here.
func (h *house) write(list []precedenttest.Incident) {
	h.t.Helper()
	for _, i := range list {
		b := eventlog.Batch{Stream: room.Stream(i.Number), Expect: eventlog.AnySeq}
		for n, e := range i.Events {
			typ, ver, data, err := incident.Encode(e.Body)
			if err != nil {
				h.t.Fatal(err)
			}
			b.Drafts = append(b.Drafts, eventlog.Draft{ID: fmt.Sprintf("%d.%d", i.Number, n), At: e.At, Actor: e.Actor, Type: typ, Version: ver, Data: data, Causation: e.ID})
		}
		if _, err := h.log.Append(h.t.Context(), b); err != nil {
			h.t.Fatal(err)
		}
	}
}

// during runs a casebook while f looks at it.
func (h *house) during(s *casebook.Service, f func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, h.log.Follow) }()
	synctest.Wait()
	f()
	cancel()
	if err := <-done; err != nil {
		h.t.Fatal(err)
	}
}

func told(s *casebook.Service) string {
	l := s.Learned()
	b, _ := json.MarshalIndent(l, "", " ")
	return string(b)
}

func TestFollowsAndAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		list := precedenttest.Years(4, 130)
		h.write(list[:100])
		s := h.book("")
		h.during(s, func() {
			l := s.Learned()
			if l.Closed != 100 || l.Severity.Model.Of < 80 {
				t.Fatalf("closed %d, foretold %d", l.Closed, l.Severity.Model.Of)
			}
			// One that is open: all of its events but the last two.
			now := list[100]
			now.Events = now.Events[:4]
			h.write([]precedenttest.Incident{now})
			synctest.Wait()
			st, _ := now.State(math.MaxInt64)
			a := s.Advise(precedent.Of(st), st.DeclaredAt+5*60_000)
			if !a.Recovery.Known || len(a.Similar) == 0 || a.Similar[0].Case.Open || len(a.Similar[0].Reasons) == 0 {
				t.Errorf("%+v", a)
			}
			if r := s.Recovery(now.Number, st.DeclaredAt+5*60_000); r.Sentence != a.Recovery.Sentence {
				t.Errorf("%q and %q", r.Sentence, a.Recovery.Sentence)
			}
			if r := s.Recovery(9999, 0); r.Known || r.Sentence != "" {
				t.Errorf("knows an incident that is not: %+v", r)
			}
			if d := s.Advise(precedent.Typed("disk full on ledger database", "", nil, nil), 0); len(d.Similar) == 0 {
				t.Error("nothing is like a disk that is full")
			}
			// It trains when ten more are over, at the next look, and not before.
			was := s.Learned().Severity.Learned
			h.write(list[101:112])
			synctest.Wait()
			if got := s.Learned().Severity.Learned; got != was {
				t.Errorf("trained at once: %d", got)
			}
			time.Sleep(61 * time.Second)
			synctest.Wait()
			if got := s.Learned().Severity.Learned; got != was+11 {
				t.Errorf("learned %d of %d", got, was+11)
			}
			// A single one is learned after ten minutes.
			h.write(list[112:113])
			time.Sleep(9 * time.Minute)
			synctest.Wait()
			if got := s.Learned().Closed; got != was+11 {
				t.Errorf("trained too early: %d", got)
			}
			time.Sleep(3 * time.Minute)
			synctest.Wait()
			if got := s.Learned().Closed; got != was+12 {
				t.Errorf("closed %d, not %d", got, was+12)
			}
		})
	})
}

func TestStartsFromWhatWasWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		h.write(precedenttest.Years(4, 60))
		path := filepath.Join(t.TempDir(), "cases")
		s := h.book(path)
		if a := s.Advise(precedent.Typed("disk full", "", nil, nil), 0); !a.Reading || len(a.Similar) > 0 {
			t.Errorf("speaks before it has read anything: %+v", a)
		}
		h.during(s, func() { s.Awake(t.Context()) })
		first := told(s)
		h.loads = 0
		again := h.book(path)
		h.during(again, func() {})
		if told(again) != first {
			t.Errorf("taken up: %s\nfolded: %s", told(again), first)
		}
		if h.loads != 0 {
			t.Errorf("read %d incidents again", h.loads)
		}
		if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
			t.Fatal(err)
		}
		torn := h.book(path)
		h.during(torn, func() {})
		if told(torn) != first {
			t.Error("a torn file changes what is learned")
		}
	})
}

func TestRedactedWordsAreForgotten(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := open(t)
			h.write(precedenttest.Years(4, 60))
			path := filepath.Join(t.TempDir(), "cases")
			meta := func(id string) incident.Meta {
				return incident.Meta{ID: id, At: time.Now().UnixMilli(), Actor: "person:ana"}
			}
			ctx := t.Context()
			a, err := h.rooms.Declare(ctx, incident.Declare{Title: "Mallorquin lost a kaleidoscope", Severity: "SEV3"}, meta("11111111-1111-4111-8111-111111111111"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.rooms.Do(ctx, a.Number, incident.RecordDecision{Text: "Call Mallorquin"}, meta("22222222-2222-4222-8222-222222222222")); err != nil {
				t.Fatal(err)
			}
			redact := func() {
				st, err := h.rooms.Load(ctx, a.Number)
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for _, e := range st.Timeline.All() {
					if e.Type == "incident.described" || e.Type == "incident.decision_recorded" {
						n++
						if _, err := h.rooms.Do(ctx, a.Number, incident.Redact{Event: e.EventID, Reason: "A name"}, meta(fmt.Sprintf("33333333-3333-4333-8333-33333333333%d", n))); err != nil {
							t.Fatal(err)
						}
					}
				}
				if n != 2 {
					t.Fatalf("redacted %d", n)
				}
			}
			like := precedent.Typed("mallorquin and a kaleidoscope", "", nil, nil)
			s := h.book(path)
			h.during(s, func() {
				if got := s.Advise(like, 0).Similar; len(got) != 1 {
					t.Fatalf("finds %+v", got)
				}
				if !stopped {
					redact()
					synctest.Wait()
				}
			})
			if stopped { // redacted while nothing runs: the file still has the words
				redact()
				s = h.book(path)
				h.during(s, func() {})
			}
			if got := s.Advise(like, 0).Similar; len(got) != 0 {
				t.Errorf("stopped %v: still finds %+v", stopped, got)
			}
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(strings.ToLower(string(body)), "mallorquin") {
				t.Errorf("stopped %v: the file still has the name", stopped)
			}
		})
	}
}
