package notify

import (
	"maps"
	"sync"
)

// Tally names an outcome of attempts over routes of a kind.
type Tally struct{ Kind, Outcome string } // Kind: of the route; "none" for what concerns no route

// Figures are what an Office says of itself. Waiting and Oldest of one that does not send are 0; Told counts since this process began.
type Figures struct {
	Leads   bool
	Waiting int   // messages that no provider has taken yet
	Oldest  int64 // age in ms of the oldest of them
	Told    map[Tally]int64
}

// figures are kept by whoever sends. Told has at most a few dozen keys: kinds times outcomes.
type figures struct {
	mu     sync.Mutex
	leads  bool
	waits  int
	oldest int64 // unix ms of its making, 0: none
	told   map[Tally]int64
}

// Figures returns how it stands, as of about a second ago. It waits for nothing.
func (n *Office) Figures() Figures {
	f := &n.figures
	f.mu.Lock()
	defer f.mu.Unlock()
	out := Figures{Leads: f.leads, Waiting: f.waits, Told: maps.Clone(f.told)}
	if f.oldest > 0 {
		out.Oldest = max(0, n.Clock()-f.oldest)
	}
	return out
}

// add counts attempts, and messages that came to none.
func (f *figures) add(kind, outcome string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told == nil {
		f.told = map[Tally]int64{}
	}
	f.told[Tally{kind, outcome}] += int64(n)
}

// count looks at all that is in the outbox.
func (l *leader) count() {
	f := &l.n.figures
	waits, oldest := 0, int64(0)
	for _, d := range l.desks {
		for _, j := range d.jobs {
			if j.arrived || !j.busy && j.got() { // of a busy one its worker has the legs
				continue
			}
			if waits++; oldest == 0 || j.At < oldest {
				oldest = j.At
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leads, f.waits, f.oldest = true, waits, oldest
}

func (f *figures) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leads, f.waits, f.oldest = false, 0, 0
}
