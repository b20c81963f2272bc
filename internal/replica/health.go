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
	troubleMost = 2 * time.Second // without an answer that are not yet an outage
)

// Health says whether the store answers this replica.
type Health struct {
	ReadOnly bool   // the store does not take anything
	Since    int64  // unix ms of the first sign, 0 when all is well
	Replica  string // whose view this is
	Why      string // one sentence for people
}

// Prober asks a shared store once a second whether it answers.
type Prober struct {
	db    store.DB
	self  string
	where string
	clock func() int64
	log   *slog.Logger
	now   atomic.Pointer[Health]
}

// NewProber returns the prober of a replica; where names the store without
// secrets. All is well until Run has found otherwise.
func NewProber(db store.DB, self, where string, clock func() int64, log *slog.Logger) *Prober {
	p := &Prober{db: db, self: self, where: where, clock: clock, log: log}
	p.now.Store(&Health{Replica: self})
	return p
}

// Health returns the newest finding. It never blocks.
func (p *Prober) Health() Health { return *p.now.Load() }

// Run asks until ctx ends; then it returns nil. What does not answer for two
// seconds is read-only from then on until the first answer. Each of the two is
// one line in the log.
func (p *Prober) Run(ctx context.Context) error {
	var first time.Time // of the first failure in a row
	var since int64
	for ctx.Err() == nil {
		asked, at := time.Now(), p.clock()
		err := p.ask(ctx)
		was := p.Health()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if was.ReadOnly {
				p.log.Warn("the store answers again", "store", p.where, "after", time.Since(first).Round(time.Second))
				p.now.Store(&Health{Replica: p.self})
			}
			first = time.Time{}
		default:
			if first.IsZero() {
				first, since = asked, at
			}
			if !was.ReadOnly && time.Since(first) >= troubleMost {
				p.log.Error("the store does not answer: read-only until it does", "store", p.where, "err", err)
				p.now.Store(&Health{ReadOnly: true, Since: since, Replica: p.self, Why: "The store " + p.where + " does not answer " + p.self + "."})
			}
		}
		pause(ctx, max(probeEvery-time.Since(asked), probeEvery/4))
	}
	return nil
}

// ask reads a key that is never there, as of now: only a majority can answer.
func (p *Prober) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	_, err := p.db.Get(ctx, []byte(prefix+"probe"))
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("ask the store: %w", err)
}
