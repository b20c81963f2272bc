//go:build desktop && !linux

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/wailsapp/wails/v2/pkg/menu"
	"github.com/wailsapp/wails/v2/pkg/menu/keys"
	"github.com/wailsapp/wails/v2/pkg/runtime"

	"github.com/tocsin-ops/tocsin/internal/desk"
)

// system: Wails does here what is our own on Linux.
type system struct{ factor float64 }

const lookEvery = 2 * time.Second // at where the window is

func (s *shell) prepare() {}

func (s *shell) install(ctx context.Context) {
	s.mu.Lock()
	s.at = s.desk.Window()
	was := s.at
	s.mu.Unlock()
	if was.Width > 0 && !s.desk.Kiosk() {
		var areas []area
		if all, err := runtime.ScreenGetAll(ctx); err == nil && len(all) == 1 {
			areas = []area{{0, 0, all[0].Size.Width, all[0].Size.Height}} // of several Wails does not say where they are
		}
		a := fit(area{was.X, was.Y, was.Width, was.Height}, areas)
		runtime.WindowSetSize(ctx, a.Width, a.Height)
		runtime.WindowSetPosition(ctx, a.X, a.Y)
		if was.Fullscreen {
			s.Fullscreen(true)
		}
	}
	due(s.menuDue)
	s.opened(ctx)
	go func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				s.lookWhere(ctx)
			}
		}
	}()
}

func (s *shell) lookWhere(ctx context.Context) {
	x, y := runtime.WindowGetPosition(ctx)
	w, h := runtime.WindowGetSize(ctx)
	maximised, full := runtime.WindowIsMaximised(ctx), runtime.WindowIsFullscreen(ctx)
	if runtime.WindowIsMinimised(ctx) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kiosk {
		return
	}
	before := s.at
	if !maximised && !full {
		s.at.X, s.at.Y, s.at.Width, s.at.Height = x, y, w, h
	}
	s.at.Maximised, s.at.Fullscreen = maximised, full
	if s.at != before {
		due(s.placeDue)
	}
}

func (s *shell) load(ctx context.Context, address string) { replace(ctx, address) }

func (s *shell) title(ctx context.Context, title string) { runtime.WindowSetTitle(ctx, title) }

func (s *shell) script(ctx context.Context, script string) { runtime.WindowExecJS(ctx, script) }

func (s *shell) loadIndex(ctx context.Context) { runtime.WindowReloadApp(ctx) }

func (s *shell) showMenu(menus []desk.Menu) {
	s.then(func(ctx context.Context) {
		runtime.MenuSetApplicationMenu(ctx, s.barOf(menus))
		runtime.MenuUpdateApplicationMenu(ctx)
	})
}

func (s *shell) barOf(menus []desk.Menu) *menu.Menu {
	bar := menu.NewMenu()
	for _, m := range menus {
		s.items(bar.AddSubmenu(m.Label), m.Items)
	}
	bar.Append(menu.EditMenu()) // copy and paste are the system's
	return bar
}

func (s *shell) items(to *menu.Menu, items []desk.Item) {
	for _, i := range items {
		if i.Separator {
			to.AddSeparator()
			continue
		}
		if len(i.Items) > 0 {
			s.items(to.AddSubmenu(i.Label), i.Items)
			continue
		}
		label := i.Label
		if i.Page != "" {
			label = fmt.Sprintf("%s  (%s)", label, i.Page)
		}
		do := func(*menu.CallbackData) { s.desk.Do(i.ID) }
		var item *menu.MenuItem
		if i.Checked != nil {
			item = to.AddCheckbox(label, *i.Checked, accelerator(i.Key), do)
		} else {
			item = to.AddText(label, accelerator(i.Key), do)
		}
		item.Disabled = i.Disabled
	}
}

func accelerator(s string) *keys.Accelerator {
	k, ok := strokeOf(s)
	if !ok {
		return nil
	}
	a := &keys.Accelerator{Key: k.Key}
	if k.Control {
		a.Modifiers = append(a.Modifiers, keys.CmdOrCtrlKey)
	}
	if k.Alt {
		a.Modifiers = append(a.Modifiers, keys.OptionOrAltKey)
	}
	if k.Shift {
		a.Modifiers = append(a.Modifiers, keys.ShiftKey)
	}
	return a
}

func (s *shell) fill(ctx context.Context, full, kiosk bool) {
	if full {
		runtime.WindowFullscreen(ctx)
	} else {
		runtime.WindowUnfullscreen(ctx)
	}
}

func (s *shell) urgent(bool) {}

func (s *shell) present(ctx context.Context, _ string) {
	runtime.WindowUnminimise(ctx)
	runtime.Show(ctx)
}

func (s *shell) print(ctx context.Context) { runtime.WindowPrint(ctx) }

// pdf: the system's print dialog saves PDFs.
func (s *shell) pdf(ctx context.Context, _ string) { runtime.WindowPrint(ctx) }

func (s *shell) zoom(ctx context.Context, factor float64) {
	s.mu.Lock()
	s.system.factor = factor
	s.mu.Unlock()
	s.zoomAgain(ctx)
}

// zoomAgain is called for each page that came.
func (s *shell) zoomAgain(ctx context.Context) {
	s.mu.Lock()
	factor := s.system.factor
	s.mu.Unlock()
	if factor > 0 {
		runtime.WindowExecJS(ctx, "document.documentElement.style.zoom="+strconv.FormatFloat(factor, 'f', 2, 64))
	}
}

func (s *shell) pageCame(ctx context.Context) { s.zoomAgain(ctx) }
