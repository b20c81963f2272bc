package hub

import (
	"context"
	"sync"
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
	done chan struct{} // of leave: closed when obeyed; may be nil
}

// worker owns a share of the subscribers: their cursors while they are not
// stalled, and its rows of every topic. Its inbox is bounded by the
// subscribers (join and leave once each, resume once per stall, look while a
// post waits and once for each topic that ends for one) and by the open topics
// (each once).
type worker struct {
	h    *Hub
	id   int
	bell chan struct{} // holds 1: "there is something"

	mu     sync.Mutex
	runs   bool
	orders []order
	dirty  []*topic
	due    bool // a beat is due

	// Owned by run.
	subs  []*Subscriber
	last  *Batch           // of the topic at hand: the one written last that others may share
	cache map[int64]*Batch // of the topic at hand: all such, by cursor
	tally tally
}

func (w *worker) ring() {
	select {
	case w.bell <- struct{}{}:
	default:
	}
}

// order reports whether the worker runs, and so will obey.
func (w *worker) order(o order) bool {
	w.mu.Lock()
	runs := w.runs
	w.orders = append(w.orders, o)
	w.mu.Unlock()
	w.ring()
	return runs
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
	w.mu.Lock()
	w.runs = true
	w.mu.Unlock()
	defer w.quit()
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

		for _, o := range orders {
			w.obey(o)
		}
		for _, t := range dirty {
			w.round(t)
		}
		if due {
			w.offerBeat()
		}
		w.tally.settle()
		w.h.stats.add(&w.tally)
		clear(orders)
		clear(dirty)
		if cap(orders) > 1024 {
			orders = nil
		}
	}
}

// quit lets go of whoever waits for the worker: it writes no more.
func (w *worker) quit() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = false
	for _, o := range w.orders {
		if o.done != nil {
			close(o.done)
		}
	}
	w.orders = nil
}

func (w *worker) obey(o order) {
	s := o.s
	switch o.verb {
	case join:
		w.admit(s)
	case leave:
		w.part(s)
		if o.done != nil {
			close(o.done)
		}
		return
	case resume:
		w.goOn(s)
	case look:
		w.fetch(s)
	}
	for !s.left && !s.stalled && !s.apart.Load() {
		b := s.Next()
		if b == nil {
			break
		}
		n, full := s.sink.Write(b)
		s.Sent(b, n)
		w.tally.time(b, n)
		if full {
			w.halt(s)
			return // its slots are held already, or hold nothing yet
		}
	}
	w.store(s)
}

// admit gives s its slots. They are held until store.
func (w *worker) admit(s *Subscriber) {
	s.row = len(w.subs)
	w.subs = append(w.subs, s)
	sl := slot{s: s, held: true}
	if d, ok := s.sink.(Direct); ok {
		sl.write, sl.port = d.Port()
	}
	for i := range s.seats {
		st := &s.seats[i]
		st.row = len(st.t.rows[w.id])
		st.t.rows[w.id] = append(st.t.rows[w.id], sl)
	}
}

// part takes the slots of s away.
func (w *worker) part(s *Subscriber) {
	w.goOn(s) // a stall that Leave ends needs no Resume
	s.left = true
	last := len(w.subs) - 1
	w.subs[s.row] = w.subs[last]
	w.subs[s.row].row = s.row
	w.subs[last] = nil
	w.subs = w.subs[:last]
	for i := range s.seats {
		t, row := s.seats[i].t, s.seats[i].row
		rows := t.rows[w.id]
		last := len(rows) - 1
		if row != last {
			rows[row] = rows[last]
			moved := rows[row].s
			for j := range moved.seats {
				if moved.seats[j].t == t {
					moved.seats[j].row = row
				}
			}
		}
		rows[last] = slot{}
		t.rows[w.id] = rows[:last]
	}
}

func (w *worker) slot(st *seat) *slot { return &st.t.rows[w.id][st.row] }

// fetch brings the cursors from the slots to the seats and holds the slots.
func (w *worker) fetch(s *Subscriber) {
	if s.left || s.stalled {
		return
	}
	for i := range s.seats {
		sl := w.slot(&s.seats[i])
		s.seats[i].sent, sl.held = sl.sent, true
	}
}

// store brings the cursors from the seats to the slots: rounds write them now.
func (w *worker) store(s *Subscriber) {
	if s.left || s.stalled {
		return
	}
	for i := range s.seats {
		st := &s.seats[i]
		sl := w.slot(st)
		sl.sent, sl.since, sl.held = st.sent, st.since, st.told
	}
}

// round writes to all what the topic had when the round began. What comes
// meanwhile is left to the next, where it shares a write with what came with it.
func (w *worker) round(t *topic) {
	head := t.head.Load()
	rows := t.rows[w.id]
	for i := range rows {
		sl := &rows[i]
		if sl.held || sl.sent >= head {
			continue
		}
		// Nearly all are at the same cursor: they share one batch and its bytes.
		if b := w.last; b != nil && b.from == sl.sent && sl.since < b.low && sl.write != nil {
			n := sl.write(sl.port, b.wire)
			if n != len(b.wire) {
				taken, full := sl.s.sink.(Direct).Short(b, n)
				w.took(sl, b, taken, full)
				continue
			}
			w.tally.whole(b)
			sl.sent, sl.heard = b.to, true
			if b.to >= head {
				continue
			}
		}
		w.offer(t, sl, head)
	}
	w.last = nil
	clear(w.cache)
}

// offer writes what the slot has not had yet, up to head.
func (w *worker) offer(t *topic, sl *slot, head int64) {
	for !sl.held && sl.sent < head {
		b := w.cache[sl.sent]
		if b == nil || sl.since >= b.low {
			var to int64
			if b, to = t.pending(sl.sent, sl.since); b == nil {
				sl.sent = to
				return
			}
			if b.lossless && b.whole {
				w.cache[sl.sent] = b
			}
		}
		n, full := sl.s.sink.Write(b)
		w.took(sl, b, n, full)
		if b.lossless && b.whole && b.wire != nil {
			w.last = b
		}
	}
}

// took moves the cursor of the slot past the first n messages of b.
func (w *worker) took(sl *slot, b *Batch, n int, full bool) {
	if n > 0 {
		w.tally.count(b, n, 1)
		sl.sent, sl.heard = b.reached(n), true
	}
	w.tally.time(b, n)
	if full {
		w.stall(sl.s)
	}
}

// offerBeat comes after the frames of the same round: a beat tells the client
// that it has all of the Seq it saw last. Who heard frames since the last beat
// is spared most beats: frames are a sign of life as well, and a write each.
func (w *worker) offerBeat() {
	n := w.h.beats.Load()
	b := &Batch{messages: []*Message{w.h.beat.Load()}, to: n}
	for _, s := range w.subs {
		if s.stalled || s.beat >= n || !s.greeted {
			continue
		}
		heard := false
		for i := range s.seats {
			sl := w.slot(&s.seats[i])
			heard = heard || sl.heard
			sl.heard = false
		}
		if heard && n%beatAlways != 0 {
			s.beat = n
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

// stall gives s, with its cursors, to its sink.
func (w *worker) stall(s *Subscriber) {
	w.fetch(s)
	w.halt(s)
}

// halt is stall where the cursors are in the seats already.
func (w *worker) halt(s *Subscriber) {
	s.stalled = true
	w.tally.stalls++
	s.sink.Stall(s)
}

func (w *worker) goOn(s *Subscriber) {
	if s.stalled && !s.left {
		s.stalled = false
		w.tally.resumes++
	}
}
