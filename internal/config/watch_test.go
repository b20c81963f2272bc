package config

import (
	"reflect"
	"strings"
	"testing"
)

const watchedChains = `
chains:
  - {name: ethereum, family: evm, nodes: [{name: own-1, url: "http://h:1"}, {name: own-2, url: "http://h:2"}]}
  - {name: bitcoin, family: bitcoin, nodes: [{name: own-1, url: "http://h:1"}]}
  - {name: hub, family: comet, nodes: [{name: own-1, url: "http://h:1"}]}
watches:
`

func TestWatches(t *testing.T) {
	const a = `"0x5FbDB2315678afecb367f032d93F642f64180aa3"`
	for _, c := range []struct{ text, err string }{
		{`[{chain: ethereum, addresses: [{name: hot, address: ` + a + `, transfers: yes}], feeds: [{name: e, proxy: ` + a + `, heartbeat: 1h, deviation: 0.5%}]}]`, ""},
		{`[{chain: bitcoin, scan: yes, addresses: [{name: cold, address: 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa}]}]`, ""},
		{`[{chain: etherum}]`, `there is no chain "etherum"`},
		{`[{chain: ethereum}, {chain: ethereum}]`, "is there already"},
		{`[{chain: hub}]`, "nothing but the heads"},
		{`[{chain: ethereum, nodes: [own-3]}]`, "is no other node"},
		{`[{chain: ethereum, nodes: [own-1, own-1]}]`, "is no other node"},
		{`[{chain: ethereum, addresses: [{name: hot, address: "0x12"}]}]`, "40 hexadecimal digits"},
		{`[{chain: ethereum, addresses: [{name: hot, address: ` + a + `, pool: maybe}]}]`, "neither yes nor no"},
		{`[{chain: ethereum, tokens: [{name: X, address: ` + a + `, usd: "-1"}]}]`, "is not a number"},
		{`[{chain: ethereum, feeds: [{name: e, proxy: ` + a + `}]}]`, "heartbeat"},
		{`[{chain: ethereum, outpoints: ["a:0"]}]`, "of family bitcoin"},
		{`[{chain: bitcoin, tokens: [{name: X, address: ` + a + `}]}]`, "of family evm"},
		{`[{chain: ethereum, batch_size: 1000}]`, "is no size"},
		{`[{chain: ethereum, bridges: [{name: b, deposits: [{contract: x, event: y}]}]}]`, "bridges[0].deposits[0].contract"},
	} {
		got, err := Parse("t.yaml", []byte(watchedChains+"  "+c.text))
		if err == nil {
			err = got.Validate()
		}
		if (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", c.text, err, c.err)
		}
	}
}

func TestExampleWatches(t *testing.T) {
	c, err := Load("testdata/tocsin.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Watches) != 2 {
		t.Fatalf("%d watches", len(c.Watches))
	}
	w := c.Watches[0]
	for _, check := range []struct{ got, want any }{
		{w.Every, 12 * Second}, {w.CallsPerSecond, Number(10)}, {w.Coin, WatchedAsset{Name: "ETH", Feed: "eth-usd"}}, {w.Addresses[0].Transfers, Switch(true)},
		{w.Tokens[0].USD, Number(1)}, {w.Feeds[0].Deviation, Number(0.005)}, {w.Feeds[0].Heartbeat, Hour}, {w.Bridges[0].Withdrawals[0].ID, "id"}, {w.Views[0].Decimals, 6},
		{c.Watches[1].Scan, Switch(true)},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("got %v, want %v", check.got, check.want)
		}
	}
}
