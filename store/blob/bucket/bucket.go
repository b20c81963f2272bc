// Package bucket owns the engine of store.Blobs that keeps them in a bucket, by
// gocloud.dev/blob; it never removes an object, and never uploads bytes whose
// digest it does not know.
package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	gocloud "gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob" // s3://
	"gocloud.dev/gcerrors"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/blob"
)

// prefix is what the names of our objects begin with; a bucket may hold others.
const prefix = "sha256/"

// Bucket keeps blobs as objects sha256/<hex>. An object appears when it is whole:
// that is what buckets do. How durable it is, is the bucket's promise.
type Bucket struct{ bucket *gocloud.Bucket }

// Open opens the bucket of an address like s3://name?region=eu-central-1, or
// s3://name?endpoint=https://minio.example.org&use_path_style=true for a server of
// one's own. Credentials come from the environment, as AWS's own tools take them
// (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE, the machine's role).
// It does not ask the bucket anything; blob.Check does.
func Open(ctx context.Context, address string) (*Bucket, error) {
	b, err := gocloud.OpenBucket(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("open blobs: %w; write --blobs like s3://bucket?region=eu-central-1", err)
	}
	return New(b), nil
}

// New keeps blobs in a bucket that is open; Close closes it.
func New(b *gocloud.Bucket) *Bucket { return &Bucket{b} }

// Put implements store.Blobs. The name of an object must be known before it is
// sent, so r goes into a temporary file first.
func (b *Bucket) Put(ctx context.Context, r io.Reader, limit int64) (d store.Digest, n int64, err error) {
	defer func() {
		if err != nil {
			d, n, err = store.Digest{}, 0, fmt.Errorf("put blob: %w", err)
		}
	}()
	f, err := os.CreateTemp("", "tocsin-blob-*")
	if err != nil {
		return d, 0, err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	if d, n, err = blob.Spool(ctx, f, r, limit); err != nil {
		return d, n, err
	}
	if _, err = f.Seek(0, io.SeekStart); err != nil {
		return d, n, err
	}
	sending, stop := context.WithCancel(ctx) // a writer whose context has ended keeps nothing
	defer stop()
	w, err := b.bucket.NewWriter(sending, prefix+d.String(), &gocloud.WriterOptions{ContentType: "application/octet-stream", DisableContentTypeDetection: true})
	if err != nil {
		return d, n, err
	}
	if _, err = io.Copy(w, f); err != nil {
		stop()
		_ = w.Close()
		return d, n, err
	}
	err = w.Close()
	return d, n, err
}

// Get implements store.Blobs.
func (b *Bucket) Get(ctx context.Context, d store.Digest) (io.ReadCloser, error) {
	r, err := b.bucket.NewReader(ctx, prefix+d.String(), nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w", d, err)
	}
	return blob.Verified(r, d), nil
}

// Has implements store.Blobs.
func (b *Bucket) Has(ctx context.Context, d store.Digest) (bool, error) {
	ok, err := b.bucket.Exists(ctx, prefix+d.String())
	if err != nil {
		return false, fmt.Errorf("look for blob %s: %w", d, err)
	}
	return ok, nil
}

// List implements store.Blobs. Objects that are no blobs are left out.
func (b *Bucket) List(ctx context.Context) iter.Seq2[store.Blob, error] {
	return func(yield func(store.Blob, error) bool) {
		for all := b.bucket.List(&gocloud.ListOptions{Prefix: prefix}); ; {
			o, err := all.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(store.Blob{}, fmt.Errorf("list blobs: %w", err))
				return
			}
			d, err := store.ParseDigest(strings.TrimPrefix(o.Key, prefix))
			if err != nil {
				continue
			}
			if !yield(store.Blob{Digest: d, Size: o.Size}, nil) {
				return
			}
		}
	}
}

// Close implements store.Blobs.
func (b *Bucket) Close() error { return b.bucket.Close() }
