package opstack

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// highest is a height that no chain reaches.
const highest = 1 << 40

// hash is 32 bytes in hex.
type hash string

func (h *hash) UnmarshalJSON(b []byte) error {
	var s string
	if len(b) > 80 || json.Unmarshal(b, &s) != nil || len(s) != 66 || !strings.HasPrefix(s, "0x") || strings.Trim(s[2:], "0123456789abcdefABCDEF") != "" {
		return dial.Distrust("It says %q where a block hash belongs: the answer is not trusted.", clip(string(b)))
	}
	*h = hash(strings.ToLower(s))
	return nil
}

func (h hash) zero() bool { return strings.Trim(string(h), "0x") == "" }

// height is a plain JSON number that can be a height or a time in seconds.
type height int64

func (n *height) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseUint(string(b), 10, 63)
	if err != nil || v >= highest {
		return dial.Distrust("It says %q where a height or a time belongs: the answer is not trusted.", clip(string(b)))
	}
	*n = height(v)
	return nil
}

// ref is an L1BlockRef or an L2BlockRef of op-node.
type ref struct {
	Hash   hash   `json:"hash"`
	Number height `json:"number"`
	Parent hash   `json:"parentHash"`
	Time   height `json:"timestamp"`
	Origin struct {
		Number height `json:"number"`
	} `json:"l1origin"`
}

func (r ref) level() chain.Level {
	return chain.Level{Height: int64(r.Number), Hash: string(r.Hash), Time: int64(r.Time) * 1000, Origin: int64(r.Origin.Number)}
}

// status is optimism_syncStatus.
type status struct {
	CurrentL1   ref `json:"current_l1"`
	HeadL1      ref `json:"head_l1"`
	FinalizedL1 ref `json:"finalized_l1"`
	Unsafe      ref `json:"unsafe_l2"`
	Safe        ref `json:"safe_l2"`
	Finalized   ref `json:"finalized_l2"`
}

// rollup is the part of optimism_rollupConfig that is needed.
type rollup struct {
	Window height  `json:"seq_window_size"`
	L1     *bigInt `json:"l1_chain_id"`
	L2     *bigInt `json:"l2_chain_id"`
	Inbox  string  `json:"batch_inbox_address"`
}

// bigInt is a chain id: some are beyond 64 bits.
type bigInt string

func (n *bigInt) UnmarshalJSON(b []byte) error {
	v, ok := new(big.Int), false
	if len(b) <= 80 {
		_, ok = v.SetString(strings.Trim(string(b), `"`), 0)
	}
	if !ok || v.Sign() <= 0 {
		return dial.Distrust("It says %q where a chain id belongs: the answer is not trusted.", clip(string(b)))
	}
	*n = bigInt(v.String())
	return nil
}

// l1Block is an L1 block with its transactions, of which only sender and receiver are read.
type l1Block struct {
	Number       string `json:"number"`
	Time         string `json:"timestamp"`
	Transactions []struct {
		From string  `json:"from"`
		To   *string `json:"to"`
	} `json:"transactions"`
}

func quantity(s string) (int64, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 63)
	if err != nil || !strings.HasPrefix(s, "0x") || n >= highest {
		return 0, dial.Distrust("It says %q where a height or a time belongs: the answer is not trusted.", clip(s))
	}
	return int64(n), nil
}

func clip(s string) string {
	if len(s) > 66 {
		return strings.ToValidUTF8(s[:66], "")
	}
	return s
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, clip(s))
}
