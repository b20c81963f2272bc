// Package notify owns how people are reached: their routes, the outbox of messages to them with attempts, failover, bundling and limits, and the
// receipts. It never decides who is paged or when paging ends, never writes the log, and never tells a secret or an address to anybody.
package notify

import (
	"context"
	"errors"
)

// Kinds of Message.
const (
	KindPage   = "page"   // asks one person to come; repeated by routes with After until it is cancelled
	KindNotice = "notice" // tells, asks nothing
	KindTest   = "test"   // tries one route; knows no floor and no quiet hours
)

// Message is one thing to tell one person. It holds no address: those are the routes'.
type Message struct {
	ID       string `json:"id"`     // idempotency key: the same ID again is nothing, for KeepDone
	Person   string `json:"person"` // handle
	Kind     string `json:"kind"`
	Incident int64  `json:"incident,omitempty"` // number, 0: of none
	Severity string `json:"severity,omitempty"` // SEV1 … SEV5
	Title    string `json:"title"`
	Sentence string `json:"sentence,omitempty"` // why, in one plain sentence
	Cost     string `json:"cost,omitempty"`     // like "$1,200 a minute"; empty: not known
	URL      string `json:"url,omitempty"`      // of the page to open
	AckURL   string `json:"ack_url,omitempty"`  // of the page that takes it; it is a secret of this person
	Drill    bool   `json:"drill,omitempty"`
	// LeaveUntil lets a message of a drill be sent until then, unix ms; 0: never. Without it, and later, a drill's message ends as suppressed.
	LeaveUntil int64 `json:"leave_until,omitempty"`
	At         int64 `json:"at"` // unix ms
	// Route sends over this route only (KindTest). Empty: over the person's routes in their order.
	Route string `json:"route,omitempty"`
}

// Outcomes of an attempt.
const (
	Sent       = "sent"       // the provider has taken it
	Delivered  = "delivered"  // it reached the device, as the device or the provider said
	Failed     = "failed"     // Detail says why, and whether it is tried again
	Suppressed = "suppressed" // not sent on purpose; Detail says why
)

// Receipt is what became of one message on one route in one attempt. (Message, Route, Attempt, Outcome) names it: the same again says nothing new.
type Receipt struct {
	Message  string `json:"message"`
	Incident int64  `json:"incident,omitempty"`
	Person   string `json:"person"`
	Route    string `json:"route,omitempty"` // id; empty: it concerns all routes
	Label    string `json:"label,omitempty"` // kind and label as people read them, like "e-mail" or "push to Pixel 8": never an address
	Outcome  string `json:"outcome"`
	Detail   string `json:"detail,omitempty"` // a plain sentence, without secrets
	Attempt  int    `json:"attempt"`          // from 1
	At       int64  `json:"at"`
}

// ErrFull says that MaxOutbox messages wait already. Submit takes none then: try again.
var ErrFull = errors.New("too many messages wait to be sent")

// Courier takes messages and sees to it that they arrive.
type Courier interface {
	// Submit keeps the messages durably before it returns. What has an ID that is known is nothing. After an error some may be kept: submit the same again.
	Submit(ctx context.Context, list []Message) error
	// Cancel ends all pages of an incident but those with these IDs: what has not been sent is not sent any more once it returns.
	Cancel(ctx context.Context, incident int64, but ...string) error
	// Run sends until ctx ends; of several replicas one does.
	Run(ctx context.Context) error
}

// Rights are what somebody may now.
type Rights struct {
	Here  bool // one of us: to others nothing is sent, whatever waits for them
	Paged bool // may be paged and told of incidents
	Admin bool // routes may lead into networks that are not public, and to services that only administrators may use
	// Since is when they joined, unix ms: routes from before are those of another time here, and none of theirs.
	Since int64
}

// Channel is one way in which a person can be reached, without the address.
type Channel struct {
	Kind     string `json:"kind"`
	Label    string `json:"label"`
	Verified bool   `json:"verified"`
	LastOK   int64  `json:"last_ok,omitempty"` // unix ms of the last attempt that a provider took, 0: none yet
}
