package chain

// Kind says which part of an Observation is set.
type Kind string

// The kinds of observation.
const (
	KindHead     Kind = "head"     // Head (and Branch)
	KindTips     Kind = "tips"     // Tips, only those that changed since the last call
	KindState    Kind = "state"    // State, Reason, ChainID, Client, Limited
	KindMempool  Kind = "mempool"  // Mempool
	KindFees     Kind = "fees"     // Fees
	KindFinality Kind = "finality" // Finality
	KindPeers    Kind = "peers"    // Peers
	KindHashRate Kind = "hashrate" // HashRate
	KindMiners   Kind = "miners"   // Miners
	KindRollback Kind = "rollback" // Head is the block the node went back to
	KindBeacon   Kind = "beacon"   // Beacon
	KindRollup   Kind = "rollup"   // Rollup
	KindComet    Kind = "comet"    // Comet
	KindSolana   Kind = "solana"   // Solana
	KindTick     Kind = "tick"     // no node: time passes until At (recordings and drills carry their own time)
	KindDeposits Kind = "deposits" // no node: Deposits
)

// How says by which way a head came.
type How string

// The ways a head comes.
const (
	Subscribed How = "subscription"
	Polled     How = "poll"
	Walked     How = "walk"
)

// NodeState is what a node is to us.
type NodeState string

// The states of a node. Waiting is the state before anything was heard.
const (
	Waiting    NodeState = "waiting"
	Up         NodeState = "up"
	Down       NodeState = "down"
	Syncing    NodeState = "syncing"
	WrongChain NodeState = "wrong_chain"
)

// Observation is what one node said at one time. It is plain JSON, one object a line, so that it can be recorded and replayed.
type Observation struct {
	Kind  Kind   `json:"kind"`
	Chain string `json:"chain"`
	Node  string `json:"node"`
	At    int64  `json:"at"` // unix ms, the collector's clock
	Drill bool   `json:"drill,omitempty"`

	// Head is the block the node calls its newest; for a rollback the block it went back to.
	Head *Block `json:"head,omitempty"`
	// Branch are headers below Head, ascending, that link it to what was known before: the result of a walk, or a backfill.
	Branch []Block `json:"branch,omitempty"`
	// Cut is true when the walk ended at its bound before it met a known block: a reorg is then at least as deep as the walk.
	Cut bool `json:"cut,omitempty"`
	How How  `json:"how,omitempty"`

	State   NodeState `json:"state,omitempty"`
	Reason  string    `json:"reason,omitempty"`   // one sentence, without secrets
	ChainID string    `json:"chain_id,omitempty"` // what the node says it is
	Client  string    `json:"client,omitempty"`   // the node's program and version
	Limited int64     `json:"limited,omitempty"`  // with Down: ms for which the node is left alone because it limits us

	Tips     []Tip     `json:"tips,omitempty"`
	Mempool  *Mempool  `json:"mempool,omitempty"`
	Fees     *Fees     `json:"fees,omitempty"`
	Finality *Finality `json:"finality,omitempty"`
	Peers    *Peers    `json:"peers,omitempty"`
	HashRate float64   `json:"hash_rate,omitempty"` // hashes per second, an estimate
	Miners   []Mined   `json:"miners,omitempty"`    // of headers told before, at most 256
	Deposits float64   `json:"deposits,omitempty"`  // dollars that could be taken back now

	Comet  *CometSaid  `json:"comet,omitempty"`
	Solana *SolanaSaid `json:"solana,omitempty"`
	Beacon *Slots      `json:"beacon,omitempty"`
	Rollup *Layers     `json:"rollup,omitempty"`
}

// Tip is one line of Bitcoin's getchaintips. A node never forgets a tip, so the collector sends only tips that are new or changed.
type Tip struct {
	Height int64  `json:"height"`
	Hash   string `json:"hash"`
	Branch int64  `json:"branch"` // length of the branch off the active chain
	Status string `json:"status"` // active, valid-fork, valid-headers, headers-only, invalid
}

// Mined says who made a block, where the header does not: a Bitcoin block's coinbase is asked for after its header.
type Mined struct {
	Hash  string `json:"hash"`
	Miner string `json:"miner"`
}

// Mempool is the state of the pool of waiting transactions.
type Mempool struct {
	Pending int64   `json:"pending"`           // transactions (EVM: executable)
	Queued  int64   `json:"queued,omitempty"`  // EVM: waiting for a nonce
	Bytes   int64   `json:"bytes,omitempty"`   // Bitcoin
	MinFee  float64 `json:"min_fee,omitempty"` // Bitcoin: sat/vB below which the pool refuses
	// MinRelay is Bitcoin's relay minimum in sat/vB: MinFee above it means that the pool is full. 0 = not told.
	MinRelay float64 `json:"min_relay,omitempty"`
}

// Fees is the state of the fee market.
type Fees struct {
	Next     *float64 `json:"next,omitempty"`     // EVM: base fee of the next block, gwei
	Priority *float64 `json:"priority,omitempty"` // EVM: median priority fee, gwei
	Rate     *float64 `json:"rate,omitempty"`     // Bitcoin: median fee rate of the newest block, sat/vB
	Total    *float64 `json:"total,omitempty"`    // Bitcoin: fees of the newest block, BTC
}

// Finality is how far the chain cannot go back by its own rules. -1 = the node does not know the tag.
type Finality struct {
	Safe      int64 `json:"safe"`
	Finalized int64 `json:"finalized"`
}

// Peers counts a node's connections; In and Out are -1 when the node gives only the total.
type Peers struct {
	Total int64 `json:"total"`
	In    int64 `json:"in"`
	Out   int64 `json:"out"`
	// Crowd is who they are, where the node tells it; nil = not told this time.
	Crowd *Crowd `json:"crowd,omitempty"`
}
