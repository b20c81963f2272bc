package evmwatch

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// transaction is the part of a transaction that is watched.
type transaction struct {
	Hash  common.Hash     `json:"hash"`
	From  common.Address  `json:"from"`
	To    *common.Address `json:"to"`
	Value string          `json:"value"`
	Nonce string          `json:"nonce"`
}

func (t transaction) value() *big.Int {
	n, ok := new(big.Int).SetString(strings.TrimPrefix(t.Value, "0x"), 16)
	if !ok || n.BitLen() > 256 || n.Sign() < 0 {
		return new(big.Int)
	}
	return n
}

// spend names what a transaction uses up: its sender's nonce.
func (t transaction) spend() (string, bool) {
	n, err := quantity(t.Nonce)
	return fmt.Sprintf("%s#%d", lower(t.From), n), err == nil
}

func (t transaction) to() string {
	if t.To == nil {
		return "" // it makes a contract
	}
	return lower(*t.To)
}

const receiptsMost = 500 // transactions of one block whose success is asked

// body reads the transactions of a block when a watched account needs it: what it sends (spends), and the coin that moves from and to it in
// transactions that succeeded. Coin that contracts move inside of a transaction is in no block; the balance tells it.
func (w *Watcher) body(ctx context.Context, h *header) ([]observation.Observation, error) {
	p := w.plan
	senders := map[common.Address]bool{}
	for _, a := range p.pool {
		senders[a] = true
	}
	needed := len(senders) > 0 || len(p.followed) > 0
	for a, yes := range p.transfers {
		needed = needed || yes
		senders[a] = senders[a] || yes
	}
	if !needed || len(h.Txs) == 0 || !w.line.has("bodies") {
		return nil, nil
	}
	var b *struct {
		Hash common.Hash   `json:"hash"`
		Txs  []transaction `json:"transactions"`
	}
	err := w.line.call(ctx, &b, "eth_getBlockByHash", h.Hash, true)
	if errors.Is(err, dial.ErrTooLarge) {
		w.log.Warn("a block is too large to be read whole; coin transfers of it are not seen", "height", h.height)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if b == nil || b.Hash != h.Hash {
		return nil, errNoBlock
	}
	if len(b.Txs) < len(h.Txs) {
		return nil, errUntrusted
	}
	var out []observation.Observation
	var moved, others []transaction // others are told only because somebody is followed: their turn comes last
	for _, t := range b.Txs {
		if input, ok := t.spend(); ok && senders[t.From] {
			out = append(out, observation.Observation{Kind: observation.Spend, Tx: lower(t.Hash), From: lower(t.From), To: t.to(), Inputs: []string{input}, Where: "chain"})
		}
		var to common.Address
		if t.To != nil {
			to = *t.To
		}
		if told, followed := p.concerns(t.From, to, false); told && t.value().Sign() > 0 {
			if followed {
				others = append(others, t)
			} else {
				moved = append(moved, t)
			}
		}
	}
	moved = moved[:min(len(moved), receiptsMost)]
	own := len(moved)
	moved = append(moved, others[:min(len(others), receiptsMost-own)]...)
	batch := make([]rpc.BatchElem, len(moved))
	receipts := make([]*struct {
		Status string      `json:"status"`
		Block  common.Hash `json:"blockHash"`
	}, len(moved))
	for i, t := range moved {
		batch[i] = rpc.BatchElem{Method: "eth_getTransactionReceipt", Args: []any{t.Hash}, Result: &receipts[i]}
	}
	if err := w.line.batch(ctx, batch); err != nil {
		return nil, err
	}
	for i, t := range moved {
		if err := batch[i].Error; err != nil {
			return nil, err
		}
		if receipts[i] == nil || receipts[i].Block != h.Hash {
			return nil, errNoBlock
		}
		if receipts[i].Status == "0x0" {
			continue
		}
		o := observation.Observation{Kind: observation.Transfer, Tx: lower(t.Hash), From: lower(t.From), To: t.to(), ID: "value", Followed: i >= own}
		w.value(&o, t.value(), nil)
		out = append(out, o)
	}
	return out, nil
}

// waitingTransactions looks for what watched senders have waiting in the node's pool.
func (w *Watcher) waitingTransactions(ctx context.Context) error {
	if len(w.plan.pool) == 0 || time.Since(w.pooled) < w.cfg.Pool || len(w.ring) == 0 {
		return nil
	}
	w.pooled = time.Now()
	var out []chain.Sample
	for _, a := range w.plan.pool {
		name := w.plan.Addresses[w.plan.named[a]].Name
		if !w.line.has("txpool_contentFrom") {
			// the pool is not served; how far the sender's nonces are ahead is
			var pending, latest string
			batch := []rpc.BatchElem{{Method: "eth_getTransactionCount", Args: []any{a, "pending"}, Result: &pending}, {Method: "eth_getTransactionCount", Args: []any{a, "latest"}, Result: &latest}}
			if err := w.line.batch(ctx, batch); err != nil {
				return err
			}
			p, perr := quantity(pending)
			l, lerr := quantity(latest)
			if perr == nil && lerr == nil {
				out = append(out, w.sample("tocsin_watch_pool_transactions", float64(max(p-l, 0)), "address", name))
			}
			continue
		}
		var content struct{ Pending, Queued map[string]transaction }
		err := w.line.call(ctx, &content, "txpool_contentFrom", a)
		if down(err) {
			return err
		}
		if err != nil {
			w.line.lacks("txpool_contentFrom")
			w.log.Info("the node does not show its pool; replaced transactions of watched senders are not seen by it")
			continue
		}
		out = append(out, w.sample("tocsin_watch_pool_transactions", float64(len(content.Pending)+len(content.Queued)), "address", name))
		for _, list := range []map[string]transaction{content.Pending, content.Queued} {
			for _, t := range list {
				w.waits(a, t)
			}
		}
	}
	w.sink.Samples(out)
	return nil
}

// waits tells a waiting transaction once.
func (w *Watcher) waits(sender common.Address, t transaction) {
	input, ok := t.spend()
	if !ok || t.From != sender || w.pool[t.Hash] {
		return
	}
	if len(w.pool) >= poolMost { // then some are told twice
		clear(w.pool)
	}
	w.pool[t.Hash] = true
	o := observation.Observation{Kind: observation.Spend, At: now(), Chain: w.cfg.Chain, Node: w.cfg.Node, Tx: lower(t.Hash), From: lower(t.From), To: t.to(), Inputs: []string{input}, Where: "pool"}
	w.sink.Observe(o)
}
