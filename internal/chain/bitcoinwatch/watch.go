// Package bitcoinwatch owns what is watched on Bitcoin beside the heads: payments from and to watched addresses, who spends watched outpoints,
// in blocks and in the pool of waiting transactions, and balances by its own bookkeeping. One Watcher asks one node (Bitcoin Core or btcd);
// it proves every block by hash and Merkle root, never judges, and never calls a method that changes the node.
package bitcoinwatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Spec is what is watched. Names become label values.
type Spec struct {
	Asset     string // name of the coin, BTC
	Addresses []Address
	Outpoints []string // "txid:n": who spends them is told
	// Scan asks once for what the addresses hold: scantxoutset (Bitcoin Core), or searchrawtransactions (btcd with --addrindex). Without it,
	// or where neither is served, balances count from the start of the watch.
	Scan bool
}

// Address is one address, or a script as "script:" and hexadecimal.
type Address struct{ Name, Address string }

// Config names one node and what is watched through it. Zero durations take the defaults.
type Config struct {
	Chain, Node string
	ChainID     string        // main, test, testnet4, signet, simnet or regtest; "" accepts any
	URL         string        // http or https, user and password inside; they are never told
	Poll        time.Duration // between looks for a new block, 2 s
	Pool        time.Duration // between looks at the pool, 5 s; negative: never
	Timeout     time.Duration // of one call, 20 s
	Rate        float64       // calls a second at most, 25
	Spec        Spec
	Price       func() (float64, bool) // dollars a coin; nil = not known
	Resume      Mark
}

// Mark is the newest block whose payments were told.
type Mark struct {
	Height int64  `json:"height"`
	Hash   string `json:"hash"`
}

// Sink takes what a Watcher tells, from its Run's goroutine only; it must not block for long. Nil functions are not called.
type Sink struct {
	Samples func([]chain.Sample)
	// Observe takes one payment or spend as one node saw it. The same one seen by another node, in the pool and then in a block, or again
	// after a restart, has the same Chain, Tx and ID. Removed: true tells that its block left the chain, or that it left the pool unconfirmed.
	Observe func(observation.Observation)
	// Mark is told at most every ten seconds, and at the end.
	Mark func(Mark)
}

// Bounds. What is above is left out, and said in the log.
const (
	mostAddresses = 1_000
	mostOutpoints = 10_000
	ringMost      = 144     // blocks that can be taken back
	backfillMost  = 1_008   // blocks read after a pause: a week
	coinsMost     = 200_000 // outputs of watched addresses
	followedCoins = 20_000  // outputs of followed addresses, beside those
	queueMost     = 20_000  // waiting transactions not looked at yet
	lookMost      = 100     // looked at in one round
	poolMost      = 10_000  // watched transactions in the pool
	triesMost     = 20
	inputsMost    = 500 // inputs told of one transaction
	markEvery     = 10 * time.Second
	absentFor     = 10 * time.Minute
	scanTimeout   = 10 * time.Minute
)

// errUntrusted is a block that is not what its hash says.
var errUntrusted = &dial.Refused{Sentence: "It sent a block that does not fit its hash."}

type coin struct {
	value int64
	owner int // -1: only its spending is watched
}

// Watcher watches through one node. Make it with New; Run does everything, and only Follow may be called meanwhile.
type Watcher struct {
	cfg     Config
	sink    Sink
	log     *slog.Logger
	limit   *rate.Limiter
	http    *http.Client
	net     network
	scripts map[string]int // script -> address
	names   []string       // the addresses as written
	absent  map[string]time.Time

	ring      []seen
	tries     int
	coins     map[outpoint]coin
	watched   map[outpoint]bool
	scan      *scanned
	scanFails int
	scanNext  time.Time // until then the node does another scan
	scanBusy  bool      // that was said
	exact     bool      // balances are whole: a scan was done
	settled   int64     // at which height
	lost      float64
	untrusted float64
	marked    time.Time

	spare    time.Time // until then the node limits us: it is asked for blocks alone
	parents  parents
	followed followed

	pool    map[hash]*waiting // watched transactions in the pool
	listed  map[hash]bool     // the pool as it was listed last
	queue   []hash
	pooled  time.Time
	balance time.Time
}

// seen is a block that was read, and how to take it back.
type seen struct {
	height int64
	hash   hash
	events []observation.Observation
	added  []outpoint
	spent  map[outpoint]coin
}

// waiting is a watched transaction in the pool.
type waiting struct {
	events []observation.Observation
	coins  map[outpoint]coin
	gone   int // looks at the pool that did not show it
}

// Check says as a sentence what is wrong with a Spec, nil when nothing is.
func (s Spec) Check() error {
	_, err := New(Config{Spec: s}, Sink{}, nil)
	return err
}

// New makes a watcher; it does nothing until Run. The error is a sentence about the Spec.
func New(c Config, sink Sink, log *slog.Logger) (*Watcher, error) {
	c.Spec.Asset = cmp.Or(c.Spec.Asset, "BTC")
	c.Poll, c.Pool, c.Timeout = cmp.Or(c.Poll, 2*time.Second), cmp.Or(c.Pool, 5*time.Second), cmp.Or(c.Timeout, 20*time.Second)
	c.Rate = cmp.Or(c.Rate, 25)
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
	w := &Watcher{cfg: c, sink: sink, log: log.With("chain", c.Chain, "node", c.Node), limit: rate.NewLimiter(rate.Limit(c.Rate), 300), net: networks[cmp.Or(c.ChainID, "main")],
		scripts: map[string]int{}, absent: map[string]time.Time{}, coins: map[outpoint]coin{}, watched: map[outpoint]bool{}, pool: map[hash]*waiting{}, parents: parents{known: map[outpoint]prior{}},
		followed: followed{now: map[int]bool{}, unknown: map[int]int{}, found: make(chan sought, 1)}}
	if len(c.Spec.Addresses) > mostAddresses || len(c.Spec.Outpoints) > mostOutpoints {
		return nil, fmt.Errorf("chain %s: at most %d addresses and %d outpoints are watched", c.Chain, mostAddresses, mostOutpoints)
	}
	taken := map[string]bool{}
	for i, a := range c.Spec.Addresses {
		s, err := script(a.Address)
		if err != nil {
			return nil, fmt.Errorf("chain %s: address %s: %w", c.Chain, a.Name, err)
		}
		if _, double := w.scripts[string(s)]; double || taken[a.Name] || a.Name == "" || len(a.Name) > 64 {
			return nil, fmt.Errorf("chain %s: address %s: every address is watched once, with a name of its own of at most 64 characters", c.Chain, a.Name)
		}
		taken[a.Name] = true
		w.scripts[string(s)] = i
		w.names = append(w.names, a.Address)
	}
	for _, text := range c.Spec.Outpoints {
		o, err := parseOutpoint(text)
		if err != nil {
			return nil, fmt.Errorf("chain %s: %w", c.Chain, err)
		}
		w.watched[o] = true
	}
	return w, nil
}

// Run watches until ctx ends and returns nil. A node that fails is asked again with growing waits of at most 5 s (30 s while it serves
// another chain, or as long as it asks that limits us); blocks missed meanwhile are read then.
func (w *Watcher) Run(ctx context.Context) error {
	address, err := dial.Check(w.cfg.URL, "http", "https")
	if err != nil {
		return fmt.Errorf("watch %s through %s: %w", w.cfg.Chain, w.cfg.Node, err)
	}
	w.cfg.URL = address
	w.http = dial.Client(w.cfg.Timeout)
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
	var s struct {
		Chain string `json:"chain"`
	}
	if err := w.call(ctx, &s, "getblockchaininfo"); err != nil {
		return err
	}
	name := map[string]string{"mainnet": "main", "testnet3": "test", "testnet": "test"}[s.Chain]
	name = cmp.Or(name, s.Chain)
	if w.cfg.ChainID != "" && name != w.cfg.ChainID {
		return fmt.Errorf("it serves %.20q, not %s: %w", name, w.cfg.ChainID, dial.ErrOther)
	}
	if n, ok := networks[name]; ok {
		w.net = n
	}
	sctx, cancel := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer func() {
		cancel()
		tasks.Wait()
		w.unseek()
	}()
	seek := func(context.Context) error { return w.seek(sctx, &tasks) }
	tick := time.NewTicker(w.cfg.Poll)
	defer tick.Stop()
	for {
		w.follow()
		for i, part := range []func(context.Context) error{w.blocks, w.start, seek, w.waiting} {
			err := part(ctx)
			if down(err) || i == 0 && dial.Limited(err) > 0 { // then even blocks are too much, and the session rests as long as it asks
				return err
			}
			if err != nil {
				w.log.Debug("a part of the watch failed", "why", dial.Sentence(err, w.cfg.URL))
			}
		}
		w.tellMark()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (w *Watcher) call(ctx context.Context, out any, method string, params ...any) error {
	if err := w.limit.Wait(ctx); err != nil {
		return err
	}
	cctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	return w.limited(dial.Call(cctx, w.http, w.cfg.URL, method, params, out))
}

// limited keeps what is not a block back for as long as a node asks that limits us. It hands the error on.
func (w *Watcher) limited(err error) error {
	if rest := dial.Limited(err); rest > 0 {
		w.spare = time.Now().Add(rest)
	}
	return err
}

// spared tells whether the node limits us now.
func (w *Watcher) spared() bool { return time.Now().Before(w.spare) }

var errAbsent = errors.New("not available")

// optional calls a method that not every node has; one that is missing is left alone for ten minutes.
func (w *Watcher) optional(ctx context.Context, out any, method string, params ...any) error {
	if w.spared() || time.Now().Before(w.absent[method]) {
		return errAbsent
	}
	err := w.call(ctx, out, method, params...)
	if err != nil && !down(err) && dial.Limited(err) == 0 {
		w.absent[method] = time.Now().Add(absentFor)
		w.log.Info("the node does not serve a part of the watch", "method", method, "why", dial.Sentence(err, w.cfg.URL))
		return errAbsent
	}
	return err
}

// down tells whether an error means that the node cannot be asked at all, and not only this.
func down(err error) bool {
	var rpcErr *dial.RPCError
	var status *dial.StatusError
	var untrusted *dial.Untrusted
	for _, single := range []error{errAbsent, errUntrusted, dial.ErrTooLarge, dial.ErrNotJSON, context.DeadlineExceeded} {
		if errors.Is(err, single) {
			return false
		}
	}
	if errors.As(err, &status) {
		return status.Status == 401 || status.Status == 403
	}
	return err != nil && !errors.As(err, &rpcErr) && !errors.As(err, &untrusted)
}

func now() int64 { return time.Now().UnixMilli() }

func (w *Watcher) sample(name string, value float64, label ...string) chain.Sample {
	l := map[string]string{"chain": w.cfg.Chain, "node": w.cfg.Node}
	for i := 0; i+1 < len(label); i += 2 {
		l[label[i]] = label[i+1]
	}
	return chain.Sample{Name: name, Labels: l, At: now(), Value: value}
}

func (w *Watcher) tellMark() {
	if at := time.Now(); len(w.ring) > 0 && at.Sub(w.marked) >= markEvery {
		w.marked = at
		tip := w.ring[len(w.ring)-1]
		w.sink.Mark(Mark{tip.height, tip.hash.String()})
	}
}
