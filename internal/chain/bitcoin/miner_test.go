package bitcoin

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

// still is the address of the only server there is where the clock stands still.
const still = "http://u:p@node.test:80"

// TestMakers: a pool is known by its sign, everybody else by where most of the reward goes.
func TestMakers(t *testing.T) {
	text := func(s string) []input { return []input{{hex.EncodeToString([]byte(s))}} }
	to := func(value float64, address string) output { return output{value, script{Hex: "00", Address: address}} }
	for _, c := range []struct {
		name string
		tx   coinbase
		want string
	}{
		{"a pool", coinbase{text("\x03\x01\x02\x03/Foundry USA Pool #dropgold/x"), []output{to(3, "bc1a")}}, "Foundry USA"},
		{"a pool of before", coinbase{text("\x03abcMined by AntPool usa"), []output{to(3, "bc1a")}}, "AntPool"},
		{"everybody for himself", coinbase{text("/solo.ckpool.org/"), []output{to(3, "bc1a")}}, "bc1a"},
		{"the largest of many", coinbase{text("x"), []output{to(0, ""), to(1, "bc1b"), to(2, "bc1c"), to(1.5, "bc1d")}}, "bc1c"},
		{"an old node's list", coinbase{text("x"), []output{{3, script{Addresses: []string{"1abc"}}}}}, "1abc"},
		{"a bare key", coinbase{text("x"), []output{{50, script{Hex: "4104ab"}}}}, "4104ab"},
		{"no coinbase", coinbase{[]input{{}}, []output{to(3, "bc1a")}}, ""},
		{"nobody paid", coinbase{text("x"), nil}, ""},
		{"two inputs", coinbase{append(text("x"), input{}), []output{to(3, "bc1a")}}, ""},
		{"strange hex", coinbase{[]input{{"zz"}}, []output{to(3, "bc1a\n\x00")}}, "bc1a"},
		{"far too long", coinbase{text(strings.Repeat("x", 10_000)), []output{to(3, strings.Repeat("y", 10_000))}}, strings.Repeat("y", 90)},
	} {
		if got, err := c.tx.miner(); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

// TestMiners: the newest blocks are named at once, those below slowly and no more than 144 of them; Core by the block, btcd by its index, and
// without one by the first output.
func TestMiners(t *testing.T) {
	for _, c := range []struct {
		name          string
		core, noIndex bool
		text, want    string
		asked         string
	}{
		{"Core", true, false, "/ViaBTC/Mined by x/", "ViaBTC", "getrawtransaction"},
		{"btcd with an index", false, false, "/P2SH/btcd/", "addr-%d", "getrawtransaction"},
		{"btcd", false, true, "/ViaBTC/", "addr-%d", "gettxout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t, 170)
			n.core, n.noIndex, n.text = c.core, c.noIndex, c.text
			if c.core {
				n.network = "main"
			}
			hostile.Still(t, n, func(t *testing.T) {
				w := watch(t, Config{URL: still})
				o := w.until("the newest", kind(chain.KindMiners))
				if len(o.Miners) != minersAtNow || o.Miners[0].Hash != n.tip[169] {
					t.Fatalf("%d named, first %v", len(o.Miners), o.Miners[0])
				}
				names := map[string]string{}
				for _, m := range o.Miners {
					names[m.Hash] = m.Miner
				}
				heads := 0
				for len(names) < minersBack {
					o := w.until("more", func(o chain.Observation) bool {
						if o.Kind == chain.KindHead {
							heads++
						}
						return o.Kind == chain.KindMiners
					})
					if len(o.Miners) > 1 {
						t.Fatalf("%d of the older ones at once", len(o.Miners))
					}
					names[o.Miners[0].Hash] = o.Miners[0].Miner
				}
				if heads < minersPause*(minersBack-minersAtNow)-2 {
					t.Errorf("%d older blocks within %d polls", len(names), heads)
				}
				tip := n.mine("b")
				for names[tip] == "" {
					for _, m := range w.until("the new one", kind(chain.KindMiners)).Miners {
						names[m.Hash] = m.Miner
					}
				}
				for i, hash := range append([]string{tip}, n.tip[150], n.tip[140]) {
					want := c.want
					if strings.Contains(want, "%d") {
						want = fmt.Sprintf(want, []int{0, 0, 0}[i])
					}
					if names[hash] != want {
						t.Errorf("block %s is by %q, not %q", hash, names[hash], want)
					}
				}
				n.mu.Lock()
				before := n.calls["getblock"]
				asked := n.calls[c.asked]
				n.mu.Unlock()
				for range 8 {
					w.until("the head again", head(tip))
				}
				n.mu.Lock()
				defer n.mu.Unlock()
				if n.calls["getblock"] != before || asked < minersBack {
					t.Errorf("%d blocks asked for when all are named; %s %d times", n.calls["getblock"]-before, c.asked, asked)
				}
			})
		})
	}
}

// TestMinersBounded: the newest 144 are named, whatever is known below, one at a time; each once.
func TestMinersBounded(t *testing.T) {
	n := newNode(t, 200)
	hostile.Still(t, n, func(t *testing.T) {
		var named []string
		c := New(Config{URL: still, Rate: 1e6}, func(o chain.Observation) {
			for _, m := range o.Miners {
				named = append(named, m.Hash)
			}
		}, nil)
		c.http = dial.Client(c.cfg.Timeout)
		defer c.http.CloseIdleConnections()
		for _, hash := range n.tip {
			c.tree.Add(n.all[hash].block(0))
		}
		for range 150 {
			if err := c.askMiners(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		slices.Reverse(named)
		if !slices.Equal(named, n.tip[200-minersBack:]) || n.calls["getblock"] != minersBack {
			t.Errorf("%d named, %d blocks asked for", len(named), n.calls["getblock"])
		}
	})
}

// TestMinersNotTold: a node that offers none of it is left alone after six blocks, and watched all the same.
func TestMinersNotTold(t *testing.T) {
	n := newNode(t, 100)
	n.limit = func(m string) (int, string) {
		if m == "getblock" {
			return 404, ""
		}
		return 0, ""
	}
	hostile.Still(t, n, func(t *testing.T) {
		w := watch(t, Config{URL: still})
		for range 40 {
			w.until("the head", head(n.tip[99]))
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if k := n.calls["getblock"]; k != minerPaused {
			t.Errorf("asked %d times", k)
		}
		for _, o := range w.seen {
			if o.State == chain.Down || len(o.Miners) > 0 {
				t.Errorf("%+v", o)
			}
		}
	})
}

// TestMinersHang: a node that does not answer who made a block is asked once and then left alone, long before its silence counts, and its head is
// told all the same.
func TestMinersHang(t *testing.T) {
	for _, method := range []string{"getblock", "getrawtransaction"} {
		t.Run(method, func(t *testing.T) {
			n := newNode(t, 100)
			n.core, n.network, n.hangs = true, "main", map[string]bool{method: true}
			hostile.Still(t, n, func(t *testing.T) {
				w := watch(t, Config{URL: still, Timeout: 5 * time.Minute})
				for range 20 {
					w.until("the head", head(n.tip[99]))
				}
				tip := n.mine("b")
				for range 20 {
					w.until("the new head", head(tip))
				}
				n.mu.Lock()
				defer n.mu.Unlock()
				if k := n.calls[method]; k != 1 {
					t.Errorf("asked %d times", k)
				}
				for _, o := range w.seen {
					if o.State == chain.Down || len(o.Miners) > 0 {
						t.Errorf("%+v", o)
					}
				}
			})
		})
	}
}

// TestMinersYield: who made a block is not asked for with what is left of the rate for the head.
func TestMinersYield(t *testing.T) {
	n := newNode(t, 10)
	c := New(Config{URL: n.url(), Rate: 1e-6}, func(o chain.Observation) { t.Errorf("%+v", o) }, nil)
	c.http = dial.Client(c.cfg.Timeout)
	defer c.http.CloseIdleConnections()
	for _, hash := range n.tip {
		c.tree.Add(n.all[hash].block(0))
	}
	c.limit.AllowN(time.Now(), c.limit.Burst()-minerCalls+1)
	if err := c.askMiners(t.Context(), minersAtNow); err != nil || n.calls["getblock"] != 0 {
		t.Errorf("%v, %d asked", err, n.calls["getblock"])
	}
}

// TestOneCoinbase: a branch that somebody new made alone bears the sign once its coinbases are read.
func TestOneCoinbase(t *testing.T) {
	n := newNode(t, 60)
	w := watch(t, Config{URL: n.url()})
	w.mon = chain.NewMonitor(chain.Config{Chain: "btc", Family: chain.Bitcoin, ChainID: "simnet", Nodes: []string{"a"}, Interval: 600_000, Confirmations: 6})
	w.until("first head", head(n.tip[59]))
	named := 0
	w.until("most of them named", func(o chain.Observation) bool { named += len(o.Miners); return named >= 55 })
	n.mu.Lock()
	n.made = map[string]string{}
	for h := 56; h < 64; h++ {
		n.made[fmt.Sprintf("b%063d", h)] = "attacker"
	}
	n.mu.Unlock()
	tip := n.swap(55, "b", 7)
	w.until("the branch", head(tip))
	w.until("its makers", func(o chain.Observation) bool { return o.Kind == chain.KindMiners && len(o.Miners) >= 7 })
	for _, f := range w.find {
		if f.Kind == chain.FindingAttack && strings.Contains(f.Reason, "All 7 blocks of the branch are by attacker, who made 0 of the") {
			return
		}
	}
	for key, f := range w.find {
		t.Errorf("%s: %s", key, f.Reason)
	}
	t.Error("no sign")
}
