package comet

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// number is an integer as CometBFT writes it: 64-bit ones in quotes, others without.
type number int64

func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil {
		return dial.Distrust("It gave %q where a number belongs: the answer is not trusted.", clip(string(b)))
	}
	*n = number(v)
	return nil
}

type status struct {
	Node struct {
		Network string `json:"network"`
		Version string `json:"version"`
	} `json:"node_info"`
	Sync struct {
		Hash       string    `json:"latest_block_hash"`
		Height     number    `json:"latest_block_height"`
		Time       time.Time `json:"latest_block_time"`
		CatchingUp bool      `json:"catching_up"`
	} `json:"sync_info"`
}

type header struct {
	ChainID string    `json:"chain_id"`
	Height  number    `json:"height"`
	Time    time.Time `json:"time"`
	Last    struct {
		Hash string `json:"hash"`
	} `json:"last_block_id"`
	Evidence string `json:"evidence_hash"`
}

type meta struct {
	ID struct {
		Hash string `json:"hash"`
	} `json:"block_id"`
	Size   number `json:"block_size"`
	Header header `json:"header"`
	Txs    number `json:"num_txs"`
}

// heightMost is more than any chain has, chainIDMost what CometBFT allows (types.MaxChainIDLen), hashLong a SHA-256 in hex.
const (
	heightMost  = 1 << 48
	chainIDMost = 50
	hashLong    = 64
)

// sane looks at what the node calls its newest block.
func (s *status) sane() error {
	at := s.Sync.Time.Year()
	switch {
	case len(s.Node.Network) > chainIDMost || printable(s.Node.Network) != s.Node.Network:
		return dial.Distrust("It calls its chain %q, which is no chain id: it is not trusted.", clip(s.Node.Network))
	case s.Sync.Height < 0 || s.Sync.Height > heightMost:
		return dial.Distrust("It calls its newest block %d: no chain has so many blocks, so the answer is not trusted.", s.Sync.Height)
	case s.Sync.Height > 0 && len(s.Sync.Hash) != hashLong:
		return dial.Distrust("It calls its newest block by a hash of %d characters, not 64: the answer is not trusted.", len(s.Sync.Hash))
	case s.Sync.Height > 0 && (at < 2014 || at > 2200):
		return dial.Distrust("Its block %d is of the year %d: the answer is not trusted.", s.Sync.Height, at)
	}
	return nil
}

func (m *meta) block(seen int64) (chain.Block, error) {
	if len(m.ID.Hash) != hashLong || m.Header.Height <= 0 || m.Header.Height > heightMost || len(m.Header.Last.Hash) > hashLong {
		return chain.Block{}, dial.Distrust("It gave a header %d with the hash %q: the answer is not trusted.", m.Header.Height, clip(m.ID.Hash))
	}
	txs := max(int64(m.Txs), 0)
	return chain.Block{Height: int64(m.Header.Height), Hash: clip(m.ID.Hash), Parent: clip(m.Header.Last.Hash), Time: m.Header.Time.UnixMilli(),
		SeenAt: seen, Txs: &txs, Size: int64(m.Size)}, nil
}

type commit struct {
	Signed struct {
		Header header `json:"header"`
		Commit struct {
			Height     number `json:"height"`
			Round      number `json:"round"`
			Signatures []struct {
				Flag    number `json:"block_id_flag"` // 1 absent, 2 for the block, 3 for none: only absent is a miss
				Address string `json:"validator_address"`
			} `json:"signatures"`
		} `json:"commit"`
	} `json:"signed_header"`
	Canonical bool `json:"canonical"`
}

// emptyHash is the Merkle root of no evidence.
const emptyHash = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"

type block struct {
	Block struct {
		Evidence struct {
			Evidence []struct {
				Type  string `json:"type"`
				Value struct {
					VoteA struct {
						Height  number `json:"height"`
						Address string `json:"validator_address"`
					} `json:"vote_a"`
					CommonHeight number `json:"CommonHeight"`
					Byzantine    []struct {
						Address string `json:"address"`
					} `json:"ByzantineValidators"`
				} `json:"value"`
			} `json:"evidence"`
		} `json:"evidence"`
	} `json:"block"`
}

func (b *block) evidence() []chain.Evidence {
	var out []chain.Evidence
	for _, e := range b.Block.Evidence.Evidence[:min(len(b.Block.Evidence.Evidence), 64)] {
		kind := strings.TrimSuffix(e.Type[strings.LastIndex(e.Type, "/")+1:], "Evidence")
		x := chain.Evidence{Kind: clip(kind), Height: int64(max(e.Value.VoteA.Height, e.Value.CommonHeight))}
		if a := e.Value.VoteA.Address; a != "" {
			x.Validators = append(x.Validators, address(a))
		}
		for _, v := range e.Value.Byzantine[:min(len(e.Value.Byzantine), 64)] {
			x.Validators = append(x.Validators, address(v.Address))
		}
		out = append(out, x)
	}
	return out
}

type consensus struct {
	State struct {
		At       string `json:"height/round/step"`
		VoteSets []struct {
			Round      number `json:"round"`
			Prevotes   string `json:"prevotes_bit_array"`
			Precommits string `json:"precommits_bit_array"`
		} `json:"height_vote_set"`
	} `json:"round_state"`
}

// round reads where the node stands; order are the validators' addresses in the order of the set.
func (c *consensus) round(order []string) (r chain.CometRound, err error) {
	if _, err = fmt.Sscanf(c.State.At, "%d/%d/%d", &r.Height, &r.Round, &r.Step); err != nil {
		return r, fmt.Errorf("read height/round/step %q", clip(c.State.At))
	}
	for _, v := range c.State.VoteSets {
		if int64(v.Round) != r.Round {
			continue
		}
		var absent, other []int
		r.Prevotes, absent = votes(v.Prevotes)
		if r.Precommits, other = votes(v.Precommits); r.Step >= 6 {
			absent = other
		}
		for _, i := range absent {
			if i < len(order) && r.Step >= 4 {
				r.Absent = append(r.Absent, order[i])
			}
		}
	}
	return r, nil
}

// votes reads "BA{4:_x_x} 20/40 = 0.50": the share of the power that voted, and the places that did not. Long arrays hold spaces and lines.
func votes(s string) (share float64, absent []int) {
	_, bits, _ := strings.Cut(s, ":")
	bits, sum, _ := strings.Cut(bits, "}")
	i := 0
	for _, c := range bits {
		switch c {
		case '_':
			absent = append(absent, i)
			i++
		case 'x':
			i++
		}
	}
	var have, all float64
	if n, err := fmt.Sscanf(strings.TrimSpace(sum), "%g/%g", &have, &all); n == 2 && err == nil && all > 0 {
		share = have / all
	}
	return share, absent
}

// address writes a consensus address in one form.
func address(s string) string { return strings.ToUpper(clip(s)) }

func clip(s string) string {
	if len(s) > 64 {
		return s[:64]
	}
	return s
}

func printable(s string) string {
	out := []rune{}
	for _, r := range s {
		if r >= ' ' && r != 0x7f && len(out) < 60 {
			out = append(out, r)
		}
	}
	return string(out)
}

func quoted(n int64) string { return strconv.FormatInt(n, 10) }
