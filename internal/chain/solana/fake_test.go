package solana

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/loopback"
)

// TestMain: no collector and no connection outlives its Run.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// specified are answers in the forms of the methods' own documentation, see testdata/PROVENANCE.md.
func specified(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	raw, err := os.ReadFile("testdata/answers.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func read[T any](t *testing.T, name string) (v T) {
	t.Helper()
	var a struct{ Result json.RawMessage }
	if err := json.Unmarshal(specified(t)[name], &a); err != nil || a.Result == nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := json.Unmarshal(a.Result, &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// node is a fake node around a cluster that the test moves on.
type node struct {
	t          *testing.T
	mu         sync.Mutex
	slot       int64            // confirmed
	skipped    func(int64) bool // slots without a block
	answers    map[string]json.RawMessage
	cumulative int64 // > 0: production is told since this slot, whatever is asked
	says       func(w http.ResponseWriter, method string) bool
	addr       string
	http       *http.Server
	calls      map[string]int
}

func newNode(t *testing.T) *node {
	n := &node{t: t, slot: 1000, answers: specified(t), calls: map[string]int{}, skipped: func(s int64) bool { return s%20 < 1 }}
	n.listen("127.0.0.1:0")
	t.Cleanup(func() { n.http.Close() })
	return n
}

func (n *node) listen(addr string) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.addr = l.Addr().String()
	n.http = &http.Server{Handler: n}
	go n.http.Serve(l)
}

// resettle lets the node listen where nobody else does while it is gone, so that it can come back.
func (n *node) resettle() {
	n.http.Close()
	n.listen(loopback.Free(n.t))
}

// hashOf is the hash of a slot's block; base58 has no zero.
func hashOf(slot int64) string { return strings.ReplaceAll(fmt.Sprint("hash", slot), "0", "z") }

func (n *node) url() string { return "http://u:hunter22@" + n.addr }

func (n *node) move(slots int64) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slot += slots
	return n.slot
}

func (n *node) answer(method, body string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[method] = json.RawMessage(body)
}

func (n *node) asked(method string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls[method]
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Version string `json:"jsonrpc"`
		Method  string
		Params  []json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		n.t.Error(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[q.Method]++
	if n.says != nil && n.says(w, q.Method) {
		return
	}
	if q.Version != "2.0" {
		fmt.Fprint(w, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid request"},"id":null}`)
		return
	}
	var c struct {
		Commitment string
		Range      struct{ FirstSlot, LastSlot int64 }
	}
	if len(q.Params) > 0 {
		_ = json.Unmarshal(q.Params[0], &c)
	}
	var result any
	switch q.Method {
	case "getLatestBlockhash":
		if c.Commitment != "confirmed" {
			n.t.Errorf("%s", q.Params[0])
		}
		result = map[string]any{"context": map[string]any{"slot": n.slot}, "value": map[string]any{"blockhash": hashOf(n.slot), "lastValidBlockHeight": n.slot + 150}}
	case "getSlot":
		switch c.Commitment {
		case "processed":
			result = n.slot + 2
		case "finalized":
			result = n.slot - 30
		default:
			result = n.slot
		}
	case "getBlockTime":
		result = time.Now().Unix() - 13
	case "getBlockProduction":
		first, last := c.Range.FirstSlot, c.Range.LastSlot
		if n.cumulative > 0 {
			first, last = n.cumulative, n.slot-30
		}
		if last > n.slot-30 {
			n.t.Errorf("asked for slots up to %d, the newest final one is %d", last, n.slot-30)
		}
		one, two := [2]int64{}, [2]int64{}
		for s := first; s <= last; s++ {
			x := &one
			if s%8 >= 4 {
				x = &two
			}
			x[0]++
			if !n.skipped(s) {
				x[1]++
			}
		}
		result = map[string]any{"context": map[string]any{"slot": n.slot}, "value": map[string]any{"byIdentity": map[string]any{"one": one, "two": two}, "range": map[string]any{"firstSlot": first, "lastSlot": last}}}
	default:
		if a, ok := n.answers[q.Method]; ok {
			w.Write(a)
		} else {
			fmt.Fprint(w, `{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1}`)
		}
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": 1, "result": result})
}

type watched struct {
	t    *testing.T
	obs  chan chain.Observation
	mon  *chain.Monitor
	seen []chain.Observation
	find map[string]chain.Finding
}

func watch(t *testing.T, c Config) *watched {
	w := &watched{t: t, obs: make(chan chain.Observation, 1024), find: map[string]chain.Finding{},
		mon: chain.NewMonitor(chain.Config{Chain: "sol", Family: chain.Solana, ChainID: c.ChainID, Nodes: []string{"a"}, Watch: c.Validators})}
	c.Chain, c.Node, c.Poll, c.Mid, c.Slow, c.Rate = "sol", "a", 10*time.Millisecond, 20*time.Millisecond, 40*time.Millisecond, 1e6
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
	for {
		select {
		case o := <-w.obs:
			w.seen = append(w.seen, o)
			for _, f := range w.mon.Observe(o).Findings {
				w.find[f.Key] = f
			}
			if fits(o) {
				return o
			}
		case <-limit:
			w.t.Fatalf("never came: %s; last %+v", what, w.seen[max(0, len(w.seen)-3):])
		}
	}
}

func head(slot int64) func(chain.Observation) bool {
	return func(o chain.Observation) bool { return o.Kind == chain.KindHead && o.Head.Height == slot }
}

func kind(k chain.Kind) func(chain.Observation) bool {
	return func(o chain.Observation) bool { return o.Kind == k }
}

func said(is func(*chain.SolanaSaid) bool) func(chain.Observation) bool {
	return func(o chain.Observation) bool { return o.Kind == chain.KindSolana && is(o.Solana) }
}
