package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/store/blob"
)

// BlobDir is the name of the directory of blobs in the data directory.
const BlobDir = "blobs"

const blobsWithin = 5 * time.Second // for trying them at the start

// openBlobs opens where blobs are kept and tries it. A directory must be right; a
// bucket that does not answer is an error in the log only: a room opens also when
// the cloud is down.
func (a *App) openBlobs(ctx context.Context) error {
	c := a.opt.Config
	if strings.Contains(c.Blobs, "://") {
		if a.opt.OpenBlobs == nil {
			return errors.New("this program keeps blobs in a directory only; take the setting blobs away, or run “tocsin serve”")
		}
		var err error
		if a.blobs, err = a.opt.OpenBlobs(ctx, c.Blobs); err != nil {
			return err
		}
	} else {
		dir := c.Blobs
		if dir == "" {
			dir = filepath.Join(c.Data, BlobDir)
		}
		b, err := blob.OpenDirectory(dir)
		if err != nil {
			return err
		}
		a.blobs = b
		if c.Blobs == "" && c.Store.Shared() {
			a.opt.Logger.Warn("replicas share the log, but each keeps blobs in a directory of its own; name a bucket or a shared directory with --blobs", "directory", dir)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, blobsWithin)
	defer cancel()
	err := blob.Check(ctx, a.blobs)
	if err == nil {
		return nil
	}
	if !strings.Contains(c.Blobs, "://") {
		return fmt.Errorf("%w; choose another place with --blobs", err)
	}
	a.component("blobs").Error("blobs cannot be kept now; check the bucket, its address and the credentials", "err", err)
	return nil
}
