package escalation

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// turn is what a step's beginning comes to at a moment: its condition is judged, and who is meant looked up, then and not before.
func (s State) turn(step, round int, sit Situation, look Lookup, now int64) Turn {
	t := Turn{Epoch: s.Epoch, Round: round, Step: step}
	p := s.Policy.Steps[step-1]
	if p.If != nil {
		if t.Unmet = p.If.unmet(s, sit, now); t.Unmet != "" {
			return t
		}
	}
	signers := 0
	for _, target := range p.Targets {
		people, why := target.people(look, now)
		if target.Kind == TargetSigners {
			signers += len(people)
			if len(people) > 0 {
				why = fmt.Sprintf("signer, %d needed", max(1, p.Need))
			}
		}
		if len(people) == 0 {
			t.Holes = append(t.Holes, why)
		}
		var gone []string
		for _, who := range people {
			was := s.standing(round, step, who)
			if was == open && !look.Here(who) {
				gone = append(gone, who)
				continue
			}
			t.add(who, why, was)
		}
		t.miss(gone, why)
	}
	if n := len(t.People) + len(t.Already); signers > 0 && n < p.Need {
		are := "are"
		if n == 1 {
			are = "is"
		}
		t.Holes = append(t.Holes, fmt.Sprintf("%d signers are needed and there %s only %d", p.Need, are, n))
	}
	return t
}

// add names one person once. More than MaxPeople are left out, and that is said.
func (t *Turn) add(who, why string, was standing) {
	if who == "" || slices.Contains(t.Already, who) || slices.Contains(t.Declined, who) || slices.ContainsFunc(t.People, func(c Callee) bool { return c.Person == who }) {
		return
	}
	if len(t.People)+len(t.Already)+len(t.Declined) >= MaxPeople {
		if hole := fmt.Sprintf("only the first %d people are paged", MaxPeople); !slices.Contains(t.Holes, hole) {
			t.Holes = append(t.Holes, hole)
		}
		return
	}
	switch was {
	case already:
		t.Already = append(t.Already, who)
		return
	case declined:
		t.Declined = append(t.Declined, who)
		return
	}
	t.People = append(t.People, Callee{Person: who, Why: why})
}

// namedGone bounds the names in the sentence about those of a target who have left.
const namedGone = 3

// miss says who of a target has left: one sentence, however many they are.
func (t *Turn) miss(gone []string, why string) {
	if len(gone) == 0 {
		return
	}
	names, have := strings.Join(gone[:min(len(gone), namedGone)], ", "), "has"
	if more := len(gone) - namedGone; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	if len(gone) > 1 {
		have = "have"
	}
	t.Holes = append(t.Holes, fmt.Sprintf("%s (%s) %s left, or cannot be paged", names, why, have))
}

// standing is what a round knows of a person before one of its steps begins.
type standing int

const (
	open     standing = iota
	already           // has been paged in it and has answered or still may, or has it
	declined          // said "not me" in it
)

func (s State) standing(round, step int, who string) standing {
	was := open
	for _, p := range s.Pages {
		if p.Person == who && p.Epoch == s.Epoch && p.Round == round && p.State != Ended {
			if was = already; p.State == Declined {
				was = declined
			}
		}
	}
	if slices.Contains(s.passed(round), who) {
		was = declined
	}
	for _, a := range s.Acks {
		if a.Person == who && a.Expired == 0 && (was == declined || a.Epoch == s.Epoch && a.Round == round && a.Step == step) {
			was = already
		}
	}
	return was
}

// passed are those whom a round does not ask because of what they said: those of the one that runs also when it began later than at the first step and found
// nobody, for the next one is its other half.
func (s State) passed(round int) []string {
	if round == s.Round || round == s.Round+1 && s.Phase == Running && s.From > 1 && !s.Reached {
		return s.Passed
	}
	return nil
}

// asked is true when a step has paged one of these people since the escalation began.
func (s State) asked(people []string) bool {
	return slices.ContainsFunc(s.Pages, func(p Page) bool { return p.Epoch == s.Epoch && p.Step > 0 && slices.Contains(people, p.Person) })
}

// people are those whom the target means, and why; or nobody, and why not.
func (t Target) people(look Lookup, now int64) (people []string, why string) {
	switch t.Kind {
	case TargetPerson:
		return []string{t.Name}, "named by the policy"
	case TargetSchedule:
		people, why = look.OnCall(t.Name, now)
		if len(people) == 0 && why == "" {
			why = "nobody is on call in " + t.Name
		}
		if len(people) > 0 && why == "" {
			why = "on call in " + t.Name
		}
		return people, why
	case TargetRole:
		if people = look.Role(t.Name); len(people) == 0 {
			return nil, "nobody is " + t.Name + " of this incident"
		}
		return people, t.Name + " of this incident"
	case TargetTeam, TargetSigners:
		people, name := look.Team(t.Name)
		if len(people) == 0 {
			return nil, "the team " + name + " has no members"
		}
		return people, "in the team " + name
	}
	return nil, "this program does not know how to page a " + t.Kind
}

// wish is what a wish by hand comes to: all of a team who are not paged now.
func (s State) wish(a Ask, look Lookup) Turn {
	t := Turn{Epoch: s.Epoch, Ask: a.Number}
	people, why := Target{Kind: TargetTeam, Name: a.Team}.people(look, 0)
	if len(people) == 0 {
		t.Holes = []string{why}
	}
	var gone []string
	for _, who := range people {
		was := open
		if s.WaitsFor(who) {
			was = already
		} else if !look.Here(who) {
			gone = append(gone, who)
			continue
		}
		t.add(who, why+", paged by hand", was)
	}
	t.miss(gone, why)
	return t
}

// unmet is why the condition does not hold, or "" when it does.
func (c Condition) unmet(s State, sit Situation, now int64) string {
	if c.Severity != "" && worse(c.Severity, sit.Severity) {
		return fmt.Sprintf("it is %s, and the step is for %s or worse", sit.Severity, c.Severity)
	}
	if c.Hours != nil {
		if why := c.Hours.unmet(now); why != "" {
			return why
		}
	}
	if open := now - s.Began; c.Unacked > 0 && open < c.Unacked {
		return fmt.Sprintf("nobody has acknowledged for %s, and the step is for %s", span(open), span(c.Unacked))
	}
	if c.Alerts > 0 {
		n := 0
		for _, at := range sit.Attached {
			if c.Within <= 0 || at > now-c.Within {
				n++
			}
		}
		if n < c.Alerts {
			within := ""
			if c.Within > 0 {
				within = " in " + span(c.Within)
			}
			return fmt.Sprintf("there were %d alerts%s, and the step is for %d", n, within, c.Alerts)
		}
	}
	return ""
}

// worse is true when severity a is worse than b: SEV1 than SEV2. What is no severity is milder than all.
func worse(a, b string) bool {
	if len(b) != 4 {
		return true
	}
	return a < b
}

// unmet is why the moment does not lie within the hours, or "" when it does. A zone that this machine does not know never keeps a step from paging.
func (h Hours) unmet(now int64) string {
	zone, err := time.LoadLocation(h.Zone)
	if err != nil {
		return ""
	}
	local := time.UnixMilli(now).In(zone)
	in := h.hold(local)
	if in != h.Not {
		return ""
	}
	words := "within"
	if h.Not {
		words = "outside of"
	}
	return fmt.Sprintf("it is %s in %s, and the step is for %s %s to %s%s", local.Format("Mon 15:04"), h.Zone, words, h.From, h.To, days(h.Days))
}

func (h Hours) hold(local time.Time) bool {
	from, to := ofDay(h.From), ofDay(h.To)
	at, day := local.Hour()*60+local.Minute(), int(local.Weekday())
	on := func(d int) bool { return len(h.Days) == 0 || slices.Contains(h.Days, d) }
	switch {
	case from == to:
		return on(day)
	case from < to:
		return on(day) && at >= from && at < to
	}
	return on(day) && at >= from || on((day+6)%7) && at < to
}

// ofDay is the minute of the day of "15:04"; what is not readable is midnight.
func ofDay(text string) int {
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0
	}
	return t.Hour()*60 + t.Minute()
}

func days(list []int) string {
	var out []string
	for _, d := range list {
		if d >= 0 && d < 7 {
			out = append(out, time.Weekday(d).String()[:3])
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " on " + strings.Join(out, ", ")
}

// span is a length of time for people.
func span(ms int64) string {
	if m := ms / 60_000; m >= 120 && m%60 == 0 {
		return fmt.Sprintf("%d h", m/60)
	} else if m >= 1 {
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d s", ms/1000)
}
