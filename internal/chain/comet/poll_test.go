package comet

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

func TestPoll(t *testing.T) {
	n := newNode(t, 5)
	hostile.TryPoll(t, hostile.Polled{Well: n, Usual: time.Second,
		Run: func(address string, poll time.Duration, sink func(chain.Observation)) func(context.Context) error {
			return New(Config{Chain: "x", Node: "a", URL: address, Poll: poll, ChainID: "test-1"}, sink, nil).Run
		},
		Head: func(request string) bool { return strings.Contains(request, `"method":"status"`) }})
}
