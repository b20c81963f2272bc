package web

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/views"
)

func (s *Server) policiesPage(c *call) error { return s.showPolicies(c, nil) }

func (s *Server) showPolicies(c *call, refused error) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	set := s.OnCall.Settings()
	p := views.PoliciesPage{Manage: c.can(auth.ManageOnCall), Undo: s.undoBar(c, "/oncall/policies"), New: s.presentRuleForm(set, oncall.Rule{})}
	s.World.Look(func(v projection.View) { p.Base = c.base("Escalation", "policies", v) })
	for _, x := range set.Policies {
		p.Policies = append(p.Policies, s.presentPolicyRow(set, x))
	}
	p.Fallback = s.fallback(set)
	hit := s.tryRoute(c, set, &p)
	for i, r := range set.Rules {
		row := views.RuleRow{ID: r.ID, Says: s.ruleWord(r), Team: "a team that is gone", Up: i > 0, Down: i < len(set.Rules)-1, Hit: r.ID == hit && hit != "", Form: s.presentRuleForm(set, r)}
		if t, ok := set.Team(r.Team); ok {
			row.Team = t.Name
		}
		if x, ok := set.Policy(r.Policy); ok {
			row.Policy = x.Name
		}
		p.Rules = append(p.Rules, row)
	}
	code := http.StatusOK
	if refused != nil {
		d, known := describe(refused)
		if !known {
			return refused
		}
		p.Problem, code = d.Detail, d.Status
	}
	return c.page(code, views.PoliciesView(p))
}

// fallback says where an incident goes that no rule speaks of.
func (s *Server) fallback(set oncall.Settings) string {
	set.Rules = nil
	t, _, _ := set.Route("", nil, nil, nil)
	if t.ID == oncall.Everybody {
		return "No team takes incidents yet: everybody is paged."
	}
	return "When no rule fits: " + t.Name + ", the front line."
}

// tryRoute answers the question on the page, and returns the id of the rule that fits.
func (s *Server) tryRoute(c *call, set oncall.Settings, p *views.PoliciesPage) (hit string) {
	severity := c.QueryParam("severity")
	if !slices.Contains(allSeverities, severity) {
		severity = "SEV2"
	}
	p.Try = views.RuleTry{Severities: severityOptions(severity, ""), Components: c.QueryParam("component"), Chains: c.QueryParam("chain"), Kinds: c.QueryParam("kind")}
	if c.QueryParam("try") == "" {
		return ""
	}
	components, chains, kinds := commas(p.Try.Components), commas(p.Try.Chains), commas(p.Try.Kinds)
	for i, name := range chains {
		chains[i] = s.chainNamed(name)
	}
	t, pol, why := set.Route(severity, components, chains, kinds)
	because, _, ruled := strings.Cut(why, " goes to ")
	if ruled {
		because = "of " + because
	}
	p.Try.Says = "It goes to " + t.Name + ", paged by " + pol.Name + ", because " + because + "."
	for n := 1; n <= len(set.Rules); n++ {
		one := set
		one.Rules = set.Rules[:n]
		if _, _, w := one.Route(severity, components, chains, kinds); strings.HasPrefix(w, "rule ") {
			return set.Rules[n-1].ID
		}
	}
	return ""
}

// commas splits a field; at most so many values as a rule has.
func commas(text string) []string {
	var out []string
	for v := range strings.SplitSeq(text, ",") {
		if v = strings.TrimSpace(v); v != "" && len(out) <= oncall.MaxValues {
			out = append(out, v)
		}
	}
	return out
}

func (s *Server) saveRule(c *call) error {
	r := oncall.Rule{ID: c.FormValue("rule"), Severity: c.FormValue("severity"), Components: commas(c.FormValue("component")), Chains: commas(c.FormValue("chain")), Kinds: commas(c.FormValue("kind")), Team: c.FormValue("team"), Policy: c.FormValue("policy")}
	for i, name := range r.Chains {
		r.Chains[i] = s.chainNamed(name)
	}
	if r.ID == "" {
		return s.change(c, oncall.AddRule{Rule: r}, "/oncall/policies", s.showPolicies)
	}
	return s.change(c, oncall.EditRule{Rule: r}, "/oncall/policies", s.showPolicies)
}

func (s *Server) changeRule(c *call) error {
	id := c.FormValue("rule")
	var cmd oncall.Command
	switch c.Param("verb") {
	case "up":
		cmd = oncall.MoveRule{Rule: id, Up: true}
	case "down":
		cmd = oncall.MoveRule{Rule: id}
	case "remove":
		cmd = oncall.RemoveRule{Rule: id}
	default:
		return errNoPage
	}
	return s.change(c, cmd, "/oncall/policies", s.showPolicies)
}

// One policy.

// makePolicy makes one that pages everybody, so that it works before anybody changes it.
func (s *Server) makePolicy(c *call) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	m, err := c.onCallMeta("")
	if err != nil {
		return err
	}
	first := oncall.Default()
	a, err := s.OnCall.Do(c.ctx(), oncall.CreatePolicy{Policy: escalation.Policy{Name: c.FormValue("name"), Steps: first.Steps, Repeat: first.Repeat, AckTimeout: first.AckTimeout}}, m)
	if err != nil {
		return s.showPolicies(c, err)
	}
	c.settle(a.Position)
	for _, d := range a.Body.Policies {
		if d.After != nil {
			return c.redirect("/oncall/policies/" + d.After.ID + "?did=" + a.Event)
		}
	}
	return c.redirect("/oncall/policies")
}

func (s *Server) policyPage(c *call) error { return s.showPolicy(c, nil) }

func (s *Server) showPolicy(c *call, refused error) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	set := s.OnCall.Settings()
	x, ok := set.Policy(c.Param("id"))
	if !ok {
		return refusal("not_found", "There is no such policy any more. Look at the list of policies.")
	}
	p := views.PolicyPage{
		ID: x.ID, Name: x.Name, Version: x.Version, Repeat: x.Repeat, AckField: ackField(x), End: endWord(x), UsedBy: policyUsers(set, x.ID),
		Manage: c.can(auth.ManageOnCall), Most: len(x.Steps) >= escalation.MaxSteps, Undo: s.undoBar(c, "/oncall/policies/"+x.ID),
	}
	if after := oncall.Paging(x).AckTimeout; after > 0 {
		p.AckAfter = length(after)
	}
	s.World.Look(func(v projection.View) { p.Base = c.base(x.Name, "policies", v) })
	p.Steps, p.New = s.presentSteps(set, x), s.presentStepForm(set, 0, escalation.Step{Targets: []escalation.Target{{}}})
	severity, at := c.QueryParam("severity"), s.now()
	if !slices.Contains(allSeverities, severity) {
		severity = "SEV2"
	}
	if t, err := time.Parse(fieldTime, c.QueryParam("at")); err == nil && t.Sub(time.UnixMilli(at)).Abs() < furthestIn {
		at = t.UnixMilli()
	}
	p.Preview = s.foresee(set, x, severity, at)
	code := http.StatusOK
	if refused != nil {
		d, known := describe(refused)
		if !known {
			return refused
		}
		p.Problem, code = d.Detail, d.Status
	}
	return c.page(code, views.PolicyView(p))
}

// edit changes a policy as it stands. What was changed meanwhile by somebody else is not written over: version is that which the form was made from.
func (s *Server) edit(c *call, version string, do func(*escalation.Policy) error) error {
	if s.OnCall == nil {
		return errNoOnCall
	}
	x, ok := s.OnCall.Settings().Policy(c.Param("id"))
	if !ok {
		return refusal("not_found", "There is no such policy any more. Look at the list of policies.")
	}
	if version != "" && version != strconv.FormatInt(x.Version, 10) {
		return s.showPolicy(c, refusal("changed_since", "Somebody changed this policy meanwhile. Look at it again below, then repeat what you meant."))
	}
	x.Steps = slices.Clone(x.Steps)
	if err := do(&x); err != nil {
		return s.showPolicy(c, err)
	}
	return s.change(c, oncall.EditPolicy{Policy: x}, "/oncall/policies/"+x.ID, s.showPolicy)
}

func (s *Server) savePolicy(c *call) error {
	return s.edit(c, "", func(p *escalation.Policy) error {
		var err error
		p.Name = strings.TrimSpace(c.FormValue("name"))
		if p.Repeat, err = strconv.Atoi(c.FormValue("repeat")); err != nil {
			return refusal("bad_number", "How often it begins again is a number from 0 to 9.")
		}
		text := strings.TrimSpace(c.FormValue("ack"))
		if p.AckTimeout, err = minutes("The silence after which it pages again", text); p.AckTimeout == 0 && text != "" {
			p.AckTimeout = escalation.Never
		}
		return err
	})
}

func (s *Server) removePolicy(c *call) error {
	return s.change(c, oncall.RemovePolicy{Policy: c.Param("id")}, "/oncall/policies", s.showPolicies)
}

// ackField is how long who has an incident may be silent, in a field of minutes; "0" is for ever.
func ackField(p escalation.Policy) string {
	if after := oncall.Paging(p).AckTimeout; after > 0 {
		return minutesField(after)
	}
	return "0"
}

// minutes reads a field of minutes as milliseconds; empty is 0.
func minutes(what, text string) (int64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v <= 100_000) {
		return 0, refusal("bad_number", what+" is a number of minutes, such as 5.")
	}
	return int64(math.Round(v * float64(minuteMs))), nil
}

// stepNumber reads which step a form is about, from 0; -1 is a new one.
func (c *call) stepNumber(p escalation.Policy) (int, error) {
	n, err := strconv.Atoi(c.FormValue("step"))
	if err != nil || n < 0 || n > len(p.Steps) {
		return 0, refusal("not_found", "The policy has no such step any more. Look at it again.")
	}
	return n - 1, nil
}

func (s *Server) saveStep(c *call) error {
	return s.edit(c, c.FormValue("version"), func(p *escalation.Policy) error {
		n, err := c.stepNumber(*p)
		if err != nil {
			return err
		}
		st, err := c.stepFields()
		if err != nil {
			return err
		}
		if n < 0 {
			p.Steps = append(p.Steps, st)
		} else {
			p.Steps[n] = st
		}
		return nil
	})
}

// stepFields reads a step from its form.
func (c *call) stepFields() (st escalation.Step, err error) {
	form := c.Request().Form
	for _, v := range form["target"] {
		kind, name, ok := strings.Cut(v, ":")
		if t := (escalation.Target{Kind: kind, Name: name}); ok && !slices.Contains(st.Targets, t) {
			st.Targets = append(st.Targets, t)
		}
	}
	if st.Wait, err = minutes("The time to answer", form.Get("wait")); err != nil {
		return st, err
	}
	if n, _ := strconv.Atoi(form.Get("need")); n > 1 {
		st.Need = n
	}
	k := escalation.Condition{Severity: form.Get("severity")}
	if k.Unacked, err = minutes("How long nobody has it", form.Get("unacked")); err != nil {
		return st, err
	}
	if k.Within, err = minutes("The time within which signals are counted", form.Get("within")); err != nil {
		return st, err
	}
	k.Alerts, _ = strconv.Atoi(form.Get("alerts"))
	if k.Alerts == 0 {
		k.Within = 0
	}
	if h := form.Get("hours"); h != "" {
		k.Hours = &escalation.Hours{Zone: strings.TrimSpace(form.Get("zone")), From: form.Get("from"), To: form.Get("to"), Not: h == "out"}
		for _, d := range form["day"] {
			if n, err := strconv.Atoi(d); err == nil {
				k.Hours.Days = append(k.Hours.Days, n)
			}
		}
	}
	if k.Severity != "" || k.Hours != nil || k.Unacked > 0 || k.Alerts > 0 {
		st.If = &k
	}
	return st, nil
}

func (s *Server) changeStep(c *call) error {
	return s.edit(c, c.FormValue("version"), func(p *escalation.Policy) error {
		n, err := c.stepNumber(*p)
		if err != nil {
			return err
		}
		to := n
		switch c.Param("verb") {
		case "remove":
			if n >= 0 {
				p.Steps = slices.Delete(p.Steps, n, n+1)
			}
			return nil
		case "up":
			to--
		case "down":
			to++
		default:
			return errNoPage
		}
		if n < 0 || to < 0 || to >= len(p.Steps) {
			return refusal("not_found", "The step cannot move further. Look at the policy again.")
		}
		p.Steps[n], p.Steps[to] = p.Steps[to], p.Steps[n]
		return nil
	})
}
