package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
	"github.com/tocsin-ops/tocsin/store"
)

// leadCollectors is the election of the replica that watches the chains.
const leadCollectors = "collectors"

// restWithin bounds how long a replica keeps the lead of the collectors while
// they end.
const restWithin = 5 * time.Second

// run watches the chains whenever this replica leads the collectors, until ctx
// ends; then it returns nil.
func (c *chains) run(ctx context.Context) error {
	return c.app.elected(ctx, leadCollectors, "the chains are not watched by this replica", c.lead)
}

// elected runs lead whenever this replica wins the election of that name, and
// always when there is nobody else, until ctx ends; then it returns nil.
func (a *App) elected(ctx context.Context, election, otherwise string, lead func(context.Context) error) error {
	elector, elects := a.db.(store.Elector)
	wait := firstWait
	for ctx.Err() == nil {
		began := time.Now()
		var err error
		if elects {
			err = elector.Lead(ctx, election, lead)
		} else {
			err = lead(ctx)
		}
		if errors.Is(err, errors.ErrUnsupported) {
			elects = false
			continue
		}
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > mostWait {
			wait = firstWait
		}
		a.opt.Logger.Debug(otherwise, "err", err)
		rest(ctx, wait)
		wait = min(2*wait, mostWait)
	}
	return nil
}

// lead watches the chains until ctx ends, which may be because another replica
// leads now. What is open stays open: only facts end it. When it returns, every
// collector has ended.
func (c *chains) lead(ctx context.Context) error {
	if err := c.app.foldAll(ctx); err != nil { // what is open now, the monitors must know
		return err
	}
	if err := c.endUnwatched(ctx); err != nil {
		return err
	}
	if err := c.endWaits(ctx); err != nil {
		return err
	}
	if err := c.setLeading(true); err != nil {
		return err
	}
	c.app.runWatch(ctx)
	<-ctx.Done() // also when nothing is watched beside the heads
	err := c.setLeading(false)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), restWithin)
	defer cancel()
	c.app.watch.Settle(end)
	return errors.Join(err, ctx.Err())
}

// endUnwatched ends what is open of chains that are not watched any more: they
// were removed while nobody watched, so that no monitor could say so.
func (c *chains) endUnwatched(ctx context.Context) error {
	if c.app.peers.Shared() { // which chains there are now, not when we last heard of it
		var all []store.KV
		for kv, err := range c.app.db.Scan(ctx, store.Range{From: []byte(chainPrefix), To: []byte(chainPrefix + "\xff")}) {
			if err != nil {
				return fmt.Errorf("read the watched chains: %w", err)
			}
			all = append(all, kv)
		}
		c.hearAll(all)
	}
	watched := map[string]bool{}
	c.mu.Lock()
	for _, t := range slices.Concat(c.fixed, c.added) {
		watched[t.Name] = true
	}
	c.mu.Unlock()
	var over []signal.Observation
	c.app.world.Look(func(v projection.View) {
		for s := range v.Signals() {
			if s.IsOpen() && s.Source == sourceChains && !watched[s.Chain] {
				over = append(over, signal.Observation{
					Key: s.Key, Kind: s.Kind, Subject: s.Subject, Title: s.Title, Reason: "The chain is no longer watched.", Severity: s.Severity,
					At: c.app.millis(), Chain: s.Chain, Drill: s.Drill,
				})
			}
		}
	})
	if len(over) == 0 {
		return nil
	}
	if _, err := c.app.flow.desk.Submit(ctx, sourceChains, "system:telemetry", over); err != nil {
		return fmt.Errorf("end what is open of removed chains: %w", err)
	}
	return nil
}

func (c *chains) setLeading(leading bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leading = leading
	return c.applyLocked()
}

// Collecting reports whether this replica watches the chains.
func (a *App) Collecting() bool {
	a.chain.mu.Lock()
	defer a.chain.mu.Unlock()
	return a.chain.leading
}

// mine are the chains that this replica watches, and the names of those that are
// somebody else's. The caller holds mu.
func (c *chains) mine() (list []telemetry.Chain, elsewhere []string) {
	if c.leading {
		return slices.Concat(c.fixed, c.added, c.drill), nil
	}
	for _, t := range slices.Concat(c.fixed, c.added) {
		elsewhere = append(elsewhere, t.Name)
	}
	return c.drill, elsewhere
}

// foldAll returns when the world shows everything that was durable before the
// call, also what other replicas wrote and this one was not told of yet.
func (a *App) foldAll(ctx context.Context) error {
	for {
		from := a.log.Size()
		more, err := a.log.Read(ctx, from, eventlog.MaxRead)
		if err != nil {
			return err
		}
		if err := a.world.WaitFor(ctx, from+int64(len(more))-1); err != nil {
			return err
		}
		if len(more) < eventlog.MaxRead {
			return nil
		}
	}
}
