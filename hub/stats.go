package hub

import (
	"sync/atomic"
	"time"
)

// Stats is a snapshot of the hub's counters. They count since New and never
// fall, except Connections, Topics and Stalled, which are current.
type Stats struct {
	Connections int
	Topics      int
	Published   uint64 // frames taken for an open topic
	Delivered   uint64 // frames handed to sinks, summed over subscribers
	Conflated   uint64 // frames that a subscriber did not get because a newer one took their place
	Resyncs     uint64 // resync messages handed to sinks
	Late        uint64 // frames published with a lower Seq than the topic had
	Stalls      uint64 // times that a sink was full
	Stalled     int    // sinks that are full now
	ClosedSlow  uint64 // connections closed because the peer did not read
	// Latency is the time from Publish until a frame is handed to the sink, in
	// seconds, for frames that had no stalled sink before them.
	Latency Histogram
}

// Histogram counts values by upper bound. Counts has one entry more than
// Bounds, for what is above the last; the counts are not cumulative.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Sum    float64
}

var bounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond,
}

type counters struct {
	published, delivered, conflated, resyncs, late, stalls, resumes, closedSlow atomic.Uint64

	latency [len(bounds) + 1]atomic.Uint64
	sum     atomic.Int64 // nanoseconds
}

// count counts what a sink took outside of a worker's round.
func (c *counters) count(b *Batch, n int) {
	var t tally
	t.count(b, n, 1)
	c.add(&t)
}

func (c *counters) add(t *tally) {
	c.delivered.Add(t.delivered)
	c.conflated.Add(t.conflated)
	c.resyncs.Add(t.resyncs)
	c.stalls.Add(t.stalls)
	c.resumes.Add(t.resumes)
	if t.timed {
		for i, n := range t.latency {
			c.latency[i].Add(n)
		}
		c.sum.Add(int64(t.sum))
	}
	*t = tally{}
}

// clockEvery is how many writes of one batch share one reading of the clock.
const clockEvery = 32

// tally collects one round of one worker before it is added to the counters.
type tally struct {
	same   *Batch // written as a whole
	writes uint64 // to so many subscribers since it was last settled

	delivered, conflated, resyncs uint64
	stalls, resumes               uint64
	timed                         bool
	latency                       [len(bounds) + 1]uint64
	sum                           time.Duration
}

// whole counts that one more subscriber was written all of b.
func (t *tally) whole(b *Batch) {
	if t.same != b || t.writes == clockEvery {
		t.settle()
		t.same = b
	}
	t.writes++
}

func (t *tally) settle() {
	if t.writes > 0 {
		t.count(t.same, len(t.same.messages), t.writes)
		t.clock(t.same, len(t.same.messages), t.writes)
	}
	t.same, t.writes = nil, 0
}

func (t *tally) count(b *Batch, n int, writes uint64) {
	if b.resync {
		t.resyncs += writes
		return
	}
	t.delivered += uint64(n) * writes
	if b.from >= 0 && b.whole && n == len(b.messages) {
		t.conflated += uint64(b.to-b.from-int64(n)) * writes
	}
}

// time counts the latency of one write.
func (t *tally) time(b *Batch, n int) { t.clock(b, n, 1) }

func (t *tally) clock(b *Batch, n int, writes uint64) {
	var now time.Time
	for _, m := range b.messages[:n] {
		if !m.frame || b.from < 0 { // from < 0: retained frames for a newcomer
			continue
		}
		if now.IsZero() {
			now = time.Now()
		}
		d := max(0, now.Sub(m.at))
		i := 0
		for i < len(bounds) && d > bounds[i] {
			i++
		}
		t.timed = true
		t.latency[i] += writes
		t.sum += d * time.Duration(writes)
	}
}

// Stats returns the counters.
func (h *Hub) Stats() Stats {
	h.mu.RLock()
	s := Stats{Connections: len(h.subs), Topics: len(h.topics)}
	h.mu.RUnlock()
	c := &h.stats
	s.Published, s.Delivered, s.Conflated, s.Resyncs = c.published.Load(), c.delivered.Load(), c.conflated.Load(), c.resyncs.Load()
	s.Late, s.Stalls, s.ClosedSlow = c.late.Load(), c.stalls.Load(), c.closedSlow.Load()
	s.Stalled = max(0, int(s.Stalls-c.resumes.Load()))
	s.Latency = Histogram{Bounds: make([]float64, len(bounds)), Counts: make([]uint64, len(c.latency)), Sum: time.Duration(c.sum.Load()).Seconds()}
	for i, b := range bounds {
		s.Latency.Bounds[i] = b.Seconds()
	}
	for i := range c.latency {
		s.Latency.Counts[i] = c.latency[i].Load()
	}
	return s
}
