package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jezek/xgb/xproto"
)

// inGerman gives the toolkit another language than English, without a locale
// that would have to be installed.
var inGerman = []string{"LANG=", "LC_MESSAGES=C.UTF-8", "LANGUAGE=de"}

// TestDesktopWindow: what the window does beside its page. The way back and a
// page that wants to get out of its origin lead nowhere; the keys of the menu
// zoom, declare, fill the screen and save a PDF, in a language that is not
// English; a page whose process is killed is LIVE again; and the window comes
// back where it was.
func TestDesktopWindow(t *testing.T) {
	s := newScreen(t, 1400, 900)
	a := s.inspectedApp()
	a.more = slices.Concat(embeddedToken, inGerman)
	a.up()
	at := image.Rect(60, 40, 1260, 840)
	own := a.window()
	s.put(own, at)
	a.page.sees("asks which room", `location.pathname === "/.desk/start"`, patience)
	a.stays("after Back on its first page", func() {
		in[bool](a.page, `(document.addEventListener("tocsin:desk", (e) => { window.asked = e.detail.do; }), true)`)
		s.keys("ctrl+bracketleft")
		a.page.sees("was told to go back", `window.asked === "back"`, patience)
	})
	room := a.begins("Ana Ruiz", "ana")
	n := room.declare("Seen in a window", "SEV2", nil)
	incident := fmt.Sprintf("/incidents/%d", n)
	a.page.open(incident)
	a.page.live()

	if kind := in[string](a.page, `typeof window.webkit?.messageHandlers?.external`); kind != "undefined" {
		t.Errorf("a page of a room can talk to the program behind the window: %s", kind)
	}
	for what, code := range map[string]string{
		"leading itself":     `location.href = "wails://wails/"`,
		"replacing itself":   `location.replace("wails://wails/index.html")`,
		"opening a window":   `open("wails://wails/")`,
		"following its link": `(() => { const l = document.createElement("a"); l.href = "wails://wails/"; document.body.append(l); l.click(); l.remove(); })()`,
	} {
		a.stays("after "+what+" to the program's own page", func() { in[bool](a.page, "("+code+", true)") })
	}

	wide := in[int](a.page, "innerWidth")
	s.focus(own)
	s.keys("ctrl+equal")
	a.page.sees("is larger", fmt.Sprintf("innerWidth < %d", wide), patience)
	s.keys("ctrl+0")
	a.page.sees("has its own size", fmt.Sprintf("innerWidth === %d", wide), patience)

	s.keys("F10")
	menu := a.beside(own, "the menu")
	until(t, "the menu is drawn", patience, func() (bool, string) {
		colours := drawn(s.capture(s.place(menu)))
		return colours > 10, fmt.Sprint(colours, " colours in ", s.place(menu))
	})
	s.picture("desktop-menu")
	s.keys("Escape", "Escape")
	a.window() // alone again

	tall := in[int](a.page, "innerHeight")
	s.focus(own)
	s.keys("F11")
	until(t, "the page has the whole screen", patience, func() (bool, string) {
		page := in[[]int](a.page, "[innerWidth, innerHeight]")
		return s.place(own) == s.all() && page[0] == s.width && page[1] == s.height, fmt.Sprint(s.place(own), page)
	})
	s.keys("F11")
	until(t, "the window is as it was", patience, func() (bool, string) {
		page := in[[]int](a.page, "[innerWidth, innerHeight]")
		return s.place(own) == at && page[0] == wide && page[1] == tall, fmt.Sprint(s.place(own), page, " want ", at, wide, tall)
	})

	s.keys("ctrl+n")
	a.page.sees("declares", `location.pathname === "/incidents/new" && document.readyState === "complete"`, patience)

	a.page.open(incident)
	a.page.live()
	pdf := filepath.Join(s.home, "incident.pdf")
	s.focus(own)
	s.keys("ctrl+shift+p")
	s.focus(a.beside(own, "the question where the PDF goes"))
	s.keys("ctrl+a")
	s.types(pdf)
	s.keys("Return")
	until(t, "the PDF is there", patience, func() (bool, string) {
		b, err := os.ReadFile(pdf)
		return err == nil && bytes.HasPrefix(b, []byte("%PDF-")) && bytes.Contains(b, []byte("%%EOF")), fmt.Sprint(len(b), " bytes ", err, a.run.out.last(500))
	})
	a.window() // alone again

	in[bool](a.page, `(window.before = true)`)
	killed := 0
	for _, pid := range a.tree() {
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil && strings.HasPrefix(string(name), "WebKitWebProces") {
			must(t, syscall.Kill(pid, syscall.SIGKILL))
			killed++
		}
	}
	if killed == 0 {
		t.Fatalf("none of the processes %v shows pages", a.tree())
	}
	a.page = inspect(t, a.run, a.inspect)
	a.page.sees("is there anew", fmt.Sprintf(`!window.before && location.pathname === %s`, quote(incident)), patience)
	a.page.live()

	at = image.Rect(133, 77, 1133, 777)
	s.put(own, at)
	a.page.sees("has the size of the window", "innerWidth === 1000", patience)
	a.quit()
	b := s.desktopApp()
	b.up()
	until(t, "the window is where it was", patience, func() (bool, string) {
		now := s.place(b.window())
		return now == at, fmt.Sprint(now, " want ", at)
	})
	b.quit()
}

// stays does something and shows that the window still has the same page,
// after as long as that page needs to ask the room thirty times.
func (a *deskApp) stays(when string, do func()) {
	a.t.Helper()
	was := in[string](a.page, `(window.same = true, location.href)`)
	do()
	for range 30 {
		if is, err := inspectedValue[string](a.page, `fetch(location.href).then((r) => r.text()).then(() => window.same + " " + location.href)`); !errors.Is(err, errPageLeft) && (err != nil || is != "true "+was) { // a page refused before it came takes the answer with it
			a.t.Fatalf("%s the window does not show %s any more: %s %v %s", when, was, is, err, a.titles())
		}
	}
}

// beside waits for a second window of the program.
func (a *deskApp) beside(own xproto.Window, what string) (id xproto.Window) {
	a.t.Helper()
	until(a.t, what+" is on the screen", patience, func() (bool, string) {
		for _, w := range a.windows(a.run.cmd.Process.Pid) {
			if w != own {
				id = w
			}
		}
		return id != 0, fmt.Sprint(a.titles())
	})
	return id
}
