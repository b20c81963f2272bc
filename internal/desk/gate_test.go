package desk

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestOutsiders: for every route of the front and a selection of what it passes on, whoever is not the window gets nothing: neither an answer of the room
// nor a cookie.
func TestOutsiders(t *testing.T) {
	h := start(t, t.TempDir())
	w := h.found()
	origin, _ := url.Parse(w.origin)
	cookie := &http.Cookie{Name: gateCookie, Value: h.d.gate.cookie}
	type asks struct{ method, path string }
	var all []asks
	for _, r := range h.d.routes(t.Context()) {
		method, path, ok := strings.Cut(r.pattern, " ")
		if !ok {
			method, path = http.MethodGet, "/.desk/anything"
		}
		all = append(all, asks{method, strings.NewReplacer("{name...}", "app.css", "{id}", "x").Replace(path)})
	}
	if len(all) < 20 {
		t.Fatalf("only %d routes", len(all))
	}
	for _, a := range []string{"GET /", "GET /wall", "GET /live?topic=board", "GET /api/v1/incidents", "GET /api/v1/log", "POST /api/v1/incidents", "POST /incidents", "GET /me", "GET /metrics", "GET /assets/app.css", "GET /sw.js", "GET /healthz", "GET /status", "OPTIONS /api/v1/incidents", "DELETE /", "GET /.desk"} {
		method, path, _ := strings.Cut(a, " ")
		all = append(all, asks{method, path})
	}
	type outsider struct {
		name   string
		change func(*http.Request)
		only   string // method
	}
	head := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				r.Header.Set(pairs[i], pairs[i+1])
			}
		}
	}
	outsiders := []outsider{
		{"no cookie", head("Cookie", ""), ""},
		{"another cookie", head("Cookie", gateCookie+"="+strings.Repeat("A", len(cookie.Value))), ""},
		{"half of the cookie", head("Cookie", gateCookie+"="+cookie.Value[:len(cookie.Value)/2]), ""},
		{"an empty cookie", head("Cookie", gateCookie+"="), ""},
		{"by the name localhost", func(r *http.Request) { r.Host = "localhost:" + origin.Port() }, ""},
		{"by a name that was pointed here", func(r *http.Request) { r.Host = "evil.example:" + origin.Port() }, ""},
		{"without the port", func(r *http.Request) { r.Host = "127.0.0.1" }, ""},
		{"by another spelling", func(r *http.Request) { r.Host = "127.1:" + origin.Port() }, ""},
		{"a page of another origin", head("Origin", "https://evil.example"), ""},
		{"a page of another port", head("Origin", "http://127.0.0.1:1"), ""},
		{"our address over https", head("Origin", "https://"+origin.Host), ""},
		{"a page without an origin", head("Origin", "null"), ""},
		{"a fetch across sites", head("Sec-Fetch-Site", "cross-site"), ""},
		{"a fetch from another port", head("Sec-Fetch-Site", "same-site"), ""},
		{"a page of ours that says it is none", head("Origin", w.origin, "Sec-Fetch-Site", "cross-site"), ""},
		{"a change from nowhere", head(), http.MethodPost},
		{"a change typed by hand", head("Sec-Fetch-Site", "none"), http.MethodPost},
		{"a socket from another origin", head("Connection", "Upgrade", "Upgrade", "websocket", "Origin", "https://evil.example"), http.MethodGet},
		{"a socket from nowhere", head("Connection", "Upgrade", "Upgrade", "websocket"), http.MethodGet},
	}
	plain := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, o := range outsiders {
		for _, a := range all {
			if o.only != "" && o.only != a.method {
				continue
			}
			req, err := http.NewRequestWithContext(t.Context(), a.method, w.origin+a.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Cookie", cookie.String())
			o.change(req)
			res, err := plain.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusForbidden || len(res.Header.Values("Set-Cookie")) > 0 || res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %s %s answers %d", o.name, a.method, a.path, res.StatusCode)
			}
		}
	}
	if s := h.d.book.read(); s.Mode != Here || s.Kiosk || s.Network.On {
		t.Errorf("somebody changed the settings: %+v", s)
	}
	w.get("/").want(t, 200, "/", "Open incidents") // the window itself is let in
	if s := w.ask(http.MethodGet, "/.desk/state", nil, map[string]string{"Origin": w.origin, "Sec-Fetch-Site": "same-origin"}); s.status != 200 {
		t.Errorf("the window's own script is refused: %d", s.status)
	}
}

// TestEntry: an address for the window works once, for 30 seconds, for a plain request by number, and leads nowhere else.
func TestEntry(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	h := start(t, t.TempDir(), func(o *Options) { o.Clock = func() time.Time { return now } })
	ask := func(entry string, change ...func(*http.Request)) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, entry, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range change {
			f(req)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	entry := func(page string) string {
		t.Helper()
		e, err := h.d.Entry(page)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := entry("/incidents?a=b")
	res := ask(e)
	k := res.Cookies()
	if res.StatusCode != 200 || res.Header.Get("Refresh") != "0; url=/incidents?a=b" || len(k) != 1 || !k[0].HttpOnly || k[0].SameSite != http.SameSiteStrictMode || k[0].Path != "/" || k[0].MaxAge != 0 {
		t.Errorf("the first use answers %d, %q, %+v", res.StatusCode, res.Header.Get("Refresh"), k)
	}
	refused := func(what string, res *http.Response) {
		t.Helper()
		if res.StatusCode != 403 || len(res.Cookies()) > 0 {
			t.Errorf("%s answers %d with %d cookies", what, res.StatusCode, len(res.Cookies()))
		}
	}
	refused("a used address", ask(e))
	e = entry("/")
	refused("an address asked for by name", ask(e, func(r *http.Request) { r.Host = strings.Replace(r.Host, "127.0.0.1", "localhost", 1) }))
	refused("an address fetched by a page", ask(e, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }))
	refused("a guess", ask(e[:len(e)-1]+"_"))
	if res := ask(e); res.StatusCode != 200 {
		t.Errorf("who was refused used the address up: %d", res.StatusCode)
	}
	e = entry("/")
	now = now.Add(entryLife)
	refused("an address of 30 s ago", ask(e))
	e = entry("/")
	for range mostEntries {
		entry("/")
	}
	refused("the oldest of too many", ask(e))
	for _, page := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "/a\r\nSet-Cookie: x=y", enterPath + "x", "evil"} {
		if to := ask(entry(page)).Header.Get("Refresh"); to != "0; url=/" {
			t.Errorf("%q leads to %q", page, to)
		}
	}
}

// TestBridgeShowsNothing: the page that only leads on has neither words nor a ground of its own that could stay on the screen.
func TestBridgeShowsNothing(t *testing.T) {
	w := httptest.NewRecorder()
	bridge(w, `/a?b=c&d="e"`)
	body := w.Body.String()
	if w.Code != 200 || w.Header().Get("Refresh") != `0; url=/a?b=c&d="e"` {
		t.Errorf("%d %q", w.Code, w.Header())
	}
	const want = `<body bgcolor="#0d1015" text="#dde2ea"><noscript><p><a href="/a?b=c&amp;d=&#34;e&#34;">Go on</a></p></noscript></body>`
	if !strings.Contains(body, want) {
		t.Errorf("the page is\n%s", body)
	}
}
