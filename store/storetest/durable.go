package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
)

// RunDurable checks an engine that keeps its store in a directory: what was
// acknowledged is there after Close and a second open, and revisions go on.
func RunDurable(t *testing.T, open func(t *testing.T, dir string) store.DB) {
	reopen := func(t *testing.T, db store.DB, dir string) store.DB {
		t.Helper()
		if err := db.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Fatalf("close: %v", err)
		}
		db = open(t, dir)
		t.Cleanup(func() { db.Close() })
		return db
	}
	t.Run("state and revisions", func(t *testing.T) {
		dir := t.TempDir()
		db := open(t, dir)
		r1 := must(t, db, put("a", "1"), put("b", "1"))
		r2 := must(t, db, del("b"), put("c", ""))
		r3 := must(t, db, del("never"))
		db = reopen(t, db, dir)
		want(t, db, "a", "1", r1)
		want(t, db, "b", "-", 0)
		want(t, db, "c", "", r2)
		if r, ok := db.(store.Revisioner); ok {
			if rev, err := r.Revision(context.Background()); err != nil || rev != r3 {
				t.Fatalf("revision %d, %v; want %d", rev, err, r3)
			}
		}
		rev, err := db.Commit(context.Background(), store.Txn{If: []store.Cond{at("a", r1), at("b", 0)}, Then: []store.Op{put("a", "2")}})
		if err != nil || rev <= r3 {
			t.Fatalf("revision %d after %d, %v", rev, r3, err)
		}
		if c := take(t, db, "a", r3, 1); c[0].Rev != rev {
			t.Fatalf("watch from %d yields %d first, want %d", r3, c[0].Rev, rev)
		}
		for c, err := range db.Watch(context.Background(), nil, r1-1) { // all of it, or told
			if !errors.Is(err, store.ErrCompacted) && c.Rev != r1 {
				t.Fatalf("watch from %d yields %d first, %v", r1-1, c.Rev, err)
			}
			break
		}
	})
	t.Run("closed under load", func(t *testing.T) {
		dir := t.TempDir()
		db := open(t, dir)
		keys := hammer(t, db, 16, nil)
		db = reopen(t, db, dir)
		for _, key := range keys {
			if _, err := db.Get(context.Background(), []byte(key)); err != nil {
				t.Fatalf("%s was acknowledged: %v", key, err)
			}
		}
	})
	t.Run("many times", func(t *testing.T) {
		dir := t.TempDir()
		db := open(t, dir)
		last := int64(0)
		for range 5 {
			rev := must(t, db, put("a", "x"))
			if rev <= last {
				t.Fatalf("revision %d after %d", rev, last)
			}
			last = rev
			db = reopen(t, db, dir)
			want(t, db, "a", "x", rev)
		}
	})
}
