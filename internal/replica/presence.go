package replica

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
)

// tellMost is how many people, counted once for each topic, a replica tells the
// others of; beyond, they are known on their own replica only.
const tellMost = 5000

// Presence is who looks at which topic. It is known at once where they are and
// within a second elsewhere; who was on a replica that is gone is gone with it.
type Presence struct {
	nudge func()
	wake  chan struct{} // capacity 1

	mu      sync.Mutex
	here    map[string]map[string]int      // topic -> handle -> how often
	there   map[string]map[string][]string // replica -> topic -> handles
	changed map[string]bool                // topics, since Changes was last asked; bounded by the number of topics
}

// NewPresence returns the presence of one replica alone, which tells nobody.
func NewPresence() *Presence { return newPresence(func() {}) }

func newPresence(nudge func()) *Presence {
	return &Presence{
		nudge: nudge, wake: make(chan struct{}, 1),
		here: map[string]map[string]int{}, there: map[string]map[string][]string{}, changed: map[string]bool{},
	}
}

// Enter says that somebody looks at a topic, until leave is called; calling it
// again does nothing. Somebody may enter more than once.
func (p *Presence) Enter(topic, handle string) (leave func()) {
	p.count(topic, handle, 1)
	return sync.OnceFunc(func() { p.count(topic, handle, -1) })
}

func (p *Presence) count(topic, handle string, by int) {
	p.mu.Lock()
	people := p.here[topic]
	if people == nil {
		people = map[string]int{}
		p.here[topic] = people
	}
	was := people[handle]
	people[handle] = was + by
	if was+by == 0 {
		delete(people, handle)
	}
	if len(people) == 0 {
		delete(p.here, topic)
	}
	turned := (was == 0) != (was+by == 0)
	if turned {
		p.changed[topic] = true
	}
	p.mu.Unlock()
	if turned {
		p.ring()
		p.nudge()
	}
}

func (p *Presence) ring() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Who returns the handles of everybody at a topic, on all replicas, sorted.
func (p *Presence) Who(topic string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]bool{}
	for handle := range p.here[topic] {
		all[handle] = true
	}
	for _, topics := range p.there {
		for _, handle := range topics[topic] {
			all[handle] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Changes waits until somebody came or went and returns the topics, sorted,
// each once, however often it changed. There may be only one caller.
func (p *Presence) Changes(ctx context.Context) ([]string, error) {
	for {
		p.mu.Lock()
		if len(p.changed) > 0 {
			topics := slices.Sorted(maps.Keys(p.changed))
			p.changed = map[string]bool{}
			p.mu.Unlock()
			return topics, nil
		}
		p.mu.Unlock()
		select {
		case <-p.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// encode is what the others are told; nil when nobody is here.
func (p *Presence) encode() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	told, n := map[string][]string{}, 0
	for _, topic := range slices.Sorted(maps.Keys(p.here)) {
		handles := slices.Sorted(maps.Keys(p.here[topic]))
		handles = handles[:min(len(handles), tellMost-n)]
		if n += len(handles); len(handles) > 0 {
			told[topic] = handles
		}
	}
	if len(told) == 0 {
		return nil
	}
	value, err := json.Marshal(told)
	if err != nil {
		return nil
	}
	return value
}

// hearPresence takes who is on another replica; nil is nobody.
func (p *Presence) hearPresence(replica string, there map[string][]string) {
	p.mu.Lock()
	was := p.there[replica]
	for topic, handles := range there {
		if !slices.Equal(was[topic], handles) {
			p.changed[topic] = true
		}
	}
	for topic := range was {
		if _, still := there[topic]; !still {
			p.changed[topic] = true
		}
	}
	if len(there) == 0 {
		delete(p.there, replica)
	} else {
		p.there[replica] = there
	}
	any := len(p.changed) > 0
	p.mu.Unlock()
	if any {
		p.ring()
	}
}

// forgetOthers forgets everybody elsewhere: they are about to be heard anew.
func (p *Presence) forgetOthers() {
	p.mu.Lock()
	replicas := slices.Collect(maps.Keys(p.there))
	p.mu.Unlock()
	for _, r := range replicas {
		p.hearPresence(r, nil)
	}
}
