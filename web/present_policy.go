package web

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/pager"
	"github.com/tocsin-ops/tocsin/views"
)

const (
	minuteMs   = int64(60_000)
	mostTurns  = 40                   // rows of a preview
	furthestIn = 400 * 24 * time.Hour // of a preview's beginning, before or after now
)

var allSeverities = []string{"SEV1", "SEV2", "SEV3", "SEV4", "SEV5"}

func severityOptions(on, none string) (out []views.Choice) {
	if none != "" {
		out = append(out, views.Choice{Text: none, On: on == ""})
	}
	for _, v := range allSeverities {
		text := v
		if none != "" && v != "SEV1" {
			text += " or worse"
		}
		out = append(out, views.Choice{Value: v, Text: text, On: v == on})
	}
	return out
}

// length writes a duration for sentences: "90 s", "5 m", "1 h 30 m".
func length(ms int64) string {
	switch {
	case ms < minuteMs || ms%minuteMs != 0 && ms < 10*minuteMs:
		return strconv.FormatInt(ms/1000, 10) + " s"
	case ms < 60*minuteMs:
		return strconv.FormatInt(ms/minuteMs, 10) + " m"
	case ms%(60*minuteMs) < minuteMs:
		return strconv.FormatInt(ms/(60*minuteMs), 10) + " h"
	}
	return fmt.Sprintf("%d h %d m", ms/(60*minuteMs), ms%(60*minuteMs)/minuteMs)
}

// minutesField is a duration in a field of minutes, "" for none.
func minutesField(ms int64) string {
	if ms == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(ms)/float64(minuteMs), 'g', 6, 64)
}

// targetWord says whom a target means.
func (s *Server) targetWord(set oncall.Settings, t escalation.Target) string {
	team := func() string {
		if x, ok := set.Team(t.Name); ok {
			return x.Name
		}
		return "a team that is gone"
	}
	switch t.Kind {
	case escalation.TargetSchedule:
		if x, ok := set.Schedule(t.Name); ok {
			return "who is on call in " + x.Name
		}
		return "a schedule that is gone"
	case escalation.TargetRole:
		return "the incident's " + strings.ToLower(incident.Role(t.Name).Title())
	case escalation.TargetTeam:
		if t.Name == oncall.Everybody {
			return "everybody"
		}
		return "all of " + team()
	case escalation.TargetSigners:
		return "signers of " + team()
	}
	return s.person(t.Name)
}

// targetNow says who that is now; gap is true when it is nobody.
func (s *Server) targetNow(t escalation.Target) (names string, gap bool) {
	var people []string
	switch t.Kind {
	case escalation.TargetSchedule:
		people, _ = s.OnCall.OnCall(t.Name, s.now())
	case escalation.TargetTeam, escalation.TargetSigners:
		people = s.OnCall.Team(t.Name)
	default:
		return "", false
	}
	var out []string
	for _, p := range people {
		out = append(out, s.person(p))
	}
	return fewer(out), len(people) == 0
}

// conditionWord says when a step is taken, "" for always.
func conditionWord(c *escalation.Condition) string {
	if c == nil {
		return ""
	}
	var out []string
	if c.Severity == "SEV1" {
		out = append(out, "it is SEV1")
	} else if c.Severity != "" {
		out = append(out, "it is "+c.Severity+" or worse")
	}
	if h := c.Hours; h != nil {
		word := "within "
		if h.Not {
			word = "outside of "
		}
		out = append(out, word+hoursWord(h.Days, h.From, h.To)+" in "+zoneWord(h.Zone))
	}
	if c.Unacked > 0 {
		out = append(out, "nobody has had it for "+length(c.Unacked))
	}
	if c.Alerts > 0 {
		out = append(out, fmt.Sprintf("%d or more signals came within %s", c.Alerts, length(c.Within)))
	}
	return strings.Join(out, ", and ")
}

// whenWord says when a step begins, should none before it be answered or skipped.
func whenWord(steps []escalation.Step, i int) string {
	var after int64
	for _, st := range steps[:i] {
		after += st.Wait
	}
	if after == 0 {
		return "at once"
	}
	return "after " + length(after)
}

func (s *Server) stepWords(set oncall.Settings, st escalation.Step) string {
	var out []string
	for _, t := range st.Targets {
		out = append(out, s.targetWord(set, t))
	}
	words := strings.Join(out, ", ")
	if st.Need > 1 {
		words += fmt.Sprintf(", until %d have it", st.Need)
	}
	return words
}

// graveAgain is what comes after that.
const graveAgain = " SEV1 and SEV2 page all again 30 minutes later, until somebody answers."

// endWord says what comes after the last step.
func endWord(p escalation.Policy) string {
	switch {
	case len(p.Steps) == 0:
		return "Nobody is paged."
	case p.Repeat == 0:
		return "Once through, then the room says that nobody answered." + graveAgain
	case p.Repeat == 1:
		return "Then it begins again, once. After that the room says that nobody answered." + graveAgain
	}
	return fmt.Sprintf("Then it begins again, %d times. After that the room says that nobody answered.", p.Repeat) + graveAgain
}

// policyUsers names what uses a policy.
func policyUsers(set oncall.Settings, id string) []string {
	out := usedBy(set, func(t oncall.Team) bool { return t.Policy == id })
	for i, r := range set.Rules {
		if r.Policy == id {
			out = append(out, "rule "+strconv.Itoa(i+1))
		}
	}
	return out
}

func (s *Server) presentPolicyRow(set oncall.Settings, p escalation.Policy) views.PolicyRow {
	row := views.PolicyRow{ID: p.ID, Name: p.Name, Href: "/oncall/policies/" + p.ID, After: endWord(p), UsedBy: policyUsers(set, p.ID)}
	if oncall.Paging(p).AckTimeout <= 0 {
		row.After += " An acknowledgement never ends."
	}
	for i, st := range p.Steps {
		row.Says = append(row.Says, whenWord(p.Steps, i)+": "+s.stepWords(set, st))
	}
	return row
}

// presentSteps is the ladder of a policy.
func (s *Server) presentSteps(set oncall.Settings, p escalation.Policy) (out []views.StepView) {
	for i, st := range p.Steps {
		v := views.StepView{N: i + 1, When: title(whenWord(p.Steps, i)), Need: st.Need, If: conditionWord(st.If), Wait: length(st.Wait), Form: s.presentStepForm(set, i+1, st), Up: i > 0, Down: i < len(p.Steps)-1}
		for _, t := range st.Targets {
			x := views.StepTarget{Kind: t.Kind, Text: s.targetWord(set, t)}
			x.Now, x.Gap = s.targetNow(t)
			v.Targets = append(v.Targets, x)
		}
		out = append(out, v)
	}
	return out
}

func (s *Server) presentStepForm(set oncall.Settings, n int, st escalation.Step) views.StepForm {
	f := views.StepForm{N: n, Wait: cmp.Or(minutesField(st.Wait), "5"), Need: st.Need, Zone: "UTC"}
	for _, t := range append(slices.Clone(st.Targets), escalation.Target{}) {
		f.Targets = append(f.Targets, s.targetGroups(set, t))
	}
	c := st.If
	if c == nil {
		c = &escalation.Condition{}
	}
	f.Sev = severityOptions(c.Severity, "any")
	f.Unacked, f.Alerts, f.Within = minutesField(c.Unacked), c.Alerts, minutesField(c.Within)
	hours := escalation.Hours{}
	if c.Hours != nil {
		hours = *c.Hours
		f.Zone = hours.Zone
	}
	f.From, f.To, f.Days = hours.From, hours.To, weekdayChoices(hours.Days)
	f.Hours = []views.Choice{{Text: "always", On: c.Hours == nil}, {Value: "in", Text: "only within", On: c.Hours != nil && !hours.Not}, {Value: "out", Text: "only outside of", On: hours.Not}}
	return f
}

// targetGroups lists everything that a step can page, one chosen.
func (s *Server) targetGroups(set oncall.Settings, on escalation.Target) []views.TargetGroup {
	one := func(kind, name string) views.Choice {
		t := escalation.Target{Kind: kind, Name: name}
		return views.Choice{Value: kind + ":" + name, Text: s.targetWord(set, t), On: t == on}
	}
	groups := []views.TargetGroup{{Name: "On call"}, {Name: "Teams"}, {Name: "Roles of the incident"}, {Name: "Signers"}, {Name: "People"}}
	for _, x := range set.Schedules {
		groups[0].List = append(groups[0].List, one(escalation.TargetSchedule, x.ID))
	}
	for _, t := range set.Teams {
		groups[1].List = append(groups[1].List, one(escalation.TargetTeam, t.ID))
		groups[3].List = append(groups[3].List, one(escalation.TargetSigners, t.ID))
	}
	groups[1].List = append(groups[1].List, one(escalation.TargetTeam, oncall.Everybody))
	for _, r := range incident.Roles() {
		groups[2].List = append(groups[2].List, one(escalation.TargetRole, string(r)))
	}
	for _, p := range s.callable() {
		groups[4].List = append(groups[4].List, one(escalation.TargetPerson, p.Value))
	}
	return slices.DeleteFunc(groups, func(g views.TargetGroup) bool { return len(g.List) == 0 })
}

// Preview.

// nobodyYet looks people up for an incident that there is not: it has no roles.
type nobodyYet struct{ on pager.OnCall }

func (n nobodyYet) OnCall(schedule string, at int64) ([]string, string) {
	return n.on.OnCall(schedule, at)
}
func (n nobodyYet) Team(id string) ([]string, string) {
	name := id
	if t, ok := n.on.Settings().Team(id); ok {
		name = t.Name
	}
	return n.on.Team(id), name
}
func (nobodyYet) Role(string) []string { return nil }
func (n nobodyYet) Here(person string) bool {
	here := n.on.Team(oncall.Everybody)
	return len(here) == 0 || slices.Contains(here, person)
}

// foresee plays a policy as if an incident opened and nobody answered.
func (s *Server) foresee(set oncall.Settings, p escalation.Policy, severity string, at int64) views.Preview {
	out := views.Preview{Severities: severityOptions(severity, ""), At: time.UnixMilli(at).UTC().Format(fieldTime), End: "Nobody is paged by this policy."}
	st := escalation.State{}.Begin(p, at)
	sit := escalation.Situation{Open: true, Severity: severity, Attached: []int64{at}}
	for now := at; now > 0 && len(out.Rows) < mostTurns; {
		acts, next := escalation.Due(st, sit, nobodyYet{s.OnCall}, now)
		done := false
		for _, a := range acts {
			switch a.Do {
			case escalation.DoPage:
				out.Rows = append(out.Rows, s.presentTurn(p, a.Turn, now, at))
				st = st.Take(a.Turn, now)
			case escalation.DoExhaust:
				out.End = "Then, at " + time.UnixMilli(now).UTC().Format("15:04") + ", nobody is left: the room says that nobody answered."
				if again, _ := st.Rest(severity, now); again > 0 {
					out.End += " All are paged again at " + time.UnixMilli(again).UTC().Format("15:04") + ", and so on until somebody does."
				}
				done = true
			}
		}
		if done || next <= now {
			break
		}
		now = next
	}
	if len(out.Rows) == mostTurns {
		out.End = "And so on."
	}
	return out
}

func (s *Server) presentTurn(p escalation.Policy, t escalation.Turn, now, began int64) views.PreviewRow {
	row := views.PreviewRow{At: now, After: "at once", Step: "step " + strconv.Itoa(t.Step)}
	if now > began {
		row.After = "after " + length(now-began)
	}
	if t.Round > 1 {
		row.Step += ", round " + strconv.Itoa(t.Round)
	}
	for _, k := range t.People {
		why, _, _ := strings.Cut(k.Why, " until ")
		row.Who = append(row.Who, views.PreviewWho{Name: s.person(k.Person), Why: s.withNames(why)})
	}
	if len(t.People) > 0 {
		return row
	}
	if t.Unmet != "" {
		row.Gap = "skipped: " + t.Unmet
		return row
	}
	var why []string
	if len(t.Already) > 0 {
		var names []string
		for _, h := range t.Already {
			names = append(names, s.person(h))
		}
		why = append(why, "asked before: "+fewer(names))
	}
	if t.Step >= 1 && t.Step <= len(p.Steps) && slices.ContainsFunc(p.Steps[t.Step-1].Targets, func(x escalation.Target) bool { return x.Kind == escalation.TargetRole }) {
		why = append(why, "whoever has the role then; a new incident has nobody in it")
	} else if len(t.Holes) > 0 {
		why = append(why, s.withNames(strings.Join(t.Holes, "; ")))
	}
	row.Gap = cmp.Or(strings.Join(why, "; "), "nobody")
	return row
}

// Routing.

// ruleWord says of which incidents a rule speaks.
func (s *Server) ruleWord(r oncall.Rule) string {
	var out []string
	if r.Severity == "SEV1" {
		out = append(out, "SEV1")
	} else if r.Severity != "" {
		out = append(out, r.Severity+" or worse")
	}
	add := func(word string, list []string, name func(string) string) {
		var named []string
		for _, v := range list {
			named = append(named, name(v))
		}
		if len(named) > 0 {
			out = append(out, word+strings.Join(named, " or "))
		}
	}
	same := func(v string) string { return v }
	add("component ", r.Components, same)
	add("chain ", r.Chains, s.chainName)
	add("signal of kind ", r.Kinds, same)
	if len(out) == 0 {
		return "Any incident"
	}
	return title(strings.Join(out, ", "))
}

func (s *Server) presentRuleForm(set oncall.Settings, r oncall.Rule) views.RuleForm {
	f := views.RuleForm{ID: r.ID, Severities: severityOptions(r.Severity, "any"), Components: strings.Join(r.Components, ", "), Chains: strings.Join(r.Chains, ", "), Kinds: strings.Join(r.Kinds, ", "),
		Policies: []views.Choice{{Text: "as the team is"}}}
	for _, t := range set.Teams {
		f.Teams = append(f.Teams, views.Choice{Value: t.ID, Text: t.Name, On: t.ID == r.Team})
	}
	for _, p := range set.Policies {
		f.Policies = append(f.Policies, views.Choice{Value: p.ID, Text: p.Name, On: p.ID == r.Policy})
	}
	return f
}
