package eventlog

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-ops/tocsin/store"
)

// InclusionProof proves that the tree of size leaves holds leaf index; check it
// with tlog.CheckRecord and tlog.RecordHash of the leaf. ErrNotFound when the log
// is smaller than size, or size not above index.
func (l *Log) InclusionProof(ctx context.Context, index, size int64) (tlog.RecordProof, error) {
	if index < 0 || index >= size || size > l.Size() {
		return nil, fmt.Errorf("proof of event %d in a tree of %d: %w", index, size, ErrNotFound)
	}
	p, err := tlog.ProveRecord(size, index, stored{ctx, l.db})
	if err != nil {
		return nil, fmt.Errorf("proof of event %d in a tree of %d: %w", index, size, err)
	}
	return p, nil
}

// ConsistencyProof proves that the tree of older leaves is the beginning of the
// tree of newer leaves; check it with tlog.CheckTree. ErrNotFound when the log is
// smaller than newer, or not 1 <= older <= newer.
func (l *Log) ConsistencyProof(ctx context.Context, older, newer int64) (tlog.TreeProof, error) {
	if older < 1 || older > newer || newer > l.Size() {
		return nil, fmt.Errorf("proof that a tree of %d begins a tree of %d: %w", older, newer, ErrNotFound)
	}
	p, err := tlog.ProveTree(newer, older, stored{ctx, l.db})
	if err != nil {
		return nil, fmt.Errorf("proof that a tree of %d begins a tree of %d: %w", older, newer, err)
	}
	return p, nil
}

// Root is the Merkle root of the first size events.
func (l *Log) Root(ctx context.Context, size int64) (tlog.Hash, error) {
	if size < 0 || size > l.Size() {
		return tlog.Hash{}, fmt.Errorf("root of a tree of %d: %w", size, ErrNotFound)
	}
	return tlog.TreeHash(size, stored{ctx, l.db})
}

// Leaf returns the leaf of the event at offset: the exact header bytes whose
// tlog.RecordHash is in the tree.
func (l *Log) Leaf(ctx context.Context, offset int64) ([]byte, error) {
	leaves, err := l.leaves(ctx, offset, offset+1)
	if err != nil {
		return nil, fmt.Errorf("leaf %d: %w", offset, err)
	}
	return leaves[0], nil
}

// leaves reads the leaves of [from, to), all of which must exist.
func (l *Log) leaves(ctx context.Context, from, to int64) ([][]byte, error) {
	if from < 0 || to > l.Size() {
		return nil, ErrNotFound
	}
	out := make([][]byte, 0, to-from)
	for kv, err := range l.db.Scan(ctx, store.Range{From: eventKey(from), To: eventKey(to)}) {
		if err != nil {
			return nil, err
		}
		leaf, _, err := splitRecord(kv.Value)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w: %w", from+int64(len(out)), ErrCorrupt, err)
		}
		out = append(out, leaf)
	}
	if int64(len(out)) != to-from {
		return nil, fmt.Errorf("%d of %d events: %w", len(out), to-from, missing(ctx))
	}
	return out, nil
}
