package bitcoinwatch

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/dial"
	"github.com/tocsin-ops/tocsin/internal/observation"
)

const (
	followMost = 50 // addresses followed at a time
	seekTries  = 3  // looks for what a followed address holds already
	seekPause  = time.Minute
)

// followed are addresses that are somebody else's: what they do is told, marked as followed, and no balance is.
type followed struct {
	mu    sync.Mutex
	asked []string
	fresh bool // asked was set and not looked at yet

	now     map[int]bool // owners that are followed
	unknown map[int]int  // owners whose coins from before are not known, and how often they were looked for
	next    time.Time    // when to look again for what failed
	found   chan sought  // one at a time
	seeking bool
	late    *sought // its block is not read yet
	held    int     // of the coins
	full    bool    // said that there are more
}

// sought is what followed addresses hold at a block.
type sought struct {
	scan    *scanned
	scripts map[string]int
	err     error
}

// IsAddress tells whether something is an address as Follow takes it.
func IsAddress(text string) bool {
	_, err := script(text)
	return err == nil
}

// Follow sets the addresses that are followed beside those of the Spec, at most 50; more, and what is no Bitcoin address, is passed over. Their
// payments and spends are told with Followed set, unless the Spec names the other end. It takes effect at the next look and is safe for
// concurrent use, before Run too.
func (w *Watcher) Follow(list []string) {
	w.followed.mu.Lock()
	defer w.followed.mu.Unlock()
	w.followed.asked, w.followed.fresh = slices.Clone(list[:min(len(list), followMost)]), true
}

// own tells whether an owner is an address of the Spec.
func (w *Watcher) own(owner int) bool { return owner < len(w.cfg.Spec.Addresses) }

// alive tells whether an owner is watched or followed now.
func (w *Watcher) alive(owner int) bool { return w.own(owner) || w.followed.now[owner] }

// hold takes a coin, if there is room: what is followed has its own, and takes none from what is watched.
func (w *Watcher) hold(o outpoint, c coin) bool {
	w.release(o)
	f := &w.followed
	if w.own(c.owner) {
		if len(w.coins)-f.held >= coinsMost {
			w.exact = false
			return false
		}
		w.coins[o] = c
		return true
	}
	if f.held >= followedCoins {
		if !f.full {
			f.full = true
			w.log.Warn("followed addresses hold more outputs than are remembered; the spending of the rest is not seen", "remembered", followedCoins)
		}
		return false
	}
	w.coins[o] = c
	f.held++
	return true
}

// release lets a coin go.
func (w *Watcher) release(o outpoint) {
	if c, has := w.coins[o]; has {
		delete(w.coins, o)
		if !w.own(c.owner) {
			w.followed.held--
		}
	}
}

// ownScripts are those of the Spec's addresses: what people type in incidents has no part in what the balances are.
func (w *Watcher) ownScripts() map[string]int {
	out := map[string]int{}
	for s, owner := range w.scripts {
		if w.own(owner) {
			out[s] = owner
		}
	}
	return out
}

// follow takes what Follow set.
func (w *Watcher) follow() {
	f := &w.followed
	f.mu.Lock()
	list, fresh := f.asked, f.fresh
	f.fresh = false
	f.mu.Unlock()
	if !fresh {
		return
	}
	want := map[string]string{}
	for _, a := range list {
		s, err := script(a)
		if err != nil {
			w.log.Info("an address cannot be followed on this chain", "why", err)
			continue
		}
		if owner, has := w.scripts[string(s)]; !has || !w.own(owner) {
			want[string(s)] = a
		}
	}
	changed := false
	for s, owner := range maps.Clone(w.scripts) {
		if _, still := want[s]; still || w.own(owner) {
			continue
		}
		changed = true
		delete(w.scripts, s)
		delete(f.now, owner)
		delete(f.unknown, owner)
		for o, c := range w.coins {
			if c.owner == owner {
				w.release(o)
			}
		}
	}
	for _, s := range slices.Sorted(maps.Keys(want)) {
		if _, has := w.scripts[s]; has {
			continue
		}
		changed = true
		owner := len(w.names) // never used twice: what is taken back by a reorg may speak of one that is followed no more
		w.names = append(w.names, want[s])
		w.scripts[s], f.now[owner], f.unknown[owner] = owner, true, 0
	}
	if changed { // whose outputs were may be another's now
		w.parents.known, w.parents.order = map[outpoint]prior{}, nil
		w.tellFollowed()
	}
}

func (w *Watcher) tellFollowed() {
	w.sink.Samples([]chain.Sample{w.sample("tocsin_watch_followed", float64(len(w.followed.now)-len(w.followed.unknown)))})
}

// seek looks for what followed addresses hold already, so that its spending is seen: Bitcoin Core takes minutes for it, meanwhile the watch
// goes on, and one address after the other. What fails is tried again, three times; then only what comes from now on is known.
func (w *Watcher) seek(ctx context.Context, tasks *sync.WaitGroup) error {
	f := &w.followed
	if f.late == nil {
		select {
		case got := <-f.found:
			f.seeking, f.late = false, &got
		default:
		}
	}
	if got := f.late; got != nil && !w.spared() {
		f.late = nil
		if errors.Is(got.err, errAbsent) { // btcd: it has an index of addresses instead
			got.scan, got.err = w.search(ctx, got.scripts)
			if down(got.err) {
				return got.err
			}
		}
		if w.busy(w.limited(got.err)) {
			return nil
		}
		if got.err == nil && len(w.ring) > 0 && got.scan.height > w.tip().height {
			f.late = got
			return nil
		}
		if got.err == nil {
			if got.err = w.adopt(ctx, got); dial.Limited(got.err) > 0 {
				return nil // it is looked for again, and that is no try
			}
		}
		for _, owner := range got.scripts {
			tries, still := f.unknown[owner]
			switch {
			case !still:
			case got.err == nil:
				delete(f.unknown, owner)
			case tries+1 >= seekTries:
				delete(f.unknown, owner)
				w.log.Warn("what a followed address holds could not be asked; only the spending of what comes from now on is seen", "why", dial.Sentence(got.err, w.cfg.URL))
			default:
				f.unknown[owner] = tries + 1
			}
		}
		if got.err != nil {
			f.next = time.Now().Add(seekPause)
		}
		if down(got.err) {
			return got.err
		}
		w.tellFollowed()
	}
	if f.seeking || f.late != nil || w.scanWanted() || len(w.ring) == 0 || w.spared() || time.Now().Before(w.scanNext) {
		return nil // the node does one scan at a time, and the own one goes first
	}
	best, of := -1, ""
	for s, owner := range w.scripts { // one address: when it holds too much, only that one fails
		tries, open := f.unknown[owner]
		if open && (tries == 0 || !time.Now().Before(f.next)) && (best < 0 || cmp.Or(cmp.Compare(tries, f.unknown[best]), cmp.Compare(owner, best)) < 0) {
			best, of = owner, s
		}
	}
	if best < 0 {
		return nil
	}
	scripts := map[string]int{of: best}
	f.seeking = true
	tasks.Go(func() {
		s, err := w.scanSet(ctx, scripts)
		var missing *dial.RPCError
		if errors.As(err, &missing) && missing.Code == -32601 {
			err = errAbsent
		}
		f.found <- sought{s, scripts, err}
	})
	return nil
}

// unseek forgets a search that ended with its session.
func (w *Watcher) unseek() {
	select {
	case <-w.followed.found:
	default:
	}
	w.followed.seeking = false
}

// adopt takes what followed addresses held at a block, and tells what of it was spent in the blocks read since.
func (w *Watcher) adopt(ctx context.Context, got *sought) error {
	at := w.at(got.scan.height)
	if at == nil || at.hash != got.scan.hash {
		return errAbsent // its block left the chain, or is too old
	}
	coins := map[outpoint]coin{}
	for o, c := range got.scan.coins {
		if _, known := w.coins[o]; !known && w.alive(c.owner) && w.followed.held+len(coins) < followedCoins {
			coins[o] = c
		}
	}
	spent := map[outpoint]bool{}
	for h := got.scan.height + 1; h <= w.tip().height && len(coins) > 0; h++ {
		e := w.at(h)
		if e == nil || e.height != h {
			return errAbsent // a gap in what was read
		}
		var text string
		if err := w.call(ctx, &text, "getblock", e.hash.String(), 0); err != nil {
			return err
		}
		_, list, err := parseBlock(text, e.hash)
		if err != nil {
			return err
		}
		calls := lookups
		for _, t := range list {
			if !slices.ContainsFunc(t.ins, func(in outpoint) bool { _, ours := coins[in]; return ours }) {
				continue
			}
			if err := w.owners(ctx, t, e.hash, nil, &calls); err != nil {
				return err
			}
			spentThere := maps.Clone(e.spent)
			maps.Copy(spentThere, coins)
			for _, o := range w.events(t, spentThere, "chain") {
				o.Height, o.Block = e.height, e.hash.String()
				if o.Followed {
					w.sink.Observe(o)
					e.events = append(e.events, o)
				}
			}
			for _, in := range t.ins {
				if c, ours := coins[in]; ours {
					e.spent[in], spent[in] = c, true
				}
			}
		}
	}
	for o, c := range coins {
		if !spent[o] {
			w.hold(o, c)
		}
	}
	return nil
}

// followedOnly tells whether a payment or spend concerns nothing that is watched.
func (w *Watcher) followedOnly(o observation.Observation, ownSpent bool) bool {
	if o.Kind == observation.Spend {
		return !ownSpent
	}
	named := func(address string) bool {
		i := slices.Index(w.names, address)
		return i >= 0 && w.own(i)
	}
	return !named(o.From) && !named(o.To)
}
