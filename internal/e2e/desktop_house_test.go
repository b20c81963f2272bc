package e2e

import (
	"encoding/json"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/jezek/xgb/xproto"
)

// The desktop program is built twice: as people get it, and with WebKit's
// inspector, through which a test asks the page in the window.
var (
	shipped       = sync.OnceValues(func() (string, error) { return buildDesktop("tocsin-desktop", "desktop,production,webkit2_41") })
	withInspector = sync.OnceValues(func() (string, error) {
		return buildDesktop("tocsin-desktop-inspected", "desktop,production,webkit2_41,devtools")
	})
)

func buildDesktop(name, tags string) (string, error) {
	path := filepath.Join(filepath.Dir(product), name)
	if os.Getenv("TOCSIN_BINARY") != "" {
		dir, err := os.MkdirTemp("", "tocsin-e2e-")
		if err != nil {
			return "", err
		}
		path = filepath.Join(dir, name)
	}
	cmd := exec.Command("go", "build", "-tags", tags, "-trimpath", "-ldflags", "-s -w -X main.version=e2e", "-o", path, "./desktop")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the desktop program: %w\n%s", err, out)
	}
	return path, nil
}

// desktopProgram is the program as people get it.
func desktopProgram(t testing.TB) string {
	t.Helper()
	path, err := shipped()
	must(t, err)
	return path
}

// deskApp is the desktop program on a screen. It may be killed and started again.
type deskApp struct {
	*screen
	program string
	args    []string
	more    []string // environment
	inspect string   // address of the inspector, "" = the program that people get
	run     *child
	page    *inspected // nil without an inspector
}

// desktopApp prepares the program as people get it; nothing is started.
func (s *screen) desktopApp() *deskApp { return &deskApp{screen: s, program: desktopProgram(s.t)} }

// inspectedApp prepares the program with an inspector.
func (s *screen) inspectedApp() *deskApp {
	s.t.Helper()
	path, err := withInspector()
	must(s.t, err)
	return &deskApp{screen: s, program: path, inspect: "127.0.0.1:" + freePort(s.t)}
}

// up starts the program and waits for its window, and for its page if it can be asked.
func (a *deskApp) up(args ...string) {
	a.t.Helper()
	env := append(a.env(), a.more...)
	if a.inspect != "" {
		env = append(env, "WEBKIT_INSPECTOR_HTTP_SERVER="+a.inspect)
	}
	a.run = spawn(a.t, "tocsin-desktop", a.program, env, append(args, a.args...)...)
	a.seenIfFailed()
	if a.inspect != "" {
		a.page = inspect(a.t, a.run, a.inspect)
		a.page.sees("has a page of the front", `location.protocol === "http:" && document.readyState === "complete"`, patience)
	}
	a.window()
}

// window waits for the program's window.
func (a *deskApp) window() (id xproto.Window) {
	a.t.Helper()
	until(a.t, "the program has a window", patience, func() (bool, string) {
		all := a.windows(a.run.cmd.Process.Pid)
		if len(all) > 0 {
			id = all[0]
		}
		return len(all) == 1, fmt.Sprint(all, " ", a.titles())
	})
	return id
}

// kill is kill -9 of the program; WebKit's processes end by themselves.
func (a *deskApp) kill() {
	a.t.Helper()
	a.run.kill()
	until(a.t, "the window is gone", patience, func() (bool, string) {
		left := a.windows(a.run.cmd.Process.Pid)
		return len(left) == 0, fmt.Sprint(left)
	})
}

// tree are the process ids of the program and all it started.
func (a *deskApp) tree() []int { return processTree(a.t, a.run.cmd.Process.Pid) }

var statParent = regexp.MustCompile(`^\d+ \(.*\) \S (\d+) `)

// processTree is a process and what descends from it.
func processTree(t testing.TB, top int) []int {
	t.Helper()
	children := map[int][]int{}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	for _, d := range dirs {
		b, err := os.ReadFile(filepath.Join(d, "stat"))
		if err != nil {
			continue // ended meanwhile
		}
		var pid, parent int
		if m := statParent.FindSubmatch(b); m != nil {
			fmt.Sscan(filepath.Base(d), &pid)
			fmt.Sscan(string(m[1]), &parent)
			children[parent] = append(children[parent], pid)
		}
	}
	out := []int{top}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out
}

// proportional is the memory of processes in MiB: their own, and of what they
// share with others their part.
func proportional(t testing.TB, pids []int) (mib float64) {
	t.Helper()
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		var kb float64
		if m := regexp.MustCompile(`(?m)^Pss:\s+(\d+) kB`).FindSubmatch(b); m != nil {
			fmt.Sscan(string(m[1]), &kb)
		}
		mib += kb / 1024
	}
	return mib
}

const moment = 300 * time.Millisecond

// harmless is what WebKit notes on every page of ours: a directive that only
// other browsers know.
var harmless = regexp.MustCompile(`Unrecognized Content-Security-Policy directive 'manifest-src'`)

// quit asks the program to end, as the system does at the end of a session.
func (a *deskApp) quit() {
	a.t.Helper()
	a.run.stop(a.t)
	if code := a.run.cmd.ProcessState.ExitCode(); code != 0 {
		a.t.Errorf("the desktop program ended with %d:\n%s", code, a.run.out.last(1500))
	}
}

// settled is what the screen shows once it has stood still, clocks aside.
func (s *screen) settled() *image.RGBA {
	s.t.Helper()
	last := s.capture(s.all())
	still := 0
	until(s.t, "the screen stands still", patience, func() (bool, string) {
		time.Sleep(moment)
		now := s.capture(s.all())
		l := likeness(last, now)
		last = now
		if still++; l <= 0.98 {
			still = 0
		}
		return still == 2, fmt.Sprintf("likeness %.3f", l)
	})
	return last
}

// timelineNotes are the notes of an incident, in the order of the log.
func (s *tocsin) timelineNotes(n int64) (out []string) {
	s.t.Helper()
	for _, e := range s.notes(n) {
		out = append(out, e.Text)
	}
	return out
}

type noteEvent struct {
	Text      string `json:"text"`
	WrittenAt int64  `json:"written_at"`
	at        time.Time
	causation string
}

func (s *tocsin) notes(n int64) (out []noteEvent) {
	s.t.Helper()
	for _, e := range s.events() {
		if e.Type != "incident.note_added" || e.Stream != fmt.Sprintf("incident/%d", n) {
			continue
		}
		var v noteEvent
		must(s.t, json.Unmarshal(e.Data, &v))
		v.causation = e.Causation
		out = append(out, v)
	}
	return out
}
