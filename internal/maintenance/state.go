package maintenance

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Bounds.
const (
	MaxWindows = 200  // neither over nor cancelled
	maxKept    = 1000 // with those that are over: the oldest are forgotten here, the log keeps them
	MaxName    = 80
	MaxReason  = 300
	longest    = 90 * 24 * 3600_000 // ms, of a window that happens once
)

// Entry is one window with what is known of it beside.
type Entry struct {
	Window
	By   string // who planned it
	Made int64
	// The newest change, which Undo takes back.
	What      string
	Change    string // id of its event
	ChangedBy string
	ChangedAt int64
	before    *Window
	matcher   signal.Matcher
}

// State is what the log says of the windows. The zero State has none.
type State struct {
	Seq     int64
	windows map[string]*Entry
}

// Apply folds one event. A window whose scope cannot be read covers nothing.
func (s *State) Apply(e Event) {
	b := e.Body
	if b.Window.ID == "" {
		return
	}
	if s.windows == nil {
		s.windows = map[string]*Entry{}
	}
	x := s.windows[b.Window.ID]
	if x == nil {
		x = &Entry{By: e.Actor, Made: e.At}
		s.windows[b.Window.ID] = x
	}
	x.Window, x.before, x.What, x.Change, x.ChangedBy, x.ChangedAt = b.Window, b.Before, b.What, e.ID, e.Actor, e.At
	m, err := b.Window.Match.Compile()
	if err != nil || b.Window.Match.Empty() && b.Window.Loud == "" {
		x.Cancelled = true
	}
	x.matcher = m
	for len(s.windows) > maxKept {
		delete(s.windows, slices.MinFunc(slices.Collect(maps.Values(s.windows)), func(a, b *Entry) int { return cmp.Compare(a.ChangedAt, b.ChangedAt) }).ID)
	}
}

// Windows lists all, by their next beginning, then by id.
func (s *State) Windows() []Entry {
	out := make([]Entry, 0, len(s.windows))
	for _, x := range s.windows {
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.ID, b.ID)) })
	return out
}

// Get returns one window.
func (s *State) Get(id string) (Entry, bool) {
	if x := s.windows[id]; x != nil {
		return *x, true
	}
	return Entry{}, false
}

// Quiet is the mark of a signal at a time, nil when no window covers it: of
// several that do, the one that lasts longest. Drills are never quiet.
func (s *State) Quiet(g signal.Signal, now int64, zones Zones) *signal.Quiet {
	var best *signal.Quiet
	if g.Drill {
		return nil
	}
	for _, x := range s.windows {
		span, ok := x.At(now, zones)
		if !ok || !x.matcher.Matches(g) {
			continue
		}
		q := &signal.Quiet{By: signal.QuietMaintenance, Window: x.ID, Name: x.Name, Reason: x.Reason, Until: span.Until, Loud: x.Loud}
		if !q.Holds(g.Severity) {
			continue
		}
		if best == nil || q.Until > best.Until || q.Until == best.Until && q.Window < best.Window {
			best = q
		}
	}
	return best
}
