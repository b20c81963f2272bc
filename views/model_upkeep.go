package views

// SourcePage is /sources/{id}: one source, what came last, and its settings.
type SourcePage struct {
	Base
	Source   SourceRow
	Newest   Arrived
	Snippets []Snippet // configuration, with KEY for the key
	Mapping  *Mapping  // nil = this kind has none
	Pace     *Pace     // nil = no heartbeat
	Signing  bool      // deliveries can be signed
	Signed   bool      // and must be
	Problem  string    // refusal, "" = none
}

// Arrived is what became of the newest delivery here.
type Arrived struct {
	At        int64  // unix ms, 0 = none since the start
	Status    int    // HTTP
	Accepted  int    // alerts in it
	Problem   string // newest problem, "" = none
	ProblemAt int64  // unix ms
	Body      string // as it came, "" = none is kept
}

// Mapping is the editor of a mapping.
type Mapping struct {
	List   string
	Fields []MapField
	Sample string // what it is tried on
	Undo   bool   // the newest change can be taken back
	Result MapResult
}

// MapField is one field with its expression.
type MapField struct {
	Name, Hint, Expression string
	Wrong                  string // what is wrong with it, "" = nothing
}

// MapResult is what a mapping makes of a sample. Region id: mapping-result.
type MapResult struct {
	Tried  bool
	Wrong  []string // sentences with place
	Count  int      // signals
	Signal []Pair   // the first of them
	State  string   // firing, resolved, acknowledged
	Title  string
	Sev    string
}

// Pace is the form of what a heartbeat promises.
type Pace struct {
	Every, Grace string   // "60s"
	Severities   []Choice // of the signal
	State        string   // new, alive, waiting, late, dead, failing
	Says         string   // the sentence
	LastAt       int64    // unix ms
}

// MaintenancePage is /maintenance.
type MaintenancePage struct {
	Base
	Undo     *UndoBar
	Active   []WindowRow // now
	Upcoming []WindowRow // by beginning
	Past     []WindowRow // newest first
	Quiet    []Signal    // open signals that are quiet now
	Rules    []JoinRow   // grouping rules, in the order in which they are tried
	Form     WindowForm
	JoinForm JoinForm
	Manage   bool   // the viewer may change them
	Problem  string // refusal of the window form, "" = none
	Wrong    string // refusal of the rule form, "" = none
}

// WindowRow is one maintenance window.
type WindowRow struct {
	ID, Name, Reason string
	Scope            []Pair // what it covers
	Repeats          string // "every Monday, Thursday 02:00 for 2 h (Europe/Zurich)", "" = once
	From, Until      int64  // of the active or next time, unix ms
	Loud             string // severity that is heard all the same, "" = none
	Quiet            int    // open signals that it keeps quiet
	By               string // who changed it last
	What             string // "planned", "stopped" ...
	At               int64  // when, unix ms
	Acts             []FormAct
}

// FormAct is a button that posts to an address.
type FormAct struct {
	Action, Label, Of, Ask string
	Grave                  bool
}

// WindowForm is the form of a window; ID "" makes one.
type WindowForm struct {
	ID, Name, Reason, Components, Chains, Kinds, Labels string
	From, Until                                         string // of an input of type datetime-local, UTC
	Weekly                                              bool
	Days                                                []Choice
	Time, Minutes, Zone                                 string
	Sources, Louds                                      []Choice
}

// JoinRow is one grouping rule.
type JoinRow struct {
	ID, Name string
	N        int  // its place among those that count, from 1; 0 = removed
	Up, Down bool // it can be moved so
	Match    []Pair
	By       string // "bridge, chain"
	Window   string // "30 min", "" = the usual
	Except   int    // signals it leaves alone
	Removed  bool
	Who      string
	What     string
	At       int64
	Acts     []FormAct
}

// JoinForm is the form of a rule; ID "" makes one.
type JoinForm struct {
	ID, Name, Labels, Components, Chains, Kinds, By, Minutes string
	Sources                                                  []Choice
}

// SignalQuiet is the part of a signal's page that quiets it.
type SignalQuiet struct {
	Undo    *UndoBar
	May     bool   // the viewer may
	Quiet   string // why it is quiet, "" = it is not
	Snoozed bool   // by a person: it can be woken
	Joint   string // grouping rule and what was the same, "" = none
	Rule    string // id of that rule
	Why     string // why it is in its incident, "" = it is in none

	ID         string   // of the command to declare
	Declare    bool     // it is open, in no incident, and the viewer may declare one
	Attach     bool     // and attach it
	Open       []Choice // open incidents that it can be attached to
	Severities []Choice
}
