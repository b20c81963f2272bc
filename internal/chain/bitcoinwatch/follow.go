package bitcoinwatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

type header struct {
	Hash     string `json:"hash"`
	Height   int64  `json:"height"`
	Previous string `json:"previousblockhash"`
}

func (w *Watcher) header(ctx context.Context, h hash) (header, hash, error) {
	var out header
	if err := w.call(ctx, &out, "getblockheader", h.String(), true); err != nil {
		return out, hash{}, err
	}
	if out.Hash != h.String() || out.Height < 0 {
		return out, hash{}, errUntrusted
	}
	if out.Height == 0 {
		return out, hash{}, nil
	}
	previous, err := parseHash(out.Previous)
	return out, previous, err
}

func (w *Watcher) tip() *seen { return &w.ring[len(w.ring)-1] }

func (w *Watcher) at(height int64) *seen {
	if len(w.ring) == 0 {
		return nil
	}
	if i := height - w.ring[0].height; i >= 0 && i < int64(len(w.ring)) {
		return &w.ring[i]
	}
	return nil
}

type step struct {
	height int64
	hash   hash
}

// blocks reads every block between what was read and the node's best one; what left the chain is taken back first.
func (w *Watcher) blocks(ctx context.Context) error {
	var text string
	if err := w.call(ctx, &text, "getbestblockhash"); err != nil {
		return err
	}
	best, err := parseHash(text)
	if err != nil {
		return fmt.Errorf("%w: %w", dial.ErrNotJSON, err)
	}
	if len(w.ring) > 0 && w.tip().hash == best {
		return nil
	}
	h, previous, err := w.header(ctx, best)
	if err != nil {
		return err
	}
	if len(w.ring) == 0 {
		if err := w.begin(ctx, h, previous); err != nil {
			return err
		}
	}
	way := []step{{h.Height, best}}
	for {
		low := way[len(way)-1]
		if e := w.at(low.height - 1); e != nil && e.hash == previous {
			break
		}
		if e := w.at(low.height); e != nil && e.hash == low.hash { // the node itself went back
			way = way[:len(way)-1]
			break
		}
		if low.height == 0 || (low.height <= w.ring[0].height && len(way) > ringMost) || len(way) > backfillMost {
			lost := max(low.height-w.tip().height-1, 0)
			w.lost += float64(lost)
			w.exact = w.exact && lost == 0
			w.log.Warn("the pause or the reorg was too long to read all of it", "from", low.height, "blocks_lost", lost)
			if lost > 0 { // the heights of the ring follow each other: what is before the gap cannot be taken back any more
				w.ring = []seen{{height: low.height - 1, hash: previous}}
			}
			break
		}
		_, before, err := w.header(ctx, previous)
		if err != nil {
			return err
		}
		way = append(way, step{low.height - 1, previous})
		previous = before
	}
	ancestor := h.Height
	if len(way) > 0 {
		ancestor = way[len(way)-1].height - 1
	}
	w.cut(ancestor)
	for i, s := range slices.Backward(way) {
		if err := w.process(ctx, s, i); err != nil {
			return err
		}
	}
	w.balances()
	return nil
}

// begin sets the block before the first that is read: the newest one, or where an earlier run stopped.
func (w *Watcher) begin(ctx context.Context, h header, previous hash) error {
	from := seen{height: h.Height - 1, hash: previous}
	if m := w.cfg.Resume; m.Hash != "" && m.Height <= h.Height && h.Height-m.Height <= backfillMost {
		if old, err := parseHash(m.Hash); err == nil {
			e, _, err := w.header(ctx, old)
			var on string
			if err == nil {
				err = w.call(ctx, &on, "getblockhash", e.Height)
			}
			switch {
			case down(err) || dial.Limited(err) > 0:
				return err
			case err == nil && on == m.Hash:
				from = seen{height: e.Height, hash: old}
			}
		}
	}
	w.ring = []seen{from}
	return nil
}

// cut takes back every block above a height, newest first.
func (w *Watcher) cut(height int64) {
	for len(w.ring) > 0 && w.tip().height > height {
		e := *w.tip()
		w.ring = w.ring[:len(w.ring)-1]
		for _, o := range e.added {
			w.release(o)
		}
		for o, c := range e.spent {
			if w.alive(c.owner) {
				w.hold(o, c)
			}
		}
		for _, o := range slices.Backward(e.events) {
			o.Removed, o.At = true, now()
			w.sink.Observe(o)
		}
	}
	if len(w.ring) == 0 {
		w.ring = append(w.ring, seen{height: height})
	}
	if w.exact && height < w.settled { // what was spent before the scan is not known: scan again
		w.exact, w.scanFails = false, 0
	}
}

// process reads one block, of which so many come after. One that cannot be had is tried again at the next look, and passed over after some.
func (w *Watcher) process(ctx context.Context, s step, after int) error {
	var text string
	err := w.call(ctx, &text, "getblock", s.hash.String(), 0)
	var list []transaction
	if err == nil {
		_, list, err = parseBlock(text, s.hash)
	}
	if err != nil {
		if errors.Is(err, errUntrusted) {
			w.untrusted++
			w.sink.Samples([]chain.Sample{w.sample("tocsin_watch_answers_untrusted", w.untrusted)})
		}
		if dial.Limited(err) > 0 { // not the block's fault
			return err
		}
		if w.tries++; ctx.Err() != nil || w.tries < triesMost {
			return err
		}
		w.lost++
		w.exact = false
		w.log.Warn("the payments of a block could not be had from this node", "height", s.height, "why", dial.Sentence(err, w.cfg.URL))
	}
	if err := w.trace(ctx, list, s.hash, after); err != nil {
		if w.tries++; ctx.Err() != nil || w.tries < triesMost {
			return err
		}
		w.log.Warn("who paid in a block could not be had from this node", "height", s.height, "why", dial.Sentence(err, w.cfg.URL))
	}
	w.tries = 0
	e := seen{height: s.height, hash: s.hash, spent: map[outpoint]coin{}}
	for _, t := range list {
		events := w.events(t, w.coins, "chain")
		for _, in := range t.ins {
			if c, ours := w.coins[in]; ours {
				e.spent[in] = c
				w.release(in)
			}
		}
		for n, out := range t.outs {
			if owner, ours := w.scripts[string(out.script)]; ours {
				if o := (outpoint{t.id, uint32(n)}); w.hold(o, coin{out.value, owner}) {
					e.added = append(e.added, o)
				}
			}
		}
		for i := range events {
			o := &events[i]
			o.Height, o.Block = s.height, s.hash.String()
			w.sink.Observe(*o)
		}
		e.events = append(e.events, events...)
		delete(w.pool, t.id) // it did not leave unconfirmed
	}
	w.ring = append(w.ring, e)
	if len(w.ring) > ringMost {
		w.ring = append([]seen(nil), w.ring[1:]...)
	}
	if w.scan != nil && w.scan.hash == s.hash {
		w.settle()
	}
	w.sink.Samples([]chain.Sample{w.sample("tocsin_watch_height", float64(s.height)), w.sample("tocsin_watch_blocks_lost", w.lost), w.sample("tocsin_watch_owners_unknown", w.parents.unknown)})
	return nil
}

// events tells what a transaction is to the watched addresses and outpoints: at most one spend with all its inputs, and its payments. From is
// the watched address that pays most of it, or else whoever does, as far as the transactions before are known.
func (w *Watcher) events(t transaction, coins map[outpoint]coin, where string) []observation.Observation {
	var inputs, owners []string
	paid, ownSpent := map[int]int64{}, false
	for _, in := range t.ins {
		p, known := w.parents.known[in]
		if c, ours := coins[in]; ours {
			paid[c.owner] += c.value
			ownSpent = ownSpent || w.own(c.owner)
		} else if known && p.owner >= 0 {
			paid[p.owner] += p.value
			ownSpent = ownSpent || w.own(p.owner)
		} else if !w.watched[in] {
			continue
		}
		ownSpent = ownSpent || w.watched[in]
		inputs, owners = append(inputs, in.String()), append(owners, w.owner(in, coins))
	}
	from, most := -1, int64(-1)
	rank := func(owner int) int { // what is watched goes before what is followed
		if w.own(owner) {
			return 0
		}
		return 1
	}
	for owner, v := range paid {
		if from < 0 || cmp.Or(cmp.Compare(rank(owner), rank(from)), cmp.Compare(most, v), cmp.Compare(owner, from)) < 0 {
			from, most = owner, v
		}
	}
	make := func(kind observation.Kind) observation.Observation {
		return observation.Observation{Kind: kind, At: now(), Chain: w.cfg.Chain, Node: w.cfg.Node, Tx: t.id.String(), Where: where, Traced: true}
	}
	var out []observation.Observation
	if len(inputs) > 0 {
		o := make(observation.Spend)
		for _, in := range t.ins {
			if text := in.String(); !slices.Contains(inputs, text) && len(inputs) < inputsMost {
				inputs, owners = append(inputs, text), append(owners, w.owner(in, coins))
			}
		}
		o.Inputs = inputs
		if slices.ContainsFunc(owners, func(a string) bool { return a != "" }) {
			o.Owners = owners
			o.Amounts, _ = amounts(t)
		}
		if from >= 0 {
			o.From = w.names[from]
		}
		out = append(out, o)
	}
	for n, p := range t.outs {
		owner, ours := w.scripts[string(p.script)]
		to := w.net.address(p.script)
		if ours {
			to = w.names[owner]
		}
		if _, change := paid[owner]; (ours && change) || (!ours && from < 0) || to == "" || p.value == 0 {
			continue // change, or not ours
		}
		o := make(observation.Transfer)
		o.To, o.Symbol, o.Amount, o.ID = to, w.cfg.Spec.Asset, btc(p.value), fmt.Sprintf("output %d", n)
		if from >= 0 {
			o.From = w.names[from]
		}
		if w.cfg.Price != nil {
			if price, ok := w.cfg.Price(); ok {
				usd := float64(p.value) / 1e8 * price
				o.USD = &usd
			}
		}
		out = append(out, o)
		if len(out) >= inputsMost {
			w.log.Warn("a transaction has more payments than are told", "tx", t.id.String(), "told", len(out))
			break
		}
	}
	if from < 0 && !t.coinbase() {
		w.paidBy(t, out, coins)
	}
	if len(w.followed.now) > 0 {
		for i := range out {
			out[i].Followed = w.followedOnly(out[i], ownSpent)
		}
	}
	return out
}

// balances tells what the addresses hold: all of it after a scan, else what came since the watch began.
func (w *Watcher) balances() {
	sum := make([]int64, len(w.names))
	for _, c := range w.coins {
		if c.owner >= 0 {
			sum[c.owner] += c.value
		}
	}
	name := "tocsin_watch_balance"
	if !w.exact {
		name = "tocsin_watch_balance_since_start"
	}
	var out []chain.Sample
	for i, a := range w.cfg.Spec.Addresses {
		out = append(out, w.sample(name, float64(sum[i])/1e8, "address", a.Name, "asset", w.cfg.Spec.Asset))
	}
	w.balance = time.Now()
	w.sink.Samples(out)
}
