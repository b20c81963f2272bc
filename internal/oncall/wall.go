package oncall

import (
	"fmt"
	"strings"
	"time"
)

// wallLayout is a local time as people enter it: of hand-overs, and of overrides without an offset.
const wallLayout = "2006-01-02T15:04"

// furthest is more than any zone ever was from UTC, in seconds.
const furthest = 26 * 3600

// First is the first moment (unix seconds) at which the clocks of a zone show the local time wall or a later one; wall counts seconds as if it
// were UTC. So a local time that a spring gap leaves out is the first moment after the gap, one that comes twice is the first of the two, and
// the order of local times is kept over every transition.
func First(zone *time.Location, wall int64) int64 {
	u := wall - furthest
	for {
		t := time.Unix(u, 0).In(zone)
		_, off := t.Zone()
		_, end := t.ZoneBounds()
		if end.IsZero() || wall < end.Unix()+int64(off) {
			return max(u, wall-int64(off))
		}
		u = end.Unix()
	}
}

// shown is the local time that the clocks show at a moment, both in seconds.
func shown(zone *time.Location, u int64) int64 {
	_, off := time.Unix(u, 0).In(zone).Zone()
	return u + int64(off)
}

// wall reads a local time; ok is false when it is none.
func wall(text string) (seconds int64, ok bool) {
	t, err := time.Parse(wallLayout, text)
	return t.Unix(), err == nil && t.Year() >= 1970 && t.Year() <= 2200
}

// clock reads hours and minutes as seconds of the day; 24:00 is the end of the day.
func clock(text string) (seconds int64, ok bool) {
	if text == "24:00" {
		return 86_400, true
	}
	if len(text) != 5 {
		return 0, false
	}
	t, err := time.Parse("15:04", text)
	return int64(t.Hour()*3600 + t.Minute()*60), err == nil
}

// Moment reads a moment that a person entered: with an offset ("2026-10-25T02:30:00+01:00", "…Z") as it is, else as local time of the zone.
// A local time that does not exist there is refused; of one that comes twice the first is taken, and says tells so in a sentence.
func Moment(text string, zone *time.Location) (ms int64, says string, err error) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1970 && t.Year() <= 2200 {
			return t.UnixMilli(), "", nil
		}
	}
	w, ok := wall(text)
	if !ok {
		return 0, "", refuse(CodeBadTime, "A time is local like 2026-11-20T09:00, or has an offset like 2026-11-20T09:00:00Z; %q is neither.", short(text))
	}
	at := First(zone, w)
	if got := shown(zone, at); got != w {
		until := time.Unix(shown(zone, at-1)+1, 0).UTC().Format(wallLayout)
		from := time.Unix(got, 0).UTC().Format(wallLayout)
		to := from
		if until[:10] == from[:10] {
			until, to = until[11:], from[11:]
		}
		return 0, "", refuse(CodeNoSuchTime, "%s does not exist in %s: the clocks go from %s straight to %s. Choose %s or another time.", text, zone, until, to, from)
	}
	if again, twice := later(zone, at); twice {
		says = fmt.Sprintf("%s comes twice in %s because the clocks go back; the first is meant, %s UTC. For the second write %s.", text, zone,
			utc(at*1000), time.Unix(again, 0).UTC().Format("2006-01-02T15:04Z"))
	}
	return at * 1000, says, nil
}

// later finds the second moment at which the clocks show what they show at u.
func later(zone *time.Location, u int64) (int64, bool) {
	w := shown(zone, u)
	for t := time.Unix(u, 0).In(zone); ; {
		_, end := t.ZoneBounds()
		if end.IsZero() || end.Unix() > u+2*furthest {
			return 0, false
		}
		_, off := end.In(zone).Zone()
		if again := w - int64(off); again >= end.Unix() {
			if shown(zone, again) == w {
				return again, true
			}
		}
		t = end.In(zone)
	}
}

func utc(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04") }

// said is a moment as people read it: local and UTC.
func said(ms int64, zone *time.Location) string {
	t := time.UnixMilli(ms)
	if local := t.In(zone); local.Format("-0700") != "+0000" {
		return local.Format("Mon 2 Jan 15:04") + " (" + t.UTC().Format("Mon 15:04") + " UTC)"
	}
	return t.UTC().Format("Mon 2 Jan 15:04") + " UTC"
}

func short(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return text
}
