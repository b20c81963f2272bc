package backup

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// unpacked is the recorded backup without gzip, so that the fuzzer reaches the format.
func unpacked(t testing.TB) []byte {
	t.Helper()
	f, err := os.Open("testdata/v1.backup")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzDecode: whatever is read without an error is written again as the same
// keys, in order, and as the same contents; everything else is one of our errors.
func FuzzDecode(f *testing.F) {
	var small bytes.Buffer
	e := newEncoder(&small)
	for _, err := range []error{e.object(recordManifest, Manifest{Format: Format}), e.key([]byte("a"), nil), e.key([]byte("b"), []byte("value")), e.finish()} {
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Add(small.Bytes())
	f.Add([]byte(magic))
	f.Add([]byte(magic + "M\x02{}"))
	f.Add([]byte("tocsin backup 9\nX"))
	f.Add(append([]byte(magic+`M`+"\x0c"+`{"format":1}`+"K"), 0xff, 0xff, 0xff, 0x07))
	f.Fuzz(func(t *testing.T, b []byte) {
		var again bytes.Buffer
		e := newEncoder(&again)
		var last []byte
		n := 0
		s, err := decode(context.Background(), bytes.NewReader(b), func(key, value []byte) error {
			if len(key) == 0 || bytes.Compare(key, last) <= 0 {
				t.Fatalf("the key %q comes after %q", key, last)
			}
			last = bytes.Clone(key)
			n++
			return e.key(key, value)
		})
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
				t.Fatalf("not one of our errors: %v", err)
			}
			return
		}
		if s.Keys != int64(n) || s.Keys != e.c.Keys || s.Bytes != e.c.Bytes {
			t.Fatalf("%+v, written again %+v", s.Contents, e.c)
		}
	})
}

// TestEveryBitOfTheStream flips single bits behind the gzip: the digest sees
// what its own checks do not.
func TestEveryBitOfTheStream(t *testing.T) {
	b := unpacked(t)
	none := func(_, _ []byte) error { return nil }
	want, err := decode(t.Context(), bytes.NewReader(b), none)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(b); at += 1 + at/300 {
		b[at] ^= 1 << (at % 8)
		if got, err := decode(t.Context(), bytes.NewReader(b), none); err == nil && got.Keys != want.Keys {
			t.Fatalf("a flipped bit at %d is taken: %+v", at, got)
		} else if err == nil && got == want {
			t.Fatalf("a flipped bit at %d is not seen", at)
		}
		b[at] ^= 1 << (at % 8)
	}
}

// TestLengthsAreNotBelieved: a length costs nothing until its bytes come.
func TestLengthsAreNotBelieved(t *testing.T) {
	b := append([]byte(magic+"M\x0c"+`{"format":1}`+"K\x01a"), 0xff, 0xff, 0xff, 0x07) // a value of 16 MiB less one
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, err := decode(t.Context(), bytes.NewReader(b), nil); !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / 100; each > 256<<10 {
		t.Errorf("%d bytes for a value that did not come", each)
	}
}
