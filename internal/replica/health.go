package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tocsin-ops/tocsin/store"
)

const (
	probeEvery  = time.Second
	probeWithin = 1500 * time.Millisecond
	probeLeast  = 250 * time.Millisecond // between two, and for one
	troubleMost = 2 * time.Second        // of failures that are not yet an outage
	writeEvery  = 10 * time.Second       // without a write by anybody here, the prober makes one
)

// Health says whether the store answers this replica.
type Health struct {
	ReadOnly bool   // the store does not take anything
	Since    int64  // unix ms of the first sign, 0 when all is well
	Replica  string // whose view this is
	Why      string // one sentence for people
}

// Outages are those of the store since the start, as this replica saw them.
type Outages struct {
	Number   int64
	Lasted   time.Duration // all of them, the present one included
	Answered time.Time     // when the newest question was asked that the store answered; zero: none was
}

// Prober asks a shared store once a second whether it answers, at least every
// ten seconds whether it takes what is written, and both at once when somebody
// else's call failed.
type Prober struct {
	db      *Watched
	self    string
	where   string
	clock   func() int64
	log     *slog.Logger
	now     atomic.Pointer[Health]
	outages atomic.Pointer[Outages] // without the present one
	began   atomic.Pointer[time.Time]
}

// NewProber returns the prober of a replica; where names the store without
// secrets. All is well until Run has found otherwise.
func NewProber(db *Watched, self, where string, clock func() int64, log *slog.Logger) *Prober {
	p := &Prober{db: db, self: self, where: where, clock: clock, log: log}
	p.now.Store(&Health{Replica: self})
	p.outages.Store(&Outages{})
	return p
}

// Health returns the newest finding. It never blocks.
func (p *Prober) Health() Health { return *p.now.Load() }

// Outages returns what there was of outages. It never blocks.
func (p *Prober) Outages() Outages {
	o := *p.outages.Load()
	if began := p.began.Load(); began != nil {
		o.Lasted += time.Since(*began)
	}
	return o
}

// Run asks until ctx ends; then it returns nil. What does not answer, or takes
// nothing, for two seconds is read-only from then on until it takes a write; it
// is at once when a command or another caller failed too. Each of the two is one
// line in the log.
func (p *Prober) Run(ctx context.Context) error {
	var first time.Time // of the first failure in a row
	var since, failed int64
	for ctx.Err() == nil {
		asked, at, count := time.Now(), p.clock(), p.db.failed.Load()
		patience := probeWithin
		if !first.IsZero() { // an outage is known when it is one
			patience = min(max(troubleMost-time.Since(first), probeLeast), probeWithin)
		}
		err := p.ask(ctx, patience)
		was := p.Health()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			p.answered(asked, was.ReadOnly)
			first, failed = time.Time{}, count
		default:
			if first.IsZero() {
				first, since = asked, at
			}
			if !was.ReadOnly && (time.Since(first) >= troubleMost || p.db.failed.Load() > failed) {
				p.failed(err, first, since)
			}
		}
		if !pause(ctx, probeLeast) {
			return nil
		}
		p.rest(ctx, probeEvery-time.Since(asked))
	}
	return nil
}

// rest waits for the next time, or for somebody's failure.
func (p *Prober) rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.db.news:
	case <-ctx.Done():
	}
}

func (p *Prober) answered(asked time.Time, was bool) {
	o := *p.outages.Load()
	if was {
		lasted := time.Since(*p.began.Load())
		o.Lasted += lasted
		p.log.Warn("the store takes writes again", "store", p.where, "after", lasted.Round(time.Second))
	}
	o.Answered = asked
	p.began.Store(nil)
	p.outages.Store(&o)
	if was {
		p.now.Store(&Health{Replica: p.self})
	}
}

func (p *Prober) failed(err error, first time.Time, since int64) {
	o := *p.outages.Load()
	o.Number++
	p.began.Store(&first)
	p.outages.Store(&o)
	p.began.Store(&first)
	says, why := "the store does not answer", "does not answer "+p.self+"."
	if errors.Is(err, errTakesNothing) {
		says, why = "the store answers but takes no writes", "answers "+p.self+" but takes nothing."
	}
	p.log.Error(says+": read-only until it does", "store", p.where, "err", err)
	p.now.Store(&Health{ReadOnly: true, Since: since, Replica: p.self, Why: "The store " + p.where + " " + why})
}

// errTakesNothing says that the store could be read.
var errTakesNothing = errors.New("nothing can be written")

// ask asks for an answer as of now, which only a majority can give: it reads a
// key that is never there, or, when that is in doubt, writes.
func (p *Prober) ask(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	if p.Health().ReadOnly || p.db.doubt.Load() || began.UnixNano()-p.db.wrote.Load() >= int64(writeEvery) {
		_, err := p.db.Shared.Commit(ctx, store.Txn{})
		if err == nil {
			p.db.written(began)
			return nil
		}
		if p.read(ctx) == nil {
			return fmt.Errorf("%w: %w", errTakesNothing, err)
		}
		return fmt.Errorf("ask the store: %w", err)
	}
	return p.read(ctx)
}

func (p *Prober) read(ctx context.Context) error {
	_, err := p.db.Shared.Get(ctx, []byte(prefix+"probe"))
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("ask the store: %w", err)
}
