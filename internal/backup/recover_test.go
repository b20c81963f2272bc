package backup_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/tocsin-ops/tocsin/internal/backup"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

// TestAgainAfterACrash dies at every commit of a restore. Until the next restore
// is through nobody takes the store for one; then it is byte-equal.
func TestAgainAfterACrash(t *testing.T) {
	db, older := mem.New(), mem.New()
	filled(t, db, 40)
	filled(t, older, 25)
	file, _ := written(t, db)
	first, _ := written(t, older)
	want := everything(t, db)
	crashes := 0
	for n := 0; ; n++ {
		inner := mem.New()
		d := storetest.Faulty(inner, func(i int, _ store.Txn) storetest.Fault {
			switch {
			case i < n:
				return storetest.Pass()
			case i == n && n%2 == 0:
				return storetest.SaveAndFail()
			}
			return storetest.Lose()
		})
		_, _, err := backup.Restore(t.Context(), opened(first), d, backup.Restoration{}) // another file than the second time
		if err == nil {
			break
		}
		crashes++
		marked := backup.Unfinished(t.Context(), inner)
		if got := everything(t, inner); len(got) > 0 && marked == nil && !slices.Equal(got, everything(t, older)) {
			t.Fatalf("after %d commits %d keys are there without a mark", n, len(got))
		}
		if marked == nil {
			continue // nothing or everything was done
		}
		if _, err := backup.Write(t.Context(), inner, io.Discard, maker); !errors.Is(err, backup.ErrUnfinished) {
			t.Fatalf("a half-restored store was backed up: %v", err)
		}
		if _, _, err := backup.Restore(t.Context(), opened(file), inner, backup.Restoration{}); err != nil {
			t.Fatalf("again after %d commits: %v", n, err)
		}
		if got := everything(t, inner); !slices.Equal(got, want) || backup.Unfinished(t.Context(), inner) != nil {
			t.Fatalf("after %d commits and a second restore: %d keys, want %d", n, len(got), len(want))
		}
	}
	if crashes < 4 {
		t.Errorf("only %d crashes; this proves little", crashes)
	}
}

// TestTwoAtOnce restores over a restore: the later one wins, the earlier one
// notices. A server that is faster is not overwritten.
func TestTwoAtOnce(t *testing.T) {
	db := mem.New()
	filled(t, db, 200)
	file, _ := written(t, db)
	target := mem.New()
	passes := 0
	second := func() (io.ReadCloser, error) {
		if passes++; passes == 2 { // the marker is written, nothing else
			if _, _, err := backup.Restore(t.Context(), opened(file), target, backup.Restoration{}); err != nil {
				t.Error(err)
			}
		}
		return opened(file)()
	}
	if _, _, err := backup.Restore(t.Context(), second, target, backup.Restoration{}); !errors.Is(err, backup.ErrInUse) {
		t.Error(err)
	}
	if !slices.Equal(everything(t, db), everything(t, target)) {
		t.Error("the two have mixed")
	}
	served := mem.New()
	passes = 0
	faster := func() (io.ReadCloser, error) {
		if passes++; passes == 2 {
			if _, err := eventlog.Open(t.Context(), served, eventlog.Options{}); err != nil {
				t.Error(err)
			}
		}
		return opened(file)()
	}
	_, _, err := backup.Restore(t.Context(), faster, served, backup.Restoration{})
	if !errors.Is(err, backup.ErrInUse) || !errors.Is(backup.Unfinished(t.Context(), served), backup.ErrUnfinished) {
		t.Error(err)
	}
}

// TestDamage cuts a file everywhere and flips bits: always refused before
// anything is written, and never with a panic. Only a bit that says nothing (the
// padding of the compression) may differ: then nothing that is restored does.
func TestDamage(t *testing.T) {
	db := mem.New()
	filled(t, db, 5)
	file, _ := written(t, db)
	same := func(b []byte) bool {
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return false
		}
		got, err := io.ReadAll(r)
		if err != nil {
			return false
		}
		r, _ = gzip.NewReader(bytes.NewReader(file))
		want, _ := io.ReadAll(r)
		return bytes.Equal(got, want)
	}
	silent := 0
	refused := func(what string, b []byte) {
		t.Helper()
		target := mem.New()
		_, _, err := backup.Restore(t.Context(), opened(b), target, backup.Restoration{})
		if !errors.Is(err, backup.ErrDamaged) && !errors.Is(err, backup.ErrFormat) || everything(t, target) != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for n := 0; n < len(file); n += 1 + n/200 {
		refused("cut", file[:n])
	}
	dice := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		b := bytes.Clone(file)
		at := 10 + dice.IntN(len(b)-10) // the first ten are times and names of gzip
		b[at] ^= 1 << dice.IntN(8)
		if same(b) {
			silent++
			continue
		}
		refused("flipped", b)
	}
	if silent > 10 {
		t.Errorf("%d of 300 flipped bits changed nothing; this proves little", silent)
	}
	refused("two", append(bytes.Clone(file), file...))
	refused("more", append(bytes.Clone(file), 0))
	refused("text", []byte("hello"))
	var other bytes.Buffer
	w := gzip.NewWriter(&other)
	_, _ = w.Write([]byte("tocsin backup 2\nwhatever"))
	_ = w.Close()
	if _, err := backup.Inspect(t.Context(), opened(other.Bytes())); !errors.Is(err, backup.ErrFormat) {
		t.Error(err)
	}
}
