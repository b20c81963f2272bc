package beacon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

func span(from, to int64, without ...int64) (out []int64) {
	for s := from; s <= to; s++ {
		skip := false
		for _, x := range without {
			skip = skip || s == x
		}
		if !skip {
			out = append(out, s)
		}
	}
	return out
}

// TestFollow: the start brings 64 headers with the empty slots between them, events bring the next head, and everything else is told.
func TestFollow(t *testing.T) {
	n := newNode(t, span(900, 990, 970, 971)...)
	n.share = 0.985
	w := watch(t, Config{URL: n.srv.URL, ChainID: "devnet", Poll: time.Hour})
	first := w.until("head", head(hash("a", 990)))
	if len(first.Branch) != 66 || first.Branch[0].Height != 924 || first.Branch[65].Hash != first.Head.Parent || first.Cut {
		t.Fatalf("backfill %d headers from %d", len(first.Branch), first.Branch[0].Height)
	}
	if e := first.Branch[970-924]; !e.Empty() || e.Height != 970 || first.Branch[971-924].Parent != e.Hash || first.Branch[972-924].Parent != first.Branch[971-924].Hash {
		t.Errorf("empty slot %+v", e)
	}
	if at := first.Head.Time; at != (n.genesis+990*perSlot)*1000 {
		t.Errorf("time %d", at)
	}
	w.until("health", beacon(func(s *chain.Slots) bool { return s.Health != nil && !s.Health.Optimistic }))
	w.until("checkpoints", beacon(func(s *chain.Slots) bool {
		return s.Checkpoints != nil && *s.Checkpoints == chain.Checkpoints{Previous: 28, Justified: 29, Finalized: 28, PerEpoch: 32}
	}))
	w.until("participation", beacon(func(s *chain.Slots) bool {
		return s.Participation != nil && s.Participation.Epoch == 28 && s.Participation.Ratio == 0.985
	}))
	for n.subscribed() == 0 {
		w.until("anything", func(chain.Observation) bool { return true })
	}
	h := n.mine("a", 993)
	n.push("head", map[string]any{"slot": "993", "block": h, "state": h, "epoch_transition": false, "execution_optimistic": false})
	o := w.until("next head, by its event", head(h))
	if len(o.Branch) != 2 || !o.Branch[0].Empty() || !o.Branch[1].Empty() {
		t.Errorf("branch %+v", o.Branch)
	}
	n.set(func() { n.final = 29 })
	n.push("finalized_checkpoint", map[string]any{"block": h, "state": h, "epoch": "29", "execution_optimistic": false})
	w.until("finalized", beacon(func(s *chain.Slots) bool { return s.Checkpoints != nil && s.Checkpoints.Finalized == 29 }))
	v := w.mon.View(0)
	if v.Height != 993 || v.Finalized != 29*32 || v.Nodes[0].Peers != 56 || v.Nodes[0].Client != "Fake/v1.0.0" {
		t.Errorf("view %+v", v)
	}
}

// TestReorg: a reorg is walked to its ancestor over empty slots, and the event's own depth is told.
func TestReorg(t *testing.T) {
	n := newNode(t, span(900, 990)...)
	w := watch(t, Config{URL: n.srv.URL, ChainID: "devnet"})
	w.until("head", head(hash("a", 990)))
	for n.subscribed() == 0 {
		w.until("anything", func(chain.Observation) bool { return true })
	}
	h := ""
	n.set(func() { // in one moment: a node that shows only a part of it has switched more than once
		n.tip = hash("a", 987)
		for _, slot := range []int64{989, 991, 992} {
			h = n.grow("b", slot)
		}
	})
	n.push("chain_reorg", map[string]any{"slot": "992", "depth": "5", "old_head_block": hash("a", 990), "new_head_block": h, "old_head_state": h, "new_head_state": h, "epoch": "31", "execution_optimistic": false})
	o := w.until("new branch", head(h))
	if o.Cut {
		t.Error("cut")
	}
	w.until("event", beacon(func(s *chain.Slots) bool { return s.Reorg != nil && s.Reorg.Depth == 5 && s.Reorg.New == h }))
	if v := w.mon.View(0); len(v.Reorgs) != 1 || v.Reorgs[0].Depth != 3 || v.Reorgs[0].Ancestor.Height != 987 || v.Reorgs[0].AtLeast {
		t.Errorf("reorgs %+v", v.Reorgs)
	}
}

// TestTopics: a client that refuses a topic refuses the whole stream; fewer are asked for then. One without events is polled.
func TestTopics(t *testing.T) {
	n := newNode(t, span(900, 990)...)
	n.topics = "head"
	w := watch(t, Config{URL: n.srv.URL, ChainID: "devnet", Poll: time.Hour})
	w.until("head", head(hash("a", 990)))
	for n.subscribed() == 0 {
		w.until("anything", func(chain.Observation) bool { return true })
	}
	h := n.mine("a", 991)
	n.push("head", map[string]any{"slot": "991", "block": h})
	w.until("head by its event", head(h))

	mute := newNode(t, span(900, 990)...)
	mute.mute = true
	w = watch(t, Config{URL: mute.srv.URL, ChainID: "devnet"})
	w.until("head", head(hash("a", 990)))
	h = mute.mine("a", 992)
	w.until("head by polling", head(h))
	mute.mu.Lock()
	defer mute.mu.Unlock()
	if k := mute.asked["/eth/v1/events"]; k > len(topics) {
		t.Errorf("a node without events was asked %d times for them", k)
	}
}

// TestStall: after a stall of the collector, what happened meanwhile is walked, at most 256 headers; further away only the last 64.
func TestStall(t *testing.T) {
	n := newNode(t, span(1, 400)...)
	w := watch(t, Config{URL: n.srv.URL, ChainID: "devnet"})
	w.until("head", head(hash("a", 400)))
	for _, s := range span(401, 500) {
		n.set(func() { h := hash("a", s); n.blocks[h] = block{s, hash("a", s-1)} })
	}
	n.set(func() { n.tip = hash("a", 500) })
	if o := w.until("after a short stall", head(hash("a", 500))); len(o.Branch) != 99 || o.Cut {
		t.Errorf("%d headers, cut %v", len(o.Branch), o.Cut)
	}
	for _, s := range span(501, 900) {
		n.set(func() { h := hash("a", s); n.blocks[h] = block{s, hash("a", s-1)} })
	}
	n.set(func() { n.tip = hash("a", 900) })
	if o := w.until("after a long one", head(hash("a", 900))); len(o.Branch) != 64 || !o.Cut {
		t.Errorf("%d headers, cut %v", len(o.Branch), o.Cut)
	}
}

// TestStates: what a node says of itself, and what the clock says of it.
func TestStates(t *testing.T) {
	n := newNode(t, span(950, 1000)...)
	w := watch(t, Config{URL: n.srv.URL, ChainID: "devnet"})
	w.until("up", state(chain.Up, ""))
	n.set(func() { n.sync["is_syncing"], n.sync["head_slot"], n.sync["sync_distance"] = true, "500", "500" })
	w.until("syncing", state(chain.Syncing, "slot 500, 500 slots behind"))
	n.set(func() { n.sync["is_syncing"] = false; n.health = 206 })
	w.until("health 206", state(chain.Syncing, "health 206"))
	n.set(func() { n.health = 503 })
	w.until("health 503", state(chain.Syncing, "health 503"))
	n.set(func() { n.sync["is_optimistic"], n.sync["el_offline"] = true, true })
	w.until("an optimistic node still follows", state(chain.Up, ""))
	w.until("optimistic", beacon(func(s *chain.Slots) bool { return s.Health != nil && s.Health.Optimistic && s.Health.Offline }))
	other := newNode(t, span(950, 990)...)
	w = watch(t, Config{URL: other.srv.URL, ChainID: "mainnet"})
	w.until("wrong chain", state(chain.WrongChain, "It serves devnet, not mainnet (Ethereum beacon chain)."))
	forged := newNode(t, span(950, 990)...)
	forged.name = "mainnet"
	w = watch(t, Config{URL: forged.srv.URL, ChainID: "mainnet"})
	w.until("forged genesis", state(chain.WrongChain, "its genesis"))
}

// TestStale: a node that calls itself in sync and answers with old heads is told so, and stays up: if all do, the chain stands.
func TestStale(t *testing.T) {
	n := newNode(t, span(900, 960)...)
	w := watch(t, Config{URL: n.srv.URL, ChainID: "devnet"})
	w.until("stale", func(o chain.Observation) bool { // how many slots, the clock says
		return state(chain.Up, "Its head is slot 960, ")(o) && state(chain.Up, " behind the clock, though it calls itself in sync")(o)
	})
	n.mine("a", 1000)
	w.until("fresh", state(chain.Up, ""))
}

func TestProbe(t *testing.T) {
	n := newNode(t, span(990, 1000)...)
	r, _, err := hostile.Again(func() (chain.Recognised, error, error) { return Probe(context.Background(), n.srv.URL) })
	if err != nil || r.Family != chain.Beacon || r.ChainID != "devnet" || r.Head != 1000 || r.Client != "Fake/v1.0.0" {
		t.Fatalf("%+v %v", r, err)
	}
	rpc := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}}`)
	}))
	defer rpc.Close()
	if _, raw, err := Probe(context.Background(), rpc.URL); err == nil || raw == nil {
		t.Fatal("an execution node was taken for a beacon node")
	}
}

// TestHostile: every way to misbehave over HTTP, and those of this family.
func TestHostile(t *testing.T) {
	n := newNode(t, span(960, 1000)...)
	swap := func(path, pattern, by string) http.HandlerFunc {
		re := regexp.MustCompile(pattern)
		f := hostile.Rewrite(n, func(request, answer string) string {
			if !strings.Contains(request, path) {
				return answer
			}
			return re.ReplaceAllString(answer, by)
		})
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/eth/v1/events" {
				n.ServeHTTP(w, r) // a stream cannot be rewritten
				return
			}
			f(w, r)
		}
	}
	lie := func(name, path, pattern, by, says string) hostile.Case {
		return hostile.Case{Name: name, Light: true, Says: []string{says}, Serve: swap(path, pattern, by)}
	}
	hostile.Try(t, hostile.Subject{Family: chain.Beacon, ChainID: "devnet", Well: n,
		Run: func(node, address string, sink func(chain.Observation)) func(context.Context) error {
			return New(Config{Chain: "x", Node: node, ChainID: "devnet", URL: address, Poll: 50 * time.Millisecond, Slow: 100 * time.Millisecond, Timeout: hostile.Within(node), Rate: 1e6}, sink, nil).Run
		},
		Own: []hostile.Case{
			lie("slot 2^255", "headers/head", `"slot":"\d+"`, `"slot":"57896044618658097711785492504343953926634992332820282019728792003956564819968"`, "where a slot or an epoch belongs"),
			lie("negative slot", "headers/head", `"slot":"\d+"`, `"slot":"-5"`, "where a slot or an epoch belongs"),
			lie("a slot of the future", "headers/head", `"slot":"\d+"`, `"slot":"1100"`, "a block of the future is not trusted"),
			lie("every block in one slot", "headers/", `"slot":"\d+"`, `"slot":"980"`, "slot 980 follows slot 980"),
			lie("slot as a list", "headers/head", `"slot":"\d+"`, `"slot":[1]`, "where a slot or an epoch belongs"),
			lie("a root of 1 MiB", "headers/head", `"root":"0x[0-9a-f]+"`, `"root":"0x`+strings.Repeat("a", 1<<20)+`"`, "where a block root belongs"),
			lie("another block than asked for", "headers/0x", `"root":"0x[0-9a-f]+"`, `"root":"0x`+strings.Repeat("b", 64)+`"`, "It was asked for block"),
			lie("an epoch of the future", "finality_checkpoints", `"epoch":"29"`, `"epoch":"5000"`, "that cannot be"),
			lie("no slots", "config/spec", `"SECONDS_PER_SLOT":"12"`, `"SECONDS_PER_SLOT":"0"`, "that cannot be"),
			lie("a genesis of the future", "beacon/genesis", `"genesis_time":"\d+"`, `"genesis_time":"99999999999"`, "a block of the future is not trusted"),
		}})
}

// TestHostileEvents: an event stream with endless lines, a flood, or half of one costs bounded memory and does not keep heads from coming.
func TestHostileEvents(t *testing.T) {
	for name, body := range map[string]func(w http.ResponseWriter) error{
		"endless line": func(w http.ResponseWriter) error { _, err := fmt.Fprint(w, strings.Repeat("x", 64<<10)); return err },
		"flood of heads": func(w http.ResponseWriter) error {
			_, err := fmt.Fprintf(w, "event: head\ndata: {\"slot\":\"1\",\"block\":%q}\n\n", hash("z", 1))
			return err
		},
		"flood of reorgs of the future": func(w http.ResponseWriter) error {
			_, err := fmt.Fprintf(w, "event: chain_reorg\ndata: {\"slot\":\"999999\",\"depth\":\"999999\",\"old_head_block\":%q,\"new_head_block\":%q}\n\n", hash("z", 1), hash("z", 2))
			return err
		},
		"events that are no JSON": func(w http.ResponseWriter) error { _, err := fmt.Fprint(w, "event: head\ndata: [[[[\n\n"); return err },
		"flood of blank lines":    func(w http.ResponseWriter) error { _, err := fmt.Fprint(w, "\n"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, span(900, 990)...)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/eth/v1/events" {
					n.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "text/event-stream")
				for r.Context().Err() == nil && body(w) == nil {
				}
			}))
			defer srv.Close()
			defer srv.CloseClientConnections()
			before := hostile.Heap()
			w := watch(t, Config{URL: srv.URL, ChainID: "devnet"})
			w.until("head", head(hash("a", 990)))
			h := n.mine("a", 991)
			w.until("next head", head(h))
			peak := uint64(0)
			for range 20 {
				w.until("health", beacon(func(s *chain.Slots) bool { return s.Health != nil }))
				peak = max(peak, hostile.Heap())
			}
			if peak > before+hostile.Most {
				t.Errorf("the heap grew by %d MiB", (peak-before)>>20)
			}
			for _, o := range w.seen {
				if o.Kind == chain.KindState && o.State == chain.Down || o.Beacon != nil && o.Beacon.Reorg != nil {
					b, _ := json.Marshal(o)
					t.Errorf("told %s", b)
				}
			}
		})
	}
}
