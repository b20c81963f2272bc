package views

// WalletsPage is /wallets: what is known of an address, and who paid whom around it.
type WalletsPage struct {
	Base
	Around  string   // what was asked for: "ethereum/0x…", or an address alone
	Hops    int      // 1 to 4
	Size    string   // "12 345 transfers between 3 210 addresses are known"; "" = nothing yet
	Dropped int64    // transfers that went to make room
	Keeper  string   // replica that watches the chains now and keeps the graph; "" = this one
	Problem string   // refusal, "" = none
	Either  []Wallet // the same address on several chains: choose one
	Wallet  *Wallet  // nil = nothing was asked for
	Graph   *Picture // nil = nothing was seen
}

// Wallet is one address and what is known of it.
type Wallet struct {
	Chain     string // id
	ChainName string // words
	Address   string // whole
	Seen      bool   // there are transfers or labels
	Kind      string // exchange, mixer, ...; "" = unknown
	Public    bool   // it deals with everybody: nothing is concluded from dealing with it
	In        string // "4.1 M$ in 12 transfers from 3 addresses"
	Out       string
	First     int64 // unix ms of the oldest transfer known
	Last      int64 // of the newest
	Labels    []WalletLabel
	Signs     []string // what stands out, as sentences
	Paths     []WalletPath
	Hand      []WalletMember // addresses that one hand probably holds too
	HandMore  int            // that are not shown
	Following string         // whether an address of an open incident is followed, and why not, as a sentence; "" = none lists it
	Rooms     []WalletRoom   // incidents that list it
}

// WalletLabel is what somebody says that an address is.
type WalletLabel struct {
	Name   string
	Type   string // exchange, mixer, ...; "" = none
	Source string // who says so
	Room   int64  // number of the incident in which people say so, 0 = none
	At     int64  // unix ms when it was said
	Until  int64  // unix ms, 0 = does not expire
}

// WalletMember is another address of the same hand.
type WalletMember struct {
	Address string
	Name    string // label, "" = none
	Href    string
	Reason  string // why it is thought so
	At      int64  // unix ms
}

// WalletPath is the way money took to or from the nearest address with a label.
type WalletPath struct {
	Title string // "Where it went: to Kraken in 2 steps"
	Says  string // sentence, with what limits it; "" = nothing to add
	Hops  []WalletHop
}

// WalletHop is one transfer of a way.
type WalletHop struct {
	At       int64 // unix ms
	From, To string
	FromHref string
	ToHref   string
	Amount   string // "100 WBTC (2.3 M$)"
	Tx       string
}

// WalletRoom is an incident that lists the address: an open one, or one that was closed not long ago.
type WalletRoom struct {
	Number int64
	Title  string
	Kind   string // attacker, ...
	Closed bool
}
