package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/wallet"
	"github.com/tocsin-ops/tocsin/internal/watch"
)

const (
	followEvery = time.Second        // between looks for what was typed
	followMost  = watch.MostFollowed // addresses of all chains together
)

// followed says of the addresses of open incidents whether their transfers are followed, and why not. Safe for concurrent use.
type followed struct {
	mu   sync.Mutex
	says map[string]string // by wallet.ID
}

// Following implements web.Wallets.
func (f *followed) Following(id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.says[id]
}

// runFollowed has the watchers follow the addresses of open incidents, from when they are typed until the incident closes, and until ctx ends.
func (a *App) runFollowed(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	seen := int64(-1)
	for {
		seen = a.follow(seen)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// follow tells the watchers whom to follow, if anything came since a position of the log, and gives the position that it looked at.
func (a *App) follow(seen int64) (position int64) {
	var rooms []incident.State
	a.world.Look(func(v projection.View) {
		if position = v.Position(); position != seen {
			rooms = v.Open()
		}
	})
	if position == seen {
		return seen
	}
	lists, says := a.toFollow(rooms)
	a.watches.Follow(lists)
	a.detect.followed.mu.Lock()
	defer a.detect.followed.mu.Unlock()
	a.detect.followed.says = says
	return position
}

// toFollow chooses among the addresses of incidents: attackers first, then the newest. Exercises have none, and whom any incident lists as one who
// deals with everybody is followed nowhere. Only "attacker" beats that: who missed the money of a thief that hides behind an exchange has lost more
// than who follows an exchange in vain.
func (a *App) toFollow(rooms []incident.State) (lists map[string][]string, says map[string]string) {
	type one struct {
		is   incident.Address
		room int64
	}
	var all []one
	attacker, everybody := map[string]bool{}, map[string]incident.AddressKind{} // by wallet.ID
	for _, st := range rooms {
		if st.Drill {
			continue
		}
		for _, x := range st.Addresses {
			all = append(all, one{x, st.Number})
			switch id := wallet.ID(a.chain.named(x.Chain), x.Address); {
			case x.Kind == incident.AddressAttacker:
				attacker[id] = true
			case dealsWithEverybody(x.Kind):
				everybody[id] = max(everybody[id], x.Kind) // one of them, in whatever order
			}
		}
	}
	slices.SortStableFunc(all, func(x, y one) int {
		first := func(k incident.AddressKind) int {
			return map[bool]int{true: 0, false: 1}[k == incident.AddressAttacker]
		}
		return cmp.Or(cmp.Compare(first(x.is.Kind), first(y.is.Kind)), cmp.Compare(y.is.At, x.is.At), cmp.Compare(x.room, y.room))
	})
	lists, says = map[string][]string{}, map[string]string{}
	n, watched := 0, a.watches.Chains()
	for _, x := range all {
		chain := a.chain.named(x.is.Chain)
		id := wallet.ID(chain, x.is.Address)
		const not = "Its transfers are not followed: "
		switch {
		case strings.HasPrefix(says[id], "Its transfers are followed"):
		case everybody[id] != "" && !attacker[id]:
			says[id] = not + "an exchange, a mixer, a bridge or a contract deals with everybody."
		case !slices.Contains(watched, chain):
			says[id] = not + "nothing is watched on this chain. Name it under watches in the configuration."
		case !a.watches.Takes(chain, x.is.Address):
			says[id] = not + "it is not written as an address of this chain. Look at it in the room."
		case n >= followMost:
			says[id] = not + fmt.Sprintf("%d addresses are, and no more. Take those off the lists of open incidents that nobody needs.", followMost)
		default:
			n++
			lists[chain] = append(lists[chain], x.is.Address)
			says[id] = fmt.Sprintf("Its transfers are followed since incident #%d lists it, until that is closed. Those before are not known.", x.room)
			if k := everybody[id]; k != "" {
				says[id] += fmt.Sprintf(" It is listed as %s too: as an attacker it is followed all the same.", publicKinds[k])
			}
		}
	}
	for _, list := range lists {
		slices.Sort(list) // the same addresses are the same list
	}
	return lists, says
}

// publicKinds are those of addresses that deal with everybody, with their names.
var publicKinds = map[incident.AddressKind]string{
	incident.AddressExchange: "an exchange", incident.AddressMixer: "a mixer", incident.AddressBridge: "a bridge", incident.AddressContract: "a contract",
}

func dealsWithEverybody(k incident.AddressKind) bool { return publicKinds[k] != "" }

// named is the id of the chain that somebody names, or the name as it was given when it is not known.
func (c *chains) named(name string) string {
	name = strings.TrimSpace(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range slices.Concat(c.fixed, c.added) {
		if strings.EqualFold(t.Name, name) || strings.EqualFold(c.names[t.Name], name) {
			return t.Name
		}
	}
	return name
}
