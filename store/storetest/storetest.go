// Package storetest owns the one suite that every engine of store must pass,
// and an engine that fails on demand; it never ships in the product.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
)

// Run checks every sentence of the contract of store.DB, and of store.Elector
// and store.Revisioner when the engine is one. open returns an empty store that
// the suite closes.
func Run(t *testing.T, open func(t *testing.T) store.DB) {
	each := func(name string, check func(*testing.T, store.DB)) {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			t.Cleanup(func() {
				if err := db.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
					t.Errorf("close: %v", err)
				}
			})
			check(t, db)
		})
	}
	each("get", testGet)
	each("scan ranges", testScanRanges)
	each("scan sees one revision", testScanOneRevision)
	each("scan and ctx", testScanContext)
	each("conditions", testConditions)
	each("conflict applies nothing", testConflict)
	each("delete", testDelete)
	each("txn that changes nothing", testEmptyTxn)
	each("limits", testLimits)
	each("slices are owned", testSlices)
	each("revisions are strict", testRevisions)
	each("concurrent commits", testConcurrent)
	each("commit and ended ctx", testCommitContext)
	each("watch order", testWatchOrder)
	each("watch from and prefix", testWatchFrom)
	each("watch without gap", testWatchConcurrent)
	each("watch ends", testWatchEnds)
	each("closed", testClosed)
	each("close during commits", testCloseDuring)
	each("elector", testElector)
	each("model", testModel)
}

func put(key, value string) store.Op { return store.Op{Key: []byte(key), Value: []byte(value)} }
func del(key string) store.Op        { return store.Op{Key: []byte(key), Delete: true} }

func at(key string, rev int64) store.Cond { return store.Cond{Key: []byte(key), Rev: rev} }

// must commits ops without conditions.
func must(t testing.TB, db store.DB, ops ...store.Op) int64 {
	t.Helper()
	rev, err := db.Commit(context.Background(), store.Txn{Then: ops})
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return rev
}

// want checks what Get says; value "-" means not found.
func want(t testing.TB, db store.DB, key, value string, rev int64) {
	t.Helper()
	kv, err := db.Get(context.Background(), []byte(key))
	if value == "-" {
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("get %q: %q, %v; want ErrNotFound", key, kv.Value, err)
		}
		return
	}
	if err != nil || string(kv.Key) != key || string(kv.Value) != value || kv.Rev != rev {
		t.Fatalf("get %q: %q=%q at %d, %v; want %q at %d", key, kv.Key, kv.Value, kv.Rev, err, value, rev)
	}
}

// all collects a Scan.
func all(t testing.TB, db store.DB, r store.Range) []store.KV {
	t.Helper()
	var kvs []store.KV
	for kv, err := range db.Scan(context.Background(), r) {
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		kvs = append(kvs, kv)
	}
	return kvs
}

func cloneTxn(txn store.Txn) store.Txn {
	var c store.Txn
	for _, cond := range txn.If {
		c.If = append(c.If, store.Cond{Key: bytes.Clone(cond.Key), Rev: cond.Rev})
	}
	for _, op := range txn.Then {
		op.Key, op.Value = bytes.Clone(op.Key), bytes.Clone(op.Value)
		c.Then = append(c.Then, op)
	}
	return c
}
