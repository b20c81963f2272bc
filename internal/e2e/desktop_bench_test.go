package e2e

import (
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// begun is one start: when the page was drawn, and the memory of all processes
// three seconds later.
type begun struct {
	drawn time.Duration
	mib   float64
}

// watchStart runs begin and measures until the screen shows what it showed in
// looks, clocks aside, then asks for the processes that it took. Without looks,
// which is at the first start of each, what is there after a while becomes them.
func (s *screen) watchStart(looks **image.RGBA, begin func(), pids func() []int) begun {
	s.t.Helper()
	from := time.Now()
	begin()
	s.seenIfFailed()
	if *looks == nil {
		time.Sleep(8 * time.Second)
		*looks = s.settled()
		return begun{}
	}
	until(s.t, "the page is drawn", patience, func() (bool, string) {
		l := likeness(*looks, s.capture(s.all()))
		return l > 0.8, fmt.Sprintf("likeness %.2f", l)
	})
	took := time.Since(from)
	time.Sleep(3 * time.Second)
	return begun{took, proportional(s.t, pids())}
}

func middle[T int | float64 | time.Duration](l []T) T {
	return slices.Sorted(slices.Values(l))[len(l)/2]
}

// TestDesktopBegins measures, with TOCSIN_BENCH set, from the start of the
// program until its page is drawn, and the memory that it holds then (PSS of all
// its processes), in turns with Chromium opening the same page of the same
// server from a warm profile. internal/e2e/desktop.sh prints it.
func TestDesktopBegins(t *testing.T) {
	if os.Getenv("TOCSIN_BENCH") == "" {
		t.Log("set TOCSIN_BENCH=1 to measure; bash internal/e2e/desktop.sh does")
		return
	}
	const starts = 7
	s := newScreen(t, 1280, 800)
	path, err := chromiumPath()
	must(t, err)
	server := start(t, "")

	// Chromium signs in once and keeps its profile.
	profile := t.TempDir()
	c, closeChromium := s.headful("Chromium", server.url, s.all(), chromedp.UserDataDir(profile))
	c.signIn(server, "Ana Ruiz", "ana")
	link := c.linkForDesktop()
	server.declare("One that stays open", "SEV4", nil)
	c.open("/")
	c.live()
	closeChromium()

	// The program joins once, and another one makes its own room.
	a := s.inspectedApp()
	a.up()
	s.put(a.window(), s.all())
	a.joinsAs(link, "ana")
	a.page.open("/")
	a.page.live()
	a.quit()
	joined := s.home
	s.home = t.TempDir()
	must(t, os.MkdirAll(filepath.Join(s.home, "run"), 0o700))
	a = s.inspectedApp()
	a.more = embeddedToken
	a.up()
	s.put(a.window(), s.all())
	room := a.begins("Ana Ruiz", "ana")
	room.declare("One that stays open", "SEV4", nil)
	a.page.live()
	a.quit()
	embedded := s.home

	// Without a window manager a window is where its program puts it: the size of the screen, as it was left.
	got := map[string][]begun{}
	looks := map[string]**image.RGBA{"joined": new(*image.RGBA), "Chromium": new(*image.RGBA), "embedded": new(*image.RGBA)}
	for i := range starts + 1 {
		for _, what := range []string{"joined", "Chromium", "embedded"} {
			var p *child
			pids := func() []int { return processTree(t, p.cmd.Process.Pid) }
			var b begun
			switch what {
			case "Chromium":
				b = s.watchStart(looks[what], func() {
					p = spawn(t, "chromium", path, s.env(), "--no-sandbox", "--test-type", "--user-data-dir="+profile, "--no-first-run", "--no-default-browser-check", "--password-store=basic", "--mute-audio", "--lang=en-GB",
						"--window-position=0,0", fmt.Sprintf("--window-size=%d,%d", s.width, s.height), "--app="+server.url+"/")
				}, pids)
			default:
				s.home = joined
				if what == "embedded" {
					s.home = embedded
				}
				b = s.watchStart(looks[what], func() { p = spawn(t, "tocsin-desktop", desktopProgram(t), append(s.env(), embeddedToken...)) }, pids)
			}
			if i == 0 {
				s.picture("desktop-begins-" + what)
			} else {
				got[what] = append(got[what], b)
			}
			_ = p.cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-p.gone:
			case <-time.After(20 * time.Second):
				p.kill()
			}
			time.Sleep(time.Second)
		}
	}
	at := func(what string) (time.Duration, float64) {
		var d []time.Duration
		var m []float64
		for _, b := range got[what] {
			d, m = append(d, b.drawn), append(m, b.mib)
		}
		return middle(d).Round(time.Millisecond), middle(m)
	}
	serves := proportional(t, processTree(t, server.run.cmd.Process.Pid))
	cd, cm := at("Chromium")
	jd, jm := at("joined")
	ed, em := at("embedded")
	t.Logf("RESULT start to first page, middle of %d starts in turns: Chromium %s, %.0f MiB; desktop joined to the same server %s (%.2f x), %.0f MiB (%.2f x); desktop with its own room %s (%.2f x), %.0f MiB (%.2f x Chromium and the server, which holds %.0f MiB)",
		starts, cd, cm, jd, float64(jd)/float64(cd), jm, jm/cm, ed, float64(ed)/float64(cd), em, em/(cm+serves), serves)
}
