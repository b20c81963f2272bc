package main

import (
	"fmt"

	"github.com/tocsin-ops/tocsin/views"
)

const thief = "0xb5c55f76f90cc528b2609109ca14d8d84593590e"

func around(address string) string { return "/wallets?around=ethereum%2F" + address }

// drawing is a picture as the program lays one out: columns 270 apart, boxes of 176 by 44.
func drawing(columns [][]views.PictureNode, links [][4]int, texts []string) *views.Picture {
	most := 1
	for _, c := range columns {
		most = max(most, len(c))
	}
	g := &views.Picture{Width: 24 + (len(columns)-1)*270 + 176, High: (most+1)*66 - 44}
	for x, c := range columns {
		for y := range c {
			c[y].X, c[y].Y, c[y].Href = 12+x*270, (y+1)*(most+1)*66/(len(c)+1)-44, around(c[y].Address)
			g.Nodes = append(g.Nodes, c[y])
		}
	}
	for i, l := range links {
		from, to := columns[l[0]][l[1]], columns[l[2]][l[3]]
		x1, y1, x2, y2 := from.X+176, from.Y+22, to.X, to.Y+22
		m := (x1 + x2) / 2
		e := views.PictureEdge{Path: fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, m, y1, m, y2, x2, y2), TX: m, TY: y1 - 6, Width: fmt.Sprintf("%.1f", 1+6/float64(i+1)), Says: from.Name + " paid " + to.Name + " " + texts[i%len(texts)] + ", 1 Aug 21:40 UTC"}
		if x1 == 12+270+176 && len(columns) == 3 || x1 == 12+2*270+176 {
			e.TY = y2 - 6
		}
		if i < 14 {
			e.Text = texts[i%len(texts)]
		}
		g.Edges = append(g.Edges, e)
	}
	return g
}

func walletsPage() views.WalletsPage {
	g := drawing([][]views.PictureNode{
		{{Address: "0x88a69b4e698a4b090df6cf5bd7b2d47325ad30a3", Name: "Nomad ERC20 bridge", Kind: "watched", Held: "out 152 M$", Ours: true}, {Address: "0x2", Name: "0x3c0de9…e5f6a7", Held: "out 950 $"}},
		{{Address: thief, Name: "0xb5c55f…93590e", Held: "in 45.7 M$ · out 3.9 M$", Middle: true}},
		{{Address: "0xd90e2f925da726b50c4ed8d0fb90ad053324f31b", Name: "Tornado Cash", Kind: "mixer", Held: "in 2.1 M$", Bad: true}, {Address: "0x4", Name: "Kraken", Kind: "exchange", Held: "in 1.1 M$"}, {Address: "0x5", Name: "0x56d8b6…aac4e3", Held: "in 0.7 M$"}},
	}, [][4]int{{0, 0, 1, 0}, {1, 0, 2, 0}, {1, 0, 2, 1}, {1, 0, 2, 2}, {0, 1, 1, 0}}, []string{"45.7 M$", "2.1 M$", "1.1 M$", "0.7 M$", "950 $"})
	g.Title, g.Left = "Who paid whom, 2 steps away", 12
	g.Says = "6 addresses: 2 paid it, it paid 3. The largest flow: Nomad ERC20 bridge paid 0xb5c55f…93590e 1 030 WBTC (23.9 M$) in 11 transfers."
	return views.WalletsPage{
		Base: base("Wallets", "wallets"), Around: "ethereum/" + thief, Hops: 2, Size: "41 207 transfers between 12 630 addresses are known", Dropped: 20_000, Graph: g,
		Wallet: &views.Wallet{
			Chain: "ethereum", ChainName: "Ethereum", Address: thief, Seen: true, Kind: "attacker", In: "45.7 M$ in 31 transfers from 2 addresses", Out: "3.9 M$ in 44 transfers to 19 addresses; 2 not priced", First: ago(50 * m), Last: ago(2 * m),
			Following: "Its transfers are followed since incident #42 lists it, until that is closed. Those before are not known.",
			Rooms:     []views.WalletRoom{{Number: 42, Title: nomad, Kind: "attacker"}},
			Signs:     []string{"Fan-out: it paid 14 addresses that had never been seen, within 38 minutes from 1 Aug 21:36 UTC, 1.9 M$ in all.", "Peel chain: 102 ETH (164 k$) that it paid on 1 Aug 21:44 UTC went on 6 times, each time within a day and more than nine tenths in one piece, to Kraken."},
			Labels:    []views.WalletLabel{{Name: "Nomad exploiter 2", Type: "attacker", Source: "list of the exchange desk, 1 August", At: ago(20 * m), Until: in(24 * 30 * h)}},
			Paths: []views.WalletPath{
				{Title: "Money went to Kraken (exchange) in 2 steps", Says: "At most 164 k$ can have taken this way.", Hops: []views.WalletHop{
					{At: ago(30 * m), From: "0xb5c55f…93590e", To: "0x56d8b6…aac4e3", FromHref: around(thief), ToHref: around("0x56d8b635a7c88fd1104d23d632af40c1c3aac4e3"), Amount: "102 ETH (164 k$)", Tx: "0xa5fe9d044e4f3e5aa5bc4c0709333cd2190cba0f4e7f16bcf73f49f83e4a5460"},
					{At: ago(21 * m), From: "0x56d8b6…aac4e3", To: "Kraken", FromHref: around("0x56d8b635a7c88fd1104d23d632af40c1c3aac4e3"), ToHref: around("0x4"), Amount: "101.4 ETH (163 k$)", Tx: "0xb5fe9d044e4f3e5aa5bc4c0709333cd2190cba0f4e7f16bcf73f49f83e4a5461"}}},
				{Title: "Money came from Nomad ERC20 bridge (watched) in 1 step", Hops: []views.WalletHop{{At: ago(41 * m), From: "Nomad ERC20 bridge", To: "0xb5c55f…93590e", FromHref: around("0x88"), ToHref: around(thief), Amount: "100 WBTC (2.3 M$)", Tx: "0xa5fe9d044e4f3e5aa5bc4c0709333cd2190cba0f4e7f16bcf73f49f83e4a5462"}}},
			},
			Hand: []views.WalletMember{
				{Address: "0x56d8b635a7c88fd1104d23d632af40c1c3aac4e3", Name: "Nomad exploiter 1", Href: around("0x56d8b635a7c88fd1104d23d632af40c1c3aac4e3"), Reason: "got its first coins from 0x3c0de9…e5f6a7, as 0xb5c55f…93590e did within a day of it", At: ago(3 * h)},
				{Address: "0xbf293d5138a2a1ba407b43672643434c43827179", Href: around("0xbf293d5138a2a1ba407b43672643434c43827179"), Reason: "pays, as 0xb5c55f…93590e does, into 0x2faf48…776ad2, which only passes on to an exchange", At: ago(2 * h)},
			}, HandMore: 4,
		},
	}
}

// manyWallets is a picture that is full: sixty addresses in five columns.
func manyWallets() views.WalletsPage {
	p := walletsPage()
	columns := make([][]views.PictureNode, 5)
	var links [][4]int
	for i := range 59 {
		c := []int{0, 1, 3, 4}[i%4]
		columns[c] = append(columns[c], views.PictureNode{Address: fmt.Sprintf("0x%040d", i), Name: fmt.Sprintf("0x%06d…%06d", i, 7*i), Held: fmt.Sprintf("in %d k$", 900-15*i)})
	}
	columns[2] = []views.PictureNode{{Address: thief, Name: "A label as long as fit", Kind: "exchange", Held: "in 45.7 M$", Middle: true}}
	for i := range columns[1] {
		links = append(links, [4]int{1, i, 2, 0}, [4]int{0, i % len(columns[0]), 1, i})
	}
	for i := range columns[3] {
		links = append(links, [4]int{2, 0, 3, i}, [4]int{3, i, 4, i % len(columns[4])})
	}
	p.Graph = drawing(columns, links, []string{"45.7 M$", "2.1 M$", "202 440 USDC", "0.7 M$", "950 $"})
	p.Graph.Title, p.Graph.Says, p.Graph.Left, p.Hops = "Who paid whom, 4 steps away", "60 addresses: 15 paid it, it paid 15.", 412, 4
	return p
}
