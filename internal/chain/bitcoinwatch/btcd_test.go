package bitcoinwatch

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/chain/loopback"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// anybody is the address of the script that anybody may spend (OP_TRUE, by its hash), so that the tests need no key.
var (
	anybody = networks["simnet"].address(append(append([]byte{0xa9, 20}, mustHex("da1745e9b549bd0bfa1a569971c77eba30cd5a4b")...), 0x87))
	shop    = networks["simnet"].address(append([]byte{0, 20}, make([]byte, 20)...))
)

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// btcd is a real node on simnet; the program is what internal/e2e/tools.sh installs.
type btcd struct {
	t    *testing.T
	url  string
	http *http.Client
}

func startBtcd(t *testing.T) *btcd {
	t.Helper()
	program, err := exec.LookPath("btcd")
	if err != nil {
		program, err = filepath.Abs("../../e2e/.cache/bin/btcd")
		if _, serr := os.Stat(program); err != nil || serr != nil {
			t.Log("btcd is not installed (bash internal/e2e/tools.sh btcd): what needs a real node was not tried")
			return nil
		}
	}
	rpc, dir := loopback.Free(t), t.TempDir()
	cmd := exec.Command(program, "--configfile=/dev/null", "--simnet", "--datadir="+dir, "--logdir="+dir+"/log", "--rpcuser=u", "--rpcpass=p", "--rpclisten="+rpc,
		"--listen="+loopback.Free(t), "--notls", "--txindex", "--addrindex", "--miningaddr="+anybody)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &btcd{t: t, url: "http://u:p@" + rpc, http: dial.Client(60 * time.Second)}
	t.Cleanup(func() {
		b.http.CloseIdleConnections()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for limit := time.Now().Add(60 * time.Second); dial.Call(context.Background(), b.http, b.url, "getblockcount", nil, nil) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("btcd does not answer")
		}
	}
	return b
}

func (b *btcd) do(out any, method string, params ...any) {
	b.t.Helper()
	err := dial.Call(context.Background(), b.http, b.url, method, params, out)
	if err != nil && !(out == nil && strings.Contains(err.Error(), "JSON-RPC")) { // a null result
		b.t.Fatal(err)
	}
}

// pay sends a transaction that spends one output that anybody may spend.
func (b *btcd) pay(from outpoint, sequence uint32, outs ...output) string {
	b.t.Helper()
	raw := []byte{2, 0, 0, 0, 1}
	raw = append(raw, from.tx[:]...)
	raw = binary.LittleEndian.AppendUint32(raw, from.n)
	raw = append(raw, 2, 1, 0x51) // the script that is hashed: OP_TRUE
	raw = binary.LittleEndian.AppendUint32(raw, sequence)
	raw = append(raw, byte(len(outs)))
	for _, o := range outs {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(o.value))
		raw = append(append(raw, byte(len(o.script))), o.script...)
	}
	raw = append(raw, 0, 0, 0, 0)
	var id string
	b.do(&id, "sendrawtransaction", hex.EncodeToString(raw), true)
	return id
}

type running struct {
	t    *testing.T
	told chan any
	seen []any
	w    *Watcher
	stop func()
}

func watch(t *testing.T, c Config) *running {
	t.Helper()
	c.Chain, c.Node, c.Poll, c.Pool, c.Rate = "btc", "a", 10*time.Millisecond, 15*time.Millisecond, 1e6
	if c.Timeout == 0 {
		c.Timeout = 45 * time.Second
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
			last := map[string]any{}
			for _, v := range r.seen {
				if s, ok := v.(chain.Sample); ok {
					last[s.Name+s.Labels["address"]] = s.Value
				} else {
					b, _ := json.Marshal(v)
					r.t.Logf("%.300s", b)
				}
			}
			r.t.Fatalf("never came: %s; %v", what, last)
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

func (r *running) sampled(name string, value float64, address string) {
	r.t.Helper()
	r.until(fmt.Sprintf("%s of %s = %v", name, address, value), func(v any) bool {
		s, ok := v.(chain.Sample)
		return ok && s.Name == name && s.Value == value && s.Labels["address"] == address && s.Labels["chain"] == "btc" && s.Labels["node"] == "a"
	})
}

func of(tx, where string, kind observation.Kind, removed bool) func(observation.Observation) bool {
	return func(o observation.Observation) bool {
		return o.Tx == tx && o.Where == where && o.Kind == kind && o.Removed == removed
	}
}

// TestRealNode: a payment is seen in the pool, in its block, and taken back with it; balances follow.
func TestRealNode(t *testing.T) {
	b := startBtcd(t)
	if b == nil {
		return
	}
	var blocks []string
	b.do(&blocks, "generate", 101)
	var first string
	b.do(&first, "getblock", blocks[0], 0)
	at, err := parseHash(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	_, list, err := parseBlock(first, at)
	if err != nil {
		t.Fatal(err)
	}
	coinbase := outpoint{list[0].id, 0}
	script1, script2 := list[0].outs[0].script, append([]byte{0, 20}, make([]byte, 20)...)
	price := 100_000.0
	r := watch(t, Config{URL: b.url, ChainID: "simnet", Spec: Spec{Addresses: []Address{{"miner", anybody}, {"shop", shop}}, Scan: true}, Price: func() (float64, bool) { return price, true }})
	r.sampled("tocsin_watch_balance", 5050, "miner")
	r.sampled("tocsin_watch_balance", 0, "shop")

	tx := b.pay(coinbase, 0xffffffff, output{10e8, script2}, output{39.999e8, script1})
	o := r.observed("the spend in the pool", of(tx, "pool", observation.Spend, false))
	if len(o.Inputs) != 1 || o.Inputs[0] != coinbase.String() || o.From != anybody {
		t.Errorf("spend %+v", o)
	}
	pooled := r.observed("the payment in the pool", of(tx, "pool", observation.Transfer, false))
	if pooled.From != anybody || pooled.To != shop || pooled.Amount != "10" || *pooled.USD != 1e6 || pooled.Symbol != "BTC" || pooled.ID != "output 0" {
		t.Errorf("payment %+v", pooled)
	}
	var mined []string
	b.do(&mined, "generate", 1)
	r.observed("the spend in its block", of(tx, "chain", observation.Spend, false))
	o = r.observed("the payment in its block", of(tx, "chain", observation.Transfer, false))
	if o.Block != mined[0] || o.Height != 102 || o.ID != pooled.ID || o.Amount != "10" {
		t.Errorf("payment %+v", o)
	}
	r.sampled("tocsin_watch_balance", 5050-50+39.999+50.001, "miner")
	r.sampled("tocsin_watch_balance", 10, "shop")

	b.do(nil, "invalidateblock", mined[0])
	r.observed("the payment, taken back", of(tx, "chain", observation.Transfer, true))
	r.observed("the spend, taken back", of(tx, "chain", observation.Spend, true))
	r.sampled("tocsin_watch_balance", 5050, "miner")
	r.sampled("tocsin_watch_balance", 0, "shop")
	b.do(nil, "reconsiderblock", mined[0])
	r.observed("the payment again", of(tx, "chain", observation.Transfer, false))
	r.sampled("tocsin_watch_balance", 10, "shop")
	for _, v := range r.seen {
		if o, ok := v.(observation.Observation); ok && o.Removed && o.Where == "pool" && o.Tx == tx {
			t.Errorf("what was mined was told to have left the pool: %+v", o)
		}
	}

	// What came while nobody looked is read at the next start, and without a scan balances count from there.
	r.stop()
	var last Mark
	for len(r.told) > 0 {
		r.seen = append(r.seen, <-r.told)
	}
	for _, v := range r.seen {
		if m, ok := v.(Mark); ok {
			last = m
		}
	}
	b.do(nil, "generate", 3)
	r = watch(t, Config{URL: b.url, ChainID: "simnet", Resume: last, Spec: Spec{Addresses: []Address{{"miner", anybody}}}})
	r.sampled("tocsin_watch_balance_since_start", 150, "miner")
}

// TestLyingNode: a block that was tampered with is not believed; the truth is taken when it comes.
func TestLyingNode(t *testing.T) {
	b := startBtcd(t)
	if b == nil {
		return
	}
	b.do(nil, "generate", 1)
	to, err := url.Parse(b.url)
	if err != nil {
		t.Fatal(err)
	}
	to.User = nil
	var lies atomic.Int64 // that are left; more of one block than the watch has patience for, and it is passed over
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.SetBasicAuth("u", "p")
		rec := httptest.NewRecorder()
		proxy.ServeHTTP(rec, r)
		text := rec.Body.String()
		const payee = "a914da1745e9b549bd0bfa1a569971c77eba30cd5a4b87"
		if strings.Contains(text, payee) && lies.Add(-1) >= 0 {
			text = strings.Replace(text, payee, "a914"+strings.Repeat("00", 20)+"87", 1)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(front.Close)
	r := watch(t, Config{URL: front.URL, Spec: Spec{Addresses: []Address{{"miner", anybody}}}})
	r.sampled("tocsin_watch_balance_since_start", 50, "miner")
	lies.Store(3)
	b.do(nil, "generate", 1)
	r.sampled("tocsin_watch_answers_untrusted", 3, "")
	r.sampled("tocsin_watch_balance_since_start", 100, "miner")
}

// TestReplacement: a waiting transaction that is replaced leaves the pool, and what replaces it spends the same outpoint; the spender of a
// watched outpoint is told though it is nobody's that is watched, also when it waited before the watch began.
func TestReplacement(t *testing.T) {
	b := startBtcd(t)
	if b == nil {
		return
	}
	var blocks []string
	b.do(&blocks, "generate", 102)
	var from []outpoint
	for _, text := range blocks[:2] {
		var raw string
		b.do(&raw, "getblock", text, 0)
		at, _ := parseHash(text)
		_, list, err := parseBlock(raw, at)
		if err != nil {
			t.Fatal(err)
		}
		from = append(from, outpoint{list[0].id, 0})
	}
	to := append([]byte{0, 20}, make([]byte, 20)...)
	early := b.pay(from[0], 0xfffffffd, output{49e8, to})
	r := watch(t, Config{URL: b.url, Spec: Spec{Outpoints: []string{from[0].String(), from[1].String()}}})
	o := r.observed("what waited before", of(early, "pool", observation.Spend, false))
	if o.Inputs[0] != from[0].String() || o.From != "" {
		t.Errorf("%+v", o)
	}
	first := b.pay(from[1], 0xfffffffd, output{49.99e8, to})
	r.observed("the first", of(first, "pool", observation.Spend, false))
	second := b.pay(from[1], 0xfffffffd, output{49e8, to})
	o = r.observed("what replaces it", of(second, "pool", observation.Spend, false))
	if o.Inputs[0] != from[1].String() {
		t.Errorf("%+v", o)
	}
	r.observed("the first, gone", of(first, "pool", observation.Spend, true))
}
