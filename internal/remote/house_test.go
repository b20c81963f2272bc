package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/outbox"
)

const bootstrap = "a-bootstrap-token-of-the-tests"

// house is a real Tocsin behind a line that can be cut.
type house struct {
	t    *testing.T
	app  *app.App
	line *line
	base *url.URL
}

func newHouse(t *testing.T) *house {
	t.Helper()
	c := config.Default()
	c.Addr, c.Data = "127.0.0.1:0", t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	a, err := app.New(ctx, app.Options{Config: c, Version: "test", Logger: slog.New(slog.DiscardHandler), BootstrapToken: bootstrap})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	if err := a.WaitReady(ctx, time.Minute); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("stop: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	h := &house{t: t, app: a, line: newLine(t, a.Addr())}
	h.base = parse(t, "http://"+h.line.addr)
	return h
}

// call is a program's, past the line.
func (h *house) call(method, path, body string) string {
	h.t.Helper()
	req := request(h.t, method, "http://"+h.app.Addr()+path, body, "Authorization", "Bearer "+bootstrap, "Content-Type", "application/json")
	res, out := fetch(h.t, http.DefaultClient, req)
	if res.StatusCode >= 300 {
		h.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, out)
	}
	return out
}

func (h *house) declare(title string) int {
	var got struct {
		Number int `json:"number"`
	}
	if err := json.Unmarshal([]byte(h.call("POST", "/api/v1/incidents", fmt.Sprintf(`{"title":%q,"severity":"SEV2"}`, title))), &got); err != nil {
		h.t.Fatal(err)
	}
	return got.Number
}

func (h *house) note(n int, text string) {
	h.call("POST", fmt.Sprintf("/api/v1/incidents/%d/commands", n), fmt.Sprintf(`{"command":"add_note","args":{"text":%q}}`, text))
}

// desk is what desk makes of a Room: served on loopback, signed in, and run.
type deskOf struct {
	*Room
	h    *house
	s    *httptest.Server
	c    *http.Client
	box  *takes
	stop func()
}

func (h *house) desk(dir string, keep bool) *deskOf {
	h.t.Helper()
	return h.deskWith(Options{Base: h.base, Dir: dir, Keep: keep, Insert: `<meta name="desk" content="joined">`})
}

func (h *house) deskWith(o Options) *deskOf {
	h.t.Helper()
	box := &takes{}
	o.Notes = box
	r, s, c := front(h.t, o)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	var once sync.Once
	d := &deskOf{Room: r, h: h, s: s, c: c, box: box, stop: func() {
		once.Do(func() {
			cancel()
			if err := <-ran; err != nil {
				h.t.Errorf("run: %v", err)
			}
		})
	}}
	h.t.Cleanup(d.stop)
	return d
}

// signIn uses the owner's link as a person does.
func (d *deskOf) signIn() {
	d.h.t.Helper()
	link, err := d.h.app.OwnerLink(d.h.t.Context())
	if err != nil {
		d.h.t.Fatal(err)
	}
	form := url.Values{"handle": {"ana"}, "name": {"Ana"}}.Encode()
	res, body := fetch(d.h.t, d.c, request(d.h.t, "POST", d.s.URL+parse(d.h.t, link).Path, form, "Content-Type", "application/x-www-form-urlencoded", "Origin", d.s.URL))
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Set-Cookie") != "" || !d.Reach().SignedIn {
		d.h.t.Fatalf("signing in: %d %v %s", res.StatusCode, res.Header, body)
	}
}

func (d *deskOf) get(path string) (*http.Response, string) {
	d.h.t.Helper()
	return fetch(d.h.t, d.c, request(d.h.t, "GET", d.s.URL+path, "", "Accept", "text/html"))
}

func (d *deskOf) post(path, body string) (int, string) {
	d.h.t.Helper()
	page, err := io.ReadAll(must(d.h.t, d.c, d.s.URL+"/incidents"))
	if err != nil {
		d.h.t.Fatal(err)
	}
	res, out := fetch(d.h.t, d.c, request(d.h.t, "POST", d.s.URL+path, body, "Content-Type", "application/json", "Accept", "application/json", "X-Tocsin-CSRF", parseHead(page).csrf, "Origin", d.s.URL))
	return res.StatusCode, out
}

func must(t *testing.T, c *http.Client, url string) io.Reader {
	_, body := fetch(t, c, request(t, "GET", url, "", "Accept", "text/html"))
	return strings.NewReader(body)
}

// live opens the socket of a page.
func (d *deskOf) live(query string) *websocket.Conn {
	d.h.t.Helper()
	c, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(d.s.URL, "http")+"/live?"+query, http.Header{"Origin": {d.s.URL}})
	if err != nil {
		d.h.t.Fatalf("%v %v", err, res)
	}
	d.h.t.Cleanup(func() { c.Close() })
	return c
}

// hear reads until a message fits; the socket's end is not expected.
func hear(t *testing.T, c *websocket.Conn, fits func(m message, raw string) bool) message {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var m message
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if fits(m, string(b)) {
			return m
		}
	}
}

// takes is an outbox in memory.
type takes struct {
	mu    sync.Mutex
	notes []outbox.Note
	err   error
}

func (b *takes) Add(_ context.Context, n outbox.Note) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.notes = append(b.notes, n)
	}
	return b.err
}

func (b *takes) all() []outbox.Note {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.notes
}

// line carries TCP to a server, can be cut and go silent, and stands at one address.
type line struct {
	t        *testing.T
	addr, to string

	mu     sync.Mutex
	l      net.Listener
	open   map[net.Conn]bool
	silent bool
	deaf   bool // what the server says does not arrive
	wg     sync.WaitGroup
}

func newLine(t *testing.T, to string) *line {
	x := &line{t: t, to: to, open: map[net.Conn]bool{}}
	for x.l == nil { // a port that the system gives to nobody by itself stays free while the line is cut
		x.addr = fmt.Sprint("127.0.0.1:", 10000+rand.IntN(22000))
		if l, err := net.Listen("tcp", x.addr); err == nil {
			x.carries(l)
		}
	}
	t.Cleanup(func() { x.cut(); x.wg.Wait() })
	return x
}

func (x *line) connect() {
	x.t.Helper()
	var l net.Listener
	until(x.t, "the line is at its address again", patience, func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", x.addr)
		return err == nil
	})
	x.carries(l)
}

func (x *line) carries(l net.Listener) {
	x.mu.Lock()
	x.l, x.silent, x.deaf = l, false, false
	x.mu.Unlock()
	x.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			x.wg.Go(func() { x.carry(c) })
		}
	})
}

func (x *line) carry(c net.Conn) {
	s, err := net.Dial("tcp", x.to)
	if err != nil {
		c.Close()
		return
	}
	x.mu.Lock()
	x.open[c], x.open[s] = true, true
	x.mu.Unlock()
	pass := func(dst, src net.Conn, deafens bool) {
		defer dst.Close()
		drops := func() bool { x.mu.Lock(); defer x.mu.Unlock(); return x.silent || deafens && x.deaf }
		b := make([]byte, 32<<10)
		for {
			n, err := src.Read(b)
			for err != nil && drops() { // the end does not arrive either
				time.Sleep(5 * time.Millisecond)
			}
			if err != nil {
				return
			}
			if drops() {
				continue
			}
			if _, err := dst.Write(b[:n]); err != nil {
				return
			}
		}
	}
	x.wg.Go(func() { pass(s, c, false) })
	pass(c, s, true)
	x.mu.Lock()
	delete(x.open, c)
	delete(x.open, s)
	x.mu.Unlock()
}

// cut ends everything; nobody listens any more.
func (x *line) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.l.Close()
	x.silent, x.deaf = false, false
	for c := range x.open {
		c.Close()
	}
}

// hush drops every byte, and the ends of connections, as a network that broke does.
func (x *line) hush(silent, deaf bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.silent, x.deaf = silent, deaf
}

// mend lets every byte pass again, and ends the connections that lost some.
func (x *line) mend() {
	x.hush(false, false)
	x.mu.Lock()
	defer x.mu.Unlock()
	for c := range x.open {
		c.Close()
	}
}
