package chain

// View is what a page shows of one chain. It is a value: nothing in it changes after it was made.
type View struct {
	Chain   string `json:"chain"`
	Family  Family `json:"family"`
	ChainID string `json:"chain_id"`
	Network string `json:"network,omitempty"` // the network's common name, when known
	At      int64  `json:"at"`
	Drill   bool   `json:"drill,omitempty"`

	Status   string `json:"status"` // waiting, live, stalled, blind
	Sentence string `json:"sentence"`

	Height    int64 `json:"height"` // of the best head; -1 before the first
	Head      Block `json:"head"`
	HeadAge   int64 `json:"head_age"` // ms since the head was made, by its header, not below 0; -1 before the first
	Safe      int64 `json:"safe"`     // -1 = not known
	Finalized int64 `json:"finalized"`

	Interval   int64      `json:"interval"`    // expected ms between blocks; 0 = not known yet
	Learned    bool       `json:"learned"`     // false while the interval is mostly the configured or usual one
	Regular    bool       `json:"regular"`     // blocks come at fixed slots
	StallAfter int64      `json:"stall_after"` // ms without a head that make a stall; 0 = not known yet
	Intervals  []Interval `json:"intervals"`   // newest last, at most 60

	Routine  int         `json:"routine"` // reorg depth that is daily life here
	Nodes    []NodeView  `json:"nodes"`
	Reorgs   []ReorgView `json:"reorgs"`   // newest first, at most 10
	Findings []Finding   `json:"findings"` // open ones, worst first

	BaseFee      *float64 `json:"base_fee,omitempty"`  // gwei
	GasRatio     *float64 `json:"gas_ratio,omitempty"` // 0..1 of the newest block
	FeeRate      *float64 `json:"fee_rate,omitempty"`  // sat/vB
	Pending      *int64   `json:"pending,omitempty"`   // transactions waiting
	MempoolBytes *int64   `json:"mempool_bytes,omitempty"`
	HashRate     *float64 `json:"hash_rate,omitempty"`
	// AttackCost is what taking back a credited deposit would cost by rented hash power, in dollars, OpenDeposits what is open; nil = not known.
	AttackCost   *float64 `json:"attack_cost,omitempty"`
	OpenDeposits *float64 `json:"open_deposits,omitempty"`
}

// Interval is the time between a block and its parent by their headers.
type Interval struct {
	Height int64 `json:"height"`
	At     int64 `json:"at"` // header time of the younger block
	MS     int64 `json:"ms"`
}

// NodeView is one node as a page shows it.
type NodeView struct {
	Name    string    `json:"name"`
	State   NodeState `json:"state"`
	Reason  string    `json:"reason"` // why the state, and how fresh: one sentence
	Height  int64     `json:"height"` // -1 = nothing seen yet
	Hash    string    `json:"hash"`
	Lag     int64     `json:"lag"`      // blocks behind the best node
	HeadAge int64     `json:"head_age"` // ms, -1 unknown
	Heard   int64     `json:"heard"`    // unix ms of the last answer, 0 never
	Peers   int64     `json:"peers"`    // -1 unknown
	// Networks is how many networks the peers are in, 0 where the node does not tell; TopShare is the largest one's share, 0..1, of those that are
	// not one's own.
	Networks int64   `json:"networks,omitempty"`
	TopShare float64 `json:"top_share,omitempty"`
	How      How     `json:"how"`
	Client   string  `json:"client"`
	// Operator is who runs it: what the settings say, else what its address tells, else its name. Nodes of one operator confirm nothing for each other.
	Operator string `json:"operator,omitempty"`
}

// ReorgView is one reorganisation in the list of the last ones.
type ReorgView struct {
	At       int64    `json:"at"`
	Depth    int      `json:"depth"`
	AtLeast  bool     `json:"at_least"` // the ancestor was not found: the depth is a lower bound
	Ancestor Ref      `json:"ancestor"` // the newest block both branches share (zero when AtLeast)
	Old      Ref      `json:"old"`      // tip left
	New      Ref      `json:"new"`      // tip followed now
	Nodes    []string `json:"nodes"`    // who saw it
	Routine  bool     `json:"routine"`  // not deeper than the chain's routine
}
