package mem_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// TestReplica: what one tells the other reads, until it is gone; then the other leads.
func TestReplica(t *testing.T) {
	db := mem.New()
	defer db.Close()
	a, b := db.Replica(), db.Replica()
	ctx := t.Context()
	for key, value := range map[string]string{"live/a": "1", "live/b": "2"} {
		if err := a.Tell(ctx, []byte(key), []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Tell(ctx, []byte("live/b"), nil); err != nil {
		t.Fatal(err)
	}
	if kv, err := b.Get(ctx, []byte("live/a")); err != nil || string(kv.Value) != "1" {
		t.Errorf("%q, %v", kv.Value, err)
	}
	if _, err := b.Get(ctx, []byte("live/b")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("taken away: %v", err)
	}
	leads, lost := make(chan struct{}), make(chan error)
	go func() {
		lost <- a.Lead(ctx, "x", func(ctx context.Context) error { close(leads); <-ctx.Done(); return context.Cause(ctx) })
	}()
	<-leads
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-lost; !errors.Is(err, store.ErrClosed) {
		t.Errorf("lead of a closed replica: %v", err)
	}
	if _, err := b.Get(ctx, []byte("live/a")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("told by who is gone: %v", err)
	}
	if err := b.Lead(ctx, "x", func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := a.Tell(ctx, []byte("live/a"), []byte("1")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("tell after close: %v", err)
	}
}
