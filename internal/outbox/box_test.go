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
	"testing/synctest"
)

func note(id string, at int64) Note {
	return Note{ID: id, Incident: 7, Line: "line " + id, WrittenAt: at}
}

func opened(t *testing.T, dir string) *Box {
	t.Helper()
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func fill(t *testing.T, b *Box, ids ...string) {
	t.Helper()
	for i, id := range ids {
		if err := b.Add(t.Context(), note(id, int64(1000+i))); err != nil {
			t.Fatal(err)
		}
	}
}

func names(items []Item) string {
	var out []string
	for _, it := range items {
		name := it.ID
		if it.State == StateRefused {
			name += "(" + it.Reason + ")"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

// TestNotesOutliveTheProgram: what Add, Send and Discard said is so when the box is opened again, in the order of writing, with times.
func TestNotesOutliveTheProgram(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when", "missing")
	b := opened(t, dir)
	fill(t, b, "a", "b", "c", "d")
	fill(t, b, "b") // again
	if err := b.Discard("c"); err != nil {
		t.Fatal(err)
	}
	var posted []Note
	err := b.Send(t.Context(), func(_ context.Context, n Note) error {
		posted = append(posted, n)
		switch n.ID {
		case "a":
			return nil
		case "b":
			return fmt.Errorf("post: %w", Refused{"The incident was merged."})
		}
		return ErrAway
	})
	if !errors.Is(err, ErrAway) {
		t.Errorf("Send ended with %v", err)
	}
	if want := []Note{note("a", 1000), note("b", 1001), note("d", 1003)}; !slices.Equal(posted, want) {
		t.Errorf("posted %v, want %v", posted, want)
	}
	again := opened(t, dir)
	if got, want := names(again.Items()), "b(The incident was merged.) d"; got != want || again.Damage() != "" {
		t.Errorf("opened again: %q, want %q; damage %q", got, want, again.Damage())
	}
	if !slices.Equal(again.Items(), b.Items()) {
		t.Errorf("%v on disk, %v in memory", again.Items(), b.Items())
	}
	for _, path := range []string{dir, filepath.Join(dir, name)} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %v, %v", path, st.Mode(), err)
		}
	}
	if err := again.Send(t.Context(), func(context.Context, Note) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := again.Discard("b"); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Size() != 0 {
		t.Errorf("nothing is left, and the file still holds %d bytes (%v)", st.Size(), err)
	}
}

// TestWhatIsNotTaken: every bound is said in a sentence with a code, and nothing of the note stays.
func TestWhatIsNotTaken(t *testing.T) {
	b := opened(t, t.TempDir())
	for name, n := range map[string]Note{
		"unreadable no id":       {Incident: 1, Line: "x", WrittenAt: 1},
		"unreadable long id":     {ID: strings.Repeat("x", 65), Incident: 1, Line: "x", WrittenAt: 1},
		"unreadable no incident": {ID: "x", Line: "x", WrittenAt: 1},
		"unreadable no words":    {ID: "x", Incident: 1, WrittenAt: 1},
		"unreadable no time":     {ID: "x", Incident: 1, Line: "x"},
		"unreadable no text":     {ID: "x", Incident: 1, Line: "\xff", WrittenAt: 1},
		"too_long":               {ID: "x", Incident: 1, Line: strings.Repeat("x", MaxLine+1), WrittenAt: 1},
	} {
		code, _, _ := strings.Cut(name, " ")
		refused(t, b.Add(t.Context(), n), code)
	}
	if err := b.Add(t.Context(), Note{ID: "longest", Incident: 1, Line: strings.Repeat("\x01", MaxLine), WrittenAt: 1}); err != nil {
		t.Fatal(err)
	}
	refused(t, b.Add(t.Context(), Note{ID: "longest", Incident: 1, Line: "other words", WrittenAt: 1}), "taken")
	refused(t, b.Discard("nobody"), "not_here")
	for i := 1; i < MaxNotes; i++ {
		if err := b.Add(t.Context(), note(fmt.Sprint(i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, b.Add(t.Context(), note("one more", 1)), "full")
	if err := b.Add(t.Context(), note("5", 1)); err != nil {
		t.Errorf("what is here already is refused when the box is full: %v", err)
	}
	if got := len(opened(t, filepath.Dir(b.file.path)).Items()); got != MaxNotes {
		t.Errorf("%d notes on disk, want %d", got, MaxNotes)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, b.Discard("5"), "closed")
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	var u *Unkept
	if !errors.As(err, &u) || u.Code != code || len(u.Refusal()) < 40 {
		t.Errorf("%v, want a sentence of code %s", err, code)
	}
}

// TestTheDiskIsFull: a note that could not be written is not taken, what was taken stays, and the box goes on when the disk does.
func TestTheDiskIsFull(t *testing.T) {
	dir := t.TempDir()
	b := opened(t, dir)
	fill(t, b, "a", "b")
	_ = b.file.f.Close() // every write fails now
	err := b.Add(t.Context(), note("c", 3))
	refused(t, err, "unwritten")
	if errors.Unwrap(err) == nil || strings.Contains(err.(*Unkept).Refusal(), os.ErrClosed.Error()) {
		t.Errorf("people see %q, the log sees %v", err.(*Unkept).Refusal(), err)
	}
	if got := names(b.Items()); got != "a b" {
		t.Errorf("the box holds %q", got)
	}
	fill(t, b, "c", "d")
	if got := names(opened(t, dir).Items()); got != "a b c d" {
		t.Errorf("on disk are %q", got)
	}
}

// TestDamage: a bit that flips costs the note it is in and no other, is said, and what is left of it is put aside.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	b := opened(t, dir)
	fill(t, b, "a", "b", "c")
	_ = b.Close()
	path := filepath.Join(dir, name)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		bad := slices.Clone(whole)
		bad[i] ^= 0x10
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(filepath.Join(dir, aside))
		b := opened(t, dir)
		hit := strings.Count(string(whole[:i]), "\n")
		gone := hit + 1
		if whole[i] == '\n' { // two lines became one
			gone = min(hit+2, 3)
		}
		want := strings.Join(slices.Delete([]string{"a", "b", "c"}, hit, gone), " ")
		if got := names(b.Items()); got != want || b.Damage() == "" {
			t.Fatalf("byte %d: left are %q, want %q; the box says %q", i, got, want, b.Damage())
		}
		left, err := os.ReadFile(filepath.Join(dir, aside))
		if err != nil || len(left) == 0 {
			t.Fatalf("byte %d: nothing was put aside: %v", i, err)
		}
		_ = b.Close()
		if again := opened(t, dir); again.Damage() != "" {
			t.Fatalf("byte %d: the damage is said again: %q", i, again.Damage())
		}
	}
}

// TestTooLongLine: what no box of ours wrote is passed over in bounded memory.
func TestTooLongLine(t *testing.T) {
	dir := t.TempDir()
	b := opened(t, dir)
	fill(t, b, "a")
	_ = b.Close()
	path := filepath.Join(dir, name)
	head, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, slices.Concat([]byte(strings.Repeat("x", 3*maxRecord)+"\n"), head, []byte(strings.Repeat("y", 2*maxRecord))), 0o600); err != nil {
		t.Fatal(err)
	}
	b = opened(t, dir)
	if got := names(b.Items()); got != "a" || b.Damage() == "" {
		t.Errorf("%q, damage %q", got, b.Damage())
	}
	if left, err := os.ReadFile(filepath.Join(dir, aside)); err != nil || len(left) > maxAside {
		t.Errorf("%d bytes put aside, %v", len(left), err)
	}
}

// TestTogether: two Sends never post at the same time, a note that is being sent cannot be discarded, one added meanwhile goes too, and whoever watches
// hears of each change.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := opened(t, t.TempDir())
		fill(t, b, "a", "b")
		gate, at := make(chan struct{}), 0
		post := func(_ context.Context, n Note) error {
			if at++; at > 1 {
				t.Errorf("%d at a time", at)
			}
			<-gate
			at--
			return nil
		}
		ended := make(chan error, 2)
		for range 2 {
			go func() { ended <- b.Send(t.Context(), post) }()
		}
		synctest.Wait()
		refused(t, b.Discard("a"), "sending")
		changed := b.Changed()
		fill(t, b, "c")
		select {
		case <-changed:
		default:
			t.Error("nobody was told of the new note")
		}
		for range 3 {
			changed := b.Changed()
			gate <- struct{}{}
			<-changed
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if left := b.Items(); len(left) != 0 {
			t.Errorf("left are %v", left)
		}
		fill(t, b, "d")
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			ended <- b.Send(ctx, func(ctx context.Context, _ Note) error { <-ctx.Done(); return ctx.Err() })
		}()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) || names(b.Items()) != "d" {
			t.Errorf("ended with %v, left are %q", err, names(b.Items()))
		}
	})
}

// TestSettledNotesTakeNoRoom: what was sent does not stay on the disk.
func TestSettledNotesTakeNoRoom(t *testing.T) {
	dir := t.TempDir()
	b := opened(t, dir)
	if err := b.Add(t.Context(), note("stays", 1)); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		if err := b.Add(t.Context(), Note{ID: fmt.Sprint(i), Incident: 1, Line: strings.Repeat("x", 30_000), WrittenAt: 1}); err != nil {
			t.Fatal(err)
		}
		if err := b.Discard(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Size() > slack+60_000 {
		t.Errorf("%d bytes, %v", st.Size(), err)
	}
	if got := names(opened(t, dir).Items()); got != "stays" {
		t.Errorf("left are %q", got)
	}
}

// TestSendPassesOver: a note of somebody else stays, in its place, and those behind it are sent.
func TestSendPassesOver(t *testing.T) {
	b, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i, by := range []string{"ana", "ben", "ana"} {
		if err := b.Add(t.Context(), Note{ID: string(rune('a' + i)), Incident: 1, Line: "x", WrittenAt: 1, By: by}); err != nil {
			t.Fatal(err)
		}
	}
	var sent []string
	as := func(who string) error {
		return b.Send(t.Context(), func(_ context.Context, n Note) error {
			if n.By != who {
				return ErrNotTheirs
			}
			sent = append(sent, n.ID)
			return nil
		})
	}
	if err := as("ben"); err != nil || len(sent) != 1 || sent[0] != "b" || len(b.Items()) != 2 {
		t.Errorf("as ben: %v, sent %v, left %+v", err, sent, b.Items())
	}
	if err := b.Discard("c"); err != nil {
		t.Errorf("a note that was passed over cannot be discarded: %v", err)
	}
	if err := as("ana"); err != nil || len(sent) != 2 || sent[1] != "a" || len(b.Items()) != 0 {
		t.Errorf("as ana: %v, sent %v, left %+v", err, sent, b.Items())
	}
}
