package beacon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// node is a fake node. Its answers have the shapes that ethereum/beacon-APIs specifies (numbers as texts, data around everything); the values
// are its own. See testdata/PROVENANCE.md.
type node struct {
	t       *testing.T
	mu      sync.Mutex
	genesis int64
	slots   []int64 // of the canonical chain, ascending
	blocks  map[string]block
	tip     string
	topics  string // refused when the client asks for more; "" = takes all
	mute    bool   // serves no events
	subs    map[chan string]bool
	asked   map[string]int
	sync    map[string]any
	health  int
	peers   any // of /eth/v1/node/peers; nil = not served
	final   int64
	share   float64 // participation; 0 = not served
	name    string
	srv     *httptest.Server
}

type block struct {
	slot   int64
	parent string
}

const perSlot = 12

func newNode(t *testing.T, slots ...int64) *node {
	n := &node{t: t, genesis: time.Now().Unix() - 1000*perSlot - 6, blocks: map[string]block{}, subs: map[chan string]bool{}, asked: map[string]int{}, health: 200,
		sync: map[string]any{"head_slot": "0", "sync_distance": "0", "is_syncing": false, "is_optimistic": false, "el_offline": false}, final: 28, name: "devnet"}
	n.tip = hash("genesis", 0)
	n.blocks[n.tip] = block{0, "0x" + strings.Repeat("0", 64)}
	for _, s := range slots {
		n.mine("a", s)
	}
	n.srv = httptest.NewServer(n)
	t.Cleanup(func() { n.srv.CloseClientConnections(); n.srv.Close() })
	return n
}

func hash(branch string, slot int64) string {
	return fmt.Sprintf("0x%060x%04x", []byte(branch + "........")[:8], slot)
}

// mine puts a block on the tip.
func (n *node) mine(branch string, slot int64) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.grow(branch, slot)
}

func (n *node) grow(branch string, slot int64) string {
	h := hash(branch, slot)
	n.blocks[h] = block{slot, n.tip}
	n.tip = h
	return h
}

func (n *node) set(f func()) { n.mu.Lock(); defer n.mu.Unlock(); f() }

func (n *node) push(name string, data any) {
	raw, _ := json.Marshal(data)
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.subs {
		s <- "event: " + name + "\ndata: " + string(raw) + "\n\n"
	}
}

func (n *node) subscribed() int { n.mu.Lock(); defer n.mu.Unlock(); return len(n.subs) }

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.asked[r.URL.Path]++
	n.mu.Unlock()
	if r.URL.Path == "/eth/v1/events" {
		n.events(w, r)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	str := func(v int64) string { return strconv.FormatInt(v, 10) }
	point := func(e int64) any { return map[string]any{"epoch": str(e), "root": hash("point", e)} }
	fail := func(code int, m string) {
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"code":%d,"message":%q}`, code, m)
	}
	var data any
	id, isHeader := strings.CutPrefix(r.URL.Path, "/eth/v1/beacon/headers/")
	switch {
	case isHeader:
		if id == "head" {
			id = n.tip
		}
		b, ok := n.blocks[id]
		if !ok {
			fail(404, "Block not found")
			return
		}
		data = map[string]any{"root": id, "canonical": true, "header": map[string]any{"signature": "0x00", "message": map[string]any{
			"slot": str(b.slot), "proposer_index": "1", "parent_root": b.parent, "state_root": id, "body_root": id}}}
	case r.URL.Path == "/eth/v1/config/spec":
		data = map[string]any{"CONFIG_NAME": n.name, "SECONDS_PER_SLOT": str(perSlot), "SLOTS_PER_EPOCH": "32", "DEPOSIT_CHAIN_ID": "1337"}
	case r.URL.Path == "/eth/v1/beacon/genesis":
		data = map[string]any{"genesis_time": str(n.genesis), "genesis_validators_root": hash("validators", 1), "genesis_fork_version": "0x00000000"}
	case r.URL.Path == "/eth/v1/node/version":
		data = map[string]any{"version": "Fake/v1.0.0"}
	case r.URL.Path == "/eth/v1/node/syncing":
		data = n.sync
	case r.URL.Path == "/eth/v1/node/health":
		w.WriteHeader(n.health)
		return
	case r.URL.Path == "/eth/v1/node/peer_count":
		data = map[string]any{"disconnected": "12", "connecting": "34", "connected": "56", "disconnecting": "5"}
	case r.URL.Path == "/eth/v1/node/peers" && n.peers != nil && r.URL.Query().Get("state") == "connected":
		data = n.peers
	case r.URL.Path == "/eth/v1/beacon/states/head/finality_checkpoints":
		data = map[string]any{"previous_justified": point(n.final), "current_justified": point(n.final + 1), "finalized": point(n.final)}
	case strings.HasPrefix(r.URL.Path, "/lighthouse/validator_inclusion/") && n.share > 0:
		data = map[string]any{"current_epoch_active_gwei": 1_000_000, "previous_epoch_active_gwei": 1_000_000, "current_epoch_target_attesting_gwei": 5,
			"previous_epoch_target_attesting_gwei": int64(n.share * 1_000_000), "previous_epoch_head_attesting_gwei": 5}
	default:
		fail(404, "NOT_FOUND")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"execution_optimistic": false, "finalized": false, "data": data})
}

func (n *node) events(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	topics, mute := n.topics, n.mute
	n.mu.Unlock()
	if mute {
		http.NotFound(w, r)
		return
	}
	if got := r.URL.Query().Get("topics"); topics != "" && got != topics {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"code":400,"message":"BAD_REQUEST: invalid topic"}`)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, ":\n\n")
	w.(http.Flusher).Flush()
	ch := make(chan string, 64)
	n.set(func() { n.subs[ch] = true })
	defer n.set(func() { delete(n.subs, ch) })
	for {
		select {
		case s := <-ch:
			fmt.Fprint(w, s)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
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
		mon: chain.NewMonitor(chain.Config{Chain: "cl", Family: chain.Beacon, ChainID: c.ChainID, Nodes: []string{"a"}, Interval: perSlot * 1000})}
	c.Chain, c.Node, c.Rate = "cl", "a", 1e6
	if c.Poll == 0 {
		c.Poll = 20 * time.Millisecond
	}
	if c.Slow == 0 {
		c.Slow = 40 * time.Millisecond
	}
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
			for _, o := range w.seen[max(0, len(w.seen)-20):] {
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

func state(s chain.NodeState, part string) func(chain.Observation) bool {
	return func(o chain.Observation) bool {
		return o.Kind == chain.KindState && o.State == s && strings.Contains(o.Reason, part)
	}
}

func beacon(fits func(*chain.Slots) bool) func(chain.Observation) bool {
	return func(o chain.Observation) bool { return o.Kind == chain.KindBeacon && fits(o.Beacon) }
}
