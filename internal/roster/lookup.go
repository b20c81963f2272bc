package roster

import (
	"fmt"
	"slices"
	"sync"
	"time"
	_ "time/tzdata" // for machines without zone data: server and desktop alike

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/oncall"
)

// zones keeps the locations that were loaded: at most as many as there are names in the zone data.
type zones struct {
	mu     sync.Mutex
	loaded map[string]*time.Location
}

// Zone finds a location by its IANA name; it is read from the zone data once.
func (s *Service) Zone(name string) (*time.Location, error) {
	z := &s.zones
	z.mu.Lock()
	defer z.mu.Unlock()
	if l := z.loaded[name]; l != nil {
		return l, nil
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("zone %q: %w", name, err)
	}
	if z.loaded == nil {
		z.loaded = map[string]*time.Location{}
	}
	z.loaded[name] = l
	return l, nil
}

// Settings are the settings as they stand. What they hold must not be changed.
func (s *Service) Settings() oncall.Settings { return s.now.Load().Settings }

// History lists the newest changes, oldest first. What it holds must not be changed.
func (s *Service) History() []oncall.Done { return s.now.Load().History }

// Check says what is wrong with the settings at a moment (unix ms), or will be soon.
func (s *Service) Check(now int64) []oncall.Warning {
	return oncall.Check(s.Settings(), s.World(), now)
}

// Reachable lists the handles of all who can be paged: administrators and responders who have joined, in alphabetical order.
func (s *Service) Reachable() []string {
	var out []string
	for _, p := range s.who() {
		if reachable(p) {
			out = append(out, p.Handle)
		}
	}
	slices.Sort(out)
	return out
}

func reachable(p auth.Person) bool {
	return p.Standing == auth.Joined && (p.Role == auth.RoleAdministrator || p.Role == auth.RoleResponder)
}

func (s *Service) person(handle string) (name string, ok bool) {
	for _, p := range s.who() {
		if p.Handle == handle {
			return p.Name, reachable(p)
		}
	}
	return "", false
}

// Duty is who is on call in a schedule at a moment (unix ms). ok is false when there is no such schedule.
func (s *Service) Duty(schedule string, at int64) (d oncall.Duty, ok bool) {
	x, ok := s.Settings().Schedule(schedule)
	if !ok {
		return d, false
	}
	zone, err := s.Zone(x.Zone)
	if err != nil {
		return oncall.Duty{Why: "the zone " + x.Zone + " of the schedule is not known here"}, true
	}
	return x.At(at, zone), true
}

// OnCall says who is on call in a schedule at a moment (unix ms), and why; or why there is nobody. Who has left is not.
func (s *Service) OnCall(schedule string, at int64) ([]string, string) {
	x, ok := s.Settings().Schedule(schedule)
	if !ok {
		return nil, "there is no schedule " + schedule
	}
	d, _ := s.Duty(schedule, at)
	if d.Person == "" {
		return nil, x.Name + ": " + d.Why
	}
	if _, here := s.person(d.Person); !here {
		return nil, x.Name + ": " + d.Person + " has the turn but has left"
	}
	return []string{d.Person}, x.Name + ": " + d.Why
}

// Team lists who of a team can be paged; of oncall.Everybody, everybody who can be.
func (s *Service) Team(id string) []string {
	if id == oncall.Everybody {
		return s.Reachable()
	}
	t, ok := s.Settings().Team(id)
	if !ok {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(t.Members), func(h string) bool { _, here := s.person(h); return !here })
}
