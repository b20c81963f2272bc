package signal

import (
	"errors"
	"fmt"
	"time"
)

// What made a signal quiet.
const (
	QuietMaintenance = "maintenance"
	QuietSnooze      = "snooze"
)

// Quiet is the mark of an open signal that declares and joins nothing for now.
// It stands in the events, so what follows from it depends on the log alone.
// Quiet signals are kept, counted and shown like all others.
type Quiet struct {
	By     string `json:"by"`               // QuietMaintenance or QuietSnooze
	Window string `json:"window,omitempty"` // id of the maintenance window
	Name   string `json:"name,omitempty"`   // of the window, or who snoozed it
	Reason string `json:"reason,omitempty"`
	// Until is when it is due to end, unix ms; 0 is when the signal changes.
	Until int64 `json:"until,omitempty"`
	// Loud is the severity from which on it ends at once; "" is never.
	Loud string `json:"loud,omitempty"`
}

// Sentence says why the signal is quiet.
func (q Quiet) Sentence() string {
	until := "until it changes"
	if q.Until != 0 {
		until = "until " + time.UnixMilli(q.Until).UTC().Format("2006-01-02 15:04 UTC")
	}
	what := "Snoozed"
	if q.By == QuietMaintenance {
		what = "Quiet for maintenance"
	}
	if q.Name != "" && q.By == QuietMaintenance {
		what += fmt.Sprintf(" “%s”", q.Name)
	} else if q.Name != "" {
		what += " by " + q.Name
	}
	what += " " + until
	if q.Reason != "" {
		what += ": " + q.Reason
	}
	return what
}

// After is the mark of a signal after an update: a snooze ends when the signal
// becomes worse, one without a time with every update; any mark ends at the
// severity that is too loud for it.
func (q *Quiet) After(before, after string) *Quiet {
	worse := Rank(after) < Rank(before)
	switch {
	case q == nil, !q.Holds(after):
		return nil
	case q.By == QuietSnooze && (worse || q.Until == 0):
		return nil
	}
	return q
}

// Holds says that a severity is not too loud for the mark.
func (q Quiet) Holds(severity string) bool { return q.Loud == "" || Rank(severity) > Rank(q.Loud) }

// Joint names the grouping rule that an opening signal falls under, and what it
// shares by that rule with others.
type Joint struct {
	Rule   string `json:"rule"` // id
	Name   string `json:"name"`
	By     string `json:"by"`               // "bridge=nomad"
	Window int64  `json:"window,omitempty"` // ms; 0 is that of the correlation
}

// Identity names what is joined by the rule, apart from every GroupIdentity.
func (j *Joint) Identity() string {
	if j == nil {
		return ""
	}
	return "\x00rule\x00" + j.Rule + "\x00" + j.By
}

// Quieted marks an open signal as quiet, or changes the mark.
type Quieted struct {
	Signal string `json:"signal"`
	Key    string `json:"key"`
	Quiet  Quiet  `json:"quiet"`
}

// Released takes the mark off an open signal: it may be placed now.
type Released struct {
	Signal string `json:"signal"`
	Key    string `json:"key"`
	Reason string `json:"reason,omitempty"`
}

// Names of these events.
const (
	TypeQuieted  = "signal.quieted"
	TypeReleased = "signal.released"
)

// Type implements Body.
func (Quieted) Type() string { return TypeQuieted }

// Type implements Body.
func (Released) Type() string { return TypeReleased }

// ErrNotOpen says that an episode is not open, or is not the newest of its key.
var ErrNotOpen = errors.New("the signal is not open")

// Direct returns the events that mark one open episode as quiet, or, with a nil
// mark, that release it; none when it is so already.
func Direct(s State, key string, drill bool, id string, q *Quiet, reason string) ([]Body, error) {
	sig, ok := s.Get(key, drill)
	switch {
	case !ok, sig.ID != id, !sig.IsOpen():
		return nil, ErrNotOpen
	case q == nil && sig.Quiet == nil, q != nil && sig.Quiet != nil && *q == *sig.Quiet:
		return nil, nil
	case q == nil:
		return []Body{Released{Signal: id, Key: key, Reason: Line(reason, MaxTitle)}}, nil
	}
	m := *q
	m.Name, m.Reason = Line(m.Name, MaxWord), Line(m.Reason, MaxTitle)
	return []Body{Quieted{Signal: id, Key: key, Quiet: m}}, nil
}
