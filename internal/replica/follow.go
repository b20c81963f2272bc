package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tocsin-ops/tocsin/store"
)

// Waits between attempts at a store that is troubled.
const (
	firstWait = 100 * time.Millisecond
	mostWait  = 2 * time.Second
)

// Follow gives everything under a prefix to all, then each change to one, until
// ctx ends; then it returns nil. It waits out every trouble of the store, with
// one line in the log for each, and goes on where it was; when the store does
// not know any more what came since, all is called anew. Calls come one at a time.
func Follow(ctx context.Context, db store.DB, prefix string, log *slog.Logger, all func([]store.KV), one func(store.Op)) error {
	f := follower{db: db, prefix: prefix, all: all, one: one}
	wait, troubled := firstWait, false
	for ctx.Err() == nil {
		rev, began := f.rev, time.Now()
		err := f.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		if f.rev > rev || time.Since(began) > mostWait { // it went well for a while
			wait, troubled = firstWait, false
		}
		switch {
		case errors.Is(err, store.ErrCompacted):
			f.known = false
			continue
		case !troubled:
			log.Warn("following the store waits", "prefix", prefix, "err", err)
			troubled = true
		}
		pause(ctx, wait)
		wait = min(2*wait, mostWait)
	}
	return nil
}

type follower struct {
	db     store.DB
	prefix string
	all    func([]store.KV)
	one    func(store.Op)
	known  bool
	rev    int64
}

func (f *follower) follow(ctx context.Context) error {
	if !f.known {
		if err := f.begin(ctx); err != nil {
			return err
		}
	}
	for change, err := range f.db.Watch(ctx, []byte(f.prefix), f.rev) {
		if err != nil {
			return fmt.Errorf("watch %s from %d: %w", f.prefix, f.rev, err)
		}
		f.rev = change.Rev
		for _, op := range change.Ops {
			f.one(op)
		}
	}
	return errors.New("the watch ended")
}

func (f *follower) begin(ctx context.Context) error {
	var rev int64
	if r, ok := f.db.(store.Revisioner); ok {
		var err error
		if rev, err = r.Revision(ctx); err != nil {
			return err
		}
	}
	var kvs []store.KV
	for kv, err := range f.db.Scan(ctx, store.Range{From: []byte(f.prefix), To: []byte(f.prefix + "\xff")}) {
		if err != nil {
			return fmt.Errorf("scan %s: %w", f.prefix, err)
		}
		kvs = append(kvs, kv)
	}
	f.all(kvs)
	f.known, f.rev = true, rev
	return nil
}
