package oncall

import "github.com/tocsin-ops/tocsin/internal/escalation"

// Everybody is the id of the built-in team: everybody who is administrator or responder and can be reached.
const Everybody = "everybody"

// DefaultPolicy is the id of the built-in policy.
const DefaultPolicy = "esc-everybody"

// EverybodyTeam is the built-in team that incidents go to while there is no team that takes them.
func EverybodyTeam() Team {
	return Team{ID: Everybody, Name: "Everybody", Tier: 1, Policy: DefaultPolicy}
}

// Silence is how long, in ms, who has an incident may be silent before it pages again, where no policy says otherwise.
const Silence = 60 * minute

// Default is the built-in policy, so that a fresh installation pages somebody without any setting: everybody at once, again every five minutes,
// four times in all; and again when the room is silent for Silence after somebody acknowledged.
func Default() escalation.Policy {
	return escalation.Policy{ID: DefaultPolicy, Name: "Everybody", Repeat: 3, AckTimeout: Silence,
		Steps: []escalation.Step{{Targets: []escalation.Target{{Kind: escalation.TargetTeam, Name: Everybody}}, Wait: 5 * minute}}}
}

// implied is how a team without a policy is paged: who is on call first, then the whole team, then everybody.
func implied(t Team) escalation.Policy {
	p := escalation.Policy{ID: "esc-of-" + t.ID, Name: "Built-in for " + t.Name, Repeat: 2, AckTimeout: Silence}
	add := func(kind, name string) {
		p.Steps = append(p.Steps, escalation.Step{Targets: []escalation.Target{{Kind: kind, Name: name}}, Wait: 5 * minute})
	}
	if t.Schedule != "" {
		add(escalation.TargetSchedule, t.Schedule)
	}
	if len(t.Members) > 0 {
		add(escalation.TargetTeam, t.ID)
	}
	add(escalation.TargetTeam, Everybody)
	return p
}

// Paging is a policy of the settings as people are paged by it: where it says nothing of silence, Silence counts.
func Paging(p escalation.Policy) escalation.Policy {
	if p.AckTimeout == 0 {
		p.AckTimeout = Silence
	}
	return p
}

const minute = int64(60_000)

func idOf(p escalation.Policy) string { return p.ID }
