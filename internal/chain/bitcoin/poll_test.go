package bitcoin

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

func TestPoll(t *testing.T) {
	n := newNode(t, 30)
	hostile.TryPoll(t, hostile.Polled{Well: n, Usual: 500 * time.Millisecond, User: "u:p@",
		Run: func(address string, poll time.Duration, sink func(chain.Observation)) func(context.Context) error {
			return New(Config{Chain: "x", Node: "a", URL: address, Poll: poll, ChainID: "simnet"}, sink, nil).Run
		},
		Head: func(request string) bool { return strings.Contains(request, "getbestblockhash") }})
}
