// Package escalation owns who is due a page now: what a policy says, how far one incident's paging has come, and the next thing to do about it. It
// never reads a clock, never looks anybody up by itself and never sends anything.
package escalation

// Policy says who is paged about an incident, in which order, until somebody takes it. All durations are in milliseconds.
type Policy struct {
	ID   string `json:"id"`   // "esc-…"
	Name string `json:"name"` // what people read
	// Steps are gone through in order. At most MaxSteps.
	Steps []Step `json:"steps"`
	// Repeat is how often the steps are begun again after the last one's wait is over; 0: once through, and then the room says that nobody answered.
	Repeat int `json:"repeat,omitempty"`
	// AckTimeout is how long an acknowledged incident may be without any event by a person before it pages again; Never, or 0: for ever. In settings 0
	// is that nobody said; package oncall makes an hour of it when it pages by the policy.
	AckTimeout int64 `json:"ack_timeout,omitempty"`
	// Version counts the changes of the policy; an escalation keeps the version it began with until a person moves it to the newer one.
	Version int64 `json:"version,omitempty"`
}

// Step is one round of pages.
type Step struct {
	Targets []Target `json:"targets"`
	// Wait is how long the step's people have to acknowledge before the next step begins.
	Wait int64 `json:"wait"`
	// Need is how many different people must acknowledge before this step's pages stop, as signers m of n; 0 and 1: one.
	Need int `json:"need,omitempty"`
	// If skips the step when it does not hold at the moment that the step would begin. Nil always holds.
	If *Condition `json:"if,omitempty"`
}

// Kinds of Target.
const (
	TargetPerson   = "person"   // Name is a handle
	TargetSchedule = "schedule" // Name is a schedule's id: who is on call there at that moment
	TargetRole     = "role"     // Name is a role of the incident: its holders at that moment
	TargetTeam     = "team"     // Name is a team's id: all of its members
	TargetSigners  = "signers"  // Name is a team's id: its members, paged together until Step.Need of them acknowledged
)

// Target is somebody to page.
type Target struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// Condition holds when all that is set holds.
type Condition struct {
	Severity string `json:"severity,omitempty"` // at least as bad as this: SEV1 … SEV5
	Hours    *Hours `json:"hours,omitempty"`    // only within, or only outside of, these hours
	Unacked  int64  `json:"unacked,omitempty"`  // nobody has acknowledged for this long since the escalation began
	Alerts   int    `json:"alerts,omitempty"`   // at least so many signals attached …
	Within   int64  `json:"within,omitempty"`   // … in this long
}

// Hours are hours of a week in a zone. From after To runs over midnight; From equal to To is the whole day.
type Hours struct {
	Zone string `json:"zone"`           // IANA name
	Days []int  `json:"days,omitempty"` // 0 is Sunday, as time.Weekday; none: every day
	From string `json:"from"`           // 15:04
	To   string `json:"to"`
	Not  bool   `json:"not,omitempty"` // outside of them
}

// Never is an AckTimeout that somebody chose: an acknowledgement holds for ever.
const Never = -1

// Bounds of a policy.
const (
	MaxSteps   = 20
	MaxTargets = 20 // of one step
	MaxRepeat  = 9
	MaxPeople  = 200 // paged by one step
)
