package blob_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/blob"
	"github.com/tocsin-ops/tocsin/store/blob/blobtest"
)

func open(t *testing.T, root string) *blob.Directory {
	t.Helper()
	b, err := blob.OpenDirectory(root)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func file(root string, d store.Digest) string {
	name := d.String()
	return filepath.Join(root, name[:2], name[2:4], name)
}

func TestDirectory(t *testing.T) {
	root := filepath.Join(t.TempDir(), "data", "blobs")
	blobtest.Run(t, func(t *testing.T) store.Blobs { return open(t, root) }, func(t *testing.T, d store.Digest) {
		if err := os.Chmod(file(root, d), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file(root, d), []byte("somebody was here"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	left, err := os.ReadDir(filepath.Join(root, "tmp"))
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

func TestCheck(t *testing.T) {
	root := t.TempDir()
	for range 2 {
		if err := blob.Check(t.Context(), open(t, root)); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, err := range open(t, root).List(t.Context()) {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if n != 1 {
		t.Errorf("trying twice left %d blobs", n)
	}
	b := open(t, root)
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	if err := blob.Check(t.Context(), b); err == nil {
		t.Error("a place that is gone is said to be good")
	}
	if _, err := blob.OpenDirectory(filepath.Join(os.Args[0], "below")); err == nil || !strings.Contains(err.Error(), "--blobs") {
		t.Error(err)
	}
}

// TestLeftovers: what a killed Put left goes, but not what is being put.
func TestLeftovers(t *testing.T) {
	root := t.TempDir()
	open(t, root)
	old, fresh := filepath.Join(root, "tmp", "put-1"), filepath.Join(root, "tmp", "put-2")
	for _, f := range []string{old, fresh} {
		if err := os.WriteFile(f, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	open(t, root)
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Error("an old one stays")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error("one in use goes")
	}
}

const childOf = "TOCSIN_BLOBS_OF_TEST"

// TestKilled kills a process that puts without an end, again and again: whatever
// has a name is whole.
func TestKilled(t *testing.T) {
	if root := os.Getenv(childOf); root != "" {
		b := open(t, root)
		for i := 0; ; i++ {
			if _, _, err := b.Put(context.Background(), strings.NewReader(strings.Repeat(string(rune('a'+i%26)), 1+i*977%200_000)), 1<<20); err != nil {
				t.Fatal(err)
			}
			_, _ = os.Stdout.WriteString(".")
		}
	}
	root, names := t.TempDir(), 0
	for range 5 {
		child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		child.Env = append(os.Environ(), childOf+"="+root)
		said, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(said, make([]byte, 20)); err != nil {
			t.Fatal(err)
		}
		_ = child.Process.Kill()
		_ = child.Wait()
		b := open(t, root)
		for x, err := range b.List(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			r, err := b.Get(t.Context(), x.Digest)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.New()
			if n, err := io.Copy(sum, r); err != nil || n != x.Size {
				t.Fatalf("%s: %d of %d bytes, %v", x.Digest, n, x.Size, err)
			}
			_ = r.Close()
			names++
		}
	}
	if names < 100 {
		t.Errorf("only %d blobs; this proves little", names)
	}
}
