package desk

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// stages are the origins at which rooms are shown: one listener on loopback for each room, apart from that of the front's own pages. What a room brings
// runs as its own origin, so that a hostile one reaches neither the front's pages, nor another room, nor what pages of another room left in the browser.
// Cookies do not know ports, so the cookie of this run opens all of them; the origin tells them apart.
type stages struct {
	mu   sync.Mutex
	open map[string]*stage // by key of the room
	over bool
	wg   sync.WaitGroup
}

type stage struct {
	key    string
	origin string // http://127.0.0.1:PORT
	server *http.Server
}

const hereKey = "here"

// key names the room that is chosen; "" = none is.
func (s Settings) key() string {
	switch s.Mode {
	case Here:
		return hereKey
	case Joined:
		return "room/" + s.Room
	}
	return ""
}

func (p *place) key() string { return Settings{Mode: p.mode, Room: p.id}.key() }

// server answers on a listener of ours.
func (d *Desk) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		DisableGeneralOptionsHandler: true,    // the gate judges all
		MaxHeaderBytes:               1 << 20, // a page cannot set so many cookies that the front is locked
		ErrorLog:                     slog.NewLogLogger(d.o.Log.Handler(), slog.LevelDebug),
	}
}

// stage is the origin of a room, which stays the same for this run. ctx ends what goes on as long as a page is there.
func (d *Desk) stage(ctx context.Context, key string) (*stage, error) {
	all := &d.stages
	all.mu.Lock()
	defer all.mu.Unlock()
	if s := all.open[key]; s != nil {
		return s, nil
	}
	if all.over {
		return nil, http.ErrServerClosed
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &stage{key: key, origin: "http://" + ln.Addr().String()}
	s.server = d.server(d.roomFront(ctx, s))
	if all.open == nil {
		all.open = map[string]*stage{}
	}
	all.open[key] = s
	all.wg.Go(func() {
		if err := s.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			d.o.Log.Error("serve the pages of a room", "err", err)
		}
	})
	return s, nil
}

// closeStages ends all of them and waits until nothing is served.
func (d *Desk) closeStages() {
	d.stages.mu.Lock()
	d.stages.over = true
	for _, s := range d.stages.open {
		_ = s.server.Close()
	}
	d.stages.mu.Unlock()
	d.stages.wg.Wait()
}

// closeStage ends that of a room which is forgotten.
func (d *Desk) closeStage(key string) {
	d.stages.mu.Lock()
	defer d.stages.mu.Unlock()
	if s := d.stages.open[key]; s != nil {
		_ = s.server.Close()
		delete(d.stages.open, key)
	}
}

// Ours reports whether the window may show an address: one of the front or of the room that it shows, and no other server of this computer.
func (d *Desk) Ours(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.User != nil {
		return false
	}
	if d.gate.opened(u.Host) {
		return true
	}
	d.stages.mu.Lock()
	defer d.stages.mu.Unlock()
	for _, s := range d.stages.open {
		if s.origin == "http://"+u.Host {
			return true
		}
	}
	return false
}

// whereTo is the full address of a page; of the front when there is no room.
func (d *Desk) whereTo(ctx context.Context, page string) string {
	key := d.book.read().key()
	if key == "" || own(strings.SplitN(page, "?", 2)[0]) {
		return page
	}
	s, err := d.stage(ctx, key)
	if err != nil {
		d.o.Log.Error("listen for the pages of a room", "err", err)
		return page
	}
	return s.origin + page
}

// own reports whether a path is of the front itself.
func own(path string) bool { return path == "/.desk" || strings.HasPrefix(path, "/.desk/") }

// roomFront is all that pages of one room ever talk to: the room, and the few calls of its page that concern itself.
func (d *Desk) roomFront(ctx context.Context, s *stage) http.Handler {
	calls := http.NewServeMux()
	for _, r := range d.calls(ctx, s.key) {
		calls.HandleFunc(r.pattern, r.answer)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.gate.admit(r, strings.TrimPrefix(s.origin, "http://")) {
			refuse(w, r)
			return
		}
		r.Header.Del("Cookie")
		if r.Header.Get("Service-Worker") != "" { // what a worker of the room keeps would outlive it; here the front keeps
			http.NotFound(w, r)
			return
		}
		if own(r.URL.Path) {
			guard(w)
			if _, known := calls.Handler(r); known != "" {
				r.Body = http.MaxBytesReader(w, r.Body, mostForm)
				calls.ServeHTTP(w, r)
				return
			}
			d.across(w, r, r.URL.RequestURI())
			return
		}
		if key := d.book.read().key(); key != s.key {
			guard(w)
			d.across(w, r, "/")
			return
		}
		if s.key != hereKey { // that room is of this program
			w.Header().Add("Content-Security-Policy", wall)
		}
		d.pass(w, r, s)
	})
}

// across leads a page of a room to one of the front's. It is a page and not a redirect: a form of the room may not lead to another origin.
func (d *Desk) across(w http.ResponseWriter, r *http.Request, page string) {
	if !document(r) {
		problem(w, http.StatusNotFound, "not_here", "This is not for pages of a room.")
		return
	}
	bridge(w, d.gate.origin()+localPage(page))
}

// wall is what pages of a room elsewhere may never do, whatever the room allows them: send or fetch anything elsewhere, other servers of this computer included,
// which would be given the cookie of this run. The room's own policy holds beside it.
const wall = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self'; worker-src 'none'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'self'"
