package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-ops/tocsin/internal/whole"
)

// ErrBusy is returned by Snapshot when the store never was quiet for as long as
// the copy takes.
var ErrBusy = errors.New("the store was written all the time while it was copied; try again at a quieter moment, or stop the server for the copy")

const (
	snapshotTries  = 40
	snapshotMemory = 64 << 20 // a file up to this size is copied in memory first: the quiet moment needed is shorter
)

// Snapshot copies the store file path to the new file dst (mode 0600), also
// while another process writes it, without taking its lock. The copy is one
// that OpenReadOnly takes, as of one committed batch. It tries 40 times, for
// about 3 s beside the copying itself, and then answers ErrBusy. The file must
// be on a local disk.
//
// Why a copy taken under a running writer can be right: bbolt is copy-on-write.
// Transaction T+1 writes only to pages that are free in T, and then its meta
// page, which is not the one of T. The pages that T+1 frees are given out again
// first in T+2, which begins after the meta page of T+1 is written. So as long
// as the newest valid meta page is that of T, every page reachable from T is
// untouched. If it is that of T before and after the copy, it was so all the
// time, because ids only grow, and the copy holds T whole. What it may hold of
// T+1 is either unreachable, or a meta page that is torn (its checksum says so
// and bbolt takes the other one) or whole: for that the copy is looked at too.
func Snapshot(ctx context.Context, path, dst string) error {
	if err := snapshot(ctx, path, dst, snapshotTries, snapshotMemory, nil); err != nil {
		return fmt.Errorf("copy %s to %s: %w", path, dst, err)
	}
	return nil
}

// snapshot is Snapshot with its numbers, and a hook that tests run after the
// copy, before the second look.
func snapshot(ctx context.Context, path, dst string, tries, memory int, copied func()) (err error) {
	src, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no store here; check --data: %w", err)
	}
	if err != nil {
		return err
	}
	defer src.Close()
	if _, err := os.Lstat(dst); err == nil {
		return fmt.Errorf("%w; choose another name", fs.ErrExist)
	}
	part, err := os.CreateTemp(filepath.Dir(dst), filepath.Base(dst)+".part*")
	if err != nil {
		return err
	}
	defer func() {
		part.Close()
		os.Remove(part.Name()) // gone already when all went well
	}()
	pause := time.Millisecond
	for try := 1; ; try++ {
		quiet, err := attempt(ctx, src, part, memory, copied)
		if err != nil {
			return err
		}
		if quiet {
			break
		}
		if try == tries {
			return ErrBusy
		}
		select {
		case <-time.After(pause):
			pause = min(pause*3/2, 100*time.Millisecond)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := part.Sync(); err != nil {
		return err
	}
	if err := part.Close(); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), dst); err != nil {
		return err
	}
	return whole.SyncDirectory(filepath.Dir(dst))
}

// attempt copies src over part and tells whether src was quiet meanwhile.
func attempt(ctx context.Context, src, part *os.File, memory int, copied func()) (bool, error) {
	before, ok, err := newest(src)
	if err != nil || !ok {
		return false, err
	}
	if err := part.Truncate(0); err != nil {
		return false, err
	}
	if _, err := part.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	var held bytes.Buffer
	var to io.Writer = part
	if before.size() <= int64(memory) {
		held.Grow(int(before.size()) + bytes.MinRead)
		to = &held
	}
	from := io.NewSectionReader(src, 0, before.size())
	for err == nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		_, err = io.CopyN(to, from, 4<<20)
	}
	if err != io.EOF {
		return false, err
	}
	if copied != nil {
		copied()
	}
	// Twice: one look at two pages that are not read at one time could take an
	// old T for the newest while the other page is just being overwritten.
	for range 2 {
		after, ok, err := newest(src)
		if err != nil || !ok || after != before {
			return false, err
		}
	}
	if _, err := held.WriteTo(part); err != nil {
		return false, err
	}
	got, ok, err := newest(part)
	return ok && got == before, err
}

// meta is what matters here of a meta page of bbolt.
type meta struct {
	pageSize uint32
	pages    uint64 // all pages in use are below
	txid     uint64
	sum      uint64
}

func (m meta) size() int64 { return int64(m.pages) * int64(m.pageSize) }

// Layout of a meta page, in the byte order of the machine: 16 bytes of page
// header, then magic, version, page size, flags (4 each), root and its sequence,
// free list, high-water mark, transaction id, FNV-1a of all before (8 each).
const (
	metaHeader = 16
	metaLength = 64
	metaMagic  = 0xED0CDAED
	metaVer    = 2
)

// newest returns the meta page with the highest transaction id of those that
// are valid; ok is false when none is, which in a file being written is a
// matter of moments.
func newest(f *os.File) (m meta, ok bool, err error) {
	first, firstOK, err := metaAt(f, 0)
	if err != nil {
		return meta{}, false, err
	}
	// The second is one page on. If the first cannot tell how long a page is,
	// all lengths that bbolt knows are tried.
	offsets := []int64{int64(first.pageSize)}
	if !firstOK {
		offsets = nil
		for size := int64(1 << 10); size <= 16<<20; size <<= 1 {
			offsets = append(offsets, size)
		}
	}
	m, ok = first, firstOK
	for _, offset := range offsets {
		second, valid, err := metaAt(f, offset)
		if err != nil {
			return meta{}, false, err
		}
		if valid && int64(second.pageSize) == offset && (!ok || second.txid > m.txid) {
			m, ok = second, true
		}
	}
	return m, ok, nil
}

func metaAt(f *os.File, offset int64) (m meta, ok bool, err error) {
	var page [metaHeader + metaLength]byte
	n, err := f.ReadAt(page[:], offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return meta{}, false, err
	}
	if n < len(page) {
		return meta{}, false, nil
	}
	b, order := page[metaHeader:], binary.NativeEndian
	m = meta{
		pageSize: order.Uint32(b[8:]),
		pages:    order.Uint64(b[40:]),
		txid:     order.Uint64(b[48:]),
		sum:      order.Uint64(b[56:]),
	}
	h := fnv.New64a()
	h.Write(b[:56])
	ok = order.Uint32(b) == metaMagic && order.Uint32(b[4:]) == metaVer && m.sum == h.Sum64() &&
		m.pageSize >= 1<<10 && m.pageSize <= 16<<20 && m.pages >= 2 && m.pages < 1<<40
	return m, ok, nil
}
