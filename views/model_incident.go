package views

// IncidentPage is /incidents/{n}, the commander page (and, narrower, the phone page). Topic: incident/{n}
// (and chains for the chain cards and samples).
type IncidentPage struct {
	Base
	Incident  int64         // incident number
	Strip     Strip         // region incident-strip
	Facts     Facts         // region incident-facts
	Waiting   Waiting       // region waiting
	Paging    Paging        // region paging
	Impact    Impact        // region impact
	Timeline  Timeline      // container timeline
	Charts    Charts        // region charts
	Chains    []Chain       // pinned chain cards, regions chain-<id> of topic chains
	Signals   RoomSignals   // region room-signals
	Tasks     Tasks         // region tasks
	Roles     Roles         // region roles
	Links     Links         // region links
	Addresses Addresses     // region addresses
	Precedent Precedent     // region precedent
	Comms     Comms         // region comms
	Commands  []CommandHint // grammar of the composer, for the help list and the palette
	People    []Candidate   // people who can be named (palette, phone buttons)
	Presence  Presence      // region in-the-room
	OlderHref string        // where earlier timeline entries are; "" = all are shown
}

// Presence is who has the room open at this moment. Region id: in-the-room; rendered by the clock, not by the log.
type Presence struct {
	Count  int       // all of them
	People []Present // holders of roles first, then by name; at most some
}

// Present is one person in the room.
type Present struct {
	Handle string // person's handle
	Name   string // display name
	Role   string // role held in this incident: commander, comms ...; "" = none
}

// Strip is the top of the commander page: what is wrong, how bad, who has it. Region id: incident-strip.
type Strip struct {
	Number     int64    // incident number
	Title      string   // title as declared or renamed
	Severity   string   // SEV1..SEV5
	Status     string   // declared investigating mitigating monitoring resolved reviewed
	Drill      bool     // the incident is a drill
	ImpactAt   int64    // impact began, unix ms, 0 = unknown
	DetectedAt int64    // detected, unix ms, 0 = unknown
	DeclaredAt int64    // declared, unix ms
	ResolvedAt int64    // resolved or merged, unix ms, 0 = open; stops the elapsed clock
	Commander  string   // display name of the commander, "" = vacant
	Deputy     string   // display name of the deputy, "" = vacant
	Vacant     []string // names of roles that should be held and are not
	Score      string   // how bad it is, 0..100: "84", "62+" when not all is known; "" = not known
	Cost       string   // what a minute costs: "$2,000"; "" = not known
	Assumed    bool     // Cost is assumed, not measured
	Trend      string   // "" unknown, "worse", "same", "better"
	TrendText  string   // why: "outflow falling since 22:41"; "" = none
	MergedInto int64    // number of the incident this one was merged into, 0 = not merged
	Held       Held     // who was paged and has it, or that nobody has
	Actions    []Action // what can be done with the whole incident once it is over: review done, reopen
}

// Facts is what is known: summary, newest decisions, what is hit. Region id: incident-facts.
type Facts struct {
	Number     int64       // incident number
	Summary    string      // plain sentences; "" = not written yet
	Moved      bool        // merged into another incident: nothing more is written here
	Decisions  []Statement // newest first, at most 3
	Components []string    // components hit
	Chains     []string    // chain names hit
	ImpactAt   int64       // impact began, unix ms, 0 = unknown
	DetectedAt int64       // detected, unix ms, 0 = unknown
	DeclaredAt int64       // declared, unix ms
	ResolvedAt int64       // resolved, unix ms, 0 = open
	Validation string      // validation note of the resolution, "" = none
}

// Statement is one sentence with its time and author.
type Statement struct {
	At   int64  // unix ms
	By   string // display name
	Text string // the sentence
}

// Waiting is what waits for somebody; the browser lifts out what waits for the viewer. Region id: waiting.
type Waiting struct {
	Items []WaitingItem // most urgent first
}

// WaitingItem is one thing to do.
type WaitingItem struct {
	ID      string   // stable within the incident: task-3, role-commander, update-7, signal-..., handover-...
	Kind    string   // approval, clock, task, role, handover, signal
	Text    string   // what to do, as a sentence
	For     []string // handles of people it waits for; empty = anybody who may act
	Roles   []string // incident roles it waits for (commander, comms ...)
	DueAt   int64    // unix ms, 0 = no time
	Since   int64    // waiting since, unix ms, 0 = unknown
	Tally   string   // "1/2" approvals, "" = none
	Actions []Action // what can be pressed
}

// Timeline is the list of what happened, oldest first. Container id: timeline; entries are e-<offset>.
type Timeline struct {
	Incident int64   // incident number
	Entries  []Entry // ascending by Offset
}

// Entry is one line of the timeline. Element id: e-<Offset>; pushed with into "timeline", place "end".
type Entry struct {
	Offset    int64     // global log offset of the event
	At        int64     // unix ms
	WrittenAt int64     // unix ms: a note that arrived later than it was written; 0 = when it arrived
	Actor     string    // display name: "Ana Ruiz", "Alertmanager eu-1", "Tocsin"
	ActorKind string    // person, token, source, system
	Handle    string    // person's handle, "" when not a person
	Role      string    // role the actor held then: commander, comms ...; "" = none
	Kind      string    // note decision severity status role task update signal link declared resolved merged redaction paging triage impact other
	Text      string    // the sentence: a person's own words, or what the system says happened
	Reason    string    // reason or second line, "" = none
	From      string    // previous value for severity and status, "" = none
	To        string    // new value for severity and status, "" = none
	Link      *Link     // target of a link entry or of a signal's source
	Audience  string    // audience of an update entry
	Drill     bool      // the event carries the drill flag
	Redacted  *Redacted // the words were blanked; nil = they are whole
	Actions   []Action  // for example Detach on an attached signal
	EventID   string    // id of the event, shown in full on demand
	CommandID string    // id of the command that caused it; the composer drops its pending line by it
}

// Redacted tells who blanked an entry and why.
type Redacted struct {
	By     string // display name
	At     int64  // unix ms
	Reason string // why
}

// Link is an outside address with words.
type Link struct {
	Text string // words; "" = the address itself
	URL  string // http, https only; anything else is printed as text
}

// RoomSignals lists the signals attached to the incident. Region id: room-signals.
type RoomSignals struct {
	Number  int64    // incident number
	Signals []Signal // open first, then newest
}

// Tasks lists the tasks of the incident. Region id: tasks.
type Tasks struct {
	Number int64  // incident number
	Tasks  []Task // open first, oldest first
}

// Task is one thing somebody does.
type Task struct {
	ID       string // id within the incident
	Title    string // what to do
	Assignee string // display name, "" = nobody
	Handle   string // assignee's handle
	AddedAt  int64  // unix ms
	DoneAt   int64  // unix ms, 0 = open
	Action   Action // complete, or reopen; without a Command it cannot be ticked
}

// Roles lists who has what. Region id: roles.
type Roles struct {
	Number int64  // incident number
	Roles  []Role // fixed order: commander deputy scribe comms operations expert decider
}

// Role is one role and its holders.
type Role struct {
	Key     string   // commander deputy scribe comms operations expert decider
	Name    string   // words on screen: "Comms lead"
	Holders []Holder // empty = vacant
	Needed  bool     // a vacancy is a warning
	Take    *Action  // "I take it" (args use person "@me"); nil = not offered
}

// Holder is one person holding a role.
type Holder struct {
	Handle  string  // handle
	Name    string  // display name
	Since   int64   // unix ms
	Pending bool    // a hand-over to this person awaits acceptance
	Release *Action // release the role; nil = not offered
}

// Links lists documents and dashboards. Region id: links.
type Links struct {
	Number int64  // incident number
	Links  []Link // in order of addition
}

// Addresses lists the addresses and transactions that the incident is about. Region id: addresses.
type Addresses struct {
	Number       int64         // incident number
	Moved        bool          // merged into another incident: nothing more is written here
	Addresses    []Address     // in order of addition
	Transactions []Transaction // in order of addition
	More         int           // that are not shown
	Suggested    []Suggestion  // addresses that attached signals name, at most 5
}

// Address is one address of the incident.
type Address struct {
	ID        string  // "A1"
	Chain     string  // id of the chain
	ChainName string  // words
	Address   string  // whole
	Kind      string  // victim attacker ours exchange mixer bridge contract other
	Label     string  // "" = none
	Remove    *Action // take it off the list; nil = not offered
}

// Transaction is one transaction of the incident.
type Transaction struct {
	ID        string  // "X1"
	ChainName string  // words
	Tx        string  // whole
	Note      string  // "" = none
	Remove    *Action // take it off the list; nil = not offered
}

// Suggestion is an address that could be put on the list.
type Suggestion struct {
	ChainName string // words
	Address   string // whole
	Add       Action // put it there
}

// Comms is the bottom line: one line per audience. Region id: comms.
type Comms struct {
	Number int64          // incident number
	Lines  []AudienceLine // fixed order of audiences
}

// AudienceLine is what one audience was last told and what comes next.
type AudienceLine struct {
	Audience  string  // public, clients, partners, regulators, internal
	Last      string  // text last published, "" = nothing yet
	LastAt    int64   // unix ms, 0 = never
	NextDueAt int64   // next update due, unix ms, 0 = not promised
	Drafts    []Draft // waiting drafts, oldest first
}

// Draft is an update that has not left yet.
type Draft struct {
	ID       string   // id of the update
	Text     string   // full text
	By       string   // author's display name
	At       int64    // unix ms
	Approved string   // display name of the approver, "" = waits for approval
	Actions  []Action // approve, publish
}

// CommandHint is one line of the composer's grammar.
type CommandHint struct {
	Name  string // "/sev"
	Usage string // "/sev 1 funds are moving"
	Hint  string // "change the severity; a reason is required"
}

// Candidate is a person who can be named in a command.
type Candidate struct {
	Handle string // handle
	Name   string // display name
}

// IncidentsPage is /incidents: every incident, filtered. Topic: board.
type IncidentsPage struct {
	Base
	Filter IncidentFilter // what is asked for
	Rows   []IncidentRow  // worst and newest first when open, newest first otherwise
	Total  int            // number of incidents that match
	Next   string         // address of the next page, "" = last
}

// IncidentFilter is the query of the incident list (GET parameters of the same names).
type IncidentFilter struct {
	Status   string // open, closed, all
	Severity string // "" or SEV1..SEV5
	Drills   bool   // show drills too
	Text     string // words in the title
}

// IncidentRow is one incident in a list or on the wall's side column.
type IncidentRow struct {
	Number     int64    // incident number
	Title      string   // title
	Severity   string   // SEV1..SEV5
	Status     string   // status
	Drill      bool     // drill
	Since      int64    // impact began or, unknown, declared; unix ms
	ResolvedAt int64    // unix ms, 0 = open
	Commander  string   // display name, "" = vacant
	Chains     []string // chain names
	Held       Held     // who was paged and has it, or that nobody has
	Claimed    string   // display name of who claimed it in its queue, "" = nobody
	Signals    int      // open signals
	NextDueAt  int64    // next update due, unix ms, 0 = none
	LastAt     int64    // time of the last event, unix ms
	LastText   string   // last words of a person or the system, one line
}

// DeclarePage is /incidents/new, the form that declares an incident (POST /incidents).
type DeclarePage struct {
	Base
	Title      string   // what was typed
	Severity   string   // what was chosen
	Summary    string   // what was typed
	Chains     []Choice // known chains
	Components []Choice // known components
	Problem    string   // refusal, "" = none
	ID         string   // command id of a sending that may have been carried out, so that the next one is the same; "" = a new one
}

// Choice is one option of a form.
type Choice struct {
	Value string // sent
	Text  string // shown
	Hint  string // second line, "" = none
	On    bool   // chosen
}
