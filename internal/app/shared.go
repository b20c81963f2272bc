package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/replica"
	"github.com/tocsin-ops/tocsin/internal/telemetry"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/web"
)

// Waits between attempts at a store that is troubled, and how long trouble is
// kept to oneself: the prober says that there is an outage, once.
const (
	firstWait  = 100 * time.Millisecond
	mostWait   = 2 * time.Second
	quietUntil = 5 * time.Second
)

// join makes this replica one among others. On a store of its own it stays alone.
func (a *App) join() {
	self := replica.Member{ID: a.id, URL: "http://" + a.Addr(), Version: a.opt.Version, Started: a.millis()}
	a.peers = replica.New(replica.Options{
		DB: a.db, Self: self, Log: a.component("replica"),
		Collects: a.Collecting,
		View:     func(id string) { a.web.ChainChanged(id) },
		Samples:  func(list []chain.Sample) { a.storeSamples(list) },
		Rules:    func(said []byte) { a.figures.hear(said) },
		Drill:    func() *replica.Drill { return playedHere(a.play) }, StopDrill: a.stopDrill,
	})
	a.probe = replica.NewProber(a.watched, a.id, a.opt.Config.Store.String(), a.millis, a.component("store"))
}

// health is what pages say of the store.
func (a *App) health() web.Health {
	h := a.probe.Health()
	return web.Health{ReadOnly: h.ReadOnly, Since: h.Since, Replica: h.Replica, Why: h.Why}
}

// replication is what pages and figures tell of the replicas and of their store.
func (a *App) replication() web.Replication {
	member := func(m replica.Member) web.Replica {
		return web.Replica{ID: m.ID, URL: m.URL, Version: m.Version, Started: m.Started, Alive: m.Gone == 0, Gone: m.Gone, Collects: m.Collects}
	}
	self := member(a.peers.Self())
	self.This, self.ID = true, cmp.Or(self.ID, "this")
	r := web.Replication{Shared: a.peers.Shared(), Replicas: []web.Replica{self}}
	for _, m := range slices.Concat(a.peers.Members(), a.peers.Gone()) {
		r.Replicas = append(r.Replicas, member(m))
	}
	slices.SortFunc(r.Replicas, func(x, y web.Replica) int { return cmp.Compare(x.ID, y.ID) })
	if !r.Shared {
		return r
	}
	o := a.probe.Outages()
	r.Leads, r.Untold, r.Outages, r.Held, r.Answered, r.Bounds = a.watched.Leads(), a.peers.Lost(), o.Number, o.Lasted, o.Answered, replica.Bounds
	for _, l := range a.watched.Latencies() {
		r.Calls = append(r.Calls, web.StoreCalls{Kind: l.Kind, Counts: l.Counts, Sum: l.Sum})
	}
	return r
}

// endure runs what stops when the store is troubled again and again, so that an
// outage of a shared store ends nothing. A store of its own that fails ends the
// program, as does a log that is damaged.
func (a *App) endure(name string, f func(context.Context) error) func(context.Context) error {
	if !a.peers.Shared() {
		return f
	}
	return func(ctx context.Context) error {
		wait, trouble, said := firstWait, time.Time{}, false
		for {
			began := time.Now()
			err := f(ctx)
			switch {
			case ctx.Err() != nil || err == nil:
				return nil
			case errors.Is(err, eventlog.ErrCorrupt), errors.Is(err, store.ErrClosed):
				return err
			}
			if ran := time.Since(began); trouble.IsZero() || ran > mostWait {
				wait, trouble, said = firstWait, time.Now(), false
			}
			if !said && time.Since(trouble) > quietUntil && !a.probe.Health().ReadOnly {
				said = true
				a.opt.Logger.Warn("it fails and is tried again", "component", name, "err", err)
			}
			rest(ctx, wait)
			wait = min(2*wait, mostWait)
		}
	}
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// followChains takes over which chains other replicas added and removed.
func (a *App) followChains(ctx context.Context) error {
	if !a.peers.Shared() {
		return nil
	}
	return replica.Follow(ctx, a.db, chainPrefix, a.component("chains"), a.chain.hearAll, a.chain.hear)
}

// followSources takes over which senders of alerts other replicas made and
// revoked; the log has them.
func (a *App) followSources(ctx context.Context) error {
	if !a.peers.Shared() {
		return nil
	}
	from := a.log.Size()
	if err := a.sources.Refresh(ctx); err != nil {
		return err
	}
	for page, err := range a.log.Follow(ctx, from) {
		if err != nil {
			return err
		}
		if slices.ContainsFunc(page, func(e eventlog.Event) bool { return e.Stream == intake.SourcesStream }) {
			if err := a.sources.Refresh(ctx); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// watchStore asks a shared store whether it answers. A store of its own is
// there as long as the program is.
func (a *App) watchStore(ctx context.Context) error {
	if !a.peers.Shared() {
		return nil
	}
	return a.probe.Run(ctx)
}

// hearAll takes the added chains as the store has them.
func (c *chains) hearAll(all []store.KV) {
	var added []telemetry.Chain
	names := map[string]string{}
	for _, kv := range all {
		if k, ok := c.read(kv.Key, kv.Value); ok {
			added = append(added, k.Chain)
			names[k.Chain.Name] = k.Title
		}
	}
	c.replace(added, names)
}

// hear takes one chain that was added or removed, here or elsewhere.
func (c *chains) hear(op store.Op) {
	id := string(bytes.TrimPrefix(op.Key, []byte(chainPrefix)))
	c.mu.Lock()
	added := slices.DeleteFunc(slices.Clone(c.added), func(t telemetry.Chain) bool { return t.Name == id })
	c.mu.Unlock()
	names := map[string]string{}
	if !op.Delete {
		k, ok := c.read(op.Key, op.Value)
		if !ok {
			return
		}
		added = append(added, k.Chain)
		names[k.Chain.Name] = k.Title
	}
	c.replace(added, names)
}

func (c *chains) read(key, value []byte) (k kept, ok bool) {
	err := json.Unmarshal(value, &k)
	if err == nil {
		err = k.Chain.Check()
	}
	if err != nil {
		c.app.opt.Logger.Error("a watched chain cannot be read; remove it under Chains and add it again", "key", string(key), "err", err)
		return k, false
	}
	return k, c.index(c.fixed, k.Chain.Name) < 0 // the file wins
}

// replace makes these the added chains, if they are not yet.
func (c *chains) replace(added []telemetry.Chain, names map[string]string) {
	sortChains(added)
	c.mu.Lock()
	defer c.mu.Unlock()
	same := len(added) == len(c.added)
	for i := 0; same && i < len(added); i++ {
		same = reflect.DeepEqual(added[i], c.added[i])
	}
	for id, n := range names {
		same = same && c.names[id] == n
		c.names[id] = n
	}
	if same {
		return
	}
	c.added = added
	if err := c.applyLocked(); err != nil {
		c.app.opt.Logger.Error("the chains of another replica are not watched here", "err", err)
	}
}

func sortChains(list []telemetry.Chain) {
	slices.SortFunc(list, func(a, b telemetry.Chain) int { return cmp.Compare(a.Name, b.Name) })
}
