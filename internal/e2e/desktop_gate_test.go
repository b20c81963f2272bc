package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"

	"os"
	"os/exec"

	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	cdpnetwork "github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// own are the listeners of the program without WebKit's inspector, which the
// program that people get has not.
func (a *deskApp) own() []string {
	a.t.Helper()
	with := map[string]bool{}
	for _, l := range listeners(a.t, a.tree()) {
		with[l] = true
	}
	if a.inspect != "" { // the inspector has a second door, for WebKit's own program
		asking := http.Client{Timeout: patience}
		for l := range with {
			if !onLoopback(l) {
				continue
			}
			r, err := asking.Get("http://" + l + "/")
			if err == nil {
				r.Body.Close()
			}
			if l == a.inspect || err != nil {
				delete(with, l)
			}
		}
	}
	var out []string
	for l := range with {
		out = append(out, l)
	}
	slices.Sort(out)
	return out
}

func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return err == nil && ip != nil && ip.IsLoopback()
}

// TestDesktopListens: until somebody lets others in, the program listens on
// loopback alone; then on exactly one address more, until it is taken back.
func TestDesktopListens(t *testing.T) {
	s := newScreen(t, 1200, 900)
	plain := s.desktopApp()
	plain.up()
	var all []string
	until(t, "it listens", patience, func() (bool, string) { all = listeners(t, plain.tree()); return len(all) > 0, "" }) // the window may be there first
	t.Logf("the program that people get, before a room is chosen, listens on %v", all)
	if len(all) != 1 || !onLoopback(all[0]) {
		t.Errorf("before a room is chosen it listens on %v, want one port of loopback", all)
	}
	plain.quit()

	a := s.inspectedApp()
	a.up()
	s.put(a.window(), s.all())
	a.begins("Ana Ruiz", "ana")
	before := a.own()
	t.Logf("with its room it listens on %v", before)
	if len(before) != 3 || slices.ContainsFunc(before, func(l string) bool { return !onLoopback(l) }) {
		t.Errorf("with a room it listens on %v, want three ports of loopback: of the program's pages, of the room's, and of the room itself", before)
	}
	a.page.open("/.desk/settings")
	port := freePort(t)
	a.fill("#d-nport", port)
	a.press(`form[action="/.desk/network"] button`)
	a.page.shows("Let them reach this room")
	if now := a.own(); len(now) != 3 {
		t.Errorf("it was only asked, and listens on %v", now)
	}
	s.picture("desktop-network-asked")
	a.press(`[role="alertdialog"] button`)
	a.page.shows("Only this computer from now on")
	s.picture("desktop-network-on")
	var open []string
	until(t, "others can reach it on one address more", patience, func() (bool, string) {
		open = a.own()
		return len(open) == 4, fmt.Sprint(open)
	})
	outside := slices.DeleteFunc(slices.Clone(open), onLoopback)
	if len(outside) != 1 || !strings.HasSuffix(outside[0], ":"+port) {
		t.Errorf("it listens on %v; want exactly one that others reach, on port %s", open, port)
	}
	t.Logf("after the switch it listens on %v", open)
	// The front stays where it was, and nobody reaches it by the new address.
	front := a.front()
	if !slices.Contains(open, front.Host) || !slices.Contains(before, front.Host) {
		t.Errorf("the front is at %s, before %v, now %v", front.Host, before, open)
	}
	a.press(`form[action="/.desk/network"] button`)
	a.page.shows("Only this computer can reach the room")
	until(t, "nobody can reach it any more", patience, func() (bool, string) {
		now := a.own()
		return len(now) == 3 && !slices.ContainsFunc(now, func(l string) bool { return !onLoopback(l) }), fmt.Sprint(now)
	})
	for _, c := range a.page.complaints(suspended) {
		t.Errorf("the console of the window says: %s", c)
	}
	a.quit()
}

// TestDesktopTalksToItsWindowAlone: neither a program without the secret of
// this run nor a page of another origin gets anything from the front, not even
// in a browser that has the secret; and the secret is in no log, no list of
// processes, no environment and no file that is kept.
func TestDesktopTalksToItsWindowAlone(t *testing.T) {
	s := newScreen(t, 1200, 900)
	a := s.inspectedApp()
	a.more = embeddedToken
	a.up()
	s.put(a.window(), s.all())
	room := a.begins("Ana Ruiz", "ana")
	n := room.declare("Nobody else writes here", "SEV3", nil)
	front := a.front() // of the room's pages; the program's own have an origin apart
	name, secret := a.secret()
	rest := slices.DeleteFunc(a.own(), func(l string) bool { return l == front.Host || l == room.addr })
	if len(rest) != 1 {
		t.Fatalf("beside the room and its pages it listens on %v, want one place for its own pages", rest)
	}
	pages := &url.URL{Scheme: "http", Host: rest[0]}
	line := fmt.Sprintf("/incidents/%d/line", n)

	// A program of this computer.
	curl := func(args ...string) (code string) {
		out, _ := exec.Command("curl", append([]string{"-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "45"}, args...)...).Output() // an open socket ends it with a status of its own
		return string(out)
	}
	cookie := "Cookie: " + name + "=" + secret
	origin := "Origin: " + front.String()
	for _, c := range []struct {
		what, want string
		args       []string
	}{
		{"the window's own way, so that the others prove something", "200", []string{"-H", cookie, front.String() + "/"}},
		{"no secret", "403", []string{front.String() + "/"}},
		{"no secret, the room's health", "403", []string{front.String() + "/healthz"}},
		{"no secret, the room's way to an own page", "403", []string{front.String() + "/.desk/settings"}},
		{"the window's own way to an own page", "200", []string{"-H", cookie, pages.String() + "/.desk/settings"}},
		{"no secret, an own page", "403", []string{pages.String() + "/.desk/settings"}},
		{"no secret, the state of the program", "403", []string{pages.String() + "/.desk/state"}},
		{"the secret, an own page under another name", "403", []string{"-H", cookie, "-H", "Host: localhost:" + pages.Port(), pages.String() + "/.desk/settings"}},
		{"the secret, a setting without an origin", "403", []string{"-H", cookie, "-X", "POST", "--data", "on=yes&sure=yes&host=0.0.0.0&port=8443", pages.String() + "/.desk/network"}},
		{"the secret, a setting from the room's pages", "403", []string{"-H", cookie, "-H", origin, "-H", "Sec-Fetch-Site: same-site", "-X", "POST", "--data", "on=yes&sure=yes&host=0.0.0.0&port=8443", pages.String() + "/.desk/network"}},
		{"no secret, an asset", "403", []string{front.String() + "/.desk/assets/desk.js"}},
		{"a guessed secret", "403", []string{"-H", "Cookie: " + name + "=" + strings.Repeat("A", len(secret)), front.String() + "/"}},
		{"a guessed entry", "403", []string{front.String() + "/.desk/enter/" + strings.Repeat("A", 52)}},
		{"the secret under another name of loopback", "403", []string{"-H", cookie, "-H", "Host: localhost:" + front.Port(), front.String() + "/"}},
		{"the secret under a name that was pointed here", "403", []string{"-H", cookie, "-H", "Host: evil.example:" + front.Port(), front.String() + "/"}},
		{"the secret, a write without an origin", "403", []string{"-H", cookie, "-X", "POST", "--data", "{}", front.String() + line}},
		{"the secret, a write from another origin", "403", []string{"-H", cookie, "-H", "Origin: http://127.0.0.1:1", "-X", "POST", "--data", "{}", front.String() + line}},
		{"the secret, from the same site only", "403", []string{"-H", cookie, "-H", "Sec-Fetch-Site: same-site", front.String() + "/"}},
		{"the secret, a socket without an origin", "403", []string{"-H", cookie, "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", front.String() + "/live?topic=board&since=0"}},
		{"no secret, a socket with our origin", "403", []string{"-H", origin, "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", front.String() + "/live?topic=board&since=0"}},
	} {
		if got := curl(c.args...); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	// The room behind it has no session of ours for anybody.
	if code, _ := room.asNobody("GET", "/incidents", nil); code != 303 && code != 401 {
		t.Errorf("the room itself answers %d to nobody", code)
	}

	// A page of another origin, in a browser that somehow has the secret too. By its port it
	// is another origin, by its host the same site: cookies are sent.
	attacker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>other</title><p>Another origin.</p>")
	}))
	defer attacker.Close()
	for _, with := range []bool{false, true} {
		w := desk(t, fmt.Sprintf("other origin, secret %v", with), attacker.URL, 900, 700)
		w.allow(regexp.MustCompile(`.`))
		if with {
			host := front.Hostname()
			_, err := chromedp.Call(w.ctx, cdpnetwork.SetCookie, cdpnetwork.SetCookieParams{Name: name, Value: secret, Domain: host, Path: "/"})
			must(t, err)
		}
		for _, at := range []*url.URL{front, pages} {
			attack(t, w, at, line, with)
		}
	}
	w := desk(t, "with the secret, by the address bar", front.String(), 900, 700)
	_, err := chromedp.Call(w.ctx, cdpnetwork.SetCookie, cdpnetwork.SetCookieParams{Name: name, Value: secret, Domain: front.Hostname(), Path: "/"})
	must(t, err)
	w.allow(unreachable) // the program ends before this window does
	w.open("/incidents")
	w.shows("Nobody else writes here") // so it was the origin that was refused, not the browser
	if notes := room.timelineNotes(n); len(notes) != 0 {
		t.Errorf("another origin wrote %q", notes)
	}
	if all := a.own(); len(all) != 3 || slices.ContainsFunc(all, func(l string) bool { return !onLoopback(l) }) {
		t.Errorf("after that it listens on %v", all)
	}
	// A page of ours in the window gets what the others were refused.
	if code := in[int](a.page, `fetch("/.desk/assets/favicon.svg").then((r) => r.status)`); code != 200 {
		t.Errorf("the window itself gets %d", code)
	}

	// Nowhere to be found.
	found := func(where string, b []byte) {
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("the secret is in %s", where)
		}
		if bytes.Contains(b, []byte("/.desk/enter/")) {
			t.Errorf("an entry is in %s", where)
		}
	}
	search := func() {
		for _, what := range []string{"cmdline", "environ"} {
			for _, path := range must1(filepath.Glob("/proc/[0-9]*/" + what)) {
				if b, err := os.ReadFile(path); err == nil && !strings.Contains(path, fmt.Sprintf("/%d/", os.Getpid())) {
					found(path, b)
				}
			}
		}
		found("what the program printed", []byte(a.run.out.String()))
		for _, f := range files(t, s.home) {
			if b, err := os.ReadFile(filepath.Join(s.home, f)); err == nil && !strings.HasSuffix(f, ".sock") {
				found(f, b)
			}
		}
	}
	search()
	tree := a.tree()
	if out := said(t, nil, "ps", "-o", "args=", "-p", strings.Trim(strings.ReplaceAll(fmt.Sprint(tree), " ", ","), "[]")); !strings.Contains(out, "tocsin-desktop") || !strings.Contains(out, "WebKit") {
		t.Errorf("these are not the processes of the program: %s", out)
	}
	a.quit()
	search()
	b := s.inspectedApp()
	b.up()
	if _, now := b.secret(); now == secret {
		t.Error("the next run has the same secret")
	}
	b.quit()
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// attack tries all that a page of another origin can try at an origin of the
// program, in a browser with the secret or without.
func attack(t *testing.T, w *window, at *url.URL, line string, with bool) {
	t.Helper()
	w.open("/")
	f := quote(at.String())
	for what, code := range map[string]string{
		"fetch":                   `fetch(F + "/api/v1/incidents", { credentials: "include" }).then((r) => r.text()).then((t) => "got " + t, () => "refused")`,
		"fetch that cannot read":  `fetch(F + "/.desk/do", { method: "POST", mode: "no-cors", credentials: "include", body: new URLSearchParams({ id: "kiosk" }) }).then(() => "refused", () => "refused")`,
		"a note without reading":  `fetch(F + L, { method: "POST", mode: "no-cors", credentials: "include", body: JSON.stringify({ id: crypto.randomUUID(), line: "from another origin" }) }).then(() => "refused", () => "refused")`,
		"a picture":               `new Promise((done) => { const i = new Image(); i.onload = () => done("got"); i.onerror = () => done("refused"); i.src = F + "/.desk/assets/favicon.svg"; })`,
		"a script":                `new Promise((done) => { const i = document.createElement("script"); i.onload = () => done("got"); i.onerror = () => done("refused"); i.src = F + "/.desk/assets/desk.js"; document.body.append(i); })`,
		"a style":                 `new Promise((done) => { const i = document.createElement("link"); i.rel = "stylesheet"; i.onload = () => done("got"); i.onerror = () => done("refused"); i.href = F + "/.desk/assets/desk.css"; document.head.append(i); })`,
		"a socket":                `new Promise((done) => { const s = new WebSocket(F.replace("http", "ws") + "/live?topic=board&since=0"); s.onopen = () => done("got"); s.onclose = () => done("refused"); })`,
		"a stream of its state":   `new Promise((done) => { const s = new EventSource(F + "/.desk/state/follow", { withCredentials: true }); s.onopen = () => done("got"); s.onerror = () => { s.close(); done("refused"); }; })`,
		"a frame around the room": `new Promise((done) => { const i = document.createElement("iframe"); i.onload = () => { try { i.contentDocument.body; done("own"); } catch { setTimeout(() => done(i.contentWindow.length > 0 ? "got" : "refused"), 200); } }; i.src = F + "/"; document.body.append(i); })`,
	} {
		if got := js[string](w, "((F, L) => "+code+")("+f+", "+quote(line)+")"); got != "refused" {
			t.Errorf("%s, secret %v: %s", what, with, cut(got, "", 200))
		}
	}
	// A form takes the whole window there: what it shows then must be a no.
	js[bool](w, `((F) => { const f = document.createElement("form"); f.method = "post"; f.action = F + "/.desk/network"; f.innerHTML = '<input name="on" value="yes"><input name="sure" value="yes"><input name="host" value="0.0.0.0"><input name="port" value="8443">'; document.body.append(f); f.submit(); return true; })(`+f+`)`)
	w.sees("was sent to the front", `location.origin === `+f+` && document.readyState === "complete"`, patience)
	if text := js[string](w, "document.body.innerText"); js[bool](w, `Boolean(document.querySelector("nav, form, #live"))`) || text == "" {
		t.Errorf("a form of another origin, secret %v, gets %s", with, text)
	}
}
