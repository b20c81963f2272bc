package desk

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/internal/config"
)

// shell is a window system that only remembers.
type shell struct {
	mu      sync.Mutex
	changed chan struct{}
	calls   []string // "go /", "title …"
	notices map[string]attention.Notice
	auto    error
}

func newShell() *shell {
	return &shell{changed: make(chan struct{}), notices: map[string]attention.Notice{}}
}

func (s *shell) note(text string) { s.with(func() { s.calls = append(s.calls, text) }) }

func (s *shell) with(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *shell) Go(path string)      { s.note("go " + path) }
func (s *shell) Run(script string)   { s.note("run " + script) }
func (s *shell) Browse(url string)   { s.note("browse " + url) }
func (s *shell) Title(t string)      { s.note("title " + t) }
func (s *shell) Badge(int, string)   {}
func (s *shell) Sound(wave []byte)   { s.note("sound") }
func (s *shell) Awake(bool)          {}
func (s *shell) Fullscreen(bool)     {}
func (s *shell) Kiosk(on bool)       { s.note("kiosk") }
func (s *shell) Raise()              { s.note("raise") }
func (s *shell) Quit()               { s.note("quit") }
func (s *shell) Print()              { s.note("print") }
func (s *shell) SavePDF(name string) { s.note("pdf " + name) }
func (s *shell) Zoom(float64)        {}
func (s *shell) MenuChanged()        {}
func (s *shell) Withdraw(key string) {
	s.with(func() { delete(s.notices, key); s.calls = append(s.calls, "withdraw "+key) })
}
func (s *shell) Notify(n attention.Notice) {
	s.with(func() { s.notices[n.Key] = n; s.calls = append(s.calls, "notify "+n.Key) })
}
func (s *shell) Autostart(on bool, args []string) error {
	s.note("autostart " + strings.Join(args, " "))
	return s.auto
}

// until waits until ok says so of what the shell was told.
func (s *shell) until(t *testing.T, what string, ok func(*shell) bool) {
	t.Helper()
	late := time.After(45 * time.Second)
	for {
		s.mu.Lock()
		done, changed := ok(s), s.changed
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-late:
			s.mu.Lock()
			defer s.mu.Unlock()
			t.Fatalf("%s: never; the window was told %q", what, s.calls)
		}
	}
}

// told is everything so far.
func (s *shell) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *shell) said(call string) func(*shell) bool {
	return func(s *shell) bool { return slices.Contains(s.calls, call) }
}

// safeBuffer is a log that may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// answerWithin is how long a look at a room waits here: a machine that stands still for some seconds is not a room that is away.
const answerWithin = 20 * time.Second

// house is a running Desk with its window.
type house struct {
	*testing.T
	d     *Desk
	shell *shell
	log   *safeBuffer
	stop  func()
}

// start runs a Desk on dir until the test ends, or stop is called.
func start(t *testing.T, dir string, change ...func(*Options)) *house {
	t.Helper()
	h := &house{T: t, shell: newShell(), log: new(safeBuffer)}
	o := Options{Dir: dir, Version: "test", Shell: h.shell, AnswerIn: answerWithin, Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&o)
	}
	var err error
	if h.d, err = New(o); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- h.d.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		end()
		select {
		case err := <-over:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(45 * time.Second):
			t.Error("Run did not return within 45 s")
		}
		for _, secret := range []string{h.d.gate.cookie, enterPath, "join/join_", "wall/wall_", "tocsin_session"} {
			if strings.Contains(h.log.String(), secret) {
				t.Errorf("the log holds %.15s…", secret)
			}
		}
	})
	t.Cleanup(h.stop)
	if err := h.d.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// window is a browser that entered.
type window struct {
	h      *house
	client *http.Client
	origin string // of the front's own pages
	room   string // that of the room which is shown; "" = none was yet
}

var refreshTo = regexp.MustCompile(`^0; url=(.*)$`)

// enter opens a window at a page and returns what it shows.
func (h *house) enter(page string) (*window, *shown) {
	h.Helper()
	entry, err := h.d.Entry(page)
	if err != nil {
		h.Fatal(err)
	}
	u, _ := url.Parse(entry)
	jar, _ := cookiejar.New(nil)
	w := &window{h: h, origin: "http://" + u.Host, client: &http.Client{Jar: jar, Timeout: 60 * time.Second, CheckRedirect: asBrowser}}
	first := w.ask(http.MethodGet, u.RequestURI(), nil, nil)
	if first.path == u.RequestURI() {
		h.Fatalf("the entry answers %d and leads to %q", first.status, first.header.Get("Refresh"))
	}
	return w, w.get(first.path)
}

// asBrowser follows a redirect as browsers do: the request says where it comes from, and is a navigation.
func asBrowser(req *http.Request, via []*http.Request) error {
	req.Header.Del("Origin")
	if req.URL.Host != via[0].URL.Host {
		req.Header.Set("Sec-Fetch-Site", "same-site")
		req.Header.Set("Sec-Fetch-Mode", "navigate")
	}
	if len(via) > 10 {
		return http.ErrUseLastResponse
	}
	return nil
}

// at is the origin that a path is asked of: that of the front, or of the room.
func (w *window) at(path string) string {
	if w.room == "" || own(strings.SplitN(path, "?", 2)[0]) {
		return w.origin
	}
	return w.room
}

// shown is an answer.
type shown struct {
	status int
	path   string // where redirects ended, with the query
	header http.Header
	body   string
}

// get opens a page as a navigation, and again while it says that the room is being opened.
func (w *window) get(path string) *shown {
	w.h.Helper()
	for {
		s := w.ask(http.MethodGet, path, nil, map[string]string{"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"})
		if s.header.Get("Refresh") != "1" {
			return s
		}
	}
}

// post sends a form of a page.
func (w *window) post(path string, form url.Values) *shown {
	w.h.Helper()
	s := w.ask(http.MethodPost, path, strings.NewReader(form.Encode()), map[string]string{
		"Content-Type": "application/x-www-form-urlencoded", "Origin": w.at(path), "Sec-Fetch-Site": "same-origin", "Accept": "text/html", "Sec-Fetch-Dest": "document",
	})
	if s.header.Get("Refresh") == "1" {
		return w.get(s.path)
	}
	return s
}

// send sends JSON as the scripts of the pages do.
func (w *window) send(path, body string, more ...string) *shown {
	w.h.Helper()
	head := map[string]string{"Content-Type": "application/json", "Accept": "application/json", "Origin": w.at(path), "Sec-Fetch-Site": "same-origin"}
	for i := 0; i+1 < len(more); i += 2 {
		head[more[i]] = more[i+1]
	}
	return w.ask(http.MethodPost, path, strings.NewReader(body), head)
}

func (w *window) ask(method, path string, body io.Reader, head map[string]string) *shown {
	w.h.Helper()
	return w.askAt(w.at(path), method, path, body, head)
}

// askAt asks one of the origins, and follows redirects and pages that lead on at once.
func (w *window) askAt(origin, method, path string, body io.Reader, head map[string]string) *shown {
	w.h.Helper()
	req, err := http.NewRequestWithContext(w.h.Context(), method, origin+path, body)
	if err != nil {
		w.h.Fatal(err)
	}
	for k, v := range head {
		req.Header.Set(k, v)
	}
	res, err := w.client.Do(req)
	if err != nil {
		w.h.Fatalf("%s %s: %v", method, req.URL.Path, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.h.Fatal(err)
	}
	at := res.Request.URL
	if !own(at.Path) && "http://"+at.Host != w.origin {
		w.room = "http://" + at.Host
	}
	if m := refreshTo.FindStringSubmatch(res.Header.Get("Refresh")); m != nil {
		to, err := at.Parse(m[1])
		if err != nil {
			w.h.Fatal(err)
		}
		return w.askAt("http://"+to.Host, http.MethodGet, to.RequestURI(), nil,
			map[string]string{"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-site", "Accept": "text/html"})
	}
	return &shown{res.StatusCode, at.RequestURI(), res.Header, string(raw)}
}

func (s *shown) want(t testing.TB, status int, path string, has ...string) *shown {
	t.Helper()
	if s.status != status || path != "" && s.path != path {
		t.Fatalf("got %d at %.40s, want %d at %s; it says: %.600s", s.status, s.path, status, path, words(s.body))
	}
	for _, h := range has {
		if !strings.Contains(s.body, h) {
			t.Fatalf("%s does not say %q: %.1500s", s.path, h, words(s.body))
		}
	}
	return s
}

var tags = regexp.MustCompile(`(?s)<head>.*</head>|<[^>]*>|\s+`)

// words is a page without its markup, for failures.
func words(page string) string {
	return strings.Join(strings.Fields(tags.ReplaceAllString(page, " ")), " ")
}

// found makes the room in this computer and joins it as Ana; the window shows the board.
func (h *house) found() *window {
	h.Helper()
	w, s := h.enter("")
	s.want(h, 200, "/.desk/start", "Which room?")
	s = w.post("/.desk/here", nil)
	if s.status != 200 || !strings.HasPrefix(s.path, "/join/") {
		h.Fatalf("after the choice the window is at %.12s (%d): %.300s", s.path, s.status, words(s.body))
	}
	w.post(s.path, url.Values{"name": {"Ana Ruiz"}, "handle": {"ana"}, "txn": {field(h, s.body, "txn")}}).want(h, 200, "/", "Open incidents")
	return w
}

func field(t testing.TB, page, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("the page has no field %s: %.300s", name, words(page))
	}
	return m[1]
}

// freePort is a port that nobody uses now, and none of those that the system gives to connections, so that nobody gets it by chance meanwhile.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 10000 + rand.IntN(22000) // below 32768
		if ln, err := net.Listen("tcp", ":"+strconv.Itoa(port)); err == nil {
			_ = ln.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// server is a Tocsin elsewhere, on loopback.
type server struct {
	app  *app.App
	stop func()
}

func serve(t *testing.T, dir, address, name string) *server {
	t.Helper()
	c := config.Default()
	c.Addr, c.Data, c.Organisation = address, dir, name
	a, err := app.New(t.Context(), app.Options{Config: c, Version: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- a.Run(ctx) }()
	s := &server{app: a, stop: sync.OnceFunc(func() {
		end()
		if err := <-over; err != nil {
			t.Errorf("the server: %v", err)
		}
	})}
	t.Cleanup(s.stop)
	if err := a.WaitReady(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	return s
}

// link is a sign-in link of the person whose server it is.
func (s *server) link(t *testing.T) string {
	t.Helper()
	link, err := s.app.OwnerLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// joinAs joins a server that nobody has joined yet; the window shows its board.
func (w *window) joinAs(s *server, handle string) {
	w.h.Helper()
	p := w.post("/.desk/join", url.Values{"address": {s.link(w.h.T)}})
	if p.status != 200 || !strings.HasPrefix(p.path, "/join/") {
		w.h.Fatalf("joining leads to %.12s (%d): %.300s", p.path, p.status, words(p.body))
	}
	w.post(p.path, url.Values{"name": {strings.ToUpper(handle)}, "handle": {handle}, "txn": {field(w.h, p.body, "txn")}}).want(w.h, 200, "/", "Open incidents")
}

// sizeOf is how many bytes are below a directory; -1 when there is none.
func sizeOf(t testing.TB, dir string) int64 {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		return -1
	}
	var n int64
	if err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		i, err := e.Info()
		if err == nil {
			n += i.Size()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
