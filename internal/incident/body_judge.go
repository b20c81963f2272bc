package incident

import (
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/impact"
)

// Routed: the incident is in a team's queue, and with a policy an escalation began. Without a Team the queue stays as it was.
type Routed struct {
	Team   string             `json:"team,omitempty"`
	Name   string             `json:"name,omitempty"`
	Tier   int                `json:"tier,omitempty"`
	Skill  string             `json:"skill,omitempty"`
	Policy *escalation.Policy `json:"policy,omitempty"`
	Why    string             `json:"why,omitempty"`
	Ask    int                `json:"ask,omitempty"`
}

// Claimed: somebody of the team works on it.
type Claimed struct {
	Person string `json:"person"`
}

// HandedOn: another team has it, whose Routed follows. A note follows in ReasonGiven.
type HandedOn struct {
	Team string `json:"team"`
}

// CategorySet: what sort of incident it is; "" is not known.
type CategorySet struct {
	Category string `json:"category"`
}

// FactSet: a fact as it is known now.
type FactSet struct {
	Fact  string `json:"fact"`
	Value string `json:"value"`
	Note  string `json:"note,omitempty"`
}

// FactCleared: a fact was taken back.
type FactCleared struct {
	Fact string `json:"fact"`
}

// Scored: how bad it is by what is known.
type Scored struct {
	Assessment impact.Assessment `json:"assessment"`
}

// AdviceDeclined: the severity stays, against the score. Why follows in ReasonGiven.
type AdviceDeclined struct {
	Severity Severity `json:"severity"` // the one that was advised
}

// Type is "incident.routed".
func (Routed) Type() string { return "incident.routed" }

// Type is "incident.claimed".
func (Claimed) Type() string { return "incident.claimed" }

// Type is "incident.handed_on".
func (HandedOn) Type() string { return "incident.handed_on" }

// Type is "incident.category_set".
func (CategorySet) Type() string { return "incident.category_set" }

// Type is "incident.fact_set".
func (FactSet) Type() string { return "incident.fact_set" }

// Type is "incident.fact_cleared".
func (FactCleared) Type() string { return "incident.fact_cleared" }

// Type is "incident.scored".
func (Scored) Type() string { return "incident.scored" }

// Type is "incident.advice_declined".
func (AdviceDeclined) Type() string { return "incident.advice_declined" }
