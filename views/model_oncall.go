package views

// UndoBar tells what was just done and takes it back with one button. It stands at the head of the page that shows the change.
type UndoBar struct {
	Says  string // whole sentence
	To    string // POST target
	Event string // id of what is taken back
	Back  string // page to come back to
}

// OnCallPage is /oncall: who is on call now, what is not covered, who cannot be reached.
type OnCallPage struct {
	Base
	Undo      *UndoBar
	Problem   string     // refusal, "" = none
	Mine      []string   // what the viewer is on call for, as sentences; empty = nothing
	Duties    []TeamDuty // of teams, in the order of the settings
	Holes     []Hole     // of the next 30 days, the first first
	MoreHoles int        // that are not shown
	Warnings  []Warning
	Swaps     []Swap // that wait for somebody
	Schedules []ScheduleRow
	Zones     []string // for the form of a new schedule
	Zone      string   // that is proposed
	Teams     []TeamForm
	People    []Choice // who can be on call
	Manage    bool     // the viewer may change teams and schedules
}

// TeamDuty is who of a team is on call now.
type TeamDuty struct {
	ID       string
	Team     string // name
	Tier     int    // 0 = takes no incidents
	Skill    string
	Schedule string // name, "" = none
	Href     string // of the schedule, "" = none
	Now      *Duty  // nil = the team has no schedule: it is paged as a whole
	Next     *Duty
	Policy   string // name of how it is paged
	PolicyTo string // address of the policy, "" = built in
	Members  int
	Note     string // of the newest hand-over, "" = none
	NoteBy   string
}

// Duty is who is on call for a time.
type Duty struct {
	Person string // display name, "" = nobody: a hole
	Handle string
	Why    string // "week 3 of Primary"
	From   int64  // unix ms
	Until  int64  // unix ms, 0 = without end
	Local  string // when it ends in the zone of the schedule: "20:00 in Zurich"
	Mute   string // why no route brings the person a page, "" = one does
	MuteTo string // where whoever looks mends that, "" = it is not theirs to mend
}

// Hole is a time in which nobody is on call.
type Hole struct {
	Schedule string // name
	From     int64  // unix ms
	Until    int64  // unix ms
	Local    string // in the zone of the schedule
	Says     string // what to do about it
	Href     string // where that is done
	Now      bool   // it is now
}

// Warning is something that would keep a page from arriving.
type Warning struct {
	Says string // what is wrong
	Fix  string // what to do
	Href string // where; "" = nowhere here
}

// ScheduleRow is one schedule in the list.
type ScheduleRow struct {
	ID, Name, Zone string
	Href           string
	Layers         int
	Now            string   // display name, "" = nobody
	Teams          []string // that use it
}

// TeamForm is one team as it can be changed.
type TeamForm struct {
	ID, Name, Skill  string
	Tier             int
	People           []Choice // all, members chosen
	Schedules        []Choice // one chosen, the first is none
	Policies         []Choice // one chosen, the first is built in
	MembersIn, Rules int      // for the summary line
}

// Swap is an exchange of turns that waits for an answer.
type Swap struct {
	ID       string
	Says     string // "Bo asks Ana to take Mon 24 Nov 09:00 to Tue 09:00, for Wed 26 Nov in return."
	Note     string
	At       int64
	Asked    bool // the viewer was asked
	Own      bool // the viewer asks
	Schedule string
	Href     string
}

// SchedulePage is /oncall/schedules/{id}: four weeks as a calendar and as a table, and what can be changed.
type SchedulePage struct {
	Base
	Undo        *UndoBar
	Problem     string
	ID, Name    string
	Zone        string // IANA name
	Shown       string // zone of the days that are shown: Zone, or UTC
	Offset      string // of it now: "UTC+2"
	Switch      string // address with the other zone
	Earlier     string // addresses
	Later       string
	Today       string // "" = today is shown
	Rows        []string
	Weeks       []CalendarWeek
	Marks       []Mark
	Shifts      []Shift // of the four weeks
	Duty        *Duty   // now
	Next        *Duty
	Holes       []Hole
	Pick        *Pick
	Layers      []LayerForm
	New         LayerForm // empty, for one more
	Overrides   []OverrideRow
	Swaps       []Swap
	HandOver    HandOverForm
	People      []Choice
	Teams       []string // that use it
	Feed        Feed
	Import      *ImportPreview
	Zones       []string
	Manage      bool   // the viewer may change everything
	Own         bool   // the viewer may override and swap own turns
	Back        string // address of this page as it is shown
	RemoveNamed string // question before the schedule is removed
}

// CalendarWeek is one line of seven days.
type CalendarWeek struct {
	Days []CalendarDay
	Rows []CalendarRow // the same rows in each week: on call first, then overrides and layers from strong to weak
	Now  string        // where now is: "42.86%", "" = not in this week
}

// CalendarDay is the head of a day.
type CalendarDay struct {
	Name  string // "Mon 24"
	Month string // "Nov", on the first day that is shown and the first of a month
	Today bool
	Turn  string // of a night in which the clocks turn: "clocks go back 03:00 → 02:00", "" = none
}

// CalendarRow is one row of a week.
type CalendarRow struct {
	Name string // on call, overrides, name of a layer
	Main bool   // it is who is on call in the end
	Bars []CalendarBar
}

// CalendarBar is a time of one person, in per cent of the week.
type CalendarBar struct {
	X, W string // "14.2857%"
	Name string // what is written in it when there is room
	Mark int    // pattern of the person, see Mark; ignored for a hole
	Hole bool
	Says string // the whole in words
	Href string // what a click does, "" = nothing
	On   bool   // it is what was picked
}

// Mark is how a person is told from others: initials and one of eight patterns, never a colour alone.
type Mark struct {
	Name, Initials string
	Pattern        int
}

// Shift is one line of the table.
type Shift struct {
	Person   string // "" = nobody
	From     int64
	Until    int64
	Local    string // "Mon 24 Nov 09:00 to Mon 1 Dec 09:00"
	Why      string
	Hole     bool
	Override string // address that opens the form for it
}

// Pick is the form of an override, opened by a click on a shift.
type Pick struct {
	Says  string // what was picked
	From  string // value of the field, local time of the zone
	Until string
	Note  string
	Swap  []Choice // own turn was picked: whom to ask; empty = not offered
	Turn  string   // of the swap
}

// LayerForm is one rotation as it can be changed.
type LayerForm struct {
	ID, Name string
	People   []Choice // in turn; the empty last one adds somebody
	Start    string
	End      string
	Every    int
	Unit     string
	Days     []Choice // 0..6 of restricted hours
	From, To string   // "" = always
	More     int      // further restricted hours, that only the API changes
	Says     string   // the rotation in words
	Up, Down bool     // it can move
	Strength string   // "wins over what is below", ""
}

// OverrideRow is one override that is not over.
type OverrideRow struct {
	ID, Person, Note string
	From, Until      int64
	Local            string
	Swap             bool
	Remove           bool // the viewer may
}

// HandOverForm is the note for whoever comes next.
type HandOverForm struct {
	At    string // value for the command
	Says  string // "to Bo, Mon 24 Nov 09:00"
	Text  string
	By    string
	Write bool
}

// Feed is the calendar address of a schedule.
type Feed struct {
	New  string // shown once, "" = not just made
	List []FeedRow
	Make bool
}

// FeedRow is one calendar address that works.
type FeedRow struct {
	ID, For string
	At      int64
	UsedAt  int64
}

// ImportPreview is what a calendar file would do.
type ImportPreview struct {
	Name  string   // of the file
	Rows  []Shift  // overrides that would be made
	Left  []string // what is left out, and why
	Text  string   // the file, sent again by the button
	Taken int
}
