package bitcoinwatch

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// fake is a node of made-up blocks that hold up to their hashes. Answers for other methods, and errors, come from says: what it returns is sent
// as it is; "" leaves it to the fake.
type fake struct {
	t    *testing.T
	url  string
	says func(method string, params []json.RawMessage) (status int, body string)

	mu     sync.Mutex
	list   []hash
	raw    map[string]string
	height map[string]int
	asked  map[string]int
}

func startFake(t *testing.T) *fake {
	t.Helper()
	n := &fake{t: t, raw: map[string]string{}, height: map[string]int{}, asked: map[string]int{}, says: func(string, []json.RawMessage) (int, string) { return 0, "" }}
	srv := httptest.NewServer(n)
	t.Cleanup(srv.Close)
	n.url = srv.URL
	n.mine(1)
	return n
}

func (n *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Method string
		Params []json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		n.t.Error(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked[q.Method]++
	if status, body := n.says(q.Method, q.Params); body != "" {
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "300")
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
		return
	}
	text := func(i int) (s string) {
		_ = json.Unmarshal(q.Params[i], &s)
		return s
	}
	var result any
	switch q.Method {
	case "getbestblockhash":
		result = n.list[len(n.list)-1].String()
	case "getblockheader":
		h := n.height[text(0)]
		before := hash{}
		if h > 0 {
			before = n.list[h-1]
		}
		result = header{text(0), int64(h), before.String()}
	case "getblock":
		result = n.raw[text(0)]
	case "getrawmempool":
		result = []string{}
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, rpcError(-32601))
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"result": result, "error": nil, "id": 1})
}

func rpcError(code int) string {
	return fmt.Sprintf(`{"result":null,"error":{"code":%d,"message":"Refused"},"id":1}`, code)
}

// count tells how often a method was asked for.
func (n *fake) count(method string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[method]
}

// mine adds blocks; the transactions are in the first of them.
func (n *fake) mine(blocks int, txs ...[]byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range blocks {
		h := len(n.list)
		all := append([][]byte{spending([]outpoint{{n: 0xffffffff}}, output{int64(h), []byte{0x6a, byte(h), byte(h >> 8)}})}, txs...)
		txs = nil
		var ids []transaction
		raw := make([]byte, 80)
		for _, tx := range all {
			x, err := parseTransaction(hex.EncodeToString(tx))
			if err != nil {
				n.t.Fatal(err)
			}
			ids = append(ids, x)
		}
		root := merkle(ids)
		copy(raw[36:], root[:])
		if h > 0 {
			copy(raw[4:], n.list[h-1][:])
		}
		id := double(raw)
		raw = append(raw, byte(len(all)))
		for _, tx := range all {
			raw = append(raw, tx...)
		}
		n.list, n.raw[id.String()], n.height[id.String()] = append(n.list, id), hex.EncodeToString(raw), h
	}
}

// spending is a transaction that nobody signed.
func spending(from []outpoint, outs ...output) []byte {
	raw := []byte{2, 0, 0, 0, byte(len(from))}
	for _, f := range from {
		raw = append(raw, f.tx[:]...)
		raw = binary.LittleEndian.AppendUint32(raw, f.n)
		raw = append(raw, 1, 0, 0xff, 0xff, 0xff, 0xff)
	}
	raw = append(raw, byte(len(outs)))
	for _, o := range outs {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(o.value))
		raw = append(append(raw, byte(len(o.script))), o.script...)
	}
	return append(raw, 0, 0, 0, 0)
}

func idOf(t *testing.T, raw []byte) hash {
	t.Helper()
	x, err := parseTransaction(hex.EncodeToString(raw))
	if err != nil {
		t.Fatal(err)
	}
	return x.id
}

// scanResult is what scantxoutset says at the newest block; each is "txid:n amount script". n.mu is held.
func (n *fake) scanResult(unspent ...string) (int, string) {
	tip := n.list[len(n.list)-1].String()
	var list []string
	for _, u := range unspent {
		f := strings.Fields(u)
		tx, vout, _ := strings.Cut(f[0], ":")
		list = append(list, fmt.Sprintf(`{"txid":"%s","vout":%s,"scriptPubKey":"%s","amount":%s}`, tx, vout, f[2], f[1]))
	}
	return http.StatusOK, fmt.Sprintf(`{"result":{"success":true,"height":%d,"bestblock":"%s","unspents":[%s]},"error":null,"id":1}`, n.height[tip], tip, strings.Join(list, ","))
}

// part is a watcher that does not run: its parts are called by the test.
type part struct {
	*Watcher
	samples map[string]float64 // by name and address, the newest
	events  []observation.Observation
}

func (n *fake) part(spec Spec) *part {
	n.t.Helper()
	p := &part{samples: map[string]float64{}}
	w, err := New(Config{Chain: "btc", Node: "a", URL: n.url, ChainID: "simnet", Rate: 1e6, Timeout: 45 * time.Second, Spec: spec}, Sink{
		Samples: func(list []chain.Sample) {
			for _, s := range list {
				p.samples[s.Name+s.Labels["address"]] = s.Value
			}
		},
		Observe: func(o observation.Observation) { p.events = append(p.events, o) },
	}, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	w.http = dial.Client(w.cfg.Timeout)
	n.t.Cleanup(w.http.CloseIdleConnections)
	p.Watcher = w
	return p
}

// read has it read the blocks that are there.
func (n *fake) read(p *part) {
	n.t.Helper()
	if err := p.blocks(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
}

// TestGap: after a pause that was too long nothing is taken for a block that it is not, and what a followed address held before is not looked
// for in blocks that were never read.
func TestGap(t *testing.T) {
	n := startFake(t)
	p := n.part(Spec{Addresses: []Address{{"ours", person(0)}}})
	n.mine(3)
	n.read(p)
	old := *p.tip()
	n.mine(backfillMost + 100)
	left := 5 // blocks, then the node is in the way
	n.says = func(method string, _ []json.RawMessage) (int, string) {
		if method == "getblock" {
			if left--; left < 0 {
				return http.StatusInternalServerError, rpcError(-1)
			}
		}
		return 0, ""
	}
	if err := p.blocks(t.Context()); err == nil || p.lost == 0 {
		t.Fatalf("the pause was not too long: %v", err)
	}
	lost := p.lost
	for i := range p.ring {
		if e := &p.ring[i]; p.at(e.height) != e || e.hash != n.list[e.height] {
			t.Fatalf("block %d of the ring is %+v", i, e)
		}
	}
	p.Follow([]string{person(1)})
	p.follow()
	held := outpoint{hash{1}, 0}
	scan := &scanned{height: old.height, hash: old.hash, coins: map[outpoint]coin{held: {1e8, 1}}}
	if err := p.adopt(t.Context(), &sought{scan: scan}); err == nil || len(p.coins) != 0 {
		t.Errorf("what was held before the gap was taken: %v", err)
	}

	n.mu.Lock()
	left = 1 << 20
	n.mu.Unlock()
	n.read(p)
	if p.tip().hash != n.list[len(n.list)-1] || p.lost != lost {
		t.Errorf("at %d, %v blocks lost of which %v are counted twice", p.tip().height, p.lost, p.lost-lost)
	}

	// A ring that has a gap all the same ends nothing.
	last := *p.tip()
	p.ring = []seen{old, last}
	if err := p.adopt(t.Context(), &sought{scan: scan}); err == nil || len(p.coins) != 0 {
		t.Errorf("what was held before the gap was taken: %v", err)
	}
}

// TestFollowedTakesNoRoom: an address that somebody typed has no part in the own scan, and however many outputs it has, own ones are held and
// their spenders asked for first.
func TestFollowedTakesNoRoom(t *testing.T) {
	n := startFake(t)
	ours, theirs := hex.EncodeToString(somebody(0)), hex.EncodeToString(somebody(1))
	have := outpoint{hash{7}, 0}
	var spenders [][]map[string]any
	n.says = func(method string, params []json.RawMessage) (int, string) {
		switch method {
		case "scantxoutset":
			if strings.Contains(string(params[1]), theirs) {
				return http.StatusOK, strings.Repeat(" ", dial.MaxAnswer+1)
			}
			return n.scanResult(have.String() + " 2.5 " + ours)
		case "gettxspendingprevout":
			var ask []map[string]any
			if err := json.Unmarshal(params[0], &ask); err != nil {
				t.Error(err)
			}
			spenders = append(spenders, ask)
			return http.StatusOK, `{"result":[],"error":null,"id":1}`
		}
		return 0, ""
	}
	p := n.part(Spec{Scan: true, Addresses: []Address{{"ours", person(0)}}})
	p.Follow([]string{person(1)})
	p.follow()
	n.read(p)
	if err := p.start(t.Context()); err != nil || p.samples["tocsin_watch_balanceours"] != 2.5 {
		t.Fatalf("the own scan: %v, %v", err, p.samples)
	}

	for i := range followedCoins {
		if !p.hold(outpoint{hash{8}, uint32(i)}, coin{1, 1}) {
			t.Fatalf("%d of followed addresses were held", i)
		}
	}
	paid := spending([]outpoint{{hash{9}, 0}}, output{1e8, somebody(1)}, output{0.5e8, somebody(0)})
	n.mine(1, paid)
	n.read(p)
	if _, held := p.coins[outpoint{idOf(t, paid), 0}]; held || p.followed.held != followedCoins {
		t.Errorf("%d of followed addresses are held", p.followed.held)
	}
	if p.samples["tocsin_watch_balanceours"] != 3 || !p.exact {
		t.Errorf("balances %v", p.samples)
	}

	p.pooled = time.Time{}
	if err := p.waiting(t.Context()); err != nil {
		t.Fatal(err)
	}
	own, all := 0, 0
	for i, ask := range spenders {
		for j, o := range ask {
			all++
			if id := o["txid"]; id == have.tx.String() || id == idOf(t, paid).String() {
				if own++; i > 0 || j > 1 {
					t.Errorf("an own coin is asked for as number %d of %d", j, i)
				}
			}
		}
	}
	if own != 2 || all != spendersMost {
		t.Errorf("the spenders of %d own coins of %d were asked for", own, all)
	}

	// Own coins have room up to their bound, and what is spent or not followed any more makes room.
	spent := spending([]outpoint{{hash{8}, 0}}, output{1, somebody(2)})
	n.mine(1, spent)
	n.read(p)
	if p.followed.held != followedCoins-1 {
		t.Errorf("%d of followed addresses are held after one was spent", p.followed.held)
	}
	p.cut(p.tip().height - 1)
	if _, back := p.coins[outpoint{hash{8}, 0}]; !back || p.followed.held != followedCoins {
		t.Errorf("%d of followed addresses are held after that was taken back", p.followed.held)
	}
	p.Follow(nil)
	p.follow()
	if p.followed.held != 0 || len(p.coins) != 2 {
		t.Errorf("%d coins, %d of nobody that is followed", len(p.coins), p.followed.held)
	}
	for i := len(p.coins); i < coinsMost; i++ {
		p.hold(outpoint{hash{10}, uint32(i)}, coin{0, 0})
	}
	if !p.exact || p.hold(outpoint{hash{11}, 0}, coin{1, 0}) || p.exact {
		t.Error("more own coins than there is room for were held, or the balances are still taken for whole")
	}
}
