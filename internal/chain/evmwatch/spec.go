package evmwatch

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ethereum/go-ethereum/common"
)

// Spec is what is watched on one chain. Names become label values: they are the operator's, never a contract's.
type Spec struct {
	Coin      Asset // the chain's own coin
	Addresses []Address
	Tokens    []Token
	Views     []View
	Feeds     []Feed
	Bridges   []Bridge
	Contracts []Contract
}

// Asset is how something is called and priced. Without Peg and Feed it has no price, and observations of it have no usd.
type Asset struct {
	Name string
	Peg  float64 // dollars; 0 = none
	Feed string  // name of the feed that gives dollars
}

// Address is an account whose balances are read.
type Address struct {
	Name, Address string
	Transfers     bool // its transfers of every token, watched or not, and of the coin become observations
	Pool          bool // and its waiting transactions
}

// Token is an ERC-20 contract.
type Token struct {
	Asset
	Address   string
	Transfers bool // every transfer of it becomes an observation, not only those of watched addresses
}

// View is one number that a contract tells: any view function.
type View struct {
	Name, Contract string
	Call           string   // "totalAssets() returns (uint256)"
	Arguments      []string // as text: addresses, numbers, true/false, hex bytes
	Output         int      // which of the outputs, from 0
	Decimals       int      // the number is divided by 10 to this
}

// Feed is a Chainlink price feed, by its proxy.
type Feed struct {
	Name, Proxy string
	Heartbeat   int64   // ms
	Deviation   float64 // share
}

// Bridge is a contract, or several, that lock and release.
type Bridge struct {
	Name   string
	Events []Event
}

// Event maps an event of a bridge to a deposit or withdrawal. The fields name a parameter of the event ("amount", or "#2" for the third);
// Token may also be an address, or "coin".
type Event struct {
	Contract, Event                                 string
	Withdrawal                                      bool
	Amount, Token, ID, Sender, Beneficiary, Message string
}

// Contract is one whose administration is watched: its events, its proxy slots and its owner.
type Contract struct {
	Name, Address string
	Executions    bool // tell also every execution of a Safe, not only changes of it
}

// Bounds of a Spec: what is above is refused with a sentence, not cut.
const (
	mostAddresses = 200
	mostTokens    = 100
	mostReads     = 2000 // addresses × tokens, views and feeds: calls at each look
	mostContracts = 200
	mostEvents    = 64
)

var addressForm = regexp.MustCompile(`^0x[0-9a-fA-F]{40}$`)

// Check says as a sentence what is wrong with a Spec, nil when nothing is. It reads every signature.
func (s Spec) Check() error {
	_, err := newPlan(s)
	return err
}

func address(what, name, text string) (common.Address, error) {
	if !addressForm.MatchString(text) {
		return common.Address{}, fmt.Errorf("%s %s: %q is not an address; write 0x and 40 hexadecimal digits, in quotes", what, name, text)
	}
	return common.HexToAddress(text), nil
}

// plan is a Spec that is understood.
type plan struct {
	Spec
	accounts  []common.Address // of Addresses
	named     map[common.Address]int
	tokens    map[common.Address]int
	tokenList []common.Address
	views     []view
	proxies   []common.Address
	events    map[eventKey]bridgeEvent
	admin     map[common.Address]bool // contract -> whether executions are told
	adminList []common.Address
	transfers map[common.Address]bool // accounts whose transfers are observed
	followed  map[common.Address]bool // somebody else's, whose transfers are told apart; see Follow
	pool      []common.Address
}

type eventKey struct {
	contract common.Address
	topic    common.Hash
}

type bridgeEvent struct {
	bridge string
	spec   Event
	sig    signature
}

type view struct {
	to     common.Address
	sig    signature
	input  []byte
	output int
}

func newPlan(s Spec) (*plan, error) {
	p := &plan{Spec: s, named: map[common.Address]int{}, tokens: map[common.Address]int{}, events: map[eventKey]bridgeEvent{}, admin: map[common.Address]bool{}, transfers: map[common.Address]bool{}}
	if len(s.Addresses) > mostAddresses || len(s.Tokens) > mostTokens || len(s.Contracts) > mostContracts {
		return nil, fmt.Errorf("a chain takes at most %d addresses, %d tokens and %d contracts; split what is watched over several Tocsins", mostAddresses, mostTokens, mostContracts)
	}
	if n := len(s.Addresses)*(1+len(s.Tokens)) + len(s.Views) + 2*len(s.Feeds); n > mostReads {
		return nil, fmt.Errorf("%d numbers would be read at each look, at most %d are; watch fewer tokens or addresses", n, mostReads)
	}
	names := map[string]bool{}
	once := func(what, name string) error {
		if name == "" || len(name) > 64 {
			return fmt.Errorf("a %s needs a name of at most 64 characters", what)
		}
		if names[what+name] {
			return fmt.Errorf("there are two of %s %s; give each its own name", what, name)
		}
		names[what+name] = true
		return nil
	}
	for i, a := range s.Addresses {
		at, err := address("address", a.Name, a.Address)
		if err := first(once("address", a.Name), err); err != nil {
			return nil, err
		}
		if _, double := p.named[at]; double {
			return nil, fmt.Errorf("address %s: %s is watched twice; remove one", a.Name, a.Address)
		}
		p.named[at] = i
		p.accounts = append(p.accounts, at)
		p.transfers[at] = a.Transfers
		if a.Pool {
			p.pool = append(p.pool, at)
		}
	}
	for i, t := range s.Tokens {
		at, err := address("token", t.Name, t.Address)
		if err := first(once("token", t.Name), err); err != nil {
			return nil, err
		}
		if _, double := p.tokens[at]; double {
			return nil, fmt.Errorf("token %s: %s is watched twice; remove one", t.Name, t.Address)
		}
		p.tokens[at] = i
		p.tokenList = append(p.tokenList, at)
	}
	for _, v := range s.Views {
		at, err := address("view", v.Name, v.Contract)
		if err := first(once("view", v.Name), err); err != nil {
			return nil, err
		}
		one, err := newView(at, v)
		if err != nil {
			return nil, fmt.Errorf("view %s: %w", v.Name, err)
		}
		p.views = append(p.views, one)
	}
	for _, f := range s.Feeds {
		at, err := address("feed", f.Name, f.Proxy)
		if err := first(once("feed", f.Name), err); err != nil {
			return nil, err
		}
		p.proxies = append(p.proxies, at)
	}
	for _, b := range s.Bridges {
		if err := once("bridge", b.Name); err != nil {
			return nil, err
		}
		for _, e := range b.Events {
			at, err := address("bridge", b.Name, e.Contract)
			if err != nil {
				return nil, err
			}
			one, err := newBridgeEvent(b.Name, e)
			if err != nil {
				return nil, fmt.Errorf("bridge %s: %w", b.Name, err)
			}
			key := eventKey{at, one.sig.topic()}
			if _, double := p.events[key]; double {
				return nil, fmt.Errorf("bridge %s: the event %s of %s is there twice; remove one", b.Name, e.Event, e.Contract)
			}
			p.events[key] = one
		}
	}
	if len(p.events) > mostEvents {
		return nil, fmt.Errorf("%d events of bridges are watched, at most %d are", len(p.events), mostEvents)
	}
	for _, c := range s.Contracts {
		at, err := address("contract", c.Name, c.Address)
		if err := first(once("contract", c.Name), err); err != nil {
			return nil, err
		}
		p.admin[at] = c.Executions
		p.adminList = append(p.adminList, at)
	}
	return p, nil
}

func first(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// lower is how addresses and hashes are written in observations: 0x and lower case, so that text is compared as text.
func lower(b interface{ Hex() string }) string { return strings.ToLower(b.Hex()) }
