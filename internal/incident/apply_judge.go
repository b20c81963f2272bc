package incident

import (
	"cmp"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/impact"
)

func (b Routed) apply(s *State, e Event) {
	parts := []Part{say("routed")}
	if b.Team != "" {
		if s.Triage.Team != b.Team && s.Triage.Name != "" {
			s.leave(e.At)
		}
		claimed, at := s.Triage.ClaimedBy, s.Triage.ClaimedAt
		if s.Triage.Team != b.Team && s.Triage.Name != "" {
			claimed, at = "", 0
		}
		s.Triage.Team, s.Triage.Name, s.Triage.Tier, s.Triage.Skill = b.Team, cmp.Or(b.Name, b.Team), b.Tier, b.Skill
		s.Triage.ClaimedBy, s.Triage.ClaimedAt, s.Triage.Since = claimed, at, e.At
		parts = append(parts, say(" to "), quote(s.Triage.Name))
		if b.Tier > 0 {
			parts = append(parts, say(", tier "+itoa(b.Tier)))
		}
	}
	if b.Policy != nil {
		s.Paging = s.Paging.Begin(*b.Policy, e.At)
		parts = append(parts, say(", paged by "), quote(cmp.Or(b.Policy.Name, b.Policy.ID)))
	} else {
		if s.Paging.Epoch > 0 { // the team before is not asked for it any more
			s.Paging = s.Paging.Begin(escalation.Policy{}, e.At)
		}
		parts = append(parts, say(", nobody is paged"))
	}
	if b.Ask != 0 {
		s.Paging = s.Paging.Fulfil(b.Ask)
	}
	s.say(e, KindTriage, because(parts, b.Why)...)
}

// leave notes the time of the team that has it among the past ones.
func (s *State) leave(at int64) {
	t := s.Triage
	if t.Team == "" {
		return
	}
	past := with(t.Past, Stay{Team: t.Team, Name: t.Name, Tier: t.Tier, Skill: t.Skill, From: t.Since, Until: at, ClaimedBy: t.ClaimedBy})
	s.Triage.Past = past[max(0, len(past)-MaxStays):]
}

func (b Claimed) apply(s *State, e Event) {
	s.Triage.ClaimedBy, s.Triage.ClaimedAt = b.Person, e.At
	s.say(e, KindTriage, person(b.Person), say(" works on it"))
}

func (b HandedOn) apply(s *State, e Event) {
	s.leave(e.At)
	s.Triage = Triage{Team: b.Team, Since: e.At, Past: s.Triage.Past}
	s.say(e, KindTriage, say("handed on to "), quote(b.Team))
}

func (b CategorySet) apply(s *State, e Event) {
	s.Category = b.Category
	if b.Category == "" {
		s.say(e, KindImpact, say("the category is not known"))
		return
	}
	s.say(e, KindImpact, say("category "), quote(b.Category))
}

func (b FactSet) apply(s *State, e Event) {
	f := impact.Fact{Name: b.Fact, Value: b.Value, Note: b.Note, By: e.Actor, At: e.At, Offset: e.Offset}
	list := with(without(s.Facts, func(x impact.Fact) bool { return x.Name == b.Fact }), f)
	slices.SortFunc(list, func(a, b impact.Fact) int { return cmp.Compare(a.Name, b.Name) })
	s.Facts = list
	s.say(e, KindImpact, because([]Part{say(titleOf(b.Fact) + " "), quote(f.Show())}, b.Note)...)
}

func titleOf(fact string) string {
	if k, ok := impact.FactNamed(fact); ok {
		return k.Title
	}
	return fact
}

func (b FactCleared) apply(s *State, e Event) {
	s.Facts = without(s.Facts, func(x impact.Fact) bool { return x.Name == b.Fact })
	s.say(e, KindImpact, say(titleOf(b.Fact)+" is not known any more"))
}

func (b Scored) apply(s *State, e Event) {
	s.Impact, s.impactFrom = b.Assessment, e.Offset
	list := with(s.Scores, b.Assessment.Point())
	s.Scores = list[max(0, len(list)-MaxScores):]
	s.Advice = s.Advice.Next(b.Assessment)
	s.say(e, KindImpact, b.parts()...)
}

func (b Scored) parts() []Part {
	a := b.Assessment
	if !a.Known {
		return []Part{say("nothing is known of the impact yet")}
	}
	parts := []Part{say("impact " + itoa(a.Score) + " of 100")}
	switch {
	case a.Moment != "" && a.Moment != a.Severity:
		parts = append(parts, say(", "), severity(Severity(a.Severity)), say(" stays advised"))
	case a.Severity != "":
		parts = append(parts, say(", which stands for "), severity(Severity(a.Severity)))
	}
	if a.Loss.Known && a.Loss.PerMinute > 0 {
		parts = append(parts, say(", "+impact.USD(a.Loss.PerMinute)+" a minute"))
	}
	for i, c := range a.Changes {
		if i >= named {
			break
		}
		parts = append(parts, say("\n"), quote(c))
	}
	return parts
}

func (b AdviceDeclined) apply(s *State, e Event) {
	s.Advice = s.Advice.Decline(e.Actor, "", e.At)
	s.say(e, KindImpact, say("the severity stays, though the score stands for "), severity(b.Severity))
}
