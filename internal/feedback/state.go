package feedback

import (
	"cmp"
	"maps"
	"slices"
)

// Bounds of what is remembered.
const (
	Days        = 30     // of the rates
	maxLabels   = 20_000 // newest judged findings; older ones stay in the counts and can only be judged anew
	maxChanges  = 200    // newest changes, for the page and for undo
	maxNames    = 500    // detectors; later ones are counted as Other
	Other       = "other"
	dayMS       = 86_400_000
	MaxNote     = 2000 // runes of a note
	maxDetector = 200
)

// Bounds of the strictness, in decades of tail probability: a detector may become ten times more sensitive than shipped, or a thousand times
// stricter, and no more, whatever people say. Each step is a quarter of a decade.
const (
	MostSensitive = -1.0
	Strictest     = 3.0
	Step          = 0.25
)

// State is what the events say. The zero State is the empty one. Apply changes it; it is not safe for concurrent use.
type State struct {
	Detectors map[string]*Detector `json:"detectors,omitempty"`
	Labels    map[string]Label     `json:"labels,omitempty"` // by signal
	Changes   []Change             `json:"changes,omitempty"`
	Seq       int64                `json:"seq"` // of the stream's newest event
}

// Label is the newest verdict on one finding.
type Label struct {
	Judged
	At int64  `json:"at"`
	By string `json:"by"`
}

// Change is one change of a threshold.
type Change struct {
	ID string `json:"id"`
	Changed
	At     int64  `json:"at"`
	By     string `json:"by"`
	Undone bool   `json:"undone,omitempty"`
}

// Detector is what is known of one detector.
type Detector struct {
	Name string `json:"name"`
	// True and False count labels on findings that alerted, Missed those that were only weak but true, Calm weak ones that were rightly so.
	True   int `json:"true,omitempty"`
	False  int `json:"false,omitempty"`
	Unsure int `json:"unsure,omitempty"`
	Missed int `json:"missed,omitempty"`
	Calm   int `json:"calm,omitempty"`
	// Strictness moves the threshold: tail probabilities are multiplied by 10 to this before they are compared.
	Strictness float64 `json:"strictness,omitempty"`
	Scored     bool    `json:"scored,omitempty"` // it has a threshold that can move
	// Since counts the labels after the newest change: only they argue for the next.
	SinceTrue, SinceFalse, SinceMissed int `json:",omitempty"`

	Alerts [Days]int `json:"alerts"` // openings by day, a ring: day number modulo Days
	Weak   [Days]int `json:"weak"`
	// Of the alerts of a day: confirmed by a second node, seen by one only, and those that could not be verified. The others need no second node.
	Confirmed    [Days]int `json:"confirmed"`
	OneNode      [Days]int `json:"one_node"`
	Unverifiable [Days]int `json:"unverifiable"`
	Day          int64     `json:"day"`   // number of the newest day in the rings
	First        int64     `json:"first"` // number of the first day that it was heard of
}

// Apply folds one event. It is total: what fits nothing changes nothing. Drills do not count.
func (s *State) Apply(e Event) {
	if e.Drill {
		return
	}
	switch b := e.Body.(type) {
	case Opened:
		d := s.detector(b.Detector, e.At)
		d.Scored = d.Scored || b.Scored
		if b.Weak {
			d.Weak[d.Day%Days]++
		} else {
			d.Alerts[d.Day%Days]++
			d.certain(b.Certain, d.Day, 1)
		}
	case Verified:
		d, day := s.detector(b.Detector, e.At), max(b.RaisedAt/dayMS, 0)
		d.certain(b.Before, day, -1)
		d.certain(b.After, day, 1)
	case Judged:
		s.judged(e, b)
	case Changed:
		d := s.detector(b.Detector, e.At)
		d.Strictness = b.After
		d.SinceTrue, d.SinceFalse, d.SinceMissed = 0, 0, 0
		for i := range s.Changes {
			if s.Changes[i].ID == b.Undoes {
				s.Changes[i].Undone = true
			}
		}
		s.Changes = append(s.Changes, Change{ID: e.ID, Changed: b, At: e.At, By: e.Actor})
		if len(s.Changes) > maxChanges {
			s.Changes = slices.Delete(s.Changes, 0, len(s.Changes)-maxChanges)
		}
	}
}

func (s *State) judged(e Event, b Judged) {
	d := s.detector(b.Detector, e.At)
	d.Scored = d.Scored || b.Bound > 0
	if old, ok := s.Labels[b.Signal]; ok {
		s.detector(old.Detector, e.At).count(old.Judged, -1)
	}
	b.Detector = d.Name
	d.count(b, 1)
	if s.Labels == nil {
		s.Labels = map[string]Label{}
	}
	s.Labels[b.Signal] = Label{Judged: b, At: e.At, By: e.Actor}
	if len(s.Labels) > maxLabels {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(s.Labels)), func(x, y string) int {
			return cmp.Or(cmp.Compare(s.Labels[x].At, s.Labels[y].At), cmp.Compare(x, y))
		})
		delete(s.Labels, oldest)
	}
}

func (d *Detector) count(b Judged, by int) {
	switch {
	case b.Verdict == Unsure:
		d.Unsure += by
	case b.Weak && b.Verdict == True:
		d.Missed += by
		if b.Bound <= 0 || b.Score > b.Bound { // what is weak by another rule than its score, no threshold makes an alarm
			d.SinceMissed = max(d.SinceMissed+by, 0)
		}
	case b.Weak:
		d.Calm += by
	case b.Verdict == True:
		d.True += by
		d.SinceTrue = max(d.SinceTrue+by, 0)
	default:
		d.False += by
		d.SinceFalse = max(d.SinceFalse+by, 0)
	}
}

// detector finds or makes one, with its rings moved to the day of at.
func (s *State) detector(name string, at int64) *Detector {
	name = name[:min(len(name), maxDetector)]
	if name == "" {
		name = Other
	}
	day := max(at/dayMS, 0)
	d := s.Detectors[name]
	if d == nil {
		if len(s.Detectors) >= maxNames && name != Other {
			return s.detector(Other, at)
		}
		if s.Detectors == nil {
			s.Detectors = map[string]*Detector{}
		}
		d = &Detector{Name: name, Day: day, First: day}
		s.Detectors[name] = d
	}
	d.move(day)
	return d
}

func (d *Detector) move(day int64) {
	if day-d.Day >= Days {
		d.Alerts, d.Weak, d.Confirmed, d.OneNode, d.Unverifiable = [Days]int{}, [Days]int{}, [Days]int{}, [Days]int{}, [Days]int{}
		d.Day = day
	}
	for d.Day < day {
		d.Day++
		i := d.Day % Days
		d.Alerts[i], d.Weak[i], d.Confirmed[i], d.OneNode[i], d.Unverifiable[i] = 0, 0, 0, 0, 0
	}
}

// certain counts an alert of a day that is still remembered; never below none.
func (d *Detector) certain(c Certainty, day int64, by int) {
	if day > d.Day || day <= d.Day-Days {
		return
	}
	ring := map[Certainty]*[Days]int{Confirmed: &d.Confirmed, OneNode: &d.OneNode, Unverifiable: &d.Unverifiable}[c]
	if ring != nil {
		ring[day%Days] = max(ring[day%Days]+by, 0)
	}
}

// Summary is a detector as a page shows it.
type Summary struct {
	Detector
	Labelled int
	// Precision is the share of right ones among the labelled alerts, Recall the share of alerts among all labelled true ones; -1 = no label yet.
	Precision, Recall float64
	// Low and High hold the precision with 95 % probability (the score interval of Wilson, 1927).
	Low, High float64
	PerDay    float64 // alerts a day over the last 30 days, or since it was first heard of
	WeakDaily float64
	Last      []int // alerts by day, oldest first, Days of them
	// How far the alerts of the last 30 days were confirmed; see Detector.
	Sure, Alone, Unsettled int
}

// Summaries lists all detectors at a time (unix ms), those with most alerts first, then by name.
func (s *State) Summaries(at int64) []Summary {
	out := make([]Summary, 0, len(s.Detectors))
	for _, d := range s.Detectors {
		out = append(out, d.summary(at))
	}
	slices.SortFunc(out, func(a, b Summary) int { return cmp.Or(cmp.Compare(b.PerDay, a.PerDay), cmp.Compare(a.Name, b.Name)) })
	return out
}

func (d Detector) summary(at int64) Summary {
	d.move(max(at/dayMS, d.Day))
	m := Summary{Detector: d, Labelled: d.True + d.False, Precision: -1, Recall: -1, Low: 0, High: 1}
	if m.Labelled > 0 {
		m.Precision = float64(d.True) / float64(m.Labelled)
		m.Low, m.High = wilson(d.True, m.Labelled)
	}
	if all := d.True + d.Missed; all > 0 {
		m.Recall = float64(d.True) / float64(all)
	}
	days := min(float64(Days), float64(d.Day-d.First)+1)
	for i := int64(Days) - 1; i >= 0; i-- {
		n := 0
		if day := d.Day - i; day >= 0 {
			n = d.Alerts[day%Days]
			m.WeakDaily += float64(d.Weak[day%Days])
			m.Sure, m.Alone, m.Unsettled = m.Sure+d.Confirmed[day%Days], m.Alone+d.OneNode[day%Days], m.Unsettled+d.Unverifiable[day%Days]
		}
		m.Last = append(m.Last, n)
		m.PerDay += float64(n)
	}
	m.PerDay /= days
	m.WeakDaily /= days
	return m
}
