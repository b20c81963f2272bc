package incident

import (
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/impact"
)

// State is one incident as its events tell it. It is a value: Apply returns a
// new one and never changes anything that an older one refers to, so a State
// may be read from any goroutine while newer ones are made. Readers must not
// change what its slices and maps hold. All times are unix milliseconds UTC;
// 0 means unknown.
type State struct {
	Number   int64  // the number people say, "#42"
	ID       string // the id that declare was given
	Declared bool   // false: nothing has happened here yet
	Drill    bool

	Title    string
	Summary  string
	Severity Severity
	Status   Status

	Components []string // as given, no duplicates
	Chains     []string

	ImpactBeganAt int64
	DetectedAt    int64
	DeclaredAt    int64
	ResolvedAt    int64 // 0 while open, and again after reopen
	ReviewedAt    int64
	DeclaredBy    string // actor
	Validation    string // how recovery was checked, set by Resolve

	Roles            []Assignment // in the order in which they were given
	PendingHandovers []HandOver   // at most one a role
	Timeline         Timeline
	Tasks            []Task   // T1, T2, ...
	Links            []Link   // L1, L2, ... without the removed ones
	Updates          []Update // U1, U2, ... the discarded ones too
	Signals          []Signal // attached now, in the order of attaching, by id within one event
	Audiences        []Audience
	Addresses        []Address     // A1, A2, ... without those that were taken off
	Transactions     []Transaction // X1, X2, ... without those that were taken off

	Category string            // one lower-case word; "" is not known
	Facts    []impact.Fact     // in the order of their names
	Impact   impact.Assessment // the newest; its At is 0 before the first
	Scores   []impact.Point    // the newest MaxScores assessments, oldest first
	Advice   impact.Advice     // what the assessments advise, and whether it was declined
	Triage   Triage
	Paging   escalation.State

	MergedInto int64   // 0: not merged
	Absorbed   []int64 // incidents that were merged into this one

	Position int64 // global offset of the newest event applied; -1: none (see New)
	LastAt   int64 // time of the newest event applied

	lastTask, lastLink, lastUpdate        int
	lastAddress, lastTransaction          int
	titleFrom, summaryFrom, validatedFrom int64 // offsets of the events that last set these texts
	impactFrom                            int64
	adviceFrom                            int64
}

// New is the state before the first event of incident number. Decide takes the
// number and the id for the declared event from it.
func New(number int64, id string) State {
	return State{Number: number, ID: id, Position: -1, titleFrom: -1, summaryFrom: -1, validatedFrom: -1, impactFrom: -1}
}

// Assignment is one person in one role.
type Assignment struct {
	Role   Role
	Person string // handle
	Since  int64
	By     string // actor who assigned
}

// HandOver is a role offered to somebody who has not answered yet.
type HandOver struct {
	Role   Role
	From   string // handle of the holder when it was offered; "" when vacant
	To     string // handle
	Note   string
	At     int64
	By     string // actor who offered
	Offset int64
}

// Task is something to be done by somebody.
type Task struct {
	ID       string `json:"task"` // "T1"
	Title    string `json:"title,omitempty"`
	Assignee string `json:"assignee,omitempty"` // handle; "" is nobody
	Due      int64  `json:"due,omitempty"`
	Done     bool   `json:"done,omitempty"`
	DoneAt   int64  `json:"done_at,omitempty"`
	DoneBy   string `json:"done_by,omitempty"` // actor
	At       int64  `json:"at,omitempty"`      // added
	By       string `json:"by,omitempty"`      // actor who added
	Offset   int64  `json:"offset,omitempty"`
	Redacted bool   `json:"redacted,omitempty"` // the title was blanked
}

// Link is a pointer to something outside.
type Link struct {
	ID       string // "L1"
	URL      string // http or https; "" when redacted
	Title    string
	At       int64
	By       string
	Offset   int64
	Redacted bool
}

// UpdateState is the life of an update.
type UpdateState string

// A published update stays published: a correction is a new update.
const (
	UpdateDraft       UpdateState = "draft"
	UpdateIsApproved  UpdateState = "approved"
	UpdateIsPublished UpdateState = "published"
	UpdateIsDiscarded UpdateState = "discarded"
)

// Update is what one audience is told.
type Update struct {
	ID         string            `json:"update"`             // "U1"
	Audience   string            `json:"audience,omitempty"` // "public", or another lower-case name
	Headline   string            `json:"headline,omitempty"`
	Text       string            `json:"text,omitempty"`
	Phase      string            `json:"phase,omitempty"`      // investigating, identified, monitoring, resolved
	Components map[string]string `json:"components,omitempty"` // component -> operational, degraded_performance, partial_outage, major_outage, under_maintenance
	NextDue    int64             `json:"next_due,omitempty"`   // when the next update is promised; 0: nothing promised

	State        UpdateState `json:"state,omitempty"`
	DraftedBy    string      `json:"drafted_by,omitempty"` // actor
	DraftedAt    int64       `json:"drafted_at,omitempty"`
	Author       string      `json:"author,omitempty"`      // actor who last wrote the text; who approves must be another
	EditedAt     int64       `json:"edited_at,omitempty"`   // 0: never edited
	ApprovedBy   string      `json:"approved_by,omitempty"` // "" unless the text as it stands is approved
	ApprovedAt   int64       `json:"approved_at,omitempty"`
	SelfApproved bool        `json:"self_approved,omitempty"` // the author approved alone, as nobody else held a role
	PublishedBy  string      `json:"published_by,omitempty"`
	PublishedAt  int64       `json:"published_at,omitempty"`
	DiscardedBy  string      `json:"discarded_by,omitempty"`
	DiscardedAt  int64       `json:"discarded_at,omitempty"`
	Offset       int64       `json:"offset,omitempty"`   // of the draft
	Redacted     bool        `json:"redacted,omitempty"` // the text was blanked

	textFrom int64 // offset of the event that last set the text
}

// Audience is what one audience last heard and when it hears again.
type Audience struct {
	Name       string
	LastUpdate string // id of the newest published update
	LastAt     int64
	NextDue    int64 // 0: no update is due
}

// Signal states.
const (
	SignalOpen    = "open"
	SignalCleared = "cleared"
)

// Signal is an attached signal as it was last reported to this incident. It is
// a copy: the signal itself lives in its source's stream.
type Signal struct {
	ID           string   `json:"signal"`
	Source       string   `json:"source,omitempty"`
	Kind         string   `json:"kind,omitempty"`
	Title        string   `json:"title,omitempty"`
	Subject      string   `json:"subject,omitempty"`
	Severity     Severity `json:"severity,omitempty"`
	Reason       string   `json:"reason,omitempty"` // why the source says it fires
	Chain        string   `json:"chain,omitempty"`
	Component    string   `json:"component,omitempty"`
	State        string   `json:"state,omitempty"` // open, cleared
	Acknowledged bool     `json:"acknowledged,omitempty"`
	Count        int64    `json:"count,omitempty"`
	OpenedAt     int64    `json:"opened_at,omitempty"`
	LastAt       int64    `json:"last_at,omitempty"`
	ClearedAt    int64    `json:"cleared_at,omitempty"`
	Correlation  string   `json:"correlation,omitempty"` // why it belongs to this incident
	OutUntil     int64    `json:"out_until,omitempty"`   // see OutUntil; only our own program says it
	Through      int64    `json:"through,omitempty"`     // offset of the newest of the signal's own events that this tells; 0: not said

	AttachedAt int64  `json:"attached_at,omitempty"` // set by Apply
	AttachedBy string `json:"attached_by,omitempty"` // set by Apply
	Offset     int64  `json:"offset,omitempty"`      // of the event that attached it; set by Apply

	textFrom int64
}
