// Package calendar owns on-call as calendars: the feeds that calendar programs subscribe to, and the reading of iCalendar files (RFC 5545) into
// overrides or a layer. It never changes the settings: what it read is a plan that somebody else carries out, or not.
package calendar

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"

	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// Bounds of a feed.
const (
	Back       = 30 * 24 * time.Hour  // a feed begins so long ago
	Ahead      = 180 * 24 * time.Hour // and ends so far ahead
	maxEntries = 2000                 // the later ones are left out
	refresh    = "PT15M"              // how often programs are asked to come back; some come once a day all the same
	alarm      = "-PT15M"             // before a person's turn begins
)

// Entry is one event of a feed.
type Entry struct {
	UID         string
	Summary     string
	Description string
	From, Until int64 // unix ms
	Alarm       bool
}

// Kinds of feed.
const (
	OfPerson   = "person"   // the turns of one person, in all schedules
	OfSchedule = "schedule" // all turns of one schedule, holes included
)

// Entries lists what a feed of the kind shows at a moment (unix ms). subject is a handle or the id of a schedule. A schedule whose zone is not
// known has none.
func Entries(s oncall.Settings, zone func(string) (*time.Location, error), kind, subject string, now int64) []Entry {
	from, until := now-Back.Milliseconds(), now+Ahead.Milliseconds()
	var out []Entry
	for _, x := range s.Schedules {
		if kind == OfSchedule && x.ID != subject {
			continue
		}
		z, err := zone(x.Zone)
		if err != nil {
			continue
		}
		for _, d := range x.Shifts(from, until, z) {
			if kind == OfPerson && d.Person != subject || d.From == 0 || d.Until == 0 {
				continue
			}
			out = append(out, entry(x, d, z, kind, s))
		}
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return cmp.Or(cmp.Compare(a.From, b.From), strings.Compare(a.UID, b.UID)) })
	return out[:min(len(out), maxEntries)]
}

func entry(x oncall.Schedule, d oncall.Duty, zone *time.Location, kind string, s oncall.Settings) Entry {
	e := Entry{From: d.From, Until: d.Until, Alarm: kind == OfPerson}
	switch {
	case d.Person == "":
		e.Summary = "Nobody on call: " + x.Name
	case kind == OfPerson:
		e.Summary = "On call: " + x.Name
	default:
		e.Summary = d.Person + ": " + x.Name
	}
	source := d.Over
	if source == "" {
		source = fmt.Sprintf("%s-%d", d.Layer, d.Turn)
	}
	e.UID = fmt.Sprintf("%s-%s-%d@tocsin", x.ID, source, d.From/1000)
	local := func(ms int64) string { return time.UnixMilli(ms).In(zone).Format("Mon 2 Jan 2006 15:04") }
	e.Description = fmt.Sprintf("%s\nFrom %s until %s, %s", d.Why, local(d.From), local(d.Until), x.Zone)
	if n, ok := s.Note(x.ID, d.From); ok {
		e.Description += "\n\nHand-over note by " + n.By + ":\n" + n.Text
	}
	return e
}

// Publish writes a feed: METHOD PUBLISH, all times in UTC. changed (unix ms) is when the settings last changed, so that the same settings give the
// same bytes; link is where people look.
func Publish(name, link string, changed int64, entries []Entry) []byte {
	c := ics.NewCalendar()
	c.SetProductId("-//Tocsin//On-call//EN")
	c.SetCalscale("GREGORIAN")
	c.SetMethod(ics.MethodPublish)
	c.SetName(name) // X-WR-CALNAME too, which is what programs read
	c.SetRefreshInterval(refresh)
	c.SetXPublishedTTL(refresh)
	for _, e := range entries {
		v := c.AddEvent(e.UID)
		v.SetDtStampTime(time.UnixMilli(changed))
		v.SetStartAt(time.UnixMilli(e.From))
		v.SetEndAt(time.UnixMilli(e.Until))
		v.SetSummary(e.Summary)
		v.SetDescription(e.Description)
		v.SetTimeTransparency(ics.TransparencyTransparent) // being on call is not being busy
		if link != "" {
			v.SetURL(link)
		}
		if e.Alarm {
			a := v.AddAlarm()
			a.SetAction(ics.ActionDisplay)
			a.SetTrigger(alarm)
			a.SetDescription(e.Summary)
		}
	}
	return []byte(c.Serialize(ics.WithNewLineWindows))
}
