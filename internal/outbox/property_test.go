package outbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/whole"
)

// server is the room as notes see it: a log in which the same id is written once. What it refuses it refuses always.
type server struct{ log []Note }

func (s *server) has(id string) bool {
	return slices.ContainsFunc(s.log, func(n Note) bool { return n.ID == id })
}

func refuses(n Note) bool { return strings.HasPrefix(n.Line, "no:") }

func (s *server) take(n Note) error {
	switch {
	case s.has(n.ID):
	case refuses(n):
		return Refused{"not this one"}
	default:
		s.log = append(s.log, n)
	}
	return nil
}

// world is a box, what it must hold, and the room.
type world struct {
	t     *rapid.T
	dir   string
	box   *Box
	want  []Item
	room  server
	safe  []Note // notes that somebody was told are safe, in the order of writing
	given int
	lost  error // what post returns when the answer is lost
}

func (w *world) path() string { return filepath.Join(w.dir, name) }

func (w *world) read() []byte {
	b, err := os.ReadFile(w.path())
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) reopen() {
	_ = w.box.Close()
	if rapid.Bool().Draw(w.t, "a file was being replaced") {
		if err := os.WriteFile(whole.Temp(w.path()), []byte("half of it"), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	b, err := Open(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	w.box = b
}

// killedIn is a program that ends at any byte of what do writes: the box then holds what it held before, or what it held after.
func (w *world) killedIn(do func()) {
	before, old := slices.Clone(w.box.Items()), w.read()
	do()
	after, fresh := slices.Clone(w.box.Items()), w.read()
	left, tail := fresh, false
	if n := len(old); len(fresh) >= n && string(fresh[:n]) == string(old) { // written at the end
		cut := rapid.IntRange(n, len(fresh)).Draw(w.t, "cut at")
		left = fresh[:cut]
		tail = cut > n && cut < len(fresh)-1
	} else if rapid.Bool().Draw(w.t, "not yet replaced") {
		left = old
	}
	if err := os.WriteFile(w.path(), left, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.reopen()
	got := w.box.Items()
	if !slices.Equal(got, before) && !slices.Equal(got, after) {
		w.t.Fatalf("opened again: %v; before it was %v, after it would be %v", got, before, after)
	}
	if tail != (w.box.Damage() != "") {
		w.t.Fatalf("cut off: %v, and the box says %q", tail, w.box.Damage())
	}
	w.want = got
}

func (w *world) draw() Note {
	w.given++
	line := rapid.SampledFrom([]string{"", "no:", "\n\x00é\u2028", strings.Repeat("x", 3000)}).Draw(w.t, "line") + fmt.Sprint(w.given)
	return Note{ID: fmt.Sprint("id", w.given), Incident: rapid.IntRange(1, 3).Draw(w.t, "incident"), Line: line, WrittenAt: rapid.Int64Range(1, 1<<50).Draw(w.t, "at")}
}

func (w *world) add(n Note) {
	if err := w.box.Add(w.t.Context(), n); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) told(n Note) {
	if !slices.Contains(w.safe, n) {
		w.safe = append(w.safe, n)
	}
	if !slices.ContainsFunc(w.want, func(it Item) bool { return it.ID == n.ID }) {
		w.want = append(w.want, Item{Note: n, State: StateWaiting})
	}
}

// post is the network: it may end at any point.
func (w *world) post(_ context.Context, n Note) error {
	switch rapid.SampledFrom([]string{"answered", "answered", "answered", "answer lost", "away"}).Draw(w.t, "post") {
	case "answered":
		return w.room.take(n)
	case "answer lost":
		_ = w.room.take(n)
		return w.lost
	}
	return ErrAway
}

// sent is what a box holds after notes were taken or refused: those that wait lose their front.
func (w *world) sent() {
	var left []Item
	for _, it := range w.want {
		if it.State == StateWaiting && w.room.has(it.ID) {
			if i := slices.IndexFunc(w.box.Items(), func(x Item) bool { return x.ID == it.ID }); i < 0 {
				continue
			}
		}
		if it.State == StateWaiting && refuses(it.Note) {
			if i := slices.IndexFunc(w.box.Items(), func(x Item) bool { return x.ID == it.ID }); i >= 0 {
				it.State, it.Reason = w.box.Items()[i].State, w.box.Items()[i].Reason
			}
		}
		left = append(left, it)
	}
	w.want = left
}

// TestExactlyOnce: whatever is cut off where, lost, away or refused, every note that somebody was told is safe stands in the log once, in the order of
// writing, with its time; or it is here, refused; or it was discarded.
func TestExactlyOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(memory(), "outbox-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w := &world{t: t, dir: dir, lost: errors.New("the answer was lost")}
		if w.box, err = Open(dir); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.box.Close() }()
		gone := map[string]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(*rapid.T) {
				n := w.draw()
				w.add(n)
				w.told(n)
				if rapid.Bool().Draw(t, "again") {
					w.add(n)
				}
			},
			"killed in add": func(*rapid.T) {
				n := w.draw()
				w.killedIn(func() { w.add(n) })
				if rapid.Bool().Draw(t, "given again") { // the page never heard, and gives it again
					w.add(n)
					w.told(n)
				}
			},
			"send": func(*rapid.T) {
				if err := w.box.Send(t.Context(), w.post); err == nil && slices.ContainsFunc(w.box.Items(), func(it Item) bool { return it.State == StateWaiting }) {
					t.Fatal("Send says that nothing waits")
				}
				w.sent()
			},
			"killed in send": func(*rapid.T) {
				// One note: the program ends between what the room did and what the box wrote down of it, or in the middle of that.
				w.killedIn(func() {
					once := false
					_ = w.box.Send(t.Context(), func(ctx context.Context, n Note) error {
						if once {
							return ErrAway
						}
						once = true
						return w.post(ctx, n)
					})
				})
			},
			"discard": func(*rapid.T) {
				items := w.box.Items()
				if len(items) == 0 {
					t.Skip("nothing to discard")
				}
				id := rapid.SampledFrom(items).Draw(t, "which").ID
				if err := w.box.Discard(id); err != nil {
					t.Fatal(err)
				}
				gone[id] = true
				w.want = slices.DeleteFunc(w.want, func(it Item) bool { return it.ID == id })
			},
			"kill": func(*rapid.T) { w.reopen() },
			"": func(t *rapid.T) {
				if got := w.box.Items(); !slices.Equal(got, w.want) {
					t.Fatalf("the box holds %v, want %v", got, w.want)
				}
			},
		})
		if err := w.box.Send(t.Context(), func(_ context.Context, n Note) error { return w.room.take(n) }); err != nil {
			t.Fatal(err)
		}
		at := -1
		for _, n := range w.safe {
			in, refused := 0, slices.ContainsFunc(w.box.Items(), func(it Item) bool { return it.Note == n && it.State == StateRefused && it.Reason != "" })
			for i, x := range w.room.log {
				if x.ID != n.ID {
					continue
				}
				in++
				if x != n {
					t.Fatalf("%v arrived as %v", n, x)
				}
				if i < at {
					t.Fatalf("%s arrived before one that was written before it: %v", n.ID, w.room.log)
				}
				at = i
			}
			switch {
			case in > 1, in == 1 && refused, in == 0 && !refused && !gone[n.ID]:
				t.Fatalf("%s is %d times in the log, refused here: %v, discarded: %v", n.ID, in, refused, gone[n.ID])
			}
		}
		if len(w.box.Items()) > 0 && slices.ContainsFunc(w.box.Items(), func(it Item) bool { return it.State == StateWaiting }) {
			t.Fatal("something waits still")
		}
	})
}

// memory is a directory that is no disk, where there is one: what is synced is synced at once.
func memory() string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		return "/dev/shm"
	}
	return ""
}
