package views

// DetectorsPage is /detectors.
type DetectorsPage struct {
	Base
	Review  []Signal          // findings that nobody judged yet: weak ones first, newest first
	Waiting int               // how many there are in all
	Rows    []DetectorRow     // loudest first
	Changes []ThresholdChange // newest first
	Ahead   []Ahead           // bounds that figures come near, the next first
	Spread  []SpreadRow       // where faults of now will be felt
	Rules   RulesPart         // rules that people wrote
	Judge   bool              // the viewer may judge findings
	Manage  bool              // the viewer may move thresholds
	Problem string            // refusal, "" = none
}

// DetectorRow is one detector and how well it does.
type DetectorRow struct {
	Name   string // stable name
	PerDay string // alerts a day: "0.4"
	Weak   string // weak findings a day
	Last   []int  // alerts by day, oldest first, for the little columns
	// Of the alerts of the last 30 days; the others need no second node.
	Confirmed    int // a second node showed it
	OneNode      int // one node alone showed it
	Unverifiable int // no second node could be asked

	Labelled  int     // judged alerts
	Unsure    int     // looked at and not settled
	Precision string  // "93 %", "" = nothing judged yet
	Interval  string  // "80 to 98 %"
	Recall    string  // "87 %", "" = not known
	Threshold string  // "as shipped", "3.2 times rarer", "by rule"
	Moved     bool    // the threshold is not as shipped
	Strict    float64 // strictness in decades, for the form
	Scored    bool    // it has a threshold
}

// ThresholdChange is one change of a threshold.
type ThresholdChange struct {
	ID       string // of the event
	At       int64  // unix ms
	Detector string // name
	Before   string // "as shipped"
	After    string // "1.8 times rarer"
	Reason   string // sentence
	By       string // person, or Tocsin itself
	Undone   bool   // it was taken back
	Undo     bool   // it can be taken back now
}

// Ahead is a bound that a figure comes near.
type Ahead struct {
	Title    string // "Disk of this machine"
	Subject  string // labels of the series
	Sentence string // when, with the interval
	Value    string // now
	Bound    string // the bound, as a plain number
	Likely   string // "87 %"
	At       int64  // median, unix ms, 0 = beyond the horizon
	Low      int64  // unix ms
	High     int64  // unix ms, 0 = open
	Now      int64  // unix ms of the estimate
	Near     bool   // nearer than the warning
	Points   []float64
	Chart    string // id of its chart, "" = none
}

// SpreadRow is one service that a fault will reach.
type SpreadRow struct {
	Service string // name
	Likely  string // "62 %"
	At      int64  // median, unix ms
	Low     int64  // unix ms
	High    int64  // unix ms
	Path    []string
	Reason  string // sentence
}

// SignalPage is /signals/{id}.
type SignalPage struct {
	Base
	Quiet    SignalQuiet
	Signal   Signal
	Evidence string   // pretty JSON, "" = none
	Labels   []Pair   // by name
	Metric   []Pair   // detector, tail probability, seen by ...
	Graph    *Picture // wallet graph around its addresses, nil = none
	Ahead    *Ahead   // for findings about a bound
	Judge    bool
	Problem  string
}

// Pair is a name and what it is.
type Pair struct{ Name, Value string }

// Verdict is what was said of a finding.
type Verdict struct {
	Says string // true, false, unsure; "" = not judged
	By   string // name
	At   int64  // unix ms
	Note string
}

// Picture is a wallet graph laid out: addresses as boxes in columns, flows from left to right.
type Picture struct {
	Title string
	Says  string // the whole in a sentence, for those who cannot see it
	Width int    // of the drawing, in its own units
	High  int
	Nodes []PictureNode
	Edges []PictureEdge
	Left  int // addresses that were left out
}

// PictureNode is one address.
type PictureNode struct {
	Address string // whole
	Name    string // label, or the address shortened
	Kind    string // watched, exchange, mixer, attacker, ... "" = unknown
	Held    string // what came and went: "in 1.2 M$ · out 1.1 M$"
	X, Y    int    // of the box's top left corner
	Href    string // page of the address, "" = none
	Bad     bool   // attacker or mixer
	Middle  bool   // what the picture is around
	Ours    bool   // watched
}

// PictureEdge is what flowed between two addresses.
type PictureEdge struct {
	Path   string // d of the line
	Text   string // "3 × 202,440 USDC"
	TX, TY int    // of the text
	Width  string // of the line
	Says   string // from, to, amount and times
}
