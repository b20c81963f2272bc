package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-ops/tocsin/store"
)

// Stored is the log in a store, which may be open read-only and may still be
// written to: everything is read in one Scan, so at one revision. place is how
// reports and a Memory call it, such as the absolute path of the directory.
func Stored(db store.DB, place string) Source { return &storedSource{db, place} }

type storedSource struct {
	db    store.DB
	place string
}

func (s *storedSource) Place() string { return s.place }

func (s *storedSource) verifier(ctx context.Context) (string, error) {
	kv, err := s.db.Get(ctx, []byte(keyVerifier))
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return string(kv.Value), err
}

// walk relies on the order of the prefixes: checkpoint, events, then the rest.
func (s *storedSource) walk(ctx context.Context, c *check) error {
	next := int64(0) // the stored hash that is due
	for kv, err := range s.db.Scan(ctx, store.Range{From: []byte(prefixAll), To: after(prefixAll)}) {
		if err != nil {
			return err
		}
		key := string(kv.Key)
		if key == keyHead {
			if err := c.begin(kv.Value); err != nil {
				return err
			}
			continue
		}
		if !c.begun {
			c.fault(-1, "there is no signed checkpoint")
			return errStop
		}
		if strings.HasPrefix(key, prefixEvent) {
			offset, err := numberAfter(prefixEvent, kv.Key)
			if err != nil {
				c.fault(-1, "%v", err)
			} else if c.at(offset) {
				c.record(kv.Value)
			}
			continue
		}
		if err := c.grow(); err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(key, prefixHash):
			next = c.run(kv, next)
		case strings.HasPrefix(key, prefixID):
			at, err := number(kv.Value)
			name := short(key[len(prefixID):])
			c.lead(err, kv.Key, at, 1, ledByID, func(i int64) bool { return c.names[at] == name })
		case strings.HasPrefix(key, prefixOf):
			cause, at, err := split(prefixOf, kv.Key)
			n, nerr := number(kv.Value)
			name := short(cause)
			c.lead(errors.Join(err, nerr), kv.Key, at, n, ledByCause, func(i int64) bool { return c.causes[at+i] == name })
		case strings.HasPrefix(key, prefixStream):
			stream, seq, err := split(prefixStream, kv.Key)
			at, n, nerr := parseRun(kv.Value)
			s := c.streams[stream]
			c.lead(errors.Join(err, nerr), kv.Key, at, n, ledByStream, func(i int64) bool {
				return s != nil && c.places[at+i] == place{s, seq + i}
			})
		case key == keyVerifier:
			if !bytes.Equal(kv.Value, []byte(c.key)) {
				c.fault(-1, "the log offers the verifier key %q, but it is signed with %s", kv.Value, c.key)
			}
		default:
			c.fault(-1, "the key %q does not belong to a log", key)
		}
	}
	if !c.begun {
		return fmt.Errorf("there is no log here: %w", ErrNotFound)
	}
	if err := c.grow(); err != nil {
		return err
	}
	if due := tlog.StoredHashCount(c.report.Checkpoint.Size); next != due && !c.gap && int64(len(c.leaves)) == c.report.Checkpoint.Size {
		c.fault(leafOf(next, c.report.Checkpoint.Size), "its Merkle hashes are missing: %d of %d are stored", next, due)
	}
	for i, led := range c.led {
		switch {
		case led&ledByID == 0:
			c.fault(int64(i), "the index by id does not lead to it")
		case led&ledByStream == 0:
			c.fault(int64(i), "the index of its stream does not lead to it")
		case led&ledByCause == 0 && c.causes[i] != 0:
			c.fault(int64(i), "the index by causation does not lead to it")
		}
	}
	return nil
}

func (c *check) in(offset int64) bool { return offset >= 0 && offset < int64(len(c.leaves)) }

// lead marks those of the n events from at on that an index entry rightly leads
// to. A wrong entry names no leaf: the event that it should lead to will be found
// without one.
func (c *check) lead(err error, key []byte, at, n int64, by byte, right func(i int64) bool) {
	ok := err == nil && n > 0
	for i := int64(0); ok && i < n; i++ {
		if !c.in(at+i) || c.led[at+i]&by != 0 {
			ok = false
			break
		}
		if right(i) {
			c.led[at+i] |= by
		} else {
			c.fault(-1, "the index entry %q leads to the wrong event", key)
		}
	}
	if !ok {
		c.fault(-1, "the index entry %q leads to no such event", key)
	}
}

// run compares one run of stored hashes and returns the index that is due next.
func (c *check) run(kv store.KV, next int64) int64 {
	first, err := numberAfter(prefixHash, kv.Key)
	if err != nil {
		c.fault(-1, "%v", err)
		return next
	}
	n := int64(len(kv.Value) / tlog.HashSize)
	size := c.report.Checkpoint.Size
	if first != next || len(kv.Value)%tlog.HashSize != 0 || n == 0 {
		c.fault(leafOf(min(first, next), size), "its Merkle hashes are not stored one after the other: hash %d is due, %d bytes from hash %d are there", next, len(kv.Value), first)
	}
	if first > tlog.StoredHashCount(size)-n {
		c.fault(-1, "Merkle hashes are stored after those of the signed checkpoint")
	}
	for i := range n {
		c.compare(first+i, tlog.Hash(kv.Value[i*tlog.HashSize:]))
	}
	return max(next, first+n)
}

// leafOf is the leaf whose append wrote the stored hash, -1 beyond size.
func leafOf(index, size int64) int64 {
	if index >= tlog.StoredHashCount(size) {
		return -1
	}
	level, n := tlog.SplitStoredHashIndex(index)
	return (n+1)<<level - 1
}
