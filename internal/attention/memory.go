package attention

import (
	"maps"
	"slices"
)

// Memory is what was told so far: a value, to be handed from one call to the
// next. A call never changes the Memory it is given. The zero Memory is a
// start; another room needs one of its own.
type Memory struct {
	told *told
}

// told is what a Memory holds; never changed once it is in one.
type told struct {
	last   State
	at     int64 // when last came, this computer's clock
	newest int64 // the highest number of an incident that was listed

	shown  map[int64]string  // incident -> key of the notice on screen that tells of it
	pages  map[string]string // page -> key of the notice on screen that tells of it
	missed map[int64]bool    // incidents whose news a quiet held back
	heard  int64             // when a page sounded last
}

func (m Memory) copy() *told {
	if m.told == nil {
		return &told{shown: map[int64]string{}, pages: map[string]string{}, missed: map[int64]bool{}}
	}
	t := *m.told
	t.shown, t.pages, t.missed = maps.Clone(t.shown), maps.Clone(t.pages), maps.Clone(t.missed)
	return &t
}

// keys are those of the notices on screen.
func (t *told) keys() map[string]bool {
	out := map[string]bool{}
	for _, k := range t.shown {
		out[k] = true
	}
	for _, k := range t.pages {
		out[k] = true
	}
	return out
}

// gone are those of onScreen that tell of nothing any more.
func (t *told) gone(onScreen map[string]bool) (keys []string) {
	left := t.keys()
	for k := range onScreen {
		if !left[k] {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// forget takes an incident off the screen's account.
func (t *told) forget(n int64) {
	delete(t.shown, n)
	delete(t.missed, n)
}

// quiet is the mode that holds at a time.
func (r Rules) quiet(at int64) Quiet {
	if r.Until != 0 && at >= r.Until {
		return Loud
	}
	return r.Quiet
}

// shows is true for severities that the floor lets through.
func (r Rules) shows(severity string) bool { return r.Floor == "" || rank(severity) <= rank(r.Floor) }

// rank orders severities: 1 is the worst, 6 is none that is known.
func rank(severity string) int {
	if len(severity) == 4 && severity[:3] == "SEV" && severity[3] >= '1' && severity[3] <= '5' {
		return int(severity[3] - '0')
	}
	return 6
}

// loud is how loud a severity may be.
func loud(severity string, drill bool) string {
	if drill && rank(severity) < 3 {
		return "SEV3"
	}
	return severity
}

// truncated is true when not everything that is open is listed.
func (s State) truncated() bool { return s.Open > len(s.Incidents) && len(s.Incidents) > 0 }

// listed is true when an incident as severe as i would have been on the list.
func (s State) listed(i Incident) bool {
	mildest := s.Incidents[len(s.Incidents)-1]
	if i.Drill != mildest.Drill {
		return mildest.Drill
	}
	return rank(i.Severity) < rank(mildest.Severity)
}

func (s State) incident(n int64) (Incident, bool) {
	for _, i := range s.Incidents {
		if i.Number == n {
			return i, true
		}
	}
	return Incident{}, false
}

// waits is the page about an incident that waits for the person.
func (s State) waits(n int64) (Page, bool) {
	for _, p := range s.Pages {
		if p.Incident == n {
			return p, true
		}
	}
	return Page{}, false
}

func (s State) page(id string) (Page, bool) {
	for _, p := range s.Pages {
		if p.ID == id {
			return p, true
		}
	}
	return Page{}, false
}
