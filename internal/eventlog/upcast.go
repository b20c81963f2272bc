package eventlog

import "encoding/json"

// Upcast turns the payload of an old event into that of a newer type or version.
// It must be total and pure: old logs must replay for ever.
type Upcast func(data json.RawMessage) (typ string, version int, out json.RawMessage)

// Upcasters maps type and version to the next form. Fill it before Open; it is
// only read afterwards. The nil map of a zero Upcasters passes all events through.
type Upcasters struct{ steps map[kind]Upcast }

type kind struct {
	typ     string
	version int
}

// maxSteps ends a circle of upcasters.
const maxSteps = 64

// Register adds one step. A second step for the same type and version replaces
// the first.
func (u *Upcasters) Register(typ string, version int, step Upcast) {
	if u.steps == nil {
		u.steps = make(map[kind]Upcast)
	}
	u.steps[kind{typ, version}] = step
}

// apply brings e to its newest form. Unknown types pass, and so do redacted
// events: there is no payload to convert.
func (u *Upcasters) apply(e *Event) {
	if u == nil || e.Redacted != nil {
		return
	}
	for range maxSteps {
		step, ok := u.steps[kind{e.Type, e.Version}]
		if !ok {
			return
		}
		e.Type, e.Version, e.Data = step(e.Data)
	}
}
