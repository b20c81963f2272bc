package desk

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/app"
)

const (
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
		"form-action 'self' http://127.0.0.1:*; base-uri 'none'; frame-ancestors 'none'" // a form may lead on to the room
	documentWait = 2 * time.Second  // a page waits so long for a room that opens, then says so
	requestWait  = 20 * time.Second // everything else
	mostForm     = 64 << 10         // bytes of what is posted to the front itself
)

// inserted is what every page of a room gets in its head.
func inserted(how string) string {
	return `<meta name="desk" content="` + how + `"><link rel="stylesheet" href="/.desk/assets/desk.css"><script type="module" src="/.desk/assets/desk.js"></script>`
}

// front is all that the front's own pages talk to.
func (d *Desk) front(ctx context.Context) http.Handler {
	pages := d.ownPages(ctx)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, enterPath) {
			d.enter(ctx, w, r)
			return
		}
		if !d.gate.admit(r, strings.TrimPrefix(d.gate.origin(), "http://")) {
			refuse(w, r)
			return
		}
		guard(w)
		if own(r.URL.Path) {
			r.Body = http.MaxBytesReader(w, r.Body, mostForm)
			pages.ServeHTTP(w, r)
			return
		}
		d.toRoom(ctx, w, r)
	})
}

// toRoom leads to the same page of the room, which has an origin of its own.
func (d *Desk) toRoom(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if !document(r) {
		problem(w, http.StatusNotFound, "not_here", "The room is not here.")
		return
	}
	key := d.book.read().key()
	if key == "" {
		http.Redirect(w, r, "/.desk/start", http.StatusSeeOther)
		return
	}
	s, err := d.stage(ctx, key)
	if err != nil {
		d.o.Log.Error("listen for the pages of a room", "err", err)
		d.pausePage(w, r, &trouble{"This computer has no port left for the room.", "Close other programs and try again.", true})
		return
	}
	http.Redirect(w, r, s.origin+r.URL.RequestURI(), http.StatusSeeOther)
}

// guard sets what every answer of the front itself carries.
func guard(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

func (d *Desk) enter(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	page, ok := "", false
	if r.Method == http.MethodGet && d.gate.opened(r.Host) && r.Header.Get("Origin") == "" {
		page, ok = d.gate.use(strings.TrimPrefix(r.URL.Path, enterPath))
	}
	if !ok {
		refuse(w, r)
		return
	}
	d.gate.let(w, d.whereTo(ctx, page))
}

// refuse says no, and nothing else.
func refuse(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second)) // nobody waits for what a stranger still sends
	const title = "This address is for the window of Tocsin"
	writePage(w, http.StatusForbidden, title, "<main><h1>"+title+"</h1><p>It belongs to the Tocsin program on this computer and answers nobody but its window. "+
		"If this is that window, close it and open Tocsin again.</p></main>")
}

// writePage writes a page that needs nothing else, on the ground of all pages. Title and body are HTML.
func writePage(w http.ResponseWriter, status int, title, body string) {
	guard(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="dark"><title>` + title +
		`</title></head><body bgcolor="#0d1015" text="#dde2ea">` + body + `</body></html>`)) // no style: the policy forbids it
}

// document reports whether a request is for a page in the window.
func document(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	if dest := r.Header.Get("Sec-Fetch-Dest"); dest != "" {
		return dest == "document"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// pass hands a request to the room.
func (d *Desk) pass(w http.ResponseWriter, r *http.Request, s *stage) {
	if strings.HasSuffix(r.URL.Path, "/sw.js") { // what a worker of the room keeps is of its own origin; here the front keeps
		http.NotFound(w, r)
		return
	}
	p, ok := d.open(w, r, s)
	if !ok {
		return
	}
	if r.Header.Get("Upgrade") != "" {
		p.room.ServeHTTP(w, r)
		return
	}
	if document(r) && r.URL.Path == "/signin" && !r.URL.Query().Has("here") {
		http.Redirect(w, r, signInPath(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	a := &answer{ResponseWriter: w}
	a.head = func(status int) {
		switch {
		case status >= 300 && status < 400:
			d.afterJoining(p, r, a.Header())
		case status == http.StatusOK && document(r) && strings.HasPrefix(a.Header().Get("Content-Type"), "text/html"):
			d.shown(r.URL)
		}
	}
	p.room.ServeHTTP(a, r)
}

// afterJoining leads to the board instead of to the account, where a passkey would be asked for that nobody can make in a window.
func (d *Desk) afterJoining(p *place, r *http.Request, h http.Header) {
	to, err := url.Parse(h.Get("Location"))
	if err != nil || to.Host != "" || to.Path != "/me" || r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/join/") {
		return
	}
	h.Set("Location", "/")
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	if req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/me", nil); err == nil {
		if res, err := p.room.Do(req); err == nil { // takes the sentence about passkeys with it
			_ = res.Body.Close()
		}
	}
}

// signInPath is our page for signing in, which leads back to what the room's would have led to.
func signInPath(rooms string) string {
	u, err := url.Parse(rooms)
	if err != nil {
		return "/.desk/signin"
	}
	next := localPage(u.Query().Get("next"))
	if next == "/" {
		return "/.desk/signin"
	}
	return "/.desk/signin?next=" + url.QueryEscape(next)
}

// answer sees the status of what passes through.
type answer struct {
	http.ResponseWriter
	head func(status int)
	done bool
}

// WriteHeader calls head first, once, with a status that is not 1xx.
func (a *answer) WriteHeader(status int) {
	if !a.done && status >= 200 {
		a.done = true
		a.head(status)
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write is that of the writer beneath.
func (a *answer) Write(b []byte) (int, error) {
	if !a.done {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is the writer beneath, for flushing.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// shown remembers the page that the window shows.
func (d *Desk) shown(u *url.URL) {
	page := u.Path
	if q := u.Query(); len(q) > 0 {
		q.Del("since")
		if e := q.Encode(); e != "" {
			page += "?" + e
		}
	}
	d.mu.Lock()
	d.page = u.Path
	d.mu.Unlock()
	if kept(page) {
		d.book.later(func(s *Settings) { s.Last = page })
	}
	d.minded()
}

// open is the place behind the front. When there is none it waits a little for one, then answers why not, and ok is false.
func (d *Desk) open(w http.ResponseWriter, r *http.Request, s *stage) (p *place, ok bool) {
	wait := requestWait
	if document(r) {
		wait = documentWait
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	p, why, err := d.await(ctx)
	switch {
	case p != nil && p.key() == s.key:
		return p, true
	case p != nil, errors.Is(err, errUnchosen): // since it was asked for, another one was chosen: what was meant for this room never goes there
		if document(r) {
			d.across(w, r, "/")
			return nil, false
		}
		p, why = nil, &trouble{sentence: "This room is not open any more.", remedy: "Choose it under Rooms."}
	case why == nil:
		why = &trouble{sentence: "The room is being opened.", remedy: "This can take a moment after an update or a crash."}
		if document(r) {
			w.Header().Set("Refresh", "1")
		}
	}
	guard(w)
	if document(r) {
		if d.Kiosk() && w.Header().Get("Refresh") == "" {
			w.Header().Set("Refresh", "5") // nobody presses a button there
		}
		d.pausePage(w, r, why)
		return nil, false
	}
	problem(w, http.StatusServiceUnavailable, "unreachable", why.sentence+" Nothing was sent. "+why.remedy)
	return nil, false
}

var errUnchosen = errors.New("no room is chosen")

// await returns the place as soon as there is one, or why there will be none.
func (d *Desk) await(ctx context.Context) (*place, *trouble, error) {
	for {
		d.mu.Lock()
		p, why, changed := d.place, d.failed, d.changed
		d.mu.Unlock()
		switch {
		case p != nil:
			return p, nil, nil
		case why != nil:
			return nil, why, nil
		case d.book.read().Mode == Unchosen:
			return nil, nil, errUnchosen
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// problem answers a script (RFC 9457).
func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": detail})
}

// asset serves the styles, scripts and fonts of our own pages.
func (d *Desk) asset(w http.ResponseWriter, r *http.Request) {
	mime, body, ok := app.Asset(r.PathValue("name"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mime)
	w.Header().Set("Cache-Control", "private, max-age=600")
	_, _ = w.Write(body)
}
