package app_test

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/store"
)

// down is a bucket of a cloud that is down.
type down struct{ closed bool }

func (*down) Put(context.Context, io.Reader, int64) (store.Digest, int64, error) {
	return store.Digest{}, 0, io.ErrClosedPipe
}
func (*down) Get(context.Context, store.Digest) (io.ReadCloser, error) { return nil, io.ErrClosedPipe }
func (*down) Has(context.Context, store.Digest) (bool, error)          { return false, io.ErrClosedPipe }
func (*down) List(context.Context) iter.Seq2[store.Blob, error] {
	return func(func(store.Blob, error) bool) {}
}
func (d *down) Close() error { d.closed = true; return nil }

func TestBlobs(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	s.stop()
	if tried, err := filepath.Glob(filepath.Join(dir, app.BlobDir, "??", "??", "*")); err != nil || len(tried) != 1 {
		t.Errorf("the place for blobs was not tried: %v %v", tried, err)
	}
	c := config.Default()
	c.Addr, c.Data, c.Blobs = "127.0.0.1:0", t.TempDir(), "s3://evidence?region=eu-central-1"
	o := app.Options{Config: c, Version: "test", Logger: slog.New(slog.DiscardHandler)}
	if _, err := app.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "blobs") {
		t.Errorf("a bucket nobody can open: %v", err)
	}
	var said strings.Builder
	bucket := &down{}
	o.Logger = slog.New(slog.NewTextHandler(&said, nil))
	o.OpenBlobs = func(context.Context, string) (store.Blobs, error) { return bucket, nil }
	a, err := app.New(t.Context(), o)
	if err != nil {
		t.Fatalf("the room does not open because the cloud is down: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := a.Run(ended); err != nil {
		t.Log(err)
	}
	if !strings.Contains(said.String(), "blobs cannot be kept") || !bucket.closed {
		t.Errorf("said %s; closed %v", said.String(), bucket.closed)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Config.Blobs = filepath.Join(file, "below")
	if _, err := app.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--blobs") {
		t.Errorf("a directory that cannot be: %v", err)
	}
}
