package desk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/internal/outbox"
	"github.com/tocsin-ops/tocsin/internal/remote"
)

// api sends a command to the room as the person signed in.
func (h *house) api(path string, body any) map[string]any {
	h.Helper()
	status, answer, err := h.d.now().room.Post(h.Context(), path, body)
	if err != nil || status/100 != 2 {
		h.Fatalf("%s: %d %v %s", path, status, err, answer)
	}
	var out map[string]any
	if err := json.Unmarshal(answer, &out); err != nil {
		h.Fatal(err)
	}
	return out
}

// TestAttention: what is declared in the room is heard and seen at the desk, and taken back when it is over or the room is left.
func TestAttention(t *testing.T) {
	h := start(t, t.TempDir())
	w := h.found()
	n := int64(h.api("/api/v1/incidents", map[string]any{"title": "Bridge drains", "severity": "SEV2"})["number"].(float64))
	path := fmt.Sprintf("/incidents/%d", n)
	notice := func(s *shell) (attention.Notice, bool) {
		for _, v := range s.notices {
			if v.Path == path || strings.HasPrefix(v.Path, path+"/") {
				return v, true
			}
		}
		return attention.Notice{}, false
	}
	h.shell.until(t, "a notice of the incident", func(s *shell) bool { // the only person here is paged
		v, ok := notice(s)
		return ok && v.Severity == "SEV2" && v.Ack == n && strings.Contains(v.Title+v.Body, "Bridge drains")
	})
	h.shell.until(t, "the title", func(s *shell) bool {
		return slices.ContainsFunc(s.calls, func(c string) bool { return strings.HasPrefix(c, "title ") && strings.Contains(c, "SEV2 · 1 open") })
	})
	h.shell.until(t, "the sound", h.shell.said("sound"))
	h.d.Opened(path)
	h.shell.until(t, "the page of the notice", h.shell.said("go "+path))
	h.api(path+"/commands", map[string]any{"id": uuid.NewString(), "command": "resolve", "args": map[string]any{"validation": "both nodes agree"}})
	h.shell.until(t, "the notice is taken back", func(s *shell) bool { _, ok := notice(s); return !ok })

	h.api("/api/v1/incidents", map[string]any{"title": "Again", "severity": "SEV1"})
	h.shell.until(t, "another notice", func(s *shell) bool { return len(s.notices) > 0 })
	h.shell.mu.Lock()
	var key string
	for key = range h.shell.notices {
	}
	h.shell.mu.Unlock()
	h.d.again()
	h.shell.until(t, "it is taken back when the room is closed", h.shell.said("withdraw "+key))
	h.d.choose(func(s *Settings) { s.Mode = Unchosen })
	h.shell.until(t, "nothing is left of a room that is not open", func(s *shell) bool { return len(s.notices) == 0 && s.calls[len(s.calls)-1] == "title Tocsin" })
	w.get("/").want(t, 200, "/.desk/start")
}

// TestQuiet: with sounds off nothing is heard, and everything is shown.
func TestQuiet(t *testing.T) {
	h := start(t, t.TempDir())
	w := h.found()
	w.post("/.desk/settings", url.Values{"quiet": {"no-sound"}, "hours": {"1"}}).want(t, 200, "/.desk/settings", "Saved.")
	h.api("/api/v1/incidents", map[string]any{"title": "Bridge drains", "severity": "SEV1"})
	h.shell.until(t, "a notice", func(s *shell) bool { return len(s.notices) > 0 })
	h.shell.mu.Lock()
	defer h.shell.mu.Unlock()
	if h.shell.said("sound")(h.shell) {
		t.Error("something was heard")
	}
}

// TestWallIsNotCovered: a wall is heard, what stood before it is taken back, and nothing is laid over it.
func TestWallIsNotCovered(t *testing.T) {
	h := start(t, t.TempDir())
	h.found()
	h.api("/api/v1/incidents", map[string]any{"title": "Bridge drains", "severity": "SEV1"})
	h.shell.until(t, "a notice", func(s *shell) bool { return len(s.notices) > 0 })
	h.d.Do("kiosk")
	h.shell.until(t, "the wall", func(s *shell) bool { return h.shell.said("kiosk")(s) && len(s.notices) == 0 })
	h.shell.mu.Lock()
	h.shell.calls = nil
	h.shell.mu.Unlock()
	h.api("/api/v1/incidents", map[string]any{"title": "Withdrawals stop", "severity": "SEV1"})
	h.shell.until(t, "a sound", h.shell.said("sound"))
	h.shell.mu.Lock()
	defer h.shell.mu.Unlock()
	if len(h.shell.notices) > 0 {
		t.Errorf("the wall is covered by %v", h.shell.notices)
	}
}

// TestShownIsTold: the room hears that a page stands on somebody's screen, once.
func TestShownIsTold(t *testing.T) {
	h := start(t, t.TempDir())
	h.found()
	n := int64(h.api("/api/v1/incidents", map[string]any{"title": "Bridge drains", "severity": "SEV1"})["number"].(float64))
	h.api(fmt.Sprintf("/incidents/%d/commands", n), map[string]any{"id": uuid.NewString(), "command": "page", "args": map[string]any{"person": "ana", "reason": "the bridge drains"}})
	said := func(path, what string) int {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		res, err := h.d.now().room.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, res.StatusCode, err)
		}
		return strings.Count(string(body), what)
	}
	events := fmt.Sprintf("/api/v1/incidents/%d/events", n)
	for late := time.Now().Add(45 * time.Second); said(events, `"route":"desktop"`) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("the room was never told; log: %s", h.log)
		}
	}
	if got, pages := said(events, `"route":"desktop"`), said("/api/v1/me/attention", `"paged_at"`); got > pages {
		t.Errorf("the room was told %d times of %d pages", got, pages)
	}
}

// TestAcknowledge: who presses the notice has it; what fails is shown again with the reason.
func TestAcknowledge(t *testing.T) {
	h := start(t, t.TempDir())
	h.found()
	h.d.Acknowledge(77)
	h.shell.until(t, "a reason", func(s *shell) bool {
		return s.notices["desk:ack/77"].Body != "" && s.notices["desk:ack/77"].Path == "/incidents/77"
	})
	n := int64(h.api("/api/v1/incidents", map[string]any{"title": "Bridge drains", "severity": "SEV1"})["number"].(float64))
	h.api(fmt.Sprintf("/incidents/%d/commands", n), map[string]any{"id": uuid.NewString(), "command": "page", "args": map[string]any{"person": "ana", "reason": "the bridge drains"}})
	h.shell.until(t, "the page", func(s *shell) bool {
		for _, v := range s.notices {
			if v.Ack == n && v.Sticky {
				return true
			}
		}
		return false
	})
	h.d.Acknowledge(n)
	h.shell.until(t, "the page is taken back", func(s *shell) bool {
		for _, v := range s.notices {
			if v.Ack == n {
				return false
			}
		}
		return true
	})
}

// TestRoomIsAway: a room elsewhere that stops is told of after a while, what is typed is kept with its time, and sent once when the room is back.
func TestRoomIsAway(t *testing.T) {
	dir := t.TempDir()
	address := "127.0.0.1:" + strconv.Itoa(freePort(t)) // stays free while nobody listens there
	srv := serve(t, dir, address, "Meridian")
	h := start(t, t.TempDir())
	h.d.patience = 300 * time.Millisecond
	w, _ := h.enter("")
	w.joinAs(srv, "ana")
	n := int64(h.api("/api/v1/incidents", map[string]any{"title": "Bridge drains", "severity": "SEV1"})["number"].(float64))
	room := fmt.Sprintf("/incidents/%d", n)
	w.get(room).want(t, 200, room, "Bridge drains")
	srv.stop()
	h.shell.until(t, "the room is away", func(s *shell) bool { return strings.Contains(s.notices[reachKey].Title, "Meridian cannot be reached") })

	wrote := time.Now().UnixMilli()
	var ids []string
	for i := range 5 {
		ids = append(ids, uuid.NewString())
		s := w.send(room+"/line", fmt.Sprintf(`{"id":%q,"line":"note %d"}`, ids[i], i))
		if s.status != http.StatusAccepted || !strings.Contains(s.body, `"queued":true`) {
			t.Fatalf("note %d: %d %s", i, s.status, s.body)
		}
	}
	if s := w.send(room+"/line", fmt.Sprintf(`{"id":%q,"line":"/sev 2 no"}`, uuid.NewString())); s.status != 503 {
		t.Errorf("a command is taken while the room is away: %d %s", s.status, s.body)
	}
	var list struct{ Items []outbox.Item }
	if err := json.Unmarshal([]byte(w.ask(http.MethodGet, fmt.Sprintf("/.desk/outbox?incident=%d", n), nil, nil).body), &list); err != nil || len(list.Items) != 5 || list.Items[4].Line != "note 4" || list.Items[0].WrittenAt < wrote {
		t.Fatalf("the outbox shows %+v, %v", list, err)
	}
	if s := w.ask(http.MethodGet, "/.desk/outbox?incident=999", nil, nil); !strings.Contains(s.body, `"items":[]`) {
		t.Errorf("another incident shows %s", s.body)
	}
	var state stateNow
	if err := json.Unmarshal([]byte(w.ask(http.MethodGet, "/.desk/state", nil, nil).body), &state); err != nil || state.Up || state.Waiting != 5 || state.Trouble == "" {
		t.Errorf("the state is %+v, %v", state, err)
	}
	w.get("/.desk/notes").want(t, 200, "/.desk/notes", "note 3", "queued", "cannot be reached")
	w.get("/.desk/way").want(t, 200, "/.desk/way", "Meridian")
	if s := w.send("/.desk/outbox/"+ids[2]+"/discard", "{}"); s.status != 200 {
		t.Errorf("discarding: %d %s", s.status, s.body)
	}

	// The program is closed and started again while the room is still away.
	home := h.d.o.Dir
	h.stop()
	h = start(t, home)
	w, s := h.enter(room)
	s.want(t, 200, room, "Bridge drains", `name="kept"`)

	serve(t, dir, address, "Meridian")
	h.until("the notes are sent", func() bool { return h.d.now() != nil && len(h.d.now().items()) == 0 })
	log := w.ask(http.MethodGet, "/api/v1/log?follow=false", nil, nil).body
	at := -1
	for i := range 5 {
		text := fmt.Sprintf(`"note %d"`, i)
		if i == 2 {
			if strings.Contains(log, text) {
				t.Error("a note that was discarded was sent")
			}
			continue
		}
		if n := strings.Count(log, text); n != 1 || strings.Index(log, text) < at {
			t.Errorf("%s is there %d times, at %d after %d", text, n, strings.Index(log, text), at)
		}
		at = strings.Index(log, text)
	}
}

// until waits for a change of the desk's state.
func (h *house) until(what string, ok func() bool) {
	h.Helper()
	late := time.After(45 * time.Second)
	for {
		h.d.mu.Lock()
		changed := h.d.changed
		h.d.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-late:
			h.Fatalf("%s: never; log: %s", what, h.log)
		}
	}
}

// TestWhatBecomesOfANote: only what the room has judged is refused; everything else waits.
func TestWhatBecomesOfANote(t *testing.T) {
	answer := struct {
		status int
		body   string
	}{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			fmt.Fprint(w, `<html><head><meta name="csrf" content="x"></head></html>`)
			return
		}
		w.Header().Set("Content-Security-Policy", "script-src 'self'; frame-ancestors 'none'")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(answer.status)
		fmt.Fprint(w, answer.body)
	}))
	defer srv.Close()
	base, _ := url.Parse(srv.URL)
	room, err := remote.Open(remote.Options{Base: base, Dir: t.TempDir(), AnswerIn: answerWithin})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		status       int
		body, reason string
		away         bool
	}{
		{200, `{"events":[]}`, "", false},
		{200, `{"events":null}`, "", false},
		{200, `{}`, "", true},
		{200, `<html>Welcome to the network of the hotel`, "", true},
		{422, `{"code":"closed","detail":"The incident is reviewed."}`, "The incident is reviewed.", false},
		{404, `{"code":"not_found","detail":"There is no such incident."}`, "There is no such incident.", false},
		{403, `{"code":"forbidden","detail":"Your role does not allow this."}`, "Your role does not allow this.", false},
		{403, `{"code":"form_expired","detail":"Too old."}`, "", true},
		{401, `{"code":"not_signed_in","detail":"Sign in."}`, "", true},
		{429, `{"code":"too_fast","detail":"Wait."}`, "", true},
		{503, `{"code":"read_only","detail":"Nothing can be written."}`, "", true},
		{500, ``, "", true},
	} {
		answer.status, answer.body = c.status, c.body
		err := postNote(t.Context(), room, outbox.Note{ID: uuid.NewString(), Incident: 1, Line: "x", WrittenAt: 1})
		var refused outbox.Refused
		switch {
		case c.away && !errors.Is(err, outbox.ErrAway), c.reason != "" && (!errors.As(err, &refused) || refused.Sentence != c.reason), !c.away && c.reason == "" && err != nil:
			t.Errorf("%d %s: %v", c.status, c.body, err)
		}
	}
	srv.Close()
	if err := postNote(t.Context(), room, outbox.Note{ID: uuid.NewString(), Incident: 1, Line: "x", WrittenAt: 1}); !errors.Is(err, outbox.ErrAway) {
		t.Errorf("nobody answers: %v", err)
	}
}
