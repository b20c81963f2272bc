package notify

import (
	"fmt"
	"slices"
	"time"
)

// gate is the one place that decides whether a message may go over a route now. It returns "" or why not, as people read it. Default is no: a drill's
// message leaves only when the drill says so and while it does, and an address that was not confirmed gets nothing but tests.
func gate(m Message, r Route, at int64) string {
	if why := fence(m, at); why != "" {
		return why
	}
	if r.barred != "" {
		return r.barred
	}
	if m.Kind == KindTest {
		return ""
	}
	if r.Verified == 0 {
		return "the address was never confirmed"
	}
	if r.Floor != "" && rank(m.Severity) > rank(r.Floor) {
		return fmt.Sprintf("this route takes %s and worse only", r.Floor)
	}
	if q := r.Quiet; q != nil && q.holds(at) && (q.Pages || m.Kind != KindPage || rank(m.Severity) > rank("SEV2")) {
		return fmt.Sprintf("quiet hours until %s (%s)", q.To, q.Zone)
	}
	return ""
}

// bar keeps what is not theirs from who has left, and from who may not be told of incidents any more.
func (r Rights) bar(m Message) string {
	switch {
	case !r.Here:
		return "this person has left"
	case m.Kind != KindTest && !r.Paged:
		return "this person may not be paged any more"
	}
	return ""
}

// fence keeps drills inside.
func fence(m Message, at int64) string {
	switch {
	case !m.Drill:
		return ""
	case m.LeaveUntil <= 0:
		return "it is a drill, and this drill does not leave the building"
	case at >= m.LeaveUntil:
		return "it is a drill, and its time outside is over"
	}
	return ""
}

// rank is 1 for SEV1 to 5 for SEV5; what has no severity is as mild as can be.
func rank(severity string) int {
	if i := slices.Index(severities, severity); i >= 0 {
		return i + 1
	}
	return len(severities)
}

// holds says whether at is within the quiet hours, by the clock on the wall of the zone.
func (q *Quiet) holds(at int64) bool {
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		return false // better woken than not reached
	}
	now := time.UnixMilli(at).In(zone).Format("15:04")
	if q.From < q.To {
		return q.From <= now && now < q.To
	}
	return now >= q.From || now < q.To
}
