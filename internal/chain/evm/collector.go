// Package evm owns the collector for chains that speak Ethereum's JSON-RPC: one Collector watches one node and tells what it says as
// chain.Observation; it never judges, never computes a hash and never sends a transaction.
package evm

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
	"golang.org/x/time/rate"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// Config names one node. Zero durations take the defaults.
type Config struct {
	Chain, Node string
	ChainID     string        // decimal; "" accepts any chain
	URL         string        // http, https, ws or wss; may hold credentials, which are never told
	WS          string        // websocket for newHeads; "" tries to derive one from URL, "none" only polls
	Poll        time.Duration // between looks at the newest block, 2 s, and while newHeads is in doubt 0.5 s unless Poll is set; a third as often while newHeads come
	Slow        time.Duration // between looks at peers, pool, fees, finality, 12 s
	Timeout     time.Duration // of one call, 8 s
	Rate        float64       // calls a second at most, 25 (a walk may burst to 300)
}

const (
	batchMost    = 16
	callMost     = 2 << 20   // bytes of a websocket message that answers a call
	pushMost     = 256 << 10 // and of one that tells a head
	backfill     = 64        // headers fetched at the start, for intervals and for comparison with other nodes
	walkMost     = 256       // headers fetched to find a common ancestor: deeper is "at least"
	keep         = 1024
	absentFor    = 10 * time.Minute // a method that a node does not have is tried again after this
	resubscribe  = 5 * time.Minute
	rollbackPoll = 4                // polls in a row that must show the lower height ...
	rollbackHold = 10 * time.Second // ... and for how long, before it is called a rollback
)

// Collector watches one node. Make it with New; Run does everything.
type Collector struct {
	cfg   Config
	sink  func(chain.Observation)
	log   *slog.Logger
	limit *rate.Limiter

	http    *http.Client // one for all connects of this node
	quick   int          // looks in one Poll while newHeads is in doubt; one where Poll is set: that is the most that was asked for
	rpc     *rpc.Client
	tree    *chain.Tree
	heads   chan *header
	ws      *rpc.Client
	sub     *rpc.ClientSubscription
	nextSub time.Time
	shunned time.Time // until when no websocket is tried: it told what cannot be
	absent  map[string]time.Time
	syncing bool
	met     time.Time // when it was last asked who its peers are
	mined   bool      // a hash rate was told
	alone   bool      // headers are asked for one by one: a batch was limited
	wait    time.Time // until when nothing but the head is asked: the node limits us
	pushed  time.Time // when newHeads last spoke
	doubt   time.Time // until when newHeads is not relied on: it has told nothing yet, or a poll knew more
	said    time.Time // when the head was last told
	behind  int
	since   time.Time
}

// New makes a collector; it does nothing until Run. sink is called from Run's goroutine only and must not block for long.
func New(c Config, sink func(chain.Observation), log *slog.Logger) *Collector {
	quick := 1
	if c.Poll <= 0 {
		c.Poll, quick = 2*time.Second, 4
	}
	if c.Slow <= 0 {
		c.Slow = 12 * time.Second
	}
	if c.Timeout <= 0 {
		c.Timeout = 8 * time.Second
	}
	if c.Rate <= 0 {
		c.Rate = 25
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Collector{cfg: c, sink: sink, http: dial.Limiting(dial.Client(c.Timeout)), log: log.With("chain", c.Chain, "node", c.Node), limit: rate.NewLimiter(rate.Limit(c.Rate), 300),
		quick: quick, tree: chain.NewTree(keep), absent: map[string]time.Time{}}
}

// Run watches the node until ctx ends and returns nil. Every failure is told as a state with a sentence and retried with growing waits of
// at most 5 s (30 s while the node serves another chain).
func (c *Collector) Run(ctx context.Context) error {
	dial.KeepDown(ctx, c.log, c.cfg.URL, func(ctx context.Context) error {
		err := c.session(ctx)
		c.close()
		return err
	}, c.down)
	return nil
}

func (c *Collector) close() {
	c.unsubscribe()
	if c.rpc != nil {
		c.rpc.Close()
		c.rpc = nil
	}
	c.http.CloseIdleConnections()
}

// session connects, checks the chain, and watches until something fails.
func (c *Collector) session(ctx context.Context) error {
	var err error
	dctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	c.rpc, err = connect(dctx, c.cfg.URL, c.http)
	cancel()
	if err != nil {
		return err
	}
	if err := c.identify(ctx); err != nil {
		return err
	}
	if err := c.start(ctx); err != nil {
		return c.spared(err)
	}
	c.nextSub = time.Time{}
	c.trySubscribe(ctx)
	if err := c.slow(ctx); err != nil {
		return err
	}
	poll, slow := time.NewTicker(c.cfg.Poll/time.Duration(c.quick)), time.NewTicker(c.cfg.Slow)
	defer poll.Stop()
	defer slow.Stop()
	for n := 0; ; {
		var lost <-chan error
		if c.sub != nil {
			lost = c.sub.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case h := <-c.heads:
			c.pushed, c.doubt = time.Now(), time.Time{}
			err := c.head(ctx, h, chain.Subscribed)
			if lie := (*dial.Untrusted)(nil); errors.As(err, &lie) {
				c.log.Warn("newHeads is not trusted, polling", "why", lie.Why)
				c.shunned = time.Now().Add(resubscribe)
				c.unsubscribe()
			} else if err != nil {
				return c.spared(err)
			}
		case err := <-lost:
			c.log.Info("newHeads ended, polling", "why", dial.Sentence(err, c.cfg.URL))
			c.unsubscribe()
			c.nextSub = time.Now().Add(dial.Backoff(1, 2*time.Second, 2*time.Second))
		case <-poll.C:
			n++
			if !c.due(n) {
				continue
			}
			was, _ := c.tree.Tip()
			if err := c.poll(ctx); err != nil {
				return c.spared(err)
			}
			if is, _ := c.tree.Tip(); c.sub != nil && is.Hash != was.Hash {
				c.doubt = time.Now().Add(doubtFor) // newHeads should have told it
			}
			c.trySubscribe(ctx)
		case <-slow.C:
			if err := c.slow(ctx); err != nil {
				return err
			}
		}
	}
}

const (
	doubtFor   = 1 * time.Minute  // then the chain is just quiet, or the ordinary pace must do
	rarest     = 3                // Polls between two checks of a newHeads that works ...
	rarestTime = 20 * time.Second // ... unless they are longer than this: a node must be heard of within half a minute, however quiet its chain
)

// due tells whether the n-th tick, of which there are c.quick in one Poll, is to ask for the newest block. A subscription may be silent
// without an error (geth's takes some seconds to speak when the node has just begun), so one that has told nothing yet, or later than a
// poll, is not relied on; one that works is still checked now and then.
func (c *Collector) due(n int) bool {
	switch {
	case c.sub != nil && time.Now().Before(c.doubt):
		return true
	case c.sub != nil && time.Since(c.pushed) < 3*c.cfg.Poll:
		return n%(min(rarest, max(1, int(rarestTime/c.cfg.Poll)))*c.quick) == 0
	}
	return n%c.quick == 0
}

func connect(ctx context.Context, address string, h *http.Client) (*rpc.Client, error) {
	if _, err := dial.Check(address, "http", "https", "ws", "wss"); err != nil {
		return nil, err
	}
	return dialRPC(ctx, address, h, callMost)
}

func dialRPC(ctx context.Context, address string, h *http.Client, limit int64) (*rpc.Client, error) {
	return rpc.DialOptions(ctx, address, rpc.WithHTTPClient(h), rpc.WithWebsocketMessageSizeLimit(limit), rpc.WithBatchResponseSizeLimit(dial.MaxAnswer))
}

func (c *Collector) call(ctx context.Context, out any, method string, args ...any) error {
	if err := c.limit.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	return saidLimit(c.rpc.CallContext(ctx, out, method, args...))
}

// saidLimit makes a limit of the error codes that stand for one: -32005 of EIP-1474, and 429 of providers. A websocket has no other way to say it.
func saidLimit(err error) error {
	var said rpc.Error
	if errors.As(err, &said) && (said.ErrorCode() == -32005 || said.ErrorCode() == http.StatusTooManyRequests) {
		return &dial.StatusError{Status: http.StatusTooManyRequests}
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

// spared returns the error of the head's own question. When that is limited the session rests as long as the node asks, and then asks for the
// head only, as long again: the other questions may be what was too much.
func (c *Collector) spared(err error) error {
	if rest := dial.Limited(err); rest > 0 {
		c.wait = time.Now().Add(2 * rest)
	}
	return err
}

// identify checks at every connect that the node serves the configured chain: a wrong address is common, and a provider may be moved.
func (c *Collector) identify(ctx context.Context) error {
	var id, client string
	if err := c.call(ctx, &id, "eth_chainId"); err != nil {
		return err
	}
	got, err := decimal(id)
	if err != nil {
		return dial.Distrust("It calls its chain %q, which is no chain id: it is not trusted.", clip(id))
	}
	_ = c.optional(ctx, &client, "web3_clientVersion")
	o := c.observation(chain.KindState)
	o.ChainID, o.Client = got, printable(client)
	if c.cfg.ChainID != "" && got != c.cfg.ChainID {
		o.State, o.Reason = chain.WrongChain, "It serves chain "+name(got)+", not "+name(c.cfg.ChainID)+"."
		c.sink(o)
		return dial.ErrOther
	}
	o.State = chain.Up
	c.sink(o)
	return nil
}

func printable(s string) string {
	out := []rune{}
	for _, r := range s {
		if r >= ' ' && r != 0x7f && len(out) < 80 {
			out = append(out, r)
		}
	}
	return string(out)
}

// optional calls a method that not every node has. It returns an error only when the node itself cannot be asked; a method that is missing
// is left alone for ten minutes.
func (c *Collector) optional(ctx context.Context, out any, method string, args ...any) error {
	key := method
	if len(args) > 0 {
		if s, ok := args[0].(string); ok && method == "eth_getBlockByNumber" {
			key += s
		}
	}
	if time.Now().Before(c.absent[key]) || time.Now().Before(c.wait) {
		return errAbsent
	}
	err := c.call(ctx, out, method, args...)
	var rpcErr rpc.Error
	var status rpc.HTTPError
	switch {
	case err == nil:
		return nil
	case c.limited(err):
		return errAbsent
	case errors.As(err, &rpcErr), errors.As(err, &status), isDecode(err):
		c.absent[key] = time.Now().Add(absentFor)
		c.log.Debug("method not available", "method", key, "why", dial.Sentence(err, c.cfg.URL))
		return errAbsent
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil: // too slow for what it is worth
		c.absent[key] = time.Now().Add(time.Minute)
		return errAbsent
	}
	return err
}

var errAbsent = errors.New("not available")

func (c *Collector) observation(k chain.Kind) chain.Observation {
	return chain.Observation{Kind: k, Chain: c.cfg.Chain, Node: c.cfg.Node, At: time.Now().UnixMilli()}
}

func (c *Collector) down(reason string, limited time.Duration) {
	o := c.observation(chain.KindState)
	o.State, o.Reason, o.Limited = chain.Down, reason, limited.Milliseconds()
	c.sink(o)
}

func (c *Collector) state(s chain.NodeState, reason string) {
	o := c.observation(chain.KindState)
	o.State, o.Reason = s, reason
	c.sink(o)
}
