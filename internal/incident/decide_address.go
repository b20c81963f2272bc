package incident

import (
	"slices"
	"strconv"
	"strings"
)

// onChain is an address or a hash as it can be copied from an explorer: one
// word of plain ASCII. Hexadecimal ones are as long as their kind is, so that
// one that was cut is not searched for in vain.
func (c *check) onChain(what, text string, digits func(n int) bool, length string) string {
	text = c.need(c.line(what, text, 1_000), CodeMissingArgument, "Say which "+what+". Copy it whole from the explorer.")
	if c.err != nil {
		return ""
	}
	if strings.ContainsAny(text, "…") || strings.Contains(text, "...") {
		c.refuse(CodeBadAddress, "%s is shortened. Copy the %s whole.", shown(text), what)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		c.refuse(CodeBadAddress, "%s is not one %s: it holds spaces or letters that no chain uses. Copy it again.", shown(text), what)
	}
	if n := len(text); n < 4 || n > MaxAddress {
		c.refuse(CodeBadAddress, "The %s has %d characters; those of all chains have 4 to %d. Copy it whole, and alone.", what, n, MaxAddress)
	}
	if hex, ok := strings.CutPrefix(lower(text), "0x"); ok {
		if strings.Trim(hex, "0123456789abcdef") != "" {
			c.refuse(CodeBadAddress, "%s starts with 0x and holds other characters than 0 to 9 and a to f. Copy it again.", shown(text))
		}
		if !digits(len(hex)) {
			c.refuse(CodeBadAddress, "%s has %d digits after 0x; %s. Copy it whole.", shown(text), len(hex), length)
		}
	}
	if c.err != nil {
		return ""
	}
	return text
}

func (c *check) chainAddress(text string) string {
	return c.onChain("address", text, func(n int) bool { return n == 40 || n > 60 && n <= 64 }, "an address has 40, or 64 where keys are longer")
}

func (c *check) txHash(text string) string {
	return c.onChain("transaction", text, func(n int) bool { return n > 60 && n <= 64 }, "the hash of a transaction has 64")
}

func (c *check) onlyChain(text string) string {
	return c.need(c.line("chain", text, MaxName), CodeMissingArgument, "Say on which chain, like ethereum.")
}

func (c *check) addressKind(text string) AddressKind {
	k := AddressKind(lower(text))
	if !slices.Contains(AddressKinds(), k) {
		var all []string
		for _, x := range AddressKinds() {
			all = append(all, string(x))
		}
		c.refuse(CodeBadAddress, "%s is not a kind of address. Use %s.", shown(text), either(all))
	}
	return k
}

// same compares what stands on a chain; the letters of hexadecimal digits are a
// checksum, and not part of the address.
func same(a, b string) bool {
	return a == b || strings.HasPrefix(lower(a), "0x") && lower(a) == lower(b)
}

func (s State) addressAt(chain, address string) int {
	return slices.IndexFunc(s.Addresses, func(a Address) bool {
		return a.ID == strings.ToUpper(address) && (chain == "" || lower(a.Chain) == lower(chain)) || lower(a.Chain) == lower(chain) && same(a.Address, address)
	})
}

func (s State) transactionAt(chain, tx string) int {
	return slices.IndexFunc(s.Transactions, func(x Transaction) bool {
		return x.ID == strings.ToUpper(tx) && (chain == "" || lower(x.Chain) == lower(chain)) || lower(x.Chain) == lower(chain) && same(x.Tx, tx)
	})
}

func (c AddAddress) decide(s State, _ Meta) ([]Body, error) {
	var k check
	b := AddressAdded{Entry: id("A", s.lastAddress+1), Chain: k.onlyChain(c.Chain), Address: k.chainAddress(c.Address), Kind: k.addressKind(c.Kind), Label: k.line("label", c.Label, MaxTitle)}
	if k.err != nil {
		return nil, k.err
	}
	if i := s.addressAt(b.Chain, b.Address); i >= 0 {
		old := s.Addresses[i]
		if b.Label == "" {
			b.Label = old.Label
		}
		if b.Kind == old.Kind && b.Label == old.Label {
			return nil, nil
		}
		return []Body{AddressRemoved{Entry: old.ID}, b}, nil
	}
	if len(s.Addresses) >= MaxAddresses {
		return nil, refuse(CodeTooMany, "%d addresses are on the list, and no more fit. Take off those that nobody needs, or put a list behind a link.", MaxAddresses)
	}
	return one(b)
}

func (c RemoveAddress) decide(s State, _ Meta) ([]Body, error) {
	var k check
	chain, address, reason := k.line("chain", c.Chain, MaxName), k.line("address", c.Address, MaxURL), k.prose("reason", c.Reason, MaxReason)
	k.need(address, CodeMissingArgument, "Say which address, by its number on the list, like A1.")
	if k.err != nil {
		return nil, k.err
	}
	if i := s.addressAt(chain, address); i >= 0 {
		return one(AddressRemoved{Entry: s.Addresses[i].ID, Reason: reason})
	}
	if n := numbered("A", address); n > 0 && n <= s.lastAddress || n == 0 && chain != "" {
		return nil, nil // it is not there
	}
	return nil, refuse(CodeNoSuchAddress, "There is no address %s in incident #%d. Take its number from the list, like A1.", shown(address), s.Number)
}

func (c AddTransaction) decide(s State, _ Meta) ([]Body, error) {
	var k check
	b := TransactionAdded{Entry: id("X", s.lastTransaction+1), Chain: k.onlyChain(c.Chain), Tx: k.txHash(c.Tx), Note: k.line("note", c.Note, MaxTitle)}
	if k.err != nil {
		return nil, k.err
	}
	if i := s.transactionAt(b.Chain, b.Tx); i >= 0 {
		old := s.Transactions[i]
		if b.Note == "" || b.Note == old.Note {
			return nil, nil
		}
		return []Body{TransactionRemoved{Entry: old.ID}, b}, nil
	}
	if len(s.Transactions) >= MaxTransactions {
		return nil, refuse(CodeTooMany, "%d transactions are on the list, and no more fit. Take off those that nobody needs, or put a list behind a link.", MaxTransactions)
	}
	return one(b)
}

func (c RemoveTransaction) decide(s State, _ Meta) ([]Body, error) {
	var k check
	chain, tx, reason := k.line("chain", c.Chain, MaxName), k.line("transaction", c.Tx, MaxURL), k.prose("reason", c.Reason, MaxReason)
	k.need(tx, CodeMissingArgument, "Say which transaction, by its number on the list, like X1.")
	if k.err != nil {
		return nil, k.err
	}
	if i := s.transactionAt(chain, tx); i >= 0 {
		return one(TransactionRemoved{Entry: s.Transactions[i].ID, Reason: reason})
	}
	if n := numbered("X", tx); n > 0 && n <= s.lastTransaction || n == 0 && chain != "" {
		return nil, nil // it is not there
	}
	return nil, refuse(CodeNoSuchAddress, "There is no transaction %s in incident #%d. Take its number from the list, like X1.", shown(tx), s.Number)
}

// numbered is the 3 of "A3"; 0 when the text is no number of that list.
func numbered(prefix, text string) int {
	digits, ok := strings.CutPrefix(strings.ToUpper(text), prefix)
	n, err := strconv.ParseUint(digits, 10, 31)
	if !ok || err != nil {
		return 0
	}
	return int(n)
}

// Missing are the commands that tell an incident the addresses and transactions
// that another one, merged into it, knows and it does not. What it says itself
// of an address stays.
func Missing(s, other State) (out []Command) {
	for _, a := range other.Addresses {
		if s.addressAt(a.Chain, a.Address) < 0 {
			out = append(out, AddAddress{a.Chain, a.Address, string(a.Kind), a.Label})
		}
	}
	for _, x := range other.Transactions {
		if s.transactionAt(x.Chain, x.Tx) < 0 {
			out = append(out, AddTransaction{x.Chain, x.Tx, x.Note})
		}
	}
	return out
}

func (b AddressAdded) apply(s *State, e Event) {
	if !slices.ContainsFunc(s.Addresses, func(a Address) bool { return a.ID == b.Entry }) {
		s.Addresses = with(s.Addresses, Address{ID: b.Entry, Chain: b.Chain, Address: b.Address, Kind: b.Kind, Label: b.Label, At: e.At, By: e.Actor, Offset: e.Offset})
	}
	s.lastAddress = max(s.lastAddress, number(b.Entry))
	parts := []Part{say(b.Entry + ": " + string(b.Kind) + " "), address(b.Address, b.Entry), say(" on "), quote(b.Chain)}
	if b.Label != "" {
		parts = append(parts, say(", "), quote(b.Label))
	}
	s.say(e, KindAddress, parts...)
}

func (b AddressRemoved) apply(s *State, e Event) {
	s.unlist([]string{b.Entry})
	s.say(e, KindAddress, because([]Part{address(b.Entry, b.Entry), say(" was taken off the addresses")}, b.Reason)...)
}

func (b TransactionAdded) apply(s *State, e Event) {
	if !slices.ContainsFunc(s.Transactions, func(x Transaction) bool { return x.ID == b.Entry }) {
		s.Transactions = with(s.Transactions, Transaction{ID: b.Entry, Chain: b.Chain, Tx: b.Tx, Note: b.Note, At: e.At, By: e.Actor, Offset: e.Offset})
	}
	s.lastTransaction = max(s.lastTransaction, number(b.Entry))
	parts := []Part{say(b.Entry + ": transaction "), address(b.Tx, b.Entry), say(" on "), quote(b.Chain)}
	if b.Note != "" {
		parts = append(parts, say(", "), quote(b.Note))
	}
	s.say(e, KindAddress, parts...)
}

func (b TransactionRemoved) apply(s *State, e Event) {
	s.unlist([]string{b.Entry})
	s.say(e, KindAddress, because([]Part{address(b.Entry, b.Entry), say(" was taken off the transactions")}, b.Reason)...)
}

// unlist takes addresses and transactions off their lists, by their numbers.
func (s *State) unlist(entries []string) {
	if len(entries) == 0 {
		return
	}
	s.Addresses = without(s.Addresses, func(a Address) bool { return slices.Contains(entries, a.ID) })
	s.Transactions = without(s.Transactions, func(x Transaction) bool { return slices.Contains(entries, x.ID) })
}
