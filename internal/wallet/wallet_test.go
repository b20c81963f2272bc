package wallet_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/observation"
	"github.com/tocsin-ops/tocsin/internal/wallet"
)

var update = flag.Bool("update", false, "write the golden files anew")

const hour = int64(3_600_000)

func id(name string) string { return "c/" + name }

func pay(at int64, from, to string, usd float64) wallet.Edge {
	return wallet.Edge{From: id(from), To: id(to), Token: "0xusdc", Symbol: "USDC", Amount: fmt.Sprintf("%.2f", usd), USD: usd, Tx: fmt.Sprint("tx-", from, "-", to, "-", at), At: at}
}

// story is made up: a bridge is robbed, the loot is spread over twelve new addresses; one of them peels it through six more, and the end is
// paid into an exchange by two mules who share one customer's address there. The exchange deals with everybody.
func story() (list []wallet.Edge) {
	add := func(e wallet.Edge) { list = append(list, e) }
	add(pay(10*hour, "bridge", "thief", 1_200_000))
	for i := range 12 {
		add(pay(11*hour+int64(i)*60_000, "thief", fmt.Sprintf("spread%02d", i), 100_000))
	}
	from, v := "spread00", 100_000.0
	for i := range 6 {
		to := fmt.Sprintf("peel%d", i)
		add(pay(12*hour+int64(i)*hour, from, to, v*0.95))
		add(pay(12*hour+int64(i)*hour+1, from, fmt.Sprintf("change%d", i), v*0.05))
		from, v = to, v*0.95
	}
	add(pay(19*hour, from, "mule1", v))
	add(pay(20*hour, "spread01", "mule2", 100_000))
	add(pay(21*hour, "mule1", "customer", v))
	add(pay(22*hour, "mule2", "customer", 100_000))
	add(pay(23*hour, "customer", "exchange", v+100_000))
	for i := range 70 {
		add(pay(int64(i)*hour/4, fmt.Sprintf("someone%02d", i), "exchange", 500))
		add(pay(int64(i)*hour/4+1000, "exchange", fmt.Sprintf("other%02d", i), 400))
	}
	return list
}

func told(t testing.TB, edges []wallet.Edge) *wallet.Graph {
	t.Helper()
	g := wallet.New(wallet.Limits{})
	for _, e := range edges {
		if !g.Add(e) {
			t.Fatalf("not taken: %+v", e)
		}
	}
	for name, l := range map[string]wallet.Label{
		"thief":    {Name: "Bridge thief", Type: wallet.Flagged, Source: "our list", At: 0},
		"exchange": {Name: "Exchange: hot wallet", Type: wallet.Exchange, Source: "public list of 2026-01", At: 0},
		"bridge":   {Name: "Bridge", Type: wallet.Bridge, Source: "configuration", At: 0},
	} {
		if err := g.Label(id(name), l); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func names(edges []wallet.Edge) string {
	var out []string
	for i, e := range edges {
		if i == 0 {
			out = append(out, strings.TrimPrefix(e.From, "c/"))
		}
		out = append(out, strings.TrimPrefix(e.To, "c/"))
	}
	return strings.Join(out, " ")
}

func TestStory(t *testing.T) {
	g := told(t, story())
	at := 30 * hour
	if f := g.FanOut(id("thief"), hour); len(f.Others) != 12 || f.USD != 1_200_000 {
		t.Errorf("fan out %+v", f)
	}
	if f := g.FanIn(id("customer"), 2*hour); len(f.Others) != 2 || f.Onwards != 1 {
		t.Errorf("fan in %+v", f)
	}
	if got := names(g.Peel(id("spread00"))); got != "spread00 peel0 peel1 peel2 peel3 peel4 peel5 mule1 customer" {
		t.Errorf("peel chain %s", got)
	}
	to := func(want wallet.Type) func(string, []wallet.Label, wallet.Type) bool {
		return func(_ string, _ []wallet.Label, is wallet.Type) bool { return is == want }
	}
	p, ok := g.Shortest(id("thief"), wallet.Search{Ends: to(wallet.Exchange), Hops: 12, At: at})
	if !ok || names(p.Hops) != "thief spread01 mule2 customer exchange" || p.USD != 100_000 || !p.Whole {
		t.Errorf("to the exchange: %s %+v", names(p.Hops), p)
	}
	p, ok = g.Shortest(id("customer"), wallet.Search{Backward: true, Ends: to(wallet.Flagged), At: at})
	if !ok || p.End != id("thief") || len(p.Hops) != 3 || p.Hops[2].From != id("thief") {
		t.Errorf("back to the thief: %s %+v", names(p.Hops), p)
	}
	if _, ok = g.Shortest(id("thief"), wallet.Search{Ends: func(x string, _ []wallet.Label, _ wallet.Type) bool { return x == id("other69") }, Hops: 12, At: at}); ok {
		t.Error("the path goes through the exchange, behind which the money of all is one")
	}
	if p, ok = g.Shortest(id("thief"), wallet.Search{Ends: to(wallet.Exchange), Hops: 3, At: at}); ok {
		t.Errorf("three hops are too few: %+v", p)
	}
	if _, ok = g.Shortest(id("thief"), wallet.Search{Ends: to(wallet.Exchange), Hops: 12, LeastUSD: 150_000, At: at}); ok {
		t.Error("small transfers were not passed over")
	}

	c := g.Clusters(at)
	if m := c.Members(id("mule1")); !slices.Equal(m, []string{id("mule1"), id("mule2")}) || c.Links(id("mule1"))[0].Reason != wallet.DepositReuse {
		t.Errorf("the mules: %v %+v", m, c.Links(id("mule1")))
	}
	if len(c.All()) != 1 {
		t.Errorf("clusters %v", c.All())
	}
	shares := g.Taint([]string{id("thief")}, 12, 40, at)
	want := map[string]float64{"spread01": 1, "mule1": 1, "customer": 1, "exchange": (73509.18906250 + 100_000) / (173_509.18906250 + 35_000)}
	for _, s := range shares {
		name := strings.TrimPrefix(s.ID, "c/")
		if w, has := want[name]; has && (s.Of < w-0.01 || s.Of > w+0.01) {
			t.Errorf("%s has %.3f from the thief, want %.3f", name, s.Of, w)
		}
		if strings.HasPrefix(name, "other") {
			t.Errorf("the exchange's customer %s is tainted", name)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("no share for %v", want)
	}
	golden(t, "story.json", g.Picture([]string{id("thief")}, 4, 22, at))
}

func golden(t *testing.T, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(want)) != string(got) {
		t.Errorf("%s differs (%v); look at it, then run with -update:\n%s", file, err, got)
	}
}

// TestOrderDoesNotShow gives the story in any order, each transfer once or twice: every answer is the same.
func TestOrderDoesNotShow(t *testing.T) {
	first := told(t, story())
	rapid.Check(t, func(rt *rapid.T) {
		list := story()
		r := rand.New(rand.NewSource(rapid.Int64().Draw(rt, "seed")))
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		g := told(t, list)
		for _, e := range list[:10] {
			if g.Add(e) {
				rt.Fatalf("taken twice: %+v", e)
			}
		}
		for _, at := range []int64{0, 30 * hour} {
			a, b := first.Clusters(at), g.Clusters(at)
			if !reflect.DeepEqual(a.All(), b.All()) || !reflect.DeepEqual(a.Links(id("mule1")), b.Links(id("mule1"))) {
				rt.Fatalf("clusters %v and %v", a.All(), b.All())
			}
			if !reflect.DeepEqual(first.Picture([]string{id("thief")}, 5, 20, at), g.Picture([]string{id("thief")}, 5, 20, at)) {
				rt.Fatal("the pictures differ")
			}
			if !reflect.DeepEqual(first.Taint([]string{id("thief")}, 5, 9, at), g.Taint([]string{id("thief")}, 5, 9, at)) {
				rt.Fatal("the shares differ")
			}
			s := wallet.Search{Ends: wallet.Labelled, At: at}
			p, _ := first.Shortest(id("spread00"), s)
			q, _ := g.Shortest(id("spread00"), s)
			if !reflect.DeepEqual(p, q) {
				rt.Fatalf("paths %+v and %+v", p, q)
			}
		}
	})
}

// TestInputsInAnyOrder: who is joined by common inputs does not depend on the order of the transactions, and is what joining by hand gives.
func TestInputsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type spend struct {
			tx     string
			owners []string
		}
		var all []spend
		for i := range rapid.IntRange(1, 20).Draw(t, "n") {
			s := spend{tx: fmt.Sprint("t", i)}
			for range rapid.IntRange(1, 4).Draw(t, "k") {
				s.owners = append(s.owners, id(fmt.Sprint("a", rapid.IntRange(0, 25).Draw(t, "a"))))
			}
			all = append(all, s)
		}
		group := map[string]string{} // by hand: the smallest name wins until nothing changes
		name := func(a string) string {
			if group[a] == "" {
				group[a] = a
			}
			return group[a]
		}
		for changed := true; changed; {
			changed = false
			for _, s := range all {
				low := name(s.owners[0])
				for _, o := range s.owners {
					low = min(low, name(o))
				}
				for _, o := range s.owners {
					if group[o] != low {
						group[o], changed = low, true
					}
				}
			}
		}
		build := func(order []spend) wallet.Clusters {
			g := wallet.New(wallet.Limits{})
			for _, s := range order {
				g.Spend(s.tx, s.owners, nil, 1)
				g.Spend(s.tx, s.owners, nil, 1)
			}
			return g.Clusters(1)
		}
		a := build(all)
		slices.Reverse(all)
		b := build(all)
		for x := range group {
			if a.Of(x) != b.Of(x) || a.Of(x) != group[x] {
				t.Fatalf("%s is of %s, reversed %s, by hand %s", x, a.Of(x), b.Of(x), group[x])
			}
		}
	})
}

func TestGuards(t *testing.T) {
	g := told(t, story())
	if g.Spend("join", []string{id("x"), id("y"), id("z")}, []string{"0.10", "0.1", "0.100", "3"}, 1) {
		t.Error("a joined transaction of strangers was taken for one hand")
	}
	if !g.Spend("own", []string{id("x"), id("y")}, []string{"1", "2"}, 1) || !slices.Equal(g.Clusters(1).Members(id("y")), []string{id("x"), id("y")}) {
		t.Error("common inputs were not joined")
	}
	// A false label says nothing of the neighbours, and expires; an exchange joins nobody.
	if err := g.Label(id("spread05"), wallet.Label{Name: "scam?", Type: wallet.Flagged, Source: "a bot", At: 1, Until: 100 * hour}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"thief", "spread04", "change0"} {
		for _, l := range g.Labels(id(n), 2) {
			if l.Source == "a bot" {
				t.Errorf("the label spread to %s", n)
			}
		}
	}
	if g.Type(id("spread05"), 2) != wallet.Flagged || g.Type(id("spread05"), 100*hour) != wallet.Unknown {
		t.Error("the label does not expire")
	}
	g.Spend("hot", []string{id("exchange"), id("x")}, nil, 1)
	if m := g.Clusters(1).Members(id("exchange")); len(m) > 1 {
		t.Errorf("the exchange is in a cluster: %v", m)
	}
	// Without a label it still deals with everybody, and its customers whom it funded are not one hand.
	g.Unsay("public list of 2026-01", func(x string) bool { return x == id("exchange") })
	if g.Type(id("exchange"), 1) != wallet.Exchange {
		t.Error("what was to be kept is gone")
	}
	g.Unsay("public list of 2026-01", func(string) bool { return false })
	if g.Type(id("thief"), 1) != wallet.Flagged {
		t.Error("what another source said is gone")
	}
	if !g.Public(id("exchange"), 1) || len(g.Clusters(1).Members(id("other01"))) > 0 {
		t.Error("without its label the exchange joins its customers")
	}
	for _, l := range []wallet.Label{{Name: "x"}, {Source: "y"}} {
		if g.Label(id("a"), l) == nil {
			t.Errorf("taken: %+v", l)
		}
	}
}

func TestCommonFunding(t *testing.T) {
	g := wallet.New(wallet.Limits{})
	coin := func(at int64, from, to string) {
		e := pay(at, from, to, 50)
		e.Token, e.Symbol = "", "ETH"
		g.Add(e)
	}
	for i := range 3 {
		coin(int64(i)*hour, "funder", fmt.Sprint("new", i))
		coin(int64(i)*hour+60_000, fmt.Sprint("new", i), "shop")
	}
	coin(0, "payer", "old")
	coin(1, "payer", "friend")
	coin(hour, "friend", "shop")
	c := g.Clusters(0)
	if m := c.Members(id("new1")); !slices.Equal(m, []string{id("new0"), id("new1"), id("new2")}) || c.Links(id("new0"))[0].By != id("funder") {
		t.Errorf("%v", m)
	}
	if len(c.All()) != 1 {
		t.Errorf("%v", c.All())
	}
}

// TestCoinsAreNoAccounts: on a chain of coins neither who paid first nor where it is paid into makes one hand, also after a restart.
func TestCoinsAreNoAccounts(t *testing.T) {
	for _, traced := range []bool{false, true} {
		g := wallet.New(wallet.Limits{})
		see := func(at int64, from, to string) {
			g.Observe(observation.Observation{At: at, Kind: observation.Transfer, Chain: "c", Tx: fmt.Sprint(from, to), From: from, To: to, Amount: "1", Traced: traced})
		}
		for i := range 3 {
			see(int64(i)*hour, "funder", fmt.Sprint("new", i))
			see(int64(i)*hour+60_000, fmt.Sprint("new", i), "deposit")
		}
		if err := g.Label(id("exchange"), wallet.Label{Name: "x", Type: wallet.Exchange, Source: "list"}); err != nil {
			t.Fatal(err)
		}
		g.Observe(observation.Observation{At: 5 * hour, Kind: observation.Transfer, Chain: "c", Tx: "on", From: "deposit", To: "exchange", Amount: "3", Traced: traced})
		b, err := g.Save()
		if err != nil {
			t.Fatal(err)
		}
		h := wallet.New(wallet.Limits{})
		if err := h.Load(b); err != nil {
			t.Fatal(err)
		}
		for _, x := range []*wallet.Graph{g, h} {
			if all := x.Clusters(6 * hour).All(); (len(all) > 0) == traced {
				t.Errorf("coins %v: clusters %v", traced, all)
			}
		}
	}
}

// TestTimeDoesNotRunBackwards: what was paid before it came is no path.
func TestTimeDoesNotRunBackwards(t *testing.T) {
	g := wallet.New(wallet.Limits{})
	g.Add(pay(5, "a", "b", 10))
	g.Add(pay(4, "b", "c", 10))
	end := func(want string) func(string, []wallet.Label, wallet.Type) bool {
		return func(x string, _ []wallet.Label, _ wallet.Type) bool { return x == id(want) }
	}
	if p, ok := g.Shortest(id("a"), wallet.Search{Ends: end("c")}); ok {
		t.Errorf("%+v", p)
	}
	if p, ok := g.Shortest(id("c"), wallet.Search{Ends: end("a"), Backward: true}); ok {
		t.Errorf("%+v", p)
	}
	// The shorter way comes too late, so the longer one is found.
	g.Add(pay(6, "b", "d", 10))
	g.Add(pay(7, "d", "c", 10))
	g.Add(pay(8, "c", "e", 10))
	p, ok := g.Shortest(id("a"), wallet.Search{Ends: end("e")})
	if !ok || names(p.Hops) != "a b d c e" {
		t.Errorf("%s", names(p.Hops))
	}
	p, ok = g.Shortest(id("e"), wallet.Search{Ends: end("a"), Backward: true})
	if !ok || len(p.Hops) != 4 || p.Hops[3].From != id("a") {
		t.Errorf("%+v", p)
	}
}

func TestBoundsAndState(t *testing.T) {
	g := wallet.New(wallet.Limits{Edges: 1000})
	if err := g.Label(id("keep"), wallet.Label{Name: "k", Source: "s"}); err != nil {
		t.Fatal(err)
	}
	g.Add(pay(0, "keep", "x", 0.01))
	for i := range 5000 {
		g.Add(pay(int64(i)+1, fmt.Sprint("f", i), fmt.Sprint("t", i), float64(1+i%100)))
	}
	edges, addresses, dropped := g.Size()
	if edges > 1000 || addresses > 2001 || dropped+int64(edges) != 5001 || len(g.Out(id("keep"))) != 1 {
		t.Errorf("%d transfers, %d addresses, %d dropped", edges, addresses, dropped)
	}
	g = told(t, story())
	g.Spend("own", []string{id("x"), id("y")}, nil, 1)
	b, err := g.Save()
	if err != nil {
		t.Fatal(err)
	}
	h := wallet.New(wallet.Limits{})
	if err := h.Load(b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g.Picture([]string{id("thief")}, 9, 99, hour), h.Picture([]string{id("thief")}, 9, 99, hour)) || !reflect.DeepEqual(g.Clusters(1).All(), h.Clusters(1).All()) {
		t.Error("another graph was loaded")
	}
	for _, bad := range []string{"", "[]", `{"version":2}`, `{"version":1,"limits":{"edges":0},"edges":[{},{}]}`} {
		if h.Load([]byte(bad)) == nil {
			t.Errorf("taken: %s", bad)
		}
	}
}

func TestObservations(t *testing.T) {
	g := wallet.New(wallet.Limits{})
	v := 5.0
	o := observation.Observation{At: 1, Kind: observation.Transfer, Chain: "eth", Tx: "t", From: "0xAB", To: "0xcd", Amount: "1.5", USD: &v}
	if !g.Observe(o) || g.Observe(o) || len(g.Out("eth/0xab")) != 1 {
		t.Error("the transfer was not taken once")
	}
	o.Removed = true
	if !g.Observe(o) || g.Observe(o) || len(g.Out("eth/0xab")) != 0 {
		t.Error("what was taken back is still there")
	}
	s := observation.Observation{At: 1, Kind: observation.Spend, Chain: "btc", Tx: "s", Inputs: []string{"t:0", "t:1", "t:2"}, Owners: []string{"bc1a", "bc1b", ""}, Amounts: []string{"1", "1", "2"}}
	if !g.Observe(s) || len(g.Clusters(1).Members("btc/bc1a")) != 2 {
		t.Error("owners of inputs were not joined")
	}
	s.Removed = true
	if !g.Observe(s) || len(g.Clusters(1).Members("btc/bc1a")) != 0 {
		t.Error("what was taken back still joins")
	}
	s.Removed, s.Tx, s.Amounts = false, "j", []string{"1", "1.0", "1"} // whom nobody knows may be a stranger too
	if g.Observe(s) || len(g.Clusters(1).Members("btc/bc1a")) != 0 {
		t.Error("those who joined their payments are one hand")
	}
	p := observation.Observation{At: 1, Kind: observation.Transfer, Chain: "btc", Tx: "p", From: "bc1c", To: "bc1x", Amount: "2", Owners: []string{"bc1c", "bc1d"}, Amounts: []string{"2"}, Traced: true}
	if !g.Observe(p) || len(g.Clusters(1).Members("btc/bc1d")) != 2 || len(g.In("btc/bc1x")) != 1 {
		t.Error("who paid together was not joined")
	}
	p.Removed = true
	if !g.Observe(p) || len(g.Clusters(1).Members("btc/bc1d")) != 0 || len(g.In("btc/bc1x")) != 0 {
		t.Error("what was taken back still joins")
	}
	for _, bad := range []observation.Observation{{Kind: "odd"}, {Kind: observation.Transfer, Chain: "c", From: "a", Amount: "1"}, {Kind: observation.Transfer, Chain: "c", From: "a", To: "a", Amount: "1"},
		{Kind: observation.Transfer, Chain: "c", From: "a", To: "b", Amount: "x"}} {
		if g.Observe(bad) {
			t.Errorf("taken: %+v", bad)
		}
	}
}

// TestPictures: whatever is asked, a picture keeps its bounds and its arrows end at what it shows.
func TestPictures(t *testing.T) {
	g := told(t, story())
	rapid.Check(t, func(t *rapid.T) {
		around := rapid.SliceOfN(rapid.SampledFrom([]string{id("thief"), id("exchange"), id("peel3"), id("nobody")}), 0, 4).Draw(t, "around")
		hops, most := rapid.IntRange(-1, 20).Draw(t, "hops"), rapid.IntRange(-1, 300).Draw(t, "most")
		p := g.Picture(around, hops, most, hour)
		if len(p.Nodes) > max(most, 1) || len(p.Nodes) > wallet.MostShown {
			t.Fatalf("%d of %d", len(p.Nodes), most)
		}
		shown := map[string]bool{}
		places := map[[2]float64]bool{}
		for _, n := range p.Nodes {
			if shown[n.ID] || places[[2]float64{n.X, n.Y}] || n.X < 0 || n.X > 1 || n.Y <= 0 || n.Y >= 1 || n.More < 0 {
				t.Fatalf("%+v", n)
			}
			shown[n.ID], places[[2]float64{n.X, n.Y}] = true, true
		}
		for _, a := range p.Arrows {
			if !shown[a.From] || !shown[a.To] || a.Transfers < 1 || a.First > a.Last || len(a.Tokens) == 0 {
				t.Fatalf("%+v", a)
			}
		}
	})
}

func BenchmarkFullGraph(b *testing.B) {
	g := wallet.New(wallet.Limits{})
	r := rand.New(rand.NewSource(1))
	for i := range wallet.MostEdges {
		e := pay(int64(i), fmt.Sprint("a", r.Intn(60_000)), fmt.Sprint("a", r.Intn(60_000)), float64(r.Intn(1000)+1))
		e.Token = ""
		g.Add(e)
	}
	b.Run("add", func(b *testing.B) {
		for i := range b.N {
			g.Add(pay(int64(wallet.MostEdges+i), fmt.Sprint("a", r.Intn(60_000)), fmt.Sprint("a", r.Intn(60_000)), 5))
		}
	})
	b.Run("clusters", func(b *testing.B) {
		for range b.N {
			g.Clusters(1)
		}
	})
	b.Run("picture", func(b *testing.B) {
		for range b.N {
			g.Picture([]string{id("a1")}, 4, 100, 1)
		}
	})
	b.Run("path", func(b *testing.B) {
		for range b.N {
			g.Shortest(id("a1"), wallet.Search{Ends: wallet.Labelled, Hops: 6})
		}
	})
}
