package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
)

func testGet(t *testing.T, db store.DB) {
	want(t, db, "a", "-", 0)
	r1 := must(t, db, put("a", "1"), put("b", ""))
	want(t, db, "a", "1", r1)
	want(t, db, "b", "", r1)
	want(t, db, "aa", "-", 0)
	r2 := must(t, db, put("a", "2"))
	want(t, db, "a", "2", r2)
	want(t, db, "b", "", r1)
	if _, err := db.Get(context.Background(), nil); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("the empty key: %v, want ErrNotFound", err)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if _, err := db.Get(ended, []byte("a")); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("get with ended ctx: %v", err)
	}
}

func testScanRanges(t *testing.T, db store.DB) {
	if got := all(t, db, store.Range{}); len(got) != 0 {
		t.Fatalf("an empty store has %v", got)
	}
	must(t, db, put("b", "2"), put("a", "1"), put("c\x00", "4"), put("c", "3"), put("\xff", "6"), put("d", "5"))
	must(t, db, put("b", "2'"))
	for _, c := range []struct {
		r    store.Range
		want string
	}{
		{store.Range{}, "a b c c\x00 d \xff"},
		{store.Range{Reverse: true}, "\xff d c\x00 c b a"},
		{store.Range{From: []byte("b")}, "b c c\x00 d \xff"},
		{store.Range{From: []byte("b"), Reverse: true}, "\xff d c\x00 c b"},
		{store.Range{To: []byte("c")}, "a b"},
		{store.Range{To: []byte("c"), Reverse: true}, "b a"},
		{store.Range{From: []byte("b"), To: []byte("d")}, "b c c\x00"},
		{store.Range{From: []byte("b"), To: []byte("d"), Reverse: true}, "c\x00 c b"},
		{store.Range{From: []byte("aa"), To: []byte("cc")}, "b c c\x00"},
		{store.Range{From: []byte("aa"), To: []byte("cc"), Reverse: true}, "c\x00 c b"},
		{store.Range{From: []byte("b"), To: []byte("b")}, ""},
		{store.Range{From: []byte("d"), To: []byte("b")}, ""},
		{store.Range{From: []byte("d"), To: []byte("b"), Reverse: true}, ""},
		{store.Range{From: []byte("\xff\xff")}, ""},
		{store.Range{From: []byte("\xff\xff"), Reverse: true}, ""},
		{store.Range{To: []byte("a"), Reverse: true}, ""},
		{store.Range{To: []byte("\xff\xff"), Reverse: true, Limit: 1}, "\xff"},
		{store.Range{Limit: 2}, "a b"},
		{store.Range{Limit: 2, Reverse: true}, "\xff d"},
		{store.Range{Limit: 99}, "a b c c\x00 d \xff"},
		{store.Range{From: []byte("c"), To: []byte("e"), Limit: 2}, "c c\x00"},
		{store.Range{From: []byte("c"), To: []byte("e"), Limit: 2, Reverse: true}, "d c\x00"},
	} {
		var keys []string
		for _, kv := range all(t, db, c.r) {
			keys = append(keys, string(kv.Key))
		}
		if got := strings.Join(keys, " "); got != c.want {
			t.Errorf("scan %q..%q limit %d reverse %v: %q, want %q", c.r.From, c.r.To, c.r.Limit, c.r.Reverse, got, c.want)
		}
	}
	for _, kv := range all(t, db, store.Range{}) {
		want(t, db, string(kv.Key), string(kv.Value), kv.Rev)
	}
	for kv, err := range db.Scan(context.Background(), store.Range{}) {
		if err != nil || string(kv.Key) != "a" {
			t.Fatalf("first key %q, %v", kv.Key, err)
		}
		break // must release whatever the engine holds: the next commit shows it
	}
	again := db.Scan(context.Background(), store.Range{From: []byte("e")})
	must(t, db, put("e", "7"))
	for range 2 { // a Scan can be ranged over more than once, each time anew
		n := 0
		for _, err := range again {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 2 {
			t.Fatalf("scan yielded %d keys, want 2", n)
		}
	}
}

// testScanOneRevision has one writer that gives all keys the same value again
// and again, while scans must never see two values.
func testScanOneRevision(t *testing.T, db store.DB) {
	const keys, rounds = 16, 40
	write := func(round int) []store.Op {
		var ops []store.Op
		for i := range keys {
			ops = append(ops, put(fmt.Sprintf("k%02d", i), fmt.Sprint(round)))
		}
		return ops
	}
	must(t, db, write(0)...)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				var first store.KV
				n := 0
				for kv, err := range db.Scan(context.Background(), store.Range{From: []byte("k")}) {
					if n++; n == 1 {
						first = kv
					}
					if err != nil || string(kv.Value) != string(first.Value) || kv.Rev != first.Rev {
						t.Errorf("%q at %d and %q at %d in one scan, %v", first.Value, first.Rev, kv.Value, kv.Rev, err)
						return
					}
				}
				if n != keys {
					t.Errorf("scan yielded %d keys, want %d", n, keys)
					return
				}
			}
		})
	}
	for round := range rounds {
		must(t, db, write(round+1)...)
	}
	close(stop)
	wg.Wait()
}

func testScanContext(t *testing.T, db store.DB) {
	must(t, db, put("a", "1"), put("b", "2"), put("c", "3"))
	ctx, end := context.WithCancel(context.Background())
	defer end()
	var keys, errs int
	for _, err := range db.Scan(ctx, store.Range{}) {
		if errs > 0 {
			t.Fatal("the scan went on after its error")
		}
		if err != nil {
			errs++
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v, want that of ctx", err)
			}
			continue
		}
		keys++
		end()
	}
	if errs != 1 && keys != 3 { // an engine may have had all of them in hand
		t.Fatalf("%d keys and %d errors", keys, errs)
	}
	must(t, db, put("d", "4"))
}
