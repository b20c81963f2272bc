package eventlog

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-ops/tocsin/store"
)

// hashGap is how far apart two stored hashes may lie to be read by one Scan
// rather than by a new seek.
const hashGap = 128

// stored reads Merkle hashes from the runs in db. It holds ctx because
// tlog.HashReader has no room for one; it lives as long as one call.
type stored struct {
	ctx context.Context
	db  store.DB
}

// missing is the error for what is not there although the log's size says that it
// must be: damage, unless the store has lost its quorum and may answer with less
// than this Log has seen.
func missing(ctx context.Context) error {
	if store.AnsweredStale(ctx) {
		return store.ErrUnavailable
	}
	return ErrCorrupt
}

// ReadHashes implements tlog.HashReader.
func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	order := make([]int, len(indexes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(min(max(indexes[a]-indexes[b], -1), 1)) })
	out := make([]tlog.Hash, len(indexes))
	var run []byte // the run that was read last
	var first int64
	holds := func(i int64) bool { return run != nil && i >= first && i < first+int64(len(run)/tlog.HashSize) }
	read := func(r store.Range) error {
		for kv, err := range s.db.Scan(s.ctx, r) {
			if err != nil {
				return err
			}
			if first, err = numberAfter(prefixHash, kv.Key); err != nil {
				return err
			}
			run = kv.Value
			for len(order) > 0 && holds(indexes[order[0]]) {
				at := (indexes[order[0]] - first) * tlog.HashSize
				out[order[0]] = tlog.Hash(run[at : at+tlog.HashSize])
				order = order[1:]
			}
		}
		return nil
	}
	for len(order) > 0 {
		want := indexes[order[0]]
		if want < 0 {
			return nil, fmt.Errorf("stored hash %d: %w", want, ErrNotFound)
		}
		err := read(store.Range{From: []byte(prefixHash), To: numKey(prefixHash, want+1), Limit: 1, Reverse: true})
		if err != nil {
			return nil, fmt.Errorf("read stored hash %d: %w", want, err)
		}
		if len(order) > 0 && indexes[order[0]] == want {
			return nil, fmt.Errorf("stored hash %d: %w", want, missing(s.ctx))
		}
		last := int64(-1) // the last hash that is near enough to walk to
		for _, i := range order {
			if indexes[i] > max(last, first+int64(len(run)/tlog.HashSize))+hashGap {
				break
			}
			last = indexes[i]
		}
		if last >= 0 {
			err := read(store.Range{From: numKey(prefixHash, first+1), To: numKey(prefixHash, last+1)})
			if err != nil {
				return nil, fmt.Errorf("read stored hashes to %d: %w", last, err)
			}
		}
	}
	return out, nil
}

// edge is the right edge of a tree: the hashes of its perfect subtrees, at most
// one for each bit of the size. It is all that appending and hashing need.
type edge map[int64]tlog.Hash

// ReadHashes implements tlog.HashReader.
func (e edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		h, ok := e[at]
		if !ok {
			return nil, fmt.Errorf("hash %d is not on the edge of the tree", at)
		}
		out[i] = h
	}
	return out, nil
}

// edgeIndexes are the stored indexes of the perfect subtrees of a tree of n leaves.
func edgeIndexes(n int64) []int64 {
	var out []int64
	for level := 62; level >= 0; level-- {
		if n&(1<<level) != 0 {
			out = append(out, tlog.StoredHashIndex(level, n>>level-1))
		}
	}
	return out
}

// add hashes leaf n into e and returns the stored hashes it makes.
func (e edge) add(n int64, leaf tlog.Hash) ([]tlog.Hash, error) {
	hashes, err := tlog.StoredHashesForRecordHash(n, leaf, e)
	if err != nil {
		return nil, err
	}
	first := tlog.StoredHashIndex(0, n)
	for i, h := range hashes {
		e[first+int64(i)] = h
	}
	return hashes, nil
}

// trim forgets what a tree of n leaves does not need.
func (e edge) trim(n int64) edge {
	out := make(edge, 8)
	for _, i := range edgeIndexes(n) {
		out[i] = e[i]
	}
	return out
}

// readEdge loads the edge of a tree of n leaves.
func readEdge(n int64, r tlog.HashReader) (edge, error) {
	indexes := edgeIndexes(n)
	hashes, err := r.ReadHashes(indexes)
	if err != nil {
		return nil, err
	}
	e := make(edge, len(indexes))
	for i, at := range indexes {
		e[at] = hashes[i]
	}
	return e, nil
}
