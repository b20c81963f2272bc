package bitcoin

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

func TestLimits(t *testing.T) {
	n := newNode(t, 30)
	hostile.TryLimits(t, hostile.Limited{
		Subject: hostile.Subject{Family: chain.Bitcoin, ChainID: "simnet", RPC: true, Well: n, User: "u:p@",
			Run: func(node, address string, sink func(chain.Observation)) func(context.Context) error {
				return New(Config{Chain: "x", Node: node, ChainID: "simnet", URL: address, Poll: 20 * time.Millisecond, Slow: 30 * time.Millisecond, Timeout: hostile.Patience, Rate: 1e6}, sink, nil).Run
			}},
		Head: func(request string) bool {
			return strings.Contains(request, "getbestblockhash") || strings.Contains(request, "getblockheader")
		}})
}

// TestLimitIsNoFork: a limit in the middle of a walk is no branch that was cut short, and one while a node is asked whether it went back is no
// rollback: both are asked again when the time is over.
func TestLimitIsNoFork(t *testing.T) {
	n := newNode(t, 60)
	w := watch(t, Config{URL: n.url(), ChainID: "simnet"})
	w.until("first head", head(n.tip[59]))
	n.mu.Lock()
	refused := 0
	n.limit = func(method string) (int, string) {
		if method == "getblockheader" || method == "getblockhash" {
			if refused++; refused == 3 {
				return 429, "1"
			}
		}
		return 0, ""
	}
	n.mu.Unlock()
	w.until("new head", head(n.swap(50, "b", 12)))
	v := w.mon.View(0)
	if len(v.Reorgs) != 1 || v.Reorgs[0].Depth != 9 || v.Reorgs[0].AtLeast || refused < 3 {
		t.Fatalf("%+v, %d refused", v.Reorgs, refused)
	}
	for _, o := range w.seen {
		if o.Cut || o.Kind == chain.KindRollback {
			t.Errorf("%+v", o)
		}
	}
}

// TestGap: heads that were missed are filled in, also after a silence longer than what is walked.
func TestGap(t *testing.T) {
	for _, c := range []struct {
		missed, want int
		cut          bool
	}{{80, 79, false}, {walkMost, walkMost - 1, false}, {walkMost + 60, backfill, true}} {
		n := newNode(t, 10)
		w := watch(t, Config{URL: n.url(), ChainID: "simnet"})
		w.until("first head", head(n.tip[9]))
		before := n.stall(func() {})
		n.stall(func() {
			for range c.missed {
				n.grow("a")
			}
		})
		tip := n.tip[len(n.tip)-1]
		o := w.until("head after the gap", head(tip))
		if len(o.Branch) != c.want || o.Cut != c.cut {
			t.Fatalf("%d missed: %d headers, cut %t", c.missed, len(o.Branch), o.Cut)
		}
		for i, b := range o.Branch {
			if i > 0 && b.Parent != o.Branch[i-1].Hash {
				t.Fatalf("the headers do not link at %d", b.Height)
			}
		}
		if v := w.mon.View(0); len(v.Reorgs) != 0 || v.Height != int64(9+c.missed) {
			t.Errorf("%d missed: height %d, reorgs %+v", c.missed, v.Height, v.Reorgs)
		}
		if asked := n.stall(func() {}) - before; asked > c.want+1 {
			t.Errorf("%d missed: %d headers asked for", c.missed, asked)
		}
	}
}
