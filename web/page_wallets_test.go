package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/wallet"
)

type fakeWallets struct {
	mu sync.Mutex
	g  *wallet.Graph
}

func (f *fakeWallets) Wallets(see func(*wallet.Graph)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	see(f.g)
}

func (f *fakeWallets) Following(id string) string {
	if id == wallet.ID("eth", thief) {
		return "Its transfers are followed <since> #1."
	}
	return ""
}

const victim = "0x88a69b4e698a4b090df6cf5bd7b2d47325ad30a3"

func account(i int) string { return fmt.Sprintf("0x%040x", 0xabc000+i) }

// robbery: a bridge pays a thief, who fans out, and one branch peels on to an exchange; three accounts are funded by one.
func robbery(t *testing.T) *wallet.Graph {
	t.Helper()
	g := wallet.New(wallet.Limits{})
	at := int64(1_659_389_520_000)
	pay := func(from, to, amount string, usd float64, token, symbol string, after int64) {
		if !g.Add(wallet.Edge{From: wallet.ID("eth", from), To: wallet.ID("eth", to), Amount: amount, USD: usd, Token: token, Symbol: symbol, Tx: fmt.Sprintf("0x%064x", g.Degree(wallet.ID("eth", from))*1000+int(after)), At: at + after*60_000}) {
			t.Fatal("a transfer was not taken")
		}
	}
	pay(victim, thief, "100", 2_300_000, "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599", "WBTC", 0)
	for i := range 12 {
		pay(thief, account(i), "1.5", 0, "", "ETH", 10+int64(i))
	}
	for i := range 3 {
		pay(account(i), account(i+100), "0.01", 0, "", "ETH", 40+int64(i))
	}
	amount := 1.4
	last := account(3)
	for i := range 6 {
		pay(last, account(50+i), fmt.Sprintf("%.4f", amount), 0, "", "ETH", 60+int64(i))
		last, amount = account(50+i), amount*0.95
	}
	pay(last, account(99), "1.0000", 1_600, "", "ETH", 90)
	for id, l := range map[string]wallet.Label{victim: {Name: "Nomad <b>bridge", Type: wallet.Watched, Source: "configuration", At: at}, account(99): {Name: "Kraken", Type: wallet.Exchange, Source: "list of 1 March", At: at}} {
		if err := g.Label(wallet.ID("eth", id), l); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func walletHouse(t *testing.T) *house {
	h := newHouse(t, func(o *Options) { o.Wallets = &fakeWallets{g: robbery(t)} })
	h.chains.set(ChainSetting{ID: "eth", Name: "Ethereum", Family: "evm"}, ChainSetting{ID: "btc", Name: "Bitcoin", Family: "bitcoin"})
	return h
}

// TestWallets: what is known of an address, in words and in a picture; and what is said when nothing is.
func TestWallets(t *testing.T) {
	h := walletHouse(t)
	rita, sam := h.member("rita", auth.RoleResponder, ""), h.member("sam", auth.RoleStakeholder, "clients")
	sam.get("/wallets").want(http.StatusForbidden)
	n := h.declare(incident.Declare{Title: "Router drained", Severity: "SEV1"})
	rita.command(n, "add_address", map[string]any{"chain": "eth", "address": thief, "kind": "attacker"}).want(http.StatusOK)
	h.settle()
	for path, wants := range map[string][]string{
		"/wallets": {"23 transfers between", "Paste an address"},
		"/wallets?around=eth/" + strings.ToUpper(thief[2:]): {"Nothing was seen of this address yet", "<code>watches</code>"},
		"/wallets?around=" + thief + "&hops=9": {`<option value="4" selected>`, "attacker in #1", "are followed &lt;since&gt; #1.", "2.3\u202fM$ in 1 transfer from 1 address", "12 transfers to 12 addresses, none of them priced",
			"Fan-out: it paid 12 addresses that had never been seen, within 11 minutes from 1 Aug 21:42 UTC.", "Nomad &lt;b&gt;bridge", "Money came from Nomad"},
		"/wallets?around=Ethereum/0X" + strings.ToUpper(thief[2:]): {"12 transfers to 12 addresses"},
		"/wallets?around=eth/" + account(3):                        {"Peel chain: 1.4 ETH that it paid on 1 Aug 22:32 UTC went on 6 times", "Money came from attacker, #1 in 1 step"},
		"/wallets?around=eth/" + account(1):                        {"Probably the same hand", "got its first coins from attacker, #1, as 0x000000…", "prove nothing"},
		"/wallets?around=eth/" + account(50):                       {"Money went to Kraken (exchange) in 6 steps", "Money came from attacker, #1 in 2 steps"},
		"/wallets?around=eth/" + victim:                            {"says configuration", "Money went to attacker, #1 in 1 step"},
		"/wallets?around=eth/" + account(99):                       {"This address deals with everybody", "says list of 1 March"},
		"/wallets?around=bc1qunknown00000":                         {"on any chain", "Nothing was seen of this address yet"},
		"/wallets?around=%3Cscript%3E":                             {"&lt;script&gt;"},
		"/wallets?around=a%20b":                                    {"holds white space"},
		"/wallets?around=" + strings.Repeat("x", 301):              {"more than 300 characters"},
		"/wallets?around=eth/":                                     {"Write the chain, a slash and the address"},
	} {
		page := rita.get(path).want(http.StatusOK).body
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
		if strings.Contains(page, "<script>") || strings.Contains(page, "<b>bridge") {
			t.Errorf("%s is not escaped", path)
		}
	}
	away := newHouse(t, func(o *Options) {
		o.Wallets = &fakeWallets{g: wallet.New(wallet.Limits{})}
		o.Replication = func() Replication {
			return Replication{Shared: true, Replicas: []Replica{{ID: "this", This: true, Alive: true}, {ID: "eu-2", Alive: true, Collects: true}}}
		}
	})
	away.ana().get("/wallets").want(http.StatusOK).has("Replica eu-2 watches the chains now")
	bare := newHouse(t)
	bare.ana().get("/wallets").want(http.StatusOK).has("No graph of addresses is kept here")
}

// TestTypedAddresses: what people typed in an incident ends ways, names boxes and marks them, for as long as the incident is open and two weeks
// longer; what is typed in a drill, and what was taken off, does not.
func TestTypedAddresses(t *testing.T) {
	h := walletHouse(t)
	rita := h.member("rita", auth.RoleResponder, "")
	n := h.declare(incident.Declare{Title: "Router <b>drained", Severity: "SEV1"})
	hop, plain := account(52), account(51)
	page := func() string {
		t.Helper()
		return rita.get("/wallets?around=eth/" + account(50) + "&hops=3").want(http.StatusOK).body
	}
	if body := page(); !strings.Contains(body, "Money went to Kraken (exchange) in 6 steps") || strings.Contains(body, `class="address bad"`) {
		t.Fatal("the way is not the one that is to get shorter")
	}
	drill, err := h.Rooms.Declare(t.Context(), incident.Declare{Title: "Exercise", Severity: "SEV1"}, incident.Meta{ID: "x", At: h.millis(), Actor: "person:ana", Drill: true})
	if err != nil {
		t.Fatal(err)
	}
	rita.command(drill.Number, "add_address", map[string]any{"chain": "eth", "address": plain, "kind": "attacker"}).want(http.StatusOK)
	rita.command(n, "add_address", map[string]any{"chain": "Ethereum", "address": "0x" + strings.ToUpper(hop[2:]), "kind": "attacker", "label": "the <i>second hop"}).want(http.StatusOK)
	h.settle()
	body := page()
	for _, want := range []string{"Money went to attacker, #1 in 2 steps", `class="address bad"`, ">attacker, #1</text>", "attacker · "} {
		if !strings.Contains(body, want) {
			t.Errorf("open: lacks %q", want)
		}
	}
	if strings.Count(body, `class="address bad"`) != 1 || strings.Contains(body, "<b>drained") || strings.Contains(body, "<i>second") {
		t.Error("an exercise marks addresses, or text is not escaped")
	}
	rita.get("/wallets?around="+hop).want(http.StatusOK).has("attacker in #1", "the &lt;i&gt;second hop", `href="/incidents/1#addresses">incident #1</a>`, "<b>attacker</b>")
	own := account(97) // nobody saw it yet
	rita.command(n, "add_address", map[string]any{"chain": "eth", "address": own, "kind": "attacker"}).want(http.StatusOK)
	h.settle()
	rita.get("/wallets?around="+own).want(http.StatusOK).has("Ethereum", "attacker in #1", "Nothing was seen of this address yet")

	h.cmd(n, incident.SetStatus{Status: string(incident.StatusMonitoring)})
	h.cmd(n, incident.Resolve{Validation: "looked at the balances"})
	h.settle()
	if body := page(); !strings.Contains(body, "Money went to attacker, #1 in 2 steps") {
		t.Error("closed: the way is the old one at once")
	}
	rita.get("/wallets?around="+hop).want(http.StatusOK).has("attacker in #1", "(closed)")
	id := wallet.ID("eth", hop)
	if l := h.typedAddresses(t.Context())[id]; len(l) != 1 || l[0].Type != wallet.Flagged || l[0].room != n {
		t.Errorf("%+v", l)
	}
	h.late.Store(15 * 24 * 3_600_000)
	if all := h.typedAddresses(t.Context()); len(all) != 0 {
		t.Errorf("two weeks later there are still %v", all)
	}
	h.late.Store(0)
	rita.command(n, "reopen", map[string]any{"reason": "more went"}).want(http.StatusOK)
	rita.command(n, "remove_address", map[string]any{"chain": "Ethereum", "address": hop}).want(http.StatusOK)
	h.settle()
	if body := page(); !strings.Contains(body, "Money went to Kraken (exchange) in 6 steps") {
		t.Error("what was taken off still counts")
	}
}

// TestPictureOfASignal: the addresses that a finding names are drawn, and only those that the graph knows.
func TestPictureOfASignal(t *testing.T) {
	h := walletHouse(t)
	n := h.declare(incident.Declare{Title: "Router drained", Severity: "SEV1"})
	h.cmd(n, incident.SetStatus{Status: string(incident.StatusMonitoring)})
	h.cmd(n, incident.Resolve{Validation: "looked at the balances"})
	h.settle()
	g := signal.Observation{Key: "eth/fan_out/x", Kind: "fan_out", Chain: "eth", Subject: "x", Title: "Fan-out", Severity: "SEV5", Firing: true, Evidence: json.RawMessage(`{"list":[{"who":"` + thief + `"}],"n":3,"other":"0x00"}`)}
	none := g
	none.Key, none.Evidence, none.Title = "eth/fan_out/y", json.RawMessage(`{"who":"nobody"}`), "Nobody"
	h.submit(g, none)
	ana := h.ana()
	all := h.signals(ana)
	slices.SortFunc(all, func(a, b apiSignal) int { return strings.Compare(b.Title, a.Title) }) // Nobody, then Fan-out
	for _, s := range all {
		page := ana.get("/signals/" + s.ID).body
		if _, read := h.typed.copied()[n]; read != (s.Title == "Fan-out") {
			t.Errorf("%s: the closed incident was read: %v", s.Title, read)
		}
		if has := strings.Contains(page, "Wallets around it"); has != (s.Title == "Fan-out") {
			t.Errorf("%s: picture %v", s.Title, has)
		}
		if s.Title == "Fan-out" && (!strings.Contains(page, "14 addresses: 1 paid it, it paid 12") || strings.Contains(page, "<b>bridge")) {
			t.Error(head(page))
		}
	}
}

// TestDrawing: boxes stand apart and within the drawing, and every flow has its line and its words, at the most that a page asks for.
func TestDrawing(t *testing.T) {
	g := wallet.New(wallet.Limits{})
	for i := range 90 {
		for j := range 3 {
			g.Add(wallet.Edge{From: wallet.ID("eth", account(i)), To: wallet.ID("eth", account((i*7+j*13)%90)), Amount: "5", USD: float64(i * j), Tx: fmt.Sprint(i, j), At: int64(i + j)})
		}
	}
	h := walletHouse(t)
	id := wallet.ID("eth", account(1))
	p := h.drawWallets(sight{Graph: g}, g.Picture([]string{id}, walletHops, walletShown, 1e15), []string{id}, 1e15)
	if len(p.Nodes) != walletShown || p.Left == 0 || len(p.Edges) == 0 {
		t.Fatalf("%d nodes, %d left, %d flows", len(p.Nodes), p.Left, len(p.Edges))
	}
	for i, a := range p.Nodes {
		if a.X < 0 || a.Y < 0 || a.X+boxWide > p.Width || a.Y+boxHigh > p.High {
			t.Errorf("%s at %d, %d lies outside %d × %d", a.Name, a.X, a.Y, p.Width, p.High)
		}
		for _, b := range p.Nodes[:i] {
			if dx, dy := a.X-b.X, a.Y-b.Y; dx > -boxWide && dx < boxWide && dy > -boxHigh && dy < boxHigh {
				t.Errorf("%s and %s overlap", a.Name, b.Name)
			}
		}
		if len([]rune(a.Name)) > nameMost || len([]rune(a.Kind+a.Held)) > heldMost {
			t.Errorf("%q %q do not fit", a.Name, a.Held)
		}
	}
	for i, e := range p.Edges {
		if e.Path == "" || e.Width == "" || i < flowsSaid && e.Says == "" {
			t.Errorf("%+v", e)
		}
	}
}
