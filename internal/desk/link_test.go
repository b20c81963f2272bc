package desk

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// TestLinksFromOutside: any page of any site may send one. It shows a page and does nothing more.
func TestLinksFromOutside(t *testing.T) {
	var asked atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); http.NotFound(w, nil) }))
	defer evil.Close()
	h := start(t, t.TempDir())

	h.d.Arrived([]string{"tocsin://incident/42"})
	h.shell.until(t, "a window without a room", h.shell.said("go /.desk/start"))
	w, _ := h.enter("/.desk/start")
	_ = w
	w = h.found()
	h.d.Arrived([]string{"tocsin://incident/42"})
	h.shell.until(t, "the incident", h.shell.said("go /incidents/42"))
	h.d.Arrived([]string{"TOCSIN://Incident/7/"})
	h.shell.until(t, "the incident", h.shell.said("go /incidents/7"))

	offer := evil.URL + "/join/join_x"
	before := h.d.book.read()
	h.d.Arrived([]string{"tocsin://join?link=" + url.QueryEscape(offer)})
	h.shell.until(t, "the question", h.shell.said("go /.desk/join?offered=yes"))
	page := w.get("/.desk/join?offered=yes").want(t, 200, "", "Join "+strings.TrimPrefix(evil.URL, "http://")+"?", "also signs you in", "Not now")
	if strings.Contains(page.body, "join_x") {
		t.Error("the page shows the secret of the link")
	}
	if n := asked.Load(); n != 0 || !same(before, h.d.book.read()) {
		t.Errorf("a link alone asked the server %d times, or changed the settings to %+v", n, h.d.book.read())
	}
	w.post("/.desk/dismiss", nil).want(t, 200, "/")
	w.post("/.desk/join", url.Values{"offered": {"yes"}}).want(t, 422, "/.desk/join", "not an address")
	if n := asked.Load(); n != 0 {
		t.Errorf("after “Not now” the server was asked %d times", n)
	}

	for _, bad := range []string{"tocsin:", "tocsin://", "tocsin://incident/", "tocsin://incident/-1", "tocsin://incident/1e3", "tocsin://incident/99999999999999999999", "tocsin://incident/1/2",
		"tocsin://join", "tocsin://join?link=javascript:alert(1)", "tocsin://join?link=/join/x", "tocsin://join?link=file:///etc/passwd", "tocsin://delete/everything", "tocsin://%zz", "tocsin://incident/" + strings.Repeat("1", 5000)} {
		h.d.Arrived([]string{bad})
		if s := w.get("/.desk/start"); !strings.Contains(s.body, "A link from outside could not be followed") {
			t.Errorf("%.40s: nothing is said", bad)
		}
	}
	if !same(before, h.d.book.read()) {
		t.Errorf("links changed the settings to %+v", h.d.book.read())
	}
}

// TestLinkBeforeTheWindow: a link that started the program decides the first page, and --kiosk shows the wall.
func TestLinkBeforeTheWindow(t *testing.T) {
	dir := t.TempDir()
	h := start(t, dir)
	h.found()
	h.stop()
	for arg, want := range map[string]string{"tocsin://incident/9": "/incidents/9", "--kiosk": "/wall", "--other": "/"} {
		d, err := New(Options{Dir: dir, Shell: newShell()})
		if err != nil {
			t.Fatal(err)
		}
		d.Arrived([]string{arg})
		if got := d.home(); got != want {
			t.Errorf("%s: the window begins at %s, want %s", arg, got, want)
		}
	}
}

// TestJoinAsksFirst: what must be known before a room elsewhere is joined.
func TestJoinAsksFirst(t *testing.T) {
	srv := serve(t, t.TempDir(), "127.0.0.1:0", "Meridian")
	tls := httptest.NewTLSServer(srv.app.Handler())
	defer tls.Close()
	foreign := httptest.NewServer(http.NotFoundHandler())
	defer foreign.Close()
	h := start(t, t.TempDir())
	w, _ := h.enter("")
	join := func(form ...string) *shown {
		t.Helper()
		v := url.Values{}
		for i := 0; i < len(form); i += 2 {
			v.Set(form[i], form[i+1])
		}
		return w.post("/.desk/join", v)
	}
	join("address", "http://room.example").want(t, 200, "/.desk/join", "This way is not encrypted", "room.example")
	join("address", "").want(t, 422, "/.desk/join", "not an address")
	join("address", "ftp://room.example").want(t, 422, "/.desk/join", "not an address")
	join("address", "https://ana:secret@room.example").want(t, 422, "/.desk/join", "not an address")
	join("address", foreign.URL).want(t, 502, "/.desk/join", "Join a room")
	print := fingerprint(tls.Certificate())
	join("address", tls.URL).want(t, 200, "/.desk/join", "Nobody vouches for this server", grouped(print), "trust it")
	join("address", tls.URL, "pin", strings.Repeat("0", 64)).want(t, 200, "/.desk/join", grouped(print))
	join("address", tls.URL, "pin", "zz").want(t, 422, "/.desk/join", "could not be read")
	if s := h.d.book.read(); s.Mode != Unchosen || len(s.Rooms) > 0 {
		t.Fatalf("joined without a yes: %+v", s)
	}
	join("address", tls.URL, "pin", strings.ToUpper(print)).want(t, 200, "/.desk/signin", "Meridian")
	if s := h.d.book.read(); s.Mode != Joined || len(s.Rooms) != 1 || s.Rooms[0].Pin != print {
		t.Errorf("remembered: %+v", s)
	}
	// The same room again is the same room.
	join("address", tls.URL+"/incidents").want(t, 200, "/.desk/signin")
	if n := len(h.d.book.read().Rooms); n != 1 {
		t.Errorf("remembered %d times", n)
	}
}

// TestBrowse: only addresses of the web are opened outside.
func TestBrowse(t *testing.T) {
	h := start(t, t.TempDir())
	w, _ := h.enter("")
	for _, bad := range []string{"file:///etc/passwd", "javascript:alert(1)", "mailto:a@b.example", "", "/x", w.origin + "/x", "https://", "tocsin://incident/1"} {
		if s := w.send("/.desk/open", `{"url":"`+bad+`"}`); s.status != 422 {
			t.Errorf("%s: %d", bad, s.status)
		}
	}
	w.send("/.desk/open", `{"url":"https://etherscan.io/tx/0x1"}`).want(t, 200, "")
	h.shell.until(t, "the browser", h.shell.said("browse https://etherscan.io/tx/0x1"))
}
