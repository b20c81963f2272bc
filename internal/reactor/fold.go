package reactor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

const (
	readAtOnce = 2048
	// sweepAt is how many known signals make it worth looking for old ones.
	sweepAt = 20_000
)

// fold is what the correlator knows, from the log alone.
type fold struct {
	next    int64 // offset of the first event not folded
	rooms   map[int64]*known
	signals map[string]*sighting // by id: open ones, and those cleared less than signal.Retention ago
	sweep   int                  // size at which signals is swept again
}

// known is one incident. The state's timeline is kept empty: nothing here needs it.
type known struct {
	state    incident.State
	groups   map[string]bool // GroupIdentity of what was ever attached
	detached map[string]bool // ids and identities that a person took off
	lastAt   int64
	full     bool // it takes no more signals
}

// sighting is what is kept of a signal.
type sighting struct {
	identity, group string
	lastAt          int64 // newest firing that was logged
	clearedAt       int64
	touched         bool  // was ever attached to any incident
	room            int64 // the incident that it was last attached to and not taken off from
}

func newFold() *fold {
	return &fold{rooms: map[int64]*known{}, signals: map[string]*sighting{}, sweep: sweepAt}
}

// catchUp folds all that is durable now.
func (f *fold) catchUp(ctx context.Context, log Log) error {
	for f.next < log.Size() {
		page, err := log.Read(ctx, f.next, readAtOnce)
		if err != nil {
			return fmt.Errorf("read the log from %d: %w", f.next, err)
		}
		if len(page) == 0 {
			return nil
		}
		for _, e := range page {
			f.apply(e)
		}
		f.next = page[len(page)-1].Offset + 1
	}
	return nil
}

func (f *fold) apply(e eventlog.Event) {
	if source, ok := strings.CutPrefix(e.Stream, signal.StreamPrefix); ok {
		f.applySignal(source, e)
		return
	}
	if number, ok := room.Number(e.Stream); ok {
		f.applyIncident(number, e)
	}
}

func (f *fold) applySignal(source string, e eventlog.Event) {
	switch b := fact(source, e).Body.(type) {
	case signal.Opened:
		s := snapshot(source, e, b)
		f.signals[s.ID] = &sighting{identity: s.Identity(), group: s.GroupIdentity(), lastAt: e.At}
		f.forgetOld(e.At)
	case signal.Updated:
		f.heard(b.Signal, e.At)
	case signal.Repeated:
		f.heard(b.Signal, e.At)
	case signal.Cleared:
		if s := f.signals[b.Signal]; s != nil {
			s.clearedAt = e.At
		}
	}
}

// heard notes that an open signal fires on; its incident goes on with it.
func (f *fold) heard(id string, at int64) {
	s := f.signals[id]
	if s == nil {
		return
	}
	s.lastAt = max(s.lastAt, at)
	if r := f.holding(id); r != nil {
		r.lastAt = max(r.lastAt, at)
	}
}

func (f *fold) forgetOld(now int64) {
	if len(f.signals) < f.sweep {
		return
	}
	for id, s := range f.signals {
		if s.clearedAt != 0 && now-s.clearedAt > signal.Retention {
			delete(f.signals, id)
		}
	}
	f.sweep = max(sweepAt, 2*len(f.signals))
}

// sighted is the entry of a signal, made if it is not there.
func (f *fold) sighted(id string) *sighting {
	s := f.signals[id]
	if s == nil {
		s = &sighting{identity: id, clearedAt: 1} // its opening is unknown: redacted, or long ago
		f.signals[id] = s
	}
	return s
}

func (f *fold) applyIncident(number int64, e eventlog.Event) {
	r := f.rooms[number]
	if r == nil {
		r = &known{state: incident.New(number, ""), groups: map[string]bool{}, detached: map[string]bool{}}
		f.rooms[number] = r
	}
	body, err := incident.Decode(e.Type, e.Version, e.Data)
	if err != nil {
		return
	}
	fe := incident.Event{Meta: incident.Meta{ID: e.Causation, At: e.At, Actor: e.Actor, Drill: e.Drill}, Offset: e.Offset, EventID: e.ID, Body: body}
	if e.Redacted != nil {
		fe.Redacted = &incident.Redaction{By: e.Redacted.By, At: e.Redacted.At, Reason: e.Redacted.Reason}
	}
	before := r.state.Signals
	r.state = incident.Apply(r.state, fe)
	r.state.Timeline = incident.Timeline{}
	switch b := body.(type) {
	case incident.Declared:
		r.lastAt = max(r.lastAt, e.At)
	case incident.SignalDetached:
		if strings.HasPrefix(e.Actor, "person:") {
			r.detached[b.Signal] = true
			r.detached[f.sighted(b.Signal).identity] = true
		}
		f.moved(r, before)
	case incident.SignalsAttached, incident.Restated, incident.Blank:
		f.moved(r, before)
	}
}

// moved takes in which signals r has now and had not before, and the reverse.
func (f *fold) moved(r *known, before []incident.Signal) {
	had := make(map[string]bool, len(before))
	for _, g := range before {
		had[g.ID] = true
	}
	for _, g := range r.state.Signals {
		if had[g.ID] {
			delete(had, g.ID)
			continue
		}
		s := f.sighted(g.ID)
		s.touched, s.room = true, r.state.Number
		delete(r.detached, g.ID)
		delete(r.detached, s.identity)
		if s.group != "" {
			r.groups[s.group] = true
		}
		r.lastAt = max(r.lastAt, s.lastAt, g.OpenedAt)
	}
	for id := range had {
		if s := f.signals[id]; s != nil && s.room == r.state.Number {
			s.room = 0
		}
	}
}

// holding returns the incident that a signal is attached to, nil for none, and
// nil for a merged one, which takes no news.
func (f *fold) holding(id string) *known {
	s := f.signals[id]
	if s == nil || s.room == 0 {
		return nil
	}
	if r := f.rooms[s.room]; r != nil && r.state.MergedInto == 0 {
		return r
	}
	return nil
}

func (r *known) at(id string) int {
	return slices.IndexFunc(r.state.Signals, func(g incident.Signal) bool { return g.ID == id })
}

// candidates are the incidents that may still be joined.
func (f *fold) candidates() []signal.Candidate {
	var out []signal.Candidate
	for n, r := range f.rooms {
		s := r.state
		if !s.Declared || r.full || s.MergedInto != 0 || s.Status == incident.StatusResolved || s.Status == incident.StatusReviewed || len(s.Signals) >= incident.MaxSignals {
			continue
		}
		c := signal.Candidate{Number: n, Status: string(s.Status), Drill: s.Drill, Chains: s.Chains, Components: s.Components, LastAt: r.lastAt}
		for _, g := range s.Signals {
			// What a person attached says where the incident is; what was joined by
			// rule does not, or one incident would draw in the next by and by.
			if strings.HasPrefix(g.AttachedBy, "person:") {
				c.Chains, c.Components = append(slices.Clip(c.Chains), g.Chain), append(slices.Clip(c.Components), g.Component)
			}
		}
		c.Groups = slices.Collect(maps.Keys(r.groups))
		// A person said that these are one: what belonged there belongs here.
		for _, from := range s.Absorbed {
			if a := f.rooms[from]; a != nil {
				c.Chains, c.Components = append(slices.Clip(c.Chains), a.state.Chains...), append(slices.Clip(c.Components), a.state.Components...)
				c.Groups = slices.AppendSeq(c.Groups, maps.Keys(a.groups))
			}
		}
		c.Detached = slices.Collect(maps.Keys(r.detached))
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b signal.Candidate) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// taken is how many signals an incident holds.
func (f *fold) taken(number int64) int {
	if r := f.rooms[number]; r != nil {
		return len(r.state.Signals)
	}
	return 0
}
