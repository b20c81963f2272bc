package app

import (
	"slices"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/detect"
)

// TestOperatorsReachTheDetectors: who runs the nodes of the configuration is what the detectors go by, and what their own file says stands.
func TestOperatorsReachTheDetectors(t *testing.T) {
	c := config.Config{Chains: []config.Chain{
		{Name: "Ethereum", Family: "evm", Nodes: []config.Node{{Name: "a", URL: config.NewAddress("https://rpc.example.org/key-one")}, {Name: "b", URL: config.NewAddress("wss://rpc.example.org/key-two")},
			{Name: "c", URL: config.NewAddress("http://10.0.0.5:8545"), Operator: "us"}}},
		{Name: "sepolia", Family: "evm", Nodes: []config.Node{{Name: "a", URL: config.NewAddress("http://10.0.0.6:8545")}}},
	}}
	got := operated([]detect.ChainFacts{{Name: "ethereum", Confirmations: 12, Operators: map[string]string{"c": "them"}}, {Name: "other"}}, c)
	if len(got) != 3 || got[0].Confirmations != 12 || got[1].Operators != nil || got[2].Name != "sepolia" {
		t.Fatalf("%+v", got)
	}
	by := got[0].Operators
	if by["a"] != "rpc.example.org:443" || by["b"] != by["a"] || by["c"] != "them" || got[2].Operators["a"] != "10.0.0.6:8545" {
		t.Errorf("%v, %v", by, got[2].Operators)
	}
	if err := (detect.Setup{Chains: got}).Check(); err != nil {
		t.Error(err)
	}
	if got := pairOf(c.Chains[0]); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("a watch asks %v, of which none confirms the other", got)
	}
	c.Chains[0].Nodes[2].Operator = "RPC.example.org:443"
	if got := pairOf(c.Chains[0]); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v", got)
	}
	if got := pairOf(c.Chains[1]); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%v", got)
	}
}
