package incident

import (
	"cmp"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/impact"
)

func (c Route) decide(s State, _ Meta) ([]Body, error) {
	var k check
	k.working(s)
	b := Routed{Team: k.line("team", c.Team, MaxName), Name: k.line("name", cmp.Or(c.TeamName, c.Team), MaxName), Tier: max(0, c.Tier), Skill: k.line("skill", c.Skill, MaxName),
		Policy: c.Policy, Why: clip(c.Why, maxWhy), Ask: c.Ask}
	if b.Policy != nil && (len(b.Policy.Steps) > escalation.MaxSteps || slices.ContainsFunc(b.Policy.Steps, func(p escalation.Step) bool { return len(p.Targets) > escalation.MaxTargets })) {
		k.refuse(CodeTooMany, "A policy has at most %d steps of %d targets. Make it shorter.", escalation.MaxSteps, escalation.MaxTargets)
	}
	if b.Team == "" && b.Policy == nil {
		k.refuse(CodeMissingArgument, "Say which team or which policy.")
	}
	if k.err != nil {
		return nil, k.err
	}
	if b.Ask != 0 {
		if !slices.ContainsFunc(s.Paging.Asks, func(a escalation.Ask) bool { return a.Number == b.Ask }) {
			return nil, nil
		}
		return one(b)
	}
	t := s.Triage
	same := b.Policy == nil && s.Paging.Policy.ID == "" && len(s.Paging.Policy.Steps) == 0 || b.Policy != nil && s.Paging.Epoch > 0 && b.Policy.ID == s.Paging.Policy.ID && b.Policy.Version == s.Paging.Policy.Version
	if same && t.Name != "" && t.Team == b.Team && t.Name == b.Name && t.Tier == b.Tier && t.Skill == b.Skill {
		return nil, nil
	}
	return one(b)
}

func (Claim) decide(s State, m Meta) ([]Body, error) {
	var k check
	me := k.me(m)
	k.working(s)
	if k.err != nil || s.Triage.ClaimedBy == me {
		return nil, k.err
	}
	return one(Claimed{Person: me})
}

func (c HandOn) decide(s State, _ Meta) ([]Body, error) {
	var k check
	k.working(s)
	team := k.need(k.line("team", c.Team, MaxName), CodeMissingArgument, "Say which team goes on with it, like /handon treasury they hold the keys.")
	note := k.prose("note", c.Note, MaxReason)
	if k.err != nil {
		return nil, k.err
	}
	if t := s.Triage; lower(team) == lower(t.Team) || t.Name != "" && lower(team) == lower(t.Name) {
		return nil, nil
	}
	return withReason(c, note, HandedOn{Team: team}), nil
}

func (c SetCategory) decide(s State, _ Meta) ([]Body, error) {
	category := lower(c.Category)
	if category != "" && (!isHandle(category) || len(category) > 40) {
		return nil, refuse(CodeBadArgument, "%s is not a category. Write it as one word in small letters, like bridge-drain.", shown(c.Category))
	}
	if category == s.Category {
		return nil, nil
	}
	return one(CategorySet{Category: category})
}

func (s State) factAt(name string) int {
	return slices.IndexFunc(s.Facts, func(f impact.Fact) bool { return f.Name == name })
}

func (c SetFact) decide(s State, _ Meta) ([]Body, error) {
	var k check
	name, note := lower(c.Fact), k.line("note", c.Note, MaxTitle)
	value, err := impact.ParseFact(name, k.line("value", c.Value, impact.MaxFactValue))
	if k.err == nil && err != nil {
		k.refuse(CodeBadFact, "%s", err.Error())
	}
	if k.err != nil {
		return nil, k.err
	}
	if i := s.factAt(name); i >= 0 && s.Facts[i].Value == value && s.Facts[i].Note == note && !s.openedAfter(s.Facts[i].At) {
		return nil, nil
	}
	return one(FactSet{Fact: name, Value: value, Note: note})
}

// openedAfter says that a signal opened after a time. What was stated before it answers nothing of it, so the same words said again are news.
func (s State) openedAfter(at int64) bool {
	return slices.ContainsFunc(s.Signals, func(g Signal) bool { return g.OpenedAt > at })
}

func (c ClearFact) decide(s State, _ Meta) ([]Body, error) {
	name := lower(c.Fact)
	if s.factAt(name) < 0 {
		if _, known := impact.FactNamed(name); !known {
			return nil, refuse(CodeBadFact, "%s is not a fact of the catalogue, so there is nothing to take back.", shown(c.Fact))
		}
		return nil, nil
	}
	return one(FactCleared{Fact: name})
}

func (c Score) decide(s State, _ Meta) ([]Body, error) {
	a := c.Assessment
	if _, ok := ParseSeverity(a.Severity); a.Severity != "" && !ok || a.Score < 0 || a.Score > 100 || a.At <= 0 {
		return nil, refuse(CodeBadArgument, "The assessment has a score of %d and advises %s; a score is 0 to 100, with a time.", a.Score, shown(a.Severity))
	}
	b := Scored{Assessment: a}
	if _, _, data, err := Encode(b); err != nil || len(data) > 2*impact.MaxBytes {
		return nil, refuse(CodeTooMany, "The assessment does not fit into an event. Leave out what matters least.")
	}
	if a.At <= s.Impact.At {
		return nil, nil
	}
	return one(b)
}

func (c FollowAdvice) decide(s State, _ Meta) ([]Body, error) {
	to, ok := ParseSeverity(s.Advice.Severity)
	if !ok {
		return nil, refuse(CodeNoAdvice, "No severity is advised for incident #%d yet. State what is known with /fact, or use /sev.", s.Number)
	}
	if err := s.otherAdvice(c.Severity); err != nil {
		return nil, err
	}
	return SetSeverity{Severity: string(to), Reason: "followed the advice: " + s.advised()}.decide(s, Meta{})
}

// otherAdvice refuses when another severity is advised than the one that was seen; "" has seen whichever there is.
func (s State) otherAdvice(seen string) error {
	if v, ok := ParseSeverity(seen); seen == "" || ok && string(v) == s.Advice.Severity {
		return nil
	}
	return refuse(CodeOtherAdvice, "By now %s is advised, no longer %s. Read its reason, then follow or decline it.", s.Advice.Severity, shown(seen))
}

// advised is why the score advises what it does, in one line.
func (s State) advised() string {
	text := "the score is " + itoa(s.Impact.Score) + " of 100"
	if r := s.Impact.RuleReason; r != nil && r.Sentence != "" {
		return text + "; " + r.Sentence
	}
	best := impact.Reason{}
	for _, x := range s.Impact.Axes {
		for _, r := range x.Reasons {
			if r.Points > best.Points {
				best = r
			}
		}
	}
	if best.Sentence != "" {
		text += "; " + best.Sentence
	}
	return text
}

func (c DeclineAdvice) decide(s State, _ Meta) ([]Body, error) {
	var k check
	reason := k.prose("reason", c.Reason, MaxReason)
	v, ok := ParseSeverity(s.Advice.Severity)
	switch {
	case k.err != nil:
		return nil, k.err
	case !ok:
		return nil, refuse(CodeNoAdvice, "No severity is advised for incident #%d, so there is nothing to decline.", s.Number)
	case s.otherAdvice(c.Severity) != nil:
		return nil, s.otherAdvice(c.Severity)
	case s.Advice.Declined == string(v):
		return nil, nil
	case reason == "":
		return nil, refuse(CodeReasonMissing, "Declining %s needs a reason. Write one sentence: what does the score not know?", v)
	}
	return withReason(c, reason, AdviceDeclined{Severity: v}), nil
}
