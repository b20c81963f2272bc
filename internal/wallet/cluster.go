package wallet

import (
	"cmp"
	"crypto/sha256"
	"math/big"
	"slices"
	"strings"
)

// Reason says why two addresses are held by one hand.
type Reason string

// The reasons. They are guesses that hold usually; a cluster tells which it rests on.
const (
	// CommonInput: one transaction spends from both (S. Meiklejohn et al., A Fistful of Bitcoins, 2013). Joined transactions of strangers are
	// left out: three owners or more and three equal outputs or more.
	CommonInput Reason = "common_input"
	// DepositReuse, on chains of accounts: both pay into one address that only passes on to an exchange; exchanges give each customer one (F. Victor, Address
	// Clustering Heuristics for Ethereum, 2020).
	DepositReuse Reason = "deposit_reuse"
	// CommonFunding, on chains of accounts: three or more got their first coins from one address that deals with few, each within a day of the last, and
	// then acted by themselves.
	CommonFunding Reason = "common_funding"
)

// Link is one reason. A and B are in order.
type Link struct {
	A      string `json:"a"`
	B      string `json:"b"`
	Reason Reason `json:"reason"`
	By     string `json:"by"` // the transaction, or the address that both paid or were paid by
	At     int64  `json:"at"`
}

// Bounds of the guesses.
const (
	fundingSpan   = 24 * 3_600_000
	fundingLeast  = 3 // accounts
	fundingMost   = 20
	depositMost   = 10 // who pay into one customer's address
	depositPassed = 0.98
)

// Spend takes a transaction that spends from several owners, "" = one that is not known, who counts as a stranger. Amounts are those of its
// outputs, nil = not known.
func (g *Graph) Spend(tx string, owners, amounts []string, at int64) bool {
	tx = short(tx)
	given := len(owners)
	owners = slices.DeleteFunc(slices.Clone(owners), func(o string) bool { return o == "" })
	strangers := given - len(owners)
	owners = slices.Compact(slices.Sorted(slices.Values(owners)))
	if len(owners) < 2 || tx == "" || len(owners) > 1000 {
		return false
	}
	same := map[string]int{}
	for _, a := range amounts {
		if strings.Contains(a, ".") {
			a = strings.TrimRight(strings.TrimRight(a, "0"), ".")
		}
		if same[a]++; same[a] >= 3 && len(owners)+strangers >= 3 {
			return false
		}
	}
	changed := false
	for _, o := range owners[1:] {
		l := Link{owners[0], o, CommonInput, tx, at}
		k := linkKey(l)
		if g.joined[k] {
			continue
		}
		if len(g.links) >= MostLinks {
			slices.SortFunc(g.links, compareLinks)
			for _, old := range g.links[:MostLinks/10] {
				delete(g.joined, linkKey(old))
			}
			g.links = slices.Clone(g.links[MostLinks/10:])
		}
		g.links, g.joined[k], changed = append(g.links, l), true, true
	}
	return changed
}

// unspend takes back what a transaction joined.
func (g *Graph) unspend(tx string) bool {
	before := len(g.links)
	g.links = slices.DeleteFunc(g.links, func(l Link) bool {
		if l.By != short(tx) {
			return false
		}
		delete(g.joined, linkKey(l))
		return true
	})
	return len(g.links) < before
}

func linkKey(l Link) (d [16]byte) {
	s := sha256.Sum256([]byte(l.A + " " + l.B + " " + l.By))
	copy(d[:], s[:])
	return d
}

func compareLinks(a, b Link) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.By, b.By))
}

// Clusters are the addresses that one hand holds, as far as can be guessed.
type Clusters struct {
	of      map[string]string
	members map[string][]string
	links   map[string][]Link
}

// Clusters guesses, with the labels that count at a time. Addresses that deal with everybody are in no cluster and join none: a false label
// or a false guess must not spread over an exchange's customers. The outcome does not depend on the order of what the graph was given.
func (g *Graph) Clusters(at int64) Clusters {
	public := g.publics(at)
	open := func(id string) bool { return !public(id) }
	var links []Link
	for _, l := range g.links {
		if open(l.A) && open(l.B) {
			links = append(links, l)
		}
	}
	accounts := func(id string) bool { // on chains of coins an address is rarely used twice, and change goes to new ones
		chain, _, _ := strings.Cut(id, "/")
		return open(id) && !g.coins[chain]
	}
	for id := range g.nodes {
		links = append(links, g.depositors(id, at, accounts)...)
	}
	links = append(links, g.funded(accounts)...)
	slices.SortFunc(links, compareLinks)
	c := Clusters{map[string]string{}, map[string][]string{}, map[string][]Link{}}
	for _, l := range links {
		a, b := c.root(l.A), c.root(l.B)
		c.of[max(a, b)] = min(a, b)
	}
	for id := range c.of {
		r := c.root(id)
		c.members[r] = append(c.members[r], id)
	}
	for _, list := range c.members {
		slices.Sort(list)
	}
	for _, l := range links {
		c.links[c.root(l.A)] = append(c.links[c.root(l.A)], l)
	}
	return c
}

func (c Clusters) root(id string) string {
	if _, has := c.of[id]; !has {
		c.of[id] = id
	}
	for c.of[id] != id {
		c.of[id] = c.of[c.of[id]]
		id = c.of[id]
	}
	return id
}

// Of is the cluster of an address: its first member names it. An address of no cluster is its own.
func (c Clusters) Of(id string) string {
	if _, has := c.of[id]; !has {
		return id
	}
	return c.root(id)
}

// Members are the addresses of the cluster that an address is in, sorted; nil when it is alone.
func (c Clusters) Members(id string) []string { return c.members[c.Of(id)] }

// Links are the reasons for the cluster that an address is in, oldest first.
func (c Clusters) Links(id string) []Link { return c.links[c.Of(id)] }

// All are the clusters of two addresses or more, by name.
func (c Clusters) All() (names []string) {
	for n, m := range c.members {
		if len(m) > 1 {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// depositors joins who pay into an address that passes on everything to one exchange.
func (g *Graph) depositors(id string, at int64, open func(string) bool) (links []Link) {
	v := g.nodes[id]
	if len(v.out) == 0 || len(v.in) < 2 || g.Type(g.edges[v.out[0]].To, at) != Exchange || !open(id) {
		return nil
	}
	out, in := g.Out(id), g.In(id)
	for _, e := range out {
		if e.To != out[0].To || g.Type(e.To, at) != Exchange {
			return nil
		}
	}
	sums := map[string]*big.Rat{}
	add := func(e Edge, sign int64) {
		v, ok := new(big.Rat).SetString(e.Amount)
		if sums[e.Token] == nil {
			sums[e.Token] = new(big.Rat)
		}
		if ok {
			sums[e.Token].Add(sums[e.Token], v.Mul(v, big.NewRat(sign, 1)))
		}
	}
	got := map[string]*big.Rat{}
	var payers []string
	last := out[len(out)-1].At
	for _, e := range in {
		if !open(e.From) {
			return nil
		}
		payers = append(payers, e.From)
		if e.At > last { // not passed on yet
			continue
		}
		add(e, 1)
	}
	for token, v := range sums {
		got[token] = new(big.Rat).Set(v)
	}
	for _, e := range out {
		add(e, -1)
	}
	for token, left := range sums {
		if got[token] == nil || left.Sign() < 0 || left.Cmp(new(big.Rat).Mul(got[token], new(big.Rat).SetFloat64(1-depositPassed))) > 0 {
			return nil
		}
	}
	payers = slices.Compact(slices.Sorted(slices.Values(payers)))
	if len(payers) < 2 || len(payers) > depositMost {
		return nil
	}
	for _, p := range payers[1:] {
		links = append(links, Link{payers[0], p, DepositReuse, id, in[0].At})
	}
	return links
}

// funded joins the accounts whose first money came from one address that deals with few.
func (g *Graph) funded(open func(string) bool) (links []Link) {
	by := map[string][]Edge{}
	for _, v := range g.nodes {
		in, got := g.earliest(v.in)
		out, acted := g.earliest(v.out)
		if got && acted && in.Token == "" && out.At >= in.At {
			by[in.From] = append(by[in.From], in)
		}
	}
	for funder, list := range by {
		if len(list) < fundingLeast || !open(funder) {
			continue
		}
		list = slices.DeleteFunc(list, func(e Edge) bool { return !open(e.To) })
		if len(list) < fundingLeast || len(list) > fundingMost {
			continue
		}
		slices.SortFunc(list, compare)
		for i := 1; i < len(list); i++ {
			if list[i].At-list[i-1].At <= fundingSpan {
				a, b := list[i-1].To, list[i].To
				links = append(links, Link{min(a, b), max(a, b), CommonFunding, funder, list[i].At})
			}
		}
	}
	return links
}
