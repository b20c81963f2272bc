// Package roster owns the on-call settings while the program runs: it folds the stream "oncall" and is the only way to change it; it never pages
// anybody and never decides by itself what is right.
package roster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/snapshot"
)

const (
	attempts = 3      // of a command whose stream moves meanwhile
	every    = 20_000 // events of the log between two snapshots
	version  = 2
)

// Log is what the service needs of the event log.
type Log interface {
	snapshot.Log
	Append(ctx context.Context, b eventlog.Batch) ([]eventlog.Event, error)
	Read(ctx context.Context, from int64, limit int) ([]eventlog.Event, error)
	ReadStream(ctx context.Context, stream string, from int64, limit int) ([]eventlog.Event, error)
	ByCausation(ctx context.Context, id string) ([]eventlog.Event, error)
}

// Follow is the log's follower; the service folds what it yields.
type Follow func(ctx context.Context, from int64) iter.Seq2[[]eventlog.Event, error]

// Options of a Service. Log and People are required.
type Options struct {
	Log Log
	// People lists everybody there is or was; only administrators and responders who have joined can be paged.
	People func() []auth.Person
	// Path is where the fold is written down, so that a start need not read the whole log; "" = nowhere.
	Path   string
	Logger *slog.Logger
}

// Service holds the settings. Safe for concurrent use.
type Service struct {
	log   Log
	file  snapshot.File
	slog  *slog.Logger
	who   func() []auth.Person
	zones zones
	now   atomic.Pointer[oncall.State] // never changed once it is here

	mu        sync.Mutex
	fold      fold
	saved     int64
	clean     int64 // redactions before this offset are in the fold already
	woken     bool
	told      int64 // the newest event of the stream that listeners know of
	listeners []func(oncall.Settings)
}

type fold struct {
	Next  int64        `json:"next"`
	State oncall.State `json:"state"`
}

// New makes a service that has read nothing yet: it answers as a fresh installation until Run, or the first Do, has caught up.
func New(o Options) *Service {
	s := &Service{log: o.Log, slog: o.Logger, who: o.People, file: snapshot.File{Path: o.Path, Shape: snapshot.Shape(version, fold{})}}
	if s.slog == nil {
		s.slog = slog.New(slog.DiscardHandler)
	}
	s.now.Store(&oncall.State{})
	return s
}

// Listen registers f to be told the settings after each change, in order, also of those made on other replicas. f must be quick and must not call
// Do. It is to be called before Run.
func (s *Service) Listen(f func(oncall.Settings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, f)
}

// Run folds the log until ctx ends and writes the fold down now and then. The error is the log's; a ctx that ended is none.
func (s *Service) Run(ctx context.Context, follow Follow) error {
	if err := s.run(ctx, follow); err != nil && ctx.Err() == nil {
		return err
	}
	s.save(context.WithoutCancel(ctx), 1)
	return nil
}

func (s *Service) run(ctx context.Context, follow Follow) error {
	if err := s.CatchUp(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	from := s.fold.Next
	s.mu.Unlock()
	for page, err := range follow(ctx, from) {
		if err != nil {
			return err
		}
		if len(page) == 0 {
			continue
		}
		if err := s.CatchUp(ctx); err != nil {
			return err
		}
		s.save(ctx, every)
	}
	return nil
}

// CatchUp folds all that is durable now.
func (s *Service) CatchUp(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.catchUp(ctx)
}

// catchUp wakes the fold that was written down, if any, folds what came after it, and tells the listeners. The caller holds mu.
func (s *Service) catchUp(ctx context.Context) error {
	if !s.woken {
		s.woken, s.clean = true, s.log.Size()
		if s.file.Path != "" {
			size, body, err := s.file.Read(ctx, s.log)
			var f fold
			if err == nil {
				if err = json.Unmarshal(body, &f); err == nil && f.Next == size {
					s.fold, s.saved, s.clean = f, size, size
				}
			}
		}
	}
	for s.fold.Next < s.log.Size() {
		page, err := s.log.Read(ctx, s.fold.Next, 2048)
		if err != nil {
			return fmt.Errorf("read the log from %d: %w", s.fold.Next, err)
		}
		if len(page) == 0 {
			break
		}
		if again := s.apply(ctx, page); again {
			s.fold, s.saved, s.clean = fold{}, 0, s.log.Size()
			if s.file.Path != "" {
				if err := s.file.Remove(); err != nil {
					s.slog.ErrorContext(ctx, "the on-call settings written down could not be removed; they may hold what was redacted", "err", err)
				}
			}
		}
	}
	s.tell()
	return nil
}

// overtake folds what other replicas have added to the stream, even where this one's log has not yet heard of it. The caller holds mu.
func (s *Service) overtake(ctx context.Context) error {
	for {
		page, err := s.log.ReadStream(ctx, oncall.Stream, s.fold.State.Seq+1, 512)
		if err != nil {
			return fmt.Errorf("read %s from %d: %w", oncall.Stream, s.fold.State.Seq+1, err)
		}
		if len(page) == 0 {
			s.tell()
			return nil
		}
		for _, e := range page {
			s.one(ctx, e)
		}
	}
}

// tell lets readers see the settings, and listeners know, when they are newer. The caller holds mu, so that the order of changes is kept.
func (s *Service) tell() {
	if s.told != s.fold.State.Seq {
		s.told = s.fold.State.Seq
		state := s.fold.State
		s.now.Store(&state)
		for _, f := range s.listeners {
			f(state.Settings)
		}
	}
}

// apply folds a page. It returns true when something of the past was redacted: then all has to be folded again, without its words.
func (s *Service) apply(ctx context.Context, page []eventlog.Event) (again bool) {
	f := &s.fold
	for _, e := range page {
		if e.Offset < f.Next {
			continue
		}
		f.Next = e.Offset + 1
		if e.Stream != oncall.Stream {
			continue
		}
		if e.Type == eventlog.RedactedType && e.Offset >= s.clean {
			return true
		}
		s.one(ctx, e)
	}
	return false
}

// one folds an event of the stream that was not folded before.
func (s *Service) one(ctx context.Context, e eventlog.Event) {
	state := &s.fold.State
	if e.Seq <= state.Seq {
		return
	}
	body, ok, err := oncall.Decode(e.Type, e.Version, e.Data)
	if err != nil {
		s.slog.WarnContext(ctx, "an event of on-call cannot be read and is passed over", "offset", e.Offset, "err", err)
	}
	if !ok {
		state.Seq = e.Seq
		return
	}
	state.Apply(oncall.Event{ID: e.ID, Seq: e.Seq, At: e.At, Actor: e.Actor, Body: body})
}

func (s *Service) save(ctx context.Context, least int64) {
	s.mu.Lock()
	size := s.fold.Next
	if s.file.Path == "" || size-s.saved < least {
		s.mu.Unlock()
		return
	}
	body, err := json.Marshal(&s.fold)
	s.saved = size
	s.mu.Unlock()
	if err == nil {
		err = s.file.Write(ctx, s.log, size, body)
	}
	if err != nil {
		s.slog.WarnContext(ctx, "the on-call settings were not written down; the next start reads more of the log", "err", err)
	}
}

// Answer says what a command did. The zero Event: nothing had to change.
type Answer struct {
	Event    string      `json:"event,omitempty"` // its id, for undo
	Position int64       `json:"position"`        // of the log
	Type     string      `json:"type,omitempty"`
	Says     string      `json:"says,omitempty"`
	Notes    []string    `json:"notes,omitempty"`
	Body     oncall.Body `json:"-"`
}

// Do carries out a command: when it returns nil, its event is durable and folded. The error is an *oncall.Refusal when a person can read why
// not. The same m.ID again is answered as the first time.
func (s *Service) Do(ctx context.Context, c oncall.Command, m oncall.Meta) (Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, err := s.log.ByCausation(ctx, m.ID)
	if err != nil {
		return Answer{}, fmt.Errorf("look up command %s: %w", m.ID, err)
	}
	if len(before) > 0 {
		e := before[0]
		body, _, err := oncall.Decode(e.Type, e.Version, e.Data)
		if e.Stream != oncall.Stream || e.Actor != m.Actor || err != nil {
			return Answer{}, &oncall.Refusal{Code: oncall.CodeIDUsed, Sentence: "Another command has this id already. Use a new one."}
		}
		if err := s.catchUp(ctx); err != nil {
			return Answer{}, err
		}
		return answer(e, body), nil
	}
	for range attempts {
		if err := s.catchUp(ctx); err != nil {
			return Answer{}, err
		}
		body, err := oncall.Decide(&s.fold.State, c, s.World(), m)
		if err != nil {
			return Answer{}, err
		}
		if body == nil {
			return Answer{Position: max(s.fold.Next-1, 0)}, nil
		}
		typ, ver, data, err := oncall.Encode(*body)
		if err != nil {
			return Answer{}, err
		}
		events, err := s.log.Append(ctx, eventlog.Batch{Stream: oncall.Stream, Expect: s.fold.State.Seq, Drafts: []eventlog.Draft{
			{ID: m.ID + ".0", At: m.At, Actor: m.Actor, Type: typ, Version: ver, Data: data, Causation: m.ID}}})
		if errors.Is(err, eventlog.ErrConflict) {
			if err := s.overtake(ctx); err != nil {
				return Answer{}, err
			}
			continue
		}
		if err != nil {
			return Answer{}, fmt.Errorf("change the on-call settings: %w", err)
		}
		if err := s.catchUp(ctx); err != nil {
			return Answer{}, err
		}
		return answer(events[0], *body), nil
	}
	return Answer{}, &oncall.Refusal{Code: oncall.CodeBusy, Sentence: "Others change the on-call settings at this very moment. Try again."}
}

func answer(e eventlog.Event, b oncall.Body) Answer {
	return Answer{Event: e.ID, Position: e.Offset, Type: e.Type, Says: b.Says, Notes: b.Notes, Body: b}
}

// World is what the settings are judged against: zones, people, roles.
func (s *Service) World() oncall.World {
	return oncall.World{Zone: s.Zone, Person: s.person, Role: func(name string) bool {
		for _, r := range incident.Roles() {
			if string(r) == name {
				return true
			}
		}
		return false
	}}
}
