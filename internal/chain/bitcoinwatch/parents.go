package bitcoinwatch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Bounds of looking up whose the inputs of a transaction were. Only transactions that touch what is watched are looked into.
const (
	ownersMost   = 256    // inputs of one transaction
	lookups      = 400    // calls for one block, or for one look at the pool: 16 s at the usual rate
	lookupsAfter = 40     // calls for one block while more than behindFrom wait to be read
	behindFrom   = 6      // blocks
	priorsMost   = 20_000 // outputs remembered: what waited in the pool is not asked for again when it is in a block
	refusedMost  = 3      // refusals in a row, after which the node is taken to have no index of transactions, for ten minutes
)

// prior is an output that a transaction spends.
type prior struct {
	owner   int    // of the watched addresses, -1 = a stranger's
	address string // "" = of a script without one
	value   int64  // satoshi
}

// parents remembers whose outputs were.
type parents struct {
	known   map[outpoint]prior
	order   []outpoint // as they came
	refused int        // in a row
	without time.Time  // until when the node is not asked as if it had an index
	unknown float64    // inputs told without an owner, since the start
	said    bool
}

// trace looks up who owned what the transactions of a block spend, of those that touch what is watched; so many blocks wait after it. The
// error is one of a node that cannot be asked at all; owners that it does not tell stay unknown, and are counted.
func (w *Watcher) trace(ctx context.Context, list []transaction, block hash, after int) error {
	calls := lookups
	if after > behindFrom {
		calls = lookupsAfter
	}
	if n := len(w.parents.order) - priorsMost; n > 0 {
		for _, o := range w.parents.order[:n] {
			delete(w.parents.known, o)
		}
		w.parents.order = slices.Clone(w.parents.order[n:])
	}
	unknown := 0.0
	fresh, here := map[outpoint]bool{}, map[hash]transaction{} // coins of watched addresses, and all transactions, of this block
	var touched, others []transaction                          // others touch what is followed alone: their turn comes last
	for _, t := range list {
		here[t.id] = t
		own, any := false, false
		for _, in := range t.ins {
			c, ours := w.coins[in]
			own = own || w.watched[in] || ours && w.own(c.owner)
			any = any || ours || fresh[in]
		}
		for n, out := range t.outs {
			if owner, ours := w.scripts[string(out.script)]; ours {
				own, any, fresh[outpoint{t.id, uint32(n)}] = own || w.own(owner), true, true
			}
		}
		switch {
		case t.coinbase():
		case own:
			touched = append(touched, t)
		case any:
			others = append(others, t)
		}
	}
	for _, t := range append(touched, others...) {
		if err := w.owners(ctx, t, block, here, &calls); err != nil {
			return err
		}
		for _, in := range t.ins {
			if _, ours := w.coins[in]; !ours && !fresh[in] && w.parents.known[in].address == "" {
				unknown++
			}
		}
	}
	w.parents.unknown += unknown
	return nil
}

// owners looks up whose the inputs of one transaction were, while calls are left. Block is the one it is in, zero = none; here are
// transactions that are known.
func (w *Watcher) owners(ctx context.Context, t transaction, block hash, here map[hash]transaction, calls *int) error {
	var heights map[hash]int64 // of the transactions before, where the node tells them
	tried := map[hash]bool{}
	for _, in := range t.ins[:min(len(t.ins), ownersMost)] {
		_, ours := w.coins[in]
		if _, known := w.parents.known[in]; ours || known || tried[in.tx] {
			continue
		}
		if len(w.parents.order) >= 2*priorsMost {
			return nil
		}
		tried[in.tx] = true
		p, known := here[in.tx]
		var err error
		switch {
		case known:
		case *calls <= 0:
			continue
		default:
			p, err = w.indexed(ctx, in.tx, calls)
		}
		if err != nil && !down(err) && block != (hash{}) {
			if heights == nil {
				if heights, err = w.heights(ctx, t.id, block, calls); down(err) {
					return err
				}
			}
			p, err = w.inBlock(ctx, in.tx, heights, calls)
		}
		if down(err) {
			return err
		}
		if err != nil {
			continue
		}
		for _, same := range t.ins[:min(len(t.ins), ownersMost)] {
			if same.tx == p.id && int64(same.n) < int64(len(p.outs)) {
				w.remember(same, p.outs[same.n])
			}
		}
	}
	return nil
}

func (w *Watcher) remember(o outpoint, out output) {
	if _, known := w.parents.known[o]; !known {
		w.parents.order = append(w.parents.order, o)
	}
	p := prior{-1, w.net.address(out.script), out.value}
	if owner, ours := w.scripts[string(out.script)]; ours {
		p.owner, p.address = owner, w.names[owner]
	}
	w.parents.known[o] = p
}

// indexed asks for a transaction by its id alone: nodes with an index of transactions have all, others those that wait.
func (w *Watcher) indexed(ctx context.Context, id hash, calls *int) (transaction, error) {
	if w.spared() || time.Now().Before(w.parents.without) {
		return transaction{}, errAbsent
	}
	*calls--
	t, err := w.transaction(ctx, id, "getrawtransaction", id.String(), 0)
	switch {
	case err == nil:
		w.parents.refused = 0
	case !down(err) && dial.Limited(err) == 0:
		if w.parents.refused++; w.parents.refused >= refusedMost {
			w.parents.refused, w.parents.without = 0, time.Now().Add(absentFor)
			if !w.parents.said {
				w.parents.said = true
				w.log.Info("the node does not show transactions by their id; start it with txindex=1, so that who pays is known", "why", dial.Sentence(err, w.cfg.URL))
			}
		}
	}
	return t, err
}

// heights asks a node without an index (Bitcoin Core 25 and later) in which blocks the coins were made that a transaction of a block spends.
func (w *Watcher) heights(ctx context.Context, id, block hash, calls *int) (map[hash]int64, error) {
	out := map[hash]int64{}
	const what = "getrawtransaction with what came before"
	if w.spared() || time.Now().Before(w.absent[what]) {
		return out, errAbsent
	}
	var got struct {
		Vin []struct {
			Tx      string `json:"txid"`
			Prevout *struct {
				Height int64 `json:"height"`
			} `json:"prevout"`
		} `json:"vin"`
	}
	*calls--
	err := w.call(ctx, &got, "getrawtransaction", id.String(), 2, block.String())
	for _, in := range got.Vin {
		if h, perr := parseHash(in.Tx); perr == nil && in.Prevout != nil && in.Prevout.Height >= 0 && err == nil {
			out[h] = in.Prevout.Height
		}
	}
	if err == nil && len(out) == 0 {
		err = errAbsent
	}
	if err != nil && !down(err) && dial.Limited(err) == 0 {
		w.absent[what] = time.Now().Add(absentFor)
	}
	return out, err
}

// inBlock asks for a transaction of a block whose height is known.
func (w *Watcher) inBlock(ctx context.Context, id hash, heights map[hash]int64, calls *int) (transaction, error) {
	height, known := heights[id]
	if !known || w.spared() {
		return transaction{}, errAbsent
	}
	*calls -= 2
	var on string
	if err := w.call(ctx, &on, "getblockhash", height); err != nil {
		return transaction{}, err
	}
	block, err := parseHash(on)
	if err != nil {
		return transaction{}, fmt.Errorf("%w: %w", dial.ErrNotJSON, err)
	}
	return w.transaction(ctx, id, "getrawtransaction", id.String(), 0, block.String())
}

// transaction asks for one and proves it: its bytes have the id that was asked for, so that a node cannot say that a coin was another's.
func (w *Watcher) transaction(ctx context.Context, id hash, method string, params ...any) (transaction, error) {
	var text string
	if err := w.call(ctx, &text, method, params...); err != nil {
		return transaction{}, err
	}
	t, err := parseTransaction(text)
	if err != nil || t.id != id {
		w.untrusted++
		w.sink.Samples([]chain.Sample{w.sample("tocsin_watch_answers_untrusted", w.untrusted)})
		return transaction{}, errUntrusted
	}
	return t, nil
}

// owner is whose an input was, "" when it is not known.
func (w *Watcher) owner(in outpoint, coins map[outpoint]coin) string {
	if c, ours := coins[in]; ours {
		return w.names[c.owner]
	}
	return w.parents.known[in].address
}

// spent is what was known to be spent by whom: the value by owner, and how many inputs nobody is known for.
func (w *Watcher) spent(t transaction, coins map[outpoint]coin) (by map[string]int64, unknown int) {
	by = map[string]int64{}
	for _, in := range t.ins {
		a := w.owner(in, coins)
		switch c, ours := coins[in]; {
		case a == "":
			unknown++
		case ours:
			by[a] += c.value
		default:
			by[a] += w.parents.known[in].value
		}
	}
	return by, unknown
}

// payer is who paid most of a transaction that spends nothing of the watched addresses, "" when that is not known or when strangers joined
// their payments (three owners or more, three equal outputs or more): then nobody can say who paid whom.
func payer(by map[string]int64, unknown int, equal int) (most string) {
	if len(by)+unknown >= 3 && equal >= 3 {
		return ""
	}
	for a, v := range by {
		if most == "" || v > by[most] || v == by[most] && a < most {
			most = a
		}
	}
	return most
}

// amounts are those of the outputs, equal ones first and together, at most inputsMost; and how many of one amount there are at most.
func amounts(t transaction) (list []string, equal int) {
	count := map[int64]int{}
	for _, o := range t.outs {
		if o.value > 0 {
			count[o.value]++
			equal = max(equal, count[o.value])
		}
	}
	values := slices.SortedFunc(maps.Keys(count), func(a, b int64) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(b, a)) })
	for _, v := range values {
		for range count[v] {
			if len(list) < inputsMost {
				list = append(list, btc(v))
			}
		}
	}
	return list, equal
}

// paidBy puts onto the payments of a transaction who paid them, and onto the first all who spent in it.
func (w *Watcher) paidBy(t transaction, out []observation.Observation, coins map[outpoint]coin) {
	by, unknown := w.spent(t, coins)
	list, equal := amounts(t)
	most := payer(by, unknown, equal)
	for i := range out {
		if out[i].Kind == observation.Transfer {
			out[i].From = most
		}
	}
	if len(out) > 0 && out[0].Kind == observation.Transfer && len(by) > 1 {
		owners := slices.Sorted(maps.Keys(by))
		owners = owners[:min(len(owners), ownersMost)]
		for range min(unknown, ownersMost) {
			owners = append(owners, "")
		}
		out[0].Owners, out[0].Amounts = owners, list
	}
}
