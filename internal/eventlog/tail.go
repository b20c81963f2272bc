package eventlog

import (
	"bytes"
	"fmt"
	"slices"
	"sort"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-ops/tocsin/store"
)

// Bounds of what is kept of the newest events. Who needs older ones reads them.
const (
	tailEvents = 1024
	tailBytes  = 4 << 20
)

// tail is the newest events, which followers that wait at the end take from
// memory: nobody reads what this process has just written or been sent.
type tail struct {
	from   int64
	events []Event
	bytes  int
}

// add appends the events that make the log size long. If they do not follow on
// what is kept, they replace it; none forgets it.
func (t *tail) add(size int64, events []Event) {
	from := size - int64(len(events))
	if t.from+int64(len(t.events)) != from {
		*t = tail{from: from}
	}
	t.events = append(t.events, events...)
	for i := range events {
		t.bytes += len(events[i].Data)
	}
	drop := 0
	for len(t.events)-drop > tailEvents || t.bytes > tailBytes {
		t.bytes -= len(t.events[drop].Data)
		t.events[drop] = Event{}
		drop++
	}
	t.from, t.events = t.from+int64(drop), t.events[drop:]
}

// page returns the events of [from, to), or none when one is not kept.
func (t *tail) page(from, to int64) []Event {
	if from < t.from || to > t.from+int64(len(t.events)) {
		return nil
	}
	return slices.Clone(t.events[from-t.from : to-t.from])
}

// growth is what another replica appended in one Txn: everything that the leader
// has to know of it to append behind it.
type growth struct {
	rev     int64
	head    Checkpoint
	records []record
}

// maxGrowth bounds the records kept for a leader that does not append meanwhile;
// it then reads.
const maxGrowth = 4096

// see takes notice of one Txn, as the watch tells it. What the watch does not
// show whole is read when it is needed.
func (l *Log) see(change store.Change) error {
	l.mu.Lock()
	size, known := l.head.Size, change.Rev <= l.rev
	l.mu.Unlock()
	if known {
		return nil
	}
	g := growth{rev: change.Rev}
	blanked := false
	for _, op := range change.Ops {
		switch {
		case string(op.Key) == keyHead:
			head, err := ParseCheckpoint(op.Value, l.verifier)
			if err != nil {
				return fmt.Errorf("watch log: %w: %w", ErrCorrupt, err)
			}
			g.head = head
		case bytes.HasPrefix(op.Key, []byte(prefixEvent)):
			at, err := numberAfter(prefixEvent, op.Key)
			if err != nil {
				return err
			}
			if at < size {
				blanked = true
				continue
			}
			if r, err := parseRecord(op.Value); err == nil && r.header.Offset == at {
				g.records = append(g.records, r)
			} // else whoever reads it is told
		}
	}
	if g.head.Signed == "" {
		return nil
	}
	sort.Slice(g.records, func(i, j int) bool { return g.records[i].header.Offset < g.records[j].header.Offset })
	if !whole(g.records, size, g.head.Size) {
		g.records = nil
	}
	l.publish(g.head, g.rev, l.present(g.records), &g, blanked)
	return nil
}

// whole says that the records are exactly those of [from, to), all of them present.
func whole(records []record, from, to int64) bool {
	if int64(len(records)) != to-from {
		return false
	}
	for i := range records {
		if records[i].header.Offset != from+int64(i) || records[i].redacted {
			return false
		}
	}
	return true
}

// present are the events of records that are not redacted.
func (l *Log) present(records []record) []Event {
	out := make([]Event, len(records))
	for i := range records {
		out[i] = records[i].header.event(records[i].payload)
		l.upcasters.apply(&out[i])
	}
	return out
}

// catchUp brings the leader's tree to what the watch has told, without reading.
// It reports false when that is not all there is, and leaves the tree alone.
func (l *Log) catchUp() bool {
	l.mu.Lock()
	told, rev := l.told, l.rev
	l.told, l.toldRecords = nil, 0
	l.mu.Unlock()
	next := tip{rev: l.tip.rev, size: l.tip.size, edge: l.tip.edge.trim(l.tip.size)}
	heads := map[string]int64{}
	for _, g := range told {
		if g.rev <= l.tip.rev {
			continue
		}
		if !next.grow(g, heads) {
			return false
		}
	}
	if next.rev != rev {
		return false
	}
	l.follow(next, heads)
	return true
}

// grow appends g to t if it follows on it and gives the signed root.
func (t *tip) grow(g growth, heads map[string]int64) bool {
	if len(g.records) == 0 || g.records[0].header.Offset != t.size {
		return false
	}
	for i := range g.records {
		r := &g.records[i]
		if _, err := t.edge.add(t.size, tlog.RecordHash(r.leaf)); err != nil {
			return false
		}
		t.size++
		heads[r.header.Stream] = r.header.Seq
	}
	root, err := tlog.TreeHash(t.size, t.edge)
	if err != nil || t.size != g.head.Size || root != g.head.Root {
		return false
	}
	t.rev, t.edge = g.rev, t.edge.trim(t.size)
	return true
}

// follow makes next the leader's tree.
func (l *Log) follow(next tip, heads map[string]int64) {
	l.tip = next
	if len(l.heads)+len(heads) > maxHeads {
		clear(l.heads)
	}
	for stream, seq := range heads {
		l.heads[stream] = seq
	}
}
