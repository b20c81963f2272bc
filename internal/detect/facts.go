package detect

import (
	"fmt"
	"strings"
	"time"
)

// Config holds what operators know of the things that are watched. Its zero value is valid: what is not told is learned, or not judged.
type Config struct {
	Bridges   []BridgeFacts `json:"bridges,omitempty" yaml:"bridges,omitempty"`
	Watched   []Watched     `json:"watched,omitempty" yaml:"watched,omitempty"`
	Pegs      []Peg         `json:"pegs,omitempty" yaml:"pegs,omitempty"`
	Feeds     []FeedFacts   `json:"feeds,omitempty" yaml:"feeds,omitempty"`
	Announced []Announced   `json:"announced,omitempty" yaml:"announced,omitempty"`
	// LargeUSD is the amount below which no transfer of an account that is not watched is called large; 0 = 100,000. Of watched ones a tenth.
	LargeUSD float64 `json:"large_usd,omitempty" yaml:"large_usd,omitempty"`

	operators operators // by the facts of the chains; a Setup fills it in
}

// BridgeFacts are what is known of a bridge. Name is what observations call it.
type BridgeFacts struct {
	Name  string `json:"name" yaml:"name"`
	Title string `json:"title,omitempty" yaml:"title,omitempty"` // for people; "" = Name
	// Chain is where the value is locked; only what leaves and comes there counts against TVLUSD. "" = every chain for itself.
	Chain  string  `json:"chain,omitempty" yaml:"chain,omitempty"`
	TVLUSD float64 `json:"tvl_usd,omitempty" yaml:"tvl_usd,omitempty"` // 0 = learned from the flows
	// TVLSeries is a series of samples (its label "bridge" is Name, or it has none) that tells the value locked from time to time.
	TVLSeries string `json:"tvl_series,omitempty" yaml:"tvl_series,omitempty"`
	// DepositsSeen says that the feed brings deposits too, so that a release without one is wrong from the first; false = that is learned.
	DepositsSeen bool `json:"deposits_seen,omitempty" yaml:"deposits_seen,omitempty"`
	// Complete says that the feed has had every deposit since the bridge began, so that the sums per token must hold.
	Complete     bool  `json:"complete,omitempty" yaml:"complete,omitempty"`
	GraceSeconds int64 `json:"grace_seconds,omitempty" yaml:"grace_seconds,omitempty"` // how late a deposit may be seen; 0 = 600
}

// Watched is an address that somebody cares about.
type Watched struct {
	Address string `json:"address" yaml:"address"`
	Chain   string `json:"chain,omitempty" yaml:"chain,omitempty"` // "" = on every chain
	Label   string `json:"label,omitempty" yaml:"label,omitempty"` // for people; "" = the address, shortened
	// Kind is hot_wallet, treasury, contract, bridge, exchange, mixer or attacker; "" = our own. What comes from attacker and mixer raises
	// indicators of laundering.
	Kind string `json:"kind,omitempty" yaml:"kind,omitempty"`
}

// Peg says what an asset is meant to be worth. Assets of PeggedByDefault are pegged to 1 without being named.
type Peg struct {
	Asset       string  `json:"asset" yaml:"asset"`
	Value       float64 `json:"value,omitempty" yaml:"value,omitempty"`               // 0 = 1
	Trigger     float64 `json:"trigger,omitempty" yaml:"trigger,omitempty"`           // share of Value, 0 = 0.995; above the peg as much
	Clear       float64 `json:"clear,omitempty" yaml:"clear,omitempty"`               // 0 = 0.998
	HoldSeconds int64   `json:"hold_seconds,omitempty" yaml:"hold_seconds,omitempty"` // how long it must be back; 0 = 600
}

// FeedFacts are what is known of an oracle feed; what the feed itself says goes before.
type FeedFacts struct {
	Feed             string  `json:"feed" yaml:"feed"`
	Chain            string  `json:"chain,omitempty" yaml:"chain,omitempty"`
	Asset            string  `json:"asset,omitempty" yaml:"asset,omitempty"` // as prices call it; "" = what stands before the slash of "ETH / USD"
	HeartbeatSeconds int64   `json:"heartbeat_seconds,omitempty" yaml:"heartbeat_seconds,omitempty"`
	GraceSeconds     int64   `json:"grace_seconds,omitempty" yaml:"grace_seconds,omitempty"` // 0 = a tenth of the heartbeat, at least 60
	Deviation        float64 `json:"deviation,omitempty" yaml:"deviation,omitempty"`         // share: 0.005 = 0.5 %
}

// Announced is a change of a contract that was told beforehand: between From and To it is information, no alarm.
type Announced struct {
	Contract string `json:"contract" yaml:"contract"`
	Chain    string `json:"chain,omitempty" yaml:"chain,omitempty"`   // "" = on any
	Change   string `json:"change,omitempty" yaml:"change,omitempty"` // "" = any
	After    string `json:"after,omitempty" yaml:"after,omitempty"`   // the announced owner or implementation; "" = any
	From     string `json:"from" yaml:"from"`                         // RFC 3339
	To       string `json:"to" yaml:"to"`
}

// PeggedByDefault are the assets that are held to be pegged to one dollar when the configuration does not name them.
var PeggedByDefault = []string{"USDC", "USDT", "DAI", "FRAX", "LUSD", "USDP", "TUSD", "BUSD", "PYUSD", "FDUSD", "GUSD"}

// Check says as a sentence what is wrong with the facts.
func (c Config) Check() error {
	for _, b := range c.Bridges {
		if b.Name == "" || b.TVLUSD < 0 || b.GraceSeconds < 0 {
			return fmt.Errorf("bridge %q: name it as observations do, and give tvl_usd and grace_seconds as numbers of at least 0", b.Name)
		}
	}
	for _, w := range c.Watched {
		if w.Address == "" {
			return fmt.Errorf("a watched entry has no address: give one, or take the entry out")
		}
	}
	for _, p := range c.Pegs {
		p = p.filled()
		if p.Asset == "" || p.Value <= 0 || p.Trigger <= 0 || p.Trigger >= p.Clear || p.Clear >= 1 || p.HoldSeconds < 0 {
			return fmt.Errorf("peg %q: name the asset, and keep 0 < trigger < clear < 1, such as 0.995 and 0.998", p.Asset)
		}
	}
	for _, f := range c.Feeds {
		if f.Feed == "" || f.HeartbeatSeconds < 0 || f.GraceSeconds < 0 || f.Deviation < 0 || f.Deviation >= 1 {
			return fmt.Errorf("feed %q: name it, and give the deviation as a share, such as 0.005 for 0.5 %%", f.Feed)
		}
	}
	for _, a := range c.Announced {
		from, to, err := a.span()
		if a.Contract == "" || err != nil || to < from {
			return fmt.Errorf("the change announced for contract %q: give from and to like 2026-01-31T12:00:00Z, in that order", a.Contract)
		}
	}
	return nil
}

func (p Peg) filled() Peg {
	if p.Value == 0 {
		p.Value = 1
	}
	if p.Trigger == 0 {
		p.Trigger = 0.995
	}
	if p.Clear == 0 {
		p.Clear = 0.998
	}
	if p.HoldSeconds == 0 {
		p.HoldSeconds = 600
	}
	return p
}

func (a Announced) span() (from, to int64, err error) {
	f, err := time.Parse(time.RFC3339, a.From)
	if err != nil {
		return 0, 0, err
	}
	t, err := time.Parse(time.RFC3339, a.To)
	return f.UnixMilli(), t.UnixMilli(), err
}

// watchlist finds watched addresses; upper and lower case are one where addresses are hexadecimal.
type watchlist map[string]Watched

func newWatchlist(all []Watched) watchlist {
	w := watchlist{}
	for _, a := range all {
		w[a.Chain+"|"+account(a.Address)] = a
	}
	return w
}

// find tells whether an address is watched.
func (w watchlist) find(chain, address string) (Watched, bool) {
	if len(w) == 0 || address == "" {
		return Watched{}, false
	}
	a, ok := w[chain+"|"+account(address)]
	if !ok {
		a, ok = w["|"+account(address)]
	}
	return a, ok
}

// account is the one way to write an address: hexadecimal ones in lower case.
func account(address string) string {
	if len(address) > 2 && address[0] == '0' && (address[1] == 'x' || address[1] == 'X') {
		return strings.ToLower(address)
	}
	return address
}

// name is what people call it.
func (w Watched) name() string {
	if w.Label != "" {
		return w.Label
	}
	return shortened(w.Address)
}

// shortened keeps both ends of an address or hash, as people compare them.
func shortened(s string) string {
	if len(s) <= 15 {
		return s
	}
	return s[:8] + "…" + s[len(s)-5:]
}
