package evmwatch

import (
	"maps"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// followMost is how many addresses are followed at a time.
const followMost = 50

// followed is what Follow set and no look has taken yet.
type followed struct {
	mu    sync.Mutex
	asked []string
	fresh bool
}

// IsAddress tells whether something is an address as Follow takes it.
func IsAddress(text string) bool { return addressForm.MatchString(text) }

// Follow sets the addresses that are followed beside those of the Spec, at most 50; more, and what is no address, is passed over. Their
// transfers of coin and of every token are told with Followed set, unless an end of them is watched; their balances, nonces and waiting
// transactions are not. It takes effect at the next look and is safe for concurrent use, before Run too.
func (w *Watcher) Follow(list []string) {
	w.followed.mu.Lock()
	defer w.followed.mu.Unlock()
	w.followed.asked, w.followed.fresh = slices.Clone(list[:min(len(list), followMost)]), true
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
	now := map[common.Address]bool{}
	for _, text := range list {
		if addressForm.MatchString(text) {
			if a := common.HexToAddress(text); !w.plan.transfers[a] {
				now[a] = true
			}
		}
	}
	if maps.Equal(now, w.plan.followed) {
		return
	}
	w.plan.followed = now
	w.sink.Samples([]chain.Sample{w.sample("tocsin_watch_followed", float64(len(now)))})
}

// concerns tells whether a transfer is told, and whether only because somebody is followed.
func (p *plan) concerns(from, to common.Address, all bool) (told, followed bool) {
	if all || p.transfers[from] || p.transfers[to] {
		return true, false
	}
	followed = p.followed[from] || p.followed[to]
	return followed, followed
}
