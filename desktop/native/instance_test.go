package native_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-ops/tocsin/desktop/native"
)

func claim(t *testing.T, dir string, args ...string) *native.Instance {
	t.Helper()
	i, err := native.Claim(t.Context(), dir, native.Call{Args: args, Token: "token"})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestSecondStartHandsItsArgumentsOver(t *testing.T) {
	for _, place := range []string{"runtime directory", "none", "too long"} {
		t.Run(place, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "tocsin")
			t.Setenv("XDG_RUNTIME_DIR", "")
			switch place {
			case "runtime directory":
				run, err := os.MkdirTemp("", "run")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.RemoveAll(run) })
				t.Setenv("XDG_RUNTIME_DIR", run)
			case "too long":
				dir = filepath.Join(dir, strings.Repeat("long", 30))
			}
			first := claim(t, dir)
			if first == nil {
				t.Fatal("the first start handed itself over to nobody")
			}
			ctx, cancel := context.WithCancel(t.Context())
			calls, ended := make(chan native.Call, 10), make(chan error, 1)
			go func() { ended <- first.Run(ctx, func(c native.Call) { calls <- c }) }()

			if second := claim(t, dir, "tocsin://incident/7", "--kiosk"); second != nil {
				t.Fatal("two instances of one directory")
			}
			if c := next(t, calls, "the call"); !slices.Equal(c.Args, []string{"tocsin://incident/7", "--kiosk"}) || c.Token != "token" {
				t.Errorf("%+v", c)
			}
			other := claim(t, dir+"-other")
			if other == nil {
				t.Fatal("another directory is another program")
			}
			if err := other.Close(); err != nil {
				t.Error(err)
			}
			cancel()
			if err := next(t, ended, "the end"); err != nil {
				t.Error(err)
			}
			third := claim(t, dir)
			if third == nil {
				t.Fatal("the first has ended, and still nobody else may start")
			}
			if err := third.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOfManyStartsOneIsTheFirst(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	calls := make(chan native.Call, 20)
	var firsts, running sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for n := range 10 {
		firsts.Go(func() {
			i, err := native.Claim(ctx, dir, native.Call{Args: []string{fmt.Sprint(n)}})
			if err != nil {
				t.Error(err)
			}
			if i == nil {
				return
			}
			mu.Lock()
			won++
			mu.Unlock()
			running.Go(func() {
				if err := i.Run(ctx, func(c native.Call) { calls <- c }); err != nil {
					t.Error(err)
				}
			})
		})
	}
	firsts.Wait()
	if won != 1 {
		t.Errorf("%d instances", won)
	}
	if len(calls) != 9 {
		t.Errorf("%d of 9 calls arrived", len(calls))
	}
	cancel()
	running.Wait()
}

func TestSocketOfACrashedInstanceIsNobodys(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", "")
	l, err := net.Listen("unix", filepath.Join(dir, "instance.sock"))
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	i := claim(t, dir)
	if i == nil {
		t.Fatal("a start handed itself over to a dead socket")
	}
	if err := i.Close(); err != nil {
		t.Error(err)
	}
}

func TestInstanceThatDoesNotAnswerIsSaid(t *testing.T) {
	dir := t.TempDir()
	first := claim(t, dir) // claimed, and Run is never called
	defer first.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	i, err := native.Claim(ctx, dir, native.Call{})
	if i != nil || !errors.Is(err, native.ErrSilent) {
		t.Errorf("%v %v", i, err)
	}
}

func TestTooManyArgumentsAreRefused(t *testing.T) {
	dir := t.TempDir()
	first := claim(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = first.Run(ctx, func(native.Call) { t.Error("too much was taken") }) })
	if _, err := native.Claim(t.Context(), dir, native.Call{Args: []string{strings.Repeat("x", 70<<10)}}); err == nil || !strings.Contains(err.Error(), "65536 are taken") {
		t.Errorf("%v", err)
	}
	cancel()
	running.Wait()
}
