package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-ops/tocsin/store"
)

// bigLog is a log of n events, 100 to a batch.
func bigLog(t testing.TB, n int) *Log {
	t.Helper()
	l := open(t, newDB(t))
	for n > 0 {
		drafts := make([]Draft, min(n, 100))
		for i := range drafts {
			drafts[i] = draft("t")
		}
		add(t, l, fmt.Sprintf("s/%d", n%3), drafts...)
		n -= len(drafts)
	}
	return l
}

func head(t testing.TB, l *Log) Checkpoint {
	t.Helper()
	signed, err := l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCheckpoint(signed, l.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestProofs checks every inclusion and consistency proof of a small log with
// tlog's own checks.
func TestProofs(t *testing.T) {
	l := bigLog(t, 37)
	ctx := t.Context()
	roots := make([]tlog.Hash, 38)
	for size := range int64(38) {
		var err error
		if roots[size], err = l.Root(ctx, size); err != nil {
			t.Fatal(err)
		}
	}
	if c := head(t, l); c.Root != roots[37] || c.Size != 37 || c.Origin != DefaultOrigin {
		t.Errorf("checkpoint = %+v", c)
	}
	for size := int64(1); size <= 37; size++ {
		for i := range size {
			leaf, err := l.Leaf(ctx, i)
			if err != nil {
				t.Fatal(err)
			}
			p, err := l.InclusionProof(ctx, i, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(p, size, roots[size], i, tlog.RecordHash(leaf)); err != nil {
				t.Errorf("leaf %d in %d: %v", i, size, err)
			}
			q, err := l.ConsistencyProof(ctx, i+1, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckTree(q, size, roots[size], i+1, roots[i+1]); err != nil {
				t.Errorf("tree %d in %d: %v", i+1, size, err)
			}
		}
	}
	for _, c := range [][2]int64{{-1, 3}, {3, 3}, {0, 38}, {40, 39}} {
		if _, err := l.InclusionProof(ctx, c[0], c[1]); !errors.Is(err, ErrNotFound) {
			t.Errorf("proof of %d in %d: %v", c[0], c[1], err)
		}
	}
	for _, c := range [][2]int64{{0, 3}, {4, 3}, {1, 38}} {
		if _, err := l.ConsistencyProof(ctx, c[0], c[1]); !errors.Is(err, ErrNotFound) {
			t.Errorf("proof that %d begins %d: %v", c[0], c[1], err)
		}
	}
	if _, err := l.Leaf(ctx, 37); !errors.Is(err, ErrNotFound) {
		t.Errorf("leaf 37: %v", err)
	}
	if _, err := l.Root(ctx, 38); !errors.Is(err, ErrNotFound) {
		t.Errorf("root 38: %v", err)
	}
}

// client is a tlog.TileReader over the C2SP paths of a Log.
type client struct {
	t *testing.T
	l *Log
}

func (c client) Height() int                             { return tileHeight }
func (c client) SaveTiles(tiles []tlog.Tile, _ [][]byte) {}
func (c client) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range tiles {
		parsed, err := ParseTilePath(Tile{Level: t.L, N: t.N, Width: t.W}.Path())
		if err != nil {
			return nil, err
		}
		b, err := c.l.Tile(c.t.Context(), parsed.Level, parsed.N, parsed.Width)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// TestTileClient proves records and older trees as a stranger would: from the
// signed checkpoint and tiles alone, which tlog authenticates.
func TestTileClient(t *testing.T) {
	l := bigLog(t, 700)
	c := head(t, l)
	r := tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, client{t, l})
	for i := int64(0); i < 700; i += 23 {
		leaf, err := l.Leaf(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		p, err := tlog.ProveRecord(c.Size, i, r)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(p, c.Size, c.Root, i, tlog.RecordHash(leaf)); err != nil {
			t.Errorf("leaf %d: %v", i, err)
		}
		q, err := tlog.ProveTree(c.Size, i+1, r)
		if err != nil {
			t.Fatal(err)
		}
		older, err := l.Root(t.Context(), i+1)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckTree(q, c.Size, c.Root, i+1, older); err != nil {
			t.Errorf("tree %d: %v", i+1, err)
		}
	}
}

func TestTilesAndEntries(t *testing.T) {
	l := bigLog(t, 700)
	ctx := t.Context()
	for _, c := range []struct {
		level int
		n     int64
		width int
		ok    bool
	}{
		{0, 0, 256, true}, {0, 2, 188, true}, {0, 2, 1, true}, {0, 2, 189, false}, {0, 3, 1, false}, {1, 0, 2, true}, {1, 0, 3, false},
		{2, 0, 1, false}, {0, -1, 1, false}, {0, 0, 0, false}, {0, 0, 257, false}, {63, 0, 1, false}, {7, 1 << 54, 256, false}, {-1, 0, 1, false},
	} {
		b, err := l.Tile(ctx, c.level, c.n, c.width)
		if (err == nil) != c.ok || (err != nil && !errors.Is(err, ErrNotFound)) || (c.ok && len(b) != c.width*32) {
			t.Errorf("tile %d/%d width %d: %d bytes, %v", c.level, c.n, c.width, len(b), err)
		}
	}
	tile, err := l.Tile(ctx, 0, 2, 188)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := l.Entries(ctx, 2, 188)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := ParseEntries(bundle, 188)
	if err != nil {
		t.Fatal(err)
	}
	for i, leaf := range leaves {
		if h := tlog.RecordHash(leaf); !bytes.Equal(h[:], tile[i*32:i*32+32]) {
			t.Errorf("entry %d does not hash to its tile", i)
		}
	}
	if _, err := l.Entries(ctx, 2, 189); !errors.Is(err, ErrNotFound) {
		t.Errorf("a bundle beyond the log: %v", err)
	}
	for name, bad := range map[string][]byte{"short": bundle[:len(bundle)-1], "long": append(bytes.Clone(bundle), 0), "empty": nil, "one": {0}} {
		if _, err := ParseEntries(bad, 188); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s bundle: %v", name, err)
		}
	}
}

func TestTilePaths(t *testing.T) {
	for path, want := range map[string]Tile{
		"0/000":                {0, 0, 256},
		"0/x001/x234/067":      {0, 1234067, 256},
		"1/000.p/3":            {1, 0, 3},
		"entries/000":          {EntriesLevel, 0, 256},
		"entries/x001/067.p/5": {EntriesLevel, 1067, 5},
		"63/999":               {63, 999, 256},
	} {
		got, err := ParseTilePath(path)
		if err != nil || got != want || want.Path() != path {
			t.Errorf("ParseTilePath(%s) = %+v, %v; Path = %s", path, got, err, want.Path())
		}
	}
	for _, path := range []string{
		"", "0", "0/", "0/0", "0/00", "0/0000", "/000", "00/000", "64/000", "-1/000", "+1/000", "0/x000/000", "0/x001", "0/001/000", "0/x01/000",
		"0/000.p/0", "0/000.p/256", "0/000.p/01", "0/000.p/", "0/000.p/-1", "0/000.p/+1", "0/000/", "data/000", "entries/00a", "0/+01", "0/-01", "0/xx01",
		"0/" + strings.Repeat("x999/", 7) + "999", "0/" + strings.Repeat("x000/", 30) + "000",
	} {
		if got, err := ParseTilePath(path); !errors.Is(err, ErrNotFound) {
			t.Errorf("ParseTilePath(%q) = %+v, %v", path, got, err)
		}
	}
}

// serve is the least that a server has to do, with one place to lie.
func serve(t *testing.T, l *Log, lie func(path string, body []byte) []byte) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b []byte
		var err error
		switch path, ok := strings.CutPrefix(r.URL.Path, TilePath); {
		case ok:
			var tile Tile
			if tile, err = ParseTilePath(path); err != nil {
				break
			}
			if tile.Level != EntriesLevel {
				b, err = l.Tile(r.Context(), tile.Level, tile.N, tile.Width)
			} else if r.Header.Get("Authorization") != "Bearer right" {
				http.Error(w, "sign in", http.StatusUnauthorized)
				return
			} else {
				b, err = l.Entries(r.Context(), tile.N, tile.Width)
			}
		case r.URL.Path == CheckpointPath:
			b, err = l.Checkpoint(r.Context())
		case r.URL.Path == KeyPath:
			b = []byte(l.Verifier() + "\n")
		default:
			err = ErrNotFound
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		w.Write(lie(r.URL.Path, b))
	}))
	t.Cleanup(s.Close)
	return s
}

func TestVerifyRemote(t *testing.T) {
	l := bigLog(t, 700)
	redact(t, l, 5)
	truth := func(_ string, b []byte) []byte { return b }
	at := func(want string, i int) func(string, []byte) []byte {
		return func(path string, b []byte) []byte {
			if path == want {
				b = bytes.Clone(b)
				b[(len(b)+i)%len(b)] ^= 1
			}
			return b
		}
	}
	check := func(lie func(string, []byte) []byte, token string, o VerifyOptions) (Report, error) {
		s := serve(t, l, lie)
		return Verify(t.Context(), Remote(s.URL+"/", token, s.Client()), o)
	}
	r, err := check(truth, "right", VerifyOptions{})
	if err != nil || r.Leaves != 701 || r.Payloads != 0 || r.Streams == 0 || !r.Learned || !strings.Contains(r.String(), "payloads were not checked") {
		t.Errorf("with a token: %+v, %v", r, err)
	}
	r, err = check(truth, "", VerifyOptions{Known: &r.Checkpoint})
	if err != nil || r.Leaves != 0 || r.Learned || r.Known == nil || !strings.Contains(r.String(), "leaves were not read") {
		t.Errorf("without a token: %+v, %v", r, err)
	}
	if r, err = check(truth, "wrong", VerifyOptions{}); err == nil || errors.As(err, new(*Bad)) || !strings.Contains(err.Error(), "give a token that may read the log") {
		t.Errorf("with a token that may not: %+v, %v", r, err)
	}
	_, err = check(at(TilePath+"entries/001", 30), "right", VerifyOptions{})
	wantBad(t, err, 256, "not the one that its tile hashes")
	_, err = check(at(TilePath+"entries/001", 1), "right", VerifyOptions{})
	wantBad(t, err, 256, "entry bundle")
	_, err = check(at(TilePath+"0/001", 32*7), "", VerifyOptions{})
	wantBad(t, err, 256, "upper tile")
	_, err = check(at(TilePath+"0/001", 32*7), "right", VerifyOptions{})
	wantBad(t, err, 263, "not the one that its tile hashes")
	_, err = check(at(TilePath+"0/002.p/189", 0), "", VerifyOptions{})
	wantBad(t, err, -1, "do not give the signed root")
	_, err = check(at(TilePath+"1/000.p/2", 0), "right", VerifyOptions{})
	wantBad(t, err, 0, "upper tile")
	_, err = check(at(CheckpointPath, 20), "right", VerifyOptions{})
	wantBad(t, err, -1, "not what the log's key signed")
	known := head(t, l)
	known.Size++
	_, err = check(truth, "right", VerifyOptions{Known: &known})
	wantBad(t, err, 701, "shortened")
	short := func(path string, b []byte) []byte {
		if strings.HasPrefix(path, TilePath) {
			b = b[:len(b)-1]
		}
		return b
	}
	if _, err := check(short, "", VerifyOptions{}); err == nil || errors.As(err, new(*Bad)) {
		t.Errorf("a short tile: %v", err)
	}
	endless := func(string, []byte) []byte { return make([]byte, maxBody+10) }
	if _, err := check(endless, "", VerifyOptions{}); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("an endless answer: %v", err)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	if _, err := Verify(context.Background(), Remote(gone.URL, "", nil), VerifyOptions{}); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("no log there: %v", err)
	}
}

// behind is a store of replicas that has lost its quorum: whoever takes what may
// be old is answered by a member that has no more than old.
type behind struct{ store.DB }

func (b behind) Scan(ctx context.Context, r store.Range) iter.Seq2[store.KV, error] {
	if store.StaleAllowed(ctx) {
		store.MarkStale(ctx)
		return func(func(store.KV, error) bool) {}
	}
	return b.DB.Scan(ctx, r)
}

// What the log has by its own word is unavailable when a member that is behind
// does not have it, not unknown; and damage when nobody is behind.
func TestTilesWithoutQuorum(t *testing.T) {
	db := newDB(t)
	l := open(t, db)
	add(t, l, "s", draft("t"))
	l.db = behind{db}
	for name, read := range map[string]func(context.Context) error{
		"tile":    func(ctx context.Context) error { _, err := l.Tile(ctx, 0, 0, 1); return err },
		"entries": func(ctx context.Context) error { _, err := l.Entries(ctx, 0, 1); return err },
		"root":    func(ctx context.Context) error { _, err := l.Root(ctx, 1); return err },
		"leaf":    func(ctx context.Context) error { _, err := l.Leaf(ctx, 0); return err },
	} {
		if err := read(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := read(store.AllowStale(t.Context())); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, ErrNotFound) {
			t.Errorf("%s of a member that is behind: %v", name, err)
		}
	}
	for _, prefix := range []string{prefixHash, prefixEvent} {
		if _, err := db.Commit(t.Context(), store.Txn{Then: []store.Op{{Key: numKey(prefix, 0), Delete: true}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Tile(t.Context(), 0, 0, 1); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a hash that is gone: %v", err)
	}
	if _, err := l.Leaf(t.Context(), 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an event that is gone: %v", err)
	}
}

// A server that cannot answer for a moment is asked again, not for ever.
func TestVerifyRemoteIsPatient(t *testing.T) {
	l := bigLog(t, 300)
	real := serve(t, l, func(_ string, b []byte) []byte { return b }).Config.Handler
	for _, c := range []struct{ refusals, status int }{{1, 503}, {maxTries - 1, 429}, {1 << 30, 503}} {
		left := map[string]int{}
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if left[r.URL.Path]++; left[r.URL.Path] <= c.refusals {
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(c.status)
				return
			}
			real.ServeHTTP(w, r)
		}))
		r, err := Verify(t.Context(), Remote(s.URL, "right", s.Client()), VerifyOptions{})
		s.Close()
		switch {
		case c.refusals < maxTries && (err != nil || r.Checkpoint.Size != 300):
			t.Errorf("%+v: %v", c, err)
		case c.refusals >= maxTries && (err == nil || !strings.Contains(err.Error(), "503")):
			t.Errorf("%+v: %v", c, err)
		}
	}
}
