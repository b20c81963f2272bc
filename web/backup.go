package web

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-ops/tocsin/internal/backup"
)

// Backups makes backups of everything; one at a time, else backup.ErrBusy.
type Backups interface {
	Take(ctx context.Context, actor string) (*backup.Taken, error)
}

const backupChunk = 256 << 10 // bytes that whoever takes a backup must take within bodyWait

// apiBackup sends a backup of everything, secrets included. It changes the log,
// which says who took it, so a page of another site must not make a browser ask.
func (s *Server) apiBackup(c *call) error {
	if c.cookie != "" && !c.sameOrigin() {
		return refusal("cross_origin", "This request came from another site and was not carried out. Open the page here and try again.")
	}
	if s.Backups == nil {
		return errNoPage
	}
	ctx, cancel := s.whileAllowed(c)
	defer cancel()
	t, err := s.Backups.Take(ctx, c.actor.String())
	if errors.Is(err, backup.ErrBusy) {
		return refusal("backup_busy", "Another backup is being made or sent. Wait until it is through and try again.")
	}
	if err != nil {
		return err
	}
	defer t.Close()
	name := "tocsin-" + t.MadeAt.Format("20060102T150405Z") + ".backup"
	w := c.Response()
	w.Header().Set("Content-Type", "application/vnd.tocsin.backup")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	w.Header().Set("Content-Length", strconv.FormatInt(t.Size, 10)) // who gets less knows it
	w.WriteHeader(http.StatusOK)
	wire := http.NewResponseController(w.Writer)
	for ctx.Err() == nil {
		_ = wire.SetWriteDeadline(time.Now().Add(bodyWait))
		if _, err := io.CopyN(w, t, backupChunk); err != nil {
			break
		}
	}
	return nil // if it was cut off, the length says so
}
