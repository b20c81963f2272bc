package projection

import (
	"maps"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/room"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

const (
	// sweepEvery is how many events lie between two looks for what is too old to
	// keep. It goes by offsets, so that every fold of a log forgets the same.
	sweepEvery = 1 << 16
	// sketchesAtOnce is how many incidents are folded side by side before the
	// closed ones of them become cards.
	sketchesAtOnce = 4096
)

// item is one event, decoded, with the stream that it is of.
type item struct {
	offset, seq, at int64
	stream          string
	redaction       bool
	incident        int64 // 0: of another stream
	fact            incident.Event
	source          string // "": of another stream
	heard           signal.Event
}

// decode turns a page of the log into what the cores take; it needs no order.
func decode(page []eventlog.Event) []item {
	out := make([]item, len(page))
	for i, e := range page {
		it := item{offset: e.Offset, seq: e.Seq, at: e.At, stream: e.Stream, redaction: e.Type == eventlog.RedactedType}
		if n, ok := room.Number(e.Stream); ok {
			it.incident, it.fact = n, room.Decode(e)
		} else if source, ok := strings.CutPrefix(e.Stream, signal.StreamPrefix); ok {
			it.source, it.heard = source, DecodeSignal(source, e)
		}
		out[i] = it
	}
	return out
}

// DecodeSignal turns an event of a signal stream into the core's. What cannot
// be read becomes a body that the core passes over.
func DecodeSignal(source string, e eventlog.Event) signal.Event {
	body, err := signal.Decode(e.Type, e.Version, e.Data)
	if err != nil {
		body = signal.Unknown{Name: e.Type}
	}
	return signal.Event{Source: source, Offset: e.Offset, EventID: e.ID, At: e.At, Actor: e.Actor, Drill: e.Drill, Body: body}
}

// fold is what is known at one position, but for the incidents that are held
// whole. It is changed in place by whoever owns it.
type fold struct {
	position int64
	cards    map[int64]incident.Card
	sources  map[string]source
	attached map[string]int64 // signal id -> incident; of signals in sources, and a few more until the next sweep
	changed  map[string]int64 // TopicBoard and so on -> position of the last change
	fresh    map[string]int64 // of these, since take
}

// source is a source's state with the seq of its newest event.
type source struct {
	state signal.State
	seq   int64
}

func newFold() fold {
	return fold{
		position: -1, cards: map[int64]incident.Card{}, sources: map[string]source{}, attached: map[string]int64{},
		changed: map[string]int64{}, fresh: map[string]int64{},
	}
}

func (f *fold) clone() fold {
	return fold{
		position: f.position, cards: maps.Clone(f.cards), sources: maps.Clone(f.sources), attached: maps.Clone(f.attached),
		changed: maps.Clone(f.changed), fresh: map[string]int64{},
	}
}

func (f *fold) touch(at int64, topics ...string) {
	for _, t := range topics {
		f.changed[t], f.fresh[t] = at, at
	}
}

// take returns what was touched since it was last called.
func (f *fold) take() map[string]int64 {
	out := maps.Clone(f.fresh)
	clear(f.fresh)
	return out
}

// mark notes what pages an event of an incident concerns.
func (f *fold) mark(it *item, public bool) {
	f.touch(it.offset, TopicBoard, TopicWall, TopicSignals)
	if public {
		f.touch(it.offset, TopicStatus)
	}
	f.sweep(it)
}

// other folds an event that is not of an incident.
func (f *fold) other(it *item) {
	f.touch(it.offset, TopicBoard, TopicWall)
	if it.source != "" {
		f.sources[it.source] = source{signal.Apply(f.sources[it.source].state, it.heard), it.seq}
		f.touch(it.offset, TopicSignals)
	}
	f.sweep(it)
}

// follow keeps the index from signal to incident. Lists that are the same
// memory are the same lists: no core changes one in place.
func (f *fold) follow(n int64, before, after []incident.Signal) {
	if len(before) == len(after) && (len(after) == 0 || &before[0] == &after[0]) {
		return
	}
	for _, s := range before {
		if f.attached[s.ID] == n {
			delete(f.attached, s.ID)
		}
	}
	for _, s := range after {
		f.attached[s.ID] = n
	}
}

// sweep forgets, every sweepEvery events, signals that were cleared long ago
// and who had them.
func (f *fold) sweep(it *item) {
	if it.offset%sweepEvery != sweepEvery-1 {
		return
	}
	kept := make(map[string]int64, len(f.attached))
	for id, src := range f.sources {
		src.state = src.state.Forget(it.at)
		f.sources[id] = src
		for g := range src.state.All() {
			if n, ok := f.attached[g.ID]; ok {
				kept[g.ID] = n
			}
		}
	}
	f.attached = kept
}
