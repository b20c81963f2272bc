package evmwatch

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// scene is a real node with one of everything.
func scene(t *testing.T, multicall bool) (*anvil, Config, map[string]string) {
	a := startAnvil(t)
	if a == nil {
		return nil, Config{}, nil
	}
	if multicall {
		a.multicall()
	}
	at := map[string]string{"token": a.deploy("Token"), "feed": a.deploy("Feed"), "bridge": a.deploy("Bridge"), "fake": a.deploy("Token")}
	a.send(at["feed"], "set(int256)", "250000000000")
	spec := Spec{
		Coin:      Asset{Name: "ETH", Feed: "eth-usd"},
		Addresses: []Address{{Name: "hot", Address: a.you, Transfers: true, Pool: true}, {Name: "treasury", Address: a.me}},
		Tokens:    []Token{{Asset: Asset{Name: "TUSD", Peg: 1}, Address: at["token"]}},
		Views: []View{
			{Name: "reserve", Contract: at["token"], Call: "getReserves() returns (uint112 a, uint112 b, uint32 t)", Output: 1, Decimals: 18},
			{Name: "share", Contract: at["token"], Call: "function share(address,uint256) external view returns (int256)", Arguments: []string{a.me, "1000"}, Decimals: 6},
			{Name: "nothing", Contract: a.me, Call: "totalAssets()(uint256)"},
		},
		Feeds: []Feed{{Name: "eth-usd", Proxy: at["feed"], Heartbeat: 3_600_000, Deviation: 0.005}},
		Bridges: []Bridge{{Name: "nomad", Events: []Event{
			{Contract: at["bridge"], Event: "Deposited(address indexed token, address indexed sender, uint256 amount, bytes32 message)", Amount: "amount", Token: "token", Sender: "sender", Message: "message"},
			{Contract: at["bridge"], Event: "event Released(uint256 indexed id, address token, address beneficiary, uint256 amount, bytes32 message)", Withdrawal: true, Amount: "#3", Token: "token", ID: "id", Beneficiary: "beneficiary", Message: "message"},
		}}},
		Contracts: []Contract{{Name: "token", Address: at["token"]}},
	}
	price := map[string]float64{}
	return a, Config{URL: a.front, ChainID: "31337", Spec: spec, Answer: func(f string, v float64, _ int64) { price[f] = v },
		Price: func(f string) (float64, bool) { v, ok := price[f]; return v, ok }}, at
}

const message = "0x1111111111111111111111111111111111111111111111111111111111111111"

func admin(change, after string) func(observation.Observation) bool {
	return func(o observation.Observation) bool {
		return o.Kind == observation.Admin && o.Change == change && o.After == low(after) && !o.Removed
	}
}

// TestRealNode: everything that is watched, on a real chain, with Multicall3 and without.
func TestRealNode(t *testing.T) {
	for _, multicall := range []bool{true, false} {
		t.Run(fmt.Sprintf("multicall=%t", multicall), func(t *testing.T) {
			a, c, at := scene(t, multicall)
			if a == nil {
				return
			}
			r := watch(t, c)
			r.sampled("tocsin_watch_balance", 10000, "address", "hot", "asset", "ETH")
			r.sampled("tocsin_watch_balance", 1e6, "address", "treasury", "asset", "TUSD")
			r.sampled("tocsin_watch_view", 7, "view", "reserve")
			r.sampled("tocsin_watch_view", -1000, "view", "share")
			f := r.observed("the first round", func(o observation.Observation) bool { return o.Kind == observation.Feed })
			if *f.Answer != 2500 || f.Heartbeat != 3_600_000 || f.Deviation != 0.005 || f.Feed != "eth-usd" || f.Node != "a" || f.UpdatedAt == nil {
				t.Errorf("feed %+v", f)
			}
			r.until("its age", func(v any) bool { return strings.Contains(fmt.Sprint(v), "tocsin_feed_age_seconds") })

			tx := a.send(at["token"], "transfer(address,uint256)", a.you, "1234567")
			o := r.observed("a transfer", func(o observation.Observation) bool { return o.Kind == observation.Transfer && o.Tx == tx })
			if o.From != low(a.me) || o.To != low(a.you) || o.Token != low(at["token"]) || o.Symbol != "TUSD" || o.Amount != "1.234567" || *o.USD != 1.234567 || o.Block == "" || o.Height == 0 {
				t.Errorf("transfer %+v", o)
			}
			r.sampled("tocsin_watch_balance", 1.234567, "address", "hot", "asset", "TUSD")

			// A token that calls itself the same is seen, and not priced.
			tx = a.send(at["fake"], "transfer(address,uint256)", a.you, "5000000")
			o = r.observed("a fake's transfer", func(o observation.Observation) bool { return o.Kind == observation.Transfer && o.Tx == tx })
			if o.Token != low(at["fake"]) || o.Symbol != "TUSD" || o.Amount != "5" || o.USD != nil {
				t.Errorf("fake %+v", o)
			}

			// Coin from a watched account, priced by the feed; the spend of its nonce.
			var sent string
			a.do(&sent, "eth_sendTransaction", map[string]any{"from": a.you, "to": a.me, "value": "0xde0b6b3a7640000"})
			o = r.observed("the spend", func(o observation.Observation) bool { return o.Kind == observation.Spend && o.Where == "chain" })
			if o.Tx != sent || len(o.Inputs) != 1 || o.Inputs[0] != low(a.you)+"#0" {
				t.Errorf("spend %+v", o)
			}
			o = r.observed("the coin", func(o observation.Observation) bool { return o.Kind == observation.Transfer && o.Tx == sent })
			if o.Amount != "1" || o.Symbol != "ETH" || *o.USD != 2500 || o.Token != "" {
				t.Errorf("coin %+v", o)
			}

			a.send(at["bridge"], "deposit(address,uint256,bytes32)", at["token"], "5500000", message)
			o = r.observed("a deposit", func(o observation.Observation) bool { return o.Kind == observation.Deposit })
			if o.Bridge != "nomad" || o.Amount != "5.5" || *o.USD != 5.5 || o.Sender != low(a.me) || o.Message != message || o.Token != low(at["token"]) || o.ID != "" {
				t.Errorf("deposit %+v", o)
			}
			a.send(at["bridge"], "release(uint256,address,address,uint256,bytes32)", "42", at["token"], a.you, "5500000", message)
			o = r.observed("a withdrawal", func(o observation.Observation) bool { return o.Kind == observation.Withdrawal })
			if o.ID != "42" || o.Beneficiary != low(a.you) || o.Message != message || o.Amount != "5.5" {
				t.Errorf("withdrawal %+v", o)
			}

			a.send(at["feed"], "set(int256)", "240000000000")
			r.sampled("tocsin_feed_answer", 2400, "feed", "eth-usd")
			o = r.observed("the next round", func(o observation.Observation) bool { return o.Kind == observation.Feed && *o.Answer == 2400 })
			if o.Tx == "" || o.ID == "" {
				t.Errorf("the round came by the state, not by its event: %+v", o)
			}

			a.send(at["token"], "transferOwnership(address)", a.you)
			o = r.observed("the new owner", admin("owner", a.you))
			if o.Before != low(a.me) || o.Contract != low(at["token"]) || o.Tx == "" {
				t.Errorf("owner %+v", o)
			}
			a.send(at["token"], "pause()")
			r.observed("the pause", admin("paused", a.me))

			// A proxy's slot changes without an event.
			a.do(nil, "anvil_setStorageAt", at["token"], slots[0].at, pad(a.you))
			for range 2 { // one look is not believed
				a.do(nil, "evm_mine")
				var h string
				a.do(&h, "eth_blockNumber")
				n, _ := quantity(h)
				r.sampled("tocsin_watch_state_height", float64(n))
			}
			o = r.ever("the implementation", admin("implementation", a.you))
			if o.ID != "state" || o.Before != "0x"+strings.Repeat("0", 40) || o.Tx != "" {
				t.Errorf("implementation %+v", o)
			}
			if got := r.count(func(o observation.Observation) bool { return o.Kind == observation.Admin }); got != 3 {
				t.Errorf("%d changes were told, not 3: what an event told is not told again by the state", got)
				for _, v := range r.seen {
					if o, ok := v.(observation.Observation); ok && o.Kind == observation.Admin {
						t.Logf("%+v", o)
					}
				}
			}
			if got := a.called("eth_getBalance"); (got == 0) != multicall {
				t.Errorf("%d balances asked one by one", got)
			}
		})
	}
}

// TestReorgTakesBack: what a block told is taken back when it leaves the chain, newest first, and what holds then is told.
func TestReorgTakesBack(t *testing.T) {
	a, c, at := scene(t, true)
	if a == nil {
		return
	}
	r := watch(t, c)
	r.sampled("tocsin_watch_balance", 1e6, "address", "treasury", "asset", "TUSD")
	a.do(nil, "evm_mine")
	tx := a.send(at["token"], "transfer(address,uint256)", a.you, "9000000")
	a.send(at["token"], "transferOwnership(address)", a.you)
	first := r.observed("the transfer", func(o observation.Observation) bool { return o.Tx == tx })
	r.observed("the owner", admin("owner", a.you))
	r.sampled("tocsin_watch_balance", 9, "address", "hot", "asset", "TUSD")
	a.do(nil, "anvil_reorg", 2, []any{}) // both blocks are replaced by empty ones
	gone := r.observed("the owner, taken back", func(o observation.Observation) bool { return o.Kind == observation.Admin && o.Removed })
	if gone.After != low(a.you) || gone.Before != low(a.me) {
		t.Errorf("%+v", gone)
	}
	back := r.observed("the transfer, taken back", func(o observation.Observation) bool { return o.Tx == tx && o.Removed })
	if back.Block != first.Block || back.ID != first.ID || back.Amount != first.Amount || back.At < first.At {
		t.Errorf("taken back %+v, told %+v", back, first)
	}
	r.sampled("tocsin_watch_balance", 0, "address", "hot", "asset", "TUSD")
	a.do(nil, "evm_mine")
	r.sampled("tocsin_watch_balance", 1e6, "address", "treasury", "asset", "TUSD")
	if n := r.count(func(o observation.Observation) bool { return o.Kind == observation.Admin && !o.Removed }); n != 1 {
		t.Errorf("%d changes of administration, not 1: the state after a reorg is no change", n)
	}
}

// TestPool: what a watched sender has waiting is told, also what replaces it.
func TestPool(t *testing.T) {
	a, c, _ := scene(t, true)
	if a == nil {
		return
	}
	if a.try("txpool_contentFrom", nil, []any{a.you}) != nil {
		// this anvil does not serve it: its own txpool_content, in the form of geth's contentFrom
		a.disturb(func(method string, params []json.RawMessage) (any, string, bool) {
			if method != "txpool_contentFrom" {
				return nil, "", false
			}
			var all struct{ Pending, Queued map[string]json.RawMessage }
			a.do(&all, "txpool_content")
			out := map[string]any{}
			for k, v := range map[string]map[string]json.RawMessage{"pending": all.Pending, "queued": all.Queued} {
				for sender, list := range v {
					if strings.EqualFold(`"`+sender+`"`, string(params[0])) {
						out[k] = list
					}
				}
			}
			return out, "", true
		})
	}
	r := watch(t, c)
	r.sampled("tocsin_watch_pool_transactions", 0, "address", "hot")
	a.do(nil, "evm_setAutomine", false)
	var first, second string
	a.do(&first, "eth_sendTransaction", map[string]any{"from": a.you, "to": a.me, "value": "0x1", "nonce": "0x0", "gas": "0x5208", "gasPrice": "0x77359400"})
	pool := func(tx string) func(observation.Observation) bool {
		return func(o observation.Observation) bool {
			return o.Kind == observation.Spend && o.Where == "pool" && o.Tx == tx && o.Inputs[0] == low(a.you)+"#0"
		}
	}
	r.observed("the waiting transaction", pool(first))
	r.sampled("tocsin_watch_pool_transactions", 1, "address", "hot")
	a.do(&second, "eth_sendTransaction", map[string]any{"from": a.you, "to": a.you, "value": "0x1", "nonce": "0x0", "gas": "0x5208", "gasPrice": "0x12a05f200"})
	r.observed("what replaces it", pool(second))
	a.do(nil, "evm_mine")
	r.observed("the one that is in a block", func(o observation.Observation) bool {
		return o.Kind == observation.Spend && o.Where == "chain" && o.Tx == second
	})
}

// TestLaggingServer: a server that gives no logs for a block that has some is not believed; the block waits and is told when the truth comes.
func TestLaggingServer(t *testing.T) {
	a, c, at := scene(t, true)
	if a == nil {
		return
	}
	r := watch(t, c)
	r.sampled("tocsin_watch_balance", 1e6, "address", "treasury", "asset", "TUSD")
	a.disturb(func(method string, _ []json.RawMessage) (any, string, bool) {
		return []any{}, "", method == "eth_getLogs"
	})
	tx := a.send(at["token"], "transfer(address,uint256)", a.you, "1000000")
	r.sampled("tocsin_watch_blocks_waiting", 1)
	r.sampled("tocsin_watch_answers_untrusted", 1)
	a.send(at["token"], "transfer(address,uint256)", a.me, "1") // no one watched gets it: the blocks after it go on
	if n := r.count(func(o observation.Observation) bool { return o.Tx == tx }); n != 0 {
		t.Fatal("told without a log")
	}
	a.disturb(nil)
	r.observed("the transfer", func(o observation.Observation) bool { return o.Tx == tx })
	r.sampled("tocsin_watch_blocks_waiting", 0)
}

// TestProvider: one that takes small batches, has no Multicall3, no block hashes in calls and no pool is still watched.
func TestProvider(t *testing.T) {
	a, c, at := scene(t, false)
	if a == nil {
		return
	}
	a.mu.Lock()
	a.batch = 3
	a.mu.Unlock()
	a.disturb(func(method string, params []json.RawMessage) (any, string, bool) {
		if method == "txpool_contentFrom" {
			return nil, "the method txpool_contentFrom does not exist", true
		}
		if method == "eth_getLogs" && !strings.Contains(string(params[0]), `"address"`) {
			return nil, "please specify an address", true
		}
		return nil, "", false
	})
	r := watch(t, c)
	r.sampled("tocsin_watch_view", 7, "view", "reserve")
	tx := a.send(at["token"], "transfer(address,uint256)", a.you, "1")
	o := r.observed("the transfer", func(o observation.Observation) bool { return o.Tx == tx })
	if o.Amount != "0.000001" {
		t.Errorf("%+v", o)
	}
	r.sampled("tocsin_watch_pool_transactions", 0, "address", "hot")
	if a.called("eth_getBlockReceipts") == 0 {
		t.Error("the block was not checked by its receipts")
	}
	if n := a.called("txpool_contentFrom"); n != 1 {
		t.Errorf("what is refused was asked %d times", n)
	}
}

// TestPause: after a pause longer than what is followed header by header the rest is read in ranges, which shrink when they are refused,
// and a server that does not have the end of a range is not believed.
func TestPause(t *testing.T) {
	a, c, at := scene(t, true)
	if a == nil {
		return
	}
	r := watch(t, c)
	r.sampled("tocsin_watch_balance", 1e6, "address", "treasury", "asset", "TUSD")
	r.stop()
	var last Mark
	for len(r.told) > 0 {
		r.seen = append(r.seen, <-r.told)
	}
	for _, v := range r.seen {
		if m, ok := v.(Mark); ok {
			last = m
		}
	}
	if last.Height == 0 {
		t.Fatal("no mark")
	}
	var want []string
	for range 4 {
		want = append(want, a.send(at["token"], "transfer(address,uint256)", a.you, "1000000"))
		a.do(nil, "anvil_mine", hexutil.Uint64(60))
	}
	refused := 0
	a.disturb(func(method string, params []json.RawMessage) (any, string, bool) {
		if method != "eth_getLogs" {
			return nil, "", false
		}
		var q struct{ FromBlock, ToBlock string }
		_ = json.Unmarshal(params[0], &q)
		from, err := quantity(q.FromBlock)
		to, err2 := quantity(q.ToBlock)
		if err == nil && err2 == nil && to-from+1 > 50 {
			refused++
			return nil, "query exceeds max block range 50", true
		}
		return nil, "", false
	})
	c.Resume = last
	r = watch(t, c)
	for _, tx := range want {
		r.observed("transfer "+tx, func(o observation.Observation) bool { return o.Tx == tx })
	}
	if refused == 0 {
		t.Error("no range was asked")
	}
	var h string
	a.do(&h, "eth_blockNumber")
	n, _ := quantity(h)
	r.sampled("tocsin_watch_height", float64(n))
	if got := r.count(func(o observation.Observation) bool { return o.Kind == observation.Transfer }); got != 4 {
		t.Errorf("%d transfers, not 4", got)
	}
}

// TestRestOfRing: a head that goes back for long is a rollback, one that comes and goes is another server.
func TestRollback(t *testing.T) {
	a, c, at := scene(t, true)
	if a == nil {
		return
	}
	c.Hold = 200 * time.Millisecond
	r := watch(t, c)
	r.sampled("tocsin_watch_balance", 1e6, "address", "treasury", "asset", "TUSD")
	tx := a.send(at["token"], "transfer(address,uint256)", a.you, "1000000")
	r.observed("the transfer", func(o observation.Observation) bool { return o.Tx == tx })
	var old json.RawMessage
	var h string
	a.do(&h, "eth_blockNumber")
	n, _ := quantity(h)
	a.do(&old, "eth_getBlockByNumber", hexNumber(n-1), false)
	look := make(chan bool, 100)
	turn := 0
	a.disturb(func(method string, params []json.RawMessage) (any, string, bool) {
		if method != "eth_getBlockByNumber" || string(params[0]) != `"latest"` {
			return nil, "", false
		}
		turn++
		select {
		case look <- true:
		default:
		}
		return old, "", turn%3 == 0 // every third answer is an older server's
	})
	for range 60 {
		<-look
	}
	if got := r.count(func(o observation.Observation) bool { return o.Removed }); got != 0 {
		t.Fatal("another server was taken for a rollback")
	}
	a.disturb(func(method string, params []json.RawMessage) (any, string, bool) {
		return old, "", method == "eth_getBlockByNumber" && string(params[0]) == `"latest"`
	})
	r.observed("the rollback", func(o observation.Observation) bool { return o.Tx == tx && o.Removed })
}

// TestFeedStands: a round that still stands is told again at a later block, so that who judges the feed knows that it was asked; a reorganisation
// takes only back what the block brought.
func TestFeedStands(t *testing.T) {
	a, c, _ := scene(t, false)
	if a == nil {
		return
	}
	c.FeedAgain = time.Millisecond
	r := watch(t, c)
	feed := func(o observation.Observation) bool { return o.Kind == observation.Feed }
	first := r.observed("the first round", feed)
	for range 2 {
		a.do(nil, "evm_mine")
		again := r.observed("the same round", feed)
		if *again.Answer != *first.Answer || *again.UpdatedAt != *first.UpdatedAt || again.Height <= first.Height || again.Removed || again.Block != "" || again.Heartbeat != first.Heartbeat || again.Node != first.Node {
			t.Fatalf("%+v", again)
		}
		first.Height = again.Height
	}
}
