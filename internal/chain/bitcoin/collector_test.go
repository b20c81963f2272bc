package bitcoin

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

// TestFollow: the start brings 144 headers; while nothing changes only the best hash is asked; btcd's missing methods are left out.
func TestFollow(t *testing.T) {
	n := newNode(t, 180)
	w := watch(t, Config{URL: n.url(), ChainID: "simnet"})
	o := w.until("first head", head(n.tip[179]))
	if len(o.Branch) != 144 || o.Cut || o.Head.Work != "01" {
		t.Fatalf("%d headers, cut %t", len(o.Branch), o.Cut)
	}
	w.until("mempool", kind(chain.KindMempool))
	if p := w.until("peers", kind(chain.KindPeers)); p.Peers.Total != 3 || p.Peers.In != 1 || p.Peers.Out != 2 || p.Peers.Crowd.Out.Peers != 2 {
		t.Errorf("%+v", p.Peers)
	}
	n.mu.Lock()
	before := n.calls["getblockheader"]
	n.mu.Unlock()
	for range 5 {
		w.until("the head again", head(n.tip[179]))
	}
	n.mu.Lock()
	after := n.calls["getblockheader"]
	stats := n.calls["getblockstats"]
	n.mu.Unlock()
	if after != before || stats != 1 {
		t.Errorf("%d headers asked while nothing changed; getblockstats asked %d times", after-before, stats)
	}
	w.until("next head", head(n.mine("a")))
	v := w.mon.View(0)
	if v.Height != 180 || v.Nodes[0].Client != "btcd rpc 1.3.0" || len(w.find) != 0 {
		t.Errorf("%+v %v", v, w.find)
	}
}

// TestCore: what Core has and btcd has not.
func TestCore(t *testing.T) {
	n := newNode(t, 3)
	n.core, n.network = true, "main"
	w := watch(t, Config{URL: n.url(), ChainID: "main"})
	if f := w.until("fees", kind(chain.KindFees)); *f.Fees.Rate != 7 || *f.Fees.Total != 0.0125 {
		t.Errorf("%+v", f.Fees)
	}
	if p := w.until("peers", kind(chain.KindPeers)); p.Peers.Total != 10 || p.Peers.In != 2 || p.Peers.Out != 8 || p.Peers.Crowd.All.Peers != 3 {
		t.Errorf("%+v", p.Peers)
	}
	if w.mon.View(0).Nodes[0].Client != "Satoshi:27.0.0" {
		t.Errorf("%+v", w.mon.View(0).Nodes)
	}
}

func TestReorg(t *testing.T) {
	n := newNode(t, 50)
	w := watch(t, Config{URL: n.url(), ChainID: "simnet"})
	w.until("first head", head(n.tip[49]))
	anchor := n.tip[45]
	w.until("new head", head(n.swap(45, "b", 6)))
	v := w.mon.View(0)
	if len(v.Reorgs) != 1 || v.Reorgs[0].Depth != 4 || v.Reorgs[0].Ancestor.Hash != anchor || v.Reorgs[0].AtLeast {
		t.Fatalf("%+v", v.Reorgs)
	}
	for _, f := range w.find {
		if f.Kind != chain.FindingReorg || f.Severity != "SEV2" {
			t.Errorf("%+v", f)
		}
	}
}

// TestRollback: invalidateblock leaves a shorter chain; the node itself went back.
func TestRollback(t *testing.T) {
	n := newNode(t, 20)
	w := watch(t, Config{URL: n.url(), ChainID: "simnet"})
	w.until("first head", head(n.tip[19]))
	full := n.tip
	n.swap(15, "", 0)
	if o := w.until("rollback", kind(chain.KindRollback)); o.Head.Height != 15 {
		t.Fatalf("%+v", o.Head)
	}
	n.mu.Lock()
	n.tip = full // reconsiderblock
	n.mu.Unlock()
	w.until("old branch again", head(full[19]))
	if v := w.mon.View(0); len(v.Reorgs) != 1 || v.Reorgs[0].Depth != 4 || v.Height != 19 {
		t.Fatalf("%+v", v.Reorgs)
	}
}

// TestTips: the tips a node has known all its life are not news; a new one is, once.
func TestTips(t *testing.T) {
	n := newNode(t, 20)
	n.extra = []map[string]any{{"height": 3, "hash": "old", "branchlen": 2, "status": "valid-fork"}, {"height": 18, "hash": "late", "branchlen": 9, "status": "headers-only"}}
	w := watch(t, Config{URL: n.url(), ChainID: "simnet"})
	w.until("mempool", kind(chain.KindMempool))
	w.until("head, after the first tips", head(n.tip[19]))
	n.mu.Lock()
	n.extra = append(n.extra, map[string]any{"height": 25, "hash": "new", "branchlen": 8, "status": "headers-only"})
	n.mu.Unlock()
	o := w.until("tips", kind(chain.KindTips))
	if len(o.Tips) != 1 || o.Tips[0] != (chain.Tip{Height: 25, Hash: "new", Branch: 8, Status: "headers-only"}) {
		t.Fatalf("%+v", o.Tips)
	}
	if f := w.find["btc/headers_only/above-17"]; !f.Firing || f.Severity != "SEV3" {
		t.Errorf("%v", w.find)
	}
	n.mu.Lock()
	n.extra[2]["status"] = "valid-headers"
	n.mu.Unlock()
	if o := w.until("tips", kind(chain.KindTips)); len(o.Tips) != 1 || o.Tips[0].Status != "valid-headers" {
		t.Fatalf("%+v", o.Tips)
	}
	if f := w.find["btc/headers_only/above-17"]; f.Firing {
		t.Errorf("%+v", f)
	}
}

func TestStates(t *testing.T) {
	t.Run("wrong network", func(t *testing.T) {
		n := newNode(t, 3)
		n.network = "testnet3"
		w := watch(t, Config{URL: n.url(), ChainID: "main"})
		if o := w.until("state", kind(chain.KindState)); o.State != chain.WrongChain || o.Reason != "It serves test (Bitcoin testnet3), not main (Bitcoin)." {
			t.Fatalf("%+v", o)
		}
	})
	t.Run("syncing", func(t *testing.T) {
		n := newNode(t, 3)
		n.ibd = true
		w := watch(t, Config{URL: n.url(), ChainID: "simnet"})
		if o := w.until("state", kind(chain.KindState)); o.State != chain.Syncing || o.Reason != "It is catching up: block 2 of 2." {
			t.Fatalf("%+v", o)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		n := newNode(t, 3)
		n.password = "other"
		w := watch(t, Config{URL: n.url(), ChainID: "simnet"})
		if o := w.until("state", kind(chain.KindState)); o.State != chain.Down || !strings.Contains(o.Reason, "refused the user, password or key (HTTP 401)") {
			t.Fatalf("%+v", o)
		}
	})
	t.Run("gone and back", func(t *testing.T) {
		n := newNode(t, 10)
		n.resettle()
		w := watch(t, Config{URL: n.url(), ChainID: "simnet"})
		w.until("head", head(n.tip[9]))
		n.http.Close()
		if o := w.until("down", func(o chain.Observation) bool { return o.State == chain.Down }); strings.Contains(o.Reason, "u:p") {
			t.Fatalf("%+v", o)
		}
		tip := n.swap(6, "b", 5)
		n.listen(n.addr)
		w.until("head again", head(tip))
		if v := w.mon.View(0); len(v.Reorgs) != 1 || v.Reorgs[0].Depth != 3 {
			t.Fatalf("%+v", v.Reorgs)
		}
	})
}

func TestProbe(t *testing.T) {
	n := newNode(t, 8)
	r, _, err := hostile.Again(func() (chain.Recognised, error, error) { return Probe(context.Background(), n.url()) })
	if want := (chain.Recognised{Family: chain.Bitcoin, ChainID: "simnet", Name: "a Bitcoin simulation network", Head: 7, Client: "btcd rpc 1.3.0"}); err != nil || r != want {
		t.Errorf("%+v %v", r, err)
	}
	if _, _, err := hostile.Again(func() (bool, error, error) {
		_, raw, err := Probe(context.Background(), "http://"+n.addr)
		if err != nil && strings.Contains(err.Error(), "http://user:password@host:port") {
			return true, nil, nil
		}
		return false, raw, fmt.Errorf("without a password: %v", err)
	}); err != nil {
		t.Error(err)
	}
}
