package evmwatch

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/loopback"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// TestMain: no watcher and no connection outlives its Run.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed testdata/contracts.json
var contractsJSON []byte

var contracts = func() map[string]struct{ Create, Code string } {
	out := map[string]struct{ Create, Code string }{}
	if err := json.Unmarshal(contractsJSON, &out); err != nil {
		panic(err)
	}
	return out
}()

// anvil is a real node, behind a proxy that can spoil what it says. The program is what internal/e2e/tools.sh installs.
type anvil struct {
	t     *testing.T
	url   string // of the node itself
	front string // of the proxy
	http  *http.Client
	me    string // the first of its accounts, which holds 10,000 coins
	you   string

	mu    sync.Mutex
	spoil func(method string, params []json.RawMessage) (result any, rpcErr string, spoiled bool)
	calls map[string]int
	batch int // largest batch taken, 0 = any
	big   int // largest batch seen
}

func startAnvil(t *testing.T) *anvil {
	t.Helper()
	program, err := exec.LookPath("anvil")
	if err != nil {
		program, err = filepath.Abs("../../e2e/.cache/bin/anvil")
		if _, serr := os.Stat(program); err != nil || serr != nil {
			t.Log("anvil is not installed (bash internal/e2e/tools.sh anvil): what needs a real node was not tried")
			return nil
		}
	}
	addr := loopback.Free(t)
	_, port, _ := strings.Cut(addr, ":")
	cmd := exec.Command(program, "--host", "127.0.0.1", "--port", port, "--quiet")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a := &anvil{t: t, url: "http://" + addr, http: &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{}}, calls: map[string]int{}}
	proxy := httptest.NewServer(a)
	a.front = proxy.URL
	t.Cleanup(func() {
		proxy.Close()
		a.http.CloseIdleConnections()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for limit := time.Now().Add(60 * time.Second); ; {
		if a.try("eth_blockNumber", nil, nil) == nil {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("anvil does not answer")
		}
		time.Sleep(20 * time.Millisecond)
	}
	var accounts []string
	a.do(&accounts, "eth_accounts")
	a.me, a.you = accounts[0], accounts[1]
	return a
}

func (a *anvil) try(method string, out any, params []any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	res, err := a.http.Post(a.url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var m struct {
		Result json.RawMessage
		Error  any
	}
	if err := json.NewDecoder(res.Body).Decode(&m); err != nil {
		return err
	}
	if m.Error != nil {
		return fmt.Errorf("%s: %v", method, m.Error)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(m.Result, out)
}

func (a *anvil) do(out any, method string, params ...any) {
	a.t.Helper()
	if err := a.try(method, out, params); err != nil {
		a.t.Fatal(err)
	}
}

// ServeHTTP is the proxy.
func (a *anvil) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	type request struct {
		ID     json.RawMessage
		Method string
		Params []json.RawMessage
	}
	var list []json.RawMessage
	single := json.Unmarshal(raw, &list) != nil
	if single {
		list = []json.RawMessage{raw}
	}
	a.mu.Lock()
	refuse := a.batch > 0 && len(list) > a.batch
	a.big = max(a.big, len(list))
	a.mu.Unlock()
	if refuse {
		http.Error(w, "batch too large", http.StatusRequestEntityTooLarge)
		return
	}
	var answers []json.RawMessage
	for _, one := range list {
		var q request
		if err := json.Unmarshal(one, &q); err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		a.mu.Lock()
		a.calls[q.Method]++
		spoil := a.spoil
		a.mu.Unlock()
		if spoil != nil {
			if result, rpcErr, spoiled := spoil(q.Method, q.Params); spoiled {
				answer := map[string]any{"jsonrpc": "2.0", "id": q.ID, "result": result}
				if rpcErr != "" {
					answer = map[string]any{"jsonrpc": "2.0", "id": q.ID, "error": map[string]any{"code": -32601, "message": rpcErr}}
				}
				b, _ := json.Marshal(answer)
				answers = append(answers, b)
				continue
			}
		}
		res, err := a.http.Post(a.url, "application/json", bytes.NewReader(one))
		if err != nil {
			http.Error(w, err.Error(), 502)
			return
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		answers = append(answers, b)
	}
	w.Header().Set("Content-Type", "application/json")
	if single {
		_, _ = w.Write(answers[0])
		return
	}
	_ = json.NewEncoder(w).Encode(answers)
}

// disturb says from now on what is answered instead; nil = nothing.
func (a *anvil) disturb(f func(method string, params []json.RawMessage) (any, string, bool)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spoil = f
}

func (a *anvil) called(method string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[method]
}

// deploy puts one of the contracts of testdata on the chain.
func (a *anvil) deploy(name string) string {
	a.t.Helper()
	var tx string
	a.do(&tx, "eth_sendTransaction", map[string]any{"from": a.me, "data": contracts[name].Create, "gas": "0x4c4b40"})
	return a.mined(tx)
}

// mined waits for a transaction to be in a block, and gives the contract that it made.
func (a *anvil) mined(tx string) string {
	a.t.Helper()
	for limit := time.Now().Add(60 * time.Second); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		var r *struct{ ContractAddress, Status string }
		if a.do(&r, "eth_getTransactionReceipt", tx); r != nil {
			if r.Status != "0x1" {
				a.t.Fatalf("%s failed", tx)
			}
			return r.ContractAddress
		}
	}
	a.t.Fatalf("%s is in no block", tx)
	return ""
}

// send calls a function and returns the transaction.
func (a *anvil) send(to, sig string, args ...string) string {
	a.t.Helper()
	s, err := parseSignature(sig)
	if err != nil {
		a.t.Fatal(err)
	}
	values := make([]any, len(args))
	for i := range args {
		if values[i], err = value(s.inputs[i].Type, args[i]); err != nil {
			a.t.Fatal(err)
		}
	}
	packed, err := s.inputs.Pack(values...)
	if err != nil {
		a.t.Fatal(err)
	}
	var tx string
	a.do(&tx, "eth_sendTransaction", map[string]any{"from": a.me, "to": to, "data": hexutil.Bytes(append(s.selector(), packed...)), "gas": "0x4c4b40"})
	a.mined(tx)
	return tx
}

func (a *anvil) multicall() {
	a.do(nil, "anvil_setCode", multicall3, contracts["Multicall"].Code)
}

// running is a watcher and what it told.
type running struct {
	t    *testing.T
	told chan any // observation.Observation, chain.Sample or Mark
	seen []any
	w    *Watcher
	stop func()
}

func watch(t *testing.T, c Config) *running {
	t.Helper()
	if c.Chain == "" {
		c.Chain = "eth"
	}
	if c.Node == "" {
		c.Node = "a"
	}
	if c.Poll == 0 {
		c.Poll = 15 * time.Millisecond
	}
	if c.Every == 0 {
		c.Every = 20 * time.Millisecond
	}
	if c.Timeout == 0 {
		c.Timeout = 45 * time.Second
	}
	c.Pool, c.Rate = 20*time.Millisecond, 1e6
	if c.Hold == 0 {
		c.Hold = 50 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, told: make(chan any, 4096)}
	give := func(v any) {
		select {
		case r.told <- v: // also the last mark, which is told after the end
		default:
			select {
			case r.told <- v:
			case <-ctx.Done():
			}
		}
	}
	w, err := New(c, Sink{
		Samples: func(list []chain.Sample) {
			for _, s := range list {
				give(s)
			}
		},
		Observe: func(o observation.Observation) {
			if err := o.Check(); err != nil {
				t.Errorf("%+v: %v", o, err)
			}
			give(o)
		},
		Mark: func(m Mark) { give(m) },
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.w = w
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// until takes what is told until something fits.
func (r *running) until(what string, fits func(any) bool) any {
	r.t.Helper()
	limit := time.After(45 * time.Second)
	for {
		select {
		case v := <-r.told:
			r.seen = append(r.seen, v)
			if fits(v) {
				return v
			}
		case <-limit:
			for _, v := range r.seen {
				if o, ok := v.(observation.Observation); ok {
					b, _ := json.Marshal(o)
					r.t.Logf("%.400s", b)
				}
			}
			r.t.Fatalf("never came: %s", what)
		}
	}
}

func (r *running) observed(what string, fits func(observation.Observation) bool) observation.Observation {
	r.t.Helper()
	return r.until(what, func(v any) bool {
		o, ok := v.(observation.Observation)
		return ok && fits(o)
	}).(observation.Observation)
}

// ever is observed for what may have been told already.
func (r *running) ever(what string, fits func(observation.Observation) bool) observation.Observation {
	r.t.Helper()
	for _, v := range r.seen {
		if o, ok := v.(observation.Observation); ok && fits(o) {
			return o
		}
	}
	return r.observed(what, fits)
}

func (r *running) sampled(name string, value float64, labels ...string) {
	r.t.Helper()
	r.until(fmt.Sprintf("%s %v = %v", name, labels, value), func(v any) bool {
		s, ok := v.(chain.Sample)
		if !ok || s.Name != name || s.Value != value {
			return false
		}
		for i := 0; i+1 < len(labels); i += 2 {
			if s.Labels[labels[i]] != labels[i+1] {
				return false
			}
		}
		return s.Labels["chain"] == "eth" && s.Labels["node"] != ""
	})
}

// count is how many of the observations told so far fit.
func (r *running) count(fits func(observation.Observation) bool) (n int) {
	for _, v := range r.seen {
		if o, ok := v.(observation.Observation); ok && fits(o) {
			n++
		}
	}
	return n
}

func low(s string) string { return strings.ToLower(s) }

func pad(address string) string {
	return common.BytesToHash(common.HexToAddress(address).Bytes()).Hex()
}
