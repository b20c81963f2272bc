package views

// BoardPage is /, incidents and chains. Topics: board, chains.
type BoardPage struct {
	Base
	Setup     Setup          // region board-setup
	Incidents BoardIncidents // region board-incidents
	Signals   BoardSignals   // region board-signals
	Chains    Chains         // region chains (topic chains)
	Recent    Recent         // region board-recent
}

// Setup is the first-run list of what to do next. Region id: board-setup. All done = it renders an empty element.
type Setup struct {
	Steps []SetupStep // in the order to do them
}

// SetupStep is one step of the first run.
type SetupStep struct {
	Key  string // chain, source, people, drill
	Text string // "Add a chain"
	Why  string // one sentence what it gives
	Href string // where to do it
	Verb string // words on the button
	Done bool   // already done
	Note string // when done: "3 chains, 7 nodes"
}

// BoardIncidents lists open incidents, worst first. Region id: board-incidents.
type BoardIncidents struct {
	Rows []IncidentRow // worst first, then longest running
}

// BoardSignals lists open signals that belong to no incident. Region id: board-signals.
type BoardSignals struct {
	Signals []Signal // worst first
	More    int      // how many are not shown
	Silence Silence
}

// Silence is what keeps signals quiet now, and what will within a day. The zero Silence is drawn as nothing.
type Silence struct {
	Windows int    // maintenance windows that are active
	Until   int64  // when the last of them ends, unix ms
	Signals int    // open signals that they keep quiet
	Snoozed int    // open signals that a person keeps quiet
	Next    string // name of the window that begins next within 24 h, "" = none does
	NextAt  int64  // unix ms
}

// Recent tells what was. Region id: board-recent.
type Recent struct {
	Rows      []IncidentRow // resolved lately, newest first, at most 5
	LastDrill int64         // time the last drill ended, unix ms, 0 = never
	DrillText string        // what it was
}

// Chains lists every chain in a fixed order. Region id: chains; each chain is its own region chain-<ID>.
// A changed chain is pushed alone (key chain-<ID>); the whole list only when a chain is added or removed.
type Chains struct {
	Chains []Chain // order of the configuration; never reordered by state
}

// Chain is one chain and its nodes. Region id: chain-<ID>.
type Chain struct {
	ID       string    // slug: lower-case letters, digits, dash
	Name     string    // "Ethereum"
	Family   string    // evm, bitcoin
	State    string    // normal, abnormal, unknown (no fresh answer)
	Severity string    // severity of the worst open signal, "" when normal
	Word     string    // one word for the state: "reorg", "stalled", "diverged", "unreachable"; "" when normal
	Says     string    // one sentence what is wrong, "" when normal
	Head     int64     // height of the newest head, -1 = unknown
	HeadHash string    // its hash, "" = unknown
	HeadAt   int64     // when that head was made, unix ms, 0 = unknown
	HeadNode string    // node that said so
	StaleMs  int64     // the head is stale when older than this
	Spark    []float64 // at most 60 values, oldest first: the line that matters (block interval, reorg depth)
	SparkOf  string    // what the line shows: "block interval, last 60 blocks"
	Metrics  []Metric  // 4 to 6 figures, fixed order
	Nodes    []Node    // fixed order
	Voices   string    // says that nodes are of one operator, so that they confirm nothing for each other; "" when each is of its own
	Incident int64     // number of the open incident on it, 0 = none
	Drill    bool      // the values are injected by a drill
	Href     string    // page with more, "" = none
}

// Metric is one figure, the node it speaks for and its time.
type Metric struct {
	Label    string // "base fee"
	Value    string // preformatted: "23.1"
	Unit     string // "gwei"
	At       int64  // unix ms, 0 = unknown
	Node     string // node it speaks for, "" = all agree
	Abnormal bool   // out of its band
}

// Node is one node of a chain.
type Node struct {
	Name    string // name of the node
	State   string // up, behind, syncing, down, halted, diverged, unknown
	Head    int64  // height, -1 = unknown
	SeenAt  int64  // last answer, unix ms, 0 = never
	StaleMs int64  // stale when older than this
	Lag     int64  // blocks behind the best, 0 = none
	Peers   int    // -1 = not offered
	Client  string // "geth 1.17.8", "" = unknown
	// Networks says how its peers are spread: "18 peer networks", with the largest one's share where it is half or more; "" = it does not tell.
	Networks string
	// Operator is who runs it, when another node of the chain is of the same; else "".
	Operator string
	Says     string // sentence when not up: "connection refused"; never a URL with credentials
}

// Signal is one finding in a list.
type Signal struct {
	ID           string   // id
	Source       string   // display name of the source
	Kind         string   // reorg, stall, node_lag, divergence, unreachable, alert ...
	Subject      string   // what it is about: "polygon", "node-3", "payments-api"
	Title        string   // sentence
	Reason       string   // why it was raised, with figures
	Severity     string   // SEV1..SEV5
	State        string   // open or cleared
	Acknowledged bool     // somebody has it
	OpenedAt     int64    // unix ms
	ClearedAt    int64    // unix ms, 0 = open
	LastAt       int64    // last repeat, unix ms
	Count        int      // repeats
	Incident     int64    // attached to, 0 = none
	IncidentName string   // "#42 Nomad bridge ..." title of that incident
	Certainty    string   // how far it is confirmed: "seen by 2 nodes", "seen by one node only" ...; "" = says nothing
	Doubtful     bool     // held back or weak: not confirmed
	Weak         bool     // below the threshold: for review, it alarms nobody
	Why          string   // in a room: the grouping rule that joined it, "" = none did
	Quiet        string   // why it declares nothing and pages nobody for now, "" = it does
	Plain        bool     // its own page is not linked
	Detector     string   // name of the detector of our own that raised it, "" = sent from outside
	Verdict      Verdict  // what people said of it
	Links        []Link   // generator, dashboard
	Drill        bool     // drill
	Actions      []Action // detach, attach, declare
}

// Charts is the place of an incident's pinned charts. Region id: charts.
type Charts struct {
	Charts []Chart // fixed order
}

// Chart is one chart; its points come from GET /charts/<ID> and from sample frames (key samples/<ID>).
type Chart struct {
	ID      string  // id, may contain letters, digits, dash, slash, dot
	Title   string  // "Outflow per minute"
	Unit    string  // "M$", "s", "blocks"
	Of      string  // what and whom it speaks for: "nomad bridge, 2 nodes"
	Last    string  // newest value preformatted, "" = none
	LastAt  int64   // its time, unix ms, 0 = none
	StaleMs int64   // stale when older than this; 0 = 60 s
	Window  int64   // length of the time axis in ms; 0 = one hour
	Low     float64 // lower edge of the ordinary band
	High    float64 // upper edge of the ordinary band; Low == High = no band
	Alt     string  // one sentence for people who cannot see it
	Says    string  // sentence below, "" = none
}

// WallPage is /wall. Topics: wall, chains.
type WallPage struct {
	Base
	Incident WallIncident // region wall-incident
	Others   WallOthers   // region wall-others
	Summary  WallSummary  // region wall-summary
	Chains   Chains       // region chains (topic chains)
}

// WallIncident is the big place: the worst open incident. Region id: wall-incident. Number 0 = no incident:
// an empty element, and the chains take the whole screen.
type WallIncident struct {
	Number    int64       // incident number, 0 = none
	Strip     Strip       // severity, title, status, people, times
	Know      []Statement // what we know, newest decision first, at most 3
	Figures   []Figure    // at most 4: funds, signals, tasks
	Clocks    []Clock     // at most 4: next update, regulatory deadlines, overdue tasks
	NextDueAt int64       // next public update due, unix ms, 0 = none
	NextSpan  int64       // length of the update interval in ms, for the small bar; 0 = no bar
	Chart     *Chart      // the metric that matters; nil = none
	Last      []Entry     // last five entries, newest first
}

// Figure is one number on the wall.
type Figure struct {
	Label string // "at risk"
	Value string // "$190 M"
	Note  string // "1,794 $ left", "" = none
	Tone  string // "" or bad
	At    int64  // time it speaks of, unix ms, 0 = unknown
}

// Clock is one deadline.
type Clock struct {
	Label  string // "Public update", "DORA initial"
	DueAt  int64  // unix ms
	DoneAt int64  // met at, unix ms, 0 = open
}

// WallOthers is the column of the other open incidents. Region id: wall-others.
type WallOthers struct {
	Rows []IncidentRow // worst first, without the one in the big place
}

// WallSummary is the corner under the clock. Region id: wall-summary.
type WallSummary struct {
	Open      int    // open incidents
	Approvals int    // drafts waiting for approval
	Signals   int    // open signals attached to nothing
	Drill     bool   // a drill is running
	LastDrill int64  // end of the last drill, unix ms, 0 = never
	DrillText string // what it was
}
