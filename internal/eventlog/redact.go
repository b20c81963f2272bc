package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tocsin-ops/tocsin/store"
)

// MaxReason bounds the reason of a redaction, in bytes.
const MaxReason = 2048

// redaction is the payload of a log.redacted event.
type redaction struct {
	Offset int64  `json:"offset"`
	Reason string `json:"reason"`
}

// Redact blanks the payload and salt of the event at offset and, in the same Txn,
// appends a log.redacted event to the stream of that event. The leaf stays, so
// every proof and checkpoint stays valid. d brings ID, At, Actor, Causation and
// Drill, and as Data {"reason": "..."}, which must say something; Type and Version
// are the log's. Whether the actor may do this is decided before.
//
// ErrNotFound when there is no such event; ErrRedacted when its payload is gone
// already or when it is itself a redaction: those must stay readable. Redact with
// the id of a redaction that is in the log answers that event again.
func (l *Log) Redact(ctx context.Context, offset int64, d Draft) (Event, error) {
	var why redaction
	if err := json.Unmarshal(d.Data, &why); err != nil || why.Reason == "" || len(why.Reason) > MaxReason {
		return Event{}, fmt.Errorf(`redact event %d: data must be {"reason": "..."} with 1 to %d bytes: %w`, offset, MaxReason, ErrInvalid)
	}
	if d.Type != "" && d.Type != RedactedType {
		return Event{}, fmt.Errorf("redact event %d: type %s: %w", offset, d.Type, ErrInvalid)
	}
	if offset < 0 {
		return Event{}, fmt.Errorf("redact event %d: %w", offset, ErrNotFound)
	}
	why.Offset = offset
	data, err := json.Marshal(why)
	if err != nil {
		return Event{}, fmt.Errorf("redact event %d: %w", offset, err)
	}
	target, err := l.record(ctx, offset)
	if err != nil {
		return Event{}, fmt.Errorf("redact event %d: %w", offset, err)
	}
	d.Type, d.Version, d.Data = RedactedType, 1, data
	r, err := l.prepare(Batch{Stream: target.header.Stream, Expect: AnySeq, Drafts: []Draft{d}}, offset)
	if err != nil {
		return Event{}, fmt.Errorf("redact event %d: %w", offset, err)
	}
	events, err := l.submit(ctx, r)
	if err != nil {
		return Event{}, fmt.Errorf("redact event %d: %w", offset, err)
	}
	return events[0], nil
}

// blank returns the record that replaces r's target when the redaction lands at
// offset by.
func (l *Log) blank(ctx context.Context, r *request, size, by int64) ([]byte, error) {
	if r.target >= size {
		return nil, ErrNotFound
	}
	rec, err := l.record(ctx, r.target)
	if err != nil {
		return nil, err
	}
	if rec.header.Type == RedactedType {
		return nil, fmt.Errorf("it is a redaction and must stay readable: %w", ErrRedacted)
	}
	if rec.redacted {
		return nil, fmt.Errorf("event %d has blanked it: %w", rec.by, ErrRedacted)
	}
	return redactedRecord(rec.leaf, by), nil
}

// record reads one stored record.
func (l *Log) record(ctx context.Context, offset int64) (record, error) {
	kv, err := l.db.Get(ctx, eventKey(offset))
	if errors.Is(err, store.ErrNotFound) {
		return record{}, ErrNotFound
	}
	if err != nil {
		return record{}, err
	}
	r, err := parseRecord(kv.Value)
	if err != nil {
		return record{}, fmt.Errorf("event %d: %w: %w", offset, ErrCorrupt, err)
	}
	return r, nil
}
