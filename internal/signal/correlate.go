package signal

import (
	"fmt"
	"slices"
	"time"
)

// Actions of a Decision.
const (
	Declare = "declare"
	Attach  = "attach"
	None    = "none"
)

// Rules is rule set v1.
type Rules struct {
	// Window is how long, in milliseconds, after an incident's last signal a
	// new one still joins it. 0 means DefaultWindow.
	Window int64
	// Floor is the least severity that declares an incident; "" means SEV4.
	// SEV5 never declares.
	Floor string
}

// DefaultWindow is two hours, in milliseconds.
const DefaultWindow = 2 * 3600_000

// Candidate is what Correlate needs to know of one incident.
type Candidate struct {
	Number int64
	// Status as the incident core spells it. Resolved and reviewed incidents,
	// and merged ones (MergedInto not 0), are never joined.
	Status     string
	MergedInto int64
	Drill      bool
	Chains     []string
	Components []string
	// Groups holds the GroupIdentity of its signals, and the Identity of their Joint.
	Groups []string
	// Detached holds the ID or the Identity of signals that a person took off.
	Detached []string
	// LastAt is when its newest signal opened, or when it was declared if it
	// has none. Unix ms.
	LastAt int64
}

// Decision says what is to become of a newly opened signal, and why, in a
// sentence for the timeline.
type Decision struct {
	Action   string // Declare, Attach or None
	Incident int64  // for Attach
	Reason   string
}

// Correlate decides for one signal, on these incidents. Of several that fit,
// a grouping rule of ours wins over the sender's group, the sender's group wins over the component and that over the chain; then the
// incident with the newest signal, then the highest number. It is
// deterministic and does not depend on the order of the candidates.
func Correlate(open []Candidate, s Signal, rules Rules) Decision {
	window := rules.Window
	if window <= 0 {
		window = DefaultWindow
	}
	switch {
	case s.Weak:
		return Decision{None, 0, "A weak finding waits in the review queue."}
	case s.Quiet != nil:
		return Decision{None, 0, s.Quiet.Sentence() + "."}
	case s.Held():
		return Decision{None, 0, "It is held back until a second node confirms it, or the wait for that is over."}
	}
	var best Candidate
	var bestRank int
	for _, c := range open {
		r := fit(c, s, window)
		if r == 0 {
			continue
		}
		if r > bestRank || r == bestRank && (c.LastAt > best.LastAt || c.LastAt == best.LastAt && c.Number > best.Number) {
			best, bestRank = c, r
		}
	}
	if bestRank > 0 {
		return Decision{Attach, best.Number, joined(best, s, bestRank, window)}
	}
	floor := Rank(rules.Floor)
	if floor == 0 {
		floor = Rank(SEV4)
	}
	if r := Rank(s.Severity); r == 0 || r > floor || r == Rank(SEV5) {
		return Decision{None, 0, fmt.Sprintf("%s does not declare an incident by itself.", s.Severity)}
	}
	return Decision{Declare, 0, fmt.Sprintf("Declared from a %s signal; no open incident of the last %s shares its chain, component or group.", s.Severity, span(window))}
}

const (
	byChain = iota + 1
	byComponent
	byGroup
	byRule
)

func fit(c Candidate, s Signal, window int64) int {
	switch {
	case c.Status == "resolved", c.Status == "reviewed", c.MergedInto != 0, c.Drill != s.Drill:
		return 0
	case slices.Contains(c.Detached, s.ID), slices.Contains(c.Detached, s.Identity()):
		return 0
	case s.Joint != nil && s.OpenedAt-c.LastAt <= s.within(window) && slices.Contains(c.Groups, s.Joint.Identity()):
		return byRule
	case s.OpenedAt-c.LastAt > window:
		return 0
	case s.Group != "" && slices.Contains(c.Groups, s.GroupIdentity()):
		return byGroup
	case s.Component != "" && slices.Contains(c.Components, s.Component):
		return byComponent
	case s.Chain != "" && slices.Contains(c.Chains, s.Chain):
		return byChain
	}
	return 0
}

// within is how long after an incident's last signal this one joins it by its rule.
func (s Signal) within(window int64) int64 {
	if s.Joint != nil && s.Joint.Window > 0 {
		return s.Joint.Window
	}
	return window
}

func joined(c Candidate, s Signal, rank int, window int64) string {
	var why string
	switch rank {
	case byRule:
		why, window = fmt.Sprintf("of the rule “%s”: %s", s.Joint.Name, s.Joint.By), s.within(window)
	case byGroup:
		why = "its sender put it in the same group as a signal of this incident"
	case byComponent:
		why = fmt.Sprintf("it is about the same component, %s", s.Component)
	case byChain:
		why = fmt.Sprintf("it is about the same chain, %s", s.Chain)
	}
	return fmt.Sprintf("Joined because %s, %s after the incident's last signal (window %s).",
		why, span(max(0, s.OpenedAt-c.LastAt)), span(window))
}

// span writes milliseconds for people: "3 s", "12 min", "2 h 5 min".
func span(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	h, m := int(d.Hours()), int(d.Minutes())%60
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case h == 0:
		return fmt.Sprintf("%d min", m)
	case m == 0:
		return fmt.Sprintf("%d h", h)
	}
	return fmt.Sprintf("%d h %d min", h, m)
}
