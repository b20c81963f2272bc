package evmwatch

import (
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// TestFollowed: the coin and tokens that a thief moves are told as long as they are followed, and marked; what touches a watched address is told
// as ever. Nothing else of theirs is.
func TestFollowed(t *testing.T) {
	a, c, at := scene(t, true)
	if a == nil {
		return
	}
	var accounts []string
	a.do(&accounts, "eth_accounts")
	thief, stranger := accounts[2], accounts[3]
	r := watch(t, c)
	r.sampled("tocsin_watch_balance", 10000, "address", "hot", "asset", "ETH")
	r.w.Follow([]string{thief, a.you, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"})
	r.sampled("tocsin_watch_followed", 1)
	told := func(what, tx string) observation.Observation {
		t.Helper()
		return r.observed(what, func(o observation.Observation) bool { return o.Kind == observation.Transfer && o.Tx == tx })
	}
	pay := func(to string) (tx string) {
		t.Helper()
		a.do(&tx, "eth_sendTransaction", map[string]any{"from": thief, "to": to, "value": "0xde0b6b3a7640000"})
		return tx
	}
	if o := told("the second hop", pay(stranger)); !o.Followed || o.From != low(thief) || o.To != low(stranger) || o.Amount != "1" || o.Symbol != "ETH" {
		t.Errorf("%+v", o)
	}
	if o := told("a token that the thief gets", a.send(at["fake"], "transfer(address,uint256)", thief, "5000000")); !o.Followed || o.To != low(thief) || o.Token != low(at["fake"]) || o.USD != nil {
		t.Errorf("%+v", o)
	}
	if o := told("what comes back", pay(a.you)); o.Followed || o.From != low(thief) || o.To != low(a.you) {
		t.Errorf("%+v", o)
	}
	r.w.Follow(nil)
	r.sampled("tocsin_watch_followed", 0)
	late := pay(stranger)
	told("what touches a watched address still", pay(a.you))
	for _, v := range r.seen {
		switch v := v.(type) {
		case observation.Observation:
			if v.Tx == late || v.Kind == observation.Spend && v.From == low(thief) {
				t.Errorf("%+v", v)
			}
		case chain.Sample:
			if l := v.Labels["address"]; l != "" && l != "hot" && l != "treasury" {
				t.Errorf("%+v", v)
			}
		}
	}
}
