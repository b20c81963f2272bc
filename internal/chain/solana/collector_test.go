package solana

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

// TestSpecified reads the answers in the forms of the methods' documentation (see testdata/PROVENANCE.md).
func TestSpecified(t *testing.T) {
	p := read[production](t, "getBlockProduction")
	if got, want := p.sum(), (chain.SolanaProduction{First: 771, Last: 970, Leader: 200, Produced: 178}); got != want {
		t.Errorf("%+v", got)
	}
	for name, want := range map[string]int64{"getRecentPerformanceSamples": 60000, "getRecentPerformanceSamples documented": 1, "getRecentPerformanceSamples old": -1} {
		if s := read[[]performance](t, name)[0].sample(); s.NonVote != want || s.Period != 60 || s.Slot != 990 || s.Txs < 126 || s.Slots < 126 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	v := read[votes](t, "getVoteAccounts")
	c := New(Config{Validators: []string{"VoteB", "NodeA", "NodeZ"}}, nil, nil)
	want := chain.SolanaStake{Active: 1000, Delinquent: 400, Voters: 2, Late: 1, Watched: []chain.SolanaVote{{Identity: "NodeA", Known: true, LastVote: 999, Stake: 600},
		{Identity: "VoteB", Known: true, Delinquent: true, LastVote: 147, Stake: 400}, {Identity: "NodeZ"}}}
	if got := v.stake(c.watches, c.cfg.Validators); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := census(read[[]member](t, "getClusterNodes")); got.Nodes != 3 || got.Versions["2.3.6"] != 2 || got.Versions["unknown"] != 1 {
		t.Errorf("%+v", got)
	}
	var many []member
	for i := range 100 {
		v := fmt.Sprint("v", i)
		many = append(many, member{&v})
	}
	if got := census(many); len(got.Versions) > versionsMost || got.Versions["other"] != 85 {
		t.Errorf("%+v", got)
	}
}

// TestFollow: heads with the hash of their slot, a parent only for the next slot, and all the rest once.
func TestFollow(t *testing.T) {
	n := newNode(t)
	w := watch(t, Config{URL: n.url(), ChainID: "mainnet-beta", Validators: []string{"NodeB"}})
	if o := w.until("head", head(1000)); o.Head.Hash != hashOf(1000) || o.Head.Parent != "" {
		t.Fatalf("%+v", o.Head)
	}
	s := w.until("slots", said(func(s *chain.SolanaSaid) bool { return s.Slots != nil && s.Slots.Length > 0 })).Solana.Slots
	if s.Processed != 1002 || s.Finalized != 970 || s.Confirmed != 1000 || s.Epoch != 27 || s.Time == 0 {
		t.Errorf("%+v", s)
	}
	if f := w.until("finality", kind(chain.KindFinality)).Finality; f.Finalized != 970 || f.Safe != -1 {
		t.Errorf("%+v", f)
	}
	n.move(1)
	if o := w.until("next slot", head(1001)); o.Head.Parent != hashOf(1000) {
		t.Errorf("%+v", o.Head)
	}
	n.move(5)
	if o := w.until("a slot further on", head(1006)); o.Head.Parent != "" {
		t.Errorf("%+v", o.Head)
	}
	w.until("performance", said(func(s *chain.SolanaSaid) bool { return s.Performance != nil }))
	w.until("stake", said(func(s *chain.SolanaSaid) bool { return s.Stake != nil }))
	v := w.mon.View(0)
	if v.Height != 1006 || v.Network != "Solana" || v.Nodes[0].Client != "Solana 2.3.6" || v.Finalized != 976 && v.Finalized != 970 && v.Finalized != 971 || len(v.Reorgs) != 0 {
		t.Errorf("%+v", v)
	}
	if f := w.find["sol/validator_delinquent/NodeB"]; !f.Firing {
		t.Errorf("%v", w.find)
	}
	if n.asked("getClusterNodes") != 1 || n.asked("getGenesisHash") != 1 {
		n.mu.Lock()
		defer n.mu.Unlock()
		t.Errorf("%v", n.calls)
	}
}

// TestWindows: block production is asked for in windows of 200 final slots, each once, and after a pause only the newest are caught up.
func TestWindows(t *testing.T) {
	n := newNode(t)
	w := watch(t, Config{URL: n.url()})
	next := func() chain.SolanaProduction {
		return *w.until("a window", said(func(s *chain.SolanaSaid) bool { return s.Production != nil })).Solana.Production
	}
	if got, want := next(), (chain.SolanaProduction{First: 771, Last: 970, Leader: 200, Produced: 190}); got != want {
		t.Fatalf("%+v", got)
	}
	n.move(430)
	for _, first := range []int64{971, 1171} {
		if got := next(); got.First != first || got.Last != first+199 || got.Leader != 200 {
			t.Fatalf("%+v", got)
		}
	}
	n.move(1_000_000)
	if got := next(); got.First != 1_001_430-30-199 || got.Leader != 200 {
		t.Fatalf("%+v", got)
	}
}

// TestCumulative: a node that tells the sums of the epoch whatever is asked has its answers subtracted; the start of an epoch, where the sums
// are small, says nothing.
func TestCumulative(t *testing.T) {
	n := newNode(t)
	n.cumulative = 500
	n.skipped = func(s int64) bool { return s < 971 || s%4 == 0 } // what was before weighs nothing
	w := watch(t, Config{URL: n.url()})
	for range 6 {
		w.until("finality", kind(chain.KindFinality))
	}
	n.move(200)
	got := *w.until("a window", said(func(s *chain.SolanaSaid) bool { return s.Production != nil })).Solana.Production
	if got.First != 971 || got.Leader != got.Last-970 || got.Produced != got.Leader*3/4 {
		t.Fatalf("%+v", got)
	}
	n.mu.Lock()
	n.cumulative, n.slot = n.slot-30-40, n.slot+200 // a new epoch
	n.mu.Unlock()
	asked := n.asked("getBlockProduction")
	for n.asked("getBlockProduction") == asked {
		if o := w.until("anything", func(chain.Observation) bool { return true }); o.Solana != nil && o.Solana.Production != nil {
			t.Fatalf("sums of two epochs were subtracted: %+v", o.Solana.Production)
		}
	}
}

func TestHealth(t *testing.T) {
	n := newNode(t)
	w := watch(t, Config{URL: n.url()})
	for name, want := range map[string]int64{"getHealth": 0, "getHealth behind": 214, "getHealth unhealthy": -1} {
		n.answer("getHealth", string(specified(t)[name]))
		w.until(name, said(func(s *chain.SolanaSaid) bool { return s.Health != nil && s.Health.Behind == want }))
	}
}

// TestWrong: another cluster, hidden methods, limits, nonsense, silence.
func TestWrong(t *testing.T) {
	t.Run("other cluster", func(t *testing.T) {
		n := newNode(t)
		n.answer("getGenesisHash", `{"jsonrpc":"2.0","result":"EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG","id":1}`)
		w := watch(t, Config{URL: n.url(), ChainID: "mainnet-beta"})
		if o := w.until("state", kind(chain.KindState)); o.State != chain.WrongChain || o.Reason != "It serves cluster devnet, not mainnet-beta." {
			t.Fatalf("%+v", o)
		}
	})
	t.Run("methods hidden", func(t *testing.T) {
		n := newNode(t)
		n.says = func(w http.ResponseWriter, m string) bool {
			if m == "getLatestBlockhash" || m == "getGenesisHash" {
				return false
			}
			fmt.Fprint(w, `{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":1}`)
			return true
		}
		w := watch(t, Config{URL: n.url()})
		for range 20 {
			w.until("head", head(1000))
		}
		for _, m := range []string{"getSlot", "getVoteAccounts", "getHealth", "getRecentPerformanceSamples", "getClusterNodes"} {
			if k := n.asked(m); k != 1 {
				t.Errorf("%s was asked %d times", m, k)
			}
		}
	})
	t.Run("limited", func(t *testing.T) {
		n := newNode(t)
		n.says = func(w http.ResponseWriter, m string) bool {
			if m == "getLatestBlockhash" || m == "getGenesisHash" {
				return false
			}
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(429)
			return true
		}
		w := watch(t, Config{URL: n.url()})
		for range 20 {
			w.until("head", head(1000))
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		total := 0
		for m, k := range n.calls {
			if m != "getLatestBlockhash" && m != "getGenesisHash" {
				total += k
			}
		}
		if total != 1 {
			t.Errorf("asked on: %v", n.calls)
		}
	})
	t.Run("head limited", func(t *testing.T) {
		n := newNode(t)
		n.says = func(w http.ResponseWriter, m string) bool {
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(429)
			return true
		}
		w := watch(t, Config{URL: n.url()})
		if o := w.until("state", kind(chain.KindState)); o.State != chain.Down || !strings.Contains(o.Reason, "limits our requests (HTTP 429)") || strings.Contains(o.Reason, "hunter") {
			t.Fatalf("%+v", o)
		}
	})
	for name, body := range map[string]string{
		"nonsense":    "<html>",
		"null":        `{"jsonrpc":"2.0","result":null,"id":1}`,
		"another id":  `{"jsonrpc":"2.0","result":"x","id":7}`,
		"wrong value": `{"jsonrpc":"2.0","result":{"context":{"slot":"x"}},"id":1}`,
		"deep":        `{"jsonrpc":"2.0","id":1,"result":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
		"large":       `{"jsonrpc":"2.0","id":1,"result":"` + strings.Repeat("x", 9<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.says = func(w http.ResponseWriter, m string) bool {
				if m == "getGenesisHash" && name != "another id" && name != "large" {
					return false
				}
				fmt.Fprint(w, body)
				return true
			}
			w := watch(t, Config{URL: n.url()})
			if o := w.until("down", func(o chain.Observation) bool { return o.State == chain.Down }); o.Reason == "" || strings.Contains(o.Reason, "hunter") {
				t.Fatalf("%+v", o)
			}
		})
	}
	t.Run("vote accounts too large", func(t *testing.T) {
		n := newNode(t)
		n.says = func(w http.ResponseWriter, m string) bool {
			if m != "getVoteAccounts" {
				return false
			}
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":"`+strings.Repeat("x", 9<<20)+`"}`)
			return true
		}
		w := watch(t, Config{URL: n.url()})
		for range 30 {
			w.until("head", head(1000))
		}
		if k := n.asked("getVoteAccounts"); k != 1 {
			t.Errorf("asked %d times", k)
		}
	})
	t.Run("gone and back", func(t *testing.T) {
		n := newNode(t)
		n.resettle()
		w := watch(t, Config{URL: n.url()})
		w.until("head", head(1000))
		n.http.Close()
		w.until("down", func(o chain.Observation) bool { return o.State == chain.Down })
		n.move(100)
		n.listen(n.addr)
		w.until("head again", head(1100))
		if v := w.mon.View(0); len(v.Reorgs) != 0 {
			t.Fatalf("%+v", v.Reorgs)
		}
	})
	t.Run("slow", func(t *testing.T) {
		n := newNode(t)
		w := watch(t, Config{URL: n.url(), Timeout: 100 * time.Millisecond})
		w.until("head", head(1000))
		hold := make(chan struct{})
		t.Cleanup(func() { close(hold) })
		n.mu.Lock()
		n.says = func(http.ResponseWriter, string) bool { n.mu.Unlock(); <-hold; n.mu.Lock(); return true }
		n.mu.Unlock()
		if o := w.until("down", func(o chain.Observation) bool { return o.State == chain.Down }); !strings.Contains(o.Reason, "did not answer in time") {
			t.Fatalf("%+v", o)
		}
	})
}

func TestProbe(t *testing.T) {
	n := newNode(t)
	r, _, err := hostile.Again(func() (chain.Recognised, error, error) { return Probe(context.Background(), n.url()) })
	if want := (chain.Recognised{Family: chain.Solana, ChainID: "mainnet-beta", Name: "Solana", Head: 1000, Client: "Solana 2.3.6"}); err != nil || r != want {
		t.Errorf("%+v %v", r, err)
	}
	n.answer("getHealth", string(specified(t)["getHealth behind"]))
	if r, _, _ := hostile.Again(func() (chain.Recognised, error, error) { return Probe(context.Background(), n.url()) }); r.Syncing == "" {
		t.Errorf("%+v", r)
	}
}
