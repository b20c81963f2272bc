package eventlog

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// check is one run of Verify. It holds about 130 bytes for each event.
type check struct {
	o      VerifyOptions
	key    string
	report Report
	known  []Checkpoint
	begun  bool
	bad    *Bad

	leaves  []tlog.Hash // of the headers; zero where a header could not be read
	want    []tlog.Hash // every stored hash that the leaves give
	differ  []bool      // by stored index: the log has another hash there
	gap     bool        // an event is missing: what follows it is not looked at
	streams map[string]*streamCheck
	names   []uint64 // by offset: of the event id
	causes  []uint64 // by offset: of the causation, 0 without
	places  []place
	led     []byte          // by offset: which indexes lead to the event
	claims  map[int64]int64 // redacted offset -> the log.redacted event that says so
	stubs   map[int64]int64 // blanked offset -> the event that its record names
	broken  map[int64]bool  // records that could not be read
	higher  []int64         // first leaves of hashes in upper tiles that differ
}

type streamCheck struct{ head int64 }

type place struct {
	stream *streamCheck
	seq    int64
}

const (
	ledByID = 1 << iota
	ledByStream
	ledByCause
)

// short stands for a name where keeping it would cost too much.
func short(s string) uint64 {
	if s == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(s))
	return binary.BigEndian.Uint64(sum[:]) | 1
}

// at says whether the event at offset is the one that is due, and faults if not.
func (c *check) at(offset int64) bool {
	due, size := int64(len(c.leaves)), c.report.Checkpoint.Size
	switch {
	case offset >= size:
		c.fault(offset, "it is in the store but after the tail: the signed checkpoint has %d events", size)
		return false
	case c.gap:
		return false
	case offset != due:
		c.gap = true
		c.fault(due, "it is missing; the next that is there is event %d", offset)
		return false
	}
	return true
}

// leaf takes the leaf of the next event. A nil leaf stands for one that could not
// be found in its record.
func (c *check) leaf(leaf []byte) (header, bool) {
	at := int64(len(c.leaves))
	hash := tlog.Hash{}
	if leaf != nil {
		hash = tlog.RecordHash(leaf)
	}
	c.leaves = append(c.leaves, hash)
	h, err := parseHeader(leaf)
	if err != nil {
		c.broken[at] = true
		c.fault(at, "%v", err)
		c.names, c.causes, c.places = append(c.names, 0), append(c.causes, 0), append(c.places, place{})
		return h, false
	}
	s := c.streams[h.Stream]
	if s == nil {
		s = &streamCheck{}
		c.streams[h.Stream] = s
	}
	if h.Offset != at {
		c.fault(at, "its header says that it is event %d: events were reordered", h.Offset)
	}
	if h.Seq != s.head+1 {
		c.fault(at, "its header says that it is number %d of %s, but number %d is due", h.Seq, h.Stream, s.head+1)
	}
	s.head = h.Seq
	c.names = append(c.names, short(h.ID))
	c.causes = append(c.causes, short(h.Causation))
	c.places = append(c.places, place{s, h.Seq})
	c.report.Leaves++
	return h, true
}

// record takes a stored record as the next event.
func (c *check) record(b []byte) {
	at := int64(len(c.leaves))
	leaf, _, err := splitRecord(b)
	if err != nil {
		c.leaf(nil)
		c.fault(at, "%v", err)
		return
	}
	h, ok := c.leaf(leaf)
	if !ok {
		return
	}
	r, err := parseRecord(b)
	if err != nil {
		c.broken[at] = true
		c.fault(at, "%v", err)
		return
	}
	if r.redacted {
		c.stubs[at] = r.by
		return
	}
	c.report.Payloads++
	if h.Type != RedactedType {
		return
	}
	var why redaction
	if err := json.Unmarshal(r.payload, &why); err != nil || why.Offset >= at || why.Offset < 0 || c.places[why.Offset].stream != c.streams[h.Stream] {
		c.fault(at, "it is a redaction that names no earlier event of its stream")
		return
	}
	switch by, ok := c.stubs[why.Offset]; {
	case !ok:
		c.fault(why.Offset, "event %d redacted it, but its payload is there again", at)
	case by != at:
		c.fault(why.Offset, "event %d redacted it, but its record names event %d", at, by)
	default:
		c.claims[why.Offset] = at
		c.report.Redacted = append(c.report.Redacted, RedactedEvent{
			Offset: why.Offset, Redaction: Redaction{By: h.Actor, At: h.At, Reason: why.Reason},
		})
	}
}

// grow computes the stored hashes of all leaves. It is called once, after them.
func (c *check) grow() error {
	if c.want != nil {
		return nil
	}
	n := tlog.StoredHashCount(int64(len(c.leaves)))
	c.want, c.differ, c.led = make([]tlog.Hash, 0, n), make([]bool, n), make([]byte, len(c.leaves))
	read := tlog.HashReaderFunc(c.read)
	for i, h := range c.leaves {
		hashes, err := tlog.StoredHashesForRecordHash(int64(i), h, read)
		if err != nil {
			return fmt.Errorf("hash event %d: %w", i, err)
		}
		c.want = append(c.want, hashes...)
	}
	return nil
}

// read is the tlog.HashReader over want.
func (c *check) read(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at < 0 || at >= int64(len(c.want)) {
			return nil, fmt.Errorf("hash %d of %d", at, len(c.want))
		}
		out[i] = c.want[at]
	}
	return out, nil
}

// compare holds one hash of the log against what the leaves give.
func (c *check) compare(index int64, got tlog.Hash) {
	if index < int64(len(c.want)) && c.want[index] != got {
		c.differ[index] = true
	}
}

// finish draws the conclusions once everything was read.
func (c *check) finish() {
	if err := c.grow(); err != nil {
		c.fault(-1, "%v", err)
		return
	}
	size := c.report.Checkpoint.Size
	have := int64(len(c.leaves))
	if have < size && !c.gap {
		c.fault(have, "it is missing: the signed checkpoint has %d events, so the tail was removed", size)
	}
	whole := have == size
	if whole {
		root, err := tlog.TreeHash(size, tlog.HashReaderFunc(c.read))
		whole = err == nil && root == c.report.Checkpoint.Root
	}
	c.hashes(whole)
	for target, by := range c.stubs {
		if c.broken[by] || (c.in(by) && c.differ[tlog.StoredHashIndex(0, by)]) {
			continue // the redaction is the one to blame
		}
		if have <= by && by < size {
			continue // what is missing is: the redaction was not reached, or is missing itself
		}
		if got, ok := c.claims[target]; !ok || got != by {
			c.fault(target, "its payload is gone, but event %d does not redact it", by)
		}
	}
	if have == size && !whole {
		known := int64(0)
		for _, k := range c.known {
			if c.contains(k) {
				known = max(known, k.Size)
			}
		}
		c.fault(-1, "the events do not give the signed root, and every stored hash was changed along with them; the first bad event is number %d or later", known)
	}
	for i, k := range c.known {
		if k.Size > have {
			continue
		}
		if !c.contains(k) {
			c.fault(-1, "the log was rewritten: its first %d events are not those of the signed checkpoint that was seen before", k.Size)
		} else if c.report.Known == nil || k.Size > c.report.Known.Size {
			c.report.Known = &c.known[i]
		}
	}
	c.report.Streams = len(c.streams)
	slices.SortFunc(c.report.Redacted, func(a, b RedactedEvent) int { return int(a.Offset - b.Offset) })
}

// contains says whether the leaves begin with the tree of k.
func (c *check) contains(k Checkpoint) bool {
	if k.Size > int64(len(c.leaves)) {
		return false
	}
	root, err := tlog.TreeHash(k.Size, tlog.HashReaderFunc(c.read))
	return err == nil && root == k.Root
}

// hashes names the first leaf whose stored hashes differ. A hash above one that
// differs follows from it and tells nothing. whole: the leaves give the signed
// root, so it is the stored hash that is wrong and not the leaf.
func (c *check) hashes(whole bool) {
	for i, differs := range c.differ {
		if !differs {
			continue
		}
		level, n := tlog.SplitStoredHashIndex(int64(i))
		if level > 0 && (c.differ[tlog.StoredHashIndex(level-1, 2*n)] || c.differ[tlog.StoredHashIndex(level-1, 2*n+1)]) {
			continue
		}
		first, last := n<<level, (n+1)<<level-1
		switch {
		case whole:
			c.fault(first, "the Merkle hash stored for events %d to %d is not the one they give", first, last)
		case level == 0:
			c.fault(first, "it is not what was appended: its leaf hash differs from the tree")
		default:
			c.fault(first, "one of the events %d to %d is not what was appended: their hash differs from the tree", first, last)
		}
	}
	for _, first := range c.higher {
		if c.bad == nil || c.bad.Offset < 0 {
			c.fault(first, "an upper tile has another hash for the events from here on than they give")
		}
	}
}
