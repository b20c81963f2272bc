package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/views"
)

// shownWeeks is how many weeks a schedule's page shows.
const shownWeeks = 4

// almanac draws a schedule as weeks, in days of one zone.
type almanac struct {
	of     oncall.Schedule
	zone   *time.Location // of the schedule
	shown  *time.Location // of the days
	now    int64
	name   func(handle string) string
	marks  []string                   // handles, in the order of their patterns
	href   func(d oncall.Duty) string // of a shift; "" = nothing to click
	picked [2]int64
}

// monday is the first moment of the week that t is in, by the days of a zone.
func monday(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone)
	return time.Date(t.Year(), t.Month(), t.Day()-(int(t.Weekday())+6)%7, 0, 0, 0, 0, zone)
}

// weeks draws n weeks from a Monday on.
func (a *almanac) weeks(begin time.Time, n int) []views.CalendarWeek {
	end := a.day(begin, 7*n).UnixMilli()
	rows := []calendarRow{{name: "On call", main: true, duties: a.of.Shifts(begin.UnixMilli(), end, a.zone)}}
	if len(a.of.Overrides) > 0 {
		r := calendarRow{name: "Overrides"}
		for _, o := range slices.SortedFunc(slices.Values(a.of.Overrides), func(x, y oncall.Override) int { return cmp.Compare(x.Order, y.Order) }) {
			r.duties = append(r.duties, oncall.Duty{Person: o.Person, From: o.From, Until: o.Until, Over: o.ID, Why: cmp.Or(o.Note, "override")})
		}
		rows = append(rows, r)
	}
	if len(a.of.Layers) > 1 || len(rows) > 1 {
		for _, l := range slices.Backward(a.of.Layers) {
			one := oncall.Schedule{Zone: a.of.Zone, Layers: []oncall.Layer{l}}
			rows = append(rows, calendarRow{name: cmp.Or(l.Name, l.ID), duties: slices.DeleteFunc(one.Shifts(begin.UnixMilli(), end, a.zone), func(d oncall.Duty) bool { return d.Person == "" })})
		}
	}
	var out []views.CalendarWeek
	for i := range n {
		out = append(out, a.week(a.day(begin, 7*i), rows, i == 0))
	}
	return out
}

type calendarRow struct {
	name   string
	main   bool
	duties []oncall.Duty
}

func (a *almanac) day(begin time.Time, n int) time.Time {
	return time.Date(begin.Year(), begin.Month(), begin.Day()+n, 0, 0, 0, 0, a.shown)
}

func (a *almanac) week(begin time.Time, rows []calendarRow, first bool) views.CalendarWeek {
	var days [8]int64
	for i := range days {
		days[i] = a.day(begin, i).UnixMilli()
	}
	var w views.CalendarWeek
	for i := range 7 {
		d := a.day(begin, i)
		head := views.CalendarDay{Name: d.Format("Mon 2"), Today: days[i] <= a.now && a.now < days[i+1], Turn: a.turn(days[i], days[i+1])}
		if first && i == 0 || d.Day() == 1 {
			head.Month = d.Format("Jan")
		}
		w.Days = append(w.Days, head)
	}
	if days[0] <= a.now && a.now < days[7] {
		w.Now = share(place(days, a.now))
	}
	for _, r := range rows {
		row := views.CalendarRow{Name: r.name, Main: r.main}
		for _, d := range r.duties {
			until := d.Until
			if until == 0 {
				until = days[7]
			}
			from, until := max(d.From, days[0]), min(until, days[7])
			if from >= until {
				continue
			}
			x := place(days, from)
			row.Bars = append(row.Bars, a.bar(d, x, place(days, until)-x, r.main))
		}
		w.Rows = append(w.Rows, row)
	}
	return w
}

func (a *almanac) bar(d oncall.Duty, x, width float64, main bool) views.CalendarBar {
	b := views.CalendarBar{X: share(x), W: share(width), Hole: d.Person == "", Says: a.name(d.Person) + ", " + a.span(d) + ": " + d.Why, On: main && a.picked != [2]int64{} && d.From <= a.picked[0] && (d.Until == 0 || a.picked[0] < d.Until)}
	if b.Hole {
		b.Says = "nobody, " + a.span(d)
	} else {
		b.Mark = max(slices.Index(a.marks, d.Person), 0) % 8
	}
	switch {
	case b.Hole && width >= 7:
		b.Name = "nobody"
	case b.Hole && width >= 2:
		b.Name = "!"
	case width >= 12:
		b.Name = a.name(d.Person)
	case width >= 3:
		b.Name = initials(a.name(d.Person))
	}
	if main && a.href != nil {
		b.Href = a.href(d)
	}
	return b
}

// span says from when to when in the zone of the schedule.
func (a *almanac) span(d oncall.Duty) string {
	return spell(d.From, d.Until, a.zone)
}

// spell writes a time from one moment to another: "Mon 24 Nov 09:00 to Tue 25 Nov 09:00".
func spell(from, until int64, zone *time.Location) string {
	const layout = "Mon 2 Jan 15:04"
	begin, end := "since ever", "without end"
	if from != 0 {
		begin = time.UnixMilli(from).In(zone).Format(layout)
	}
	if until != 0 {
		end = "to " + time.UnixMilli(until).In(zone).Format(layout)
	}
	return begin + " " + end
}

// place says where in the week a moment is, in per cent. Days are equally wide, however long they are.
func place(days [8]int64, t int64) float64 {
	for i := range 7 {
		if t < days[i+1] {
			return (float64(i) + max(0, float64(t-days[i])/float64(days[i+1]-days[i]))) / 7 * 100
		}
	}
	return 100
}

func share(v float64) string { return fmt.Sprintf("%.4f%%", v) }

// turn says how the clocks of the schedule turn within a day, "" when they do not.
func (a *almanac) turn(from, until int64) string {
	_, end := time.UnixMilli(from).In(a.zone).ZoneBounds()
	if end.IsZero() || end.UnixMilli() >= until {
		return ""
	}
	_, was := end.Add(-time.Second).In(a.zone).Zone()
	_, is := end.In(a.zone).Zone()
	before, after := end.UTC().Add(time.Duration(was)*time.Second).Format("15:04"), end.In(a.zone).Format("15:04")
	switch {
	case is < was:
		return "clocks go back " + before + " → " + after
	case is > was:
		return "clocks go forward " + before + " → " + after
	}
	return ""
}

// initials are one or two letters of a name.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.M, r) })
	var out []rune
	for i, w := range words {
		if i == 0 || i == len(words)-1 {
			out = append(out, unicode.ToUpper([]rune(w)[0]))
		}
	}
	return string(out)
}

// everybodyOf lists who has turns in a schedule, in a lasting order.
func everybodyOf(x oncall.Schedule) []string {
	var out []string
	add := func(h string) {
		if h != "" && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	for _, l := range x.Layers {
		for _, p := range l.People {
			add(p)
		}
	}
	for _, o := range x.Overrides {
		add(o.Person)
	}
	return out
}
