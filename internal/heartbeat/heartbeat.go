// Package heartbeat owns when a sender that promised to be heard regularly is late, dead or failing, and the sentence that says
// so; it never reads a clock, never keeps a beat and never raises a signal itself.
package heartbeat

import (
	"cmp"
	"fmt"
	"time"
)

// Pace is what a sender promised. Times are milliseconds.
type Pace struct {
	// Every is the longest time between two beats that is in order.
	Every int64 `json:"every"`
	// Grace is how much longer a beat may take before the sender counts as
	// dead: networks and schedulers have jitter.
	Grace int64 `json:"grace"`
	// Severity of the signal; "" is that of signals that say none.
	Severity string `json:"severity,omitempty"`
}

// Bounds of a Pace, in milliseconds.
const (
	MinEvery   = 1_000
	MaxEvery   = 31 * 24 * 3600_000
	MinGrace   = 1_000
	leastGrace = 15_000 // what DefaultGrace gives at least
)

// DefaultGrace is half of the interval, at least 15 s.
func DefaultGrace(every int64) int64 { return max(every/2, leastGrace) }

// Check says what is wrong with a pace, as a sentence; "" is nothing.
func (p Pace) Check() string {
	switch {
	case p.Every < MinEvery || p.Every > MaxEvery:
		return "A heartbeat comes at least once in 31 days, and at most once a second."
	case p.Grace < MinGrace || p.Grace > MaxEvery:
		return "The grace of a heartbeat is between a second and 31 days."
	}
	return ""
}

// Beat is what was heard last. The zero Beat is none.
type Beat struct {
	At      int64  `json:"at"` // by our clock, unix ms
	Failing bool   `json:"failing,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// State of a sender.
type State string

// The states.
const (
	New     State = "new"     // never heard: it is not missed
	Alive   State = "alive"   // heard within the interval
	Waiting State = "waiting" // heard before we began to listen, not since; the wait began anew
	Late    State = "late"    // beyond the interval, within the grace: shown, nothing more
	Dead    State = "dead"    // beyond the grace
	Failing State = "failing" // it says itself that something is wrong
)

// Verdict is what is to be thought of a sender at a time.
type Verdict struct {
	State  State
	Reason string // a sentence
	// Next is when the verdict may change if nothing comes, unix ms; 0 is never.
	Next int64
}

// Raised says that a signal is to be open; it is to be cleared when the state is
// Alive, and left as it is otherwise.
func (v Verdict) Raised() bool { return v.State == Dead || v.State == Failing }

// Judge says what to think at now of a sender that was last heard as last says,
// when we have listened without a break from since on. Time in which we did not
// listen never counts against a sender: then the wait begins anew at since.
func Judge(p Pace, last Beat, since, now int64) Verdict {
	if last.At == 0 {
		return Verdict{State: New, Reason: "Nothing was ever heard; it is missed from the first beat on."}
	}
	from := max(last.At, since)
	due, end := from+p.Every, from+p.Every+p.Grace
	switch {
	case now > end:
		return Verdict{State: Dead, Reason: fmt.Sprintf("Nothing since %s, expected every %s.", clock(last.At, now), Span(p.Every))}
	case last.Failing:
		return Verdict{State: Failing, Reason: cmp.Or(last.Reason, "It says that it is failing."), Next: end + 1}
	case now > due:
		return Verdict{State: Late, Reason: fmt.Sprintf("Nothing since %s, expected every %s; a signal is raised at %s.", clock(last.At, now), Span(p.Every), clock(end, now)), Next: end + 1}
	case last.At < since && now-last.At > p.Every:
		return Verdict{State: Waiting, Reason: fmt.Sprintf("Last heard at %s; Tocsin did not listen since, so the wait began anew at %s.", clock(last.At, now), clock(since, now)), Next: due + 1}
	}
	return Verdict{State: Alive, Reason: fmt.Sprintf("Heard at %s, expected every %s.", clock(last.At, now), Span(p.Every)), Next: due + 1}
}

// clock writes a time of day, with the date when it is of another day than now.
func clock(at, now int64) string {
	t, n := time.UnixMilli(at).UTC(), time.UnixMilli(now).UTC()
	if t.YearDay() == n.YearDay() && t.Year() == n.Year() {
		return t.Format("15:04:05 UTC")
	}
	return t.Format("2006-01-02 15:04:05 UTC")
}

// Span writes milliseconds for people: "60 s", "5 min", "2 h", "1 d".
func Span(ms int64) string {
	for _, u := range []struct {
		ms   int64
		name string
	}{{24 * 3600_000, "d"}, {3600_000, "h"}, {60_000, "min"}} {
		if ms >= 2*u.ms && ms%u.ms == 0 || ms == u.ms && u.ms > 60_000 {
			return fmt.Sprintf("%d %s", ms/u.ms, u.name)
		}
	}
	if ms%1000 == 0 {
		return fmt.Sprintf("%d s", ms/1000)
	}
	return fmt.Sprintf("%.1f s", float64(ms)/1000)
}
