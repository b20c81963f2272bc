package remote

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// front serves a Room as the window's front does.
func front(t *testing.T, o Options) (*Room, *httptest.Server, *http.Client) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.AnswerIn == 0 {
		o.AnswerIn = answerWithin
	}
	r, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(r)
	t.Cleanup(func() { s.Close(); r.wire.CloseIdleConnections() })
	return r, s, &http.Client{Transport: s.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// server runs h as a Tocsin.
func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(asTocsin(h))
	t.Cleanup(s.Close)
	return s
}

func fetch(t *testing.T, c *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func request(t *testing.T, method, url, body string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// TestCookiesStayOnTheirSide: the room's never reach the browser, the browser's never the room; what the room asks of its browsers is answered for it.
func TestCookiesStayOnTheirSide(t *testing.T) {
	var mu sync.Mutex
	var got []*http.Request
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got = append(got, r)
		mu.Unlock()
		if r.URL.Path == "/in" {
			http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: "s3cret", Path: "/", MaxAge: 3600, HttpOnly: true})
			http.SetCookie(w, &http.Cookie{Name: "tocsin_notice", Value: "done:x", Path: "/", MaxAge: 30})
		}
		if r.URL.Path == "/out" {
			http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1})
		}
		w.Header().Set("Strict-Transport-Security", "max-age=1")
		fmt.Fprint(w, "hello")
	})
	dir := t.TempDir()
	r, s, c := front(t, Options{Base: parse(t, up.URL), Dir: dir})
	last := func() *http.Request { mu.Lock(); defer mu.Unlock(); return got[len(got)-1] }
	ask := func(path string) *http.Request {
		t.Helper()
		res, body := fetch(t, c, request(t, "POST", s.URL+path, "x", "Cookie", "desk=of-this-run; tocsin_session=forged", "Authorization", "Bearer of-the-browser",
			"Origin", s.URL, "Referer", s.URL+"/incidents/7?x=1", "X-Forwarded-For", "10.0.0.1", "Sec-Fetch-Site", "same-origin"))
		if body != "hello" || len(res.Header.Values("Set-Cookie")) != 0 || res.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: %q with %v", path, body, res.Header)
		}
		return last()
	}
	if r.Reach().SignedIn {
		t.Error("signed in before anything happened")
	}
	q := ask("/in")
	if q.Header.Get("Cookie") != "" || q.Header.Get("Authorization") != "" || q.Header.Get("X-Forwarded-For") != "" {
		t.Errorf("the room got %v", q.Header)
	}
	if q.Host != parse(t, up.URL).Host || q.Header.Get("Origin") != up.URL || q.Header.Get("Referer") != up.URL+"/incidents/7?x=1" || q.Header.Get("Sec-Fetch-Site") != "same-origin" {
		t.Errorf("Host %q, Origin %q, Referer %q", q.Host, q.Header.Get("Origin"), q.Header.Get("Referer"))
	}
	if !r.Reach().SignedIn || !r.Reach().Up {
		t.Errorf("after signing in: %+v", r.Reach())
	}
	if q = ask("/on"); q.Header.Get("Cookie") != "tocsin_notice=done:x; tocsin_session=s3cret" {
		t.Errorf("the session is not used: %q", q.Header.Get("Cookie"))
	}
	// another start of the program, and what is on the disk
	file := filepath.Join(dir, "session.json")
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
	if b, _ := os.ReadFile(file); !strings.Contains(string(b), "s3cret") || strings.Contains(string(b), "notice") {
		t.Errorf("on disk: %s", b)
	}
	again, err := Open(Options{Base: parse(t, up.URL), Dir: dir, AnswerIn: answerWithin})
	if err != nil {
		t.Fatal(err)
	}
	if !again.Reach().SignedIn {
		t.Error("not signed in after a restart")
	}
	res, err := again.Do(request(t, "GET", "/elsewhere", ""))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	again.wire.CloseIdleConnections()
	if last().Header.Get("Cookie") != "tocsin_session=s3cret" {
		t.Errorf("after a restart: %v", last().Header)
	}
	ask("/out")
	if r.Reach().SignedIn {
		t.Error("signed in after signing out")
	}
	if b, _ := os.ReadFile(file); strings.Contains(string(b), "s3cret") {
		t.Errorf("on disk after signing out: %s", b)
	}
}

// TestNullOrigin: a page without an origin is not made one of the room's.
func TestNullOrigin(t *testing.T) {
	var origin string
	up := server(t, func(w http.ResponseWriter, r *http.Request) { origin = r.Header.Get("Origin") })
	_, s, c := front(t, Options{Base: parse(t, up.URL)})
	fetch(t, c, request(t, "POST", s.URL+"/x", "", "Origin", "null"))
	if origin != "null" {
		t.Errorf("it became %q", origin)
	}
}

func TestRedirects(t *testing.T) {
	base := "https://tocsin.example.org"
	for to, want := range map[string]string{
		"/me": "/me", base + "/incidents/3?since=7": "/incidents/3?since=7", "https://TOCSIN.example.org:443/x#y": "/x#y", base: "/",
		"//tocsin.example.org/a": "/a", "https://elsewhere.example/": "https://elsewhere.example/", "http://tocsin.example.org/": "http://tocsin.example.org/",
		base + ":8443/": base + ":8443/", base + "//evil.example/": "/", "?x": "?x", "https://ana:pw@tocsin.example.org/z": "/z",
	} {
		if got := homeward(to, parse(t, base)); got != want {
			t.Errorf("%s became %s, want %s", to, got, want)
		}
	}
	var up *httptest.Server
	up = server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, up.URL+"/incidents/3", http.StatusSeeOther)
	})
	_, s, c := front(t, Options{Base: parse(t, up.URL)})
	if res, _ := fetch(t, c, request(t, "GET", s.URL+"/", "")); res.StatusCode != 303 || res.Header.Get("Location") != "/incidents/3" {
		t.Errorf("%d to %q", res.StatusCode, res.Header.Get("Location"))
	}
}

// TestStreaming: whoever follows hears each line when it is said.
func TestStreaming(t *testing.T) {
	next := make(chan string)
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		for line := range next {
			fmt.Fprintln(w, line)
			http.NewResponseController(w).Flush()
		}
	})
	_, s, c := front(t, Options{Base: parse(t, up.URL)})
	go func() { next <- "one" }()
	res, err := c.Get(s.URL + "/api/v1/log")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for _, want := range []string{"one", "two", "three"} {
		if want != "one" {
			next <- want // only once the line before has arrived
		}
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("%q, %v; want %s", lines.Text(), lines.Err(), want)
		}
	}
	close(next)
}

// TestInsert: into pages, packed ones too, whatever pieces they come in; into nothing else.
func TestInsert(t *testing.T) {
	page := fakePage("ana", "board", 1, strings.Repeat("<p>a long page</p>", 10_000))
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/packed":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Etag", `"x"`)
			if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				t.Error("nothing packed was asked for")
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			fmt.Fprint(z, page)
			z.Close()
		case "/pieces":
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(404)
			i := strings.Index(page, "</head>") + 3
			fmt.Fprint(w, page[:i])
			http.NewResponseController(w).Flush()
			fmt.Fprint(w, page[i:])
		case "/script":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, page)
		}
	})
	_, s, c := front(t, Options{Base: parse(t, up.URL), Insert: `<meta name="desk" content="joined">`})
	want := strings.Replace(page, "</head>", `<meta name="desk" content="joined"></head>`, 1)
	for path, want := range map[string]string{"/packed": want, "/pieces": want, "/script": page} {
		res, got := fetch(t, c, request(t, "GET", s.URL+path, "", "Accept-Encoding", "br"))
		if got != want || res.Header.Get("Content-Encoding") != "" || res.Header.Get("Etag") != "" {
			t.Errorf("%s: %d bytes for %d, %v", path, len(got), len(want), res.Header)
		}
	}
}

// TestWhoIsAway: a load balancer's page says that the room is away, the room's own refusals do not.
func TestWhoIsAway(t *testing.T) {
	var answer http.HandlerFunc
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer s.Close()
	plain := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		method string
		status int
		says   string
		away   bool
	}{
		{"read-only", asTocsin(plain(503, "application/problem+json", `{"code":"read_only"}`)), "POST", 503, "read_only", false},
		{"read-only without our headers", plain(503, "application/problem+json", `{"code":"read_only"}`), "POST", 503, "read_only", false},
		{"our own page for it", asTocsin(plain(503, "text/html", "<head></head>Nothing can be saved")), "POST", 503, "Nothing can be saved", false},
		{"a refusal", asTocsin(plain(422, "application/problem+json", `{"code":"empty"}`)), "POST", 422, "empty", false},
		{"bad gateway", plain(502, "text/html", "<h1>502 Bad Gateway</h1>"), "GET", 503, "unreachable", true},
		{"gateway timeout", plain(504, "text/html", "<h1>504</h1>"), "POST", 503, "uncertain", true},
		{"no backend", plain(503, "text/plain", "no healthy upstream"), "GET", 503, "unreachable", true},
		{"a captive portal", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://portal.example/", 302) }, "GET", 503, "unreachable", true},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "POST", 503, "uncertain", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer = c.answer
			r, f, client := front(t, Options{Base: parse(t, s.URL)})
			r.state.watch() // as Run does; nobody looks whether it is back
			res, body := fetch(t, client, request(t, c.method, f.URL+"/incidents/1/commands", "{}", "Content-Type", "application/json"))
			if res.StatusCode != c.status || !strings.Contains(body, c.says) || strings.Contains(body, "Gateway</h1>") {
				t.Errorf("%d %s", res.StatusCode, body)
			}
			if r.state.away() != c.away {
				t.Errorf("away is %v: %+v", r.state.away(), r.Reach())
			}
		})
	}
}

// TestPost: with the token of the session, and once more with a new one.
func TestPost(t *testing.T) {
	var mu sync.Mutex
	want, pages, seen := "token-of-ana", 0, ""
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.URL.Path == "/me":
			pages++
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, strings.ReplaceAll(fakePage("ana", "", 0, ""), "token-of-ana", want))
		case r.Header.Get("X-Tocsin-CSRF") != want:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(403)
			fmt.Fprint(w, `{"code":"form_expired"}`)
		default:
			b, _ := io.ReadAll(r.Body)
			seen = string(b)
			fmt.Fprint(w, `{"position":4}`)
		}
	})
	r, _, _ := front(t, Options{Base: parse(t, up.URL)})
	_ = r.SetCookie(&http.Cookie{Name: sessionCookie, Value: "s", Path: "/"})
	for i, expired := range []bool{false, false, true, false} {
		mu.Lock()
		if expired {
			want = "another-token"
		}
		mu.Unlock()
		status, answer, err := r.Post(t.Context(), "/incidents/1/line", map[string]string{"line": "hello"})
		if err != nil || status != 200 || string(answer) != `{"position":4}` || seen != `{"line":"hello"}` {
			t.Errorf("%d: %d %s %v", i, status, answer, err)
		}
	}
	if pages != 2 {
		t.Errorf("the token was fetched %d times", pages)
	}
	up.Close()
	_, _, err := r.Post(t.Context(), "/incidents/1/line", map[string]string{})
	if _, is := err.(*Trouble); !is {
		t.Errorf("%v", err)
	}
}
