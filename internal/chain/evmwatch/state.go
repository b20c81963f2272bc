package evmwatch

import (
	"cmp"
	"context"
	"errors"
	"math/big"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

var (
	callDecimals    = selector("decimals()")
	callSymbol      = selector("symbol()")
	callBalance     = selector("balanceOf(address)")
	callRound       = selector("latestRoundData()")
	callAggregator  = selector("aggregator()")
	callOwner       = selector("owner()")
	callMasterCopy  = selector("masterCopy()")
	callThreshold   = selector("getThreshold()")
	callPaused      = selector("paused()")
	roundOutputs, _ = parseArguments("uint80,int256,uint256,uint256,uint80")
)

func selector(canonical string) []byte { return crypto.Keccak256([]byte(canonical))[:4] }

// slots are where proxies keep what they run: EIP-1967, and its forerunners EIP-1822 and ZeppelinOS.
var slots = []struct {
	change string
	at     common.Hash
}{
	{"implementation", below("eip1967.proxy.implementation")},
	{"proxy admin", below("eip1967.proxy.admin")},
	{"beacon", below("eip1967.proxy.beacon")},
	{"implementation (EIP-1822)", crypto.Keccak256Hash([]byte("PROXIABLE"))},
	{"implementation (ZeppelinOS)", crypto.Keccak256Hash([]byte("org.zeppelinos.proxy.implementation"))},
}

// below is the digest minus one, as EIP-1967 has it.
func below(label string) common.Hash {
	return common.BigToHash(new(big.Int).Sub(crypto.Keccak256Hash([]byte(label)).Big(), big.NewInt(1)))
}

// state reads balances, views, feeds and contracts at the newest block that was read, all at its hash, when it is due.
func (w *Watcher) state(ctx context.Context) error {
	if len(w.ring) == 0 || time.Since(w.looked) < w.cfg.Every {
		return nil
	}
	tip := &w.ring[len(w.ring)-1]
	if tip.hash == w.lookedAt {
		return w.ages()
	}
	p := w.plan
	if err := w.learn(ctx, p.tokenList); err != nil {
		return w.later(err)
	}
	if err := w.feedDecimals(ctx); err != nil {
		return w.later(err)
	}
	var calls []*call
	add := func(to common.Address, input []byte) *call {
		c := &call{to: to, input: input}
		calls = append(calls, c)
		return c
	}
	type balance struct {
		account, token int // token -1 = coin
		c              *call
	}
	var balances []balance
	for i, a := range p.accounts {
		balances = append(balances, balance{i, -1, add(a, nil)})
		for j, t := range p.tokenList {
			if w.facts[t].decimals >= 0 {
				balances = append(balances, balance{i, j, add(t, append(append([]byte{}, callBalance...), common.LeftPadBytes(a[:], 32)...))})
			}
		}
	}
	views := make([]*call, len(p.views))
	for i, v := range p.views {
		views[i] = add(v.to, v.input)
	}
	rounds, aggregators := make([]*call, len(p.proxies)), make([]*call, len(p.proxies))
	for i, f := range p.proxies {
		rounds[i], aggregators[i] = add(f, callRound), add(f, callAggregator)
	}
	type reading struct {
		contract common.Address
		change   string
		c        *call
	}
	var readings []reading
	for _, a := range p.adminList {
		for _, r := range []struct {
			change string
			input  []byte
		}{{"owner", callOwner}, {"safe master copy", callMasterCopy}, {"safe threshold", callThreshold}, {"paused", callPaused}} {
			readings = append(readings, reading{a, r.change, add(a, r.input)})
		}
	}
	if err := w.multi(ctx, calls, w.block(*tip)); err != nil {
		return w.later(err)
	}
	slotted, err := w.readSlots(ctx, *tip)
	if err != nil {
		return w.later(err)
	}
	w.looked, w.lookedAt = time.Now(), tip.hash
	var out []chain.Sample
	for _, b := range balances {
		n := word(b.c.output)
		if !b.c.ok || n == nil {
			continue
		}
		asset, decimals := cmp.Or(p.Coin.Name, "coin"), 18
		if b.token >= 0 {
			asset, decimals = p.Tokens[b.token].Name, w.facts[p.tokenList[b.token]].decimals
		}
		out = append(out, w.sample("tocsin_watch_balance", float(n, decimals), "address", p.Addresses[b.account].Name, "asset", asset))
	}
	for i, v := range p.views {
		if n, err := v.read(views[i].output); views[i].ok && err == nil {
			out = append(out, w.sample("tocsin_watch_view", float(n, p.Views[i].Decimals), "view", p.Views[i].Name))
		}
	}
	var told, stands []observation.Observation
	for i := range p.proxies {
		if n := word(aggregators[i].output); aggregators[i].ok && n != nil {
			w.aggregator(i, common.BigToAddress(n))
		}
		switch o, fresh, ok := w.round(i, rounds[i]); {
		case fresh:
			told = append(told, o)
		case ok:
			stands = append(stands, o)
		}
	}
	for _, r := range readings {
		n := word(r.c.output)
		if !r.c.ok || n == nil || len(r.c.output) != 32 {
			continue // it has no such function
		}
		value := lower(common.BigToAddress(n))
		switch r.change {
		case "safe threshold":
			value = n.String()
		case "paused":
			value = text(n.Sign() != 0)
		}
		told = append(told, w.compare(r.contract, r.change, value)...)
	}
	for _, s := range slotted {
		told = append(told, w.compare(s.contract, s.change, s.value)...)
	}
	out = append(out, w.sample("tocsin_watch_state_height", float64(tip.height)))
	w.sink.Samples(out)
	w.tell(tip, told)
	for _, o := range stands { // no event of this block: nothing takes it back with it
		o.At, o.Chain, o.Node, o.Height = now(), w.cfg.Chain, w.cfg.Node, tip.height
		w.sink.Observe(o)
	}
	return w.ages()
}

// later is for a look that failed: when the node can be asked, the next look tries again.
func (w *Watcher) later(err error) error {
	if down(err) {
		return err
	}
	if errors.Is(err, errNoBlock) {
		w.log.Debug("the state of the newest block could not be read yet")
		return nil
	}
	w.looked = time.Now() // it refuses; not asked again at once
	return nil
}

type slotValue struct {
	contract common.Address
	change   string
	value    string
}

// slotsMost is how many contracts' slots are read in one look; with more they take turns.
const slotsMost = 20

func (w *Watcher) readSlots(ctx context.Context, tip seen) ([]slotValue, error) {
	if len(w.plan.adminList) == 0 || !w.line.has("eth_getStorageAt") {
		return nil, nil
	}
	var batch []rpc.BatchElem
	var out []slotValue
	var raw []string
	for range min(slotsMost, len(w.plan.adminList)) {
		a := w.plan.adminList[w.slotted%len(w.plan.adminList)]
		w.slotted++
		for _, s := range slots {
			out = append(out, slotValue{contract: a, change: s.change})
		}
	}
	raw = make([]string, len(out))
	for i := range out {
		batch = append(batch, rpc.BatchElem{Method: "eth_getStorageAt", Args: []any{out[i].contract, slots[i%len(slots)].at, w.block(tip)}, Result: &raw[i]})
	}
	if err := w.line.batch(ctx, batch); err != nil {
		return nil, err
	}
	got := out[:0]
	for i := range out {
		var rpcErr rpc.Error
		switch err := batch[i].Error; {
		case noBlock(err):
			return nil, errNoBlock
		case byHash(err):
			w.line.lacks(hasBlockHash)
			return nil, errNoBlock
		case errors.As(err, &rpcErr) && rpcErr.ErrorCode() == -32601:
			w.line.lacks("eth_getStorageAt")
			return nil, nil
		case err != nil:
			continue
		}
		n, ok := new(big.Int).SetString(strings.TrimPrefix(raw[i], "0x"), 16)
		if !ok || n.BitLen() > 256 {
			continue
		}
		out[i].value = lower(common.BigToAddress(n))
		got = append(got, out[i])
	}
	return got, nil
}

// trackedKey is one thing of a contract that should not change unnoticed.
type trackedKey struct {
	contract string
	change   string
}

// compare tells a change that no event told of, when a second look at a later block shows it too: a node may answer for a newer block than
// it was asked for, and the event may come late. What is seen first is the measure.
func (w *Watcher) compare(contract common.Address, change, value string) []observation.Observation {
	key := trackedKey{lower(contract), change}
	before, known := w.tracked[key]
	if !known {
		w.tracked[key] = value
	}
	if !known || before == value {
		delete(w.doubted, key)
		return nil
	}
	if w.doubted[key] != value {
		w.doubted[key] = value
		return nil
	}
	delete(w.doubted, key)
	return []observation.Observation{{Kind: observation.Admin, ID: "state", Contract: key.contract, Change: change, Before: before, After: value}}
}

// lasting are the changes that set something which can also be read.
var lasting = map[string]bool{"owner": true, "implementation": true, "proxy admin": true, "beacon": true, "safe master copy": true, "safe threshold": true, "paused": true}

// held is what an administrative change sets, false when it sets nothing that can be read.
func held(o observation.Observation) (key trackedKey, value string, ok bool) {
	change, value := o.Change, o.After
	switch {
	case o.Change == "unpaused":
		change, value = "paused", "false"
	case o.Change == "paused" && o.ID != "state":
		value = "true"
	}
	return trackedKey{o.Contract, change}, value, o.Kind == observation.Admin && lasting[change]
}

// note keeps what an observation says of a contract, and fills in what was before.
func (w *Watcher) note(o *observation.Observation) {
	key, value, ok := held(*o)
	if !ok {
		return
	}
	if before, known := w.tracked[key]; known && o.Before == "" {
		o.Before = before
	}
	w.tracked[key] = value
}

// unnote is note for what is taken back.
func (w *Watcher) unnote(o *observation.Observation) {
	if o.Kind == observation.Feed {
		for i, f := range w.plan.Feeds {
			if f.Name == o.Feed {
				w.feeds[i].updated = 0 // the next look tells the round that holds now
			}
		}
	}
	if key, _, ok := held(*o); ok {
		delete(w.tracked, key)
		if o.Before != "" {
			w.tracked[key] = o.Before
		}
	}
}

// feedDecimals asks feeds for their decimals until they say.
func (w *Watcher) feedDecimals(ctx context.Context) error {
	var calls []*call
	var which []int
	for i, f := range w.plan.proxies {
		if w.feeds[i].decimals < 0 {
			calls, which = append(calls, &call{to: f, input: callDecimals}), append(which, i)
		}
	}
	if len(calls) == 0 {
		return nil
	}
	if err := w.multi(ctx, calls, "latest"); err != nil {
		return err
	}
	for i, c := range calls {
		if n := word(c.output); c.ok && n != nil && n.IsInt64() && n.Int64() <= 77 {
			w.feeds[which[i]].decimals = int(n.Int64())
		}
	}
	return nil
}

// aggregator keeps which contract writes the answers of a feed, so that its events are asked for.
func (w *Watcher) aggregator(i int, a common.Address) {
	if have, ok := w.aggregators[a]; (ok && have == i) || a == (common.Address{}) {
		return
	}
	for old, n := range w.aggregators {
		if n == i {
			delete(w.aggregators, old)
		}
	}
	w.aggregators[a] = i
}

// round reads latestRoundData. A round that was not told yet is told; one that was is told again from time to time, so that who judges the feed
// knows that it was asked and that no newer one is there.
func (w *Watcher) round(i int, c *call) (o observation.Observation, fresh, ok bool) {
	if !c.ok || w.feeds[i].decimals < 0 {
		return o, false, false
	}
	values, err := unpack(abi.Arguments(roundOutputs), c.output)
	if err != nil {
		return o, false, false
	}
	answer, _ := values[1].(*big.Int)
	at, _ := values[3].(*big.Int)
	if answer == nil || at == nil || !at.IsInt64() || at.Int64() <= 0 || at.Int64() > 1e11 || at.Int64()*1000 < w.feeds[i].updated {
		return o, false, false
	}
	updated := observation.Time(at.Int64() * 1000)
	if fresh = int64(updated) > w.feeds[i].updated; !fresh && time.Since(w.feeds[i].told) < w.cfg.FeedAgain {
		return o, false, false
	}
	o = observation.Observation{Kind: observation.Feed, Feed: w.plan.Feeds[i].Name, UpdatedAt: &updated}
	w.answer(&o, i, answer)
	return o, fresh, true
}

// answer fills in what a feed answered and makes it the newest.
func (w *Watcher) answer(o *observation.Observation, i int, raw *big.Int) {
	f := w.plan.Feeds[i]
	value := float(raw, w.feeds[i].decimals)
	o.Answer, o.Heartbeat, o.Deviation = &value, observation.Span(f.Heartbeat), f.Deviation
	at := int64(*o.UpdatedAt)
	if at < w.feeds[i].updated {
		return
	}
	w.feeds[i].updated, w.feeds[i].told = at, time.Now()
	if w.cfg.Answer != nil {
		w.cfg.Answer(f.Name, value, at)
	}
	w.sink.Samples([]chain.Sample{w.sample("tocsin_feed_answer", value, "feed", f.Name)})
}

// ages tells how old the feeds' answers are; it is told also while there is no new block.
func (w *Watcher) ages() error {
	w.looked = time.Now()
	var out []chain.Sample
	for i, f := range w.plan.Feeds {
		if w.feeds[i].updated > 0 {
			out = append(out, w.sample("tocsin_feed_age_seconds", max(float64(now()-w.feeds[i].updated)/1000, 0), "feed", f.Name))
		}
	}
	if len(out) > 0 {
		w.sink.Samples(out)
	}
	return nil
}
