package chain

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// stateVersion is that of the saved form. Another one is refused: the monitor then starts anew.
const stateVersion = 2

// saved is a Monitor without what its Config says. Headers are written once and named by their place in Headers, since most are known to
// every node. A test holds that no field of a Monitor is forgotten here.
type saved struct {
	Version   int                   `json:"version"`
	Chain     string                `json:"chain"`
	Headers   []Block               `json:"headers"`
	Union     savedTree             `json:"union"`
	Nodes     []savedNode           `json:"nodes"`
	Best      string                `json:"best,omitempty"`
	Ring      []float64             `json:"ring,omitempty"`
	Next      int                   `json:"next,omitempty"`
	Progress  int64                 `json:"progress,omitempty"`
	Intervals []Interval            `json:"intervals,omitempty"`
	SizedAt   int64                 `json:"sized_at,omitempty"`
	Open      map[string]*Finding   `json:"open,omitempty"`
	Told      map[string]int64      `json:"told,omitempty"`
	Since     map[string]int64      `json:"since,omitempty"`
	First     map[string]int64      `json:"first,omitempty"`
	Inherited []string              `json:"inherited,omitempty"`
	Reorgs    []savedReorg          `json:"reorgs,omitempty"`
	Depths    []int                 `json:"depths,omitempty"`
	Now       int64                 `json:"now"`
	Started   int64                 `json:"started"`
	Judged    int64                 `json:"judged,omitempty"`
	Splits    map[string]pair       `json:"splits,omitempty"`
	Sampled   int64                 `json:"sampled"`
	Drill     bool                  `json:"drill,omitempty"`
	Announced map[string]*announced `json:"announced,omitempty"`
	Finality  finality              `json:"finality,omitzero"`
	Market    market                `json:"market,omitzero"`
	Deposits  deposits              `json:"deposits,omitzero"`
	Beacon    beaconWatch           `json:"beacon,omitzero"`
	Rollup    rollupWatch           `json:"rollup,omitzero"`
	Comet     cometWatch            `json:"comet,omitzero"`
	Solana    solanaWatch           `json:"solana,omitzero"`
}

type savedTree struct {
	Blocks []int   `json:"blocks,omitempty"` // by height, and within one as they came
	Seen   []int64 `json:"seen,omitempty"`   // of each of them, ms after its header's time
	Linear bool    `json:"linear,omitempty"` // Canon is Blocks from Low on
	Canon  []int   `json:"canon,omitempty"`
	Low    int64   `json:"low,omitempty"`
	Tip    *Block  `json:"tip,omitempty"`
	Lost   int     `json:"lost,omitempty"`
}

type savedNode struct {
	Name        string    `json:"name"`
	Tree        savedTree `json:"tree"`
	State       NodeState `json:"state"`
	Reason      string    `json:"reason,omitempty"`
	Client      string    `json:"client,omitempty"`
	Stated      int64     `json:"stated,omitempty"`
	Heard       int64     `json:"heard,omitempty"`
	Asked       int64     `json:"asked,omitempty"`
	Fails       int       `json:"fails,omitempty"`
	Failed      int64     `json:"failed,omitempty"`
	Limited     int64     `json:"limited,omitempty"`
	Has         bool      `json:"has,omitempty"`
	Head        Block     `json:"head,omitzero"`
	How         How       `json:"how,omitempty"`
	Moved       int64     `json:"moved,omitempty"`
	Back        int       `json:"back,omitempty"`
	BestThen    int64     `json:"best_then,omitempty"`
	FirstHeight int64     `json:"first_height,omitempty"`
	Safe        int64     `json:"safe"`
	Final       int64     `json:"final"`
	Peers       int64     `json:"peers"`
	Mempool     *Mempool  `json:"mempool,omitempty"`
	Fees        *Fees     `json:"fees,omitempty"`
	HashRate    float64   `json:"hash_rate,omitempty"`
	Extra       bool      `json:"extra,omitempty"`
	Trust       trust     `json:"trust,omitzero"`

	Crowd *crowdWatch `json:"crowd,omitempty"`
}

type savedReorg struct {
	Key     string     `json:"key"`
	View    ReorgView  `json:"view"`
	Old     []Block    `json:"old,omitempty"`
	New     []Block    `json:"new,omitempty"`
	Flips   int        `json:"flips,omitempty"`
	Top     int64      `json:"top"`
	ClearAt int64      `json:"clear_at"`
	Past    string     `json:"past,omitempty"`
	Floor   int64      `json:"floor,omitempty"`
	Open    bool       `json:"open,omitempty"`
	Seen    []sighting `json:"seen,omitempty"`
	Signs   []sign     `json:"signs,omitempty"`
}

// headers numbers headers while they are written. When a node saw one is not part of it.
type headers struct {
	list []Block
	at   map[string][]int // by hash: liars give one hash several headers
}

func (h *headers) number(b Block) int {
	b.SeenAt = 0
	for _, n := range h.at[b.Hash] {
		if h.list[n].equal(b) {
			return n
		}
	}
	n := len(h.list)
	h.at[b.Hash] = append(h.at[b.Hash], n)
	h.list = append(h.list, b)
	return n
}

func (b Block) equal(c Block) bool {
	same := func(x, y *float64) bool { return x == y || x != nil && y != nil && *x == *y }
	if !same(b.BaseFee, c.BaseFee) || (b.Txs == nil) != (c.Txs == nil) || b.Txs != nil && *b.Txs != *c.Txs {
		return false
	}
	if (b.Blobs == nil) != (c.Blobs == nil) || b.Blobs != nil && *b.Blobs != *c.Blobs {
		return false
	}
	b.BaseFee, b.Txs, b.Blobs, c.BaseFee, c.Txs, c.Blobs = nil, nil, nil, nil, nil, nil
	return b == c
}

// MarshalBinary gives the whole state of the monitor: a monitor of the same Config that takes it by UnmarshalBinary goes on as if there had
// been no restart. About 200 bytes a header known.
func (m *Monitor) MarshalBinary() ([]byte, error) {
	h := &headers{at: map[string][]int{}}
	s := saved{Version: stateVersion, Chain: m.cfg.Chain, Union: m.union.save(h), Ring: m.pace.ring, Next: m.pace.next, Progress: m.progress,
		Intervals: m.intervals, SizedAt: m.sizedAt, Open: m.open, Told: m.told, Since: m.since, First: m.first, Inherited: slices.Sorted(maps.Keys(m.inherited)),
		Depths: m.depths, Now: m.now, Started: m.started, Sampled: m.sampled, Judged: m.judged, Splits: m.splits, Drill: m.drill, Announced: m.announced, Finality: m.finality, Market: m.market, Deposits: m.deposits, Beacon: m.beacon, Rollup: m.rollup,
		Comet: m.comet, Solana: m.solana}
	if m.best != nil {
		s.Best = m.best.name
	}
	for _, n := range m.nodes {
		s.Nodes = append(s.Nodes, savedNode{n.name, n.tree.save(h), n.state, n.reason, n.client, n.stated, n.heard, n.asked, n.fails, n.failed, n.limited,
			n.has, n.head, n.how, n.moved, n.back, n.bestThen, n.firstHeight, n.safe, n.final, n.peers, n.mempool, n.fees, n.hashRate, n.extra, n.trust, n.crowd})
	}
	for _, r := range m.reorgs {
		s.Reorgs = append(s.Reorgs, savedReorg{r.key, r.view, r.old, r.new, r.flips, r.top, r.clearAt, r.past, r.floor, r.open, r.seen, r.signs})
	}
	s.Headers = h.list
	return json.Marshal(s)
}

// gone tells whether a finding speaks of a node that is not watched any more.
func (m *Monitor) gone(f Finding) bool {
	switch f.Kind {
	case FindingDivergence, FindingUnreachable, FindingHalted, FindingLag, FindingSyncing, FindingWrongChain, FindingDistrusted, FindingSybil, FindingConcentrated,
		FindingReplaced, FindingEclipse:
	default:
		return false
	}
	for name := range strings.SplitSeq(f.Subject, "~") {
		if m.node(name) == nil {
			return true
		}
	}
	return false
}

// UnmarshalBinary takes what MarshalBinary gave. Nodes taken on by Ensure come back; what is open of nodes that the Config no longer names ends
// with the next looks. On an error, the monitor is as it was. Call Resume afterwards, if at all.
func (m *Monitor) UnmarshalBinary(b []byte) error {
	var s saved
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("read the state of chain %s: %w", m.cfg.Chain, err)
	}
	if s.Version != stateVersion || s.Chain != m.cfg.Chain {
		return fmt.Errorf("read the state of chain %s: it is that of chain %q in version %d, not %d", m.cfg.Chain, s.Chain, s.Version, stateVersion)
	}
	next := NewMonitor(m.cfg)
	var err error
	if next.union, err = s.Union.load(s.Headers); err != nil {
		return fmt.Errorf("read the headers of chain %s: %w", m.cfg.Chain, err)
	}
	for _, n := range s.Nodes {
		if n.Extra {
			next.Ensure(n.Name)
		}
		to := next.node(n.Name)
		if to == nil {
			continue // no longer configured: what is open of it ends as inherited
		}
		tree, err := n.Tree.load(s.Headers)
		if err != nil {
			return fmt.Errorf("read the headers of node %s of chain %s: %w", n.Name, m.cfg.Chain, err)
		}
		*to = node{n.Name, to.operator, n.State, n.Reason, n.Client, n.Stated, n.Heard, n.Asked, n.Fails, n.Failed, n.Limited, n.Has, n.Head, n.How, n.Moved, n.Back,
			n.BestThen, n.FirstHeight, n.Safe, n.Final, n.Peers, n.Mempool, n.Fees, n.HashRate, to.extra, n.Trust, n.Crowd, tree, to.words}
	}
	for _, r := range s.Reorgs {
		next.reorgs = append(next.reorgs, &reorg{r.Key, r.View, r.Old, r.New, r.Flips, r.Top, r.ClearAt, r.Past, r.Floor, r.Open, r.Seen, r.Signs})
	}
	next.best = next.node(s.Best)
	next.pace.ring, next.pace.next = s.Ring, s.Next
	next.progress, next.intervals, next.sizedAt, next.depths = s.Progress, s.Intervals, s.SizedAt, s.Depths
	next.now, next.started, next.sampled, next.judged, next.drill = s.Now, s.Started, s.Sampled, s.Judged, s.Drill
	next.beacon, next.rollup, next.comet, next.solana = s.Beacon, s.Rollup, s.Comet, s.Solana
	next.finality, next.market, next.deposits = s.Finality, s.Market, s.Deposits
	for k, a := range s.Announced {
		if a != nil && a.Nodes != nil {
			next.announced[k] = a
		}
	}
	for k, f := range s.Open {
		switch {
		case f == nil:
		case next.gone(*f):
			next.inherited[k] = true
		default:
			next.open[k] = f
		}
	}
	maps.Copy(next.told, s.Told)
	maps.Copy(next.splits, s.Splits)
	maps.Copy(next.since, s.Since)
	maps.Copy(next.first, s.First)
	for _, k := range s.Inherited {
		next.inherited[k] = true
	}
	*m = *next
	return nil
}

func (t *Tree) save(h *headers) savedTree {
	s := savedTree{Low: t.low, Lost: t.lost, Linear: true}
	for _, height := range slices.Sorted(maps.Keys(t.heights)) {
		for _, hash := range t.heights[height] {
			b := t.blocks[hash]
			s.Blocks, s.Seen = append(s.Blocks, h.number(b)), append(s.Seen, b.SeenAt-b.Time)
			s.Linear = s.Linear && (t.canon[height] == hash) == (height >= t.low)
		}
	}
	for height, hash := range t.canon {
		_, ok := t.blocks[hash]
		s.Linear = s.Linear && ok && height >= t.low
	}
	if !s.Linear {
		for _, height := range slices.Sorted(maps.Keys(t.canon)) {
			if b, ok := t.blocks[t.canon[height]]; ok {
				s.Canon = append(s.Canon, h.number(b))
			}
		}
	}
	if t.has {
		s.Tip = &t.tip
	}
	return s
}

func (s savedTree) load(known []Block) (*Tree, error) {
	t := NewTree(keepHeaders)
	for _, n := range slices.Concat(s.Blocks, s.Canon) {
		if n < 0 || n >= len(known) {
			return nil, fmt.Errorf("there is no header %d", n)
		}
	}
	if len(s.Seen) != len(s.Blocks) {
		return nil, fmt.Errorf("of %d headers, %d were seen", len(s.Blocks), len(s.Seen))
	}
	for i, n := range s.Blocks {
		b := known[n]
		b.SeenAt = b.Time + s.Seen[i]
		t.blocks[b.Hash] = b
		t.heights[b.Height] = append(t.heights[b.Height], b.Hash)
		if s.Linear && b.Height >= s.Low {
			t.canon[b.Height] = b.Hash
		}
	}
	for _, n := range s.Canon {
		t.canon[known[n].Height] = known[n].Hash
	}
	t.low, t.lost = s.Low, s.Lost
	if s.Tip != nil {
		t.tip, t.has = *s.Tip, true
	}
	return t, nil
}
