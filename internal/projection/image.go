package projection

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/internal/snapshot"
)

// imageVersion rises when the same events fold to another image although no
// type changed: when Apply of incident or signal, Card, or what this package
// marks as changed, comes to mean something else. A test notices.
const imageVersion = 1

// Shape names the form of an image; see snapshot.File.
func Shape() string {
	return snapshot.Shape(imageVersion, imageHead{}, incident.Card{}, imageSource{}, signal.Record{})
}

// An image is lines of JSON, each after a letter for what it is: one head, then
// cards, then sources, each before its records.
const (
	lineHead   = 'H'
	lineCard   = 'C'
	lineSource = 'S'
	lineRecord = 'R'
)

type imageHead struct {
	Position int64            `json:"position"`
	Cards    int              `json:"cards"`
	Sources  int              `json:"sources"`
	Records  int              `json:"records"`
	Changed  map[string]int64 `json:"changed"`
	Attached map[string]int64 `json:"attached"`
}

type imageSource struct {
	ID       string `json:"id"`
	Seq      int64  `json:"seq"`
	Position int64  `json:"position"`
	Records  int    `json:"records"`
}

// Image takes a picture of the first size events. write makes it the bytes that
// Resume takes; it may be called later and from any goroutine.
func (w *World) Image() (size int64, write func() ([]byte, error)) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	f := w.fold.clone()
	for n, st := range w.whole {
		f.cards[n] = st.Card()
	}
	return f.position + 1, func() ([]byte, error) { return f.image() }
}

func (f *fold) image() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	line := func(kind byte, v any) error {
		b.WriteByte(kind)
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("write the picture at %d: %w", f.position, err)
		}
		return nil
	}
	h := imageHead{Position: f.position, Cards: len(f.cards), Sources: len(f.sources), Changed: f.changed, Attached: f.attached}
	records := map[string][]signal.Record{}
	for id, src := range f.sources {
		r := slices.SortedFunc(src.state.Records(), func(a, b signal.Record) int {
			return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(fmt.Sprint(a.Drill), fmt.Sprint(b.Drill)))
		})
		records[id], h.Records = r, h.Records+len(r)
	}
	if err := line(lineHead, h); err != nil {
		return nil, err
	}
	for _, n := range slices.Sorted(maps.Keys(f.cards)) {
		if err := line(lineCard, f.cards[n]); err != nil {
			return nil, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.sources)) {
		src := f.sources[id]
		if err := line(lineSource, imageSource{id, src.seq, src.state.Position, len(records[id])}); err != nil {
			return nil, err
		}
		for _, r := range records[id] {
			if err := line(lineRecord, r); err != nil {
				return nil, err
			}
		}
	}
	return b.Bytes(), nil
}

// Resume makes the world what Image wrote, a fold of the first size events. It
// is for a world that has folded nothing yet, which it stays on an error.
// CatchUp follows.
func (w *World) Resume(size int64, image []byte) error {
	f, err := parseImage(image)
	if err == nil && f.position+1 != size {
		err = fmt.Errorf("it is at %d", f.position)
	}
	if err != nil {
		return fmt.Errorf("resume the picture of %d events: %w", size, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fold = f
	return nil
}

func parseImage(image []byte) (fold, error) {
	f := newFold()
	lines := bytes.Split(bytes.TrimSuffix(image, []byte("\n")), []byte("\n"))
	var h imageHead
	if len(lines[0]) == 0 || lines[0][0] != lineHead {
		return f, fmt.Errorf("it does not begin with a head")
	}
	if err := json.Unmarshal(lines[0][1:], &h); err != nil {
		return f, fmt.Errorf("its head: %w", err)
	}
	if lines = lines[1:]; h.Cards < 0 || h.Sources < 0 || h.Records < 0 || len(lines) != h.Cards+h.Sources+h.Records {
		return f, fmt.Errorf("it has %d lines, not %d cards, %d sources and %d records", len(lines), h.Cards, h.Sources, h.Records)
	}
	cards := make([]incident.Card, h.Cards)
	heads := make([]imageSource, len(lines)-h.Cards)
	records := make([]signal.Record, len(lines)-h.Cards)
	err := eachLine(lines, func(i int, kind byte, data []byte) error {
		switch {
		case kind == lineCard && i < h.Cards:
			return json.Unmarshal(data, &cards[i])
		case kind == lineSource && i >= h.Cards:
			return json.Unmarshal(data, &heads[i-h.Cards])
		case kind == lineRecord && i >= h.Cards:
			return json.Unmarshal(data, &records[i-h.Cards])
		}
		return fmt.Errorf("it is of kind %q", kind)
	})
	if err != nil {
		return f, err
	}
	for i := 0; i < len(heads); {
		s := heads[i]
		if s.ID == "" || s.Records < 0 || i+1+s.Records > len(heads) {
			return f, fmt.Errorf("line %d is no source with its records", i+h.Cards)
		}
		f.sources[s.ID] = source{signal.Recorded(s.ID, s.Position, slices.Values(records[i+1:i+1+s.Records])), s.Seq}
		i += 1 + s.Records
	}
	for _, c := range cards {
		f.cards[c.Number] = c
	}
	f.position = h.Position
	maps.Copy(f.changed, h.Changed)
	maps.Copy(f.attached, h.Attached)
	return f, nil
}

// eachLine calls do for every line, on all processors at once.
func eachLine(lines [][]byte, do func(i int, kind byte, data []byte) error) error {
	var g errgroup.Group
	parts := runtime.GOMAXPROCS(0)
	for p := range parts {
		from, to := p*len(lines)/parts, (p+1)*len(lines)/parts
		g.Go(func() error {
			for i := from; i < to; i++ {
				if len(lines[i]) == 0 {
					return fmt.Errorf("line %d is empty", i)
				}
				if err := do(i, lines[i][0], lines[i][1:]); err != nil {
					return fmt.Errorf("line %d: %w", i, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}
