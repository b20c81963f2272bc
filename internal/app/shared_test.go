package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// power is what a shared store runs on: without it nothing of it answers.
type power struct {
	mu   sync.Mutex
	down context.Context
	off  context.CancelFunc
}

func (p *power) on() *power {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down, p.off = context.WithCancel(context.Background())
	return p
}

func (p *power) now() context.Context { p.mu.Lock(); defer p.mu.Unlock(); return p.down }

func (p *power) cut() { p.mu.Lock(); defer p.mu.Unlock(); p.off() }

var errNoQuorum = errors.New("no quorum")

func (p *power) err() error {
	if p.now().Err() != nil {
		return errNoQuorum
	}
	return nil
}

// shared is one replica's hold on a store that may lose its power.
type shared struct {
	*mem.Replica
	power *power
}

func (s *shared) Get(ctx context.Context, key []byte) (store.KV, error) {
	if err := s.power.err(); err != nil && !store.StaleAllowed(ctx) {
		return store.KV{}, err
	}
	return s.Replica.Get(ctx, key)
}

func (s *shared) Scan(ctx context.Context, r store.Range) iter.Seq2[store.KV, error] {
	if err := s.power.err(); err != nil && !store.StaleAllowed(ctx) {
		return func(yield func(store.KV, error) bool) { yield(store.KV{}, err) }
	}
	return s.Replica.Scan(ctx, r)
}

func (s *shared) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	if err := s.power.err(); err != nil {
		return 0, err
	}
	return s.Replica.Commit(ctx, txn)
}

func (s *shared) Revision(ctx context.Context) (int64, error) {
	if err := s.power.err(); err != nil {
		return 0, err
	}
	return s.Replica.Revision(ctx)
}

func (s *shared) Tell(ctx context.Context, key, value []byte) error {
	if err := s.power.err(); err != nil {
		return err
	}
	return s.Replica.Tell(ctx, key, value)
}

func (s *shared) Watch(ctx context.Context, prefix []byte, from int64) iter.Seq2[store.Change, error] {
	down := s.power.now()
	return func(yield func(store.Change, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if down.Err() != nil {
			yield(store.Change{}, errNoQuorum)
			return
		}
		defer context.AfterFunc(down, cancel)()
		for change, err := range s.Replica.Watch(ctx, prefix, from) {
			if !yield(change, err) {
				return
			}
		}
		if down.Err() != nil {
			yield(store.Change{}, errNoQuorum)
		}
	}
}

func (s *shared) Lead(ctx context.Context, name string, run func(context.Context) error) error {
	down := s.power.now()
	if down.Err() != nil {
		return errNoQuorum
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(down, cancel)()
	return s.Replica.Lead(ctx, name, run)
}

// cluster is some Apps on one store.
type cluster struct {
	t        *testing.T
	db       *mem.DB
	power    *power
	replicas []*started
}

func newCluster(t *testing.T, n int, change ...func(i int, c *config.Config)) *cluster {
	t.Helper()
	c := &cluster{t: t, db: mem.Open(mem.Options{KeepCount: 1 << 16}), power: (&power{}).on()}
	for i := range n {
		c.replicas = append(c.replicas, c.start(i, change...))
	}
	return c
}

func (c *cluster) start(i int, change ...func(i int, c *config.Config)) *started {
	c.t.Helper()
	conf := config.Default()
	conf.Addr, conf.Data, conf.Store = "127.0.0.1:0", c.t.TempDir(), config.NewStore("etcd://user:pa55word@test/room")
	for _, f := range change {
		f(i, &conf)
	}
	return startWith(c.t, app.Options{
		Config: conf, Version: "test", Logger: slog.New(slog.DiscardHandler), BootstrapToken: bootstrap,
		OpenStore: func(_ context.Context, address string, _ *slog.Logger) (store.DB, error) {
			if address != "etcd://user:pa55word@test/room" {
				return nil, fmt.Errorf("opened as %s", address)
			}
			return &shared{c.db.Replica(), c.power}, nil
		},
	})
}

// until asks again and again until what is true in the end is.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(45 * time.Second); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("it never came true that %s", what)
		}
	}
}

// live is an open socket and what came over it.
type live struct {
	ws   *websocket.Conn
	mu   sync.Mutex
	seen bytes.Buffer
	code int // of the close
}

func (s *started) live(topic string, dialer *websocket.Dialer, header http.Header) *live {
	s.t.Helper()
	ws, r, err := dialer.Dial("ws://"+strings.TrimPrefix(s.URL(), "http://")+"/live?topic="+url.QueryEscape(topic), header)
	if err != nil {
		s.t.Fatalf("live %s: %v %v", topic, err, r)
	}
	l := &live{ws: ws}
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			_, m, err := ws.ReadMessage()
			l.mu.Lock()
			l.seen.Write(m)
			var closed *websocket.CloseError
			if errors.As(err, &closed) {
				l.code = closed.Code
			}
			l.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	s.t.Cleanup(func() { ws.Close(); reading.Wait() })
	until(s.t, "the hub has greeted the page", func() bool { return l.has(`"hello"`) || l.closed() != 0 })
	return l
}

func (l *live) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.seen.String(), text)
}

func (l *live) closed() int { l.mu.Lock(); defer l.mu.Unlock(); return l.code }

// post sends a form and follows where it leads.
func (s *started) post(path string, form url.Values) (int, string) {
	s.t.Helper()
	r, err := http.NewRequest("POST", s.URL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = bearer(bootstrap)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func (s *started) form(path string, form url.Values) string {
	s.t.Helper()
	code, out := s.post(path, form)
	if code >= 400 {
		s.t.Fatalf("POST %s: %d %s", path, code, out)
	}
	return out
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// TestReplicasAreOneRoom: what is done on one replica is on the others, on
// their pages, their sockets and in their settings.
func TestReplicasAreOneRoom(t *testing.T) {
	c := newCluster(t, 2)
	a, b := c.replicas[0], c.replicas[1]
	board := b.live("board", websocket.DefaultDialer, bearer(bootstrap))
	a.must("POST", "/api/v1/incidents", `{"id":"01a1fb1d-14e5-7ea8-a4eb-c38708c8a7dd","title":"Bridge drained","severity":"SEV1"}`)
	until(t, "the other replica's board shows it live", func() bool { return board.has("Bridge drained") })
	if out := b.must("GET", "/api/v1/incidents/1", ""); !strings.Contains(out, "Bridge drained") {
		t.Errorf("the other replica has %s", out)
	}
	// The same number is not given twice, and what one does the other goes on with.
	if out := b.must("POST", "/api/v1/incidents", `{"title":"Second","severity":"SEV3"}`); !strings.Contains(out, `"number":2`) {
		t.Errorf("declared %s", out)
	}
	b.must("POST", "/api/v1/incidents/1/commands", `{"command":"set_severity","args":{"severity":"SEV2","reason":"Less than we thought."}}`)

	// A source made on one takes alerts on the other; the incident comes on both.
	var src struct{ Key string }
	if err := json.Unmarshal([]byte(a.must("POST", "/api/v1/sources", `{"name":"scripts","kind":"generic"}`)), &src); err != nil {
		t.Fatal(err)
	}
	b.must("POST", "/api/v1/intake/generic/"+src.Key, `{"key":"k","title":"Withdrawals stuck","severity":"SEV1","state":"firing"}`)
	for _, r := range c.replicas {
		until(t, "the alert's incident is there", func() bool { return strings.Contains(r.must("GET", "/api/v1/incidents", ""), "Withdrawals stuck") })
	}

	// A token revoked on one ends its sockets on the other.
	page := a.form("/tokens", url.Values{"name": {"ci"}, "scope": {"responder"}})
	secret := regexp.MustCompile(`tocsin_[A-Za-z0-9]{40,}`).FindString(page)
	id := regexp.MustCompile(`/tokens/([A-Za-z0-9]+)/revoke`).FindStringSubmatch(page)
	if secret == "" || id == nil {
		t.Fatalf("no token on %s", page)
	}
	socket := b.live("board", websocket.DefaultDialer, bearer(secret))
	a.form("/tokens/"+id[1]+"/revoke", nil)
	until(t, "the socket is closed", func() bool { return socket.closed() == 4401 })
}

// TestReplicasKnowEachOther: each says who is alive and who watches the chains,
// and of one that stopped that it did.
func TestReplicasKnowEachOther(t *testing.T) {
	c := newCluster(t, 2)
	list := func(r *started) (alive, collect, gone int) {
		var a struct {
			Replicas []struct {
				Alive, Collects, This bool
				Version               string
			}
		}
		if err := json.Unmarshal([]byte(r.must("GET", "/api/v1/replicas", "")), &a); err != nil {
			t.Fatal(err)
		}
		for _, one := range a.Replicas {
			switch {
			case !one.Alive:
				gone++
			case one.Collects:
				collect++
				fallthrough
			default:
				alive++
			}
		}
		return alive, collect, gone
	}
	for _, r := range c.replicas {
		until(t, "each knows both", func() bool { alive, collect, _ := list(r); return alive == 2 && collect == 1 })
	}
	c.replicas[0].stop()
	until(t, "one is gone", func() bool {
		alive, collect, gone := list(c.replicas[1])
		return alive == 1 && collect == 1 && gone == 1
	})
	for _, line := range []string{"tocsin_replicas 1\n", "tocsin_collecting 1\n", `tocsin_leads{election="collectors"} 1`, `tocsin_store_call_seconds_count{call="commit"}`, "tocsin_store_outages_total 0\n"} {
		until(t, "there is a line "+line, func() bool { return strings.Contains(c.replicas[1].must("GET", "/metrics", ""), "\n"+line) })
	}
}

// TestPeopleOfOtherReplicas: who signs in and out on one replica is in the room
// on the other, and is not any more.
func TestPeopleOfOtherReplicas(t *testing.T) {
	c := newCluster(t, 2)
	a, b := c.replicas[0], c.replicas[1]
	a.must("POST", "/api/v1/incidents", `{"title":"Bridge drained","severity":"SEV1"}`)
	until(t, "the other replica has it", func() bool { code, _ := b.call("GET", "/api/v1/incidents/1", ""); return code == 200 })
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	// Cookies go to every port of a host: one browser, both replicas.
	page := a.form("/people/invite", url.Values{"handle": {"bo"}, "name": {"Bo Person"}, "scope": {"responder"}, "role": {"responder"}})
	link := regexp.MustCompile(`/join/join_[A-Za-z0-9]+`).FindString(page)
	r, err := browser.PostForm(a.URL()+link, url.Values{"handle": {"bo"}, "name": {"Bo Person"}})
	if err != nil || link == "" {
		t.Fatal(link, err)
	}
	r.Body.Close()
	dialer := &websocket.Dialer{Jar: jar}
	room := a.live("incident/1", dialer, http.Header{"Origin": {a.URL()}})
	seen := func() bool {
		r, err := browser.Get(b.URL() + "/incidents/1")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		page, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != 200 {
			t.Fatal(r.StatusCode, err)
		}
		_, here, found := strings.Cut(string(page), `id="in-the-room"`)
		here, _, _ = strings.Cut(here, "</div>")
		return found && strings.Contains(here, "bo")
	}
	until(t, "the other replica's page says who is in the room", seen)
	if err := room.ws.Close(); err != nil {
		t.Fatal(err)
	}
	other := b.live("board", dialer, http.Header{"Origin": {b.URL()}})
	until(t, "the socket is open", func() bool { return other.has("hello") })
	a.form("/people/bo/disable", nil)
	until(t, "the removed person's socket is closed on the other replica", func() bool { return other.closed() == 4401 })
}

// TestOutage: while the store does not answer everything is shown, nothing is
// acknowledged, and nobody ends; afterwards everything goes on and nothing that
// was acknowledged is missing.
func TestOutage(t *testing.T) {
	c := newCluster(t, 2)
	a, b := c.replicas[0], c.replicas[1]
	a.must("POST", "/api/v1/incidents", `{"title":"Before","severity":"SEV1"}`)
	until(t, "both have it", func() bool { code, _ := b.call("GET", "/api/v1/incidents/1", ""); return code == 200 })
	board := b.live("board", websocket.DefaultDialer, bearer(bootstrap))
	until(t, "the socket is open", func() bool { return board.has("hello") })
	c.power.cut()
	if code, out := a.call("POST", "/api/v1/incidents", `{"title":"At once","severity":"SEV1"}`); code != 503 {
		t.Errorf("without a store: %d %s", code, out)
	}
	for _, r := range c.replicas {
		until(t, "it is said that nothing is taken", func() bool {
			code, out := r.call("POST", "/api/v1/incidents", `{"title":"Later","severity":"SEV1"}`)
			return code == 503 && strings.Contains(out, "read_only")
		})
		if out := r.must("GET", "/api/v1/incidents/1", ""); !strings.Contains(out, "Before") {
			t.Errorf("not shown: %s", out)
		}
	}
	until(t, "nobody collects without a lease", func() bool { return !a.Collecting() && !b.Collecting() })
	c.power.on()
	for i, r := range c.replicas {
		title := fmt.Sprintf("After %d", i)
		until(t, "it is taken again", func() bool {
			code, _ := r.call("POST", "/api/v1/incidents", `{"title":"`+title+`","severity":"SEV1"}`)
			return code == 201
		})
	}
	until(t, "the live page goes on", func() bool { return board.has("After 0") && board.has("After 1") })
	until(t, "somebody collects", func() bool { return a.Collecting() != b.Collecting() })
	for _, r := range c.replicas {
		until(t, "everything is there", func() bool {
			out := r.must("GET", "/api/v1/incidents", "")
			return strings.Contains(out, "Before") && strings.Contains(out, "After 0") && strings.Contains(out, "After 1")
		})
		if out := r.must("GET", "/api/v1/incidents", ""); strings.Contains(out, "Later") {
			t.Error("what was refused happened")
		}
	}
	if board.closed() != 0 {
		t.Errorf("the socket was closed: %d", board.closed())
	}
	a.stop()
	b.stop()
	if _, err := eventlog.Verify(context.Background(), eventlog.Stored(c.db, "store"), eventlog.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}

// TestStoreThatIsNoneForUs: errors of the start say what to do and no password.
func TestStoreThatIsNoneForUs(t *testing.T) {
	conf := config.Default()
	conf.Addr, conf.Data, conf.Store = "127.0.0.1:0", t.TempDir(), config.NewStore("etcd://user:pa55word@test/room")
	ctx, cancel := context.WithCancel(t.Context())
	var tried int
	for name, open := range map[string]func(context.Context, string, *slog.Logger) (store.DB, error){
		"serve --store": nil,
		"majority": func(context.Context, string, *slog.Logger) (store.DB, error) {
			if tried++; tried == 2 {
				cancel() // waited long enough
			}
			return nil, errNoQuorum
		},
	} {
		_, err := app.New(ctx, app.Options{Config: conf, Logger: slog.New(slog.DiscardHandler), OpenStore: open})
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "pa55word") {
			t.Errorf("%v does not say %q", err, name)
		}
	}
	if tried != 2 {
		t.Errorf("tried %d times", tried)
	}
}
