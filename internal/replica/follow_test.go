package replica

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// cut is a store whose watches end while it is down, and which refuses scans then.
type cut struct {
	*mem.DB
	mu   sync.Mutex
	down context.Context
	end  context.CancelFunc
}

func (c *cut) now() context.Context { c.mu.Lock(); defer c.mu.Unlock(); return c.down }

func (c *cut) up() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down, c.end = context.WithCancel(context.Background())
}

func (c *cut) Watch(ctx context.Context, prefix []byte, from int64) iter.Seq2[store.Change, error] {
	down := c.now()
	return func(yield func(store.Change, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if down.Err() != nil {
			yield(store.Change{}, errDown)
			return
		}
		defer context.AfterFunc(down, cancel)()
		for change, err := range c.DB.Watch(ctx, prefix, from) {
			if !yield(change, err) {
				return
			}
		}
		if down.Err() != nil {
			yield(store.Change{}, errDown)
		}
	}
}

func (c *cut) Scan(ctx context.Context, r store.Range) iter.Seq2[store.KV, error] {
	if c.now().Err() != nil {
		return func(yield func(store.KV, error) bool) { yield(store.KV{}, errDown) }
	}
	return c.DB.Scan(ctx, r)
}

// TestFollow: through outages short and long the follower ends up with what is
// there, hears of every change when the store still knows them, and the log has
// one line an outage.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &cut{DB: mem.Open(mem.Options{KeepCount: 8})}
		db.up()
		put := func(key, value string) {
			t.Helper()
			if _, err := db.Commit(t.Context(), store.Txn{Then: []store.Op{{Key: []byte(key), Value: []byte(value), Delete: value == ""}}}); err != nil {
				t.Fatal(err)
			}
		}
		put("a/0", "x")
		put("b/0", "other")
		var log bytes.Buffer
		var mu sync.Mutex
		have := map[string]string{}
		alls, ones := 0, 0
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() {
			err := Follow(ctx, db, "a/", slog.New(slog.NewTextHandler(&log, nil)), func(kvs []store.KV) {
				mu.Lock()
				defer mu.Unlock()
				alls++
				have = map[string]string{}
				for _, kv := range kvs {
					have[string(kv.Key)] = string(kv.Value)
				}
			}, func(op store.Op) {
				mu.Lock()
				defer mu.Unlock()
				ones++
				if have[string(op.Key)] = string(op.Value); op.Delete {
					delete(have, string(op.Key))
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
		defer run.Wait()
		defer cancel()
		check := func(when string, want map[string]string, wantAlls, wantOnes int) {
			t.Helper()
			later(5 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			if !maps.Equal(have, want) || alls != wantAlls || ones != wantOnes {
				t.Errorf("%s: %v, %d whole, %d single; want %v, %d, %d", when, have, alls, ones, want, wantAlls, wantOnes)
			}
		}
		check("at first", map[string]string{"a/0": "x"}, 1, 0)
		put("a/1", "y")
		put("a/0", "")
		check("changes", map[string]string{"a/1": "y"}, 1, 2)
		db.end()
		synctest.Wait()
		put("a/2", "z")
		later(time.Minute)
		db.up()
		check("after a short outage", map[string]string{"a/1": "y", "a/2": "z"}, 1, 3)
		db.end()
		synctest.Wait()
		put("a/1", "")
		for i := range 20 {
			put("b/1", fmt.Sprint(i))
		}
		later(time.Minute)
		db.up()
		check("after a long one", map[string]string{"a/2": "z"}, 2, 3)
		put("a/3", "!")
		check("and on", map[string]string{"a/2": "z", "a/3": "!"}, 2, 4)
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("%d lines for two outages:\n%s", n, log.String())
		}
	})
}
