package web

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/views"
)

const (
	shownHoles = 12
	// undoFor is how long, in ms, the bar after a change offers to take it back.
	undoFor = 10 * 60_000
)

// zoneChoices are offered while somebody types; every other IANA name is taken, too.
var zoneChoices = []string{"UTC", "Africa/Johannesburg", "Africa/Lagos", "America/Argentina/Buenos_Aires", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/New_York", "America/Sao_Paulo", "America/Toronto",
	"Asia/Dubai", "Asia/Hong_Kong", "Asia/Kolkata", "Asia/Seoul", "Asia/Shanghai", "Asia/Singapore", "Asia/Tokyo", "Australia/Sydney", "Europe/Berlin", "Europe/Lisbon", "Europe/London", "Europe/Paris", "Europe/Zurich", "Pacific/Auckland"}

// undoBar offers to take back the change that an event made, to who may and while it is fresh.
func (s *Server) undoBar(c *call, back string) *views.UndoBar {
	id := c.QueryParam("did")
	if id == "" {
		return nil
	}
	for _, h := range slices.Backward(s.OnCall.History()) {
		if h.ID != id {
			continue
		}
		if h.Undone || h.Actor != c.actor.String() || s.now()-h.At > undoFor {
			return nil
		}
		says := "You " + h.Body.Says + "."
		for _, n := range h.Body.Notes {
			says += " " + n
		}
		return &views.UndoBar{Says: s.withNames(says), To: "/oncall/undo", Event: id, Back: back}
	}
	return nil
}

// withNames writes the names of people instead of their handles, where a handle stands as a word of its own.
func (s *Server) withNames(text string) string {
	words := strings.Split(text, " ")
	for i, w := range words {
		bare := strings.TrimRight(w, ".,:;")
		if p, ok := s.Auth.Directory().Person(bare); ok && p.Name != "" {
			words[i] = p.Name + w[len(bare):]
		}
	}
	return strings.Join(words, " ")
}

// shiftName is a person of a shift; "" is nobody.
func (s *Server) shiftName(handle string) string {
	if handle == "" {
		return "nobody"
	}
	return s.person(handle)
}

// zoneWord is how people call a zone: "Zurich".
func zoneWord(name string) string {
	return strings.ReplaceAll(name[strings.LastIndexByte(name, '/')+1:], "_", " ")
}

// presentDuty is who is on call for a time; mute says why somebody cannot be reached.
func (s *Server) presentDuty(d oncall.Duty, zone *time.Location, mute string) *views.Duty {
	out := &views.Duty{Handle: d.Person, Why: s.whyOf(d), From: d.From, Until: d.Until, Mute: mute}
	if d.Person != "" {
		out.Person = s.person(d.Person)
	}
	if d.Until > 0 {
		out.Local = time.UnixMilli(d.Until).In(zone).Format("Mon 15:04") + " in " + zoneWord(zone.String())
	}
	return out
}

// onlyDesktop ends what mute says: a desktop program asks for its person's pages by itself, so it needs no route.
const onlyDesktop = ": only a desktop program that is open can show a page"

// mute says why no route would bring somebody a page, "" when one would or nobody knows.
func (s *Server) mute(ctx context.Context, handle string) string {
	if s.Notify == nil || handle == "" {
		return ""
	}
	routes, err := s.Notify.Reach(ctx, handle)
	switch {
	case err != nil:
		return "" // the store does not answer: the page says so by itself
	case len(routes) == 0:
		return "no route is set up" + onlyDesktop
	}
	for _, r := range routes {
		if r.Verified {
			return ""
		}
	}
	return "no route is confirmed" + onlyDesktop
}

// presentTeams says who of each team is on call now.
func (s *Server) presentTeams(c *call, set oncall.Settings) (out []views.TeamDuty, mine []string, mutes []views.Warning) {
	muted := map[string]bool{}
	for _, t := range set.Teams {
		d := views.TeamDuty{ID: t.ID, Team: t.Name, Tier: t.Tier, Skill: t.Skill, Members: len(s.OnCall.Team(t.ID)), Policy: "built in: who is on call, then all"}
		if p, ok := set.Policy(t.Policy); ok {
			d.Policy, d.PolicyTo = p.Name, "/oncall/policies/"+p.ID
		}
		x, ok := set.Schedule(t.Schedule)
		if !ok {
			out = append(out, d)
			continue
		}
		d.Schedule, d.Href = x.Name, "/oncall/schedules/"+x.ID
		zone, err := s.OnCall.Zone(x.Zone)
		if err != nil {
			d.Now = &views.Duty{Why: "the zone " + x.Zone + " is not known here"}
			out = append(out, d)
			continue
		}
		now := x.At(s.now(), zone)
		mute := s.mute(c.ctx(), now.Person)
		d.Now = s.presentDuty(now, zone, mute)
		if mute != "" {
			d.Now.MuteTo = own(c, now.Person)
		}
		if mute != "" && !muted[now.Person] {
			muted[now.Person] = true
			mutes = append(mutes, views.Warning{Says: s.person(now.Person) + " is on call in " + x.Name + ", and " + mute + ".", Fix: fixReach(d.Now.MuteTo), Href: d.Now.MuteTo})
		}
		if now.Until > 0 {
			d.Next = s.presentDuty(x.At(now.Until, zone), zone, "")
		}
		if n, ok := set.Note(x.ID, now.From); ok && now.From > 0 {
			d.Note, d.NoteBy = n.Text, s.name(n.By)
		}
		if now.Person != "" && c.actor.Kind == auth.KindPerson && now.Person == c.actor.ID {
			says := "You are on call for " + t.Name
			if now.Until > 0 {
				says += " until " + time.UnixMilli(now.Until).UTC().Format("Mon 2 Jan 15:04") + " UTC (" + d.Now.Local + ")"
			}
			mine = append(mine, says+".")
		}
		out = append(out, d)
	}
	return out, mine, mutes
}

// fixReach says who sets up a route where: at their own page, or that they do it there.
func fixReach(href string) string {
	if href != "" {
		return "Add a route on your notifications page and confirm it."
	}
	return "They add one under My account, How I am reached, and confirm it."
}

// own is the page where whoever looks sets up how they are reached, "" for the routes of somebody else.
func own(c *call, handle string) string {
	if c.actor.Kind == auth.KindPerson && c.actor.ID == handle {
		return reachPath
	}
	return ""
}

// presentChecks sorts what is wrong with the settings into holes and warnings; only is the id of a schedule, "" = all.
func (s *Server) presentChecks(set oncall.Settings, only string) (holes []views.Hole, warnings []views.Warning) {
	now := s.now()
	for _, w := range s.OnCall.Check(now) {
		if only != "" && (w.Kind != "schedule" || w.ID != only) {
			continue
		}
		href := map[string]string{"schedule": "/oncall/schedules/" + w.ID, "policy": "/oncall/policies/" + w.ID, "team": "/oncall#team-" + w.ID}[w.Kind]
		if w.Code != oncall.WarnHole || w.From == 0 {
			if w.Code != oncall.WarnNothing || len(set.Teams) > 0 {
				warnings = append(warnings, views.Warning{Says: s.withNames(w.Sentence), Href: href})
			}
			continue
		}
		h := views.Hole{Schedule: w.Name, From: w.From, Until: w.Until, Now: w.From <= now, Says: "Override this time, or lengthen the hours of a layer.",
			Href: href + "?from=" + strconv.FormatInt(w.From, 10) + "&until=" + strconv.FormatInt(w.Until, 10) + "#pick"}
		if x, ok := set.Schedule(w.ID); ok {
			if len(x.Layers) == 0 {
				h.Says, h.Href = "The schedule has no layer yet: add one.", href+"#layers-h"
			}
			if zone, err := s.OnCall.Zone(x.Zone); err == nil {
				h.Local = spell(w.From, w.Until, zone) + " in " + zoneWord(x.Zone)
			}
		}
		holes = append(holes, h)
	}
	slices.SortStableFunc(holes, func(a, b views.Hole) int { return cmp.Compare(a.From, b.From) })
	return holes, warnings
}

// presentSwaps lists the swaps that wait for an answer; only is the id of a schedule, "" = all.
func (s *Server) presentSwaps(c *call, set oncall.Settings, only string) (out []views.Swap) {
	for _, w := range slices.Backward(set.Swaps) {
		x, ok := set.Schedule(w.Schedule)
		if w.State != oncall.Offered || !ok || only != "" && w.Schedule != only || w.Mine.Until <= s.now() {
			continue
		}
		zone, err := s.OnCall.Zone(x.Zone)
		if err != nil {
			continue
		}
		me := c.actor.ID
		who, whom := s.person(w.Mine.Person)+" asks ", s.person(w.Theirs.Person)
		if w.Mine.Person == me {
			who = "You ask "
		}
		if w.Theirs.Person == me {
			whom = "you"
		}
		says := who + whom + " to take " + x.Name + ", " + spell(w.Mine.From, w.Mine.Until, zone)
		if w.Theirs.From > 0 {
			says += ", for " + spell(w.Theirs.From, w.Theirs.Until, zone) + " in return"
		}
		out = append(out, views.Swap{ID: w.ID, Says: says + ".", Note: w.Note, At: w.At, Asked: w.Theirs.Person == me, Own: w.Mine.Person == me, Schedule: x.Name, Href: "/oncall/schedules/" + x.ID})
	}
	return out
}

// callable are the people who can be on call, by name.
func (s *Server) callable() []views.Choice {
	var out []views.Choice
	for _, h := range s.OnCall.Reachable() {
		out = append(out, views.Choice{Value: h, Text: s.person(h)})
	}
	slices.SortStableFunc(out, func(a, b views.Choice) int { return strings.Compare(strings.ToLower(a.Text), strings.ToLower(b.Text)) })
	return out
}

// usedBy names the teams that use something.
func usedBy(set oncall.Settings, uses func(oncall.Team) bool) (out []string) {
	for _, t := range set.Teams {
		if uses(t) {
			out = append(out, t.Name)
		}
	}
	return out
}

func (s *Server) presentTeamForm(set oncall.Settings, t oncall.Team) views.TeamForm {
	f := views.TeamForm{ID: t.ID, Name: t.Name, Skill: t.Skill, Tier: t.Tier, People: s.callable(), MembersIn: len(t.Members),
		Schedules: []views.Choice{{Text: "no schedule"}}, Policies: []views.Choice{{Text: "built in: who is on call, then all"}}}
	for i := range f.People {
		f.People[i].On = slices.Contains(t.Members, f.People[i].Value)
	}
	for _, h := range t.Members { // who has left stays visible until somebody takes them out
		if !slices.ContainsFunc(f.People, func(c views.Choice) bool { return c.Value == h }) {
			f.People = append(f.People, views.Choice{Value: h, Text: s.person(h) + " (left)", On: true})
		}
	}
	for _, x := range set.Schedules {
		f.Schedules = append(f.Schedules, views.Choice{Value: x.ID, Text: x.Name, On: x.ID == t.Schedule})
	}
	for _, p := range set.Policies {
		f.Policies = append(f.Policies, views.Choice{Value: p.ID, Text: p.Name, On: p.ID == t.Policy})
	}
	return f
}
