package incident

// Declare opens the incident. Title and Severity are required. The number and
// the id come from the State (see New).
type Declare struct {
	Title         string   `json:"title"`
	Severity      string   `json:"severity"`
	Summary       string   `json:"summary,omitempty"`
	Components    []string `json:"components,omitempty"`
	Chains        []string `json:"chains,omitempty"`
	ImpactBeganAt int64    `json:"impact_began_at,omitempty"`
	DetectedAt    int64    `json:"detected_at,omitempty"`
	Signal        string   `json:"signal,omitempty"` // id of the signal that led to it; attached at once

	// Attach are the signals to attach at once, with their snapshots; for
	// callers inside the program. A Signal that is not among them is attached
	// by its bare id.
	Attach []Signal `json:"-"`
}

// Rename gives the incident another title.
type Rename struct {
	Title string `json:"title"`
}

// SetSummary says in plain sentences what is known now; it takes the place of
// what was written before. An empty Summary clears it.
type SetSummary struct {
	Summary string `json:"summary"`
}

// SetSeverity changes the severity. Reason is required.
type SetSeverity struct {
	Severity string `json:"severity"`
	Reason   string `json:"reason"`
}

// SetStatus moves to declared, investigating, mitigating or monitoring. Going
// back requires a Reason. Resolved and reviewed have commands of their own.
type SetStatus struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// SetTimes corrects when impact began and when it was detected: nil leaves as
// it is, 0 says unknown.
type SetTimes struct {
	ImpactBeganAt *int64 `json:"impact_began_at,omitempty"`
	DetectedAt    *int64 `json:"detected_at,omitempty"`
	Reason        string `json:"reason,omitempty"`

	// ImpactClock and DetectedClock are times of day, "14:05" or "14:05:30"
	// UTC, as the composer takes them: the last such moment before Meta.At.
	ImpactClock   string `json:"-"`
	DetectedClock string `json:"-"`
}

// SetComponents names all affected components.
type SetComponents struct {
	Components []string `json:"components"`
}

// SetChains names all affected chains.
type SetChains struct {
	Chains []string `json:"chains"`
}

// Merge says that this incident is a duplicate of another and closes it. The
// room gives Absorb to the other incident first.
type Merge struct {
	Into int64 `json:"into"`
}

// Absorb tells an incident that another one is merged into it. It is refused
// when this incident is itself merged: merges do not chain.
type Absorb struct {
	From int64 `json:"from"`
}

// Resolve ends the incident. Validation says how it was checked that recovery
// worked; it is required.
type Resolve struct {
	Validation string `json:"validation"`
}

// Reopen takes a resolved or reviewed incident back to investigating. Reason is
// required.
type Reopen struct {
	Reason string `json:"reason"`
}

// ReviewDone closes the post-incident review of a resolved incident.
type ReviewDone struct {
	Note string `json:"note,omitempty"`
}

// Redact blanks the words of one event. Event is the event's id or its offset.
// Decide answers with LogRedacted (and Restated when the event carried facts);
// the room blanks the event in the log.
type Redact struct {
	Event  string `json:"event"`
	Reason string `json:"reason"`
}

// Name is "declare".
func (Declare) Name() string { return "declare" }

// Name is "rename".
func (Rename) Name() string { return "rename" }

// Name is "set_summary".
func (SetSummary) Name() string { return "set_summary" }

// Name is "set_severity".
func (SetSeverity) Name() string { return "set_severity" }

// Name is "set_status".
func (SetStatus) Name() string { return "set_status" }

// Name is "set_times".
func (SetTimes) Name() string { return "set_times" }

// Name is "set_components".
func (SetComponents) Name() string { return "set_components" }

// Name is "set_chains".
func (SetChains) Name() string { return "set_chains" }

// Name is "merge".
func (Merge) Name() string { return "merge" }

// Name is "absorb".
func (Absorb) Name() string { return "absorb" }

// Name is "resolve".
func (Resolve) Name() string { return "resolve" }

// Name is "reopen".
func (Reopen) Name() string { return "reopen" }

// Name is "review_done".
func (ReviewDone) Name() string { return "review_done" }

// Name is "redact".
func (Redact) Name() string { return "redact" }
