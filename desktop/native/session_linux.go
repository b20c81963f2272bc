package native

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// SessionOptions say what a Session is to its desktop.
type SessionOptions struct {
	Name    string // as people read it
	Entry   string // name of the .desktop file without its ending
	Address string // of the session bus; "" is the user's own
	Chosen  func(Choice)
	Log     *slog.Logger
}

// Session is what the user's session offers over D-Bus, and what there is without: each method says what is wanted, and Run brings it about and keeps
// it so when a service or the bus comes late, goes or comes back. No method blocks.
type Session struct {
	o    SessionOptions
	wake chan struct{}

	mu     sync.Mutex
	want   map[string]wanted
	todo   []string // keys of want that Run has not looked at yet, oldest first; each once
	badge  badge
	awake  bool
	silent map[string]bool // complaints made already
}

type wanted struct {
	note Note
	at   time.Time
}

type badge struct {
	count  int
	urgent bool
}

const (
	answersWithin = 5 * time.Second
	searchFirst   = time.Second // for a bus that is not there, then in doubling steps
	searchLast    = 30 * time.Second
	staleAfter    = 30 * time.Second // a note that is not sticky and could not be shown
)

// NewSession returns a Session that does nothing before Run.
func NewSession(o SessionOptions) *Session {
	if o.Chosen == nil {
		o.Chosen = func(Choice) {}
	}
	o.Log = cmp.Or(o.Log, slog.Default())
	return &Session{o: o, wake: make(chan struct{}, 1), want: map[string]wanted{}, silent: map[string]bool{}}
}

// Show puts a note on the screen, in place of an earlier one of its key. Of more than a hundred the oldest go.
func (s *Session) Show(n Note) {
	n.Title, n.Body = cut(n.Title, maxTitle), cut(n.Body, maxBody)
	s.mu.Lock()
	s.want[n.Key] = wanted{n, time.Now()}
	s.again(n.Key)
	if len(s.want) > maxNotes {
		oldest := ""
		for key, w := range s.want {
			if oldest == "" || w.at.Before(s.want[oldest].at) {
				oldest = key
			}
		}
		delete(s.want, oldest)
		s.again(oldest)
	}
	s.mu.Unlock()
	s.nudge()
}

// Withdraw takes a note from the screen; one that is not there is no error.
func (s *Session) Withdraw(key string) {
	s.mu.Lock()
	delete(s.want, key)
	s.again(key)
	s.mu.Unlock()
	s.nudge()
}

// Badge puts a number on the program's icon, where there is a place for one; 0 takes it away.
func (s *Session) Badge(count int, urgent bool) {
	s.mu.Lock()
	s.badge = badge{count, urgent}
	s.mu.Unlock()
	s.nudge()
}

// Awake keeps the display on, or lets it sleep again.
func (s *Session) Awake(on bool) {
	s.mu.Lock()
	s.awake = on
	s.mu.Unlock()
	s.nudge()
}

// again queues a key for Run. The caller holds mu.
func (s *Session) again(key string) {
	for _, k := range s.todo {
		if k == key {
			return
		}
	}
	s.todo = append(s.todo, key)
}

func (s *Session) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // Run looks at everything anyway
	}
}

// once logs a complaint the first time.
func (s *Session) once(ctx context.Context, sentence string, err error) {
	s.mu.Lock()
	said := s.silent[sentence]
	s.silent[sentence] = true
	s.mu.Unlock()
	if !said && ctx.Err() == nil {
		s.o.Log.InfoContext(ctx, sentence, "err", err)
	}
}

// Run brings about what is wanted until ctx ends; then it takes back notes and lets the display sleep.
func (s *Session) Run(ctx context.Context) error {
	screen := &screen{}
	defer screen.sleep()
	search := searchFirst
	for ctx.Err() == nil {
		c, err := s.connect(ctx)
		if err != nil {
			s.once(ctx, "this session has no D-Bus: no notifications, only sound and the window's title", err)
			s.alone(ctx, screen, search)
			search = min(2*search, searchLast)
			continue
		}
		search = searchFirst
		s.serve(ctx, newDialog(s, c), screen)
	}
	return nil
}

// connect joins the session's bus. It starts none.
func (s *Session) connect(ctx context.Context) (c *dbus.Conn, err error) {
	// The connection outlives ctx: notes are taken back over it.
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	late := time.AfterFunc(answersWithin, cut)
	defer late.Stop()
	defer context.AfterFunc(ctx, cut)()
	// In order of arrival: that a note is closed must not be heard before its button.
	options := []dbus.ConnOption{dbus.WithContext(life), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler())}
	if s.o.Address != "" {
		c, err = dbus.Dial(s.o.Address, options...)
	} else {
		c, err = dbus.SessionBusPrivateNoAutoStartup(options...)
	}
	if err != nil {
		return nil, err
	}
	if err = c.Auth(nil); err == nil {
		err = c.Hello()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// alone is life without a bus, until it is time to look for one again.
func (s *Session) alone(ctx context.Context, x *screen, within time.Duration) {
	search := time.NewTimer(within)
	defer search.Stop()
	for {
		s.mu.Lock()
		awake := s.awake
		for _, key := range s.todo {
			if w, ok := s.want[key]; ok && !w.note.Sticky {
				delete(s.want, key) // what is new is nothing by the time somebody can show it
			}
		}
		s.todo = nil
		s.mu.Unlock()
		s.keepScreen(ctx, x, awake)
		select {
		case <-ctx.Done():
			return
		case <-search.C:
			return
		case <-s.wake:
		}
	}
}

func (s *Session) keepScreen(ctx context.Context, x *screen, awake bool) {
	if !awake {
		x.sleep()
		return
	}
	if err := x.wake(ctx); err != nil {
		s.once(ctx, "nothing here can keep the display awake: switch its saver off in the settings of the computer", err)
	}
}

// serve does what is wanted over one connection, until it breaks or ctx ends.
func (s *Session) serve(ctx context.Context, d *dialog, x *screen) {
	defer d.c.Close()
	signals := make(chan *dbus.Signal, 64)
	d.c.Signal(signals)
	if err := d.listen(ctx); err != nil {
		s.once(ctx, "listen to the session's services", err)
	}
	s.mu.Lock()
	s.todo = nil
	for key := range s.want {
		s.todo = append(s.todo, key)
	}
	s.mu.Unlock()
	for {
		s.settle(ctx, d, x)
		select {
		case <-ctx.Done():
			d.leave()
			return
		case sig, ok := <-signals:
			if !ok {
				return
			}
			d.heard(sig)
		case <-s.wake:
		}
	}
}

// settle makes the desktop what is wanted.
func (s *Session) settle(ctx context.Context, d *dialog, x *screen) {
	s.mu.Lock()
	todo, awake, number := s.todo, s.awake, s.badge
	s.todo = nil
	s.mu.Unlock()
	d.setBadge(number)
	for _, key := range todo {
		s.mu.Lock()
		w, ok := s.want[key]
		if ok && !w.note.Sticky && time.Since(w.at) > staleAfter {
			delete(s.want, key)
			ok = false
		}
		s.mu.Unlock()
		if !ok {
			d.close(ctx, key)
			continue
		}
		if err := d.notify(ctx, w.note); err != nil {
			s.once(ctx, "the desktop shows no notifications: only sound and the window's title", err)
		}
	}
	if d.keepAwake(ctx, awake) {
		x.sleep()
	} else {
		s.keepScreen(ctx, x, awake)
	}
}

// forget drops what was wanted of a key, unless it changed since.
func (s *Session) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.todo {
		if k == key {
			return
		}
	}
	delete(s.want, key)
}
