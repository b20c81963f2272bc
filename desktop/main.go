//go:build desktop

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/desktop/native"
	"github.com/tocsin-ops/tocsin/internal/desk"
)

var version = "dev"

func main() { os.Exit(run(context.Background(), os.Args[1:])) }

// run shows the room, or the reason why there is none, until the window closes; then it stops everything. A second start hands its arguments to the
// first and is done. The exit status is 1 when anything failed.
func run(ctx context.Context, args []string) int {
	if slices.Contains(args, "--version") {
		fmt.Println("tocsin-desktop", version)
		return 0
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := speak(); err != nil {
		log.Error("choose a language for the window", "err", err)
	}
	s := newShell(log)
	err := s.live(ctx, args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tocsin:", err)
		return 1
	}
	return 0
}

// live runs the program in its window. It returns nil at once when another instance took the arguments.
func (s *shell) live(ctx context.Context, args []string) error {
	dir, err := directory()
	if err != nil {
		return s.refuse("Tocsin found no directory for its settings. Set HOME, and start it again.", err)
	}
	first, err := native.Claim(ctx, dir, native.Call{Args: args, Token: token()})
	if errors.Is(err, native.ErrSilent) {
		return s.refuse("Tocsin runs already, but does not answer. End it (its name in the list of processes is tocsin-desktop), and start it again.", err)
	}
	if err != nil {
		return s.refuse("Tocsin cannot use its directory "+dir+". Look whether you may write there and whether the disk is full.", err)
	}
	if first == nil {
		return nil
	}
	d, err := desk.New(desk.Options{Dir: dir, Version: version, Environ: os.Environ(), Log: s.log, Shell: s})
	if err != nil {
		return errors.Join(s.refuse(desk.Sentence(err), err), first.Close())
	}
	s.desk = d
	d.Arrived(args)

	ctx, end := context.WithCancel(ctx)
	defer end()
	var g errgroup.Group
	g.Go(func() error {
		err := d.Run(ctx)
		if err != nil {
			s.fail(err)
		} else if ctx.Err() == nil {
			s.Quit()
		}
		return err
	})
	// Without these there is still a room.
	for what, part := range map[string]func(context.Context) error{
		"listen for further starts": func(ctx context.Context) error { return first.Run(ctx, s.called) },
		"play sounds":               s.player.Run,
		"follow the session":        s.notes.run,
		"follow the window":         s.work,
	} {
		g.Go(func() error {
			if err := part(ctx); err != nil {
				s.log.Error(what, "err", err)
			}
			return nil
		})
	}
	s.prepare()
	shown := s.show(d.Window(), d.Kiosk(), func(window context.Context) {
		s.install(window)
		s.start(ctx)
	})
	end()
	return errors.Join(shown, g.Wait())
}

// called is told of a further start.
func (s *shell) called(c native.Call) {
	s.raise(c.Token)
	go s.desk.Arrived(c.Args)
}

// refuse shows why nothing can be shown.
func (s *shell) refuse(sentence string, err error) error {
	s.log.Error("start", "err", err)
	s.trouble = sentence
	return errors.Join(err, s.show(desk.WindowState{}, false, nil))
}

func (s *shell) arrived(link string) {
	if s.desk != nil {
		s.desk.Arrived([]string{link})
	}
}

// directory is the user's own for Tocsin; it is made.
func directory() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "tocsin"), nil
}

// token is what a desktop gave this start so that its window may come to the front.
func token() string {
	if t := os.Getenv("XDG_ACTIVATION_TOKEN"); t != "" {
		return t
	}
	return os.Getenv("DESKTOP_STARTUP_ID")
}
