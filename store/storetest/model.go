package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
	"pgregory.net/rapid"
)

// testModel drives the engine and a map with the same random Txns and ranges,
// and replays the watch into a second map. Runs share the store and are kept
// apart by a prefix.
func testModel(t *testing.T, db store.DB) {
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		prefix := fmt.Sprintf("run%d/", run)
		m := model{db: db, prefix: prefix, kvs: map[string]store.KV{}}
		begin := m.commit(t, store.Txn{})
		t.Repeat(map[string]func(*rapid.T){
			"commit": m.step,
			"scan":   m.scan,
		})
		end := m.commit(t, store.Txn{Then: []store.Op{put(prefix+"~end", "")}})
		m.replay(t, begin, end)
	})
}

type model struct {
	db     store.DB
	prefix string
	kvs    map[string]store.KV
	newest int64
}

var keys = rapid.StringMatching(`[ab]?[abc\x00]`)

func (m *model) commit(t *rapid.T, txn store.Txn) int64 {
	rev, err := m.db.Commit(context.Background(), txn)
	if err != nil || rev <= m.newest {
		t.Fatalf("commit: revision %d after %d, %v", rev, m.newest, err)
	}
	m.newest = rev
	for _, op := range txn.Then {
		if op.Delete {
			delete(m.kvs, string(op.Key))
		} else {
			m.kvs[string(op.Key)] = store.KV{Key: op.Key, Value: op.Value, Rev: rev}
		}
	}
	return rev
}

func (m *model) step(t *rapid.T) {
	var txn store.Txn
	holds := true
	for _, key := range rapid.SliceOfNDistinct(keys, 0, 3, rapid.ID[string]).Draw(t, "if") {
		key = m.prefix + key
		rev := m.kvs[key].Rev
		switch rapid.IntRange(0, 7).Draw(t, "cond") {
		case 0:
			rev, holds = rev+1, false
		case 1:
			holds = holds && rev == 0
			rev = 0
		}
		txn.If = append(txn.If, at(key, rev))
	}
	for _, key := range rapid.SliceOfNDistinct(keys, 0, 5, rapid.ID[string]).Draw(t, "then") {
		if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
			txn.Then = append(txn.Then, del(m.prefix+key))
		} else {
			txn.Then = append(txn.Then, put(m.prefix+key, rapid.StringN(0, 4, -1).Draw(t, "value")))
		}
	}
	if holds {
		m.commit(t, txn)
	} else if _, err := m.db.Commit(context.Background(), txn); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("commit: %v, want ErrConflict", err)
	}
	key := m.prefix + keys.Draw(t, "get")
	kv, err := m.db.Get(context.Background(), []byte(key))
	if known, there := m.kvs[key]; there != (err == nil) || there && !same(kv, known) {
		t.Fatalf("get %q: %v, %v; want %v", key, kv, err, known)
	}
}

func same(a, b store.KV) bool {
	return a.Rev == b.Rev && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
}

func (m *model) scan(t *rapid.T) {
	r := store.Range{
		From:    []byte(m.prefix + rapid.OneOf(rapid.Just(""), keys).Draw(t, "from")),
		To:      []byte(m.prefix + rapid.OneOf(rapid.Just("~"), keys).Draw(t, "to")),
		Limit:   rapid.IntRange(0, 5).Draw(t, "limit"),
		Reverse: rapid.Bool().Draw(t, "reverse"),
	}
	var known []store.KV
	for _, kv := range m.kvs {
		if bytes.Compare(kv.Key, r.From) >= 0 && bytes.Compare(kv.Key, r.To) < 0 {
			known = append(known, kv)
		}
	}
	slices.SortFunc(known, func(a, b store.KV) int {
		if r.Reverse {
			a, b = b, a
		}
		return bytes.Compare(a.Key, b.Key)
	})
	if r.Limit > 0 && len(known) > r.Limit {
		known = known[:r.Limit]
	}
	var got []store.KV
	for kv, err := range m.db.Scan(context.Background(), r) {
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		got = append(got, kv)
	}
	if !slices.EqualFunc(got, known, same) {
		t.Fatalf("scan %+v: %v, want %v", r, got, known)
	}
}

// replay builds the state from the watch alone.
func (m *model) replay(t *rapid.T, begin, end int64) {
	kvs := map[string]store.KV{}
	for c, err := range m.db.Watch(context.Background(), []byte(m.prefix), begin) {
		if errors.Is(err, store.ErrCompacted) {
			return // a long run on an engine that keeps little
		}
		if err != nil {
			t.Fatalf("watch: %v", err)
		}
		for _, op := range c.Ops {
			if _, there := kvs[string(op.Key)]; op.Delete && !there {
				t.Fatalf("watch: delete of %q, which did not exist, at %d", op.Key, c.Rev)
			}
			if op.Delete {
				delete(kvs, string(op.Key))
			} else {
				kvs[string(op.Key)] = store.KV{Key: op.Key, Value: op.Value, Rev: c.Rev}
			}
		}
		if c.Rev == end {
			break
		}
	}
	if len(kvs) != len(m.kvs) {
		t.Fatalf("the watch leads to %d keys, want %d", len(kvs), len(m.kvs))
	}
	for key, kv := range m.kvs {
		if !same(kvs[key], kv) {
			t.Fatalf("the watch leads to %v, want %v", kvs[key], kv)
		}
	}
}
