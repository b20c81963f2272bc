// Package appraise owns the figures of the detectors while the program runs: it folds findings and verdicts from the log, and is the only way
// to judge a finding; it never judges by itself and never changes a detector, whoever runs them asks for their strictness.
package appraise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/feedback"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/snapshot"
)

const (
	attempts = 3      // of a command whose stream moves meanwhile
	every    = 20_000 // events between two snapshots
	maxOpen  = 20_000 // open alerts remembered; beyond, one stays counted as it was raised
	maxWeak  = 20_000 // open weak findings remembered; beyond, one that becomes strong is not counted as an alert
	version  = 2
)

// Log is what the service needs of the event log.
type Log interface {
	snapshot.Log
	Append(ctx context.Context, b eventlog.Batch) ([]eventlog.Event, error)
	Read(ctx context.Context, from int64, limit int) ([]eventlog.Event, error)
	ReadStream(ctx context.Context, stream string, from int64, limit int) ([]eventlog.Event, error)
}

// Service holds the figures. Safe for concurrent use.
type Service struct {
	log   Log
	file  snapshot.File
	slog  *slog.Logger
	moved func(map[string]float64)

	mu    sync.Mutex
	fold  fold
	saved int64
	clean int64 // redactions before this offset are in the fold already
	woken bool
}

type fold struct {
	Next  int64             `json:"next"`
	State feedback.State    `json:"state"`
	Weak  map[string]string `json:"weak,omitempty"` // open weak signals and their detectors
	Open  map[string]raised `json:"open,omitempty"` // open alerts, at most maxOpen
}

// Options of a Service.
type Options struct {
	Log Log
	// Path is where the fold is written down, so that a start need not read the whole log; "" = nowhere.
	Path string
	// Moved is told the strictness of every detector that is not as shipped, at the start and after each change; nil = nobody.
	Moved  func(map[string]float64)
	Logger *slog.Logger
}

// New makes a service that has read nothing yet.
func New(o Options) *Service {
	s := &Service{log: o.Log, slog: o.Logger, moved: o.Moved, file: snapshot.File{Path: o.Path, Shape: snapshot.Shape(version, fold{})}}
	if s.slog == nil {
		s.slog = slog.New(slog.DiscardHandler)
	}
	if s.moved == nil {
		s.moved = func(map[string]float64) {}
	}
	return s
}

// Follow is the log's follower; the service folds what it yields.
type Follow func(ctx context.Context, from int64) iter.Seq2[[]eventlog.Event, error]

// Run folds the log until ctx ends and writes the fold down now and then. The error is the log's; a ctx that ended is none.
func (s *Service) Run(ctx context.Context, follow Follow) error {
	if err := s.run(ctx, follow); err != nil && ctx.Err() == nil {
		return err
	}
	s.save(context.WithoutCancel(ctx), 1)
	return nil
}

func (s *Service) run(ctx context.Context, follow Follow) error {
	from, err := s.wake(ctx)
	if err != nil {
		return err
	}
	for page, err := range follow(ctx, from) {
		if err != nil {
			return err
		}
		if err := s.take(ctx, page); err != nil {
			return err
		}
	}
	return nil
}

// wake takes up the fold that was written down, or none, and catches up.
func (s *Service) wake(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
	if err := s.catchUp(ctx); err != nil {
		return 0, err
	}
	s.tell()
	return s.fold.Next, nil
}

// catchUp folds all that is durable now. The caller holds mu.
func (s *Service) catchUp(ctx context.Context) error {
	for s.fold.Next < s.log.Size() {
		page, err := s.log.Read(ctx, s.fold.Next, 2048)
		if err != nil {
			return fmt.Errorf("read the log from %d: %w", s.fold.Next, err)
		}
		if len(page) == 0 {
			return nil
		}
		if again := s.apply(page); again {
			s.fold, s.saved, s.clean = fold{}, 0, s.log.Size()
			if s.file.Path != "" {
				if err := s.file.Remove(); err != nil {
					s.slog.ErrorContext(ctx, "the figures of the detectors could not be removed; they may hold what was redacted", "err", err)
				}
			}
		}
	}
	return nil
}

func (s *Service) take(ctx context.Context, page []eventlog.Event) error {
	s.mu.Lock()
	if page[len(page)-1].Offset < s.fold.Next {
		s.mu.Unlock()
		return nil
	}
	before := len(s.fold.State.Changes)
	err := s.catchUp(ctx)
	if len(s.fold.State.Changes) != before {
		s.tell()
	}
	s.mu.Unlock()
	if err == nil {
		s.save(ctx, every)
	}
	return err
}

// tell is called with mu held, so that the order of changes is kept.
func (s *Service) tell() { s.moved(s.fold.State.Strictness()) }

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
		s.slog.WarnContext(ctx, "the figures of the detectors were not written down; the next start reads more of the log", "err", err)
	}
}

// apply folds a page. It returns true when a verdict of the past was redacted: then all has to be folded again, without its words.
func (s *Service) apply(page []eventlog.Event) (again bool) {
	f := &s.fold
	for _, e := range page {
		if e.Offset < f.Next {
			continue
		}
		f.Next = e.Offset + 1
		fe := feedback.Event{ID: e.ID, At: e.At, Actor: e.Actor, Drill: e.Drill}
		if source, ok := strings.CutPrefix(e.Stream, signal.StreamPrefix); ok {
			f.heard(source, e, fe)
			continue
		}
		if e.Stream != feedback.Stream {
			continue
		}
		if e.Type == eventlog.RedactedType && e.Offset >= s.clean {
			return true
		}
		s.one(e, fe)
	}
	return false
}

// one folds an event of the stream that was not folded before.
func (s *Service) one(e eventlog.Event, fe feedback.Event) {
	state := &s.fold.State
	if e.Seq <= state.Seq {
		return
	}
	state.Seq = e.Seq
	body, err := feedback.Decode(e.Type, e.Data)
	if err != nil {
		s.slog.Warn("an event of the detectors cannot be read and is passed over", "offset", e.Offset, "err", err)
		return
	}
	fe.Body = body
	state.Apply(fe)
}

// overtake folds what other replicas have added to the stream, even where this one's log has not yet heard of it. The caller holds mu.
func (s *Service) overtake(ctx context.Context) error {
	before := len(s.fold.State.Changes)
	for {
		page, err := s.log.ReadStream(ctx, feedback.Stream, s.fold.State.Seq+1, 512)
		if err != nil {
			return fmt.Errorf("read %s from %d: %w", feedback.Stream, s.fold.State.Seq+1, err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			s.one(e, feedback.Event{ID: e.ID, At: e.At, Actor: e.Actor, Drill: e.Drill})
		}
	}
	if len(s.fold.State.Changes) != before {
		s.tell()
	}
	return nil
}

// heard counts findings of our own detectors.
func (f *fold) heard(_ string, e eventlog.Event, fe feedback.Event) {
	switch e.Type {
	case signal.TypeOpened, signal.TypeUpdated, signal.TypeCleared:
	default:
		return
	}
	body, err := signal.Decode(e.Type, e.Version, e.Data)
	if err != nil {
		return
	}
	switch b := body.(type) {
	case signal.Opened:
		if b.Detector == "" {
			return
		}
		if !b.Weak {
			f.raise(b.Signal, b.Detector, b.Finding, fe)
			return
		}
		fe.Body = feedback.Opened{Detector: b.Detector, Weak: true, Scored: b.Bound > 0}
		f.State.Apply(fe)
		if len(f.Weak) < maxWeak {
			if f.Weak == nil {
				f.Weak = map[string]string{}
			}
			f.Weak[b.Signal] = b.Detector
		}
	case signal.Updated:
		if name, ok := f.Weak[b.Signal]; ok && !b.Weak {
			delete(f.Weak, b.Signal)
			f.raise(b.Signal, name, b.Finding, fe)
		} else if was, ok := f.Open[b.Signal]; ok {
			now := was
			if now.Certain = feedback.CertaintyOf(b.Verification, was.Certain); now != was {
				f.Open[b.Signal] = now
				fe.Body = feedback.Verified{Detector: was.Detector, RaisedAt: was.At, Before: was.Certain, After: now.Certain}
				f.State.Apply(fe)
			}
		}
	case signal.Cleared:
		delete(f.Weak, b.Signal)
		delete(f.Open, b.Signal)
	}
}

// raised is an open alert as it was counted.
type raised struct {
	Detector string             `json:"detector"`
	At       int64              `json:"at"` // unix ms
	Certain  feedback.Certainty `json:"certain,omitempty"`
}

// raise counts an alert, and remembers it while it is open: how far it is confirmed changes.
func (f *fold) raise(id, detector string, g signal.Finding, fe feedback.Event) {
	r := raised{Detector: detector, At: fe.At, Certain: feedback.CertaintyOf(g.Verification, feedback.NoMatter)}
	fe.Body = feedback.Opened{Detector: detector, Scored: g.Bound > 0, Certain: r.Certain}
	f.State.Apply(fe)
	if len(f.Open) < maxOpen {
		if f.Open == nil {
			f.Open = map[string]raised{}
		}
		f.Open[id] = r
	}
}

// Look shows the figures as they stand; see must be quick and must not keep or change the state.
func (s *Service) Look(see func(*feedback.State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	see(&s.fold.State)
}

// Do carries out a command of feedback: when it returns nil, its events are durable and folded. The error is a *feedback.Refusal when a person
// can read why not. id names the command: the same id again appends nothing again.
func (s *Service) Do(ctx context.Context, id, actor string, at int64, command any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range attempts {
		if err := s.catchUp(ctx); err != nil {
			return err
		}
		bodies, err := feedback.Decide(&s.fold.State, command)
		if err != nil || len(bodies) == 0 {
			return err
		}
		b := eventlog.Batch{Stream: feedback.Stream, Expect: s.fold.State.Seq}
		for i, body := range bodies {
			typ, data, err := feedback.Encode(body)
			if err != nil {
				return err
			}
			who := actor
			if _, moved := body.(feedback.Changed); moved && i > 0 {
				who = Actor // it follows from the labels; the person judged a finding
			}
			b.Drafts = append(b.Drafts, eventlog.Draft{ID: fmt.Sprintf("%s.%d", id, i), At: at, Actor: who, Type: typ, Version: 1, Data: data, Causation: id})
		}
		_, err = s.log.Append(ctx, b)
		if errors.Is(err, eventlog.ErrConflict) {
			if err := s.overtake(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("record what was said of a finding: %w", err)
		}
		before := len(s.fold.State.Changes)
		if err := s.catchUp(ctx); err != nil {
			return err
		}
		if len(s.fold.State.Changes) != before {
			s.tell()
		}
		return nil
	}
	return &feedback.Refusal{Code: "busy", Sentence: "Others judge findings at this very moment. Try again."}
}

// Actor is who changes thresholds because of what people said.
const Actor = "system:detectors"
