package signal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Bounds of a Match.
const (
	MaxMatchList    = 50  // values of one list
	maxMatcherBytes = 400 // of one label matcher
)

// Match says which signals something is about, as people write it. A list that
// is empty asks nothing; of one that is not, one value must be the signal's;
// every label matcher must hold. Sources are ids; the rest is compared without
// regard to case.
type Match struct {
	Sources    []string `json:"sources,omitempty"`
	Kinds      []string `json:"kinds,omitempty"`
	Components []string `json:"components,omitempty"`
	Chains     []string `json:"chains,omitempty"`
	// Labels are matchers as Alertmanager writes them: name=value, name!=value,
	// name=~regex and name!~regex (RE2, anchored at both ends).
	Labels []string `json:"labels,omitempty"`
}

// Empty says that it asks nothing, so that it is about every signal.
func (m Match) Empty() bool {
	return len(m.Sources)+len(m.Kinds)+len(m.Components)+len(m.Chains)+len(m.Labels) == 0
}

// Matcher is a Match that can be asked.
type Matcher struct {
	match  Match
	labels []labelMatcher
}

type labelMatcher struct {
	name, value string
	not         bool
	re          *regexp.Regexp // nil: the value itself
}

// Compile makes a Match that can be asked; the error is a sentence for who wrote it.
func (m Match) Compile() (Matcher, error) {
	out := Matcher{match: m}
	for _, list := range [][]string{m.Sources, m.Kinds, m.Components, m.Chains, m.Labels} {
		if len(list) > MaxMatchList {
			return Matcher{}, fmt.Errorf("a list has %d values, at most %d are taken; use a label matcher with a regular expression", len(list), MaxMatchList)
		}
	}
	for _, text := range m.Labels {
		l, err := parseLabel(text)
		if err != nil {
			return Matcher{}, err
		}
		out.labels = append(out.labels, l)
	}
	return out, nil
}

var labelForm = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_.:/-]*?)\s*(=~|!~|!=|=)\s*(.*?)\s*$`)

func parseLabel(text string) (labelMatcher, error) {
	f := labelForm.FindStringSubmatch(text)
	if f == nil || len(text) > maxMatcherBytes {
		return labelMatcher{}, fmt.Errorf("%q is not a label matcher; write name=value, name!=value, name=~regex or name!~regex", Line(text, 60))
	}
	l := labelMatcher{name: f[1], value: strings.Trim(f[3], `"`), not: f[2][0] == '!'}
	if strings.HasSuffix(f[2], "~") {
		re, err := regexp.Compile("^(?:" + l.value + ")$")
		if err != nil {
			return labelMatcher{}, fmt.Errorf("the expression of %q cannot be read: %s", Line(text, 60), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		l.re = re
	}
	return l, nil
}

// Matches says whether it is about this signal.
func (m Matcher) Matches(s Signal) bool {
	if len(m.match.Sources) > 0 && !slices.Contains(m.match.Sources, s.Source) {
		return false
	}
	if !among(m.match.Kinds, s.Kind) || !among(m.match.Components, s.Component) || !among(m.match.Chains, s.Chain) {
		return false
	}
	for _, l := range m.labels {
		v := s.Field(l.name)
		hit := v == l.value
		if l.re != nil {
			hit = l.re.MatchString(v)
		}
		if hit == l.not {
			return false
		}
	}
	return true
}

func among(list []string, v string) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, v) })
}

// Field is a label's value, or when there is no such label what the signal
// itself says under that name: kind, subject, chain, component, group, source
// or severity. "" is the same as nothing.
func (s Signal) Field(name string) string {
	if v, ok := s.Labels[name]; ok {
		return v
	}
	switch name {
	case "kind", "alertname":
		return s.Kind
	case "subject":
		return s.Subject
	case "chain":
		return s.Chain
	case "component":
		return s.Component
	case "group":
		return s.Group
	case "source":
		return s.Source
	case "severity":
		return s.Severity
	}
	return ""
}

// About is the observation as a signal of source, for matching: it has no
// identity and no life.
func (o Observation) About(source string) Signal {
	o = o.Bounded()
	return Signal{
		Source: source, Key: o.Key, Kind: o.Kind, Subject: o.Subject, Title: o.Title, Severity: o.Severity, Chain: o.Chain,
		Component: o.Component, Group: o.Group, Labels: o.Labels, Drill: o.Drill,
	}
}
