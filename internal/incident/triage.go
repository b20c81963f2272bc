package incident

import (
	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// Triage says which team has the incident. The zero Triage is one that nobody routed.
type Triage struct {
	Team      string `json:"team,omitempty"` // id; as a person wrote it until it is routed
	Name      string `json:"name,omitempty"` // what people read; "" until it is routed
	Tier      int    `json:"tier,omitempty"`
	Skill     string `json:"skill,omitempty"`
	Since     int64  `json:"since,omitempty"`
	ClaimedBy string `json:"claimed_by,omitempty"` // handle
	ClaimedAt int64  `json:"claimed_at,omitempty"`
	Note      string `json:"note,omitempty"` // with which it was handed on
	Past      []Stay `json:"past,omitempty"` // the teams before, the oldest first; at most MaxStays

	noteFrom int64
}

// Stay is the time that a team had the incident.
type Stay struct {
	Team      string `json:"team"`
	Name      string `json:"name,omitempty"`
	Tier      int    `json:"tier,omitempty"`
	Skill     string `json:"skill,omitempty"`
	From      int64  `json:"from"`
	Until     int64  `json:"until"`
	ClaimedBy string `json:"claimed_by,omitempty"`
}

// Categories are what is offered as the category of an incident, in this order; people may write others. The caller owns the slice.
func Categories() []string {
	return []string{"exploit", "key_compromise", "consensus_fault", "bridge_fault", "oracle_fault", "market", "infrastructure", "third_party", "human_error", "other"}
}

// Situation is what the conditions of an escalation look at.
func (s State) Situation() escalation.Situation {
	sit := escalation.Situation{Incident: s.Number, Open: Open(s), Severity: string(s.Severity)}
	for _, g := range s.Signals {
		sit.Attached = append(sit.Attached, g.AttachedAt)
	}
	return sit
}

// CommandOf is the command of an act that is due; nil for escalation.DoPolicy, for which somebody looks the policy up.
func CommandOf(a escalation.Act) Command {
	switch a.Do {
	case escalation.DoPage:
		return PageStep{a.Turn}
	case escalation.DoExpire:
		return ExpireAcknowledgement{}
	case escalation.DoWake:
		return Unsnooze{}
	case escalation.DoExhaust:
		return Exhaust{}
	}
	return nil
}
