// Package chain owns what Tocsin knows about a blockchain as its nodes tell it: blocks, the header tree, reorganisations, stalls,
// node comparison, and the findings and samples made from them; it never talks to a node, never reads a clock and never starts a goroutine.
package chain

// Family is the kind of protocol a chain speaks; it decides which collector is used and which defaults hold.
type Family string

// The families that have collectors.
const (
	EVM     Family = "evm"
	Bitcoin Family = "bitcoin"
	Comet   Family = "comet"   // CometBFT: Cosmos SDK chains and others
	Solana  Family = "solana"  // slots are the heights
	Beacon  Family = "beacon"  // heights are slots; see EmptySlot
	Rollup  Family = "opstack" // heights are those of the unsafe head
)

// Block is one header as a node gave it. Hash and Parent are taken from the node and never computed, so a chain with its own header
// layout works too. A nil pointer means that the node did not say.
type Block struct {
	Height   int64    `json:"height"`
	Hash     string   `json:"hash"`
	Parent   string   `json:"parent"`
	Time     int64    `json:"time"`                // of the header, unix ms; a miner's claim, not a measurement
	SeenAt   int64    `json:"seen_at,omitempty"`   // when the collector had it, unix ms
	GasUsed  int64    `json:"gas_used,omitempty"`  // EVM
	GasLimit int64    `json:"gas_limit,omitempty"` // EVM; 0 = not known
	BaseFee  *float64 `json:"base_fee,omitempty"`  // EVM, gwei
	Txs      *int64   `json:"txs,omitempty"`
	Size     int64    `json:"size,omitempty"`  // bytes; 0 = not known
	Miner    string   `json:"miner,omitempty"` // coinbase address, or the pool's name
	Work     string   `json:"work,omitempty"`  // Bitcoin: total chain work, hex
	// Difficulty is EVM proof of work's: the hashes a block takes on average; 0 = not told, or the chain is not mined.
	Difficulty float64 `json:"difficulty,omitempty"`
	Blobs      *Blobs  `json:"blobs,omitempty"` // EVM since EIP-4844
}

// Blobs is the gas of a block's blobs.
type Blobs struct {
	Used   int64 `json:"used"`
	Excess int64 `json:"excess"` // what stands above the target so far: the blob base fee follows from it
}

// Ref is a block named by height and hash.
type Ref struct {
	Height int64  `json:"height"`
	Hash   string `json:"hash"`
}

// Ref names the block.
func (b Block) Ref() Ref { return Ref{b.Height, b.Hash} }

// Short gives the first ten significant characters of a hash, for sentences and keys: the leading zeros of a Bitcoin hash carry nothing.
func Short(hash string) string {
	s, prefix := hash, ""
	if len(s) > 2 && s[:2] == "0x" {
		s, prefix = s[2:], "0x"
	}
	if prefix == "" {
		i := 0
		for i < len(s)-1 && s[i] == '0' {
			i++
		}
		if i > 4 {
			s, prefix = s[i:], "…"
		}
	}
	if len(s) > 10 {
		s = s[:10]
	}
	return prefix + s
}

// Recognised is what a node says it is, when an address is tried before it is configured.
type Recognised struct {
	Family  Family `json:"family"`
	ChainID string `json:"chain_id"`
	Name    string `json:"name"` // common name of the network, or a plain description
	Head    int64  `json:"head"`
	Client  string `json:"client,omitempty"`
	Syncing string `json:"syncing,omitempty"` // a sentence when the node is still catching up
}
