package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

const (
	hot, cold  = "0x1111111111111111111111111111111111111111", "0x2222222222222222222222222222222222222222"
	between    = "0x3333333333333333333333333333333333333333"
	coldCoins  = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
	otherCoins = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
)

// watching is a configuration with two chains and named addresses on both; no node answers.
func watching(names ...string) func(*config.Config) {
	return func(c *config.Config) {
		node := func(name string) []config.Node {
			return []config.Node{{Name: name, URL: config.NewAddress("http://127.0.0.1:9")}}
		}
		c.Chains = []config.Chain{{Name: "ethereum", Family: "evm", Nodes: node("a")}, {Name: "Bitcoin", Family: "bitcoin", Nodes: node("b")}}
		c.Watches = []config.Watch{{Chain: "ethereum"}, {Chain: "Bitcoin", Addresses: []config.WatchedAddress{{Name: "treasury", Address: coldCoins}}}}
		for i, n := range names {
			c.Watches[0].Addresses = append(c.Watches[0].Addresses, config.WatchedAddress{Name: n, Address: []string{hot, cold}[i], Transfers: true})
		}
	}
}

func (s *started) page(path string, wants ...string) {
	s.t.Helper()
	body := s.must("GET", path, "")
	for _, want := range wants {
		if !strings.Contains(body, want) {
			s.t.Errorf("%s lacks %q", path, want)
		}
	}
}

// TestObservationsBecomeAGraph: what watchers see is on the page of wallets, by the names of the watches and by what people type in incidents; it
// outlives a restart, and names that the file no longer has do not.
func TestObservationsBecomeAGraph(t *testing.T) {
	dir := t.TempDir()
	a := start(t, dir, watching("hot-1", "cold-1"))
	at := time.Now().UnixMilli()
	paid := func(from, to string) {
		at++
		a.Observe(observation.Observation{At: at, Kind: observation.Transfer, Chain: "ethereum", Node: "a", Tx: "0x" + strings.Repeat(from[2:4]+to[2:4], 16), From: from, To: to, Symbol: "ETH", Amount: "2", ID: "value"})
	}
	paid(hot, between)
	paid(between, cold)
	// before the first page: what one hand holds is worked out once a minute
	a.Observe(observation.Observation{At: at, Kind: observation.Spend, Chain: "bitcoin", Node: "b", Tx: strings.Repeat("ab", 32), From: coldCoins, Inputs: []string{strings.Repeat("cd", 32) + ":0", strings.Repeat("ef", 32) + ":1"},
		Owners: []string{coldCoins, otherCoins}, Amounts: []string{"1", "2"}, Where: "chain", Traced: true})
	a.Observe(observation.Observation{At: at, Kind: observation.Transfer, Chain: "bitcoin", Node: "b", Tx: strings.Repeat("ab", 32), From: coldCoins, To: "3P14159f73E4gFr7JterCCQh9QjiTjiZrG", Symbol: "BTC", Amount: "1", ID: "output 0", Where: "chain", Traced: true})
	a.page("/wallets?around="+between, "Money went to cold-1 (watched) in 1 step", "Money came from hot-1 (watched) in 1 step", ">hot-1</text>", ">cold-1</text>", `class="address ours"`)
	a.page("/wallets?around=ethereum/"+hot, "· hot-1", "says configuration")
	a.page("/wallets?around=bitcoin/"+coldCoins, "treasury", "Probably the same hand", otherCoins, "spent together with treasury in one transaction")

	thief := "0x4444444444444444444444444444444444444444"
	paid(hot, thief)
	a.must("POST", "/api/v1/incidents", `{"title":"Hot wallet drained","severity":"SEV1"}`)
	a.must("POST", "/api/v1/incidents/1/commands", `{"id":"5d6c2d0e-0000-4000-8000-000000000001","command":"add_address","args":{"chain":"ethereum","address":"`+thief+`","kind":"attacker"}}`)
	until(t, "the typed address is a name and an end of a way", func() bool {
		body := a.must("GET", "/wallets?around="+hot+"&hops=1", "")
		return strings.Contains(body, ">attacker, #1</text>") && strings.Contains(body, `class="address bad"`) && strings.Contains(body, "Money went to ")
	})
	a.page("/wallets?around="+thief, "attacker in #1", "Money came from hot-1 (watched) in 1 step", ">attacker, #1</text>")
	a.stop()

	a = start(t, dir, watching("vault"))
	a.page("/wallets?around="+between, "Money came from vault (watched) in 1 step")
	if body := a.must("GET", "/wallets?around="+between, ""); strings.Contains(body, "cold-1") || strings.Contains(body, "hot-1") {
		t.Error("a name that the file no longer has is still shown")
	}
}
