//go:build desktop

package main

/*
#include <stdlib.h>
#include "gtk_linux.h"
*/
import "C"

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/wailsapp/wails/v2/pkg/runtime"

	"github.com/tocsin-ops/tocsin/internal/desk"
)

// system is what of the window only GTK's thread touches, but for its locks.
type system struct {
	installed bool
	menu      []desk.Menu
	menuWaits bool // for the one that is open
	title     string
	placed    bool
	reviving  sync.Mutex
	asking    sync.Mutex
	deaths    []time.Time
}

// prepare is called before the window is made.
func (s *shell) prepare() {
	gtk.ours = s.desk.Ours
	gtk.elsewhere, gtk.died, gtk.moved, gtk.chosen, gtk.menuClosed = s.elsewhere, s.died, s.moved, s.chosen, s.menuClosed
	gtk.file, gtk.fetched, gtk.printed, gtk.folder = s.file, s.fetched, s.printed, s.folder
}

// onWindow runs f on GTK's thread, soon, if there is a window.
func (s *shell) onWindow(f func()) {
	onGTK(func() {
		if s.system.installed {
			f()
		}
	})
}

// placeWithin is how long a page waits for the window to be put where it was.
const placeWithin = 3 * time.Second

// install takes hold of the window that Wails made, and puts it where it was. Only then is a page asked for: WebKit may lose what it painted when page
// and size change at once. It returns when that is done, or ctx ends.
func (s *shell) install(ctx context.Context) {
	onGTK(func() {
		if s.system.installed = C.tocsin_install() != 0; !s.system.installed {
			s.log.Error("find the page in the window: menu, zoom, files and printing do not work")
			return
		}
		C.tocsin_menu_show(flag(!s.desk.Kiosk()))
		s.system.menu = s.desk.Menu()
		putMenu(s.system.menu)
	})
	placed := make(chan struct{})
	onGTKLater(func() {
		defer close(placed)
		if s.system.installed {
			s.place()
		}
	})
	select {
	case <-placed:
		s.opened(ctx)
	case <-time.After(placeWithin): // drawing comes before it, and on a slow machine there may be always something to draw
		s.opened(ctx)
	case <-ctx.Done():
	}
}

// place puts the window where it was. On GTK's thread.
func (s *shell) place() {
	C.tocsin_min_size(minWidth, minHeight)
	if s.system.title != "" { // Wails may have put its own off until now
		with(s.system.title, func(c *C.char) { C.tocsin_title(c) })
	}
	if was := s.desk.Window(); was.Width > 0 && !s.desk.Kiosk() {
		a := fit(area{was.X, was.Y, was.Width, was.Height}, screens())
		C.tocsin_place(C.int(a.X), C.int(a.Y), C.int(a.Width), C.int(a.Height), flag(was.Maximised))
		if was.Fullscreen {
			s.mu.Lock()
			s.full = true
			s.mu.Unlock()
			C.tocsin_menu_show(0)
			C.tocsin_fullscreen(1)
		}
	}
	s.system.placed = true
}

// onPage runs f on GTK's thread, soon; where the page was not found in the window it runs without, which has Wails' own way left.
func (s *shell) onPage(f, without func()) {
	onGTK(func() {
		if s.system.installed {
			f()
		} else {
			without()
		}
	})
}

func (s *shell) load(ctx context.Context, address string) {
	s.onPage(func() { with(address, func(c *C.char) { C.tocsin_load(c) }) }, func() { replace(ctx, address) })
}

func (s *shell) loadIndex(ctx context.Context) {
	s.onPage(func() { with("wails://wails/", func(c *C.char) { C.tocsin_load(c) }) }, func() { runtime.WindowReloadApp(ctx) })
}

func (s *shell) script(ctx context.Context, script string) {
	s.onPage(func() { with(script, func(c *C.char) { C.tocsin_run(c) }) }, func() { runtime.WindowExecJS(ctx, script) })
}

// Wails would touch a window that is gone when these come while the program ends; what waits for GTK's thread then never runs.
func (s *shell) title(ctx context.Context, title string) {
	s.onPage(func() {
		s.system.title = title
		with(title, func(c *C.char) { C.tocsin_title(c) })
	}, func() { runtime.WindowSetTitle(ctx, title) })
}

// showMenu puts the menu as it is now, once the one that is open is closed.
func (s *shell) showMenu(menus []desk.Menu) {
	s.onWindow(func() {
		if reflect.DeepEqual(menus, s.system.menu) {
			return
		}
		if C.tocsin_menu_busy() != 0 {
			s.system.menuWaits = true
			return
		}
		s.system.menu = menus
		putMenu(menus)
	})
}

func (s *shell) menuClosed() {
	if s.system.menuWaits {
		s.system.menuWaits = false
		due(s.menuDue)
	}
}

func (s *shell) chosen(id string) {
	s.mu.Lock()
	kiosk := s.kiosk
	s.mu.Unlock()
	if kiosk && id == "fullscreen" {
		id = "kiosk" // who leaves the full screen of a wall wants its window back
	}
	go s.desk.Do(id)
}

func (s *shell) moved(a area, maximised, fullscreen bool) {
	s.mu.Lock()
	kiosk := s.kiosk
	if s.system.placed && !kiosk {
		if !maximised && !fullscreen {
			s.at.X, s.at.Y, s.at.Width, s.at.Height = a.X, a.Y, a.Width, a.Height
		}
		s.at.Maximised, s.at.Fullscreen = maximised, fullscreen
		s.full = fullscreen // also when the desktop's own key did it
	}
	s.mu.Unlock()
	if s.system.placed && !kiosk {
		C.tocsin_menu_show(flag(!fullscreen))
		due(s.placeDue)
	}
}

func (s *shell) fill(_ context.Context, full, kiosk bool) {
	s.onWindow(func() {
		C.tocsin_menu_show(flag(!full))
		C.tocsin_fullscreen(flag(full))
		C.tocsin_kiosk(flag(kiosk))
	})
}

func (s *shell) urgent(on bool) { s.onWindow(func() { C.tocsin_urgent(flag(on)) }) }

func (s *shell) present(_ context.Context, token string) {
	s.onWindow(func() { with(token, func(c *C.char) { C.tocsin_present(c) }) })
}

func (s *shell) zoom(_ context.Context, factor float64) {
	s.onWindow(func() { C.tocsin_zoom(C.double(factor)) })
}

func (s *shell) print(context.Context) { s.onWindow(func() { C.tocsin_print() }) }

func (s *shell) pdf(ctx context.Context, name string) {
	go func() {
		if !s.system.asking.TryLock() {
			return // the question is on the screen
		}
		defer s.system.asking.Unlock()
		path, err := runtime.SaveFileDialog(ctx, runtime.SaveDialogOptions{Title: "Save as PDF", DefaultFilename: strings.TrimSuffix(safe(name), ".pdf") + ".pdf",
			DefaultDirectory: documents(),
			Filters:          []runtime.FileFilter{{DisplayName: "PDF", Pattern: "*.pdf"}}})
		if err != nil {
			s.log.Error("ask where the PDF goes", "err", err)
		}
		if path == "" {
			return
		}
		if !strings.EqualFold(filepath.Ext(path), ".pdf") {
			if path, err = fresh(filepath.Dir(path), filepath.Base(path)+".pdf"); err != nil {
				s.tell("The PDF was not saved: the folder cannot be read. Choose another one.", "", true)
				return
			}
		}
		uri := url.URL{Scheme: "file", Path: path}
		s.onWindow(func() { with(uri.String(), func(c *C.char) { C.tocsin_pdf(c) }) })
	}()
}

// documents is where people keep what they write; "" leaves the choice to the desktop.
func documents() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	for _, dir := range []string{filepath.Join(home, "Documents"), home} {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			return dir
		}
	}
	return ""
}

func (s *shell) printed(uri, problem string) {
	if problem != "" {
		s.log.Error("print", "err", problem)
		s.tell("It was not printed: "+problem+". Check the printer, or that the folder can be written.", "", true)
		return
	}
	if u, err := url.Parse(uri); err == nil && u.Path != "" {
		s.tell("Saved as "+u.Path, filepath.Dir(u.Path), false)
	}
}

// tell says one sentence below the page, with a button that opens a folder when one is named.
func (s *shell) tell(sentence, folder string, bad bool) {
	s.onWindow(func() {
		with(sentence, func(text *C.char) { with(folder, func(f *C.char) { C.tocsin_tell(text, f, flag(bad)) }) })
	})
}

func (s *shell) file(dir, suggested string) string {
	path, err := inFolder(dir, suggested)
	if err != nil {
		s.log.Error("find a place for a file", "err", err)
		s.tell("The file was not saved: there is no folder for downloads that can be written.", "", true)
	}
	return path
}

func (s *shell) fetched(path, problem string) {
	if u, err := url.Parse(path); err == nil && u.Scheme == "file" {
		path = u.Path
	}
	if problem != "" {
		s.log.Error("save a file", "err", problem)
		s.tell("The file was not saved: "+problem+".", "", true)
		return
	}
	s.tell("Saved as "+path, filepath.Dir(path), false)
}

func (s *shell) folder(path string) { go s.run("xdg-open", path) }

// run starts a program of the desktop, which goes on by itself.
func (s *shell) run(name string, args ...string) {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		s.log.Warn("open with the desktop", "err", err, "out", string(out[:min(len(out), 200)]))
	}
}

// elsewhere: a link leads out of the room.
func (s *shell) elsewhere(uri string) {
	u, err := url.Parse(uri)
	if err != nil {
		return
	}
	switch u.Scheme {
	case "http", "https":
		s.Browse(uri)
	case "mailto", "tel":
		go s.run("xdg-open", uri)
	case "tocsin":
		go s.desk.Arrived([]string{uri})
	}
}

// died: there is no page any more. It is loaded anew, soon the first times and then less and less often.
func (s *shell) died(reason string) {
	now := time.Now()
	s.system.deaths = append(s.system.deaths, now)
	for len(s.system.deaths) > 0 && now.Sub(s.system.deaths[0]) > time.Minute {
		s.system.deaths = s.system.deaths[1:]
	}
	n := len(s.system.deaths)
	s.log.Error("the page in the window ended; it is loaded anew", "reason", reason, "times", n)
	go func() {
		if !s.system.reviving.TryLock() {
			return
		}
		defer s.system.reviving.Unlock()
		time.Sleep(min(time.Duration(n-1)*time.Second, 30*time.Second))
		s.Go("")
	}()
}

func (s *shell) pageCame(context.Context) {}
