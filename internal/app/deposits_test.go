package app_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/config"
)

// TestOpenDepositsByQuery: what a query says is open reaches the chain's monitor, and follows the figure.
func TestOpenDepositsByQuery(t *testing.T) {
	s := start(t, t.TempDir(), func(c *config.Config) {
		c.Chains = []config.Chain{{Name: "etc", Family: "evm", ChainID: "61", OpenDepositsQuery: "sum(deposits_open_usd)", Nodes: []config.Node{{Name: "a", URL: config.NewAddress("http://127.0.0.1:1")}}}}
	})
	key := s.metricsKey()
	is := func(want string) {
		t.Helper()
		for end := time.Now().Add(40 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			got := s.must("GET", "/prometheus/api/v1/query?query=tocsin_chain_open_deposits_usd", "")
			if strings.Contains(got, `"chain":"etc"`) && strings.Contains(got, `"`+want+`"`) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("never %s: %s", want, got)
			}
			s.TellDeposits(t.Context())
		}
	}
	s.push(key, "deposits_open_usd", 125000)
	is("125000")
	s.push(key, "deposits_open_usd", 40)
	is("40")
}

// TestOpenDepositsOfABadQuery: a query that is no PromQL is refused at the start, with the chain's name.
func TestOpenDepositsOfABadQuery(t *testing.T) {
	c := config.Default()
	c.Addr, c.Data = "127.0.0.1:0", t.TempDir()
	c.Chains = []config.Chain{{Name: "etc", Family: "evm", OpenDepositsQuery: "sum(", Nodes: []config.Node{{Name: "a", URL: config.NewAddress("http://127.0.0.1:1")}}}}
	_, err := app.New(context.Background(), app.Options{Config: c, Version: "test", Logger: slog.New(slog.DiscardHandler), BootstrapToken: bootstrap})
	if err == nil || !strings.Contains(err.Error(), "open deposits of chain etc") || !strings.Contains(err.Error(), "mend open_deposits_query") {
		t.Errorf("%v", err)
	}
}
