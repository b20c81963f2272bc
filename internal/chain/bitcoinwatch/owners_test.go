package bitcoinwatch

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
	"github.com/tocsin-ops/tocsin/internal/wallet"
)

// hashes are of the scripts that push one byte, from 0x21 on: whoever knows the script may spend, so each is an owner without a key.
var hashes = []string{
	"a7ad1a077ca7c5236cdc1d3e61a5ab0ea7f368db", "30c7f143360c9528ea0d76d5e3452da718cf5ee5", "2811ba143dc41f0f395ce9fe8234022760137b19", "7c0bc1998fac834d9d348935bb557252bc13bf5c",
	"9103640dae97e42e4b7ba6d38493414791076d7a", "6aefaae4ec63a304d7d21d48eb367b5abc11b0bc", "d57cf5b76c283800bac48e81e338a8e8196e757d", "abc714c5bbb29be4c2e98fa1578932de4f5ef1de",
	"7035ca9da3f422c12a77ece00e78347533dc2802", "618b3c5431b23ff9286509c6c93357172c86d0ca", "a05e530d47496affcff55022e747b653cc833690", "beef0126097eda41ddc55ccc52f6b4f3ea4b9e3f",
	"026b85475470844e8584b9fea9950ee18709fcca", "ba7f1f168a798c5e56d8f3c8093a570063ebdae1", "71be2037232e9a252dc708a7fb3e81f8dfa8c317", "5529853772f73b71e6a13a8298caed80fc2ddea1",
	"8f655f3810f1ff5228621a07fb7ac339455f1cac", "a35357e1bc27249b3dc395b0f192cbaa0cace4bd", "f092ff5aeb253306a9ae838d9fab0047b0e904b2", "6cae9de0fcf78a80ab4399cfa1982a8cc9c1ccce",
	"d1b214526419d5a80df96641f9d346bedefa62d9", "dd39055a065496b1679685c864eba06bfdf170b7", "9f9aae81fa468023323a47cbab1db0ac62c10f90", "fb8bd89f581bef9f843b77b20420bfe28de5fcb0",
	"355c385815ab597f3ee2cf7bfa5ca782e713b8e8", "26cb3299b3d0d98c1ed569df27af0c7b3357efe8", "e927f17729e05607deb73fe419cce5247fa33808", "7fbd3d28e2d9ea9a0dd593a564d1b466c6cf061d",
}

// somebody is the script of an owner, and person their address.
func somebody(n int) []byte { return append(append([]byte{0xa9, 20}, mustHex(hashes[n])...), 0x87) }

func person(n int) string { return networks["simnet"].address(somebody(n)) }

// own is an output that an owner may spend; -1 = anybody.
type own struct {
	outpoint
	who int
}

// send spends what several own, and gives the transaction's id.
func (b *btcd) send(from []own, outs ...output) hash {
	b.t.Helper()
	raw := []byte{2, 0, 0, 0, byte(len(from))}
	for _, f := range from {
		raw = append(raw, f.tx[:]...)
		raw = binary.LittleEndian.AppendUint32(raw, f.n)
		if f.who < 0 {
			raw = append(raw, 2, 1, 0x51)
		} else {
			raw = append(raw, 3, 2, 1, byte(0x21+f.who))
		}
		raw = binary.LittleEndian.AppendUint32(raw, 0xffffffff)
	}
	raw = append(raw, byte(len(outs)))
	for _, o := range outs {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(o.value))
		raw = append(append(raw, byte(len(o.script))), o.script...)
	}
	raw = append(raw, 0, 0, 0, 0)
	var id string
	b.do(&id, "sendrawtransaction", hex.EncodeToString(raw), true)
	h, err := parseHash(id)
	if err != nil {
		b.t.Fatal(err)
	}
	return h
}

// endow mines enough that the first block's coin may be spent, and gives a coin of 1 to each owner.
func (b *btcd) endow(owners int) []own {
	b.t.Helper()
	var blocks []string
	b.do(&blocks, "generate", 101)
	var raw string
	b.do(&raw, "getblock", blocks[0], 0)
	at, _ := parseHash(blocks[0])
	_, list, err := parseBlock(raw, at)
	if err != nil {
		b.t.Fatal(err)
	}
	var outs []output
	for i := range owners {
		outs = append(outs, output{1e8, somebody(i)})
	}
	id := b.send([]own{{outpoint{list[0].id, 0}, -1}}, outs...)
	b.do(nil, "generate", 2) // a watch reads the newest block, in which none of it shall be
	var have []own
	for i := range owners {
		have = append(have, own{outpoint{id, uint32(i)}, i})
	}
	return have
}

// drawn mines what waits, and gives a graph all that was told until then.
func (r *running) drawn(b *btcd, g *wallet.Graph) {
	r.t.Helper()
	b.do(nil, "generate", 1)
	var height float64
	b.do(&height, "getblockcount")
	r.sampled("tocsin_watch_height", height, "")
	for _, v := range r.seen {
		if o, ok := v.(observation.Observation); ok {
			g.Observe(o)
		}
	}
}

func ids(list ...int) (out []string) {
	for _, n := range list {
		out = append(out, wallet.ID("btc", person(n)))
	}
	slices.Sort(out)
	return out
}

// TestOwners: whose the inputs were is known by the transactions before, strangers too: what one hand spends together is one cluster, what
// strangers join is none, and fan-in and peel chains show who paid.
func TestOwners(t *testing.T) {
	b := startBtcd(t)
	if b == nil {
		return
	}
	const w, hub = 0, 1 // 0, 1, 3 and 21 to 25 are watched
	have := b.endow(26)
	spec := Spec{Scan: true}
	for _, n := range []int{w, hub, 3, 21, 22, 23, 24, 25} {
		spec.Addresses = append(spec.Addresses, Address{fmt.Sprint("a", n), person(n)})
	}
	r := watch(t, Config{URL: b.url, ChainID: "simnet", Spec: spec})
	r.sampled("tocsin_watch_balance", 1, "a25")
	g := wallet.New(wallet.Limits{})

	// Two that are watched and a stranger spend in one transaction.
	b.send([]own{have[0], have[3], have[2]}, output{2.9e8, somebody(27)})
	// A watched one and two strangers join their payments.
	join := b.send([]own{have[25], have[4], have[5]}, output{0.9e8, somebody(26)}, output{0.9e8, somebody(27)}, output{0.9e8, somebody(2)}, output{0.2e8, somebody(5)})
	r.drawn(b, g)
	c := g.Clusters(1 << 60)
	if m := c.Members(ids(w)[0]); !slices.Equal(m, ids(0, 2, 3)) {
		t.Errorf("one hand: %v, want %v", m, ids(0, 2, 3))
	}
	for _, n := range []int{25, 4, 5} {
		if m := c.Members(ids(n)[0]); len(m) > 0 {
			t.Errorf("those who joined their payments are one hand: %v", m)
		}
	}

	// Twelve strangers pay one that is watched; two of them in one transaction.
	for n := 6; n < 17; n++ {
		b.send([]own{have[n]}, output{0.99e8, somebody(hub)})
	}
	b.send([]own{have[17], have[18]}, output{1.99e8, somebody(hub)})
	r.drawn(b, g)
	if f := g.FanIn(ids(hub)[0], 3_600_000); len(f.Others) != 12 {
		t.Errorf("fan-in of %d: %v", len(f.Others), f.Others)
	}
	if m := g.Clusters(1 << 60).Members(ids(17)[0]); !slices.Equal(m, ids(17, 18)) {
		t.Errorf("who paid together: %v", m)
	}

	// A stranger's coin is peeled through five that are watched.
	coin, value := have[20], int64(1e8)
	for n := 21; n < 27; n++ {
		if n == 26 {
			n = 27
		}
		value = value / 100 * 95
		id := b.send([]own{coin}, output{value, somebody(n)}, output{value / 25, somebody(19)})
		coin = own{outpoint{id, 0}, n}
		r.drawn(b, g)
	}
	if chain := g.Peel(ids(20)[0]); len(chain) != 6 || chain[0].To != ids(21)[0] || chain[5].To != ids(27)[0] {
		t.Errorf("peel chain of %d: %+v", len(chain), chain)
	}
	if p, ok := g.Shortest(ids(24)[0], wallet.Search{Backward: true, At: 1 << 60, Ends: func(id string, _ []wallet.Label, _ wallet.Type) bool { return id == ids(20)[0] }}); !ok || len(p.Hops) != 4 {
		t.Errorf("the way back to the stranger: %+v", p)
	}
	for _, v := range r.seen {
		if o, ok := v.(observation.Observation); ok && o.Kind == observation.Transfer && o.Tx == join.String() && o.From != person(25) {
			t.Errorf("%+v", o)
		}
	}
}

// bare answers like Bitcoin Core 27 without txindex: transactions by id only while they wait, else by the hash of their block; heights of what
// a transaction of a block spends. In front of a real node.
type bare struct {
	b        *btcd
	lies     atomic.Bool // other bytes for what came before
	old      bool        // no heights either (before version 25)
	answered atomic.Int64
}

func (n *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var q struct {
		ID     json.RawMessage
		Method string
		Params []any
	}
	w.Header().Set("Content-Type", "application/json")
	if json.Unmarshal(raw, &q) != nil || q.Method != "getrawtransaction" {
		resp, err := n.b.http.Post(n.b.url, "application/json", bytes.NewReader(raw))
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
		return
	}
	say := func(v any) { _ = json.NewEncoder(w).Encode(map[string]any{"result": v, "error": nil, "id": q.ID}) }
	var waiting []string
	n.b.do(&waiting, "getrawmempool")
	id := q.Params[0].(string)
	if len(q.Params) < 3 && !slices.Contains(waiting, id) {
		w.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(w).Encode(map[string]any{"result": nil, "id": q.ID, "error": map[string]any{"code": -5,
			"message": "No such mempool transaction. Use -txindex or provide a block hash to enable blockchain transaction queries. Use gettransaction for wallet transactions."}})
		return
	}
	var of struct {
		Hex   string
		Block string `json:"blockhash"`
		Vin   []struct {
			Tx string `json:"txid"`
		}
	}
	n.b.do(&of, "getrawtransaction", id, 1)
	if len(q.Params) == 3 && of.Block != q.Params[2] {
		n.b.t.Errorf("%s is not in %v", id, q.Params[2])
	}
	if q.Params[1].(float64) < 2 {
		if n.lies.Load() && len(q.Params) == 3 {
			of.Hex = strings.Replace(of.Hex, hashes[2], hashes[3], 1)
		}
		say(of.Hex)
		return
	}
	n.answered.Add(1)
	var ins []map[string]any
	for _, in := range of.Vin {
		one := map[string]any{"txid": in.Tx, "vout": 0}
		if !n.old && in.Tx != "" {
			var before struct {
				Block string `json:"blockhash"`
			}
			n.b.do(&before, "getrawtransaction", in.Tx, 1)
			var h header
			n.b.do(&h, "getblockheader", before.Block, true)
			one["prevout"] = map[string]any{"generated": false, "height": h.Height, "value": 1}
		}
		ins = append(ins, one)
	}
	say(map[string]any{"txid": id, "vin": ins})
}

// TestOwnersWithoutIndex: a node without an index of transactions tells the owners of what is in a block; one that cannot, or that lies, leaves
// them unknown, and that is counted. What was confirmed before is not asked for twice.
func TestOwnersWithoutIndex(t *testing.T) {
	b := startBtcd(t)
	if b == nil {
		return
	}
	have := b.endow(8)
	node := &bare{b: b}
	front := httptest.NewServer(node)
	t.Cleanup(front.Close)
	spec := Spec{Addresses: []Address{{"ours", person(0)}}}
	r := watch(t, Config{URL: front.URL, Spec: spec})
	r.sampled("tocsin_watch_balance_since_start", 0, "ours")
	r.sampled("tocsin_watch_pool_transactions", 0, "")
	paid := func(who int) observation.Observation {
		t.Helper()
		id := b.send([]own{have[who]}, output{0.99e8, somebody(0)}).String()
		r.observed("the payment in the pool", of(id, "pool", observation.Transfer, false))
		b.do(nil, "generate", 1)
		return r.observed("the payment in its block", of(id, "chain", observation.Transfer, false))
	}
	if o := paid(1); o.From != person(1) || !o.Traced {
		t.Errorf("%+v", o)
	}
	node.lies.Store(true)
	if o := paid(2); o.From != "" || !o.Traced {
		t.Errorf("a lie was believed: %+v", o)
	}
	r.sampled("tocsin_watch_owners_unknown", 1, "")
	counted := slices.ContainsFunc(r.seen, func(v any) bool {
		s, ok := v.(chain.Sample)
		return ok && s.Name == "tocsin_watch_answers_untrusted"
	})
	if !counted {
		t.Error("the lie was not counted")
	}
	r.stop()

	poor := &bare{b: b, old: true}
	behind := httptest.NewServer(poor)
	t.Cleanup(behind.Close)
	r = watch(t, Config{URL: behind.URL, Spec: spec})
	r.sampled("tocsin_watch_balance_since_start", 0.99, "ours")
	r.sampled("tocsin_watch_pool_transactions", 0, "")
	for _, who := range []int{3, 4} {
		if o := paid(who); o.From != "" {
			t.Errorf("%+v", o)
		}
	}
	r.sampled("tocsin_watch_owners_unknown", 3, "")
	if n := poor.answered.Load(); n != 1 {
		t.Errorf("a node that does not tell was asked %d times", n)
	}
}
