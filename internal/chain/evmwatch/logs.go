package evmwatch

import (
	"cmp"
	"context"
	"errors"
	"math/big"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// errUntrusted is an answer without logs for a block whose header says that there may be some, which the block's other logs do not explain.
var errUntrusted = &dial.Refused{Sentence: "It gave no logs for a block whose header promises some."}

// blockLogs gives the logs of one block that fit. It asks by the block's hash, which a server that does not have the block refuses, and
// takes "none" only when the header's bloom rules them out, or when all logs of the block together account for the bloom.
func (w *Watcher) blockLogs(ctx context.Context, h *header) ([]entry, error) {
	if len(h.Txs) == 0 && h.Bloom.empty() {
		return nil, nil
	}
	block := map[string]any{"blockHash": h.Hash}
	var ask []filter
	for _, f := range w.filters() {
		if h.Bloom.empty() || h.Bloom.maybe(f) { // some chains have no blooms: then all is asked
			ask = append(ask, f)
		}
	}
	if len(ask) == 0 {
		return nil, nil
	}
	got := make([][]entry, len(ask))
	batch := make([]rpc.BatchElem, len(ask))
	for i, f := range ask {
		batch[i] = rpc.BatchElem{Method: "eth_getLogs", Args: []any{f.at(block)}, Result: &got[i]}
	}
	if err := w.line.batch(ctx, batch); err != nil {
		return nil, err
	}
	var logs []entry
	silent := false
	for i, f := range ask {
		if err := batch[i].Error; err != nil {
			w.narrow(f, err)
			return nil, err
		}
		if len(got[i]) > logsMost {
			return nil, errUntrusted
		}
		for _, l := range got[i] {
			if l.Block != h.Hash {
				return nil, errUntrusted
			}
			if !l.Removed && f.fits(l) {
				logs = append(logs, l)
			}
		}
		silent = silent || len(got[i]) == 0
	}
	if !silent || h.Bloom.empty() {
		return order(logs), nil
	}
	// The bloom says maybe and the answer is none: all logs of the block must explain the bloom.
	all, err := w.allLogs(ctx, h)
	if errors.Is(err, errUnchecked) {
		w.untrusted++
		w.tellLedger()
		return order(logs), nil
	}
	if err != nil {
		return nil, err
	}
	if len(all) > logsMost || !explains(all, &h.Bloom) {
		return nil, errUntrusted
	}
	logs = logs[:0]
	for _, l := range all {
		if l.Block != h.Hash {
			return nil, errUntrusted
		}
		if !l.Removed && slices.ContainsFunc(ask, func(f filter) bool { return f.fits(l) }) {
			logs = append(logs, l)
		}
	}
	return order(logs), nil
}

const (
	hasAllLogs  = "all events of a block"
	hasReceipts = "eth_getBlockReceipts"
)

// errUnchecked is a node that shows neither all events of a block nor its receipts: what it holds back cannot be found by asking it.
var errUnchecked = errors.New("cannot be checked")

// allLogs gives every log of a block: by a question without a filter, or from the receipts.
func (w *Watcher) allLogs(ctx context.Context, h *header) ([]entry, error) {
	var rpcErr rpc.Error
	if w.line.has(hasAllLogs) {
		var all []entry
		err := w.line.call(ctx, &all, "eth_getLogs", map[string]any{"blockHash": h.Hash})
		if !errors.As(err, &rpcErr) || noBlock(err) || limited(err) {
			return all, err
		}
		w.line.lacks(hasAllLogs)
	}
	if w.line.has(hasReceipts) {
		var receipts []struct {
			Logs []entry `json:"logs"`
		}
		err := w.line.call(ctx, &receipts, "eth_getBlockReceipts", h.Hash)
		if !errors.As(err, &rpcErr) || noBlock(err) || limited(err) {
			var all []entry
			for _, r := range receipts {
				all = append(all, r.Logs...)
			}
			return all, err
		}
		w.line.lacks(hasReceipts)
		w.log.Warn("the node shows neither all events of a block nor its receipts; whether it holds events back cannot be checked", "why", dial.Sentence(err, w.cfg.URL))
	}
	return nil, errUnchecked
}

const hasAnyContract = "events of any contract"

// filters are what is asked of every block.
func (w *Watcher) filters() []filter {
	return w.plan.filters(w.aggregators, !w.line.has(hasAnyContract))
}

// narrow takes note of a provider that refuses to tell events of any contract: for ten minutes only the watched tokens' are asked for.
func (w *Watcher) narrow(f filter, err error) bool {
	var rpcErr rpc.Error
	if len(f.addresses) > 0 || !errors.As(err, &rpcErr) || noBlock(err) || limited(err) || !w.line.has(hasAnyContract) {
		return false
	}
	w.line.lacks(hasAnyContract)
	w.log.Warn("the node does not tell events of any contract; transfers of tokens that are not watched are not seen by it", "why", dial.Sentence(err, w.cfg.URL))
	return true
}

// order sorts logs as they happened, each once.
func order(logs []entry) []entry {
	slices.SortFunc(logs, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Index, b.Index))
	})
	return slices.CompactFunc(logs, func(a, b entry) bool { return a.Block == b.Block && a.Index == b.Index })
}

// observations decodes logs and adds what their tokens say.
func (w *Watcher) observations(ctx context.Context, logs []entry) ([]observation.Observation, error) {
	var list []decoded
	var tokens []common.Address
	for _, l := range logs {
		d, ok := w.plan.decode(l, w.aggregators)
		if !ok {
			continue
		}
		if d.token != nil {
			tokens = append(tokens, *d.token)
		}
		list = append(list, d)
	}
	if err := w.learn(ctx, tokens); err != nil {
		return nil, err
	}
	var out []observation.Observation
	for _, d := range list {
		if d.o.Kind == observation.Feed {
			if w.feeds[d.feed].decimals < 0 {
				continue // the look at the state tells it
			}
			w.answer(&d.o, d.feed, d.raw)
		} else if d.raw != nil {
			w.value(&d.o, d.raw, d.token)
		}
		out = append(out, d.o)
	}
	return out, nil
}

// value writes an amount in units of its token, with the symbol and, when the price is known, dollars. Only configured contracts are priced:
// anybody can call a token USDC.
func (w *Watcher) value(o *observation.Observation, raw *big.Int, token *common.Address) {
	asset, decimals := w.plan.Coin, 18
	o.Symbol = asset.Name
	if token != nil {
		f := w.facts[*token]
		o.Token, o.Symbol, decimals = lower(*token), f.symbol, max(f.decimals, 0)
		asset = Asset{}
		if i, ours := w.plan.tokens[*token]; ours {
			asset = w.plan.Tokens[i].Asset
			o.Symbol = cmp.Or(o.Symbol, asset.Name)
		}
		if f.decimals < 0 {
			asset = Asset{}
		}
	}
	o.Amount = units(raw, decimals)
	price, ok := asset.Peg, asset.Peg > 0
	if !ok && asset.Feed != "" && w.cfg.Price != nil {
		price, ok = w.cfg.Price(asset.Feed)
	}
	if ok {
		usd := float(raw, decimals) * price
		o.USD = &usd
	}
}

// learnMost is how many tokens are asked at a time: a swarm of fake tokens must not keep the watch busy. The amounts of the rest are told in
// their smallest units.
const learnMost = 256

// learn asks tokens for decimals and symbol, once. What a token does not say is asked again after ten minutes.
func (w *Watcher) learn(ctx context.Context, tokens []common.Address) error {
	var calls []*call
	asked := map[common.Address]bool{}
	for _, t := range tokens {
		if f, ok := w.facts[t]; asked[t] || len(asked) >= learnMost || (ok && (f.decimals >= 0 || time.Now().Before(f.next))) {
			continue
		}
		asked[t] = true
		calls = append(calls, &call{to: t, input: callDecimals}, &call{to: t, input: callSymbol})
	}
	if len(calls) == 0 {
		return nil
	}
	if err := w.multi(ctx, calls, "latest"); err != nil {
		return err
	}
	for i := 0; i < len(calls); i += 2 {
		f := fact{decimals: -1, next: time.Now().Add(absentFor)}
		if n := word(calls[i].output); calls[i].ok && n != nil && n.IsInt64() && n.Int64() <= 77 {
			f.decimals = int(n.Int64())
		}
		if calls[i+1].ok {
			f.symbol = symbol(calls[i+1].output)
		}
		if len(w.facts) >= factsMost {
			w.forget()
		}
		w.facts[calls[i].to] = f
	}
	return nil
}

// forget makes room by dropping what strange tokens said.
func (w *Watcher) forget() {
	for t := range w.facts {
		if _, ours := w.plan.tokens[t]; !ours {
			delete(w.facts, t)
		}
	}
}

// word is the first 32 bytes as a number, nil when there are fewer.
func word(b []byte) *big.Int {
	if len(b) < 32 {
		return nil
	}
	return new(big.Int).SetBytes(b[:32])
}

// symbol reads a string, or the 32 bytes that old tokens give. It is a stranger's text: short, printable, and believed nowhere.
func symbol(b []byte) string {
	if len(b) == 32 {
		end := slices.Index(b, 0)
		if end < 0 {
			end = 32
		}
		return printable(string(b[:end]), 16)
	}
	n := word(b[min(32, len(b)):])
	if n == nil || !n.IsInt64() || n.Int64() > int64(len(b)-64) {
		return ""
	}
	return printable(string(b[64:64+n.Int64()]), 16)
}
