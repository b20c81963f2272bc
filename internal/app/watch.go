package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/bitcoinwatch"
	"github.com/tocsin-ops/tocsin/internal/chain/evmwatch"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/observation"
	"github.com/tocsin-ops/tocsin/internal/watch"
	"github.com/tocsin-ops/tocsin/store"
)

// OnObservation takes what the watchers saw: transfers, deposits, withdrawals,
// admin changes, spends, feed rounds, each as one node told it. It is called from
// several goroutines at once and must be quick; whoever judges is set as observe
// before Run.
func (f *flow) OnObservation(o observation.Observation) {
	if f.observe != nil {
		f.observe(o)
	}
}

// newWatch reads what is watched beside the heads. The error says what to change.
func newWatch(a *App, c config.Config) (*watch.Watch, error) {
	var list []watch.Chain
	for _, w := range c.Watches {
		at := slices.IndexFunc(c.Chains, func(f config.Chain) bool { return f.Name == w.Chain })
		if at < 0 {
			return nil, fmt.Errorf("watches: there is no chain %q in the configuration; add it to chains", w.Chain)
		}
		list = append(list, watchedChain(c.Chains[at], w))
	}
	made, err := watch.New(list, watch.Options{OnSamples: a.flow.OnSamples, OnObservation: a.flow.OnObservation, Marks: marks{a.db, a.afterJudged}, Log: a.component("watch")})
	if err != nil {
		return nil, fmt.Errorf("watches: %w", err)
	}
	return made, nil
}

func watchedChain(f config.Chain, w config.Watch) watch.Chain {
	out := watch.Chain{
		Name: slug(f.Name), Family: chain.Family(f.Family), ChainID: f.ChainID, Every: w.Every.Std(), Rate: float64(w.CallsPerSecond), Batch: w.BatchSize,
		Coin: watchedAsset(w.Coin.Name, w.Coin.USD, w.Coin.Feed),
	}
	ask, by := w.Nodes, voicesOf(f)
	if len(ask) == 0 {
		ask = pairOf(f)
	}
	for _, n := range f.Nodes {
		if slices.Contains(ask, n.Name) {
			out.Nodes = append(out.Nodes, watch.Node{Name: n.Name, URL: n.Endpoint(), Operator: by[n.Name]})
		}
	}
	if out.Family == chain.Bitcoin {
		out.Bitcoin = bitcoinwatch.Spec{Asset: w.Coin.Name, Outpoints: w.Outpoints, Scan: bool(w.Scan)}
		for _, a := range w.Addresses {
			out.Bitcoin.Addresses = append(out.Bitcoin.Addresses, bitcoinwatch.Address{Name: a.Name, Address: a.Address})
		}
		return out
	}
	s := evmwatch.Spec{Coin: out.Coin}
	out.Coin = evmwatch.Asset{}
	for _, a := range w.Addresses {
		s.Addresses = append(s.Addresses, evmwatch.Address{Name: a.Name, Address: a.Address, Transfers: bool(a.Transfers), Pool: bool(a.Pool)})
	}
	for _, t := range w.Tokens {
		s.Tokens = append(s.Tokens, evmwatch.Token{Asset: watchedAsset(t.Name, t.USD, t.Feed), Address: t.Address, Transfers: bool(t.Transfers)})
	}
	for _, v := range w.Views {
		s.Views = append(s.Views, evmwatch.View{Name: v.Name, Contract: v.Contract, Call: v.Call, Arguments: v.Arguments, Output: v.Output, Decimals: v.Decimals})
	}
	for _, x := range w.Feeds {
		s.Feeds = append(s.Feeds, evmwatch.Feed{Name: x.Name, Proxy: x.Proxy, Heartbeat: x.Heartbeat.Milliseconds(), Deviation: float64(x.Deviation)})
	}
	for _, b := range w.Bridges {
		one := evmwatch.Bridge{Name: b.Name}
		for i, e := range slices.Concat(b.Deposits, b.Withdrawals) {
			one.Events = append(one.Events, evmwatch.Event{
				Contract: e.Contract, Event: e.Event, Withdrawal: i >= len(b.Deposits), Amount: cmp.Or(e.Amount, "amount"), Token: e.Token,
				ID: e.ID, Sender: e.Sender, Beneficiary: e.Beneficiary, Message: e.Message,
			})
		}
		s.Bridges = append(s.Bridges, one)
	}
	for _, x := range w.Contracts {
		s.Contracts = append(s.Contracts, evmwatch.Contract{Name: x.Name, Address: x.Address, Executions: bool(x.Executions)})
	}
	out.EVM = s
	return out
}

func watchedAsset(name string, usd config.Number, feed string) evmwatch.Asset {
	return evmwatch.Asset{Name: name, Peg: float64(usd), Feed: feed}
}

// namedAddresses adds what the watches name to what the detectors are told of
// addresses, so that findings call them by name. What is told stands.
func namedAddresses(told []detect.Watched, c config.Config) []detect.Watched {
	out := slices.Clone(told)
	add := func(chain, name, address, kind string) {
		if !slices.ContainsFunc(told, func(t detect.Watched) bool {
			return strings.EqualFold(t.Address, address) && (t.Chain == "" || t.Chain == chain)
		}) {
			out = append(out, detect.Watched{Address: address, Chain: chain, Label: name, Kind: kind})
		}
	}
	for _, w := range c.Watches {
		chain := slug(w.Chain)
		for _, a := range w.Addresses {
			add(chain, a.Name, a.Address, "")
		}
		for _, x := range w.Contracts {
			add(chain, x.Name, x.Address, "contract")
		}
	}
	return out
}

// marks keep how far chains were read in the store, beside the log: they are no
// event, and whoever leads the collectors next goes on there.
type marks struct {
	db store.DB
	// after has a mark kept once all that was seen up to it is judged and written down, so that a crash does not pass over any of it; nil = at
	// once.
	after func(ctx context.Context, key string, keep func())
}

const (
	markPrefix = "watch/"
	markWithin = time.Second // a store that does not answer does not hold up the detectors for longer
)

// Mark implements watch.Marks.
func (m marks) Mark(ctx context.Context, key string) (string, error) {
	kv, err := m.db.Get(ctx, []byte(markPrefix+key))
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return string(kv.Value), err
}

// SetMark implements watch.Marks.
func (m marks) SetMark(ctx context.Context, key, value string) error {
	if m.after == nil {
		return m.keep(ctx, key, value)
	}
	m.after(ctx, key, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markWithin)
		defer cancel()
		_ = m.keep(ctx, key, value) // the next one comes in minutes; until then a start reads a little more again
	})
	return nil
}

func (m marks) keep(ctx context.Context, key, value string) error {
	_, err := m.db.Commit(ctx, store.Txn{Then: []store.Op{{Key: []byte(markPrefix + key), Value: []byte(value)}}})
	return err
}

// afterJudged has keep called when what the watchers saw until now is written down by the detectors.
func (a *App) afterJudged(ctx context.Context, key string, keep func()) {
	a.detect.run.After(ctx, key, keep)
}

// runWatch watches until ctx ends; what goes wrong is logged, and ends nothing else.
func (a *App) runWatch(ctx context.Context) {
	a.follow(-1) // before what happened during a pause is read
	if err := a.watches.Run(ctx); err != nil && ctx.Err() == nil {
		a.opt.Logger.Error("what is watched on a chain is not watched any more", "component", "watch", "err", err)
	}
}
