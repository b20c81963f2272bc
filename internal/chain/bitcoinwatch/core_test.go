package bitcoinwatch

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestCoreScan: Bitcoin Core's scantxoutset, in the form of its RPC manual (27.0; no Core runs in the tests), gives whole balances, and a node
// that lacks gettxspendingprevout (before 24) is watched without it.
func TestCoreScan(t *testing.T) {
	var mu sync.Mutex
	calls := map[string]int{}
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Method string
			Params []json.RawMessage
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		mu.Lock()
		calls[q.Method]++
		mu.Unlock()
		result := ""
		switch q.Method {
		case "getblockchaininfo":
			result = `{"chain":"regtest","blocks":3}`
		case "getbestblockhash":
			result = `"` + simHash + `"`
		case "getblockheader":
			result = `{"hash":"` + simHash + `","height":3,"previousblockhash":"3da40767246aa2c4a9b14706b438108c60e6496a3b3c083708413b644ee269da"}`
		case "getblock":
			result = `"` + simBlock + `"`
		case "getrawmempool":
			result = `[]`
		case "scantxoutset":
			if !strings.Contains(string(q.Params[1]), "raw(76a914ba9c736f19e7f60b7f6764adb0b7908c0a2b394e88ac)") {
				t.Errorf("asked for %s", q.Params[1])
			}
			const one = `{"txid":"%s","vout":%d,"scriptPubKey":"76a914ba9c736f19e7f60b7f6764adb0b7908c0a2b394e88ac","desc":"addr(x)#y","amount":%s,"coinbase":true,"height":3}`
			result = `{"success":true,"txouts":2,"height":3,"bestblock":"` + simHash + `","unspents":[` + fmt.Sprintf(one, simTx, 0, "50.00000000") + "," + fmt.Sprintf(one, simHash, 1, "0.10000001") + `],"total_amount":50.1}`
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"result":null,"error":{"code":-32601,"message":"Method not found"},"id":1}`)
			return
		}
		fmt.Fprint(w, `{"result":`+result+`,"error":null,"id":1}`)
	}))
	defer node.Close()
	r := watch(t, Config{URL: node.URL, ChainID: "regtest", Spec: Spec{Addresses: []Address{{"miner", "script:76a914ba9c736f19e7f60b7f6764adb0b7908c0a2b394e88ac"}}, Scan: true}})
	r.sampled("tocsin_watch_balance", 50.10000001, "miner")
	r.sampled("tocsin_watch_pool_transactions", 0, "")
	r.sampled("tocsin_watch_pool_transactions", 0, "")
	r.stop()
	mu.Lock()
	defer mu.Unlock()
	if calls["scantxoutset"] != 1 || calls["gettxspendingprevout"] != 1 {
		t.Errorf("asked %v", calls)
	}
}
