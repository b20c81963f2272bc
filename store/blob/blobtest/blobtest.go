// Package blobtest owns the one suite that every engine of store.Blobs must pass;
// it never looks behind the contract.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/tocsin-ops/tocsin/store"
)

// Run tests an engine. open opens the same, at first empty, place every time it
// is called; damage changes the bytes of a blob behind the engine's back, and may
// be nil where nobody can.
func Run(t *testing.T, open func(t *testing.T) store.Blobs, damage func(t *testing.T, d store.Digest)) {
	b := open(t)
	t.Cleanup(func() { _ = b.Close() })
	ctx := t.Context()
	big := make([]byte, 6<<20) // more than one part of an upload
	dice := rand.NewChaCha8([32]byte{1})
	_, _ = dice.Read(big)

	t.Run("what was put is there", func(t *testing.T) {
		if got := list(t, b); len(got) != 0 {
			t.Fatalf("it is not empty: %v", got)
		}
		var want []store.Blob
		for _, content := range [][]byte{{}, []byte("a"), []byte("evidence"), big} {
			d := put(t, b, content)
			want = append(want, store.Blob{Digest: d, Size: int64(len(content))})
			if got := get(t, b, d); !bytes.Equal(got, content) {
				t.Errorf("%d bytes came back as %d", len(content), len(got))
			}
			if again := put(t, b, content); again != d {
				t.Errorf("the same twice: %s, %s", d, again)
			}
		}
		slices.SortFunc(want, func(x, y store.Blob) int { return bytes.Compare(x.Digest[:], y.Digest[:]) })
		if got := list(t, b); !slices.Equal(got, want) {
			t.Errorf("listed %v, put %v", got, want)
		}
		again := open(t)
		defer again.Close()
		if got := list(t, again); !slices.Equal(got, want) {
			t.Errorf("after opening again: %v", got)
		}
		for range b.List(ctx) {
			break // leaving early is allowed
		}
	})
	t.Run("what was not put is not there", func(t *testing.T) {
		none := store.Digest(sha256.Sum256([]byte("never")))
		if _, err := b.Get(ctx, none); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		if has, err := b.Has(ctx, none); has || err != nil {
			t.Error(has, err)
		}
	})
	t.Run("limits and errors keep nothing", func(t *testing.T) {
		before := list(t, b)
		if _, _, err := b.Put(ctx, strings.NewReader("12345"), 4); !errors.Is(err, store.ErrBlobTooLarge) {
			t.Error(err)
		}
		broken := errors.New("the line is cut")
		if _, _, err := b.Put(ctx, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), 100); !errors.Is(err, broken) {
			t.Error(err)
		}
		ended, end := context.WithCancel(ctx)
		end()
		if _, _, err := b.Put(ended, strings.NewReader("too late"), 100); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if got := list(t, b); !slices.Equal(got, before) {
			t.Errorf("%v became %v", before, got)
		}
		if d := put(t, b, []byte("1234")); get(t, b, d) == nil {
			t.Error("exactly the limit")
		}
	})
	t.Run("many at once", func(t *testing.T) {
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				content := bytes.Repeat([]byte{byte(i % 4)}, 10_000) // four, each by four
				d, n, err := b.Put(ctx, iotest.OneByteReader(bytes.NewReader(content)), 10_000)
				if err != nil || n != 10_000 || d != sha256.Sum256(content) {
					t.Errorf("%d: %s %d %v", i, d, n, err)
				}
			})
		}
		all.Wait()
		for i := range 4 {
			content := bytes.Repeat([]byte{byte(i)}, 10_000)
			if got := get(t, b, sha256.Sum256(content)); !bytes.Equal(got, content) {
				t.Errorf("%d is not what was put", i)
			}
		}
	})
	if damage == nil {
		return
	}
	t.Run("damage is seen, and healed by another put", func(t *testing.T) {
		content := []byte("the transaction that took the funds")
		d := put(t, b, content)
		damage(t, d)
		r, err := b.Get(ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, r)
		_ = r.Close()
		if !errors.Is(err, store.ErrMismatch) {
			t.Errorf("damaged bytes were read with %v", err)
		}
		put(t, b, content)
		if got := get(t, b, d); !bytes.Equal(got, content) {
			t.Error("another put did not heal it")
		}
	})
}

func put(t *testing.T, b store.Blobs, content []byte) store.Digest {
	t.Helper()
	d, n, err := b.Put(t.Context(), bytes.NewReader(content), int64(len(content)))
	if err != nil || n != int64(len(content)) || d != sha256.Sum256(content) {
		t.Fatalf("put %d bytes: %s %d %v", len(content), d, n, err)
	}
	if has, err := b.Has(t.Context(), d); !has || err != nil {
		t.Fatalf("has %s: %v %v", d, has, err)
	}
	return d
}

func get(t *testing.T, b store.Blobs, d store.Digest) []byte {
	t.Helper()
	r, err := b.Get(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func list(t *testing.T, b store.Blobs) (all []store.Blob) {
	t.Helper()
	for x, err := range b.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	return all
}
