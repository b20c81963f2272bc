package watch

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/bitcoinwatch"
	"github.com/tocsin-ops/tocsin/internal/chain/evmwatch"
)

// TestMain: no watcher outlives Run.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const contract = "0x5FbDB2315678afecb367f032d93F642f64180aa3"

func evm(spec evmwatch.Spec) Chain {
	return Chain{Name: "eth", Family: chain.EVM, Nodes: []Node{{Name: "a", URL: "http://127.0.0.1:1"}}, EVM: spec}
}

func TestRefusals(t *testing.T) {
	feed := evmwatch.Feed{Name: "f", Proxy: contract, Heartbeat: 1000}
	for _, c := range []struct {
		why    string
		chains []Chain
		err    string
	}{
		{"nothing", nil, ""},
		{"a feed of another chain prices", []Chain{evm(evmwatch.Spec{Feeds: []evmwatch.Feed{feed}}),
			{Name: "btc", Family: chain.Bitcoin, Nodes: []Node{{Name: "a", URL: "http://h"}}, Coin: evmwatch.Asset{Name: "BTC", Feed: "f"}}}, ""},
		{"a feed that is not there", []Chain{evm(evmwatch.Spec{Coin: evmwatch.Asset{Name: "ETH", Feed: "f"}})}, "priced by the feed f, which is not watched"},
		{"two feeds of a name", []Chain{evm(evmwatch.Spec{Feeds: []evmwatch.Feed{feed}}), {Name: "l2", Family: chain.EVM, Nodes: []Node{{Name: "a", URL: "http://h"}}, EVM: evmwatch.Spec{Feeds: []evmwatch.Feed{feed}}}}, "two feeds named f"},
		{"no nodes", []Chain{{Name: "eth", Family: chain.EVM}}, "1 to 4 nodes"},
		{"a family without", []Chain{{Name: "hub", Family: "comet", Nodes: []Node{{Name: "a", URL: "http://h"}}}}, "nothing but the heads"},
		{"a wrong signature", []Chain{evm(evmwatch.Spec{Views: []evmwatch.View{{Name: "v", Contract: contract, Call: "total()"}}})}, "does not say what it returns"},
		{"a wrong address", []Chain{{Name: "btc", Family: chain.Bitcoin, Nodes: []Node{{Name: "a", URL: "http://h"}}, Bitcoin: bitcoinwatch.Spec{Addresses: []bitcoinwatch.Address{{Name: "x", Address: contract}}}}}, "is not a Bitcoin address"},
	} {
		_, err := New(c.chains, Options{})
		if (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", c.why, err, c.err)
		}
	}
}

func TestPrices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPrices()
		p.Feed("f", 60_000)
		at := time.Now().UnixMilli()
		want := func(why string, value float64, known bool) {
			t.Helper()
			if v, ok := p.Price("f"); v != value || ok != known {
				t.Errorf("%s: %v %t", why, v, ok)
			}
		}
		want("nothing heard", 0, false)
		p.Answer("f", "a", 2, at)
		p.Answer("g", "a", 9, at)
		want("heard", 2, true)
		p.Answer("f", "a", 1, at-1)
		want("a node behind", 2, true)
		p.Answer("f", "a", 3, at+7_200_000)
		want("from the future", 2, true)
		p.Answer("f", "a", -1, at+1)
		want("no price", 2, true)
		time.Sleep(2 * time.Minute)
		want("two heartbeats", 2, true)
		time.Sleep(time.Millisecond)
		want("stale", 0, false)
		if _, ok := p.Price("g"); ok {
			t.Error("an unknown feed has a price")
		}

		at = time.Now().UnixMilli()
		p.Answer("f", "a", 5, at)
		want("one alone reads it", 5, true)
		p.Answer("f", "b", 7, at)
		want("two never told the same", 0, false)
		p.Answer("f", "b", 5, at)
		want("both tell it", 5, true)
		p.Answer("f", "b", 9, at+1000)
		want("one alone tells a newer one", 5, true)
		p.Answer("f", "c", 6, at+500)
		p.Answer("f", "a", 6, at+500)
		want("two others tell another", 6, true)
		p.Answer("f", "d", 1, at+600)
		p.Answer("f", "e", 1, at+600) // more than are asked
		want("one more than there is room for", 6, true)
	})
}

// kept is a store of marks that may fail.
type kept struct {
	mu   sync.Mutex
	all  map[string]string
	fail error
}

func (k *kept) Mark(_ context.Context, key string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all[key], k.fail
}

func (k *kept) SetMark(_ context.Context, key, value string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all[key] = value
	return k.fail
}

// TestMarksAreKept: the end of a run is where the next begins; a store that fails stops nothing.
func TestMarksAreKept(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]bool{}
	hash := "0x" + strings.Repeat("ab", 32)
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			ID     json.RawMessage
			Method string
			Params []any
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		mu.Lock()
		if len(q.Params) > 0 {
			text, _ := q.Params[0].(string)
			asked[q.Method+" "+text] = true
		}
		mu.Unlock()
		var result any
		switch q.Method {
		case "eth_chainId":
			result = "0x1"
		case "eth_getBlockByNumber", "eth_getBlockByHash":
			result = map[string]any{"number": "0x7", "hash": hash, "parentHash": "0x" + strings.Repeat("cd", 32), "timestamp": "0x1", "transactions": []any{}}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": q.ID, "result": result})
	}))
	defer node.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for _, k := range []*kept{{all: map[string]string{}}, {all: map[string]string{}, fail: errors.New("no store")}} {
		c := evm(evmwatch.Spec{})
		c.Nodes[0].URL, c.ChainID = node.URL, "1"
		for range 2 {
			ctx, cancel := context.WithCancel(context.Background())
			w, err := New([]Chain{c}, Options{Marks: k, OnSamples: func(list []chain.Sample) {
				for _, s := range list {
					if s.Name == "tocsin_watch_state_height" && s.Value == 7 {
						cancel()
					}
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Run(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
		}
		if got := k.all["eth/a"]; got != `{"height":7,"hash":"`+hash+`"}` {
			t.Errorf("kept %q", got)
		}
	}
}
