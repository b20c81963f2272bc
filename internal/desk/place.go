package desk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/outbox"
	"github.com/tocsin-ops/tocsin/internal/remote"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

// answersWithin is long enough to fold a big log on a slow disk.
const answersWithin = 2 * time.Minute

// place is the room that stands behind the front now.
type place struct {
	mode Mode
	id   string // of a Remote
	name string
	base *url.URL // where the room answers
	room *remote.Room
	box  *outbox.Box   // of a room elsewhere, else nil
	app  *app.App      // of the room in this computer, else nil
	gone chan struct{} // closed when nothing of it runs any more

	network networkNow // what came of the network switch
}

// trouble is why there is no room, in words.
type trouble struct {
	sentence, remedy string
	again            bool
}

// keepPlace opens the room that is wanted, and another one whenever the wish changes, until ctx ends.
func (d *Desk) keepPlace(ctx context.Context) error {
	for {
		d.mu.Lock()
		wish, changed := d.wish, d.changed
		d.mu.Unlock()
		s := d.book.read()
		if s.Mode == Unchosen {
			d.quietly()
			if !d.turned(ctx, wish, changed) {
				return nil
			}
			continue
		}
		in, leave := context.WithCancel(ctx)
		over := make(chan error, 1)
		go func() { over <- d.stay(in, s, wish) }()
		var err error
		wanted := make(chan struct{})
		go func() {
			defer close(wanted)
			d.turned(in, wish, changed)
		}()
		select {
		case err = <-over:
			leave()
			<-wanted
		case <-wanted:
			leave()
			err = <-over
		}
		if ctx.Err() != nil {
			return nil
		}
		d.mu.Lock()
		still := d.wish == wish
		if still {
			d.place, d.failed = nil, explain(err)
			changed = d.changed
			d.newsLocked()
		}
		d.mu.Unlock()
		if still {
			d.o.Log.Error("the room ended", "err", err)
			d.quietly()
			if !d.retry(ctx, wish, changed) {
				return nil
			}
		}
	}
}

// wallRetry is how long a wall that nobody touches waits before it tries again to open a room.
const wallRetry = 10 * time.Second

// retry returns true when the room is to be opened again: when somebody wishes so, or on a wall by itself. It returns false when ctx ends.
func (d *Desk) retry(ctx context.Context, wish int64, changed <-chan struct{}) bool {
	if d.Kiosk() {
		again := time.AfterFunc(wallRetry, d.again)
		defer again.Stop()
	}
	return d.turned(ctx, wish, changed)
}

// turned returns true as soon as the wish is another one, and false when ctx ends.
func (d *Desk) turned(ctx context.Context, wish int64, changed <-chan struct{}) bool {
	for {
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
		d.mu.Lock()
		now := d.wish
		changed = d.changed
		d.mu.Unlock()
		if now != wish {
			return true
		}
	}
}

// stay opens the room and runs it until ctx ends; then everything of it is closed.
func (d *Desk) stay(ctx context.Context, s Settings, wish int64) (err error) {
	p := &place{mode: s.Mode, gone: make(chan struct{})}
	defer close(p.gone)
	g, ctx := errgroup.WithContext(ctx)
	if s.Mode == Here {
		err = d.openHere(ctx, g, s, p)
	} else {
		err = d.openRemote(s, p)
	}
	if err == nil {
		d.settled(ctx, g, p, wish)
	} else {
		g.Go(func() error { return err })
	}
	err = g.Wait()
	if p.box != nil {
		err = errors.Join(err, p.box.Close())
	}
	return err
}

// settled puts p behind the front and runs what follows it.
func (d *Desk) settled(ctx context.Context, g *errgroup.Group, p *place, wish int64) {
	g.Go(func() error { return p.room.Run(ctx) })
	g.Go(func() error {
		if p.mode == Here {
			d.enterHere(ctx, p)
		}
		d.mu.Lock()
		if d.wish == wish && ctx.Err() == nil {
			d.place = p
			d.newsLocked()
		}
		d.mu.Unlock()
		d.o.Shell.MenuChanged()
		return nil
	})
	g.Go(func() error { return d.watchReach(ctx, p) })
	g.Go(func() error { return d.attend(ctx, p) })
	if p.box != nil {
		g.Go(func() error { return d.sendNotes(ctx, p) })
	}
	if p.network.end != nil {
		g.Go(func() error { return d.watchCertificate(ctx, p) })
	}
}

// openRemote makes the way to a room elsewhere. It reaches for nothing.
func (d *Desk) openRemote(s Settings, p *place) (err error) {
	r, ok := s.remote(s.Room)
	if !ok {
		return errors.New("open the room: it is not remembered")
	}
	if p.base, err = baseOf(r.URL); err != nil {
		return err
	}
	p.id, p.name = r.ID, r.Name
	if p.box, err = outbox.Open(filepath.Join(d.roomDir(r.ID), "outbox")); err != nil {
		return err
	}
	if said := p.box.Damage(); said != "" {
		d.tell("refused", said)
	}
	p.room, err = remote.Open(remote.Options{
		Base: p.base, Pin: r.Pin, Dir: filepath.Join(d.roomDir(r.ID), "kept"), Keep: true, Notes: p.box,
		Log: d.o.Log.With("component", "remote"), Insert: inserted("joined"), Clock: d.o.Clock, AnswerIn: d.o.AnswerIn,
	})
	return err
}

// openHere starts the room in this computer and returns when it answers. What runs belongs to g.
func (d *Desk) openHere(ctx context.Context, g *errgroup.Group, s Settings, p *place) error {
	c, err := config.Load("", d.o.Environ)
	if err != nil {
		return err
	}
	c.Addr, c.Data, c.PublicURL, c.TLS = fmt.Sprintf("127.0.0.1:%d", s.Port), d.o.Dir, "", config.TLS{}
	var also []net.Listener
	if s.Network.On {
		if p.network = d.listenNetwork(s.Network); p.network.ln != nil {
			c.PublicURL, also = p.network.url, []net.Listener{p.network.ln}
		}
	}
	if err := c.Validate(); err != nil {
		closeAll(also)
		return err
	}
	a, err := app.New(ctx, app.Options{Config: c, Version: d.o.Version, Logger: d.o.Log, BootstrapToken: c.BootstrapToken.Reveal(), Also: also})
	if err != nil {
		closeAll(also)
		return err
	}
	p.app, p.name = a, c.Organisation
	if p.name == "" {
		p.name = "This computer"
	}
	ended := make(chan struct{})
	g.Go(func() error {
		defer close(ended)
		return a.Run(ctx)
	})
	if err := a.WaitReady(ctx, answersWithin); err != nil {
		return err
	}
	p.base = &url.URL{Scheme: "http", Host: a.Addr()}
	p.room, err = remote.Open(remote.Options{
		Base: p.base, Dir: filepath.Join(d.o.Dir, "desk", "here"), Log: d.o.Log.With("component", "remote"), Insert: inserted("embedded"), Clock: d.o.Clock, AnswerIn: d.o.AnswerIn,
	})
	return err
}

func closeAll(list []net.Listener) {
	for _, ln := range list {
		_ = ln.Close()
	}
}

// quietly takes back what was shown of a room that is not open any more.
func (d *Desk) quietly() {
	d.withdrawAll()
	d.o.Shell.Title("Tocsin")
	d.o.Shell.Badge(0, "")
}

// explain says in words why a room cannot be opened.
func explain(err error) *trouble {
	var problems config.Problems
	switch {
	case err == nil:
		return &trouble{"The room has ended.", "Open it again.", true}
	case errors.Is(err, bolt.ErrLocked):
		return &trouble{"Another program has the room in this computer open.", "It may be a second Tocsin window, or “tocsin serve” on the same directory. Close it and try again, or join that one under Rooms.", true}
	case errors.Is(err, bolt.ErrDamaged):
		return &trouble{"The file that holds the room in this computer is damaged.", "Nothing was changed. Restore a backup with “tocsin restore”, or ask for help before you do anything else.", true}
	case errors.Is(err, syscall.EADDRINUSE):
		return &trouble{"Another program uses the port that the room in this computer was given.", "Choose another port under Settings, or 0 for any free one.", true}
	case errors.Is(err, syscall.ENOSPC):
		return &trouble{"The disk of this computer is full.", "Make room and try again. What is in the log is safe.", true}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS):
		return &trouble{"This computer does not let Tocsin write to its directory.", "Look who owns the directory that About names, and try again.", true}
	case errors.As(err, &problems): // the person at the window is the operator
		return &trouble{"The settings that the environment gives cannot be used.", problems.Error(), true}
	}
	return &trouble{"The room could not be opened.", "Start Tocsin from a terminal to read why, or choose another room.", true}
}

// Sentence is what a person is told of an error of New or Run; "" for nil.
func Sentence(err error) string {
	if err == nil {
		return ""
	}
	t := explain(err)
	if t.sentence == "The room could not be opened." {
		return "Tocsin could not start. Start it from a terminal to read why."
	}
	return t.sentence + " " + t.remedy
}

// attentionKey is the key of a notice about the way to a room.
const reachKey = "desk:reach"

func reachNotice(p *place, t *remote.Trouble) attention.Notice {
	n := attention.Notice{Key: reachKey, Severity: "SEV3", Title: p.name + " cannot be reached", Path: "/", Sound: attention.SoundSEV4}
	if t != nil {
		n.Body = t.Sentence
	}
	return n
}
