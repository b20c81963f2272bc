package hub

import (
	"context"
	"sync"
	"time"
)

type verb uint8

const (
	join verb = iota
	leave
	resume
	look
)

type order struct {
	verb verb
	s    *Subscriber
}

// worker owns a share of the subscribers: their cursors while they are not
// stalled, and its rows of every topic. Its inbox is bounded by the
// subscribers (join and leave once each, resume once per stall, look while a
// post waits) and by the open topics (each once).
type worker struct {
	h    *Hub
	id   int
	bell chan struct{} // holds 1: "there is something"

	mu     sync.Mutex
	orders []order
	dirty  []*topic
	due    bool // a beat is due

	// Owned by run.
	subs  []*Subscriber
	cache map[int64]*Batch // of the topic at hand, by cursor
	tally tally
}

func (w *worker) ring() {
	select {
	case w.bell <- struct{}{}:
	default:
	}
}

func (w *worker) order(v verb, s *Subscriber) {
	w.mu.Lock()
	w.orders = append(w.orders, order{v, s})
	w.mu.Unlock()
	w.ring()
}

// mark tells the worker that t has something new.
func (w *worker) mark(t *topic) {
	w.mu.Lock()
	told := t.marked[w.id]
	if !told {
		t.marked[w.id] = true
		w.dirty = append(w.dirty, t)
	}
	w.mu.Unlock()
	if !told {
		w.ring()
	}
}

func (w *worker) run(ctx context.Context) {
	var orders []order
	var dirty []*topic
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.bell:
		}
		w.mu.Lock()
		orders, w.orders = w.orders, orders[:0]
		dirty, w.dirty = w.dirty, dirty[:0]
		for _, t := range dirty {
			t.marked[w.id] = false
		}
		due := w.due
		w.due = false
		w.mu.Unlock()

		w.tally.now = time.Now()
		for _, o := range orders {
			w.obey(o)
		}
		for _, t := range dirty {
			for _, st := range t.rows[w.id] {
				if !st.s.stalled {
					w.offer(st)
				}
			}
			clear(w.cache)
		}
		if due {
			w.offerBeat()
		}
		w.h.stats.add(&w.tally)
		clear(orders)
		clear(dirty)
		if cap(orders) > 1024 {
			orders = nil
		}
	}
}

func (w *worker) obey(o order) {
	s := o.s
	switch o.verb {
	case join:
		s.row = len(w.subs)
		w.subs = append(w.subs, s)
		for i := range s.seats {
			st := &s.seats[i]
			st.row = len(st.t.rows[w.id])
			st.t.rows[w.id] = append(st.t.rows[w.id], st)
		}
	case leave:
		s.left = true
		last := len(w.subs) - 1
		w.subs[s.row] = w.subs[last]
		w.subs[s.row].row = s.row
		w.subs[last] = nil
		w.subs = w.subs[:last]
		for i := range s.seats {
			st := &s.seats[i]
			rows := st.t.rows[w.id]
			last := len(rows) - 1
			rows[st.row] = rows[last]
			rows[st.row].row = st.row
			rows[last] = nil
			st.t.rows[w.id] = rows[:last]
		}
		return
	case resume:
		s.stalled = false
	}
	for !s.left && !s.stalled {
		b := s.Next()
		if b == nil {
			return
		}
		n, full := s.sink.Write(b)
		s.Sent(b, n)
		w.tally.time(b, n)
		if full {
			w.stall(s)
		}
	}
}

// offer writes what the seat has not had yet. Seats at the same cursor, which
// is nearly all of them, share one batch and so one run of bytes.
func (w *worker) offer(st *seat) {
	for !st.s.stalled && st.sent < st.t.head.Load() {
		b := w.cache[st.sent]
		if b == nil || st.since >= b.low {
			var to int64
			if b, to = st.t.pending(st.sent, st.since); b == nil {
				st.sent = to
				return
			}
			if b.lossless && b.whole {
				w.cache[st.sent] = b
			}
		}
		n, full := st.s.sink.Write(b)
		if n > 0 {
			w.tally.count(b, n)
			st.advance(b, n)
		}
		w.tally.time(b, n)
		if full {
			w.stall(st.s)
		}
	}
}

// offerBeat comes after the frames of the same round: a beat tells the client
// that it has all of the Seq it saw last.
func (w *worker) offerBeat() {
	n := w.h.beats.Load()
	b := &Batch{messages: []*Message{w.h.beat.Load()}, to: n}
	for _, s := range w.subs {
		if s.stalled || s.beat >= n || !s.greeted {
			continue
		}
		taken, full := s.sink.Write(b)
		if taken == 1 {
			s.beat = n
		}
		if full {
			w.stall(s)
		}
	}
}

func (w *worker) stall(s *Subscriber) {
	s.stalled = true
	w.tally.stalls++
	s.sink.Stall(s)
}
