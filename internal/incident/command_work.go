package incident

// AssignRole gives a role to a person. A commander who is there already is
// replaced only by HandOverRole.
type AssignRole struct {
	Role   string `json:"role"`
	Person string `json:"person"`
}

// ReleaseRole takes a role from a person.
type ReleaseRole struct {
	Role   string `json:"role"`
	Person string `json:"person"`
}

// HandOverRole offers a role to a person; it changes hands when that person
// accepts.
type HandOverRole struct {
	Role string `json:"role"`
	To   string `json:"to"`
	Note string `json:"note,omitempty"`
}

// AcceptHandOver takes an offered role. Only the person named may; an empty
// Role means the only one offered to that person.
type AcceptHandOver struct {
	Role string `json:"role,omitempty"`
}

// DeclineHandOver refuses an offered role, or, given by who offered it or by
// the holder, takes the offer back.
type DeclineHandOver struct {
	Role string `json:"role,omitempty"`
}

// AddNote writes on the timeline.
type AddNote struct {
	Text string `json:"text"`
	// WrittenAt is when it was written (unix ms) if it could not be given then; 0: just now. It may lie OldestNote before Meta.At, and NoteSkew behind it.
	WrittenAt int64 `json:"written_at,omitempty"`
}

// RecordDecision writes a decision on the timeline; its API name is "decide".
type RecordDecision struct {
	Text string `json:"text"`
}

// AddTask adds something to be done.
type AddTask struct {
	Title    string `json:"title"`
	Assignee string `json:"assignee,omitempty"`
	Due      int64  `json:"due,omitempty"` // unix ms
}

// AssignTask gives a task to a person; an empty Person gives it to nobody.
type AssignTask struct {
	Task   string `json:"task"`
	Person string `json:"person,omitempty"`
}

// CompleteTask ticks a task off.
type CompleteTask struct {
	Task string `json:"task"`
}

// ReopenTask takes the tick back.
type ReopenTask struct {
	Task string `json:"task"`
}

// AddLink points to something outside.
type AddLink struct {
	URL   string `json:"url"`
	Title string `json:"title,omitempty"`
}

// RemoveLink takes a link away.
type RemoveLink struct {
	Link string `json:"link"`
}

// Help asks for the composer's grammar. Only ParseLine makes it; Decide answers
// with no events.
type Help struct{}

// Name is "assign_role".
func (AssignRole) Name() string { return "assign_role" }

// Name is "release_role".
func (ReleaseRole) Name() string { return "release_role" }

// Name is "hand_over".
func (HandOverRole) Name() string { return "hand_over" }

// Name is "accept_hand_over".
func (AcceptHandOver) Name() string { return "accept_hand_over" }

// Name is "decline_hand_over".
func (DeclineHandOver) Name() string { return "decline_hand_over" }

// Name is "add_note".
func (AddNote) Name() string { return "add_note" }

// Name is "decide".
func (RecordDecision) Name() string { return "decide" }

// Name is "add_task".
func (AddTask) Name() string { return "add_task" }

// Name is "assign_task".
func (AssignTask) Name() string { return "assign_task" }

// Name is "complete_task".
func (CompleteTask) Name() string { return "complete_task" }

// Name is "reopen_task".
func (ReopenTask) Name() string { return "reopen_task" }

// Name is "add_link".
func (AddLink) Name() string { return "add_link" }

// Name is "remove_link".
func (RemoveLink) Name() string { return "remove_link" }

// Name is "help".
func (Help) Name() string { return "help" }
