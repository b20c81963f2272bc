// Package watch owns the running of what is watched on chains beside their heads: one watcher for every chain and node, their prices, and
// where samples and observations go; it never judges anything and never writes the log.
package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/bitcoinwatch"
	"github.com/tocsin-ops/tocsin/internal/chain/evmwatch"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Chain is what is watched on one chain, and through which nodes. Spec is EVM or Bitcoin by Family.
type Chain struct {
	Name    string
	Family  chain.Family
	ChainID string
	Nodes   []Node        // each is asked for everything, so that one confirms what the other saw; at most mostNodes
	Every   time.Duration // between looks at balances, views and feeds; 0 = 12 s
	Rate    float64       // calls a second to each node; 0 = 25
	Batch   int           // calls in one request; 0 = 100
	EVM     evmwatch.Spec
	Bitcoin bitcoinwatch.Spec
	Coin    evmwatch.Asset // of Bitcoin: how it is called and priced
}

// Node is one node. URL may hold credentials; it is told nowhere.
type Node struct {
	Name, URL string
	Operator  string // who runs it; "" = it is its own. Nodes of one operator are one voice
}

func (n Node) voice() string { return strings.ToLower(cmp.Or(n.Operator, n.Name)) }

const (
	mostNodes  = 4
	mostChains = 64
)

// Check says as a sentence what is wrong, nil when nothing is. It reads every address and signature.
func (c Chain) Check() error {
	if c.Name == "" || len(c.Nodes) == 0 || len(c.Nodes) > mostNodes {
		return fmt.Errorf("watch of chain %q: it needs a name and 1 to %d nodes", c.Name, mostNodes)
	}
	var err error
	switch c.Family {
	case chain.EVM:
		err = c.EVM.Check()
	case chain.Bitcoin:
		err = c.Bitcoin.Check()
	default:
		err = fmt.Errorf("on chains of family %s nothing but the heads can be watched; remove it", c.Family)
	}
	if err != nil {
		return fmt.Errorf("watch of chain %s: %w", c.Name, err)
	}
	return nil
}

// Options say where things go. Every function may be called from several goroutines at once, must not block for long, and may be nil.
type Options struct {
	OnSamples func([]chain.Sample)
	// OnObservation takes transfers, deposits, withdrawals, admin changes, spends and feed rounds as one node saw them; Node says which. The
	// same event told by another node, in the pool and then in a block, or again after a restart, has the same kind, Chain, Tx, ID and
	// fields beside At, Node and Where. Removed: true takes back what was told.
	OnObservation func(observation.Observation)
	// Marks keep how far chains were read, so that a restart goes on there; nil = every start begins at the newest block.
	Marks Marks
	Log   *slog.Logger
}

// Marks keep one short text for a key. Errors are logged and cost only what happened during a pause.
type Marks interface {
	Mark(ctx context.Context, key string) (string, error)
	SetMark(ctx context.Context, key, value string) error
}

// Watch runs watchers. Make it with New.
type Watch struct {
	chains    []Chain
	opt       Options
	prices    *Prices
	following following
}

// New makes a Watch that does nothing until Run. The error is a sentence about what is wrong with a chain, or about two feeds of one name.
func New(chains []Chain, o Options) (*Watch, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnSamples == nil {
		o.OnSamples = func([]chain.Sample) {}
	}
	if o.OnObservation == nil {
		o.OnObservation = func(observation.Observation) {}
	}
	if len(chains) > mostChains {
		return nil, fmt.Errorf("%d chains have something to watch, at most %d may", len(chains), mostChains)
	}
	w := &Watch{chains: chains, opt: o, prices: NewPrices(), following: following{lists: map[string][]string{}, running: map[string]map[follower]bool{}}}
	feeds := map[string]bool{}
	for _, c := range chains {
		if err := c.Check(); err != nil {
			return nil, err
		}
		for _, f := range c.EVM.Feeds {
			if feeds[f.Name] {
				return nil, fmt.Errorf("there are two feeds named %s; give each its own name", f.Name)
			}
			feeds[f.Name] = true
			w.prices.Feed(f.Name, f.Heartbeat)
		}
	}
	for _, c := range chains {
		assets := []evmwatch.Asset{c.Coin, c.EVM.Coin}
		for _, t := range c.EVM.Tokens {
			assets = append(assets, t.Asset)
		}
		for _, a := range assets {
			if a.Feed != "" && !feeds[a.Feed] {
				return nil, fmt.Errorf("watch of chain %s: %s is priced by the feed %s, which is not watched; add it to feeds, on any chain", c.Name, a.Name, a.Feed)
			}
		}
	}
	return w, nil
}

// Prices are what the feeds say now.
func (w *Watch) Prices() *Prices { return w.prices }

// Run watches until ctx ends and returns when every watcher has ended. It may be run again.
func (w *Watch) Run(ctx context.Context) error {
	var all sync.WaitGroup
	errs := make(chan error, mostChains*mostNodes) // one a watcher: never full
	for _, c := range w.chains {
		for _, n := range c.Nodes {
			run, err := w.watcher(ctx, c, n)
			if err != nil {
				errs <- err
				continue
			}
			all.Go(func() {
				if err := run(ctx); err != nil {
					errs <- err
				}
			})
		}
	}
	all.Wait()
	close(errs)
	var failed []error
	for err := range errs {
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (w *Watch) watcher(ctx context.Context, c Chain, n Node) (func(context.Context) error, error) {
	key := c.Name + "/" + n.Name
	switch c.Family {
	case chain.EVM:
		x, err := evmwatch.New(evmwatch.Config{
			Chain: c.Name, Node: n.Name, ChainID: c.ChainID, URL: n.URL, Every: c.Every, Rate: c.Rate, Batch: c.Batch, Spec: c.EVM,
			Price: w.prices.Price, Answer: func(feed string, value float64, at int64) { w.prices.Answer(feed, n.voice(), value, at) }, Resume: resume[evmwatch.Mark](ctx, w, key),
		}, evmwatch.Sink{Samples: w.opt.OnSamples, Observe: w.opt.OnObservation, Mark: func(m evmwatch.Mark) { w.mark(ctx, key, m) }}, w.opt.Log)
		if err != nil {
			return nil, err
		}
		return w.followed(c.Name, x, x.Run), nil
	case chain.Bitcoin:
		price := func() (float64, bool) {
			if c.Coin.Peg > 0 {
				return c.Coin.Peg, true
			}
			return w.prices.Price(c.Coin.Feed)
		}
		spec := c.Bitcoin
		if spec.Asset == "" {
			spec.Asset = c.Coin.Name
		}
		x, err := bitcoinwatch.New(bitcoinwatch.Config{
			Chain: c.Name, Node: n.Name, ChainID: c.ChainID, URL: n.URL, Rate: c.Rate, Spec: spec, Price: price, Resume: resume[bitcoinwatch.Mark](ctx, w, key),
		}, bitcoinwatch.Sink{Samples: w.opt.OnSamples, Observe: w.opt.OnObservation, Mark: func(m bitcoinwatch.Mark) { w.mark(ctx, key, m) }}, w.opt.Log)
		if err != nil {
			return nil, err
		}
		return w.followed(c.Name, x, x.Run), nil
	}
	return nil, c.Check()
}
