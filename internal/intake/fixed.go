package intake

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-ops/tocsin/store"
)

// Ensure makes a source whose key is given by the configuration, once: the same
// key again is the same source. A key that belonged to a revoked source is
// refused, because revoking must stick.
func (s *Sources) Ensure(ctx context.Context, actor string, o Order, key string) (Source, error) {
	name, kind := o.Name, o.Kind
	if err := takes(kind); err != nil {
		return Source{}, err
	}
	if err := o.check(); err != nil {
		return Source{}, err
	}
	if len(key) != KeyLength {
		return Source{}, fmt.Errorf("the key must be %d lower-case letters and digits", KeyLength)
	}
	if err := s.lock(ctx); err != nil {
		return Source{}, err
	}
	defer s.unlock()
	if err := s.refresh(ctx); err != nil {
		return Source{}, err
	}
	kv, err := s.db.Get(ctx, storeKey(key))
	switch {
	case err == nil:
		if src, ok := s.ByID(string(kv.Value)); ok {
			if src.RevokedAt != 0 {
				return src, fmt.Errorf("its key was revoked; draw a new one")
			}
			return src, nil
		}
	case !errors.Is(err, store.ErrNotFound):
		return Source{}, fmt.Errorf("look the key up: %w", err)
	}
	id := prefixes[kind] + "-" + random(6)
	for s.known(id) {
		id = prefixes[kind] + "-" + random(6)
	}
	if _, err := s.db.Commit(ctx, store.Txn{Then: []store.Op{{Key: storeKey(key), Value: []byte(id)}}}); err != nil {
		return Source{}, fmt.Errorf("keep the key of source %s: %w", id, err)
	}
	if err := s.append(ctx, actor, typeCreated, created{ID: id, Name: name, Kind: kind, Pace: o.Pace}); err != nil {
		return Source{}, err
	}
	src, _ := s.ByID(id)
	return src, nil
}
