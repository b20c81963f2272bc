// Package blob owns the engine of store.Blobs that keeps them in a directory, and
// what every engine needs to verify while it reads; it never removes a blob, and
// never trusts what a disk gives back.
package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/tocsin-ops/tocsin/store"
)

// Verified is r with the check that store.Blobs.Get promises. Closing it closes r.
func Verified(r io.ReadCloser, d store.Digest) io.ReadCloser {
	return &verified{r: r, want: d, sum: sha256.New()}
}

type verified struct {
	r    io.ReadCloser
	want store.Digest
	sum  hash.Hash
	err  error // at the end, for good
}

func (v *verified) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.r.Read(p)
	v.sum.Write(p[:n])
	switch {
	case err == io.EOF && store.Digest(v.sum.Sum(nil)) != v.want:
		v.err = fmt.Errorf("read blob %s: %w", v.want, store.ErrMismatch)
	case err == io.EOF:
		v.err = io.EOF
	case err != nil:
		v.err = fmt.Errorf("read blob %s: %w", v.want, err)
	}
	return n, v.err
}

func (v *verified) Close() error { return v.r.Close() }

// Spool reads r to its end into w and returns digest and size. More than limit
// bytes are store.ErrBlobTooLarge; one byte more than limit is read to know.
func Spool(ctx context.Context, w io.Writer, r io.Reader, limit int64) (store.Digest, int64, error) {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(interruptible{ctx, r}, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("more than %d bytes: %w", limit, store.ErrBlobTooLarge)
	}
	return store.Digest(sum.Sum(nil)), n, err
}

// interruptible ends a copy between two reads when ctx has ended.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// probe is what Check puts; its digest is the same everywhere, so it is one blob.
const probe = "tocsin was here\n"

// Check puts a small blob and reads it back: whether the place can be written
// and read is known at the start, not when evidence has to be kept.
func Check(ctx context.Context, b store.Blobs) error {
	d, _, err := b.Put(ctx, bytes.NewReader([]byte(probe)), int64(len(probe)))
	if err != nil {
		return fmt.Errorf("write a blob to try: %w", err)
	}
	r, err := b.Get(ctx, d)
	if err != nil {
		return fmt.Errorf("read the blob that was just written: %w", err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("read the blob that was just written: %w", err)
	}
	return nil
}
