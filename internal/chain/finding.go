package chain

import "encoding/json"

// Kinds of finding.
const (
	FindingReorg       = "reorg"        // blocks left the chain, more of them than is routine, or past a safe or finalized one
	FindingStall       = "stall"        // no node has a new head for longer than chance explains
	FindingLag         = "lag"          // a node follows, but behind the others
	FindingHalted      = "halted"       // a node answers but has no new head while the others advance
	FindingDivergence  = "divergence"   // two nodes have different blocks at one height
	FindingUnreachable = "unreachable"  // a node cannot be asked
	FindingBlind       = "blind"        // no node of the chain can be asked
	FindingWrongChain  = "wrong_chain"  // a node serves another chain than configured
	FindingSyncing     = "syncing"      // a node says that it is still catching up
	FindingHeadersOnly = "headers_only" // somebody announces a long branch whose blocks nobody shows
)

// Finding is one thing that is wrong, or is over. The life of a Key is: Firing true (opened), Firing true again (updated), Firing false
// (over, Reason says why). The key holds no number that changes while the thing lasts.
type Finding struct {
	Key      string          `json:"key"` // "<chain>/<kind>/<subject>"
	Kind     string          `json:"kind"`
	Chain    string          `json:"chain"`
	Subject  string          `json:"subject"` // the chain, a node, or two nodes "a~b"
	Severity string          `json:"severity"`
	Firing   bool            `json:"firing"`
	Title    string          `json:"title"`
	Reason   string          `json:"reason"`
	At       int64           `json:"at"`       // unix ms of this change
	Since    int64           `json:"since"`    // unix ms when the thing began, as far as known
	Evidence json.RawMessage `json:"evidence"` // numbers and headers behind it, at most about 16 KB
	Drill    bool            `json:"drill,omitempty"`
}

// Sample is one value of one series at one time.
type Sample struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	At     int64             `json:"at"`
	Value  float64           `json:"value"`
}

// Outcome is what one observation or one tick led to.
type Outcome struct {
	Samples  []Sample
	Findings []Finding
	Head     bool // the chain's head (height or hash) changed
	Changed  bool // the View differs from before in more than ages
}

// Severities, spelled as everywhere in Tocsin; SEV1 is the worst.
const (
	sev1 = "SEV1"
	sev2 = "SEV2"
	sev3 = "SEV3"
	sev4 = "SEV4"
	sev5 = "SEV5"
)
