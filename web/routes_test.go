package web

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
)

// openRoutes are all routes that anybody may use, each with the reason why that
// is right. A new one must be argued for here.
var openRoutes = map[string]string{
	"GET /signin":                           "somebody who is not signed in must be able to sign in",
	"POST /signin/recovery":                 "likewise; rate limited, judged by the code",
	"POST /auth/passkey/login/begin":        "likewise; rate limited",
	"POST /auth/passkey/login/finish":       "likewise; judged by the passkey",
	"GET /join/:token":                      "the token is the credential",
	"POST /join/:token":                     "the token is the credential",
	"GET /wall/:token":                      "the token is the credential",
	"GET /page/:token":                      "the token is the credential of who was paged; changes nothing",
	"POST /page/:token/acknowledge":         "the token is the credential of who was paged",
	"POST /page/:token/decline":             "the token is the credential of who was paged",
	"POST /signout":                         "ends only the session that asks",
	"POST /api/v1/intake/:kind/:key":        "the key is the credential",
	"POST /api/v1/intake/:kind":             "the key is the credential, as Bearer token",
	"GET /api/v1/intake/heartbeat/:key":     "the key is the credential",
	"OPTIONS /api/v1/intake/:kind/:key":     "changes nothing; a key that opens nothing gets no answer",
	"POST /v2/change/enqueue":               "the routing key is the credential",
	"POST /v2/enqueue":                      "the routing key is the credential",
	"POST /api/v1/write":                    "the key is the credential, as Bearer token",
	"POST /api/v1/write/:key":               "the key is the credential",
	"POST /v1/metrics":                      "the key is the credential, as Bearer token",
	"POST /v1/metrics/:key":                 "the key is the credential",
	"GET /calendar/:token":                  "the token is the credential; rate limited",
	"GET /status":                           "what was published, nothing else",
	"GET /status/:audience":                 "judged by audience",
	"GET /status/live":                      "judged by audience",
	"GET /status/history/:month":            "what was published",
	"GET /status/:audience/history/:month":  "judged by audience",
	"GET /status/history.atom":              "what was published",
	"GET /api/v2/:document":                 "what was published",
	"GET /api/v2/incidents/unresolved.json": "what was published",
	"GET /ledger/checkpoint":                "a signed hash",
	"GET /ledger/key":                       "a public key",
	"GET /ledger/tile/*":                    "hashes; entries are judged in the handler",
	"GET /openapi.json":                     "the same for everybody",
	"GET /assets/*":                         "styles and scripts",
	"GET /favicon.ico":                      "an icon",
	"GET /sw.js":                            "a script, the same for everybody",
	"POST /push/seen/:token":                "the token is the credential; it does nothing but say that a device showed one notification",
	"GET /healthz":                          "one word",
	"GET /readyz":                           "one word",
}

func TestOpenRoutesAreArguedFor(t *testing.T) {
	h := newHouse(t)
	seen := map[string]bool{}
	for _, r := range h.Routes() {
		key := r.Method + " " + r.Path
		if seen[key] {
			t.Errorf("%s is registered twice", key)
		}
		seen[key] = true
		_, listed := openRoutes[key]
		switch {
		case r.Action == "" && !listed:
			t.Errorf("%s is open to anybody; register it with authed, or argue for it in this test", key)
		case r.Action != "" && listed:
			t.Errorf("%s needs %s now; take it off the list of open routes", key, r.Action)
		case r.Action == "" && r.Why == "":
			t.Errorf("%s does not say why it is open", key)
		case r.Action != "" && !slices.Contains(auth.Actions, r.Action):
			t.Errorf("%s needs the unknown right %q: nobody would ever have it", key, r.Action)
		}
	}
	for key := range openRoutes {
		if !seen[key] {
			t.Errorf("%s is on the list and does not exist", key)
		}
	}
	for _, r := range h.echo.Routes() {
		key := r.Method + " " + r.Path
		if key, head := strings.CutPrefix(key, "HEAD "); head && openRoutes["GET "+key] != "" {
			continue // the same without the body
		}
		if !seen[key] {
			t.Errorf("%s was added without saying who may use it", key)
		}
	}
}

// address fills a route's parameters with things that exist or could.
func address(path string) string {
	return strings.NewReplacer(":number", "1", ":id", "nothing", ":handle", "nobody-here", ":token", "nothing", ":kind", "generic", ":key", "nothing",
		":act", "undo", ":audience", "clients", ":document", "summary.json", ":name", "job", ":month", "2022-08", "*", "chain/x/interval").Replace(path)
}

// TestRightsOnEveryRoute walks all routes as everybody. Who may not is refused
// before the handler runs, whatever the handler does; who may is not.
func TestRightsOnEveryRoute(t *testing.T) {
	h := newHouse(t)
	h.declare(incident.Declare{Title: "Bridge"})
	wall, _ := h.wall()
	robot, _ := h.token(auth.RoleResponder, "")
	reader, _ := h.token(auth.RoleStakeholder, "clients")
	visitors := []struct {
		v *visitor
		a auth.Actor
	}{
		{h.nobody(), auth.Actor{Kind: auth.KindNobody}},
		{h.member("sam", auth.RoleStakeholder, "clients"), auth.Actor{Kind: auth.KindPerson, ID: "sam", Role: auth.RoleStakeholder, Audience: "clients"}},
		{h.member("rita", auth.RoleResponder, ""), auth.Actor{Kind: auth.KindPerson, ID: "rita", Role: auth.RoleResponder}},
		{h.ana(), auth.Actor{Kind: auth.KindPerson, ID: "ana", Role: auth.RoleAdministrator}},
		{wall, auth.Actor{Kind: auth.KindWall, ID: "w", Role: auth.RoleWall}},
		{robot, auth.Actor{Kind: auth.KindToken, ID: "t", Role: auth.RoleResponder}},
		{reader, auth.Actor{Kind: auth.KindToken, ID: "t", Role: auth.RoleStakeholder, Audience: "clients"}},
	}
	for _, r := range h.Routes() {
		if r.Action == "" {
			continue
		}
		path := address(r.Path)
		if r.Path == "/api/v1/log" {
			path += "?follow=false"
		}
		for _, w := range visitors {
			may := auth.Can(w.a, r.Action, auth.Subject{Handle: w.a.ID})
			for _, form := range []string{"application/x-www-form-urlencoded", "application/json"} {
				a := w.v.do(r.Method, path, form, strings.NewReader(""))
				refused := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden || a.status == http.StatusSeeOther && strings.HasPrefix(a.header.Get("Location"), "/signin")
				switch {
				case may == refused:
					t.Errorf("%s (%s): %d %s, allowed is %v\n%s", a.what, r.Action, a.status, a.header.Get("Location"), may, head(a.body))
				case a.status >= 500:
					t.Errorf("%s: %d\n%s", a.what, a.status, head(a.body))
				case !may && w.a.Kind != auth.KindNobody && a.status != http.StatusForbidden:
					t.Errorf("%s: %d for somebody who is signed in, want 403", a.what, a.status)
				case w.a.Kind == auth.KindNobody && r.Method != http.MethodGet && a.status != http.StatusUnauthorized:
					t.Errorf("%s: %d, want 401", a.what, a.status)
				}
				if r.Method == http.MethodGet {
					break
				}
			}
		}
	}
	if text := h.slog.String(); strings.Contains(text, "level=ERROR") {
		t.Errorf("something broke:\n%s", text)
	}
}

// TestForgery: no change is carried out for a cookie without the token of its
// session, or when the browser says that another site asks.
func TestForgery(t *testing.T) {
	h := newHouse(t)
	h.declare(incident.Declare{Title: "Bridge"})
	other := h.member("rita", auth.RoleResponder, "")
	size := func() int64 { return h.Log.Size() }
	before := size()
	for _, r := range h.Routes() {
		if r.Method == http.MethodGet || r.Action == "" && r.Path != "/signout" {
			continue
		}
		path := address(r.Path)
		for name, spoil := range map[string]func(*visitor){
			"no token":          func(v *visitor) { v.csrf = "" },
			"another's token":   func(v *visitor) { v.csrf = other.csrf },
			"foreign origin":    func(v *visitor) { v.header.Set("Origin", "https://evil.example") },
			"null origin":       func(v *visitor) { v.header.Set("Origin", "null") },
			"cross-site fetch":  func(v *visitor) { v.header.Set("Sec-Fetch-Site", "cross-site") },
			"from a sibling":    func(v *visitor) { v.header.Set("Sec-Fetch-Site", "same-site") },
			"origin with a dot": func(v *visitor) { v.header.Set("Origin", h.srv.URL+".evil.example") },
		} {
			for _, form := range []string{"application/x-www-form-urlencoded", "application/json", "text/plain", "multipart/form-data; boundary=x"} {
				v := h.ana()
				spoil(v)
				body := ""
				if strings.HasPrefix(form, "multipart") {
					body = "--x--\r\n"
				}
				if a := v.do(r.Method, path, form, strings.NewReader(body)); a.status != http.StatusForbidden {
					t.Errorf("%s with %s as %s: %d, want 403\n%s", a.what, name, form, a.status, head(a.body))
				}
			}
		}
	}
	// The ways in, for login forgery: nobody has a token there, but the origin counts.
	for _, path := range []string{"/signin/recovery", "/auth/passkey/login/begin", "/auth/passkey/login/finish", "/join/nothing"} {
		v := h.nobody()
		v.header.Set("Origin", "https://evil.example")
		v.post(path).want(http.StatusForbidden)
	}
	if size() != before {
		t.Errorf("the log grew by %d events", size()-before)
	}
	h.ana().get("/").want(http.StatusOK) // and nobody was signed out
}

// TestTokenNeedsNoCSRF: browsers never send a Bearer token by themselves.
func TestTokenNeedsNoCSRF(t *testing.T) {
	h := newHouse(t)
	robot, _ := h.token(auth.RoleResponder, "")
	robot.json("POST", "/api/v1/incidents", map[string]any{"title": "By a robot", "severity": "SEV3"}).want(http.StatusCreated)
	bad := h.nobody()
	bad.cookie, bad.bearer = h.adminBy, "tocsin_wrong"
	bad.get("/api/v1/incidents").want(401).problem(auth.CodeNotSignedIn)
	bad.bearer = ""
	bad.header.Set("Authorization", "Basic YTpi")
	bad.get("/api/v1/incidents").want(401).problem(auth.CodeNotSignedIn)
}

func TestRoutesFromOutsideAreBounded(t *testing.T) {
	h := newHouse(t)
	v := h.nobody()
	count := func() int {
		h.tally.mu.Lock()
		defer h.tally.mu.Unlock()
		return len(h.tally.answers)
	}
	for _, method := range []string{"GET", "POST"} {
		v.do(method, "/nothing/here", "", nil).want(404)
	}
	before := count()
	for _, path := range []string{"/a", "/b/c", "/assets/x", "/assets/y", "/incidents/1/2/3", "/%00", "/api/v1/z"} {
		for _, method := range []string{"FOO", "BAR", "BAZ", "QUX", "PROPFIND"} {
			if a := v.do(method, path, "", nil); a.status != 404 && a.status != 405 {
				t.Errorf("%s: %d", a.what, a.status)
			}
		}
	}
	if n := count() - before; n > 8 {
		t.Errorf("35 made-up requests left %d rows in the table of answers; somebody could fill the memory: %v", n, sortedKeys(h.tally.answers))
	}
}
