package eventlog

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Limits of one event. They keep a leaf far below the 65,535 bytes that an
// entry of a C2SP bundle may have, and a batch within what an engine takes.
const (
	MaxPayload = 256 << 10 // bytes of Data in one event
	MaxName    = 128       // bytes of id, stream, actor, causation, type
)

// AnySeq as Batch.Expect appends whatever the head of the stream is.
const AnySeq int64 = -1

// RedactedType is the type of the event that Redact appends. Append refuses it.
const RedactedType = "log.redacted"

var (
	// ErrConflict says that the stream's head was not what the caller expected.
	// The error is a *ConflictError that carries the head. Nothing was appended.
	ErrConflict = errors.New("stream head moved")
	// ErrInvalid says that a draft or an argument is malformed. Nothing was appended.
	ErrInvalid = errors.New("invalid event")
	// ErrTooLarge says that a payload or batch is above its limit. Nothing was appended.
	ErrTooLarge = errors.New("event or batch too large")
	// ErrDuplicate says that some ids of the batch are in the log already, but not
	// as this very batch. Nothing was appended.
	ErrDuplicate = errors.New("event id is already in the log")
	// ErrBusy says that MaxPending appends are waiting already. Nothing was appended.
	ErrBusy = errors.New("too many appends are waiting")
	// ErrUncertain says that the store failed and could not be asked: the batch may
	// be in the log. Appending the same batch with the same ids again is safe.
	ErrUncertain = errors.New("outcome of the append is unknown")
	// ErrNotFound says that there is no such event, tile or tree size.
	ErrNotFound = errors.New("not in the log")
	// ErrRedacted says that the event is redacted already, or is itself a redaction.
	ErrRedacted = errors.New("event cannot be redacted")
	// ErrCorrupt says that stored bytes are not what was appended. Verify says which.
	ErrCorrupt = errors.New("the stored log is damaged")
)

// ConflictError is the ErrConflict of one batch. Head is the stream's real head.
type ConflictError struct {
	Stream       string
	Expect, Head int64
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("the head of %s is %d, not %d", e.Stream, e.Head, e.Expect)
}

// Is makes errors.Is(err, ErrConflict) true.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// Redaction tells who blanked an event's payload, when (unix ms) and why.
type Redaction struct {
	By     string `json:"by"`
	At     int64  `json:"at"`
	Reason string `json:"reason"`
}

// Event is one past-tense fact. Seq counts from 1 in its stream, Offset from 0
// in the log and is the index of its Merkle leaf. At is unix ms UTC, 0 unknown.
// Data is nil when, and only when, Redacted is set.
type Event struct {
	Offset    int64           `json:"offset"`
	ID        string          `json:"id"`
	Stream    string          `json:"stream"`
	Seq       int64           `json:"seq"`
	Type      string          `json:"type"`
	Version   int             `json:"version"`
	At        int64           `json:"at"`
	Actor     string          `json:"actor"`
	Causation string          `json:"causation,omitempty"`
	Drill     bool            `json:"drill,omitempty"`
	Data      json.RawMessage `json:"data"`
	Redacted  *Redaction      `json:"redacted,omitempty"`
}

// Draft is an event before the log has given it its place. An empty ID becomes a
// new UUIDv7; empty Data becomes {}. Actor, Type and, when set, ID and Causation
// are printable ASCII without space, quote and backslash, at most MaxName bytes.
type Draft struct {
	ID        string
	At        int64
	Actor     string
	Causation string
	Drill     bool
	Type      string
	Version   int
	Data      json.RawMessage
}

// Batch is appended to one stream as a whole or not at all. Expect is the head
// that the caller decided on: 0 for a stream that must not exist yet, AnySeq for
// whatever is there.
type Batch struct {
	Stream string
	Expect int64
	Drafts []Draft
}

// name checks what goes into a header without any escaping, so that a leaf has
// one spelling for ever.
func name(what, s string, required bool) error {
	if s == "" {
		if required {
			return fmt.Errorf("%s is empty: %w", what, ErrInvalid)
		}
		return nil
	}
	if len(s) > MaxName {
		return fmt.Errorf("%s has %d bytes, at most %d are taken: %w", what, len(s), MaxName, ErrInvalid)
	}
	for i := range len(s) {
		if !plain(s[i]) {
			return fmt.Errorf("%s %q: only printable ASCII without space, quote and backslash is taken: %w", what, s, ErrInvalid)
		}
	}
	return nil
}

func plain(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '\\' }

func (d *Draft) check() error {
	for _, n := range []struct {
		what, value string
		required    bool
	}{{"id", d.ID, true}, {"actor", d.Actor, true}, {"causation", d.Causation, false}, {"type", d.Type, true}} {
		if err := name(n.what, n.value, n.required); err != nil {
			return err
		}
	}
	switch {
	case d.At < 0:
		return fmt.Errorf("time %d is before 1970: %w", d.At, ErrInvalid)
	case d.Version < 0:
		return fmt.Errorf("version %d is negative: %w", d.Version, ErrInvalid)
	case len(d.Data) > MaxPayload:
		return fmt.Errorf("payload of %s has %d bytes, at most %d are taken: %w", d.Type, len(d.Data), MaxPayload, ErrTooLarge)
	case !json.Valid(d.Data):
		return fmt.Errorf("payload of %s is not JSON: %w", d.Type, ErrInvalid)
	}
	return nil
}
