package bitcoinwatch

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
)

// waiting looks at the pool: what is new in it is read and told when it is of a watched address or outpoint, what left it unconfirmed is taken
// back. What was there before the watch began is found by who spends the watched coins (gettxspendingprevout, Core 24 and btcd).
func (w *Watcher) waiting(ctx context.Context) error {
	if w.cfg.Pool < 0 || len(w.ring) == 0 || w.spared() || time.Since(w.pooled) < w.cfg.Pool {
		return nil
	}
	w.pooled = time.Now()
	var texts []string
	if err := w.optional(ctx, &texts, "getrawmempool"); err != nil {
		return err
	}
	list := make(map[hash]bool, len(texts))
	for _, text := range texts {
		h, err := parseHash(text)
		if err != nil {
			return errors.Join(dial.ErrNotJSON, err)
		}
		list[h] = true
		if w.listed != nil && !w.listed[h] {
			w.queue = append(w.queue, h)
		}
	}
	w.listed = list
	if n := len(w.queue) - queueMost; n > 0 {
		w.log.Warn("more transactions come than are looked at; the oldest are not", "left_out", n)
		w.queue = slices.Delete(w.queue, 0, n)
	}
	for id, t := range w.pool {
		if list[id] {
			t.gone = 0
			continue
		}
		if t.gone++; t.gone > 1 { // the block that took it may just not be read yet
			delete(w.pool, id)
			for _, o := range slices.Backward(t.events) {
				o.Removed, o.At = true, now()
				w.sink.Observe(o)
			}
		}
	}
	spenders, err := w.spenders(ctx)
	if down(err) || dial.Limited(err) > 0 {
		return err
	}
	calls := lookups
	for _, id := range spenders {
		if err := w.inspect(ctx, id, &calls); err != nil {
			return err
		}
	}
	for n := 0; n < lookMost && len(w.queue) > 0; n++ {
		id := w.queue[0]
		w.queue = w.queue[1:]
		if !list[id] {
			continue
		}
		if err := w.inspect(ctx, id, &calls); err != nil {
			w.queue = slices.Insert(w.queue, 0, id)
			return err
		}
	}
	w.sink.Samples([]chain.Sample{w.sample("tocsin_watch_pool_transactions", float64(len(w.pool))), w.sample("tocsin_watch_pool_unread", float64(len(w.queue)))})
	return nil
}

// inspect reads one waiting transaction. An error means that the node cannot be asked; one that is gone meanwhile is none.
func (w *Watcher) inspect(ctx context.Context, id hash, calls *int) error {
	if w.pool[id] != nil || len(w.pool) >= poolMost {
		return nil
	}
	var text string
	if err := w.call(ctx, &text, "getrawtransaction", id.String(), 0); err != nil {
		if down(err) || dial.Limited(err) > 0 {
			return err
		}
		return nil
	}
	t, err := parseTransaction(text)
	if err != nil || t.id != id || t.coinbase() {
		return nil // a node that sends another transaction is not believed; its block will be
	}
	coins := map[outpoint]coin{}
	for _, in := range t.ins {
		if c, ours := w.coins[in]; ours {
			coins[in] = c
		} else if parent := w.pool[in.tx]; parent != nil {
			if c, ours := parent.coins[in]; ours && w.alive(c.owner) {
				coins[in] = c
			}
		}
	}
	if len(w.events(t, coins, "pool")) == 0 {
		return nil
	}
	if err := w.owners(ctx, t, hash{}, nil, calls); err != nil {
		return err
	}
	events := w.events(t, coins, "pool")
	p := &waiting{events: events, coins: map[outpoint]coin{}}
	for n, out := range t.outs {
		if owner, ours := w.scripts[string(out.script)]; ours {
			p.coins[outpoint{t.id, uint32(n)}] = coin{out.value, owner}
		}
	}
	w.pool[id] = p
	for _, o := range events {
		w.sink.Observe(o)
	}
	return nil
}

const spendersMost = 2_000 // outpoints asked for in one look

// spenders asks which waiting transactions spend the watched coins, and then, as far as there is room, those of followed addresses.
func (w *Watcher) spenders(ctx context.Context) ([]hash, error) {
	var ask []map[string]any
	add := func(o outpoint) {
		if len(ask) < spendersMost {
			ask = append(ask, map[string]any{"txid": o.tx.String(), "vout": o.n})
		}
	}
	for o := range w.watched {
		add(o)
	}
	for _, own := range []bool{true, false} { // what is followed comes after what is watched
		for o, c := range w.coins {
			if len(ask) >= spendersMost {
				break
			}
			if w.own(c.owner) == own {
				add(o)
			}
		}
	}
	var out []hash
	for len(ask) > 0 {
		n := min(len(ask), 500)
		var got []struct {
			By string `json:"spendingtxid"`
		}
		if err := w.optional(ctx, &got, "gettxspendingprevout", ask[:n]); err != nil {
			return nil, err
		}
		for _, g := range got {
			if h, err := parseHash(g.By); err == nil && g.By != "" && !slices.Contains(out, h) {
				out = append(out, h)
			}
		}
		ask = ask[n:]
	}
	return out, nil
}
