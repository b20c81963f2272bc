package detect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// watch is one chain of a Set.
type watch struct {
	facts   ChainFacts
	mon     *chain.Monitor
	nodes   map[string]bool
	heights map[int64][]sighted // the blocks told of the last keepHeights heights
	top     int64
	due     int64 // what the monitor names, as of its last word
}

// sighted is a block and who told it, in the order they did.
type sighted struct {
	Hash  string   `json:"hash"`
	At    int64    `json:"at"`
	Nodes []string `json:"nodes"`
}

const (
	keepHeights = 64
	mostAtOne   = 8 // blocks remembered of one height, and nodes of one block
	forkOver    = 6 // blocks built above a fork that end it
)

// derivedSeries are the samples of the monitors that are judged as series. Heights, ages, counters and what monitors judge themselves (lag,
// silence, reorg depth, nodes up) make no sense there. Single blocks differ too much to say anything, so what is judged is the mean of at
// least meanOf samples over at least meanOver ms. Since the monitor alarms about the chain, they never alarm by themselves: what is unusual in
// them is a weak finding, and a sign for combination.
var derivedSeries = map[string]bool{
	"tocsin_chain_block_interval_seconds": true,
	"tocsin_chain_gas_ratio":              true,
	"tocsin_chain_base_fee_gwei":          true,
	"tocsin_chain_block_txs":              true,
	"tocsin_chain_block_uncles":           true, // made here, not by the monitor
	"tocsin_chain_txpool_pending":         true,
	"tocsin_chain_mempool_bytes":          true,
	"tocsin_chain_fee_rate_sat_vb":        true,
	"tocsin_chain_peers":                  true,
}

const (
	meanOf   = 10
	meanOver = 10 * 60_000
)

// chain finds a chain's watch or begins one; nil when there is no room.
func (s *Set) chain(name string) *watch {
	for _, w := range s.chains {
		if w.facts.Name == name {
			return w
		}
	}
	if len(s.chains) >= MaxChains || strings.Contains(name, "/") || len(name) > subjectMax {
		s.tooMany("chains", MaxChains, name)
		return nil
	}
	f := s.setup.facts(name)
	w := &watch{facts: f, mon: chain.NewMonitor(f.monitor(s.setup.VerificationWait)), nodes: map[string]bool{}, heights: map[int64][]sighted{}}
	for _, n := range f.Nodes {
		w.nodes[n] = true
		s.nodes++
	}
	s.chains = append(s.chains, w)
	w.mon.Resume(s.heirs)
	s.heirs = slices.DeleteFunc(s.heirs, func(k string) bool { return strings.HasPrefix(k, name+"/") })
	return w
}

// onChain gives a block, a tip or a node's state to the chain's monitor.
func (s *Set) onChain(o observation.Observation) {
	if s.setup.ChainsElsewhere || o.Removed {
		return
	}
	w := s.chain(o.Chain)
	if w == nil || !s.ensure(w, o.Node) {
		return
	}
	c := chain.Observation{Chain: o.Chain, Node: o.Node, At: o.At, Drill: o.Drill}
	give := func(kind chain.Kind) {
		c.Kind = kind
		s.outcome(w, w.mon.Observe(c))
	}
	switch o.Kind {
	case observation.Block:
		c.How = chain.Subscribed
		c.Head, c.Branch = w.block(o)
		fresh := s.sight(w, o)
		give(chain.KindHead)
		if fresh && o.Uncles != nil {
			s.series.mean("tocsin_chain_block_uncles", map[string]string{"chain": o.Chain}, o.At, float64(*o.Uncles))
		}
	case observation.Tip:
		if o.Status == "active" && !w.told(o.Height, o.Hash, o.Node) {
			c.How = chain.Polled
			c.Head, c.Branch = w.block(o)
			s.sight(w, o)
			give(chain.KindHead)
			c.Head, c.Branch = nil, nil
		} else if o.Status == "valid-fork" && o.Height > w.top-keepHeights {
			s.sight(w, o)
		}
		c.Tips = []chain.Tip{{Height: o.Height, Hash: o.Hash, Branch: o.BranchLength, Status: o.Status}}
		give(chain.KindTips)
	case observation.Node:
		c.State, c.Client = chain.NodeState(o.State), o.Version
		if o.State != "up" {
			c.Reason = "The node was said to be " + o.State + "."
		}
		give(chain.KindState)
		if o.State == "down" { // a recording says it once: it is believed, and the monitor's hold keeps blips away
			give(chain.KindState)
		}
		if o.Peers != nil {
			c.Peers = &chain.Peers{Total: *o.Peers, In: -1, Out: -1}
			give(chain.KindPeers)
		}
	}
}

// ensure takes a node on as it appears; false when there is no room.
func (s *Set) ensure(w *watch, node string) bool {
	if w.nodes[node] {
		return true
	}
	if s.nodes >= MaxNodes {
		s.tooMany("nodes", MaxNodes, w.facts.Name+" "+node)
		return false
	}
	w.nodes[node] = true
	s.nodes++
	w.mon.Ensure(node)
	return true
}

// block is the header in the words of the monitor. A recording without parents tells of arrivals only: a block is then taken to be built on
// what the same node (or else any) told last of the height below. Without a header time, the arrival stands for it. Where heights are slots, the
// empty ones between a block and its parent are given too.
func (w *watch) block(o observation.Observation) (*chain.Block, []chain.Block) {
	b := &chain.Block{Height: o.Height, Hash: o.Hash, Parent: o.Parent, Time: o.At, SeenAt: o.At, BaseFee: o.BaseFee, Txs: o.Txs, Miner: o.Miner}
	if o.Time != nil {
		b.Time = int64(*o.Time)
	}
	if o.GasUsed != nil && o.GasLimit != nil {
		b.GasUsed, b.GasLimit = *o.GasUsed, *o.GasLimit
	}
	at := o.Height - 1 // the height of the parent
	if b.Parent == "" {
		for lowest := w.lowest(o.Height); at > lowest && len(w.heights[at]) == 0; at-- {
		}
		below := w.heights[at]
		for i, own := len(below)-1, false; i >= 0 && !own; i-- {
			if own = slices.Contains(below[i].Nodes, o.Node); own || b.Parent == "" {
				b.Parent = below[i].Hash
			}
		}
	} else if w.slots() {
		for lowest := w.lowest(o.Height); at > lowest && !slices.ContainsFunc(w.heights[at], func(x sighted) bool { return x.Hash == b.Parent }); at-- {
		}
	}
	if at < o.Height-1 && len(w.heights[at]) > 0 {
		full, empty := chain.FillSlots(*b, at, keepHeights)
		return &full, empty
	}
	return b, nil
}

// slots tells whether heights are slots, of which some stay empty.
func (w *watch) slots() bool {
	return w.facts.Family == string(chain.Solana) || w.facts.Family == string(chain.Beacon)
}

// lowest is how far down a parent may be.
func (w *watch) lowest(height int64) int64 {
	if w.slots() {
		return height - keepHeights
	}
	return height - 1
}

func (w *watch) told(height int64, hash, node string) bool {
	return slices.ContainsFunc(w.heights[height], func(b sighted) bool { return b.Hash == hash && slices.Contains(b.Nodes, node) })
}

// sight remembers who told a block and tells of a second one at its height; fresh is true when nobody had told it.
func (s *Set) sight(w *watch, o observation.Observation) (fresh bool) {
	if o.Height > w.top {
		w.top = o.Height
		for h := range w.heights {
			if h <= w.top-keepHeights {
				delete(w.heights, h)
			}
		}
	}
	if o.Height <= w.top-keepHeights {
		return false
	}
	row := w.heights[o.Height]
	i := slices.IndexFunc(row, func(b sighted) bool { return b.Hash == o.Hash })
	switch {
	case i >= 0 && !slices.Contains(row[i].Nodes, o.Node) && len(row[i].Nodes) < mostAtOne:
		row[i].Nodes = append(row[i].Nodes, o.Node)
	case i < 0 && len(row) < mostAtOne:
		w.heights[o.Height] = append(row, sighted{Hash: o.Hash, At: o.At, Nodes: []string{o.Node}})
		fresh = true
	}
	s.judgeForks(w, o, fresh)
	return fresh
}

// judgeForks tells of two blocks at one height, on chains where that is no daily business, and ends it when enough was built above. Neighbouring
// heights are one fork, named by its lowest. It is information: how deep a reorganisation goes is for the monitor to say.
func (s *Set) judgeForks(w *watch, o observation.Observation, fresh bool) {
	s.forks.advance(o.At)
	name := w.facts.Name
	if fresh {
		for _, k := range s.forks.open() {
			var low int64
			if rest, ours := strings.CutPrefix(k, name+"/"+KindFork+"/"); ours {
				_, _ = fmt.Sscan(rest, &low)
				high := low
				for len(w.heights[high+1]) > 1 {
					high++
				}
				if w.top >= high+forkOver {
					s.emit(s.forks.settle(k, fmt.Sprintf("%d further blocks were built above it: the head is %d.", w.top-high, w.top), 0))
				}
			}
		}
	}
	row := w.heights[o.Height]
	if len(row) < 2 || w.facts.routine() > 1 {
		return
	}
	low := o.Height
	for len(w.heights[low-1]) > 1 {
		low--
	}
	var told []string
	for _, b := range row {
		told = append(told, chain.Short(b.Hash)+" (told by "+strings.Join(b.Nodes, ", ")+")")
	}
	s.emit(s.forks.raise(chain.Finding{Key: fmt.Sprintf("%s/%s/%d", name, KindFork, low), Kind: KindFork, Chain: name, Subject: name, Severity: "SEV5",
		Title:    fmt.Sprintf("%s: %d blocks at height %d", name, len(row), o.Height),
		Reason:   fmt.Sprintf("At height %d there are %s. One of them will be left.", o.Height, strings.Join(told, " and ")),
		Since:    row[0].At,
		Evidence: proof(map[string]any{"height": o.Height, "from": low, "blocks": row}),
	}, life{lasts: 7 * 24 * 3_600_000, why: "For a week no further blocks were told."}))
}

// outcome takes what a monitor found.
func (s *Set) outcome(w *watch, o chain.Outcome) {
	w.due = w.mon.Due()
	s.emit(o.Findings)
	for _, x := range o.Samples {
		if derivedSeries[x.Name] {
			s.series.mean(x.Name, x.Labels, x.At, x.Value)
		}
	}
}

// savedWatch is a watch in the state of a Set.
type savedWatch struct {
	Name    string              `json:"name"`
	Monitor []byte              `json:"monitor"`
	Nodes   []string            `json:"nodes,omitempty"`
	Heights map[int64][]sighted `json:"heights,omitempty"`
	Top     int64               `json:"top,omitempty"`
}

func (w *watch) save() (savedWatch, error) {
	m, err := w.mon.MarshalBinary()
	return savedWatch{w.facts.Name, m, slices.Sorted(maps.Keys(w.nodes)), w.heights, w.top}, err
}
