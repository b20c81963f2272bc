package main

import (
	"fmt"
	"time"

	"github.com/a-h/templ"

	"github.com/tocsin-ops/tocsin/views"
)

func crew() []views.Choice {
	return []views.Choice{{Value: "ana", Text: "Ana Ruiz"}, {Value: "bo", Text: "Bo Chen"}, {Value: "jonas", Text: "Jonas Berg"}, {Value: "li", Text: "Li Wei"}, {Value: "maja", Text: "Maja Lindqvist"}, {Value: "priya", Text: "Priya Nair"}, {Value: "sam", Text: "Sam Oduya"}, {Value: "tove", Text: "Tove Wolodarski-Hammarskjöld"}}
}

func some(list []views.Choice, on ...int) []views.Choice {
	for _, i := range on {
		list[i].On = true
	}
	return list
}

func onCallPage() views.OnCallPage {
	choose := func(text ...string) (out []views.Choice) {
		for i, t := range text {
			out = append(out, views.Choice{Value: t, Text: t, On: i == 1})
		}
		return out
	}
	team := func(id, name, skill string, tier int, on ...int) views.TeamForm {
		return views.TeamForm{ID: id, Name: name, Skill: skill, Tier: tier, People: some(crew(), on...), Schedules: choose("no schedule", "Primary", "Protocol week"), Policies: choose("built in: who is on call, then all", "Front line"), MembersIn: len(on)}
	}
	return views.OnCallPage{
		Base: base("On-call", "oncall"), Manage: true, Zone: "Europe/Zurich", Zones: []string{"Europe/Zurich", "Asia/Singapore"},
		Undo: &views.UndoBar{Says: "Bo Chen is on call in Primary from Tue 2 Aug 09:00 to Wed 3 Aug 09:00.", To: "/oncall/undo", Event: "e1", Back: "/oncall"},
		Mine: []string{"You are on call for Primary until 8 Aug 07:00 UTC (09:00 in Zurich): week 31."},
		Swaps: []views.Swap{
			{ID: "w1", Says: "Bo Chen asks you to take Protocol week, Mon 15 Aug 09:00 to Mon 22 Aug 09:00, for Mon 8 Aug in return.", Note: "my sister marries", Asked: true},
			{ID: "w2", Says: "You ask Li Wei to take Primary, Mon 29 Aug 09:00 to Mon 5 Sep 09:00.", Own: true},
		},
		Duties: []views.TeamDuty{
			{ID: "t1", Team: "Front line", Tier: 1, Skill: "front-line", Schedule: "Primary", Href: "/oncall/schedules/s1", Policy: "Front line", PolicyTo: "/oncall/policies/p1", Members: 4, Now: &views.Duty{Person: "Ana Ruiz", Why: "week 3 of Primary", Until: in(6 * 24 * h), Local: "09:00 in Zurich"}, Next: &views.Duty{Person: "Bo Chen"}, NoteBy: "Jonas Berg", Note: "The Evmos node is resyncing; its lag is not an incident until Wednesday."},
			{ID: "t2", Team: "Protocol", Tier: 2, Skill: "protocol", Schedule: "Protocol week", Href: "/oncall/schedules/s2", Policy: "built in", Members: 3, Now: &views.Duty{Person: "Tove Wolodarski-Hammarskjöld", Why: "override by Li Wei until 06:00 UTC", Until: in(8 * h), Local: "08:00 in Zurich", Mute: "no route is confirmed: only a desktop program that is open can show a page"}, Next: &views.Duty{Person: "Li Wei"}},
			{ID: "t3", Team: "Treasury", Tier: 2, Skill: "treasury", Schedule: "Asia days", Href: "/oncall/schedules/s3", Policy: "Treasury, two signers", PolicyTo: "/oncall/policies/p2", Members: 5, Now: &views.Duty{Why: "no layer covers Monday 22:00 to Tuesday 01:00", Until: in(3 * h), Local: "09:00 in Singapore"}, Next: &views.Duty{Person: "Maja Lindqvist"}},
			{ID: "t4", Team: "Legal", Skill: "legal", Policy: "built in", Members: 2},
		},
		Holes: []views.Hole{
			{Schedule: "Asia days", From: ago(14 * m), Until: in(3 * h), Local: "06:00 to 09:00 in Singapore", Says: "Lengthen the hours of layer Days, or override this time.", Href: "/oncall/schedules/s3", Now: true},
			{Schedule: "Primary", From: in(13 * 24 * h), Until: in(14 * 24 * h), Local: "Mon 15 Aug 00:00 to Tue 16 Aug 00:00 in Zurich", Says: "Jonas Berg was overridden by nobody: remove that override, or put somebody there.", Href: "/oncall/schedules/s1"},
		},
		Warnings: []views.Warning{
			{Says: "Tove Wolodarski-Hammarskjöld is on call in Protocol week and has no verified route.", Fix: "They add one on their account page; until then step 2 of Front line reaches nobody.", Href: "/me"},
			{Says: "Step 3 of Treasury, two signers needs 3 people and its team has 2.", Fix: "Add a member to Treasury, or ask for two.", Href: "/oncall/policies/p2"},
		},
		Schedules: []views.ScheduleRow{
			{ID: "s1", Name: "Primary", Zone: "Europe/Zurich", Href: "/oncall/schedules/s1", Layers: 2, Now: "Ana Ruiz", Teams: []string{"Front line"}},
			{ID: "s2", Name: "Protocol week", Zone: "Europe/Zurich", Href: "/oncall/schedules/s2", Layers: 1, Now: "Tove Wolodarski-Hammarskjöld", Teams: []string{"Protocol"}},
			{ID: "s3", Name: "Asia days", Zone: "Asia/Singapore", Href: "/oncall/schedules/s3", Layers: 1, Teams: nil},
		},
		Teams: []views.TeamForm{team("t1", "Front line", "front-line", 1, 0, 1, 2, 3), team("t2", "Protocol", "protocol", 2, 3, 7), team("t4", "Legal", "legal", 0, 4)}, People: crew(),
	}
}

// schedulePage is four weeks over the night in which the clocks go back.
func schedulePage() views.SchedulePage {
	begin := time.Date(2022, 10, 10, 0, 0, 0, 0, time.UTC)
	people := []views.Mark{{Name: "Ana Ruiz", Initials: "AR"}, {Name: "Bo Chen", Initials: "BC", Pattern: 1}, {Name: "Jonas Berg", Initials: "JB", Pattern: 2}, {Name: "Tove Wolodarski-Hammarskjöld", Initials: "TW", Pattern: 3}}
	bar := func(from, to float64, who int) views.CalendarBar {
		b := views.CalendarBar{X: fmt.Sprintf("%.4f%%", from/7*100), W: fmt.Sprintf("%.4f%%", (to-from)/7*100), Href: "/gallery/schedule-pick", Says: "nobody: pick to put somebody there", Hole: who < 0, Name: "nobody"}
		if who >= 0 {
			b.Name, b.Mark, b.Says = people[who].Name, people[who].Pattern, people[who].Name+", week 3 of Primary"
			if to-from < 1.2 {
				b.Name = people[who].Initials
			}
		}
		return b
	}
	p := views.SchedulePage{
		Base: base("Primary", "oncall"), ID: "s1", Name: "Primary", Zone: "Europe/Zurich", Shown: "Europe/Zurich", Offset: "UTC+2", Switch: "/oncall/schedules/s1?utc=1", Earlier: "/a", Later: "/b", Today: "/c",
		Marks: people, People: crew(), Teams: []string{"Front line"}, Manage: true, Own: true, Back: "/oncall/schedules/s1", Zones: []string{"Europe/Zurich"},
		Duty: &views.Duty{Person: "Ana Ruiz", Why: "week 3 of Primary", Until: in(6 * 24 * h), Local: "09:00 in Zurich"}, Next: &views.Duty{Person: "Bo Chen"},
		Holes:     onCallPage().Holes[1:],
		HandOver:  views.HandOverForm{At: "2022-08-08T09:00", Says: "to Bo Chen, Mon 8 Aug 09:00", Text: "The Evmos node is resyncing.", By: "Ana Ruiz", Write: true},
		Overrides: []views.OverrideRow{{ID: "o1", Person: "Jonas Berg", Local: "Wed 19 Oct 18:00 to Thu 20 Oct 09:00", Note: "Bo flies", Remove: true}, {ID: "o2", Person: "Li Wei", Local: "Mon 24 Oct to Mon 31 Oct", Swap: true}},
		Feed:      views.Feed{Make: true, List: []views.FeedRow{{ID: "f1", For: "Ana Ruiz", At: ago(90 * 24 * h), UsedAt: ago(5 * h)}}},
	}
	for w := range 4 {
		week := views.CalendarWeek{}
		for d := range 7 {
			day := begin.AddDate(0, 0, w*7+d)
			c := views.CalendarDay{Name: day.Format("Mon 2")}
			if w == 0 && d == 0 || day.Day() == 1 {
				c.Month = day.Format("Jan")
			}
			if w == 2 && d == 6 {
				c.Turn = "clocks go back 03:00 → 02:00"
			}
			if w == 1 && d == 2 {
				c.Today = true
				week.Now = "35.5%"
			}
			week.Days = append(week.Days, c)
		}
		who, next := w%3, (w+1)%3
		final := []views.CalendarBar{bar(0, 0.375, (who+2)%3), bar(0.375, 7, who)}
		over := []views.CalendarBar{}
		switch w {
		case 1:
			final = []views.CalendarBar{bar(0, 0.375, 0), bar(0.375, 2.75, 1), bar(2.75, 3.375, 2), bar(3.375, 7, 1)}
			over = append(over, bar(2.75, 3.375, 2))
		case 3:
			final = []views.CalendarBar{bar(0, 0.375, 2), bar(0.375, 4.5, 3), bar(4.5, 5.5, -1), bar(5.5, 7, 3)}
		}
		_ = next
		week.Rows = []views.CalendarRow{{Name: "On call", Main: true, Bars: final}, {Name: "Overrides", Bars: over}, {Name: "Nights and weekends", Bars: []views.CalendarBar{bar(4.75, 7, 3)}}, {Name: "Weeks", Bars: []views.CalendarBar{bar(0, 0.375, (who+2)%3), bar(0.375, 7, who)}}}
		p.Weeks = append(p.Weeks, week)
	}
	for i := range 5 {
		from := begin.AddDate(0, 0, 7*i).Add(7 * time.Hour).UnixMilli()
		p.Shifts = append(p.Shifts, views.Shift{Person: people[i%4].Name, From: from, Until: from + (7 * 24 * h).Milliseconds(), Local: "Mon 10 Oct 09:00 to Mon 17 Oct 09:00", Why: "week 3 of Primary", Override: "/gallery/schedule-pick", Hole: i == 3})
	}
	layer := views.LayerForm{ID: "L1", Name: "Weeks", People: append(crew()[:3], views.Choice{}), Start: "2022-08-01T09:00", Every: 1, Unit: "week", Says: "Ana Ruiz, Bo Chen, Jonas Berg, a week each, from Monday 09:00", Up: true, Days: weekdays()}
	night := views.LayerForm{ID: "L2", Name: "Nights and weekends", People: append(crew()[7:], views.Choice{}), Start: "2022-08-01T18:00", Every: 1, Unit: "week", From: "18:00", To: "09:00", Says: "Tove Wolodarski-Hammarskjöld, only Fri 18:00 to Mon 09:00", Down: true, Days: some(weekdays(), 5, 6)}
	p.Layers = []views.LayerForm{night, layer}
	p.New = views.LayerForm{People: make([]views.Choice, 3), Start: "2022-08-08T09:00", Every: 1, Unit: "week", Days: weekdays()}
	return p
}

func weekdays() (out []views.Choice) {
	for i, d := range []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"} {
		out = append(out, views.Choice{Value: fmt.Sprint(i), Text: d})
	}
	return out
}

// onCallPages are the pages of on-call by name.
func onCallPages() map[string]templ.Component {
	pick := schedulePage()
	pick.Pick = &views.Pick{Says: "Bo Chen, Mon 17 Oct 09:00 to Mon 24 Oct 09:00: put somebody else there", From: "2022-10-17T09:00", Until: "2022-10-24T09:00", Swap: []views.Choice{{Value: "li", Text: "Li Wei, for nothing in return"}, {Value: "ana", Text: "Ana Ruiz, for Mon 31 Oct to Mon 7 Nov"}}, Turn: "x"}
	files := schedulePage()
	files.Feed.New = "https://tocsin.example/feeds/cal_6sJ1nQm4Zt7wVxY2.ics"
	files.Import = &views.ImportPreview{Name: "holidays.ics", Text: "BEGIN:VCALENDAR", Rows: []views.Shift{{Person: "Li Wei", Local: "Mon 24 Oct 09:00 to Mon 31 Oct 09:00", Why: "Holiday cover"}}, Left: []string{"“Team lunch”: nobody here has the name or address of who it is for."}}
	files.Problem = "02:30 on 30 October comes twice in Europe/Zurich: write the time in UTC, or one that comes once."
	empty := views.SchedulePage{Base: base("New", "oncall"), ID: "s9", Name: "New", Zone: "Asia/Singapore", Shown: "UTC", Offset: "UTC+8", Manage: true, Duty: &views.Duty{Why: "The schedule has no layer."}, New: schedulePage().New, People: crew(), Weeks: schedulePage().Weeks[:1]}
	empty.Weeks[0].Rows = []views.CalendarRow{{Name: "On call", Main: true, Bars: []views.CalendarBar{{X: "0%", W: "100%", Hole: true, Name: "nobody", Says: "nobody", Href: "/x"}}}}
	many := onCallPage()
	many.Undo, many.MoreHoles = nil, 14
	for i := range 14 {
		d := many.Duties[i%4]
		d.ID = fmt.Sprint("m", i)
		many.Duties = append(many.Duties, d)
	}
	look := onCallPage()
	look.Manage, look.Undo, look.Swaps = false, nil, nil
	return map[string]templ.Component{
		"oncall": views.OnCallView(onCallPage()), "oncall-none": views.OnCallView(views.OnCallPage{Base: base("On-call", "oncall"), Manage: true, Zone: "UTC"}),
		"oncall-many": views.OnCallView(many), "oncall-responder": views.OnCallView(look),
		"schedule": views.ScheduleView(schedulePage()), "schedule-pick": views.ScheduleView(pick), "schedule-files": views.ScheduleView(files), "schedule-none": views.ScheduleView(empty),
	}
}
