package signal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"slices"
)

const shards = 64

// State is what the log says about the signals of one source: for each key the
// newest episode. It is a value: Apply returns a new State and never changes
// one that somebody holds, at the price of copying one 64th of the keys. The
// zero State is the empty one.
type State struct {
	// Source is the id of the source.
	Source string
	// Position is the offset of the last event applied, meaningful only when
	// that event had one.
	Position int64

	shard []map[string]*record // nil, or of length shards
	open  int
}

type record struct {
	sig   Signal // zero when only a Missed is known
	start int64  // newest start of sig, see Heard; at least sig.StartsAt
	reach int64  // firings that start at or before this are the past
	at    int64  // when reach was last told, our clock
}

func (r *record) begins(at int64) {
	r.sig.StartsAt = max(r.sig.StartsAt, at)
	r.start = max(r.start, at)
}

func slot(key string, drill bool) string {
	if drill {
		return "d" + key
	}
	return "r" + key
}

func shardOf(slot string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(slot))
	return int(h.Sum32() % shards)
}

func (s State) get(key string, drill bool) (record, bool) {
	if s.shard == nil {
		return record{}, false
	}
	k := slot(key, drill)
	r, ok := s.shard[shardOf(k)][k]
	if !ok {
		return record{}, false
	}
	return *r, true
}

func (s State) put(key string, drill bool, r record, now int64) State {
	k := slot(key, drill)
	n := shardOf(k)
	if s.shard == nil {
		s.shard = make([]map[string]*record, shards)
	} else {
		s.shard = slices.Clone(s.shard)
	}
	m := make(map[string]*record, len(s.shard[n])+1)
	for k2, r2 := range s.shard[n] {
		if r2.kept(now) {
			m[k2] = r2
		}
	}
	if old := s.shard[n][k]; old != nil && old.sig.State == StateOpen {
		s.open--
	}
	if r.sig.State == StateOpen {
		s.open++
	}
	m[k] = &r
	s.shard[n] = m
	return s
}

// Get returns the newest episode of a key.
func (s State) Get(key string, drill bool) (Signal, bool) {
	r, _ := s.get(key, drill)
	return r.sig, r.sig.ID != ""
}

// Len is the number of open signals.
func (s State) Len() int { return s.open }

// All yields the newest episode of every key that is open or was cleared less
// than Retention ago, in no particular order.
func (s State) All() iter.Seq[Signal] {
	return func(yield func(Signal) bool) {
		for _, m := range s.shard {
			for r := range maps.Values(m) {
				if r.sig.ID != "" && !yield(r.sig) {
					return
				}
			}
		}
	}
}

// Apply folds one event. It is total: an event that fits nothing changes
// nothing.
func Apply(s State, e Event) State {
	if s.Source == "" {
		s.Source = e.Source
	}
	s.Position = e.Offset
	switch b := e.Body.(type) {
	case Opened:
		r, _ := s.get(b.Key, e.Drill)
		r.sig = Signal{
			ID: b.Signal, Source: e.Source, Key: b.Key, Episode: b.Episode, Kind: b.Kind, Subject: b.Subject, Title: b.Title,
			Reason: b.Reason, Severity: b.Severity, Chain: b.Chain, Component: b.Component, Group: b.Group, Labels: b.Labels,
			Links: b.Links, Evidence: b.Evidence, Drill: e.Drill, State: StateOpen, OpenedAt: e.At, LastAt: e.At,
			StartsAt: b.StartsAt, Count: 1, Finding: b.Finding,
			Quiet: b.Quiet, Joint: b.Joint, OutUntil: b.OutUntil,
		}
		r.start = b.StartsAt
		return s.put(b.Key, e.Drill, r, e.At)
	case Updated:
		return s.amend(b.Key, b.Signal, e, func(r *record) {
			r.sig.Quiet = r.sig.Quiet.After(r.sig.Severity, b.Severity)
			r.sig.Severity, r.sig.Title, r.sig.Reason, r.sig.Finding = b.Severity, b.Title, b.Reason, b.Finding
			r.begins(b.StartsAt)
			r.sig.LastAt = max(r.sig.LastAt, e.At)
		})
	case Repeated:
		return s.amend(b.Key, b.Signal, e, func(r *record) {
			if b.Reason != "" {
				r.sig.Reason = b.Reason
			}
			r.begins(b.StartsAt)
			r.sig.Count++
			r.sig.LastAt = max(r.sig.LastAt, e.At)
		})
	case Acknowledged:
		return s.amend(b.Key, b.Signal, e, func(r *record) {
			r.sig.Acknowledged, r.sig.AcknowledgedBy = true, e.Actor
		})
	case Cleared:
		return s.amend(b.Key, b.Signal, e, func(r *record) {
			r.sig.State, r.sig.ClearedAt, r.sig.EndsAt = StateCleared, e.At, b.EndsAt
			r.reach, r.at = max(r.reach, b.Reach), e.At
		})
	case Quieted:
		return s.amend(b.Key, b.Signal, e, func(r *record) { r.sig.Quiet = &b.Quiet })
	case Released:
		return s.amend(b.Key, b.Signal, e, func(r *record) { r.sig.Quiet = nil })
	case Missed:
		r, _ := s.get(b.Key, e.Drill)
		r.reach, r.at = max(r.reach, b.Reach), e.At
		return s.put(b.Key, e.Drill, r, e.At)
	}
	return s
}

// amend changes the open episode with this id, if there is one.
func (s State) amend(key, id string, e Event, change func(*record)) State {
	r, ok := s.get(key, e.Drill)
	if !ok || r.sig.ID != id || r.sig.State != StateOpen {
		return s
	}
	change(&r)
	return s.put(key, e.Drill, r, e.At)
}

// signalID names one episode: "<source>-<12 hex digits>". The opening time is
// in it because a key may be forgotten after Retention and count from 1 again.
func signalID(source, key string, drill bool, episode int, openedAt int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", slot(key, drill), episode, openedAt))
	return source + "-" + hex.EncodeToString(sum[:6])
}
