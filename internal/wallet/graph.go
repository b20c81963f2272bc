// Package wallet owns the graph of addresses: who paid whom, what addresses are known to be, and which of them one hand holds; it never calls
// anybody guilty, reads no clock, and asks no chain.
package wallet

import (
	"cmp"
	"crypto/sha256"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Bounds of a graph when Limits do not say otherwise.
const (
	MostEdges  = 200_000 // transfers; beyond, a tenth goes: the smallest of the older half
	MostLinks  = 50_000  // reasons for one hand from common inputs; beyond, the oldest go
	MostLabels = 50_000  // addresses with labels; beyond, new ones are refused
	HighDegree = 50      // counterparties from which on an address deals with everybody
	mostChains = 256     // of coins that are known as such
	textMost   = 140     // bytes of an address, a token or a transaction's hash
)

// Limits of a graph; 0 = as the constants say.
type Limits struct {
	Edges  int `json:"edges,omitempty"`
	Degree int `json:"degree,omitempty"`
}

// Edge is one transfer. From and To are IDs.
type Edge struct {
	From   string  `json:"from"`
	To     string  `json:"to"`
	Token  string  `json:"token,omitempty"`  // contract, "" = the chain's own coin
	Symbol string  `json:"symbol,omitempty"` // what people call it
	Amount string  `json:"amount"`           // decimal, never rounded
	USD    float64 `json:"usd,omitempty"`    // 0 = not priced
	Tx     string  `json:"tx,omitempty"`
	At     int64   `json:"at"` // unix ms
}

// vertex is an address and its transfers, by their place in Graph.edges, ascending.
type vertex struct{ out, in []int32 }

// Graph holds transfers between addresses, and what is known of those. Its answers depend on what it was given, not on the order. Not safe for
// concurrent use.
type Graph struct {
	limits  Limits
	edges   []Edge
	nodes   map[string]*vertex
	index   map[[16]byte]int32
	labels  map[string][]Label
	links   []Link
	joined  map[[16]byte]bool
	coins   map[string]bool // chains of coins, not of accounts: From is told of the transactions before
	dropped int64
	newest  int64
}

// New is an empty graph.
func New(l Limits) *Graph {
	if l.Edges <= 0 {
		l.Edges = MostEdges
	}
	if l.Degree <= 0 {
		l.Degree = HighDegree
	}
	return &Graph{limits: l, nodes: map[string]*vertex{}, index: map[[16]byte]int32{}, labels: map[string][]Label{}, joined: map[[16]byte]bool{}, coins: map[string]bool{}}
}

// ID is the one way to write an address: "chain/address", hexadecimal ones in lower case. "" of an empty address.
func ID(chain, address string) string {
	if address == "" {
		return ""
	}
	if strings.HasPrefix(address, "0x") || strings.HasPrefix(address, "0X") {
		address = strings.ToLower(address)
	}
	return short(chain) + "/" + short(address)
}

func short(s string) string {
	if len(s) > textMost {
		return strings.ToValidUTF8(s[:textMost], "")
	}
	return s
}

// Observe takes what concerns the graph: transfers, and the owners of inputs. What a reorganisation took back is taken out again. It says
// whether the graph changed.
func (g *Graph) Observe(o observation.Observation) bool {
	if o.Traced && len(g.coins) < mostChains {
		g.coins[short(o.Chain)] = true
	}
	switch o.Kind {
	case observation.Transfer:
		e := Edge{From: ID(o.Chain, o.From), To: ID(o.Chain, o.To), Token: short(o.Token), Symbol: short(o.Symbol), Amount: short(o.Amount), Tx: short(o.Tx), At: o.At}
		if o.USD != nil && *o.USD > 0 && !math.IsInf(*o.USD, 0) {
			e.USD = *o.USD
		}
		changed := g.owned(o)
		if o.Removed {
			return g.remove(e) || changed
		}
		return g.Add(e) || changed
	case observation.Spend:
		return g.owned(o)
	}
	return false
}

// owned takes the owners of a transaction's inputs.
func (g *Graph) owned(o observation.Observation) bool {
	if len(o.Owners) == 0 {
		return false
	}
	if o.Removed {
		return g.unspend(o.Tx)
	}
	owners := make([]string, len(o.Owners))
	for i, a := range o.Owners {
		owners[i] = ID(o.Chain, a)
	}
	return g.Spend(o.Tx, owners, o.Amounts, o.At)
}

// Add takes a transfer. The same one twice is once; two equal transfers within one transaction count as one. Without both ends, or from an
// address to itself, it is none.
func (g *Graph) Add(e Edge) bool {
	if e.From == "" || e.To == "" || e.From == e.To || !observation.Decimal(e.Amount) {
		return false
	}
	d := digest(e)
	if _, has := g.index[d]; has && e.Tx != "" {
		return false
	}
	if len(g.edges) >= g.limits.Edges {
		g.forget()
	}
	g.place(e, d)
	g.newest = max(g.newest, e.At)
	return true
}

func (g *Graph) place(e Edge, d [16]byte) {
	i := int32(len(g.edges))
	g.edges = append(g.edges, e)
	g.index[d] = i
	g.need(e.From).out = append(g.need(e.From).out, i)
	g.need(e.To).in = append(g.need(e.To).in, i)
}

func (g *Graph) need(id string) *vertex {
	v := g.nodes[id]
	if v == nil {
		v = &vertex{}
		g.nodes[id] = v
	}
	return v
}

func digest(e Edge) (d [16]byte) {
	h := sha256.New()
	for _, s := range []string{e.Tx, e.From, e.To, strings.ToLower(e.Token), e.Amount} {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	copy(d[:], h.Sum(nil))
	return d
}

// remove takes a transfer out.
func (g *Graph) remove(e Edge) bool {
	i, has := g.index[digest(e)]
	if !has {
		return false
	}
	keep := slices.Delete(slices.Clone(g.edges), int(i), int(i)+1)
	g.rebuild(keep)
	return true
}

func (g *Graph) rebuild(keep []Edge) {
	g.edges, g.nodes, g.index = make([]Edge, 0, len(keep)+1), map[string]*vertex{}, map[[16]byte]int32{}
	for _, e := range keep {
		g.place(e, digest(e))
	}
}

// forget makes room: of the older half the smallest go, a tenth of all; what touches an address with a label goes last.
func (g *Graph) forget() {
	order := make([]int, len(g.edges))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compare(g.edges[a], g.edges[b]) })
	old := order[:len(order)/2+1]
	slices.SortStableFunc(old, func(a, b int) int {
		x, y := g.edges[a], g.edges[b]
		return cmp.Or(cmp.Compare(g.weight(x), g.weight(y)), cmp.Compare(x.USD, y.USD), compare(x, y))
	})
	gone := map[int]bool{}
	for _, i := range old[:max(len(g.edges)/10, 1)] {
		gone[i] = true
	}
	var keep []Edge
	for i, e := range g.edges {
		if !gone[i] {
			keep = append(keep, e)
		}
	}
	g.dropped += int64(len(gone))
	g.rebuild(keep)
}

// weight is 1 for transfers from or to an address with a label.
func (g *Graph) weight(e Edge) int {
	if len(g.labels[e.From]) > 0 || len(g.labels[e.To]) > 0 {
		return 1
	}
	return 0
}

// compare orders transfers by time, and then by all else, so that no order of arrival shows.
func compare(a, b Edge) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Tx, b.Tx), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Token, b.Token), cmp.Compare(a.Amount, b.Amount))
}

// Size is how many transfers and addresses there are, and how many transfers went to make room: answers about old times are then incomplete.
func (g *Graph) Size() (edges, addresses int, dropped int64) {
	return len(g.edges), len(g.nodes), g.dropped
}

// Out are the transfers that an address made, in time order.
func (g *Graph) Out(id string) []Edge { return g.list(id, false) }

// In are the transfers that an address got, in time order.
func (g *Graph) In(id string) []Edge { return g.list(id, true) }

func (g *Graph) list(id string, in bool) []Edge {
	v := g.nodes[id]
	if v == nil {
		return nil
	}
	places := v.out
	if in {
		places = v.in
	}
	list := make([]Edge, 0, len(places))
	for _, i := range places {
		list = append(list, g.edges[i])
	}
	slices.SortFunc(list, compare)
	return list
}

// earliest is the first transfer of a list of places; false when there is none.
func (g *Graph) earliest(places []int32) (Edge, bool) {
	if len(places) == 0 {
		return Edge{}, false
	}
	best := places[0]
	for _, i := range places[1:] {
		if compare(g.edges[i], g.edges[best]) < 0 {
			best = i
		}
	}
	return g.edges[best], true
}

// Degree is how many different addresses one has dealt with.
func (g *Graph) Degree(id string) int {
	v := g.nodes[id]
	if v == nil {
		return 0
	}
	seen := map[string]bool{}
	for _, i := range v.out {
		seen[g.edges[i].To] = true
	}
	for _, i := range v.in {
		seen[g.edges[i].From] = true
	}
	return len(seen)
}

// other is the far end of a transfer.
func other(e Edge, id string) string {
	if e.From == id {
		return e.To
	}
	return e.From
}
