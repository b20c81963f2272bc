package incident

// DraftUpdate writes an update for an audience. Phase defaults to what the
// status says; NextDue (unix ms) to the severity's cadence when published.
type DraftUpdate struct {
	Audience   string            `json:"audience"`
	Text       string            `json:"text"`
	Headline   string            `json:"headline,omitempty"`
	Phase      string            `json:"phase,omitempty"`
	Components map[string]string `json:"components,omitempty"`
	NextDue    int64             `json:"next_due,omitempty"`
}

// EditUpdate changes what is given and leaves the rest. It drops an approval.
type EditUpdate struct {
	Update     string            `json:"update,omitempty"`
	Text       string            `json:"text,omitempty"`
	Headline   string            `json:"headline,omitempty"`
	Phase      string            `json:"phase,omitempty"`
	Components map[string]string `json:"components,omitempty"`
	NextDue    int64             `json:"next_due,omitempty"`
}

// ApproveUpdate lets an update out. Who last wrote it may approve only when at
// most one person holds a role; the approval then says so. An empty Update
// means the only one that waits.
type ApproveUpdate struct {
	Update string `json:"update,omitempty"`
}

// PublishUpdate tells the audience. Only an approved update can be published;
// NextDue (unix ms), when given, is when the next one is promised. An empty
// Update means the only one that is approved.
type PublishUpdate struct {
	Update  string `json:"update,omitempty"`
	NextDue int64  `json:"next_due,omitempty"`
}

// DiscardUpdate throws a draft away.
type DiscardUpdate struct {
	Update string `json:"update,omitempty"`
}

// RetractUpdate takes back what is not out yet. A published update cannot be
// taken back: the refusal says to publish a correction.
type RetractUpdate struct {
	Update string `json:"update,omitempty"`
}

// AttachSignal joins a signal to the incident, with what is known of it.
type AttachSignal struct {
	Signal
}

// AttachSignals joins up to 500 signals at once.
type AttachSignals struct {
	Signals []Signal `json:"signals"`
}

// SignalChanged tells what became of an attached signal: the newest snapshot.
// Empty texts and zero times leave what is known.
type SignalChanged struct {
	Signal
}

// SignalsChanged tells what became of up to 500 attached signals at once, each
// as in SignalChanged; of several of one signal the last one counts. Those that
// are not attached, or not any more, are left out; it is refused when none is.
type SignalsChanged struct {
	Signals []Signal `json:"signals"`
}

// DetachSignal says that a signal does not belong here.
type DetachSignal struct {
	Signal string `json:"signal"`
	Reason string `json:"reason,omitempty"`
}

// Name is "draft_update".
func (DraftUpdate) Name() string { return "draft_update" }

// Name is "edit_update".
func (EditUpdate) Name() string { return "edit_update" }

// Name is "approve_update".
func (ApproveUpdate) Name() string { return "approve_update" }

// Name is "publish_update".
func (PublishUpdate) Name() string { return "publish_update" }

// Name is "discard_update".
func (DiscardUpdate) Name() string { return "discard_update" }

// Name is "retract_update".
func (RetractUpdate) Name() string { return "retract_update" }

// Name is "attach_signal".
func (AttachSignal) Name() string { return "attach_signal" }

// Name is "attach_signals".
func (AttachSignals) Name() string { return "attach_signals" }

// Name is "signal_changed".
func (SignalChanged) Name() string { return "signal_changed" }

// Name is "signals_changed".
func (SignalsChanged) Name() string { return "signals_changed" }

// Name is "detach_signal".
func (DetachSignal) Name() string { return "detach_signal" }
