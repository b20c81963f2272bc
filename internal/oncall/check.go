package oncall

import (
	"fmt"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// Ahead is how far holes are looked for, in milliseconds.
const Ahead = 30 * day

// Codes of warnings.
const (
	WarnNothing   = "nothing_set"    // no team takes incidents: everybody is paged
	WarnHole      = "hole"           // nobody is on call for a time
	WarnLeft      = "person_left"    // somebody named is not there any more
	WarnNobody    = "reaches_nobody" // a step, or a whole policy
	WarnNoPolicy  = "no_policy"      // a team without one
	WarnAlone     = "single_person"  // a policy that reaches one person only
	WarnSwapMoved = "swap_off"       // an accepted swap that does not fit the turns any more
	WarnZone      = "zone_unknown"   // a schedule whose zone this machine does not know
	mostHoles     = 10               // warnings of one schedule
)

// Warning is something about the settings that a person should see to.
type Warning struct {
	Code     string `json:"code"`
	Kind     string `json:"kind"` // team, schedule, policy, rule or ""
	ID       string `json:"id,omitempty"`
	Name     string `json:"name,omitempty"`
	Sentence string `json:"sentence"`
	From     int64  `json:"from,omitempty"` // of a hole, unix ms
	Until    int64  `json:"until,omitempty"`
}

// checking is one look at the settings.
type checking struct {
	s   Settings
	w   World
	now int64
	out []Warning
}

// Check says what is wrong with the settings at a moment (unix ms), or will be within Ahead. What is set always works somehow; this says how badly.
func Check(s Settings, w World, now int64) []Warning {
	c := &checking{s: s, w: w, now: now}
	if _, ok := find(s.Teams, func(t Team) bool { return t.Tier > 0 }); !ok {
		c.warn(WarnNothing, "", "", "", "No team takes incidents: everybody is paged.")
	}
	for _, x := range s.Schedules {
		c.schedule(x)
	}
	for _, t := range s.Teams {
		c.team(t)
	}
	for _, p := range s.Policies {
		c.policy(p)
	}
	return c.out
}

func (c *checking) warn(code, kind, id, name, format string, args ...any) {
	c.out = append(c.out, Warning{Code: code, Kind: kind, ID: id, Name: name, Sentence: fmt.Sprintf(format, args...)})
}

func (c *checking) here(handle string) bool { _, ok := c.w.Person(handle); return ok }

// left lists once who of some people is not there any more.
func (c *checking) left(people ...string) (out []string) {
	for _, p := range people {
		if p != "" && !c.here(p) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func (c *checking) schedule(x Schedule) {
	zone, err := c.w.Zone(x.Zone)
	if err != nil {
		c.warn(WarnZone, "schedule", x.ID, x.Name, "The zone %s of schedule %s is not known here: nobody is on call in it. Choose another zone.", x.Zone, x.Name)
		return
	}
	var all []string
	for _, l := range x.Layers {
		all = append(all, l.People...)
	}
	for _, o := range x.Overrides {
		if o.Until > c.now {
			all = append(all, o.Person)
		}
	}
	for _, p := range c.left(all...) {
		c.warn(WarnLeft, "schedule", x.ID, x.Name, "%s has left but still has turns in schedule %s. Take them out of it.", p, x.Name)
	}
	holes := x.Holes(c.now, c.now+Ahead, zone)
	for i, h := range holes {
		if i == mostHoles {
			c.warn(WarnHole, "schedule", x.ID, x.Name, "There are %d more holes in schedule %s.", len(holes)-i, x.Name)
			break
		}
		c.warn(WarnHole, "schedule", x.ID, x.Name, "Nobody is on call in %s from %s until %s.", x.Name, said(h.From, zone), said(h.Until, zone))
		c.out[len(c.out)-1].From, c.out[len(c.out)-1].Until = h.From, h.Until
	}
	c.swaps(x)
}

// swaps looks whether the overrides of accepted swaps still stand for a turn of who gave it away.
func (c *checking) swaps(x Schedule) {
	zone, err := c.w.Zone(x.Zone)
	if err != nil {
		return
	}
	bare := x
	bare.Overrides = nil
	for _, o := range x.Overrides {
		w, ok := c.s.Swap(o.Swap)
		if !ok || o.Until <= c.now {
			continue
		}
		giver := w.Mine.Person
		if o.Person == giver {
			giver = w.Theirs.Person
		}
		if d := bare.At(o.Until-1, zone); d.Person != giver || d.Until != o.Until {
			c.warn(WarnSwapMoved, "schedule", x.ID, x.Name, "The turn that %s took from %s in %s until %s is not a turn of %s any more. Look at it again.", o.Person, giver, x.Name, said(o.Until, zone), giver)
		}
	}
}

func (c *checking) team(t Team) {
	for _, p := range c.left(t.Members...) {
		c.warn(WarnLeft, "team", t.ID, t.Name, "%s has left but is still in team %s. Take them out of it.", p, t.Name)
	}
	if t.Tier > 0 && t.Policy == "" {
		c.warn(WarnNoPolicy, "team", t.ID, t.Name, "Team %s has no policy: %s.", t.Name, plan(c.s.PolicyOf(t)))
	}
	if t.Tier > 0 && t.Policy == "" && len(c.left(t.Members...)) == len(t.Members) && t.Schedule == "" {
		c.warn(WarnNobody, "team", t.ID, t.Name, "Team %s has nobody: its incidents page everybody.", t.Name)
	}
}

// plan says how the built-in policy of a team pages.
func plan(p escalation.Policy) string {
	switch len(p.Steps) {
	case 3:
		return "who is on call is paged, then the whole team, then everybody"
	case 2:
		return "its people are paged, then everybody"
	}
	return "everybody is paged"
}

func (c *checking) policy(p escalation.Policy) {
	people, open := map[string]bool{}, false // open: the roles of an incident may reach anybody
	for i, s := range p.Steps {
		reached := 0
		for _, t := range s.Targets {
			if t.Kind == escalation.TargetPerson {
				for _, gone := range c.left(t.Name) {
					c.warn(WarnLeft, "policy", p.ID, p.Name, "%s has left but is still paged by step %d of policy %s. Choose somebody else.", gone, i+1, p.Name)
				}
			}
			if t.Kind == escalation.TargetRole || t.Name == Everybody {
				open = true
				reached++
			}
			for _, h := range c.reach(t) {
				people[h] = true
				reached++
			}
		}
		if reached == 0 {
			c.warn(WarnNobody, "policy", p.ID, p.Name, "Step %d of policy %s reaches nobody.", i+1, p.Name)
		}
	}
	switch {
	case open:
	case len(people) == 0:
		c.warn(WarnNobody, "policy", p.ID, p.Name, "Policy %s reaches nobody at all.", p.Name)
	case len(people) == 1:
		for h := range people {
			c.warn(WarnAlone, "policy", p.ID, p.Name, "Policy %s reaches only %s: when they sleep, nobody comes. Add somebody to it.", p.Name, h)
		}
	}
}

// reach lists who a target can reach within Ahead.
func (c *checking) reach(t escalation.Target) []string {
	var all []string
	switch t.Kind {
	case escalation.TargetPerson:
		all = []string{t.Name}
	case escalation.TargetTeam, escalation.TargetSigners:
		if x, ok := c.s.Team(t.Name); ok {
			all = x.Members
		}
	case escalation.TargetSchedule:
		x, _ := c.s.Schedule(t.Name)
		zone, err := c.w.Zone(x.Zone)
		if err != nil {
			break
		}
		for _, d := range x.Shifts(c.now, c.now+Ahead, zone) {
			all = append(all, d.Person)
		}
	}
	all = slices.Compact(slices.Sorted(slices.Values(all)))
	return slices.DeleteFunc(all, func(h string) bool { return h == "" || !c.here(h) })
}
