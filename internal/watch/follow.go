package watch

import (
	"context"
	"slices"
	"sync"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/chain/bitcoinwatch"
	"github.com/tocsin-ops/tocsin/internal/chain/evmwatch"
)

// MostFollowed is how many addresses of a chain are followed at a time.
const MostFollowed = 50

// following is who is followed, by chain, and the watchers that run.
type following struct {
	mu      sync.Mutex
	lists   map[string][]string
	running map[string]map[follower]bool
}

// follower is a watcher that can be told whom to follow, at any time.
type follower interface{ Follow([]string) }

// Chains are the names of the chains that something is watched on.
func (w *Watch) Chains() (names []string) {
	for _, c := range w.chains {
		names = append(names, c.Name)
	}
	return names
}

// Takes tells whether something is an address that can be followed on a chain.
func (w *Watch) Takes(name, address string) bool {
	for _, c := range w.chains {
		if c.Name == name {
			return c.Family == chain.EVM && evmwatch.IsAddress(address) || c.Family == chain.Bitcoin && bitcoinwatch.IsAddress(address)
		}
	}
	return false
}

// Follow sets the addresses that are followed on each chain, at most MostFollowed of one: what they pay and get is told with Followed set, until
// a later call leaves them out. Chains that nothing is watched on are passed over. It is safe for concurrent use, also while Run runs.
func (w *Watch) Follow(lists map[string][]string) {
	f := &w.following
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range w.chains {
		list := lists[c.Name]
		list = list[:min(len(list), MostFollowed)]
		if slices.Equal(list, f.lists[c.Name]) {
			continue
		}
		f.lists[c.Name] = slices.Clone(list)
		for x := range f.running[c.Name] {
			x.Follow(list)
		}
	}
}

// started tells a watcher of a chain whom to follow, from now until the returned function is called.
func (f *following) started(on string, x follower) (ended func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if list := f.lists[on]; len(list) > 0 {
		x.Follow(list)
	}
	if f.running[on] == nil {
		f.running[on] = map[follower]bool{}
	}
	f.running[on][x] = true
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.running[on], x)
	}
}

// followed runs a watcher that is told whom to follow as long as it runs.
func (w *Watch) followed(on string, x follower, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		defer w.following.started(on, x)()
		return run(ctx)
	}
}
