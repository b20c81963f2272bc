package web

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/tocsin-ops/tocsin/hub"
	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/views"
)

// Presence knows who has which topic open, on all replicas together. Its methods
// do not block, Changes apart, and may be called from any goroutine.
type Presence interface {
	// Enter says that a person has the topic open, until leave is called. Whoever
	// entered twice is there until both have left.
	Enter(topic, handle string) (leave func())
	// Who returns the handles of those in the topic, sorted, each once.
	Who(topic string) []string
	// Changes blocks until somebody came or went and returns the topics where;
	// changes that are not fetched yet are merged. The error is that of ctx.
	Changes(ctx context.Context) (topics []string, err error)
}

// leaveGrace is how long somebody who has gone is still shown, ms: whose page is
// loaded again, or comes back on another replica, was never away.
const leaveGrace = 5000

// attendance keeps who of this replica's sockets is in which room, and what of
// all replicas' presence is shown. A person is there by having a socket: the hub
// is asked who has, so that nobody stays who left in whatever way.
type attendance struct {
	presence Presence
	now      func() int64

	mu    sync.Mutex
	seats map[attendee]func()         // leave functions of those here; bounded by open sockets
	shown map[string]map[string]int64 // topic -> handle -> since when gone, 0 = there; bounded by open topics and those whose page was loaded in the last moments
}

type attendee struct{ owner, topic string }

func newAttendance(p Presence, now func() int64) *attendance {
	return &attendance{presence: p, now: now, seats: map[attendee]func(){}, shown: map[string]map[string]int64{}}
}

// enter is told after the socket stands. Several sockets of one session are one.
func (a *attendance) enter(owner, topic, handle string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k := (attendee{owner, topic}); a.seats[k] == nil {
		a.seats[k] = a.presence.Enter(topic, handle)
	}
}

// census lets those leave whose last socket on the topic is gone; nil: all.
func (a *attendance) census(h *hub.Hub) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.seats) == 0 {
		return
	}
	still, owners := map[attendee]bool{}, map[string]bool{}
	for k := range a.seats {
		owners[k.owner] = true
	}
	if h != nil {
		h.End(func(s *hub.Subscriber) bool { // ends nobody: it is the hub's way to look at all
			if owners[s.Owner] {
				for _, topic := range s.Topics() {
					still[attendee{s.Owner, topic}] = true
				}
			}
			return false
		}, "")
	}
	for k, leave := range a.seats {
		if !still[k] {
			leave()
			delete(a.seats, k)
		}
	}
}

// present returns who is shown in a room: those there, and those gone only just now.
func (a *attendance) present(topic string) []string {
	who, now := a.presence.Who(topic), a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	shown := a.shown[topic]
	if shown == nil {
		shown = map[string]int64{}
		a.shown[topic] = shown
	}
	for handle, gone := range shown {
		switch {
		case gone == 0:
			shown[handle] = now
		case now-gone >= leaveGrace:
			delete(shown, handle)
		}
	}
	for _, handle := range who {
		shown[handle] = 0
	}
	if len(shown) == 0 {
		delete(a.shown, topic)
	}
	return sortedKeys(shown)
}

// forget drops what is kept of rooms that nobody watches here.
func (a *attendance) forget(open []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.shown, func(topic string, _ map[string]int64) bool {
		_, watched := slices.BinarySearch(open, topic)
		return !watched
	})
}

const shownPeople = 12

// presentPresence is the row of the room: who holds a role first, then by name.
func (s *Server) presentPresence(topic string, st incident.State) views.Presence {
	handles := s.people.present(topic)
	p := views.Presence{Count: len(handles)}
	rank, roles := map[string]int{}, incident.Roles()
	for _, h := range handles {
		one := views.Present{Handle: h, Name: s.person(h)}
		rank[h] = len(roles)
		for i, role := range roles {
			if slices.ContainsFunc(st.Roles, func(r incident.Assignment) bool { return r.Person == h && r.Role == role }) {
				one.Role, rank[h] = string(role), i
				break
			}
		}
		p.People = append(p.People, one)
	}
	slices.SortStableFunc(p.People, func(x, y views.Present) int {
		return cmp.Or(cmp.Compare(rank[x.Handle], rank[y.Handle]), cmp.Compare(x.Name, y.Name))
	})
	p.People = p.People[:min(len(p.People), shownPeople)]
	return p
}

// attends makes a person with a live socket present in the rooms it shows.
func (s *Server) attends(a auth.Actor, topics []hub.TopicSince) {
	if a.Kind != auth.KindPerson {
		return // machines and walls are nobody
	}
	for _, t := range topics {
		if _, ok := room.Number(t.Topic); ok {
			s.people.enter(a.Owner(), t.Topic, a.ID)
		}
	}
}

// roomOf is the state of the incident that a topic shows.
func (s *Server) roomOf(ctx context.Context, topic string) (st incident.State, ok bool) {
	n, is := room.Number(topic)
	if !is {
		return st, false
	}
	err := s.World.LookInto(ctx, n, func(_ projection.View, found incident.State) { st = found })
	return st, err == nil && st.Declared
}
