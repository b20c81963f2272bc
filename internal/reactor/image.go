package reactor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/snapshot"
)

// imageVersion rises when the same events fold to another image although no
// type changed. A test notices.
const imageVersion = 1

// Shape names the form of a correlator's image; see snapshot.File.
func Shape() string {
	return snapshot.Shape(imageVersion, imageHead{}, imageRoom{}, imageSignal{})
}

// An image is lines of JSON: one head, then incidents, then signals. It holds no
// state of an incident: those are read from their streams.
type imageHead struct {
	Next    int64 `json:"next"`
	Sweep   int   `json:"sweep"`
	Rooms   int   `json:"rooms"`
	Signals int   `json:"signals"`
}

type imageRoom struct {
	outline
	Groups   []string `json:"groups,omitempty"`
	Detached []string `json:"detached,omitempty"`
	LastAt   int64    `json:"last_at,omitempty"`
}

type imageSignal struct {
	ID        string `json:"id"`
	Identity  string `json:"identity,omitempty"`
	Group     string `json:"group,omitempty"`
	Joint     string `json:"joint,omitempty"`
	LastAt    int64  `json:"last_at,omitempty"`
	ClearedAt int64  `json:"cleared_at,omitempty"`
	Touched   bool   `json:"touched,omitempty"`
	Room      int64  `json:"room,omitempty"`

	Loose *signal.Signal `json:"loose,omitempty"`
	Grew  int64          `json:"grew,omitempty"`
}

// Image folds what is durable now and writes the fold down: that of the first
// size events. Handle waits meanwhile.
func (c *Correlator) Image(ctx context.Context) (size int64, image []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.wake(ctx); err != nil {
		return 0, nil, err
	}
	if err := c.fold.catchUp(ctx); err != nil {
		return 0, nil, err
	}
	if image, err = c.fold.image(); err != nil {
		return 0, nil, fmt.Errorf("write the correlator's fold down: %w", err)
	}
	return c.fold.next, image, nil
}

// Resume gives the correlator what Image wrote, to begin with. Call it before
// the first Handle. It is read when it is needed; if it is not what Image wrote,
// the whole log is folded instead.
func (c *Correlator) Resume(image []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.image = image
}

// wake reads the image. The caller holds mu.
func (c *Correlator) wake(ctx context.Context) error {
	if c.image == nil {
		return nil
	}
	f, err := parseImage(c.log, c.image)
	if err == nil && f.next > c.log.Size() {
		err = fmt.Errorf("it is at %d of %d events", f.next, c.log.Size())
	}
	if err != nil {
		c.slog.WarnContext(ctx, "what the correlator wrote down is not used; it folds the whole log", "err", err)
		c.image = nil
		return nil
	}
	f.kept = c.fold.kept
	for _, r := range f.rooms { // open ones are always whole
		if r.open() {
			if _, err := f.whole(ctx, r); err != nil {
				return err
			}
		}
	}
	c.fold, c.image = f, nil
	return nil
}

func (f *fold) image() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(imageHead{f.next, f.sweep, len(f.rooms), len(f.signals)}); err != nil {
		return nil, err
	}
	for _, n := range slices.Sorted(maps.Keys(f.rooms)) {
		r := f.rooms[n]
		if err := enc.Encode(imageRoom{r.outline, slices.Sorted(maps.Keys(r.groups)), slices.Sorted(maps.Keys(r.detached)), r.lastAt}); err != nil {
			return nil, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.signals)) {
		s := f.signals[id]
		if err := enc.Encode(imageSignal{id, s.identity, s.group, s.joint, s.lastAt, s.clearedAt, s.touched, s.room, s.loose, s.grew}); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func parseImage(log Log, image []byte) (*fold, error) {
	f := newFold(log)
	dec := json.NewDecoder(bytes.NewReader(image))
	var h imageHead
	if err := dec.Decode(&h); err != nil {
		return nil, fmt.Errorf("its head: %w", err)
	}
	f.next, f.sweep = h.Next, max(h.Sweep, sweepAt)
	for i := range h.Rooms {
		var r imageRoom
		if err := dec.Decode(&r); err != nil {
			return nil, fmt.Errorf("incident %d of %d: %w", i, h.Rooms, err)
		}
		k := &known{outline: r.outline, lastAt: r.LastAt}
		for _, g := range r.Groups {
			note(&k.groups, g)
		}
		for _, d := range r.Detached {
			note(&k.detached, d)
		}
		f.rooms[r.Number] = k
	}
	for i := range h.Signals {
		var s imageSignal
		if err := dec.Decode(&s); err != nil {
			return nil, fmt.Errorf("signal %d of %d: %w", i, h.Signals, err)
		}
		f.signals[s.ID] = &sighting{identity: s.Identity, group: s.Group, joint: s.Joint, lastAt: s.LastAt, clearedAt: s.ClearedAt, touched: s.Touched, room: s.Room, loose: s.Loose, grew: s.Grew}
	}
	return f, nil
}
