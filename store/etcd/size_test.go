//go:build unix

package etcd_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
)

// A Txn of the largest size is one Change, whatever etcd cuts it into on its
// way, live and when it is caught up on.
func TestLargest(t *testing.T) {
	db := open(t, options(cluster))
	start := commit(t, db, put("begin", ""))
	largest := func(per int) store.Txn {
		var txn store.Txn
		for i := range db.MaxOps() {
			key := []byte(fmt.Sprintf("big/%03d", i))
			txn.Then = append(txn.Then, store.Op{Key: key, Value: bytes.Repeat([]byte{byte(i)}, per)})
			txn.If = append(txn.If, store.Cond{Key: []byte(fmt.Sprintf("none/%03d", i))})
		}
		return txn
	}
	const rounds = 6
	var revs []int64
	for range rounds {
		revs = append(revs, commit(t, db, largest(11<<10)))
	}
	if _, err := db.Commit(t.Context(), largest(13<<10)); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("above the limit: %v", err)
	}
	var got []int64
	for c, err := range db.Watch(t.Context(), []byte("big/"), start) {
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Ops) != db.MaxOps() {
			t.Fatalf("a change of %d operations, want %d", len(c.Ops), db.MaxOps())
		}
		if slices.Contains(revs, c.Rev) { // not one of which the answer was lost
			got = append(got, c.Rev)
		}
		if c.Rev >= revs[rounds-1] {
			break
		}
	}
	if !slices.Equal(got, revs) {
		t.Errorf("watched %v, want %v", got, revs)
	}
	for _, reverse := range []bool{false, true} {
		n := 0
		for kv, err := range db.Scan(t.Context(), store.Range{From: []byte("big/"), To: []byte("big0"), Reverse: reverse}) {
			at := n
			if reverse {
				at = db.MaxOps() - 1 - n
			}
			if err != nil || string(kv.Key) != fmt.Sprintf("big/%03d", at) || len(kv.Value) != 11<<10 || kv.Rev != revs[rounds-1] {
				t.Fatalf("key %d: %q at %d, %v", n, kv.Key, kv.Rev, err)
			}
			n++
		}
		if n != db.MaxOps() {
			t.Errorf("%d keys, want %d", n, db.MaxOps())
		}
	}
}

// Scans of several pages see one revision while all keys are written anew, and
// find the highest keys wherever they lie.
func TestPages(t *testing.T) {
	db := open(t, options(cluster))
	const keys = 1500
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte("n/"), n) }
	write := func(round int) {
		for i := 0; i < keys; i += db.MaxOps() {
			var txn store.Txn
			for j := i; j < min(i+db.MaxOps(), keys); j++ {
				txn.Then = append(txn.Then, store.Op{Key: number(uint64(j) * uint64(j)), Value: fmt.Append(nil, round)})
			}
			commit(t, db, txn)
		}
	}
	write(0)
	for _, reverse := range []bool{false, true} {
		n := 0
		for kv, err := range db.Scan(t.Context(), store.Range{From: []byte("n/"), Reverse: reverse}) {
			at := uint64(n)
			if reverse {
				at = uint64(keys - 1 - n)
			}
			if err != nil || !bytes.Equal(kv.Key, number(at*at)) || string(kv.Value) != fmt.Sprint(round(reverse)) {
				t.Fatalf("key %d of the scan: %q=%q, %v", n, kv.Key, kv.Value, err)
			}
			if n == 0 {
				write(round(reverse) + 1) // the pages to come
			}
			n++
		}
		if n != keys {
			t.Errorf("%d keys, want %d", n, keys)
		}
	}
	for _, to := range []uint64{1, 2, 63, 64, 65, 90_000, 90_001, 1000*1000 + 1, 1000*1000 + 70, 1001 * 1001, 1001*1001 + 1, 1 << 40, 1 << 62} {
		for _, limit := range []int{1, 2, 16} {
			var want, got []uint64
			for i := keys - 1; i >= 0 && len(want) < limit; i-- {
				if n := uint64(i) * uint64(i); n < to {
					want = append(want, n)
				}
			}
			for kv, err := range db.Scan(t.Context(), store.Range{From: []byte("n/"), To: number(to), Limit: limit, Reverse: true}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, binary.BigEndian.Uint64(kv.Key[2:]))
			}
			if !slices.Equal(got, want) {
				t.Errorf("the highest %d below %d: %v, want %v", limit, to, got, want)
			}
		}
	}
}

// round is what the values are when a scan in this direction begins.
func round(reverse bool) int {
	if reverse {
		return 1
	}
	return 0
}
