package calendar

import (
	"fmt"
	"slices"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"

	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// Person is somebody whom an event may name.
type Person struct{ Handle, Name string }

// Addition is one time that would be taken over.
type Addition struct {
	Time
	Person string `json:"person"`
}

// Plan is what an import would do.
type Plan struct {
	Add       []Addition    `json:"add"`
	Layer     *oncall.Layer `json:"layer,omitempty"` // instead of overrides
	Refused   []Refused     `json:"refused"`
	Unmatched []string      `json:"unmatched"` // names that nobody here has; say who they are and try again
}

// NewPlan finds the person of each time: by what who says a name stands for, by handle, by name, or by the local part of an e-mail address. Times
// that name nobody here are refused.
func NewPlan(times []Time, refused []Refused, people []Person, who map[string]string) Plan {
	p := Plan{Add: []Addition{}, Refused: append([]Refused{}, refused...), Unmatched: []string{}}
	known := map[string]string{}
	for _, x := range people {
		known[strings.ToLower(x.Name)] = x.Handle
	}
	for _, x := range people { // a handle wins over another's name
		known[x.Handle] = x.Handle
	}
	for name, handle := range who {
		known[strings.ToLower(strings.TrimSpace(name))] = handle
	}
	for _, t := range times {
		handle := ""
		for _, w := range t.Who {
			if h, ok := known[strings.ToLower(w)]; ok && handle == "" {
				handle = h
			}
		}
		switch name := t.Summary; {
		case handle == "":
			if len(t.Who) > 0 {
				name = t.Who[0]
			}
			if name == "" {
				name = "(nobody)"
			}
			if !slices.Contains(p.Unmatched, name) {
				p.Unmatched = append(p.Unmatched, name)
			}
			if len(p.Refused) < maxEvents {
				p.Refused = append(p.Refused, Refused{UID: t.UID, Summary: t.Summary, Why: fmt.Sprintf("It is not known who %s is. Say which person is meant.", name)})
			}
		case len(p.Add) >= oncall.MaxImport:
			p.Refused = append(p.Refused, Refused{UID: t.UID, Summary: t.Summary, Why: fmt.Sprintf("At most %d times are imported at once; those from %s on were left out.", oncall.MaxImport, t.Start)})
			return p
		default:
			p.Add = append(p.Add, Addition{t, handle})
		}
	}
	return p
}

// Overrides are the commands of a plan.
func (p Plan) Overrides() []oncall.AddOverride {
	var out []oncall.AddOverride
	for _, a := range p.Add {
		utc := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
		out = append(out, oncall.AddOverride{Person: a.Person, From: utc(a.From), Until: utc(a.Until), Note: plain(a.Summary, 200)})
	}
	return out
}

// AsLayer turns a plan into one rotation, when the times are one: without a break, of the same local length, the people always in the same order.
// zone is that of the schedule. Else the sentence says why not.
func (p Plan) AsLayer(zone *time.Location) (oncall.Layer, string) {
	if len(p.Add) < 2 {
		return oncall.Layer{}, "A rotation has at least two turns. Import overrides instead."
	}
	in := place{zone}
	start := in.wall(p.Add[0].From)
	turn := in.wall(p.Add[0].Until) - start
	var people []string
	for i, a := range p.Add {
		if want := start + int64(i)*turn; in.wall(a.From) != want || in.wall(a.Until) != want+turn {
			return oncall.Layer{}, fmt.Sprintf("These times are no rotation: the turn of %s at %s does not follow the one before it, or has another length. Import overrides instead.", a.Person, a.Start)
		}
		people = append(people, a.Person)
	}
	period := len(people)
	for n := 1; n < len(people); n++ {
		if fits := func() bool {
			for i := range people {
				if people[i] != people[i%n] {
					return false
				}
			}
			return true
		}(); fits {
			period = n
			break
		}
	}
	l := oncall.Layer{Name: "Imported", People: people[:period], Start: time.Unix(start, 0).UTC().Format("2006-01-02T15:04")}
	for _, u := range []struct {
		unit    string
		seconds int64
	}{{oncall.Weekly, 7 * 86_400}, {oncall.Daily, 86_400}, {oncall.Hourly, 3600}} {
		if turn > 0 && turn%u.seconds == 0 && start%60 == 0 {
			l.Unit, l.Every = u.unit, int(turn/u.seconds)
			return l, ""
		}
	}
	return oncall.Layer{}, "The turns are no whole number of hours long. Import overrides instead."
}

// who lists whom an event names: those who attend, then what stands in its title, whole and in parts.
func who(e *ics.VEvent) (out []string) {
	add := func(text string) {
		if text = plain(strings.TrimSpace(text), 100); text != "" && !slices.Contains(out, text) && len(out) < 20 {
			out = append(out, text)
		}
	}
	for _, p := range e.GetProperties(ics.ComponentPropertyAttendee) {
		address := p.Value
		if len(address) > 7 && strings.EqualFold(address[:7], "mailto:") {
			address = address[7:]
		}
		add(first(p.ICalParameters["CN"]))
		add(address)
		local, _, _ := strings.Cut(address, "@")
		add(local)
	}
	title := value(e, ics.ComponentPropertySummary)
	add(title)
	for _, part := range strings.FieldsFunc(title, func(r rune) bool { return strings.ContainsRune(":,;()[]|/–—", r) }) {
		add(part)
		for _, p := range strings.Split(part, " - ") {
			add(p)
		}
	}
	for _, word := range strings.Fields(title) {
		if strings.HasPrefix(word, "@") {
			add(word[1:])
		}
		if local, _, ok := strings.Cut(word, "@"); ok {
			add(local)
		}
	}
	return out
}
