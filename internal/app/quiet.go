package app

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// warnings passes on what is a warning or worse: the sample database tells of
// every step of its start.
type warnings struct{ slog.Handler }

// Enabled implements slog.Handler.
func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (w warnings) WithAttrs(a []slog.Attr) slog.Handler { return warnings{w.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }

// seldom passes on the same message at most once in a while: in an outage a
// store speaks of every attempt.
type seldom struct {
	slog.Handler
	last *said
}

// said is when each message was passed on; there are as many as the store's code has.
type said struct {
	mu sync.Mutex
	at map[string]time.Time
}

const sameEvery = time.Minute

func newSeldom(h slog.Handler) seldom { return seldom{h, &said{at: map[string]time.Time{}}} }

// Handle implements slog.Handler.
func (s seldom) Handle(ctx context.Context, r slog.Record) error {
	s.last.mu.Lock()
	was, again := s.last.at[r.Message]
	if again = again && r.Time.Sub(was) < sameEvery; !again {
		s.last.at[r.Message] = r.Time
	}
	s.last.mu.Unlock()
	if again {
		return nil
	}
	return s.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (s seldom) WithAttrs(a []slog.Attr) slog.Handler {
	return seldom{s.Handler.WithAttrs(a), s.last}
}

// WithGroup implements slog.Handler.
func (s seldom) WithGroup(name string) slog.Handler { return seldom{s.Handler.WithGroup(name), s.last} }
