package beacon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

func TestLimits(t *testing.T) {
	n := newNode(t, span(960, 1000)...)
	hostile.TryLimits(t, hostile.Limited{
		Subject: hostile.Subject{Family: chain.Beacon, ChainID: "devnet", Well: n,
			Run: func(node, address string, sink func(chain.Observation)) func(context.Context) error {
				return New(Config{Chain: "x", Node: node, ChainID: "devnet", URL: address, Poll: 20 * time.Millisecond, Slow: 30 * time.Millisecond, Timeout: hostile.Patience, Rate: 1e6}, sink, nil).Run
			}},
		Head:   func(request string) bool { return strings.Contains(request, "/beacon/headers/") },
		Beside: func(request string) bool { return strings.Contains(request, "/eth/v1/events") }, // a way of the head, by a part of its own
		Alone:  1,
	})
}
