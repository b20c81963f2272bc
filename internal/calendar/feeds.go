package calendar

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tocsin-ops/tocsin/store"
)

const (
	prefix   = "calendar/feed/"
	maxFeeds = 50   // of one owner
	perFeed  = 30   // readings a minute of one feed
	perPlace = 60   // wrong addresses a minute of one network address
	watched  = 4096 // feeds and addresses that are counted; when there are more, all counts begin anew
)

// ErrUnknown is returned for an address that opens nothing: it was never made, or was revoked.
var ErrUnknown = errors.New("no such calendar")

// ErrTooOften is returned to who reads too often.
var ErrTooOften = errors.New("calendar read too often")

// ErrTooMany is returned to who has as many feeds as one may have.
var ErrTooMany = errors.New("too many calendars")

// Feed is an address that calendar programs read. Its secret is shown once and kept as a digest.
type Feed struct {
	ID        string `json:"id"`
	Owner     string `json:"owner"` // handle of who made it; it ends when they leave
	Kind      string `json:"kind"`
	Subject   string `json:"subject"`
	CreatedAt int64  `json:"created_at"` // unix ms
}

type record struct {
	Feed
	Digest []byte `json:"digest"`
}

// Feeds keeps them in the store. Safe for concurrent use, also by several replicas.
type Feeds struct {
	db store.DB

	mu    sync.Mutex
	since int64 // of the minute that is counted
	count map[string]int
}

// NewFeeds keeps feeds in db, under "calendar/feed/".
func NewFeeds(db store.DB) *Feeds { return &Feeds{db: db, count: map[string]int{}} }

// Create makes a feed; token is the secret part of its address, which nobody can show again.
func (f *Feeds) Create(ctx context.Context, feed Feed) (Feed, string, error) {
	mine, err := f.List(ctx, feed.Owner)
	if err != nil {
		return Feed{}, "", err
	}
	if len(mine) >= maxFeeds {
		return Feed{}, "", ErrTooMany
	}
	feed.ID = strings.ToLower(rand.Text()[:12])
	secret := strings.ToLower(rand.Text())
	value, err := json.Marshal(record{feed, digest(secret)})
	if err != nil {
		return Feed{}, "", err
	}
	key := []byte(prefix + feed.ID)
	if _, err := f.db.Commit(ctx, store.Txn{If: []store.Cond{{Key: key}}, Then: []store.Op{{Key: key, Value: value}}}); err != nil {
		return Feed{}, "", fmt.Errorf("keep calendar %s: %w", feed.ID, err)
	}
	return feed, feed.ID + "-" + secret, nil
}

// List returns the feeds of an owner, oldest first; of "" everybody's.
func (f *Feeds) List(ctx context.Context, owner string) ([]Feed, error) {
	out := []Feed{}
	to := []byte(prefix)
	to[len(to)-1]++
	for kv, err := range f.db.Scan(ctx, store.Range{From: []byte(prefix), To: to}) {
		if err != nil {
			return nil, fmt.Errorf("list calendars: %w", err)
		}
		var r record
		if err := json.Unmarshal(kv.Value, &r); err != nil {
			return nil, fmt.Errorf("decode %s: %w", kv.Key, err)
		}
		if owner == "" || r.Owner == owner {
			out = append(out, r.Feed)
		}
	}
	slices.SortFunc(out, func(a, b Feed) int { return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// Revoke ends a feed of an owner ("": anybody's) at once. ErrUnknown when there is none.
func (f *Feeds) Revoke(ctx context.Context, owner, id string) error {
	r, err := f.load(ctx, id)
	if err != nil {
		return err
	}
	if owner != "" && r.Owner != owner {
		return ErrUnknown
	}
	if _, err := f.db.Commit(ctx, store.Txn{Then: []store.Op{{Key: []byte(prefix + id), Delete: true}}}); err != nil {
		return fmt.Errorf("revoke calendar %s: %w", id, err)
	}
	return nil
}

// Open finds the feed of a token. now is unix ms; place is the network address that asks, which may guess wrong only so often.
func (f *Feeds) Open(ctx context.Context, token, place string, now int64) (Feed, error) {
	if f.often("place "+place, now, perPlace, 0) {
		return Feed{}, ErrTooOften
	}
	id, secret, _ := strings.Cut(token, "-")
	r, err := f.load(ctx, id)
	if err == nil && subtle.ConstantTimeCompare(r.Digest, digest(secret)) != 1 {
		err = ErrUnknown
	}
	if errors.Is(err, ErrUnknown) {
		f.often("place "+place, now, perPlace, 1)
	}
	if err != nil {
		return Feed{}, err
	}
	if f.often("feed "+id, now, perFeed, 1) {
		return Feed{}, ErrTooOften
	}
	return r.Feed, nil
}

// often counts by more and says whether there were more than most within the minute.
func (f *Feeds) often(what string, now int64, most, more int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now-f.since >= 60_000 || now < f.since || len(f.count) >= watched {
		f.since, f.count = now, map[string]int{}
	}
	if more > 0 {
		f.count[what] += more
		return f.count[what] > most
	}
	return f.count[what] >= most
}

func (f *Feeds) load(ctx context.Context, id string) (record, error) {
	var r record
	if len(id) != 12 || strings.ContainsFunc(id, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '2' || c > '7') }) {
		return r, ErrUnknown
	}
	kv, err := f.db.Get(ctx, []byte(prefix+id))
	if errors.Is(err, store.ErrNotFound) {
		return r, ErrUnknown
	}
	if err != nil {
		return r, fmt.Errorf("look up calendar %s: %w", id, err)
	}
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return r, fmt.Errorf("decode calendar %s: %w", id, err)
	}
	return r, nil
}

func digest(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
