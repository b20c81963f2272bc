package chain

// SolanaSaid is what a Solana node says of the cluster. A part that is nil was not asked, or the node does not offer it.
type SolanaSaid struct {
	Slots       *SolanaSlots       `json:"slots,omitempty"`
	Health      *SolanaHealth      `json:"health,omitempty"`
	Stake       *SolanaStake       `json:"stake,omitempty"`
	Production  *SolanaProduction  `json:"production,omitempty"`
	Performance *SolanaPerformance `json:"performance,omitempty"`
	Cluster     *SolanaCluster     `json:"cluster,omitempty"`
}

// SolanaSlots are the newest slots by commitment.
type SolanaSlots struct {
	Processed int64 `json:"processed"`
	Confirmed int64 `json:"confirmed"`
	Finalized int64 `json:"finalized"`
	Epoch     int64 `json:"epoch"`
	Index     int64 `json:"index"`  // slot in the epoch
	Length    int64 `json:"length"` // slots of the epoch
	Time      int64 `json:"time"`   // of a recent block by the stake-weighted clock, unix ms; 0 = not told
}

// SolanaHealth is getHealth: Behind is 0 while well, -1 when the node is not well and does not say how far it is behind.
type SolanaHealth struct {
	Behind int64 `json:"behind"` // slots
}

// SolanaStake is getVoteAccounts, summed.
type SolanaStake struct {
	Active     float64      `json:"active"`     // SOL of all vote accounts
	Delinquent float64      `json:"delinquent"` // SOL of those that have not voted for 128 slots
	Voters     int          `json:"voters"`
	Late       int          `json:"late"` // delinquent accounts that have stake
	Watched    []SolanaVote `json:"watched,omitempty"`
}

// SolanaVote is one watched validator; Known is false when it has no vote account.
type SolanaVote struct {
	Identity   string  `json:"identity"`
	Known      bool    `json:"known"`
	Delinquent bool    `json:"delinquent"`
	LastVote   int64   `json:"last_vote"`
	Stake      float64 `json:"stake"` // SOL
}

// SolanaProduction is block production over a window of slots.
type SolanaProduction struct {
	First    int64 `json:"first"`
	Last     int64 `json:"last"`
	Leader   int64 `json:"leader"`   // slots that had a leader
	Produced int64 `json:"produced"` // blocks
}

// SolanaPerformance is one sample of getRecentPerformanceSamples.
type SolanaPerformance struct {
	Slot    int64 `json:"slot"`
	Slots   int64 `json:"slots"`
	Period  int64 `json:"period"` // seconds
	Txs     int64 `json:"txs"`
	NonVote int64 `json:"non_vote"` // -1 = the node is too old to say
}

// SolanaCluster is getClusterNodes, counted.
type SolanaCluster struct {
	Nodes    int            `json:"nodes"`
	Versions map[string]int `json:"versions"` // at most 16, the most common first; the rest under "other"
}
