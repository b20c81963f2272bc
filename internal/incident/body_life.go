package incident

import "github.com/tocsin-ops/tocsin/internal/impact"

// Declared: the incident is open. Its words follow in Described, so that they
// can be redacted without losing these facts.
type Declared struct {
	Number        int64    `json:"number"`
	ID            string   `json:"id,omitempty"`
	Severity      Severity `json:"severity"`
	Components    []string `json:"components,omitempty"`
	Chains        []string `json:"chains,omitempty"`
	ImpactBeganAt int64    `json:"impact_began_at,omitempty"`
	DetectedAt    int64    `json:"detected_at,omitempty"`
	Signal        string   `json:"signal,omitempty"`
}

// Described: the title and the summary that the incident was declared with.
type Described struct {
	Title   string `json:"title"`
	Summary string `json:"summary,omitempty"`
}

// Renamed: another title.
type Renamed struct {
	Title string `json:"title"`
}

// SummarySet: what is known now; empty when it was cleared.
type SummarySet struct {
	Summary string `json:"summary"`
}

// SeveritySet: another severity, and why.
type SeveritySet struct {
	From     Severity `json:"from"`
	Severity Severity `json:"severity"`
	Reason   string   `json:"reason"`
}

// StatusSet: another status.
type StatusSet struct {
	From   Status `json:"from"`
	Status Status `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// TimesSet: both times as they stand now; 0 is unknown.
type TimesSet struct {
	ImpactBeganAt int64  `json:"impact_began_at"`
	DetectedAt    int64  `json:"detected_at"`
	Reason        string `json:"reason,omitempty"`
}

// ComponentsSet: all affected components.
type ComponentsSet struct {
	Components []string `json:"components"`
}

// ChainsSet: all affected chains.
type ChainsSet struct {
	Chains []string `json:"chains"`
}

// Merged: this incident goes on in another one.
type Merged struct {
	Into int64 `json:"into"`
}

// Absorbed: another incident goes on in this one.
type Absorbed struct {
	From int64 `json:"from"`
}

// Resolved: over, and how that was checked.
type Resolved struct {
	Validation string `json:"validation"`
}

// Reopened: it was not over.
type Reopened struct {
	Reason string `json:"reason"`
}

// Reviewed: the post-incident review is done.
type Reviewed struct {
	Note string `json:"note,omitempty"`
}

// LogRedacted: the event at Offset was blanked. The log's own event; its type
// is "log.redacted".
type LogRedacted struct {
	Offset int64  `json:"offset"`
	Event  string `json:"event,omitempty"` // id of the blanked event
	Reason string `json:"reason"`
}

// Restated: the facts as they stand, said again because an event that carried
// some of them was blanked, without its words. Tasks and Updates replace those
// of the same id. Signals do too; one without a State only says when it was
// attached, and keeps its snapshot. Detached are not attached any more, and
// Removed not on their lists.
type Restated struct {
	Severity      Severity `json:"severity"`
	Status        Status   `json:"status"`
	ImpactBeganAt int64    `json:"impact_began_at"`
	DetectedAt    int64    `json:"detected_at"`
	Tasks         []Task   `json:"tasks,omitempty"`
	Updates       []Update `json:"updates,omitempty"`
	Signals       []Signal `json:"signals,omitempty"`
	Detached      []string `json:"detached,omitempty"`
	Removed       []string `json:"removed,omitempty"` // numbers of addresses and transactions
	Unknown       []string `json:"unknown,omitempty"` // names of facts that are not known any more
	Judged        *Judged  `json:"judged,omitempty"`
}

// Judged is what assessments came to, without any words.
type Judged struct {
	Impact *impact.Assessment `json:"impact,omitempty"` // nil leaves the newest as it is
	Scores []impact.Point     `json:"scores,omitempty"`
	Advice impact.Advice      `json:"advice"`
}

// Type is "incident.declared".
func (Declared) Type() string { return "incident.declared" }

// Type is "incident.described".
func (Described) Type() string { return "incident.described" }

// Type is "incident.renamed".
func (Renamed) Type() string { return "incident.renamed" }

// Type is "incident.summary_set".
func (SummarySet) Type() string { return "incident.summary_set" }

// Type is "incident.severity_set".
func (SeveritySet) Type() string { return "incident.severity_set" }

// Type is "incident.status_set".
func (StatusSet) Type() string { return "incident.status_set" }

// Type is "incident.times_set".
func (TimesSet) Type() string { return "incident.times_set" }

// Type is "incident.components_set".
func (ComponentsSet) Type() string { return "incident.components_set" }

// Type is "incident.chains_set".
func (ChainsSet) Type() string { return "incident.chains_set" }

// Type is "incident.merged".
func (Merged) Type() string { return "incident.merged" }

// Type is "incident.absorbed".
func (Absorbed) Type() string { return "incident.absorbed" }

// Type is "incident.resolved".
func (Resolved) Type() string { return "incident.resolved" }

// Type is "incident.reopened".
func (Reopened) Type() string { return "incident.reopened" }

// Type is "incident.reviewed".
func (Reviewed) Type() string { return "incident.reviewed" }

// Type is "log.redacted".
func (LogRedacted) Type() string { return "log.redacted" }

// Type is "incident.restated".
func (Restated) Type() string { return "incident.restated" }
