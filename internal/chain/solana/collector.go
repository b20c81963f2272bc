// Package solana owns the collector for Solana nodes over plain JSON-RPC: one Collector watches one node and tells what it says as
// chain.Observation; slots are the heights. It never judges, never computes a hash and never sends a transaction.
package solana

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// Config names one node. Zero durations take the defaults.
type Config struct {
	Chain, Node string
	ChainID     string        // mainnet-beta, testnet, devnet, or the hash of the genesis block; "" accepts any
	URL         string        // http or https; credentials inside are never told
	Validators  []string      // identities or vote accounts to watch one by one
	Poll        time.Duration // between looks at the newest confirmed slot, 1 s
	Mid         time.Duration // between looks at processed and finalized slot, health, block production, 5 s
	Slow        time.Duration // between looks at vote accounts (an answer of megabytes) and performance samples, 60 s
	Rare        time.Duration // between looks at the cluster's nodes, 10 min
	Timeout     time.Duration // of one call, 10 s
	Rate        float64       // calls a second at most, 5 (public nodes allow 100 in 10 s)
}

const (
	window      = 200 // slots of one look at block production, about 80 s
	windowsMost = 10  // windows caught up after a pause; older ones are not counted
	absentFor   = 10 * time.Minute
)

// Collector watches one node. Make it with New; Run does everything.
type Collector struct {
	cfg    Config
	sink   func(chain.Observation)
	log    *slog.Logger
	limit  *rate.Limiter
	http   *http.Client
	absent map[string]time.Time
	wait   time.Time // until when only the head is asked for
	last   chain.Block
	has    bool
	slots  chain.SolanaSlots
	next   int64 // first slot of the next window; 0 = not known
	sums   production
	rare   time.Time
}

// New makes a collector; it does nothing until Run. sink is called from Run's goroutine only and must not block for long.
func New(c Config, sink func(chain.Observation), log *slog.Logger) *Collector {
	for _, d := range []struct {
		at    *time.Duration
		usual time.Duration
	}{{&c.Poll, time.Second}, {&c.Mid, 5 * time.Second}, {&c.Slow, time.Minute}, {&c.Rare, 10 * time.Minute}, {&c.Timeout, 10 * time.Second}} {
		if *d.at <= 0 {
			*d.at = d.usual
		}
	}
	if c.Rate <= 0 {
		c.Rate = 5
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Collector{cfg: c, sink: sink, log: log.With("chain", c.Chain, "node", c.Node), limit: rate.NewLimiter(rate.Limit(c.Rate), 10), absent: map[string]time.Time{}}
}

// Run watches the node until ctx ends and returns nil. Every failure is told as a state with a sentence and retried with growing waits of
// at most 5 s (30 s while the node serves another cluster, longer when it asks for that by Retry-After).
func (c *Collector) Run(ctx context.Context) error {
	dial.KeepDown(ctx, c.log, c.cfg.URL, c.session, c.down)
	return nil
}

func (c *Collector) session(ctx context.Context) error {
	address, err := dial.Check(c.cfg.URL, "http", "https")
	if err != nil {
		return err
	}
	c.cfg.URL = address
	c.http = dial.Client(c.cfg.Timeout)
	defer c.http.CloseIdleConnections()
	c.rare = time.Time{}
	if err := c.identify(ctx); err != nil {
		return err
	}
	for _, first := range []func(context.Context) error{c.head, c.mid, c.slow} {
		if err := first(ctx); err != nil {
			return c.spared(err)
		}
	}
	poll, mid, slow := time.NewTicker(c.cfg.Poll), time.NewTicker(c.cfg.Mid), time.NewTicker(c.cfg.Slow)
	defer poll.Stop()
	defer mid.Stop()
	defer slow.Stop()
	for {
		var ask func(context.Context) error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
			ask = c.head
		case <-mid.C:
			ask = c.mid
		case <-slow.C:
			ask = c.slow
		}
		if err := ask(ctx); err != nil {
			return c.spared(err)
		}
	}
}

// spared returns the error of the head's own question. When that is limited the session rests as long as the node asks, and then asks for the
// head only, as long again: the other questions may be what was too much.
func (c *Collector) spared(err error) error {
	if rest := dial.Limited(err); rest > 0 {
		c.wait = time.Now().Add(2 * rest)
	}
	return err
}

func (c *Collector) call(ctx context.Context, out any, method string, params ...any) error {
	if err := c.limit.Wait(ctx); err != nil {
		return err
	}
	cctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	return dial.CallStrict(cctx, c.http, c.cfg.URL, method, params, out)
}

var errAbsent = errors.New("not available")

// optional calls what the head can do without. A method that a provider does not offer is left alone for ten minutes, a node that limits us is
// asked for nothing but the head until its time is over; an error comes back only when the node itself cannot be asked.
func (c *Collector) optional(ctx context.Context, out any, method string, params ...any) error {
	if time.Now().Before(c.absent[method]) || time.Now().Before(c.wait) {
		return errAbsent
	}
	err := c.call(ctx, out, method, params...)
	if err == nil {
		return nil
	}
	wait := absentFor
	var rpc *dial.RPCError
	var status *dial.StatusError
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		wait = time.Minute
	case dial.Limited(err) > 0:
		c.wait = time.Now().Add(dial.Limited(err))
		return errAbsent
	case errors.As(err, &status) && status.Status == http.StatusServiceUnavailable:
		wait = 10 * time.Second
	case errors.As(err, &rpc) && rpc.Code != -32601 && len(params) > 0:
		return errAbsent // this slot or range, not this method
	case !answered(err):
		return err
	}
	c.absent[method] = time.Now().Add(wait)
	c.log.Debug("method not available", "method", method, "why", dial.Sentence(err, c.cfg.URL))
	return errAbsent
}

// answered tells whether an error came with an answer, so that the node can be asked other things.
func answered(err error) bool {
	var rpc *dial.RPCError
	var status *dial.StatusError
	return errors.As(err, &rpc) || (errors.As(err, &status) && status.Status != 401 && status.Status != 403) || errors.Is(err, dial.ErrNotJSON) || errors.Is(err, dial.ErrTooLarge)
}

func ignore(err error) error {
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}

func (c *Collector) observation(k chain.Kind) chain.Observation {
	return chain.Observation{Kind: k, Chain: c.cfg.Chain, Node: c.cfg.Node, At: time.Now().UnixMilli()}
}

func (c *Collector) down(reason string, limited time.Duration) {
	o := c.observation(chain.KindState)
	o.State, o.Reason, o.Limited = chain.Down, reason, limited.Milliseconds()
	c.sink(o)
}

func (c *Collector) said(s chain.SolanaSaid) {
	o := c.observation(chain.KindSolana)
	o.Solana = &s
	c.sink(o)
}

func (c *Collector) watches(v voteAccount) (string, bool) {
	for _, id := range []string{v.Identity, v.Vote} {
		if slices.Contains(c.cfg.Validators, id) {
			return id, true
		}
	}
	return "", false
}
