package detect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Setup is everything a Set is told. Its zero value is valid: chains and nodes are learned as they appear.
type Setup struct {
	Config `yaml:",inline"`
	Chains []ChainFacts `json:"chains,omitempty" yaml:"chains,omitempty"`
	Series []SeriesRule `json:"series,omitempty" yaml:"series,omitempty"` // the first that fits a series holds for it
	Ratios []Ratio      `json:"ratios,omitempty" yaml:"ratios,omitempty"`
	// VerificationWait is how long a finding that one node told waits for a second one; 0 = 2m.
	VerificationWait observation.Span `json:"verification_wait,omitempty" yaml:"verification_wait,omitempty"`
	// CombineWithin is how far apart weak findings may be that are combined into one; 0 = 10m.
	CombineWithin observation.Span `json:"combine_within,omitempty" yaml:"combine_within,omitempty"`
	// ChainsElsewhere: somebody else judges the chains and gives their samples; blocks, tips and nodes then go to the value heuristics only.
	ChainsElsewhere bool `json:"chains_elsewhere,omitempty" yaml:"chains_elsewhere,omitempty"`
}

// ChainFacts are what is known of a chain. What is not told is taken from what is commonly known of the network, else learned.
type ChainFacts struct {
	Name          string           `json:"name" yaml:"name"`
	Family        string           `json:"family,omitempty" yaml:"family,omitempty"`
	ChainID       string           `json:"chain_id,omitempty" yaml:"chain_id,omitempty"`
	Routine       int              `json:"routine,omitempty" yaml:"routine,omitempty"` // reorg depth of daily life
	Confirmations int              `json:"confirmations,omitempty" yaml:"confirmations,omitempty"`
	Interval      observation.Span `json:"interval,omitempty" yaml:"interval,omitempty"` // between blocks
	Nodes         []string         `json:"nodes,omitempty" yaml:"nodes,omitempty"`
	// Operators says by name who runs a node; nodes of one operator are one voice. A node that is not named is its own operator.
	Operators map[string]string `json:"operators,omitempty" yaml:"operators,omitempty"`
	// Wait is how long a finding about the chain that one node shows waits for a second one; 0 = VerificationWait.
	Wait observation.Span `json:"second_node_wait,omitempty" yaml:"second_node_wait,omitempty"`
	// HashPrice is what one hash per second costs to rent for a day, OpenDeposits how many dollars of deposits could be taken back; 0 = not known.
	HashPrice    float64 `json:"hash_price_usd,omitempty" yaml:"hash_price_usd,omitempty"`
	OpenDeposits float64 `json:"open_deposits_usd,omitempty" yaml:"open_deposits_usd,omitempty"`
}

// SeriesRule says how series are judged whose name fits Match ("*" at the end stands for anything) and that carry all of Labels.
type SeriesRule struct {
	Match    string            `json:"match" yaml:"match"`
	Labels   map[string]string `json:"labels,omitempty" yaml:"labels,omitempty"`
	Severity string            `json:"severity,omitempty" yaml:"severity,omitempty"` // "" = SEV5, and SEV4 when extreme; what is told always alarms
	Ignore   bool              `json:"ignore,omitempty" yaml:"ignore,omitempty"`
	// NoMissing: that nothing comes says nothing, as for a series of rare events.
	NoMissing bool `json:"no_missing,omitempty" yaml:"no_missing,omitempty"`
}

// Ratio makes one series out of two that count up: what Part grew by, divided by what Whole grew by, over as many samples as it takes for
// Whole to grow by Least. A share of a small whole says nothing, and one since the beginning (of an epoch, of a process) hides what is new.
type Ratio struct {
	Name  string  `json:"name" yaml:"name"`
	Part  string  `json:"part" yaml:"part"`
	Whole string  `json:"whole" yaml:"whole"`
	Least float64 `json:"least,omitempty" yaml:"least,omitempty"` // 0 = 100
}

// RatiosByDefault are made when their parts come: Solana's skip rate per window of at least a hundred slots.
var RatiosByDefault = []Ratio{
	{Name: "tocsin_solana_skip_ratio", Part: "tocsin_solana_slots_skipped_total", Whole: "tocsin_solana_slots_total", Least: 100},
	{Name: "solana_skip_ratio", Part: "solana_slots_skipped_total", Whole: "solana_slots_total", Least: 100},
}

// Bounds of a Set. What goes beyond is passed over, and one finding of the kind "too_many" says so.
const (
	MaxSeries   = 20_000
	MaxChains   = 64
	MaxNodes    = 1_000
	maxOperator = 240  // bytes of the name of an operator
	maxName     = 1024 // bytes of a series' name and labels together
)

// Check says as a sentence what is wrong with the setup.
func (c Setup) Check() error {
	if err := c.Config.Check(); err != nil {
		return err
	}
	if len(c.Chains) > MaxChains {
		return fmt.Errorf("there are %d chains: at most %d can be watched", len(c.Chains), MaxChains)
	}
	names, nodes := map[string]bool{}, 0
	for _, f := range c.Chains {
		if f.Name == "" || strings.Contains(f.Name, "/") || names[f.Name] {
			return fmt.Errorf("chain %q: every chain needs a name of its own, without a slash", f.Name)
		}
		if f.Routine < 0 || f.Confirmations < 0 {
			return fmt.Errorf("chain %q: routine and confirmations are numbers of blocks of at least 0", f.Name)
		}
		if !(f.HashPrice >= 0 && f.HashPrice < 1e6) || !(f.OpenDeposits >= 0 && f.OpenDeposits < 1e15) || f.Wait < 0 {
			return fmt.Errorf("chain %q: second_node_wait, hash_price_usd and open_deposits_usd are at least 0; leave out what is not known", f.Name)
		}
		if len(f.Operators) > MaxNodes {
			return fmt.Errorf("chain %q: operators are told of %d nodes: at most %d can be watched", f.Name, len(f.Operators), MaxNodes)
		}
		for _, node := range slices.Sorted(maps.Keys(f.Operators)) {
			if operator := f.Operators[node]; node == "" || strings.TrimSpace(operator) == "" || len(operator) > maxOperator {
				return fmt.Errorf("chain %q: operators names a node and who runs it in at most %d bytes, such as provider: Example RPC", f.Name, maxOperator)
			}
		}
		names[f.Name] = true
		nodes += len(f.Nodes)
	}
	if nodes > MaxNodes {
		return fmt.Errorf("there are %d nodes: at most %d can be watched", nodes, MaxNodes)
	}
	for _, r := range c.Series {
		if r.Match == "" {
			return fmt.Errorf(`a rule for series has no "match": give a name, or "*" for all`)
		}
		if r.Severity != "" && !slices.Contains([]string{"SEV1", "SEV2", "SEV3", "SEV4", "SEV5"}, r.Severity) {
			return fmt.Errorf("series %q: severity %q is none of SEV1 to SEV5", r.Match, r.Severity)
		}
	}
	for _, r := range c.Ratios {
		if r.Name == "" || r.Part == "" || r.Whole == "" || r.Part == r.Whole || r.Least < 0 {
			return fmt.Errorf("ratio %q: give name, part and whole, and least as a number of at least 0", r.Name)
		}
	}
	return nil
}

func (c Setup) filled() Setup {
	if c.VerificationWait == 0 {
		c.VerificationWait = 2 * 60_000
	}
	if c.CombineWithin == 0 {
		c.CombineWithin = 10 * 60_000
	}
	c.operators = operators{}
	for _, f := range c.Chains {
		for node, operator := range f.Operators {
			c.operators[[2]string{f.Name, node}] = strings.TrimSpace(operator)
		}
	}
	return c
}

// ratios are those told and those made by default.
func (c Setup) ratios() []Ratio { return append(slices.Clone(c.Ratios), RatiosByDefault...) }

// rule finds what holds for a series.
func (c Setup) rule(name string, labels map[string]string) SeriesRule {
	for _, r := range c.Series {
		prefix, open := strings.CutSuffix(r.Match, "*")
		fits := name == r.Match || (open && strings.HasPrefix(name, prefix))
		for k, v := range r.Labels {
			fits = fits && labels[k] == v
		}
		if fits {
			return r
		}
	}
	return SeriesRule{}
}

// wellKnown are names that people give to public chains; a chain so named that the setup does not describe is taken for it.
var wellKnown = map[string]ChainFacts{
	"bitcoin": {Family: string(chain.Bitcoin), ChainID: "main"}, "btc": {Family: string(chain.Bitcoin), ChainID: "main"},
	"ethereum": {Family: string(chain.EVM), ChainID: "1"}, "eth": {Family: string(chain.EVM), ChainID: "1"},
	"polygon": {Family: string(chain.EVM), ChainID: "137"}, "optimism": {Family: string(chain.EVM), ChainID: "10"},
	"arbitrum": {Family: string(chain.EVM), ChainID: "42161"}, "base": {Family: string(chain.EVM), ChainID: "8453"},
	"bsc": {Family: string(chain.EVM), ChainID: "56"}, "gnosis": {Family: string(chain.EVM), ChainID: "100"},
	"avalanche": {Family: string(chain.EVM), ChainID: "43114"}, "etc": {Family: string(chain.EVM), ChainID: "61"},
	"solana": {Family: string(chain.Solana), ChainID: "mainnet-beta"}, "cosmos": {Family: string(chain.Comet), ChainID: "cosmoshub-4"},
	"ethereum-classic": {Family: string(chain.EVM), ChainID: "61"},
}

// facts are what is known of a chain by its name.
func (c Setup) facts(name string) ChainFacts {
	known := wellKnown[strings.ToLower(name)]
	for _, f := range c.Chains {
		if f.Name == name {
			if f.Family == "" && f.ChainID == "" {
				f.Family, f.ChainID = known.Family, known.ChainID
			}
			return f
		}
	}
	known.Name = name
	return known
}

// monitor is the chain's configuration in the words of the monitor; wait is what holds where the chain has none of its own.
func (f ChainFacts) monitor(wait observation.Span) chain.Config {
	if f.Wait > 0 {
		wait = f.Wait
	}
	return chain.Config{Chain: f.Name, Family: chain.Family(f.Family), ChainID: f.ChainID, Nodes: f.Nodes, Operators: f.Operators, Routine: f.Routine,
		Confirmations: f.Confirmations, Interval: int64(f.Interval), Wait: int64(wait), HashPrice: f.HashPrice, OpenDeposits: f.OpenDeposits, Recorded: true}
}

// routine is the reorg depth of daily life, as the monitor takes it.
func (f ChainFacts) routine() int {
	if f.Routine > 0 {
		return f.Routine
	}
	net, _ := chain.Known(chain.Family(f.Family), f.ChainID)
	return max(net.Routine, 1)
}
