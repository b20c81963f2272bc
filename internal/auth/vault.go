package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tocsin-ops/tocsin/store"
)

// The records under "auth/". Secrets are kept as digests; the one clear secret
// is the store's own key, which never leaves the process.
const (
	keyOwn        = "auth/key"
	keyFirst      = "auth/first" // ids of the first administrator's links
	keyLinks      = "auth/link/"
	keySessions   = "auth/session/"
	keyTokens     = "auth/token/"
	keyPersons    = "auth/person/"
	keyPasskeys   = "auth/passkey/"
	keyCeremonies = "auth/ceremony/"
)

// linkRecord is a single-use link: to join, to be the first administrator, or
// to sign in again.
type linkRecord struct {
	Digest    []byte `json:"digest"`
	Kind      string `json:"kind"` // linkJoin, linkFirst, linkSignIn
	Handle    string `json:"handle,omitempty"`
	CreatedAt int64  `json:"created_at"`
	ExpiresAt int64  `json:"expires_at"`
	By        string `json:"by,omitempty"` // id of the session that made it for its own person, and without which it is void
	Use       *use   `json:"use,omitempty"`
}

// use says by which transaction a single-use secret was used, so that the very
// same transaction may ask for its answer again and no other gets one.
type use struct {
	Txn     []byte `json:"txn"` // sealed
	At      int64  `json:"at"`
	Session string `json:"session"`
}

type sessionRecord struct {
	Digest    []byte `json:"digest"`
	Kind      Kind   `json:"kind"`  // KindPerson or KindWall
	Owner     string `json:"owner"` // handle or token id
	Device    string `json:"device,omitempty"`
	CreatedAt int64  `json:"created_at"`
	SeenAt    int64  `json:"seen_at"`
}

type tokenRecord struct {
	Digest []byte `json:"digest"`
	UsedAt int64  `json:"used_at,omitempty"`
}

type personRecord struct {
	UserHandle []byte         `json:"user_handle"` // 64 random bytes for authenticators
	Recovery   []recoveryCode `json:"recovery,omitempty"`
}

type recoveryCode struct {
	Digest []byte `json:"digest"` // HMAC under the store's key
	Use    *use   `json:"use,omitempty"`
}

// load reads one record; rev 0 means that there is none.
func load[T any](ctx context.Context, db store.DB, key string) (record T, rev int64, err error) {
	kv, err := db.Get(ctx, []byte(key))
	if errors.Is(err, store.ErrNotFound) {
		return record, 0, nil
	}
	if err != nil {
		return record, 0, fmt.Errorf("read %s: %w", key, err)
	}
	if err := json.Unmarshal(kv.Value, &record); err != nil {
		return record, 0, fmt.Errorf("decode %s: %w", key, err)
	}
	return record, kv.Rev, nil
}

// loadAll reads the records under a prefix, in key order, with their ids.
func loadAll[T any](ctx context.Context, db store.DB, prefix string) (ids []string, records []T, revs []int64, err error) {
	to := []byte(prefix)
	to[len(to)-1]++
	for kv, err := range db.Scan(ctx, store.Range{From: []byte(prefix), To: to}) {
		if err != nil {
			return nil, nil, nil, fmt.Errorf("scan %s: %w", prefix, err)
		}
		var r T
		if err := json.Unmarshal(kv.Value, &r); err != nil {
			return nil, nil, nil, fmt.Errorf("decode %s: %w", kv.Key, err)
		}
		ids, records, revs = append(ids, string(kv.Key[len(prefix):])), append(records, r), append(revs, kv.Rev)
	}
	return ids, records, revs, nil
}

func cond(key string, rev int64) store.Cond { return store.Cond{Key: []byte(key), Rev: rev} }

func put(key string, record any) store.Op {
	value, err := json.Marshal(record)
	if err != nil {
		panic("auth: records are plain structs: " + err.Error())
	}
	return store.Op{Key: []byte(key), Value: value}
}

func remove(key string) store.Op { return store.Op{Key: []byte(key), Delete: true} }

// settle commits. When the store cannot say whether it happened, happened looks;
// then nil is returned only for what is really there.
func (s *Service) settle(ctx context.Context, txn store.Txn, happened func(context.Context) (bool, error)) error {
	_, err := s.db.Commit(ctx, txn)
	if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrClosed) {
		return err
	}
	if there, lookErr := happened(context.WithoutCancel(ctx)); lookErr == nil && there {
		return nil
	}
	return err
}

// removeAll removes keys in transactions of bounded size; keys that are gone
// already do not matter.
func (s *Service) removeAll(ctx context.Context, keys []string) error {
	for len(keys) > 0 {
		n := min(len(keys), store.MaxOps)
		var txn store.Txn
		for _, k := range keys[:n] {
			txn.Then = append(txn.Then, remove(k))
		}
		if _, err := s.db.Commit(ctx, txn); err != nil {
			return fmt.Errorf("remove %d records: %w", n, err)
		}
		keys = keys[n:]
	}
	return nil
}

// loadKey loads the store's own key, or makes it; two replicas starting at once
// agree on one.
func (s *Service) loadKey(ctx context.Context) error {
	for range 3 {
		key, rev, err := load[[]byte](ctx, s.db, keyOwn)
		if err != nil {
			return err
		}
		if rev != 0 {
			s.key = key
			return nil
		}
		if key, err = s.draw(32); err != nil {
			return err
		}
		_, err = s.db.Commit(ctx, store.Txn{If: []store.Cond{cond(keyOwn, 0)}, Then: []store.Op{put(keyOwn, key)}})
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("keep the key of this store: %w", err)
		}
	}
	return errors.New("keep the key of this store: it is not there after writing it; check the store")
}

// Sweep removes what has expired: links, ceremonies, idle sessions, and what is
// left of removed people. Run calls it once an hour.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.clock()
	var gone, owners []string
	ids, links, _, err := loadAll[linkRecord](ctx, s.db, keyLinks)
	if err != nil {
		return err
	}
	for i, l := range links {
		if now >= l.ExpiresAt && (l.Use == nil || now >= l.Use.At+retryWindow) {
			gone = append(gone, keyLinks+ids[i])
		}
	}
	ids, ceremonies, _, err := loadAll[ceremonyRecord](ctx, s.db, keyCeremonies)
	if err != nil {
		return err
	}
	for i, c := range ceremonies {
		if now >= c.ExpiresAt {
			gone = append(gone, keyCeremonies+ids[i])
		}
	}
	ids, sessions, _, err := loadAll[sessionRecord](ctx, s.db, keySessions)
	if err != nil {
		return err
	}
	// Only now the directory: whoever has a session by now is in the log by now.
	if err := s.refresh(ctx); err != nil {
		return err
	}
	for i, r := range sessions {
		if _, ok := s.holder(r, now); !ok {
			gone, owners = append(gone, keySessions+ids[i]), append(owners, "session:"+ids[i])
		}
	}
	if err := s.removeAll(ctx, gone); err != nil {
		return err
	}
	s.revoked(owners...)
	return nil
}
