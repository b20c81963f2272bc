package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/hub"
	"github.com/tocsin-ops/tocsin/internal/appraise"
	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/calendar"
	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/internal/notify"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/pulse"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/roster"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/upkeep"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) {
	catchUp = 10 * time.Second // a busy machine may stand still for longer than a person waits
	goleak.VerifyTestMain(m)
}

// house is a whole Server in this process: a store in memory, everything else
// real but the chains and the drills.
type house struct {
	*Server
	t         testing.TB
	db        store.DB
	telemetry *fakeTelemetry
	chains    *fakeChains
	drills    *fakeDrills
	srv       *httptest.Server
	desk      *intake.Desk
	up        *upkeep.Service
	beats     *pulse.Watch
	slog      *lockedBuffer
	late      atomic.Int64 // ms that the server's clock is ahead of the wall's
	still     atomic.Int64 // unix ms at which the wall's clock stands for the server; 0: it goes
	admin     auth.Actor   // ana
	adminBy   string       // her cookie
}

// newHouse starts a server with ana as the first administrator. It ends with the test.
func newHouse(t testing.TB, change ...func(*Options)) *house {
	t.Helper()
	h := replicaOn(t, mem.Open(mem.Options{MaxOps: 4096}), change...)
	ctx := context.Background()
	link, _, err := h.Auth.Bootstrap(ctx)
	if err != nil {
		t.Fatal(err)
	}
	in, err := h.Auth.Accept(ctx, link.Token, auth.Choice{Handle: "ana", Name: "Ana Alvarez"}, auth.Visit{Address: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	h.admin, h.adminBy = in.Actor, in.Cookie
	return h
}

// another is a second server on the same store, for the same people.
func (h *house) another(change ...func(*Options)) *house {
	h.t.Helper()
	b := replicaOn(h.t, h.db, change...)
	b.admin, b.adminBy = h.admin, h.adminBy
	return b
}

func replicaOn(t testing.TB, db store.DB, change ...func(*Options)) *house {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	h := &house{t: t, db: db, telemetry: &fakeTelemetry{}, chains: &fakeChains{}, drills: &fakeDrills{}, slog: &lockedBuffer{}}
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	log, err := eventlog.Open(ctx, h.db, eventlog.Options{})
	must(err)
	tsdb, err := metrics.Open(filepath.Join(t.TempDir(), "metrics"), metrics.Options{})
	must(err)
	clock := func() time.Time { return time.UnixMilli(h.millis()) }
	logger := slog.New(slog.NewTextHandler(h.slog, &slog.HandlerOptions{Level: slog.LevelDebug}))
	sources := intake.NewSources(log, h.db, clock)
	must(sources.Refresh(ctx))
	desk := intake.NewDesk(log, clock)
	h.desk = desk
	o := Options{
		Log: log, World: projection.New(log), Rooms: room.New(log), Gate: intake.NewGate(desk, sources, logger), Sources: sources,
		Hub:     hub.New(hub.Options{Build: "test", Beat: 250 * time.Millisecond, Base: func(topic string) int64 { return h.BaseOf(topic) }}),
		Metrics: tsdb, Telemetry: h.telemetry, Chains: h.chains, Drills: h.drills, Logger: logger, Clock: h.millis,
		Site: "Exchange", Version: "test", Audiences: []string{"clients", "regulators"},
		Components: []Component{{Name: "Trading", Group: "Exchange"}, {Name: "Bridge", Group: "Protocols", Description: "moves value"}},
	}
	judged := appraise.New(appraise.Options{Log: log, Logger: logger})
	o.Findings = judged
	duty := roster.New(roster.Options{Log: log, People: func() []auth.Person { return h.Auth.People() }, Logger: logger})
	o.OnCall, o.Feeds = duty, calendar.NewFeeds(h.db)
	o.Notify = notify.New(notify.Options{DB: h.db, Clock: h.millis, PushKey: "BGpublic"})
	h.up = upkeep.New(upkeep.Options{Log: log, Clock: clock, Direct: desk.Direct, Open: func(see func(signal.Signal)) {
		h.World.Look(func(v projection.View) {
			for g := range v.Signals() {
				see(g)
			}
		})
	}})
	must(h.up.Refresh(ctx))
	desk.StampWith(h.up.Stamp)
	h.beats = pulse.New(pulse.Options{DB: h.db, Clock: clock, Sources: sources.Known, Submit: desk.Submit, Known: desk.Known})
	o.Gate.HearWith(h.beats.Beat)
	o.Upkeep, o.Pulse, o.Direct = h.up, h.beats, desk.Direct
	for _, f := range change {
		f(&o)
	}
	o.Auth, err = auth.New(ctx, h.db, log, auth.Options{Clock: h.millis, PublicURL: o.PublicURL, Logger: logger})
	must(err)
	h.Server = New(o)
	h.recheck, h.houseEvery = 20*time.Millisecond, 100*time.Millisecond
	h.Auth.OnRevoke(func(owner string) { h.Hub.EndOwner(owner, "Your access has changed. Sign in again.") })
	must(h.World.CatchUp(ctx))
	h.srv = httptest.NewServer(h.Server)
	var wg sync.WaitGroup
	for name, run := range map[string]func(context.Context) error{"log": log.Run, "world": h.World.Run, "people": h.Auth.Run, "hub": h.Hub.Run, "live": h.Server.Run,
		"on-call":  func(ctx context.Context) error { return duty.Run(ctx, log.Follow) },
		"findings": func(ctx context.Context) error { return judged.Run(ctx, log.Follow) }} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	t.Cleanup(func() {
		stop, done := context.WithTimeout(context.Background(), patience)
		defer done()
		if err := h.Hub.Stop(stop); err != nil {
			t.Error(err)
		}
		h.srv.CloseClientConnections()
		h.srv.Close()
		cancel()
		wg.Wait()
		must(tsdb.Close())
		if leak := secrets.FindString(h.slog.String()); leak != "" {
			t.Errorf("the operator's log holds the secret %s", leak)
		}
	})
	return h
}

// secrets are tokens, links and session cookies as they look on the wire.
var secrets = regexp.MustCompile(`\b(tocsin|join|session)_[0-9A-Za-z]{40,}`)

func (h *house) millis() int64 {
	if at := h.still.Load(); at != 0 {
		return at + h.late.Load()
	}
	return time.Now().UnixMilli() + h.late.Load()
}

// stand stops the server's clock, so that nothing ends but by late.
func (h *house) stand() { h.still.Store(time.Now().UnixMilli()) }

// settle waits until pages show everything that is in the log.
func (h *house) settle() { h.t.Helper(); h.reaches(h.Log.Size() - 1) }

// reaches waits until pages show a position, perhaps of another replica.
func (h *house) reaches(position int64) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.World.WaitFor(ctx, position); err != nil {
		h.t.Fatal(err)
	}
}

// visitor is somebody with a browser or a program. Redirects are not followed.
type visitor struct {
	h      *house
	name   string
	cookie string // session
	bearer string
	csrf   string
	notice string      // the cookie with what the next page says
	header http.Header // sent with everything
	client *http.Client
}

func (h *house) visitor(name string) *visitor {
	tr := &http.Transport{DisableCompression: true}
	h.t.Cleanup(tr.CloseIdleConnections)
	return &visitor{h: h, name: name, header: http.Header{}, client: &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (h *house) nobody() *visitor { return h.visitor("nobody") }

// ana is the administrator.
func (h *house) ana() *visitor { return h.with("administrator", h.adminBy, h.admin) }

func (h *house) with(name, cookie string, a auth.Actor) *visitor {
	v := h.visitor(name)
	v.cookie, v.csrf = cookie, h.Auth.CSRF(a)
	return v
}

// member makes a person and signs them in.
func (h *house) member(handle string, role auth.Role, audience string) *visitor {
	h.t.Helper()
	ctx := context.Background()
	link, err := h.Auth.Invite(ctx, h.admin, auth.Invitation{Handle: handle, Name: "Person " + handle, Role: role, Audience: audience})
	if err != nil {
		h.t.Fatal(err)
	}
	in, err := h.Auth.Accept(ctx, link.Token, auth.Choice{}, auth.Visit{Address: "192.0.2." + handle})
	if err != nil {
		h.t.Fatal(err)
	}
	return h.with(string(role), in.Cookie, in.Actor)
}

// token makes an API token.
func (h *house) token(role auth.Role, audience string) (*visitor, string) {
	h.t.Helper()
	t, secret, err := h.Auth.CreateToken(context.Background(), h.admin, auth.TokenOrder{Name: "robot", Role: role, Audience: audience})
	if err != nil {
		h.t.Fatal(err)
	}
	v := h.visitor("token of a " + string(role))
	v.bearer = secret
	return v, t.ID
}

// wall makes a wall token and opens a screen with it.
func (h *house) wall() (*visitor, string) {
	h.t.Helper()
	t, secret, err := h.Auth.CreateWallToken(context.Background(), h.admin, "kitchen")
	if err != nil {
		h.t.Fatal(err)
	}
	in, err := h.Auth.OpenWall(context.Background(), secret, auth.Visit{Address: "192.0.2.9"})
	if err != nil {
		h.t.Fatal(err)
	}
	return h.with("wall", in.Cookie, in.Actor), t.ID
}

// answer is what came back.
type answer struct {
	t      testing.TB
	what   string
	status int
	header http.Header
	body   string
}

// do sends one request; a cookie's holder sends the CSRF token with changes.
func (v *visitor) do(method, path, contentType string, body io.Reader) *answer {
	v.h.t.Helper()
	r, err := http.NewRequest(method, v.h.srv.URL+path, body)
	if err != nil {
		v.h.t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if v.cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieSession, Value: v.cookie})
		if method != http.MethodGet && v.csrf != "" {
			r.Header.Set(headerCSRF, v.csrf)
		}
	}
	if v.notice != "" {
		r.AddCookie(&http.Cookie{Name: cookieNotice, Value: v.notice})
	}
	if v.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+v.bearer)
	}
	for k, vals := range v.header {
		r.Header[k] = vals
		if k == "Host" {
			r.Host = vals[0]
		}
	}
	res, err := v.client.Do(r)
	if err != nil {
		v.h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	for _, k := range res.Cookies() {
		if k.Name == cookieNotice {
			v.notice = k.Value
		}
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		v.h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return &answer{v.h.t, v.name + ": " + method + " " + path, res.StatusCode, res.Header, string(b)}
}

func (v *visitor) get(path string) *answer { v.h.t.Helper(); return v.do("GET", path, "", nil) }

// post sends a form as a page would.
func (v *visitor) post(path string, pairs ...string) *answer {
	v.h.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return v.do("POST", path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (v *visitor) json(method, path string, body any) *answer {
	v.h.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		v.h.t.Fatal(err)
	}
	return v.do(method, path, "application/json", bytes.NewReader(b))
}

// command gives one command by name and waits for the pages.
func (v *visitor) command(number int64, name string, args any) *answer {
	v.h.t.Helper()
	done := v.json("POST", fmt.Sprintf("/api/v1/incidents/%d/commands", number), map[string]any{"command": name, "args": args})
	v.h.settle()
	return done
}

// want fails unless the status is one of those.
func (a *answer) want(status ...int) *answer {
	a.t.Helper()
	for _, s := range status {
		if a.status == s {
			return a
		}
	}
	a.t.Fatalf("%s: %d, want %v\n%s", a.what, a.status, status, head(a.body))
	return a
}

// has fails unless the body holds every text.
func (a *answer) has(texts ...string) *answer {
	a.t.Helper()
	for _, s := range texts {
		if !strings.Contains(a.body, s) {
			a.t.Errorf("%s: no %q in\n%s", a.what, s, head(a.body))
		}
	}
	return a
}

func (a *answer) hasNot(texts ...string) *answer {
	a.t.Helper()
	for _, s := range texts {
		if i := strings.Index(a.body, s); i >= 0 {
			a.t.Errorf("%s: says %q: …%s…", a.what, s, a.body[max(0, i-80):min(len(a.body), i+80)])
		}
	}
	return a
}

// problem reads a problem document and checks its shape.
func (a *answer) problem(code string) problem {
	a.t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		a.t.Fatalf("%s: %v in %s", a.what, err, head(a.body))
	}
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		a.t.Errorf("%s: Content-Type %q", a.what, ct)
	}
	if p.Code != code || p.Status != a.status || p.Title == "" || p.Type != "about:blank" || !strings.ContainsAny(p.Detail[max(0, len(p.Detail)-1):], ".?)") {
		a.t.Errorf("%s: %d with %+v, want code %s", a.what, a.status, p, code)
	}
	return p
}

func (a *answer) into(v any) {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		a.t.Fatalf("%s: %v in %s", a.what, err, head(a.body))
	}
}

// setCookie returns the cookie that the answer sets, nil when it sets none.
func (a *answer) setCookie(name string) *http.Cookie {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

var tags = regexp.MustCompile(`(?s)<(svg|head).*?</(svg|head)>|<[^>]*>`)

// head is the beginning of a body, of a page only its words.
func head(s string) string {
	s = strings.Join(strings.Fields(tags.ReplaceAllString(s, " ")), " ")
	if len(s) > 400 {
		return s[:400] + "…"
	}
	return s
}

// declare makes an incident by ana and waits for the pages.
func (h *house) declare(c incident.Declare) int64 {
	h.t.Helper()
	if c.Severity == "" {
		c.Severity = "SEV2"
	}
	a, err := h.Rooms.Declare(context.Background(), c, h.meta())
	if err != nil {
		h.t.Fatal(err)
	}
	h.settle()
	return a.Number
}

func (h *house) meta() incident.Meta {
	return incident.Meta{ID: newID(), At: h.millis(), Actor: h.admin.String()}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// cmd gives a command by ana and waits for the pages.
func (h *house) cmd(n int64, c incident.Command) room.Answer {
	h.t.Helper()
	a, err := h.Rooms.Do(context.Background(), n, c, h.meta())
	if err != nil {
		h.t.Fatalf("%s: %v", c.Name(), err)
	}
	h.settle()
	return a
}

// tell publishes one update and waits for the pages.
func (h *house) tell(n int64, u incident.DraftUpdate) string {
	h.t.Helper()
	h.cmd(n, u)
	st, err := h.Rooms.Load(context.Background(), n)
	if err != nil {
		h.t.Fatal(err)
	}
	id := st.Updates[len(st.Updates)-1].ID
	h.cmd(n, incident.ApproveUpdate{Update: id})
	h.cmd(n, incident.PublishUpdate{Update: id})
	return id
}

// fire submits one signal of a source and waits for the pages.
func (h *house) fire(source string, o signal.Observation) signal.Signal {
	h.t.Helper()
	o.Firing, o.At = true, h.millis()
	if o.Key == "" {
		o.Key = newID()
	}
	if o.Severity == "" {
		o.Severity = "SEV3"
	}
	if _, err := h.desk.Submit(context.Background(), source, "source:"+source, []signal.Observation{o}); err != nil {
		h.t.Fatal(err)
	}
	h.settle()
	var found signal.Signal
	h.World.Look(func(v projection.View) {
		for g := range v.Signals() {
			if g.Key == o.Key {
				found = g
			}
		}
	})
	if found.ID == "" {
		h.t.Fatalf("signal %s did not arrive", o.Key)
	}
	return found
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type fakeTelemetry struct {
	mu     sync.Mutex
	views  []chain.View
	looked func() // called by Views before it looks; nil = nothing
}

func (f *fakeTelemetry) onLook(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked = do
}

func (f *fakeTelemetry) Views() []chain.View {
	f.mu.Lock()
	looked := f.looked
	f.mu.Unlock()
	if looked != nil {
		looked()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]chain.View(nil), f.views...)
}

func (f *fakeTelemetry) set(v ...chain.View) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.views = v
}

type fakeChains struct {
	mu   sync.Mutex
	list []ChainSetting
}

func (f *fakeChains) set(list ...ChainSetting) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = list
}

func (f *fakeChains) List() []ChainSetting {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]ChainSetting(nil), f.list...)
}

func (f *fakeChains) Test(_ context.Context, url string) ChainTest {
	if strings.Contains(url, "bad") {
		return ChainTest{Head: -1, Says: "Nobody answers at this address."}
	}
	return ChainTest{OK: true, Chain: "Fakenet", ChainID: "7", Family: "evm", Head: 100, Says: "This is Fakenet."}
}

func (f *fakeChains) Add(_ context.Context, _ auth.Actor, name string, nodes []ChainNode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.Contains(nodes[0].URL, "bad") {
		return refusal("node_unusable", "Nobody answers at this address.")
	}
	s := ChainSetting{ID: strings.ToLower(name), Name: name, Family: "evm"}
	for i, n := range nodes {
		s.Nodes = append(s.Nodes, "n"+strconv.Itoa(i+1))
		s.Operators = append(s.Operators, ChainOperator{Node: "n" + strconv.Itoa(i+1), Said: n.Operator, Is: cmp.Or(n.Operator, "host:1")})
	}
	f.list = append(f.list, s)
	return nil
}

func (f *fakeChains) Operate(_ context.Context, _ auth.Actor, id string, operators map[string]string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.list {
		if s := &f.list[i]; s.ID == id {
			for k := range s.Operators {
				o := &s.Operators[k]
				o.Said, o.Is = operators[o.Node], cmp.Or(operators[o.Node], "host:1")
			}
			return nil
		}
	}
	return refusal("not_found", "This chain is not watched.")
}

func (f *fakeChains) Remove(_ context.Context, _ auth.Actor, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, c := range f.list {
		if c.ID == id {
			f.list = append(f.list[:i:i], f.list[i+1:]...)
			return nil
		}
	}
	return refusal("not_found", "This chain is not watched.")
}

type fakeDrills struct {
	mu  sync.Mutex
	run *DrillRun
}

func (f *fakeDrills) Scenarios() []DrillScenario {
	return []DrillScenario{{Key: "nomad", Name: "Bridge drain", Text: "A bridge is drained.", Figures: [][2]string{{"loss", "190 M$"}}, Length: time.Hour}}
}

func (f *fakeDrills) Running() *DrillRun {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.run
}

func (f *fakeDrills) Start(_ context.Context, _ auth.Actor, key string, speed float64, out bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if key != "nomad" {
		return refusal("no_such_drill", "There is no such drill.")
	}
	f.run = &DrillRun{Key: key, Name: "Bridge drain", Since: time.Now().UnixMilli(), Speed: speed, Out: out}
	return nil
}

func (f *fakeDrills) Stop(context.Context, auth.Actor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.run = nil
	return nil
}
