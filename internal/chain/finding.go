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

	// Detector names what found it, for figures and feedback; "" = the Kind.
	Detector string `json:"detector,omitempty"`
	// Score is the tail probability of what was seen if all were normal, above 0; 0 = certain by rule, no probability.
	Score float64 `json:"score,omitempty"`
	// Bound is the tail probability at or below which its detector alarms as shipped; 0 = there is no threshold that could be moved. A weak
	// finding whose score is not above it is weak by another rule, and no threshold makes it an alarm.
	Bound float64 `json:"bound,omitempty"`
	// Weak findings are for the review queue: they never declare, join or page.
	Weak bool `json:"weak,omitempty"`
	// Verification says who else saw it; Seen names the nodes that did, sorted.
	Verification Verification `json:"verification,omitempty"`
	Seen         []string     `json:"seen,omitempty"`
}

// Verification is how far a finding is confirmed by independent nodes.
type Verification string

// The states of verification. A finding that is neither NotNeeded nor Confirmed declares nothing and pages nobody until the policy's wait is
// over; then it is given out again as Waited.
const (
	NotNeeded    Verification = ""             // it speaks of one node, or its source is not a node
	Confirmed    Verification = "confirmed"    // two independent nodes or more show the same
	OneNode      Verification = "one_node"     // seen by one node only: the others were asked and do not show it, or not yet
	Unverifiable Verification = "unverifiable" // there is no second node, or none that could be asked: apart from false
	Waited       Verification = "waited"       // still not confirmed when the wait was over
)

// Held tells whether the finding has to wait for confirmation.
func (v Verification) Held() bool { return v == OneNode || v == Unverifiable }

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
