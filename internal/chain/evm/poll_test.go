package evm

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

func TestPoll(t *testing.T) {
	n := newNode(t, 30)
	hostile.TryPoll(t, hostile.Polled{Well: n.rpc, Usual: 2 * time.Second,
		Run: func(address string, poll time.Duration, sink func(chain.Observation)) func(context.Context) error {
			return New(Config{Chain: "x", Node: "a", URL: address, Poll: poll, ChainID: "1", WS: "none"}, sink, nil).Run
		},
		Head: func(request string) bool { return strings.Contains(request, `"latest",false`) }})
}

// TestPollBesideNewHeads: while newHeads come the poll is a check, a third as often but every 20 s at least; while they are in doubt a node is
// asked four times as often, but never oftener than somebody has set.
func TestPollBesideNewHeads(t *testing.T) {
	for _, c := range []struct{ set, doubt, trusted, silent time.Duration }{
		{0, 500 * time.Millisecond, 6 * time.Second, 2 * time.Second},
		{250 * time.Millisecond, 250 * time.Millisecond, 750 * time.Millisecond, 250 * time.Millisecond},
		{time.Second, time.Second, 3 * time.Second, time.Second},
		{7 * time.Second, 7 * time.Second, 14 * time.Second, 7 * time.Second},
		{10 * time.Second, 10 * time.Second, 20 * time.Second, 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			x := New(Config{Poll: c.set}, nil, nil)
			x.sub = &rpc.ClientSubscription{}
			every := func() time.Duration {
				tick, n := x.cfg.Poll/time.Duration(x.quick), 1
				for ; !x.due(n); n++ {
				}
				return time.Duration(n) * tick
			}
			x.doubt = time.Now().Add(doubtFor)
			if got := every(); got != c.doubt {
				t.Errorf("set to %s, in doubt: %s, want %s", c.set, got, c.doubt)
			}
			x.doubt, x.pushed = time.Time{}, time.Now()
			if got := every(); got != c.trusted {
				t.Errorf("set to %s, newHeads come: %s, want %s", c.set, got, c.trusted)
			}
			time.Sleep(3 * x.cfg.Poll)
			if got := every(); got != c.silent {
				t.Errorf("set to %s, newHeads silent: %s, want %s", c.set, got, c.silent)
			}
		})
	}
}
