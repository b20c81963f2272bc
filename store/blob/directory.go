package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tocsin-ops/tocsin/internal/whole"
	"github.com/tocsin-ops/tocsin/store"
)

// Directory keeps blobs as files DIR/ab/cd/abcd…, read-only, mode 0400. A file
// appears under its name only when it is whole and synced, so a kill or a loss of
// power leaves none that is half; what was being written lies in DIR/tmp and is
// removed by an Open a day later. Several processes may share it on a file system
// with atomic renames.
type Directory struct{ root string }

const (
	temporary = "tmp"
	leftover  = 24 * time.Hour // no Put takes so long
)

// OpenDirectory opens the directory and makes it, mode 0700, when it is not there.
func OpenDirectory(root string) (*Directory, error) {
	tmp := filepath.Join(root, temporary)
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("open blobs in %s: %w; choose another place with --blobs", root, err)
	}
	entries, err := os.ReadDir(tmp)
	if err != nil {
		return nil, fmt.Errorf("open blobs in %s: %w", root, err)
	}
	for _, e := range entries {
		if st, err := e.Info(); err == nil && time.Since(st.ModTime()) > leftover {
			_ = os.Remove(filepath.Join(tmp, e.Name()))
		}
	}
	return &Directory{root}, nil
}

func (b *Directory) path(d store.Digest) string {
	name := d.String()
	return filepath.Join(b.root, name[:2], name[2:4], name)
}

// Put implements store.Blobs.
func (b *Directory) Put(ctx context.Context, r io.Reader, limit int64) (d store.Digest, n int64, err error) {
	f, err := os.CreateTemp(filepath.Join(b.root, temporary), "put-*")
	if err != nil {
		return d, 0, fmt.Errorf("put blob: %w", err)
	}
	defer func() {
		_ = f.Close()
		if err != nil {
			_ = os.Remove(f.Name())
			d, n, err = store.Digest{}, 0, fmt.Errorf("put blob: %w", err)
		}
	}()
	if d, n, err = Spool(ctx, f, r, limit); err != nil {
		return d, n, err
	}
	if err = f.Chmod(0o400); err != nil && runtime.GOOS != "windows" {
		return d, n, err
	}
	if err = f.Sync(); err != nil {
		return d, n, err
	}
	if err = f.Close(); err != nil {
		return d, n, err
	}
	to := b.path(d)
	inner := filepath.Dir(to)
	if err = os.MkdirAll(inner, 0o700); err != nil {
		return d, n, err
	}
	if err = os.Rename(f.Name(), to); err != nil {
		return d, n, err
	}
	// The name, and the names of the directories if they are new, maybe made by
	// somebody else who has not synced them yet.
	for _, dir := range []string{inner, filepath.Dir(inner), b.root} {
		if err = whole.SyncDirectory(dir); err != nil {
			return d, n, err
		}
	}
	return d, n, nil
}

// Get implements store.Blobs.
func (b *Directory) Get(_ context.Context, d store.Digest) (io.ReadCloser, error) {
	f, err := os.Open(b.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w", d, err)
	}
	return Verified(f, d), nil
}

// Has implements store.Blobs.
func (b *Directory) Has(_ context.Context, d store.Digest) (bool, error) {
	_, err := os.Stat(b.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for blob %s: %w", d, err)
	}
	return true, nil
}

// List implements store.Blobs. Files that are no blobs are left out.
func (b *Directory) List(ctx context.Context) iter.Seq2[store.Blob, error] {
	return func(yield func(store.Blob, error) bool) {
		err := filepath.WalkDir(b.root, func(path string, e fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			if e.IsDir() {
				if path == filepath.Join(b.root, temporary) {
					return fs.SkipDir
				}
				return nil
			}
			d, err := store.ParseDigest(e.Name())
			if err != nil || path != b.path(d) {
				return nil
			}
			st, err := e.Info()
			if err != nil {
				return err
			}
			if !yield(store.Blob{Digest: d, Size: st.Size()}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(store.Blob{}, fmt.Errorf("list blobs in %s: %w", b.root, err))
		}
	}
}

// Close implements store.Blobs; there is nothing to release.
func (b *Directory) Close() error { return nil }
