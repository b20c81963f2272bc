package web

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/wallet"
)

const (
	typedDays = 14 // days for which the addresses of a closed incident still count
	typedMost = 50 // closed incidents, the newest
)

// typed are the labels that people gave to addresses in incidents, by wallet.ID. They hold while the incident is open and some days longer, and
// are never written into the graph.
type typed map[string][]typedLabel

type typedLabel struct {
	wallet.Label
	room int64
	note string // what people wrote beside it
}

// sight is the graph with what people typed laid over it. An attacker's goes before what the graph says, everything else behind.
type sight struct {
	*wallet.Graph
	typed typed
}

// Labels are those of an address at a time, the one that names it first.
func (v sight) Labels(id string, at int64) []wallet.Label {
	told := v.Graph.Labels(id, at)
	var people []wallet.Label
	for _, l := range v.typed[id] {
		people = append(people, l.Label)
	}
	if len(people) > 0 && people[0].Type == wallet.Flagged {
		return append(people, told...)
	}
	return append(told, people...)
}

// Type is what an address is held to be at a time.
func (v sight) Type(id string, at int64) wallet.Type {
	for _, l := range v.Labels(id, at) {
		if l.Type != wallet.Unknown {
			return l.Type
		}
	}
	return wallet.Unknown
}

// typedPast remembers what closed incidents list, by number: it is read again only when the incident changed.
type typedPast struct {
	mu sync.Mutex
	of map[int64]typedList
}

type typedList struct {
	position int64
	list     []incident.Address
}

func (p *typedPast) copied() map[int64]typedList {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.of)
}

// keep stores what was read meanwhile; of two who read at once the last one's stands, and what it lacks is read again.
func (p *typedPast) keep(fresh map[int64]typedList) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of = fresh
}

// typedAddresses are what people typed in open incidents, and in those that were closed lately. A closed one that cannot be read now is
// passed over.
func (s *Server) typedAddresses(ctx context.Context) typed {
	type room struct {
		number int64
		list   []incident.Address
	}
	var rooms []room
	var closed []incident.Card
	since := s.now() - typedDays*24*3_600_000
	s.World.Look(func(v projection.View) {
		for _, st := range v.Open() {
			if !st.Drill {
				rooms = append(rooms, room{st.Number, st.Addresses})
			}
		}
		for _, c := range slices.Backward(v.Cards()) {
			if !c.Open() && !c.Drill && c.MergedInto == 0 && c.ResolvedAt >= since && len(closed) < typedMost {
				closed = append(closed, c)
			}
		}
	})
	have := s.typed.copied()
	fresh := make(map[int64]typedList, len(closed))
	for _, c := range closed {
		l, known := have[c.Number]
		if !known || l.position != c.Position {
			if err := s.World.LookInto(ctx, c.Number, func(_ projection.View, st incident.State) { l = typedList{st.Position, st.Addresses} }); err != nil {
				continue
			}
		}
		fresh[c.Number] = l
		rooms = append(rooms, room{c.Number, l.list})
	}
	s.typed.keep(fresh)

	out, ids := typed{}, map[string]string{}
	for _, c := range s.Chains.List() {
		ids[fold(c.Name)], ids[fold(c.ID)] = c.ID, c.ID
	}
	for _, r := range rooms {
		for _, a := range r.list {
			id := wallet.ID(cmp.Or(ids[fold(a.Chain)], a.Chain), a.Address)
			in := "#" + strconv.FormatInt(r.number, 10)
			out[id] = append(out[id], typedLabel{wallet.Label{Name: string(a.Kind) + ", " + in, Type: typedAs(a.Kind), Source: "incident " + in, At: a.At}, r.number, a.Label})
		}
	}
	for _, list := range out {
		slices.SortStableFunc(list, func(a, b typedLabel) int { // attackers first, then the newest
			flagged := func(l typedLabel) int { return map[bool]int{true: 0, false: 1}[l.Type == wallet.Flagged] }
			return cmp.Or(cmp.Compare(flagged(a), flagged(b)), cmp.Compare(b.At, a.At))
		})
	}
	return out
}

// fold is a chain's name as names are compared.
func fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

func typedAs(k incident.AddressKind) wallet.Type {
	switch k {
	case incident.AddressAttacker:
		return wallet.Flagged
	case incident.AddressOurs:
		return wallet.Watched
	case incident.AddressExchange:
		return wallet.Exchange
	case incident.AddressMixer:
		return wallet.Mixer
	case incident.AddressBridge:
		return wallet.Bridge
	case incident.AddressContract:
		return wallet.Contract
	}
	return wallet.Unknown
}
