package metrics

import "sync/atomic"

// watchers are set before the first sample and never changed after.
type watchers struct {
	all, outside atomic.Pointer[func([]Sample)]
}

// Observe has f called with every batch of samples that was stored, whatever way
// it came: collectors, other replicas, senders, scraped targets, rules. Samples
// that were too old, refused, or only say that a series ended are not among
// them; the same sample may come again, as senders repeat themselves. f is called by whoever stores, from several goroutines at a time and in
// no order across series: it must be quick, never block and not keep or change
// the slice. It replaces the one before; nil ends it.
func (s *Store) Observe(f func([]Sample)) { set(&s.watch.all, f) }

// Tell is Observe for what came in from outside at this replica: senders,
// scraped targets and rules. It is for telling the other replicas.
func (s *Store) Tell(f func([]Sample)) { set(&s.watch.outside, f) }

func set(p *atomic.Pointer[func([]Sample)], f func([]Sample)) {
	if f == nil {
		p.Store(nil)
		return
	}
	p.Store(&f)
}

func (s *Store) watched() bool {
	return s.watch.all.Load() != nil || s.watch.outside.Load() != nil
}

func (s *Store) observed(list []Sample, outside bool) {
	if len(list) == 0 {
		return
	}
	if f := s.watch.all.Load(); f != nil {
		(*f)(list)
	}
	if f := s.watch.outside.Load(); f != nil && outside {
		(*f)(list)
	}
}
