// Package bitcoin owns the collector for Bitcoin nodes (Bitcoin Core and btcd) over plain JSON-RPC: one Collector watches one node and
// tells what it says as chain.Observation; it never judges and never calls a method that changes the node.
package bitcoin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// Config names one node. Zero durations take the defaults.
type Config struct {
	Chain, Node string
	ChainID     string        // main, test, testnet4, signet, simnet or regtest; "" accepts any
	URL         string        // http or https, user and password inside; they are never told
	Poll        time.Duration // between looks at the best block hash, 500 ms
	Slow        time.Duration // between looks at mempool, peers, tips, hash rate, 15 s
	Timeout     time.Duration // of one call, 10 s
	Rate        float64       // calls a second at most, 25 (a walk may burst to 300)
}

const (
	backfill  = minersBack
	walkMost  = 256
	keep      = 1024
	absentFor = 10 * time.Minute
)

// Collector watches one node. Make it with New; Run does everything.
type Collector struct {
	cfg    Config
	sink   func(chain.Observation)
	log    *slog.Logger
	limit  *rate.Limiter
	http   *http.Client
	tree   *chain.Tree
	best   string
	tips   map[string]chain.Tip
	absent map[string]time.Time
	ibd    bool
	met    time.Time // when it was last asked who its peers are
	wait   time.Time // until when nothing but the head is asked: the node limits us

	miners  map[string]named // by block hash
	namedBy int              // how coinbases are had: see minerOf; 0 = not known yet
	unnamed int              // blocks in a row that could not be named
	older   int              // polls since an older block was asked for
}

// New makes a collector; it does nothing until Run. sink is called from Run's goroutine only and must not block for long.
func New(c Config, sink func(chain.Observation), log *slog.Logger) *Collector {
	if c.Poll <= 0 {
		c.Poll = 500 * time.Millisecond // a head is on the wall within a second of the block
	}
	if c.Slow <= 0 {
		c.Slow = 15 * time.Second
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Rate <= 0 {
		c.Rate = 25
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Collector{cfg: c, sink: sink, log: log.With("chain", c.Chain, "node", c.Node), limit: rate.NewLimiter(rate.Limit(c.Rate), 300),
		tree: chain.NewTree(keep), absent: map[string]time.Time{}, miners: map[string]named{}}
}

// Run watches the node until ctx ends and returns nil. Every failure is told as a state with a sentence and retried with growing waits of
// at most 5 s (30 s while the node serves another chain).
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
	if err := c.identify(ctx); err != nil {
		return err
	}
	c.best = ""
	if err := c.poll(ctx); err != nil {
		return c.spared(err)
	}
	if err := c.slow(ctx); err != nil {
		return err
	}
	poll, slow := time.NewTicker(c.cfg.Poll), time.NewTicker(c.cfg.Slow)
	defer poll.Stop()
	defer slow.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
			if err := c.poll(ctx); err != nil {
				return c.spared(err)
			}
		case <-slow.C:
			if time.Now().Before(c.wait) {
				continue
			}
			if err := c.identify(ctx); err != nil && !c.limited(err) { // it also tells whether the node is syncing
				return err
			}
			if err := c.slow(ctx); err != nil {
				return err
			}
		}
	}
}

func (c *Collector) call(ctx context.Context, out any, method string, params ...any) error {
	if err := c.limit.Wait(ctx); err != nil {
		return err
	}
	cctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	return dial.Call(cctx, c.http, c.cfg.URL, method, params, out)
}

var errAbsent = errors.New("not available")

// optional calls a method that not every node has (btcd lacks some, a pruned node cannot answer others). What is missing is left alone for
// ten minutes; an error comes back only when the node itself cannot be asked.
func (c *Collector) optional(ctx context.Context, out any, method string, params ...any) error {
	if time.Now().Before(c.absent[method]) || time.Now().Before(c.wait) {
		return errAbsent
	}
	err := c.call(ctx, out, method, params...)
	if err == nil {
		return nil
	}
	wait := absentFor
	switch {
	case c.limited(err):
		return errAbsent
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		wait = time.Minute
	case !answered(err):
		return err
	}
	c.absent[method] = time.Now().Add(wait)
	c.log.Debug("method not available", "method", method, "why", dial.Sentence(err, c.cfg.URL))
	return errAbsent
}

// spared returns the error of the head's own question. When that is limited the session rests as long as the node asks, and then asks for the
// head only, as long again: the other questions may be what was too much.
func (c *Collector) spared(err error) error {
	if rest := dial.Limited(err); rest > 0 {
		c.wait = time.Now().Add(2 * rest)
	}
	return err
}

// spare lets an error of what the head can do without pass only when the node cannot be asked at all.
func (c *Collector) spare(err error) error {
	if err == nil || c.limited(err) {
		return nil
	}
	return err
}

// limited tells whether a node limits us, and then keeps all questions but the head's back for as long as it asks.
func (c *Collector) limited(err error) bool {
	rest := dial.Limited(err)
	if rest > 0 {
		c.wait = time.Now().Add(rest)
	}
	return rest > 0
}

// answered tells whether an error came with an answer, so that the node can be asked other things.
func answered(err error) bool {
	var rpcErr *dial.RPCError
	var status *dial.StatusError
	return errors.As(err, &rpcErr) || (errors.As(err, &status) && status.Status != 401 && status.Status != 403) || errors.Is(err, dial.ErrNotJSON)
}

func (c *Collector) observation(k chain.Kind) chain.Observation {
	return chain.Observation{Kind: k, Chain: c.cfg.Chain, Node: c.cfg.Node, At: time.Now().UnixMilli()}
}

func (c *Collector) down(reason string, limited time.Duration) {
	o := c.observation(chain.KindState)
	o.State, o.Reason, o.Limited = chain.Down, reason, limited.Milliseconds()
	c.sink(o)
}
