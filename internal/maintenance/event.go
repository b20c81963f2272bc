// Package maintenance owns the windows in which signals stay quiet: what a window covers and when, and what may be done
// to it; it never reads a clock, never writes the log and never touches a signal itself.
package maintenance

import (
	"encoding/json"
	"fmt"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Stream is where its events stand in the log.
const Stream = "maintenance"

// TypeSet is the name of the one event, as it stands in the log.
const TypeSet = "maintenance.set"

// Window says which signals are quiet, and when. Times are unix milliseconds UTC.
type Window struct {
	ID     string       `json:"id"`
	Name   string       `json:"name"`
	Reason string       `json:"reason"`
	Match  signal.Match `json:"match"`
	// From and Until bound a window that happens once. Of a weekly one they
	// bound the weeks; Until 0 is for ever.
	From  int64 `json:"from"`
	Until int64 `json:"until,omitempty"`
	// Weekly makes it come again; nil for once.
	Weekly *Weekly `json:"weekly,omitempty"`
	// Loud is the severity that is heard all the same, and all that is worse;
	// "" is none.
	Loud string `json:"loud,omitempty"`
	// Paused is until when a weekly window that was stopped is not active.
	Paused int64 `json:"paused,omitempty"`
	// Cancelled windows are never active.
	Cancelled bool `json:"cancelled,omitempty"`
}

// Weekly is when a window begins in each week, in local time.
type Weekly struct {
	Zone    string `json:"zone"`    // IANA name
	Days    []int  `json:"days"`    // 0 is Sunday
	Hour    int    `json:"hour"`    // local
	Minute  int    `json:"minute"`  // local
	Minutes int    `json:"minutes"` // how long it lasts, by the clock that never changes
}

// Set is the fact that a window is now like this. Before is how it was, nil for a new one.
type Set struct {
	Window Window  `json:"window"`
	Before *Window `json:"before,omitempty"`
	// What was done: planned, changed, started, stopped, cancelled or undone.
	What string `json:"what"`
}

// Event is one fact of the stream.
type Event struct {
	ID    string
	At    int64
	Actor string
	Body  Set
}

// Decode reads an event of Stream. ok is false for what it does not know, and for a redacted one.
func Decode(typ string, data []byte) (b Set, ok bool, err error) {
	if data == nil || typ != TypeSet {
		return b, false, nil
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return b, false, fmt.Errorf("decode %s: %w", typ, err)
	}
	return b, true, nil
}
