package hub

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// topic is an open topic: the newest frame per key and the last keyless
// frames, in order of publication, each under a running index.
type topic struct {
	name  string
	ready chan struct{} // closed once the base is known

	refs int       // seats; guarded by Hub.mu
	idle time.Time // since when refs is 0; guarded by Hub.mu

	rows   [][]slot // rows[i] is owned by worker i
	marked []bool   // marked[i]: worker i has been told; guarded by worker i's mutex

	head atomic.Int64 // index of the newest frame, written under mu

	mu          sync.Mutex
	first, last *Message
	keys        map[string]*Message
	keyless     int
	bytes       int
	seq         int64 // highest Seq published
	opened      int64 // base at the time of opening
	// lost is the newest frame that is gone without a newer one in its place:
	// who is behind it and does not hold it in the page must resync.
	lostIndex, lostSeq int64
	resync             *Message // shared by all that resync at resync.index
}

func newTopic(name string, workers int) *topic {
	return &topic{
		name: name, ready: make(chan struct{}),
		rows: make([][]slot, workers), marked: make([]bool, workers),
		keys: map[string]*Message{},
		seq:  math.MinInt64, opened: math.MinInt64, lostSeq: math.MinInt64,
	}
}

// open sets the base: the position of the last change before the topic was
// open. Frames up to it that came in meanwhile are covered by it.
func (t *topic) open(base int64) {
	t.mu.Lock()
	t.opened, t.lostSeq = base, base
	for m := t.first; m != nil; {
		next := m.next
		if !m.transient && m.seq <= base {
			t.unlink(m)
		}
		m = next
	}
	t.mu.Unlock()
	close(t.ready)
}

// add takes the frame in and reports whether it is news, and whether it came
// late (see Hub.Publish). The caller holds t.mu.
func (t *topic) add(f *Frame, now time.Time) (news, late bool) {
	old := t.keys[f.Key]
	if f.Key == "" {
		old = nil
	}
	if !f.Transient {
		if f.Seq <= t.opened {
			return false, false
		}
		if f.Seq < t.seq {
			if old != nil && old.seq >= f.Seq {
				return false, true
			}
			t.lose(t.head.Add(1), t.seq)
			return true, true
		}
		t.seq = f.Seq
	}
	if old != nil {
		t.unlink(old)
	}
	m := &Message{Body: f.Body, key: f.Key, seq: f.Seq, transient: f.Transient, frame: true, at: now, index: t.head.Load() + 1}
	t.link(m)
	t.head.Store(m.index)
	for len(t.keys) > MaxKeys || t.keyless > MaxKeyless || t.bytes > MaxBytes {
		if t.first.transient {
			t.unlink(t.first) // no change of the log: nothing to make up for
		} else {
			t.lose(t.first.index, t.first.seq)
		}
	}
	return true, false
}

// lose makes everything up to index, and whatever a page at seq does not
// hold, a reason to resync. Both only ever rise.
func (t *topic) lose(index, seq int64) {
	for t.first != nil && t.first.index <= index {
		t.unlink(t.first)
	}
	t.lostIndex, t.lostSeq = index, max(t.lostSeq, seq)
}

func (t *topic) link(m *Message) {
	m.prev = t.last
	if t.last == nil {
		t.first = m
	} else {
		t.last.next = m
	}
	t.last = m
	t.bytes += len(m.Body)
	if m.key == "" {
		t.keyless++
	} else {
		t.keys[m.key] = m
	}
}

func (t *topic) unlink(m *Message) {
	if m.prev == nil {
		t.first = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		t.last = m.prev
	} else {
		m.next.prev = m.prev
	}
	m.prev, m.next = nil, nil
	t.bytes -= len(m.Body)
	if m.key == "" {
		t.keyless--
	} else {
		delete(t.keys, m.key)
	}
}

// pending returns what a cursor at index sent (-1: just arrived) whose page
// holds everything up to since has still to get, or nil and where the cursor
// may move to without sending anything.
func (t *topic) pending(sent, since int64) (b *Batch, to int64) {
	if sent >= t.head.Load() {
		return nil, sent
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	head := t.head.Load()
	if sent < t.lostIndex && since < t.lostSeq {
		if t.resync == nil || t.resync.index != head {
			t.resync = resyncMessage(t.name, max(t.lostSeq, t.seq))
			t.resync.index = head
		}
		return &Batch{messages: []*Message{t.resync}, from: sent, to: head, resync: true}, head
	}
	first := t.last
	for first != nil && first.index > sent {
		first = first.prev
	}
	if first == nil {
		first = t.first
	} else {
		first = first.next
	}
	b = &Batch{from: sent, to: head, low: math.MaxInt64, lossless: sent >= t.lostIndex, whole: true}
	size := 0
	for m := first; m != nil; m = m.next {
		if !m.transient && m.seq <= since {
			b.whole = false
			continue
		}
		if len(b.messages) > 0 && (size+len(m.Body) > batchBytes || len(b.messages) == batchMessages) {
			b.to = b.messages[len(b.messages)-1].index
			break
		}
		if !m.transient {
			b.low = min(b.low, m.seq)
		}
		size += len(m.Body)
		b.messages = append(b.messages, m)
	}
	if len(b.messages) == 0 {
		return nil, head
	}
	return b, b.to
}
