package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
)

// number waits until a query has one answer, and gives it.
func (s *tocsin) number(query string, want float64) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("%s is %v", query, want), patience, func() (bool, string) {
		var out struct {
			Data struct {
				Result []struct {
					Value [2]any
				}
			}
		}
		code, b, err := s.try("GET", "/prometheus/api/v1/query?query="+url.QueryEscape(query), http.Header{"Authorization": {"Bearer " + s.token}}, nil)
		if err != nil || code != 200 || json.Unmarshal(b, &out) != nil { // 503 is what a query gets that took longer than it may, on a busy machine
			return false, fmt.Sprint(code, " ", string(b[:min(len(b), 200)]), err)
		}
		if len(out.Data.Result) != 1 {
			return false, fmt.Sprint(len(out.Data.Result), " answers")
		}
		got, err := strconv.ParseFloat(fmt.Sprint(out.Data.Result[0].Value[1]), 64)
		return err == nil && got == want, fmt.Sprint(got)
	})
}

// TestWatchedBalances: what the configuration names is read from real nodes, follows what happens on the chain, and goes on after a restart.
func TestWatchedBalances(t *testing.T) {
	a := startAnvil(t)
	b := startBtcd(t)
	g := startGeth(t)
	fork := g.chain.Commit()
	var accounts []string
	a.do("eth_accounts", &accounts)
	b.do("generate", nil, 1)
	s := start(t, "chains:\n"+watched("anvil", "evm", "http://127.0.0.1:"+a.port)+watched("simnet", "bitcoin", b.url)+watched("sim", "evm", g.ws, g.http)+fmt.Sprintf(`
watches:
  - chain: anvil
    every: 1s
    coin: {name: ETH}
    addresses: [{name: hot, address: %q, transfers: yes, pool: yes}]
  - chain: sim
    every: 1s
    coin: {name: ETH}
    addresses: [{name: first, address: "0x0000000000000000000000000000000000000001", transfers: yes, pool: yes}]
  - chain: simnet
    coin: {name: BTC}
    addresses: [{name: miner, address: SeJi8vT561XXYyP4jg1fWFFxLiM62PXfdN}]
`, accounts[1]))
	hot := `tocsin_watch_balance{chain="anvil",node="alpha",address="hot",asset="ETH"}`
	s.number(hot, 10000)
	a.do("eth_sendTransaction", nil, map[string]any{"from": accounts[0], "to": accounts[1], "value": "0xde0b6b3a7640000"})
	s.number(hot, 10001)
	miner := `tocsin_watch_balance_since_start{chain="simnet",address="miner"}`
	s.number(miner, 50) // the newest block is the first that is read
	b.do("generate", nil, 2)
	s.number(miner, 150)
	for _, node := range []string{"alpha", "beta"} { // one by websocket, one by http
		s.number(`tocsin_watch_balance{chain="sim",node="`+node+`"}`, 1e-18)
		s.number(`tocsin_watch_pool_transactions{chain="sim",node="`+node+`"}`, 0)
	}
	for range 3 {
		g.chain.Commit()
	}
	s.number(`tocsin_watch_height{chain="sim",node="alpha"}`, 4)
	must(t, g.chain.Fork(fork))
	for range 5 {
		g.chain.Commit()
	}
	for _, node := range []string{"alpha", "beta"} {
		s.number(`tocsin_watch_state_height{chain="sim",node="`+node+`"}`, 6)
	}
	s.number(`tocsin_watch_blocks_lost{chain="simnet"}`, 0)
	s.run.stop(t)
	b.do("generate", nil, 4)
	a.do("eth_sendTransaction", nil, map[string]any{"from": accounts[0], "to": accounts[1], "value": "0xde0b6b3a7640000"})
	s.up()
	s.number(hot, 10002)
	s.number(miner, 200) // the four blocks of the pause: it counts from the start, and was 150 before it
}

// TestOwnerChangeIsAFinding: a contract on a real node gets another owner, by an event; then its code is changed without one.
func TestOwnerChangeIsAFinding(t *testing.T) {
	var contracts map[string]struct{ Create string }
	raw, err := os.ReadFile("../chain/evmwatch/testdata/contracts.json")
	if err != nil {
		t.Fatal(err)
	}
	must(t, json.Unmarshal(raw, &contracts))
	a := startAnvil(t)
	var accounts []string
	a.do("eth_accounts", &accounts)
	var tx string
	a.do("eth_sendTransaction", &tx, map[string]any{"from": accounts[0], "data": contracts["Token"].Create, "gas": "0x4c4b40"})
	var receipt struct{ ContractAddress string }
	until(t, "the contract is there", patience, func() (bool, string) {
		a.do("eth_getTransactionReceipt", &receipt, tx)
		return receipt.ContractAddress != "", ""
	})
	s := start(t, "chains:\n"+watched("anvil", "evm", "http://127.0.0.1:"+a.port)+fmt.Sprintf(`
watches:
  - chain: anvil
    every: 1s
    contracts: [{name: token, address: %q}]
`, receipt.ContractAddress))
	s.number(`tocsin_watch_state_height{chain="anvil"}`, float64(a.block("latest").height()))
	to := strings.TrimPrefix(strings.ToLower(accounts[1]), "0x")
	a.do("eth_sendTransaction", nil, map[string]any{"from": accounts[0], "to": receipt.ContractAddress, "data": "0xf2fde38b" + strings.Repeat("0", 24) + to}) // transferOwnership
	f := s.finding("anvil", "control_change", "open", patience)
	if !strings.Contains(f.Reason, "owner") || !strings.Contains(f.Title, "token: ") {
		t.Errorf("%q, %q", f.Title, f.Reason)
	}
	a.do("anvil_setStorageAt", nil, receipt.ContractAddress, "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc", "0x"+strings.Repeat("0", 24)+to)
	for range 3 {
		a.mine(1)
		s.number(`tocsin_watch_state_height{chain="anvil"}`, float64(a.block("latest").height()))
	}
	until(t, "the code's change is a finding", patience, func() (bool, string) {
		var all []string
		for _, g := range s.signals() {
			all = append(all, g.Title)
			if g.Kind == "control_change" && strings.Contains(g.Title, "implementation") {
				return true, ""
			}
		}
		return false, strings.Join(all, "; ")
	})
}
