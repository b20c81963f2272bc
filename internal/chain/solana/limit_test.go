package solana

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

func TestLimits(t *testing.T) {
	n := newNode(t)
	hostile.TryLimits(t, hostile.Limited{
		Subject: hostile.Subject{Family: chain.Solana, RPC: true, Well: n,
			Run: func(node, address string, sink func(chain.Observation)) func(context.Context) error {
				return New(Config{Chain: "x", Node: node, URL: address, Poll: 20 * time.Millisecond, Mid: 30 * time.Millisecond, Slow: 30 * time.Millisecond, Timeout: hostile.Patience, Rate: 1e6}, sink, nil).Run
			}},
		Head: func(request string) bool { return strings.Contains(request, `"getLatestBlockhash"`) }})
}
