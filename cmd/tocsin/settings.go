package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// settingsFile is on-call as a file says it. Things name each other by name; ids belong to the server.
type settingsFile struct {
	Teams     []teamFile     `yaml:"teams,omitempty"`
	Schedules []scheduleFile `yaml:"schedules,omitempty"`
	Policies  []policyFile   `yaml:"policies,omitempty"`
	Rules     *[]ruleFile    `yaml:"rules,omitempty"` // when there, all rules, in order
}

type teamFile struct {
	Name     string   `yaml:"name"`
	Members  []string `yaml:"members,omitempty,flow"`
	Tier     int      `yaml:"tier,omitempty"`
	Skill    string   `yaml:"skill,omitempty"`
	Schedule string   `yaml:"schedule,omitempty"`
	Policy   string   `yaml:"policy,omitempty"`
}

type scheduleFile struct {
	Name   string      `yaml:"name"`
	Zone   string      `yaml:"zone"`
	Layers []layerFile `yaml:"layers,omitempty"`
}

type layerFile struct {
	Name   string       `yaml:"name,omitempty"`
	People []string     `yaml:"people,flow"`
	Start  string       `yaml:"start"`
	End    string       `yaml:"end,omitempty"`
	Unit   string       `yaml:"unit"`
	Every  int          `yaml:"every,omitempty"`
	Only   []windowFile `yaml:"only,omitempty"`
}

type windowFile struct {
	Days []string `yaml:"days,omitempty,flow"`
	From string   `yaml:"from"`
	To   string   `yaml:"to"`
}

type policyFile struct {
	Name       string     `yaml:"name"`
	Repeat     int        `yaml:"repeat,omitempty"`
	AckTimeout silence    `yaml:"ack_timeout,omitempty"` // none: an hour; never
	Steps      []stepFile `yaml:"steps"`
}

type stepFile struct {
	Page []string       `yaml:"page,flow"` // "team:Front line", "schedule:Primary", "person:ana", "role:commander", "signers:Treasury"
	Wait span           `yaml:"wait"`
	Need int            `yaml:"need,omitempty"`
	If   *conditionFile `yaml:"if,omitempty"`
}

type conditionFile struct {
	Severity string     `yaml:"severity,omitempty"`
	Hours    *hoursFile `yaml:"hours,omitempty"`
	Unacked  span       `yaml:"unacked,omitempty"`
	Alerts   int        `yaml:"alerts,omitempty"`
	Within   span       `yaml:"within,omitempty"`
}

type hoursFile struct {
	Zone string   `yaml:"zone"`
	Days []string `yaml:"days,omitempty,flow"`
	From string   `yaml:"from"`
	To   string   `yaml:"to"`
	Not  bool     `yaml:"not,omitempty"`
}

type ruleFile struct {
	Severity   string   `yaml:"severity,omitempty"`
	Components []string `yaml:"components,omitempty,flow"`
	Chains     []string `yaml:"chains,omitempty,flow"`
	Kinds      []string `yaml:"kinds,omitempty,flow"`
	Team       string   `yaml:"team"`
	Policy     string   `yaml:"policy,omitempty"`
}

// span is a duration in milliseconds that files write like 5m.
type span int64

// MarshalYAML writes 5m, not 5m0s.
func (s span) MarshalYAML() (any, error) {
	text := (time.Duration(s) * time.Millisecond).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text, nil
}

// UnmarshalYAML reads 5m, 90s, 1h30m.
func (s *span) UnmarshalYAML(n *yaml.Node) error {
	d, err := time.ParseDuration(n.Value)
	if err != nil || d < 0 {
		return fmt.Errorf("line %d: %q is no duration; write one like 5m or 90s", n.Line, n.Value)
	}
	*s = span(d.Milliseconds())
	return nil
}

// IsZero leaves the zero span out.
func (s span) IsZero() bool { return s == 0 }

// silence is a span, or never, as escalation.Never.
type silence int64

// MarshalYAML writes never, or as span does.
func (s silence) MarshalYAML() (any, error) {
	if s == escalation.Never {
		return "never", nil
	}
	return span(s).MarshalYAML()
}

// UnmarshalYAML reads never, 0s for it, or what span reads.
func (s *silence) UnmarshalYAML(n *yaml.Node) error {
	if n.Value == "never" {
		*s = escalation.Never
		return nil
	}
	var d span
	if err := d.UnmarshalYAML(n); err != nil {
		return fmt.Errorf("line %d: %q is no duration; write one like 30m, or never", n.Line, n.Value)
	}
	if *s = silence(d); d == 0 {
		*s = escalation.Never
	}
	return nil
}

// IsZero leaves out what nobody said.
func (s silence) IsZero() bool { return s == 0 }

var (
	unknownKey = regexp.MustCompile(`line (\d+): field (\S+) not found in type \S+`)
	atLine     = regexp.MustCompile(`line (\d+): `)
)

// parseSettings reads a file; an unknown key is refused with its line.
func parseSettings(name string, raw []byte) (settingsFile, error) {
	var out settingsFile
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	for {
		var one settingsFile
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:\n  ")
			text = unknownKey.ReplaceAllString(text, "line $1: there is no setting “$2”")
			return out, errors.New(name + ":" + atLine.ReplaceAllString(text, "$1: "))
		}
		out.add(one)
	}
	for what, names := range map[string][]string{"team": namesOf(out.Teams, func(t teamFile) string { return t.Name }),
		"schedule": namesOf(out.Schedules, func(s scheduleFile) string { return s.Name }), "policy": namesOf(out.Policies, func(p policyFile) string { return p.Name })} {
		for i, n := range names {
			if n == "" {
				return out, fmt.Errorf("%s: a %s has no name; give it one", name, what)
			}
			if slices.ContainsFunc(names[:i], func(x string) bool { return strings.EqualFold(x, n) }) {
				return out, fmt.Errorf("%s: the %s %s is there twice; take one out", name, what, n)
			}
		}
	}
	return out, nil
}

func namesOf[T any](list []T, name func(T) string) (out []string) {
	for _, x := range list {
		out = append(out, name(x))
	}
	return out
}

// add appends what another document says.
func (f *settingsFile) add(o settingsFile) {
	f.Teams = append(f.Teams, o.Teams...)
	f.Schedules = append(f.Schedules, o.Schedules...)
	f.Policies = append(f.Policies, o.Policies...)
	if o.Rules != nil {
		if f.Rules == nil {
			f.Rules = &[]ruleFile{}
		}
		*f.Rules = append(*f.Rules, *o.Rules...)
	}
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func dayNumbers(names []string) (out []int, err error) {
	for _, n := range names {
		i := slices.Index(dayNames, strings.ToLower(n))
		if i < 0 {
			return nil, fmt.Errorf("%q is no day; days are %s", n, strings.Join(dayNames, ", "))
		}
		out = append(out, i)
	}
	return out, nil
}

func namesOfDays(days []int) (out []string) {
	for _, d := range days {
		if d >= 0 && d < len(dayNames) {
			out = append(out, dayNames[d])
		}
	}
	return out
}

// exported is the settings as a file says them.
func exported(s oncall.Settings) settingsFile {
	var f settingsFile
	schedule := func(id string) string { x, _ := s.Schedule(id); return x.Name }
	policy := func(id string) string { x, _ := s.Policy(id); return x.Name }
	team := func(id string) string { x, _ := s.Team(id); return x.Name }
	for _, x := range s.Schedules {
		one := scheduleFile{Name: x.Name, Zone: x.Zone}
		for _, l := range x.Layers {
			lf := layerFile{Name: l.Name, People: l.People, Start: l.Start, End: l.End, Unit: l.Unit, Every: l.Every}
			for _, w := range l.Only {
				lf.Only = append(lf.Only, windowFile{namesOfDays(w.Days), w.From, w.To})
			}
			one.Layers = append(one.Layers, lf)
		}
		f.Schedules = append(f.Schedules, one)
	}
	for _, t := range s.Teams {
		f.Teams = append(f.Teams, teamFile{t.Name, t.Members, t.Tier, t.Skill, schedule(t.Schedule), policy(t.Policy)})
	}
	for _, p := range s.Policies {
		one := policyFile{Name: p.Name, Repeat: p.Repeat, AckTimeout: silence(p.AckTimeout)}
		for _, st := range p.Steps {
			sf := stepFile{Wait: span(st.Wait), Need: st.Need}
			for _, t := range st.Targets {
				name := t.Name
				switch t.Kind {
				case escalation.TargetSchedule:
					name = schedule(t.Name)
				case escalation.TargetTeam, escalation.TargetSigners:
					name = team(t.Name)
				}
				sf.Page = append(sf.Page, t.Kind+":"+name)
			}
			if c := st.If; c != nil {
				sf.If = &conditionFile{Severity: c.Severity, Unacked: span(c.Unacked), Alerts: c.Alerts, Within: span(c.Within)}
				if h := c.Hours; h != nil {
					sf.If.Hours = &hoursFile{h.Zone, namesOfDays(h.Days), h.From, h.To, h.Not}
				}
			}
			one.Steps = append(one.Steps, sf)
		}
		f.Policies = append(f.Policies, one)
	}
	rules := []ruleFile{}
	for _, r := range s.Rules {
		rules = append(rules, ruleFile{r.Severity, r.Components, r.Chains, r.Kinds, team(r.Team), policy(r.Policy)})
	}
	if len(rules) > 0 {
		f.Rules = &rules
	}
	return f
}
