package web

import (
	"context"
	"net/http"
	"time"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
)

// checkpoint serves the newest signed tree head (C2SP tlog-checkpoint).
func (s *Server) checkpoint(c *call) error {
	note, err := s.Log.Checkpoint(c.ctx())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, "text/plain; charset=utf-8", note)
}

func (s *Server) verifierKey(c *call) error {
	return c.String(http.StatusOK, s.Log.Verifier()+"\n")
}

// tile serves hash tiles to anybody and entry bundles to those who may read the
// log (C2SP tlog-tiles).
func (s *Server) tile(c *call) error {
	t, err := eventlog.ParseTilePath(c.Param("*"))
	if err != nil {
		return errNoPage
	}
	h := c.Response().Header()
	if t.Width == eventlog.TileWidth {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-store")
	}
	if t.Level == eventlog.EntriesLevel {
		if err := c.allow(auth.ViewLog, auth.Subject{}); err != nil {
			return err
		}
		h.Set("Cache-Control", "private, no-store")
		b, err := s.Log.Entries(c.ctx(), t.N, t.Width)
		if err != nil {
			return err
		}
		return c.Blob(http.StatusOK, "application/octet-stream", b)
	}
	b, err := s.Log.Tile(c.ctx(), t.Level, t.N, t.Width)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "application/octet-stream", b)
}

// whileAllowed is the request's context, ended as soon as its credential is.
// It asks every few seconds (Server.recheck), which also covers other replicas' revocations.
func (s *Server) whileAllowed(c *call) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(c.ctx())
	stop := make(chan struct{})
	go func() {
		tick := time.NewTicker(s.recheck)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ctx.Done():
				return
			case <-s.ending:
				cancel()
				return
			case <-tick.C:
				if !c.still(ctx) {
					cancel()
					return
				}
			}
		}
	}()
	return ctx, func() { close(stop); cancel() }
}
