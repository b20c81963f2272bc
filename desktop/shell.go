//go:build desktop

package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/wailsapp/wails/v2/pkg/runtime"

	"github.com/tocsin-ops/tocsin/desktop/native"
	"github.com/tocsin-ops/tocsin/internal/attention"
	"github.com/tocsin-ops/tocsin/internal/desk"
)

// shell is the window and what the desktop around it can do. What it is told before there is a window it does once there is.
type shell struct {
	log    *slog.Logger
	player *native.Player
	notes  *notes // and what else the session has
	system system // what is of this kind of computer only

	mu       sync.Mutex
	desk     *desk.Desk      // set before the window is made
	ctx      context.Context // of the toolkit; nil before there is a window
	early    []func(context.Context)
	trouble  string // why nothing can be shown; "" when something can
	going    bool   // a page was asked for
	kiosk    bool
	full     bool
	at       desk.WindowState
	menuDue  chan struct{}
	placeDue chan struct{}
}

var _ desk.Shell = (*shell)(nil)

func newShell(log *slog.Logger) *shell {
	s := &shell{log: log, player: native.NewPlayer(log), menuDue: make(chan struct{}, 1), placeDue: make(chan struct{}, 1)}
	s.notes = newNotes(s)
	return s
}

// then does f now, or as soon as there is a window.
func (s *shell) then(f func(context.Context)) {
	s.mu.Lock()
	ctx := s.ctx
	if ctx == nil {
		s.early = append(s.early, f)
	}
	s.mu.Unlock()
	if ctx != nil {
		f(ctx)
	}
}

// opened is called once, when the window is there.
func (s *shell) opened(ctx context.Context) {
	for {
		s.mu.Lock()
		early := s.early
		s.early = nil
		if len(early) == 0 {
			s.ctx = ctx // and not before: what was said first is done first
		}
		s.mu.Unlock()
		if len(early) == 0 {
			return
		}
		for _, f := range early {
			f(ctx)
		}
	}
}

func due(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is known
	}
}

// Go shows a page of the front by an address that only this window gets.
func (s *shell) Go(path string) {
	s.mu.Lock()
	s.going = true
	d := s.desk
	s.mu.Unlock()
	s.then(func(ctx context.Context) {
		address, err := d.Entry(path)
		if err != nil {
			s.log.Error("make an address for the window", "err", err)
			return
		}
		s.load(ctx, address)
	})
}

// replace leads the page in the window elsewhere, by its own script.
func replace(ctx context.Context, address string) {
	quoted, err := json.Marshal(address)
	if err != nil {
		return // text is always written
	}
	runtime.WindowExecJS(ctx, "location.replace("+string(quoted)+")")
}

// start shows the first page, unless another was asked for meanwhile, or says why there is none.
func (s *shell) start(ctx context.Context) {
	if err := s.desk.Ready(ctx); err != nil {
		if ctx.Err() == nil {
			s.fail(err)
		}
		return
	}
	s.mu.Lock()
	going := s.going
	s.mu.Unlock()
	if !going {
		s.Go("")
	}
}

// fail shows why nothing works.
func (s *shell) fail(err error) {
	s.log.Error("run the program behind the window", "err", err)
	s.mu.Lock()
	s.trouble = desk.Sentence(err)
	s.mu.Unlock()
	s.then(s.loadIndex)
}

func (s *shell) Run(script string) {
	s.then(func(ctx context.Context) { s.script(ctx, script) })
}

func (s *shell) Browse(url string) {
	s.then(func(ctx context.Context) { go runtime.BrowserOpenURL(ctx, url) }) // it waits for the browser
}

func (s *shell) Title(title string) {
	s.then(func(ctx context.Context) { s.title(ctx, title) })
}

func (s *shell) Badge(open int, worst string) {
	urgent := worst == "SEV1" || worst == "SEV2"
	s.notes.badge(open, urgent)
	s.then(func(context.Context) { s.urgent(open > 0 && urgent) })
}

func (s *shell) Notify(n attention.Notice) { s.notes.show(n) }
func (s *shell) Withdraw(key string)       { s.notes.withdraw(key) }
func (s *shell) Sound(wav []byte)          { s.player.Play(wav) }
func (s *shell) Awake(on bool)             { s.notes.awake(on) }

func (s *shell) Fullscreen(on bool) {
	s.mu.Lock()
	s.full = on
	s.mu.Unlock()
	s.then(s.screen)
}

func (s *shell) Kiosk(on bool) {
	s.mu.Lock()
	s.kiosk = on
	s.mu.Unlock()
	s.then(s.screen)
}

// screen makes the window full or not, as it was told last.
func (s *shell) screen(ctx context.Context) {
	s.mu.Lock()
	full, kiosk := s.full || s.kiosk, s.kiosk
	s.mu.Unlock()
	s.fill(ctx, full, kiosk)
}

func (s *shell) Raise() { s.raise("") }

func (s *shell) raise(token string) {
	s.then(func(ctx context.Context) { s.present(ctx, token) })
}

func (s *shell) Quit() { s.then(runtime.Quit) }

func (s *shell) Print()              { s.then(s.print) }
func (s *shell) SavePDF(name string) { s.then(func(ctx context.Context) { s.pdf(ctx, name) }) }
func (s *shell) Zoom(factor float64) { s.then(func(ctx context.Context) { s.zoom(ctx, factor) }) }

func (s *shell) Autostart(on bool, args []string) error {
	path, err := native.Itself()
	if err != nil {
		return err
	}
	return native.Autostart(on, native.Program{Name: "Tocsin", Entry: entry, Path: path, Args: args})
}

func (s *shell) MenuChanged() { due(s.menuDue) }

// entry is the name by which desktops know the program: of its .desktop file.
const entry = "tocsin"

// answer does what somebody pressed on a notice.
func (s *shell) answer(n attention.Notice, action, token string) {
	if action == acknowledge && n.Ack != 0 {
		s.desk.Acknowledge(n.Ack)
		return
	}
	s.raise(token)
	if n.Path != "" {
		s.desk.Opened(n.Path)
	}
}

const keepAfter = 400 * time.Millisecond // of the last move

// work follows the menu and the window's place until ctx ends.
func (s *shell) work(ctx context.Context) error {
	settled := time.NewTimer(0)
	defer settled.Stop()
	moving := false
	for {
		select {
		case <-ctx.Done():
			if moving {
				s.keep()
			}
			return nil
		case <-s.menuDue:
			s.showMenu(s.desk.Menu())
		case <-s.placeDue:
			moving = true
			settled.Reset(keepAfter)
		case <-settled.C:
			if moving {
				moving = false
				s.keep()
			}
		}
	}
}

func (s *shell) keep() {
	s.mu.Lock()
	at := s.at
	s.mu.Unlock()
	if at.Width > 0 {
		s.desk.KeepWindow(at)
	}
}
