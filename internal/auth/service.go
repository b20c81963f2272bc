package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
)

// Log is what auth needs of the event log.
type Log interface {
	Append(ctx context.Context, b eventlog.Batch) ([]eventlog.Event, error)
	ReadStream(ctx context.Context, stream string, fromSeq int64, limit int) ([]eventlog.Event, error)
	Follow(ctx context.Context, from int64) iter.Seq2[[]eventlog.Event, error]
	Size() int64
}

// Options are the outside of a Service. The zero value works.
type Options struct {
	// Clock returns unix milliseconds; nil = the wall clock.
	Clock func() int64
	// Rand is the source of secrets; nil = crypto/rand. Read from one goroutine
	// at a time.
	Rand io.Reader
	// PublicURL is the address that people open, like https://tocsin.example.org.
	// Passkeys are bound to its host. Empty: passkeys work on localhost only.
	PublicURL string
	// Organisation is shown by the authenticator beside the passkey; empty = "Tocsin".
	Organisation string
	// BootstrapToken is the administrator API token from the environment
	// (TOCSIN_BOOTSTRAP_TOKEN); empty = none. Only its digest is kept.
	BootstrapToken string
	// Logger gets what operators should know, never a secret; nil = slog.Default().
	Logger *slog.Logger
}

// Service is people, their secrets and their sessions. All methods may be
// called from any number of goroutines. A refused call returns a *Refusal;
// every other error is the store's or the log's, and then the call may have
// happened: calling again with the same Visit.Txn gives the same answer.
type Service struct {
	db        store.DB
	log       Log
	dir       *Directory
	clock     func() int64
	slog      *slog.Logger
	key       []byte // of this store: derives cookies, CSRF tokens, recovery digests
	bootstrap []byte // digest of Options.BootstrapToken, nil = none
	site      site

	signIns, begins *limiter // by network address
	own             *limiter // by handle

	randMu sync.Mutex
	random io.Reader

	refreshing sync.Mutex // also guards primed
	primed     bool
	watched    int64 // revision up to which ended sessions were announced; Run's own

	hookMu sync.Mutex
	hooks  []func(owner string)
}

// New reads the directory from the log, and makes the store's own key when
// there is none. It starts nothing.
func New(ctx context.Context, db store.DB, log Log, o Options) (*Service, error) {
	s := &Service{db: db, log: log, dir: NewDirectory(), clock: o.Clock, random: o.Rand, slog: o.Logger}
	if s.clock == nil {
		s.clock = func() int64 { return time.Now().UnixMilli() }
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	if s.slog == nil {
		s.slog = slog.Default()
	}
	if o.BootstrapToken != "" {
		s.bootstrap = digest(o.BootstrapToken)
		if len(o.BootstrapToken) < 20 {
			s.slog.Warn("TOCSIN_BOOTSTRAP_TOKEN is short enough to guess; use the output of: openssl rand -hex 32")
		}
	}
	var err error
	if s.site, err = newSite(o.PublicURL, o.Organisation); err != nil {
		return nil, err
	}
	s.signIns = newLimiter(attemptsPerAddress, attemptsOverall, s.clock())
	s.begins = newLimiter(beginsPerAddress, attemptsOverall, s.clock())
	s.own = newLimiter(ownLinks, attemptsOverall, s.clock())
	if err := s.loadKey(ctx); err != nil {
		return nil, err
	}
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Directory returns the people and tokens; it stays current while Run runs.
func (s *Service) Directory() *Directory { return s.dir }

// People returns everybody, by handle.
func (s *Service) People() []Person { return s.dir.People() }

// OnRevoke registers a function that is called with "session:<id>" or
// "token:<id>" whenever that credential ends or its rights change, so that
// sockets hanging on it are closed at once (the browser comes back with what it
// still may see). It is called after the change is durable, maybe more than
// once, must not block, and must not call the Service.
func (s *Service) OnRevoke(f func(owner string)) {
	s.hookMu.Lock()
	defer s.hookMu.Unlock()
	s.hooks = append(s.hooks, f)
}

func (s *Service) revoked(owners ...string) {
	s.hookMu.Lock()
	hooks := s.hooks[:len(s.hooks):len(s.hooks)]
	s.hookMu.Unlock()
	for _, owner := range owners {
		for _, f := range hooks {
			f(owner)
		}
	}
}

// Run keeps the directory current with what other replicas append, calls the
// OnRevoke functions for what they end, and sweeps expired records once an hour.
// It returns when ctx ends (nil), or the log or the store fails; it may then be
// called again and goes on where it was.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.follow(ctx) })
	g.Go(func() error { return s.watch(ctx) })
	g.Go(func() error {
		tick := time.NewTicker(time.Hour)
		defer tick.Stop()
		for {
			if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.slog.Warn("sweep expired sign-in records", "error", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
	return g.Wait()
}

func (s *Service) follow(ctx context.Context) error {
	from := s.log.Size()
	if err := s.refresh(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	for page, err := range s.log.Follow(ctx, from) {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("follow the log for people: %w", err)
		}
		for _, e := range page {
			if e.Stream != Stream {
				continue
			}
			if err := s.refresh(ctx); err != nil && ctx.Err() == nil {
				return err
			}
			break
		}
	}
	return nil
}

// watch announces the sessions and tokens whose record goes away, here or on
// another replica: of a sign-out there is no event, and when there is one the
// record may be gone before it is read here.
func (s *Service) watch(ctx context.Context) error {
	r, ok := s.db.(store.Revisioner)
	if !ok {
		return nil
	}
	for ctx.Err() == nil {
		if s.watched == 0 {
			var err error
			if s.watched, err = r.Revision(ctx); err != nil {
				return fmt.Errorf("watch sessions: %w", err)
			}
		}
		for change, err := range s.db.Watch(ctx, []byte("auth/"), s.watched) {
			if errors.Is(err, store.ErrCompacted) { // after a long outage: streams look for themselves, sockets every few minutes
				s.watched = 0
				break
			}
			if err != nil {
				return fmt.Errorf("watch sessions: %w", err)
			}
			s.watched = change.Rev
			for _, op := range change.Ops {
				if id, ok := strings.CutPrefix(string(op.Key), keySessions); ok && op.Delete {
					s.revoked("session:" + id)
				} else if id, ok := strings.CutPrefix(string(op.Key), keyTokens); ok && op.Delete {
					s.revoked("token:" + id)
				}
			}
		}
	}
	return nil
}

// refresh folds what the log has and the directory has not, and ends what the
// new events end.
func (s *Service) refresh(ctx context.Context) error {
	const page = 512
	s.refreshing.Lock()
	var fresh []eventlog.Event
	for {
		events, err := s.log.ReadStream(ctx, Stream, s.dir.Seq()+1, page)
		if err != nil {
			s.refreshing.Unlock()
			return fmt.Errorf("read people from %d: %w", s.dir.Seq()+1, err)
		}
		for _, e := range events {
			s.dir.Apply(e)
		}
		if s.primed {
			fresh = append(fresh, events...)
		}
		if len(events) < page {
			break
		}
	}
	s.primed = true // what was there before this process has no sockets here
	s.refreshing.Unlock()
	for _, e := range fresh {
		if err := s.announce(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// stamp is what identifies an event beside its payload.
type stamp struct {
	at        int64
	id        string // set for events that may be appended only once: the log answers the same id with the same event
	causation string
}

// record appends one event of the stream. check judges the newest directory and
// is asked again when others were faster; when it returns done, nothing needs
// to be appended.
func (s *Service) record(ctx context.Context, by Actor, typ string, st stamp, check func() (f Fact, done bool, err error)) error {
	if err := s.refresh(ctx); err != nil {
		return err
	}
	for range 8 {
		seq := s.dir.Seq()
		f, done, err := check()
		if done || err != nil {
			return err
		}
		d, err := f.draft(typ, by, st)
		if err != nil {
			return err
		}
		_, err = s.log.Append(ctx, eventlog.Batch{Stream: Stream, Expect: seq, Drafts: []eventlog.Draft{d}})
		if err != nil && !errors.Is(err, eventlog.ErrConflict) {
			return fmt.Errorf("append %s: %w", typ, err)
		}
		if e := s.refresh(ctx); e != nil || err == nil {
			return e
		}
	}
	return refuse(CodeBusy, "Many people are being changed at this moment. Try again.")
}

// onceID is the id of the one event that a single-use thing causes.
func (s *Service) onceID(parts ...string) string {
	id, _ := uuid.FromBytes(seal(s.key, append([]string{"event"}, parts...)...)[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8: own making
	return id.String()
}

// once is a check that needs nothing of the directory.
func once(f Fact) func() (Fact, bool, error) {
	return func() (Fact, bool, error) { return f, false, nil }
}

func (s *Service) mint(prefix string) (text, id string, err error) {
	s.randMu.Lock()
	defer s.randMu.Unlock()
	return mint(s.random, prefix)
}

func (s *Service) publicID() (string, error) {
	s.randMu.Lock()
	defer s.randMu.Unlock()
	return publicID(s.random)
}

func (s *Service) draw(n int) ([]byte, error) {
	s.randMu.Lock()
	defer s.randMu.Unlock()
	raw := make([]byte, n)
	if _, err := io.ReadFull(s.random, raw); err != nil {
		return nil, fmt.Errorf("draw a secret: %w", err)
	}
	return raw, nil
}
