package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Open is true while people still work on it: declared, not merged, not
// resolved.
func Open(s State) bool { return open(s.Declared, s.MergedInto, s.Status) }

// OutUntil is until when (unix ms) pages about an incident of a drill may leave the building: who started the drill chose so, and its signals carry the
// choice. 0 when nobody did, and when the drill has ended, which clears what it opened. Of an incident that is no drill it says nothing.
func OutUntil(s State) (until int64) {
	if !s.Drill {
		return 0
	}
	for _, g := range s.Signals {
		if g.State == SignalOpen {
			until = max(until, g.OutUntil)
		}
	}
	return until
}

func open(declared bool, mergedInto int64, status Status) bool {
	return declared && mergedInto == 0 && status.Rank() < StatusResolved.Rank()
}

// Holders are the handles of those who hold a role, in the order of assignment.
func (s State) Holders(r Role) []string {
	var out []string
	for _, a := range s.Roles {
		if a.Role == r {
			out = append(out, a.Person)
		}
	}
	return out
}

// Commander is the commander's handle, or "".
func (s State) Commander() string {
	if h := s.Holders(RoleCommander); len(h) > 0 {
		return h[0]
	}
	return ""
}

// Holds is true when the person holds the role.
func (s State) Holds(r Role, person string) bool {
	return slices.ContainsFunc(s.Roles, func(a Assignment) bool { return a.Role == r && a.Person == person })
}

// People are the handles of all who hold a role, each once, in the order of
// assignment.
func (s State) People() []string {
	var out []string
	for _, a := range s.Roles {
		if !slices.Contains(out, a.Person) {
			out = append(out, a.Person)
		}
	}
	return out
}

// Vacancies are the roles that should be held and are not: the commander
// always, comms lead and scribe for SEV1 and SEV2. None when not open.
func Vacancies(s State) []Role {
	if !Open(s) {
		return nil
	}
	want := []Role{RoleCommander}
	if s.Severity == SEV1 || s.Severity == SEV2 {
		want = append(want, RoleComms, RoleScribe)
	}
	return slices.DeleteFunc(want, func(r Role) bool { return len(s.Holders(r)) > 0 })
}

// MaxDirect is how many people one commander can lead directly; the span of
// control of the Incident Command System is three to seven.
const MaxDirect = 7

// SpanOfControl is the number of people beside the commander who hold a role,
// and a sentence when they are more than MaxDirect (else "").
func SpanOfControl(s State) (direct int, warning string) {
	boss := s.Commander()
	for _, p := range s.People() {
		if p != boss {
			direct++
		}
	}
	if direct > MaxDirect && Open(s) {
		warning = fmt.Sprintf("%d people report to the commander; more than %d is too many for one. Name an operations lead and let the experts report there.", direct, MaxDirect)
	}
	return direct, warning
}

// Elapsed is one way to count how long it lasts.
type Elapsed struct {
	Since string // impact, detected, declared
	From  int64
	To    int64 // when it was resolved; 0 while open
}

// ElapsedBases are the bases that are known, the earliest kind of time first:
// impact, detected, declared.
func ElapsedBases(s State) []Elapsed {
	var out []Elapsed
	for _, e := range []Elapsed{{Since: "impact", From: s.ImpactBeganAt}, {Since: "detected", From: s.DetectedAt}, {Since: "declared", From: s.DeclaredAt}} {
		if e.From != 0 {
			e.To = s.ResolvedAt
			out = append(out, e)
		}
	}
	return out
}

// NextUpdateDue is when the audience hears next; 0 when nothing is promised or
// the incident is not open.
func NextUpdateDue(s State, audience string) int64 {
	if !Open(s) {
		return 0
	}
	for _, a := range s.Audiences {
		if a.Name == audience {
			return a.NextDue
		}
	}
	return 0
}

// WaitingKind says what waits.
type WaitingKind string

// The kinds of what waits.
const (
	WaitingHandOver  WaitingKind = "hand_over"
	WaitingApproval  WaitingKind = "approval"
	WaitingPublish   WaitingKind = "publish"
	WaitingTask      WaitingKind = "task"
	WaitingUpdateDue WaitingKind = "update_due"
	WaitingVacancy   WaitingKind = "vacancy"
	WaitingSignal    WaitingKind = "signal"
	WaitingPage      WaitingKind = "page"
)

// Waiting is one thing that waits for somebody.
type Waiting struct {
	Kind WaitingKind
	Text string
	For  string // a person's handle, the name of a role, or "" for anybody
	Ref  string // what it is about: "T1", "U1", an audience, a role, a signal's id
	Due  int64  // 0: now
}

// WaitingFor lists what waits at a moment, most pressing kind first: vacant roles,
// offered roles, updates overdue, updates to approve or publish, overdue tasks,
// pages that nobody answered, signals that nobody has acknowledged (one item for all of them). It is empty
// when merged; when resolved only updates and tasks wait, and to tell who was told
// of it that it is over.
func WaitingFor(s State, now int64) []Waiting {
	var out []Waiting
	if !s.Declared || s.MergedInto != 0 {
		return nil
	}
	for _, r := range Vacancies(s) {
		out = append(out, Waiting{Kind: WaitingVacancy, Text: "Nobody is " + r.Title() + " yet", For: s.duty(RoleCommander, ""), Ref: string(r)})
	}
	for _, h := range s.PendingHandovers {
		out = append(out, Waiting{Kind: WaitingHandOver, Text: "@" + h.To + " is asked to be " + h.Role.Title(), For: h.To, Ref: string(h.Role)})
	}
	for _, a := range s.Audiences {
		if due := NextUpdateDue(s, a.Name); due != 0 && due <= now {
			out = append(out, Waiting{Kind: WaitingUpdateDue, Text: "The next update for " + a.Name + " is overdue", For: s.duty(RoleComms, ""), Ref: a.Name, Due: due})
		}
	}
	if !Open(s) {
		for _, a := range s.Audiences {
			if s.untold(a) {
				out = append(out, Waiting{Kind: WaitingUpdateDue, Text: "Nobody has told " + a.Name + " that it is over", For: s.duty(RoleComms, ""), Ref: a.Name})
			}
		}
	}
	for _, u := range s.Updates {
		switch u.State {
		case UpdateDraft:
			out = append(out, Waiting{Kind: WaitingApproval, Text: u.ID + " for " + u.Audience + " waits for approval", For: s.duty(RoleCommander, u.Author), Ref: u.ID})
		case UpdateIsApproved:
			out = append(out, Waiting{Kind: WaitingPublish, Text: u.ID + " for " + u.Audience + " is approved and not published", For: s.duty(RoleComms, ""), Ref: u.ID})
		}
	}
	for _, t := range s.Tasks {
		if !t.Done && t.Due != 0 && t.Due <= now {
			out = append(out, Waiting{Kind: WaitingTask, Text: t.ID + " is overdue: " + t.Title, For: t.Assignee, Ref: t.ID, Due: t.Due})
		}
	}
	return append(append(out, waitingPages(s, now)...), waitingSignals(s)...)
}

// untold is true when the last that the audience heard is not that it is
// resolved, and nothing that says so is on its way.
func (s State) untold(a Audience) bool {
	if i := s.updateAt(a.LastUpdate); i < 0 || s.Updates[i].Phase == "resolved" {
		return false
	}
	return !slices.ContainsFunc(s.Updates, func(u Update) bool {
		return u.Audience == a.Name && (u.State == UpdateDraft || u.State == UpdateIsApproved)
	})
}

// duty is the role when somebody other than not (an actor) holds it, else "":
// what waits for nobody in particular waits for everybody.
func (s State) duty(r Role, not string) string {
	for _, h := range s.Holders(r) {
		if "person:"+h != not {
			return string(r)
		}
	}
	return ""
}

func waitingSignals(s State) []Waiting {
	if !Open(s) {
		return nil
	}
	var names []string
	var first string
	for _, g := range s.Signals {
		if g.State != SignalCleared && !g.Acknowledged {
			if first == "" {
				first = g.ID
			}
			names = append(names, cmp.Or(g.Title, g.ID))
		}
	}
	switch n := len(names); {
	case n == 0:
		return nil
	case n == 1:
		return []Waiting{{Kind: WaitingSignal, Text: "Nobody has acknowledged: " + names[0], Ref: first}}
	case n <= 3:
		return []Waiting{{Kind: WaitingSignal, Text: "Nobody has acknowledged: " + strings.Join(names, "; "), Ref: first}}
	default:
		return []Waiting{{Kind: WaitingSignal, Text: fmt.Sprintf("%d signals that nobody has acknowledged, first: %s", n, names[0]), Ref: first}}
	}
}
