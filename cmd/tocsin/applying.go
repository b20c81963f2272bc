package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// applying carries a file over to a server, thing by thing. Whatever it ends at, applying the file again goes on from there.
type applying struct {
	now   oncall.Settings
	do    func(oncall.Command) error      // nil: nothing is changed
	again func() (oncall.Settings, error) // the settings after a change
	tell  func(what, name, done string)
	fresh map[string]bool // "team Front line": it would be created, and has no id yet
}

func (a *applying) apply(f settingsFile) error {
	a.fresh = map[string]bool{}
	for _, s := range f.Schedules {
		if err := a.schedule(s); err != nil {
			return fmt.Errorf("schedule %s: %w", s.Name, err)
		}
	}
	// Teams and policies name each other: first the teams without what names a policy, then the policies, then the rest.
	told := map[string]string{}
	for _, t := range f.Teams {
		if err := a.team(t, false, told); err != nil {
			return fmt.Errorf("team %s: %w", t.Name, err)
		}
	}
	for _, p := range f.Policies {
		if err := a.policy(p); err != nil {
			return fmt.Errorf("policy %s: %w", p.Name, err)
		}
	}
	for _, t := range f.Teams {
		if err := a.team(t, true, told); err != nil {
			return fmt.Errorf("team %s: %w", t.Name, err)
		}
		a.tell("team", t.Name, told[t.Name])
	}
	if f.Rules != nil {
		return a.rules(*f.Rules)
	}
	return nil
}

// send gives commands and reads the settings anew.
func (a *applying) send(list ...oncall.Command) error {
	if a.do == nil {
		return nil
	}
	for _, c := range list {
		if err := a.do(c); err != nil {
			return err
		}
	}
	var err error
	a.now, err = a.again()
	return err
}

func same(x, y any) bool {
	a, _ := json.Marshal(x)
	b, _ := json.Marshal(y)
	return string(a) == string(b)
}

// find looks a thing up by its name; what a dry run would create has an id that nothing has.
func (a *applying) find(what, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	switch what {
	case "team":
		if strings.EqualFold(name, oncall.EverybodyTeam().Name) {
			return oncall.Everybody, nil
		}
		for _, t := range a.now.Teams {
			if strings.EqualFold(t.Name, name) {
				return t.ID, nil
			}
		}
	case "schedule":
		for _, s := range a.now.Schedules {
			if strings.EqualFold(s.Name, name) {
				return s.ID, nil
			}
		}
	case "policy":
		for _, p := range a.now.Policies {
			if strings.EqualFold(p.Name, name) {
				return p.ID, nil
			}
		}
	}
	if a.fresh[what+" "+strings.ToLower(name)] {
		return "new " + name, nil
	}
	return "", fmt.Errorf("there is no %s %s, neither in the file nor on the server", what, name)
}

// known is find for a thing that may be new.
func (a *applying) known(what, name string) string {
	id, _ := a.find(what, name)
	if strings.HasPrefix(id, "new ") {
		return ""
	}
	return id
}

func (a *applying) schedule(f scheduleFile) error {
	var layers []oncall.Layer
	for _, l := range f.Layers {
		x := oncall.Layer{Name: l.Name, People: l.People, Start: l.Start, End: l.End, Unit: l.Unit, Every: max(l.Every, 1)}
		for _, w := range l.Only {
			days, err := dayNumbers(w.Days)
			if err != nil {
				return err
			}
			x.Only = append(x.Only, oncall.Window{Days: days, From: w.From, To: w.To})
		}
		layers = append(layers, x)
	}
	id := a.known("schedule", f.Name)
	if id == "" {
		a.fresh["schedule "+strings.ToLower(f.Name)] = true
		err := a.send(oncall.CreateSchedule{Title: f.Name, Zone: f.Zone, Layers: layers})
		if err == nil {
			a.tell("schedule", f.Name, "created")
		}
		return err
	}
	was, _ := a.now.Schedule(id)
	for i := range layers { // layers are told apart by their place
		if i < len(was.Layers) {
			layers[i].ID = was.Layers[i].ID
		}
	}
	if was.Name == f.Name && was.Zone == f.Zone && (len(layers) == 0 && len(was.Layers) == 0 || same(was.Layers, layers)) {
		a.tell("schedule", f.Name, "unchanged")
		return nil
	}
	if layers == nil {
		layers = []oncall.Layer{}
	}
	err := a.send(oncall.EditSchedule{Schedule: id, Title: &f.Name, Zone: &f.Zone, Layers: &layers})
	if err == nil {
		a.tell("schedule", f.Name, "changed")
	}
	return err
}

// team makes or changes a team; whole: its policy, too.
func (a *applying) team(f teamFile, whole bool, told map[string]string) error {
	schedule, err := a.find("schedule", f.Schedule)
	if err != nil {
		return err
	}
	id := a.known("team", f.Name)
	if id == oncall.Everybody {
		return fmt.Errorf("this team is built in; choose another name")
	}
	if id == "" {
		if whole {
			return nil // a dry run
		}
		a.fresh["team "+strings.ToLower(f.Name)] = true
		told[f.Name] = "created"
		return a.send(oncall.CreateTeam{Title: f.Name, Members: f.Members, Tier: f.Tier, Skill: f.Skill, Schedule: schedule})
	}
	was, _ := a.now.Team(id)
	var todo []oncall.Command
	add := func(differs bool, c oncall.Command) {
		if differs {
			todo = append(todo, c)
		}
	}
	if whole {
		policy, err := a.find("policy", f.Policy)
		if err != nil {
			return err
		}
		add(was.Policy != policy, oncall.SetTeamPolicy{Team: id, Policy: policy})
	} else {
		add(was.Name != f.Name, oncall.RenameTeam{Team: id, Title: f.Name})
		add(strings.Join(was.Members, " ") != strings.Join(f.Members, " "), oncall.SetMembers{Team: id, Members: f.Members})
		add(was.Tier != f.Tier, oncall.SetTier{Team: id, Tier: f.Tier})
		add(was.Skill != f.Skill, oncall.SetSkill{Team: id, Skill: f.Skill})
		add(was.Schedule != schedule, oncall.SetTeamSchedule{Team: id, Schedule: schedule})
	}
	if told[f.Name] == "" {
		told[f.Name] = "unchanged"
	}
	if len(todo) == 0 {
		return nil
	}
	if told[f.Name] == "unchanged" {
		told[f.Name] = "changed"
	}
	return a.send(todo...)
}

func (a *applying) policy(f policyFile) error {
	p := escalation.Policy{Name: f.Name, Repeat: f.Repeat, AckTimeout: int64(f.AckTimeout)}
	for i, s := range f.Steps {
		x := escalation.Step{Wait: int64(s.Wait), Need: s.Need}
		for _, text := range s.Page {
			t, err := a.target(text)
			if err != nil {
				return fmt.Errorf("step %d: %w", i+1, err)
			}
			x.Targets = append(x.Targets, t)
		}
		if c := s.If; c != nil {
			x.If = &escalation.Condition{Severity: c.Severity, Unacked: int64(c.Unacked), Alerts: c.Alerts, Within: int64(c.Within)}
			if h := c.Hours; h != nil {
				days, err := dayNumbers(h.Days)
				if err != nil {
					return fmt.Errorf("step %d: %w", i+1, err)
				}
				x.If.Hours = &escalation.Hours{Zone: h.Zone, Days: days, From: h.From, To: h.To, Not: h.Not}
			}
		}
		p.Steps = append(p.Steps, x)
	}
	done := "changed"
	switch p.ID = a.known("policy", f.Name); {
	case p.ID == "":
		a.fresh["policy "+strings.ToLower(f.Name)] = true
		done = "created"
		if err := a.send(oncall.CreatePolicy{Policy: p}); err != nil {
			return err
		}
	default:
		was, _ := a.now.Policy(p.ID)
		if p.Version = was.Version; same(was, p) {
			done = "unchanged"
		} else if err := a.send(oncall.EditPolicy{Policy: p}); err != nil {
			return err
		}
	}
	a.tell("policy", f.Name, done)
	return nil
}

func (a *applying) target(text string) (escalation.Target, error) {
	kind, name, ok := strings.Cut(text, ":")
	t := escalation.Target{Kind: strings.TrimSpace(kind), Name: strings.TrimSpace(name)}
	if !ok || t.Name == "" {
		return t, fmt.Errorf("%q is nobody to page; write person:ana, team:NAME, schedule:NAME, role:commander or signers:NAME", text)
	}
	var err error
	switch t.Kind {
	case escalation.TargetSchedule:
		t.Name, err = a.find("schedule", t.Name)
	case escalation.TargetTeam, escalation.TargetSigners:
		t.Name, err = a.find("team", t.Name)
	}
	return t, err
}

// rules makes the rules those of the file, in order.
func (a *applying) rules(list []ruleFile) error {
	var want []oncall.Rule
	for i, f := range list {
		team, err := a.find("team", f.Team)
		if err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
		policy, err := a.find("policy", f.Policy)
		if err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
		r := oncall.Rule{Severity: f.Severity, Components: f.Components, Chains: f.Chains, Kinds: f.Kinds, Team: team, Policy: policy}
		if i < len(a.now.Rules) {
			r.ID = a.now.Rules[i].ID
		}
		want = append(want, r)
	}
	var todo []oncall.Command
	for i, r := range want {
		switch {
		case r.ID == "":
			todo = append(todo, oncall.AddRule{Rule: r})
		case !same(r, a.now.Rules[i]):
			todo = append(todo, oncall.EditRule{Rule: r})
		}
	}
	for i := len(want); i < len(a.now.Rules); i++ {
		todo = append(todo, oncall.RemoveRule{Rule: a.now.Rules[i].ID})
	}
	done := "changed"
	if len(todo) == 0 {
		done = "unchanged"
	} else if err := a.send(todo...); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	a.tell("rules", fmt.Sprintf("(%d)", len(want)), done)
	return nil
}
