package evmwatch

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"sync"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tocsin-ops/tocsin/internal/observation"
)

// entry is a log as nodes give it.
type entry struct {
	Address common.Address `json:"address"`
	Topics  []common.Hash  `json:"topics"`
	Data    hexutil.Bytes  `json:"data"`
	Block   common.Hash    `json:"blockHash"`
	Number  hexutil.Uint64 `json:"blockNumber"`
	Tx      common.Hash    `json:"transactionHash"`
	Index   hexutil.Uint64 `json:"logIndex"`
	Removed bool           `json:"removed"`
}

var (
	topicTransfer = crypto.Keccak256Hash([]byte("Transfer(address,address,uint256)"))
	topicAnswer   = crypto.Keccak256Hash([]byte("AnswerUpdated(int256,uint256,uint256)"))
)

// adminEvent is one way in which those who own a contract change it. The names are those of OpenZeppelin's Ownable, AccessControl, Pausable and
// ERC1967 proxies, and of Safe (1.1 to 1.4; its parameters are indexed since 1.4, so both are read).
type adminEvent struct {
	signature signature
	change    string
	before    int // parameter, -1 = none
	after     int
	fixed     string // After, when the event has no parameter for it
}

// adminEvents are read when they are first needed, as multicallABI is.
var adminEvents = sync.OnceValue(func() map[common.Hash]adminEvent {
	out := map[common.Hash]adminEvent{}
	for _, e := range []struct {
		sig, change   string
		before, after int
		fixed         string
	}{
		{"OwnershipTransferred(address indexed,address indexed)", "owner", 0, 1, ""},
		{"OwnershipTransferStarted(address indexed,address indexed)", "pending owner", 0, 1, ""},
		{"Upgraded(address indexed)", "implementation", -1, 0, ""},
		{"AdminChanged(address,address)", "proxy admin", 0, 1, ""},
		{"BeaconUpgraded(address indexed)", "beacon", -1, 0, ""},
		{"RoleGranted(bytes32 indexed,address indexed,address indexed)", "role granted", 0, 1, ""},
		{"RoleRevoked(bytes32 indexed,address indexed,address indexed)", "role revoked", 1, 0, ""},
		{"RoleAdminChanged(bytes32 indexed,bytes32 indexed,bytes32 indexed)", "role admin", 1, 2, ""},
		{"Paused(address)", "paused", -1, 0, ""},
		{"Unpaused(address)", "unpaused", -1, 0, ""},
		{"AddedOwner(address)", "safe owner added", -1, 0, ""},
		{"RemovedOwner(address)", "safe owner removed", 0, -1, ""},
		{"ChangedThreshold(uint256)", "safe threshold", -1, 0, ""},
		{"ChangedMasterCopy(address)", "safe master copy", -1, 0, ""},
		{"EnabledModule(address)", "safe module enabled", -1, 0, ""},
		{"DisabledModule(address)", "safe module disabled", 0, -1, ""},
		{"ChangedGuard(address)", "safe guard", -1, 0, ""},
		{"ExecutionSuccess(bytes32,uint256)", "safe execution", -1, 0, ""},
		{"ExecutionFailure(bytes32,uint256)", "safe execution failed", -1, 0, ""},
	} {
		s, err := parseSignature(e.sig)
		if err != nil {
			panic(err)
		}
		out[s.topic()] = adminEvent{s, e.change, e.before, e.after, e.fixed}
	}
	return out
})

// fields decodes the parameters of a log wherever they are: how many are indexed is read from the log, since versions of one contract differ.
func (s signature) fields(l entry) ([]any, error) {
	indexed := 0
	for _, a := range s.inputs {
		if a.Indexed {
			indexed++
		}
	}
	given := len(l.Topics) - 1
	args := append(abi.Arguments{}, s.inputs...)
	if given != indexed { // the first ones are those that are indexed
		if given < 0 || given > len(args) {
			return nil, fmt.Errorf("%d topics for %s", len(l.Topics), s.canonical())
		}
		for i := range args {
			args[i].Indexed = i < given
		}
	}
	rest, err := unpack(args.NonIndexed(), l.Data)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(args))
	topic := 1
	for i, a := range args {
		if !a.Indexed {
			out[i], rest = rest[0], rest[1:]
			continue
		}
		h := l.Topics[topic]
		topic++
		switch a.Type.T {
		case abi.AddressTy:
			out[i] = common.BytesToAddress(h[:])
		case abi.UintTy:
			out[i] = h.Big()
		case abi.IntTy:
			out[i] = signed(h)
		case abi.BoolTy:
			out[i] = h.Big().Sign() != 0
		default: // bytes32 as they are; of longer ones only the digest is in the log
			out[i] = [32]byte(h)
		}
	}
	return out, nil
}

func signed(h common.Hash) *big.Int {
	n := h.Big()
	if n.Bit(255) == 1 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 256))
	}
	return n
}

func newBridgeEvent(bridge string, e Event) (bridgeEvent, error) {
	s, err := parseSignature(e.Event)
	if err != nil {
		return bridgeEvent{}, err
	}
	if len(s.outputs) > 0 {
		return bridgeEvent{}, fmt.Errorf("%q returns something, so it is no event", e.Event)
	}
	if e.Amount == "" {
		return bridgeEvent{}, fmt.Errorf("%s: it is not said which parameter is the amount", s.canonical())
	}
	for what, name := range map[string]string{"amount": e.Amount, "id": e.ID, "sender": e.Sender, "beneficiary": e.Beneficiary, "message": e.Message} {
		if name != "" && s.parameter(name) < 0 {
			return bridgeEvent{}, fmt.Errorf("%s has no parameter %q for the %s; write its name, or #0 for the first", s.canonical(), name, what)
		}
	}
	if s.inputs[s.parameter(e.Amount)].Type.T != abi.UintTy {
		return bridgeEvent{}, fmt.Errorf("%s: the amount %q is no unsigned number", s.canonical(), e.Amount)
	}
	if e.Token != "" && e.Token != "coin" && !addressForm.MatchString(e.Token) && s.parameter(e.Token) < 0 {
		return bridgeEvent{}, fmt.Errorf("%s has no parameter %q for the token; write its name, an address, or coin", s.canonical(), e.Token)
	}
	return bridgeEvent{bridge, e, s}, nil
}

// token is the contract of what a bridge moved; nil when it is the chain's coin or not said.
func (b bridgeEvent) token(values []any) *common.Address {
	switch {
	case b.spec.Token == "" || b.spec.Token == "coin":
		return nil
	case addressForm.MatchString(b.spec.Token):
		a := common.HexToAddress(b.spec.Token)
		return &a
	}
	switch v := values[b.sig.parameter(b.spec.Token)].(type) {
	case common.Address:
		return &v
	case [32]byte: // bridges to other families write addresses as 32 bytes
		a := common.BytesToAddress(v[:])
		return &a
	}
	return nil
}

// decoded is a log that became an observation, but for what needs the token: its decimals, symbol and price.
type decoded struct {
	o     observation.Observation
	raw   *big.Int        // amount in smallest units; nil = none
	token *common.Address // nil = the coin
	feed  int             // for a Feed: its number
}

// decode tells what a log means; false when it is none of ours. It never fails: a log that is not as its event says is none.
func (p *plan) decode(l entry, aggregators map[common.Address]int) (decoded, bool) {
	if len(l.Topics) == 0 {
		return decoded{}, false
	}
	topic := l.Topics[0]
	o := observation.Observation{Tx: lower(l.Tx), Block: lower(l.Block), Height: int64(l.Number), ID: fmt.Sprintf("log %d", uint64(l.Index))}
	if b, ok := p.events[eventKey{l.Address, topic}]; ok {
		values, err := b.sig.fields(l)
		if err != nil {
			return decoded{}, false
		}
		o.Kind, o.Bridge = observation.Deposit, b.bridge
		if b.spec.Withdrawal {
			o.Kind = observation.Withdrawal
		}
		get := func(name string) string {
			if i := b.sig.parameter(name); name != "" && i >= 0 {
				return text(values[i])
			}
			return ""
		}
		o.ID, o.Sender, o.Beneficiary, o.Message = get(b.spec.ID), get(b.spec.Sender), get(b.spec.Beneficiary), get(b.spec.Message)
		raw, _ := integer(values[b.sig.parameter(b.spec.Amount)])
		return decoded{o: o, raw: raw, token: b.token(values)}, raw != nil
	}
	if i, ok := aggregators[l.Address]; ok && topic == topicAnswer && len(l.Topics) == 3 && len(l.Data) == 32 {
		at := new(big.Int).SetBytes(l.Data)
		if !at.IsInt64() || at.Int64() > 1e11 {
			return decoded{}, false
		}
		o.Kind, o.Feed = observation.Feed, p.Feeds[i].Name
		updated := observation.Time(at.Int64() * 1000)
		o.UpdatedAt = &updated
		return decoded{o: o, raw: signed(l.Topics[1]), feed: i}, true
	}
	if e, ok := adminEvents()[topic]; ok {
		if executions, ours := p.admin[l.Address]; ours && (executions || !strings.HasPrefix(e.change, "safe execution")) {
			values, err := e.signature.fields(l)
			if err != nil {
				return decoded{}, false
			}
			o.Kind, o.Contract, o.Change, o.After = observation.Admin, lower(l.Address), e.change, e.fixed
			if e.before >= 0 {
				o.Before = text(values[e.before])
			}
			if e.after >= 0 {
				o.After = text(values[e.after])
			}
			return decoded{o: o}, true
		}
	}
	if topic == topicTransfer && len(l.Topics) == 3 && len(l.Data) == 32 {
		from, to := common.BytesToAddress(l.Topics[1][:]), common.BytesToAddress(l.Topics[2][:])
		i, ours := p.tokens[l.Address]
		if told, followed := p.concerns(from, to, ours && p.Tokens[i].Transfers); told {
			o.Kind, o.From, o.To, o.Followed = observation.Transfer, lower(from), lower(to), followed
			token := l.Address
			return decoded{o: o, raw: new(big.Int).SetBytes(l.Data), token: &token}, true
		}
	}
	return decoded{}, false
}

// filter is one eth_getLogs without its block.
type filter struct {
	addresses []common.Address
	topics    [][]common.Hash
}

func (f filter) at(block map[string]any) map[string]any {
	q := map[string]any{}
	for k, v := range block {
		q[k] = v
	}
	if len(f.addresses) > 0 {
		q["address"] = f.addresses
	}
	var topics []any
	for _, t := range f.topics {
		if len(t) == 0 {
			topics = append(topics, nil)
		} else {
			topics = append(topics, t)
		}
	}
	q["topics"] = topics
	return q
}

// filters are what to ask of every block: what the watched contracts say, and what moves from and to watched accounts in any token, so that
// fake tokens are seen as well. Narrow asks for the watched tokens only, for providers that refuse events of any contract.
func (p *plan) filters(aggregators map[common.Address]int, narrow bool) []filter {
	var out []filter
	var f filter
	topics, seen := map[common.Hash]bool{}, map[common.Address]bool{}
	add := func(a common.Address, list ...common.Hash) {
		if !seen[a] {
			f.addresses = append(f.addresses, a)
			seen[a] = true
		}
		for _, t := range list {
			topics[t] = true
		}
	}
	for k := range p.events {
		add(k.contract, k.topic)
	}
	for a := range p.admin {
		add(a)
		for t := range adminEvents() {
			topics[t] = true
		}
	}
	for a := range aggregators {
		add(a, topicAnswer)
	}
	for a, i := range p.tokens {
		if p.Tokens[i].Transfers {
			add(a, topicTransfer)
		}
	}
	if len(f.addresses) > 0 {
		f.topics = [][]common.Hash{hashes(topics)}
		out = append(out, f)
	}
	var accounts []common.Hash
	for _, a := range p.accounts {
		if p.transfers[a] {
			accounts = append(accounts, common.BytesToHash(a[:]))
		}
	}
	for a := range p.followed {
		accounts = append(accounts, common.BytesToHash(a[:]))
	}
	var of []common.Address
	if narrow {
		of = p.tokenList
	}
	if len(accounts) > 0 && (!narrow || len(of) > 0) {
		out = append(out, filter{of, [][]common.Hash{{topicTransfer}, accounts}}, filter{of, [][]common.Hash{{topicTransfer}, {}, accounts}})
	}
	return out
}

func hashes(set map[common.Hash]bool) []common.Hash {
	out := make([]common.Hash, 0, len(set))
	for h := range set {
		out = append(out, h)
	}
	return out
}

// fits tells whether a node should have given a log for this filter.
func (f filter) fits(l entry) bool {
	in := len(f.addresses) == 0
	for _, a := range f.addresses {
		in = in || a == l.Address
	}
	for i, want := range f.topics {
		if len(want) == 0 {
			continue
		}
		hit := false
		for _, t := range want {
			hit = hit || (i < len(l.Topics) && l.Topics[i] == t)
		}
		in = in && hit
	}
	return in
}

// bloom is the 2048 bits of a header's logsBloom (Yellow Paper 4.4.3).
type bloom [256]byte

func (b *bloom) UnmarshalJSON(raw []byte) error {
	var text hexutil.Bytes
	if err := json.Unmarshal(raw, &text); err != nil || len(text) != len(b) {
		*b = bloom{} // a chain without blooms; it is then not relied on
		return nil
	}
	copy(b[:], text)
	return nil
}

func (b *bloom) add(data []byte) {
	h := crypto.Keccak256(data)
	for i := 0; i < 6; i += 2 {
		bit := (uint(h[i])<<8 | uint(h[i+1])) & 2047
		b[255-bit/8] |= 1 << (bit % 8)
	}
}

func (b *bloom) has(data []byte) bool {
	var one bloom
	one.add(data)
	return b.covers(&one)
}

// covers tells whether every bit of c is in b.
func (b *bloom) covers(c *bloom) bool {
	for i := range b {
		if c[i]&^b[i] != 0 {
			return false
		}
	}
	return true
}

func (b *bloom) empty() bool { return *b == bloom{} }

// maybe tells whether a block with this bloom may hold a log for the filter; false is certain.
func (b *bloom) maybe(f filter) bool {
	any := func(n int, at func(int) []byte) bool {
		for i := range n {
			if b.has(at(i)) {
				return true
			}
		}
		return n == 0
	}
	if !any(len(f.addresses), func(i int) []byte { return f.addresses[i][:] }) {
		return false
	}
	for _, t := range f.topics {
		if !any(len(t), func(i int) []byte { return t[i][:] }) {
			return false
		}
	}
	return true
}

// explains tells whether the logs account for every bit that the header's bloom promises: then none is held back. Bits beyond are no lie:
// some chains leave logs of their own out of the bloom.
func explains(all []entry, header *bloom) bool {
	var b bloom
	for _, l := range all {
		b.add(l.Address[:])
		for _, t := range l.Topics {
			b.add(t[:])
		}
	}
	return b.covers(header)
}
