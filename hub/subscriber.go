package hub

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// Sentinels of Subscribe.
var (
	ErrStopped = errors.New("hub is stopping")
	ErrTopics  = errors.New("too many topics or none")
)

// Sink takes the messages of one subscriber. Write and Stall are called by one
// worker, never both at once and never while the sink holds the subscriber;
// End may come from any goroutine at any time. None of them may block.
type Sink interface {
	// Write takes messages from the front of b and returns how many it has
	// taken for good: it will send those in order, or die. full, which goes with
	// fewer than b.Len(), says that it can take no more now; then Stall follows.
	Write(b *Batch) (n int, full bool)
	// Stall gives the subscriber to the sink: nothing is written until the
	// sink calls s.Resume. Meanwhile the sink may use s.Next and s.Sent from
	// one goroutine of its own.
	Stall(s *Subscriber)
	// End is called at most once: the sink sends e.Body, closes, and calls
	// s.Leave, all within a few seconds and on its own goroutine.
	End(e Ending)
}

// Direct is a Sink whose transport a worker may write to itself, without
// calling the sink: one plain function and a small number, which the worker
// keeps beside the cursor, so that a delivery touches one line of memory.
type Direct interface {
	Sink
	// Port is asked once, when the worker takes the subscriber; a nil write
	// means that the sink is called as any other. write never blocks, returns
	// how many bytes of p it has written, negative when the peer is gone, and is
	// not called once Detach has returned or while the sink holds the subscriber.
	Port() (write func(port int32, p []byte) int, port int32)
	// Short is told that write has taken only n bytes of b.Wire (negative: the
	// peer is gone) and answers as Write does.
	Short(b *Batch, n int) (taken int, full bool)
}

// Subscriber is one connection's place in the hub. Its memory is one cursor
// per topic; frames are never queued for it.
type Subscriber struct {
	// Owner is the session or token that the subscription lives by.
	Owner string

	h     *Hub
	w     *worker
	sink  Sink
	seats []seat
	post  atomic.Pointer[Message] // the newest answer of the transport, see Post
	ended atomic.Bool
	apart atomic.Bool // Detach or Leave was called: no worker begins to write

	// Owned by the worker, or by the sink between Stall and Resume, as the
	// cursors in seats are: while a worker writes rounds they are in its slots.
	greeted bool
	turn    int   // the seat that Next looks at first
	beat    int64 // number of the last beat sent

	// Owned by the worker.
	stalled, left bool
	row           int // in worker.subs
}

// seat is one subscriber's cursor into one topic.
type seat struct {
	t     *topic
	since int64                   // the page holds everything up to here
	sent  int64                   // index of the last frame sent or passed over; -1 at first
	row   int                     // in t.rows of the worker
	over  atomic.Pointer[Message] // the subscriber may not have the topic any more
	told  bool                    // and was told so
}

// slot is what a worker goes through in a round: a seat with all that a write
// needs. The slots of a topic lie side by side.
type slot struct {
	s           *Subscriber
	write       func(port int32, p []byte) int // nil: ask s.sink
	port        int32
	held        bool // the sink holds the subscriber, or it may not have the topic any more
	heard       bool // frames were written since the last beat
	sent, since int64
}

// Subscribe adds a subscriber and returns once its first messages (hello, then
// what each topic has after its since, or a resync message) are due. The same
// topic twice counts once, with the lower since. Options.Base runs on this
// goroutine for every topic that the call opens. The caller has authorized the
// topics; if that can change meanwhile, it checks again after Subscribe, since
// an EndOwner before it does not find the subscriber.
func (h *Hub) Subscribe(owner string, topics []TopicSince, sink Sink) (*Subscriber, error) {
	low := make(map[string]int64, len(topics))
	names := make([]string, 0, len(topics))
	for _, ts := range topics {
		if since, ok := low[ts.Topic]; !ok {
			names = append(names, ts.Topic)
			low[ts.Topic] = ts.Since
		} else {
			low[ts.Topic] = min(since, ts.Since)
		}
	}
	if len(names) == 0 || len(names) > MaxTopics {
		return nil, fmt.Errorf("subscribe to %d topics (at most %d): %w", len(names), MaxTopics, ErrTopics)
	}
	s := &Subscriber{Owner: owner, h: h, sink: sink, seats: make([]seat, len(names)), beat: h.beats.Load()}

	var opening []*topic
	h.mu.Lock()
	if h.stopped {
		h.mu.Unlock()
		return nil, ErrStopped
	}
	for i, name := range names {
		t := h.topics[name]
		if t == nil {
			t = newTopic(name, len(h.workers))
			h.topics[name] = t
			opening = append(opening, t)
		}
		t.refs++
		st := &s.seats[i]
		st.t, st.since, st.sent = t, low[name], -1
	}
	h.subs[s] = struct{}{}
	h.here.Add(1)
	s.w = h.workers[h.next%len(h.workers)]
	h.next++
	h.mu.Unlock()

	for _, t := range opening {
		t.open(h.options.Base(t.name))
	}
	for i := range s.seats {
		<-s.seats[i].t.ready
	}
	s.w.order(order{verb: join, s: s})
	return s, nil
}

// Detach returns when no worker writes to the sink any more: after it the
// transport may be closed. It waits for at most the round that is under way,
// and not at all when the hub does not run. Leave is still to be called.
func (s *Subscriber) Detach() {
	if !s.apart.CompareAndSwap(false, true) {
		return
	}
	s.ended.Store(true)
	done := make(chan struct{})
	if s.w.order(order{verb: leave, s: s, done: done}) {
		<-done
	}
}

// Leave ends the subscription from the sink's side; it is called exactly once,
// after Subscribe has returned, when the sink is closed. slow says that the peer did not take its messages.
func (s *Subscriber) Leave(slow bool) {
	if slow {
		s.h.stats.closedSlow.Add(1)
	}
	s.ended.Store(true)
	s.h.release(s)
	if s.apart.CompareAndSwap(false, true) {
		s.w.order(order{verb: leave, s: s})
	}
	s.h.here.Done()
}

// Topics returns the names of the topics subscribed to, without those ended.
func (s *Subscriber) Topics() []string {
	names := make([]string, 0, len(s.seats))
	for i := range s.seats {
		if st := &s.seats[i]; st.over.Load() == nil {
			names = append(names, st.t.name)
		}
	}
	return names
}

// Post sends one message to this subscriber alone, before anything else that
// is due. Only the newest unsent one is kept: it is meant for answers such as
// a pong, of which the last one counts.
func (s *Subscriber) Post(m *Message) {
	if s.post.Swap(m) == nil {
		s.w.order(order{verb: look, s: s})
	}
}

// Next returns what is due now, or nil. It is for the sink between Stall and
// Resume. It changes nothing: what of it was sent is told by Sent.
func (s *Subscriber) Next() *Batch {
	if !s.greeted {
		return &Batch{messages: []*Message{helloMessage(s.h.options.Build)}}
	}
	if m := s.post.Load(); m != nil {
		return &Batch{messages: []*Message{m}}
	}
	for i := range s.seats {
		st := &s.seats[(s.turn+i)%len(s.seats)]
		if m := st.over.Load(); m != nil {
			if !st.told {
				return &Batch{messages: []*Message{m}, seat: st, over: true}
			}
			continue
		}
		b, to := st.t.pending(st.sent, st.since)
		if b != nil {
			b.seat = st
			return b
		}
		st.sent = to
	}
	if n := s.h.beats.Load(); n > s.beat {
		return &Batch{messages: []*Message{s.h.beat.Load()}, to: n}
	}
	return nil
}

// Sent tells that the first n messages of the batch that Next returned last
// are sent, or will be before any other.
func (s *Subscriber) Sent(b *Batch, n int) {
	if n == 0 {
		return
	}
	switch m := b.messages[0]; {
	case b.over:
		b.seat.told = true
	case b.seat != nil:
		s.turn = (s.turn + 1) % len(s.seats)
		s.h.stats.count(b, n)
		b.seat.sent = b.reached(n)
	case !s.greeted:
		s.greeted = true
	case b.to > 0:
		s.beat = b.to
	default:
		s.post.CompareAndSwap(m, nil)
	}
}

// Resume gives the subscriber back to the hub. Nothing that is due is missed.
func (s *Subscriber) Resume() { s.w.order(order{verb: resume, s: s}) }

// reached is where a cursor is that has taken the first n > 0 messages.
func (b *Batch) reached(n int) int64 {
	if n == len(b.messages) {
		return b.to
	}
	return b.messages[n-1].index
}

func (s *Subscriber) end(e Ending) bool {
	if !s.ended.CompareAndSwap(false, true) {
		return false
	}
	s.sink.End(e)
	return true
}

// endTopic reports whether s had the topic until now.
func (s *Subscriber) endTopic(topic, reason string) bool {
	had, others := false, false
	for i := range s.seats {
		switch st := &s.seats[i]; {
		case st.t.name == topic:
			had = st.over.CompareAndSwap(nil, endMessage(topic, reason))
		case st.over.Load() == nil:
			others = true
		}
	}
	switch {
	case had && others:
		s.w.order(order{verb: look, s: s})
	case had:
		s.end(revoked(reason))
	}
	return had
}
