package oncall

import (
	"slices"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// undo turns every change of an event round, when all of it still stands and nothing would be left pointing at what goes.
func (d *deciding) undo(c Undo) error {
	h, ok := find(d.s.History, func(h Done) bool { return h.ID == c.Event })
	switch {
	case !ok:
		return refuse(CodeNotFound, "There is no such change, or it is too long ago. Change it back by hand.")
	case h.Undone:
		return refuse(CodeUndone, "This change was taken back already.")
	case !d.m.Manage && h.Actor != d.m.Actor:
		return refuse(CodeNotYours, "You may take back changes of your own. For others, ask an administrator.")
	}
	b := h.Body
	now := d.s.Settings
	if !stands(now, b) {
		return refuse(CodeChanged, "What was changed then has changed again since. Take the later change back first, or change it by hand.")
	}
	d.body.Teams, d.body.Schedules, d.body.Policies = turn(b.Teams), turn(b.Schedules), turn(b.Policies)
	d.body.Overrides, d.body.Swaps, d.body.HandOvers = turn(b.Overrides), turn(b.Swaps), turn(b.HandOvers)
	if b.Rules != nil {
		d.body.Rules = &Diff[[]Rule]{b.Rules.After, b.Rules.Before}
	}
	for i, p := range d.body.Policies { // an older version must not come again as another policy
		if p.Before == nil {
			continue
		}
		is, _ := now.Policy(p.Before.ID) // the same but for its version
		d.body.Policies[i].Before = &is
		if p.After != nil {
			after := *p.After
			after.Version = is.Version + 1
			d.body.Policies[i].After = &after
		}
	}
	next := State{Settings: now}
	next.Apply(Event{Body: *d.body})
	if err := d.loose(next.Settings); err != nil {
		return err
	}
	d.body.Undoes = h.ID
	d.did(changeUndone, "took back: %s", b.Says)
	return nil
}

func turn[T any](diffs []Diff[T]) []Diff[T] {
	var out []Diff[T]
	for _, x := range slices.Backward(diffs) {
		out = append(out, Diff[T]{x.After, x.Before})
	}
	return out
}

// stands says whether everything is as the event left it, or is so again: versions of policies only rise.
func stands(s Settings, b Body) bool {
	return all(b.Teams, func(t Team) (Team, bool) { return find(s.Teams, func(x Team) bool { return x.ID == t.ID }) }) &&
		all(b.Schedules, func(t Schedule) (Schedule, bool) { x, ok := s.Schedule(t.ID); x.Overrides = nil; return x, ok }) &&
		all(b.Policies, func(p escalation.Policy) (escalation.Policy, bool) {
			x, ok := s.Policy(p.ID)
			x.Version = p.Version
			return x, ok
		}) &&
		all(b.Swaps, func(x Swap) (Swap, bool) { return s.Swap(x.ID) }) &&
		all(b.HandOvers, func(n HandOver) (HandOver, bool) { return s.Note(n.Schedule, n.At) }) &&
		all(b.Overrides, func(p Placed) (Placed, bool) {
			x, _ := s.Schedule(p.Schedule)
			o, ok := find(x.Overrides, func(o Override) bool { return o.ID == p.Override.ID })
			return Placed{p.Schedule, o}, ok
		}) &&
		(b.Rules == nil || b.Rules.After != nil && equal(s.Rules, *b.Rules.After) || b.Rules.After == nil && len(s.Rules) == 0)
}

func all[T any](diffs []Diff[T], now func(T) (T, bool)) bool {
	for _, d := range diffs {
		switch {
		case d.After != nil:
			if x, ok := now(*d.After); !ok || !equal(x, *d.After) {
				return false
			}
		case d.Before != nil:
			if _, ok := now(*d.Before); ok {
				return false
			}
		}
	}
	return true
}

// loose refuses settings in which something points at what is not there, more than one thing has a name, or a bound is exceeded.
func (d *deciding) loose(s Settings) error {
	gone := refuse(CodeInUse, "Taking this back would leave something without its team, schedule or policy. Change what uses it first.")
	missing := func(what, id string) bool {
		ok := true
		switch what {
		case escalation.TargetSchedule:
			_, ok = s.Schedule(id)
		case escalation.TargetTeam, escalation.TargetSigners:
			_, ok = s.Team(id)
		case "policy":
			_, ok = s.Policy(id)
		}
		return id != "" && !ok
	}
	for _, o := range d.body.Overrides {
		if o.After != nil && missing(escalation.TargetSchedule, o.After.Schedule) {
			return refuse(CodeNotFound, "The schedule of this override is not there any more.")
		}
	}
	names := map[string]bool{}
	taken := func(kind, name string) bool { was := names[kind+name]; names[kind+name] = true; return was }
	for _, t := range s.Teams {
		if missing(escalation.TargetSchedule, t.Schedule) || missing("policy", t.Policy) {
			return gone
		}
		if taken("team ", t.Name) {
			return refuse(CodeNameTaken, "There is another team %s meanwhile. Rename it first.", t.Name)
		}
	}
	for _, p := range s.Policies {
		for _, x := range p.Steps {
			for _, t := range x.Targets {
				if missing(t.Kind, t.Name) {
					return gone
				}
			}
		}
		if taken("policy ", p.Name) {
			return refuse(CodeNameTaken, "There is another policy %s meanwhile. Rename it first.", p.Name)
		}
	}
	for _, x := range s.Schedules {
		if taken("schedule ", x.Name) {
			return refuse(CodeNameTaken, "There is another schedule %s meanwhile. Rename it first.", x.Name)
		}
	}
	for _, r := range s.Rules {
		if missing(escalation.TargetTeam, r.Team) || missing("policy", r.Policy) {
			return gone
		}
	}
	if len(s.Teams) > MaxTeams || len(s.Schedules) > MaxSchedules || len(s.Policies) > MaxPolicies {
		return refuse(CodeTooMany, "There are too many by now. Remove one first.")
	}
	return nil
}
