package incident

// UpdateDrafted: an update waits for approval.
type UpdateDrafted struct {
	Update     string            `json:"update"`
	Audience   string            `json:"audience"`
	Headline   string            `json:"headline,omitempty"`
	Text       string            `json:"text"`
	Phase      string            `json:"phase"`
	Components map[string]string `json:"components,omitempty"`
	NextDue    int64             `json:"next_due,omitempty"`
}

// UpdateEdited: the whole update as it stands now; an approval is dropped.
type UpdateEdited struct {
	Update     string            `json:"update"`
	Audience   string            `json:"audience"`
	Headline   string            `json:"headline,omitempty"`
	Text       string            `json:"text"`
	Phase      string            `json:"phase"`
	Components map[string]string `json:"components,omitempty"`
	NextDue    int64             `json:"next_due,omitempty"`
}

// UpdateApproved: the text as it stands may go out. SelfApproved says that its
// own author let it out, being alone.
type UpdateApproved struct {
	Update       string `json:"update"`
	Audience     string `json:"audience"`
	SelfApproved bool   `json:"self_approved,omitempty"`
}

// UpdatePublished: the audience was told. NextDue is what it was promised.
type UpdatePublished struct {
	Update   string `json:"update"`
	Audience string `json:"audience"`
	NextDue  int64  `json:"next_due,omitempty"`
}

// UpdateDiscarded: it will not be published.
type UpdateDiscarded struct {
	Update string `json:"update"`
}

// SignalsAttached: signals that belong to this incident, and why.
type SignalsAttached struct {
	Signals []Signal `json:"signals"`
}

// SignalUpdated: the newest snapshot of an attached signal. What names the change
// that people care about most.
type SignalUpdated struct {
	Signal
	What string `json:"what"` // cleared, reopened, acknowledged, severity, updated, repeated
}

// SignalsUpdated: the newest snapshots of many attached signals, each as in
// SignalUpdated.
type SignalsUpdated struct {
	Signals []SignalUpdated `json:"signals"`
}

// SignalDetached: a signal that does not belong here.
type SignalDetached struct {
	Signal string `json:"signal"`
	Reason string `json:"reason,omitempty"`
}

// Type is "incident.update_drafted".
func (UpdateDrafted) Type() string { return "incident.update_drafted" }

// Type is "incident.update_edited".
func (UpdateEdited) Type() string { return "incident.update_edited" }

// Type is "incident.update_approved".
func (UpdateApproved) Type() string { return "incident.update_approved" }

// Type is "incident.update_published".
func (UpdatePublished) Type() string { return "incident.update_published" }

// Type is "incident.update_discarded".
func (UpdateDiscarded) Type() string { return "incident.update_discarded" }

// Type is "incident.signals_attached".
func (SignalsAttached) Type() string { return "incident.signals_attached" }

// Type is "incident.signal_updated".
func (SignalUpdated) Type() string { return "incident.signal_updated" }

// Type is "incident.signals_updated".
func (SignalsUpdated) Type() string { return "incident.signals_updated" }

// Type is "incident.signal_detached".
func (SignalDetached) Type() string { return "incident.signal_detached" }
