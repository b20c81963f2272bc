package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// suspended is what WebKit notes when it keeps a page that somebody left, for
// the way back, and ends its socket.
var suspended = regexp.MustCompile(harmless.String() + `|WebSocket is closed due to suspension|Could not connect to|WebSocket connection to .* failed|status of 50[23]`)

// staleSince waits until the window says since when nothing was heard, and
// returns that time: of yesterday when today it would lie ahead.
func (a *deskApp) staleSince() time.Time {
	a.t.Helper()
	a.page.sees("says STALE since when", `/STALE since .*\d\d:\d\d:\d\d/.test(document.querySelector("#live")?.innerText ?? "")`, patience)
	said := in[string](a.page, `document.querySelector("#live").innerText.match(/\d\d:\d\d:\d\d/)[0]`)
	at, err := time.Parse(time.DateOnly+" "+time.TimeOnly, time.Now().UTC().Format(time.DateOnly)+" "+said)
	must(a.t, err)
	if at.After(time.Now().Add(time.Hour)) {
		at = at.AddDate(0, 0, -1)
	}
	return at
}

// keeps waits until what is kept of the room on disk holds these words.
func (a *deskApp) keeps(words ...string) {
	a.t.Helper()
	until(a.t, "the program keeps "+strings.Join(words, ", "), patience, func() (bool, string) {
		left := slices.Clone(words)
		err := filepath.WalkDir(a.home, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.Contains(path, "/kept/") {
				return nil
			}
			b, _ := os.ReadFile(path)
			left = slices.DeleteFunc(left, func(w string) bool { return strings.Contains(string(b), w) })
			return nil
		})
		return err == nil && len(left) == 0, fmt.Sprint(left, err)
	})
}

// around reports whether two times are as near as a person would say "then".
func around(a, b time.Time, by time.Duration) bool { return a.Sub(b).Abs() <= by }

// TestDesktopJoinedThroughRestart: the room's server dies and comes back. The
// window says since when it knows nothing new, goes on showing what it knew on
// every page it had, even after its own kill -9, and is live again by itself.
func TestDesktopJoinedThroughRestart(t *testing.T) {
	server := start(t, "")
	s := newScreen(t, 1400, 900)
	a := s.inspectedApp()
	a.up()
	s.put(a.window(), s.all())
	a.joins(server, "Ana Ruiz", "ana")
	n := server.declare("Deposits are not credited", "SEV2", map[string]any{"summary": "Since the last release."})
	room := fmt.Sprintf("/incidents/%d", n)
	a.page.shows("Deposits are not credited")
	a.page.open(room)
	a.page.live()
	server.note(n, "It began with the release of 14:02.")
	a.page.shows("It began with the release of 14:02.")
	// What nobody ever opened here is kept too.
	other := server.declare("A second one, that nobody looked at", "SEV3", nil)
	a.keeps("It began with the release of 14:02.", "A second one, that nobody looked at")

	for round := range 2 {
		server.kill()
		died := time.Now().UTC()
		if at := a.staleSince(); !around(at, died, 15*time.Second) {
			t.Errorf("the window says STALE since %s, the server died at %s", at.Format(time.TimeOnly), died.Format(time.TimeOnly))
		}
		if round == 1 { // the program dies too, and starts without its room
			a.kill()
			a.up()
			s.put(a.window(), s.all())
			a.page.sees("is where it was", fmt.Sprintf("location.pathname === %s", quote(room)), patience)
			if at := a.staleSince(); !around(at, died, 15*time.Second) {
				t.Errorf("after its own restart the window says STALE since %s, the server died at %s", at.Format(time.TimeOnly), died.Format(time.TimeOnly))
			}
		}
		a.page.shows("It began with the release of 14:02.")
		pages := map[string]string{"/": "Deposits are not credited", room: "It began with the release of 14:02."}
		if round == 1 {
			pages["/wall"], pages[fmt.Sprintf("/incidents/%d", other)] = "Deposits are not credited", "A second one, that nobody looked at"
		}
		for path, words := range pages {
			a.page.open(path)
			a.page.shows(words)
			a.staleSince()
		}
		s.picture(fmt.Sprintf("desktop-away-%d", round+1))
		a.page.open("/people")
		a.page.shows("not kept")
		a.page.open(room)
		a.staleSince()
		a.page.complaints(suspended)
		server.up()
		t.Logf("round %d: LIVE %s after the server was ready", round+1, a.page.live().Round(10*time.Millisecond))
		words := fmt.Sprintf("Told after restart %d.", round+1)
		server.note(n, words)
		a.page.sees("shows what came after", fmt.Sprintf(`[...document.querySelectorAll("#timeline *")].some((e) => e.textContent.includes(%s))`, quote(words)), patience)
	}
	for _, c := range a.page.complaints(suspended) {
		t.Errorf("the console of the window says: %s", c)
	}
	a.quit()
}

// TestDesktopNotesWhileAway: 50 notes typed while the server is down, the
// program killed in the middle of typing and in the middle of sending: each
// arrives once, in the order of typing, with the time when it was typed.
func TestDesktopNotesWhileAway(t *testing.T) {
	const notes = 50
	server := start(t, "")
	s := newScreen(t, 1400, 900)
	a := s.inspectedApp()
	a.up()
	s.put(a.window(), s.all())
	a.joins(server, "Ana Ruiz", "ana")
	n := server.declare("The site has no network", "SEV2", nil)
	room := fmt.Sprintf("/incidents/%d", n)
	a.page.open(room)
	a.page.live()
	a.keeps("The site has no network")
	server.kill()
	a.staleSince()

	var typed []string
	type span struct{ from, to time.Time }
	var when []span // of the press of Enter until it was seen as queued
	queued := func(k int) {
		a.page.sees(fmt.Sprintf("shows %d notes as queued", k), fmt.Sprintf(`[...document.querySelectorAll("#pending li")].filter((e) => /queued/.test(e.innerText) && /\d\d:\d\d:\d\d/.test(e.innerText)).length === %d`, k), patience)
	}
	write := func(from, to int) {
		a.focusOn("#composer-line")
		for i := from; i < to; i++ {
			text := fmt.Sprintf("Note %02d written by hand", i+1)
			s.types(text)
			pressed := time.Now()
			s.keys("Return")
			typed = append(typed, text)
			queued(i + 1)
			when = append(when, span{pressed, time.Now()})
		}
	}
	write(0, 25)
	a.kill()
	a.up()
	s.put(a.window(), s.all())
	a.page.sees("is where it was", fmt.Sprintf("location.pathname === %s", quote(room)), patience)
	queued(25)
	write(25, notes)
	s.picture("desktop-queued")
	a.page.open("/")
	a.page.sees("says on the board that notes are queued", fmt.Sprintf(`/\b%d (notes )?queued/.test(document.body.innerText)`, notes), patience)

	// What is younger than ten seconds when it arrives has no time of its own.
	time.Sleep(time.Until(when[notes-1].to.Add(11 * time.Second)))
	server.up()
	until(t, "the first notes arrive", patience, func() (bool, string) {
		k := len(server.notes(n))
		return k >= 3, fmt.Sprint(k)
	})
	a.kill() // in the middle, if it is as slow as here
	t.Logf("killed when %d of %d were there", len(server.notes(n)), notes)
	a.up()
	s.put(a.window(), s.all())
	until(t, "all notes arrive", patience, func() (bool, string) {
		k := len(server.notes(n))
		return k >= notes, fmt.Sprint(k)
	})
	a.page.open(room)
	a.page.live()
	a.page.sees("has nothing queued any more", `document.querySelectorAll("#pending li").length === 0`, patience)
	a.page.sees("tells when it was written and when it came", `/written [^,]*\d\d:\d\d/.test(document.querySelector("#timeline").innerText)`, patience)
	s.picture("desktop-arrived")

	got := server.notes(n)
	if texts := server.timelineNotes(n); !slices.Equal(texts, typed) {
		t.Errorf("the log has\n%s\nwhat was typed is\n%s", strings.Join(texts, "\n"), strings.Join(typed, "\n"))
	}
	seen := map[string]bool{}
	worst := time.Duration(0)
	for i, e := range got {
		if seen[e.causation] {
			t.Errorf("%q is the second note of one command", e.Text)
		}
		seen[e.causation] = true
		if i < len(when) {
			at, then := time.UnixMilli(e.WrittenAt), when[i]
			worst = max(worst, at.Sub(then.from).Abs())
			if at.Before(then.from.Add(-time.Second)) || at.After(then.to.Add(time.Second)) {
				t.Errorf("%q was typed between %s and %s and is written at %s", e.Text, then.from.Format(time.StampMilli), then.to.Format(time.StampMilli), at.Format(time.StampMilli))
			}
		}
	}
	t.Logf("%d notes, each once, in order; the time that stands in the log is at most %s from the press of Enter", len(got), worst.Round(time.Millisecond))
	a.quit()
	server.mustVerify(server.url)
}
