package incident

// RoleAssigned: a person has a role. A single role leaves who had it before.
type RoleAssigned struct {
	Role   Role   `json:"role"`
	Person string `json:"person"`
}

// RoleReleased: a person no longer has a role.
type RoleReleased struct {
	Role   Role   `json:"role"`
	Person string `json:"person"`
}

// HandOverOffered: a role is offered; it has not changed hands.
type HandOverOffered struct {
	Role Role   `json:"role"`
	From string `json:"from,omitempty"`
	To   string `json:"to"`
	Note string `json:"note,omitempty"`
}

// HandedOver: the offered role was accepted and has changed hands.
type HandedOver struct {
	Role Role   `json:"role"`
	From string `json:"from,omitempty"`
	To   string `json:"to"`
}

// HandOverDeclined: the offer was declined, or withdrawn by who made it.
type HandOverDeclined struct {
	Role      Role   `json:"role"`
	To        string `json:"to"`
	Withdrawn bool   `json:"withdrawn,omitempty"`
}

// NoteAdded: words on the timeline.
type NoteAdded struct {
	Text string `json:"text"`
	// WrittenAt is when it was written (unix ms), as whoever sent it says; 0: when it arrived.
	WrittenAt int64 `json:"written_at,omitempty"`
}

// DecisionRecorded: a decision on the timeline.
type DecisionRecorded struct {
	Text string `json:"text"`
}

// TaskAdded: something is to be done.
type TaskAdded struct {
	Task     string `json:"task"`
	Title    string `json:"title"`
	Assignee string `json:"assignee,omitempty"`
	Due      int64  `json:"due,omitempty"`
}

// TaskAssigned: somebody has it, or nobody.
type TaskAssigned struct {
	Task   string `json:"task"`
	Person string `json:"person,omitempty"`
}

// TaskCompleted: it is done.
type TaskCompleted struct {
	Task string `json:"task"`
}

// TaskReopened: it was not done.
type TaskReopened struct {
	Task string `json:"task"`
}

// LinkAdded: a pointer to something outside.
type LinkAdded struct {
	Link  string `json:"link"`
	URL   string `json:"url"`
	Title string `json:"title,omitempty"`
}

// LinkRemoved: the pointer is gone.
type LinkRemoved struct {
	Link string `json:"link"`
}

// Type is "incident.role_assigned".
func (RoleAssigned) Type() string { return "incident.role_assigned" }

// Type is "incident.role_released".
func (RoleReleased) Type() string { return "incident.role_released" }

// Type is "incident.hand_over_offered".
func (HandOverOffered) Type() string { return "incident.hand_over_offered" }

// Type is "incident.handed_over".
func (HandedOver) Type() string { return "incident.handed_over" }

// Type is "incident.hand_over_declined".
func (HandOverDeclined) Type() string { return "incident.hand_over_declined" }

// Type is "incident.note_added".
func (NoteAdded) Type() string { return "incident.note_added" }

// Type is "incident.decision_recorded".
func (DecisionRecorded) Type() string { return "incident.decision_recorded" }

// Type is "incident.task_added".
func (TaskAdded) Type() string { return "incident.task_added" }

// Type is "incident.task_assigned".
func (TaskAssigned) Type() string { return "incident.task_assigned" }

// Type is "incident.task_completed".
func (TaskCompleted) Type() string { return "incident.task_completed" }

// Type is "incident.task_reopened".
func (TaskReopened) Type() string { return "incident.task_reopened" }

// Type is "incident.link_added".
func (LinkAdded) Type() string { return "incident.link_added" }

// Type is "incident.link_removed".
func (LinkRemoved) Type() string { return "incident.link_removed" }
