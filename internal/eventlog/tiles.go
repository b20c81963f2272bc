package eventlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Tiles follow C2SP tlog-tiles: hash tiles of height 8, entry bundles of 256.
const (
	tileHeight = 8
	TileWidth  = 1 << tileHeight
	// EntriesLevel is the Level of an entry bundle in a Tile.
	EntriesLevel = -1
	maxTileLevel = 63 / tileHeight
	maxTileIndex = 1 << 55
)

// Tile names one resource below /ledger/tile/: Level 0 and up for hashes,
// EntriesLevel for a bundle of leaves. Width is 1 to TileWidth.
type Tile struct {
	Level int
	N     int64
	Width int
}

// Path is the path below tile/, as in "0/x001/067", "1/000.p/3", "entries/000".
func (t Tile) Path() string {
	n := t.N
	path := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	level := "entries"
	if t.Level != EntriesLevel {
		level = strconv.Itoa(t.Level)
	}
	path = level + "/" + path
	if t.Width != TileWidth {
		path += ".p/" + strconv.Itoa(t.Width)
	}
	return path
}

// ParseTilePath reads what Path writes, and nothing else. The error is ErrNotFound.
func ParseTilePath(path string) (Tile, error) {
	t := Tile{Width: TileWidth}
	bad := fmt.Errorf("tile %.100q: %w", path, ErrNotFound)
	if len(path) > 100 {
		return t, bad
	}
	rest := path
	if body, width, ok := strings.Cut(path, ".p/"); ok {
		n, err := strconv.Atoi(width)
		if err != nil || n < 1 || n >= TileWidth {
			return t, bad
		}
		t.Width, rest = n, body
	}
	level, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return t, bad
	}
	if level == "entries" {
		t.Level = EntriesLevel
	} else {
		n, err := strconv.Atoi(level)
		if err != nil || n < 0 || n > 63 {
			return t, bad
		}
		t.Level = n
	}
	for part := range strings.SplitSeq(rest, "/") {
		digits := strings.TrimPrefix(part, "x")
		n, err := strconv.Atoi(digits)
		if err != nil || n < 0 || len(digits) != 3 || t.N > maxTileIndex/1000 {
			return t, bad
		}
		t.N = t.N*1000 + int64(n)
	}
	if t.Path() != path {
		return t, bad
	}
	return t, nil
}

// end is the number of leaves that a tree must have to contain t.
func (t Tile) end() int64 {
	if t.Level > maxTileLevel || t.N < 0 || t.N > maxTileIndex || t.Width < 1 || t.Width > TileWidth {
		return -1
	}
	last := t.N*TileWidth + int64(t.Width) // in units of 256**level leaves
	for range max(t.Level, 0) {
		if last > 1<<54 {
			return -1
		}
		last *= TileWidth
	}
	return last
}

func (l *Log) has(t Tile) error {
	if end := t.end(); end < 0 || end > l.Size() {
		return fmt.Errorf("tile %s: %w", t.Path(), ErrNotFound)
	}
	return nil
}

// Tile returns the hashes of tile n at a level (0 is the leaves), width of them
// (TileWidth for a full tile), 32 bytes each; ErrNotFound when the tree is not
// that large. The answer for the same arguments never changes.
func (l *Log) Tile(ctx context.Context, level int, n int64, width int) ([]byte, error) {
	t := Tile{Level: level, N: n, Width: width}
	if level < 0 {
		return nil, fmt.Errorf("tile level %d: %w", level, ErrNotFound)
	}
	if err := l.has(t); err != nil {
		return nil, err
	}
	return tlog.ReadTileData(tlog.Tile{H: tileHeight, L: level, N: n, W: width}, stored{ctx, l.db})
}

// Entries returns the leaves of bundle n, width of them (TileWidth for a full
// bundle), each with its length before it as a big-endian uint16; ErrNotFound when
// the tree is not that large. Leaves are headers: they hold no payload and do not
// change by redaction, but they do name actors and streams.
func (l *Log) Entries(ctx context.Context, n int64, width int) ([]byte, error) {
	t := Tile{Level: EntriesLevel, N: n, Width: width}
	if err := l.has(t); err != nil {
		return nil, err
	}
	from := n * TileWidth
	leaves, err := l.leaves(ctx, from, from+int64(width))
	if err != nil {
		return nil, fmt.Errorf("tile %s: %w", t.Path(), err)
	}
	var out []byte
	for _, leaf := range leaves {
		out = binary.BigEndian.AppendUint16(out, uint16(len(leaf)))
		out = append(out, leaf...)
	}
	return out, nil
}

// ParseEntries takes a bundle apart into exactly width leaves.
func ParseEntries(bundle []byte, width int) ([][]byte, error) {
	if width < 1 || width > TileWidth {
		return nil, fmt.Errorf("entry bundle of width %d: %w", width, ErrInvalid)
	}
	leaves := make([][]byte, 0, width)
	for range width {
		if len(bundle) < 2 {
			return nil, fmt.Errorf("entry bundle ends after %d of %d leaves: %w", len(leaves), width, ErrInvalid)
		}
		n := int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < 2+n {
			return nil, fmt.Errorf("entry bundle ends within leaf %d of %d: %w", len(leaves), width, ErrInvalid)
		}
		leaves = append(leaves, bundle[2:2+n])
		bundle = bundle[2+n:]
	}
	if len(bundle) != 0 {
		return nil, fmt.Errorf("entry bundle has %d bytes after leaf %d: %w", len(bundle), width, ErrInvalid)
	}
	return leaves, nil
}
