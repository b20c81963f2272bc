package signal

import "iter"

// Record is one key of a State, for writing a State down and reading it again.
type Record struct {
	Key    string `json:"key"`
	Drill  bool   `json:"drill,omitempty"`
	Signal Signal `json:"signal,omitzero"` // of the newest episode; zero when only a resolve came
	Start  int64  `json:"start,omitempty"`
	Reach  int64  `json:"reach,omitempty"`
	At     int64  `json:"at,omitempty"`
}

// Records yields all that the state holds, in no particular order.
func (s State) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for _, m := range s.shard {
			for k, r := range m {
				if !yield(Record{Key: k[1:], Drill: k[0] == 'd', Signal: r.sig, Start: r.start, Reach: r.reach, At: r.at}) {
					return
				}
			}
		}
	}
}

// Recorded is the State of source whose last event was at position and whose
// Records these are.
func Recorded(source string, position int64, records iter.Seq[Record]) State {
	s := State{Source: source, Position: position}
	for r := range records {
		if s.shard == nil {
			s.shard = make([]map[string]*record, shards)
		}
		k := slot(r.Key, r.Drill)
		n := shardOf(k)
		if s.shard[n] == nil {
			s.shard[n] = map[string]*record{}
		}
		s.shard[n][k] = &record{sig: r.Signal, start: r.Start, reach: r.Reach, at: r.At}
		if r.Signal.State == StateOpen {
			s.open++
		}
	}
	return s
}

// Forget is the state without what was cleared more than Retention before now,
// which Apply forgets too, but only near the keys that it changes.
func (s State) Forget(now int64) State {
	copied := false
	for n, m := range s.shard {
		old := 0
		for _, r := range m {
			if !r.kept(now) {
				old++
			}
		}
		if old == 0 {
			continue
		}
		if !copied {
			s.shard, copied = append([]map[string]*record(nil), s.shard...), true
		}
		fresh := make(map[string]*record, len(m)-old)
		for k, r := range m {
			if r.kept(now) {
				fresh[k] = r
			}
		}
		s.shard[n] = fresh
	}
	return s
}

func (r *record) kept(now int64) bool { return r.sig.State == StateOpen || now-r.at <= Retention }
