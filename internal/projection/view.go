package projection

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// ErrUnknown says that the view has no such thing.
var ErrUnknown = errors.New("not known")

// View is a consistent picture of everything at one position. It is valid only
// inside World.Look or LookInto, except for values copied out of it: cards,
// incident and signal states are never changed after they were made.
type View struct{ w *World }

// Look calls see with a picture that stands still meanwhile. see must be quick
// and must not call the world.
func (w *World) Look(see func(View)) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	see(View{w})
}

// LookInto is Look with one incident as a whole, as of the picture's position:
// it is the only way to the state of a closed one, which may have to be read
// from the log first. The error is ErrUnknown, ctx's or the log's; see was then
// not called.
func (w *World) LookInto(ctx context.Context, number int64, see func(View, incident.State)) error {
	var read *incident.State
	for range looks {
		if done, err := w.lookAt(number, read, see); done || err != nil {
			return err
		}
		st, err := load(ctx, w.log, number, w.Position())
		if err != nil {
			return err
		}
		read = &st
		w.mu.Lock()
		if c, away := w.fold.cards[number]; away && c.Position == st.Position { // nothing came for it meanwhile
			w.keep(number, st)
			w.evict()
		}
		w.mu.Unlock()
	}
	return fmt.Errorf("look into incident %d: it changed %d times meanwhile", number, looks)
}

// lookAt shows an incident that is whole, or that was read and is still so.
func (w *World) lookAt(number int64, read *incident.State, see func(View, incident.State)) (done bool, err error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	st, ok := w.whole[number]
	if !ok {
		c, known := w.fold.cards[number]
		if !known {
			return true, ErrUnknown
		}
		if read == nil || read.Position != c.Position {
			return false, nil
		}
		see(View{w}, *read)
		return true, nil
	}
	if !incident.Open(st) {
		w.use(number, true)
	}
	see(View{w}, st)
	return true, nil
}

// Position is the offset of the last event in the picture.
func (v View) Position() int64 { return v.w.fold.position }

// Card returns the card of one incident, or ErrUnknown.
func (v View) Card(number int64) (incident.Card, error) {
	if st, ok := v.w.whole[number]; ok {
		return st.Card(), nil
	}
	c, ok := v.w.fold.cards[number]
	if !ok {
		return c, ErrUnknown
	}
	return c, nil
}

// Cards returns the cards of all incidents, ascending by number.
func (v View) Cards() []incident.Card {
	out := make([]incident.Card, 0, len(v.w.fold.cards)+len(v.w.whole))
	for _, c := range v.w.fold.cards {
		out = append(out, c)
	}
	for _, st := range v.w.whole {
		out = append(out, st.Card())
	}
	slices.SortFunc(out, func(a, b incident.Card) int { return int(a.Number - b.Number) })
	return out
}

// Open returns the incidents that people work on, whole, ascending by number.
func (v View) Open() []incident.State {
	var out []incident.State
	for _, st := range v.w.whole {
		if incident.Open(st) {
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b incident.State) int { return int(a.Number - b.Number) })
	return out
}

// Signals yields the newest episode of every signal that is open or was cleared
// not long ago, with the incident it is attached to filled in.
func (v View) Signals() iter.Seq[signal.Signal] {
	return func(yield func(signal.Signal) bool) {
		for _, id := range slices.Sorted(maps.Keys(v.w.fold.sources)) {
			for s := range v.w.fold.sources[id].state.All() {
				s.Incident = v.w.fold.attached[s.ID]
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Signal returns one signal by id, or ErrUnknown.
func (v View) Signal(id string) (signal.Signal, error) {
	for s := range v.Signals() {
		if s.ID == id {
			return s, nil
		}
	}
	return signal.Signal{}, ErrUnknown
}
