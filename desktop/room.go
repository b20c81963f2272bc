//go:build desktop

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/config"
)

// address is open to this machine only; the system picks the port, so that a
// server that runs beside us is not in the way.
const address = "127.0.0.1:0"

// answersWithin is long enough to fold a big log on a slow disk.
const answersWithin = 2 * time.Minute

// room is the running App.
type room struct {
	app   *app.App
	end   context.CancelFunc
	ended chan struct{} // closed when Run has returned
	err   error         // what Run returned; read after ended
}

// open starts the room and returns when it answers. Settings come from the
// environment as for the server, but address, data directory and public URL
// are the window's own. On an error nothing is left running.
func open(ctx context.Context, environ []string) (*room, error) {
	c, err := config.Load("", environ)
	if err != nil {
		return nil, err
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return nil, fmt.Errorf("find the directory for settings: %w", err)
	}
	c.Addr, c.Data, c.PublicURL = address, filepath.Join(dir, "tocsin"), ""
	if err := c.Validate(); err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: c.Level()}))
	a, err := app.New(ctx, app.Options{Config: c, Version: version, Logger: log, BootstrapToken: c.BootstrapToken.Reveal()})
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	r := &room{app: a, end: end, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		defer end() // whoever waits for an answer waits in vain
		r.err = a.Run(ctx)
	}()
	if err := a.WaitReady(ctx, answersWithin); err != nil {
		return nil, errors.Join(r.stop(), err)
	}
	return r, nil
}

// stop ends the room and returns when everything is on disk and closed.
func (r *room) stop() error {
	r.end()
	<-r.ended
	return r.err
}
