package incident

// AddressKind says what an address is to the incident.
type AddressKind string

// The kinds of addresses.
const (
	AddressVictim   AddressKind = "victim"
	AddressAttacker AddressKind = "attacker"
	AddressOurs     AddressKind = "ours"
	AddressExchange AddressKind = "exchange"
	AddressMixer    AddressKind = "mixer"
	AddressBridge   AddressKind = "bridge"
	AddressContract AddressKind = "contract"
	AddressOther    AddressKind = "other"
)

// AddressKinds are all kinds, in the order in which they are offered. The
// caller owns the slice.
func AddressKinds() []AddressKind {
	return []AddressKind{AddressAttacker, AddressVictim, AddressOurs, AddressExchange, AddressMixer, AddressBridge, AddressContract, AddressOther}
}

// Address is one that the incident is about.
type Address struct {
	ID      string // "A1"; an address that was taken off and comes again has another
	Chain   string
	Address string // as it was given
	Kind    AddressKind
	Label   string
	At      int64
	By      string // actor
	Offset  int64
}

// Transaction is one that the incident is about.
type Transaction struct {
	ID     string // "X1"
	Chain  string
	Tx     string // as it was given
	Note   string
	At     int64
	By     string // actor
	Offset int64
}

// AddAddress puts an address on the list. One that is there changes its kind
// and, unless it is empty, its label; it then has another number.
type AddAddress struct {
	Chain   string `json:"chain"`
	Address string `json:"address"`
	Kind    string `json:"kind"`
	Label   string `json:"label,omitempty"`
}

// RemoveAddress takes an address off the list. Address is the address itself or
// its number, like A1; with a number the chain can be left out.
type RemoveAddress struct {
	Address string `json:"address"`
	Chain   string `json:"chain,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// AddTransaction puts a transaction on the list. One that is there changes its
// note, unless the new one is empty; it then has another number.
type AddTransaction struct {
	Chain string `json:"chain"`
	Tx    string `json:"tx"`
	Note  string `json:"note,omitempty"`
}

// RemoveTransaction takes a transaction off the list. Tx is its hash or its
// number, like X1; with a number the chain can be left out.
type RemoveTransaction struct {
	Tx     string `json:"tx"`
	Chain  string `json:"chain,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// AddressAdded: an address is on the list.
type AddressAdded struct {
	Entry   string      `json:"entry"`
	Chain   string      `json:"chain"`
	Address string      `json:"address"`
	Kind    AddressKind `json:"kind"`
	Label   string      `json:"label,omitempty"`
}

// AddressRemoved: it is not, or not any more as it was.
type AddressRemoved struct {
	Entry  string `json:"entry"`
	Reason string `json:"reason,omitempty"`
}

// TransactionAdded: a transaction is on the list.
type TransactionAdded struct {
	Entry string `json:"entry"`
	Chain string `json:"chain"`
	Tx    string `json:"tx"`
	Note  string `json:"note,omitempty"`
}

// TransactionRemoved: it is not, or not any more as it was.
type TransactionRemoved struct {
	Entry  string `json:"entry"`
	Reason string `json:"reason,omitempty"`
}

// Name is "add_address".
func (AddAddress) Name() string { return "add_address" }

// Name is "remove_address".
func (RemoveAddress) Name() string { return "remove_address" }

// Name is "add_transaction".
func (AddTransaction) Name() string { return "add_transaction" }

// Name is "remove_transaction".
func (RemoveTransaction) Name() string { return "remove_transaction" }

// Type is "incident.address_added".
func (AddressAdded) Type() string { return "incident.address_added" }

// Type is "incident.address_removed".
func (AddressRemoved) Type() string { return "incident.address_removed" }

// Type is "incident.transaction_added".
func (TransactionAdded) Type() string { return "incident.transaction_added" }

// Type is "incident.transaction_removed".
func (TransactionRemoved) Type() string { return "incident.transaction_removed" }
