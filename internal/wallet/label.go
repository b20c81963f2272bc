package wallet

import (
	"cmp"
	"errors"
	"maps"
	"slices"
)

// Type is what an address is.
type Type string

// The types. Those of Public deal with everybody: nothing is concluded from dealing with them.
const (
	Unknown  Type = ""
	Account  Type = "eoa"
	Contract Type = "contract"
	Exchange Type = "exchange"
	Mixer    Type = "mixer"
	Bridge   Type = "bridge"
	Watched  Type = "watched"
	Flagged  Type = "flagged" // somebody says that it took part in a theft, or is under sanctions
)

// Public tells whether an address of the type deals with everybody.
func (t Type) Public() bool { return t == Contract || t == Exchange || t == Mixer || t == Bridge }

// Label says what somebody holds an address to be. It is about that address alone and never spreads.
type Label struct {
	Name   string `json:"name"`
	Type   Type   `json:"type,omitempty"`
	Source string `json:"source"`          // who says so: a person, a list and its date
	At     int64  `json:"at"`              // unix ms when it was said
	Until  int64  `json:"until,omitempty"` // unix ms from which it no longer counts; 0 = it does not expire
}

// mostPerAddress labels are kept of one address, the newest.
const mostPerAddress = 8

// ErrLabel says why a label was not taken.
var ErrLabel = errors.New("a label needs a name, a source and an address, and there may be labels on at most 50,000 addresses: take old ones away")

// Label says something of an address; a newer one of the same source takes the place of the older.
func (g *Graph) Label(id string, l Label) error {
	if id == "" || l.Name == "" || l.Source == "" || len(g.labels[id]) == 0 && len(g.labels) >= MostLabels {
		return ErrLabel
	}
	l.Name, l.Source = short(l.Name), short(l.Source)
	list := slices.Clone(g.labels[id])
	for i, old := range list {
		if old.Source == l.Source {
			if old.At > l.At {
				return nil
			}
			list = slices.Delete(list, i, i+1)
			break
		}
	}
	list = append(list, l)
	slices.SortFunc(list, func(a, b Label) int { return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(a.Source, b.Source)) })
	g.labels[id] = list[:min(len(list), mostPerAddress)]
	return nil
}

// Unlabel takes away what a source said of an address.
func (g *Graph) Unlabel(id, source string) {
	g.labels[id] = slices.DeleteFunc(g.labels[id], func(l Label) bool { return l.Source == short(source) })
	if len(g.labels[id]) == 0 {
		delete(g.labels, id)
	}
}

// Unsay takes away all that a source said, but of the addresses that keep tells.
func (g *Graph) Unsay(source string, keep func(id string) bool) {
	for _, id := range slices.Sorted(maps.Keys(g.labels)) {
		if !keep(id) {
			g.Unlabel(id, source)
		}
	}
}

// Labels are those of an address that count at a time, the newest first.
func (g *Graph) Labels(id string, at int64) (list []Label) {
	for _, l := range g.labels[id] {
		if l.At <= at && (l.Until == 0 || at < l.Until) {
			list = append(list, l)
		}
	}
	return list
}

// Type is what an address is held to be at a time: by the newest label that says a type.
func (g *Graph) Type(id string, at int64) Type {
	for _, l := range g.Labels(id, at) {
		if l.Type != Unknown {
			return l.Type
		}
	}
	return Unknown
}

// Public tells whether an address deals with everybody: by its label, or because it has dealt with as many as the limits say.
func (g *Graph) Public(id string, at int64) bool {
	return g.Type(id, at).Public() || g.Degree(id) >= g.limits.Degree
}

// publics is Public, remembered for the length of one answer.
func (g *Graph) publics(at int64) func(id string) bool {
	known := map[string]bool{}
	return func(id string) bool {
		is, has := known[id]
		if !has {
			is = g.Public(id, at)
			known[id] = is
		}
		return is
	}
}
