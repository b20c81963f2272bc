package web

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/views"
)

// broken is a store whose majority can go away. Then it takes nothing, and shows
// what it has only to those who may see old things.
type broken struct {
	store.DB
	on      atomic.Bool
	written atomic.Int64
}

func (b *broken) Get(ctx context.Context, key []byte) (store.KV, error) {
	if b.on.Load() && !store.StaleAllowed(ctx) {
		return store.KV{}, context.DeadlineExceeded
	}
	if b.on.Load() {
		store.MarkStale(ctx)
	}
	return b.DB.Get(ctx, key)
}

func (b *broken) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	if b.on.Load() {
		b.written.Add(1)
		return 0, context.DeadlineExceeded
	}
	return b.DB.Commit(ctx, txn)
}

// brokenHouse is a second replica, whose store can break, with an incident that
// it has from the first.
func brokenHouse(t *testing.T, change func(*Options, *broken)) (*house, *broken, int64) {
	h := newHouse(t)
	cut := &broken{DB: h.db}
	b := replicaOn(t, cut, func(o *Options) { change(o, cut) })
	b.admin, b.adminBy = h.admin, h.adminBy
	n := h.declare(incident.Declare{Title: "Bridge"})
	b.reaches(h.Log.Size() - 1)
	return b, cut, n
}

const heldSince = 1_790_000_045_000 // 14:14:05 UTC

// held is a furnished house whose store can lose its majority.
func heldHouse(t *testing.T) (*house, *atomic.Bool, int64) {
	var held atomic.Bool
	h, n := furnished(t, func(o *Options) {
		o.Health = func() Health {
			return Health{ReadOnly: held.Load(), Since: heldSince, Replica: "tocsin-b", Why: "etcdserver: no leader at 192.0.2.77"}
		}
	})
	return h, &held, n
}

func TestReadOnlyOnEveryPage(t *testing.T) {
	h, held, n := heldHouse(t)
	ana := h.ana()
	pages := []string{"/", "/wall", "/incidents", "/incidents/new", "/incidents/" + itoa(n), "/signals", "/log", "/chains", "/drills", "/people", "/tokens", "/sources", "/me", "/nothing"}
	says := []string{`id="read-only" class="held" data-on="true"`, ">14:14<", ">14:14:05<", "nothing can be written until it does"}
	for _, p := range pages {
		ana.get(p).want(200, 404).has(`id="read-only" class="held" data-on="false"`).hasNot("READ-ONLY since")
	}
	held.Store(true)
	for _, p := range pages {
		ana.get(p).want(200, 404).has(says...).hasNot("tocsin-b", "no leader", "192.0.2.77")
	}
	h.nobody().get("/signin").want(200).has(says...)

	// Nobody outside learns of it.
	v := h.nobody()
	for _, p := range []string{"/status", "/status/history.atom", "/api/v2/summary.json", "/status/nothing", "/api/v2/nothing.json"} {
		a := v.get(p)
		a.hasNot("READ-ONLY", "read_only", "majority", "read-only")
		if strings.Contains(strings.ToLower(a.header.Get("Location")), "read") {
			t.Error(a.header)
		}
	}
	if loc := v.get("/").want(303).header.Get("Location"); loc != "/signin?next=%2F" {
		t.Error(loc)
	}
}

// Whatever changes something is refused by one answer, before anything is tried;
// whatever only shows is answered.
func TestReadOnlyOnEveryRoute(t *testing.T) {
	h, held, _ := heldHouse(t)
	ana, sam := h.ana(), h.member("sam", auth.RoleStakeholder, "clients")
	held.Store(true)
	size := h.Log.Size()
	for _, r := range h.Routes() {
		path := address(r.Path)
		if r.Path == "/api/v1/log" {
			path += "?follow=false"
		}
		a := ana.do(r.Method, path, "application/json", strings.NewReader("{}"))
		refused := a.status == http.StatusServiceUnavailable
		if want := changing(r.Method, r.Path, r.Action); refused != want {
			t.Errorf("%s: %d, changes something: %v\n%s", a.what, a.status, want, head(a.body))
		}
		if refused {
			if p := a.problem("read_only"); !strings.Contains(p.Detail, "14:14 UTC") || !strings.Contains(p.Detail, "not carried out") {
				t.Errorf("%s: %s", a.what, p.Detail)
			}
			if a.header.Get("Retry-After") != "5" {
				t.Errorf("%s: Retry-After %q", a.what, a.header.Get("Retry-After"))
			}
		}
		if r.Action != "" && r.Method == http.MethodPost && !auth.Can(auth.Actor{Kind: auth.KindPerson, ID: "sam", Role: auth.RoleStakeholder, Audience: "clients"}, r.Action, auth.Subject{Handle: "sam"}) {
			sam.do(r.Method, path, "application/json", strings.NewReader("{}")).want(403) // who may not learns nothing else
		}
	}
	if h.Log.Size() != size {
		t.Error("something was written")
	}
	h.nobody().get("/healthz").want(200)
	if a := h.nobody().get("/readyz").want(200); strings.TrimSpace(a.body) != `{"ready":true,"read_only":true}` {
		t.Error(a.body)
	}
	h.nobody().get("/readyz?write=1").want(503)
	held.Store(false)
	if a := h.nobody().get("/readyz?write=1").want(200); strings.TrimSpace(a.body) != `{"ready":true,"read_only":false}` {
		t.Error(a.body)
	}
}

// Pages are shown from a store that answers nobody who wants the newest.
func TestPagesWithoutMajority(t *testing.T) {
	b, cut, n := brokenHouse(t, func(o *Options, cut *broken) {
		o.Health = func() Health { return Health{ReadOnly: cut.on.Load(), Since: heldSince} }
	})
	cut.on.Store(true)
	ana := b.ana()
	for _, p := range []string{"/", "/incidents/" + itoa(n), "/people", "/me", "/sources", "/api/v1/incidents/" + itoa(n)} {
		if a := ana.get(p).want(200); a.header.Get("Tocsin-Stale") != "true" {
			t.Errorf("%s does not say that it may be old: %v", p, a.header)
		}
	}
	cut.on.Store(false)
	if a := ana.get("/api/v1/incidents/" + itoa(n)).want(200); a.header.Get("Tocsin-Stale") != "" {
		t.Error("an answer of a whole store says that it may be old")
	}
	cut.on.Store(true)
	before := cut.written.Load()
	ana.command(n, "add_note", map[string]any{"text": "x"}).want(503).problem("read_only")
	if cut.written.Load() != before {
		t.Error("a write was tried")
	}
	// What is typed comes back with the refusal.
	a := ana.post("/incidents", "title", "Second <bridge>", "severity", "SEV1", "summary", "we do not know", "_csrf", ana.csrf).want(503)
	a.has("Second &lt;bridge&gt;", "we do not know", `action="/incidents"`, "Send it again", `name="severity" value="SEV1"`)
	a = b.nobody().post("/signin/recovery", "handle", "ana", "code", "secret-code").want(503)
	if strings.Contains(a.body, "<dd>secret-code") {
		t.Error("a secret is shown")
	}
}

// The banner comes to open pages and goes, once for each time, on every topic of
// the room and never on the status page.
func TestReadOnlyComesAndGoes(t *testing.T) {
	h, held, n := heldHouse(t)
	ana := h.ana()
	board, roomSide, status := ana.watch("board"), ana.watch("incident/"+itoa(n)), h.nobody().live("/status/live?since="+itoa(h.World.Position()))
	banner := func(f frame) bool {
		return f.Key == views.RegionReadOnly && strings.Contains(f.HTML, "READ-ONLY since")
	}
	clear := func(f frame) bool {
		return f.Key == views.RegionReadOnly && strings.Contains(f.HTML, `data-on="false"`)
	}
	for _, s := range []*socket{board, roomSide} {
		s.until(clear) // as it is now, for a page that was rendered elsewhere
	}
	held.Store(true)
	for _, s := range []*socket{board, roomSide} {
		s.until(banner)
		for _, f := range s.rest() {
			if f.Key == views.RegionReadOnly {
				t.Error("the same banner again")
			}
		}
	}
	held.Store(false)
	for _, s := range []*socket{board, roomSide} {
		s.until(clear)
	}
	for _, f := range status.rest() {
		if f.Key == views.RegionReadOnly || strings.Contains(f.HTML, "READ-ONLY") {
			t.Errorf("the status page is told %+v", f)
		}
	}
}

// A change that broke off is told as what it is: nobody knows.
func TestBrokenOffChangesAreToldTruly(t *testing.T) {
	b, cut, n := brokenHouse(t, func(*Options, *broken) {})
	ana := b.ana()
	cut.on.Store(true) // and nobody has noticed yet: reads fail, writes fail
	for _, path := range []string{"/api/v1/incidents/" + itoa(n) + "/commands", "/incidents/" + itoa(n) + "/line"} {
		var p problem
		ana.do("POST", path, "application/json", strings.NewReader(`{"command":"add_note","args":{"text":"x"}}`)).want(503).into(&p)
		if !strings.Contains(p.Detail, "may have been saved") || !strings.Contains(p.Detail, "never done twice") {
			t.Errorf("%s: %s", path, p.Detail)
		}
	}
}
