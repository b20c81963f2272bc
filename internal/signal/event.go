package signal

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Names of the events, as they stand in the log.
const (
	TypeOpened       = "signal.opened"
	TypeUpdated      = "signal.updated"
	TypeRepeated     = "signal.repeated"
	TypeAcknowledged = "signal.acknowledged"
	TypeCleared      = "signal.cleared"
	TypeMissed       = "signal.missed"
)

// StreamPrefix and a source's id make the name of the source's stream.
const StreamPrefix = "signal/"

// Body is what one event says. Type is its name in the log.
type Body interface{ Type() string }

// Event is one fact about the signals of one source, as the log has it.
type Event struct {
	Source  string // id of the source, the stream's name without StreamPrefix
	Offset  int64
	EventID string
	At      int64 // unix ms
	Actor   string
	Drill   bool
	Body    Body
}

// Opened begins an episode.
type Opened struct {
	Signal    string            `json:"signal"` // its ID
	Key       string            `json:"key"`
	Episode   int               `json:"episode"`
	Kind      string            `json:"kind,omitempty"`
	Subject   string            `json:"subject,omitempty"`
	Title     string            `json:"title"`
	Reason    string            `json:"reason,omitempty"`
	Severity  string            `json:"severity"`
	StartsAt  int64             `json:"starts_at,omitempty"`
	Chain     string            `json:"chain,omitempty"`
	Component string            `json:"component,omitempty"`
	Group     string            `json:"group,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Links     []Link            `json:"links,omitempty"`
	Evidence  json.RawMessage   `json:"evidence,omitempty"`
	Quiet     *Quiet            `json:"quiet,omitempty"`
	Joint     *Joint            `json:"joint,omitempty"`
	OutUntil  int64             `json:"out_until,omitempty"`
	Finding
}

// Updated says that the severity, the title or the certainty of an open signal
// changed. All fields are the new values.
type Updated struct {
	Signal   string `json:"signal"`
	Key      string `json:"key"`
	Severity string `json:"severity"`
	Title    string `json:"title"`
	Reason   string `json:"reason,omitempty"`
	StartsAt int64  `json:"starts_at,omitempty"`
	Finding
}

// Repeated says that an open signal was sent again.
type Repeated struct {
	Signal   string `json:"signal"`
	Key      string `json:"key"`
	Reason   string `json:"reason,omitempty"`
	StartsAt int64  `json:"starts_at,omitempty"`
}

// Acknowledged says that somebody at the sender took an open signal.
type Acknowledged struct {
	Signal string `json:"signal"`
	Key    string `json:"key"`
}

// Cleared ends an episode. Reach is the sender's time up to which firings of
// this key are the past.
type Cleared struct {
	Signal string `json:"signal"`
	Key    string `json:"key"`
	Reason string `json:"reason,omitempty"`
	EndsAt int64  `json:"ends_at,omitempty"`
	Reach  int64  `json:"reach"`
}

// Missed says that a resolve came for a firing that was never seen. It opens
// and clears nothing; it is remembered so that the firing, when it comes late,
// does not open a signal that nobody would clear.
type Missed struct {
	Key    string `json:"key"`
	EndsAt int64  `json:"ends_at,omitempty"`
	Reach  int64  `json:"reach"`
}

// Unknown is an event of a type or version that this program does not know.
// Apply passes over it.
type Unknown struct {
	Name string
	Data json.RawMessage
}

// Blank is an event whose payload was redacted. Apply passes over it.
type Blank struct{ Name string }

// Type implements Body.
func (Opened) Type() string { return TypeOpened }

// Type implements Body.
func (Updated) Type() string { return TypeUpdated }

// Type implements Body.
func (Repeated) Type() string { return TypeRepeated }

// Type implements Body.
func (Acknowledged) Type() string { return TypeAcknowledged }

// Type implements Body.
func (Cleared) Type() string { return TypeCleared }

// Type implements Body.
func (Missed) Type() string { return TypeMissed }

// Type implements Body.
func (u Unknown) Type() string { return u.Name }

// Type implements Body.
func (b Blank) Type() string { return b.Name }

const version = 1

// Encode returns the event's name, its version and its payload as JSON, at most
// 200 KiB for what Decide returns. It fails only for Evidence that is not JSON.
func Encode(b Body) (typ string, ver int, data []byte, err error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // pages escape; here it would only cost room
	if err := enc.Encode(b); err != nil {
		return "", 0, nil, fmt.Errorf("encode %s: %w", b.Type(), err)
	}
	return b.Type(), version, bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// Decode is the inverse of Encode. Nil data gives Blank, an unknown type or a
// newer version gives Unknown, both without an error; an error means that the
// payload of a known type is not what Encode writes.
func Decode(typ string, ver int, data []byte) (Body, error) {
	if data == nil {
		return Blank{Name: typ}, nil
	}
	if ver > version {
		return Unknown{Name: typ, Data: data}, nil
	}
	switch typ {
	case TypeOpened:
		return decode[Opened](typ, data)
	case TypeUpdated:
		return decode[Updated](typ, data)
	case TypeRepeated:
		return decode[Repeated](typ, data)
	case TypeAcknowledged:
		return decode[Acknowledged](typ, data)
	case TypeCleared:
		return decode[Cleared](typ, data)
	case TypeMissed:
		return decode[Missed](typ, data)
	case TypeQuieted:
		return decode[Quieted](typ, data)
	case TypeReleased:
		return decode[Released](typ, data)
	}
	return Unknown{Name: typ, Data: data}, nil
}

func decode[B Body](typ string, data []byte) (Body, error) {
	var b B
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("decode %s: %w", typ, err)
	}
	return b, nil
}
