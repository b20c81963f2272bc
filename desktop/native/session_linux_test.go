package native_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/tocsin-ops/tocsin/desktop/native"
)

// written is a log that may be read while it is written.
type written struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func session(t *testing.T, o native.SessionOptions) (s *native.Session, stop func()) {
	t.Helper()
	o.Name, o.Entry = "Tocsin", "tocsin"
	s = native.NewSession(o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := next(t, ended, "the end of Run"); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

var page = native.Note{Key: "page/7", Title: "SEV1 Bridge <drained>", Body: "5 % & rising", Urgency: native.Critical, Sticky: true,
	Actions: []native.Action{{ID: "open", Label: "Open"}, {ID: "ack", Label: "Acknowledge"}}}

func TestNoteIsShownReplacedAndWithdrawn(t *testing.T) {
	b := startBus(t)
	d := b.desktop("body", "body-markup", "actions")
	s, _ := session(t, native.SessionOptions{Address: b.address})

	s.Show(page)
	first := next(t, d.shown, "the note")
	if first.Title != page.Title {
		t.Errorf("title %q", first.Title)
	}
	if first.Body != "5 % &amp; rising" {
		t.Errorf("a body with markup would be read as markup: %q", first.Body)
	}
	if first.Urgency != 2 || first.Expires != 0 || first.Replaces != 0 || first.Entry != "tocsin" {
		t.Errorf("a page must be critical, stay and belong to tocsin: %+v", first)
	}
	if want := []string{"default", "Open", "open", "Open", "ack", "Acknowledge"}; !slices.Equal(first.Actions, want) {
		t.Errorf("actions %q, want %q", first.Actions, want)
	}

	again := page
	again.Title, again.Sticky, again.Urgency = "SEV2 Bridge", false, native.Normal
	s.Show(again)
	second := next(t, d.shown, "the newer note")
	if second.Replaces != first.ID || second.Title != "SEV2 Bridge" || second.Expires != -1 || second.Urgency != 1 {
		t.Errorf("the newer note must take the place of %d: %+v", first.ID, second)
	}
	s.Withdraw(page.Key)
	if id := next(t, d.closed, "the withdrawal"); id != second.ID {
		t.Errorf("closed %d, want %d", id, second.ID)
	}
	s.Show(page)
	if third := next(t, d.shown, "the note after its withdrawal"); third.Replaces != 0 {
		t.Errorf("replaces %d, which is gone", third.Replaces)
	}
}

func TestPlainDesktopGetsPlainText(t *testing.T) {
	b := startBus(t)
	d := b.desktop("body")
	s, _ := session(t, native.SessionOptions{Address: b.address})
	s.Show(page)
	if n := next(t, d.shown, "the note"); n.Body != page.Body || len(n.Actions) != 0 {
		t.Errorf("a desktop without markup and buttons got %q %q", n.Body, n.Actions)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	b := startBus(t)
	d := b.desktop("body")
	s, _ := session(t, native.SessionOptions{Address: b.address})
	s.Show(native.Note{Key: "k", Title: strings.Repeat("ä", 5000), Body: strings.Repeat("ö", 50000)})
	if n := next(t, d.shown, "the note"); len([]rune(n.Title)) != 200 || len([]rune(n.Body)) != 2000 || !strings.HasSuffix(n.Title, "…") {
		t.Errorf("%d and %d characters", len([]rune(n.Title)), len([]rune(n.Body)))
	}
}

func TestPressedActionsComeBack(t *testing.T) {
	b := startBus(t)
	d := b.desktop("body", "actions")
	pressed := make(chan native.Choice, 10)
	s, _ := session(t, native.SessionOptions{Address: b.address, Chosen: func(c native.Choice) { pressed <- c }})
	s.Show(page)
	n := next(t, d.shown, "the note")

	d.emit("ActionInvoked", n.ID+1000, "ack") // of another program
	d.emit("ActivationToken", n.ID, "token-1")
	d.emit("ActionInvoked", n.ID, "ack")
	if c := next(t, pressed, "the choice"); c != (native.Choice{Key: "page/7", Action: "ack", Token: "token-1"}) {
		t.Errorf("%+v", c)
	}
	d.emit("ActionInvoked", n.ID, "default")
	if c := next(t, pressed, "the press on the note"); c != (native.Choice{Key: "page/7", Action: "open"}) {
		t.Errorf("a press on the note itself is its first action, and a token is used once: %+v", c)
	}
	other := page
	other.Key = "page/8"
	s.Show(other)
	beside := next(t, d.shown, "another note")
	d.emit("NotificationClosed", n.ID, uint32(2))
	d.emit("ActionInvoked", n.ID, "ack") // its number may be somebody else's by now
	d.emit("ActionInvoked", beside.ID, "ack")
	if c := next(t, pressed, "the button of the other note"); c.Key != "page/8" {
		t.Errorf("a button of a note that is closed: %+v", c)
	}
	s.Show(page)
	if again := next(t, d.shown, "the note after it was closed"); again.Replaces != 0 {
		t.Errorf("replaces %d, which its reader closed", again.Replaces)
	}
}

func TestDesktopThatComesLateOrAnewShowsWhatMustBeDealtWith(t *testing.T) {
	b := startBus(t)
	var log written
	s, _ := session(t, native.SessionOptions{Address: b.address, Log: slog.New(slog.NewTextHandler(&log, nil))})
	s.Show(page)
	s.Show(native.Note{Key: "news", Title: "news"})
	s.Withdraw("news")
	first := b.desktop("body", "actions")
	if n := next(t, first.shown, "the page, on a desktop that came late"); n.Title != page.Title {
		t.Errorf("%+v", n)
	}
	if strings.Count(log.String(), "shows no notifications") > 1 {
		t.Errorf("more than one line about it:\n%s", log.String())
	}
	first.c.Close()
	second := b.desktop("body", "actions")
	if n := next(t, second.shown, "the page, on another desktop"); n.Title != page.Title || n.Replaces != 0 {
		t.Errorf("%+v", n)
	}
	select {
	case n := <-second.shown:
		t.Errorf("news is old by now: %+v", n)
	default:
	}
}

func TestNotesGoWithTheProgram(t *testing.T) {
	b := startBus(t)
	d := b.desktop("body")
	s, stop := session(t, native.SessionOptions{Address: b.address})
	s.Show(page)
	n := next(t, d.shown, "the note")
	stop()
	if id := next(t, d.closed, "the note's end"); id != n.ID {
		t.Errorf("closed %d, want %d", id, n.ID)
	}
}

func TestHundredNotesAtMost(t *testing.T) {
	b := startBus(t)
	s, _ := session(t, native.SessionOptions{Address: b.address})
	for i := range 150 {
		s.Show(native.Note{Key: fmt.Sprint(i), Title: fmt.Sprint(i), Sticky: true})
	}
	d := b.desktop("body")
	seen := map[string]bool{}
	for range 100 {
		seen[next(t, d.shown, "a note").Title] = true
	}
	if len(seen) != 100 || !seen["149"] || seen["0"] {
		t.Errorf("%d notes, the newest shown: %t, the oldest shown: %t", len(seen), seen["149"], seen["0"])
	}
}

func TestBadge(t *testing.T) {
	b := startBus(t)
	c := b.connect()
	if err := c.AddMatchSignal(dbus.WithMatchInterface("com.canonical.Unity.LauncherEntry")); err != nil {
		t.Fatal(err)
	}
	signals := make(chan *dbus.Signal, 10)
	c.Signal(signals)
	s, _ := session(t, native.SessionOptions{Address: b.address})
	s.Badge(3, true)
	sig := next(t, signals, "the badge")
	var app string
	var props map[string]dbus.Variant
	if err := dbus.Store(sig.Body, &app, &props); err != nil {
		t.Fatal(err)
	}
	if app != "application://tocsin.desktop" || props["count"].Value() != int64(3) || props["count-visible"].Value() != true || props["urgent"].Value() != true {
		t.Errorf("%s %v", app, props)
	}
	s.Badge(0, false)
	if err := dbus.Store(next(t, signals, "no badge").Body, &app, &props); err != nil || props["count-visible"].Value() != false {
		t.Errorf("%v %v", props, err)
	}
}

// saver is a service that keeps the display on while somebody asks.
type saver struct{ asked, released chan string }

func (s *saver) Inhibit(app, why string) (uint32, *dbus.Error) {
	s.asked <- app + ": " + why
	return 42, nil
}

func (s *saver) UnInhibit(cookie uint32) *dbus.Error {
	s.released <- fmt.Sprint(cookie)
	return nil
}

func (b *bus) saver() (*saver, *dbus.Conn) {
	s := &saver{make(chan string, 10), make(chan string, 10)}
	c := b.connect()
	if err := c.Export(s, "/org/freedesktop/ScreenSaver", "org.freedesktop.ScreenSaver"); err != nil {
		b.t.Fatal(err)
	}
	b.own(c, "org.freedesktop.ScreenSaver")
	return s, c
}

func TestDisplayIsKeptAwakeByTheSession(t *testing.T) {
	xsetIs(t, "exit 1")
	b := startBus(t)
	first, c := b.saver()
	s, stop := session(t, native.SessionOptions{Address: b.address})
	s.Awake(true)
	if got := next(t, first.asked, "the wish"); got != "Tocsin: An incident room is on the screen" {
		t.Error(got)
	}
	s.Awake(false)
	if got := next(t, first.released, "the end of the wish"); got != "42" {
		t.Error(got)
	}
	s.Awake(true)
	next(t, first.asked, "the second wish")
	c.Close() // a service that starts anew knows nothing of us
	second, _ := b.saver()
	next(t, second.asked, "the wish, to the new service")
	stop()
	next(t, second.released, "the end of the program")
}

// xsetIs puts a script in xset's place, and returns what it was called with.
func xsetIs(t *testing.T, script string) (calls func() []string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "calls")
	body := fmt.Sprintf("#!/bin/sh\necho \"$@\" >> %s\n%s\n", file, script)
	if err := os.WriteFile(filepath.Join(dir, "xset"), []byte(body), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() []string {
		text, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
}

const xsetAnswer = `if [ "$1" = q ]; then cat <<END
Screen Saver:
  prefer blanking:  yes    allow exposures:  yes
  timeout:  600    cycle:  300
DPMS (Energy Star):
  Standby: 600    Suspend: 600    Off: 600
  DPMS is Enabled
  Monitor is On
END
fi`

func TestBareDisplayIsKeptAwakeAndGivenBack(t *testing.T) {
	calls := xsetIs(t, xsetAnswer)
	var log written
	s, stop := session(t, native.SessionOptions{Address: "unix:path=" + filepath.Join(t.TempDir(), "none"), Log: slog.New(slog.NewTextHandler(&log, nil))})
	s.Awake(true)
	deadline := time.After(patience)
	for len(calls()) < 3 {
		select {
		case <-deadline:
			t.Fatalf("xset was called with %q", calls())
		case <-time.After(10 * time.Millisecond):
		}
	}
	stop()
	want := []string{"q", "s off s noblank", "-dpms", "s 600 300", "s blank", "+dpms"}
	if got := calls(); !slices.Equal(got, want) {
		t.Errorf("xset was called with %q, want %q", got, want)
	}
	if n := strings.Count(log.String(), "no D-Bus"); n != 1 {
		t.Errorf("%d lines about the bus, want one:\n%s", n, log.String())
	}
}

func TestSessionWithoutAnythingEnds(t *testing.T) {
	xsetIs(t, "exit 1")
	s, stop := session(t, native.SessionOptions{Address: "unix:path=" + filepath.Join(t.TempDir(), "none"), Log: slog.New(slog.DiscardHandler)})
	s.Show(page)
	s.Badge(1, true)
	s.Awake(true)
	stop()
}

func TestBusThatStartsAnewIsFoundAgain(t *testing.T) {
	b := startBus(t)
	d := b.desktop("body")
	s, _ := session(t, native.SessionOptions{Address: b.address})
	s.Show(page)
	next(t, d.shown, "the note")
	b.stop()
	b.start()
	again := b.desktop("body")
	if n := next(t, again.shown, "the page, over the new bus"); n.Title != page.Title {
		t.Errorf("%+v", n)
	}
}
