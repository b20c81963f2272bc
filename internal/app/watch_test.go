package app

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// TestExampleIsWatched: what the manual shows is understood, signatures included.
func TestExampleIsWatched(t *testing.T) {
	c, err := config.Load("../config/testdata/tocsin.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &App{opt: Options{Config: c, Logger: slog.New(slog.DiscardHandler)}, db: mem.New()}
	a.flow = &flow{app: a}
	if _, err := newWatch(a, c); err != nil {
		t.Fatal(err)
	}
	w := watchedChain(c.Chains[0], c.Watches[0])
	if len(w.Nodes) != 2 || w.Nodes[1].URL != "https://eth.example.net/v3/0123456789abcdef" || len(w.EVM.Bridges[0].Events) != 2 || !w.EVM.Bridges[0].Events[1].Withdrawal ||
		w.EVM.Feeds[0].Heartbeat != 3_600_000 || !w.EVM.Contracts[1].Executions || w.EVM.Coin.Feed != "eth-usd" || w.Rate != 10 {
		t.Errorf("%+v", w)
	}
	if b := watchedChain(c.Chains[1], c.Watches[1]); len(b.Nodes) != 2 || !b.Bitcoin.Scan || len(b.Bitcoin.Outpoints) != 1 {
		t.Errorf("%+v", b)
	}
	c.Watches[0].Views[0].Call = "convertToAssets(uint257) returns (uint256)"
	if _, err := newWatch(a, c); err == nil || !strings.Contains(err.Error(), "uint257") {
		t.Errorf("a wrong signature: %v", err)
	}
}

func TestMarks(t *testing.T) {
	m := marks{db: mem.New()}
	ctx := context.Background()
	if got, err := m.Mark(ctx, "eth/a"); got != "" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	for _, v := range []string{"1", "2"} {
		if err := m.SetMark(ctx, "eth/a", v); err != nil {
			t.Fatal(err)
		}
		if got, err := m.Mark(ctx, "eth/a"); got != v || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
}

// TestMarksWaitForTheDetectors: how far a chain was read is kept only when what was seen there is.
func TestMarksWaitForTheDetectors(t *testing.T) {
	var keep func()
	m := marks{mem.New(), func(_ context.Context, _ string, f func()) { keep = f }}
	ctx, cancel := context.WithCancel(t.Context())
	if err := m.SetMark(ctx, "eth/a", "7"); err != nil {
		t.Fatal(err)
	}
	cancel() // as the watcher's does when it returns
	if got, err := m.Mark(t.Context(), "eth/a"); got != "" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	keep()
	if got, err := m.Mark(t.Context(), "eth/a"); got != "7" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestNamesReachTheDetectors(t *testing.T) {
	c := config.Config{Watches: []config.Watch{{Chain: "ethereum", Addresses: []config.WatchedAddress{{Name: "hot", Address: "0xAB"}, {Name: "cold", Address: "0xcd"}},
		Contracts: []config.WatchedContract{{Name: "vault", Address: "0xef"}}}}}
	got := namedAddresses([]detect.Watched{{Address: "0xab", Label: "Hot wallet", Kind: "hot_wallet"}}, c)
	want := []detect.Watched{{Address: "0xab", Label: "Hot wallet", Kind: "hot_wallet"}, {Address: "0xcd", Chain: "ethereum", Label: "cold"}, {Address: "0xef", Chain: "ethereum", Label: "vault", Kind: "contract"}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}
