package telemetry

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// TestHeirFindsAnew: what a supervisor found and could not deliver before
// another watched the chain is found by that one, from the state of the nodes,
// and is not delivered late by the first.
func TestHeirFindsAnew(t *testing.T) {
	run(t, func(t *testing.T, first *Supervisor, d *desk) {
		wrong := func(s *Supervisor) {
			inject(t, s, chain.Observation{Kind: chain.KindState, Chain: "one", Node: "a", At: time.Now().UnixMilli(), State: chain.WrongChain, Reason: "r"})
		}
		d.refuse = 1 << 30 // the store is gone
		if err := first.Set([]Chain{plain("one", "a")}); err != nil {
			t.Fatal(err)
		}
		first.Settle(t.Context())
		wrong(first)
		time.Sleep(5 * time.Second) // the lease is lost
		if err := first.Set(nil, "one"); err != nil {
			t.Fatal(err)
		}
		first.Settle(t.Context())
		d.mu.Lock()
		d.refuse = 0
		d.mu.Unlock()

		heir := &desk{}
		second := New(Options{Sink: heir, Open: func(context.Context, string) ([]string, error) { return nil, nil }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- second.Run(ctx) }()
		if err := second.Set([]Chain{plain("one", "a")}); err != nil {
			t.Fatal(err)
		}
		second.Settle(t.Context())
		wrong(second)
		time.Sleep(time.Minute)
		synctest.Wait()
		if k := heir.keys(); !slices.Contains(k, "one/wrong_chain/a true") {
			t.Errorf("the heir found %v", k)
		}
		if k := d.keys(); len(k) != 0 || d.tries == 0 {
			t.Errorf("after %d tries the first delivered %v late", d.tries, k)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
