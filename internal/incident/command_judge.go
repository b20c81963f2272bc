package incident

import (
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/impact"
)

// Route puts the incident into a team's queue and, with a Policy, begins to page by it. With Ask it fulfils that wish by hand, and no team need be named.
type Route struct {
	Team     string             `json:"team,omitempty"` // id
	TeamName string             `json:"name,omitempty"` // what people read
	Tier     int                `json:"tier,omitempty"`
	Skill    string             `json:"skill,omitempty"`
	Policy   *escalation.Policy `json:"policy,omitempty"` // the whole snapshot; nil pages nobody
	Why      string             `json:"why"`              // one sentence: which rule
	Ask      int                `json:"ask,omitempty"`
}

// Claim takes the incident from the queue: the person who gives it works on it.
type Claim struct{}

// HandOn gives the incident to another team, by its id or its name. Who routes then looks the team up and gives Route.
type HandOn struct {
	Team string `json:"team"`
	Note string `json:"note,omitempty"`
}

// SetCategory says what sort of incident it is: one lower-case word, such as bridge-drain. Empty clears it.
type SetCategory struct {
	Category string `json:"category"`
}

// SetFact states one fact of the catalogue of package impact.
type SetFact struct {
	Fact  string `json:"fact"`
	Value string `json:"value"`
	Note  string `json:"note,omitempty"`
}

// ClearFact takes a fact back.
type ClearFact struct {
	Fact string `json:"fact"`
}

// Score says how bad the incident is by what is known now.
type Score struct {
	Assessment impact.Assessment `json:"assessment"`
}

// FollowAdvice sets the severity that the score advises. Severity is the advice that was seen, "" for whichever stands: another one that has come
// meanwhile is followed by nobody unseen.
type FollowAdvice struct {
	Severity string `json:"severity,omitempty"`
}

// DeclineAdvice leaves the severity as it is and says why. Reason is required; Severity is as in FollowAdvice. It speaks again only when something
// worse is advised.
type DeclineAdvice struct {
	Reason   string `json:"reason"`
	Severity string `json:"severity,omitempty"`
}

// Name is "route".
func (Route) Name() string { return "route" }

// Name is "claim".
func (Claim) Name() string { return "claim" }

// Name is "hand_on".
func (HandOn) Name() string { return "hand_on" }

// Name is "set_category".
func (SetCategory) Name() string { return "set_category" }

// Name is "set_fact".
func (SetFact) Name() string { return "set_fact" }

// Name is "clear_fact".
func (ClearFact) Name() string { return "clear_fact" }

// Name is "score".
func (Score) Name() string { return "score" }

// Name is "follow_advice".
func (FollowAdvice) Name() string { return "follow_advice" }

// Name is "decline_advice".
func (DeclineAdvice) Name() string { return "decline_advice" }
