package chain

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Config is what a Monitor is told about its chain. Zero values take what is commonly known of the network (see Known), else of the family.
type Config struct {
	Chain   string // name, unique; without "/"
	Family  Family
	ChainID string
	Nodes   []string // names, unique in the chain
	// Operators says by name who runs a node; two nodes of one operator are one voice. Upper and lower case are one. A node not named is its own operator.
	Operators     map[string]string
	Routine       int      // reorg depth of daily life
	Confirmations int      // the smallest number of confirmations somebody credits deposits at; 0 = not known
	Interval      int64    // ms expected between blocks
	Watch         []string // Comet, Solana: validators to watch one by one: consensus address or name; identity
	HashPrice     float64  // dollars for one hash per second during one day, rented; 0 = not known
	OpenDeposits  float64  // dollars of deposits that could be taken back; 0 = not known
	Wait          int64    // ms until what no second node has confirmed is given out as Waited; 0 = 2 min
	// Recorded: the observations come from a recording or a feed that tells of blocks and of nodes going down, not from collectors that ask
	// every few seconds. A node that says nothing is then taken to be where it was, instead of unreachable.
	Recorded bool
}

// Monitor folds the observations of one chain's nodes into samples, findings and a view. It is a pure state machine: the same observations
// and ticks give the same answers. Not safe for concurrent use.
type Monitor struct {
	cfg   Config
	net   Network
	nodes []*node
	names map[string]*node
	opers map[string]bool // the operators of all nodes
	union *Tree           // every header seen from any node; its tip is the best head
	pace  pace

	best      *node // whose head is the best
	progress  int64 // when the chain last showed a new block, our clock
	intervals []Interval
	sizedAt   int64 // height of the last block whose transactions were counted

	*ledger
	reorgs    []*reorg
	depths    []int                 // of the distinct reorgs seen, for the learned routine
	splits    map[string]pair       // nodes on different branches, by the key of the finding
	announced map[string]*announced // branches whose headers somebody announces, by the height they leave the chain at
	finality  finality
	market    market
	deposits  deposits
	beacon    beaconWatch // Family Beacon only
	rollup    rollupWatch // Family Rollup only
	comet     cometWatch  // Family Comet only
	solana    solanaWatch // Family Solana only
	now       int64
	started   int64
	sampled   int64
	judged    int64
	drill     bool
	samples   []Sample
	headMoved bool
	changed   bool
}

const (
	keepHeaders = 1024
	sampleEvery = 5000  // ms between samples made by ticks
	settle      = 30000 // ms after the start before inherited findings may end for want of their cause
)

// NewMonitor makes the monitor of one chain. A nameless or doubled node is ignored.
func NewMonitor(c Config) *Monitor {
	net, known := Known(c.Family, c.ChainID)
	if c.Routine <= 0 {
		c.Routine = max(net.Routine, 1)
	}
	if c.Interval <= 0 {
		c.Interval = net.Interval
	}
	if c.Family == Solana && !known {
		net.Interval, net.Regular = 400, true // of every cluster
		c.Interval = max(c.Interval, 400)
	}
	m := &Monitor{cfg: c, net: net, names: map[string]*node{}, opers: map[string]bool{}, union: NewTree(keepHeaders), ledger: newLedger(), splits: map[string]pair{}, announced: map[string]*announced{},
		pace: pace{prior: c.Interval, regular: net.Regular, onDemand: known && net.OnDemand && c.Interval <= 0}}
	for _, n := range c.Nodes {
		m.Ensure(n)
	}
	for _, n := range m.nodes {
		n.extra = false
	}
	return m
}

// Ensure takes a node on that was not configured; one that is there already, or has no name, changes nothing.
func (m *Monitor) Ensure(name string) {
	if name != "" && m.node(name) == nil {
		n := &node{name: name, operator: cmp.Or(strings.TrimSpace(m.cfg.Operators[name]), name), extra: true, state: Waiting, tree: NewTree(keepHeaders), safe: -1, final: -1, peers: -1}
		m.nodes, m.names[name] = append(m.nodes, n), n
		m.opers[n.voice()] = true
	}
}

// Due is the next moment after now (unix ms) at which a Tick finds something that no observation told: a stall, a worse stall, a node that is
// down; 0 = none is known. What has to last for a while (lag, divergence) is not in it: tick now and then besides.
func (m *Monitor) Due() int64 {
	m.pace.judge()
	due := int64(0)
	take := func(at int64) {
		if at > m.now && (due == 0 || at < due) {
			due = at
		}
	}
	if m.progress > 0 && m.pace.after > 0 {
		for _, k := range []float64{1, 2, 4} {
			take(m.progress + int64(math.Ceil(k*m.pace.after)))
		}
	}
	for k, f := range m.open {
		if f.Verification.Held() {
			take(m.first[k] + m.wait())
		}
	}
	for _, n := range m.nodes {
		if n.fails >= downFails {
			take(n.failed + downHold)
		}
		take(n.limited)
		if !m.cfg.Recorded {
			take(max(n.heard, m.started) + silentAfter)
		}
	}
	return due
}

// Resume tells which keys the log holds open, so that those which are over get their end. Call it before the first observation. Keys of
// other chains are ignored.
func (m *Monitor) Resume(keys []string) {
	for _, k := range keys {
		if strings.HasPrefix(k, m.cfg.Chain+"/") && m.open[k] == nil {
			m.inherited[k] = true
		}
	}
}

// Observe takes what one node said. Observations of other chains or of nodes not configured are ignored. Times may repeat; a time before
// the newest one is taken for the newest.
func (m *Monitor) Observe(o Observation) Outcome {
	if o.Kind == KindTick && (o.Chain == "" || o.Chain == m.cfg.Chain) {
		m.drill = m.drill || o.Drill
		return m.Tick(o.At)
	}
	if o.Kind == KindDeposits && (o.Chain == "" || o.Chain == m.cfg.Chain) {
		m.clock(o.At)
		if o.Deposits >= 0 && o.Deposits < 1e15 {
			m.deposits, m.changed = deposits{o.Deposits, m.now}, true
		}
		return m.outcome()
	}
	n := m.node(o.Node)
	if n == nil || (o.Chain != "" && o.Chain != m.cfg.Chain) {
		return Outcome{}
	}
	m.clock(o.At)
	m.drill = m.drill || o.Drill
	m.apply(n, o)
	if (m.headMoved || m.changed) && m.now-m.judged >= m.breath() {
		m.judge()
	}
	return m.outcome()
}

// Open lists the keys of the findings that are open, also those only the log knows; a monitor that replaces this one is given them by Resume.
func (m *Monitor) Open() []string {
	out := []string{}
	for k := range m.open {
		out = append(out, k)
	}
	for k := range m.inherited {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Close ends every open finding with a reason, for a chain that is no longer watched.
func (m *Monitor) Close(at int64, reason string) []Finding {
	m.clock(at)
	for _, k := range m.Open() {
		if m.ledger.open[k] != nil {
			m.clear(k, m.now, reason)
		} else {
			m.endInherited(k, reason)
		}
	}
	return m.take()
}

// Tick lets time pass: stalls, lags and silences are found here. Call it about once a second.
func (m *Monitor) Tick(at int64) Outcome {
	m.clock(at)
	m.judge()
	if m.now-m.sampled >= sampleEvery {
		m.sampled = m.now
		m.tickSamples()
	}
	return m.outcome()
}

func (m *Monitor) clock(at int64) {
	m.now = max(m.now, at)
	if m.started == 0 {
		m.started = m.now
	}
}

// breath is how many ms pass at least between two looks at all nodes, ticks aside: a second of a thousand nodes costs ten times that of a hundred.
func (m *Monitor) breath() int64 {
	if len(m.nodes) <= 16 {
		return 0
	}
	return min(int64(len(m.nodes))*5, 1000)
}

func (m *Monitor) judge() {
	m.judged = m.now
	m.pick()
	m.judgeNodes()
	m.judgeTrust()
	m.judgeStall()
	m.judgeOrder()
	m.judgeSplits()
	m.judgeReorgs()
	m.judgeTips()
	m.judgePeers()
	m.judgeLag()
	m.judgeMarket()
	m.judgeBeacon()
	m.judgeRollup()
	m.judgeComet()
	m.judgeSolana()
	m.judgeInherited()
	m.overdue()
}

// judgeInherited ends findings which were open in the log before this monitor began and whose cause is not there any more.
func (m *Monitor) judgeInherited() {
	if len(m.inherited) == 0 || m.now-m.started < settle {
		return
	}
	keys := make([]string, 0, len(m.inherited))
	for k := range m.inherited {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		kind, subject, _ := strings.Cut(strings.TrimPrefix(k, m.cfg.Chain+"/"), "/")
		reason := ""
		switch kind {
		case FindingStall:
			if m.progress > m.started {
				reason = "New blocks came after Tocsin started again."
			}
		case FindingReorg, FindingHeadersOnly, FindingAttack:
			if tip, ok := m.union.Tip(); ok && len(m.nodes) > 0 && tip.Height >= m.firstHeight()+6 {
				reason = "Six further blocks were seen after Tocsin started again."
			}
		case FindingDivergence:
			a, b, _ := strings.Cut(subject, "~")
			na, nb := m.node(a), m.node(b)
			switch {
			case na == nil || nb == nil:
				reason = "One of the nodes is no longer watched."
			case na.ok() && nb.ok() && m.same(na, nb):
				reason = "Both nodes have the same block again."
			}
		case FindingFeeSpike, FindingMempoolFull:
			reason = m.marketOver(kind)
		case FindingFinality, FindingParticipation, FindingMissedSlots:
			if reason = m.beaconOver(kind); m.cfg.Family == EVM {
				reason = m.lagOver()
			}
		case FindingBatcher, FindingSequencer:
			reason = m.rollupOver(kind)
		case FindingConsensus, FindingNodeStuck, FindingPowerMissing, FindingValidatorMissing, FindingValidatorWindow, FindingValidatorJailed,
			FindingValidatorLeft, FindingDoubleSign, FindingUpgrade:
			reason = m.cometOver(kind, subject)
		case FindingSkipRate, FindingDelinquent, FindingFinalityLag, FindingVoteOnly, FindingSlowSlots, FindingUnhealthy, FindingValidatorDelinquent:
			reason = m.solanaOver(kind, subject)
		case FindingSybil, FindingConcentrated, FindingReplaced, FindingEclipse:
			if n := m.node(subject); n == nil {
				reason = "The node is no longer watched."
			} else if n.ok() {
				reason = "What was known of the node's peers before Tocsin started again is lost: they are judged anew."
			}
		case FindingBlind:
			for _, n := range m.nodes {
				if n.ok() {
					reason = "Nodes answer again."
				}
			}
		default:
			switch n := m.node(subject); {
			case n == nil:
				reason = "The node is no longer watched."
			case n.ok():
				reason = "The node is well after Tocsin started again."
			}
		}
		if reason != "" {
			m.endInherited(k, reason)
		}
	}
}

func (m *Monitor) endInherited(k, reason string) {
	kind, subject, _ := strings.Cut(strings.TrimPrefix(k, m.cfg.Chain+"/"), "/")
	if subject == "" {
		subject = m.cfg.Chain
	}
	delete(m.inherited, k)
	m.out = append(m.out, Finding{Key: k, Kind: kind, Chain: m.cfg.Chain, Subject: subject, Severity: sev5,
		Title: "Over: " + kind + " on " + m.cfg.Chain, Reason: reason, At: m.now, Since: m.now, Evidence: marshal(map[string]any{}), Drill: m.drill})
}

func (m *Monitor) firstHeight() int64 {
	low := int64(-1)
	for _, n := range m.nodes {
		if n.firstHeight > 0 && (low < 0 || n.firstHeight > low) {
			low = n.firstHeight
		}
	}
	return low
}

func (m *Monitor) outcome() Outcome {
	o := Outcome{Samples: m.samples, Findings: m.take(), Head: m.headMoved, Changed: m.changed}
	o.Changed = o.Changed || o.Head || len(o.Findings) > 0
	m.samples, m.headMoved, m.changed = nil, false, false
	return o
}

func (m *Monitor) finding(kind, subject, severity string) Finding {
	key := m.cfg.Chain + "/" + kind
	if subject != "" {
		key += "/" + subject
	} else {
		subject = m.cfg.Chain
	}
	return Finding{Key: key, Kind: kind, Chain: m.cfg.Chain, Subject: subject, Severity: severity, At: m.now, Since: m.now, Drill: m.drill}
}

func (m *Monitor) key(kind, subject string) string { return m.finding(kind, subject, "").Key }

func (m *Monitor) node(name string) *node { return m.names[name] }

func (m *Monitor) sample(name string, n *node, v float64) {
	l := map[string]string{"chain": m.cfg.Chain}
	if n != nil {
		l["node"] = n.name
	}
	m.samples = append(m.samples, Sample{Name: name, Labels: l, At: m.now, Value: v})
}

func (m *Monitor) tickSamples() {
	if m.progress > 0 {
		m.sample("tocsin_chain_head_silence_seconds", nil, float64(m.now-m.progress)/1000)
	}
	m.sample("tocsin_chain_findings_open", nil, float64(len(m.open)))
	m.costSamples()
	for _, n := range m.nodes {
		up := 0.0
		if n.ok() {
			up = 1
		}
		if n.state != Waiting {
			m.sample("tocsin_chain_node_up", n, up)
		}
		if n.has && n.ok() {
			if n.head.Time > 0 {
				m.sample("tocsin_chain_head_age_seconds", n, float64(max(m.now-n.head.Time, 0))/1000)
			}
			m.sample("tocsin_chain_node_lag_blocks", n, float64(m.lag(n)))
		}
	}
}
