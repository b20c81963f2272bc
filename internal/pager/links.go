package pager

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/store"
)

// LinkLife is how long the link in a message can be used.
const LinkLife = 24 * time.Hour

const (
	linkPrefix  = "pager/link/"
	tokenLength = 26 // of rand.Text: 130 bits
	sweepEvery  = time.Hour
	sweepAtOnce = 4096 // links looked at in one go
)

// ErrNoLink says that a token is none of ours, or that its time is over.
var ErrNoLink = errors.New("no such link of a page")

// Link lets one person answer one page without signing in.
type Link struct {
	Person    string `json:"person"` // handle
	Incident  int64  `json:"incident"`
	Page      string `json:"page"`
	CreatedAt int64  `json:"created_at"` // unix ms
	ExpiresAt int64  `json:"expires_at"`
}

// Links keeps the links of pages: of each its digest, never the token. Whether the person is still one of us is asked by whoever opens it.
type Links struct {
	db    store.DB
	clock func() int64
	draw  func() string
}

// NewLinks keeps links in db.
func NewLinks(db store.DB, clock func() int64) *Links {
	return &Links{db: db, clock: clock, draw: rand.Text}
}

// mint makes one link for each of the pages and returns their tokens, in the same order, once the digests are durable. The same page again has
// another token; both are good.
func (l *Links) mint(ctx context.Context, pages []Link) ([]string, error) {
	now := l.clock()
	tokens := make([]string, len(pages))
	var ops []store.Op
	for i, p := range pages {
		tokens[i] = l.draw()
		p.CreatedAt, p.ExpiresAt = now, now+LinkLife.Milliseconds()
		value, err := json.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encode the link of page %s: %w", p.Page, err)
		}
		ops = append(ops, store.Op{Key: linkKey(tokens[i]), Value: value})
	}
	return tokens, l.commit(ctx, ops)
}

func (l *Links) commit(ctx context.Context, ops []store.Op) error {
	for most := store.OpLimit(l.db); len(ops) > 0; {
		n := min(most, len(ops))
		if _, err := l.db.Commit(ctx, store.Txn{Then: ops[:n]}); err != nil {
			return fmt.Errorf("keep %d links of pages: %w", n, err)
		}
		ops = ops[n:]
	}
	return nil
}

// Open returns what a token stands for, or ErrNoLink. A link that has expired is returned together with ErrNoLink until it is swept away, so that
// its holder can be told which incident it was about. It uses nothing up.
func (l *Links) Open(ctx context.Context, token string) (Link, error) {
	var p Link
	if len(token) != tokenLength {
		return p, ErrNoLink
	}
	kv, err := l.db.Get(ctx, linkKey(token))
	if errors.Is(err, store.ErrNotFound) {
		return p, ErrNoLink
	}
	if err != nil {
		return p, fmt.Errorf("look up the link of a page: %w", err)
	}
	if err := json.Unmarshal(kv.Value, &p); err != nil {
		return p, fmt.Errorf("read the link of a page: %w", err)
	}
	if l.clock() >= p.ExpiresAt {
		return p, ErrNoLink
	}
	return p, nil
}

// sweep removes links that ended a day ago or earlier, at most sweepAtOnce of them.
func (l *Links) sweep(ctx context.Context) error {
	over := l.clock() - LinkLife.Milliseconds()
	var ops []store.Op
	for kv, err := range l.db.Scan(ctx, store.Range{From: []byte(linkPrefix), To: []byte(strings.TrimSuffix(linkPrefix, "/") + "0")}) {
		if err != nil {
			return fmt.Errorf("sweep the links of pages: %w", err)
		}
		var p Link
		if json.Unmarshal(kv.Value, &p) != nil || p.ExpiresAt <= over {
			ops = append(ops, store.Op{Key: kv.Key, Delete: true})
		}
		if len(ops) == sweepAtOnce {
			break
		}
	}
	return l.commit(ctx, ops)
}

func linkKey(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return []byte(linkPrefix + hex.EncodeToString(sum[:]))
}
