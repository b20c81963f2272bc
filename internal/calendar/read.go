package calendar

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/teambition/rrule-go"
)

// Bounds of what is read.
const (
	MaxFile   = 1 << 20 // bytes
	maxParts  = 10_000  // components of a file
	maxDepth  = 4       // of components within components
	maxHead   = 4 << 10 // bytes of a property before its value: the parser's time grows with their square
	maxRule   = 500     // bytes of a rule of repetition: each step looks at all of it
	maxEvents = 2000
	maxTimes  = 5000                 // occurrences of all events
	maxSteps  = 20_000               // repetitions of one event since it began
	Horizon   = 366 * 24 * time.Hour // repetitions are followed so far
)

// ErrUnreadable is returned for what is no iCalendar file, or larger than is read.
var ErrUnreadable = errors.New("this is no calendar file that can be read")

// Time is one occurrence of an event.
type Time struct {
	UID      string   `json:"uid"`
	Summary  string   `json:"summary"`
	Who      []string `json:"who,omitempty"` // names, addresses and handles that the event gives, the likeliest first
	From     int64    `json:"from"`          // unix ms
	Until    int64    `json:"until"`
	Start    string   `json:"-"` // local, as the file says: 2006-01-02T15:04
	Sequence int      `json:"-"`
}

// Refused is an event, or one time of it, that cannot be taken over, and why.
type Refused struct {
	UID     string `json:"uid,omitempty"`
	Summary string `json:"summary,omitempty"`
	Why     string `json:"why"`
}

// reading is one file being read.
type reading struct {
	now    int64
	local  *time.Location // of times without a zone, and of whole days
	zone   func(string) (*time.Location, error)
	zones  map[string]clocks
	cal    *ics.Calendar
	times  []Time
	out    []Refused
	except map[string]map[int64]bool // by event: the times that another component of it replaces
}

// Read reads the times of a file that end after now (unix ms) and begin within Horizon, in order, and what of it is refused. local is the zone of
// times that name none. What takes longer than ctx allows is refused, not waited for. The error is ErrUnreadable.
func Read(ctx context.Context, file []byte, local *time.Location, zone func(string) (*time.Location, error), now int64) ([]Time, []Refused, error) {
	if err := bounded(file); err != nil {
		return nil, nil, err
	}
	cal, err := parse(file)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s", ErrUnreadable, plain(err.Error(), 200))
	}
	r := &reading{now: now, local: local, zone: zone, zones: map[string]clocks{}, cal: cal, except: map[string]map[int64]bool{}}
	events := cal.Events()
	if len(events) == 0 {
		return nil, nil, fmt.Errorf("%w: it has no events", ErrUnreadable)
	}
	if len(events) > maxEvents {
		return nil, nil, fmt.Errorf("%w: it has more than %d events", ErrUnreadable, maxEvents)
	}
	for _, e := range events {
		r.replaced(e)
	}
	for _, e := range events {
		if ctx.Err() != nil {
			r.refuse(e, "Reading took too long; this and what follows was not looked at. Import less at once.")
			break
		}
		if len(r.times) >= maxTimes {
			r.refuse(e, fmt.Sprintf("There are more than %d times; this and what follows was not looked at. Import less at once.", maxTimes))
			break
		}
		r.event(e)
	}
	slices.SortStableFunc(r.times, func(a, b Time) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.UID, b.UID)) })
	return r.times, r.out, nil
}

func parse(file []byte) (*ics.Calendar, error) {
	return ics.ParseCalendarWithOptions(bytes.NewReader(file), ics.WithUnknownPropertyHandler(ics.AcceptUnknownPropertyHandler))
}

// bounded looks at the size, the nesting and the properties before anything is parsed.
func bounded(file []byte) error {
	if len(file) > MaxFile {
		return fmt.Errorf("%w: it is larger than 1 MiB", ErrUnreadable)
	}
	depth, parts := 0, 0
	head, quoted, inValue := 0, false, false // of the property, with the lines that go on with it
	for line := range bytes.Lines(file) {
		switch word := strings.ToUpper(string(line[:min(len(line), 6)])); {
		case word == "BEGIN:":
			depth, parts = depth+1, parts+1
		case strings.HasPrefix(word, "END:"):
			depth--
		}
		if depth > maxDepth || parts > maxParts {
			return fmt.Errorf("%w: it has too many parts", ErrUnreadable)
		}
		if line[0] != ' ' && line[0] != '\t' {
			head, quoted, inValue = 0, false, false
		}
		for i := 0; i < len(line) && !inValue; i++ {
			if line[i] == '"' {
				quoted = !quoted
			}
			inValue = line[i] == ':' && !quoted
			head++
		}
		if head > maxHead {
			return fmt.Errorf("%w: a property has parameters of more than 4 KiB", ErrUnreadable)
		}
	}
	return nil
}

func value(e *ics.VEvent, p ics.ComponentProperty) string {
	if x := e.GetProperty(p); x != nil {
		return x.Value
	}
	return ""
}

func (r *reading) refuse(e *ics.VEvent, why string) {
	if len(r.out) < maxEvents {
		r.out = append(r.out, Refused{UID: plain(value(e, ics.ComponentPropertyUniqueId), 200), Summary: plain(value(e, ics.ComponentPropertySummary), 200), Why: why})
	}
}

// replaced notes the times that an event with RECURRENCE-ID stands for.
func (r *reading) replaced(e *ics.VEvent) {
	p := e.GetProperty(ics.ComponentPropertyRecurrenceId)
	if p == nil {
		return
	}
	at, err := r.moment(p)
	if err != nil {
		return
	}
	uid := value(e, ics.ComponentPropertyUniqueId)
	if r.except[uid] == nil {
		r.except[uid] = map[int64]bool{}
	}
	r.except[uid][at.at] = true
}

func (r *reading) event(e *ics.VEvent) {
	if strings.EqualFold(value(e, ics.ComponentPropertyStatus), "CANCELLED") {
		return
	}
	p := e.GetProperty(ics.ComponentPropertyDtStart)
	if p == nil {
		r.refuse(e, "It has no beginning (DTSTART).")
		return
	}
	start, err := r.moment(p)
	if err != nil {
		r.refuse(e, err.Error())
		return
	}
	end, err := r.end(e, start)
	if err != nil {
		r.refuse(e, err.Error())
		return
	}
	one := Time{UID: plain(value(e, ics.ComponentPropertyUniqueId), 200), Summary: plain(value(e, ics.ComponentPropertySummary), 200), Who: who(e)}
	starts := []int64{start.wall}
	if rules := e.GetProperties(ics.ComponentPropertyRrule); len(rules) > 0 || e.HasProperty(ics.ComponentPropertyRdate) {
		if e.HasProperty(ics.ComponentPropertyRecurrenceId) {
			r.refuse(e, "It replaces one time of a series and repeats itself at once.")
			return
		}
		if starts, err = r.repeats(e, start, rules); err != nil {
			r.refuse(e, err.Error())
			return
		}
	}
	gone := r.except[value(e, ics.ComponentPropertyUniqueId)]
	if e.HasProperty(ics.ComponentPropertyRecurrenceId) {
		gone = nil
	}
	for _, w := range starts {
		t := one
		t.From = start.in.at(w)
		t.Until = end.after(start, w)
		t.Start = time.Unix(w, 0).UTC().Format("2006-01-02T15:04")
		switch {
		case gone[t.From] || t.Until <= r.now || t.From > r.now+Horizon.Milliseconds():
		case t.Until <= t.From:
			r.refuse(e, "It ends before it begins.")
			return
		case len(r.times) >= maxTimes:
			r.refuse(e, fmt.Sprintf("There are more than %d times; those after %s were left out.", maxTimes, t.Start))
			return
		default:
			r.times = append(r.times, t)
		}
	}
}

// repeats lists the local beginnings of a series that may matter, in seconds.
func (r *reading) repeats(e *ics.VEvent, start moment, rules []*ics.IANAProperty) ([]int64, error) {
	if len(rules) > 1 {
		return nil, say("It has more than one rule of repetition (RRULE); one is read.")
	}
	if e.HasProperty(ics.ComponentPropertyExrule) {
		return nil, say("It excludes by a rule (EXRULE), which iCalendar has given up; name the dates (EXDATE).")
	}
	first := time.Unix(start.wall, 0).UTC()
	set := map[int64]bool{start.wall: true}
	if len(rules) == 1 {
		opt, err := rule(rules[0].Value, start)
		if err != nil {
			return nil, err
		}
		opt.Dtstart = first
		x, err := rrule.NewRRule(*opt)
		if err != nil {
			return nil, say("Its rule of repetition cannot be read: %s.", plain(err.Error(), 100))
		}
		last := (r.now+Horizon.Milliseconds())/1000 + 86_400
		next := x.Iterator()
		for n := 0; ; n++ {
			t, ok := next()
			if !ok || t.Unix() > last {
				break
			}
			if n > maxSteps {
				return nil, say("It has repeated more than %d times already. Export it with a later beginning.", maxSteps)
			}
			set[t.Unix()] = true
		}
	}
	for _, p := range e.GetProperties(ics.ComponentPropertyRdate) {
		list, err := r.moments(p)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			set[start.in.wall(m.at)] = true
		}
	}
	for _, p := range e.GetProperties(ics.ComponentPropertyExdate) {
		list, err := r.moments(p)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			if m.day && !start.day { // some programs exclude a whole day
				for w := range set {
					if w >= m.wall && w < m.wall+86_400 {
						delete(set, w)
					}
				}
			}
			delete(set, start.in.wall(m.at))
		}
	}
	var out []int64
	for w := range set {
		out = append(out, w)
	}
	slices.Sort(out)
	return out, nil
}

// rule reads an RRULE as far as rotations need it. All else is refused: it could also make the reading endless.
func rule(text string, start moment) (*rrule.ROption, error) {
	if len(text) > maxRule {
		return nil, say("Its rule of repetition is longer than is read. Export the single dates.")
	}
	for part := range strings.SplitSeq(strings.ToUpper(text), ";") {
		name, v, _ := strings.Cut(part, "=")
		switch name {
		case "", "UNTIL", "COUNT", "WKST", "BYMONTH", "BYMONTHDAY":
		case "INTERVAL":
			if n, err := strconv.Atoi(v); err != nil || n < 1 || n > 1000 {
				return nil, say("It repeats every %s units; 1 to 1000 are read.", plain(v, 20))
			}
		case "BYDAY":
			for d := range strings.SplitSeq(v, ",") {
				if !weekday.MatchString(d) { // "-6MO" would make the library fall over
					return nil, say("It repeats on the day %s, which is not read.", plain(d, 20))
				}
			}
		case "FREQ":
			if !slices.Contains([]string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}, v) {
				return nil, say("It repeats %s; daily, weekly, monthly and yearly are read.", plain(strings.ToLower(v), 20))
			}
		default:
			return nil, say("Its rule of repetition uses %s, which is not read. Export the single dates.", plain(name, 20))
		}
	}
	opt, err := rrule.StrToROption(text)
	if err != nil {
		return nil, say("Its rule of repetition cannot be read: %s.", plain(err.Error(), 100))
	}
	if !opt.Until.IsZero() && strings.Contains(strings.ToUpper(text), "Z") && untilIsUTC(text) { // a moment; the repetition is reckoned in local time
		opt.Until = time.Unix(start.in.wall(opt.Until.UnixMilli()), 0).UTC()
	}
	return opt, nil
}

// weekday is a day of the week, or the n-th or n-th last of a month.
var weekday = regexp.MustCompile(`^(?:[+-]?[1-5])?(?:MO|TU|WE|TH|FR|SA|SU)$`)

func untilIsUTC(text string) bool {
	_, after, ok := strings.Cut(strings.ToUpper(text), "UNTIL=")
	v, _, _ := strings.Cut(after, ";")
	return ok && strings.HasSuffix(v, "Z")
}

// plain makes outside text fit to be shown: one line, at most so many characters.
func plain(text string, most int) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// sentence is why something is refused, for people.
type sentence string

func (s sentence) Error() string { return string(s) }

func say(format string, args ...any) error { return sentence(fmt.Sprintf(format, args...)) }
