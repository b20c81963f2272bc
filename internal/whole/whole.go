// Package whole owns how files are replaced: whole or not at all, also when the power goes; it knows nothing of what is in them.
package whole

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// Temp is the name under which the next content of path is written. A crash may leave it; the next Replace writes over it.
func Temp(path string) string { return path + ".new" }

// Replace gives path the content that write writes, readable by its owner only. On return it is durable; after an error path is as it was. Missing
// directories are made. Two calls for one path at the same time are not allowed.
func Replace(path string, write func(io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(Temp(path), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return SyncDirectory(dir)
}

// SyncDirectory makes the names in a directory durable.
func SyncDirectory(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
