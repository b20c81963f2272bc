package native_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tocsin-ops/tocsin/desktop/native"
)

// programs makes scripts the only programs there are, beside the shell's own.
func programs(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func play(t *testing.T, log *slog.Logger, sounds ...string) (stop func()) {
	t.Helper()
	p := native.NewPlayer(log)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	for _, s := range sounds {
		p.Play([]byte(s))
	}
	go func() { ended <- p.Run(ctx) }()
	return func() {
		cancel()
		if err := next(t, ended, "the end"); err != nil {
			t.Error(err)
		}
	}
}

// heard reads what a player wrote into a pipe.
func heard(t *testing.T, pipe string) string {
	t.Helper()
	got := make(chan string, 1)
	go func() {
		text, err := os.ReadFile(pipe)
		if err != nil {
			t.Error(err)
		}
		got <- string(text)
	}()
	return next(t, got, "the sound")
}

func TestSoundIsPlayedByTheFirstProgramThatCan(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	pipe := filepath.Join(t.TempDir(), "pipe")
	mkfifo(t, pipe)
	programs(t, map[string]string{
		"pw-play": "exit 1", // there is the program, and no PipeWire
		"paplay":  fmt.Sprintf(`while read -r line || [ -n "$line" ]; do echo "paplay $line" > %s; done < "$1"`, pipe),
		"aplay":   fmt.Sprintf("echo aplay > %s", pipe),
	})
	stop := play(t, slog.New(slog.DiscardHandler), "an old sound", "the newest")
	if got := strings.TrimSpace(heard(t, pipe)); got != "paplay the newest" {
		t.Errorf("heard %q", got)
	}
	stop()
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestThatNothingPlaysIsSaidOnce(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	pipe := filepath.Join(t.TempDir(), "pipe")
	mkfifo(t, pipe)
	programs(t, map[string]string{"aplay": fmt.Sprintf("echo tried > %s; exit 1", pipe)})
	var log written
	p := native.NewPlayer(slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	for range 3 {
		p.Play([]byte("sound"))
		heard(t, pipe)
	}
	cancel()
	if err := next(t, ended, "the end"); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "nothing on this computer plays sounds"); n != 1 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}
