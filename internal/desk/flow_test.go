package desk

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/app"
)

// TestFirstStart: the question, the room in this computer, who it is, the board; the second start is signed in where the window was; no secret is logged.
func TestFirstStart(t *testing.T) {
	dir := t.TempDir()
	h := start(t, dir)
	w := h.found()
	w.get("/incidents").want(t, 200, "/incidents", `content="embedded"`)
	w.get("/").want(t, 200, "/")
	w.get("/me").want(t, 200, "/me") // nothing is left of the sentence about passkeys, which nobody can make here
	if s := w.get("/incidents"); strings.Contains(s.body, "Add a passkey now") {
		t.Error("the window asks for a passkey")
	}
	cookie := h.d.gate.cookie
	h.stop()
	if !strings.Contains(h.log.String(), "signed in by link") { // and nothing of a secret: stop looks
		t.Errorf("the log is %s", h.log)
	}

	again := start(t, dir)
	if again.d.gate.cookie == cookie {
		t.Error("the secret of the run before is good again")
	}
	_, s := again.enter("")
	s.want(t, 200, "/incidents", "Ana Ruiz")
}

// TestExistingRoomIsFound: a room from before rooms could be chosen is opened at once, and its owner signed in.
func TestExistingRoomIsFound(t *testing.T) {
	dir := t.TempDir()
	srv := serve(t, dir, "127.0.0.1:0", "")
	elsewhere := start(t, t.TempDir())
	w, _ := elsewhere.enter("")
	w.joinAs(srv, "ana") // somebody joins it
	srv.stop()

	h := start(t, dir)
	_, s := h.enter("")
	s.want(t, 200, "/", "Open incidents", "ANA")
	if n := strings.Count(h.log.String(), "signed in by link"); n != 1 {
		t.Errorf("signed in %d times, want once", n)
	}
}

// TestSignedOut: who signs out of the room in this computer stays out until she presses the button.
func TestSignedOut(t *testing.T) {
	h := start(t, t.TempDir())
	w := h.found()
	csrf := field(t, w.get("/me").body, "_csrf")
	w.post("/signout", url.Values{"_csrf": {csrf}}).want(t, 200, "/.desk/signin", "Enter the room")
	w.get("/incidents").want(t, 200, "/.desk/signin?next=%2Fincidents", "You are signed out")
	w.post("/.desk/signin", url.Values{"next": {"/incidents"}}).want(t, 200, "/incidents", "Ana Ruiz")
}

// TestTwoRooms: two rooms elsewhere and the one here, each with its own session, switched without signing in again; forgetting leaves nothing.
func TestTwoRooms(t *testing.T) {
	one, two := serve(t, t.TempDir(), "127.0.0.1:0", "Meridian"), serve(t, t.TempDir(), "127.0.0.1:0", "Harbour")
	dir := t.TempDir()
	h := start(t, dir)
	w, _ := h.enter("")
	w.joinAs(one, "ana")
	w.joinAs(two, "li")
	s := h.d.book.read()
	if len(s.Rooms) != 2 || s.Rooms[0].Name != "Meridian" || s.Rooms[1].Name != "Harbour" {
		t.Fatalf("remembered: %+v", s.Rooms)
	}
	w.get("/").want(t, 200, "/", "Harbour", `data-handle="li"`, `content="joined"`)
	w.post("/.desk/room", url.Values{"id": {s.Rooms[0].ID}}).want(t, 200, "/", "Meridian", `data-handle="ana"`)
	h.d.Do("room:" + s.Rooms[1].ID) // from the menu
	h.shell.until(t, "the window goes to the board", h.shell.said("go /"))
	w.get("/").want(t, 200, "/", "Harbour", `data-handle="li"`)
	w.get("/.desk/start").want(t, 200, "/.desk/start", "Meridian", "Harbour", "Make a room here")

	// The next start goes on in the room that was open last.
	h.stop()
	h = start(t, dir)
	w, p := h.enter("")
	p.want(t, 200, "/", "Harbour", `data-handle="li"`)

	w.post("/.desk/forget", url.Values{"id": {s.Rooms[1].ID}}).want(t, 200, "/.desk/start", "Meridian")
	if s := h.d.book.read(); s.Mode != Unchosen || len(s.Rooms) != 1 {
		t.Errorf("after forgetting the room that is open: %+v", s)
	}
	if left := sizeOf(t, h.d.roomDir(s.Rooms[1].ID)); left >= 0 {
		t.Errorf("%d bytes are kept of a room that was forgotten", left)
	}
	w.post("/.desk/room", url.Values{"id": {s.Rooms[1].ID}}).want(t, 200, "/.desk/start", "not remembered any more")
}

// TestSignIn: a room elsewhere that does not know the window asks for a link, takes none of another server, and is entered with a good one.
func TestSignIn(t *testing.T) {
	srv := serve(t, t.TempDir(), "127.0.0.1:0", "Meridian")
	h := start(t, t.TempDir())
	w, _ := h.enter("")
	w.post("/.desk/join", url.Values{"address": {srv.app.Addr()}}).want(t, 200, "/.desk/signin", "Meridian does not know this window yet")
	w.get("/signin?next=/log").want(t, 200, "/.desk/signin?next=%2Flog")
	w.get("/signin?here=1").want(t, 200, "/signin?here=1", "Use a recovery code")
	w.post("/.desk/signin", url.Values{"link": {"https://evil.example/join/join_x"}}).want(t, 422, "/.desk/signin", "another server, evil.example")
	w.post("/.desk/signin", url.Values{"link": {"http://" + srv.app.Addr() + "/me"}}).want(t, 422, "/.desk/signin", "not a sign-in link")
	w.post("/.desk/account", nil)
	h.shell.until(t, "the account is opened", h.shell.said("browse http://"+srv.app.Addr()+"/me"))
	p := w.post("/.desk/signin", url.Values{"link": {srv.link(t)}})
	w.post(p.path, url.Values{"name": {"Ana"}, "handle": {"ana"}, "txn": {field(t, p.body, "txn")}}).want(t, 200, "/", "Open incidents")
}

// TestWallLink: a screen joins with the address of a wall, shows the wall and nothing else, and comes back to it at the next start.
func TestWallLink(t *testing.T) {
	srv := serve(t, t.TempDir(), "127.0.0.1:0", "Meridian")
	desk := start(t, t.TempDir())
	w, _ := desk.enter("")
	w.joinAs(srv, "ana")
	page := w.post("/tokens/wall", url.Values{"name": {"Hall"}, "_csrf": {field(t, w.get("/tokens").body, "_csrf")}})
	link := regexp.MustCompile(`http://[^"<]*/wall/[^"<]+`).FindString(page.body)
	if link == "" {
		t.Fatalf("no address of a wall: %d %.500s", page.status, words(page.body))
	}
	dir := t.TempDir()
	screen := start(t, dir)
	w, _ = screen.enter("")
	w.post("/.desk/join", url.Values{"address": {link}}).want(t, 200, "/wall", `data-page="wall"`)
	w.get("/log").want(t, 403, "/log")
	screen.stop()
	screen = start(t, dir)
	_, s := screen.enter("")
	s.want(t, 200, "/wall", `data-page="wall"`)
}

// TestRoomIsHeld: another program has the file; the page says so, and trying again opens it when it is free.
func TestRoomIsHeld(t *testing.T) {
	dir := t.TempDir()
	first := serve(t, dir, "127.0.0.1:0", "")
	h := start(t, dir)
	w, s := h.enter("")
	s.want(t, 503, "/", "Another program has the room in this computer open.", "Try again")
	if s := w.send("/incidents", "{}"); s.status != 503 || !strings.Contains(s.body, "Nothing was sent") {
		t.Errorf("a script hears %d %s", s.status, s.body)
	}
	first.stop()
	if p := w.post("/.desk/again", nil); !strings.HasPrefix(p.path, "/join/") {
		t.Errorf("after trying again the window is at %.20s (%d)", p.path, p.status)
	}
}

// TestPagesAreAsTheyWere: the policy of pages stays, the head is put into pages only, and workers of the room do not come through.
func TestPagesAreAsTheyWere(t *testing.T) {
	h := start(t, t.TempDir())
	w := h.found()
	board := w.get("/")
	if p := board.header.Get("Content-Security-Policy"); !strings.Contains(p, "script-src 'self';") || !strings.Contains(p, "frame-ancestors 'none'") || strings.Contains(p, "unsafe") {
		t.Errorf("the policy of the board is %q", p)
	}
	if n := strings.Count(board.body, inserted("embedded")+"</head>"); n != 1 {
		t.Errorf("the head is there %d times", n)
	}
	for _, path := range []string{"/api/v1/incidents", "/assets/app.js", "/openapi.json"} {
		if s := w.ask("GET", path, nil, nil); s.status != 200 || strings.Contains(s.body, "/.desk/assets/desk.js") {
			t.Errorf("%s: %d, with our head in it: %v", path, s.status, strings.Contains(s.body, "/.desk/assets/desk.js"))
		}
	}
	if s := w.ask("GET", "/sw.js", nil, nil); s.status != 404 {
		t.Errorf("/sw.js answers %d", s.status)
	}
	for _, path := range []string{"/.desk/start", "/.desk/join", "/.desk/settings", "/.desk/about", "/.desk/notes", "/.desk/way"} {
		s := w.get(path).want(t, 200, path)
		if s.header.Get("Content-Security-Policy") != policy || strings.Contains(s.body, "style=") || strings.Contains(s.body, "onclick") {
			t.Errorf("%s: policy %q, or something inline", path, s.header.Get("Content-Security-Policy"))
		}
	}
	w.get("/.desk/nothing").want(t, 404, "/.desk/nothing", "There is no such page")
	for _, name := range []string{"desk.js", "desk.css", "app.css", "inter.woff2"} {
		if s := w.ask("GET", "/.desk/assets/"+name, nil, nil); app.HasAssets() && s.status != 200 {
			t.Errorf("%s answers %d", name, s.status)
		}
	}
}
