// Package signal owns what one normalized finding from outside is: its
// identity, its life cycle from open to cleared, and the rule set that says
// which incident it belongs to. It never reads a clock, a socket or a store,
// and it never writes an incident.
package signal

import (
	"encoding/json"
	"slices"
)

// Severities, worst first. They are spelled as the incident core spells them.
const (
	SEV1 = "SEV1" // funds are moving
	SEV2 = "SEV2"
	SEV3 = "SEV3"
	SEV4 = "SEV4"
	SEV5 = "SEV5" // information
)

// DefaultSeverity is what an observation gets that names none, or one that is
// not SEV1 to SEV5.
const DefaultSeverity = SEV3

// States of a signal.
const (
	StateOpen    = "open"
	StateCleared = "cleared"
)

// Timing of the life cycle, in milliseconds.
const (
	// RepeatEvery is the least time between two logged repeats of one signal.
	RepeatEvery = 60_000
	// ReplayWindow is how long after a clear a firing with a start that the
	// clear covers counts as a replay of the past. Later than that the sender
	// means it: Prometheus comes back from an outage with the start it had
	// before Alertmanager timed its alert out.
	ReplayWindow = 5 * 60_000
	// Retention is how long a cleared signal stays in State, to recognise
	// replays. The log keeps it for ever.
	Retention = 7 * 24 * 3600_000
)

// Link is a place where a person can read more. URL is http or https.
type Link struct {
	Text string `json:"text,omitempty"`
	URL  string `json:"url"`
}

// Observation is one thing that a source said about one signal, already
// decoded. Times are unix milliseconds UTC; 0 means unknown.
type Observation struct {
	// Key is the identity inside the source, stable over the life of the alert.
	// It never depends on text that people read.
	Key string
	// Kind says what was found ("reorg", an alert name); Subject on what (a
	// node, an instance).
	Kind, Subject string
	// Title is one line; Reason is why the sender thinks so.
	Title, Reason string
	// Severity is SEV1 to SEV5; anything else counts as DefaultSeverity.
	Severity string
	// Firing is false for a resolve. It is not looked at when Ack is set.
	Firing bool
	// Ack says that somebody at the sender took the alert.
	Ack bool
	// At is when we heard it, by our clock. StartsAt and EndsAt are the
	// sender's times; without them the order of arrival decides.
	At, StartsAt, EndsAt int64
	// Chain, Component and Group are what Correlate joins on. Group is the
	// sender's own grouping, meaningful inside the source only.
	Chain, Component, Group string
	Labels                  map[string]string
	Links                   []Link
	// Evidence is what backs the finding, as the sender's JSON.
	Evidence json.RawMessage
	// Drill marks an exercise. A drill's keys are apart from the real ones.
	Drill bool
	// OutUntil is until when pages about a drill's signal may leave the building, unix ms; 0: never. It is never taken from outside.
	OutUntil int64
	// Quiet and Joint are stamped by who makes observations durable; they count
	// for the firing that opens the signal.
	Quiet *Quiet
	Joint *Joint
	// Finding is what a detector of ours says beyond that; zero for what others sent.
	Finding
}

// Finding is what a detector of ours says of its own certainty.
type Finding struct {
	// Detector names what found it; feedback and figures go by it.
	Detector string `json:"detector,omitempty"`
	// Score is the tail probability of what was seen if all were normal; 0 = a rule without probability.
	Score float64 `json:"score,omitempty"`
	// Bound is the tail probability that its detector alarms at as shipped; 0 = it has no threshold.
	Bound float64 `json:"bound,omitempty"`
	// Weak findings are for the review queue: they neither declare nor join.
	Weak bool `json:"weak,omitempty"`
	// Verification is "" (not needed), confirmed, one_node, unverifiable or
	// waited. Seen names the nodes that saw it.
	Verification string   `json:"verification,omitempty"`
	Seen         []string `json:"seen,omitempty"`
}

// Held says that the finding declares and joins nothing yet: nobody else has
// confirmed it, and the wait for that is not over.
func (f Finding) Held() bool { return f.Verification == "one_node" || f.Verification == "unverifiable" }

// differs says that the certainty changed in a way that people act on: also that one more node shows what is held, as when two of one operator do.
func (f Finding) differs(g Finding) bool {
	return f.Weak != g.Weak || f.Verification != g.Verification || f.Held() && len(f.Seen) > len(g.Seen)
}

// Signal is one episode of one key: from the firing that opened it to the
// resolve that cleared it. A firing after that is a new Signal with a new ID.
type Signal struct {
	ID        string            `json:"id"`
	Source    string            `json:"source"`
	Key       string            `json:"key"`
	Episode   int               `json:"episode"`
	Kind      string            `json:"kind"`
	Subject   string            `json:"subject"`
	Title     string            `json:"title"`
	Reason    string            `json:"reason"`
	Severity  string            `json:"severity"`
	Chain     string            `json:"chain,omitempty"`
	Component string            `json:"component,omitempty"`
	Group     string            `json:"group,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Links     []Link            `json:"links,omitempty"`
	Evidence  json.RawMessage   `json:"evidence,omitempty"`
	Drill     bool              `json:"drill,omitempty"`
	// State is StateOpen or StateCleared.
	State          string `json:"state"`
	Acknowledged   bool   `json:"acknowledged,omitempty"`
	AcknowledgedBy string `json:"acknowledged_by,omitempty"` // actor
	// OpenedAt, ClearedAt and LastAt are by our clock. StartsAt is the newest
	// start the sender named, EndsAt the end it named.
	OpenedAt  int64 `json:"opened_at"`
	ClearedAt int64 `json:"cleared_at,omitempty"`
	LastAt    int64 `json:"last_at"`
	StartsAt  int64 `json:"starts_at,omitempty"`
	EndsAt    int64 `json:"ends_at,omitempty"`
	// Count is how often it was logged as firing: the opening, and repeats at
	// most one a minute.
	Count int `json:"count"`
	// Incident is the number of the incident it is attached to, 0 for none. The
	// signal's own stream does not tell; whoever also follows the incidents
	// fills it in.
	Incident int64 `json:"incident,omitempty"`
	// Quiet is why it declares and joins nothing for now; nil for the others.
	Quiet *Quiet `json:"quiet,omitempty"`
	// Joint is the grouping rule it fell under when it opened; nil for none.
	Joint *Joint `json:"joint,omitempty"`
	// OutUntil is until when pages about it may leave the building although it is of a drill, unix ms; 0: never.
	OutUntil int64 `json:"out_until,omitempty"`
	Finding
}

// IsOpen says that the signal has not been cleared.
func (s Signal) IsOpen() bool { return s.State == StateOpen }

// Identity names the thing behind all episodes of a key, across sources. It is
// for comparing only.
func (s Signal) Identity() string {
	if s.Drill {
		return s.Source + "\x00drill\x00" + s.Key
	}
	return s.Source + "\x00" + s.Key
}

// GroupIdentity names the sender's group across sources, "" when it has none.
func (s Signal) GroupIdentity() string {
	if s.Group == "" {
		return ""
	}
	return s.Source + "\x00" + s.Group
}

var severities = []string{SEV1, SEV2, SEV3, SEV4, SEV5}

// Rank is 1 for SEV1 to 5 for SEV5, and 0 for anything else.
func Rank(severity string) int { return slices.Index(severities, severity) + 1 }
