package desk

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/outbox"
)

// hostile is a server that says it is a Tocsin and serves pages of its own.
func hostile(t *testing.T, pages http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/readyz":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"ready":true}`)
		case "/signin":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<!DOCTYPE html><html><head><title>Sign in · Evil · Tocsin</title></head><body></body></html>`)
		default:
			pages(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// script is what a script of a page of the room can ask of an origin: with the cookies of the window, saying truthfully where it comes from.
func (w *window) script(from, to, method, path, body string, more ...string) *shown {
	w.h.Helper()
	site := "same-origin"
	if from != to {
		site = "same-site"
	}
	head := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Origin": from, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
	if method == http.MethodGet && from == to {
		delete(head, "Origin")
	}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] == "" {
			delete(head, more[i])
		} else {
			head[more[i]] = more[i+1]
		}
	}
	return w.askAt(to, method, path, strings.NewReader(body), head)
}

// TestHostileRoom: the script of a room that somebody joined changes no setting, opens no other room, and reads nothing of one.
func TestHostileRoom(t *testing.T) {
	h := start(t, t.TempDir())
	w := h.found()
	evil := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Service-Worker-Allowed", "/")
		fmt.Fprint(w, `<!DOCTYPE html><html><head><title>Board</title></head><body>evil `+r.URL.Path+`</body></html>`)
	})
	here := w.room
	s := w.post("/.desk/join", url.Values{"address": {evil.URL}})
	s.want(t, 200, "/", "evil /")
	page := w.room // where its scripts run
	if page == w.origin || page == here {
		t.Fatalf("the pages of a hostile room have the origin %s, which they share", page)
	}
	before := h.d.book.read()
	calls := len(h.shell.told())
	forms := map[string]string{
		"/.desk/here": "", "/.desk/settings": "kiosk=yes&autostart=yes&quiet=pages-only", "/.desk/network": "on=yes&sure=yes&host=0.0.0.0&port=8443", "/.desk/port": "port=4444",
		"/.desk/join": "address=" + url.QueryEscape(evil.URL), "/.desk/room": "id=x", "/.desk/forget": "id=" + before.Room, "/.desk/signin": "link=x",
		"/.desk/account": "", "/.desk/dismiss": "", "/.desk/sound": "sound=sev1",
	}
	for _, origin := range []string{page, w.origin, here} {
		for path, body := range forms {
			if s := w.script(page, origin, http.MethodPost, path, body); s.status != 403 && s.status != 404 {
				t.Errorf("POST %s at %s answers %d: %.200s", path, origin, s.status, words(s.body))
			}
			// A form that the page sends by itself is a navigation.
			if s := w.script(page, origin, http.MethodPost, path, body, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Accept", "text/html"); s.status == 200 && s.path == path || s.status/100 == 3 {
				t.Errorf("a form to %s at %s answers %d: %.200s", path, origin, s.status, words(s.body))
			}
		}
	}
	for _, path := range []string{"/.desk/start", "/.desk/settings", "/.desk/about", "/.desk/notes", "/.desk/state", "/.desk/state/follow", "/.desk/outbox", "/", "/api/v1/incidents"} {
		for _, mode := range []string{"cors", "no-cors"} {
			for _, origin := range []string{w.origin, here} {
				from := page
				if mode == "no-cors" {
					from = ""
				}
				s := w.script(page, origin, http.MethodGet, path, "", "Sec-Fetch-Mode", mode, "Origin", from)
				if s.status != 403 {
					t.Errorf("a script of the room reads %s at %s (%s): %d %.200s", path, origin, mode, s.status, words(s.body))
				}
			}
		}
	}
	for _, path := range []string{"/.desk/start", "/.desk/settings", "/.desk/about", "/.desk/notes", "/.desk/way", "/.desk/../.desk/start", "/.desk/%2e%2e/.desk/start", "/.desk//settings", "//.desk/settings", "/%2edesk/settings", "/.DESK/settings", "/.desk%2fsettings"} {
		if s := w.script(page, page, http.MethodGet, path, ""); strings.Contains(s.body, "Quiet ends") || strings.Contains(s.body, "Rooms you have joined") || strings.Contains(s.body, "Kept in") {
			t.Errorf("a script of the room reads %s of the front at its own origin: %d", path, s.status)
		}
	}
	if after := h.d.book.read(); after.key() != before.key() || after.Kiosk || after.Autostart || after.Network.On || after.Quiet != before.Quiet || len(after.Rooms) != 1 {
		t.Errorf("the room changed the settings: %+v", after)
	}
	if told := h.shell.told()[calls:]; len(told) > 0 {
		for _, c := range told {
			if !strings.HasPrefix(c, "title") && !strings.HasPrefix(c, "withdraw") {
				t.Errorf("the room had the window do %q", c)
			}
		}
	}
	// What is left to it.
	if s := w.script(page, page, http.MethodPost, "/.desk/do", `{"id":"kiosk"}`); s.status != 422 {
		t.Errorf("a room takes the whole display: %d", s.status)
	}
	opened, began := 0, time.Now()
	for range 50 {
		if s := w.script(page, page, http.MethodPost, "/.desk/open", `{"url":"https://ads.example/"}`); s.status == 200 {
			opened++
		}
	}
	if opened > mostOpens*(1+int(time.Since(began)/opensIn)) {
		t.Errorf("a room opens %d pages in the user's browser at once", opened)
	}
	if s := w.script(page, page, http.MethodGet, "/worker.js", "", "Service-Worker", "script"); s.status != 404 {
		t.Errorf("a room gets a worker that outlives its page: %d", s.status)
	}
	s = w.askAt(page, http.MethodGet, "/x", nil, map[string]string{"Accept": "text/html"})
	if p := s.header.Values("Content-Security-Policy"); len(p) == 0 || p[0] != wall {
		t.Errorf("a page of a room may send what it likes to other servers of this computer: %q", p)
	}
}

// TestOtherRoomsPage: what a page of one room says while another room is open goes nowhere.
func TestOtherRoomsPage(t *testing.T) {
	h := start(t, t.TempDir())
	w := h.found()
	here, heard := w.room, make(chan string, 100)
	evil := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		heard <- r.Method + " " + r.URL.Path
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!DOCTYPE html><html><head><title>Board</title></head><body>other</body></html>`)
	})
	w.post("/.desk/join", url.Values{"address": {evil.URL}}).want(t, 200, "/", "other")
	other := w.room
	for len(heard) > 0 {
		<-heard
	}
	// The page of the first room sends again what was not answered.
	s := w.script(here, here, http.MethodPost, "/incidents/1/line", `{"id":"7f1c7a52-7b8e-4d8f-9f57-0e2f0a7a3c55","line":"the key is in the safe"}`, "Content-Type", "application/json")
	if s.status != 503 && s.status != 404 {
		t.Errorf("a note to a room that is not open answers %d: %.200s", s.status, s.body)
	}
	w.script(here, here, http.MethodGet, "/incidents/1", "")
	for len(heard) > 0 {
		if got := <-heard; strings.Contains(got, "/incidents/1") {
			t.Errorf("another room was sent %s", got)
		}
	}
	if items := h.d.now().items(); len(items) > 0 {
		t.Errorf("the outbox of another room holds %+v", items)
	}
	// Back again: the same origin as before, with what pages keep there.
	w.post("/.desk/here", nil).want(t, 200, "/", "Open incidents")
	if w.room != here || w.room == other {
		t.Errorf("the room is at %s, and was at %s", w.room, here)
	}
}

// TestOurs: the window shows the front and rooms, and no other server of this computer.
func TestOurs(t *testing.T) {
	h := start(t, t.TempDir())
	w := h.found()
	for _, yes := range []string{w.origin + "/.desk/start", w.room + "/", w.room} {
		if !h.d.Ours(yes) {
			t.Errorf("%s is not ours", yes)
		}
	}
	for _, no := range []string{"http://127.0.0.1/", "http://127.0.0.1:1/", strings.Replace(w.room, "127.0.0.1", "localhost", 1), strings.Replace(w.room, "http", "https", 1), w.room + "0/", w.room + ".evil.example/",
		strings.Replace(w.room, "http://", "http://evil.example@", 1), "http://x:y@" + strings.TrimPrefix(w.room, "http://"), "", "javascript:alert(1)", "file:///etc/passwd"} {
		if h.d.Ours(no) {
			t.Errorf("%s is ours", no)
		}
	}
}

// TestHostileWords: what a hostile server calls itself, and what it says of a note, is only ever text on the front's pages.
func TestHostileWords(t *testing.T) {
	const bad = `"><script src=/x.js></script><img src=x onerror=alert(1)>`
	answered := make(chan struct{}, 8)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/readyz":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"ready":true}`)
		case r.Method == http.MethodPost:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprintf(w, `{"code":"no","detail":%q}`, bad)
			answered <- struct{}{}
		default:
			http.SetCookie(w, &http.Cookie{Name: "tocsin_session", Value: "x", Path: "/", MaxAge: 3600})
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<!DOCTYPE html><html><head><title>Sign in · %s · Tocsin</title></head><body></body></html>`, html.EscapeString(bad))
		}
	}))
	t.Cleanup(evil.Close)
	h := start(t, t.TempDir())
	w, _ := h.enter("")
	w.post("/.desk/join", url.Values{"address": {evil.URL}}).want(t, 200, "/")
	if err := h.d.now().box.Add(t.Context(), outbox.Note{ID: bad, Incident: 1, Line: bad, WrittenAt: 1}); err != nil {
		t.Fatal(err)
	}
	w.get("/")
	<-answered
	for late := time.Now().Add(45 * time.Second); h.d.now().items()[0].Reason == "" && time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
	}
	h.d.tell("refused", bad)
	for _, path := range []string{"/.desk/notes", "/.desk/start", "/.desk/settings", "/.desk/about", "/.desk/way", "/.desk/join", "/.desk/signin?next=" + url.QueryEscape(bad)} {
		if s := w.get(path); strings.Contains(s.body, "<script src=/x.js") || strings.Contains(s.body, "<img src=x") || s.status != 200 {
			t.Errorf("%s (%d) holds what the server says as markup", path, s.status)
		}
	}
	if s := w.get("/.desk/notes"); !strings.Contains(s.body, "onerror=alert(1)") {
		t.Error("the notes do not show what was said")
	}
}
