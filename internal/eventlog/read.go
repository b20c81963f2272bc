package eventlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/store"
)

// PageSize is how many events Follow yields at most at a time, and what a limit
// of 0 or less means to Read and ReadStream. MaxRead bounds one read.
const (
	PageSize = 512
	MaxRead  = 4096
)

func bound(limit int) int {
	if limit <= 0 {
		return PageSize
	}
	return min(limit, MaxRead)
}

// Read returns events from offset from on, ascending, at most limit and MaxRead.
// Past the end it returns none. Every payload is checked against its leaf.
func (l *Log) Read(ctx context.Context, from int64, limit int) ([]Event, error) {
	from = max(from, 0)
	return l.span(ctx, from, from+int64(bound(limit)))
}

// span reads the events of [from, to) that exist.
func (l *Log) span(ctx context.Context, from, to int64) ([]Event, error) {
	return l.spanOf(ctx, from, to, "")
}

// spanOf is span, of the events of one stream if it is not empty.
func (l *Log) spanOf(ctx context.Context, from, to int64, stream string) ([]Event, error) {
	var records []record
	want := from - 1
	for kv, err := range l.db.Scan(ctx, store.Range{From: eventKey(from), To: eventKey(to)}) {
		if err != nil {
			return nil, fmt.Errorf("read events from %d: %w", from, err)
		}
		want++
		r, err := parseRecord(kv.Value)
		if err != nil {
			return nil, fmt.Errorf("read event %d: %w: %w", want, ErrCorrupt, err)
		}
		if !bytes.Equal(kv.Key, eventKey(want)) || r.header.Offset != want {
			return nil, fmt.Errorf("read event %d: found event %d in its place: %w", want, r.header.Offset, ErrCorrupt)
		}
		if stream == "" || r.header.Stream == stream {
			records = append(records, r)
		}
	}
	return l.events(ctx, records)
}

// events turns records into what readers see.
func (l *Log) events(ctx context.Context, records []record) ([]Event, error) {
	if len(records) == 0 {
		return nil, nil
	}
	out := make([]Event, len(records))
	for i := range records {
		r := &records[i]
		out[i] = r.header.event(json.RawMessage(r.payload))
		if r.redacted {
			out[i].Data = nil
			by, err := l.redactionOf(ctx, r)
			if err != nil {
				return nil, fmt.Errorf("read event %d: %w", r.header.Offset, err)
			}
			out[i].Redacted = &by
		}
		l.upcasters.apply(&out[i])
	}
	return out, nil
}

func (l *Log) redactionOf(ctx context.Context, r *record) (Redaction, error) {
	by, err := l.record(ctx, r.by)
	if err != nil {
		return Redaction{}, fmt.Errorf("its redaction: %w", err)
	}
	return by.redaction(r.header.Offset, r.header.Stream)
}

// redaction reads r as the log.redacted event that blanked the event at offset.
func (r *record) redaction(offset int64, stream string) (Redaction, error) {
	var why redaction
	if r.header.Type != RedactedType || r.header.Stream != stream || r.redacted ||
		json.Unmarshal(r.payload, &why) != nil || why.Offset != offset {
		return Redaction{}, fmt.Errorf("event %d does not redact it: %w", r.header.Offset, ErrCorrupt)
	}
	return Redaction{By: r.header.Actor, At: r.header.At, Reason: why.Reason}, nil
}

// ReadStream returns events of one stream from seq fromSeq (1 is the first) on,
// ascending, at most limit and MaxRead. No such stream: none. It asks the store
// once or twice where the events are and then for all of them at once, however
// much other streams lie between.
func (l *Log) ReadStream(ctx context.Context, stream string, fromSeq int64, limit int) ([]Event, error) {
	limit, fromSeq = bound(limit), max(fromSeq, 1)
	runs, err := l.runs(ctx, stream, fromSeq, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	var exact []span // and nothing else
	left := int64(limit)
	for _, r := range runs {
		if skip := fromSeq - r.seq; skip > 0 {
			r.offset, r.count = r.offset+skip, r.count-skip
		}
		if r.count = min(r.count, left); r.count <= 0 {
			continue
		}
		left -= r.count
		exact = append(exact, span{r.offset, r.offset + r.count})
	}
	found, err := l.readSpans(ctx, joined(exact), stream)
	if errors.Is(err, ErrCorrupt) { // the damage may be in an event of others
		found, err = l.readSpans(ctx, exact, stream)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	if int64(len(found)) != int64(limit)-left {
		return nil, fmt.Errorf("read %s: %d events where %d should be: %w", stream, len(found), int64(limit)-left, ErrCorrupt)
	}
	for i := range found {
		if found[i].Seq != fromSeq+int64(i) {
			return nil, fmt.Errorf("read %s: event %d is %d of it: %w", stream, found[i].Offset, found[i].Seq, ErrCorrupt)
		}
	}
	return found, nil
}

// run is one entry of a stream's index.
type run struct{ seq, offset, count int64 }

// runs are those that hold the events of a stream from fromSeq on, at most limit
// and one.
func (l *Log) runs(ctx context.Context, stream string, fromSeq int64, limit int) (out []run, err error) {
	prefix := string(nameKey(prefixStream, stream)) + "\x00"
	scan := func(r store.Range) error {
		for kv, err := range l.db.Scan(ctx, r) {
			if err != nil {
				return err
			}
			r := run{}
			if r.seq, err = numberAfter(prefix, kv.Key); err != nil {
				return err
			}
			if r.offset, r.count, err = parseRun(kv.Value); err != nil {
				return err
			}
			out = append(out, r)
		}
		return nil
	}
	if err := scan(store.Range{From: numKey(prefix, fromSeq), To: after(prefix), Limit: limit + 1}); err != nil {
		return nil, err
	}
	if fromSeq == 1 || len(out) > 0 && out[0].seq == fromSeq {
		return out, nil
	}
	// fromSeq is inside a run that starts before it, if it is at all.
	later := out
	out = nil
	if err := scan(store.Range{From: []byte(prefix), To: numKey(prefix, fromSeq), Limit: 1, Reverse: true}); err != nil {
		return nil, err
	}
	return append(out, later...), nil
}

// span is the offsets [from, to).
type span struct{ from, to int64 }

const (
	spanGap   = 64 // events of others that are read along rather than asked for around
	spansOnce = 16 // spans that are read at one time
)

// joined makes one of spans that lie close to one another.
func joined(spans []span) (out []span) {
	for _, s := range spans {
		if n := len(out); n > 0 && s.from >= out[n-1].to && s.from-out[n-1].to <= spanGap {
			out[n-1].to = s.to
		} else {
			out = append(out, s)
		}
	}
	return out
}

// readSpans reads the events of one stream in spans, several at a time.
func (l *Log) readSpans(ctx context.Context, spans []span, stream string) ([]Event, error) {
	parts := make([][]Event, len(spans))
	var group errgroup.Group
	group.SetLimit(spansOnce)
	for i, s := range spans {
		read := func() (err error) {
			parts[i], err = l.spanOf(ctx, s.from, s.to, stream)
			return err
		}
		if len(spans) == 1 {
			if err := read(); err != nil {
				return nil, err
			}
			break
		}
		group.Go(read)
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(parts...), nil
}

// StreamHead is the seq of the newest event of a stream, 0 when there is none.
func (l *Log) StreamHead(ctx context.Context, stream string) (int64, error) {
	prefix := string(nameKey(prefixStream, stream)) + "\x00"
	for kv, err := range l.db.Scan(ctx, store.Range{From: []byte(prefix), To: after(prefix), Limit: 1, Reverse: true}) {
		if err != nil {
			return 0, fmt.Errorf("head of %s: %w", stream, err)
		}
		seq, err := numberAfter(prefix, kv.Key)
		if err != nil {
			return 0, fmt.Errorf("head of %s: %w", stream, err)
		}
		_, count, err := parseRun(kv.Value)
		if err != nil {
			return 0, fmt.Errorf("head of %s: %w", stream, err)
		}
		return seq + count - 1, nil
	}
	return 0, nil
}

// ByCausation returns the events that one command caused, ascending, at most
// MaxRead; nil when there are none.
func (l *Log) ByCausation(ctx context.Context, id string) ([]Event, error) {
	if id == "" {
		return nil, nil
	}
	prefix := string(nameKey(prefixOf, id)) + "\x00"
	type part struct{ from, count int64 }
	var parts []part
	for kv, err := range l.db.Scan(ctx, store.Range{From: []byte(prefix), To: after(prefix), Limit: MaxRead}) {
		if err != nil {
			return nil, fmt.Errorf("events of %s: %w", id, err)
		}
		from, err := numberAfter(prefix, kv.Key)
		if err != nil {
			return nil, fmt.Errorf("events of %s: %w", id, err)
		}
		count, err := number(kv.Value)
		if err != nil {
			return nil, fmt.Errorf("events of %s: %w", id, err)
		}
		parts = append(parts, part{from, count})
	}
	var out []Event
	for _, p := range parts {
		events, err := l.span(ctx, p.from, p.from+min(p.count, int64(MaxRead-len(out))))
		if err != nil {
			return nil, fmt.Errorf("events of %s: %w", id, err)
		}
		out = append(out, events...)
	}
	return out, nil
}

// ByID returns the event with this id, or ErrNotFound.
func (l *Log) ByID(ctx context.Context, id string) (Event, error) {
	kv, err := l.db.Get(ctx, nameKey(prefixID, id))
	if errors.Is(err, store.ErrNotFound) {
		return Event{}, fmt.Errorf("event %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Event{}, fmt.Errorf("event %s: %w", id, err)
	}
	at, err := number(kv.Value)
	if err != nil {
		return Event{}, fmt.Errorf("event %s: %w", id, err)
	}
	events, err := l.span(ctx, at, at+1)
	if err == nil && (len(events) != 1 || events[0].ID != id) {
		err = ErrCorrupt
	}
	if err != nil {
		return Event{}, fmt.Errorf("event %s: %w", id, err)
	}
	return events[0], nil
}

// Follow yields every event from offset from on, in order, in pages of at most
// PageSize, first what is there and then what comes, without gap or repetition,
// for ever. What comes is shared with other followers and not to be changed; it
// may be newer than a store that lags behind its own watch shows. It ends without error when ctx ends; it yields at most one error, last.
// A follower that is slow only reads later: nothing is queued for it.
func (l *Log) Follow(ctx context.Context, from int64) iter.Seq2[[]Event, error] {
	return func(yield func([]Event, error) bool) {
		next := max(from, 0)
		atEnd := false // has seen the end, and not fallen behind since
		for ctx.Err() == nil {
			l.mu.Lock()
			size, grown := l.head.Size, l.grown // together: no wake-up is lost
			to := min(next+PageSize, size)
			var page []Event
			if atEnd && next < size {
				page = l.tail.page(next, to)
			}
			l.mu.Unlock()
			if next >= size {
				atEnd = true
				select {
				case <-grown:
				case <-ctx.Done():
				}
				continue
			}
			var err error
			if page == nil {
				atEnd = false
				page, err = l.span(ctx, next, to)
			}
			if ctx.Err() != nil {
				return
			}
			if err == nil && len(page) == 0 {
				err = fmt.Errorf("follow from %d of %d: %w", next, size, ErrCorrupt)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			next += int64(len(page))
			if !yield(page, nil) {
				return
			}
		}
	}
}
