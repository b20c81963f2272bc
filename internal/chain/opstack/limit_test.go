package opstack

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

// TestLimits: the rollup node and its L1 each limit for themselves. A limited L1 is left alone, and says why the age of batches is not known.
func TestLimits(t *testing.T) {
	n := newNode(t)
	hostile.TryLimits(t, hostile.Limited{
		Subject: hostile.Subject{Family: chain.Rollup, ChainID: "10", RPC: true, Well: n,
			Run: func(node, address string, sink func(chain.Observation)) func(context.Context) error {
				return New(Config{Chain: "x", Node: node, ChainID: "10", URL: address, L1: L1{URL: address}, Poll: 20 * time.Millisecond, Slow: 20 * time.Millisecond, Timeout: hostile.Patience, Rate: 1e6}, sink, nil).Run
			}},
		Head:   func(request string) bool { return strings.Contains(request, "optimism_syncStatus") },
		Beside: func(request string) bool { return strings.Contains(request, `"eth_`) },
	})
}
