package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/outbox"
)

// Options of a Room.
type Options struct {
	Base   *url.URL         // scheme and host of the server
	Pin    string           // SHA-256 of the leaf certificate in lower-case hex: this one and no other is trusted, whoever vouches for it; "" = ordinary verification
	Dir    string           // its own directory, made 0700: session, kept pages; files are 0600
	Keep   bool             // keep pages for the time without the room
	Notes  Notes            // takes what is said while the room cannot be reached; nil: nothing is taken
	Log    *slog.Logger     // nil: nothing is logged
	Insert string           // put before </head> of every page
	Clock  func() time.Time // nil: time.Now

	AnswerIn time.Duration // a room that does not answer a look for so long is away; 0: 3 s
}

// Notes takes notes that the room could not be given. Add returns when the note is safe, or an error that carries a sentence for people.
type Notes interface {
	Add(ctx context.Context, n outbox.Note) error
}

// Room is a room behind an address. Its methods may be called at the same time.
type Room struct {
	o     Options
	log   *slog.Logger
	jar   *jar
	wire  *http.Transport
	state *state
	proxy *httputil.ReverseProxy
	kept  *kept         // nil when nothing is kept
	kick  chan struct{} // capacity 1: look at once whether the room answers
	doubt chan struct{} // capacity 1: look at once whether the session is good
	stir  chan struct{} // capacity 1: what is kept, or who is signed in, has changed
	csrf  token
}

// Open makes a Room of what its directory holds. It reaches for nothing yet.
func Open(o Options) (*Room, error) {
	if err := plainBase(o.Base); err != nil {
		return nil, err
	}
	if b, err := hex.DecodeString(o.Pin); o.Pin != "" && (err != nil || len(b) != sha256.Size) {
		return nil, errors.New("open a room: the pin is not the SHA-256 of a certificate in hex")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open a room: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.AnswerIn == 0 {
		o.AnswerIn = answerIn
	}
	r := &Room{
		o: o, log: o.Log, wire: newTransport(o.Pin, o.Base.Hostname(), o.AnswerIn), jar: openJar(filepath.Join(o.Dir, "session.json"), trustworthy(o.Base), o.Clock),
		kick: make(chan struct{}, 1), doubt: make(chan struct{}, 1), stir: make(chan struct{}, 1),
	}
	r.state = openState(filepath.Join(o.Dir, "heard.json"), o.Clock)
	r.state.signed(r.jar.has())
	if o.Keep {
		r.kept = openKept(filepath.Join(o.Dir, "kept"), o.Log)
	}
	r.proxy = r.newProxy()
	return r, nil
}

// plainBase refuses what is not just a scheme and a host.
func plainBase(u *url.URL) error {
	switch {
	case u == nil || u.Host == "" || u.Hostname() == "":
		return errors.New("open a room: the address names no server")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("open a room: the address begins with neither https:// nor http://")
	case u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("open a room: the address is more than a scheme and a server")
	}
	return nil
}

// trustworthy reports whether browsers would send Secure cookies there.
func trustworthy(u *url.URL) bool { return u.Scheme == "https" || loopback(u.Hostname()) }

// Run finds out whether the room can be reached, and keeps its pages, until ctx ends. It is called once.
func (r *Room) Run(ctx context.Context) error {
	defer r.wire.CloseIdleConnections()
	defer r.state.close()
	r.state.watch()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { r.watch(ctx); return nil })
	if r.kept != nil {
		g.Go(func() error { r.follow(ctx); return nil })
	}
	return g.Wait()
}

// poke wakes whoever waits at a channel of capacity 1.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// SetCookie keeps a cookie of the room as if the room had set it.
func (r *Room) SetCookie(c *http.Cookie) error {
	err := r.jar.set([]*http.Cookie{c})
	r.state.signed(r.jar.has())
	poke(r.stir)
	return err
}

// SignedOut forgets the session here and what it was shown; the room is not told.
func (r *Room) SignedOut() error {
	err := r.jar.wipe()
	r.state.signed(false)
	if r.kept != nil {
		err = errors.Join(err, r.kept.wipe())
	}
	poke(r.stir)
	return err
}

// Forget wipes what is kept of the room: its session, its pages, and when it was last heard.
func (r *Room) Forget() error { return errors.Join(r.SignedOut(), r.state.wipe()) }
