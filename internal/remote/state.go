package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/whole"
)

// Reach is what is known of the way to the room.
type Reach struct {
	Up       bool      // it answers
	Heard    time.Time // its last word, kept over restarts; zero: never
	SignedIn bool      // there is a session here, and the room has not refused it
	Trouble  *Trouble  // why it is not Up; nil while it is, and while nothing was tried yet
}

// like reports whether two say the same but for the time.
func (a Reach) like(b Reach) bool {
	if a.Up != b.Up || a.SignedIn != b.SignedIn || (a.Trouble == nil) != (b.Trouble == nil) {
		return false
	}
	return a.Trouble == nil || *a.Trouble == *b.Trouble
}

// errAway ends what is under way when the room is found to be away.
var errAway = errors.New("the room cannot be reached")

// state is what is known of the way to the room.
type state struct {
	path  string
	clock func() time.Time

	mu      sync.Mutex
	now     Reach
	tried   bool               // something is known
	changed chan struct{}      // closed at each change, and then another
	life    context.Context    // of what is under way; ends when the room is found to be away
	end     context.CancelFunc // of life
	watched bool               // Run finds out when it is back
	gone    bool               // Run has returned
	saved   time.Time          // Heard as it is on disk
}

func openState(path string, clock func() time.Time) *state {
	s := &state{path: path, clock: clock, changed: make(chan struct{})}
	s.life, s.end = context.WithCancel(context.Background())
	if b, err := os.ReadFile(path); err == nil {
		s.now.Heard = parseHeard(b)
		s.saved = s.now.Heard
	}
	return s
}

type heardFile struct {
	Heard int64 `json:"heard"` // unix ms
}

func parseHeard(b []byte) time.Time {
	var f heardFile
	if len(b) > 1<<10 || json.Unmarshal(b, &f) != nil || f.Heard <= 0 || f.Heard > 1<<50 {
		return time.Time{}
	}
	return time.UnixMilli(f.Heard)
}

// save puts on disk when the room was last heard.
func (s *state) save() error {
	s.mu.Lock()
	heard, saved := s.now.Heard, s.saved
	s.saved = heard
	s.mu.Unlock()
	if heard.Equal(saved) {
		return nil
	}
	err := whole.Replace(s.path, func(w io.Writer) error {
		return json.NewEncoder(w).Encode(heardFile{Heard: heard.UnixMilli()})
	})
	if err != nil {
		return fmt.Errorf("keep when the room was last heard: %w", err)
	}
	return nil
}

func (s *state) wipe() error {
	s.mu.Lock()
	s.now.Heard, s.saved = time.Time{}, time.Time{}
	s.mu.Unlock()
	if err := os.Remove(s.path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("forget when the room was last heard: %w", err)
	}
	return nil
}

func (s *state) reach() Reach {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// away reports whether the room is known not to answer.
func (s *state) away() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried && !s.now.Up
}

// change applies f and tells whoever waits if that changed more than the time. The caller holds s.mu.
func (s *state) change(f func(*Reach)) {
	before := s.now
	f(&s.now)
	if !before.like(s.now) {
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// heard says that the room itself has just spoken.
func (s *state) heard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	back := s.tried && !s.now.Up
	s.tried = true
	s.change(func(r *Reach) { r.Up, r.Trouble, r.Heard = true, nil, s.clock() })
	if back && !s.gone {
		s.life, s.end = context.WithCancel(context.Background())
	}
}

// lost says that the room does not answer; what is under way is given up. It reports whether that is news. While nobody would find out that the room is
// back, each request tries for itself.
func (s *state) lost(t *Trouble) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.watched {
		return false
	}
	news := s.now.Up || !s.tried
	s.tried = true
	s.change(func(r *Reach) { r.Up, r.Trouble = false, t })
	s.end()
	return news
}

func (s *state) signed(in bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change(func(r *Reach) { r.SignedIn = in })
}

// close ends what is under way for good.
func (s *state) close() {
	_ = s.save() // the time of the last word is a little older then
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	s.end()
	close(s.changed)
	s.changed = make(chan struct{})
}

// during is what holds while the room answers.
func (s *state) during() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life
}

// next is closed when something is different from what was returned with it.
func (s *state) next() (r Reach, gone bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.gone, s.changed
}

// Reach is what is known now.
func (r *Room) Reach() Reach { return r.state.reach() }

// Reached returns as soon as what is known differs from seen in more than the time it was heard. The error is that of ctx.
func (r *Room) Reached(ctx context.Context, seen Reach) (Reach, error) {
	for {
		now, _, changed := r.state.next()
		if !now.like(seen) {
			return now, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return now, ctx.Err()
		}
	}
}

func dirOf(path string) string { return filepath.Dir(path) }

func (s *state) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched = true
}

// word notes a word of the room that may have been on its way for a moment: it does not say that the room still answers.
func (s *state) word() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Heard = s.clock()
}
