// Package opstack owns the collector for OP Stack rollup nodes (op-node and what speaks its RPC): one Collector watches one node, and the
// batches that reach its L1, and tells what it sees as chain.Observation; it never judges and never calls a method that changes a node.
package opstack

import (
	"context"
	"errors"
	"fmt"
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
	ChainID     string        // of the L2, decimal; "" accepts any
	URL         string        // of the rollup node (op-node), http or https; may hold credentials, which are never told
	Poll        time.Duration // between looks at optimism_syncStatus, 2 s
	Slow        time.Duration // between looks at L1, 12 s
	Timeout     time.Duration // of one call, 8 s
	Rate        float64       // calls a second at most to each of the two nodes, 10
	L1          L1
}

// L1 is where the batches are posted; without URL their age is not known.
type L1 struct {
	URL     string // an execution node of L1; may hold credentials
	Inbox   string // batch inbox address; "" = the one the rollup node tells
	Batcher string // sender of the batches; "" = anybody who sends to the inbox
}

const (
	absentFor = 10 * time.Minute
	lookMost  = 32 // L1 blocks looked at in one go, also at the start and after a stall
)

// Collector watches one node. Make it with New; Run does everything.
type Collector struct {
	cfg    Config
	sink   func(chain.Observation)
	log    *slog.Logger
	limit  *rate.Limiter
	http   *http.Client
	client string
	rollup rollup
	state  chain.NodeState
	reason string
	batch  *chain.Batch
}

// New makes a collector; it does nothing until Run. sink is called from Run's goroutine only and must not block for long.
func New(c Config, sink func(chain.Observation), log *slog.Logger) *Collector {
	if c.Poll <= 0 {
		c.Poll = 2 * time.Second
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
	return &Collector{cfg: c, sink: sink, log: log.With("chain", c.Chain, "node", c.Node), limit: rate.NewLimiter(rate.Limit(c.Rate), 50), http: dial.Client(c.Timeout)}
}

// Run watches the node until ctx ends and returns nil. Every failure is told as a state with a sentence and retried with growing waits of
// at most 5 s (30 s while the node serves another chain, and as long as it asks when it limits us).
func (c *Collector) Run(ctx context.Context) error {
	dial.KeepDown(ctx, c.log, c.cfg.URL, func(ctx context.Context) error {
		err := c.session(ctx)
		c.http.CloseIdleConnections()
		return err
	}, c.down)
	return nil
}

func (c *Collector) session(ctx context.Context) error {
	if _, err := dial.Check(c.cfg.URL, "http", "https"); err != nil {
		return err
	}
	if err := c.identify(ctx); err != nil {
		return err
	}
	if err := c.look(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	seen := make(chan sight, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.watchL1(ctx, c.rollup, seen)
	}()
	defer func() { cancel(); <-done }()
	poll := time.NewTicker(c.cfg.Poll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-seen:
			if s.why == "" {
				c.batch = &s.batch
			}
			if c.state == chain.Up && s.why != c.reason {
				c.tellState(chain.Up, s.why)
			}
		case <-poll.C:
			if err := c.look(ctx); err != nil {
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
	return dial.CallStrict(cctx, c.http, c.cfg.URL, method, params, out)
}

// identify asks for the rollup's configuration, which says which chains it joins, its sequencer window and its inbox. A provider may not offer
// it; then the window is not known and the chain is not checked.
func (c *Collector) identify(ctx context.Context) error {
	var said *dial.RPCError
	c.rollup = rollup{}
	if err := c.call(ctx, &c.rollup, "optimism_rollupConfig"); err != nil && !errors.As(err, &said) {
		return err
	}
	var client string
	if err := c.call(ctx, &client, "optimism_version"); err != nil && !errors.As(err, &said) && !errors.Is(err, dial.ErrNotJSON) && dial.Limited(err) == 0 {
		return err
	}
	if c.client = printable(client); c.client != "" {
		c.client = "op-node " + c.client
	}
	if id := c.rollup.L2; id != nil && c.cfg.ChainID != "" && string(*id) != c.cfg.ChainID {
		c.tellState(chain.WrongChain, "It serves chain "+label(string(*id))+", not "+label(c.cfg.ChainID)+".")
		return dial.ErrOther
	}
	return nil
}

func label(id string) string {
	if n, ok := chain.Known(chain.Rollup, id); ok {
		return fmt.Sprintf("%s (%s)", id, n.Name)
	}
	return id
}

// look asks optimism_syncStatus and tells head, levels and finality.
func (c *Collector) look(ctx context.Context) error {
	var s status
	if err := c.call(ctx, &s, "optimism_syncStatus"); err != nil {
		return err
	}
	if s.Unsafe.Hash == "" || s.Unsafe.Hash.zero() {
		c.tellState(chain.Syncing, "It has just started and does not know its unsafe head yet.")
		return nil
	}
	if s.Safe.Number > s.Unsafe.Number || s.Finalized.Number > s.Safe.Number {
		return dial.Distrust("It calls block %d unsafe, %d safe and %d finalized: that cannot be, so the answer is not trusted.", s.Unsafe.Number, s.Safe.Number, s.Finalized.Number)
	}
	if s.Unsafe.Number > 0 && s.Unsafe.Parent == s.Unsafe.Hash {
		return dial.Distrust("Its block %d is its own parent: the answer is not trusted.", s.Unsafe.Number)
	}
	if c.state != chain.Up {
		c.tellState(chain.Up, "")
	}
	now := time.Now().UnixMilli()
	o := c.observation(chain.KindHead)
	o.Head = &chain.Block{Height: int64(s.Unsafe.Number), Hash: string(s.Unsafe.Hash), Parent: string(s.Unsafe.Parent), Time: int64(s.Unsafe.Time) * 1000, SeenAt: now}
	o.How = chain.Polled
	c.sink(o)
	// After a restart op-node does not know the finalized L1 block (ethereum-optimism/optimism#16931), and its levels begin anew.
	settled := s.FinalizedL1.Hash != "" && !s.FinalizedL1.Hash.zero()
	l := &chain.Layers{Unsafe: s.Unsafe.level(), Safe: s.Safe.level(), Finalized: s.Finalized.level(), CurrentL1: s.CurrentL1.level(), HeadL1: s.HeadL1.level(),
		Settled: settled, Window: int64(c.rollup.Window), Batch: c.batch}
	o = c.observation(chain.KindRollup)
	o.Rollup = l
	c.sink(o)
	if settled {
		o = c.observation(chain.KindFinality)
		o.Finality = &chain.Finality{Safe: l.Safe.Height, Finalized: l.Finalized.Height}
		c.sink(o)
	}
	return nil
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
	if c.rollup.L2 != nil {
		o.ChainID = string(*c.rollup.L2)
	}
	c.state, c.reason = s, reason
	c.sink(o)
}

// Probe tries an address at once and says which rollup is there. The error is a *dial.Refused whose text is a sentence for the person who
// typed the address; raw is the error behind it. Takes at most 8 s.
func Probe(ctx context.Context, address string) (r chain.Recognised, raw, err error) {
	address, err = dial.Check(address, "http", "https")
	if err != nil {
		return r, err, err
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	c := New(Config{URL: address, Timeout: 8 * time.Second}, func(o chain.Observation) {
		switch {
		case o.Kind == chain.KindHead:
			r.Head = o.Head.Height
		case o.State == chain.Syncing:
			r.Syncing = o.Reason
		}
	}, nil)
	defer c.http.CloseIdleConnections()
	e := c.identify(ctx)
	if e == nil {
		e = c.look(ctx)
	}
	if e != nil {
		return chain.Recognised{}, e, dial.Refuse(e, address)
	}
	r.Family, r.Client, r.Name = chain.Rollup, c.client, "an OP Stack rollup"
	if c.rollup.L2 != nil {
		r.ChainID = string(*c.rollup.L2)
		r.Name = "OP Stack rollup " + r.ChainID
		if n, ok := chain.Known(chain.Rollup, r.ChainID); ok {
			r.Name = n.Name + " (rollup node)"
		}
	}
	return r, nil, nil
}
