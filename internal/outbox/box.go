package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Box holds the notes for one room. Its methods may be called at the same time. One directory belongs to one Box at a time.
type Box struct {
	sending chan struct{} // holds one token while Send runs

	mu      sync.Mutex
	file    file
	items   []Item // in the order of writing
	sends   string // id of the note that is with post just now
	changed chan struct{}
	damage  string
	closed  bool
}

// Open makes a Box of what dir holds, which it makes when it is not there. What a crash left of a note whose Add had not returned, and what is damaged
// otherwise, is put aside and said by Damage. An error means that the directory cannot be read or written.
func Open(dir string) (*Box, error) {
	b := &Box{sending: make(chan struct{}, 1), changed: make(chan struct{})}
	if err := b.open(dir); err != nil {
		return nil, fmt.Errorf("open the notes in %s: %w", dir, err)
	}
	return b, nil
}

// Add puts a note behind the others. It is on disk when Add returns nil. The same id twice is one note. An error is an *Unkept; after one with the code
// unwritten the note may be here when the box is opened again, and giving it again is right.
func (b *Box) Add(_ context.Context, n Note) error {
	if err := n.check(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := b.at(n.ID); i >= 0 {
		if have := b.items[i]; have.Incident != n.Incident || have.Line != n.Line {
			return unkept("taken", "Another note has the same id. Reload the page and write this one again.")
		}
		return nil
	}
	if len(b.items) >= MaxNotes {
		return unkept("full", "%d notes wait already, and no more fit. Keep this one somewhere else until the room can be reached.", MaxNotes)
	}
	if err := b.append(record{Add: &n}); err != nil {
		return err
	}
	b.items = append(b.items, Item{Note: n, State: StateWaiting})
	b.tell()
	return nil
}

// Items are the notes that are here, in the order of writing. The caller owns the slice.
func (b *Box) Items() []Item {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.items)
}

// Changed is closed when what Items answers is no longer what it answered before this call. Take it first, then call Items.
func (b *Box) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// Damage says in a sentence what of the notes could not be read when the box was opened; "" when everything could.
func (b *Box) Damage() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.damage
}

// Discard takes a note out of the box, durably; it is not sent any more. One that waits may have arrived before, when an answer to it was lost. An error is
// an *Unkept.
func (b *Box) Discard(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at(id) < 0 {
		return unkept("not_here", "This note is not here any more: it was sent, or discarded.")
	}
	if b.sends == id {
		return unkept("sending", "This note is being sent just now. Look again in a moment.")
	}
	return b.gone(id)
}

// Send gives post the notes that wait, one at a time, in the order of writing, those added meanwhile included. post returns nil when the note is known to be
// in the log, ErrAway when the room cannot be reached, a Refused when it will not take this note, ErrNotTheirs to pass it over; any other error leaves the note waiting too. Send returns
// nil when nothing waits but what was passed over, else the first error that is no refusal; calling it again goes on. A second Send waits for the first.
func (b *Box) Send(ctx context.Context, post func(ctx context.Context, n Note) error) error {
	select {
	case b.sending <- struct{}{}:
		defer func() { <-b.sending }()
	case <-ctx.Done():
		return ctx.Err()
	}
	over := map[string]bool{}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, ok := b.next(over)
		if !ok {
			return nil
		}
		err := post(ctx, n)
		if errors.Is(err, ErrNotTheirs) {
			over[n.ID] = true
			b.left()
			continue
		}
		if err := b.settle(n.ID, err); err != nil {
			return err
		}
	}
}

// left says that no note is with post.
func (b *Box) left() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sends = ""
}

// next is the first note that waits and is not passed over; it is with post from now on.
func (b *Box) next(over map[string]bool) (Note, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.items, func(it Item) bool { return it.State == StateWaiting && !over[it.ID] })
	if i < 0 {
		return Note{}, false
	}
	b.sends = b.items[i].ID
	return b.items[i].Note, true
}

func (b *Box) at(id string) int {
	return slices.IndexFunc(b.items, func(it Item) bool { return it.ID == id })
}

// tell wakes whoever waits on Changed.
func (b *Box) tell() {
	close(b.changed)
	b.changed = make(chan struct{})
}
