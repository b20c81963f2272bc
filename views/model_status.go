package views

// StatusPage is /status, the public page: light, one stylesheet, no script needed. Nothing internal is in it.
type StatusPage struct {
	Site     string     // organisation
	Audience string     // "" or public; otherwise the name of a gated audience
	Build    string     // ?v= of the stylesheet
	Drill    bool       // everything on it is a drill (demo)
	Live     bool       // offer live updates over /status/live
	Since    int64      // position it was rendered at
	Body     StatusBody // region status
}

// StatusBody is everything that changes on the public page. Region id: status.
type StatusBody struct {
	Indicator   string           // none, minor, major, critical, maintenance
	Sentence    string           // the one sentence: "All systems work", "Withdrawals are paused"
	At          int64            // time of rendering or last change, unix ms
	Open        []PublicIncident // open, newest first
	Groups      []ComponentGroup // components
	Maintenance []PublicIncident // planned or running maintenance, next first
	History     []HistoryDay     // last days, newest first, days without trouble included (at most 14)
	Older       *Link            // the month in which what History leaves out goes on, nil = nothing is left out
	Subscribe   []Link           // Atom, JSON
}

// StatusHistory is one month of the past of a status page, or a part of it. It never changes by itself.
type StatusHistory struct {
	Site     string       // organisation
	Audience string       // "" or public; otherwise the name of a gated audience
	Build    string       // ?v= of the stylesheet
	Drill    bool         // everything on it is a drill (demo)
	Title    string       // "September 2026", "September 2026, part 2"
	Home     string       // address of the status page
	Days     []HistoryDay // newest first, only days with incidents; at most 100 incidents
	Earlier  *Link        // the next older page with incidents, nil = this is the oldest
	Later    *Link        // the next newer one
}

// PublicIncident is one incident as the audience may know it.
type PublicIncident struct {
	ID         string         // anchor: letters, digits, dash
	Title      string         // public title
	Status     string         // investigating, identified, monitoring, resolved, scheduled, in progress
	Impact     string         // none, minor, major, critical
	BeganAt    int64          // unix ms
	ResolvedAt int64          // unix ms, 0 = open
	Components []string       // components hit
	Updates    []PublicUpdate // newest first
	Drill      bool           // drill
}

// PublicUpdate is one published update.
type PublicUpdate struct {
	At     int64  // unix ms
	Status string // word at its head, "" = none
	Text   string // text, line breaks kept
}

// ComponentGroup is a named group of components.
type ComponentGroup struct {
	Name       string      // "" = no heading
	Components []Component // fixed order
}

// Component is one component and its last 90 days.
type Component struct {
	Name  string   // name
	State string   // operational, degraded, partial, major, maintenance
	Days  int      // days of history there are, at most 90
	Bad   []BadDay // only days that were not wholly operational, oldest first
	Share string   // preformatted availability: "99.98 %", "" = not measured
}

// BadDay is one day that was not wholly operational.
type BadDay struct {
	Ago     int    // 0 = today, 89 = oldest
	Day     int64  // midnight UTC, unix ms
	State   string // worst state of the day: degraded, partial, major, maintenance
	Minutes int    // minutes not operational
}

// HistoryDay is one day of the history.
type HistoryDay struct {
	Day       int64            // midnight UTC, unix ms
	Incidents []PublicIncident // of that day, newest first; empty = none
}
