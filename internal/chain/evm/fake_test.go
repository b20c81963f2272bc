package evm

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/loopback"
)

// A block as anvil 1.7.1 answered it (its bloom left out); the fake changes number, hash, parent and time.
//
//go:embed testdata/anvil_block.json
var recorded []byte

// node is a fake node: go-ethereum's own RPC server, over HTTP and websocket on one port as anvil does, around a chain the test writes.
type node struct {
	t    *testing.T
	mu   sync.Mutex
	tip  []string          // hashes by height
	all  map[string][2]any // hash -> height, parent
	subs map[chan map[string]any]bool
	rpc  *rpc.Server
	addr string
	http *http.Server
	noWS bool
	base int64 // time of block 0

	chainID, safe, syncing string
	missing                map[string]bool // hashes the node does not have (any more)
	difficulty             string
}

type ethAPI struct{ n *node }

func (a ethAPI) ChainId() string { return a.n.chainID }
func (a ethAPI) Syncing() any {
	if a.n.syncing != "" {
		return map[string]string{"currentBlock": "0x10", "highestBlock": a.n.syncing}
	}
	return false
}
func (a ethAPI) FeeHistory(string, string, []float64) any {
	return json.RawMessage(`{"baseFeePerGas":["0x2da282a8","0x27ee3253"],"gasUsedRatio":[0.0],"oldestBlock":"0x3","reward":[["0x3b9aca00"]]}`)
}
func (a ethAPI) GetBlockByHash(hash string, _ bool) any { return a.n.block(hash) }
func (a ethAPI) GetBlockByNumber(tag string, _ bool) (any, error) {
	a.n.mu.Lock()
	h := int64(len(a.n.tip) - 1)
	safe := a.n.safe
	a.n.mu.Unlock()
	switch tag {
	case "latest":
	case "safe", "finalized":
		if safe == "" {
			return nil, fmt.Errorf("%q is not a known block tag", tag)
		}
		h, _ = strconv.ParseInt(safe, 10, 64)
	default:
		h, _ = strconv.ParseInt(strings.TrimPrefix(tag, "0x"), 16, 64)
	}
	a.n.mu.Lock()
	hash := ""
	if h < int64(len(a.n.tip)) {
		hash = a.n.tip[h]
	}
	a.n.mu.Unlock()
	return a.n.block(hash), nil
}
func (a ethAPI) NewHeads(ctx context.Context) (*rpc.Subscription, error) {
	to, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	sub := to.CreateSubscription()
	ch := make(chan map[string]any, 1024)
	a.n.mu.Lock()
	a.n.subs[ch] = true
	a.n.mu.Unlock()
	go func() {
		for {
			select {
			case h := <-ch:
				_ = to.Notify(sub.ID, h)
			case <-sub.Err():
				a.n.mu.Lock()
				delete(a.n.subs, ch)
				a.n.mu.Unlock()
				return
			}
		}
	}()
	return sub, nil
}

type webAPI struct{}

func (webAPI) ClientVersion() string { return "anvil/v1.7.1" }

type netAPI struct{}

func (netAPI) PeerCount() string { return "0x19" }

func newNode(t *testing.T, blocks int) *node {
	n := &node{t: t, all: map[string][2]any{}, subs: map[chan map[string]any]bool{}, chainID: "0x1", missing: map[string]bool{}, base: time.Now().Unix() - 12*int64(blocks)}
	n.rpc = rpc.NewServer()
	for name, api := range map[string]any{"eth": ethAPI{n}, "web3": webAPI{}, "net": netAPI{}} { // no txpool
		if err := n.rpc.RegisterName(name, api); err != nil {
			t.Fatal(err)
		}
	}
	for range blocks {
		n.mine("a", false)
	}
	n.listen("127.0.0.1:0")
	t.Cleanup(n.stop)
	return n
}

func (n *node) listen(addr string) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.addr = l.Addr().String()
	ws := n.rpc.WebsocketHandler([]string{"*"})
	n.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" && !n.noWS {
			ws.ServeHTTP(w, r)
			return
		}
		n.rpc.ServeHTTP(w, r)
	})}
	go n.http.Serve(l)
}

// resettle lets the node listen where nobody else does while it is gone, so that it can come back.
func (n *node) resettle() {
	n.http.Close()
	n.listen(loopback.Free(n.t))
}

func (n *node) stop() { n.http.Close(); n.rpc.Stop() }

func (n *node) block(hash string) map[string]any {
	n.mu.Lock()
	defer n.mu.Unlock()
	x, ok := n.all[hash]
	if !ok || n.missing[hash] {
		return nil
	}
	var b map[string]any
	if err := json.Unmarshal(recorded, &b); err != nil {
		n.t.Error(err)
	}
	h := x[0].(int64)
	b["number"], b["hash"], b["parentHash"], b["timestamp"] = hexNumber(h), hash, x[1], hexNumber(n.base+12*h)
	if n.difficulty != "" {
		b["difficulty"] = n.difficulty
	}
	return b
}

// mine puts a block on the tip; push sends it to the subscribers as geth does: the header without transactions.
func (n *node) mine(branch string, push bool) string {
	n.mu.Lock()
	h, parent := int64(len(n.tip)), "0x00"
	if h > 0 {
		parent = n.tip[h-1]
	}
	hash := fmt.Sprintf("0x%s%063d", branch, h)
	n.all[hash] = [2]any{h, parent}
	n.tip = append(n.tip, hash)
	n.mu.Unlock()
	if push {
		n.push(hash)
	}
	return hash
}

func (n *node) push(hash string) {
	b := n.block(hash)
	delete(b, "transactions")
	delete(b, "size")
	n.mu.Lock()
	defer n.mu.Unlock()
	for ch := range n.subs {
		ch <- b
	}
}

// subscribed is how many subscriptions to newHeads it has.
func (n *node) subscribed() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.subs)
}

// back makes the node forget everything above a height of its chain, and keep the blocks (a side branch) or not.
func (n *node) back(height int, forget bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.tip[height+1:] {
		n.missing[h] = forget
	}
	n.tip = n.tip[:height+1]
}

// TestMain: no collector and no connection outlives its Run.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched is a running collector and what it told.
type watched struct {
	t    *testing.T
	obs  chan chain.Observation
	mon  *chain.Monitor
	seen []chain.Observation
	find map[string]chain.Finding
}

func watch(t *testing.T, c Config) *watched {
	w := &watched{t: t, obs: make(chan chain.Observation, 1024), find: map[string]chain.Finding{},
		mon: chain.NewMonitor(chain.Config{Chain: "eth", Family: chain.EVM, ChainID: c.ChainID, Nodes: []string{"a"}})}
	c.Chain, c.Node = "eth", "a"
	if c.Poll == 0 {
		c.Poll = 20 * time.Millisecond
	}
	if c.Slow == 0 {
		c.Slow = 40 * time.Millisecond
	}
	if c.Timeout == 0 {
		c.Timeout = 45 * time.Second
	}
	c.Rate = 1e6
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

// until takes observations, through a real monitor, until one fits.
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
			for _, o := range w.seen {
				b, _ := json.Marshal(o)
				w.t.Logf("%.300s", b)
			}
			w.t.Fatalf("never came: %s", what)
		}
	}
}

func head(hash string) func(chain.Observation) bool {
	return func(o chain.Observation) bool { return o.Kind == chain.KindHead && o.Head.Hash == hash }
}

func kind(k chain.Kind) func(chain.Observation) bool {
	return func(o chain.Observation) bool { return o.Kind == k }
}
