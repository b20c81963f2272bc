package views

// Base is what every page of the room needs beside its own model.
type Base struct {
	Title  string   // title of the page, without the product's name
	Site   string   // name of the organisation or installation; "" prints nothing
	Nav    string   // current entry of the navigation: board incidents queue triage signals oncall, chains detectors wallets log, policies maintenance drills learning, people sources tokens; "" = none
	Person Person   // who looks; the zero Person is nobody signed in (sign-in, error pages) or a wall token
	Topics []Topic  // live topics of this page with the position it was rendered at; empty = the page is not live
	Drill  bool     // the whole page is a drill: hatched edge and the word
	CSRF   string   // token for forms (field _csrf) and scripts (header X-Tocsin-CSRF)
	Build  string   // build id; also the ?v= of assets. A wall reloads itself when hello.build differs from it
	Now    int64    // server time at rendering, unix ms; the browser's clock is corrected by it
	Open   int      // number of open incidents (title bar and navigation)
	Worst  string   // severity of the worst open incident, "" when none
	Held   ReadOnly // region read-only: nothing can be written just now; the zero value = it can
	Notice *Notice  // one sentence left over from the previous request (flash); nil = none
}

// Person is who looks at a page.
type Person struct {
	Handle string   // immutable lower-case handle, "" = nobody
	Name   string   // display name
	Role   string   // administrator, responder or stakeholder
	Act    bool     // may issue commands in incidents
	Admin  bool     // may change people, sources, chains, tokens
	Rooms  []string // roles held in the incident on this page (commander, comms, ...); only for "waits for me"
}

// ReadOnly tells that nothing can be written. Region id: read-only; every page of the room has it at the same place.
type ReadOnly struct {
	Since int64 // unix ms, and the time of what is shown; 0 = everything can be written
}

// Topic is one live topic a page follows.
type Topic struct {
	Name  string // board, wall, chains, signals, incident/42
	Since int64  // position the page was rendered at; -1 for an empty log
	From  string // of a topic that counts for itself on every replica: who counted Since; "" = a position of the log
}

// Notice is one sentence at the head of a page.
type Notice struct {
	Kind string // done, refused or told
	Text string // whole sentence, says what to do next when refused
}

// Action is a button that issues one command. On an incident page it is POSTed to /incidents/{n}/commands;
// the browser makes the command id, disables the button until the answer and shows a refusal in place.
type Action struct {
	Label   string         // verb on the button
	Command string         // command name as in the API: complete_task, approve_update, ...; "" = a link, see Href
	Args    map[string]any // arguments of the command; the value "@me" becomes the viewer's handle in the browser
	Post    string         // when Command is empty: local address to post to
	On      int64          // number of the incident the command goes to; 0 = the incident of the page
	Href    string         // when Command is empty: local address to go to
	Ask     string         // a question to confirm first; "" = act at once
	Need    string         // argument that the question asks for in words; "" = a plain yes is enough
	Undo    *Action        // inverse command offered in the confirmation toast; nil = no inverse
	Said    string         // what the confirmation toast says; "" = "Label: done." if there is an Undo, else nothing
	Only    []string       // handles whom it is shown to, by the browser; none = everybody
	But     []string       // handles whom it is not shown to, by the browser
	Tone    string         // "" plain, "main" the thing to do, "grave" hard to take back
}

// Crumb is one step of the way back to the board.
type Crumb struct {
	Text string // words
	Href string // target; "" = the current page
}
