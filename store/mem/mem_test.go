package mem_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestCommitGetWatch(t *testing.T) {
	db := mem.New()
	ctx := context.Background()
	rev, err := db.Commit(ctx, store.Txn{If: []store.Cond{{Key: []byte("a")}}, Then: []store.Op{{Key: []byte("a"), Value: []byte("1")}}})
	if err != nil || rev != 1 {
		t.Fatal(rev, err)
	}
	if _, err := db.Commit(ctx, store.Txn{If: []store.Cond{{Key: []byte("a")}}}); !errors.Is(err, store.ErrConflict) {
		t.Fatal(err)
	}
	for c, err := range db.Watch(ctx, []byte("a"), 0) {
		if err != nil || c.Rev != 1 || string(c.Ops[0].Value) != "1" {
			t.Fatal(c, err)
		}
		break
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Get(ctx, []byte("a")); !errors.Is(err, store.ErrClosed) {
		t.Fatal(err)
	}
}
