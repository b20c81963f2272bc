package web

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/wallet"
	"github.com/tocsin-ops/tocsin/views"
)

// Measures of a picture, in its own units.
const (
	boxWide, boxHigh   = 176, 44
	columnWide, rowGap = 270, 66
	pictureEdge        = 12
	loopWide           = 44 // how far a flow within one column swings out
	nameMost           = 22 // characters of a name in a box
	heldMost           = 27 // of the line below it
	flowsWritten       = 14 // flows whose sum is written beside them
	flowsSaid          = 60 // flows in words; the rest are in the drawing alone
)

// drawWallets lays a part of the graph out: a column for each step, money from left to right.
func (s *Server) drawWallets(g sight, p wallet.Picture, around []string, now int64) views.Picture {
	low, high, rows := 0, 0, map[int]int{}
	for _, n := range p.Nodes {
		low, high = min(low, n.Layer), max(high, n.Layer)
		rows[n.Layer]++
	}
	most := 1
	for _, n := range rows {
		most = max(most, n)
	}
	out := views.Picture{Width: 2*pictureEdge + (high-low)*columnWide + boxWide, High: (most+1)*rowGap - 2*(rowGap-boxHigh), Left: p.Left}
	boxes, layers := map[string]views.PictureNode{}, map[string]int{}
	for _, n := range p.Nodes {
		_, address, _ := strings.Cut(n.ID, "/")
		n.Label, n.Type = "", g.Type(n.ID, now)
		if l := g.Labels(n.ID, now); len(l) > 0 {
			n.Label = l[0].Name
		}
		b := views.PictureNode{
			Address: address, Name: cutText(cmp.Or(n.Label, shortAddress(address)), nameMost), Kind: walletKind(n.Type), Href: walletsHref(n.ID),
			X: pictureEdge + int(math.Round(n.X*float64((high-low)*columnWide))), Y: int(math.Round(n.Y*float64((most+1)*rowGap))) - (rowGap - boxHigh) - boxHigh/2,
			Bad: n.Type == wallet.Flagged || n.Type == wallet.Mixer, Ours: n.Type == wallet.Watched, Middle: slices.Contains(around, n.ID),
		}
		if high == low {
			b.X = pictureEdge
		}
		b.Held = held(g, n.ID, n.Layer)
		if b.Kind != "" && len([]rune(b.Kind+" · "+b.Held)) > heldMost {
			b.Held, _, _ = strings.Cut(b.Held, " · ")
		}
		boxes[n.ID], layers[n.ID] = b, n.Layer
		out.Nodes = append(out.Nodes, b)
	}
	arrows := slices.Clone(p.Arrows)
	slices.SortStableFunc(arrows, func(a, b wallet.Arrow) int {
		return cmp.Or(cmp.Compare(b.USD, a.USD), cmp.Compare(b.Transfers, a.Transfers))
	})
	size := func(a wallet.Arrow) float64 { return a.USD }
	if len(arrows) > 0 && arrows[0].USD == 0 { // none is priced
		size = func(a wallet.Arrow) float64 { return float64(a.Transfers) }
	}
	flows := map[string]int{}
	for _, a := range arrows {
		flows[a.From]++
		flows[a.To]++
	}
	in, paidBy := 0, 0
	for i, a := range arrows {
		from, to := boxes[a.From], boxes[a.To]
		e := flow(from, to, layers[a.From], layers[a.To], flows[a.To] < flows[a.From])
		e.Width = strconv.FormatFloat(1+6*math.Sqrt(size(a)/size(arrows[0])), 'f', 1, 64)
		if i < flowsWritten {
			e.Text = flowText(a)
		}
		if i < flowsSaid {
			e.Says = walletName(g, a.From, now) + " paid " + walletName(g, a.To, now) + " " + flowSays(a)
		}
		if slices.Contains(around, a.To) {
			in++
		}
		if slices.Contains(around, a.From) {
			paidBy++
		}
		out.Edges = append(out.Edges, e)
	}
	out.Says = counted(len(p.Nodes), "address", "addresses")
	if len(around) == 1 {
		out.Says += fmt.Sprintf(": %d paid it, it paid %d", in, paidBy)
	}
	if len(arrows) > 0 && out.Edges[0].Says != "" {
		out.Says += ". The largest flow: " + out.Edges[0].Says
	}
	out.Says += "."
	return out
}

// held is what came and went, as far as it belongs to the picture's direction.
func held(g sight, id string, layer int) string {
	sum := func(word string, list []wallet.Edge) string {
		if len(list) == 0 {
			return ""
		}
		usd := 0.0
		for _, e := range list {
			usd += e.USD
		}
		if usd > 0 {
			return word + " " + dollars(usd)
		}
		return word + " " + strconv.Itoa(len(list)) + "×"
	}
	in, out := sum("in", g.In(id)), sum("out", g.Out(id))
	switch {
	case layer < 0 && out != "":
		return out
	case layer > 0 && in != "":
		return in
	case in == "" || out == "":
		return in + out
	}
	return in + " · " + out
}

// flow is the line from one box to another. Its sum stands at the end where fewer lines meet.
func flow(from, to views.PictureNode, a, b int, end bool) (e views.PictureEdge) {
	y1, y2 := from.Y+boxHigh/2, to.Y+boxHigh/2
	switch {
	case a < b: // onwards
		x1, x2 := from.X+boxWide, to.X
		m := (x1 + x2) / 2
		e.Path = fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, m, y1, m, y2, x2, y2)
		e.TX, e.TY = m, y1-6
		if end {
			e.TY = y2 - 6
		}
	case a > b: // back
		y1, y2 = from.Y+boxHigh-10, to.Y+boxHigh-10
		x1, x2 := from.X, to.X+boxWide
		m := (x1 + x2) / 2
		e.Path = fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, m, y1, m, y2, x2, y2)
		e.TX, e.TY = m, y1+14
		if end {
			e.TY = y2 + 14
		}
	default: // among those of one step
		x := from.X + boxWide
		e.Path = fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x, y1, x+loopWide, y1, x+loopWide, y2, x, y2)
		e.TX, e.TY = x+loopWide, (y1+y2)/2+4
	}
	return e
}

// flowText is what stands beside a line.
func flowText(a wallet.Arrow) string {
	t := ""
	switch {
	case a.USD > 0:
		t = dollars(a.USD)
	case len(a.Tokens) > 0:
		t = cutText(amount(a.Tokens[0].Amount)+" "+unit(a.Tokens[0].Token, a.Tokens[0].Symbol), 18)
	}
	return t
}

// flowSays is "2.1 M$ in 21 transfers (2 100 ETH), 1 Aug 21:40 UTC to 1 Aug 22:10 UTC".
func flowSays(a wallet.Arrow) string {
	var tokens []string
	for _, t := range a.Tokens {
		tokens = append(tokens, amount(t.Amount)+" "+unit(t.Token, t.Symbol))
	}
	t := strings.Join(tokens, ", ")
	if a.USD > 0 {
		t += " (" + dollars(a.USD) + ")"
	}
	if a.Transfers > 1 {
		return t + " in " + counted(a.Transfers, "transfer", "transfers") + ", " + utc(a.First) + " to " + utc(a.Last)
	}
	return t + ", " + utc(a.First)
}
