package incident

// applier is what every body of this package can do: change a state that its
// caller owns, copying every slice before changing it.
type applier interface {
	apply(s *State, e Event)
}

// Apply is the state after an event. It is total: any event in any order gives
// a state, unknown ones change only Position and LastAt. It never changes what
// s, or any copy of s, refers to.
func Apply(s State, e Event) State {
	if b, ok := e.Body.(applier); ok {
		b.apply(&s, e)
	}
	s.Position, s.LastAt = max(s.Position, e.Offset), max(s.LastAt, e.At)
	return s
}
