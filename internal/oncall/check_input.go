package oncall

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// Bounds of what may be set.
const (
	MaxTeams     = 200
	MaxMembers   = 200
	MaxSchedules = 200
	MaxLayers    = 20
	MaxTurns     = 100 // people of one layer
	MaxWindows   = 28
	MaxOverrides = 1000 // of one schedule; those over for a month make room
	MaxImport    = 400  // overrides of one command
	MaxPolicies  = 200
	MaxRules     = 100
	MaxValues    = 20 // components, chains or kinds of one rule
	MaxEvery     = 366
	maxName      = 60
	maxNote      = 500
	maxText      = 4000
	maxBody      = 200 << 10 // bytes of one event

	day          = 24 * 60 * minute
	leastWait    = 5_000
	mostWait     = day
	leastAck     = minute
	mostAck      = 7 * day
	mostOverride = 366 * day
)

// line cleans one line of text.
func line(what, text string, most int) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return "", refuse(CodeBadArgument, "%s is one line of plain text.", what)
	case utf8.RuneCountInString(text) > most:
		return "", refuse(CodeTextTooLong, "%s is longer than %d characters. Shorten it.", what, most)
	}
	return text, nil
}

func named(what, text string) (string, error) {
	text, err := line("The name of "+what, text, maxName)
	if err == nil && text == "" {
		err = refuse(CodeMissing, "Give %s a name.", what)
	}
	return text, err
}

func (d *deciding) person(handle string) error {
	if handle == "" {
		return refuse(CodeBadPerson, "Say who: the handle of a person.")
	}
	if _, ok := d.w.Person(handle); !ok {
		return refuse(CodeBadPerson, "There is nobody with the handle %s who could be paged. Check the list of people.", short(handle))
	}
	return nil
}

// people checks a list of handles. Those in already, which stood there before, may have left since.
func (d *deciding) people(what string, list, already []string, most int, twice bool) error {
	if len(list) > most {
		return refuse(CodeTooMany, "%s has more than %d people.", what, most)
	}
	for i, p := range list {
		if !slices.Contains(already, p) {
			if err := d.person(p); err != nil {
				return err
			}
		}
		if !twice && slices.Contains(list[:i], p) {
			return refuse(CodeBadPerson, "%s names %s twice.", what, p)
		}
	}
	return nil
}

func skill(text string) error {
	ok := len(text) <= 30
	for i, r := range text {
		ok = ok && (r >= 'a' && r <= 'z' || i > 0 && (r >= '0' && r <= '9' || r == '-'))
	}
	if !ok {
		return refuse(CodeBadArgument, "A skill is one lower-case word like forensics or front-line; %q is none.", short(text))
	}
	return nil
}

func tier(n int) error {
	if n < 0 || n > 9 {
		return refuse(CodeBadArgument, "A tier is between 0 (takes no incidents) and 9; 1 is the front line.")
	}
	return nil
}

func (d *deciding) zone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, refuse(CodeBadZone, "Name the time zone, like Europe/Berlin or UTC.")
	}
	z, err := d.w.Zone(name)
	if err != nil {
		return nil, refuse(CodeBadZone, "There is no time zone %q. Use an IANA name like Europe/Berlin, or UTC.", short(name))
	}
	return z, nil
}

// layer checks a layer and returns it cleaned. was is the layer as it stood; the zero Layer: it is new.
func (d *deciding) layer(l, was Layer, zone *time.Location, moved bool) (Layer, error) {
	var err error
	if l.Name, err = line("The name of a layer", l.Name, maxName); err != nil {
		return l, err
	}
	name := l.Name
	if name == "" {
		name = "The layer"
	}
	if len(l.People) == 0 {
		return l, refuse(CodeMissing, "%s has nobody. Add the people who take turns.", name)
	}
	if err := d.people(name, l.People, was.People, MaxTurns, true); err != nil {
		return l, err
	}
	if l.Every == 0 {
		l.Every = 1
	}
	switch {
	case l.Unit != Hourly && l.Unit != Daily && l.Unit != Weekly && l.Unit != Monthly:
		return l, refuse(CodeBadArgument, "%s rotates by hour, day, week or month; %q is none of them.", name, short(l.Unit))
	case l.Every < 1 || l.Every > MaxEvery:
		return l, refuse(CodeBadArgument, "%s hands over every 1 to %d units.", name, MaxEvery)
	case len(l.Only) > MaxWindows:
		return l, refuse(CodeTooMany, "%s has more than %d windows of hours.", name, MaxWindows)
	}
	for i, t := range []*string{&l.Start, &l.End} {
		if *t == "" && i == 1 {
			continue
		}
		// What stood there already was checked when it was entered; zone data that changed since must not make the layer uneditable.
		if !moved && (*t == was.Start || *t == was.End) && was.ID != "" {
			continue
		}
		if *t, err = d.local(name, *t, zone); err != nil {
			return l, err
		}
	}
	a, _ := wall(l.Start)
	if b, ok := wall(l.End); ok && b <= a {
		return l, refuse(CodeBadTime, "%s ends before it starts.", name)
	}
	for i := range l.Only {
		if err := hours(name, l.Only[i].Days, l.Only[i].From, l.Only[i].To); err != nil {
			return l, err
		}
	}
	return l, nil
}

// local checks a time that is kept as local time. It is told by a note when it comes twice.
func (d *deciding) local(what, text string, zone *time.Location) (string, error) {
	text = strings.TrimSpace(text)
	if _, ok := wall(text); !ok {
		return "", refuse(CodeBadTime, "%s starts and ends at local times like 2026-11-23T09:00; %q is none.", what, short(text))
	}
	_, says, err := Moment(text, zone)
	if err == nil && says != "" {
		d.body.Notes = append(d.body.Notes, says)
	}
	return text, err
}

func hours(what string, days []int, from, to string) error {
	for i, n := range days {
		if n < 0 || n > 6 || slices.Contains(days[:i], n) {
			return refuse(CodeBadArgument, "%s: days are 0 (Sunday) to 6 (Saturday), each once.", what)
		}
	}
	f, ok := clock(from)
	_, ok2 := clock(to)
	if !ok || !ok2 || f == 86_400 {
		return refuse(CodeBadTime, "%s: hours are like 09:00 to 17:30.", what)
	}
	return nil
}

// policy checks a policy against the settings as they stand and returns it cleaned.
func (d *deciding) policy(p, was escalation.Policy) (escalation.Policy, error) {
	var err error
	if p.Name, err = named("the policy", p.Name); err != nil {
		return p, err
	}
	switch {
	case len(p.Steps) == 0:
		return p, refuse(CodeMissing, "A policy needs a step, or it pages nobody.")
	case len(p.Steps) > escalation.MaxSteps:
		return p, refuse(CodeTooMany, "A policy has at most %d steps.", escalation.MaxSteps)
	case p.Repeat < 0 || p.Repeat > escalation.MaxRepeat:
		return p, refuse(CodeBadArgument, "A policy is repeated 0 to %d times.", escalation.MaxRepeat)
	case p.AckTimeout != 0 && p.AckTimeout != escalation.Never && (p.AckTimeout < leastAck || p.AckTimeout > mostAck):
		return p, refuse(CodeBadArgument, "An acknowledgement expires after a minute to seven days, or never (-1); 0 is the usual hour.")
	}
	old := map[escalation.Target]bool{}
	for _, s := range was.Steps {
		for _, t := range s.Targets {
			old[t] = true
		}
	}
	for i, s := range p.Steps {
		if err := d.step(i+1, s, old); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (d *deciding) step(n int, s escalation.Step, old map[escalation.Target]bool) error {
	switch {
	case len(s.Targets) == 0:
		return refuse(CodeMissing, "Step %d pages nobody. Add somebody, or remove it.", n)
	case len(s.Targets) > escalation.MaxTargets:
		return refuse(CodeTooMany, "Step %d has more than %d targets.", n, escalation.MaxTargets)
	case s.Wait < leastWait || s.Wait > mostWait:
		return refuse(CodeBadArgument, "Step %d waits between 5 seconds and 24 hours before the next one.", n)
	case s.Need < 0 || s.Need > escalation.MaxPeople:
		return refuse(CodeBadArgument, "Step %d cannot need %d acknowledgements.", n, s.Need)
	}
	signers := 0
	for _, t := range s.Targets {
		if old[t] && t.Kind == escalation.TargetPerson {
			continue // may have left since: a warning says so
		}
		if err := d.target(n, t); err != nil {
			return err
		}
		if t.Kind == escalation.TargetSigners {
			team, _ := d.s.Team(t.Name)
			signers += len(team.Members)
		}
	}
	if signers > 0 && s.Need > signers && len(s.Targets) == 1 {
		return refuse(CodeBadArgument, "Step %d needs %d of %d signers. Lower the number, or add signers to the team.", n, s.Need, signers)
	}
	c := s.If
	if c == nil {
		return nil
	}
	switch {
	case c.Severity != "" && !severity(c.Severity):
		return refuse(CodeBadArgument, "Step %d: a severity is SEV1 to SEV5.", n)
	case c.Unacked < 0 || c.Unacked > mostAck || c.Within < 0 || c.Within > mostAck:
		return refuse(CodeBadArgument, "Step %d: a condition looks back at most seven days.", n)
	case c.Alerts < 0 || c.Alerts > 100_000:
		return refuse(CodeBadArgument, "Step %d: a condition counts up to 100,000 alerts.", n)
	case (c.Alerts > 0) != (c.Within > 0):
		return refuse(CodeMissing, "Step %d: say how many alerts, and in how long.", n)
	}
	if c.Hours != nil {
		if _, err := d.zone(c.Hours.Zone); err != nil {
			return err
		}
		return hours("Step "+itoa(n), c.Hours.Days, c.Hours.From, c.Hours.To)
	}
	return nil
}

func (d *deciding) target(n int, t escalation.Target) error {
	switch t.Kind {
	case escalation.TargetPerson:
		return d.person(t.Name)
	case escalation.TargetSchedule:
		if _, ok := d.s.Schedule(t.Name); !ok {
			return refuse(CodeBadTarget, "Step %d: there is no schedule %s.", n, short(t.Name))
		}
	case escalation.TargetTeam, escalation.TargetSigners:
		if _, ok := d.s.Team(t.Name); !ok {
			return refuse(CodeBadTarget, "Step %d: there is no team %s.", n, short(t.Name))
		}
	case escalation.TargetRole:
		if !d.w.Role(t.Name) {
			return refuse(CodeBadTarget, "Step %d: an incident has no role %s.", n, short(t.Name))
		}
	default:
		return refuse(CodeBadTarget, "Step %d: a target is a person, schedule, role, team or signers; %q is none of them.", n, short(t.Kind))
	}
	return nil
}

func severity(s string) bool { return len(s) == 4 && s[:3] == "SEV" && s[3] >= '1' && s[3] <= '5' }

func (d *deciding) rule(r Rule) (Rule, error) {
	if r.Severity != "" && !severity(r.Severity) {
		return r, refuse(CodeBadArgument, "The severity of a rule is SEV1 to SEV5, or empty for all.")
	}
	for _, list := range []*[]string{&r.Components, &r.Chains, &r.Kinds} {
		if len(*list) > MaxValues {
			return r, refuse(CodeTooMany, "A rule names at most %d components, chains or kinds. Make two rules.", MaxValues)
		}
		clean := slices.Clone(*list)
		for i := range clean {
			var err error
			if clean[i], err = named("each component, chain and kind", clean[i]); err != nil {
				return r, err
			}
		}
		*list = clean
	}
	if _, ok := d.s.Team(r.Team); !ok {
		return r, refuse(CodeBadTarget, "There is no team %s for this rule.", short(r.Team))
	}
	if _, ok := d.s.Policy(r.Policy); r.Policy != "" && !ok {
		return r, refuse(CodeBadTarget, "There is no policy %s for this rule.", short(r.Policy))
	}
	return r, nil
}
