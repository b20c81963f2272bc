package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/views"
)

const (
	cookieSession = "tocsin_session"
	headerCSRF    = "X-Tocsin-CSRF"
	maxBody       = 1 << 20 // bytes of any request's body
)

// call is one request with who makes it.
type call struct {
	echo.Context
	s      *Server
	actor  auth.Actor
	cookie string // the session cookie's value, "" for tokens and nobody
	bearer string // the API token, "" for cookies and nobody
	ended  bool   // a cookie was sent that is no longer good
}

// identify finds out who calls: a Bearer token wins over a cookie, and a bad
// token is refused rather than ignored.
func (s *Server) identify(ec echo.Context) (*call, error) {
	c := s.nobody(ec)
	ctx := ec.Request().Context()
	if h := ec.Request().Header.Get("Authorization"); h != "" {
		scheme, token, _ := strings.Cut(h, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return nil, refusal(auth.CodeNotSignedIn, "Send the API token as “Authorization: Bearer tocsin_…”.")
		}
		c.bearer = strings.TrimSpace(token)
		actor, err := s.Auth.Token(ctx, c.bearer)
		if err != nil {
			return nil, err
		}
		c.actor = actor
		return c, nil
	}
	if k, err := ec.Cookie(cookieSession); err == nil && k.Value != "" {
		actor, err := s.Auth.Session(ctx, k.Value)
		switch {
		case err == nil:
			c.actor, c.cookie = actor, k.Value
		case errors.Is(err, &auth.Refusal{Code: auth.CodeNotSignedIn}):
			c.ended = true
		default:
			return nil, err
		}
	}
	return c, nil
}

func (s *Server) nobody(ec echo.Context) *call {
	return &call{Context: ec, s: s, actor: auth.Actor{Kind: auth.KindNobody}}
}

func (c *call) ctx() context.Context { return c.Request().Context() }

// subject is what an action is judged on when the route itself says nothing
// more: the own account.
func (c *call) subject(a auth.Action) auth.Subject {
	if a == auth.ManageAccount {
		return auth.Subject{Handle: c.actor.ID}
	}
	return auth.Subject{}
}

// allow refuses what the actor may not do.
func (c *call) allow(a auth.Action, on auth.Subject) error {
	if auth.Can(c.actor, a, on) {
		return nil
	}
	if !c.actor.SignedIn() {
		return errSignIn
	}
	return refusal(auth.CodeForbidden, "Your role does not allow this. Ask an administrator.")
}

func (c *call) can(a auth.Action) bool { return auth.Can(c.actor, a, c.subject(a)) }

// checkForgery refuses a change that a foreign page made the browser send. API
// tokens are never sent by themselves, so only cookies need it.
func (c *call) checkForgery() error {
	switch c.Request().Method {
	case http.MethodGet, http.MethodHead:
		return nil
	}
	if c.cookie == "" {
		return nil
	}
	if !c.sameOrigin() {
		return refusal("cross_origin", "This request came from another site and was not carried out. Open the page here and try again.")
	}
	got := c.Request().Header.Get(headerCSRF)
	if got == "" && !c.isJSON() {
		got = c.FormValue("_csrf")
	}
	if !c.s.Auth.CheckCSRF(c.actor, got) {
		return refusal("form_expired", "This page is too old to send from. Reload it and try again.")
	}
	return nil
}

// sameOrigin is true when the browser says that the request comes from a page
// of this server, or says nothing at all (no browser).
func (c *call) sameOrigin() bool { return sameOrigin(c.Request(), c.s.PublicURL) }

func sameOrigin(r *http.Request, public string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if public != "" && origin == public {
		return true
	}
	return strings.EqualFold(u.Host, r.Host)
}

func (c *call) isJSON() bool {
	return strings.HasPrefix(c.Request().Header.Get("Content-Type"), "application/json")
}

// wantsJSON is true for the API and for scripts of the pages.
func (c *call) wantsJSON() bool { return wantsJSON(c.Request()) }

func wantsJSON(r *http.Request) bool {
	p := r.URL.Path
	if strings.HasPrefix(p, "/api/") || strings.HasPrefix(p, "/v2/") || strings.HasPrefix(p, "/v1/") || strings.HasPrefix(p, "/prometheus/") || strings.HasPrefix(p, "/charts/") ||
		strings.HasPrefix(p, "/ledger/") || p == "/metrics" || p == "/live" || p == "/status/live" {
		return true
	}
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") ||
		strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

// body reads the request's body up to its limit.
func (c *call) body(limit int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, limit))
	return b, bodyError(err)
}

// askAgain is how long a body may take before its sender is judged anew.
var askAgain = time.Second

// hold reads the whole body before anything is done. A body may trickle in for as
// long as bodyWait; whoever lost the right meanwhile is refused.
func (c *call) hold(action auth.Action) error {
	if c.Request().Body == nil || c.Request().Body == http.NoBody {
		return nil
	}
	began := time.Now()
	b, err := c.body(maxBody)
	if err != nil {
		return err
	}
	c.Request().Body = io.NopCloser(bytes.NewReader(b))
	if time.Since(began) < askAgain {
		return nil
	}
	now, err := c.s.identify(c.Context)
	if err != nil {
		return err
	}
	*c = *now
	return c.allow(action, c.subject(action))
}

// readForm reads the form that the request brings, if it brings one, so that
// FormValue never takes an unreadable form for an empty one.
func (c *call) readForm() error {
	switch kind, _, _ := mime.ParseMediaType(c.Request().Header.Get("Content-Type")); kind {
	case "application/x-www-form-urlencoded":
		return bodyError(c.Request().ParseForm())
	case "multipart/form-data":
		return bodyError(c.Request().ParseMultipartForm(maxBody))
	}
	return nil
}

func bodyError(err error) error {
	var big *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &big):
		return errTooBig
	}
	return refusal("body_broken", "The body of the request could not be read to its end. Send it again.")
}

// decode reads a JSON body into v; unknown fields are refused by name.
func (c *call) decode(v any) error {
	b, err := c.body(maxBody)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badJSON(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return refusal("bad_json", "Something follows the JSON object of the body. Send one object.")
	}
	return nil
}

// meta makes the envelope of a command. id is the caller's, or new when empty.
func (c *call) meta(id string) (incident.Meta, error) {
	if id == "" {
		id = uuid.Must(uuid.NewV7()).String()
	} else if u, err := uuid.Parse(id); err != nil {
		return incident.Meta{}, refusal("bad_id", "The id of a command is a UUID. Leave it out to have one made.")
	} else {
		id = u.String()
	}
	return incident.Meta{ID: id, At: c.s.now(), Actor: c.actor.String(), Drill: c.s.Demo}, nil
}

func (c *call) number() (int64, error) {
	n, err := strconv.ParseInt(c.Param("number"), 10, 64)
	if err != nil || n <= 0 {
		return 0, errNoPage
	}
	return n, nil
}

// known says whether there is an incident n; one that was declared a moment ago
// may still be on its way to the pages.
func (c *call) known(n int64) error {
	look := func() (err error) {
		c.s.World.Look(func(v projection.View) { _, err = v.Card(n) })
		return err
	}
	if look() != nil {
		c.settle(c.s.Log.Size() - 1)
	}
	if look() != nil {
		return room.ErrNoIncident
	}
	return nil
}

// page renders a whole page.
func (c *call) page(code int, t templ.Component) error {
	var b bytes.Buffer
	if err := t.Render(c.ctx(), &b); err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.HTMLBlob(code, b.Bytes())
}

// base fills what every page has. The topics are rendered at the view's position.
func (c *call) base(title, nav string, v projection.View, topics ...views.Topic) views.Base {
	b := views.Base{
		Title: title, Nav: nav, Site: c.s.Site, Topics: topics, Drill: c.s.Demo, Build: c.s.Version, Now: c.s.now(), Held: c.s.held(),
		Person: views.Person{Handle: "", Role: string(c.actor.Role), Act: c.can(auth.CommandIncident), Admin: c.can(auth.ManagePeople)},
	}
	if c.actor.Kind == auth.KindPerson {
		b.Person.Handle, b.Person.Name = c.actor.ID, c.actor.Name
	}
	if c.cookie != "" {
		b.CSRF = c.s.Auth.CSRF(c.actor)
	}
	b.Open, b.Worst = openWorst(v)
	b.Notice = c.takeNotice()
	return b
}

const cookieNotice = "tocsin_notice"

// tell leaves one sentence for the next page.
func (c *call) tell(kind, text string) {
	c.SetCookie(&http.Cookie{Name: cookieNotice, Value: url.QueryEscape(kind + ":" + text), Path: "/", MaxAge: 30, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.secure()})
}

func (c *call) takeNotice() *views.Notice {
	k, err := c.Cookie(cookieNotice)
	if err != nil || k.Value == "" {
		return nil
	}
	c.SetCookie(&http.Cookie{Name: cookieNotice, Path: "/", MaxAge: -1, HttpOnly: true})
	text, err := url.QueryUnescape(k.Value)
	if err != nil {
		return nil
	}
	kind, text, ok := strings.Cut(text, ":")
	if !ok || len(text) > 500 || kind != "done" && kind != "refused" && kind != "told" {
		return nil
	}
	return &views.Notice{Kind: kind, Text: text}
}

// secure is true when the browser speaks TLS with us or with the proxy named by the public address.
func (c *call) secure() bool {
	return c.Request().TLS != nil || strings.HasPrefix(c.s.PublicURL, "https://")
}

func (c *call) setSession(value string, maxAge time.Duration) {
	c.SetCookie(&http.Cookie{Name: cookieSession, Value: value, Path: "/", MaxAge: int(maxAge.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.secure()})
}

// address is the peer's IP address. A proxy in front is not believed: it would
// have to be configured, and an address only feeds rate limits and the list of
// one's own sessions.
func (c *call) address() string {
	host, _, err := net.SplitHostPort(c.Request().RemoteAddr)
	if err != nil {
		return c.Request().RemoteAddr
	}
	return host
}

// baseURL is the outside address of this server without trailing slash.
func (c *call) baseURL() string {
	if c.s.PublicURL != "" {
		return c.s.PublicURL
	}
	scheme := "http"
	if c.Request().TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.Request().Host
}

func (c *call) redirect(to string) error { return c.Redirect(http.StatusSeeOther, to) }

// land leads from a form that wrote something to the page that shows it, on
// whichever replica that will be.
func (c *call) land(path string) error {
	return c.redirect(path + "?since=" + itoa(c.s.Log.Size()-1))
}
