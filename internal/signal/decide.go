package signal

// wellEvery is how often a resolve without a start is remembered for a key that
// is not open, in milliseconds.
const wellEvery = 24 * 3600_000

// Verdict says what Judge made of an observation, for counting.
type Verdict string

// Verdicts.
const (
	VerdictOpened       Verdict = "opened"
	VerdictUpdated      Verdict = "updated"
	VerdictRepeated     Verdict = "repeated" // logged or, inside RepeatEvery, not
	VerdictAcknowledged Verdict = "acknowledged"
	VerdictCleared      Verdict = "cleared"
	VerdictReplayed     Verdict = "replayed" // of the past: nothing logged
	VerdictDropped      Verdict = "dropped"  // a resolve or an ack without an open signal
	VerdictInvalid      Verdict = "invalid"  // no key: nothing logged
)

// Decide returns the events that an observation makes, most often none or one.
// See Judge.
func Decide(s State, o Observation) []Body {
	bodies, _ := Judge(s, o)
	return bodies
}

// Judge returns the events that an observation makes, and what it was.
//
// With the sender's times, the order of arrival does not matter: a key is open
// when the newest start that anybody named lies after everything that resolves
// reach (the later of a resolve's start and end); a firing that lies before is
// a replay, unless it comes later than ReplayWindow after the clear. So a
// resolve that names the start of the open episode always clears it, whatever
// the clocks say. Without the sender's times the order of arrival decides: a resolve
// clears, a firing after it opens a new episode.
//
// Nothing is logged for what changes nothing. Repeats, and titles that change,
// are logged at most once in RepeatEvery.
func Judge(s State, o Observation) ([]Body, Verdict) {
	if o.Key == "" {
		return nil, VerdictInvalid
	}
	o = o.Bounded()
	r, _ := s.get(o.Key, o.Drill)
	open := r.sig.State == StateOpen
	switch {
	case o.Ack && open && !r.sig.Acknowledged:
		return []Body{Acknowledged{Signal: r.sig.ID, Key: o.Key}}, VerdictAcknowledged
	case o.Ack && open:
		return nil, VerdictReplayed
	case o.Ack:
		return nil, VerdictDropped
	case o.Firing && open:
		return again(r, o)
	case o.Firing:
		return begin(s.Source, r, o)
	default:
		return end(r, o)
	}
}

func begin(source string, r record, o Observation) ([]Body, Verdict) {
	if o.StartsAt != 0 && o.StartsAt <= r.reach && o.At-r.at <= ReplayWindow {
		return nil, VerdictReplayed
	}
	n := r.sig.Episode + 1
	return []Body{Opened{
		Signal: signalID(source, o.Key, o.Drill, n, o.At), Key: o.Key, Episode: n, Kind: o.Kind, Subject: o.Subject,
		Title: o.Title, Reason: o.Reason, Severity: o.Severity, StartsAt: o.StartsAt, Chain: o.Chain, Component: o.Component,
		Group: o.Group, Labels: o.Labels, Links: o.Links, Evidence: o.Evidence, Finding: o.Finding,
		Quiet: o.Quiet, Joint: o.Joint, OutUntil: o.OutUntil,
	}}, VerdictOpened
}

func again(r record, o Observation) ([]Body, Verdict) {
	if o.StartsAt != 0 && o.StartsAt < r.start {
		return nil, VerdictReplayed
	}
	due := o.At-r.sig.LastAt >= RepeatEvery
	start := max(o.StartsAt, r.start)
	switch {
	case o.Severity != r.sig.Severity, o.differs(r.sig.Finding), due && o.Title != r.sig.Title:
		return []Body{Updated{Signal: r.sig.ID, Key: o.Key, Severity: o.Severity, Title: o.Title, Reason: o.Reason, StartsAt: start, Finding: o.Finding}}, VerdictUpdated
	case due:
		b := Repeated{Signal: r.sig.ID, Key: o.Key, StartsAt: start}
		if o.Reason != r.sig.Reason {
			b.Reason = o.Reason
		}
		return []Body{b}, VerdictRepeated
	}
	return nil, VerdictRepeated
}

// Heard returns s with what o says that is worth knowing but not worth an event
// of its own: a newer start of an open signal, which the next repeat logs. Call
// it for every observation after applying its events. What it remembers is lost
// with the State.
func Heard(s State, o Observation) State {
	r, ok := s.get(o.Key, o.Drill)
	if !ok || r.sig.State != StateOpen || !o.Firing || o.Ack || o.StartsAt <= r.start {
		return s
	}
	r.start = o.StartsAt
	return s.put(o.Key, o.Drill, r, o.At)
}

func end(r record, o Observation) ([]Body, Verdict) {
	reach := max(o.StartsAt, o.EndsAt)
	if r.sig.State != StateOpen {
		// Only a resolve that says when is worth remembering, and only when it
		// says something new. One without a start may come every minute from a
		// sender that just says all is well, so it is remembered once a day.
		switch {
		case reach <= r.reach,
			o.StartsAt != 0 && r.sig.ID != "" && o.StartsAt <= r.start,
			o.StartsAt == 0 && r.reach != 0 && o.At-r.at < wellEvery:
			return nil, VerdictDropped
		}
		return []Body{Missed{Key: o.Key, EndsAt: o.EndsAt, Reach: reach}}, VerdictDropped
	}
	if reach != 0 && reach < r.start {
		return nil, VerdictReplayed
	}
	return []Body{Cleared{Signal: r.sig.ID, Key: o.Key, Reason: o.Reason, EndsAt: o.EndsAt, Reach: max(reach, r.start)}}, VerdictCleared
}
