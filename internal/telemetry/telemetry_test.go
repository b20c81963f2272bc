package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a Sink that remembers; refuse makes deliveries fail.
type desk struct {
	mu       sync.Mutex
	findings []chain.Finding
	samples  []chain.Sample
	views    []chain.View
	heads    int
	refuse   int
	tries    int
}

func (d *desk) OnSamples(s []chain.Sample) {
	d.mu.Lock()
	d.samples = append(d.samples, s...)
	d.mu.Unlock()
}
func (d *desk) OnFindings(_ context.Context, _ string, f []chain.Finding) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries++
	if d.refuse > 0 {
		d.refuse--
		return errors.New("the store does not answer")
	}
	d.findings = append(d.findings, f...)
	return nil
}
func (d *desk) OnView(v chain.View, head bool) {
	d.mu.Lock()
	d.views = append(d.views, v)
	if head {
		d.heads++
	}
	d.mu.Unlock()
}
func (d *desk) keys() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := []string{}
	for _, f := range d.findings {
		out = append(out, fmt.Sprintf("%s %t", f.Key, f.Firing))
	}
	return out
}

// run starts a supervisor in a bubble of its own time and stops it at the end.
func run(t *testing.T, f func(t *testing.T, s *Supervisor, d *desk)) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		s := New(Options{Sink: d, Open: func(_ context.Context, name string) ([]string, error) {
			if name == "old" {
				return []string{"old/unreachable/gone"}, nil
			}
			return nil, nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		f(t, s, d)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func head(c, node string, h int64, branch string) chain.Observation {
	at := time.Now().UnixMilli()
	return chain.Observation{Kind: chain.KindHead, Chain: c, Node: node, At: at, How: chain.Polled,
		Head: &chain.Block{Height: h, Hash: fmt.Sprint(branch, h), Parent: fmt.Sprint("x", h-1), Time: at}}
}

func inject(t *testing.T, s *Supervisor, o chain.Observation) {
	t.Helper()
	if err := s.Inject(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func plain(name string, nodes ...string) Chain {
	c := Chain{Name: name, Family: chain.EVM, ChainID: "1"}
	for _, n := range nodes {
		c.Nodes = append(c.Nodes, Node{Name: n})
	}
	return c
}

// TestInject: what is injected goes through the monitor: a reorg becomes a finding, samples and a view.
func TestInject(t *testing.T) {
	run(t, func(t *testing.T, s *Supervisor, d *desk) {
		if err := s.Set([]Chain{plain("eth", "a", "b")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for h := range int64(5) {
			inject(t, s, head("eth", "a", 100+h, "x"))
			time.Sleep(12 * time.Second)
		}
		o := head("eth", "a", 104, "y")
		o.Head.Parent = "y103"
		o.Branch = []chain.Block{{Height: 102, Hash: "y102", Parent: "x101"}, {Height: 103, Hash: "y103", Parent: "y102"}}
		inject(t, s, o)
		if k := d.keys(); !slices.Contains(k, "eth/reorg/from-x101 true") {
			t.Fatalf("findings %v", k)
		}
		v, ok := s.View("eth")
		if !ok || v.Height != 104 || len(v.Reorgs) != 1 || v.Reorgs[0].Depth != 3 || len(d.samples) == 0 {
			t.Fatalf("view %+v", v)
		}
		if err := s.Inject(t.Context(), head("none", "a", 1, "x")); !errors.Is(err, ErrUnknownChain) {
			t.Fatalf("%v", err)
		}
	})
}

// TestDeliveryRetries: a desk that refuses gets the same findings again, in order, none twice once taken.
func TestDeliveryRetries(t *testing.T) {
	run(t, func(t *testing.T, s *Supervisor, d *desk) {
		d.refuse = 5
		if err := s.Set([]Chain{plain("eth", "a", "b")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, o := range []chain.Observation{
			{Kind: chain.KindState, Chain: "eth", Node: "a", At: time.Now().UnixMilli(), State: chain.WrongChain, Reason: "It serves chain 5."},
			{Kind: chain.KindState, Chain: "eth", Node: "b", At: time.Now().UnixMilli(), State: chain.WrongChain, Reason: "It serves chain 5."},
			{Kind: chain.KindState, Chain: "eth", Node: "a", At: time.Now().UnixMilli(), State: chain.Up},
		} {
			inject(t, s, o)
		}
		if len(d.keys()) != 0 {
			t.Fatal("delivered in spite of the refusal")
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		want := []string{"eth/wrong_chain/a true", "eth/wrong_chain/b true", "eth/wrong_chain/a false"}
		if k := d.keys(); !slices.Equal(k, want) || d.tries < 6 {
			t.Fatalf("%v after %d tries", k, d.tries)
		}
	})
}

// TestLastWord: findings made before the stop are delivered, and a desk that never answers does not hold up the stop.
func TestLastWord(t *testing.T) {
	run(t, func(t *testing.T, s *Supervisor, d *desk) {
		d.refuse = 1 << 30
		if err := s.Set([]Chain{plain("eth", "a")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		inject(t, s, chain.Observation{Kind: chain.KindState, Chain: "eth", Node: "a", At: 1, State: chain.WrongChain, Reason: "r"})
	}) // run itself waits for the stop; in the bubble a stop that hangs is a deadlock
}

// TestSetLive: chains come, change and go while others run on undisturbed; what was open on a removed chain ends.
func TestSetLive(t *testing.T) {
	run(t, func(t *testing.T, s *Supervisor, d *desk) {
		set := func(c ...Chain) {
			t.Helper()
			if err := s.Set(c); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		set(plain("one", "a"), plain("two", "a"))
		inject(t, s, head("one", "a", 7, "x"))
		for _, name := range []string{"one", "two"} {
			inject(t, s, chain.Observation{Kind: chain.KindState, Chain: name, Node: "a", At: time.Now().UnixMilli(), State: chain.WrongChain, Reason: "r"})
		}
		set(plain("one", "a"), plain("three", "a"))
		if k := d.keys(); !slices.Contains(k, "two/wrong_chain/a false") || slices.Contains(k, "one/wrong_chain/a false") {
			t.Fatalf("%v", k)
		}
		names := []string{}
		for _, v := range s.Views() {
			names = append(names, v.Chain)
		}
		if v, _ := s.View("one"); v.Height != 7 || !slices.Equal(names, []string{"one", "three"}) {
			t.Fatalf("%v %+v", names, v)
		}
		changed := plain("one", "a", "b")
		set(changed, plain("three", "a")) // starts again, knows what is open, and ends it when it is over
		inject(t, s, chain.Observation{Kind: chain.KindState, Chain: "one", Node: "a", At: time.Now().UnixMilli(), State: chain.Up})
		time.Sleep(31 * time.Second)
		inject(t, s, chain.Observation{Kind: chain.KindState, Chain: "one", Node: "a", At: time.Now().UnixMilli(), State: chain.Up})
		if k := d.keys(); !slices.Contains(k, "one/wrong_chain/a false") {
			t.Fatalf("%v", k)
		}
	})
}

// TestWatchedElsewhere: a chain that stops because somebody else watches it now ends nothing that is open, and Settle waits until it has
// stopped; one that is not watched at all any more ends it.
func TestWatchedElsewhere(t *testing.T) {
	run(t, func(t *testing.T, s *Supervisor, d *desk) {
		if err := s.Set([]Chain{plain("one", "a"), plain("two", "a")}); err != nil {
			t.Fatal(err)
		}
		s.Settle(t.Context())
		for _, name := range []string{"one", "two"} {
			inject(t, s, chain.Observation{Kind: chain.KindState, Chain: name, Node: "a", At: time.Now().UnixMilli(), State: chain.WrongChain, Reason: "r"})
		}
		if err := s.Set(nil, "one"); err != nil {
			t.Fatal(err)
		}
		s.Settle(t.Context())
		if err := s.Inject(t.Context(), head("one", "a", 7, "x")); !errors.Is(err, ErrUnknownChain) {
			t.Errorf("it is still watched after Settle: %v", err)
		}
		if k := d.keys(); slices.Contains(k, "one/wrong_chain/a false") || !slices.Contains(k, "two/wrong_chain/a false") {
			t.Errorf("%v", k)
		}
	})
	s := New(Options{Sink: &desk{}}) // Settle without Run ends with its ctx, and after Run at once
	if err := s.Set([]Chain{plain("one", "a")}); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	s.Settle(over)
	if err := s.Run(over); err != nil {
		t.Fatal(err)
	}
	s.Settle(t.Context())
}

// TestResume: what the log holds open of a node that is no longer watched is ended.
func TestResume(t *testing.T) {
	run(t, func(t *testing.T, s *Supervisor, d *desk) {
		if err := s.Set([]Chain{plain("old", "a")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if k := d.keys(); !slices.Contains(k, "old/unreachable/gone false") {
			t.Fatalf("%v", k)
		}
	})
}

// TestViewRate: the first head is shown at once, a burst at most ten times a second, and its last state always.
func TestViewRate(t *testing.T) {
	run(t, func(t *testing.T, s *Supervisor, d *desk) {
		if err := s.Set([]Chain{plain("eth", "a")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(300 * time.Millisecond)
		inject(t, s, head("eth", "a", 1, "x"))
		if d.heads != 1 {
			t.Fatalf("%d views", d.heads)
		}
		for h := range int64(200) {
			inject(t, s, head("eth", "a", 2+h, "x"))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if d.heads > 5 || d.views[len(d.views)-1].Height != 201 {
			t.Fatalf("%d views, last height %d", d.heads, d.views[len(d.views)-1].Height)
		}
	})
}

// TestManual: a drill carries its own time; the wall clock does not tick in it.
func TestManual(t *testing.T) {
	run(t, func(t *testing.T, s *Supervisor, d *desk) {
		c := plain("drill", "a")
		c.Manual = true
		if err := s.Set([]Chain{c}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b := chain.Block{Height: 5, Hash: "x5", Parent: "x4", Time: 1000000}
		inject(t, s, chain.Observation{Kind: chain.KindHead, Chain: "drill", Node: "a", At: 1000000, Head: &b, Drill: true})
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(d.keys()) != 0 {
			t.Fatalf("%v", d.keys())
		}
		for at := int64(1000000); at <= 1070000; at += 1000 {
			inject(t, s, chain.Observation{Kind: chain.KindHead, Chain: "drill", Node: "a", At: at, Head: &b, Drill: true})
			inject(t, s, chain.Observation{Kind: chain.KindTick, Chain: "drill", At: at, Drill: true})
		}
		if len(d.findings) != 1 || d.findings[0].Key != "drill/stall" || !d.findings[0].Drill {
			t.Fatalf("%+v", d.findings)
		}
		if v, _ := s.View("drill"); !v.Drill || v.Status != "stalled" {
			t.Fatalf("%+v", v)
		}
	})
}

func TestSetRefuses(t *testing.T) {
	s := New(Options{Sink: &desk{}})
	for want, c := range map[string][]Chain{
		"needs a name":      {plain("a/b", "n")},
		"family must be":    {{Name: "x", Family: "fax", Nodes: []Node{{Name: "n"}}}},
		"between 1 and 32":  {plain("x")},
		"name of its own":   {plain("x", "n", "n")},
		"two chains named":  {plain("x", "n"), plain("x", "m")},
		"without / and ~":   {plain("x", "a~b")},
		"between 1 and 32 ": {plain("y")},
	} {
		if err := s.Set(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestProbe: the family is found by asking; what is neither gets one sentence.
func TestProbe(t *testing.T) {
	serve := func(answers map[string]string, status int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := make([]byte, 4096)
			n, _ := r.Body.Read(body)
			w.Header().Set("Content-Type", "application/json")
			for m, a := range answers {
				if strings.Contains(string(body[:n]), `"`+m+`"`) {
					var q struct{ ID json.RawMessage }
					_ = json.Unmarshal(body[:n], &q)
					fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, q.ID, a)
					return
				}
			}
			w.WriteHeader(status)
			if status != 401 {
				fmt.Fprint(w, `{"jsonrpc":"2.0","result":null,"error":{"code":-32601,"message":"Method not found"},"id":1}`)
			}
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	evm := serve(map[string]string{"eth_chainId": `"0x89"`, "eth_getBlockByNumber": `{"number":"0x10","hash":"0x1","timestamp":"0x1"}`}, 200)
	core := serve(map[string]string{"getblockchaininfo": `{"chain":"main","blocks":800000}`}, 404)
	hub := serve(map[string]string{"status": `{"node_info":{"network":"cosmoshub-4","version":"0.38.9"},"sync_info":{"latest_block_height":"7","latest_block_hash":"` + strings.Repeat("A", 64) + `","latest_block_time":"2026-11-21T03:51:27Z"}}`}, 200)
	sol := serve(map[string]string{"getGenesisHash": `"EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"`, "getSlot": "7"}, 200)
	neither := serve(nil, 200)
	locked := serve(nil, 401)
	for _, c := range []struct{ address, name, want string }{
		{evm, "Polygon", ""}, {core, "Bitcoin", ""}, {hub, "Cosmos Hub", ""}, {sol, "Solana devnet", ""}, {neither, "", "no node of a family that is known here"}, {locked, "", "HTTP 401"}, {"ftp://x", "", "must begin with"},
	} {
		r, err := Probe(t.Context(), c.address)
		if r.Name != c.name || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v %v", c.address, r, err)
		}
	}
	r, _ := Probe(t.Context(), evm)
	if err := Expect(r, chain.EVM, "1"); err == nil || err.Error() != "The node serves Polygon (137), not Ethereum (1)." {
		t.Errorf("%v", err)
	}
	if err := Expect(r, chain.EVM, ""); err != nil {
		t.Error(err)
	}
}
