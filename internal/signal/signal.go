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
