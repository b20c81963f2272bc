package oncall

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// Stream is where the events stand in the log.
const Stream = "oncall"

// version of the events' shape.
const version = 1

// Meta is the envelope of a command.
type Meta struct {
	ID    string // of the command; the same id twice is the same answer
	At    int64  // unix ms
	Actor string // as the log writes it: "person:ana"
	// Manage is true for who may change everything; others may only do what Own says, and only about themselves.
	Manage bool
}

// World is what the settings are judged against, beside themselves. No field may be nil.
type World struct {
	Zone   func(name string) (*time.Location, error) // by IANA name
	Person func(handle string) (name string, ok bool)
	Role   func(name string) bool // whether an incident has such a role
}

// Diff is one thing as it stood and as it stands; nil: there was, or is, none.
type Diff[T any] struct {
	Before *T `json:"before,omitempty"`
	After  *T `json:"after,omitempty"`
}

// Placed is an override with its schedule.
type Placed struct {
	Schedule string   `json:"schedule"`
	Override Override `json:"override"`
}

// Body is one fact of the stream: what a command changed, thing by thing, so that it can be undone.
type Body struct {
	Type  string   `json:"-"`               // past tense: "oncall.team_created"
	Says  string   `json:"says"`            // what was done, one sentence without the actor
	Notes []string `json:"notes,omitempty"` // what was resolved on the way: a local time that comes twice

	Teams     []Diff[Team]              `json:"teams,omitempty"`
	Schedules []Diff[Schedule]          `json:"schedules,omitempty"` // without their overrides
	Overrides []Diff[Placed]            `json:"overrides,omitempty"`
	Swaps     []Diff[Swap]              `json:"swaps,omitempty"`
	HandOvers []Diff[HandOver]          `json:"hand_overs,omitempty"`
	Policies  []Diff[escalation.Policy] `json:"policies,omitempty"`
	Rules     *Diff[[]Rule]             `json:"rules,omitempty"`

	// Explicit is true of Policies whose AckTimeout of 0 says nothing; in those of before it was how people wrote never.
	Explicit bool `json:"explicit,omitempty"`

	Undoes string `json:"undoes,omitempty"` // id of the event that this takes back
}

// Event is one event of the stream.
type Event struct {
	ID    string
	Seq   int64
	At    int64 // unix ms
	Actor string
	Body  Body
}

// types are all types of event.
var types = map[string]bool{}

func typeOf(name string) string { types["oncall."+name] = true; return "oncall." + name }

// The types of event.
var (
	teamCreated     = typeOf("team_created")
	teamChanged     = typeOf("team_changed")
	teamRemoved     = typeOf("team_removed")
	scheduleCreated = typeOf("schedule_created")
	scheduleChanged = typeOf("schedule_changed")
	scheduleRemoved = typeOf("schedule_removed")
	overrideAdded   = typeOf("override_added")
	overrideRemoved = typeOf("override_removed")
	swapOffered     = typeOf("swap_offered")
	swapAccepted    = typeOf("swap_accepted")
	swapDeclined    = typeOf("swap_declined")
	swapWithdrawn   = typeOf("swap_withdrawn")
	handOverNoted   = typeOf("hand_over_noted")
	policyCreated   = typeOf("policy_created")
	policyChanged   = typeOf("policy_changed")
	policyRemoved   = typeOf("policy_removed")
	rulesChanged    = typeOf("rules_changed")
	changeUndone    = typeOf("change_undone")
)

// Encode is the inverse of Decode.
func Encode(b Body) (typ string, ver int, data []byte, err error) {
	if !types[b.Type] {
		return "", 0, nil, fmt.Errorf("encode %q: it is no event of %s", b.Type, Stream)
	}
	data, err = json.Marshal(b)
	return b.Type, version, data, err
}

// Decode reads an event of Stream. ok is false for one that is redacted or of a type that this version does not know.
func Decode(typ string, ver int, data []byte) (b Body, ok bool, err error) {
	if data == nil || !types[typ] {
		return Body{}, false, nil
	}
	if ver > version {
		return Body{}, false, fmt.Errorf("decode %s: version %d is newer than this program; update it", typ, ver)
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return Body{}, false, fmt.Errorf("decode %s: %w", typ, err)
	}
	b.Type = typ
	return b, true, nil
}
