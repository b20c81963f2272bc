package storetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

func TestFaultyPassesTheSuite(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.DB { return storetest.Faulty(mem.New(), storetest.Sequence()) })
}

func TestFaults(t *testing.T) {
	ctx := context.Background()
	go1 := make(chan struct{})
	db := storetest.Faulty(mem.New(), storetest.Sequence(
		storetest.Lose(), storetest.SaveAndFail(), storetest.SaveLater(), storetest.Hold(go1), storetest.Hold(nil)))
	commit := func(ctx context.Context, key string) error {
		_, err := db.Commit(ctx, store.Txn{If: []store.Cond{{Key: []byte(key)}}, Then: []store.Op{{Key: []byte(key)}}})
		return err
	}
	there := func(key string) bool {
		_, err := db.Get(ctx, []byte(key))
		return err == nil
	}
	if err := commit(ctx, "lost"); !errors.Is(err, storetest.ErrInjected) || there("lost") {
		t.Error("lose", err, there("lost"))
	}
	if err := commit(ctx, "saved"); !errors.Is(err, storetest.ErrInjected) || !there("saved") {
		t.Error("save and fail", err, there("saved"))
	}
	if err := commit(ctx, "later"); !errors.Is(err, storetest.ErrInjected) || there("later") {
		t.Error("save later", err, there("later"))
	}
	held := make(chan error)
	go func() { held <- commit(ctx, "held") }()
	if there("held") {
		t.Error("hold saved at once")
	}
	close(go1)
	if err := <-held; err != nil || !there("held") {
		t.Error("hold", err, there("held"))
	}
	ended, end := context.WithCancel(ctx)
	end()
	if err := commit(ended, "gone"); !errors.Is(err, context.Canceled) || there("gone") {
		t.Error("hold with an ended ctx", err)
	}
	if answers := db.Settle(ctx); len(answers) != 1 || answers[0] != nil || !there("later") {
		t.Error("settle", answers, there("later"))
	}
	if n := db.Commits(); n != 5 {
		t.Error(n, "commits, want 5")
	}
	for _, err := range storetest.Unwatched(db, 2).Watch(ctx, nil, 1) {
		if !errors.Is(err, store.ErrCompacted) {
			t.Error("unwatched", err)
		}
	}
}
