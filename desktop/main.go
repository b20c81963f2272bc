//go:build desktop

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
)

var version = "dev"

func main() { os.Exit(run(context.Background())) }

// run shows the room, or the reason why there is none, until the window closes;
// then it stops the room. The exit status is 1 when anything failed.
func run(ctx context.Context) int {
	if err := speak(); err != nil {
		slog.Error("choose a language for the window", "err", err)
	}
	room, err := open(ctx, os.Environ())
	if err != nil {
		// Whoever clicked on an icon sees no standard error.
		slog.Error("start the room", "err", err)
		if err := show(refused(err), nil); err != nil {
			slog.Error("show the window", "err", err)
		}
		return 1
	}
	shown := show(entrance(room.app), room.ended)
	stopped := room.stop()
	if shown == nil && stopped == nil {
		return 0
	}
	for _, err := range []error{shown, stopped} {
		if err != nil {
			fmt.Fprintln(os.Stderr, "tocsin:", err)
		}
	}
	return 1
}
