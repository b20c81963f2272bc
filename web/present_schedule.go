package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/views"
)

const (
	// swapAhead is how far ahead turns are offered in return.
	swapAhead = 56 * 24 * time.Hour
	mostSwaps = 40
)

var weekdayNames = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// presentCalendar fills in the four weeks, as a drawing and as a table, and who is on call now.
func (s *Server) presentCalendar(p *views.SchedulePage, w showing, x oncall.Schedule, zone *time.Location) {
	shown := zone
	p.Shown, p.Switch = x.Zone, with(w.address(), "utc=1")
	if w.utc {
		other := w
		other.utc = false
		shown, p.Shown, p.Switch = time.UTC, "UTC", other.address()
	}
	now := s.now()
	p.Offset = offset(now, zone)
	begin := monday(time.UnixMilli(now), shown)
	if w.week != "" {
		d, _ := time.ParseInLocation(time.DateOnly, w.week, shown)
		begin = monday(d.Add(12*time.Hour), shown) // noon: midnight may not exist
	}
	move := func(weeks int) string {
		m := w
		m.week = begin.AddDate(0, 0, 7*weeks).Format(time.DateOnly)
		return m.address()
	}
	p.Earlier, p.Later = move(-shownWeeks), move(shownWeeks)
	a := &almanac{of: x, zone: zone, shown: shown, now: now, name: s.shiftName, marks: everybodyOf(x), picked: [2]int64{w.from, w.until}}
	end := a.day(begin, 7*shownWeeks)
	if begin.UnixMilli() > now || end.UnixMilli() <= now {
		m := w
		m.week = ""
		p.Today = m.address()
	}
	open := func(d oncall.Duty) string {
		from, until := max(d.From, begin.UnixMilli(), now-now%60_000), d.Until
		if until == 0 {
			until = end.UnixMilli()
		}
		if until <= now || !p.Own && !p.Manage {
			return ""
		}
		return with(w.address(), "from="+strconv.FormatInt(from, 10)+"&until="+strconv.FormatInt(until, 10)) + "#pick"
	}
	a.href = open
	p.Weeks = a.weeks(begin, shownWeeks)
	for i, h := range a.marks {
		p.Marks = append(p.Marks, views.Mark{Name: s.person(h), Initials: initials(s.person(h)), Pattern: i % 8})
	}
	for _, d := range x.Shifts(begin.UnixMilli(), end.UnixMilli(), zone) {
		p.Shifts = append(p.Shifts, views.Shift{Person: s.personOr(d.Person), From: d.From, Until: d.Until, Local: spell(d.From, d.Until, zone), Why: s.whyOf(d), Hole: d.Person == "", Override: open(d)})
	}
	duty := x.At(now, zone)
	p.Duty = s.presentDuty(duty, zone, "")
	if duty.Until > 0 {
		p.Next = s.presentDuty(x.At(duty.Until, zone), zone, "")
	}
}

func (s *Server) personOr(handle string) string {
	if handle == "" {
		return ""
	}
	return s.person(handle)
}

// whyOf is the reason of a duty without the end that stands beside it.
func (s *Server) whyOf(d oncall.Duty) string {
	before, rest, found := strings.Cut(d.Why, " until ")
	if found {
		if _, newer, ok := strings.Cut(rest, ", newer"); ok {
			before += ", newer" + newer
		}
	}
	return s.withNames(before)
}

// offset is how far a zone is from UTC at a moment: "UTC+2", "UTC+5:30".
func offset(at int64, zone *time.Location) string {
	_, sec := time.UnixMilli(at).In(zone).Zone()
	sign := "+"
	if sec < 0 {
		sign, sec = "−", -sec
	}
	text := fmt.Sprintf("UTC%s%d", sign, sec/3600)
	if m := sec % 3600 / 60; m != 0 {
		text += fmt.Sprintf(":%02d", m)
	}
	return text
}

// presentPick is the form that a click on a shift opens.
func (s *Server) presentPick(c *call, w showing, x oncall.Schedule, zone *time.Location) *views.Pick {
	shown := zone
	if w.utc {
		shown = time.UTC
	}
	if w.until <= w.from || w.until > s.now()+int64(400*24*time.Hour/time.Millisecond) {
		w.until = w.from + int64(24*time.Hour/time.Millisecond)
	}
	in := func(ms int64) string { return time.UnixMilli(ms).In(shown).Format(fieldTime) }
	d := x.At(w.from, zone)
	p := &views.Pick{Says: s.shiftName(d.Person) + ", " + spell(w.from, w.until, zone) + ": who is on call instead?", From: in(w.from), Until: in(w.until)}
	if d.Person == "" {
		p.Says = "Nobody is on call " + spell(w.from, w.until, zone) + ": who is?"
	}
	if c.actor.Kind != auth.KindPerson || d.Person != c.actor.ID || d.From == 0 || d.Until == 0 {
		return p
	}
	p.Turn = time.UnixMilli(max(w.from, d.From)).UTC().Format(time.RFC3339)
	ahead := x.Shifts(d.Until, s.now()+swapAhead.Milliseconds(), zone)
	for _, k := range s.callable() {
		if k.Value == c.actor.ID || len(p.Swap) > mostSwaps {
			continue
		}
		p.Swap = append(p.Swap, views.Choice{Value: k.Value + "|", Text: k.Text + ", for nothing in return"})
		n := 0
		for _, t := range ahead {
			if t.Person == k.Value && t.Until > 0 && n < 3 {
				n++
				p.Swap = append(p.Swap, views.Choice{Value: k.Value + "|" + time.UnixMilli(t.From).UTC().Format(time.RFC3339), Text: k.Text + ", for " + spell(t.From, t.Until, zone)})
			}
		}
	}
	return p
}

// presentLayers fills in layers, overrides and the hand-over.
func (s *Server) presentLayers(p *views.SchedulePage, c *call, set oncall.Settings, x oncall.Schedule, zone *time.Location) {
	me := ""
	if c.actor.Kind == auth.KindPerson {
		me = c.actor.ID
	}
	for i := len(x.Layers) - 1; i >= 0; i-- {
		f := s.presentLayer(x.Layers[i])
		f.Up, f.Down = i < len(x.Layers)-1, i > 0
		p.Layers = append(p.Layers, f)
	}
	start := monday(time.UnixMilli(s.now()), zone)
	p.New = views.LayerForm{People: make([]views.Choice, 3), Start: time.Date(start.Year(), start.Month(), start.Day(), 9, 0, 0, 0, zone).Format(fieldTime), Every: 1, Unit: oncall.Weekly, Days: weekdayChoices(nil)}
	for _, o := range x.Overrides {
		if o.Until > s.now() {
			p.Overrides = append(p.Overrides, views.OverrideRow{ID: o.ID, Person: s.personOr(o.Person), Note: o.Note, From: o.From, Until: o.Until, Local: spell(o.From, o.Until, zone), Swap: o.Swap != "", Remove: p.Manage || me != "" && (o.Person == me || o.By == me)})
		}
	}
	duty := x.At(s.now(), zone)
	if duty.Until == 0 || duty.Person == "" {
		return
	}
	next := x.At(duty.Until, zone)
	p.HandOver = views.HandOverForm{At: time.UnixMilli(duty.Until).UTC().Format(time.RFC3339), Says: "to " + s.shiftName(next.Person) + ", " + time.UnixMilli(duty.Until).In(zone).Format("Mon 2 Jan 15:04"), Write: p.Manage || me == duty.Person}
	if n, ok := set.Note(x.ID, duty.Until); ok {
		p.HandOver.Text, p.HandOver.By = n.Text, s.name(n.By)
	}
}

func weekdayChoices(on []int) []views.Choice {
	var out []views.Choice
	for i := range 7 {
		d := (i + 1) % 7 // Monday first
		k := views.Choice{Value: strconv.Itoa(d), Text: weekdayNames[d]}
		for _, o := range on {
			k.On = k.On || o == d
		}
		out = append(out, k)
	}
	return out
}

func (s *Server) presentLayer(l oncall.Layer) views.LayerForm {
	f := views.LayerForm{ID: l.ID, Name: l.Name, Start: l.Start, End: l.End, Every: l.Every, Unit: l.Unit}
	var names []string
	for _, h := range l.People {
		f.People = append(f.People, views.Choice{Value: h, Text: s.person(h)})
		names = append(names, s.person(h))
	}
	f.People = append(f.People, views.Choice{}, views.Choice{})
	f.Says = fewer(names)
	if len(names) > 1 {
		f.Says += ", " + each(l.Every, l.Unit)
	}
	if t, err := time.Parse(fieldTime, l.Start); err == nil {
		f.Says += ", from " + t.Format("Mon 2 Jan 2006 15:04")
	}
	var days []int
	if len(l.Only) > 0 {
		w := l.Only[0]
		days, f.From, f.To, f.More = w.Days, w.From, w.To, len(l.Only)-1
		f.Says += ", only " + hoursWord(w.Days, w.From, w.To)
		if f.To == "24:00" {
			f.To = "00:00" // a field of time knows no 24:00; it is the same end
		}
	}
	f.Days = weekdayChoices(days)
	return f
}

// each says how long a turn is.
func each(n int, unit string) string {
	if n <= 1 {
		if unit == oncall.Hourly {
			return "an hour each"
		}
		return "a " + unit + " each"
	}
	return strconv.Itoa(n) + " " + unit + "s each"
}

// hoursWord says hours of a week in words.
func hoursWord(days []int, from, to string) string {
	var names []string
	for i := range 7 {
		d := (i + 1) % 7
		for _, o := range days {
			if o == d {
				names = append(names, weekdayNames[d])
			}
		}
	}
	out := strings.Join(names, " ")
	if len(names) == 0 {
		out = "every day"
	}
	return out + " " + from + " to " + to
}
