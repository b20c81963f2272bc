package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/store"
)

func TestErrorTable(t *testing.T) {
	const inner = "dial tcp 10.0.0.7: secret detail"
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{room.ErrNoIncident, 404, "no_such_incident"},
		{room.ErrBusy, 503, "busy"},
		{room.ErrContended, 503, "busy"},
		{projection.ErrUnknown, 404, "not_found"},
		{eventlog.ErrBusy, 503, "busy"},
		{eventlog.ErrRedacted, 422, "nothing_to_redact"},
		{eventlog.ErrNotFound, 404, "not_found"},
		{eventlog.ErrUncertain, 503, "uncertain"},
		{eventlog.ErrTooLarge, 413, "too_large"},
		{eventlog.ErrCorrupt, 500, "fault"},
		{eventlog.ErrInvalid, 500, "fault"},
		{intake.ErrUnknownKey, 401, "unknown_key"},
		{intake.ErrContended, 503, "busy"},
		{store.ErrClosed, 503, "unavailable"},
		{store.ErrUnavailable, 503, "store_unavailable"},
		{context.DeadlineExceeded, 503, "timeout"},
		{context.Canceled, 499, "cancelled"},
		{errors.New("bolt: disk quota"), 500, "fault"},
		{echo.ErrNotFound, 404, "not_found"},
		{echo.ErrMethodNotAllowed, 405, "method"},
		{echo.ErrStatusRequestEntityTooLarge, 413, "body_too_large"},
		{&incident.Refusal{Code: incident.CodeReasonMissing, Sentence: "Say why."}, 422, incident.CodeReasonMissing},
		{&auth.Refusal{Code: auth.CodeNotSignedIn, Sentence: "Sign in."}, 401, auth.CodeNotSignedIn},
		{&auth.Refusal{Code: auth.CodeForbidden, Sentence: "No."}, 403, auth.CodeForbidden},
		{&auth.Refusal{Code: auth.CodeTooMany, Sentence: "Wait."}, 429, auth.CodeTooMany},
		{&auth.Refusal{Code: auth.CodeBadLink, Sentence: "Old link."}, 410, auth.CodeBadLink},
		{&auth.Refusal{Code: auth.CodeLinkBusy, Sentence: "Wait."}, 409, auth.CodeLinkBusy},
		{&auth.Refusal{Code: auth.CodeLastAdmin, Sentence: "No."}, 422, auth.CodeLastAdmin},
		{errSignIn, 401, auth.CodeNotSignedIn},
		{errNoPage, 404, "not_found"},
		{errTooBig, 413, "body_too_large"},
		{refusal("id_used", "Used."), 409, "id_used"},
		{refusal("never heard of", "Hm."), 422, "never heard of"},
	} {
		p, known := describe(fmt.Errorf("%s: %w", inner, c.err))
		if p.Status != c.status || p.Code != c.code || known != (c.code != "fault") {
			t.Errorf("%v: %d %s known=%v, want %d %s", c.err, p.Status, p.Code, known, c.status, c.code)
		}
		if p.Title == "" || !strings.HasSuffix(p.Detail, ".") || strings.Contains(p.Detail, inner) || strings.Contains(p.Detail, "disk quota") {
			t.Errorf("%v: people would read %q / %q", c.err, p.Title, p.Detail)
		}
	}
	// When the store failed and then the time was up, the outcome is what counts.
	if p, _ := describe(fmt.Errorf("%w: %w", eventlog.ErrUncertain, context.DeadlineExceeded)); p.Code != "uncertain" {
		t.Errorf("an uncertain append that ran out of time is told as %q", p.Code)
	}
	if p, _ := describe(fmt.Errorf("%w: %w", store.ErrUnavailable, context.DeadlineExceeded)); p.Code != "store_unavailable" {
		t.Errorf("a store that let the time run out is told as %q", p.Code)
	}
}

// failing is a server whose handler fails with err.
func failing(t *testing.T, err error) *house {
	h := newHouse(t)
	for _, path := range []string{"/api/v1/fails", "/fails"} {
		h.echo.Any(path, func(echo.Context) error { return err })
		h.echo.Any(path+"/panics", func(echo.Context) error { panic(err) })
	}
	return h
}

func TestFaultsAreToldWithoutWords(t *testing.T) {
	h := failing(t, errors.New("open /var/secret: permission denied"))
	for _, path := range []string{"/api/v1/fails", "/api/v1/fails/panics"} {
		h.nobody().get(path).want(500).hasNot("secret", "goroutine").problem("fault")
	}
	for _, path := range []string{"/fails", "/fails/panics"} {
		a := h.nobody().get(path).want(500).hasNot("secret", "goroutine")
		a.has(a.header.Get(echo.HeaderXRequestID)) // so that an operator finds it
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept: %q", a.what, a.header.Get("Cache-Control"))
		}
	}
	if log := h.slog.String(); strings.Count(log, "level=ERROR") != 6 || !strings.Contains(log, "permission denied") {
		t.Errorf("the operator reads:\n%s", log)
	}
}

// TestStoreFails: who asked knows that it is the store, when to ask again, and
// that what was to be changed is in doubt; the operator knows more.
func TestStoreFails(t *testing.T) {
	h := failing(t, fmt.Errorf("read incident 7: %w: 192.0.2.77 is silent", store.ErrUnavailable))
	a := h.nobody().get("/api/v1/fails").want(503).hasNot("192.0.2.77")
	if p := a.problem("store_unavailable"); p.Detail != "The store did not answer. Try again in a moment." || a.header.Get("Retry-After") != "1" {
		t.Errorf("%q, Retry-After %q", p.Detail, a.header.Get("Retry-After"))
	}
	p := h.nobody().do("POST", "/api/v1/fails", "application/json", strings.NewReader("{}")).want(503).problem("store_unavailable")
	if !strings.Contains(p.Detail, "may have been carried out") {
		t.Errorf("a change: %q", p.Detail)
	}
	h.nobody().get("/fails").want(503).has("The store did not answer", "<html").hasNot("192.0.2.77")
	if log := h.slog.String(); strings.Count(log, "the store failed a request") != 3 || !strings.Contains(log, "192.0.2.77") || strings.Contains(log, "level=ERROR") {
		t.Errorf("the operator reads:\n%s", log)
	}
}

func TestProblemsAreAnsweredInKind(t *testing.T) {
	h := failing(t, &auth.Refusal{Code: auth.CodeTooMany, Sentence: "Wait a moment.", RetryAfter: 1500})
	v := h.nobody()
	a := v.get("/api/v1/fails").want(429)
	a.problem(auth.CodeTooMany)
	if a.header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	v.get("/fails").want(429).has("Wait a moment.", "<html")
	v.header.Set("Accept", "application/json")
	v.get("/fails").want(429).problem(auth.CodeTooMany)
	v = h.nobody()
	v.do("POST", "/fails", "application/json", strings.NewReader("{}")).want(429).problem(auth.CodeTooMany)
	v.get("/api/v1/nothing").want(404).problem("not_found")
	v.do("DELETE", "/api/v1/incidents", "", nil).want(405).problem("method")
	v.get("/nothing").want(404).has("<html")
	if loc := v.get("/incidents?status=all&text=a").want(303).header.Get("Location"); loc != "/signin?next=%2Fincidents%3Fstatus%3Dall%26text%3Da" {
		t.Errorf("sent to %s", loc)
	}
}

func TestBadJSONIsNamed(t *testing.T) {
	h := newHouse(t)
	v, _ := h.token(auth.RoleResponder, "")
	for body, says := range map[string]string{
		`{"title":`: "ended early", `{"title":7}`: `"title"`, `{"titel":"x"}`: "titel", `[]`: "must be", ``: "empty",
		`{"title":"x","severity":"SEV3"} and more`: "follows", `{"title":"x"`: "ended early", "\xff": "byte",
	} {
		p := v.do("POST", "/api/v1/incidents", "application/json", strings.NewReader(body)).want(400).problem("bad_json")
		if !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %q does not say %q", body, p.Detail, says)
		}
	}
	if h.Log.Size() != 2 { // ana and the token
		t.Errorf("the log grew to %d", h.Log.Size())
	}
}

// TestTooLarge sends 2 MiB to every route that takes anything, with a length and
// without one, in every way: 413, always.
func TestTooLarge(t *testing.T) {
	h := newHouse(t)
	h.declare(incident.Declare{Title: "Bridge"})
	_, key, err := h.Sources.Create(context.Background(), h.admin.String(), intake.Order{Name: "scripts", Kind: intake.Generic})
	if err != nil {
		t.Fatal(err)
	}
	robot, _ := h.token(auth.RoleAdministrator, "")
	ana := h.ana()
	big := strings.Repeat("x", 2<<20)
	bodies := map[string]string{
		"application/json":                  `{"line":"` + big + `"}`,
		"application/x-www-form-urlencoded": "name=" + big,
		"multipart/form-data; boundary=b":   "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n" + big + "\r\n--b--\r\n",
	}
	before := h.Log.Size()
	for _, r := range h.Routes() {
		if r.Method == http.MethodGet || bodyLimit(r.Path) > maxBody { // see TestRefusedDeliveries
			continue
		}
		path := strings.NewReplacer("/generic/nothing", "/generic/"+key).Replace(address(r.Path))
		for kind, body := range bodies {
			for _, chunked := range []bool{false, true} {
				reads := strings.HasPrefix(r.Path, "/api/") || r.Path == "/v2/enqueue" || strings.HasPrefix(r.Path, "/auth/passkey/") || strings.HasPrefix(r.Path, "/prometheus/") ||
					r.Path == "/signin/recovery" || r.Path == "/join/:token" || r.Action != "" && !strings.HasPrefix(kind, "application/json")
				if chunked && (!reads || r.Path == "/auth/passkey/login/begin" || r.Method == http.MethodOptions) {
					continue // nobody reads it: a handshake (OPTIONS) is answered from its headers
				}
				if chunked && (strings.HasSuffix(r.Path, "/begin") || strings.HasPrefix(r.Path, "/prometheus/") || r.Path == "/signin/recovery" || r.Path == "/join/:token") && strings.HasPrefix(kind, "application/json") {
					continue // likewise
				}
				req := httptest.NewRequest(r.Method, path, strings.NewReader(body))
				if chunked {
					req.ContentLength = -1
				}
				req.Header.Set("Content-Type", kind)
				if strings.HasPrefix(r.Path, "/api/") && !strings.HasPrefix(r.Path, "/api/v1/me/") || strings.HasPrefix(r.Path, "/prometheus/") {
					req.Header.Set("Authorization", "Bearer "+robot.bearer)
				} else {
					req.AddCookie(&http.Cookie{Name: cookieSession, Value: ana.cookie})
					req.Header.Set(headerCSRF, ana.csrf)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, req)
				if w.Code != http.StatusRequestEntityTooLarge {
					t.Errorf("%s %s as %s, chunked %v: %d\n%s", r.Method, r.Path, kind, chunked, w.Code, head(w.Body.String()))
				}
				if w.Body.Len() > 100<<10 {
					t.Errorf("%s %s answers %d bytes", r.Method, r.Path, w.Body.Len())
				}
			}
		}
	}
	if h.Log.Size() != before {
		t.Errorf("the log grew by %d", h.Log.Size()-before)
	}
	// Over a real connection the sender gets to read it.
	h.nobody().do("POST", "/api/v1/intake/generic/"+key, "application/json", strings.NewReader(bodies["application/json"])).want(413).problem("body_too_large")
}

func TestProblemIsStable(t *testing.T) {
	b, err := json.Marshal(problem{Type: "about:blank", Title: "t", Status: 422, Detail: "d", Code: "c", retry: 9})
	if err != nil || string(b) != `{"type":"about:blank","title":"t","status":422,"detail":"d","code":"c"}` {
		t.Errorf("%s %v", b, err)
	}
}
