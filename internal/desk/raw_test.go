package desk

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestRawRequests: what no browser sends, as bytes: without the cookie nothing gets an answer but a no, and with it no way of writing an address leads from
// the room's origin to the front's pages, or elsewhere.
func TestRawRequests(t *testing.T) {
	h := start(t, t.TempDir())
	w := h.found()
	u, _ := url.Parse(w.origin)
	r, _ := url.Parse(w.room)
	say := func(host, text string) *http.Response {
		t.Helper()
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(60 * time.Second))
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: strings.SplitN(text, " ", 2)[0]})
		if err != nil {
			return &http.Response{StatusCode: 0}
		}
		body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		res.Header.Set("X-Body", strings.ReplaceAll(string(body), "\n", " "))
		return res
	}
	cookie := "Cookie: " + gateCookie + "=" + h.d.gate.cookie + "\r\n"
	for _, host := range []string{u.Host, r.Host} {
		for _, line := range []string{
			"GET / HTTP/1.1\r\nHost: HOST\r\n", "HEAD / HTTP/1.1\r\nHost: HOST\r\n", "OPTIONS * HTTP/1.1\r\nHost: HOST\r\n", "OPTIONS / HTTP/1.1\r\nHost: HOST\r\nOrigin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n",
			"TRACE / HTTP/1.1\r\nHost: HOST\r\n", "CONNECT evil.example:443 HTTP/1.1\r\nHost: HOST\r\n", "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n", "PRI / HTTP/1.1\r\nHost: HOST\r\n", "PROPFIND / HTTP/1.1\r\nHost: HOST\r\n",
			"GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\n", "GET http://HOST/ HTTP/1.1\r\nHost: evil.example\r\n", "GET / HTTP/1.0\r\n",
			"GET / HTTP/1.1\r\nHost: evil.example\r\n" + cookie, "GET http://evil.example/ HTTP/1.1\r\nHost: HOST\r\n" + cookie, "GET / HTTP/1.0\r\n" + cookie, "CONNECT evil.example:443 HTTP/1.1\r\nHost: HOST\r\n" + cookie,
			"GET / HTTP/1.1\r\nHost: HOST.\r\n" + cookie, "GET / HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\n" + cookie,
			"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1000000\r\nContent-Type: text/plain\r\n", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n",
		} {
			res := say(host, strings.ReplaceAll(line, "HOST", host)+"\r\n")
			if res.StatusCode != 403 && res.StatusCode != 400 && res.StatusCode != 505 {
				t.Errorf("%.80q answers %d: %.100s", line, res.StatusCode, res.Header.Get("X-Body"))
			}
			for name := range res.Header {
				if strings.HasPrefix(name, "Access-Control") || name == "Set-Cookie" {
					t.Errorf("%.80q is given %s", line, name)
				}
			}
		}
	}
	// With the cookie, at the room's origin: nothing of the front's own pages, however it is spelt; redirects stay here.
	for _, path := range []string{"/.desk/../.desk/settings", "/x/../.desk/settings", "/%2e%64esk/settings", "/.desk%2fsettings", "/.desk/%2e%2e/.desk/settings", "//.desk/settings", "/./.desk/settings", "/.desk\\settings", "/.desk;x/settings",
		"/.desk/settings/", "/.DESK/settings", "/.desk/outbox/../settings", "/.desk/assets/../settings", "/.desk/assets/%2e%2e/settings", "//evil.example/x", "/%2fevil.example", "/\\evil.example", "/.desk//evil.example", "/.desk/..//evil.example", "/.desk/enter/x"} {
		res := say(r.Host, "GET "+path+" HTTP/1.1\r\nHost: "+r.Host+"\r\nAccept: text/html\r\n"+cookie+"\r\n")
		if body := res.Header.Get("X-Body"); strings.Contains(body, "Quiet ends") || strings.Contains(body, "Kept in") {
			t.Errorf("%s shows the settings at the origin of the room", path)
		}
		to := res.Header.Get("Location")
		if m := refreshTo.FindStringSubmatch(res.Header.Get("Refresh")); m != nil {
			to = m[1]
		}
		if l, err := url.Parse(to); err != nil || l.Host != "" && l.Host != u.Host || strings.HasPrefix(to, "//") {
			t.Errorf("%s leads to %q", path, to)
		}
	}
	for _, path := range []string{"//evil.example/x", "/%2fevil.example", "/\\evil.example", "/.desk/..//evil.example", "/x?y=\r\n"} {
		res := say(u.Host, "GET "+strings.TrimSuffix(path, "\r\n")+" HTTP/1.1\r\nHost: "+u.Host+"\r\nAccept: text/html\r\n"+cookie+"\r\n")
		if to := res.Header.Get("Location"); to != "" {
			if l, err := u.Parse(to); err != nil || l.Host != r.Host && l.Host != u.Host {
				t.Errorf("%s leads to %q", path, to)
			}
		}
	}
	// Cookies that a page of the room may have set do not lock the window out.
	own := "Cookie: " + gateCookie + "=x; " + "a=" + strings.Repeat("b", 200<<10) + "; " + strings.TrimPrefix(cookie, "Cookie: ")
	if res := say(u.Host, "GET /.desk/start HTTP/1.1\r\nHost: "+u.Host+"\r\nAccept: text/html\r\n"+own+"\r\n"); res.StatusCode != 200 {
		t.Errorf("with cookies of a page the window is refused: %d", res.StatusCode)
	}
	// Two requests in one, and a body that is longer than it says.
	res := say(r.Host, "POST /incidents HTTP/1.1\r\nHost: "+r.Host+"\r\n"+cookie+"Origin: "+w.room+"\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /.desk/settings HTTP/1.1\r\nHost: x\r\n\r\n")
	if res.StatusCode < 400 {
		t.Errorf("a request with two lengths answers %d", res.StatusCode)
	}
}

// TestModes: whatever the umask, nobody else reads what the program keeps.
func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tocsin")
	srv := serve(t, t.TempDir(), "127.0.0.1:0", "M")
	h := start(t, dir)
	w := h.found()
	w.joinAs(srv, "ana")
	h.stop()
	n := 0
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		i, err := e.Info()
		if err != nil {
			return err
		}
		n++
		if e.Name() == "metrics" { // has its own rules, below a directory that is closed
			return filepath.SkipDir
		}
		if i.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v", strings.TrimPrefix(path, dir), i.Mode())
		}
		return nil
	}); err != nil || n < 5 {
		t.Fatal(n, err)
	}
}

// cutting is a way to a server that breaks connections at random.
func cutting(t *testing.T, to string, on *atomic.Bool) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				s, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer s.Close()
				done := make(chan struct{}, 2)
				carry := func(to io.Writer, from io.Reader) {
					defer func() { done <- struct{}{} }()
					b := make([]byte, 4096)
					for {
						n, err := from.Read(b)
						if cut := on.Load() && rand.N(5) == 0; err != nil || cut {
							_, _ = to.Write(b[:rand.N(n+1)])
							return
						}
						if _, err := to.Write(b[:n]); err != nil {
							return
						}
					}
				}
				go carry(s, c)
				go carry(c, s)
				<-done
			})
		}
	})
	return "http://" + ln.Addr().String()
}

// TestNotesThroughBadWay: fifty notes, said over a way that breaks connections in the middle of requests and answers, are all in the log, once and in order.
func TestNotesThroughBadWay(t *testing.T) {
	srv := serve(t, t.TempDir(), "127.0.0.1:0", "M")
	link, _ := url.Parse(srv.link(t))
	var bad atomic.Bool
	way := cutting(t, srv.app.Addr(), &bad)
	h := start(t, t.TempDir())
	w, _ := h.enter("")
	p := w.post("/.desk/join", url.Values{"address": {way + link.EscapedPath()}})
	w.post(p.path, url.Values{"name": {"Ana"}, "handle": {"ana"}, "txn": {field(t, p.body, "txn")}}).want(t, 200, "/")
	csrf := func() string {
		m := strings.SplitN(w.get("/").body, `name="csrf" content="`, 2)
		return strings.SplitN(m[1], `"`, 2)[0]
	}()
	line := fmt.Sprintf("/incidents/%d/line", int64(h.api("/api/v1/incidents", map[string]any{"title": "Bridge drains", "severity": "SEV1"})["number"].(float64)))
	bad.Store(true)
	queued := 0
	for i := range 50 {
		body := fmt.Sprintf(`{"id":%q,"line":"bad way %02d."}`, uuid.NewString(), i)
		for try := 0; ; try++ { // as the page does, until it hears that it is taken or queued
			if s := w.send(line, body, "X-Tocsin-CSRF", csrf); s.status == 200 || s.status == 202 {
				if s.status == 202 {
					queued++
				}
				break
			} else if try > 100 {
				t.Fatalf("note %d: %d %s", i, s.status, s.body)
			}
		}
	}
	bad.Store(false)
	var log string
	for late := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if len(h.d.now().items()) == 0 {
			if log = w.ask(http.MethodGet, "/api/v1/log?follow=false", nil, nil).body; strings.Count(log, "bad way ") >= 50 {
				break
			}
		}
		if time.Now().After(late) {
			t.Fatalf("waiting are %d, in the log %d", len(h.d.now().items()), strings.Count(log, "bad way "))
		}
	}
	for i := range 50 {
		if n := strings.Count(log, fmt.Sprintf("bad way %02d.", i)); n != 1 {
			t.Errorf("note %d is %d times in the log", i, n)
		}
	}
	order := 0
	for i := range 49 {
		if strings.Index(log, fmt.Sprintf("bad way %02d.", i)) > strings.Index(log, fmt.Sprintf("bad way %02d.", i+1)) {
			order++
		}
	}
	t.Logf("%d of 50 were queued, %d are out of order", queued, order)
	if queued == 0 {
		t.Error("the way was not bad at all")
	}
}

// TestForgetAsks: a room with notes that are not sent is forgotten only by somebody who was told of them.
func TestForgetAsks(t *testing.T) {
	srv := serve(t, t.TempDir(), "127.0.0.1:0", "M")
	h := start(t, t.TempDir())
	w, _ := h.enter("")
	w.joinAs(srv, "ana")
	id := h.d.book.read().Room
	srv.stop()
	for late := time.Now().Add(45 * time.Second); h.d.now().room.Reach().Up && time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
	}
	for range 2 {
		if s := w.send("/incidents/1/line", fmt.Sprintf(`{"id":%q,"line":"the key is in the safe"}`, uuid.NewString())); s.status != 202 {
			t.Fatalf("a note answers %d %s", s.status, s.body)
		}
	}
	w.post("/.desk/forget", url.Values{"id": {id}}).want(t, 200, "/.desk/start", "Nothing was forgotten", "2 notes to this room are not sent", `name="unsent" value="2"`)
	w.post("/.desk/forget", url.Values{"id": {id}, "unsent": {"1"}}).want(t, 200, "/.desk/start", "Nothing was forgotten")
	if len(h.d.book.read().Rooms) != 1 || len(h.d.now().items()) != 2 {
		t.Fatal("it was forgotten all the same")
	}
	w.post("/.desk/forget", url.Values{"id": {id}, "unsent": {"2"}}).want(t, 200, "/.desk/start")
	if len(h.d.book.read().Rooms) != 0 || sizeOf(t, h.d.roomDir(id)) != -1 {
		t.Error("it was not forgotten")
	}
}
