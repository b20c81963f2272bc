// Package attention decides what a person in front of a desktop must see and
// hear: which notices to show and to take back when the room's state changes,
// which to sound again, what the window's title says, and the sounds themselves.
// It is pure: states, rules and times come in, notices come out.
package attention

// State is what GET /api/v1/me/attention answers: what is open, and which pages
// wait for whoever asks. Times are unix ms of the server's clock.
type State struct {
	At        int64      `json:"at"`
	Position  int64      `json:"position"` // of the log
	Site      string     `json:"site"`
	Handle    string     `json:"handle"`    // of the person; "" for a wall and for programs, who have no pages
	Worst     string     `json:"worst"`     // severity of the worst open incident, drills after what is real; "" when nothing is open
	Open      int        `json:"open"`      // how many are open, those that are not listed too
	Incidents []Incident `json:"incidents"` // the worst first, at most MostIncidents
	Pages     []Page     `json:"pages"`     // that wait for an answer of this person, the worst first, at most MostPages
}

// Bounds of a State.
const (
	MostIncidents = 50
	MostPages     = 50
)

// Incident is one that people work on.
type Incident struct {
	Number   int64  `json:"number"`
	Title    string `json:"title"`
	Severity string `json:"severity"` // SEV1 to SEV5
	Status   string `json:"status"`
	Drill    bool   `json:"drill"`
}

// Page is a request to this person to come.
type Page struct {
	ID       string `json:"id"` // never used twice
	Incident int64  `json:"incident"`
	Title    string `json:"title"` // of the incident
	Severity string `json:"severity"`
	Reason   string `json:"reason"` // one sentence: why this person
	PagedAt  int64  `json:"paged_at"`
	Drill    bool   `json:"drill"`
}

// Notice is one notification. Texts are plain: whoever draws them must escape
// what their system takes for markup.
type Notice struct {
	// Key names it: a notice with the key of an earlier one replaces it. "room/42",
	// "page/…", "pages" (those without a notice of their own) or "summary".
	Key string
	// Severity says how loud: SEV1 to SEV5; a drill is never louder than SEV3.
	Severity string
	Title    string // at most 120 characters
	Body     string // at most 240 characters; may be empty
	Path     string // of the page that it opens, "/incidents/42"
	Sound    Sound  // Silent: shown without a sound
	// Sticky notices stay until they are withdrawn or answered.
	Sticky bool
	// Ack is the incident whose page to this person "Acknowledge" answers; 0: no such action.
	Ack int64
}

// Quiet says what is held back.
type Quiet string

// The quiet modes.
const (
	Loud      Quiet = ""
	NoSound   Quiet = "no-sound"   // everything is shown, nothing is heard
	PagesOnly Quiet = "pages-only" // only pages to this person are shown and heard
)

// Rules are the person's own settings.
type Rules struct {
	// Floor is the mildest severity that is shown, "SEV3"; "" is all. Pages to the person are always shown.
	Floor string
	Quiet Quiet
	// Until is when the quiet ends (unix ms, the clock of Diff's at); 0: when it is switched off.
	Until int64
}
