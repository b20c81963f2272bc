package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// TestTypedAddressesAreFollowed: an address that somebody types in a room is told to the watcher of its chain until the incident closes, the page
// says so or why not, and what only concerns it is in the graph and judged by nobody.
func TestTypedAddressesAreFollowed(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // a node that says which chain it is, and no more
		var q struct {
			ID     json.RawMessage
			Method string
		}
		if json.NewDecoder(r.Body).Decode(&q) == nil && q.Method == "eth_chainId" {
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":"0x1"}`, q.ID)
			return
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"not now"}}`, q.ID)
	}))
	t.Cleanup(node.Close)
	dir := t.TempDir()
	known := filepath.Join(dir, "detection.yaml")
	thief, second := "0x4444444444444444444444444444444444444444", "0x5555555555555555555555555555555555555555"
	mixer, contract, theirs := "0x6666666666666666666666666666666666666666", "0x7777777777777777777777777777777777777777", "0x8888888888888888888888888888888888888888"
	if err := os.WriteFile(known, []byte("watched: [{address: \""+mixer+"\", label: Mixer, kind: mixer}, {address: \""+contract+"\", label: Vault, kind: contract}, {address: \""+theirs+"\", label: Other, kind: contract}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := start(t, filepath.Join(dir, "data"), watching("hot-1"), func(c *config.Config) {
		c.Chains[0].Nodes[0].URL = config.NewAddress(node.URL)
		c.Chains = append(c.Chains, config.Chain{Name: "elsewhere", Family: "evm", Nodes: []config.Node{{Name: "a", URL: config.NewAddress("http://127.0.0.1:9")}}})
		c.Detection = known
	})
	followed := func(n int) func() bool {
		return func() bool {
			out := a.must("GET", `/prometheus/api/v1/query?query=tocsin_watch_followed{chain="ethereum"}`, "")
			return strings.Contains(out, fmt.Sprintf(`,"%d"]`, n))
		}
	}
	a.must("POST", "/api/v1/incidents", `{"title":"Hot wallet drained","severity":"SEV1"}`)
	ids := 0
	command := func(name, args string) {
		t.Helper()
		ids++
		a.must("POST", "/api/v1/incidents/1/commands", fmt.Sprintf(`{"id":"5d6c2d0e-0000-4000-8000-%012d","command":%q,"args":%s}`, ids, name, args))
	}
	says := func(address, want string) {
		t.Helper()
		until(t, address+": "+want, func() bool { return strings.Contains(a.must("GET", "/wallets?around="+address, ""), want) })
	}
	command("add_address", `{"chain":"Ethereum","address":"`+thief+`","kind":"attacker"}`)
	until(t, "the watcher follows", followed(1))
	says("ethereum/"+thief, "Its transfers are followed since incident #1 lists it")
	command("add_address", `{"chain":"elsewhere","address":"`+thief+`","kind":"attacker"}`)
	says("elsewhere/"+thief, "not followed: nothing is watched on this chain")
	command("add_address", `{"chain":"ethereum","address":"`+mixer+`","kind":"mixer"}`)
	says("ethereum/"+mixer, "not followed: an exchange, a mixer, a bridge or a contract deals with everybody")
	command("add_address", `{"chain":"bitcoin","address":"`+thief+`","kind":"attacker"}`)
	says("bitcoin/"+thief, "not followed: it is not written as an address of this chain")

	seen := func(o observation.Observation, only bool) {
		o.At, o.Chain, o.Followed = time.Now().UnixMilli(), "ethereum", only
		a.Observe(o)
	}
	for i, to := range []string{second, mixer} {
		seen(observation.Observation{Kind: observation.Transfer, Tx: fmt.Sprint("0x0", i), From: thief, To: to, Symbol: "ETH", Amount: "500", ID: "value"}, true)
	}
	a.page("/wallets?around=ethereum/"+thief, "2 transfers to 2 addresses", "Money went to Mixer (mixer) in 1 step")
	change := observation.Observation{Kind: observation.Admin, Tx: "0xa", Contract: theirs, Change: "owner", Before: thief, After: mixer}
	seen(change, true)
	change.Contract = contract
	seen(change, false)
	until(t, "what is watched is judged", func() bool { return strings.Contains(a.must("GET", "/api/v1/signals", ""), contract) })
	if out := a.must("GET", "/api/v1/signals", ""); strings.Contains(out, theirs) {
		t.Errorf("what is only followed was judged: %s", out)
	}

	command("set_status", `{"status":"monitoring"}`)
	command("resolve", `{"validation":"the thief is known"}`)
	until(t, "nobody is followed any more", followed(0))
	until(t, "the page says that it is over", func() bool {
		body := a.must("GET", "/wallets?around=ethereum/"+thief, "")
		return !strings.Contains(body, "are followed") && strings.Contains(body, "(closed)")
	})
}
