package opstack

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

func TestPoll(t *testing.T) {
	n := newNode(t)
	hostile.TryPoll(t, hostile.Polled{Well: n, Usual: 2 * time.Second,
		Run: func(address string, poll time.Duration, sink func(chain.Observation)) func(context.Context) error {
			return New(Config{Chain: "x", Node: "a", URL: address, Poll: poll, ChainID: "10"}, sink, nil).Run
		},
		Head: func(request string) bool { return strings.Contains(request, "optimism_syncStatus") }})
}
