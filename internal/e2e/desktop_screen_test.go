package e2e

import (
	"bufio"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// screen is an X display of a test's own, with a session bus, a daemon that
// shows notifications, and a home: what a program with a window finds on
// somebody's desk.
type screen struct {
	t             testing.TB
	display       string // ":12"
	bus           string // address of the session bus
	home          string
	width, height int
	x             *xgb.Conn
	root          xproto.Window
	seen          bool // a failed test has its picture
}

// newScreen starts the display on a number that is free. A screen lives as long
// as its test; programs on it may be killed and started again.
func newScreen(t testing.TB, width, height int) *screen {
	t.Helper()
	s := &screen{t: t, home: t.TempDir(), width: width, height: height}
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	x := &child{name: "Xvfb", cmd: exec.Command("Xvfb", "-displayfd", "3", "-r", "-screen", "0", fmt.Sprintf("%dx%dx24", width, height), "-nolisten", "tcp", "-noreset", "-ac"), out: &tail{}, gone: make(chan struct{})}
	x.cmd.ExtraFiles = []*os.File{w}
	x.run(t)
	w.Close()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb did not start: %v\n%s", err, x.out)
	}
	s.display = ":" + strings.TrimSpace(line)
	xgb.Logger.SetOutput(io.Discard) // of cookies that nobody asks for here
	s.x, err = xgb.NewConnDisplay(s.display)
	must(t, err)
	t.Cleanup(s.x.Close)
	s.root = xproto.Setup(s.x).DefaultScreen(s.x).Root

	// A bus that starts nothing by itself, so that every run finds the same.
	config := filepath.Join(t.TempDir(), "bus.conf")
	must(t, os.WriteFile(config, []byte(`<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`), 0o600))
	bus := spawn(t, "dbus-daemon", "dbus-daemon", nil, "--config-file="+config, "--nofork", "--nopidfile", "--print-address=1")
	until(t, "the session bus has an address", patience, func() (bool, string) {
		s.bus, _, _ = strings.Cut(bus.out.String(), "\n")
		return strings.HasPrefix(s.bus, "unix:"), bus.out.String()
	})
	must(t, os.MkdirAll(filepath.Join(s.home, "run"), 0o700))
	return s
}

// seenIfFailed keeps a picture of the screen when the test has failed. It is
// called after a program was started: what is said last is done first, so the
// program is still there.
func (s *screen) seenIfFailed() {
	s.t.Cleanup(func() {
		if s.t.Failed() && !s.seen {
			s.seen = true // what comes after this has less and less on it
			s.picture("failed-" + strings.ReplaceAll(s.t.Name(), "/", "-"))
		}
	})
}

// run starts a child that was made by hand, and ends it with the test.
func (c *child) run(t testing.TB) {
	t.Helper()
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v; run: make tools", c.name, err)
	}
	go func() { _ = c.cmd.Wait(); close(c.gone) }()
	t.Cleanup(c.kill)
}

// env is what a program on this screen has in its environment beside ours.
func (s *screen) env() []string {
	return []string{
		"DISPLAY=" + s.display, "DBUS_SESSION_BUS_ADDRESS=" + s.bus, "HOME=" + s.home, "XDG_RUNTIME_DIR=" + filepath.Join(s.home, "run"),
		"XDG_CONFIG_HOME=" + filepath.Join(s.home, ".config"), "XDG_DATA_HOME=" + filepath.Join(s.home, ".local/share"), "XDG_CACHE_HOME=" + filepath.Join(s.home, ".cache"), "XDG_STATE_HOME=" + filepath.Join(s.home, ".local/state"),
		"WAYLAND_DISPLAY=", "GDK_BACKEND=x11", "NO_AT_BRIDGE=1", "XDG_SESSION_TYPE=x11", "LANG=C.UTF-8", "LC_ALL=", "TZ=UTC",
	}
}

// capture is what the screen shows within a rectangle.
func (s *screen) capture(r image.Rectangle) *image.RGBA {
	s.t.Helper()
	r = r.Intersect(image.Rect(0, 0, s.width, s.height))
	got, err := xproto.GetImage(s.x, xproto.ImageFormatZPixmap, xproto.Drawable(s.root), int16(r.Min.X), int16(r.Min.Y), uint16(r.Dx()), uint16(r.Dy()), ^uint32(0)).Reply()
	must(s.t, err)
	img := image.NewRGBA(r)
	for i := 0; i+3 < len(got.Data) && i+3 < len(img.Pix); i += 4 { // X gives blue first, and nothing for transparency
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = got.Data[i+2], got.Data[i+1], got.Data[i], 255
	}
	return img
}

func (s *screen) all() image.Rectangle { return image.Rect(0, 0, s.width, s.height) }

// picture keeps what the screen shows, for people to look at.
func (s *screen) picture(name string) {
	s.t.Helper()
	dir := os.Getenv("TOCSIN_SCREENSHOTS")
	if dir == "" {
		dir = filepath.Join(root, "internal/e2e/.cache/desktop")
	}
	must(s.t, os.MkdirAll(dir, 0o755))
	f, err := os.Create(filepath.Join(dir, name+".png"))
	must(s.t, err)
	defer f.Close()
	must(s.t, png.Encode(f, s.capture(s.all())))
	s.t.Logf("picture: %s", f.Name())
}

// watch looks at a rectangle every millisecond or two, and says when it first
// differs from what it showed at the call. The zero time is sent after within.
func (s *screen) watch(r image.Rectangle, within time.Duration) <-chan time.Time {
	s.t.Helper()
	x, err := xgb.NewConnDisplay(s.display) // of its own: two watchers do not wait for each other
	must(s.t, err)
	look := func() ([]byte, error) {
		got, err := xproto.GetImage(x, xproto.ImageFormatZPixmap, xproto.Drawable(s.root), int16(r.Min.X), int16(r.Min.Y), uint16(r.Dx()), uint16(r.Dy()), ^uint32(0)).Reply()
		if err != nil {
			return nil, err
		}
		return got.Data, nil
	}
	first, err := look()
	must(s.t, err)
	changed := make(chan time.Time, 1)
	go func() {
		defer x.Close()
		for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(time.Millisecond) {
			now, err := look()
			if err != nil {
				break
			}
			if string(now) != string(first) {
				changed <- time.Now()
				return
			}
		}
		changed <- time.Time{}
	}()
	return changed
}

// painted counts the pixels of a rectangle that have this colour.
func painted(img *image.RGBA, c color.RGBA) (n int, where image.Rectangle) {
	for y := img.Rect.Min.Y; y < img.Rect.Max.Y; y++ {
		for x := img.Rect.Min.X; x < img.Rect.Max.X; x++ {
			if img.RGBAAt(x, y) == c {
				n++
				where = where.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return n, where
}

// drawn tells whether a picture has more than a ground: how many colours it has.
func drawn(img *image.RGBA) int {
	seen := map[[3]uint8]bool{}
	for i := 0; i+3 < len(img.Pix); i += 4 {
		seen[[3]uint8{img.Pix[i], img.Pix[i+1], img.Pix[i+2]}] = true
	}
	return len(seen)
}

// xdo presses keys and moves windows as a person's hands would.
func (s *screen) xdo(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("xdotool", args...)
	cmd.Env = append(os.Environ(), "DISPLAY="+s.display)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("xdotool %s: %v %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// keys presses keys by their X names, such as ctrl+k or Return.
func (s *screen) keys(names ...string) {
	s.t.Helper()
	s.xdo(append([]string{"key", "--delay", "8"}, names...)...)
}

// types writes text, one key after the other.
func (s *screen) types(text string) {
	s.t.Helper()
	s.xdo("type", "--delay", "4", text)
}

var windowID = regexp.MustCompile(`(?m)^(\d+)$`)

// windows are the X windows of a process that people see.
func (s *screen) windows(pid int) []xproto.Window {
	cmd := exec.Command("xdotool", "search", "--onlyvisible", "--pid", strconv.Itoa(pid))
	cmd.Env = append(os.Environ(), "DISPLAY="+s.display)
	out, _ := cmd.Output() // that there is none is an error to it
	var ids []xproto.Window
	for _, m := range windowID.FindAllStringSubmatch(string(out), -1) {
		id, _ := strconv.ParseUint(m[1], 10, 32)
		ids = append(ids, xproto.Window(id))
	}
	return ids
}

// titles are the names of all windows, as a panel or a window manager shows them.
func (s *screen) titles() (out []string) {
	s.t.Helper()
	name, err := xproto.InternAtom(s.x, false, uint16(len("_NET_WM_NAME")), "_NET_WM_NAME").Reply()
	must(s.t, err)
	tree, err := xproto.QueryTree(s.x, s.root).Reply()
	must(s.t, err)
	for _, w := range tree.Children {
		p, err := xproto.GetProperty(s.x, false, w, name.Atom, xproto.GetPropertyTypeAny, 0, 200).Reply()
		if err == nil && len(p.Value) > 0 {
			out = append(out, string(p.Value))
		}
	}
	return out
}

// named are the windows that people see and that have exactly this name.
func (s *screen) named(title string) (out []xproto.Window) {
	s.t.Helper()
	tree, err := xproto.QueryTree(s.x, s.root).Reply()
	must(s.t, err)
	for _, w := range tree.Children {
		name, err := xproto.GetProperty(s.x, false, w, xproto.AtomWmName, xproto.GetPropertyTypeAny, 0, 100).Reply()
		if err != nil || string(name.Value) != title {
			continue
		}
		if at, err := xproto.GetWindowAttributes(s.x, w).Reply(); err == nil && at.MapState == xproto.MapStateViewable {
			out = append(out, w)
		}
	}
	return out
}

// class is what a window calls itself, the first half of WM_CLASS.
func (s *screen) class(w xproto.Window) string {
	s.t.Helper()
	p, err := xproto.GetProperty(s.x, false, w, xproto.AtomWmClass, xproto.AtomString, 0, 100).Reply()
	must(s.t, err)
	name, _, _ := strings.Cut(string(p.Value), "\x00")
	return name
}

// place is the rectangle of a window on the screen.
func (s *screen) place(w xproto.Window) image.Rectangle {
	s.t.Helper()
	g, err := xproto.GetGeometry(s.x, xproto.Drawable(w)).Reply()
	must(s.t, err)
	at, err := xproto.TranslateCoordinates(s.x, w, s.root, 0, 0).Reply()
	must(s.t, err)
	return image.Rect(int(at.DstX), int(at.DstY), int(at.DstX)+int(g.Width), int(at.DstY)+int(g.Height))
}

// put moves a window to a rectangle and gives it the keys.
func (s *screen) put(w xproto.Window, r image.Rectangle) {
	s.t.Helper()
	must(s.t, xproto.ConfigureWindowChecked(s.x, w, xproto.ConfigWindowX|xproto.ConfigWindowY|xproto.ConfigWindowWidth|xproto.ConfigWindowHeight,
		[]uint32{uint32(r.Min.X), uint32(r.Min.Y), uint32(r.Dx()), uint32(r.Dy())}).Check())
	until(s.t, "the window is where it was put", patience, func() (bool, string) {
		now := s.place(w)
		return now == r, now.String()
	})
	s.focus(w)
}

// focus gives a window the keys, as a window manager would; there is none here.
func (s *screen) focus(w xproto.Window) {
	s.t.Helper()
	must(s.t, xproto.SetInputFocusChecked(s.x, xproto.InputFocusPointerRoot, w, xproto.TimeCurrentTime).Check())
}
