package wallet

import (
	"cmp"
	"math/big"
	"slices"
	"strconv"
)

// MostShown is how many addresses one picture may hold.
const MostShown = 200

// Picture is a part of the graph as people can look at it: layers from left to right in the direction of the money.
type Picture struct {
	Nodes   []Node  `json:"nodes"`
	Arrows  []Arrow `json:"arrows"`
	Left    int     `json:"left"`    // addresses within the hops that found no room
	Dropped int64   `json:"dropped"` // transfers that the graph no longer holds
}

// Node is an address in a picture. X and Y are within 0 and 1, from the left and from the top.
type Node struct {
	ID     string  `json:"id"`
	Layer  int     `json:"layer"` // 0 = asked for; above, where money went; below zero, where it came from
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Type   Type    `json:"type,omitempty"`
	Label  string  `json:"label,omitempty"`
	Source string  `json:"source,omitempty"` // of the label
	More   int     `json:"more,omitempty"`   // counterparties that are not in the picture
}

// Arrow is all that went from one address to another.
type Arrow struct {
	From      string  `json:"from"`
	To        string  `json:"to"`
	Transfers int     `json:"transfers"`
	USD       float64 `json:"usd,omitempty"`
	Tokens    []Total `json:"tokens"` // exact, at most 5, the most dollars first
	First     int64   `json:"first"`
	Last      int64   `json:"last"`
	Tx        string  `json:"tx,omitempty"` // of the largest transfer
}

// Total is the sum of one token.
type Total struct {
	Token  string  `json:"token,omitempty"`
	Symbol string  `json:"symbol,omitempty"`
	Amount string  `json:"amount"`
	USD    float64 `json:"usd,omitempty"`
}

// Picture draws what lies around addresses, at most hops away (1 to MostHops) and at most most addresses (at most MostShown); the largest sums
// are taken first. What deals with everybody is shown and not gone through. It depends on what the graph holds, not on the order it came in.
func (g *Graph) Picture(around []string, hops, most int, at int64) Picture {
	hops, most = min(max(hops, 1), MostHops), min(max(most, 1), MostShown)
	layer := map[string]int{}
	var front []string
	for _, id := range slices.Compact(slices.Sorted(slices.Values(around))) {
		if len(layer) < most {
			layer[id] = 0
			front = append(front, id)
		}
	}
	p := Picture{Dropped: g.dropped}
	left := map[string]bool{}
	for hop := 1; hop <= hops; hop++ {
		type candidate struct {
			id    string
			usd   float64
			n     int
			layer int
		}
		found := map[string]*candidate{}
		for _, id := range front {
			if hop > 1 && g.Public(id, at) {
				continue
			}
			for _, in := range []bool{false, true} {
				if l := layer[id]; l < 0 && !in || l > 0 && in {
					continue // money that came goes back, money that went goes on
				}
				for _, e := range g.list(id, in) {
					to := other(e, id)
					if _, has := layer[to]; has {
						continue
					}
					c := found[to]
					if c == nil {
						c = &candidate{id: to, layer: map[bool]int{false: hop, true: -hop}[in]}
						found[to] = c
					}
					c.usd, c.n = c.usd+e.USD, c.n+1
				}
			}
		}
		list := make([]*candidate, 0, len(found))
		for _, c := range found {
			list = append(list, c)
		}
		slices.SortFunc(list, func(a, b *candidate) int {
			return cmp.Or(cmp.Compare(b.usd, a.usd), cmp.Compare(b.n, a.n), cmp.Compare(a.id, b.id))
		})
		front = front[:0:0]
		for _, c := range list {
			if len(layer) >= most {
				left[c.id] = true
				continue
			}
			layer[c.id] = c.layer
			front = append(front, c.id)
		}
		slices.Sort(front)
	}
	for id := range left {
		if _, shown := layer[id]; !shown {
			p.Left++
		}
	}
	p.Arrows = g.arrows(layer)
	p.Nodes = g.lay(layer, p.Arrows, at)
	return p
}

// arrows adds up what went between the addresses shown.
func (g *Graph) arrows(layer map[string]int) []Arrow {
	type sum struct {
		amount *big.Rat
		usd    float64
		symbol string
	}
	all, sums, largest := map[[2]string]*Arrow{}, map[[2]string]map[string]*sum{}, map[[2]string]Edge{}
	for id := range layer {
		for _, e := range g.Out(id) {
			if _, shown := layer[e.To]; !shown {
				continue
			}
			k := [2]string{e.From, e.To}
			a := all[k]
			if a == nil {
				a = &Arrow{From: e.From, To: e.To, First: e.At}
				all[k], sums[k] = a, map[string]*sum{}
			}
			a.Transfers, a.USD, a.Last = a.Transfers+1, a.USD+e.USD, e.At
			s := sums[k][e.Token]
			if s == nil {
				s = &sum{amount: new(big.Rat), symbol: e.Symbol}
				sums[k][e.Token] = s
			}
			if v, ok := new(big.Rat).SetString(e.Amount); ok {
				s.amount.Add(s.amount, v)
			}
			s.usd += e.USD
			if b, has := largest[k]; !has || e.USD > b.USD {
				largest[k], a.Tx = e, e.Tx
			}
		}
	}
	out := make([]Arrow, 0, len(all))
	for k, a := range all {
		for token, s := range sums[k] {
			a.Tokens = append(a.Tokens, Total{token, s.symbol, exact(s.amount), s.usd})
		}
		slices.SortFunc(a.Tokens, func(x, y Total) int { return cmp.Or(cmp.Compare(y.USD, x.USD), cmp.Compare(x.Token, y.Token)) })
		a.Tokens = a.Tokens[:min(len(a.Tokens), 5)]
		out = append(out, *a)
	}
	slices.SortFunc(out, func(a, b Arrow) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	return out
}

// lay places the addresses: a column for each layer, and within it each near the middle of those it deals with in the columns already laid,
// from the middle outwards (the barycentre rule of K. Sugiyama, S. Tagawa, M. Toda, 1981, one pass).
func (g *Graph) lay(layer map[string]int, arrows []Arrow, at int64) []Node {
	columns, low, high := map[int][]string{}, 0, 0
	for id, l := range layer {
		columns[l] = append(columns[l], id)
		low, high = min(low, l), max(high, l)
	}
	near := map[string][]string{}
	for _, a := range arrows {
		near[a.From] = append(near[a.From], a.To)
		near[a.To] = append(near[a.To], a.From)
	}
	y := map[string]float64{}
	place := func(l int) {
		ids := columns[l]
		middle := map[string]float64{}
		for _, id := range ids {
			sum, n := 0.0, 0
			for _, o := range near[id] {
				if v, laid := y[o]; laid {
					sum, n = sum+v, n+1
				}
			}
			if middle[id] = 0.5; n > 0 {
				middle[id] = sum / float64(n)
			}
		}
		slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(middle[a], middle[b]), cmp.Compare(a, b)) })
		for i, id := range ids {
			y[id] = (float64(i) + 1) / (float64(len(ids)) + 1)
		}
	}
	place(0)
	for l := 1; l <= max(high, -low); l++ {
		place(l)
		place(-l)
	}
	shown := map[string]int{}
	for id, list := range near {
		slices.Sort(list)
		shown[id] = len(slices.Compact(list))
	}
	var nodes []Node
	for l := low; l <= high; l++ {
		for _, id := range columns[l] {
			n := Node{ID: id, Layer: l, X: 0.5, Y: y[id], Type: g.Type(id, at), More: max(g.Degree(id)-shown[id], 0)}
			if high > low {
				n.X = float64(l-low) / float64(high-low)
			}
			if labels := g.Labels(id, at); len(labels) > 0 {
				n.Label, n.Source = labels[0].Name, labels[0].Source
			}
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// exact writes a sum of decimals without rounding.
func exact(r *big.Rat) string {
	n, _ := r.FloatPrec()
	return r.FloatString(n)
}

func float(amount string) float64 {
	v, err := strconv.ParseFloat(amount, 64)
	if err != nil || v < 0 {
		return 0
	}
	return v
}
