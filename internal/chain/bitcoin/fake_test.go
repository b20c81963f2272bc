package bitcoin

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/loopback"
)

// node is a fake node that answers as btcd 0.26.2 did (shapes and error codes recorded from it), or with Core's extra methods.
type node struct {
	t        *testing.T
	mu       sync.Mutex
	tip      []string
	all      map[string]header
	extra    []map[string]any // further lines of getchaintips
	network  string
	core     bool
	ibd      bool
	addr     string
	http     *http.Server
	calls    map[string]int
	password string
	made     map[string]string // payee of a block by its hash; others are "addr-" and the last digit of the height
	text     string            // of every coinbase
	noIndex  bool              // getrawtransaction knows none
	limit    func(method string) (status int, after string)
	hangs    map[string]bool // methods that are never answered
	peers    string          // answer of getpeerinfo
}

func newNode(t *testing.T, blocks int) *node {
	n := &node{t: t, all: map[string]header{}, network: "simnet", calls: map[string]int{}, password: "p"}
	for range blocks {
		n.mine("a")
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

// resettle lets the node listen where nobody else does while it is gone, so that it can come back.
func (n *node) resettle() {
	n.http.Close()
	n.listen(loopback.Free(n.t))
}

func (n *node) url() string { return "http://u:p@" + n.addr }

func (n *node) mine(branch string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.grow(branch)
}

// stall does something while the node answers nobody, and gives how many headers it was asked for so far.
func (n *node) stall(f func()) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	return n.calls["getblockheader"]
}

func (n *node) grow(branch string) string {
	h, parent := len(n.tip), ""
	if h > 0 {
		parent = n.tip[h-1]
	}
	hash := fmt.Sprintf("%s%063d", branch, h)
	n.all[hash] = header{Hash: hash, Height: int64(h), Time: time.Now().Unix() - 6000 + int64(h)*60, Previous: parent, ChainWork: "01"}
	n.tip = append(n.tip, hash)
	return hash
}

// swap replaces everything above a height by a new branch, in one moment.
func (n *node) swap(height int, branch string, count int) (tip string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tip = append([]string{}, n.tip[:height+1]...)
	for range count {
		tip = n.grow(branch)
	}
	return tip
}

// payee is where the coinbase of a block goes; its id ends as the block's hash does.
func (n *node) payee(tx string) map[string]any {
	height := tx[60:]
	who := "addr-" + height[len(height)-1:]
	for hash, made := range n.made {
		if strings.HasSuffix(hash, height) {
			who = made
		}
	}
	if n.core {
		return map[string]any{"hex": "0014", "address": who}
	}
	return map[string]any{"hex": "0014", "addresses": []string{who}}
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, p, _ := r.BasicAuth(); p != n.password {
		w.Header().Set("WWW-Authenticate", `Basic realm="btcd RPC"`)
		http.Error(w, "401 Unauthorized.", http.StatusUnauthorized)
		return
	}
	var q struct {
		Method string
		Params []json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		n.t.Error(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[q.Method]++
	if n.hangs[q.Method] {
		n.mu.Unlock()
		<-r.Context().Done()
		n.mu.Lock()
		return
	}
	arg := ""
	if len(q.Params) > 0 {
		arg = strings.Trim(string(q.Params[0]), `"`)
	}
	if n.limit != nil {
		if status, after := n.limit(q.Method); status > 0 {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(status)
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"too many requests"}}`)
			return
		}
	}
	fail := func(code int, m string) {
		if n.core {
			w.WriteHeader(http.StatusInternalServerError) // Core sends the error object with 500 or 404, btcd with 200
		}
		fmt.Fprintf(w, `{"jsonrpc":"1.0","result":null,"error":{"code":%d,"message":%q},"id":1}`+"\n", code, m)
	}
	best := n.tip[len(n.tip)-1]
	var result any
	switch q.Method {
	case "getblockchaininfo":
		result = map[string]any{"chain": n.network, "blocks": len(n.tip) - 1, "headers": len(n.tip) - 1, "bestblockhash": best, "initialblockdownload": n.ibd, "warnings": nil}
	case "getbestblockhash":
		result = best
	case "getblockhash":
		var h int
		fmt.Sscan(arg, &h)
		if h >= len(n.tip) {
			fail(-1, "Block number out of range")
			return
		}
		result = n.tip[h]
	case "getblockheader":
		h, ok := n.all[arg]
		if !ok {
			fail(-5, "Block not found")
			return
		}
		result = h
	case "getblock":
		if _, ok := n.all[arg]; !ok {
			fail(-5, "Block not found")
			return
		}
		result = map[string]any{"hash": arg, "tx": []string{strings.Repeat("f", 63-len(arg[60:])) + "x" + arg[60:], strings.Repeat("0", 64)}, "size": 1000}
	case "getrawtransaction":
		switch {
		case !n.core && len(q.Params) > 2:
			fail(-32602, "wrong number of params (expected: between 1 and 2, received: 3)")
			return
		case n.noIndex:
			fail(-1, "The transaction index must be enabled to query the blockchain (specify --txindex)")
			return
		}
		result = map[string]any{"vin": []any{map[string]any{"coinbase": hex.EncodeToString([]byte(n.text + "...")), "sequence": 0}},
			"vout": []any{map[string]any{"value": 0, "scriptPubKey": map[string]any{"hex": "6a24aa21a9ed"}}, map[string]any{"value": 3.125, "scriptPubKey": n.payee(arg)}}}
	case "gettxout":
		result = map[string]any{"confirmations": 3, "coinbase": true, "value": 3.125, "scriptPubKey": n.payee(arg)}
	case "getchaintips":
		result = append([]map[string]any{{"height": len(n.tip) - 1, "hash": best, "branchlen": 0, "status": "active"}}, n.extra...)
	case "getmempoolinfo":
		result = map[string]any{"size": 3, "bytes": 900, "mempoolminfee": 0.00001}
	case "getnetworkhashps":
		result = 5.5848849597090784e-8
	case "getpeerinfo":
		if result = []map[string]any{{"inbound": true}, {"inbound": false}, {"inbound": false}}; n.peers != "" {
			result = json.RawMessage(n.peers)
		}
	case "version":
		result = json.RawMessage(`{"btcdjsonrpcapi":{"versionstring":"1.3.0","major":1,"minor":3,"patch":0,"prerelease":"","buildmetadata":""}}`)
	case "getnetworkinfo":
		if !n.core {
			fail(-1, "Command unimplemented")
			return
		}
		result = map[string]any{"subversion": "/Satoshi:27.0.0/", "connections": 10, "connections_in": 2, "connections_out": 8}
	case "getblockstats":
		if !n.core {
			fail(-32601, "Method not found")
			return
		}
		result = map[string]any{"feerate_percentiles": []int{1, 2, 7, 9, 20}, "totalfee": 1250000}
	default:
		fail(-32601, "Method not found")
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "1.0", "result": result, "error": nil, "id": 1})
}

// TestMain: no collector and no connection outlives its Run.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type watched struct {
	t    *testing.T
	obs  chan chain.Observation
	mon  *chain.Monitor
	seen []chain.Observation
	find map[string]chain.Finding
}

func watch(t *testing.T, c Config) *watched {
	w := &watched{t: t, obs: make(chan chain.Observation, 1024), find: map[string]chain.Finding{},
		mon: chain.NewMonitor(chain.Config{Chain: "btc", Family: chain.Bitcoin, ChainID: c.ChainID, Nodes: []string{"a"}})}
	c.Chain, c.Node, c.Poll, c.Slow, c.Rate = "btc", "a", 10*time.Millisecond, 30*time.Millisecond, 1e6
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
	limit := time.After(2 * time.Minute) // who made a block is not asked for a minute after an answer that was late
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
