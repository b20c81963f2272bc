package e2e

import (
	"fmt"
	"image"
	"regexp"
	"strings"
	"testing"

	"github.com/jezek/xgb/screensaver"
	"github.com/jezek/xgb/xproto"
)

// notices starts a real notification daemon that also prints what it shows.
func (s *screen) notices() *child {
	s.t.Helper()
	d := spawn(s.t, "dunst", "dunst", s.env(), "-print")
	until(s.t, "the notification daemon answers", patience, func() (bool, string) {
		out := said(s.t, s.env(), "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.ListNames")
		return strings.Contains(out, "org.freedesktop.Notifications"), d.out.last(500)
	})
	return d
}

// TestDesktopCalls: an incident that pages its person is on the screen as a
// notification that cannot be overlooked; pressing it opens the page and its answers; it goes
// away when nobody needs to come any more.
func TestDesktopCalls(t *testing.T) {
	s := newScreen(t, 1400, 900)
	d := s.notices()
	a := s.inspectedApp()
	a.more = embeddedToken
	a.up()
	s.put(a.window(), s.all())
	room := a.begins("Ana Ruiz", "ana")
	a.page.live()
	n := room.declare("Hot wallet sends to unknown addresses", "SEV1", nil)
	until(t, "the page is shown as a notification", patience, func() (bool, string) {
		return strings.Contains(d.out.String(), "Hot wallet sends to unknown addresses"), d.out.String()
	})
	said := d.out.String()
	if !strings.Contains(said, "SEV1") || !regexp.MustCompile(`(?i)urgency: '?(critical|2)`).MatchString(said) {
		t.Errorf("the notification is\n%s", said)
	}
	var shown xproto.Window
	until(t, "it is on the screen", patience, func() (bool, string) {
		if all := s.named("Dunst"); len(all) > 0 {
			shown = all[0]
		}
		return shown != 0, strings.Join(s.titles(), ", ")
	})
	s.picture("desktop-notice")
	at := s.place(shown)
	s.xdo("mousemove", fmt.Sprint(at.Min.X+at.Dx()/2), fmt.Sprint(at.Min.Y+at.Dy()/2), "click", "2") // dunst's press for the default action
	a.page.sees("opens the page of the notification, with its answers", fmt.Sprintf(`location.pathname === "/incidents/%d/page" && document.body.innerText.includes("I have it")`, n), patience)

	// Somebody has it: the notification that asks for it goes.
	m := room.declare("A second one", "SEV2", nil)
	until(t, "the second page is on the screen", patience, func() (bool, string) {
		return strings.Contains(d.out.String(), "A second one") && len(s.named("Dunst")) > 0, d.out.last(500)
	})
	for _, k := range []int64{n, m} {
		a.page.open(fmt.Sprintf("/incidents/%d", k))
		a.page.live()
		a.focusOn("#composer-line")
		s.types("/ack")
		s.keys("Return")
		room.tells(k, "incident.acknowledged", func(string) bool { return true }) // before the page is left
	}
	until(t, "the notifications are taken back", patience, func() (bool, string) {
		left := s.named("Dunst")
		return len(left) == 0, fmt.Sprint(left)
	})
	a.quit()
}

// TestDesktopKiosk: started with --kiosk the wall has the whole screen, without
// menu, and the screen does not go dark; afterwards it is as it was.
func TestDesktopKiosk(t *testing.T) {
	s := newScreen(t, 1280, 800)
	must(t, screensaver.Init(s.x))
	must(t, xproto.SetScreenSaverChecked(s.x, 300, 300, xproto.BlankingPreferred, xproto.ExposuresAllowed).Check())
	dark := func() uint16 {
		got, err := xproto.GetScreenSaver(s.x).Reply()
		must(t, err)
		return got.Timeout
	}
	a := s.inspectedApp()
	a.more = embeddedToken
	a.up()
	a.begins("Ana Ruiz", "ana")
	a.quit()
	if got := dark(); got != 300 {
		t.Errorf("an ordinary window leaves the screen saver at %d s, it was 300", got)
	}

	a.up("--kiosk")
	a.page.sees("shows the wall", `location.pathname === "/wall"`, patience)
	a.page.live()
	room := a.here()
	room.declare("Seen from across the room", "SEV1", nil)
	a.page.shows("Seen from across the room")
	until(t, "the wall has the whole screen", patience, func() (bool, string) {
		at := s.place(a.window())
		page := in[[]int](a.page, "[innerWidth, innerHeight]")
		return at == s.all() && page[0] == s.width && page[1] == s.height, fmt.Sprint(at, page)
	})
	until(t, "the screen stays on", patience, func() (bool, string) { return dark() == 0, fmt.Sprint(dark()) })
	if l := drawn(s.capture(image.Rect(0, 0, s.width, 40))); l < 3 {
		t.Errorf("the top of the screen has %d colours", l)
	}
	s.picture("desktop-kiosk")
	a.quit()
	if got := dark(); got != 300 {
		t.Errorf("after the kiosk the screen saver is at %d s, it was 300", got)
	}
}
