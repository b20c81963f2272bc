package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// contract puts a contract with an owner onto a node; give changes the owner.
func (a *anvil) contract() (address string, give func()) {
	a.t.Helper()
	var contracts map[string]struct{ Create string }
	raw, err := os.ReadFile(filepath.Join(root, "internal/chain/evmwatch/testdata/contracts.json"))
	must(a.t, err)
	must(a.t, json.Unmarshal(raw, &contracts))
	var accounts []string
	a.do("eth_accounts", &accounts)
	var tx string
	a.do("eth_sendTransaction", &tx, map[string]any{"from": accounts[0], "data": contracts["Token"].Create, "gas": "0x4c4b40"})
	var receipt struct{ ContractAddress string }
	until(a.t, "the contract is there", patience, func() (bool, string) {
		a.do("eth_getTransactionReceipt", &receipt, tx)
		return receipt.ContractAddress != "", ""
	})
	return receipt.ContractAddress, func() {
		a.t.Helper()
		to := strings.TrimPrefix(strings.ToLower(accounts[1]), "0x")
		a.do("eth_sendTransaction", nil, map[string]any{"from": accounts[0], "to": receipt.ContractAddress, "data": "0xf2fde38b" + strings.Repeat("0", 24) + to}) // transferOwnership
	}
}

// TestOneNodeAlonePagesNobody: a change of an owner that only one node can show is there for everybody to see and declares nothing until the
// wait is over, and so does one that two names of one address show; one that two nodes show is an incident at once.
func TestOneNodeAlonePagesNobody(t *testing.T) {
	const wait = 40 * time.Second
	alone, pair, twin := startAnvil(t), startAnvil(t), startAnvil(t)
	first, giveFirst := alone.contract()
	second, giveSecond := pair.contract()
	third, giveThird := twin.contract()
	at := func(a *anvil) string { return "http://127.0.0.1:" + a.port }
	honest := lie(t, at(pair), 0) // another process on a port of its own, that never lies
	s := prepare(t, "detection: detection.yaml\nchains:\n"+watched("alone", "evm", at(alone))+watched("pair", "evm", at(pair), honest.URL)+watched("twin", "evm", at(twin)+"/?key=one", at(twin)+"/?key=two")+fmt.Sprintf(`
watches:
  - {chain: alone, every: 1s, contracts: [{name: vault, address: %q}]}
  - {chain: pair, every: 1s, contracts: [{name: vault, address: %q}]}
  - {chain: twin, every: 1s, contracts: [{name: vault, address: %q}]}
`, first, second, third))
	s.beside("detection.yaml", fmt.Sprintf("verification_wait: %s\n", wait))
	s.up()
	s.number(`tocsin_watch_state_height{chain="alone"}`, float64(alone.block("latest").height()))
	s.number(`count(tocsin_watch_state_height{chain="pair"} > 0)`, 2)
	s.number(`count(tocsin_watch_state_height{chain="twin"} > 0)`, 2)
	of := func(chain string) func(found) bool {
		return func(f found) bool { return f.Kind == "control_change" && f.Chain == chain && f.State == "open" }
	}
	giveFirst()
	f := s.told("one node shows it", patience, func(f found) bool { return of("alone")(f) && f.Incident == 0 })
	if f.Verification != "one_node" || !slices.Equal(f.Seen, []string{"alpha"}) {
		t.Errorf("%+v", f)
	}
	giveThird()
	both := func(f found) bool { return of("twin")(f) && len(f.Seen) == 2 }
	f = s.told("two names of one address show it", patience, func(f found) bool { return both(f) && f.Incident == 0 })
	if want := "both are of 127.0.0.1:" + twin.port + ": that is one voice."; f.Verification != "one_node" || !strings.HasSuffix(f.Reason, want) {
		t.Errorf("%+v, want %q", f, want)
	}
	giveSecond()
	f = s.told("two nodes show it", patience, func(f found) bool { return of("pair")(f) && f.Incident != 0 })
	if took := s.held(f); f.Verification != "confirmed" || !slices.Equal(f.Seen, []string{"alpha", "beta"}) || took >= wait {
		t.Errorf("after %s: %+v", took, f)
	}
	if _, page := s.enter("ana", "Ana").get("/chains"); !strings.Contains(page, "2 nodes, 1 operator: nothing can be confirmed.") || strings.Count(page, "count as one.") > 0 {
		t.Error("the page of chains does not say that two names are of one operator")
	}
	f = s.told("after the wait it is an incident too", wait+patience, func(f found) bool { return of("alone")(f) && f.Incident != 0 })
	if took := s.held(f); f.Verification != "waited" || took < wait-time.Second {
		t.Errorf("after %s: %+v", took, f)
	}
	f = s.told("and that of the two names, which nobody confirmed", wait+patience, func(f found) bool { return both(f) && f.Incident != 0 })
	if took := s.held(f); f.Verification != "waited" || !strings.Contains(f.Reason, "no second operator has confirmed it") || took < wait-time.Second {
		t.Errorf("after %s: %+v", took, f)
	}
}

// liar stands in front of a node: every second time that it is asked for the newest block while it lies, it gives an old one.
type liar struct {
	*httptest.Server
	lies  atomic.Bool
	asked atomic.Int64
}

func lie(t testing.TB, node string, behind int64) *liar {
	l := &liar{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if newest := []byte(`"eth_getBlockByNumber","params":["latest"`); l.lies.Load() && bytes.Contains(body, newest) && l.asked.Add(1)%2 == 0 {
			var h evmHead
			if (rpc{url: node}).try("eth_getBlockByNumber", []any{"latest", false}, &h) == nil {
				body = bytes.Replace(body, []byte(`["latest"`), fmt.Appendf(nil, `["0x%x"`, max(h.height()-behind, 0)), 1)
			}
		}
		a, err := http.Post(node, "application/json", bytes.NewReader(body))
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer a.Body.Close()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.Copy(w, a.Body)
	}))
	t.Cleanup(l.Close)
	return l
}

// TestALyingNodeBesideAGoodOne: a node that gives old answers in between is not trusted, the wall and the page of chains say so and why, and the heads
// of the other go on.
func TestALyingNodeBesideAGoodOne(t *testing.T) {
	a := startAnvil(t, "--block-time", "1")
	a.do("anvil_mine", nil, "0x64")
	l := lie(t, "http://127.0.0.1:"+a.port, 40)
	s := start(t, "chains:\n"+watched("devnet", "evm", "http://127.0.0.1:"+a.port, l.URL))
	v := s.enter("ana", "Ana")
	wall := desk(t, "wall", v.base, 1920, 1080)
	wall.open(v.wallLink("Test wall"))
	wall.live()
	until(t, "both nodes are followed", patience, func() (bool, string) {
		_, page := v.get("/chains")
		return strings.Count(page, "anvil/") >= 2, ""
	})
	l.lies.Store(true)
	f := s.told("the liar is named", 2*patience, func(f found) bool { return f.Kind == "distrusted" && f.State == "open" })
	if f.Subject != "beta" || !strings.Contains(f.Reason, "went back by") {
		t.Errorf("%+v", f)
	}
	wall.sees("says who is not trusted, and why", `(() => { const c = document.querySelector("#chain-devnet")?.innerText ?? ""; return /not trusted/i.test(c) && c.includes("beta") && c.includes("went back by"); })()`, patience)
	if _, page := v.get("/chains"); !strings.Contains(page, "went back by") || !strings.Contains(strings.ToLower(page), "not trusted") {
		t.Error("the page of chains does not say who is not trusted and why")
	}
	const shown = `Number(document.querySelector("#chain-devnet .chain-head-no").textContent.replace(/\D/g, ""))`
	before := js[int64](wall, shown)
	lowest := before
	until(t, "the heads of the other go on", patience, func() (bool, string) {
		is := js[int64](wall, shown)
		lowest = min(lowest, is)
		return is >= before+8, fmt.Sprint(before, " to ", is)
	})
	if lowest < before {
		t.Errorf("the wall went back from %d to %d", before, lowest)
	}
	for _, f := range s.findings() {
		if f.Kind == "reorg" || f.Kind == "divergence" { // a stall would be true of a machine that stood still
			t.Errorf("the liar is taken for %s: %s", f.Kind, f.Reason)
		}
	}
}
