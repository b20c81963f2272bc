package hub

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a Hub; the zero value is usable.
type Options struct {
	// Base returns the position of the topic's last change so far (-1: none).
	// It is asked once per opening of a topic, by the goroutine of Subscribe,
	// with no lock of the hub held and after Watched(topic) has become true:
	// it may take any lock of its own and call Publish, Watched and Open. It
	// must not call Subscribe. For "no gap" to hold, whoever changes a topic
	// makes the change visible to Base before it asks Watched or publishes.
	// nil means that no topic ever had a change.
	Base func(topic string) int64
	// Build names the program's build in every hello, so that a page of an older
	// one can load itself anew.
	Build string
	// Beat is the time between beats; 2 s by default.
	Beat time.Duration
	// Grace is how long a topic stays open without subscribers, so that a page
	// that is loaded again misses nothing; 60 s by default.
	Grace time.Duration
	// Workers is the number of delivering goroutines; GOMAXPROCS by default.
	Workers int
}

// probeEvery is the number of beats from one request for a sign of life to
// the next: 20 s by default, a third of the read deadline of hub/ws.
const probeEvery = 10

// beatAlways is the number of beats from one that everybody gets to the next;
// it divides probeEvery. The others are for those who heard nothing meanwhile.
const beatAlways = 5

// Hub is the set of open topics and their subscribers. All methods may be
// called from any goroutine.
type Hub struct {
	options Options
	workers []*worker
	stats   counters
	beat    atomic.Pointer[Message]
	beats   atomic.Int64
	here    sync.WaitGroup // subscribers that have not left

	mu      sync.RWMutex
	topics  map[string]*topic
	subs    map[*Subscriber]struct{}
	next    int // worker of the next subscriber
	stopped bool
}

// New returns a hub. Nothing is delivered until Run runs.
func New(o Options) *Hub {
	if o.Base == nil {
		o.Base = func(string) int64 { return -1 }
	}
	if o.Beat <= 0 {
		o.Beat = 2 * time.Second
	}
	if o.Grace <= 0 {
		o.Grace = time.Minute
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	h := &Hub{options: o, topics: map[string]*topic{}, subs: map[*Subscriber]struct{}{}}
	for i := range o.Workers {
		h.workers = append(h.workers, &worker{h: h, id: i, bell: make(chan struct{}, 1), cache: map[int64]*Batch{}})
	}
	return h
}

// Run delivers, beats and closes topics that nobody has watched for the grace
// period, until ctx ends; it returns when all of its goroutines have. Call
// Stop first: after Run nothing is delivered any more.
func (h *Hub) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, w := range h.workers {
		wg.Go(func() { w.run(ctx) })
	}
	beat := time.NewTicker(h.options.Beat)
	defer beat.Stop()
	sweep := time.NewTicker(max(h.options.Grace/4, time.Millisecond))
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			n := h.beats.Load() + 1
			h.beat.Store(beatMessage(n%probeEvery == 0))
			h.beats.Store(n)
			for _, w := range h.workers {
				w.mu.Lock()
				w.due = true
				w.mu.Unlock()
				w.ring()
			}
		case <-sweep.C:
			h.sweep(time.Now())
		}
	}
}

func (h *Hub) sweep(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, t := range h.topics {
		if t.refs == 0 && now.Sub(t.idle) >= h.options.Grace {
			delete(h.topics, name)
		}
	}
}

// Publish makes the frames available to the subscribers of their topics and
// returns at once, whatever the subscribers do; frames for topics that are not
// open are dropped. Frames of one topic in one call become visible together.
//
// The frames of a topic come from one publisher at a time, with a Seq that
// never falls. A frame that comes late is not sent: if its key already has a
// newer frame nothing is lost; if not, the topic is resynced for all whose page
// does not hold what was published last.
func (h *Hub) Publish(frames ...Frame) {
	now := time.Now()
	for i := 0; i < len(frames); {
		name := frames[i].Topic
		j := i + 1
		for j < len(frames) && frames[j].Topic == name {
			j++
		}
		h.publish(name, frames[i:j], now)
		i = j
	}
}

func (h *Hub) publish(name string, frames []Frame, now time.Time) {
	h.mu.RLock()
	t := h.topics[name]
	h.mu.RUnlock()
	if t == nil {
		return
	}
	news := false
	t.mu.Lock()
	for i := range frames {
		fresh, late := t.add(&frames[i], now)
		news = news || fresh
		if late {
			h.stats.late.Add(1)
		}
	}
	t.mu.Unlock()
	h.stats.published.Add(uint64(len(frames)))
	if news {
		for _, w := range h.workers {
			w.mark(t)
		}
	}
}

// Watched reports whether the topic is open. Whoever renders frames only for
// watched topics must do so for all changes while this is true, also when
// everybody has just left.
func (h *Hub) Watched(topic string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.topics[topic] != nil
}

// Open returns the names of the open topics, sorted.
func (h *Hub) Open() []string {
	h.mu.RLock()
	names := make([]string, 0, len(h.topics))
	for name := range h.topics {
		names = append(names, name)
	}
	h.mu.RUnlock()
	slices.Sort(names)
	return names
}

// End ends the subscriptions that match: each is sent {"type":"end","reason":
// reason} and closed with CloseRevoked. It returns how many it ended, without
// waiting for them. match must not call the hub.
func (h *Hub) End(match func(*Subscriber) bool, reason string) int {
	n := 0
	for _, s := range h.matching(match) {
		if s.end(revoked(reason)) {
			n++
		}
	}
	return n
}

func (h *Hub) matching(match func(*Subscriber) bool) (found []*Subscriber) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for s := range h.subs {
		if match(s) {
			found = append(found, s)
		}
	}
	return found
}

// Aside, after the name of an owner, is who lives by the same session while nobody looks: a program that keeps pages.
const Aside = "/aside"

// EndOwner ends all subscriptions of a revoked session or token, those aside too, as End does.
func (h *Hub) EndOwner(owner, reason string) int {
	return h.End(func(s *Subscriber) bool { return s.Owner == owner || s.Owner == owner+Aside }, reason)
}

// EndTopic ends one topic of the subscriptions that match: each is sent {"type":
// "end","topic":topic,"reason":reason} after what of the topic is under way, and
// nothing of the topic after that. Whoever has no other topic is ended as End
// does. It returns how many had the topic. match must not call the hub.
func (h *Hub) EndTopic(topic string, match func(*Subscriber) bool, reason string) int {
	n := 0
	for _, s := range h.matching(match) {
		if s.endTopic(topic, reason) {
			n++
		}
	}
	return n
}

// Stop refuses new subscribers, sends each present one {"type":"bye",
// "retry_ms": at random, the longer the more there are, at most 2000}, closes it
// with CloseShutdown, and returns when all have left or ctx ends. Up to 200 are
// told at once, more over at most a second, so that neither this process nor
// the one they go to meets all of them in one moment. They leave within a few
// seconds, even if they do not read.
func (h *Hub) Stop(ctx context.Context) error {
	h.mu.Lock()
	h.stopped = true
	subs := make([]*Subscriber, 0, len(h.subs))
	for s := range h.subs {
		subs = append(subs, s)
	}
	h.mu.Unlock()
	tick := time.NewTicker(partEvery)
	defer tick.Stop()
	for part := range slices.Chunk(subs, max(partLeast, len(subs)/partsMost+1)) {
		for _, s := range part {
			s.end(bye(len(subs)))
		}
		if s := part[len(part)-1]; s != subs[len(subs)-1] {
			select {
			case <-tick.C:
			case <-ctx.Done(): // no time left: the rest at once
			}
		}
	}
	gone := make(chan struct{})
	go func() { h.here.Wait(); close(gone) }()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop hub with %d connections left: %w", h.Stats().Connections, ctx.Err())
	}
}

// Stopping reports whether Stop has been called.
func (h *Hub) Stopping() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.stopped
}

func (h *Hub) release(s *Subscriber) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
	for i := range s.seats {
		t := s.seats[i].t
		if t.refs--; t.refs == 0 {
			t.idle = now
		}
	}
}
