package detect

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/tocsin-ops/tocsin/internal/detect/series"
)

// setVersion is that of the saved form of a Set.
const setVersion = 1

// savedSet is a Set without its Setup.
type savedSet struct {
	Version int               `json:"version"`
	Begun   bool              `json:"begun"`
	Now     int64             `json:"now"`
	Heard   int64             `json:"heard"`
	Ticked  int64             `json:"ticked"`
	Swept   int64             `json:"swept"`
	Late    int64             `json:"late,omitempty"`
	Drill   bool              `json:"drill,omitempty"`
	Chains  []savedWatch      `json:"chains,omitempty"`
	Rules   map[string][]byte `json:"rules,omitempty"` // heuristics by name
	Tracks  []savedTrack      `json:"tracks,omitempty"`

	Review allowance                  `json:"review,omitzero"`
	Ratios map[string]*ratioState     `json:"ratios,omitempty"`
	Means  map[string]*meanState      `json:"means,omitempty"`
	Groups map[string]*group          `json:"groups,omitempty"`
	Absent map[string]map[string]bool `json:"absent,omitempty"`
	Books  map[string]json.RawMessage `json:"books"` // by what they are about
	Voices *voices                    `json:"voices"`
	Heirs  []string                   `json:"heirs,omitempty"`
}

type savedTrack struct {
	Name    string            `json:"name"`
	Labels  map[string]string `json:"labels,omitempty"`
	Derived bool              `json:"derived,omitempty"`
	Det     []byte            `json:"det,omitempty"`
	Ranks   ranks             `json:"ranks,omitzero"`
	Last    int64             `json:"last"`
	Every   float64           `json:"every"`
	N       int64             `json:"n"`
	Over    bool              `json:"over,omitempty"`
	Weak    bool              `json:"weak,omitempty"`
	Worst   string            `json:"worst,omitempty"`
	Told    int64             `json:"told,omitempty"`
	Calm    int               `json:"calm,omitempty"`
	Since   int64             `json:"since,omitempty"`
	Absent  bool              `json:"absent,omitempty"`

	Reviewed int64 `json:"reviewed,omitempty"`
}

func (s *Set) books() []*book { return append(s.series.books(), s.forks, s.full) }

// saveBooks writes every book under the name of what it is about.
func (s *Set) saveBooks() (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for _, b := range s.books() {
		raw, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("save the findings of %s: %w", b.detector, err)
		}
		out[b.detector] = raw
	}
	return out, nil
}

// Save gives the whole state, findings not yet taken left out (there are none between calls).
func (s *Set) Save() ([]byte, error) {
	q := s.series
	out := savedSet{Version: setVersion, Begun: s.begun, Now: s.now, Heard: s.heard, Ticked: s.ticked, Swept: s.swept, Late: s.late, Drill: s.drill,
		Rules: map[string][]byte{}, Ratios: q.ratios, Review: q.review, Means: q.means, Groups: q.groups, Absent: q.absent, Voices: s.voices, Heirs: s.heirs}
	books, err := s.saveBooks()
	if err != nil {
		return nil, err
	}
	out.Books = books
	for _, w := range s.chains {
		c, err := w.save()
		if err != nil {
			return nil, fmt.Errorf("save chain %s: %w", w.facts.Name, err)
		}
		out.Chains = append(out.Chains, c)
	}
	for _, h := range s.rules {
		b, err := h.Save()
		if err != nil {
			return nil, fmt.Errorf("save detector %s: %w", h.Name(), err)
		}
		out.Rules[h.Name()] = b
	}
	tracks, err := openTracks(out, len(q.order))
	if err != nil {
		return nil, err
	}
	for _, t := range q.order {
		x := savedTrack{Name: t.name, Labels: t.labels, Derived: t.derived, Ranks: t.ranks, Reviewed: t.reviewed, Last: t.last, Every: t.every, N: t.n, Over: t.over, Weak: t.weak, Worst: t.worst, Told: t.told, Calm: t.calm,
			Since: t.since, Absent: t.absent}
		if t.det != nil {
			b, err := t.det.MarshalBinary()
			if err != nil {
				return nil, fmt.Errorf("save series %s: %w", t.id, err)
			}
			x.Det = b
		}
		if tracks, err = appendTrack(tracks, x); err != nil {
			return nil, err
		}
	}
	return closeTracks(tracks), nil
}

// Load takes what Save gave, into a new Set of the same Setup: everything goes on as if there had been no restart. What cannot be read as a
// whole is an error and changes nothing. A chain, heuristic or series whose own state cannot be read starts anew, and the error says which:
// the Set is then good to use.
func (s *Set) Load(b []byte) error {
	next := NewSet(s.setup)
	q := next.series
	in := savedSet{Voices: next.voices}
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("read the state of detection: %w", err)
	}
	if in.Version != setVersion || in.Voices == nil {
		return fmt.Errorf("read the state of detection: it is of version %d, this program reads %d", in.Version, setVersion)
	}
	next.begun, next.now, next.heard, next.ticked, next.swept, next.late, next.drill = in.Begun, in.Now, in.Heard, in.Ticked, in.Swept, in.Late, in.Drill
	for _, k := range next.books() {
		if err := json.Unmarshal(in.Books[k.detector], k); err != nil {
			return fmt.Errorf("read the findings of %s: %w", k.detector, err)
		}
		k.mend()
	}
	if next.voices.Pending == nil {
		next.voices.Pending = map[string]*pending{}
	}
	maps.DeleteFunc(next.voices.Pending, func(_ string, p *pending) bool { return p == nil })
	var anew []error
	for _, c := range in.Chains {
		if next.setup.ChainsElsewhere {
			break
		}
		w := next.chain(c.Name)
		if w == nil {
			continue
		}
		for _, n := range c.Nodes {
			next.ensure(w, n)
		}
		if c.Heights != nil {
			w.heights = c.Heights
		}
		w.top = c.Top
		if err := w.mon.UnmarshalBinary(c.Monitor); err != nil {
			anew = append(anew, fmt.Errorf("chain %s starts anew: %w", c.Name, err))
		}
		w.due = w.mon.Due()
	}
	for _, h := range next.rules {
		if raw := in.Rules[h.Name()]; raw == nil {
			continue
		} else if err := h.Load(raw); err != nil {
			anew = append(anew, fmt.Errorf("detector %s starts anew: %w", h.Name(), err))
		}
	}
	for _, x := range in.Tracks {
		t := q.track(x.Name, x.Labels, x.Last, x.Derived)
		if t == nil {
			continue
		}
		t.ranks, t.reviewed = x.Ranks, x.Reviewed
		t.last, t.every, t.n, t.over, t.weak, t.worst, t.told, t.calm, t.since, t.absent = x.Last, x.Every, x.N, x.Over, x.Weak, x.Worst, x.Told, x.Calm, x.Since, x.Absent
		if t.det == nil || x.Det == nil {
			continue
		}
		if err := t.det.UnmarshalBinary(x.Det); err != nil {
			t.det = series.New(series.Options{})
			anew = append(anew, fmt.Errorf("series %s starts anew: %w", t.id, err))
		}
	}
	q.review = in.Review
	maps.Copy(q.ratios, in.Ratios)
	maps.Copy(q.means, in.Means)
	maps.Copy(q.absent, in.Absent)
	for name, g := range in.Groups {
		if g != nil && len(g.Parts) > 0 {
			if q.groups[name] == nil {
				q.groups[name] = &group{}
			}
			q.groups[name].Parts = g.Parts // how many series there are is counted as they are taken on
		}
	}
	next.heirs, next.out = in.Heirs, nil
	*s = *next
	s.series.set = s
	return errors.Join(anew...)
}

// mend makes a book that was read whole.
func (b *book) mend() {
	if b.Entries == nil {
		b.Entries = map[string]*entry{}
	}
	if b.Turned == nil {
		b.Turned = map[string]bool{}
	}
	maps.DeleteFunc(b.Entries, func(_ string, e *entry) bool { return e == nil })
}
