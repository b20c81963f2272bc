// Package beacon owns the collector for Ethereum consensus clients over the standard beacon API (ethereum/beacon-APIs): one Collector watches
// one node and tells what it says as chain.Observation, with slots as heights; it never judges and only reads.
package beacon

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
	ChainID     string        // CONFIG_NAME: mainnet, sepolia, hoodi, gnosis, ...; "" accepts any
	URL         string        // http or https; may hold credentials, which are never told
	Poll        time.Duration // between looks at the head, 4 s; while events come three times that
	Slow        time.Duration // between looks at checkpoints, health and peers, 12 s
	Timeout     time.Duration // of one call, 8 s
	Rate        float64       // calls a second at most, 10 (a walk may burst to 300)
}

const (
	backfill  = 64  // headers fetched at the start, and at most after a stall: enough for two epochs of missed slots
	walkMost  = 256 // headers fetched to find a common ancestor
	fillMost  = 256 // empty slots between two blocks that are told one by one
	keep      = 1024
	absentFor = 10 * time.Minute // an endpoint that a node does not serve is tried again after this
	staleOf   = 4                // slots that a head may be behind the clock before it is told
)

// Collector watches one node. Make it with New; Run does everything.
type Collector struct {
	cfg    Config
	sink   func(chain.Observation)
	log    *slog.Logger
	limit  *rate.Limiter
	http   *http.Client
	stream *http.Client
	tree   *chain.Tree
	slots  map[string]int64 // slot of every root known, for empty slots; kept as long as the tree
	absent map[string]time.Time

	spec    spec
	genesis int64 // unix s
	known   bool
	client  string
	said    time.Time // when the head was last told
	asked   int64     // epoch whose participation was told
	met     time.Time // when it was last asked who its peers are
	wait    time.Time // until when nothing but the head is asked: the node limits us
	state   chain.NodeState
	reason  string
}

// New makes a collector; it does nothing until Run. sink is called from Run's goroutine only and must not block for long.
func New(c Config, sink func(chain.Observation), log *slog.Logger) *Collector {
	if c.Poll <= 0 {
		c.Poll = 4 * time.Second
	}
	if c.Slow <= 0 {
		c.Slow = 12 * time.Second
	}
	if c.Timeout <= 0 {
		c.Timeout = 8 * time.Second
	}
	if c.Rate <= 0 {
		c.Rate = 10
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Collector{cfg: c, sink: sink, log: log.With("chain", c.Chain, "node", c.Node), limit: rate.NewLimiter(rate.Limit(c.Rate), 300),
		http: dial.Client(c.Timeout), stream: dial.Stream(c.Timeout), tree: chain.NewTree(keep), slots: map[string]int64{}, absent: map[string]time.Time{}, asked: -1}
}

// Run watches the node until ctx ends and returns nil. Every failure is told as a state with a sentence and retried with growing waits of
// at most 5 s (30 s while the node serves another chain, and as long as it asks when it limits us).
func (c *Collector) Run(ctx context.Context) error {
	dial.KeepDown(ctx, c.log, c.cfg.URL, func(ctx context.Context) error {
		err := c.session(ctx)
		c.http.CloseIdleConnections()
		c.stream.CloseIdleConnections()
		return err
	}, c.down)
	return nil
}

// session checks the chain and watches until something fails.
func (c *Collector) session(ctx context.Context) error {
	if _, err := dial.Check(c.cfg.URL, "http", "https"); err != nil {
		return err
	}
	c.known = false
	if err := c.identify(ctx); err != nil {
		return err
	}
	if err := c.look(ctx, "head"); err != nil {
		return c.spared(err)
	}
	if err := c.slow(ctx); err != nil {
		return err
	}
	events := make(chan event, 64)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.follow(ctx, events)
	}()
	defer func() { cancel(); <-done }()
	poll, slow := time.NewTicker(c.cfg.Poll), time.NewTicker(c.cfg.Slow)
	defer poll.Stop()
	defer slow.Stop()
	var heard time.Time
	for n := 0; ; {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-events:
			heard = time.Now()
			err = c.happened(ctx, e)
		case <-poll.C:
			if n++; time.Since(heard) > 3*c.cfg.Poll || n%3 == 0 { // events may be silent without an error
				err = c.look(ctx, "head")
			}
		case <-slow.C:
			err = c.slow(ctx)
		}
		if err != nil {
			return c.spared(err)
		}
	}
}

func (c *Collector) get(ctx context.Context, path string, out any) error {
	if err := c.limit.Wait(ctx); err != nil {
		return err
	}
	cctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	return dial.Get(cctx, c.http, c.cfg.URL, path, out)
}

var errAbsent = errors.New("not available")

// optional asks what not every node serves. What is missing is left alone for ten minutes; an error comes back only when the node itself
// cannot be asked, or is not to be trusted.
func (c *Collector) optional(ctx context.Context, name, path string, out any) error {
	if time.Now().Before(c.absent[name]) || time.Now().Before(c.wait) {
		return errAbsent
	}
	err := c.get(ctx, path, out)
	wait := absentFor
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		wait = time.Minute
	case c.limited(err):
		return errAbsent
	case !answered(err):
		return err
	}
	c.absent[name] = time.Now().Add(wait)
	c.log.Debug("not available", "what", name, "why", dial.Sentence(err, c.cfg.URL))
	return errAbsent
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

// answered tells whether an error came with an answer, so that the node can be asked other things.
func answered(err error) bool {
	var status *dial.StatusError
	return errors.As(err, &status) && status.Status != 401 && status.Status != 403 && status.Status < 500 || errors.Is(err, dial.ErrNotJSON)
}

// missing tells whether the node answered that it does not have the block: an empty slot, or a block it has forgotten.
func missing(err error) bool {
	var status *dial.StatusError
	return errors.As(err, &status) && status.Status == http.StatusNotFound
}

func (c *Collector) observation(k chain.Kind) chain.Observation {
	return chain.Observation{Kind: k, Chain: c.cfg.Chain, Node: c.cfg.Node, At: time.Now().UnixMilli()}
}

func (c *Collector) down(reason string, limited time.Duration) {
	o := c.observation(chain.KindState)
	o.State, o.Reason, o.Limited = chain.Down, reason, limited.Milliseconds()
	c.sink(o)
}

func (c *Collector) tellState(s chain.NodeState, reason string) {
	o := c.observation(chain.KindState)
	o.State, o.Reason, o.Client = s, reason, c.client
	if c.known {
		o.ChainID = c.spec.Name
	}
	c.state, c.reason = s, reason
	c.sink(o)
}
