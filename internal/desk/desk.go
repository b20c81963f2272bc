package desk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/app"
)

// Options of a Desk.
type Options struct {
	Dir     string // the user's directory for Tocsin: settings, the data of the room in this computer, what is kept of others
	Version string
	Environ []string     // settings of the room in this computer, as for the server: TOCSIN_…
	Log     *slog.Logger // nil: nothing is logged
	Shell   Shell
	Clock   func() time.Time // nil: time.Now

	AnswerIn time.Duration // of remote.Options; 0: its own
}

// Desk is the program behind the window. Its methods may be called at the same time.
type Desk struct {
	o    Options
	book *book
	gate *gate
	wait waiting

	mu       sync.Mutex
	changed  chan struct{} // closed and made anew whenever something below, a place's reach or the settings change
	wish     int64         // counts each wish for another room, or the same once more
	place    *place        // nil: none, or not yet
	failed   *trouble      // why there is none
	told     saying
	offered  string // a join link from outside that waits for a yes
	first    string // page asked for before there was a window
	page     string // that the window shows
	kiosk    bool   // this start is a wall, whatever the settings say
	withdraw map[string]bool
	ended    error
	patience time.Duration              // so long a room is away before somebody is told
	acts     chan func(context.Context) // done one after the other
	stages   stages
	opens    []time.Time // when pages of a room had something opened elsewhere
}

// waiting are the two moments that others wait for.
type waiting struct {
	ready chan struct{} // closed when the front answers
	over  chan struct{} // closed when Run has returned
}

// mostActs is how many presses of menu items and links wait at most; more are dropped.
const mostActs = 64

// New reads the settings and makes a Desk. Nothing runs or listens yet.
func New(o Options) (*Desk, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	b, said, err := openBook(o.Dir)
	if err != nil {
		return nil, err
	}
	d := &Desk{
		o: o, book: b, gate: newGate(o.Clock), changed: make(chan struct{}), acts: make(chan func(context.Context), mostActs), withdraw: map[string]bool{}, patience: tellAway,
		wait: waiting{ready: make(chan struct{}), over: make(chan struct{})},
	}
	d.told = saying{"refused", said, false}
	if b.read().Mode == Unchosen && d.hasHere() && len(b.read().Rooms) == 0 { // from before rooms could be chosen
		b.later(func(s *Settings) { s.Mode = Here })
	}
	return d, nil
}

// hasHere reports whether there is a room in this computer already.
func (d *Desk) hasHere() bool {
	_, err := os.Stat(filepath.Join(d.o.Dir, app.StoreFile))
	return err == nil
}

// Run listens on loopback, opens the room that was chosen last, if any, and follows it until ctx ends; it returns when everything is closed and on disk.
// It is called once. A room that cannot be opened ends nothing: the pages say why.
func (d *Desk) Run(ctx context.Context) (err error) {
	defer func() {
		d.ended = errors.Join(err, d.book.flush())
		close(d.wait.over)
		err = d.ended
	}()
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on loopback: %w", err)
	}
	d.gate.opens(ln.Addr().String())
	d.begin()
	g, ctx := errgroup.WithContext(ctx)
	// What goes on as long as the page is there ends with the program, so Shutdown does not wait for it.
	server := d.server(d.front(ctx))
	defer d.closeStages()
	g.Go(func() error {
		close(d.wait.ready)
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve the window: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		d.closeStages()
		return server.Close()
	})
	g.Go(func() error { return d.keepPlace(ctx) })
	g.Go(func() error { return d.act(ctx) })
	return g.Wait()
}

// begin tells the Shell what was remembered.
func (d *Desk) begin() {
	s := d.book.read()
	d.o.Shell.Zoom(s.zoom())
	d.o.Shell.Title("Tocsin")
	if d.Kiosk() {
		d.o.Shell.Kiosk(true)
	}
	d.minded()
}

// act does what was asked for by the menu and by links, one after the other, and writes what may be written later.
func (d *Desk) act(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case f := <-d.acts:
			f(ctx)
		case <-tick.C:
			if err := d.book.flush(); err != nil {
				d.o.Log.Error("write the settings", "err", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// soon has f done by act. When too much waits already, it is dropped: somebody leans on a key.
func (d *Desk) soon(f func(ctx context.Context)) {
	select {
	case d.acts <- f:
	default:
	}
}

// Ready returns when the front answers, which is before the room does. Its error is what Run ended with, or that of ctx.
func (d *Desk) Ready(ctx context.Context) error {
	select {
	case <-d.wait.ready:
		return nil
	case <-d.wait.over:
		return d.ended
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Entry is an address that the window may open once within 30 seconds, and that leads to a page of the front; "" is where the window was last, or the
// question which room at the first start. It is a secret: never to be logged. Call it after Ready.
func (d *Desk) Entry(page string) (string, error) {
	select {
	case <-d.wait.ready:
	default:
		return "", errors.New("enter the front: it does not answer yet")
	}
	if page == "" {
		page = d.home()
	}
	return d.gate.issue(localPage(page)), nil
}

// home is the page of a fresh window.
func (d *Desk) home() string {
	d.mu.Lock()
	first := d.first
	d.first = ""
	d.mu.Unlock()
	s := d.book.read()
	switch {
	case first != "":
		return first
	case s.Mode == Unchosen:
		return "/.desk/start"
	case d.Kiosk():
		return "/wall"
	case s.Last != "":
		return s.Last
	}
	return "/"
}

// Window is where the window was last.
func (d *Desk) Window() WindowState { return d.book.read().Window }

// KeepWindow remembers it; it may be called often.
func (d *Desk) KeepWindow(w WindowState) {
	if w.Width > 0 && w.Height > 0 {
		d.book.later(func(s *Settings) { s.Window = w })
	}
}

// Kiosk reports whether this start is a wall on the full screen: by --kiosk or by the settings.
func (d *Desk) Kiosk() bool {
	d.mu.Lock()
	forced := d.kiosk
	d.mu.Unlock()
	return forced || d.book.read().Kiosk
}

// news wakes whoever follows the state.
func (d *Desk) news() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.newsLocked()
}

func (d *Desk) newsLocked() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// saying is one sentence that waits to be told.
type saying struct {
	kind, text string // kind is told, done or refused
	own        bool   // by the page of ours that comes next, not by the one that is shown
}

// tell leaves a sentence for whichever page is shown or comes next.
func (d *Desk) tell(kind, sentence string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = saying{kind, sentence, false}
	d.newsLocked()
}

// set changes the settings and wakes whoever follows them. On an error the settings are as they were and a sentence is returned.
func (d *Desk) set(f func(*Settings)) (refusal string) {
	if err := d.book.change(f); err != nil {
		d.o.Log.Error("write the settings", "err", err)
		return "This computer could not write the settings to its disk. Nothing was changed. Look whether the disk is full."
	}
	d.news()
	d.o.Shell.MenuChanged()
	return ""
}

// choose turns to another room, or to the same once more; the one that is open is out of reach from now on.
func (d *Desk) choose(f func(*Settings)) (refusal string) {
	if said := d.set(f); said != "" {
		return said
	}
	d.again()
	return ""
}

func (d *Desk) again() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wish++
	d.place, d.failed = nil, nil
	d.newsLocked()
}

// forget removes a room elsewhere and what is kept of it.
func (d *Desk) forget(id string) (refusal string) {
	s := d.book.read()
	r, ok := s.remote(id)
	if !ok {
		return "This room is not remembered any more."
	}
	change := func(s *Settings) {
		s.Rooms = slices.DeleteFunc(s.Rooms, func(r Remote) bool { return r.ID == id })
	}
	if s.Mode == Joined && s.Room == id {
		old := d.now()
		if said := d.choose(func(s *Settings) { change(s); s.Mode, s.Room, s.Last = Unchosen, "", "" }); said != "" {
			return said
		}
		if old != nil {
			<-old.gone
		}
	} else if said := d.set(change); said != "" {
		return said
	}
	d.closeStage(Settings{Mode: Joined, Room: id}.key())
	if err := os.RemoveAll(d.roomDir(r.ID)); err != nil {
		d.o.Log.Error("remove what is kept of a room", "err", err)
		return "The room is forgotten, but what is kept of it could not be removed. Delete this directory by hand: " + d.roomDir(r.ID)
	}
	return ""
}

func (d *Desk) roomDir(id string) string { return filepath.Join(d.o.Dir, "desk", "rooms", id) }

// now is the place that is open; nil when there is none.
func (d *Desk) now() *place {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.place
}
