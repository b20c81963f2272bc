package bitcoinwatch

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// moved is a payment as it was told.
func moved(tx hash, n int, where string) func(observation.Observation) bool {
	return func(o observation.Observation) bool {
		return o.Tx == tx.String() && o.Where == where && o.Kind == observation.Transfer && o.ID == fmt.Sprintf("output %d", n)
	}
}

// TestFollowed: what a thief does with what they have, and with what they get, is told as long as they are followed, and marked; what touches
// a watched address is told as ever. No balance of theirs is told.
func TestFollowed(t *testing.T) {
	b := startBtcd(t)
	if b == nil {
		return
	}
	have := b.endow(5)
	const ours, thief, stranger = 0, 1, 2
	r := watch(t, Config{URL: b.url, ChainID: "simnet", Spec: Spec{Scan: true, Addresses: []Address{{"ours", person(ours)}}}})
	r.sampled("tocsin_watch_balance", 1, "ours")
	r.sampled("tocsin_watch_pool_transactions", 0, "")
	r.w.Follow([]string{person(thief), person(ours), "0x5FbDB2315678afecb367f032d93F642f64180aa3"})
	r.sampled("tocsin_watch_followed", 1, "")

	first := b.send([]own{have[thief]}, output{0.9e8, somebody(stranger)}, output{0.09e8, somebody(thief)})
	if o := r.observed("the thief spends what they had", of(first.String(), "pool", observation.Spend, false)); !o.Followed || o.From != person(thief) {
		t.Errorf("%+v", o)
	}
	o := r.observed("the second hop", moved(first, 0, "pool"))
	if !o.Followed || o.From != person(thief) || o.To != person(stranger) || o.Amount != "0.9" {
		t.Errorf("%+v", o)
	}
	b.do(nil, "generate", 1)
	if o := r.observed("it in its block", moved(first, 0, "chain")); !o.Followed {
		t.Errorf("%+v", o)
	}

	stolen := b.send([]own{have[ours]}, output{0.99e8, somebody(thief)})
	if o := r.observed("what is stolen, spent", of(stolen.String(), "pool", observation.Spend, false)); o.Followed || o.From != person(ours) {
		t.Errorf("%+v", o)
	}
	if o := r.observed("what is stolen", moved(stolen, 0, "pool")); o.Followed || o.To != person(thief) {
		t.Errorf("%+v", o)
	}
	b.do(nil, "generate", 1)
	r.sampled("tocsin_watch_balance", 0, "ours")

	back := b.send([]own{{outpoint{stolen, 0}, thief}}, output{0.1e8, somebody(ours)}, output{0.88e8, somebody(stranger)})
	b.do(nil, "generate", 1)
	if o := r.observed("what comes back", moved(back, 0, "chain")); o.Followed || o.From != person(thief) {
		t.Errorf("%+v", o)
	}
	if o := r.observed("what goes on", moved(back, 1, "chain")); !o.Followed || o.From != person(thief) {
		t.Errorf("%+v", o)
	}

	r.w.Follow(nil)
	r.sampled("tocsin_watch_followed", 0, "")
	late := b.send([]own{{outpoint{first, 1}, thief}}, output{0.08e8, somebody(stranger)})
	b.do(nil, "generate", 1)
	var height float64
	b.do(&height, "getblockcount")
	r.sampled("tocsin_watch_height", height, "")
	for _, v := range r.seen {
		switch v := v.(type) {
		case observation.Observation:
			if v.Tx == late.String() {
				t.Errorf("nobody follows any more: %+v", v)
			}
		case chain.Sample:
			if a := v.Labels["address"]; a != "" && a != "ours" {
				t.Errorf("a balance of one who is followed: %+v", v)
			}
		}
	}
}

// TestFollowedWhileScanned: Bitcoin Core takes its time to find what a followed address holds; what was spent of it meanwhile is told then, in
// the block that it is in, and taken back with that.
func TestFollowedWhileScanned(t *testing.T) {
	b := startBtcd(t)
	if b == nil {
		return
	}
	have := b.endow(2)
	asked, answer := make(chan string, 8), make(chan string)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var q struct {
			ID     json.RawMessage
			Method string
			Params []json.RawMessage
		}
		w.Header().Set("Content-Type", "application/json")
		if json.Unmarshal(raw, &q) == nil && q.Method == "scantxoutset" {
			asked <- string(q.Params[1])
			select {
			case text := <-answer:
				fmt.Fprintf(w, `{"result":%s,"error":null,"id":%s}`, text, q.ID)
			case <-r.Context().Done():
			}
			return
		}
		resp, err := b.http.Post(b.url, "application/json", bytes.NewReader(raw))
		if err != nil {
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(front.Close)
	r := watch(t, Config{URL: front.URL, Spec: Spec{Addresses: []Address{{"ours", person(0)}}}})
	r.w.Follow([]string{person(1)})
	if want := `["raw(` + hex.EncodeToString(somebody(1)) + `)"]`; <-asked != want {
		t.Errorf("something else than %s was asked for", want)
	}
	var height int64
	var best string
	b.do(&height, "getblockcount")
	b.do(&best, "getbestblockhash")
	tx := b.send([]own{have[1]}, output{0.99e8, somebody(2)})
	var mined []string
	b.do(&mined, "generate", 1)
	r.sampled("tocsin_watch_height", float64(height+1), "")
	answer <- fmt.Sprintf(`{"success":true,"height":%d,"bestblock":"%s","unspents":[{"txid":"%s","vout":1,"scriptPubKey":"%s","amount":1.00000000}]}`, height, best, have[1].tx, hex.EncodeToString(somebody(1)))
	if o := r.observed("what was spent meanwhile", moved(tx, 0, "chain")); !o.Followed || o.From != person(1) || o.Block != mined[0] {
		t.Errorf("%+v", o)
	}
	r.sampled("tocsin_watch_followed", 1, "")
	b.do(nil, "invalidateblock", mined[0])
	r.observed("it, taken back", of(tx.String(), "chain", observation.Transfer, true))
	b.do(nil, "reconsiderblock", mined[0])
	r.observed("it, again", of(tx.String(), "chain", observation.Transfer, false))
	r.w.Follow([]string{person(1), person(2)})
	<-asked // a stop does not wait for the answer
}
