package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
)

func testConditions(t *testing.T, db store.DB) {
	ctx := context.Background()
	rev, err := db.Commit(ctx, store.Txn{If: []store.Cond{at("a", 0)}, Then: []store.Op{put("a", "1")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		cond []store.Cond
		ok   bool
	}{
		{"must not exist, exists", []store.Cond{at("a", 0)}, false},
		{"other revision", []store.Cond{at("a", rev+1)}, false},
		{"exists, does not", []store.Cond{at("b", rev)}, false},
		{"first holds, second not", []store.Cond{at("a", rev), at("b", rev)}, false},
		{"first not, second holds", []store.Cond{at("b", rev), at("a", rev)}, false},
		{"both hold", []store.Cond{at("a", rev), at("b", 0)}, true},
		{"the same twice", []store.Cond{at("a", rev), at("a", rev)}, true},
	} {
		got, err := db.Commit(ctx, store.Txn{If: c.cond, Then: []store.Op{put("x", c.name)}})
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, store.ErrConflict) {
			t.Fatalf("%s: %v", c.name, err)
		}
		if c.ok {
			want(t, db, "x", c.name, got)
		}
	}
	// Conditions look at the state before Then, and may name keys it writes.
	r2, err := db.Commit(ctx, store.Txn{If: []store.Cond{at("a", rev), at("n", 0)}, Then: []store.Op{put("a", "2"), put("n", "1")}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, db, "a", "2", r2)
	if _, err := db.Commit(ctx, store.Txn{If: []store.Cond{at("a", rev)}, Then: []store.Op{put("a", "3")}}); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("a condition on an older revision: %v", err)
	}
}

func testConflict(t *testing.T, db store.DB) {
	rev := must(t, db, put("a", "1"), put("b", "1"))
	_, err := db.Commit(context.Background(), store.Txn{
		If:   []store.Cond{at("a", rev), at("b", rev-1)},
		Then: []store.Op{put("a", "2"), del("b"), put("c", "2")},
	})
	if !errors.Is(err, store.ErrConflict) {
		t.Fatalf("%v, want ErrConflict", err)
	}
	want(t, db, "a", "1", rev)
	want(t, db, "b", "1", rev)
	want(t, db, "c", "-", 0)
}

func testDelete(t *testing.T, db store.DB) {
	r1 := must(t, db, put("a", "1"), put("b", "1"))
	must(t, db, del("a"), del("never"))
	want(t, db, "a", "-", 0)
	want(t, db, "b", "1", r1)
	r3, err := db.Commit(context.Background(), store.Txn{If: []store.Cond{at("a", 0)}, Then: []store.Op{put("a", "3")}})
	if err != nil {
		t.Fatalf("a deleted key counts as existing: %v", err)
	}
	want(t, db, "a", "3", r3)
	if _, err := db.Commit(context.Background(), store.Txn{If: []store.Cond{at("a", r1)}}); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("the revision of before the delete still holds: %v", err)
	}
}

func testEmptyTxn(t *testing.T, db store.DB) {
	r1 := must(t, db, put("a", "1"))
	r2 := must(t, db)
	r3 := must(t, db, del("never"))
	r4 := must(t, db, put("a", "2"))
	if r1 >= r2 || r2 >= r3 || r3 >= r4 {
		t.Fatalf("revisions %d %d %d %d do not grow", r1, r2, r3, r4)
	}
}

func testLimits(t *testing.T, db store.DB) {
	ctx := context.Background()
	limit := store.OpLimit(db)
	if limit < store.MaxOps {
		t.Fatalf("takes %d operations, the contract says at least %d", limit, store.MaxOps)
	}
	var full store.Txn
	for i := range limit {
		key := fmt.Sprintf("full/%05d", i)
		full.If = append(full.If, at(key, 0))
		full.Then = append(full.Then, put(key, "x"))
	}
	over := full
	over.Then = append(bytesOps(full.Then), put("one/more", "x"))
	overIf := full
	overIf.If = append(append([]store.Cond(nil), full.If...), at("one/more", 0))
	for name, c := range map[string]struct {
		txn  store.Txn
		want error
	}{
		"too many changes":    {over, store.ErrTooLarge},
		"too many conditions": {overIf, store.ErrTooLarge},
		"key of 1 MiB":        {store.Txn{Then: []store.Op{put("z", "1"), put(string(make([]byte, 1<<20)), "1")}}, store.ErrTooLarge},
		"empty key":           {store.Txn{Then: []store.Op{put("z", "1"), put("", "1")}}, store.ErrInvalid},
		"empty condition":     {store.Txn{If: []store.Cond{{}}, Then: []store.Op{put("z", "1")}}, store.ErrInvalid},
		"key written twice":   {store.Txn{Then: []store.Op{put("z", "1"), del("z")}}, store.ErrInvalid},
	} {
		if _, err := db.Commit(ctx, c.txn); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if got := all(t, db, store.Range{}); len(got) != 0 {
		t.Fatalf("refused Txns left %d keys", len(got))
	}
	if _, err := db.Commit(ctx, full); err != nil {
		t.Fatalf("a full Txn: %v", err)
	}
	if got := all(t, db, store.Range{}); len(got) != limit {
		t.Fatalf("a full Txn of %d left %d keys", limit, len(got))
	}
	big := string(bytes.Repeat([]byte("v"), 512<<10))
	want(t, db, "big", big, must(t, db, put("big", big)))
}

func bytesOps(ops []store.Op) []store.Op { return append([]store.Op(nil), ops...) }

func testSlices(t *testing.T, db store.DB) {
	ctx := context.Background()
	ruin := func(b []byte) {
		for i := range b {
			b[i] = '!'
		}
	}
	for i := range 60 { // more than an engine would keep in one small page
		must(t, db, put(fmt.Sprintf("filler/%02d", i), string(make([]byte, 200))))
	}
	key, value, cond := []byte("key"), []byte("value"), []byte("none")
	rev, err := db.Commit(ctx, store.Txn{If: []store.Cond{{Key: cond}}, Then: []store.Op{{Key: key, Value: value}}})
	if err != nil {
		t.Fatal(err)
	}
	start := rev - 1
	ruin(key)
	ruin(value)
	ruin(cond)
	want(t, db, "key", "value", rev)
	kv, err := db.Get(ctx, []byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	ruin(append(kv.Key, "more"...))
	ruin(append(kv.Value, "more"...))
	ruin(kv.Key)
	ruin(kv.Value)
	want(t, db, "key", "value", rev)
	for _, kv := range all(t, db, store.Range{}) {
		ruin(kv.Key)
		ruin(kv.Value)
	}
	want(t, db, "key", "value", rev)
	kv, _ = db.Get(ctx, []byte("key"))
	must(t, db, put("key", "other")) // must not change what was handed out
	if string(kv.Value) != "value" {
		t.Fatalf("a value handed out became %q", kv.Value)
	}
	for range 2 {
		for c, err := range db.Watch(ctx, []byte("k"), start) {
			if err != nil || len(c.Ops) != 1 || string(c.Ops[0].Key) != "key" || string(c.Ops[0].Value) != "value" {
				t.Fatalf("change %v, %v", c, err)
			}
			ruin(c.Ops[0].Key)
			ruin(c.Ops[0].Value)
			break
		}
	}
}

func testRevisions(t *testing.T, db store.DB) {
	const writers, each = 8, 25
	revs := make([][]int64, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				rev, err := db.Commit(context.Background(), store.Txn{Then: []store.Op{put(fmt.Sprintf("%d/%d", w, i), "x")}})
				if err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				revs[w] = append(revs[w], rev)
			}
		})
	}
	wg.Wait()
	seen := map[int64]bool{}
	var newest int64
	for w := range revs {
		for i, rev := range revs[w] {
			if seen[rev] || rev <= 0 || i > 0 && rev <= revs[w][i-1] {
				t.Fatalf("writer %d: revision %d is not new, after %v", w, rev, revs[w][:i])
			}
			seen[rev] = true
			newest = max(newest, rev)
			want(t, db, fmt.Sprintf("%d/%d", w, i), "x", rev)
		}
	}
	if r, ok := db.(store.Revisioner); ok {
		if rev, err := r.Revision(context.Background()); err != nil || rev != newest {
			t.Fatalf("revision %d, %v; the newest commit made %d", rev, err, newest)
		}
	}
}

// testConcurrent counts up one key with compare-and-set from many goroutines:
// an increment lost or done twice shows in the sum.
func testConcurrent(t *testing.T, db store.DB) {
	const writers, each = 8, 10
	ctx := context.Background()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; i < each; {
				kv, err := db.Get(ctx, []byte("sum"))
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Errorf("get: %v", err)
					return
				}
				n, _ := strconv.Atoi(string(kv.Value))
				_, err = db.Commit(ctx, store.Txn{
					If:   []store.Cond{at("sum", kv.Rev)},
					Then: []store.Op{put("sum", strconv.Itoa(n+1)), put(fmt.Sprintf("mark/%d/%d", w, i), "x")},
				})
				if err == nil {
					i++
				} else if !errors.Is(err, store.ErrConflict) {
					t.Errorf("commit: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	kv, err := db.Get(ctx, []byte("sum"))
	if err != nil || string(kv.Value) != strconv.Itoa(writers*each) {
		t.Fatalf("sum %q, %v; want %d", kv.Value, err, writers*each)
	}
	if got := all(t, db, store.Range{From: []byte("mark/"), To: []byte("mark0")}); len(got) != writers*each {
		t.Fatalf("%d marks, want %d", len(got), writers*each)
	}
}

func testCommitContext(t *testing.T, db store.DB) {
	ended, end := context.WithCancel(context.Background())
	end()
	rev, err := db.Commit(ended, store.Txn{Then: []store.Op{put("a", "1")}})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want success or the error of ctx", err)
	}
	if err == nil {
		want(t, db, "a", "1", rev)
	}
	want(t, db, "b", "2", must(t, db, put("b", "2")))
}
