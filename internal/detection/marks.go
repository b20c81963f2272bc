package detection

import (
	"context"

	"github.com/tocsin-ops/tocsin/internal/observation"
)

// Observe gives an observation to judge. It waits while too much is waiting already: what happens on chains is never left out. When the
// detectors have ended it is: whoever saw it must not go on from there, see After.
func (s *Detectors) Observe(ctx context.Context, o observation.Observation) {
	s.give(ctx, batch{one: &o})
}

// After has f called once all that was given before is judged and written down: a crash loses none of it when whoever gave it goes on from
// there. Of the functions given under one key the newest is called only. Calls are one after the other and must be quick. f is not called when
// nothing can be written down, or when the detectors end before it was reached.
func (s *Detectors) After(ctx context.Context, key string, f func()) {
	s.give(ctx, batch{after: f, key: key})
}

func (s *Detectors) give(ctx context.Context, b batch) {
	select {
	case <-s.ended:
		return
	default:
	}
	select {
	case s.in <- b:
	case <-ctx.Done():
	case <-s.ended:
	}
}

// drain judges what was given before the end and wakes who still waits to give more. Only whoever runs judge calls it.
func (s *Detectors) drain() {
	close(s.ended)
	for {
		select {
		case b := <-s.in:
			s.one(b)
		default:
			return
		}
	}
}

// one judges one batch.
func (s *Detectors) one(b batch) {
	switch {
	case b.after != nil:
		s.marks[b.key] = b.after
	case b.one != nil:
		s.seen.Add(1)
		o := *b.one
		o.At = min(o.At, s.opt.Clock().UnixMilli())
		s.take(s.set.Observe(o))
	default:
		s.take(s.samples(b.samples))
	}
}

// written tells all who wait for it that what was judged so far is written down.
func (s *Detectors) written() {
	for _, f := range s.marks {
		f()
	}
	clear(s.marks)
}
