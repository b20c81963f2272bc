package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// nasty is what somebody types who wants to run a script in others' browsers.
const nasty = `"><script>alert(1)</script><img src=x onerror=alert(2)> ' javascript:alert(3)`

// furnished is a house with something nasty in every field that is shown.
func furnished(t *testing.T, change ...func(*Options)) (*house, int64) {
	h := newHouse(t, change...)
	h.chains.set(ChainSetting{ID: "eth", Name: nasty, Family: "evm", Nodes: []string{"n1"}})
	h.telemetry.set(chain.View{
		Chain: "eth", Family: chain.EVM, Network: nasty, Height: 100, Status: "ok", Interval: 12_000, Safe: 90, Finalized: 80,
		Nodes:    []chain.NodeView{{Name: "n1", State: chain.Up, Height: 100, Client: nasty, Reason: nasty}, {Name: "n2", State: chain.Down, Reason: nasty}},
		Findings: []chain.Finding{{Kind: chain.FindingReorg, Subject: "eth", Severity: "SEV2", Title: nasty}},
	})
	h.fire("loose", signal.Observation{Title: nasty, Reason: nasty, Kind: nasty, Subject: nasty, Links: []signal.Link{{Text: nasty, URL: "javascript:alert(4)"}, {Text: "ok", URL: "https://example.org/?q=\"><b>"}}})
	joined := h.fire("am", signal.Observation{Title: nasty, Reason: nasty, Chain: "eth"})
	n := h.declare(incident.Declare{Title: nasty, Severity: "SEV1", Summary: nasty, Components: []string{nasty[:60]}, Chains: []string{"eth"}, Attach: []incident.Signal{snapshot(joined)}})
	for _, c := range []incident.Command{
		incident.AddNote{Text: nasty}, incident.RecordDecision{Text: nasty}, incident.SetSeverity{Severity: "SEV2", Reason: nasty},
		incident.AddTask{Title: nasty, Assignee: "ana", Due: h.millis() + 60_000}, incident.AddLink{URL: "https://example.org/?a=%22%3E", Title: nasty},
		incident.AssignRole{Role: "commander", Person: "ana"}, incident.HandOverRole{Role: "commander", To: "li", Note: nasty},
		incident.DraftUpdate{Audience: "clients", Text: nasty, Headline: nasty},
	} {
		h.cmd(n, c)
	}
	h.tell(n, incident.DraftUpdate{Audience: "public", Text: nasty, Headline: nasty, Phase: "investigating", Components: map[string]string{"Bridge": "major_outage", nasty[:40]: "partial_outage"}})
	note := h.cmd(n, incident.AddNote{Text: "to be blanked"})
	h.cmd(n, incident.Redact{Event: note.Events[0].ID, Reason: nasty})
	closed := h.declare(incident.Declare{Title: nasty, Severity: "SEV4"})
	h.cmd(closed, incident.Resolve{Validation: nasty})
	ctx := context.Background()
	for kind := range map[string]bool{intake.Alertmanager: true, intake.Generic: true, intake.PagerDuty: true} {
		if _, _, err := h.Sources.Create(ctx, h.admin.String(), intake.Order{Name: nasty[:40], Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	h.member("li", auth.RoleResponder, "")
	if _, err := h.Auth.Invite(ctx, h.admin, auth.Invitation{Handle: "guest", Name: nasty[:60], Role: auth.RoleStakeholder, Audience: "clients"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Auth.CreateToken(ctx, h.admin, auth.TokenOrder{Name: nasty[:60], Role: auth.RoleResponder}); err != nil {
		t.Fatal(err)
	}
	h.wall()
	h.drills.run = &DrillRun{Key: "nomad", Name: nasty, Since: h.millis(), Speed: 60, Done: 10}
	h.late.Add(120_000) // the task is overdue now
	return h, n
}

var (
	scriptTag = regexp.MustCompile(`(?i)<script([^>]*)>`)
	handler   = regexp.MustCompile(`(?i)<[a-z][^>]*\s(on[a-z]+|style)\s*=`)
	badHref   = regexp.MustCompile(`(?i)(href|src|action|formaction)\s*=\s*"?\s*(javascript|data|vbscript):`)
	foreign   = regexp.MustCompile(`(?i)<(script|link|img|iframe|object|embed|form)[^>]*\s(href|src|action)="(https?:)?//`)
)

var quoted = regexp.MustCompile(`="[^"]*"`)

// active finds an inline handler or style; what stands inside a quoted value is none.
func active(html string) string { return handler.FindString(quoted.ReplaceAllString(html, `=""`)) }

// checkPage fails when a page carries anything that the policy would have to
// stop, or lacks a header.
func checkPage(t *testing.T, a *answer) {
	t.Helper()
	for _, m := range scriptTag.FindAllStringSubmatch(a.body, -1) {
		if !strings.Contains(m[1], `src="/assets/`) {
			t.Errorf("%s: inline script %q", a.what, m[0])
		}
	}
	if strings.Contains(strings.ToLower(a.body), "<style") {
		t.Errorf("%s: inline style sheet", a.what)
	}
	if m := active(a.body); m != "" {
		t.Errorf("%s: inline handler or style: %s", a.what, m)
	}
	for what, rx := range map[string]*regexp.Regexp{"script address": badHref, "foreign address": foreign} {
		if m := rx.FindString(a.body); m != "" {
			t.Errorf("%s: %s: %s", a.what, what, m)
		}
	}
	csp := a.header.Get("Content-Security-Policy")
	for _, d := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, d) {
			t.Errorf("%s: policy %q lacks %s", a.what, csp, d)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Errorf("%s: policy %q", a.what, csp)
	}
	for k, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin"} {
		if got := a.header.Get(k); got != want {
			t.Errorf("%s: %s is %q", a.what, k, got)
		}
	}
	if a.header.Get("Cache-Control") == "" {
		t.Errorf("%s: nothing says whether it may be kept", a.what)
	}
}

// TestEveryPage looks at every page of a furnished house, as everybody.
func TestEveryPage(t *testing.T) {
	h, n := furnished(t)
	wall, _ := h.wall()
	link, err := h.Auth.Invite(context.Background(), h.admin, auth.Invitation{Handle: "new", Name: nasty[:60], Role: auth.RoleResponder})
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	for _, v := range []*visitor{h.nobody(), h.ana(), h.member("rita", auth.RoleResponder, ""), h.member("sam", auth.RoleStakeholder, "clients"), wall} {
		for _, r := range h.Routes() {
			if r.Method != http.MethodGet || r.Path == "/live" || r.Path == "/status/live" || r.Path == "/api/v1/log" {
				continue
			}
			paths := []string{strings.Replace(address(r.Path), "/1", fmt.Sprint("/", n), 1)}
			switch r.Path {
			case "/join/:token":
				paths = []string{link.Path(), "/join/tocsin_made_up"}
			case "/incidents":
				paths = []string{"/incidents", "/incidents?status=all&drills=1&text=script", "/incidents?status=closed&before=99"}
			case "/signals":
				paths = []string{"/signals", "/signals?show=all", "/signals?show=cleared"}
			case "/incidents/:number":
				paths = append(paths, paths[0]+"?all=1")
			case "/log":
				paths = []string{"/log", "/log?stream=" + strings.ReplaceAll(nasty[:9], " ", "%20")}
			case "/signin":
				paths = []string{"/signin", "/signin?next=%22%3E%3Cscript%3E&ended=1"}
			}
			for _, path := range paths {
				a := v.get(path)
				if a.status >= 500 {
					t.Errorf("%s: %d %s", a.what, a.status, head(a.body))
				}
				if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
					checkPage(t, a)
					pages++
				}
			}
		}
	}
	if pages < 60 {
		t.Errorf("only %d pages were looked at", pages)
	}
	if log := h.slog.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("something broke:\n%s", head(log))
	}
}

// TestEveryRegion renders what is pushed; the same rules hold there.
func TestEveryRegion(t *testing.T) {
	h, n := furnished(t)
	for topic, regions := range h.everyRegion(n) {
		if len(regions) == 0 {
			t.Errorf("topic %s shows nothing", topic)
		}
		for _, r := range regions {
			if m := active(r.html); m != "" || scriptTag.MatchString(r.html) || badHref.MatchString(r.html) || strings.Contains(r.html, "<style") {
				t.Errorf("region %s of %s carries something active: %s", r.key, topic, m)
			}
			if r.into == "" && !strings.Contains(r.html, `id="`+r.key+`"`) {
				t.Errorf("region %s of %s has no element of that id", r.key, topic)
			}
		}
	}
}

func TestCookies(t *testing.T) {
	for _, c := range []struct {
		name, public string
		tls, secure  bool
	}{{"plain", "", false, false}, {"tls", "", true, true}, {"proxy with tls", "https://room.example.org", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, func(o *Options) { o.PublicURL = c.public })
			_, wall, err := h.Auth.CreateWallToken(context.Background(), h.admin, "kitchen")
			if err != nil {
				t.Fatal(err)
			}
			codes, err := h.Auth.NewRecoveryCodes(context.Background(), h.admin)
			if err != nil {
				t.Fatal(err)
			}
			link, err := h.Auth.Invite(context.Background(), h.admin, auth.Invitation{Handle: "li", Name: "Li", Role: auth.RoleResponder})
			if err != nil {
				t.Fatal(err)
			}
			base := "http://room.example.org"
			if c.tls {
				base = "https://room.example.org"
			}
			ask := func(method, path, form string) *answer {
				r := httptest.NewRequest(method, base+path, strings.NewReader(form))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return &answer{t, method + " " + path, w.Code, w.Header(), w.Body.String()}
			}
			ways := []*answer{
				ask("GET", "/wall/"+wall, ""),
				ask("POST", "/signin/recovery", "handle=ana&code="+codes[0]),
				ask("POST", link.Path(), ""),
			}
			for _, a := range ways {
				a.want(http.StatusSeeOther)
				k := a.setCookie(cookieSession)
				if k == nil || !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Secure != c.secure || k.Path != "/" || k.Domain != "" || k.MaxAge <= 0 {
					t.Errorf("%s: session cookie %+v", a.what, k)
				}
				if strings.Contains(a.header.Get("Location"), "tocsin_") {
					t.Errorf("%s: a secret stays in the address bar: %s", a.what, a.header.Get("Location"))
				}
				if hsts := a.header.Get("Strict-Transport-Security"); (hsts != "") != c.secure {
					t.Errorf("%s: Strict-Transport-Security %q", a.what, hsts)
				}
			}
			if k := ways[2].setCookie(cookieNotice); k == nil || !k.HttpOnly || k.Secure != c.secure {
				t.Errorf("notice cookie %+v", k)
			}
			// Signing out takes the cookie away.
			v := h.ana()
			if c.public != "" {
				v.header.Set("Origin", c.public)
			}
			k := v.post("/signout").want(http.StatusSeeOther).setCookie(cookieSession)
			if k == nil || k.MaxAge >= 0 || k.Value != "" || !k.HttpOnly {
				t.Errorf("after signing out: %+v", k)
			}
			v.get("/").want(http.StatusSeeOther)
		})
	}
}

// TestNoOpenRedirect: whatever next says, the way goes on here.
func TestNoOpenRedirect(t *testing.T) {
	h := newHouse(t)
	bad := []string{
		"https://evil.example", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, "/\t/evil.example", "http:evil.example",
		"javascript:alert(1)", "evil.example", "/%5cevil.example\\", "\x00/", "https:/evil.example", "//evil.example/%2f..", " //evil.example", "/\n/evil.example",
	}
	for _, next := range bad {
		if got := local(next); got != "/" {
			t.Errorf("local(%q) = %q", next, got)
		}
	}
	for _, next := range []string{"/", "/incidents/1", "/incidents?status=all&text=a%20b", "/chains#x"} {
		if got := local(next); got != next {
			t.Errorf("local(%q) = %q", next, got)
		}
	}
	codes, err := h.Auth.NewRecoveryCodes(context.Background(), h.admin)
	if err != nil {
		t.Fatal(err)
	}
	for i, next := range bad[:min(len(bad), len(codes)-1)] {
		a := h.nobody().post("/signin/recovery", "handle", "ana", "code", codes[i], "next", next).want(303)
		if loc := a.header.Get("Location"); loc != "/" {
			t.Errorf("next=%q leads to %q", next, loc)
		}
	}
	a := h.nobody().post("/signin/recovery", "handle", "ana", "code", codes[len(codes)-1], "next", "/incidents?status=all").want(303)
	if loc := a.header.Get("Location"); loc != "/incidents?status=all" {
		t.Errorf("a good next leads to %q", loc)
	}
	// And whoever is in already is sent on the same way.
	for _, next := range bad {
		v := h.ana()
		r, _ := http.NewRequest("GET", h.srv.URL+"/signin", nil)
		r.URL.RawQuery = "next=" + strings.NewReplacer("\x00", "%00", "\t", "%09", "\n", "%0a", " ", "%20", "#", "%23").Replace(next)
		if loc := v.get("/signin?" + r.URL.RawQuery).want(303).header.Get("Location"); loc != "/" {
			t.Errorf("signed in, next=%q leads to %q", next, loc)
		}
	}
}

// TestStakeholdersGoHome: somebody who may only read a status page lands there.
func TestStakeholdersGoHome(t *testing.T) {
	h := newHouse(t)
	sam := h.member("sam", auth.RoleStakeholder, "clients")
	if loc := sam.get("/signin").want(303).header.Get("Location"); loc != "/status/clients" {
		t.Error(loc)
	}
	sam.get("/status/clients").want(200)
	sam.get("/status/regulators").want(403)
	sam.get("/status/made-up").want(403)
	sam.get("/me").want(200)
	h.ana().get("/status/made-up").want(404)
	if loc := h.ana().get("/status/public").want(303).header.Get("Location"); loc != "/status" {
		t.Error(loc)
	}
	if loc := h.nobody().get("/status/clients").want(303).header.Get("Location"); loc != "/signin?next=%2Fstatus%2Fclients" {
		t.Error(loc)
	}
}

// TestHead: monitors ask without wanting the page.
func TestHead(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/status", "/healthz", "/readyz", "/api/v2/summary.json", "/status/history.atom", "/signin"} {
		a := h.nobody().do("HEAD", path, "", nil).want(200)
		if a.body != "" || a.header.Get("Content-Type") == "" {
			t.Errorf("%s: %q %v", a.what, a.body, a.header)
		}
	}
	h.nobody().do("HEAD", "/incidents", "", nil).want(405)
}

func TestAssets(t *testing.T) {
	h := newHouse(t)
	v := h.nobody()
	a := v.get("/favicon.ico").want(200)
	if a.header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("%+v", a.header)
	}
	checkHeaders := func(a *answer, cache string) {
		t.Helper()
		if !strings.HasPrefix(a.header.Get("Cache-Control"), cache) || a.header.Get("ETag") == "" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %+v", a.what, a.header)
		}
	}
	if Built() {
		checkHeaders(v.get("/assets/app.js").want(200), "no-cache")
		a = v.get("/assets/app.js?v=test").want(200)
		checkHeaders(a, "public, max-age=31536000, immutable")
		v.header.Set("If-None-Match", a.header.Get("ETag"))
		v.get("/assets/app.js?v=test").want(304)
		v = h.nobody()
	}
	for _, path := range []string{"/assets/", "/assets/..", "/assets/../assets.go", "/assets/%2e%2e/assets.go", "/assets/..%2f..%2fassets.go", "/assets/nothing.js", "/assets/app.js/", "/assets//etc/passwd"} {
		if a := v.get(path); a.status == 200 && !slices.Contains([]string{"/assets/app.js/"}, path) {
			t.Errorf("%s: %d %s", a.what, a.status, a.header.Get("Content-Type"))
		} else if a.status >= 400 && a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: an error may be kept: %s", a.what, a.header.Get("Cache-Control"))
		}
	}
}
