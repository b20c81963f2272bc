package views

// Held tells who has an incident, in a word or two, for strips, rows, cards and the wall.
type Held struct {
	State string   // "" = nobody is or was to be paged; nobody, acknowledged, snoozed, exhausted
	Who   []string // display names of those who acknowledged
	Since int64    // unix ms: acknowledged, or without an answer, since
	Until int64    // unix ms: of a snooze or an acknowledgement, or when all are paged again because nobody answered; 0 = no end, not at all
	Need  int      // how many must acknowledge; below 2 = one is enough
}

// Paging is who is paged about an incident, and what came of it. Region id: paging, of topic incident/{n}.
type Paging struct {
	Number  int64
	Held    Held
	Policy  string   // name of the policy, "" = none
	Href    string   // of the policy, "" = none
	Phase   string   // "Step 2 of 3", "Step 1 of 3, second time round", "Snoozed", ...
	NextAt  int64    // unix ms when the next step begins, 0 = none
	Next    string   // who is paged then: "Bo Chen, who is on call in Secondary"
	Expires int64    // unix ms when the acknowledgement ends in silence, 0 = never
	Queue   string   // queue that the incident is in: "Protocol, tier 2", "" = none
	Claimed string   // display name of who claimed it there, "" = nobody
	Since   int64    // in that queue since, unix ms
	Newer   bool     // the policy was changed after this paging began
	Pages   []Paged  // newest first
	More    int      // pages that are not shown
	Actions []Action // what can be pressed; nothing in it depends on who looks
}

// Paged is one page: one request to one person to come.
type Paged struct {
	ID       string // stable within the incident
	Person   string // display name
	Handle   string
	At       int64     // unix ms
	Step     string    // "step 2", "by hand", ...
	Why      string    // "on call in Primary", "" = none
	State    string    // waiting, acknowledged, declined, over (stopped by somebody's acknowledgement), silent
	StateAt  int64     // unix ms, 0 = unknown
	Reason   string    // of a decline
	Receipts []Receipt // oldest first
}

// Receipt is what became of one attempt to reach somebody.
type Receipt struct {
	Route   string // "push to Pixel 8", "SMS"; never an address
	Outcome string // sent, delivered, failed, suppressed
	Detail  string // short, "" = none
	At      int64  // unix ms
	Attempt int    // 1 = the first
}

// States of a PhonePage.
const (
	PhoneAsks     = "asks"     // nobody has it, or too few: I have it / Not me
	PhoneMine     = "mine"     // the viewer has it
	PhoneTaken    = "taken"    // somebody else has it
	PhoneDeclined = "declined" // the viewer said: not me
	PhoneSnoozed  = "snoozed"  // pages are held back until Held.Until
	PhoneOver     = "over"     // resolved, merged or reviewed
	PhoneExpired  = "expired"  // the link of the page ended
	PhoneDead     = "dead"     // no such link; nothing is shown of any incident
)

// PhonePage is /incidents/{n}/page and /page/{token}: what somebody sees who was paged. It works without scripts and is not live.
type PhonePage struct {
	Base             // Title, Site, CSRF, Build, Now, Drill, Person (zero: came by the link of a page)
	State     string // one of the Phone… states
	Number    int64
	Severity  string  // SEV1..SEV5
	Heading   string  // title of the incident
	Sentence  string  // one sentence: what is wrong, what is known
	Cost      string  // "$4,200 a minute", "" = unknown
	CostFrom  string  // the measure or the assumption behind it, "" = none
	PagedAt   int64   // the viewer was paged, or paging began, unix ms; 0 = not
	BeganAt   int64   // impact began or declared, unix ms
	EndedAt   int64   // resolved or merged, unix ms, 0 = going on
	Why       string  // why the viewer: "You are on call for Primary until 18:00 UTC."
	Held      Held    // who has it
	Have      int     // acknowledged so far, when Held.Need > 1
	Asked     string  // who else is asked at present, "" = nobody
	NextAt    int64   // unix ms of the next step, 0 = none
	Next      string  // who is paged then
	Expires   int64   // the acknowledgement ends in silence at, unix ms; 0 = never
	People    []Paged // who else was paged, newest first
	AckTo     string  // POST target of “I have it”, "" = the button is not shown
	DeclineTo string  // POST target of “Not me”, "" = the button is not shown
	Room      string  // address of the room
	SignIn    string  // address of the way in for those who are not signed in, "" = signed in
	Last      []Entry // newest first, at most five
	Problem   string  // refusal of what was pressed, "" = none
}
