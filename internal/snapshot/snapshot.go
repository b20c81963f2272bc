// Package snapshot owns files that spare a start the reading of the whole log:
// a fold of its first events, written down. A snapshot is a cache and never a
// record: whatever is not exactly as it was written, or belongs to another log
// or another program, is refused, and the log itself is folded instead.
package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-ops/tocsin/internal/whole"
)

// ErrUnfit says that a file is no snapshot that may be used here. The error says why.
var ErrUnfit = errors.New("the snapshot is not used")

// Log is what a snapshot is compared with.
type Log interface {
	Origin() string
	Size() int64
	Root(ctx context.Context, size int64) (tlog.Hash, error)
}

// File is one snapshot in a local directory. It has one writer at a time.
type File struct {
	Path string
	// Shape names the form of the body and the rules by which it was folded; see
	// Shape. A file of another shape is refused.
	Shape string
}

// magic is the first line of every file and changes with what follows it.
const magic = "tocsin snapshot 1\n"

// head is the second line. Size and Root say of which log the body is a fold.
type head struct {
	Shape  string    `json:"shape"`
	Origin string    `json:"origin"`
	Size   int64     `json:"size"`
	Root   tlog.Hash `json:"root"`
	Bytes  int       `json:"bytes"` // of the body
}

// The file ends with the SHA-256 of all that stands before.
const sumSize = sha256.Size

// Write replaces the file by a fold of the first size events of log. It is
// durable on return; a crash leaves the old file or the new one.
func (f File) Write(ctx context.Context, log Log, size int64, body []byte) error {
	root, err := log.Root(ctx, size)
	if err != nil {
		return fmt.Errorf("write the snapshot of %d events: %w", size, err)
	}
	line, err := json.Marshal(head{Shape: f.Shape, Origin: log.Origin(), Size: size, Root: root, Bytes: len(body)})
	if err != nil {
		return fmt.Errorf("write the snapshot of %d events: %w", size, err)
	}
	if err := f.write([]byte(magic), append(line, '\n'), body); err != nil {
		return fmt.Errorf("write the snapshot of %d events: %w", size, err)
	}
	return nil
}

func (f File) write(parts ...[]byte) error {
	return whole.Replace(f.Path, func(out io.Writer) error {
		sum := sha256.New()
		out = io.MultiWriter(out, sum)
		for _, p := range parts {
			if _, err := out.Write(p); err != nil {
				return err
			}
		}
		_, err := out.Write(sum.Sum(nil))
		return err
	})
}

// Read returns the body and of how many events of log it is the fold. The error
// is fs.ErrNotExist when there is no file, else mostly ErrUnfit.
func (f File) Read(ctx context.Context, log Log) (size int64, body []byte, err error) {
	all, err := os.ReadFile(f.Path)
	if err != nil {
		return 0, nil, fmt.Errorf("read the snapshot: %w", err)
	}
	h, body, err := parse(all)
	if err == nil {
		err = h.fits(ctx, f.Shape, log)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read %s: %w: %w", f.Path, ErrUnfit, err)
	}
	return h.Size, body, nil
}

func parse(all []byte) (h head, body []byte, err error) {
	rest, ok := bytes.CutPrefix(all, []byte(magic))
	if !ok || len(rest) < sumSize {
		return h, nil, errors.New("it is not a snapshot of this form")
	}
	rest = rest[:len(rest)-sumSize]
	sum := sha256.Sum256(all[:len(all)-sumSize])
	if !bytes.Equal(sum[:], all[len(all)-sumSize:]) {
		return h, nil, errors.New("its checksum does not match")
	}
	line, body, ok := bytes.Cut(rest, []byte("\n"))
	if !ok {
		return h, nil, errors.New("it has no head")
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return h, nil, fmt.Errorf("its head is not readable: %w", err)
	}
	if h.Bytes != len(body) {
		return h, nil, fmt.Errorf("it has %d bytes and should have %d", len(body), h.Bytes)
	}
	return h, body, nil
}

func (h head) fits(ctx context.Context, shape string, log Log) error {
	switch {
	case h.Shape != shape:
		return errors.New("another version of this program wrote it")
	case h.Origin != log.Origin():
		return fmt.Errorf("it is of the log %q, not of %q", h.Origin, log.Origin())
	case h.Size < 0 || h.Size > log.Size():
		return fmt.Errorf("it has %d events and the log %d", h.Size, log.Size())
	}
	root, err := log.Root(ctx, h.Size)
	if err != nil {
		return err
	}
	if root != h.Root {
		return fmt.Errorf("the first %d events of the log are others than those it was made of", h.Size)
	}
	return nil
}

// Remove takes the file away, and what a crash may have left of a newer one. No
// file is no error.
func (f File) Remove() error {
	var errs []error
	for _, p := range []string{whole.Temp(f.Path), f.Path} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	_ = whole.SyncDirectory(filepath.Dir(f.Path)) // an old name may come back after a power cut; what it names is checked
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove the snapshot: %w; delete it by hand if it must not stay", err)
	}
	return nil
}
