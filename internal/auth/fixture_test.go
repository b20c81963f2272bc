package auth

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

// house is a Service on a store and a log of its own, with a clock that only
// the test moves.
type house struct {
	*Service
	t    *testing.T
	db   store.DB
	log  *eventlog.Log
	now  atomic.Int64
	slog *lockedBuffer

	mu    sync.Mutex
	ended []string // what OnRevoke said
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newHouse(t *testing.T, change ...func(*Options)) *house {
	return newHouseOn(t, mem.New(), change...)
}

func newHouseOn(t *testing.T, db store.DB, change ...func(*Options)) *house {
	t.Helper()
	h := &house{t: t, db: db, slog: &lockedBuffer{}}
	h.now.Store(1_700_000_000_000)
	var err error
	if h.log, err = eventlog.Open(t.Context(), db, eventlog.Options{}); err != nil {
		t.Fatal(err)
	}
	o := Options{Clock: h.now.Load, Logger: slog.New(slog.NewTextHandler(h.slog, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&o)
	}
	if h.Service, err = New(t.Context(), db, h.log, o); err != nil {
		t.Fatal(err)
	}
	h.OnRevoke(func(owner string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ended = append(h.ended, owner)
	})
	return h
}

// takeEnded returns what was revoked since the last call.
func (h *house) takeEnded() map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := map[string]bool{}
	for _, o := range h.ended {
		m[o] = true
	}
	h.ended = nil
	return m
}

// founded makes ana the first administrator.
func (h *house) founded() SignIn {
	h.t.Helper()
	link, needed, err := h.Bootstrap(h.t.Context())
	if err != nil || !needed {
		h.t.Fatalf("bootstrap: needed %v, %v", needed, err)
	}
	return h.accept(link, Choice{Handle: "ana", Name: "Ana Alvarez"})
}

func (h *house) accept(link Link, c Choice) SignIn {
	h.t.Helper()
	in, err := h.Accept(h.t.Context(), link.Token, c, h.visit())
	if err != nil {
		h.t.Fatalf("accept: %v", err)
	}
	return in
}

var visits atomic.Int64

func (h *house) visit() Visit {
	return Visit{Address: "192.0.2.7", Device: "Firefox on Linux", Origin: "http://localhost:8080", Txn: "txn-" + base62([]byte{byte(visits.Add(1)), byte(visits.Load() >> 8)}, 6)}
}

// member invites and accepts.
func (h *house) member(by Actor, handle string, role Role, audience string) SignIn {
	h.t.Helper()
	link, err := h.Invite(h.t.Context(), by, Invitation{Handle: handle, Name: "Person " + handle, Role: role, Audience: audience})
	if err != nil {
		h.t.Fatalf("invite %s: %v", handle, err)
	}
	return h.accept(link, Choice{})
}

// wantCode fails unless err is the refusal with this code and a sentence.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || r.Code != code || r.Sentence == "" {
		t.Fatalf("error %v (%T), want a refusal %s", err, err, code)
	}
}

// holds reports who a cookie is now.
func (h *house) holds(cookie string) string {
	h.t.Helper()
	a, err := h.Session(h.t.Context(), cookie)
	if err != nil {
		wantCode(h.t, err, CodeNotSignedIn)
	}
	return a.String()
}

// types lists the types of all events of the stream people.
func (h *house) types() []string {
	h.t.Helper()
	var types []string
	events, err := h.log.ReadStream(h.t.Context(), Stream, 1, 512)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range events {
		types = append(types, e.Type)
	}
	return types
}

func count(list []string, s string) (n int) {
	for _, x := range list {
		if x == s {
			n++
		}
	}
	return n
}

// stubborn calls f until it succeeds, as a person who presses the button again.
func stubborn(ctx context.Context, t *testing.T, f func(context.Context) (SignIn, error)) SignIn {
	t.Helper()
	for range 6 {
		in, err := f(ctx)
		if err == nil {
			return in
		}
		var r *Refusal
		if errors.As(err, &r) {
			t.Fatalf("refused after a fault: %v", err)
		}
		if !errors.Is(err, storetest.ErrInjected) && !errors.Is(err, eventlog.ErrUncertain) {
			t.Fatalf("unexpected error: %v", err)
		}
	}
	t.Fatal("still failing")
	return SignIn{}
}
