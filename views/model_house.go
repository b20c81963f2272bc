package views

// PeoplePage is /people. Not live.
type PeoplePage struct {
	Base
	People      []PersonRow  // by name
	Invitations []Invitation // pending, newest first
	NewLink     string       // link of the invitation just made, shown once; "" = none
	NewFor      string       // for whom it is
	NewUntil    int64        // when it ends, unix ms
	Refused     string       // refusal of an act on somebody in the lists, "" = none
	Audiences   []Choice     // audiences a stakeholder can be given
	Problem     string       // refusal of the form, "" = none
}

// PersonRow is one person.
type PersonRow struct {
	Handle   string // handle
	Name     string // display name
	Role     string // administrator, responder, stakeholder
	Audience string // for stakeholders
	Passkeys int    // number of passkeys
	LastAt   int64  // last seen, unix ms, 0 = never
	Disabled bool   // may not sign in
	Self     bool   // the viewer
}

// Invitation is one pending invitation.
type Invitation struct {
	ID       string // id
	Name     string // for whom, as typed
	Role     string // role given
	Audience string // audience given
	By       string // display name of who invited
	At       int64  // unix ms
	Expires  int64  // unix ms
}

// MePage is /me: my passkeys, recovery codes and sessions.
type MePage struct {
	Base
	Name      string    // display name, or what was typed
	Passkeys  []Passkey // newest first
	Sessions  []Session // newest first
	CodesLeft int       // unused recovery codes
	NewCodes  []string  // codes just made, shown once; empty = none
	Link      *OwnLink  // sign-in link just made, shown once; nil = none
	Problem   string    // refusal, "" = none
}

// OwnLink is a link by which a person signs in on another device of theirs.
type OwnLink struct {
	URL   string
	Until int64 // unix ms
}

// Passkey is one passkey.
type Passkey struct {
	ID      string // id used in the address
	Name    string // name given or guessed
	AddedAt int64  // unix ms
	UsedAt  int64  // unix ms, 0 = never
}

// Session is one signed-in browser.
type Session struct {
	ID      string // id used in the address (never the secret)
	Agent   string // "Chromium on Linux"
	Address string // IP address it was last seen from
	SinceAt int64  // unix ms
	SeenAt  int64  // unix ms
	Current bool   // this one
}

// SignInPage is /signin.
type SignInPage struct {
	Base
	Problem string // refusal, "" = none
	Next    string // local path to go to afterwards
	Handle  string // what was typed
	Ended   bool   // came here because the session ended
	Txn     string // random text of this form: sent again, it gets the same answer
}

// LinkPage is the landing of a one-time sign-in link or an invitation; the POST of its form uses the link up,
// so that a preview robot cannot.
type LinkPage struct {
	Base
	Action    string // address the form posts to
	Txn       string // random text of this form: sent again, it gets the same answer
	Purpose   string // "administrator" (first start), "invitation", "signin"
	Role      string // role the person gets
	By        string // who invited, "" = nobody
	Name      string // display name proposed or typed
	Handle    string // handle proposed or typed
	AskHandle bool   // a new person: ask for name and handle
	Dead      bool   // used, expired or revoked
	Problem   string // refusal, "" = none
}

// TokensPage is /tokens.
type TokensPage struct {
	Base
	Tokens   []TokenRow // newest first
	Walls    []TokenRow // wall tokens, newest first
	NewToken string     // shown once, "" = none
	NewName  string     // its name
	NewWall  string     // address of a wall just made (contains the token), shown once
	Scopes   []Choice   // roles a token can have
	Problem  string     // refusal, "" = none
}

// TokenRow is one token.
type TokenRow struct {
	ID      string // id
	Name    string // name
	Scope   string // administrator, responder, intake, read, wall
	By      string // who made it
	At      int64  // unix ms
	UsedAt  int64  // unix ms, 0 = never
	Expires int64  // unix ms, 0 = never
	Revoked int64  // unix ms, 0 = valid
}

// SourcesPage is /sources.
type SourcesPage struct {
	Base
	Sources  []SourceRow // by name
	Kinds    []Choice    // kinds of source
	New      *NewSource  // the source just made with its key, shown once; nil = none
	Pace     Pace        // what was typed for a heartbeat
	Watchdog Watchdog    // the heartbeats that go out
	BaseURL  string      // outside address of this server, without trailing slash
	Problem  string      // refusal, "" = none
}

// SourceRow is one source of signals.
type SourceRow struct {
	ID      string // id
	Name    string // name
	Kind    string // alertmanager, pagerduty, generic, ...
	At      int64  // made, unix ms
	LastAt  int64  // last accepted message, unix ms, 0 = never
	Count   int64  // messages accepted
	Refused int64  // messages refused
	Open    int    // open signals
	Revoked int64  // unix ms, 0 = valid
	State   string // of a heartbeat: new, alive, waiting, late, dead, failing
	Problem string // newest problem of a delivery, "" = none
}

// NewSource carries a key that is shown once.
type NewSource struct {
	Name     string    // name
	Kind     string    // kind
	Key      string    // the key (for PagerDuty the routing key)
	URL      string    // full address to send to
	Snippets []Snippet // ready configuration
}

// Snippet is a piece of text to copy.
type Snippet struct {
	Title string // "alertmanager.yml"
	Text  string // whole text
}

// ChainsPage is /chains. Topic: chains.
type ChainsPage struct {
	Base
	Chains  Chains     // region chains
	Form    ChainForm  // the form "add a chain"
	Removed []ChainRef // chains switched off, newest first
	// Operators are who runs the nodes of the chains that were added in the page (POST /chains/{id}/operators).
	Operators []Operators
}

// Operators are who runs the nodes of a chain.
type Operators struct {
	ID    string // slug
	Name  string // name
	Nodes []Operator
}

// Operator is who runs a node.
type Operator struct {
	Node string // name of the node
	Said string // what somebody said, "" = nobody did
	Is   string // what it counts as: Said, else what the address tells
}

// ChainRef names a chain in a list of settings.
type ChainRef struct {
	ID   string // slug
	Name string // name
}

// ChainForm is the form "add a chain" (POST /chains; the address is tested by POST /chains/test).
type ChainForm struct {
	Name string   // what was typed, "" = taken from what the node says
	URLs []string // addresses typed, one per node
	// Operators are who runs them, in the same order; "" or too few = taken from the address.
	Operators []string
	Result    *ChainTest // result of the last test; nil = not tested
	Problem   string     // refusal, "" = none
}

// ChainTest is what a node answered when its address was tested. The JSON of POST /chains/test has the same
// fields: {"ok","chain","chain_id","family","client","head","head_at","says"}.
type ChainTest struct {
	OK      bool   // recognised and answering
	Chain   string // recognised name: "Ethereum mainnet"
	ChainID string // "1", "simnet"
	Family  string // evm, bitcoin
	Client  string // "geth 1.17.8"
	Head    int64  // height, -1 = unknown
	HeadAt  int64  // unix ms
	Says    string // the sentence: what was found or what is wrong and what to do
}

// SignalsPage is /signals. Topic: signals or board.
type SignalsPage struct {
	Base
	Show string     // open, cleared, all
	List SignalList // region signals
	Next string     // address of the next page, "" = last
}

// SignalList is the list on /signals. Region id: signals.
type SignalList struct {
	Show    string   // open, cleared, all (for the empty sentence)
	Signals []Signal // worst first when open, newest first otherwise
}

// LogPage is /log: the ledger.
type LogPage struct {
	Base
	Events     []LogEvent // newest first
	Size       int64      // number of events
	Checkpoint string     // signed note as text, "" = none yet
	SignedAt   int64      // unix ms, 0 = unknown
	Root       string     // root hash, base64
	Verifier   string     // verifier key
	Command    string     // how to verify, a command line to copy
	Stream     string     // filter, "" = all
	Newer      string     // address, "" = none
	Older      string     // address, "" = none

	Replicas []ReplicaRow // those that share the store, none = there is one
	Mixed    bool         // those that are alive are of different versions
}

// ReplicaRow is one of several running Tocsins on one store.
type ReplicaRow struct {
	ID       string // name
	Version  string // build
	Started  int64  // unix ms
	Gone     int64  // unix ms since when it is not alive, 0 = it is
	Collects bool   // it watches the chains
	This     bool   // it made this page
}

// LogEvent is one event of the ledger.
type LogEvent struct {
	Offset   int64     // global offset = leaf index
	At       int64     // unix ms
	Stream   string    // stream
	Seq      int64     // sequence in the stream
	Type     string    // type
	Actor    string    // actor string
	ID       string    // event id
	Hash     string    // leaf hash, hex or base64, "" = not computed
	Content  string    // payload as JSON text, "" when blank
	Drill    bool      // drill flag
	Redacted *Redacted // nil = whole
}

// DrillsPage is /drills: start a drill or the demo.
type DrillsPage struct {
	Base
	Scenarios []Scenario // what can be played
	Running   *Running   // nil = none
	Problem   string     // refusal, "" = none
	MayPage   bool       // one may page people for real
}

// Scenario is one drill that can be played.
type Scenario struct {
	Key      string   // id
	Name     string   // "Nomad bridge, 1 August 2022"
	Text     string   // two sentences: what happened, what is trained
	Figures  []Figure // real figures
	LengthMs int64    // length at speed 1
	Speeds   []Choice // speeds offered
}

// Running is a drill in progress.
type Running struct {
	ID       string // id
	Name     string // name
	Since    int64  // unix ms
	Speed    string // "60 times"
	Incident int64  // number, 0 = none yet
	Done     int    // per cent
	Out      bool   // people are paged for real
}

// ErrorPage is any refusal of a whole page, 404 included.
type ErrorPage struct {
	Base
	Code    int    // HTTP status
	Title   string // short: "There is no such page"
	Says    string // one sentence what happened
	Remedy  string // one sentence what to do
	Href    string // where to go, "" = /
	Verb    string // words on that link
	Request string // request id to quote, "" = none
	Again   *Again // what was sent, to be sent once more; nil = nothing
}

// Again is a form whose answer was no for now: with it nothing that was typed is lost.
type Again struct {
	Action string      // local address it goes to
	Fields []SentField // all of them, in the order of their names
}

// SentField is one field of a form as it was sent.
type SentField struct {
	Name, Value string
	Shown       bool // typed by the person, and no secret
}
