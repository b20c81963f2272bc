// Package pager owns that nobody is forgotten and nobody is paged twice: it follows the log, sends incidents to their teams, does what escalation
// says is due at the moment when it is due, and hands each page to whoever sends it. It decides nothing that escalation or a room does not decide,
// and keeps nothing that the log cannot give back but how far it has handed pages on.
package pager

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/notify"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/store"
)

// Actor is who routes incidents and begins steps.
const Actor = "system:pager"

const (
	readAtOnce = 512
	firstWait  = 50 * time.Millisecond // before a try anew, doubling up to mostWait
	mostWait   = 5 * time.Second
	// beat is how often the cursor is stored even when nothing happens, so that others see that somebody leads; and the longest sleep, so that a
	// clock that was set is noticed.
	beat = 10 * time.Second
	// later is when an incident whose room refused what was due is looked at again, should nothing happen to it before.
	later = 30_000 // ms
	// rounds bounds how often one Step asks one incident again what is due: each round does all that is due, so one or two are the rule.
	rounds = 64
	// patience is how long steps wait for the newest settings of on-call.
	patience = 5_000 // ms
	// submitAtOnce is how many pages are handed over in one call.
	submitAtOnce = 256
	// keptOver is how many incidents that are over are remembered as told to the courier.
	keptOver = 10_000
)

// Log is what the pager needs of the event log.
type Log interface {
	Follow(ctx context.Context, from int64) iter.Seq2[[]eventlog.Event, error]
	Read(ctx context.Context, from int64, limit int) ([]eventlog.Event, error)
	StreamHead(ctx context.Context, stream string) (int64, error)
	Size() int64
}

// Room is where incidents are read and written. Load gives an incident as of its newest durable event. An error of Do that is not a
// *incident.Refusal means that the command may or may not have happened; the same id again tells.
type Room interface {
	Load(ctx context.Context, number int64) (incident.State, error)
	Do(ctx context.Context, number int64, c incident.Command, m incident.Meta) error
}

// OnCall is who is on call, as of the newest event of its stream that is known here.
type OnCall interface {
	Settings() oncall.Settings
	// OnCall says who of a schedule is on call at a moment (unix ms), and why; or why there is nobody.
	OnCall(schedule string, at int64) (people []string, why string)
	// Team lists the people of a team.
	Team(id string) []string
}

// Courier takes pages; see notify.Courier.
type Courier interface {
	Submit(ctx context.Context, list []notify.Message) error
	Cancel(ctx context.Context, incident int64, but ...string) error
}

// Options of a Pager. All are required.
type Options struct {
	Log     Log
	Room    Room
	OnCall  OnCall
	Courier Courier
	DB      store.DB
	Links   *Links
	// Open names the incidents that were open as of an offset and returns the one after it. Whatever happened since is read from the log, so it may lag.
	Open func() (numbers []int64, next int64)
	// URL returns the outside address of this installation, without a slash at its end.
	URL    func() string
	Clock  func() time.Time
	Logger *slog.Logger
}

// Pager sees to it that people are paged. Of several replicas one leads.
type Pager struct {
	o Options

	figures atomic.Pointer[Figures]

	mu      sync.Mutex // held by Step
	seen    int64      // unix ms, of the newest Step
	started bool
	next    int64 // offset of the first event not folded
	cursor  cursor
	handed  bool             // something was handed over or taken back since the cursor was stored
	rooms   map[int64]*known // open incidents, and others until they were seen to
	over    map[int64]bool   // incidents that are over and whose pages were cancelled; at most keptOver
	dirty   map[int64]bool   // something happened to them
	unseen  int64            // sequence number of the newest event of on-call
	behind  int64            // unix ms since when who is on call is not known up to there; 0: it is
	swept   int64            // unix ms
	failing int64            // Steps in a row that could not do all
}

// known is one incident at hand.
type known struct {
	// state has an empty timeline: nothing here needs it.
	state incident.State
	due   int64 // unix ms; 0: not before something happens to it
	// told are the pages that wait and that the courier has.
	told map[string]bool
	// tokens are the links of pages that the courier did not take yet.
	tokens map[string]string
	// owing says that something of it has not reached the courier yet.
	owing bool
	// cancel says that pages of it may be with the courier that wait no more, whoever handed them over.
	cancel bool
	// out says that pages of it, which is of a drill, were let out of the building.
	out bool
	// before says that it was open, and on nobody's list, when paging first began here.
	before bool
	// ahead is by how much, in ms, the incident's own time is ahead of the clock, because the clock was set back: its waits go on all the same.
	ahead int64
}

// New makes a pager that has read nothing yet.
func New(o Options) *Pager {
	p := &Pager{o: o}
	p.forget()
	return p
}

func (p *Pager) forget() {
	p.started, p.handed, p.next = false, false, 0
	p.rooms, p.over, p.dirty = map[int64]*known{}, map[int64]bool{}, map[int64]bool{}
	p.figures.Store(nil)
}

// Run leads until ctx ends or another replica turns out to lead; the caller elects, and runs it again. It begins with what the log says, so it
// forgets nothing that was due while nobody led.
func (p *Pager) Run(ctx context.Context) error {
	p.mu.Lock()
	p.forget()
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.forget()
		p.mu.Unlock()
	}()
	g, ctx := errgroup.WithContext(ctx)
	news := make(chan struct{}, 1) // full: a step is due already
	g.Go(func() error {
		for _, err := range p.o.Log.Follow(ctx, p.o.Log.Size()) {
			if err != nil {
				return fmt.Errorf("follow the log: %w", err)
			}
			select {
			case news <- struct{}{}:
			default:
			}
		}
		return ctx.Err()
	})
	g.Go(func() error {
		wait := firstWait
		for ctx.Err() == nil {
			next, err := p.Step(ctx)
			switch {
			case errors.Is(err, errDeposed):
				return err
			case errors.Is(err, errBehind):
				pause(ctx, nil, firstWait)
				continue
			case err != nil && ctx.Err() == nil:
				p.o.Logger.WarnContext(ctx, "not all that is due could be done; it is tried again", "err", err, "in", wait)
				pause(ctx, nil, firstWait)
				pause(ctx, news, wait-firstWait) // what is new does not wait for what fails
				wait = min(2*wait, mostWait)
				continue
			}
			wait = firstWait
			sleep := beat
			if next > 0 {
				sleep = min(beat, max(0, time.UnixMilli(next).Sub(p.o.Clock())))
			}
			pause(ctx, news, sleep)
		}
		return ctx.Err()
	})
	return g.Wait()
}

// pause returns after d, when there is news, or when ctx ends.
func pause(ctx context.Context, news <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-news:
	case <-ctx.Done():
	}
}

// Step folds all that is durable, does all that is due now, and says when to step again (unix ms; 0: not before something happens). After an error
// everything that could be done is done, and the rest is due at once. Steps come one at a time.
func (p *Pager) Step(ctx context.Context) (next int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next, err = p.step(ctx)
	if p.failing++; err == nil {
		p.failing = 0
	}
	p.count()
	return next, err
}

func (p *Pager) step(ctx context.Context) (int64, error) {
	if !p.started {
		if err := p.start(ctx); err != nil {
			return 0, err
		}
	}
	p.wind()
	if err := p.catchUp(ctx); err != nil {
		return 0, err
	}
	if err := p.current(); err != nil {
		return 0, err
	}
	var all []error
	for range rounds {
		now := p.now()
		for n, k := range p.rooms {
			if k.owing || k.due > 0 && k.due <= now {
				p.dirty[n] = true
			}
		}
		if len(p.dirty) == 0 {
			break
		}
		todo := slices.Sorted(maps.Keys(p.dirty))
		clear(p.dirty)
		again, err := p.attend(ctx, todo)
		if err == nil {
			err = p.catchUp(ctx)
		}
		if err := p.handOver(ctx); err != nil {
			all = append(all, err)
		}
		for _, n := range again {
			p.dirty[n] = true
		}
		if err != nil {
			all = append(all, err)
		}
		if len(all) > 0 {
			break
		}
	}
	if err := errors.Join(all...); err != nil {
		return 0, err
	}
	p.sweep(ctx)
	if len(p.dirty) > 0 {
		return p.now(), nil
	}
	return p.soonest(), p.keepCursor(ctx)
}

// soonest is the earliest moment at which something is due.
func (p *Pager) soonest() (next int64) {
	for _, k := range p.rooms {
		if k.due > 0 && (next == 0 || k.due < next) {
			next = k.due
		}
	}
	return next
}

func (p *Pager) now() int64 { return p.o.Clock().UnixMilli() }

// wind notices that the clock was set back since the newest Step: for incidents at hand time goes on from where it was, so that nobody is paged later
// for it. One set forward costs the rest of one wait at most: a step that is late begins its wait when it begins.
func (p *Pager) wind() {
	now := p.now()
	if back := p.seen - now; back > 0 {
		for _, k := range p.rooms {
			k.ahead += back
			if k.due > 0 {
				k.due -= back
			}
		}
		p.behind, p.swept = 0, min(p.swept, now)
	}
	p.seen = now
}

// time is the incident's own at a moment of the clock.
func (k *known) time(now int64) int64 { return now + k.ahead }

// set takes the state that its newest event left. What was written by a clock that was ahead of this one is not waited for.
func (k *known) set(s incident.State, now int64) {
	s.Timeline = incident.Timeline{}
	if k.state = s; s.LastAt > now {
		k.ahead = max(k.ahead, s.LastAt-now)
	} else {
		k.ahead = 0
	}
}

// sweep takes away links that nobody can use any more. What fails is tried with the next one.
func (p *Pager) sweep(ctx context.Context) {
	if now := p.now(); now-p.swept >= sweepEvery.Milliseconds() {
		p.swept = now
		if err := p.o.Links.sweep(ctx); err != nil && ctx.Err() == nil {
			p.o.Logger.WarnContext(ctx, "links of pages that have ended were not removed", "err", err)
		}
	}
}
