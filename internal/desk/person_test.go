package desk

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/outbox"
)

// TestNotesOfTwo: what one person wrote while the room was away is never sent as another who signs in before it is back, holds nothing of the other up,
// and is sent when its own writer is there again.
func TestNotesOfTwo(t *testing.T) {
	var mu sync.Mutex
	var took []string // "who: line"
	var away atomic.Bool
	room := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			panic(http.ErrAbortHandler)
		}
		who := ""
		if k, err := r.Cookie("tocsin_session"); err == nil {
			who = k.Value
		}
		if as, ok := strings.CutPrefix(r.URL.Path, "/as/"); ok {
			who = as
			http.SetCookie(w, &http.Cookie{Name: "tocsin_session", Value: who, Path: "/", MaxAge: 3600})
		}
		w.Header().Set("Content-Security-Policy", "script-src 'self'; frame-ancestors 'none'")
		switch {
		case r.URL.Path == "/live":
			http.NotFound(w, r)
		case strings.HasPrefix(r.URL.Path, "/api/"):
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"incidents":[]}`)
		case r.Method == http.MethodPost:
			body, _ := io.ReadAll(r.Body)
			if r.Header.Get("X-Tocsin-CSRF") != "token of "+who {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprint(w, `{"code":"form_expired"}`)
				return
			}
			mu.Lock()
			took = append(took, who+": "+string(body))
			mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"events":[1]}`)
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<!DOCTYPE html><html><head><title>A · Tocsin</title><meta name="csrf" content="token of %s"><meta name="now" content="1"></head><body data-handle="%s">I am %s</body></html>`, who, who, who)
		}
	})
	// /readyz of hostile answers always; a room that is away does not.
	real := room.Config.Handler
	room.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			panic(http.ErrAbortHandler)
		}
		real.ServeHTTP(w, r)
	})
	h := start(t, t.TempDir())
	w, _ := h.enter("")
	w.post("/.desk/join", url.Values{"address": {room.URL}}).want(t, 200, "/")
	until := func(what string, ok func() bool) {
		t.Helper()
		for late := time.Now().Add(45 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(late) {
				mu.Lock()
				defer mu.Unlock()
				t.Fatalf("%s: never; the room took %q, waiting is %+v", what, took, h.d.now().items())
			}
		}
	}
	say := func(line string) {
		t.Helper()
		if s := w.send("/incidents/1/line", fmt.Sprintf(`{"id":%q,"line":%q}`, uuid.NewString(), line)); s.status != 202 {
			t.Fatalf("a note while the room is away answers %d: %.200s", s.status, s.body)
		}
	}
	has := func(who, line string) bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.ContainsFunc(took, func(s string) bool { return strings.HasPrefix(s, who+": ") && strings.Contains(s, line) })
	}
	gone := func() { away.Store(true); until("the room is away", func() bool { return !h.d.now().room.Reach().Up }) }
	back := func() { away.Store(false); until("the room is back", func() bool { return h.d.now().room.Reach().Up }) }

	w.get("/as/ana").want(t, 200, "", "I am ana")
	w.get("/incidents/1").want(t, 200, "", "I am ana")
	gone()
	say("what ana knows")
	// Nobody is signed in when the room comes back, then Ben.
	if err := h.d.now().room.SignedOut(); err != nil {
		t.Fatal(err)
	}
	back()
	w.get("/as/ben").want(t, 200, "", "I am ben")
	w.get("/incidents/1").want(t, 200, "", "I am ben")
	until("ben is known", func() bool { return h.d.now().room.Handle() == "ben" })
	if s := w.askAt(w.room, http.MethodGet, "/.desk/outbox?incident=1", nil, nil); strings.Contains(s.body, "what ana knows") {
		t.Errorf("ben is shown what ana wrote: %s", s.body)
	}
	w.get("/.desk/notes").want(t, 200, "", "@ana wrote this", "never as @ben")
	gone()
	say("what ben knows")
	back()
	until("ben's note is sent, behind one of ana's", func() bool { return has("ben", "what ben knows") })
	until("only ana's waits", func() bool { items := h.d.now().items(); return len(items) == 1 && items[0].By == "ana" }) // the answer comes after the room has it
	w.get("/as/ana")
	w.get("/incidents/1").want(t, 200, "", "I am ana")
	until("ana's note is sent", func() bool { return has("ana", "what ana knows") })
	if has("ben", "what ana knows") || has("ana", "what ben knows") || has("", "knows") {
		t.Errorf("somebody spoke as another: %q", took)
	}
	until("nothing waits", func() bool { return len(h.d.now().items()) == 0 })
}

// TestNoteOfFastClock: a note of a computer whose clock is ahead is taken by the room all the same; one that is too old says so.
func TestNoteOfFastClock(t *testing.T) {
	srv := serve(t, t.TempDir(), "127.0.0.1:0", "M")
	h := start(t, t.TempDir())
	w, _ := h.enter("")
	w.joinAs(srv, "ana")
	n := int(h.api("/api/v1/incidents", map[string]any{"title": "Bridge drains", "severity": "SEV1"})["number"].(float64))
	room := h.d.now().room
	ahead := outbox.Note{ID: uuid.NewString(), Incident: n, Line: "said ahead of time", WrittenAt: time.Now().Add(time.Hour).UnixMilli(), By: "ana"}
	if err := postNote(t.Context(), room, ahead); err != nil {
		t.Errorf("a note of a fast clock: %v", err)
	}
	if log := w.ask(http.MethodGet, "/api/v1/log?follow=false", nil, nil).body; strings.Count(log, "said ahead of time") != 1 {
		t.Errorf("it is in the log %d times", strings.Count(log, "said ahead of time"))
	}
	var refused outbox.Refused
	old := outbox.Note{ID: uuid.NewString(), Incident: n, Line: "said long ago", WrittenAt: time.Now().Add(-40 * 24 * time.Hour).UnixMilli(), By: "ana"}
	if err := postNote(t.Context(), room, old); !errors.As(err, &refused) || !strings.Contains(refused.Sentence, "30 days") {
		t.Errorf("a note of long ago: %v", err)
	}
	other := outbox.Note{ID: uuid.NewString(), Incident: n, Line: "as another", WrittenAt: 1, By: "ben"}
	if err := postNote(t.Context(), room, other); !errors.Is(err, outbox.ErrNotTheirs) {
		t.Errorf("a note of somebody else: %v", err)
	}
}
