package telemetry

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/beacon"
	"github.com/tocsin-ops/tocsin/internal/chain/bitcoin"
	"github.com/tocsin-ops/tocsin/internal/chain/comet"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/chain/evm"
	"github.com/tocsin-ops/tocsin/internal/chain/opstack"
	"github.com/tocsin-ops/tocsin/internal/chain/solana"
)

const (
	inbox     = 256  // observations waiting for a monitor; full: the collector waits, its next poll comes later, nothing is lost
	outbox    = 1024 // findings waiting for delivery; full: the oldest goes, with an error in the log
	viewEvery = 100 * time.Millisecond
	lastWord  = 2 * time.Second // for findings still to be delivered when the chain is stopped
)

// runner is one chain being watched.
type runner struct {
	opt     Options
	cfg     Chain
	mon     *chain.Monitor
	in      chan chain.Observation
	view    atomic.Pointer[chain.View]
	cancel  context.CancelFunc
	done    chan struct{}
	removed atomic.Bool
	open    []string // what is open when done
	newest  int64    // of the injected times; only watch touches it, and run after watch

	mu   sync.Mutex
	out  []chain.Finding
	gone int           // findings taken off the front of out so far
	wake chan struct{} // capacity 1
}

func newRunner(o Options, c Chain, open []string) *runner {
	names := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		names[i] = n.Name
	}
	r := &runner{opt: o, cfg: c, in: make(chan chain.Observation, inbox), done: make(chan struct{}), wake: make(chan struct{}, 1),
		mon: chain.NewMonitor(chain.Config{Chain: c.Name, Family: c.Family, ChainID: c.ChainID, Nodes: names, Operators: c.Voices(), Routine: c.Routine,
			Confirmations: c.Confirmations, Interval: c.Interval.Milliseconds(), Wait: c.Wait.Milliseconds(), HashPrice: c.HashPrice, OpenDeposits: c.OpenDeposits, Watch: c.Validators})}
	r.mon.Resume(open)
	v := r.mon.View(r.now())
	r.view.Store(&v)
	return r
}

func (r *runner) now() int64 {
	if r.cfg.Manual {
		return 0 // the monitor's own time
	}
	return r.opt.Now().UnixMilli()
}

// run runs the collectors, the monitor and the delivery until ctx ends, and returns when all of them have ended.
func (r *runner) run(ctx context.Context) {
	defer close(r.done)
	var collectors, delivery sync.WaitGroup
	sink := func(o chain.Observation) {
		select {
		case r.in <- o:
		case <-ctx.Done():
		}
	}
	for _, n := range r.cfg.Nodes {
		run := r.collector(n, sink)
		if run == nil {
			continue
		}
		collectors.Go(func() {
			if err := run(ctx); err != nil {
				r.opt.Log.Error("collector ended", "chain", r.cfg.Name, "node", n.Name, "error", err)
			}
		})
	}
	last, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	closing := make(chan struct{})
	delivery.Go(func() { r.deliver(last, closing) })
	r.watch(ctx)
	collectors.Wait()
	r.open = r.mon.Open()
	if r.removed.Load() {
		last := r.mon.Close(r.now(), "The chain is no longer watched.")
		moveFindings(last, r.shift())
		r.queue(last)
		r.open = nil
	}
	// what was found is told also at the end, but a log that does not answer does not hold up the stop
	defer time.AfterFunc(lastWord, stop).Stop()
	close(closing)
	delivery.Wait()
}

func (r *runner) collector(n Node, sink func(chain.Observation)) func(context.Context) error {
	if n.URL == "" {
		return nil
	}
	switch r.cfg.Family {
	case chain.EVM:
		return evm.New(evm.Config{Chain: r.cfg.Name, Node: n.Name, ChainID: r.cfg.ChainID, URL: n.URL, WS: n.WS, Poll: r.cfg.Poll}, sink, r.opt.Log).Run
	case chain.Bitcoin:
		return bitcoin.New(bitcoin.Config{Chain: r.cfg.Name, Node: n.Name, ChainID: r.cfg.ChainID, URL: n.URL, Poll: r.cfg.Poll}, sink, r.opt.Log).Run
	case chain.Solana:
		return solana.New(solana.Config{Chain: r.cfg.Name, Node: n.Name, ChainID: r.cfg.ChainID, URL: n.URL, Poll: r.cfg.Poll, Validators: r.cfg.Validators}, sink, r.opt.Log).Run
	case chain.Beacon:
		return beacon.New(beacon.Config{Chain: r.cfg.Name, Node: n.Name, ChainID: r.cfg.ChainID, URL: n.URL, Poll: r.cfg.Poll}, sink, r.opt.Log).Run
	case chain.Rollup:
		return opstack.New(opstack.Config{Chain: r.cfg.Name, Node: n.Name, ChainID: r.cfg.ChainID, URL: n.URL, Poll: r.cfg.Poll, L1: opstack.L1(r.cfg.L1)}, sink, r.opt.Log).Run
	case chain.Comet:
		return comet.New(comet.Config{Chain: r.cfg.Name, Node: n.Name, ChainID: r.cfg.ChainID, URL: n.URL, Poll: r.cfg.Poll}, sink, r.opt.Log).Run
	}
	return nil
}

// watch is the only goroutine that touches the monitor while it runs.
func (r *runner) watch(ctx context.Context) {
	var ticks <-chan time.Time
	if !r.cfg.Manual {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		ticks = t.C
	}
	later := time.NewTimer(time.Hour)
	later.Stop()
	defer later.Stop()
	var shown time.Time
	due, head := false, false
	show := func() {
		v := moved(r.mon.View(r.now()), r.shift())
		r.view.Store(&v)
		r.opt.Sink.OnView(v, head)
		shown, due, head = time.Now(), false, false
	}
	take := func(o chain.Outcome) {
		moveSamples(o.Samples, r.shift())
		moveFindings(o.Findings, r.shift())
		if len(o.Samples) > 0 {
			r.opt.Sink.OnSamples(o.Samples)
		}
		r.queue(o.Findings)
		if !o.Changed {
			return
		}
		head = head || o.Head
		switch wait := viewEvery - time.Since(shown); {
		case wait <= 0:
			show()
		case !due:
			due = true
			later.Reset(wait)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-r.in:
			r.newest = max(r.newest, o.At)
			take(r.mon.Observe(o))
		case <-ticks:
			take(r.mon.Tick(r.now()))
			v := r.mon.View(r.now())
			r.view.Store(&v)
		case <-later.C:
			if due {
				show()
			}
		}
	}
}

func (r *runner) queue(f []chain.Finding) {
	if len(f) == 0 {
		return
	}
	r.mu.Lock()
	r.out = append(r.out, f...)
	lost := len(r.out) - outbox
	if lost > 0 {
		r.out = append([]chain.Finding(nil), r.out[lost:]...)
		r.gone += lost
	}
	r.mu.Unlock()
	if lost > 0 {
		r.opt.Log.Error("findings were lost: they could not be delivered for too long", "chain", r.cfg.Name, "count", lost)
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// deliver hands findings over in order; what was refused is given again with growing waits. It ends with ctx, or when closing is closed and
// nothing is left.
func (r *runner) deliver(ctx context.Context, closing <-chan struct{}) {
	fails, ending := 0, false
	for {
		r.mu.Lock()
		f, upTo := append([]chain.Finding(nil), r.out...), r.gone+len(r.out)
		r.mu.Unlock()
		if len(f) == 0 && ending {
			return
		}
		var again <-chan time.Time
		if len(f) > 0 {
			err := r.opt.Sink.OnFindings(ctx, r.cfg.Name, f)
			if err == nil {
				fails = 0
				r.mu.Lock()
				r.out, r.gone = r.out[max(upTo-r.gone, 0):], max(upTo, r.gone)
				r.mu.Unlock()
				continue
			}
			if fails++; fails == 1 {
				r.opt.Log.Error("findings could not be delivered, trying again", "chain", r.cfg.Name, "error", err)
			}
			again = time.After(dial.Backoff(fails, 100*time.Millisecond, 5*time.Second))
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-r.wake:
			if again != nil { // a new finding does not hurry a log that does not answer
				select {
				case <-again:
				case <-ctx.Done():
					return
				}
			}
		case <-closing:
			ending, closing = true, nil
		}
	}
}
