package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/views"
)

// registerOnCall registers the pages of teams, schedules, policies and routing.
func (s *Server) registerOnCall() {
	get, post := http.MethodGet, http.MethodPost
	s.authed(get, "/oncall", auth.ViewOnCall, s.onCallPage)
	s.authed(post, "/oncall/undo", auth.SwapShift, s.undoOnCall)
	s.authed(post, "/oncall/teams", auth.ManageOnCall, s.makeTeam)
	s.authed(post, "/oncall/teams/save", auth.ManageOnCall, s.saveTeam)
	s.authed(post, "/oncall/teams/remove", auth.ManageOnCall, s.removeTeam)
	s.authed(post, "/oncall/swaps/:answer", auth.SwapShift, s.answerSwap)
	s.authed(post, "/oncall/schedules", auth.ManageOnCall, s.makeSchedule)
	s.authed(get, "/oncall/schedules/:id", auth.ViewOnCall, s.schedulePage)
	s.authed(post, "/oncall/schedules/:id/save", auth.ManageOnCall, s.saveSchedule)
	s.authed(post, "/oncall/schedules/:id/remove", auth.ManageOnCall, s.removeSchedule)
	s.authed(post, "/oncall/schedules/:id/override", auth.SwapShift, s.overrideForm)
	s.authed(post, "/oncall/schedules/:id/override/remove", auth.SwapShift, s.removeOverride)
	s.authed(post, "/oncall/schedules/:id/swap", auth.SwapShift, s.offerSwap)
	s.authed(post, "/oncall/schedules/:id/hand-over", auth.SwapShift, s.handOverNote)
	s.authed(post, "/oncall/schedules/:id/layer", auth.ManageOnCall, s.saveLayer)
	s.authed(post, "/oncall/schedules/:id/layer/:verb", auth.ManageOnCall, s.changeLayer)
	s.authed(post, "/oncall/schedules/:id/feed", auth.SwapShift, s.makeFeed)
	s.authed(post, "/oncall/schedules/:id/feed/revoke", auth.SwapShift, s.revokeFeed)
	s.authed(post, "/oncall/schedules/:id/import", auth.ManageOnCall, s.importLook)
	s.authed(post, "/oncall/schedules/:id/import/take", auth.ManageOnCall, s.importTake)
	s.authed(get, "/oncall/policies", auth.ViewOnCall, s.policiesPage)
	s.authed(post, "/oncall/policies", auth.ManageOnCall, s.makePolicy)
	s.authed(get, "/oncall/policies/:id", auth.ViewOnCall, s.policyPage)
	s.authed(post, "/oncall/policies/:id", auth.ManageOnCall, s.savePolicy)
	s.authed(post, "/oncall/policies/:id/remove", auth.ManageOnCall, s.removePolicy)
	s.authed(post, "/oncall/policies/:id/step", auth.ManageOnCall, s.saveStep)
	s.authed(post, "/oncall/policies/:id/step/:verb", auth.ManageOnCall, s.changeStep)
	s.authed(post, "/oncall/rules", auth.ManageOnCall, s.saveRule)
	s.authed(post, "/oncall/rules/:verb", auth.ManageOnCall, s.changeRule)
}

// change carries a command on the on-call settings out and leads to the page that shows it, where it can be taken back. When it is refused, refused
// shows the page with the sentence.
func (s *Server) change(c *call, cmd oncall.Command, to string, refused func(*call, error) error) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	m, err := c.onCallMeta("")
	if err != nil {
		return err
	}
	a, err := s.OnCall.Do(c.ctx(), cmd, m)
	if err != nil {
		if _, known := describe(err); !known || refused == nil {
			return err
		}
		return refused(c, err)
	}
	c.settle(a.Position)
	if a.Event == "" {
		return c.redirect(to)
	}
	return c.redirect(with(to, "did="+a.Event))
}

// with adds to the query of an address, before its fragment.
func with(address, query string) string {
	path, fragment, _ := strings.Cut(address, "#")
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	if fragment != "" {
		fragment = "#" + fragment
	}
	return path + sep + query + fragment
}

// back is the page of on-call that a form came from; fallback when it names none.
func (c *call) back(fallback string) string {
	if b := c.FormValue("back"); b == "/oncall" || strings.HasPrefix(b, "/oncall/") || strings.HasPrefix(b, "/oncall?") {
		return local(b)
	}
	return fallback
}

func (s *Server) onCallPage(c *call) error { return s.showOnCall(c, nil) }

func (s *Server) showOnCall(c *call, refused error) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	p := views.OnCallPage{Manage: c.can(auth.ManageOnCall), Zones: zoneChoices, Zone: "UTC", People: s.callable()}
	s.World.Look(func(v projection.View) { p.Base = c.base("On-call", "oncall", v) })
	set := s.OnCall.Settings()
	p.Undo = s.undoBar(c, "/oncall")
	var mutes []views.Warning
	p.Duties, p.Mine, mutes = s.presentTeams(c, set)
	p.Holes, p.Warnings = s.presentChecks(set, "")
	p.Warnings = append(mutes, p.Warnings...)
	if len(p.Holes) > shownHoles {
		p.MoreHoles, p.Holes = len(p.Holes)-shownHoles, p.Holes[:shownHoles]
	}
	p.Swaps = s.presentSwaps(c, set, "")
	for _, x := range set.Schedules {
		row := views.ScheduleRow{ID: x.ID, Name: x.Name, Zone: x.Zone, Href: "/oncall/schedules/" + x.ID, Layers: len(x.Layers), Teams: usedBy(set, func(t oncall.Team) bool { return t.Schedule == x.ID })}
		if d, _ := s.OnCall.Duty(x.ID, s.now()); d.Person != "" {
			row.Now = s.person(d.Person)
		}
		p.Schedules = append(p.Schedules, row)
		p.Zone = x.Zone
	}
	for _, t := range set.Teams {
		p.Teams = append(p.Teams, s.presentTeamForm(set, t))
	}
	code := http.StatusOK
	if refused != nil {
		d, known := describe(refused)
		if !known {
			return refused
		}
		p.Problem, code = d.Detail, d.Status
	}
	return c.page(code, views.OnCallView(p))
}

func (s *Server) undoOnCall(c *call) error {
	to := c.back("/oncall")
	return s.change(c, oncall.Undo{Event: c.FormValue("event")}, to, s.showOnCall)
}

// Teams.

func (s *Server) makeTeam(c *call) error {
	tier, _ := strconv.Atoi(c.FormValue("tier"))
	return s.change(c, oncall.CreateTeam{Title: c.FormValue("name"), Tier: tier}, "/oncall", s.showOnCall)
}

func (s *Server) removeTeam(c *call) error {
	return s.change(c, oncall.RemoveTeam{Team: c.FormValue("team")}, "/oncall", s.showOnCall)
}

// saveTeam gives one command for each thing that is not as it was; the bar takes the last one back.
func (s *Server) saveTeam(c *call) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	form := c.Request().Form
	t, ok := s.OnCall.Settings().Team(form.Get("team"))
	if !ok || t.ID == oncall.Everybody {
		return s.showOnCall(c, refusal("not_found", "This team is not there any more."))
	}
	tier, _ := strconv.Atoi(form.Get("tier"))
	members := slices.Compact(slices.Sorted(slices.Values(form["member"])))
	var list []oncall.Command
	if name := strings.TrimSpace(form.Get("name")); name != t.Name {
		list = append(list, oncall.RenameTeam{Team: t.ID, Title: name})
	}
	if skill := strings.TrimSpace(form.Get("skill")); skill != t.Skill {
		list = append(list, oncall.SetSkill{Team: t.ID, Skill: skill})
	}
	if tier != t.Tier {
		list = append(list, oncall.SetTier{Team: t.ID, Tier: tier})
	}
	if form.Get("schedule") != t.Schedule {
		list = append(list, oncall.SetTeamSchedule{Team: t.ID, Schedule: form.Get("schedule")})
	}
	if form.Get("policy") != t.Policy {
		list = append(list, oncall.SetTeamPolicy{Team: t.ID, Policy: form.Get("policy")})
	}
	if !slices.Equal(members, slices.Sorted(slices.Values(t.Members))) {
		list = append(list, oncall.SetMembers{Team: t.ID, Members: members})
	}
	if len(list) == 0 {
		return c.redirect("/oncall")
	}
	for _, cmd := range list[:len(list)-1] {
		m, err := c.onCallMeta("")
		if err != nil {
			return err
		}
		if _, err := s.OnCall.Do(c.ctx(), cmd, m); err != nil {
			return s.showOnCall(c, err)
		}
	}
	return s.change(c, list[len(list)-1], "/oncall", s.showOnCall)
}

// answerSwap accepts, declines or withdraws.
func (s *Server) answerSwap(c *call) error {
	id := c.FormValue("swap")
	var cmd oncall.Command
	switch c.Param("answer") {
	case "accept":
		cmd = oncall.AcceptSwap{Swap: id}
	case "decline":
		cmd = oncall.DeclineSwap{Swap: id, Reason: c.FormValue("reason")}
	case "withdraw":
		cmd = oncall.WithdrawSwap{Swap: id}
	default:
		return errNoPage
	}
	return s.change(c, cmd, c.back("/oncall"), s.showOnCall)
}

func (s *Server) makeSchedule(c *call) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	m, err := c.onCallMeta("")
	if err != nil {
		return err
	}
	a, err := s.OnCall.Do(c.ctx(), oncall.CreateSchedule{Title: c.FormValue("name"), Zone: strings.TrimSpace(c.FormValue("zone"))}, m)
	if err != nil {
		return s.showOnCall(c, err)
	}
	c.settle(a.Position)
	for _, d := range a.Body.Schedules {
		if d.After != nil {
			return c.redirect("/oncall/schedules/" + d.After.ID + "?did=" + a.Event + "#layers-h")
		}
	}
	return c.redirect("/oncall")
}
