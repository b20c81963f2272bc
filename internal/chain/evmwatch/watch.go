// Package evmwatch owns what is watched on chains that speak Ethereum's JSON-RPC beside their heads: balances, views, feeds, transfers,
// bridges, administration and waiting transactions. One Watcher asks one node and tells samples and observations; it never judges them,
// never computes a block's hash and never sends a transaction.
package evmwatch

import (
	"context"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Config names one node and what is watched through it. Zero durations take the defaults.
type Config struct {
	Chain, Node string
	ChainID     string        // decimal; "" accepts any chain
	URL         string        // http, https, ws or wss; may hold credentials, which are never told
	Poll        time.Duration // between looks for a new block, 2 s
	Every       time.Duration // between looks at balances, views, feeds and contracts, 12 s; only when there is a new block
	FeedAgain   time.Duration // until a round of a feed that still stands is told again, 1 min
	Pool        time.Duration // between looks at waiting transactions, 3 s
	Hold        time.Duration // how long a lower head must last before it is no answer of another server but a rollback, 10 s
	Timeout     time.Duration // of one request, 8 s
	Rate        float64       // calls a second at most, 25 (after a pause up to 300 at once)
	Batch       int           // calls in one request at most, 100
	Spec        Spec
	// Price gives dollars by the name of a feed, false when there is no fresh answer; nil = no prices.
	Price func(feed string) (float64, bool)
	// Answer is told what a feed answered; nil = nobody asks.
	Answer func(feed string, answer float64, updatedAt int64)
	// Resume is where an earlier run stopped; the zero Mark begins at the newest block.
	Resume Mark
}

// Mark is the newest block whose events were told.
type Mark struct {
	Height int64  `json:"height"`
	Hash   string `json:"hash"`
}

// Sink takes what a Watcher tells, from its Run's goroutine only; it must not block for long. Nil functions are not called.
type Sink struct {
	Samples func([]chain.Sample)
	// Observe takes one event as one node saw it; Node says which. The same event seen by another node, or again after a restart, has the
	// same Kind, Tx, Block, ID and fields. Removed: true tells that its block is not part of the chain any more.
	Observe func(observation.Observation)
	// Mark is told at most every ten seconds how far the chain was read, and at the end.
	Mark func(Mark)
}

// Bounds. What is above is left out and counted in tocsin_watch_blocks_lost, or said in the log.
const (
	ringMost     = 256    // blocks whose events can be taken back
	walkMost     = 64     // headers followed one by one after a pause; what is further back is read in ranges
	backfillMost = 10_000 // blocks read after a pause; older ones are lost
	rangeMost    = 2_000  // blocks in one eth_getLogs, halved when a provider refuses
	blockMost    = 4_096  // observations of one block
	eventsMost   = 50_000 // observations that can be taken back
	factsMost    = 1_024  // tokens whose decimals and symbol are known
	poolMost     = 4_096  // waiting transactions remembered
	logsMost     = 50_000 // logs in one answer
	markEvery    = 10 * time.Second
	lowPolls     = 4 // polls in a row that must show a lower head before it is a rollback
)

// Watcher watches through one node. Make it with New; Run does everything, and only Follow may be called meanwhile.
type Watcher struct {
	cfg  Config
	plan *plan
	sink Sink
	log  *slog.Logger
	line *line
	http *http.Client

	ring    []seen // ascending, without a gap
	events  int    // observations in ring
	waiting []missed
	low     lowHead
	stuck   struct { // at a block that breaks the connection
		hash  common.Hash
		times int
	}
	span        int64                  // blocks in one range
	aggregators map[common.Address]int // feed contracts behind the proxies
	facts       map[common.Address]fact
	feeds       []feedState
	tracked     map[trackedKey]string
	doubted     map[trackedKey]string // what one look showed; as many as tracked
	pool        map[common.Hash]bool
	followed    followed
	slotted     int // whose slots are read next
	lost        float64
	untrusted   float64
	looked      time.Time // when state was read
	lookedAt    common.Hash
	pooled      time.Time
	marked      time.Time
}

type lowHead struct {
	height int64
	since  time.Time
	polls  int
}

// fact is what a token says of itself.
type fact struct {
	decimals int // -1 = it does not say
	symbol   string
	next     time.Time // when to ask again, if it did not say
}

type feedState struct {
	decimals int // -1 = not known yet
	updated  int64
	told     time.Time
}

// New makes a watcher; it does nothing until Run. The error is a sentence about the Spec.
func New(c Config, sink Sink, log *slog.Logger) (*Watcher, error) {
	p, err := newPlan(c.Spec)
	if err != nil {
		return nil, fmt.Errorf("chain %s: %w", c.Chain, err)
	}
	for d, or := range map[*time.Duration]time.Duration{&c.Poll: 2 * time.Second, &c.Every: 12 * time.Second, &c.FeedAgain: time.Minute, &c.Pool: 3 * time.Second, &c.Hold: 10 * time.Second, &c.Timeout: 8 * time.Second} {
		if *d <= 0 {
			*d = or
		}
	}
	if c.Rate <= 0 {
		c.Rate = 25
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if sink.Samples == nil {
		sink.Samples = func([]chain.Sample) {}
	}
	if sink.Observe == nil {
		sink.Observe = func(observation.Observation) {}
	}
	if sink.Mark == nil {
		sink.Mark = func(Mark) {}
	}
	w := &Watcher{cfg: c, plan: p, sink: sink, log: log.With("chain", c.Chain, "node", c.Node), line: newLine(c.Rate, c.Timeout), http: dial.Client(c.Timeout),
		span: rangeMost, aggregators: map[common.Address]int{}, facts: map[common.Address]fact{}, tracked: map[trackedKey]string{}, doubted: map[trackedKey]string{}, pool: map[common.Hash]bool{}}
	if c.Batch > 0 {
		w.line.size = min(c.Batch, batchMost)
	}
	for range c.Spec.Feeds {
		w.feeds = append(w.feeds, feedState{decimals: -1})
	}
	return w, nil
}

// Run watches until ctx ends and returns nil. A node that fails is asked again with growing waits of at most 5 s (30 s while it serves
// another chain); what was missed meanwhile is read then.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.http.CloseIdleConnections()
	dial.Keep(ctx, w.session, func(err error, first bool) {
		if first {
			w.log.Warn("node cannot be asked for what is watched", "address", dial.Redact(w.cfg.URL), "why", dial.Sentence(err, w.cfg.URL))
		}
	})
	w.marked = time.Time{}
	w.tellMark()
	return nil
}

func (w *Watcher) session(ctx context.Context) error {
	if _, err := dial.Check(w.cfg.URL, "http", "https", "ws", "wss"); err != nil {
		return err
	}
	dctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	client, err := rpc.DialOptions(dctx, w.cfg.URL, rpc.WithHTTPClient(w.http), rpc.WithWebsocketMessageSizeLimit(dial.MaxAnswer), rpc.WithBatchResponseSizeLimit(dial.MaxAnswer))
	cancel()
	if err != nil {
		return err
	}
	defer client.Close()
	w.line.client = client
	var id string
	if err := w.line.call(ctx, &id, "eth_chainId"); err != nil {
		return err
	}
	n, ok := new(big.Int).SetString(strings.TrimPrefix(id, "0x"), 16)
	if !ok || len(id) > 66 || (w.cfg.ChainID != "" && n.String() != w.cfg.ChainID) {
		return fmt.Errorf("chain id %s, not %s: %w", printable(id, 66), w.cfg.ChainID, dial.ErrOther)
	}
	tick := time.NewTicker(w.cfg.Poll)
	defer tick.Stop()
	for {
		if err := w.look(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// look is one round: new blocks, what is waiting, state, pool. An error means that the node cannot be asked.
func (w *Watcher) look(ctx context.Context) error {
	w.follow()
	var h *header
	err := w.line.call(ctx, &h, "eth_getBlockByNumber", "latest", false)
	if err == nil {
		err = h.check()
	}
	if down(err) {
		return err
	}
	if err == nil {
		if err = w.advance(ctx, h); down(err) {
			return err
		}
	}
	if err != nil { // it answers, but not this: tried again at the next look
		w.log.Debug("the chain was not followed", "why", dial.Sentence(err, w.cfg.URL))
	}
	for _, part := range []func(context.Context) error{w.again, w.state, w.waitingTransactions} {
		if err := part(ctx); down(err) {
			return err
		}
	}
	w.tellMark()
	return nil
}

func (w *Watcher) tellMark() {
	if len(w.ring) == 0 {
		return
	}
	tip := w.ring[len(w.ring)-1]
	for i := range w.waiting { // a restart must not pass over what is waiting
		if m := w.waiting[i].head; m.height <= tip.height {
			tip = seen{height: m.height - 1, hash: m.Parent}
		}
	}
	if at := time.Now(); at.Sub(w.marked) >= markEvery {
		w.marked = at
		w.sink.Mark(Mark{tip.height, lower(tip.hash)})
	}
}

func now() int64 { return time.Now().UnixMilli() }

// samples tells numbers of one moment; labels are chain, node and the pair given.
func (w *Watcher) sample(name string, value float64, label ...string) chain.Sample {
	l := map[string]string{"chain": w.cfg.Chain, "node": w.cfg.Node}
	for i := 0; i+1 < len(label); i += 2 {
		l[label[i]] = label[i+1]
	}
	return chain.Sample{Name: name, Labels: l, At: now(), Value: value}
}

// tell gives out an observation and remembers it with its block.
func (w *Watcher) tell(e *seen, list []observation.Observation) {
	if len(list) > blockMost {
		w.log.Warn("a block has more events than are taken", "height", e.height, "events", len(list), "taken", blockMost)
		list = list[:blockMost]
	}
	for i := range list {
		o := &list[i]
		o.At, o.Chain, o.Node, o.Height, o.Block = now(), w.cfg.Chain, w.cfg.Node, e.height, lower(e.hash)
		w.note(o)
		w.sink.Observe(*o)
	}
	e.events = append(e.events, list...)
	w.events += len(list)
	for i := 0; w.events > eventsMost && i < len(w.ring); i++ { // the oldest can no longer be taken back
		w.events -= len(w.ring[i].events)
		w.ring[i].events = nil
	}
}

// takeBack tells that what was told is not so any more, newest first.
func (w *Watcher) takeBack(e seen) {
	for _, o := range slices.Backward(e.events) {
		o.Removed, o.At = true, now()
		w.unnote(&o)
		w.sink.Observe(o)
	}
	w.events -= len(e.events)
}
