package oncall

import (
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

func (d *deciding) teamOf(id string) (Team, error) {
	if t, ok := find(d.s.Teams, func(t Team) bool { return t.ID == id }); ok {
		return t, nil
	}
	if id == Everybody {
		return Team{}, refuse(CodeNotFound, "The team of everybody is built in and cannot be changed. Create a team of your own.")
	}
	return Team{}, refuse(CodeNotFound, "There is no team %s. Reload the list of teams.", short(id))
}

func (d *deciding) teamName(id, name string) (string, error) {
	name, err := named("the team", name)
	if err == nil && (strings.EqualFold(name, EverybodyTeam().Name) || slices.ContainsFunc(d.s.Teams, func(t Team) bool { return t.ID != id && strings.EqualFold(t.Name, name) })) {
		err = refuse(CodeNameTaken, "Another team has the name %s already. Choose another one.", name)
	}
	return name, err
}

func (d *deciding) teamParts(t Team, was Team) error {
	if err := d.people("The team", t.Members, was.Members, MaxMembers, false); err != nil {
		return err
	}
	if err := tier(t.Tier); err != nil {
		return err
	}
	if err := skill(t.Skill); err != nil {
		return err
	}
	if _, ok := d.s.Schedule(t.Schedule); t.Schedule != "" && !ok {
		return refuse(CodeBadTarget, "There is no schedule %s.", short(t.Schedule))
	}
	if _, ok := d.s.Policy(t.Policy); t.Policy != "" && !ok {
		return refuse(CodeBadTarget, "There is no policy %s.", short(t.Policy))
	}
	return nil
}

func (d *deciding) createTeam(c CreateTeam) error {
	if len(d.s.Teams) >= MaxTeams {
		return refuse(CodeTooMany, "There are %d teams already. Remove one first.", MaxTeams)
	}
	t := Team{ID: d.id("team-"), Members: c.Members, Tier: c.Tier, Skill: c.Skill, Schedule: c.Schedule, Policy: c.Policy}
	var err error
	if t.Name, err = d.teamName("", c.Title); err != nil {
		return err
	}
	if err := d.teamParts(t, Team{}); err != nil {
		return err
	}
	d.body.Teams = []Diff[Team]{{After: &t}}
	d.did(teamCreated, "created team %s", t.Name)
	return nil
}

// team changes one; says is what was done, with the name of the team for %s.
func (d *deciding) team(id, says string, change func(*Team) error) error {
	was, err := d.teamOf(id)
	if err != nil {
		return err
	}
	t := was
	if err := change(&t); err != nil {
		return err
	}
	if err := d.teamParts(t, was); err != nil {
		return err
	}
	if !equal(t, was) {
		d.body.Teams = []Diff[Team]{{&was, &t}}
		d.did(teamChanged, says, was.Name)
	}
	return nil
}

func (d *deciding) renameTeam(c RenameTeam) error {
	name, err := d.teamName(c.Team, c.Title)
	if err != nil {
		return err
	}
	return d.team(c.Team, "renamed team %s to "+percent(name), func(t *Team) error { t.Name = name; return nil })
}

func (d *deciding) setMembers(c SetMembers) error {
	return d.team(c.Team, "changed who is in team %s", func(t *Team) error { t.Members = c.Members; return nil })
}

func (d *deciding) setTier(c SetTier) error {
	return d.team(c.Team, "set the tier of team %s to "+itoa(c.Tier), func(t *Team) error { t.Tier = c.Tier; return nil })
}

func (d *deciding) setSkill(c SetSkill) error {
	return d.team(c.Team, "set the skill of team %s to "+percent(c.Skill), func(t *Team) error { t.Skill = c.Skill; return nil })
}

func (d *deciding) setTeamSchedule(c SetTeamSchedule) error {
	return d.team(c.Team, "changed the schedule of team %s", func(t *Team) error { t.Schedule = c.Schedule; return nil })
}

func (d *deciding) setTeamPolicy(c SetTeamPolicy) error {
	return d.team(c.Team, "changed the policy of team %s", func(t *Team) error { t.Policy = c.Policy; return nil })
}

func (d *deciding) removeTeam(c RemoveTeam) error {
	t, err := d.teamOf(c.Team)
	if err != nil {
		return err
	}
	if err := unused("team", t.Name, d.s.usesTeam(t.ID)); err != nil {
		return err
	}
	d.body.Teams = []Diff[Team]{{Before: &t}}
	d.did(teamRemoved, "removed team %s", t.Name)
	return nil
}

// unused refuses to remove what is in use, naming where.
func unused(what, name string, where []string) error {
	if len(where) == 0 {
		return nil
	}
	more := ""
	if n := len(where); n > 5 {
		where, more = where[:5], " and "+itoa(n-5)+" more"
	}
	return refuse(CodeInUse, "The %s %s is used by %s%s. Change that first.", what, name, strings.Join(where, ", "), more)
}

func (s Settings) usesTeam(id string) (where []string) {
	for i, r := range s.Rules {
		if r.Team == id {
			where = append(where, "rule "+itoa(i+1))
		}
	}
	return append(where, s.targets(id, escalation.TargetTeam, escalation.TargetSigners)...)
}

func (s Settings) usesSchedule(id string) (where []string) {
	for _, t := range s.Teams {
		if t.Schedule == id {
			where = append(where, "team "+t.Name)
		}
	}
	return append(where, s.targets(id, escalation.TargetSchedule)...)
}

func (s Settings) usesPolicy(id string) (where []string) {
	for _, t := range s.Teams {
		if t.Policy == id {
			where = append(where, "team "+t.Name)
		}
	}
	for i, r := range s.Rules {
		if r.Policy == id {
			where = append(where, "rule "+itoa(i+1))
		}
	}
	return where
}

// targets lists the steps of policies that page name as one of the kinds.
func (s Settings) targets(name string, kinds ...string) (where []string) {
	for _, p := range s.Policies {
		for i, x := range p.Steps {
			if slices.ContainsFunc(x.Targets, func(t escalation.Target) bool { return t.Name == name && slices.Contains(kinds, t.Kind) }) {
				where = append(where, "step "+itoa(i+1)+" of policy "+p.Name)
			}
		}
	}
	return where
}

// percent keeps a name out of a format's hands.
func percent(text string) string { return strings.ReplaceAll(text, "%", "%%") }
