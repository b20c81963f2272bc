// Package casebook owns what this installation's own incidents teach while the program runs: it follows the log, keeps the newest incidents as cases,
// trains the models of package precedent on them, and answers what is like an open incident; it writes nothing to the log and knows nothing of
// other installations.
package casebook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/snapshot"
)

const (
	kept       = 5_000            // cases; beyond, the oldest that is over is forgotten
	every      = 20_000           // events between two snapshots
	trainEvery = 10 * time.Minute // at most, while less than trainAfter incidents were closed
	trainAfter = 10
	look       = time.Minute // between two looks whether it is time to train
	version    = 1
	shown      = 3   // similar incidents in an answer
	heldOf     = 300 // newest closed incidents on which the interval of a recovery is checked
)

// Log is what the casebook needs of the event log.
type Log interface {
	snapshot.Log
	Read(ctx context.Context, from int64, limit int) ([]eventlog.Event, error)
}

// ErrUnknown is what Options.Load answers when there is no such incident.
var ErrUnknown = errors.New("no such incident")

// Options of a Service.
type Options struct {
	Log Log
	// Load gives the state of an incident after the event at position, or a later one. The error is ErrUnknown, ctx's or the log's.
	Load func(ctx context.Context, number, position int64) (incident.State, error)
	// Path is where the cases are written down, so that a start need not read the whole log; "" = nowhere.
	Path   string
	Logger *slog.Logger
}

// Service holds the cases and the models. Safe for concurrent use.
type Service struct {
	Options
	file snapshot.File

	mu      sync.RWMutex
	fold    fold // only Run's reader changes it
	made    int  // how often index and models were made anew
	index   *precedent.Index
	models  map[string]*precedent.Model
	changed int // closed cases since the models were trained
	times   []precedent.TimesOf
	held    precedent.Share
	counts  counts
	saved   int64
	woken   bool

	awake chan struct{} // closed when the log was read for the first time
	once  sync.Once
}

type fold struct {
	Next  int64                    `json:"next"`
	Cases map[int64]precedent.Case `json:"cases"`
}

type counts struct{ closed, open, drills, unlabelled int }

// New makes a service that has read nothing yet.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{Options: o, file: snapshot.File{Path: o.Path, Shape: snapshot.Shape(version, fold{})}, awake: make(chan struct{})}
	s.fold = fold{Cases: map[int64]precedent.Case{}}
	s.rebuild()
	return s
}

// rebuild makes index and models from the cases alone, so that nothing stays of what a case no longer has. The old ones answer meanwhile.
func (s *Service) rebuild() {
	cases := s.cases()
	index, models, held := precedent.NewIndex(cases), models(cases), precedent.Held(cases, heldOf)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index, s.models, s.held, s.changed = index, models, held, 0
	s.made++
	s.sum(cases)
}

// cases are all of them by number.
func (s *Service) cases() []precedent.Case {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.fold.Cases), func(a, b precedent.Case) int { return cmp.Compare(a.Number, b.Number) })
}

func models(cases []precedent.Case) map[string]*precedent.Model {
	out := map[string]*precedent.Model{}
	for _, target := range []string{precedent.TargetCategory, precedent.TargetSeverity} {
		out[target] = precedent.Train(cases, target)
	}
	return out
}

func (s *Service) sum(cases []precedent.Case) {
	s.times, s.counts = precedent.Times(cases), counts{}
	for _, c := range cases {
		switch {
		case c.Merged:
		case c.Drill:
			s.counts.drills++
		case c.Open:
			s.counts.open++
		case c.Closed():
			s.counts.closed++
			if c.Category == "" {
				s.counts.unlabelled++
			}
		}
	}
}

// Follow is the log's follower; the service folds what it yields.
type Follow func(ctx context.Context, from int64) iter.Seq2[[]eventlog.Event, error]

// Run folds the log and trains now and then, until ctx ends. The error is the log's; a ctx that ended is none. It may be called again.
func (s *Service) Run(ctx context.Context, follow Follow) error {
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return s.read(running, follow) })
	g.Go(func() error { s.train(running); return nil })
	err := g.Wait()
	s.save(context.WithoutCancel(ctx), 1)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *Service) read(ctx context.Context, follow Follow) error {
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
		s.save(ctx, every)
	}
	return nil
}

// train makes the models anew when it is time, until ctx ends.
func (s *Service) train(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if s.due(time.Since(last)) {
				s.retrain()
				last = time.Now()
			}
		}
	}
}

func (s *Service) due(since time.Duration) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changed >= trainAfter || s.changed > 0 && since >= trainEvery
}

// retrain makes the models anew beside the old ones, which answer meanwhile.
func (s *Service) retrain() {
	s.mu.RLock()
	was, turn := s.changed, s.made
	s.mu.RUnlock()
	cases := s.cases()
	fresh, held := models(cases), precedent.Held(cases, heldOf)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made != turn { // all was made anew meanwhile, perhaps because words were redacted
		return
	}
	s.models, s.held = fresh, held
	s.changed -= was
	s.sum(cases)
}

// wake takes up the cases that were written down, or none, and catches up with the log.
func (s *Service) wake(ctx context.Context) (int64, error) {
	s.mu.Lock()
	if !s.woken && s.Path != "" {
		size, body, err := s.file.Read(ctx, s.Log)
		var f fold
		if err == nil && json.Unmarshal(body, &f) == nil && f.Next == size && f.Cases != nil {
			s.fold, s.saved = f, size
		}
	}
	first := !s.woken
	s.woken = true
	next := s.fold.Next
	s.mu.Unlock()

	// Which incidents are new comes first, so that each is read once, and none that is too old to be kept.
	touched, size, redacted := map[int64]int64{}, s.Log.Size(), false
	for next < size {
		page, err := s.Log.Read(ctx, next, 2048)
		if err != nil {
			return 0, fmt.Errorf("read the log from %d: %w", next, err)
		}
		if len(page) == 0 {
			break
		}
		redacted = touch(touched, page) || redacted
		next = page[len(page)-1].Offset + 1
	}
	if numbers := slices.Sorted(maps.Keys(touched)); len(numbers) > kept {
		for _, n := range numbers[:len(numbers)-kept] {
			delete(touched, n)
		}
	}
	if err := s.put(ctx, touched, next, first, redacted); err != nil {
		return 0, err
	}
	s.once.Do(func() { close(s.awake) })
	return next, nil
}

// Awake returns when the log was read for the first time, or ctx ends.
func (s *Service) Awake(ctx context.Context) {
	select {
	case <-s.awake:
	case <-ctx.Done():
	}
}

func (s *Service) take(ctx context.Context, page []eventlog.Event) error {
	touched := map[int64]int64{}
	redacted := touch(touched, page)
	return s.put(ctx, touched, page[len(page)-1].Offset+1, redacted, redacted)
}

// touch notes the incidents of a page with their newest offset, and says whether one was redacted.
func touch(touched map[int64]int64, page []eventlog.Event) (redacted bool) {
	for _, e := range page {
		if n, ok := room.Number(e.Stream); ok {
			touched[n] = e.Offset
			redacted = redacted || e.Type == eventlog.RedactedType
		}
	}
	return redacted
}

// put makes the touched incidents cases. anew: index and models are made from the cases alone; scrub: what was written down is removed.
func (s *Service) put(ctx context.Context, touched map[int64]int64, next int64, anew, scrub bool) error {
	var cases []precedent.Case
	for _, n := range slices.Sorted(maps.Keys(touched)) {
		s.mu.RLock()
		old, known := s.fold.Cases[n]
		s.mu.RUnlock()
		if known && old.Position >= touched[n] {
			continue
		}
		st, err := s.Load(ctx, n, touched[n])
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read incident %d: %w", n, err)
		}
		if st.Declared {
			cases = append(cases, precedent.Of(st))
		}
	}
	s.mu.Lock()
	for _, c := range cases {
		old := s.fold.Cases[c.Number]
		if c.Closed() && (!old.Closed() || old.Category != c.Category || old.Severity != c.Severity) {
			s.changed++
		}
		s.fold.Cases[c.Number] = c
		if !anew {
			s.index.Put(c)
		}
	}
	s.forget(anew)
	s.fold.Next = max(s.fold.Next, next)
	if scrub {
		s.saved = 0
	}
	s.mu.Unlock()
	if anew {
		s.rebuild()
	}
	if scrub && s.Path != "" {
		if err := s.file.Remove(); err != nil {
			s.Logger.ErrorContext(ctx, "the cases that were written down could not be removed; they may hold what was redacted", "err", err)
		}
	}
	return nil
}

// forget keeps the number of cases bounded.
func (s *Service) forget(anew bool) {
	if len(s.fold.Cases) <= kept {
		return
	}
	for _, n := range slices.Sorted(maps.Keys(s.fold.Cases)) {
		if len(s.fold.Cases) <= kept {
			return
		}
		if !s.fold.Cases[n].Open {
			delete(s.fold.Cases, n)
			if !anew {
				s.index.Drop(n)
			}
		}
	}
}

func (s *Service) save(ctx context.Context, least int64) {
	s.mu.Lock()
	size := s.fold.Next
	if s.Path == "" || size-s.saved < least {
		s.mu.Unlock()
		return
	}
	body, err := json.Marshal(&s.fold)
	s.saved = size
	s.mu.Unlock()
	if err == nil {
		err = s.file.Write(ctx, s.Log, size, body)
	}
	if err != nil {
		s.Logger.WarnContext(ctx, "the cases were not written down; the next start reads more of the log", "err", err)
	}
}
