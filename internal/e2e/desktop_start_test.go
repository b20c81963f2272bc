package e2e

import (
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDesktopStart: at the first start somebody makes the room in this computer
// with the keyboard alone, and sees board, wall and a room; the program that
// people get shows the same at its next start, and follows a link.
func TestDesktopStart(t *testing.T) {
	s := newScreen(t, 1600, 1000)
	a := s.inspectedApp()
	a.more = embeddedToken
	a.up()
	s.put(a.window(), s.all())
	a.page.sees("asks which room", `location.pathname === "/.desk/start"`, patience)
	s.picture("desktop-1-start")
	room := a.begins("Ana Ruiz", "ana")
	a.page.sees("is on the board", `location.pathname === "/"`, patience)
	a.page.live()
	n := room.declare("Withdrawals leave the bridge", "SEV1", map[string]any{"summary": "Two addresses drain it."})
	a.page.shows("Withdrawals leave the bridge")
	until(t, "the title says what is open", patience, func() (bool, string) {
		titles := strings.Join(s.titles(), " | ")
		return strings.Contains(titles, "SEV1 · 1 open"), titles
	})
	seen := map[string]*image.RGBA{}
	look := func(name string) {
		a.page.sees("has its fonts", `document.fonts.status === "loaded"`, patience)
		seen[name] = s.settled()
		s.picture("desktop-" + name)
	}
	look("2-board")
	a.page.open("/wall")
	a.page.live()
	a.page.shows("Withdrawals leave the bridge")
	look("3-wall")
	a.page.open(fmt.Sprintf("/incidents/%d", n))
	a.page.live()
	a.focusOn("#composer-line")
	s.types("The relayers are told to stop.")
	s.keys("Return")
	a.page.sees("has the note on the timeline", `[...document.querySelectorAll("#timeline *")].some((e) => e.textContent.includes("The relayers are told to stop."))`, patience)
	until(t, "the note is in the log", patience, func() (bool, string) {
		got := room.timelineNotes(n)
		return len(got) == 1 && got[0] == "The relayers are told to stop.", fmt.Sprint(got)
	})
	look("4-room")
	if l := likeness(seen["2-board"], seen["4-room"]); l > 0.6 {
		t.Fatalf("board and room are alike to %.2f: to compare them would prove nothing", l)
	}
	for _, c := range a.page.complaints(suspended) {
		t.Errorf("the console of the window says: %s", c)
	}
	a.quit()

	b := s.desktopApp()
	b.more = embeddedToken
	b.up()
	s.put(b.window(), s.all())
	until(t, "the program that people get comes back to the room", patience, func() (bool, string) {
		l := likeness(seen["4-room"], s.capture(s.all()))
		return l > 0.8, fmt.Sprintf("likeness %.2f", l)
	})
	s.picture("desktop-5-again")
	// Panels find the entry of the menu, and so icon and name, by what the window calls itself.
	entry, err := os.ReadFile(filepath.Join(root, "packaging/linux/tocsin.desktop"))
	must(t, err)
	if class := s.class(b.window()); !strings.Contains(string(entry), "\nStartupWMClass="+class+"\n") {
		t.Errorf("the window calls itself %q, the entry of the menu says\n%s", class, entry)
	}
	second := spawn(t, "a second start", b.program, append(b.env(), b.more...), "tocsin://incident/4711")
	<-second.gone
	if code := second.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the second start ended with %d: %s", code, second.out)
	}
	until(t, "a second start hands its link to the first", patience, func() (bool, string) {
		l := likeness(seen["4-room"], s.capture(s.all()))
		return l < 0.5, fmt.Sprintf("likeness to the room %.2f", l)
	})
	s.picture("desktop-6-link")
	if k := len(s.windows(b.run.cmd.Process.Pid)); k != 1 {
		t.Errorf("there are %d windows", k)
	}
	b.quit()
}
