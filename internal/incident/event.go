package incident

// Meta is the envelope of a command: who gives it, when, under which id.
type Meta struct {
	ID    string // command id; the log answers the same id with the same events
	At    int64  // unix ms UTC
	Actor string // "person:ana", "token:<id>", "source:<id>", "system:<name>"
	Drill bool
}

// Redaction says who blanked an event, when and why.
type Redaction struct {
	By     string
	At     int64
	Reason string
}

// Event is a fact of an incident's stream.
type Event struct {
	Meta
	Offset   int64  // global offset
	EventID  string // id of the event in the log
	Redacted *Redaction
	Body     Body
}

// Body is what an event says. Each type of event has one struct.
type Body interface {
	// Type is the name in the log, "incident.declared".
	Type() string
}

// Command is a wish that Decide refuses or turns into events. Each command has
// one struct.
type Command interface {
	// Name is the name that the API uses, "set_severity".
	Name() string
}

// Blank is the body of an event whose payload was blanked.
type Blank struct {
	EventType string // what it was
}

// Type is the type of the event that was blanked.
func (b Blank) Type() string { return b.EventType }

// Unknown is the body of an event that this program is too old, or too new, to
// read. Apply passes over it.
type Unknown struct {
	EventType string
	Version   int
	Raw       []byte
}

// Type is the type as the log names it.
func (b Unknown) Type() string { return b.EventType }
