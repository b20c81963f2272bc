package evm

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// header is a block as eth_getBlockBy… and newHeads give it, transactions as hashes only. The hash is the node's own: chains whose header
// differs from Ethereum's would get a wrong one if it were computed.
type header struct {
	Number       string   `json:"number"`
	Hash         string   `json:"hash"`
	Parent       string   `json:"parentHash"`
	Time         string   `json:"timestamp"`
	GasUsed      string   `json:"gasUsed"`
	GasLimit     string   `json:"gasLimit"`
	BaseFee      string   `json:"baseFeePerGas"`
	Size         string   `json:"size"`
	Transactions []string `json:"transactions"`
}

func (h *header) block(seen int64) (chain.Block, error) {
	height, err := quantity(h.Number)
	if err != nil || h.Hash == "" {
		return chain.Block{}, fmt.Errorf("read block %q: number %q", clip(h.Hash), clip(h.Number))
	}
	at, err := quantity(h.Time)
	if err != nil {
		return chain.Block{}, fmt.Errorf("read block %d: time %q", height, clip(h.Time))
	}
	if at > 1<<40 { // some chains count milliseconds
		at /= 1000
	}
	b := chain.Block{Height: height, Hash: strings.ToLower(clip(h.Hash)), Parent: strings.ToLower(clip(h.Parent)), Time: at * 1000, SeenAt: seen}
	b.GasUsed, _ = quantity(h.GasUsed)
	b.GasLimit, _ = quantity(h.GasLimit)
	b.Size, _ = quantity(h.Size)
	b.BaseFee = gwei(h.BaseFee)
	if h.Transactions != nil {
		n := int64(len(h.Transactions))
		b.Txs = &n
	}
	return b, nil
}

// quantity reads a hex number that fits an int64 and is not negative.
func quantity(s string) (int64, error) {
	if !strings.HasPrefix(s, "0x") || len(s) > 18 {
		return 0, fmt.Errorf("read quantity %q", clip(s))
	}
	return strconv.ParseInt(s[2:], 16, 64)
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
