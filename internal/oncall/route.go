package oncall

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// Route says which team an incident goes to, how it is paged, and why, as a sentence. Of the rules the first that fits counts; none: the first
// team of tier 1; no such team: everybody, by Default. A team without a policy is paged by its schedule, then as a whole, then everybody.
func (s Settings) Route(severity string, components, chains, kinds []string) (Team, escalation.Policy, string) {
	for i, r := range s.Rules {
		because, fits := r.fits(severity, components, chains, kinds)
		if !fits {
			continue
		}
		t, ok := s.Team(r.Team)
		if !ok {
			continue
		}
		if p, ok := s.Policy(r.Policy); ok {
			return t, Paging(p), fmt.Sprintf("rule %d: %s goes to %s, paged by %s", i+1, because, t.Name, p.Name)
		}
		return t, s.PolicyOf(t), fmt.Sprintf("rule %d: %s goes to %s", i+1, because, t.Name)
	}
	if t, ok := find(s.Teams, func(t Team) bool { return t.Tier == 1 }); ok {
		return t, s.PolicyOf(t), "no rule fits: the front line is " + t.Name
	}
	return EverybodyTeam(), Default(), "no team takes incidents: everybody is paged"
}

// PolicyOf is how a team is paged: by its policy, or by the built-in one for it.
func (s Settings) PolicyOf(t Team) escalation.Policy {
	if t.ID == Everybody {
		return Default()
	}
	if p, ok := s.Policy(t.Policy); ok {
		return Paging(p)
	}
	return implied(t)
}

// fits says whether all that a rule asks for holds, and what of it, in words.
func (r Rule) fits(severity string, components, chains, kinds []string) (string, bool) {
	var because []string
	if r.Severity != "" {
		if severity == "" || severity > r.Severity {
			return "", false
		}
		because = append(because, severity+" is at least "+r.Severity)
	}
	for _, x := range []struct {
		name      string
		asked, is []string
	}{{"component", r.Components, components}, {"chain", r.Chains, chains}, {"signal", r.Kinds, kinds}} {
		if len(x.asked) == 0 {
			continue
		}
		i := slices.IndexFunc(x.is, func(v string) bool {
			return slices.ContainsFunc(x.asked, func(a string) bool { return strings.EqualFold(a, v) })
		})
		if i < 0 {
			return "", false
		}
		because = append(because, x.name+" "+x.is[i])
	}
	if len(because) == 0 {
		return "any incident", true
	}
	return strings.Join(because, ", "), true
}
