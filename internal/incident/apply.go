package incident

import "slices"

// applier is what every body of this package can do: change a state that its
// caller owns, copying every slice and map before changing it.
type applier interface {
	apply(s *State, e Event)
}

// Apply is the state after an event. It is total: any event in any order gives
// a state; those that name what is not there, and unknown ones, change only
// Position and LastAt. It never changes what s, or any copy of s, refers to.
func Apply(s State, e Event) State {
	if b, ok := e.Body.(applier); ok {
		b.apply(&s, e)
	}
	if PersonOf(e.Actor) != "" {
		s.Paging = s.Paging.Hear(e.At)
	}
	s.Position, s.LastAt = max(s.Position, e.Offset), max(s.LastAt, e.At)
	return s
}

// with is the list and one more, in memory of its own.
func with[T any](list []T, x T) []T {
	return append(append(make([]T, 0, len(list)+1), list...), x)
}

// without is the list less what drop names, in memory of its own; nil when
// nothing is left.
func without[T any](list []T, drop func(T) bool) []T {
	var out []T
	for _, x := range list {
		if !drop(x) {
			out = append(out, x)
		}
	}
	return out
}

// edit changes element i of a copy; i < 0 leaves the list as it is.
func edit[T any](list []T, i int, change func(x *T)) []T {
	if i < 0 {
		return list
	}
	list = slices.Clone(list)
	change(&list[i])
	return list
}

// say writes an entry on the timeline. The parts hold only what the event
// itself says, so that blanking the event leaves nothing of it behind.
func (s *State) say(e Event, kind Kind, parts ...Part) {
	s.Timeline = s.Timeline.with(entry(e, kind, parts...))
}

func entry(e Event, kind Kind, parts ...Part) Entry {
	return Entry{
		Offset: e.Offset, EventID: e.EventID, CommandID: e.ID, At: e.At, Actor: e.Actor, Drill: e.Drill,
		Kind: kind, Type: e.Body.Type(), Parts: parts, Redacted: e.Redacted,
	}
}
