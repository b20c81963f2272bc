package opstack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

// TestMain: no collector and no connection outlives its Run.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a fake op-node and its L1 in one. Its answers have the shapes of SyncStatus, L1BlockRef, L2BlockRef and rollup.Config of
// ethereum-optimism/optimism; the values are its own. See testdata/PROVENANCE.md.
type node struct {
	mu                sync.Mutex
	unsafe, safe, fin int64
	l1                int64
	settled           bool
	batches           map[int64]string // L1 block -> sender
	noConfig          bool
	l1Chain           string
	asked             map[string]int
	srv               *httptest.Server
}

const inbox, batcher = "0xFf00000000000000000000000000000000000010", "0x6887246668a3b87F54DeB3b94Ba47a6f63F32985"

func newNode(t *testing.T) *node {
	n := &node{unsafe: 1000, safe: 900, fin: 500, l1: 200, settled: true, batches: map[int64]string{}, l1Chain: "0x1", asked: map[string]int{}}
	n.srv = httptest.NewServer(n)
	t.Cleanup(func() { n.srv.CloseClientConnections(); n.srv.Close() })
	return n
}

func (n *node) set(f func()) { n.mu.Lock(); defer n.mu.Unlock(); f() }

func hex(prefix string, v int64) string { return fmt.Sprintf("0x%s%060x", prefix, v) }

func (n *node) l1Ref(h int64) map[string]any {
	return map[string]any{"hash": hex("1111", h), "number": h, "parentHash": hex("1111", h-1), "timestamp": 1_700_000_000 + 12*h}
}

func (n *node) l2Ref(h int64) map[string]any {
	return map[string]any{"hash": hex("2222", h), "number": h, "parentHash": hex("2222", h-1), "timestamp": 1_700_000_000 + 2*h, "l1origin": map[string]any{"hash": hex("1111", h/6), "number": h / 6}, "sequenceNumber": h % 6}
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Version string `json:"jsonrpc"`
		ID      json.RawMessage
		Method  string
		Params  []any
	}
	_ = json.NewDecoder(r.Body).Decode(&q)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked[q.Method]++
	var result any
	switch q.Method {
	case "optimism_syncStatus":
		s := map[string]any{"current_l1": n.l1Ref(n.l1 - 4), "head_l1": n.l1Ref(n.l1), "safe_l1": n.l1Ref(n.l1 - 32), "finalized_l1": n.l1Ref(n.l1 - 64),
			"unsafe_l2": n.l2Ref(n.unsafe), "safe_l2": n.l2Ref(n.safe), "finalized_l2": n.l2Ref(n.fin), "pending_safe_l2": n.l2Ref(n.safe)}
		if !n.settled {
			s["finalized_l1"] = map[string]any{"hash": "0x" + strings.Repeat("0", 64), "number": 0, "parentHash": "0x" + strings.Repeat("0", 64), "timestamp": 0}
		}
		result = s
	case "optimism_rollupConfig":
		if n.noConfig {
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"the method optimism_rollupConfig does not exist/is not available"}}`, q.ID)
			return
		}
		result = map[string]any{"genesis": map[string]any{"l2_time": 1_700_000_000}, "block_time": 2, "max_sequencer_drift": 600, "seq_window_size": 3600, "l1_chain_id": 1, "l2_chain_id": 10, "batch_inbox_address": inbox}
	case "optimism_version":
		result = "v1.9.1-stable"
	case "eth_chainId":
		result = n.l1Chain
	case "eth_blockNumber":
		result = "0x" + strconv.FormatInt(n.l1, 16)
	case "eth_getBlockByNumber":
		h, _ := strconv.ParseInt(strings.TrimPrefix(q.Params[0].(string), "0x"), 16, 64)
		txs := []any{map[string]any{"from": "0x" + strings.Repeat("a", 40), "to": nil, "type": "0x2"}, map[string]any{"from": batcher, "to": "0x" + strings.Repeat("b", 40)}}
		if from, ok := n.batches[h]; ok {
			txs = append(txs, map[string]any{"from": from, "to": strings.ToLower(inbox), "type": "0x3"})
		}
		result = map[string]any{"number": q.Params[0], "hash": hex("1111", h), "timestamp": "0x" + strconv.FormatInt(1_700_000_000+12*h, 16), "transactions": txs}
	default:
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no such method"}}`, q.ID)
		return
	}
	if q.Version != "2.0" { // as go-ethereum's server, which op-node is made of
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}}`)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": q.ID, "result": result})
}

type watched struct {
	t   *testing.T
	obs chan chain.Observation
	mon *chain.Monitor
}

func watch(t *testing.T, c Config) *watched {
	w := &watched{t: t, obs: make(chan chain.Observation, 1024), mon: chain.NewMonitor(chain.Config{Chain: "op", Family: chain.Rollup, ChainID: "10", Nodes: []string{"a"}})}
	c.Chain, c.Node, c.Rate = "op", "a", 1e6
	c.Poll, c.Slow = 20*time.Millisecond, 20*time.Millisecond
	if c.Timeout == 0 {
		c.Timeout = 45 * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	col := New(c, func(o chain.Observation) {
		select {
		case w.obs <- o:
		case <-ctx.Done():
		}
	}, nil)
	go func() { done <- col.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return w
}

func (w *watched) until(what string, fits func(chain.Observation) bool) chain.Observation {
	w.t.Helper()
	limit := time.After(45 * time.Second)
	last := ""
	for {
		select {
		case o := <-w.obs:
			w.mon.Observe(o)
			if fits(o) {
				return o
			}
			b, _ := json.Marshal(o)
			last = string(b)
		case <-limit:
			w.t.Fatalf("never came: %s; last %s", what, last)
		}
	}
}

func layers(fits func(*chain.Layers) bool) func(chain.Observation) bool {
	return func(o chain.Observation) bool { return o.Kind == chain.KindRollup && fits(o.Rollup) }
}

func state(s chain.NodeState, part string) func(chain.Observation) bool {
	return func(o chain.Observation) bool {
		return o.Kind == chain.KindState && o.State == s && strings.Contains(o.Reason, part)
	}
}

func TestFollow(t *testing.T) {
	n := newNode(t)
	w := watch(t, Config{URL: n.srv.URL, ChainID: "10"})
	o := w.until("layers", layers(func(*chain.Layers) bool { return true }))
	want := chain.Layers{Unsafe: chain.Level{Height: 1000, Hash: hex("2222", 1000), Time: 1_700_002_000_000, Origin: 166}, Safe: chain.Level{Height: 900, Hash: hex("2222", 900), Time: 1_700_001_800_000, Origin: 150},
		Finalized: chain.Level{Height: 500, Hash: hex("2222", 500), Time: 1_700_001_000_000, Origin: 83}, CurrentL1: chain.Level{Height: 196, Hash: hex("1111", 196), Time: 1_700_002_352_000},
		HeadL1: chain.Level{Height: 200, Hash: hex("1111", 200), Time: 1_700_002_400_000}, Settled: true, Window: 3600}
	if *o.Rollup != want {
		t.Errorf("got %+v\nwant %+v", *o.Rollup, want)
	}
	n.set(func() { n.unsafe = 1001 })
	w.until("next head", func(o chain.Observation) bool {
		return o.Kind == chain.KindHead && o.Head.Height == 1001 && o.Head.Parent == hex("2222", 1000)
	})
	w.until("finality", func(o chain.Observation) bool {
		return o.Kind == chain.KindFinality && *o.Finality == chain.Finality{Safe: 900, Finalized: 500}
	})
	n.set(func() { n.settled = false })
	w.until("not settled", layers(func(l *chain.Layers) bool { return !l.Settled }))
	if v := w.mon.View(0); v.Height != 1001 || v.Safe != 900 || v.Nodes[0].Client != "op-node v1.9.1-stable" || v.Network != "OP Mainnet" {
		t.Errorf("view %+v", v)
	}
}

// TestBatches: the newest L1 block with a transaction to the inbox counts, from the batcher when one is named, and none before one was seen.
func TestBatches(t *testing.T) {
	n := newNode(t)
	n.batches[180] = batcher
	n.batches[190] = "0x" + strings.Repeat("c", 40) // somebody else writes to the inbox
	w := watch(t, Config{URL: n.srv.URL, ChainID: "10", L1: L1{URL: n.srv.URL, Batcher: strings.ToLower(batcher)}})
	w.until("the batcher's", layers(func(l *chain.Layers) bool {
		return l.Batch != nil && *l.Batch == chain.Batch{Height: 180, Time: 1_700_002_160_000, Upto: 200}
	}))
	n.set(func() { n.l1 = 203; n.batches[202] = batcher })
	w.until("the next", layers(func(l *chain.Layers) bool { return l.Batch != nil && l.Batch.Height == 202 && l.Batch.Upto == 203 }))
	n.set(func() { n.l1 = 10_000 })
	w.until("after a stall", layers(func(l *chain.Layers) bool { return l.Batch != nil && l.Batch.Height == 202 && l.Batch.Upto == 10_000 }))
	n.set(func() {
		if k := n.asked["eth_getBlockByNumber"]; k > 32+3+32 {
			t.Errorf("%d L1 blocks were asked for", k)
		}
	})

	any := newNode(t)
	any.batches[190] = "0x" + strings.Repeat("c", 40)
	w = watch(t, Config{URL: any.srv.URL, L1: L1{URL: any.srv.URL}})
	w.until("anybody's, without a batcher", layers(func(l *chain.Layers) bool { return l.Batch != nil && l.Batch.Height == 190 }))

	none := newNode(t)
	w = watch(t, Config{URL: none.srv.URL, L1: L1{URL: none.srv.URL}})
	w.until("none yet", layers(func(l *chain.Layers) bool {
		return l.Batch != nil && *l.Batch == chain.Batch{Height: 0, Time: (1_700_000_000 + 12*169) * 1000, Upto: 200}
	}))
}

// TestL1Gone: an L1 that fails, lies or is another does not disturb the watching of the rollup node, and the reason says what is not known.
func TestL1Gone(t *testing.T) {
	for name, c := range map[string]struct {
		l1   http.HandlerFunc
		want string
	}{
		"html":       {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "not with JSON-RPC"},
		"1 GiB body": {func(w http.ResponseWriter, _ *http.Request) { flood(w) }, "larger than 8 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			l1 := httptest.NewServer(c.l1)
			defer l1.Close()
			w := watch(t, Config{URL: n.srv.URL, ChainID: "10", L1: L1{URL: l1.URL}})
			w.until("reason", state(chain.Up, "the age of batches is not known: "))
			n.set(func() { n.unsafe = 1005 })
			w.until("next head", func(o chain.Observation) bool { return o.Kind == chain.KindHead && o.Head.Height == 1005 })
		})
	}
	n := newNode(t)
	n.l1Chain = "0xaa36a7"
	w := watch(t, Config{URL: n.srv.URL, ChainID: "10", L1: L1{URL: n.srv.URL}})
	w.until("another L1", state(chain.Up, "It serves chain 11155111 (Sepolia), but the rollup stands on chain 1 (Ethereum)."))
	n.set(func() { n.l1Chain = "0x1" })
	w.until("the right one", layers(func(l *chain.Layers) bool { return l.Batch != nil }))
}

func flood(w http.ResponseWriter) {
	for range 1 << 14 {
		if _, err := fmt.Fprint(w, strings.Repeat("x", 64<<10)); err != nil {
			return
		}
	}
}

func TestStates(t *testing.T) {
	n := newNode(t)
	w := watch(t, Config{URL: n.srv.URL, ChainID: "8453"})
	w.until("wrong chain", state(chain.WrongChain, "It serves chain 10 (OP Mainnet), not 8453 (Base)."))
	hidden := newNode(t)
	hidden.noConfig = true
	w = watch(t, Config{URL: hidden.srv.URL, ChainID: "10"})
	w.until("without a configuration", layers(func(l *chain.Layers) bool { return l.Window == 0 }))
	r, _, err := hostile.Again(func() (chain.Recognised, error, error) { return Probe(context.Background(), n.srv.URL) })
	if err != nil || r.Family != chain.Rollup || r.ChainID != "10" || r.Head != 1000 {
		t.Errorf("%+v %v", r, err)
	}
}

// TestHostile: every way to misbehave over HTTP, and those of this family.
func TestHostile(t *testing.T) {
	n := newNode(t)
	lie := func(name, pattern, by, says string) hostile.Case {
		re := regexp.MustCompile(pattern)
		return hostile.Case{Name: name, Light: true, Says: []string{says}, Serve: hostile.Rewrite(n, func(request, answer string) string {
			if !strings.Contains(request, "optimism_syncStatus") && !strings.Contains(request, "optimism_rollupConfig") {
				return answer
			}
			return re.ReplaceAllString(answer, by)
		})}
	}
	const odd = "where a height or a time belongs"
	hostile.Try(t, hostile.Subject{Family: chain.Rollup, ChainID: "10", RPC: true, Well: n,
		Run: func(node, address string, sink func(chain.Observation)) func(context.Context) error {
			return New(Config{Chain: "x", Node: node, ChainID: "10", URL: address, Poll: 50 * time.Millisecond, Timeout: hostile.Within(node), Rate: 1e6}, sink, nil).Run
		},
		Own: []hostile.Case{
			lie("height 2^255", `"number":1000`, `"number":57896044618658097711785492504343953926634992332820282019728792003956564819968`, odd),
			lie("height 2^62", `"number":1000`, `"number":4611686018427387904`, odd),
			lie("negative height", `"number":1000`, `"number":-5`, odd),
			lie("height as a text", `"number":1000`, `"number":"1000"`, odd),
			lie("height 1e400", `"number":1000`, `"number":1e400`, odd),
			lie("safe above unsafe", `"number":900`, `"number":90000`, "that cannot be"),
			lie("a hash of 1 MiB", `"hash":"0x2222[0-9a-f]+"`, `"hash":"0x`+strings.Repeat("a", 1<<20)+`"`, "where a block hash belongs"),
			lie("a chain id of 1 MiB", `"l2_chain_id":10`, `"l2_chain_id":1`+strings.Repeat("0", 1<<20), "where a chain id belongs"),
			lie("a list as the status", `(?s)"result":\{"current_l1.*\}`, `"result":[]}`, "not with JSON-RPC"),
		}})
}
