package comet

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// TestMain: no collector and no connection outlives its Run.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorded is the result of an answer in testdata.
func recorded(t *testing.T, name string) json.RawMessage {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var a struct{ Result json.RawMessage }
	if err := json.Unmarshal(raw, &a); err != nil || a.Result == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return a.Result
}

func read[T any](t *testing.T, name string) (v T) {
	t.Helper()
	if err := json.Unmarshal(recorded(t, name), &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// node is a fake node that answers in the forms that CometBFT 1.0.1 used (see testdata), around a chain the test writes.
type node struct {
	t       *testing.T
	mu      sync.Mutex
	hashes  []string          // of heights 1, 2, ...
	missed  map[int64][]int   // validators that did not sign a height
	proof   map[int64]bool    // heights whose block holds evidence
	members []string          // addresses
	app     map[string][]byte // values by path
	says    func(w http.ResponseWriter, method string) bool
	network string
	behind  bool
	round   string // consensus_state, as recorded
	addr    string
	http    *http.Server
	calls   map[string]int
	heights map[int64]int // commits asked
}

func newNode(t *testing.T, blocks int) *node {
	n := &node{t: t, network: "test-1", missed: map[int64][]int{}, proof: map[int64]bool{}, calls: map[string]int{}, heights: map[int64]int{}, app: map[string][]byte{},
		members: []string{"AA00", "BB11", "CC22", "DD33"}, round: string(recorded(t, "consensus_state_halted"))}
	for range blocks {
		n.mine("A")
	}
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

func (n *node) url() string { return "http://u:hunter22@" + n.addr }

func (n *node) mine(branch string, missed ...int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := int64(len(n.hashes) + 1)
	n.hashes = append(n.hashes, fmt.Sprintf("%s%063d", branch, h))
	n.missed[h] = missed
	return n.hashes[h-1]
}

func (n *node) asked(method string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls[method]
}

func (n *node) header(h int64) map[string]any {
	last := ""
	if h > 1 {
		last = n.hashes[h-2]
	}
	evidence := emptyHash
	if n.proof[h] {
		evidence = "72AA"
	}
	return map[string]any{"chain_id": n.network, "height": strconv.FormatInt(h, 10), "time": time.Unix(1_790_000_000+h, 0).UTC().Format(time.RFC3339Nano),
		"last_block_id": map[string]any{"hash": last}, "evidence_hash": evidence}
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Method string
		Params []any
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
	at := func(i int) int64 {
		if i >= len(q.Params) || q.Params[i] == nil {
			return 0
		}
		v, err := strconv.ParseInt(q.Params[i].(string), 10, 64) // an integer without quotes is refused by the real one too
		if err != nil {
			n.t.Error(err)
		}
		return v
	}
	head := int64(len(n.hashes))
	fail := func(code int, message, data string) {
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"error":{"code":%d,"message":%q,"data":%q}}`, code, message, data)
	}
	var result any
	switch q.Method {
	case "status":
		result = map[string]any{"node_info": map[string]any{"network": n.network, "version": "1.0.1"}, "sync_info": map[string]any{"latest_block_hash": n.hashes[head-1],
			"latest_block_height": strconv.FormatInt(head, 10), "latest_block_time": n.header(head)["time"], "catching_up": n.behind}}
	case "blockchain":
		var metas []any
		for h := min(at(1), head); h >= max(at(0), 1) && len(metas) < 20; h-- {
			metas = append(metas, map[string]any{"block_id": map[string]any{"hash": n.hashes[h-1]}, "block_size": "885", "num_txs": "3", "header": n.header(h)})
		}
		result = map[string]any{"last_height": strconv.FormatInt(head, 10), "block_metas": metas}
	case "commit":
		h := at(0)
		if h > head {
			fail(-32603, "Internal error", fmt.Sprintf("height %d must be less than or equal to the current blockchain height %d", h, head))
			return
		}
		n.heights[h]++
		var sigs []any
		for i, m := range n.members {
			if contains(n.missed[h], i) {
				sigs = append(sigs, map[string]any{"block_id_flag": 1, "validator_address": "", "signature": nil})
			} else {
				sigs = append(sigs, map[string]any{"block_id_flag": 2, "validator_address": m, "signature": "x"})
			}
		}
		result = map[string]any{"canonical": h < head, "signed_header": map[string]any{"header": n.header(h), "commit": map[string]any{"height": strconv.FormatInt(h, 10), "round": 0, "signatures": sigs}}}
	case "block":
		result = recorded(n.t, "block_evidence")
	case "validators":
		var list []any
		for _, m := range n.members {
			list = append(list, map[string]any{"address": m, "voting_power": "10"})
		}
		result = map[string]any{"validators": list, "count": strconv.Itoa(len(list)), "total": strconv.Itoa(len(list))}
	case "consensus_state":
		result = json.RawMessage(strings.Replace(n.round, `"45/`, fmt.Sprintf(`"%d/`, head+1), 1))
	case "net_info":
		result = recorded(n.t, "net_info")
	case "num_unconfirmed_txs":
		result = recorded(n.t, "num_unconfirmed_txs")
	case "abci_query":
		v, ok := n.app[q.Params[0].(string)]
		if !ok {
			result = recorded(n.t, "abci_query_unknown")
			break
		}
		result = map[string]any{"response": map[string]any{"code": 0, "value": base64.StdEncoding.EncodeToString(v)}}
	default:
		fail(-32601, "Method not found", "")
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": 1, "result": result})
}

func contains(list []int, i int) bool {
	for _, x := range list {
		if x == i {
			return true
		}
	}
	return false
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
		mon: chain.NewMonitor(chain.Config{Chain: "hub", Family: chain.Comet, ChainID: c.ChainID, Nodes: []string{"a"}})}
	c.Chain, c.Node, c.Poll, c.Slow, c.App, c.Rate = "hub", "a", 10*time.Millisecond, 30*time.Millisecond, 50*time.Millisecond, 1e6
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

func head(hash string) func(chain.Observation) bool {
	return func(o chain.Observation) bool { return o.Kind == chain.KindHead && o.Head.Hash == hash }
}

func kind(k chain.Kind) func(chain.Observation) bool {
	return func(o chain.Observation) bool { return o.Kind == k }
}

func said(is func(*chain.CometSaid) bool) func(chain.Observation) bool {
	return func(o chain.Observation) bool { return o.Kind == chain.KindComet && is(o.Comet) }
}

func commitAt(h int64) func(chain.Observation) bool {
	return said(func(s *chain.CometSaid) bool { return s.Commit != nil && s.Commit.Height == h })
}
