package bolt

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/tocsin-ops/tocsin/store"
)

// fill commits n values of 2 KB, in batches of ten.
func fill(t testing.TB, d *DB, from, n int) {
	t.Helper()
	for i := from; i < from+n; i += 10 {
		var txn store.Txn
		for j := i; j < i+10; j++ {
			txn.Then = append(txn.Then, store.Op{Key: fmt.Appendf(nil, "key/%06d", j), Value: []byte(strings.Repeat(fmt.Sprint(j), 2000)[:2000])})
		}
		if _, err := d.Commit(context.Background(), txn); err != nil {
			t.Fatal(err)
		}
	}
}

// filled fails unless exactly the values of fill up to n are there.
func filled(t testing.TB, d *DB, n int) {
	t.Helper()
	i := 0
	for kv, err := range d.Scan(context.Background(), store.Range{From: []byte("key/"), To: []byte("key0")}) {
		if err != nil {
			t.Fatal(err)
		}
		if string(kv.Key) != fmt.Sprintf("key/%06d", i) || string(kv.Value) != strings.Repeat(fmt.Sprint(i), 2000)[:2000] {
			t.Fatalf("key %q in the place of %d", kv.Key, i)
		}
		i++
	}
	if i != n {
		t.Fatalf("%d keys, want %d", i, n)
	}
	sound(t, d)
}

// used is the part of the file that bbolt uses, and its length.
func used(t testing.TB, d *DB) (high, size int64) {
	t.Helper()
	if err := d.bolt.View(func(tx *bbolt.Tx) error { high = tx.Size(); return nil }); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(d.bolt.Path())
	if err != nil {
		t.Fatal(err)
	}
	return high, st.Size()
}

func TestFileIsReadyAheadOfItsPages(t *testing.T) {
	d := fresh(t, Options{})
	for i := range 20 { // 8 MB: many chunks
		fill(t, d, i*200, 200)
		// What is left shrinks until the next Update: never to nothing.
		if high, size := used(t, d); d.ahead.file == nil || size-high < aheadChunk/4 || size-high > 2*aheadChunk {
			t.Fatalf("%d bytes are in use and the file has %d", high, size)
		}
	}
	filled(t, d, 4000)
}

// TestTailIsNeverRead opens what a loss of power may leave behind the last page
// in use: nothing, half a chunk, or anything at all; and what older versions
// left there, a hole of 16 MiB.
func TestTailIsNeverRead(t *testing.T) {
	d := fresh(t, Options{})
	fill(t, d, 0, 1500)
	high, size := used(t, d)
	path := d.bolt.Path()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	garbage := append([]byte(nil), whole...)
	rand.Read(garbage[high:])
	for name, tail := range map[string]struct {
		bytes []byte
		hole  int64
	}{
		"none": {whole[:high], 0}, "half": {whole[:high+(size-high)/2+7], 0},
		"garbage": {garbage, 0}, "hole": {whole[:high], 16 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t.TempDir())
			if err := os.WriteFile(path, tail.bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			if tail.hole > 0 {
				if err := os.Truncate(path, int64(len(tail.bytes))+tail.hole); err != nil {
					t.Fatal(err)
				}
			}
			d, err := Open(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			filled(t, d, 1500)
			fill(t, d, 1500, 1500)
			filled(t, d, 3000)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestAheadThatCannotBeWritten goes on as bbolt alone would.
func TestAheadThatCannotBeWritten(t *testing.T) {
	d := fresh(t, Options{})
	fill(t, d, 0, 100)
	deaf, err := os.Open(d.bolt.Path()) // for reading only
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	d.ahead.file = deaf
	fill(t, d, 100, 2000)
	if d.ahead.file != nil {
		t.Error("it is tried again and again")
	}
	filled(t, d, 2100)
}
