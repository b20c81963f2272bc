package evm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// header is a block as eth_getBlockBy… and newHeads give it; transactions are only counted. The hash is the node's own: chains whose header
// differs from Ethereum's would get a wrong one if it were computed. It is small whatever the node sends, since many may wait.
type header struct {
	Number       text   `json:"number"`
	Hash         text   `json:"hash"`
	Parent       text   `json:"parentHash"`
	Time         text   `json:"timestamp"`
	GasUsed      text   `json:"gasUsed"`
	GasLimit     text   `json:"gasLimit"`
	BaseFee      text   `json:"baseFeePerGas"`
	Size         text   `json:"size"`
	Miner        text   `json:"miner"`
	Difficulty   text   `json:"difficulty"`
	BlobGas      text   `json:"blobGasUsed"`
	ExcessBlob   text   `json:"excessBlobGas"`
	Transactions *count `json:"transactions"`
}

// progress is eth_syncing of a node that catches up.
type progress struct {
	Current string `json:"currentBlock"`
	Highest string `json:"highestBlock"`
	Healing string `json:"healingTrienodes"`
}

// pool is txpool_status.
type pool struct {
	Pending string `json:"pending"`
	Queued  string `json:"queued"`
}

// feeHistory is the part of eth_feeHistory that is needed.
type feeHistory struct {
	BaseFee []string   `json:"baseFeePerGas"`
	Reward  [][]string `json:"reward"`
}

const (
	// leastWork is the least difficulty that Ethash chains allow (131,072 hashes). Chains without mining use the field for other things: 0 after
	// the merge, 1 or 2 of Clique and BNB Smart Chain, the place in the row of validators of Polygon.
	leastWork = 1 << 17
	longest   = 66      // characters of a hash and of the largest quantity
	highest   = 1 << 40 // no chain has so many blocks: at four a second that is 8,700 years
)

// text is a JSON string of at most longest characters.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	if len(b) > longest+2 {
		return dial.Distrust("It sent a field of %d characters where at most %d belong: the block is not trusted.", len(b), longest)
	}
	return json.Unmarshal(b, (*string)(t))
}

// count is the number of entries of a JSON list, without the entries.
type count int64

func (c *count) UnmarshalJSON(b []byte) error {
	*c = 0
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return &json.UnmarshalTypeError{Value: "no list", Type: reflect.TypeOf(*c), Field: "transactions"}
	}
	for d.More() {
		var skipped skip
		if err := d.Decode(&skipped); err != nil {
			return err
		}
		*c++
	}
	return nil
}

type skip struct{}

func (*skip) UnmarshalJSON([]byte) error { return nil }

// block reads a header; the error is a *dial.Untrusted.
func (h *header) block(seen int64) (chain.Block, error) {
	height, err := quantity(string(h.Number))
	switch {
	case err != nil || height > highest:
		return chain.Block{}, dial.Distrust("It calls a block %q: no chain has so many blocks, so the answer is not trusted.", h.Number)
	case h.Hash == "" || h.Hash == h.Parent:
		return chain.Block{}, dial.Distrust("Its block %d has no hash of its own: the answer is not trusted.", height)
	}
	at, err := quantity(string(h.Time))
	if err != nil {
		return chain.Block{}, dial.Distrust("Its block %d has the time %q: the answer is not trusted.", height, h.Time)
	}
	if at > 1<<40 { // some chains count milliseconds
		at /= 1000
	}
	if at > 1<<40 {
		return chain.Block{}, dial.Distrust("Its block %d has the time %q: the answer is not trusted.", height, h.Time)
	}
	b := chain.Block{Height: height, Hash: strings.ToLower(string(h.Hash)), Parent: strings.ToLower(string(h.Parent)), Time: at * 1000, SeenAt: seen}
	b.GasUsed, _ = quantity(string(h.GasUsed))
	b.GasLimit, _ = quantity(string(h.GasLimit))
	b.Size, _ = quantity(string(h.Size))
	b.BaseFee = gwei(string(h.BaseFee))
	if who := strings.ToLower(string(h.Miner)); strings.Trim(who, "0x") != "" {
		b.Miner = who
	}
	if d := gwei(string(h.Difficulty)); d != nil && *d*1e9 >= leastWork && *d < 1e30 {
		b.Difficulty = *d * 1e9
	}
	if used, err := quantity(string(h.BlobGas)); err == nil {
		b.Blobs = &chain.Blobs{Used: used}
		b.Blobs.Excess, _ = quantity(string(h.ExcessBlob))
	}
	if h.Transactions != nil {
		n := int64(*h.Transactions)
		b.Txs = &n
	}
	return b, nil
}

// quantity reads a hex number that fits an int64 and is not negative.
func quantity(s string) (int64, error) {
	if !strings.HasPrefix(s, "0x") || len(s) > 18 {
		return 0, fmt.Errorf("read quantity %q", clip(s))
	}
	n, err := strconv.ParseUint(s[2:], 16, 63) // which refuses signs
	return int64(n), err
}

// gwei reads a hex number of wei; nil when there is none.
func gwei(s string) *float64 {
	if !strings.HasPrefix(s, "0x") || len(s) > 66 {
		return nil
	}
	n, ok := new(big.Int).SetString(s[2:], 16)
	if !ok || n.Sign() < 0 {
		return nil
	}
	f, _ := new(big.Rat).SetFrac(n, big.NewInt(1e9)).Float64()
	return &f
}

// clip keeps a hash of a strange node from filling the log: no hash is longer than 66 characters.
func clip(s string) string {
	if len(s) > 66 {
		return s[:66]
	}
	return s
}

func hexNumber(n int64) string { return "0x" + strconv.FormatInt(n, 16) }

// decimal turns a chain id in hex into the decimal form that people know.
func decimal(id string) (string, error) {
	n, ok := new(big.Int).SetString(strings.TrimPrefix(id, "0x"), 16)
	if !ok || !strings.HasPrefix(id, "0x") || n.Sign() < 0 || len(id) > 66 {
		return "", fmt.Errorf("read chain id %q", clip(id))
	}
	return n.String(), nil
}

// name calls a chain by its common name, or by its id.
func name(id string) string {
	if n, ok := chain.Known(chain.EVM, id); ok {
		return fmt.Sprintf("%s (%s)", id, n.Name)
	}
	return id
}
