package calendar

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/teambition/rrule-go"

	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// clocks turn local times (seconds counted as if UTC) into moments (unix ms) and back.
type clocks interface {
	// at is the moment of a local time: the first one of two; of one that the clocks leave out what the offset before the gap makes of it, as
	// RFC 5545 section 3.3.5 has it.
	at(wall int64) int64
	wall(ms int64) int64
}

// place is a zone that this machine knows.
type place struct{ *time.Location }

func (p place) offset(u int64) int64 {
	_, off := time.Unix(u, 0).In(p.Location).Zone()
	return int64(off)
}

func (p place) wall(ms int64) int64 { u := ms / 1000; return u + p.offset(u) }

func (p place) at(wall int64) int64 {
	u := oncall.First(p.Location, wall)
	if u+p.offset(u) != wall {
		u = wall - p.offset(u-1)
	}
	return u * 1000
}

// observance is a part of a VTIMEZONE: from local times on the clocks are so far from UTC.
type observance struct {
	offset, before int64   // seconds
	onsets         []int64 // local seconds, in order, reckoned with the offset before
}

// turn is a moment (unix s) from which on the clocks are so far from UTC.
type turn struct{ at, offset int64 }

// defined is a zone that the file itself defines, as Outlook does.
type defined struct {
	list  []observance
	turns []turn // of all of them, in order; of several at one moment that of the first observance
}

func newDefined(list []observance) defined {
	d := defined{list: list}
	for _, o := range list {
		for _, w := range o.onsets {
			d.turns = append(d.turns, turn{w - o.before, o.offset})
		}
	}
	slices.SortStableFunc(d.turns, func(a, b turn) int { return cmp.Compare(a.at, b.at) })
	d.turns = slices.CompactFunc(d.turns, func(a, b turn) bool { return a.at == b.at })
	return d
}

// rules of a VTIMEZONE are followed between these years.
const (
	yearsFrom = 2015
	yearsTo   = 2040
)

func (d defined) offset(u int64) int64 {
	i, there := slices.BinarySearchFunc(d.turns, u, func(t turn, u int64) int { return cmp.Compare(t.at, u) })
	if there {
		i++
	}
	if i == 0 {
		return d.list[0].before
	}
	return d.turns[i-1].offset
}

func (d defined) wall(ms int64) int64 { u := ms / 1000; return u + d.offset(u) }

func (d defined) at(wall int64) int64 {
	first, any := int64(0), false
	for _, o := range d.list {
		for _, off := range []int64{o.offset, o.before} {
			if u := wall - off; d.offset(u) == off && (!any || u < first) {
				first, any = u, true
			}
		}
	}
	if !any {
		first = wall - d.offset(wall-26*3600)
	}
	return first * 1000
}

// moment is a time of the file.
type moment struct {
	wall int64 // local seconds
	at   int64 // unix ms
	day  bool  // a whole day
	in   clocks
}

func (r *reading) moment(p *ics.IANAProperty) (moment, error) {
	list, err := r.moments(p)
	if err != nil {
		return moment{}, err
	}
	if len(list) != 1 {
		return moment{}, say("It has several times where one belongs.")
	}
	return list[0], nil
}

// moments reads the times of a property: UTC, with TZID, floating, or whole days.
func (r *reading) moments(p *ics.IANAProperty) ([]moment, error) {
	in := clocks(place{r.local})
	if id := first(p.ICalParameters["TZID"]); id != "" {
		var err error
		if in, err = r.clocksOf(id); err != nil {
			return nil, err
		}
	}
	var out []moment
	for text := range strings.SplitSeq(p.Value, ",") {
		text, _, _ = strings.Cut(strings.TrimSpace(text), "/") // a period: its beginning
		m := moment{in: in}
		t, err := time.Parse("20060102", text)
		switch {
		case err == nil:
			m.day, m.in = true, place{r.local}
		case strings.HasSuffix(text, "Z"):
			t, err = time.Parse("20060102T150405Z", text)
			if err == nil && first(p.ICalParameters["TZID"]) == "" {
				m.in = place{time.UTC}
			}
			if err == nil && first(p.ICalParameters["TZID"]) != "" { // a contradiction that some programs write; UTC is what they mean
				t = time.Unix(in.wall(t.UnixMilli()), 0).UTC()
			}
		default:
			t, err = time.Parse("20060102T150405", text)
		}
		if err != nil || t.Year() < 1970 || t.Year() > 2200 {
			return nil, say("Its time %q cannot be read.", plain(text, 40))
		}
		m.wall = t.Unix()
		m.at = m.in.at(m.wall)
		if len(out) >= maxSteps {
			return nil, say("It names too many times.")
		}
		out = append(out, m)
	}
	return out, nil
}

// length is how long an event lasts: until a local time, or for a time.
type length struct {
	walls, exact int64 // seconds; one of them
	in           clocks
}

// after is the end (unix ms) of the time that begins at a local time.
func (l length) after(start moment, wall int64) int64 {
	if l.in != nil {
		return l.in.at(l.in.wall(start.in.at(wall)) + l.walls)
	}
	return start.in.at(wall) + l.exact*1000
}

var duration = regexp.MustCompile(`^([+-]?)P(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?$`)

func (r *reading) end(e *ics.VEvent, start moment) (length, error) {
	if p := e.GetProperty(ics.ComponentPropertyDtEnd); p != nil {
		end, err := r.moment(p)
		if err != nil {
			return length{}, err
		}
		if end.at <= start.at {
			return length{}, say("It ends before it begins.")
		}
		// Between local times, so that each repetition ends at the same time on the wall.
		return length{walls: end.wall - end.in.wall(start.at), in: end.in}, nil
	}
	if p := e.GetProperty(ics.ComponentPropertyDuration); p != nil {
		m := duration.FindStringSubmatch(strings.ToUpper(p.Value))
		if m == nil || m[1] == "-" {
			return length{}, say("Its duration %q cannot be read.", plain(p.Value, 40))
		}
		n := func(i int) int64 { v, _ := strconv.ParseInt(m[i], 10, 64); return v }
		days, rest := n(2)*7+n(3), n(4)*3600+n(5)*60+n(6)
		if days > 0 && rest == 0 { // RFC 5545: days are by the calendar, hours exact
			return length{walls: days * 86_400, in: start.in}, nil
		}
		if days == 0 && rest == 0 {
			return length{}, say("It has no length.")
		}
		return length{exact: days*86_400 + rest}, nil
	}
	if start.day {
		return length{walls: 86_400, in: start.in}, nil
	}
	return length{}, say("It has no end.")
}

// clocksOf finds what a TZID means: an IANA zone by its name, the zone that the file says it is, or what the file defines.
func (r *reading) clocksOf(id string) (clocks, error) {
	id = strings.Trim(id, `"`)
	if c, ok := r.zones[id]; ok {
		return c, nil
	}
	c, err := r.findClocks(id)
	if err == nil && len(r.zones) < 100 {
		r.zones[id] = c
	}
	return c, err
}

func (r *reading) findClocks(id string) (clocks, error) {
	var z *ics.VTimezone
	for _, x := range r.cal.Timezones() {
		if p := x.GetProperty(ics.ComponentPropertyTzid); p != nil && strings.Trim(p.Value, `"`) == id {
			z = x
		}
	}
	names := []string{id}
	if z != nil {
		if p := z.GetProperty(ics.ComponentProperty("X-LIC-LOCATION")); p != nil {
			names = append(names, p.Value)
		}
	}
	if parts := strings.Split(id, "/"); len(parts) > 2 { // "/freeassociation.sourceforge.net/Tzfile/Europe/Berlin"
		names = append(names, strings.Join(parts[len(parts)-2:], "/"))
	}
	for _, n := range names {
		if n == "" || n == "Local" || len(n) > 60 {
			continue
		}
		if l, err := r.zone(n); err == nil {
			return place{l}, nil
		}
	}
	if z != nil {
		if list := define(z); len(list) > 0 {
			return newDefined(list), nil
		}
	}
	return nil, say("Its time zone %q is not known, and the file does not define it.", plain(id, 60))
}

var offsetText = regexp.MustCompile(`^([+-])(\d{2})(\d{2})(\d{2})?$`)

func offsetOf(c *ics.ComponentBase, name ics.ComponentProperty) (int64, bool) {
	p := c.GetProperty(name)
	if p == nil {
		return 0, false
	}
	m := offsetText.FindStringSubmatch(p.Value)
	if m == nil {
		return 0, false
	}
	n := func(i int) int64 { v, _ := strconv.ParseInt(m[i], 10, 64); return v }
	off := n(2)*3600 + n(3)*60 + n(4)
	if m[1] == "-" {
		off = -off
	}
	return off, off > -86_400 && off < 86_400
}

// define reads the observances of a VTIMEZONE.
func define(z *ics.VTimezone) (d []observance) {
	for _, c := range z.SubComponents() {
		var base *ics.ComponentBase
		switch c := c.(type) {
		case *ics.Standard:
			base = &c.ComponentBase
		case *ics.Daylight:
			base = &c.ComponentBase
		default:
			continue
		}
		to, ok := offsetOf(base, ics.ComponentProperty("TZOFFSETTO"))
		before, ok2 := offsetOf(base, ics.ComponentProperty("TZOFFSETFROM"))
		p := base.GetProperty(ics.ComponentPropertyDtStart)
		if !ok || !ok2 || p == nil || len(d) >= 20 {
			continue
		}
		start, err := time.Parse("20060102T150405", p.Value)
		if err != nil {
			continue
		}
		o := observance{offset: to, before: before, onsets: []int64{start.Unix()}}
		if rp := base.GetProperty(ics.ComponentPropertyRrule); rp != nil {
			if opt, err := rule(rp.Value, moment{in: place{time.UTC}}); err == nil && opt.Freq == rrule.YEARLY {
				// Outlook begins its rules in 1601: only the years that matter are followed.
				opt.Dtstart = start
				if start.Year() < yearsFrom {
					opt.Dtstart, opt.Count = start.AddDate(yearsFrom-start.Year(), 0, 0), 0
				}
				if rule, err := rrule.NewRRule(*opt); err == nil {
					next := rule.Iterator()
					for range yearsTo - yearsFrom {
						t, ok := next()
						if !ok || t.Year() > yearsTo {
							break
						}
						o.onsets = append(o.onsets, t.Unix())
					}
				}
			}
		}
		for _, rp := range base.GetProperties(ics.ComponentPropertyRdate) {
			if t, err := time.Parse("20060102T150405", rp.Value); err == nil && len(o.onsets) < 500 {
				o.onsets = append(o.onsets, t.Unix())
			}
		}
		slices.Sort(o.onsets)
		d = append(d, o)
	}
	return d
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
