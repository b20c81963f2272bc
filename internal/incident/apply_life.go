package incident

import (
	"slices"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

func (b Declared) apply(s *State, e Event) {
	s.Declared, s.Number, s.ID, s.Drill = true, b.Number, b.ID, e.Drill
	s.Severity, s.Status = b.Severity, StatusDeclared
	s.Components, s.Chains = b.Components, b.Chains
	s.ImpactBeganAt, s.DetectedAt, s.DeclaredAt, s.DeclaredBy = b.ImpactBeganAt, b.DetectedAt, e.At, e.Actor
	s.say(e, KindSystem, say("declared "), incidentOf(b.Number), say(" as "), severity(b.Severity))
}

func (b Described) apply(s *State, e Event) {
	s.Title, s.Summary, s.titleFrom, s.summaryFrom = b.Title, b.Summary, e.Offset, e.Offset
	parts := []Part{say("what is wrong: "), quote(b.Title)}
	if b.Summary != "" {
		parts = append(parts, say("\n"), quote(b.Summary))
	}
	s.say(e, KindSystem, parts...)
}

func (b Renamed) apply(s *State, e Event) {
	s.Title, s.titleFrom = b.Title, e.Offset
	s.say(e, KindSystem, say("renamed to "), quote(b.Title))
}

func (b SummarySet) apply(s *State, e Event) {
	s.Summary, s.summaryFrom = b.Summary, e.Offset
	if b.Summary == "" {
		s.say(e, KindSystem, say("cleared what was written as known"))
		return
	}
	s.say(e, KindSystem, say("what we know: "), quote(b.Summary))
}

func (b SeveritySet) apply(s *State, e Event) {
	s.Severity = b.Severity
	if !escalation.Grave(string(b.Severity)) { // nobody has to answer any more
		s.Paging.Unanswered = 0
	}
	s.say(e, KindSeverity, because([]Part{severity(b.From), say(" → "), severity(b.Severity)}, b.Reason)...)
}

func (b StatusSet) apply(s *State, e Event) {
	s.Status = b.Status
	s.say(e, KindStatus, because([]Part{status(b.From), say(" → "), status(b.Status)}, b.Reason)...)
}

func (b TimesSet) apply(s *State, e Event) {
	s.ImpactBeganAt, s.DetectedAt = b.ImpactBeganAt, b.DetectedAt
	s.say(e, KindTimes, because([]Part{say("impact began "), moment(b.ImpactBeganAt), say(", detected "), moment(b.DetectedAt)}, b.Reason)...)
}

func (b ComponentsSet) apply(s *State, e Event) {
	s.Components = b.Components
	s.say(e, KindSystem, append([]Part{say("components: ")}, listOf(b.Components)...)...)
}

func (b ChainsSet) apply(s *State, e Event) {
	s.Chains = b.Chains
	s.say(e, KindSystem, append([]Part{say("chains: ")}, listOf(b.Chains)...)...)
}

func (b Merged) apply(s *State, e Event) {
	s.MergedInto, s.Paging = b.Into, s.Paging.Stop(e.At)
	s.say(e, KindSystem, say("merged into "), incidentOf(b.Into))
}

func (b Absorbed) apply(s *State, e Event) {
	if !slices.Contains(s.Absorbed, b.From) {
		s.Absorbed = with(s.Absorbed, b.From)
	}
	s.say(e, KindSystem, incidentOf(b.From), say(" was merged into this one"))
}

func (b Resolved) apply(s *State, e Event) {
	s.Status, s.ResolvedAt, s.Validation, s.validatedFrom = StatusResolved, e.At, b.Validation, e.Offset
	s.Paging = s.Paging.Stop(e.At)
	s.say(e, KindStatus, because([]Part{status(StatusResolved)}, b.Validation)...)
}

func (b Reopened) apply(s *State, e Event) {
	s.Status, s.ResolvedAt, s.ReviewedAt, s.Validation, s.validatedFrom = StatusInvestigating, 0, 0, "", e.Offset
	s.Paging = s.Paging.Restart(e.At)
	s.say(e, KindStatus, because([]Part{say("reopened, "), status(StatusInvestigating)}, b.Reason)...)
}

func (b Reviewed) apply(s *State, e Event) {
	s.Status, s.ReviewedAt = StatusReviewed, e.At
	s.say(e, KindStatus, because([]Part{status(StatusReviewed)}, b.Note)...)
}
