// Package comet owns the collector for CometBFT nodes (Cosmos SDK chains and others) over plain JSON-RPC: one Collector watches one node and
// tells what it says as chain.Observation; it never judges, never verifies a signature and never calls a method that changes the node.
//
// It asks /status once a second instead of subscribing to NewBlock. A subscription would save half a second; it would cost a second
// transport, and slow subscribers are cut off by the node, so that every block has to be asked for by height all the same.
package comet

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
	ChainID     string        // the network's name, like cosmoshub-4; "" accepts any
	URL         string        // http or https; credentials inside are never told
	Poll        time.Duration // between looks at the newest block, 1 s
	Slow        time.Duration // between looks at peers, mempool, validators, 15 s
	App         time.Duration // between looks at slashing and upgrade plan, 60 s
	Timeout     time.Duration // of one call, 10 s
	Rate        float64       // calls a second at most, 20 (a catch-up may burst to 60)
}

const (
	backfill  = 64   // headers fetched at the start
	metasMost = 20   // headers that one /blockchain answer holds
	walkMost  = 256  // headers fetched to link a new head to a known one: what is older is not linked
	commits   = 128  // missed commits fetched after a pause; older ones are not counted
	keep      = 1024 // headers remembered
	perPage   = 100  // validators in one answer, the most a node gives
	setPages  = 6    // so at most 600 validators
	quiet     = 4    // polls without a block after which it is asked where consensus stands
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
	absent map[string]time.Time
	wait   time.Time // until when the node wants to be left alone
	same   int       // polls in a row that brought no block
	judged int64     // newest height whose commit was told
	set    map[string]chain.Validator
	order  []string // addresses in the order of the set
	names  map[string]string
	jailed map[string]bool
	named  time.Time
	app    time.Time
}

// New makes a collector; it does nothing until Run. sink is called from Run's goroutine only and must not block for long.
func New(c Config, sink func(chain.Observation), log *slog.Logger) *Collector {
	if c.Poll <= 0 {
		c.Poll = time.Second
	}
	if c.Slow <= 0 {
		c.Slow = 15 * time.Second
	}
	if c.App <= 0 {
		c.App = time.Minute
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Rate <= 0 {
		c.Rate = 20
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Collector{cfg: c, sink: sink, log: log.With("chain", c.Chain, "node", c.Node), limit: rate.NewLimiter(rate.Limit(c.Rate), 60),
		tree: chain.NewTree(keep), absent: map[string]time.Time{}}
}

// Run watches the node until ctx ends and returns nil. Every failure is told as a state with a sentence and retried with growing waits of
// at most 5 s (30 s while the node serves another chain, longer when it asks for that by Retry-After).
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
	c.app = time.Time{}
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
			if err := c.slow(ctx); err != nil {
				return err
			}
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
	return dial.Call(cctx, c.http, c.cfg.URL, method, params, out)
}

var errAbsent = errors.New("not available")

// optional calls a method that not every node has (some hide consensus, a pruned node lacks old blocks). What is missing is left alone for
// ten minutes, one block that is missing is only that; an error comes back only when the node itself cannot be asked.
func (c *Collector) optional(ctx context.Context, key string, out any, method string, params ...any) error {
	if time.Now().Before(c.absent[key]) || time.Now().Before(c.wait) {
		return errAbsent
	}
	err := c.call(ctx, out, method, params...)
	if err == nil {
		return nil
	}
	wait := absentFor
	var rpc *dial.RPCError
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		wait = time.Minute
	case dial.Limited(err) > 0: // too many questions: the head goes on being asked for, the rest waits
		c.wait = time.Now().Add(dial.Limited(err))
		return errAbsent
	case errors.As(err, &rpc) && rpc.Code != -32601 && len(params) > 0:
		return errAbsent // this height, not this method
	case !answered(err):
		return err
	}
	c.absent[key] = time.Now().Add(wait)
	c.log.Debug("method not available", "method", method, "why", dial.Sentence(err, c.cfg.URL))
	return errAbsent
}

// answered tells whether an error came with an answer, so that the node can be asked other things.
func answered(err error) bool {
	var rpc *dial.RPCError
	var status *dial.StatusError
	return errors.As(err, &rpc) || (errors.As(err, &status) && status.Status != 401 && status.Status != 403) || errors.Is(err, dial.ErrNotJSON)
}

func (c *Collector) observation(k chain.Kind) chain.Observation {
	return chain.Observation{Kind: k, Chain: c.cfg.Chain, Node: c.cfg.Node, At: time.Now().UnixMilli()}
}

func (c *Collector) down(reason string, limited time.Duration) {
	o := c.observation(chain.KindState)
	o.State, o.Reason, o.Limited = chain.Down, reason, limited.Milliseconds()
	c.sink(o)
}

func (c *Collector) said(s chain.CometSaid) {
	o := c.observation(chain.KindComet)
	o.Comet = &s
	c.sink(o)
}
