// Package seat owns elections among the goroutines of one process, for engines
// that only one process can open; it never speaks to another process.
package seat

import (
	"context"
	"fmt"
	"sync"

	"github.com/tocsin-ops/tocsin/store"
)

// Seats is a store.Elector. The zero value is ready. A name costs a few bytes
// for as long as the process lives.
type Seats struct {
	mu     sync.Mutex
	byName map[string]chan struct{} // one slot: full while somebody leads
	ended  chan struct{}
	closed bool
}

// Lead is store.Elector.Lead. Leadership is lost only by Close. It returns
// store.ErrClosed after Close, and the error of ctx if that ends while waiting.
func (s *Seats) Lead(ctx context.Context, name string, run func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("lead %s: %w", name, err)
	}
	seat, ended, err := s.seat(name)
	if err != nil {
		return fmt.Errorf("lead %s: %w", name, err)
	}
	select {
	case seat <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("lead %s: %w", name, ctx.Err())
	case <-ended:
		return fmt.Errorf("lead %s: %w", name, store.ErrClosed)
	}
	defer func() { <-seat }()
	leading, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	watching := make(chan struct{})
	defer func() { lose(nil); <-watching }()
	go func() {
		defer close(watching)
		select {
		case <-ended:
			lose(store.ErrClosed)
		case <-leading.Done():
		}
	}()
	return run(leading)
}

func (s *Seats) seat(name string) (seat, ended chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, store.ErrClosed
	}
	if s.byName == nil {
		s.byName, s.ended = map[string]chan struct{}{}, make(chan struct{})
	}
	if s.byName[name] == nil {
		s.byName[name] = make(chan struct{}, 1)
	}
	return s.byName[name], s.ended, nil
}

// Close ends every leadership and every wait for one. It does not wait for the
// leaders to return.
func (s *Seats) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		if s.ended != nil {
			close(s.ended)
		}
	}
}
