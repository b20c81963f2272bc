package chain

import (
	"cmp"
	"fmt"
	"slices"
)

// node is what a Monitor knows of one node.
type node struct {
	name     string
	operator string // who runs it; the name when nobody said
	state    NodeState
	reason   string
	client   string
	stated   int64 // since when it is in this state
	heard    int64 // when it last answered
	asked    int64 // when it last told its head, new or not
	fails    int   // failures in a row
	failed   int64 // when the first of them was
	limited  int64 // until when it is left alone because it limits us

	has         bool
	head        Block
	how         How
	moved       int64 // when its head last changed
	back        int   // blocks its head last went backwards on the same branch
	bestThen    int64 // the best height of all at that time
	firstHeight int64

	safe, final int64
	peers       int64
	mempool     *Mempool
	fees        *Fees
	hashRate    float64

	extra bool // by Ensure, not by Config
	trust trust
	crowd *crowdWatch // nil = it never told who its peers are
	tree  *Tree
	words map[string]string // see keyOf and mark
}

const (
	hashRateMost = 1e30 // hashes a second; Bitcoin had 1e21 in 2025

	silentAfter = 30000  // ms without any word from a node's collector that count as unreachable
	downFails   = 2      // consecutive failures before a node is called unreachable ...
	downHold    = 5000   // ... and ms since the first of them
	limitGrace  = 10000  // ms that a node which limited us has to answer when its time is over
	limitMost   = 180000 // ms since the first failure after which a limit is as good as any other silence
	syncHold    = 10000
)

// ok tells whether what the node says may be compared with the others.
func (n *node) ok() bool { return n.state == Up && n.trusted() }

func (m *Monitor) apply(n *node, o Observation) {
	if o.Kind == KindState {
		m.applyState(n, o)
		return
	}
	if n.state == WrongChain {
		return
	}
	n.heard, n.fails, n.limited = m.now, 0, 0 // any answer is an answer
	if n.state != Up && n.state != Syncing {
		m.setState(n, Up, "")
	}
	switch o.Kind {
	case KindHead, KindRollback:
		m.applyHead(n, o)
	case KindFinality:
		if f := o.Finality; f != nil && m.believeFinality(n, *f) {
			m.changed = m.changed || n.safe != f.Safe || n.final != f.Finalized
			n.safe, n.final = f.Safe, f.Finalized
			m.applyFinality(n, *f)
			if f.Safe >= 0 {
				m.sample("tocsin_chain_safe_height", n, float64(f.Safe))
			}
			if f.Finalized >= 0 {
				m.sample("tocsin_chain_finalized_height", n, float64(f.Finalized))
				if n.has {
					m.sample("tocsin_chain_finality_lag_blocks", n, float64(max(n.head.Height-f.Finalized, 0)))
				}
			}
		}
	case KindMempool:
		if p := o.Mempool; p != nil {
			n.mempool = p
			m.poolSeen(n, *p)
			m.sample("tocsin_chain_txpool_pending", n, float64(p.Pending))
			switch m.cfg.Family {
			case Bitcoin:
				m.sample("tocsin_chain_mempool_bytes", n, float64(p.Bytes))
				m.sample("tocsin_chain_mempool_min_fee_sat_vb", n, p.MinFee)
			case Comet:
				m.sample("tocsin_chain_mempool_bytes", n, float64(p.Bytes))
			default:
				m.sample("tocsin_chain_txpool_queued", n, float64(p.Queued))
			}
		}
	case KindFees:
		if f := o.Fees; f != nil {
			n.fees = f
			if f.Rate != nil && n == m.best {
				m.feeSeen(*f.Rate)
			}
			for _, v := range []struct {
				name  string
				value *float64
			}{{"tocsin_chain_next_base_fee_gwei", f.Next}, {"tocsin_chain_priority_fee_gwei", f.Priority},
				{"tocsin_chain_fee_rate_sat_vb", f.Rate}, {"tocsin_chain_block_fees_btc", f.Total}} {
				if v.value != nil {
					m.sample(v.name, n, *v.value)
				}
			}
		}
	case KindPeers:
		if p := o.Peers; p != nil {
			m.changed = m.changed || n.peers != p.Total
			n.peers = p.Total
			m.sample("tocsin_chain_peers", n, float64(p.Total))
			if p.Crowd != nil {
				m.applyCrowd(n, p.Crowd)
			}
		}
	case KindHashRate:
		if r := o.HashRate; r >= 0 && r <= hashRateMost {
			n.hashRate = r
			m.sample("tocsin_chain_hash_rate", n, r)
		}
	case KindMiners:
		m.applyMiners(n, o.Miners)
	case KindBeacon:
		m.applyBeacon(n, o.Beacon)
	case KindRollup:
		m.applyRollup(n, o.Rollup)
	case KindComet:
		m.applyComet(n, o.Comet)
	case KindSolana:
		m.applySolana(n, o.Solana)
	case KindTips:
		m.applyTips(n, o.Tips)
	}
}

func (m *Monitor) applyState(n *node, o Observation) {
	m.disturbed(n, o)
	if o.Client != "" {
		n.client = o.Client
	}
	switch o.State {
	case Down:
		n.fails++
		if n.fails == 1 {
			n.failed = m.now
		}
		n.reason, n.limited = o.Reason, 0
		if o.Limited > 0 {
			n.limited = min(m.now+min(o.Limited, limitMost)+limitGrace, n.failed+limitMost)
		}
		if n.fails >= downFails && m.now-n.failed >= downHold {
			m.setState(n, Down, o.Reason)
		}
	case Up, Syncing, WrongChain:
		n.heard, n.fails, n.limited = m.now, 0, 0
		m.setState(n, o.State, o.Reason)
	}
}

func (m *Monitor) setState(n *node, s NodeState, reason string) {
	if n.state != s {
		n.state, n.stated = s, m.now
		m.changed = true
	}
	n.reason = reason
}

func (m *Monitor) applyHead(n *node, o Observation) {
	n.asked = m.now
	if !m.believe(n, o) {
		return
	}
	trusted := n.trusted()
	for _, b := range o.Branch {
		n.tree.Link(b)
		if trusted {
			m.union.Link(b)
		}
	}
	b := *o.Head
	if b.SeenAt == 0 {
		b.SeenAt = m.now
	}
	if have, ok := m.union.Get(b.Hash); trusted && ok && have.Height != b.Height {
		m.union.drop(b.Hash) // somebody gave this hash another height: that must not hide the block
	}
	isNew := trusted && !m.union.Has(b.Hash)
	var c Change
	if o.Kind == KindRollback {
		c = n.tree.Rollback(b)
	} else {
		c = n.tree.Add(b)
		if c.Kind == Reorg && o.Cut {
			c.AtLeast = c.AtLeast || c.Ancestor == Ref{}
		}
	}
	if c.Kind == Invalid {
		return
	}
	if trusted {
		m.union.Link(b)
	}
	n.how = o.How
	if n.has && n.head.Hash == b.Hash && c.Kind != Reorg {
		n.trust.Good++
		if b.Txs != nil && n.head.Txs == nil { // newHeads did not tell them, a second look did
			n.head = b
			if n == m.best && m.sizedAt < b.Height {
				m.sizeSamples(b)
				m.changed = true
			}
		}
		return
	}
	first := !n.has
	n.has, n.head = true, b
	if n.back = 0; c.Kind == Behind {
		n.back = c.Depth
	} else {
		n.moved = m.now
	}
	if first {
		n.firstHeight = b.Height
	}
	m.changed = true
	m.watch(n, b, c, o.Kind == KindRollback)
	best, had := m.union.Tip()
	if isNew && (!had || b.Height > best.Height-64) && n.ok() {
		if first && b.Time > 0 && !had {
			m.progress = min(m.now, b.Time) // it may have stood still long before we came
		} else {
			if m.pace.onDemand && m.progress > 0 { // blocks made in bursts carry invented times
				m.pace.add(m.now - m.progress)
			}
			m.progress = m.now
		}
	}
	m.consider(n)
	if m.best != nil && m.best.head.Hash != best.Hash {
		m.headMoved = true
	}
	if m.best != nil && c.Kind != Behind {
		n.bestThen = m.best.head.Height
	}
	m.headSamples(n, b, c, isNew)
	if !n.trusted() {
		return
	}
	switch c.Kind {
	case Reorg:
		m.addReorg(n, c)
	case Extends:
		m.grow(n, b)
	}
}

// headSamples writes what a new head says, and feeds the pace with every interval that is new to the chain.
func (m *Monitor) headSamples(n *node, b Block, c Change, isNew bool) {
	m.sample("tocsin_chain_head_height", n, float64(b.Height))
	if b.Time > 0 && b.SeenAt > 0 && c.Kind != First && c.Kind != Behind {
		m.sample("tocsin_chain_head_delay_seconds", n, float64(b.SeenAt-b.Time)/1000)
	}
	if !isNew {
		return
	}
	if b.BaseFee != nil {
		m.sample("tocsin_chain_base_fee_gwei", nil, *b.BaseFee)
		m.feeSeen(*b.BaseFee)
	}
	if b.GasLimit > 0 {
		m.sample("tocsin_chain_gas_ratio", nil, float64(b.GasUsed)/float64(b.GasLimit))
	}
	if b.Blobs != nil {
		m.sample("tocsin_chain_blob_gas_used", nil, float64(b.Blobs.Used))
		m.sample("tocsin_chain_excess_blob_gas", nil, float64(b.Blobs.Excess))
	}
	if b.Txs != nil {
		m.sizeSamples(b)
	}
	m.feed(n)
}

func (m *Monitor) sizeSamples(b Block) {
	m.sizedAt = b.Height
	m.sample("tocsin_chain_block_txs", nil, float64(*b.Txs))
	if b.Size > 0 {
		m.sample("tocsin_chain_block_size_bytes", nil, float64(b.Size))
	}
}

// feed takes the intervals of the best branch above the last one known.
func (m *Monitor) feed(n *node) {
	if n != m.best {
		return
	}
	last := int64(-1)
	if k := len(m.intervals); k > 0 {
		last = m.intervals[k-1].Height
	}
	fresh := []Interval{}
	for b, ok := n.head, true; ok && b.Height > last && len(fresh) < paceWindow; {
		p, have := n.tree.Get(b.Parent)
		if have && b.Time > 0 && p.Time > 0 {
			fresh = append(fresh, Interval{Height: b.Height, At: b.Time, MS: b.Time - p.Time})
		}
		b, ok = p, have
	}
	slices.Reverse(fresh)
	for _, iv := range fresh {
		if !m.pace.onDemand {
			m.pace.add(iv.MS)
		}
		if last >= 0 {
			m.sample("tocsin_chain_block_interval_seconds", nil, float64(iv.MS)/1000)
		}
	}
	m.intervals = append(m.intervals, fresh...)
	if k := len(m.intervals) - 60; k > 0 {
		m.intervals = slices.Clone(m.intervals[k:])
	}
}

// judgeNodes opens and ends what is wrong with single nodes.
func (m *Monitor) judgeNodes() {
	down, limited := 0, 0
	for _, n := range m.nodes {
		if n.state != Down && n.fails >= downFails && m.now-n.failed >= downHold {
			m.setState(n, Down, n.reason)
		}
		last := max(n.heard, m.started)
		if n.state != Down && !m.cfg.Recorded && m.now-last >= silentAfter {
			why := fmt.Sprintf("Nothing was heard for %s.", dur(m.now-last))
			if n.fails > 0 { // its collector said why since
				why = cmp.Or(n.reason, why)
			}
			m.setState(n, Down, why)
		}
		key := m.keyOf(n, FindingUnreachable)
		if n.state == Down {
			down++
			if m.now < n.limited {
				limited++
			}
			sev := sev4
			if len(m.nodes) == 1 {
				sev = sev3
			}
			f := m.finding(FindingUnreachable, n.name, sev)
			f.Title = fmt.Sprintf("%s: node %s cannot be asked", m.cfg.Chain, n.name)
			f.Reason = cmp.Or(n.reason, "It does not answer.")
			if n.failed > 0 {
				f.Since = n.failed
			}
			if len(m.nodes) == 1 {
				f.Reason += " It is the only node of this chain: the chain is not being watched."
			}
			m.fire(f, map[string]any{"node": n.name, "failures": n.fails, "first_failure_at": n.failed, "last_heard_at": n.heard, "head": n.head.Ref()}, false)
		} else if n.state != Waiting && m.open[key] != nil {
			m.calm(key, m.now, fmt.Sprintf("The node answers again, after %s.", dur(m.calmAt(key, m.now)-m.sinceOf(key))))
		}
		if n.state == WrongChain {
			f := m.finding(FindingWrongChain, n.name, sev3)
			f.Title = fmt.Sprintf("%s: node %s serves another chain", m.cfg.Chain, n.name)
			f.Reason = cmp.Or(n.reason, "It is not the chain that is configured.")
			m.fire(f, map[string]any{"node": n.name, "expected": m.cfg.ChainID}, false)
		} else if n.ok() || n.state == Syncing {
			m.clear(m.keyOf(n, FindingWrongChain), m.now, "The node serves the right chain now.")
		}
		if m.held(n.mark("sync/"), n.state == Syncing, m.now, syncHold) {
			f := m.finding(FindingSyncing, n.name, sev5)
			f.Title = fmt.Sprintf("%s: node %s is still syncing", m.cfg.Chain, n.name)
			f.Reason = cmp.Or(n.reason, "It says that it is still catching up.")
			m.fire(f, map[string]any{"node": n.name, "head": n.head.Ref()}, false)
		} else if n.ok() {
			m.calm(m.keyOf(n, FindingSyncing), m.now, "The node has caught up.")
		}
	}
	key := m.key(FindingBlind, "")
	switch {
	case limited > 0 && m.open[key] == nil: // it said when it answers again: that is worth waiting for
	case down == len(m.nodes) && down > 1:
		f := m.finding(FindingBlind, "", sev2)
		f.Title = m.cfg.Chain + ": no node can be asked"
		f.Reason = fmt.Sprintf("All %d nodes are unreachable: nothing is known of the chain since %s.", down, m.sinceHeard())
		m.fire(f, map[string]any{"nodes": down}, false)
	case down < len(m.nodes):
		m.calm(key, m.now, fmt.Sprintf("%d of %d nodes can be asked again.", len(m.nodes)-down, len(m.nodes)))
	}
}

// keyOf is the key of the findings of a kind about a node. It is made once: every look at the nodes asks for several of each.
func (m *Monitor) keyOf(n *node, kind string) string {
	if k, ok := n.words[kind]; ok {
		return k
	}
	return n.remember(kind, m.key(kind, n.name))
}

// mark is what the ledger holds a condition of a node by; as keyOf it is made once. prefix ends with a slash, which no kind does.
func (n *node) mark(prefix string) string {
	if k, ok := n.words[prefix]; ok {
		return k
	}
	return n.remember(prefix, prefix+n.name)
}

func (n *node) remember(as, word string) string {
	if n.words == nil {
		n.words = map[string]string{}
	}
	n.words[as] = word
	return word
}

func (m *Monitor) sinceOf(key string) int64 {
	if f := m.open[key]; f != nil {
		return f.Since
	}
	return m.now
}

func (m *Monitor) sinceHeard() string {
	last := int64(0)
	for _, n := range m.nodes {
		last = max(last, n.heard)
	}
	if last == 0 {
		return "the start"
	}
	return "the last answer " + dur(m.now-last) + " ago"
}
