// Package observation owns the form in which anything seen outside reaches the detectors: one flat JSON object, the same live, in a drill and
// in a recording; it never judges what it carries and never reads a clock.
package observation

// Kind says what was seen, and so which fields are set.
type Kind string

// The kinds.
const (
	Sample     Kind = "sample"     // Series, Labels, Value
	Block      Kind = "block"      // Chain, Node, Height, Hash and what is known of the header
	Tip        Kind = "tip"        // Chain, Node, Height, Hash, Status, BranchLength
	Node       Kind = "node"       // Chain, Node, State, Peers, Version
	Transfer   Kind = "transfer"   // Chain, Tx, From, To, Token, Symbol, Amount, USD
	Deposit    Kind = "deposit"    // Bridge, Chain, Tx, ID, Token, Amount, USD, Sender, Beneficiary, Message
	Withdrawal Kind = "withdrawal" // as a deposit
	Price      Kind = "price"      // Asset, Venue, Close, Interval
	Admin      Kind = "admin"      // Chain, Tx, Contract, Change, Before, After: an owner, proxy or role changed
	Spend      Kind = "spend"      // Chain, Node, Tx, Inputs (outpoints, or sender and nonce), Owners, Amounts, Where, Block: who spends what, for replacements and double spends
	Feed       Kind = "feed"       // Feed, Chain, Answer, UpdatedAt, Heartbeat, Deviation: one round of an oracle feed
)

// Observation is one thing seen, at one time, at one place. Unknown fields of its JSON are ignored. Amounts are decimal text, never rounded.
// A nil pointer or empty text means that it was not said.
type Observation struct {
	At   int64 `json:"-"` // unix ms when it was seen; "at" in JSON is RFC 3339 with milliseconds
	Kind Kind  `json:"kind"`
	// Replay of a reorganised chain: the transaction or event is no longer part of it.
	Removed bool `json:"removed,omitempty"`
	Drill   bool `json:"drill,omitempty"`
	// Followed: nothing that is watched takes part, only an address that somebody else holds and that people look after. It belongs into
	// the wallet graph and is judged by no detector.
	Followed bool `json:"followed,omitempty"`

	Series string            `json:"series,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Value  *float64          `json:"value,omitempty"`

	Chain  string `json:"chain,omitempty"`
	Node   string `json:"node,omitempty"` // who told; "" = one source without a name
	Height int64  `json:"height,omitempty"`
	Hash   string `json:"hash,omitempty"`
	Parent string `json:"parent,omitempty"`
	Time   *Time  `json:"time,omitempty"` // of the header

	BaseFee  *float64 `json:"base_fee,omitempty"` // gwei
	GasUsed  *int64   `json:"gas_used,omitempty"`
	GasLimit *int64   `json:"gas_limit,omitempty"`
	Txs      *int64   `json:"txs,omitempty"`
	Uncles   *int64   `json:"uncles,omitempty"`
	Miner    string   `json:"miner,omitempty"` // coinbase address or pool

	Status       string `json:"status,omitempty"` // of a tip: active, valid-fork, valid-headers, headers-only, invalid
	BranchLength int64  `json:"branch_length,omitempty"`

	State   string `json:"state,omitempty"` // of a node: up, down, syncing
	Peers   *int64 `json:"peers,omitempty"`
	Version string `json:"version,omitempty"` // client name and version

	Tx     string   `json:"tx,omitempty"`
	From   string   `json:"from,omitempty"`
	To     string   `json:"to,omitempty"`
	Token  string   `json:"token,omitempty"` // contract address; "" = the chain's own coin
	Symbol string   `json:"symbol,omitempty"`
	Amount string   `json:"amount,omitempty"` // decimal, in units of the token
	USD    *float64 `json:"usd,omitempty"`    // at the price of the time; nil = not priced

	Bridge      string `json:"bridge,omitempty"`
	ID          string `json:"id,omitempty"` // the bridge's running number
	Sender      string `json:"sender,omitempty"`
	Beneficiary string `json:"beneficiary,omitempty"`
	Message     string `json:"message,omitempty"` // what links a withdrawal to its deposit

	Asset    string   `json:"asset,omitempty"`
	Venue    string   `json:"venue,omitempty"`
	Close    *float64 `json:"close,omitempty"`
	Interval Span     `json:"interval,omitempty"` // of the bar, "1m" or seconds

	Contract string `json:"contract,omitempty"`
	Change   string `json:"change,omitempty"` // owner, proxy, implementation, role, pauser ...
	Before   string `json:"before,omitempty"`
	After    string `json:"after,omitempty"`

	Inputs []string `json:"inputs,omitempty"` // "txid:n" or "address#nonce"
	// Owners are whose the inputs were, in their order, "" = not known; of a transfer, whose any input of its transaction was. Amounts are
	// the outputs of the transaction, equal ones first. No two nodes need tell the same of either.
	Owners  []string `json:"owners,omitempty"`
	Amounts []string `json:"amounts,omitempty"`
	// Traced: From follows from Tx and the transactions before it. A node that cannot read those leaves it empty and tells the same.
	Traced bool   `json:"traced,omitempty"`
	Where  string `json:"where,omitempty"` // pool, or chain
	Block  string `json:"block,omitempty"` // hash of the block it is in

	Feed      string   `json:"feed,omitempty"`
	Answer    *float64 `json:"answer,omitempty"`
	UpdatedAt *Time    `json:"updated_at,omitempty"`
	Heartbeat Span     `json:"heartbeat,omitempty"` // of this feed
	Deviation float64  `json:"deviation,omitempty"` // of this feed, as a share: 0.005 = 0.5 %
}
