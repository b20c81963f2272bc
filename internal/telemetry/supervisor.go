// Package telemetry owns the running of chain monitors: which chains are watched, their collectors, their clocks, and where samples,
// findings and views go; it never judges a chain itself and never writes the log.
package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// Chain is one chain to watch.
type Chain struct {
	Name          string        `json:"name" yaml:"name"`
	Family        chain.Family  `json:"family" yaml:"family"`
	ChainID       string        `json:"chain_id" yaml:"chain_id"` // EVM: decimal; Bitcoin: main, test, ...; "" accepts any
	Nodes         []Node        `json:"nodes" yaml:"nodes"`
	Routine       int           `json:"routine,omitempty" yaml:"routine,omitempty"`             // reorg depth of daily life; 0 = what is known of the network
	Confirmations int           `json:"confirmations,omitempty" yaml:"confirmations,omitempty"` // smallest number that deposits are credited at; 0 = not known
	Interval      time.Duration `json:"interval,omitempty" yaml:"interval,omitempty"`           // expected between blocks; 0 = what is known, else learned
	Wait          time.Duration `json:"wait,omitempty" yaml:"wait,omitempty"`                   // until what no second node confirms is given out as waited; 0 = 2 min
	HashPrice     float64       `json:"hash_price,omitempty" yaml:"hash_price,omitempty"`       // dollars for one hash per second during a day; 0 = not known
	OpenDeposits  float64       `json:"open_deposits,omitempty" yaml:"open_deposits,omitempty"` // dollars; 0 = not known
	Poll          time.Duration `json:"poll,omitempty" yaml:"poll,omitempty"`                   // 0 = the collector's default
	Validators    []string      `json:"validators,omitempty" yaml:"validators,omitempty"`       // Comet, Solana: watched one by one; consensus address or name; identity
	L1            L1            `json:"l1,omitzero" yaml:"l1,omitempty"`                        // Rollup: where its batches are posted
	Manual        bool          `json:"manual,omitempty" yaml:"manual,omitempty"`               // judged in the time of what is injected, shown as of now (drills)
}

// L1 is the chain below a rollup. Without URL the age of batches is not measured.
type L1 struct {
	URL     string `json:"url" yaml:"url"`                             // of an execution node; may hold credentials; write it nowhere but in settings
	Inbox   string `json:"inbox,omitempty" yaml:"inbox,omitempty"`     // "" = the one the rollup node tells
	Batcher string `json:"batcher,omitempty" yaml:"batcher,omitempty"` // "" = anybody who sends to the inbox
}

// Node is one node of a chain. A node without URL has no collector: what it says is injected.
type Node struct {
	Name string `json:"name" yaml:"name"`
	URL  string `json:"url" yaml:"url"`                   // may hold credentials; write it nowhere but in settings
	WS   string `json:"ws,omitempty" yaml:"ws,omitempty"` // EVM only; "" derives, "none" polls
	// Operator is who runs it, as somebody said; "" = see Voices. Nodes of one operator confirm nothing for each other.
	Operator string `json:"operator,omitempty" yaml:"operator,omitempty"`
}

// MaxOperator is how many bytes the name of an operator may have.
const MaxOperator = 240

// Voices are who runs the chain's nodes, by the nodes' names: a node's Operator, else that of the first other node whose address tells the same, else
// what its address tells (the provider, or host and port), else its name. So naming one node never makes two voices of what the addresses call one. It
// holds no secret.
func (c Chain) Voices() map[string]string {
	said := map[string]string{} // by what the address tells
	for _, n := range c.Nodes {
		if at := dial.Operator(n.URL); at != "" {
			said[at] = cmp.Or(said[at], strings.TrimSpace(n.Operator))
		}
	}
	out := map[string]string{}
	for _, n := range c.Nodes {
		at := dial.Operator(n.URL)
		out[n.Name] = cmp.Or(strings.TrimSpace(n.Operator), said[at], at, n.Name)
	}
	return out
}

// Twice names two nodes that have the same address; "" when there are none. A node asked twice confirms nothing.
func (c Chain) Twice() (a, b string) {
	seen := map[string]string{}
	for _, n := range c.Nodes {
		door := dial.Endpoint(n.URL)
		if door == "" {
			continue
		}
		if other, double := seen[door]; double {
			return other, n.Name
		}
		seen[door] = n.Name
	}
	return "", ""
}

// Sink takes what the supervisor produces. Calls for one chain come one after the other; calls for different chains may overlap.
type Sink interface {
	// OnSamples must be quick; it is called on the chain's own goroutine.
	OnSamples([]chain.Sample)
	// OnFindings is called from a goroutine that does nothing else. When it returns an error the same findings are given again, until it
	// does not: delivery is at least once, in order.
	OnFindings(ctx context.Context, name string, f []chain.Finding) error
	// OnView is called when something to be seen changed: at once for the first change, then at most ten times a second per chain. head
	// tells that the chain's head moved. It must be quick.
	OnView(v chain.View, head bool)
}

// Options of a Supervisor.
type Options struct {
	Sink Sink
	// Open gives the keys of findings that the log holds open for a chain; nil when there is no log.
	Open func(ctx context.Context, name string) ([]string, error)
	Log  *slog.Logger
	Now  func() time.Time // nil = time.Now; collectors have their own clock
}

// Supervisor runs a monitor for every chain. Set may be called at any time, before and while Run runs.
type Supervisor struct {
	opt  Options
	kick chan struct{} // capacity 1; full means that a look is due already

	mu        sync.Mutex
	want      []Chain
	elsewhere map[string]bool // watched by somebody else: here they stop and end nothing
	running   map[string]*runner
	asked     int           // how often Set was called
	done      int           // up to which of them all is done
	settled   chan struct{} // closed and replaced when done grows; closed for good when Run ends
	over      bool
}

// ErrUnknownChain is returned for a chain that is not being watched.
var ErrUnknownChain = errors.New("chain is not watched")

// New makes a supervisor that watches nothing yet.
func New(o Options) *Supervisor {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Supervisor{opt: o, kick: make(chan struct{}, 1), running: map[string]*runner{}, settled: make(chan struct{})}
}

// families are those that have collectors.
var families = []chain.Family{chain.EVM, chain.Bitcoin, chain.Comet, chain.Solana, chain.Beacon, chain.Rollup}

// Check tells what is wrong with a chain as a sentence, nil when nothing is.
func (c Chain) Check() error {
	switch {
	case c.Name == "" || strings.ContainsAny(c.Name, "/\n\t\"{}") || len(c.Name) > 64:
		return fmt.Errorf("a chain needs a name of at most 64 characters without / and quotes")
	case !slices.Contains(families, c.Family):
		return fmt.Errorf("chain %s: the family must be one of %v, not %q", c.Name, families, c.Family)
	case len(c.Validators) > 64:
		return fmt.Errorf("chain %s: at most 64 validators are watched one by one", c.Name)
	case c.L1 != L1{} && c.Family != chain.Rollup:
		return fmt.Errorf("chain %s: only a rollup (family opstack) names its L1", c.Name)
	case len(c.Nodes) == 0 || len(c.Nodes) > 32:
		return fmt.Errorf("chain %s: between 1 and 32 nodes are needed", c.Name)
	}
	seen := map[string]bool{}
	for _, n := range c.Nodes {
		if n.Name == "" || strings.ContainsAny(n.Name, "/~\n\t\"{}") || len(n.Name) > 64 || seen[n.Name] {
			return fmt.Errorf("chain %s: every node needs a name of its own, without / and ~", c.Name)
		}
		if len(n.Operator) > MaxOperator || strings.ContainsFunc(n.Operator, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			return fmt.Errorf("chain %s: the operator of node %s is one line of at most %d bytes", c.Name, n.Name, MaxOperator)
		}
		seen[n.Name] = true
	}
	return nil
}

// Set says which chains are watched from now on. Unchanged ones go on undisturbed, changed ones start again and take over what is open,
// removed ones end what is open, unless they are named as watched elsewhere. It refuses all when one is wrong, and returns before the change
// is done.
func (s *Supervisor) Set(chains []Chain, elsewhere ...string) error {
	names := map[string]bool{}
	for _, c := range chains {
		if err := c.Check(); err != nil {
			return err
		}
		if names[c.Name] {
			return fmt.Errorf("there are two chains named %s", c.Name)
		}
		names[c.Name] = true
	}
	s.mu.Lock()
	s.want, s.elsewhere = slices.Clone(chains), map[string]bool{}
	for _, name := range elsewhere {
		s.elsewhere[name] = true
	}
	s.asked++
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
	return nil
}

// Settle returns when what Set was asked for before is done, or when Run or ctx has ended.
func (s *Supervisor) Settle(ctx context.Context) {
	s.mu.Lock()
	asked := s.asked
	for s.done < asked && !s.over {
		settled := s.settled
		s.mu.Unlock()
		select {
		case <-settled:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
	}
	s.mu.Unlock()
}

// Run watches until ctx ends, then waits for everything it started and returns nil. Call it once.
func (s *Supervisor) Run(ctx context.Context) error {
	for {
		s.reconcile(ctx)
		select {
		case <-ctx.Done():
			s.mu.Lock()
			all := make([]*runner, 0, len(s.running))
			for _, r := range s.running {
				all = append(all, r)
			}
			s.mu.Unlock()
			for _, r := range all {
				<-r.done
			}
			s.mu.Lock()
			s.over = true
			close(s.settled)
			s.mu.Unlock()
			return nil
		case <-s.kick:
		}
	}
}

// reconcile stops and starts runners until they are what is wanted.
func (s *Supervisor) reconcile(ctx context.Context) {
	s.mu.Lock()
	want, asked := slices.Clone(s.want), s.asked
	var gone []*runner
	wanted := map[string]Chain{}
	for _, c := range want {
		wanted[c.Name] = c
	}
	for name, r := range s.running {
		if c, ok := wanted[name]; !ok || !reflect.DeepEqual(c, r.cfg) {
			gone = append(gone, r)
			r.removed.Store(!ok && !s.elsewhere[name])
		}
	}
	s.mu.Unlock()
	open := map[string][]string{}
	for _, r := range gone {
		r.cancel()
		<-r.done
		open[r.cfg.Name] = r.open
		s.mu.Lock()
		delete(s.running, r.cfg.Name)
		s.mu.Unlock()
	}
	for _, c := range want {
		s.mu.Lock()
		_, have := s.running[c.Name]
		s.mu.Unlock()
		if have || ctx.Err() != nil {
			continue
		}
		keys := open[c.Name]
		if s.opt.Open != nil {
			more, err := s.opt.Open(ctx, c.Name)
			if err != nil {
				s.opt.Log.Error("open findings could not be read; those that are over will not be ended", "chain", c.Name, "error", err)
			}
			keys = append(keys, more...)
		}
		r := newRunner(s.opt, c, keys)
		var cctx context.Context
		cctx, r.cancel = context.WithCancel(ctx)
		s.mu.Lock()
		s.running[c.Name] = r
		s.mu.Unlock()
		go r.run(cctx)
	}
	s.mu.Lock()
	s.done = asked
	close(s.settled)
	s.settled = make(chan struct{})
	s.mu.Unlock()
}

// Views gives the newest view of every watched chain, in the order of Set. Each is at most about a second old.
func (s *Supervisor) Views() []chain.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]chain.View, 0, len(s.want))
	for _, c := range s.want {
		if r := s.running[c.Name]; r != nil {
			out = append(out, *r.view.Load())
		}
	}
	return out
}

// View gives the newest view of one chain; false when it is not watched.
func (s *Supervisor) View(name string) (chain.View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.running[name]
	if r == nil {
		return chain.View{}, false
	}
	return *r.view.Load(), true
}

// Inject gives an observation to the monitor of its chain, as if a collector had made it; it waits while the monitor is busy. Drills use it,
// so that they go through the very same monitors.
func (s *Supervisor) Inject(ctx context.Context, o chain.Observation) error {
	s.mu.Lock()
	r := s.running[o.Chain]
	s.mu.Unlock()
	if r == nil {
		return fmt.Errorf("inject into %s: %w", o.Chain, ErrUnknownChain)
	}
	select {
	case r.in <- o:
		return nil
	case <-r.done:
		return fmt.Errorf("inject into %s: %w", o.Chain, ErrUnknownChain)
	case <-ctx.Done():
		return ctx.Err()
	}
}
