package evmwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// script is a node that says what the test writes: a chain of blocks with logs, and lies on demand.
type script struct {
	mu     sync.Mutex
	logs   [][]entry // by height
	fork   byte      // part of every hash
	answer func(method string, params []json.RawMessage) (string, bool)
	url    string
}

func newScript(t *testing.T) *script {
	s := &script{logs: make([][]entry, 5)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *script) hash(height int64) common.Hash {
	if height < 3 {
		return crypto.Keccak256Hash([]byte{byte(height)})
	}
	return crypto.Keccak256Hash([]byte{byte(height), byte(height >> 8), s.fork})
}

func (s *script) block(height int64) any {
	if height < 0 || height >= int64(len(s.logs)) {
		return nil
	}
	var b bloom
	for _, l := range s.logs[height] {
		b.add(l.Address[:])
		for _, t := range l.Topics {
			b.add(t[:])
		}
	}
	return map[string]any{"number": hexNumber(height), "hash": s.hash(height), "parentHash": s.hash(height - 1), "timestamp": "0x1", "logsBloom": hexutil.Bytes(b[:]), "transactions": []string{"0x01"}}
}

// mine puts a block with these logs on the chain.
func (s *script) mine(logs ...entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	height := int64(len(s.logs))
	for i := range logs {
		logs[i].Block, logs[i].Number, logs[i].Index, logs[i].Tx = s.hash(height), hexutil.Uint64(height), hexutil.Uint64(i), crypto.Keccak256Hash([]byte{byte(i)}, s.hash(height).Bytes())
	}
	s.logs = append(s.logs, logs)
}

func (s *script) lie(f func(method string, params []json.RawMessage) (string, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	type request struct {
		ID     json.RawMessage
		Method string
		Params []json.RawMessage
	}
	var raw json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&raw)
	var list []request
	single := json.Unmarshal(raw, &list) != nil
	if single {
		list = make([]request, 1)
		_ = json.Unmarshal(raw, &list[0])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, q := range list {
		text, lied := "", false
		if s.answer != nil {
			text, lied = s.answer(q.Method, q.Params)
		}
		if text == hangUp {
			panic(http.ErrAbortHandler)
		}
		if !lied {
			b, _ := json.Marshal(s.say(q.Method, q.Params))
			text = `"result":` + string(b)
		}
		out = append(out, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s}`, q.ID, text))
	}
	if single {
		fmt.Fprint(w, out[0])
		return
	}
	fmt.Fprint(w, "["+strings.Join(out, ",")+"]")
}

func (s *script) say(method string, params []json.RawMessage) any {
	arg := ""
	if len(params) > 0 {
		_ = json.Unmarshal(params[0], &arg)
	}
	switch method {
	case "eth_chainId":
		return "0x1"
	case "eth_getBlockByNumber":
		if arg == "latest" {
			return s.block(int64(len(s.logs) - 1))
		}
		n, _ := quantity(arg)
		return s.block(n)
	case "eth_getBlockByHash":
		for h := range s.logs {
			if s.hash(int64(h)) == common.HexToHash(arg) {
				return s.block(int64(h))
			}
		}
		return nil
	case "eth_getLogs":
		var q struct{ BlockHash common.Hash }
		_ = json.Unmarshal(params[0], &q)
		for h, logs := range s.logs {
			if s.hash(int64(h)) == q.BlockHash {
				return append([]entry{}, logs...)
			}
		}
		return []entry{}
	case "eth_call": // decimals 6, for whoever asks
		return hexutil.Bytes(common.LeftPadBytes([]byte{6}, 32))
	}
	return nil
}

func transfer(token, from, to string, amount byte) entry {
	return entry{Address: common.HexToAddress(token), Topics: []common.Hash{topicTransfer, common.HexToHash(pad(from)), common.HexToHash(pad(to))}, Data: common.LeftPadBytes([]byte{amount}, 32)}
}

const nobody = "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0"

func watchToken(s *script, node string) Config {
	return Config{URL: s.url, ChainID: "1", Node: node, Spec: Spec{Tokens: []Token{{Asset: Asset{Name: "T", Peg: 2}, Address: one, Transfers: true}}}}
}

// TestTwoNodes: what one node holds back the other tells, and when the first tells it too it is the same event.
func TestTwoNodes(t *testing.T) {
	a, b := newScript(t), newScript(t)
	a.lie(func(method string, _ []json.RawMessage) (string, bool) { return `"result":[]`, method == "eth_getLogs" })
	ra, rb := watch(t, watchToken(a, "a")), watch(t, watchToken(b, "b"))
	ra.sampled("tocsin_watch_state_height", 4)
	rb.sampled("tocsin_watch_state_height", 4)
	for _, s := range []*script{a, b} {
		s.mine(transfer(one, two, nobody, 9), transfer(one, two, nobody, 9), transfer(two, one, nobody, 1))
	}
	any := func(o observation.Observation) bool { return o.Kind == observation.Transfer }
	told := rb.observed("the first", any)
	second := rb.observed("the second of the same", any)
	if told.Node != "b" || told.Amount != "0.000009" || *told.USD != 0.000018 || told.ID == second.ID || told.Tx == second.Tx {
		t.Errorf("%+v %+v", told, second)
	}
	ra.sampled("tocsin_watch_answers_untrusted", 1)
	for _, s := range []*script{a, b} {
		s.mine() // what waits holds up nothing
	}
	ra.sampled("tocsin_watch_height", 6)
	if n := ra.count(any); n != 0 {
		t.Fatal("told what the node did not say")
	}
	a.lie(nil)
	late := ra.observed("the same by the first node", any)
	if late.Node != "a" || late.Tx != told.Tx || late.ID != told.ID || late.Block != told.Block || late.Height != told.Height || late.Amount != told.Amount {
		t.Errorf("%+v, the other said %+v", late, told)
	}
	ra.sampled("tocsin_watch_blocks_waiting", 0)
	if n := rb.count(any); n != 2 {
		t.Errorf("%d transfers", n)
	}
}

// TestOtherBlocksLogs: logs of another block than the one asked for are not taken.
func TestOtherBlocksLogs(t *testing.T) {
	a := newScript(t)
	r := watch(t, watchToken(a, "a"))
	r.sampled("tocsin_watch_state_height", 4)
	false1 := transfer(one, two, nobody, 7)
	false1.Block = common.HexToHash("0x77")
	b, _ := json.Marshal([]entry{false1})
	a.lie(func(method string, _ []json.RawMessage) (string, bool) {
		return `"result":` + string(b), method == "eth_getLogs"
	})
	a.mine(transfer(one, two, nobody, 1))
	r.sampled("tocsin_watch_answers_untrusted", 1)
	a.lie(nil)
	if o := r.observed("the truth", func(o observation.Observation) bool { return o.Kind == observation.Transfer }); o.Amount != "0.000001" {
		t.Errorf("%+v", o)
	}
}

// TestHostileAnswers: whatever is answered to one question, the watch goes on.
func TestHostileAnswers(t *testing.T) {
	for name, bad := range map[string]string{
		"endless":  `"result":"` + strings.Repeat("x", 9<<20) + `"`,
		"deep":     `"result":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		"wrong":    `"result":{"a":1}`,
		"no hex":   `"result":[{"address":"0xzz","topics":[]}]`,
		"nothing":  `"x":1`,
		"an error": `"error":{"code":-32000,"message":"no"}`,
	} {
		for _, method := range []string{"eth_getLogs", "eth_call", "eth_getStorageAt"} {
			t.Run(name+" "+method, func(t *testing.T) {
				a := newScript(t)
				c := watchToken(a, "a")
				c.Spec.Contracts = []Contract{{Name: "c", Address: one}}
				c.Spec.Views = []View{{Name: "v", Contract: two, Call: "v() returns (uint256)"}, {Name: "w", Contract: two, Call: "w() returns (uint256)"}}
				r := watch(t, c)
				r.sampled("tocsin_watch_state_height", 4)
				a.lie(func(m string, _ []json.RawMessage) (string, bool) { return bad, m == method })
				a.mine(transfer(one, two, nobody, 1))
				r.sampled("tocsin_watch_height", 5)
				a.mine()
				r.sampled("tocsin_watch_height", 6)
				a.lie(nil)
				r.ever("the transfer", func(o observation.Observation) bool { return o.Kind == observation.Transfer })
			})
		}
	}
}

const hangUp = "hang up"

// TestBlockThatBreaksTheConnection: a question that ends every connection holds up nothing but its own block.
func TestBlockThatBreaksTheConnection(t *testing.T) {
	a := newScript(t)
	r := watch(t, watchToken(a, "a"))
	r.sampled("tocsin_watch_state_height", 4)
	var mu sync.Mutex
	bad := ""
	a.lie(pick(func(hash string) bool {
		mu.Lock()
		defer mu.Unlock()
		if bad == "" {
			bad = hash
		}
		return hash == bad
	}))
	a.mine(transfer(one, two, nobody, 1))
	a.mine(transfer(one, two, nobody, 2))
	r.observed("the next block's", func(o observation.Observation) bool { return o.Amount == "0.000002" })
	a.lie(nil)
	r.observed("its own", func(o observation.Observation) bool { return o.Amount == "0.000001" })
}

// pick hangs up on questions for the logs of some blocks.
func pick(bad func(hash string) bool) func(string, []json.RawMessage) (string, bool) {
	return func(m string, params []json.RawMessage) (string, bool) {
		var q struct{ BlockHash string }
		if m != "eth_getLogs" || json.Unmarshal(params[0], &q) != nil || !bad(q.BlockHash) {
			return "", false
		}
		return hangUp, true
	}
}

// TestReorgOfLogs: another branch takes back what the old one told and tells its own.
func TestReorgOfLogs(t *testing.T) {
	a := newScript(t)
	r := watch(t, watchToken(a, "a"))
	r.sampled("tocsin_watch_state_height", 4)
	a.mine(transfer(one, two, nobody, 1))
	a.mine(transfer(one, two, nobody, 2))
	r.observed("the second", func(o observation.Observation) bool { return o.Amount == "0.000002" })
	a.mu.Lock()
	a.fork, a.logs = 1, a.logs[:5]
	a.mu.Unlock()
	a.mine(transfer(one, two, nobody, 3))
	a.mine()
	a.mine()
	var order []string
	for range 3 {
		o := r.observed("each", func(o observation.Observation) bool { return o.Kind == observation.Transfer })
		order = append(order, fmt.Sprintf("%s %t", o.Amount, o.Removed))
	}
	if got := strings.Join(order, ", "); got != "0.000002 true, 0.000001 true, 0.000003 false" {
		t.Error(got)
	}
}

// TestUnchecked: a provider that shows neither all events of a block nor its receipts is taken at its word, which is counted.
func TestUnchecked(t *testing.T) {
	a := newScript(t)
	a.lie(func(method string, params []json.RawMessage) (string, bool) {
		refused := method == "eth_getBlockReceipts" || (method == "eth_getLogs" && !strings.Contains(string(params[0]), `"address"`))
		if refused {
			return `"error":{"code":-32000,"message":"specify an address"}`, true
		}
		return `"result":[]`, method == "eth_getLogs"
	})
	c := watchToken(a, "a")
	r := watch(t, c)
	r.sampled("tocsin_watch_state_height", 4)
	a.mine(transfer(one, two, nobody, 1))
	r.sampled("tocsin_watch_answers_untrusted", 1)
	a.mine()
	r.sampled("tocsin_watch_height", 6)
	if n := r.count(func(o observation.Observation) bool { return o.Kind == observation.Transfer }); n != 0 {
		t.Error("told what was not said")
	}
}

// TestWrongChain: a node of another chain is asked nothing else.
func TestWrongChain(t *testing.T) {
	a := newScript(t)
	var mu sync.Mutex
	methods := map[string]bool{}
	asked := make(chan bool, 100)
	a.lie(func(m string, _ []json.RawMessage) (string, bool) {
		mu.Lock()
		methods[m] = true
		mu.Unlock()
		asked <- true
		return "", false
	})
	c := watchToken(a, "a")
	c.ChainID = "10"
	r := watch(t, c)
	<-asked
	r.stop()
	mu.Lock()
	defer mu.Unlock()
	if len(methods) != 1 || !methods["eth_chainId"] {
		t.Errorf("asked %v", methods)
	}
	for len(r.told) > 0 {
		if s, ok := (<-r.told).(chain.Sample); ok {
			t.Errorf("told %+v", s)
		}
	}
}

// TestSecretsStayInside: what is logged of a node that does not answer holds no key.
func TestSecretsStayInside(t *testing.T) {
	said := make(chan string, 1)
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.NewTextHandler(writer(func(b []byte) {
		select {
		case said <- string(b):
		default:
		}
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	w, err := New(Config{Chain: "eth", Node: "a", URL: "http://sam:s3cret@127.0.0.1:1/v3/0123456789abcdef?key=k3y"}, Sink{}, log)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	text := <-said
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, secret := range []string{"sam", "s3cret", "0123456789abcdef", "k3y"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %s", secret, text)
		}
	}
	if !strings.Contains(text, "nothing listens at 127.0.0.1:1") {
		t.Error(text)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }
