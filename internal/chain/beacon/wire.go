package beacon

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// number is a Uint64 of the beacon API: a decimal text. Numbers that are not below highest are refused: no chain has so many slots.
type number int64

const highest = 1 << 40

func (n *number) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	v, err := strconv.ParseUint(s, 10, 63)
	if err != nil || v >= highest {
		return dial.Distrust("It says %q where a slot or an epoch belongs: the answer is not trusted.", clip(s))
	}
	*n = number(v)
	return nil
}

// root is a block root: 32 bytes in hex. Anything else is refused.
type root string

func (r *root) UnmarshalJSON(b []byte) error {
	var s string
	if len(b) > 80 || json.Unmarshal(b, &s) != nil || len(s) != 66 || !strings.HasPrefix(s, "0x") || strings.Trim(s[2:], "0123456789abcdefABCDEF") != "" {
		return dial.Distrust("It says %q where a block root belongs: the answer is not trusted.", clip(string(b)))
	}
	*r = root(strings.ToLower(s))
	return nil
}

// header is /eth/v1/beacon/headers/{block_id}.
type header struct {
	Data struct {
		Root      root `json:"root"`
		Canonical bool `json:"canonical"`
		Header    struct {
			Message struct {
				Slot   number `json:"slot"`
				Parent root   `json:"parent_root"`
			} `json:"message"`
		} `json:"header"`
	} `json:"data"`
}

func (h *header) read() (b chain.Block, err error) {
	m := h.Data.Header.Message
	if h.Data.Root == "" || m.Parent == "" || h.Data.Root == m.Parent {
		return b, dial.Distrust("It gives a header without a root or a parent of its own: the answer is not trusted.")
	}
	return chain.Block{Height: int64(m.Slot), Hash: string(h.Data.Root), Parent: string(m.Parent)}, nil
}

type checkpoint struct {
	Epoch number `json:"epoch"`
}

// checkpoints is /eth/v1/beacon/states/head/finality_checkpoints.
type checkpoints struct {
	Data struct {
		Previous  checkpoint `json:"previous_justified"`
		Current   checkpoint `json:"current_justified"`
		Finalized checkpoint `json:"finalized"`
	} `json:"data"`
}

// syncing is /eth/v1/node/syncing. is_optimistic and el_offline came later than the rest; without them they are false.
type syncing struct {
	Data struct {
		Head       number `json:"head_slot"`
		Distance   number `json:"sync_distance"`
		Syncing    bool   `json:"is_syncing"`
		Optimistic bool   `json:"is_optimistic"`
		Offline    bool   `json:"el_offline"`
	} `json:"data"`
}

type genesis struct {
	Data struct {
		Time number `json:"genesis_time"`
		Root root   `json:"genesis_validators_root"`
	} `json:"data"`
}

type version struct {
	Data struct {
		Version string `json:"version"`
	} `json:"data"`
}

type peerCount struct {
	Data struct {
		Connected number `json:"connected"`
	} `json:"data"`
}

// spec is the part of /eth/v1/config/spec that is needed. SLOT_DURATION_MS stands beside SECONDS_PER_SLOT in newer specifications.
type spec struct {
	Name     string
	SlotMS   int64
	PerEpoch int64
}

func (s *spec) UnmarshalJSON(b []byte) error {
	var a struct {
		Data struct {
			Name    string `json:"CONFIG_NAME"`
			Seconds number `json:"SECONDS_PER_SLOT"`
			MS      number `json:"SLOT_DURATION_MS"`
			Per     number `json:"SLOTS_PER_EPOCH"`
		} `json:"data"`
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return err
	}
	*s = spec{a.Data.Name, int64(a.Data.Seconds) * 1000, int64(a.Data.Per)}
	if s.SlotMS == 0 {
		s.SlotMS = int64(a.Data.MS)
	}
	if s.SlotMS < 100 || s.SlotMS > 600_000 || s.PerEpoch < 1 || s.PerEpoch > 1<<16 || len(s.Name) > 64 {
		return dial.Distrust("It says that a slot lasts %d ms and an epoch has %d slots: that cannot be, so it is not trusted.", s.SlotMS, s.PerEpoch)
	}
	return nil
}

// inclusion is /lighthouse/validator_inclusion/{epoch}/global.
type inclusion struct {
	Data struct {
		Active    uint64 `json:"previous_epoch_active_gwei"`
		Current   uint64 `json:"current_epoch_active_gwei"` // older versions give no previous_epoch_active_gwei
		Attesting uint64 `json:"previous_epoch_target_attesting_gwei"`
	} `json:"data"`
}

// network is what cannot change of a public network. Source: the networks' published configurations; that of mainnet is in the tests of the
// OP Stack too.
type network struct {
	genesis int64
	root    string // "" = not checked
}

var networks = map[string]network{
	"mainnet": {1606824023, "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"},
	"sepolia": {1655733600, ""},
	"holesky": {1695902400, "0x9143aa7c615a7f7115e2b6aac319c03529df8242ae705fba9df39b79c59fa8b1"},
	"hoodi":   {1742213400, ""},
	"gnosis":  {1638993340, ""},
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
