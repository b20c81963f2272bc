package evm

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

// TestFollow: the start brings 64 headers below the head, newHeads bring the next ones, a second look brings the transactions.
func TestFollow(t *testing.T) {
	n := newNode(t, 100)
	w := watch(t, Config{URL: "http://" + n.addr, ChainID: "1"})
	first := w.until("first head", head(n.tip[99]))
	if len(first.Branch) != 64 || first.Branch[0].Height != 35 || first.Branch[63].Hash != first.Head.Parent || first.Cut {
		t.Fatalf("backfill: %d headers, cut %t", len(first.Branch), first.Cut)
	}
	if *first.Head.BaseFee != 0.765625 && (*first.Head.BaseFee < 0.7 || *first.Head.BaseFee > 0.8) || first.Head.GasLimit != 30000000 || first.Head.Size != 615 || *first.Head.Txs != 0 {
		t.Errorf("head read as %+v", first.Head)
	}
	if f := w.until("fees", kind(chain.KindFees)); *f.Fees.Next < 0.66 || *f.Fees.Next > 0.68 || *f.Fees.Priority != 1 {
		t.Errorf("fees %+v", f.Fees)
	}
	hash := n.mine("a", true)
	next := w.until("next head", head(hash))
	if next.How != chain.Subscribed && next.How != chain.Polled {
		t.Errorf("how %q", next.How)
	}
	w.until("its transactions", func(o chain.Observation) bool { return head(hash)(o) && o.Head.Txs != nil })
	v := w.mon.View(0)
	if v.Height != 100 || v.Nodes[0].Peers != 25 || v.Nodes[0].Client != "anvil/v1.7.1" || len(v.Intervals) != 60 || v.Interval != 12000 || !v.Regular {
		t.Errorf("view %+v", v)
	}
	if v.Pending != nil {
		t.Error("a pool that the node does not tell was shown")
	}
}

// TestSubscribed: with polling far away, heads come by newHeads alone.
func TestSubscribed(t *testing.T) {
	n := newNode(t, 10)
	var w *watched
	for began := time.Now(); n.subscribed() == 0; { // it takes no longer than 3 s over it
		if time.Since(began) > 45*time.Second {
			t.Fatal("it does not subscribe")
		}
		w = watch(t, Config{URL: "ws://" + n.addr, ChainID: "1", Poll: 1 << 40, Slow: 1 << 40})
		w.until("fees, asked after subscribing", kind(chain.KindFees))
	}
	for range 3 {
		hash := n.mine("a", true)
		if o := w.until("head", head(hash)); o.How != chain.Subscribed || o.Head.SeenAt == 0 {
			t.Fatalf("%+v", o)
		}
	}
}

// TestReorgLastHeader: geth's newHeads tell only the last header of the new branch; the ancestor is walked for.
func TestReorgLastHeader(t *testing.T) {
	for _, ws := range []string{"", "none"} {
		n := newNode(t, 50)
		w := watch(t, Config{URL: "http://" + n.addr, ChainID: "1", WS: ws})
		w.until("first head", head(n.tip[49]))
		old := n.tip[40:]
		anchor := n.tip[39]
		n.mu.Lock() // the switch is one moment for a poll
		n.tip = append([]string{}, n.tip[:40]...)
		w2 := ""
		for range 12 {
			h := int64(len(n.tip))
			hash := "0xb" + strings.Repeat("0", 60) + hexNumber(0x100 + h)[2:]
			n.all[hash] = [2]any{h, n.tip[h-1]}
			n.tip = append(n.tip, hash)
			w2 = hash
		}
		n.mu.Unlock()
		n.push(w2)
		w.until("new head", head(w2))
		v := w.mon.View(0)
		if len(v.Reorgs) == 0 || v.Reorgs[len(v.Reorgs)-1].Depth != len(old) || v.Reorgs[0].Ancestor.Hash != anchor || v.Reorgs[0].AtLeast {
			t.Fatalf("reorgs %+v", v.Reorgs)
		}
		found := false
		for _, f := range w.find {
			found = found || f.Kind == chain.FindingReorg && f.Severity == "SEV1" && strings.Contains(string(f.Evidence), old[0]) && strings.Contains(string(f.Evidence), w2)
		}
		if !found {
			t.Errorf("no finding with both branches: %v", w.find)
		}
	}
}

// TestReorgBeyondWalk: deeper than the walk is "at least", not an advance.
func TestReorgBeyondWalk(t *testing.T) {
	n := newNode(t, 400)
	w := watch(t, Config{URL: "http://" + n.addr, ChainID: "1", WS: "none"})
	w.until("first head", head(n.tip[399]))
	n.mu.Lock()
	n.tip = n.tip[:10:10]
	for range 395 {
		h := int64(len(n.tip))
		hash := "0xc" + strings.Repeat("0", 59) + hexNumber(0x1000 + h)[2:]
		n.all[hash] = [2]any{h, n.tip[h-1]}
		n.tip = append(n.tip, hash)
	}
	tip := n.tip[404]
	n.mu.Unlock()
	o := w.until("new head", func(o chain.Observation) bool {
		return o.Kind == chain.KindHead && strings.HasPrefix(o.Head.Hash, "0xc") && o.Head.Height >= 399
	})
	if !o.Cut {
		w.until("new head", head(tip))
	}
	v := w.mon.View(0)
	if len(v.Reorgs) == 0 || !v.Reorgs[0].AtLeast || v.Reorgs[0].Depth < 60 {
		t.Fatalf("reorgs %+v", v.Reorgs)
	}
}

// TestRollback: debug_setHead sends no newHeads and forgets the blocks; the poll finds it, and the next branch is no second reorg.
func TestRollback(t *testing.T) {
	n := newNode(t, 30)
	w := watch(t, Config{URL: "http://" + n.addr, ChainID: "1"})
	w.until("first head", head(n.tip[29]))
	n.back(20, true)
	o := w.until("rollback", kind(chain.KindRollback))
	if o.Head.Height != 20 {
		t.Fatalf("%+v", o.Head)
	}
	hash := n.mine("b", true)
	w.until("new branch", head(hash))
	v := w.mon.View(0)
	if len(v.Reorgs) != 1 || v.Reorgs[0].Depth != 9 || v.Reorgs[0].Ancestor.Height != 20 {
		t.Fatalf("reorgs %+v", v.Reorgs)
	}
}

// TestSeveralServers: behind one address heights go back and forth on one chain; that is no reorg, but such a node is not relied on.
func TestSeveralServers(t *testing.T) {
	n := newNode(t, 30)
	w := watch(t, Config{URL: "http://" + n.addr, ChainID: "1", WS: "none", Poll: 100 * time.Millisecond}) // a lower head is a rollback after 4 s of it
	w.until("first head", head(n.tip[29]))
	full := n.tip
	for range 4 {
		n.mu.Lock()
		n.tip = full[:27]
		n.mu.Unlock()
		w.until("older head", head(full[26]))
		n.mu.Lock()
		n.tip = full
		n.mu.Unlock()
		w.until("newer head", head(full[29]))
	}
	for _, o := range w.seen {
		if o.Kind == chain.KindRollback {
			t.Fatal("called a rollback")
		}
	}
	if v := w.mon.View(0); len(v.Reorgs) != 0 || len(w.find) > 1 || len(w.find) == 1 && w.find["eth/distrusted/a"].Key == "" {
		t.Fatalf("%+v %v", v.Reorgs, w.find)
	}
}

// TestSilentSubscription: newHeads that say nothing are caught by the poll.
func TestSilentSubscription(t *testing.T) {
	n := newNode(t, 5)
	w := watch(t, Config{URL: "http://" + n.addr, ChainID: "1"})
	w.until("first head", head(n.tip[4]))
	for range 5 {
		hash := n.mine("a", false)
		if o := w.until("head", head(hash)); o.How != chain.Polled {
			t.Fatalf("%+v", o)
		}
	}
}

// TestGap: heads that were missed are filled in.
func TestGap(t *testing.T) {
	n := newNode(t, 10)
	n.noWS = true
	w := watch(t, Config{URL: "http://" + n.addr, ChainID: "1"})
	w.until("first head", head(n.tip[9]))
	n.mu.Lock()
	for range 80 {
		h := int64(len(n.tip))
		hash := "0xa" + strings.Repeat("0", 60) + hexNumber(0x100 + h)[2:]
		n.all[hash] = [2]any{h, n.tip[h-1]}
		n.tip = append(n.tip, hash)
	}
	tip := n.tip[89]
	n.mu.Unlock()
	o := w.until("head after the gap", head(tip))
	if len(o.Branch) != 79 || o.Cut {
		t.Fatalf("%d headers, cut %t", len(o.Branch), o.Cut)
	}
}

func TestWrongChain(t *testing.T) {
	n := newNode(t, 5)
	n.chainID = "0x89"
	w := watch(t, Config{URL: "http://" + n.addr, ChainID: "1"})
	o := w.until("state", kind(chain.KindState))
	if o.State != chain.WrongChain || o.Reason != "It serves chain 137 (Polygon), not 1 (Ethereum)." || o.ChainID != "137" {
		t.Fatalf("%+v", o)
	}
}

func TestSyncing(t *testing.T) {
	n := newNode(t, 5)
	n.syncing = "0x100"
	w := watch(t, Config{URL: "http://" + n.addr, ChainID: "1"})
	o := w.until("syncing", func(o chain.Observation) bool { return o.State == chain.Syncing })
	if o.Reason != "It is catching up: block 16 of 256." {
		t.Fatalf("%+v", o)
	}
}

// TestOnlyIndexing: a node at its highest block that still indexes transactions follows the chain.
func TestOnlyIndexing(t *testing.T) {
	n := newNode(t, 5)
	n.syncing = "0x10"
	w := watch(t, Config{URL: "http://" + n.addr, ChainID: "1"})
	w.until("what comes after the question", kind(chain.KindPeers))
	for _, o := range w.seen {
		if o.State == chain.Syncing {
			t.Fatalf("%+v", o)
		}
	}
}

// TestFinality: tags that a node does not know are left out, also when it has one of them.
func TestFinality(t *testing.T) {
	n := newNode(t, 50)
	n.safe = "40"
	w := watch(t, Config{URL: "http://" + n.addr})
	if o := w.until("finality", kind(chain.KindFinality)); o.Finality.Safe != 40 || o.Finality.Finalized != 40 {
		t.Fatalf("%+v", o.Finality)
	}
}

// TestReconnect: a node that goes away is down with a sentence, and up again when it is back; what happened meanwhile is walked.
func TestReconnect(t *testing.T) {
	n := newNode(t, 20)
	n.resettle()
	w := watch(t, Config{URL: "http://" + n.addr, ChainID: "1"})
	w.until("first head", head(n.tip[19]))
	addr := n.addr
	n.http.Close()
	o := w.until("down", func(o chain.Observation) bool { return o.State == chain.Down })
	if !strings.Contains(o.Reason, addr) {
		t.Errorf("reason %q", o.Reason)
	}
	n.back(15, false)
	n.mine("b", false)
	hash := n.mine("b", false)
	n.listen(addr)
	w.until("head again", head(hash))
	if v := w.mon.View(0); len(v.Reorgs) != 1 || v.Reorgs[0].Depth != 4 || v.Nodes[0].State != chain.Up {
		t.Fatalf("%+v %+v", v.Reorgs, v.Nodes)
	}
}

// TestBadAnswers: whatever comes back, the node is down with a sentence and the collector goes on.
func TestBadAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"not json": "<html>", "wrong type": `{"jsonrpc":"2.0","id":1,"result":{"a":1}}`, "bad id": `{"jsonrpc":"2.0","id":1,"result":"one"}`,
		"large": `{"jsonrpc":"2.0","id":1,"result":"0x` + strings.Repeat("1", 9<<20) + `"}`, "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) }))
			defer s.Close()
			w := watch(t, Config{URL: s.URL + "/key0123456789abcdef", ChainID: "1"})
			o := w.until("down", func(o chain.Observation) bool { return o.State == chain.Down })
			if o.Reason == "" || strings.Contains(o.Reason, "key0123") {
				t.Errorf("reason %q", o.Reason)
			}
			t.Log(o.Reason)
		})
	}
}

func TestProbe(t *testing.T) {
	n := newNode(t, 8)
	for _, scheme := range []string{"http://", "ws://"} {
		r, _, err := hostile.Again(func() (chain.Recognised, error, error) { return Probe(context.Background(), scheme+n.addr) })
		want := chain.Recognised{Family: chain.EVM, ChainID: "1", Name: "Ethereum", Head: 7, Client: "anvil/v1.7.1"}
		if err != nil || r != want {
			t.Errorf("%+v %v", r, err)
		}
	}
}

// FuzzHeader: no answer of a node breaks the reading of a block.
func FuzzHeader(f *testing.F) {
	f.Add(string(recorded))
	f.Add(`{"number":"0x","hash":"0x1","timestamp":"0xffffffffffffffff"}`)
	f.Fuzz(func(t *testing.T, s string) {
		var h header
		if json.Unmarshal([]byte(s), &h) != nil {
			return
		}
		b, err := h.block(1)
		if err == nil && (b.Height < 0 || b.Time < 0 || b.Hash == "" || len(b.Hash) > 66 || len(b.Parent) > 66) {
			t.Fatalf("%+v", b)
		}
	})
}

// TestRecordedBlocks reads the blocks of the public execution API tests when they are at hand.
func TestRecordedBlocks(t *testing.T) {
	dir := os.Getenv("TOCSIN_SHARED")
	if dir == "" {
		t.Log("TOCSIN_SHARED is not set: the recorded answers are left out")
		return
	}
	files, _ := filepath.Glob(filepath.Join(dir, "data/execution-apis-tests/tests/eth_getBlockByNumber/*.io"))
	read := 0
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(raw), "\n") {
			body, ok := strings.CutPrefix(line, "<< ")
			if !ok {
				continue
			}
			var a struct{ Result json.RawMessage }
			if err := json.Unmarshal([]byte(body), &a); err != nil || string(a.Result) == "null" || a.Result == nil {
				continue
			}
			var h header
			if err := json.Unmarshal(a.Result, &h); err != nil {
				// transactions in full: the collector never asks for them
				continue
			}
			b, err := h.block(0)
			if err != nil || b.Txs == nil || b.GasLimit == 0 {
				t.Errorf("%s: %+v %v", filepath.Base(f), b, err)
			}
			read++
		}
	}
	if read < 3 {
		t.Errorf("only %d blocks read of %d files", read, len(files))
	}
}
