package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Watch is what is watched on one chain beside its heads.
type Watch struct {
	// Chain is the name of a chain of this file, of family evm or bitcoin.
	Chain string `yaml:"chain"`
	// Nodes are the names of its nodes to ask, up to 4; two that see the same
	// confirm each other if they are of two operators. Empty: its first, and the first
	// of another operator.
	Nodes []string `yaml:"nodes"`
	// Every is the time between looks at balances, views and feeds. Default 12s.
	Every Duration `yaml:"every"`
	// CallsPerSecond bounds what each node is asked. Default 25.
	CallsPerSecond Number `yaml:"calls_per_second"`
	// BatchSize is how many calls go into one request at most. Default 100; it
	// shrinks by itself when a provider refuses.
	BatchSize int `yaml:"batch_size"`
	// Coin is the chain's own coin.
	Coin WatchedAsset `yaml:"coin"`
	// Addresses are accounts whose balances are read.
	Addresses []WatchedAddress `yaml:"addresses"`
	// Tokens are ERC-20 contracts (evm only).
	Tokens []WatchedToken `yaml:"tokens"`
	// Views are numbers that contracts tell (evm only).
	Views []WatchedView `yaml:"views"`
	// Feeds are Chainlink feeds (evm only).
	Feeds []WatchedFeed `yaml:"feeds"`
	// Bridges are contracts that lock and release (evm only).
	Bridges []WatchedBridge `yaml:"bridges"`
	// Contracts are those whose owners, roles and code are watched (evm only).
	Contracts []WatchedContract `yaml:"contracts"`
	// Outpoints are outputs whose spending is told, like txid:0 (bitcoin only).
	Outpoints []string `yaml:"outpoints"`
	// Scan asks once for what the addresses hold already (bitcoin only).
	Scan Switch `yaml:"scan"`
}

// WatchedAsset is how the coin is called and priced.
type WatchedAsset struct {
	// Name is the label, like ETH.
	Name string `yaml:"name"`
	// USD is a fixed price, for what is pegged to the dollar.
	USD Number `yaml:"usd"`
	// Feed names a feed of this file that tells the price.
	Feed string `yaml:"feed"`
}

// WatchedAddress is an account, or for bitcoin also "script:" and hexadecimal.
type WatchedAddress struct {
	Name    string `yaml:"name"`
	Address string `yaml:"address"`
	// Transfers makes its transfers of coin and of every token observations
	// (evm; for bitcoin they always are).
	Transfers Switch `yaml:"transfers"`
	// Pool watches its waiting transactions (evm; for bitcoin always).
	Pool Switch `yaml:"pool"`
}

// WatchedToken is an ERC-20 contract.
type WatchedToken struct {
	// Name is the label, like USDC. What the contract calls itself is not used.
	Name    string `yaml:"name"`
	Address string `yaml:"address"`
	USD     Number `yaml:"usd"`
	Feed    string `yaml:"feed"`
	// Transfers makes every transfer of it an observation.
	Transfers Switch `yaml:"transfers"`
}

// WatchedView is a view function, like totalAssets() returns (uint256).
type WatchedView struct {
	Name     string `yaml:"name"`
	Contract string `yaml:"contract"`
	// Call is the signature.
	Call string `yaml:"call"`
	// Arguments are its arguments as text.
	Arguments []string `yaml:"arguments"`
	// Output is which of the outputs, from 0.
	Output int `yaml:"output"`
	// Decimals: the number is divided by 10 to this.
	Decimals int `yaml:"decimals"`
}

// WatchedFeed is a Chainlink feed.
type WatchedFeed struct {
	Name string `yaml:"name"`
	// Proxy is the contract with latestRoundData.
	Proxy string `yaml:"proxy"`
	// Heartbeat is the longest time between rounds that the feed promises.
	Heartbeat Duration `yaml:"heartbeat"`
	// Deviation is the change that makes it answer sooner, like 0.5%.
	Deviation Number `yaml:"deviation"`
}

// WatchedBridge maps events to deposits and withdrawals.
type WatchedBridge struct {
	Name        string         `yaml:"name"`
	Deposits    []WatchedEvent `yaml:"deposits"`
	Withdrawals []WatchedEvent `yaml:"withdrawals"`
}

// WatchedEvent says which parameter of an event is what: its name, or #0 for the first.
type WatchedEvent struct {
	Contract string `yaml:"contract"`
	// Event is the signature, like Deposited(address indexed token, uint256 amount).
	Event  string `yaml:"event"`
	Amount string `yaml:"amount"`
	// Token is a parameter, an address, or coin.
	Token       string `yaml:"token"`
	ID          string `yaml:"id"`
	Sender      string `yaml:"sender"`
	Beneficiary string `yaml:"beneficiary"`
	// Message links a withdrawal to its deposit.
	Message string `yaml:"message"`
}

// WatchedContract is a contract whose administration is watched.
type WatchedContract struct {
	Name    string `yaml:"name"`
	Address string `yaml:"address"`
	// Executions tells also every execution of a Safe, not only changes of it.
	Executions Switch `yaml:"executions"`
}

// Number is a number that is not negative; 0.5% is 0.005.
type Number float64

func (n *Number) set(text string) error {
	plain, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(plain), 64)
	if err != nil || !(f >= 0 && f < 1e18) {
		return errors.New("is not a number; write it like 1, 0.25 or 0.5%")
	}
	if percent {
		f /= 100
	}
	*n = Number(f)
	return nil
}

// Switch is on or off.
type Switch bool

func (s *Switch) set(text string) error {
	switch strings.ToLower(text) {
	case "yes", "true", "on":
		*s = true
	case "no", "false", "off":
		*s = false
	default:
		return errors.New("is neither yes nor no; write one of the two")
	}
	return nil
}

var contractForm = regexp.MustCompile(`^0x[0-9a-fA-F]{40}$`)

// watches judges what can be judged without reading signatures; the rest is judged at the start.
func (j *judge) watches() {
	chains := map[string]string{}
	for i, w := range j.Watches {
		path := fmt.Sprintf("watches[%d]", i)
		at := slices.IndexFunc(j.Chains, func(c Chain) bool { return c.Name == w.Chain })
		if at < 0 {
			j.wrong(path+".chain", "there is no chain %q in this file; add it to chains", w.Chain)
			continue
		}
		j.unique(chains, "watch of chain", w.Chain, path+".chain")
		family := j.Chains[at].Family
		for k, name := range w.Nodes {
			if !slices.ContainsFunc(j.Chains[at].Nodes, func(n Node) bool { return n.Name == name }) || slices.Index(w.Nodes, name) != k {
				j.wrong(fmt.Sprintf("%s.nodes[%d]", path, k), "%q is no other node of %s; write one of its names", name, w.Chain)
			}
		}
		if len(w.Nodes) > 4 {
			j.wrong(path+".nodes", "%d nodes would all be asked for the same; name at most 4", len(w.Nodes))
		}
		if w.BatchSize < 0 || w.BatchSize > 100 {
			j.wrong(path+".batch_size", "%d is no size; write 1 to 100", w.BatchSize)
		}
		switch family {
		case "evm":
			if len(w.Outpoints) > 0 || w.Scan {
				j.wrong(path, "outpoints and scan are for chains of family bitcoin; remove them")
			}
			j.contracts(path, w)
		case "bitcoin":
			if len(w.Tokens)+len(w.Views)+len(w.Feeds)+len(w.Bridges)+len(w.Contracts) > 0 {
				j.wrong(path, "tokens, views, feeds, bridges and contracts are for chains of family evm; remove them")
			}
		default:
			j.wrong(path+".chain", "on chains of family %s nothing but the heads can be watched; remove this", family)
		}
	}
}

// contracts judges the addresses of an evm chain.
func (j *judge) contracts(path string, w Watch) {
	one := func(at, text string) {
		if !contractForm.MatchString(text) {
			j.wrong(at, "%q is not an address; write 0x and 40 hexadecimal digits, in quotes", text)
		}
	}
	for i, a := range w.Addresses {
		one(fmt.Sprintf("%s.addresses[%d].address", path, i), a.Address)
	}
	for i, t := range w.Tokens {
		one(fmt.Sprintf("%s.tokens[%d].address", path, i), t.Address)
	}
	for i, v := range w.Views {
		one(fmt.Sprintf("%s.views[%d].contract", path, i), v.Contract)
	}
	for i, f := range w.Feeds {
		one(fmt.Sprintf("%s.feeds[%d].proxy", path, i), f.Proxy)
		if f.Heartbeat == 0 {
			j.wrong(fmt.Sprintf("%s.feeds[%d].heartbeat", path, i), "is missing; each feed has its own, see data.chain.link (like 1h or 24h)")
		}
	}
	for i, c := range w.Contracts {
		one(fmt.Sprintf("%s.contracts[%d].address", path, i), c.Address)
	}
	for i, b := range w.Bridges {
		for k, e := range b.Deposits {
			one(fmt.Sprintf("%s.bridges[%d].deposits[%d].contract", path, i, k), e.Contract)
		}
		for k, e := range b.Withdrawals {
			one(fmt.Sprintf("%s.bridges[%d].withdrawals[%d].contract", path, i, k), e.Contract)
		}
	}
}
