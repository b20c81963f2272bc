package bitcoinwatch

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// TestLimitedNode: a node that limits us is left alone for as long as it asks, and is not taken for one without an index, or without a pool, or
// without a block.
func TestLimitedNode(t *testing.T) {
	n := startFake(t)
	before := spending([]outpoint{{hash{1}, 0}}, output{2e8, somebody(1)}, output{2e8, somebody(1)}, output{2e8, somebody(1)})
	pay := func(i int) []byte {
		return spending([]outpoint{{idOf(t, before), uint32(i)}}, output{1e8, somebody(0)})
	}
	limit := map[string]bool{"getrawtransaction": true}
	waits := pay(2)
	var listed []string
	n.says = func(method string, params []json.RawMessage) (int, string) {
		text, _ := json.Marshal(params)
		switch {
		case limit[method]:
			return http.StatusTooManyRequests, rpcError(-32005)
		case method == "getrawmempool":
			list, _ := json.Marshal(listed)
			return http.StatusOK, fmt.Sprintf(`{"result":%s,"error":null,"id":1}`, list)
		case method == "getrawtransaction":
			for _, tx := range [][]byte{before, waits} {
				if want, _ := json.Marshal([]any{idOf(t, tx).String(), 0}); string(want) == string(text) {
					return http.StatusOK, fmt.Sprintf(`{"result":"%s","error":null,"id":1}`, hex.EncodeToString(tx))
				}
			}
		}
		return 0, ""
	}
	set := func(f func()) {
		n.mu.Lock()
		defer n.mu.Unlock()
		f()
	}
	p := n.part(Spec{Addresses: []Address{{"ours", person(0)}}})
	n.read(p)
	from := func(why, want string) {
		t.Helper()
		if len(p.events) == 0 || p.events[len(p.events)-1].From != want {
			t.Errorf("%s: %+v, want one from %q", why, p.events, want)
		}
		p.events = nil
	}

	// Who paid is asked once, and the payment is told all the same.
	for i := range refusedMost + 2 {
		n.mine(1, spending([]outpoint{{hash{2, byte(i)}, 0}}, output{1e8, somebody(0)}))
		n.read(p)
		from("while it limits us", "")
	}
	if asked := n.count("getrawtransaction"); asked != 1 || p.parents.refused != 0 || !p.parents.without.IsZero() || len(p.absent) != 0 {
		t.Errorf("asked %d times, %d taken for refusals, without index until %v, without %v", asked, p.parents.refused, p.parents.without, p.absent)
	}
	if rest := time.Until(p.spare); rest <= 0 || rest > 5*time.Minute {
		t.Errorf("it is left alone for %v", rest)
	}
	if err := p.waiting(t.Context()); err != nil || n.count("getrawmempool") != 0 {
		t.Errorf("the pool was looked at: %v", err)
	}
	for range refusedMost + 2 { // each time it is asked again
		p.spare = time.Time{}
		n.mine(1, pay(0))
		n.read(p)
		from("while it still limits us", "")
	}
	p.spare = time.Time{}
	set(func() { limit = nil })
	n.mine(1, pay(1))
	n.read(p)
	from("when it does not any more", person(1))

	// What waits is looked at later.
	look := func() error {
		p.spare, p.pooled = time.Time{}, time.Time{}
		return p.waiting(t.Context())
	}
	set(func() { limit = map[string]bool{"getrawmempool": true} })
	if err := look(); dial.Limited(err) == 0 || len(p.absent) != 0 {
		t.Errorf("%v; without %v", err, p.absent)
	}
	set(func() { limit = nil })
	if err := look(); err != nil {
		t.Fatal(err)
	}
	set(func() {
		limit, listed = map[string]bool{"getrawtransaction": true}, []string{idOf(t, waits).String()}
	})
	if err := look(); dial.Limited(err) == 0 {
		t.Error(err)
	}
	set(func() { limit = nil })
	if err := look(); err != nil {
		t.Fatal(err)
	}
	from("what waits", person(1))

	// A block is not passed over, and the session rests.
	set(func() { limit = map[string]bool{"getblock": true} })
	n.mine(1)
	for range triesMost + 2 {
		if err := p.blocks(t.Context()); dial.Limited(err) == 0 {
			t.Fatal(err)
		}
	}
	if p.lost != 0 || p.tip().height != int64(len(n.list)-2) {
		t.Errorf("%v blocks are lost", p.lost)
	}
	set(func() { limit["getbestblockhash"] = true })
	p.cfg.ChainID = ""
	set(func() {
		says := n.says
		n.says = func(method string, params []json.RawMessage) (int, string) {
			if method == "getblockchaininfo" {
				return http.StatusOK, `{"result":{"chain":"simnet"},"error":null,"id":1}`
			}
			return says(method, params)
		}
	})
	p.cfg.Poll = time.Millisecond
	if err := p.session(t.Context()); dial.Limited(err) != 5*time.Minute {
		t.Errorf("the session rests for %v: %v", dial.Limited(err), err)
	}
}

// TestLimitedResume: where an earlier run stopped is not forgotten because the node limits us just then.
func TestLimitedResume(t *testing.T) {
	n := startFake(t)
	stopped := Mark{0, n.list[0].String()}
	paid := spending([]outpoint{{hash{1}, 0}}, output{1e8, somebody(0)})
	n.mine(1, paid)
	n.mine(2)
	limit := true
	n.says = func(method string, params []json.RawMessage) (int, string) {
		var of string
		if method == "getblockheader" && json.Unmarshal(params[0], &of) == nil && of == stopped.Hash && limit {
			return http.StatusTooManyRequests, rpcError(-32005)
		}
		if method == "getblockhash" {
			return http.StatusOK, fmt.Sprintf(`{"result":"%s","error":null,"id":1}`, stopped.Hash)
		}
		return 0, ""
	}
	p := n.part(Spec{Addresses: []Address{{"ours", person(0)}}})
	p.cfg.Resume = stopped
	if err := p.blocks(t.Context()); dial.Limited(err) == 0 {
		t.Fatal(err)
	}
	n.mu.Lock()
	limit = false
	n.mu.Unlock()
	n.read(p)
	if len(p.events) != 1 || p.events[0].Tx != idOf(t, paid).String() {
		t.Errorf("what came meanwhile: %+v", p.events)
	}
}

// TestLimitedScan: what addresses hold is asked later, and that is no try.
func TestLimitedScan(t *testing.T) {
	n := startFake(t)
	limit := true
	n.says = func(method string, _ []json.RawMessage) (int, string) {
		switch {
		case method == "scantxoutset" && limit:
			return http.StatusTooManyRequests, rpcError(-32005)
		case method == "scantxoutset":
			return n.scanResult(hash{7}.String() + ":0 2.5 " + hex.EncodeToString(somebody(0)))
		}
		return 0, ""
	}
	p := n.part(Spec{Scan: true, Addresses: []Address{{"ours", person(0)}}})
	n.read(p)
	for i := range scanTries + 2 {
		for range 2 {
			if err := p.start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if asked := n.count("scantxoutset"); asked != i+1 || p.scanFails != 0 || n.count("searchrawtransactions") != 0 {
			t.Fatalf("asked %d times in %d pauses, %d tries counted", asked, i+1, p.scanFails)
		}
		p.scanNext, p.spare = time.Time{}, time.Time{}
	}
	n.mu.Lock()
	limit = false
	n.mu.Unlock()
	if err := p.start(t.Context()); err != nil || p.samples["tocsin_watch_balanceours"] != 2.5 {
		t.Errorf("the scan later: %v, %v", err, p.samples)
	}
}
