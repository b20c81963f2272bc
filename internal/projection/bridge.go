package projection

import "github.com/tocsin-ops/tocsin/internal/incident"

// Incident and Incidents are for callers that have not moved to LookInto, Card,
// Cards and Open yet. They know of closed incidents only those last used.

// Incident returns one incident if it is in memory, or ErrUnknown.
func (v View) Incident(number int64) (incident.State, error) {
	st, ok := v.w.whole[number]
	if !ok {
		return st, ErrUnknown
	}
	return st, nil
}

// Incidents returns the incidents in memory, ascending by number.
func (v View) Incidents() []incident.State {
	var out []incident.State
	for _, c := range v.Cards() {
		if st, ok := v.w.whole[c.Number]; ok {
			out = append(out, st)
		}
	}
	return out
}
