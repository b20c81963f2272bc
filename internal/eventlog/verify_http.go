package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Where a server shows its log, below its base URL. KeyPath is not part of C2SP:
// plain text, what Verifier returns.
const (
	CheckpointPath = "/ledger/checkpoint"
	TilePath       = "/ledger/tile/"
	KeyPath        = "/ledger/key"
)

// Remote is the log of a server: its checkpoint, its key (KeyPath) and its tiles.
// With a token that may read entries every leaf is recomputed, else only hashes
// are; a token that may not is an error. Payloads are not part of tiles and are
// not checked; the report's notes say so. A nil client is http.DefaultClient; give one with a timeout.
func Remote(base, token string, client *http.Client) Source {
	if client == nil {
		client = http.DefaultClient
	}
	return &remoteSource{base: strings.TrimRight(base, "/"), token: token, client: client}
}

type remoteSource struct {
	base, token string
	client      *http.Client
}

// maxBody bounds what is read of one answer: a full bundle of the largest leaves.
const maxBody = TileWidth*(2+maxHeader) + 1

var errDenied = errors.New("not allowed")

func (s *remoteSource) Place() string { return s.base }

func (s *remoteSource) verifier(ctx context.Context) (string, error) {
	b, err := s.get(ctx, KeyPath)
	return strings.TrimSpace(string(b)), err
}

// Patience with a server that says that it cannot answer now (503, 429).
const (
	maxTries = 6
	maxPause = 5 * time.Second
)

// busy is an answer that another try may better, not before pause.
type busy struct {
	error
	pause time.Duration
}

func (s *remoteSource) get(ctx context.Context, path string) ([]byte, error) {
	for try := 1; ; try++ {
		b, err := s.getOnce(ctx, path)
		var again *busy
		if !errors.As(err, &again) || try == maxTries {
			return b, err
		}
		select {
		case <-time.After(again.pause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (s *remoteSource) getOnce(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		return nil, err
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("get %s: %s: %w", path, resp.Status, errDenied)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		pause := time.Second
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n >= 0 {
			pause = min(time.Duration(n)*time.Second, maxPause)
		}
		return nil, &busy{fmt.Errorf("get %s: %s", path, resp.Status), pause}
	default:
		return nil, fmt.Errorf("get %s: %s", path, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", path, err)
	}
	if len(b) == maxBody {
		return nil, fmt.Errorf("get %s: the answer is larger than %d bytes", path, maxBody-1)
	}
	return b, nil
}

// walk reads the level 0 tiles, the leaves if it may, and the tiles above.
func (s *remoteSource) walk(ctx context.Context, c *check) error {
	signed, err := s.get(ctx, CheckpointPath)
	if err != nil {
		return err
	}
	if err := c.begin(signed); err != nil {
		return err
	}
	size := c.report.Checkpoint.Size
	open := true
	var hashes []tlog.Hash // level 0 as served
	for from := int64(0); from < size; from += TileWidth {
		t := Tile{Level: 0, N: from / TileWidth, Width: int(min(TileWidth, size-from))}
		tile, err := s.tile(ctx, t)
		if err != nil {
			return err
		}
		hashes = append(hashes, tile...)
		if open {
			t.Level = EntriesLevel
			bundle, err := s.get(ctx, TilePath+t.Path())
			switch {
			case errors.Is(err, errDenied) && s.token != "":
				// Not quietly less than was asked for.
				return fmt.Errorf("read the events with this token: %w; give a token that may read the log, or none to check hashes only", err)
			case errors.Is(err, errDenied) && from == 0:
				open = false
			case err != nil:
				return err
			default:
				if err := c.bundle(bundle, tile); err != nil {
					c.fault(from, "%v", err)
					return errStop
				}
			}
		}
		if !open {
			c.leaves = append(c.leaves, tile...)
		}
	}
	if open {
		c.note("payloads were not checked, nor whether each blanked one was blanked by an event, nor the indexes: a server shows leaves only; verify its data directory for that")
	} else {
		c.note("leaves were not read (no token that may read entries): the hashes form the signed tree, what they stand for was not checked")
	}
	if err := c.grow(); err != nil {
		return err
	}
	for i, h := range hashes {
		c.compare(tlog.StoredHashIndex(0, int64(i)), h)
	}
	for level, n := 1, size/TileWidth; n > 0; level, n = level+1, n/TileWidth {
		for from := int64(0); from < n; from += TileWidth {
			tile, err := s.tile(ctx, Tile{Level: level, N: from / TileWidth, Width: int(min(TileWidth, n-from))})
			if err != nil {
				return err
			}
			for i, h := range tile {
				if at := tlog.StoredHashIndex(level*tileHeight, from+int64(i)); c.want[at] != h {
					first := (from + int64(i)) << (level * tileHeight)
					c.higher = append(c.higher, first)
				}
			}
		}
	}
	return nil
}

// bundle takes the leaves of one entry bundle, which the tile beside it hashes.
func (c *check) bundle(b []byte, tile []tlog.Hash) error {
	leaves, err := ParseEntries(b, len(tile))
	if err != nil {
		return err
	}
	for i, leaf := range leaves {
		if tlog.RecordHash(leaf) != tile[i] {
			c.fault(int64(len(c.leaves)), "its leaf is not the one that its tile hashes")
		}
		c.leaf(leaf)
	}
	return nil
}

func (s *remoteSource) tile(ctx context.Context, t Tile) ([]tlog.Hash, error) {
	b, err := s.get(ctx, TilePath+t.Path())
	if err != nil {
		return nil, err
	}
	if len(b) != t.Width*tlog.HashSize {
		return nil, fmt.Errorf("tile %s has %d bytes instead of %d", t.Path(), len(b), t.Width*tlog.HashSize)
	}
	out := make([]tlog.Hash, t.Width)
	for i := range out {
		out[i] = tlog.Hash(b[i*tlog.HashSize:])
	}
	return out, nil
}
