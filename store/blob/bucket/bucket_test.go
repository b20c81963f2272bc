package bucket_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocloud "gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/blob/blobtest"
	"github.com/tocsin-ops/tocsin/store/blob/bucket"
)

// kept is one bucket that is opened and closed many times.
func kept(t *testing.T, b *gocloud.Bucket) (func(*testing.T) store.Blobs, func(*testing.T, store.Digest)) {
	t.Cleanup(func() { _ = b.Close() })
	open := func(*testing.T) store.Blobs { return left{bucket.New(b)} }
	return open, func(t *testing.T, d store.Digest) {
		if err := b.WriteAll(t.Context(), "sha256/"+d.String(), []byte("somebody was here"), nil); err != nil {
			t.Fatal(err)
		}
	}
}

// left stays open.
type left struct{ *bucket.Bucket }

func (left) Close() error { return nil }

func TestMemory(t *testing.T) {
	open, damage := kept(t, memblob.OpenBucket(nil))
	blobtest.Run(t, open, damage)
}

func TestFiles(t *testing.T) {
	root := filepath.Join(t.TempDir(), "bucket")
	b, err := fileblob.OpenBucket(root, &fileblob.Options{CreateDir: true, NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		t.Fatal(err)
	}
	open, damage := kept(t, b)
	blobtest.Run(t, open, damage)
}

// TestS3 runs on a bucket of a real server, empty at first, when one is named in
// the environment; the end-to-end tests do that.
func TestS3(t *testing.T) {
	address := os.Getenv("TOCSIN_TEST_BUCKET")
	if address == "" {
		t.Log("TOCSIN_TEST_BUCKET names no bucket; not run on a real S3")
		return
	}
	b, err := gocloud.OpenBucket(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	open, damage := kept(t, b)
	blobtest.Run(t, open, damage)
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for _, address := range []string{"s4://bucket", "s3://", "gs://bucket", "::"} {
		if _, err := bucket.Open(t.Context(), address); err == nil || !strings.Contains(err.Error(), "--blobs") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
