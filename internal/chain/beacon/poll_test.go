package beacon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/hostile"
)

func TestPoll(t *testing.T) {
	n := newNode(t, span(960, 1000)...)
	hostile.TryPoll(t, hostile.Polled{Well: n, Usual: 4 * time.Second,
		Begin: func() { n.set(func() { n.mute, n.genesis = true, time.Now().Unix()-1000*perSlot-6 }) },
		Run: func(address string, poll time.Duration, sink func(chain.Observation)) func(context.Context) error {
			return New(Config{Chain: "x", Node: "a", URL: address, Poll: poll, ChainID: "devnet"}, sink, nil).Run
		},
		Head: func(request string) bool { return strings.Contains(request, "/beacon/headers/head") }})
}
