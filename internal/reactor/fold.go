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
	// keptClosed is how many closed incidents keep their state: those that were
	// closed, or read again, last.
	keptClosed = 256
)

// fold is what the correlator knows, from the log alone.
type fold struct {
	log     Log
	next    int64 // offset of the first event not folded
	rooms   map[int64]*known
	closed  []int64              // those whose state goes next, in that order; at most kept
	kept    int                  // keptClosed
	signals map[string]*sighting // by id: open ones, and those cleared less than signal.Retention ago
	sweep   int                  // size at which signals is swept again
}

// known is what stays at hand of one incident.
type known struct {
	outline
	// state is nil for most closed incidents: fold.whole reads it again. Its
	// timeline is kept empty: nothing here needs it.
	state *incident.State

	groups   map[string]bool // GroupIdentity, and Identity of the Joint, of what was ever attached
	detached map[string]bool // ids and identities that a person took off
	lastAt   int64
	full     bool // it takes no more signals
}

// outline is of every incident there ever was.
type outline struct {
	Number     int64           `json:"number"`
	Declared   bool            `json:"declared,omitempty"`
	Drill      bool            `json:"drill,omitempty"`
	Status     incident.Status `json:"status,omitempty"`
	Chains     []string        `json:"chains,omitempty"`
	Components []string        `json:"components,omitempty"`
	MergedInto int64           `json:"merged_into,omitempty"`
	Absorbed   []int64         `json:"absorbed,omitempty"`
}

func outlineOf(s incident.State) outline {
	return outline{s.Number, s.Declared, s.Drill, s.Status, s.Chains, s.Components, s.MergedInto, s.Absorbed}
}

// open says whether signals may still join.
func (o outline) open() bool {
	return o.Declared && o.MergedInto == 0 && o.Status != incident.StatusResolved && o.Status != incident.StatusReviewed
}

// sighting is what is kept of a signal.
type sighting struct {
	identity, group string
	joint           string // Joint.Identity
	lastAt          int64  // newest firing that was logged
	clearedAt       int64
	touched         bool  // was ever attached to any incident
	room            int64 // the incident that it was last attached to and not taken off from
	// loose is the signal as it is now, bare, while it was never attached: more certainty or severity may yet place it.
	loose *signal.Signal
	grew  int64 // offset of the newest update that made it worse or more certain
}

// bare is what deciding where a signal belongs needs of it.
func bare(s signal.Signal) *signal.Signal {
	s.Labels, s.Links, s.Evidence = nil, nil, nil
	return &s
}

func newFold(log Log) *fold {
	return &fold{log: log, kept: keptClosed, rooms: map[int64]*known{}, signals: map[string]*sighting{}, sweep: sweepAt}
}

// catchUp folds all that is durable now.
func (f *fold) catchUp(ctx context.Context) error {
	for f.next < f.log.Size() {
		page, err := f.log.Read(ctx, f.next, readAtOnce)
		if err != nil {
			return fmt.Errorf("read the log from %d: %w", f.next, err)
		}
		if len(page) == 0 {
			return nil
		}
		for _, e := range page {
			if err := f.apply(ctx, e); err != nil {
				return err
			}
			f.next = e.Offset + 1
		}
	}
	return nil
}

func (f *fold) apply(ctx context.Context, e eventlog.Event) error {
	if source, ok := strings.CutPrefix(e.Stream, signal.StreamPrefix); ok {
		f.applySignal(source, e)
		return nil
	}
	if number, ok := room.Number(e.Stream); ok {
		return f.applyIncident(ctx, number, e)
	}
	return nil
}

// whole is the state of an incident as of next, without its timeline. It stays
// true, and in memory, until the next event.
func (f *fold) whole(ctx context.Context, r *known) (*incident.State, error) {
	if r.state != nil {
		return r.state, nil
	}
	s := incident.New(r.Number, "")
	for seq := int64(1); ; {
		page, err := f.log.ReadStream(ctx, room.Stream(r.Number), seq, 0)
		if err != nil {
			return nil, fmt.Errorf("read incident %d from %d: %w", r.Number, seq, err)
		}
		for _, e := range page {
			if e.Offset < f.next {
				s = incident.Apply(s, room.Decode(e))
				s.Timeline = incident.Timeline{}
			}
		}
		if len(page) < eventlog.PageSize {
			break
		}
		seq = page[len(page)-1].Seq + 1
	}
	r.state = &s
	f.letGo(r)
	return r.state, nil
}

// letGo takes the state of a closed incident, when its turn comes.
func (f *fold) letGo(r *known) {
	if r.open() {
		return
	}
	f.closed = append(f.closed, r.Number)
	if len(f.closed) > f.kept {
		if old := f.rooms[f.closed[0]]; !old.open() && old != r {
			old.state = nil
		}
		f.closed = slices.Delete(f.closed, 0, 1)
	}
}

func (f *fold) applySignal(source string, e eventlog.Event) {
	switch b := fact(source, e).Body.(type) {
	case signal.Opened:
		s := asOpened(source, e, b)
		f.signals[s.ID] = &sighting{identity: s.Identity(), group: s.GroupIdentity(), joint: s.Joint.Identity(), lastAt: e.At, loose: bare(s)}
		f.forgetOld(e.At)
	case signal.Updated:
		f.heard(b.Signal, e.At)
		if s := f.signals[b.Signal]; s != nil && s.loose != nil {
			next := *s.loose
			next.Quiet = next.Quiet.After(next.Severity, b.Severity)
			next.Severity, next.Title, next.Reason, next.Finding, next.LastAt = b.Severity, b.Title, b.Reason, b.Finding, max(next.LastAt, e.At)
			if signal.Rank(next.Severity) < signal.Rank(s.loose.Severity) || s.loose.Held() && !next.Held() || s.loose.Weak && !next.Weak || s.loose.Quiet != nil && next.Quiet == nil {
				s.grew = e.Offset
			}
			s.loose = &next
		}
	case signal.Repeated:
		f.heard(b.Signal, e.At)
	case signal.Quieted:
		if s := f.signals[b.Signal]; s != nil && s.loose != nil {
			next := *s.loose
			next.Quiet, s.loose = &b.Quiet, &next
		}
	case signal.Released:
		if s := f.signals[b.Signal]; s != nil && s.loose != nil {
			next := *s.loose
			next.Quiet, s.loose, s.grew = nil, &next, e.Offset
		}
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

func (f *fold) applyIncident(ctx context.Context, number int64, e eventlog.Event) error {
	r := f.rooms[number]
	if r == nil {
		s := incident.New(number, "")
		r = &known{outline: outlineOf(s), state: &s}
		f.rooms[number] = r
	}
	state, err := f.whole(ctx, r)
	if err != nil {
		return err
	}
	body, err := incident.Decode(e.Type, e.Version, e.Data)
	if err != nil {
		return nil
	}
	fe := incident.Event{Meta: incident.Meta{ID: e.Causation, At: e.At, Actor: e.Actor, Drill: e.Drill}, Offset: e.Offset, EventID: e.ID, Body: body}
	if e.Redacted != nil {
		fe.Redacted = &incident.Redaction{By: e.Redacted.By, At: e.Redacted.At, Reason: e.Redacted.Reason}
	}
	before, was := state.Signals, r.open()
	*state = incident.Apply(*state, fe)
	state.Timeline = incident.Timeline{}
	r.outline = outlineOf(*state)
	switch b := body.(type) {
	case incident.Declared:
		r.lastAt = max(r.lastAt, e.At)
	case incident.SignalDetached:
		f.sighted(b.Signal).touched = true // also when what attached it is blanked
		f.sighted(b.Signal).loose = nil
		if strings.HasPrefix(e.Actor, "person:") {
			note(&r.detached, b.Signal)
			note(&r.detached, f.sighted(b.Signal).identity)
		}
		f.moved(r, before)
	case incident.SignalsAttached, incident.Restated, incident.Blank:
		f.moved(r, before)
	case incident.SignalUpdated, incident.SignalsUpdated:
		if len(before) != len(state.Signals) { // what attached it is blanked
			f.moved(r, before)
		}
	}
	if was {
		f.letGo(r)
	}
	return nil
}

func note(set *map[string]bool, s string) {
	if *set == nil {
		*set = map[string]bool{}
	}
	(*set)[s] = true
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
		s.touched, s.room, s.loose = true, r.Number, nil
		delete(r.detached, g.ID)
		delete(r.detached, s.identity)
		if s.group != "" {
			note(&r.groups, s.group)
		}
		if s.joint != "" {
			note(&r.groups, s.joint)
		}
		r.lastAt = max(r.lastAt, s.lastAt, g.OpenedAt)
	}
	for id := range had {
		if s := f.signals[id]; s != nil && s.room == r.Number {
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
	if r := f.rooms[s.room]; r != nil && r.MergedInto == 0 {
		return r
	}
	return nil
}

func at(list []incident.Signal, id string) int {
	return slices.IndexFunc(list, func(g incident.Signal) bool { return g.ID == id })
}

// candidates are the incidents that may still be joined.
func (f *fold) candidates() []signal.Candidate {
	var out []signal.Candidate
	for n, r := range f.rooms {
		if !r.open() || r.full {
			continue
		}
		s := r.state // of open ones it is always there
		if len(s.Signals) >= incident.MaxSignals {
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
				c.Chains, c.Components = append(slices.Clip(c.Chains), a.Chains...), append(slices.Clip(c.Components), a.Components...)
				c.Groups = slices.AppendSeq(c.Groups, maps.Keys(a.groups))
			}
		}
		c.Detached = slices.Collect(maps.Keys(r.detached))
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b signal.Candidate) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// taken is how many signals an open incident holds.
func (f *fold) taken(number int64) int {
	if r := f.rooms[number]; r != nil && r.state != nil {
		return len(r.state.Signals)
	}
	return 0
}
