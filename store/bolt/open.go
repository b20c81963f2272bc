package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/tocsin-ops/tocsin/internal/whole"
	"github.com/tocsin-ops/tocsin/store/internal/ring"
)

// Options of Open. The zero value is what the product uses.
type Options struct {
	// LockTimeout is how long Open waits for another process to release the
	// file; 0 = 1 s, enough for a predecessor that is shutting down.
	LockTimeout time.Duration
	// KeepCount and KeepBytes bound the changes kept in memory for Watch;
	// 0 = 8192 and 32 MiB.
	KeepCount, KeepBytes int

	maxSize int // for tests: a disk that is full
}

// Open opens the store in the file path, which is made, with mode 0600, when it
// does not exist; its directory must. Every Commit is synced; no option says
// otherwise. Errors are ErrLocked, ErrDamaged or of the file system, and say
// what to do.
func Open(path string, o Options) (*DB, error) {
	if o.LockTimeout <= 0 {
		o.LockTimeout = time.Second
	}
	if o.KeepCount <= 0 {
		o.KeepCount = 8192
	}
	if o.KeepBytes <= 0 {
		o.KeepBytes = 32 << 20
	}
	_, err := os.Stat(path)
	made := errors.Is(err, fs.ErrNotExist)
	d, err := open(path, o, false)
	if err == nil && made {
		if err = whole.SyncDirectory(filepath.Dir(path)); err != nil {
			d.bolt.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return d, nil
}

// OpenReadOnly opens a store file that no process writes: a backup, a Snapshot,
// or the file of a server that is stopped (else ErrLocked). Commit answers
// ErrReadOnly.
func OpenReadOnly(path string) (*DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open %s for reading: there is no store here; check --data: %w", path, err)
	}
	d, err := open(path, Options{LockTimeout: time.Millisecond, KeepCount: 1, KeepBytes: 1}, true)
	if err != nil {
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	return d, nil
}

func open(path string, o Options, readOnly bool) (d *DB, err error) {
	options := &bbolt.Options{
		Timeout:      o.LockTimeout,
		ReadOnly:     readOnly,
		FreelistType: bbolt.FreelistMapType,
		NoStatistics: true,
		MaxSize:      o.maxSize,
	}
	if o.maxSize == 0 {
		options.InitialMmapSize = reserve()
	}
	var room ahead
	room.opener(options)
	b, err := openGuarded(path, options)
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, ErrLocked
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w (%w)", ErrDamaged, err)
	case err != nil:
		return nil, err
	}
	d = &DB{bolt: b, readOnly: readOnly, ahead: room, space: make(chan struct{})}
	rev, err := d.load()
	if err != nil {
		b.Close()
		return nil, err
	}
	d.rev.Store(rev)
	d.changes = ring.New(rev, o.KeepCount, o.KeepBytes)
	return d, nil
}

// reserve is the address space, not memory nor disk, that the file is mapped
// into: while the file is smaller, a Scan that takes long never holds up a
// Commit that makes it grow. Windows would make the file that large.
func reserve() int {
	if runtime.GOOS == "windows" || strconv.IntSize < 64 {
		return 0
	}
	size := int64(8 << 30)
	return int(size)
}

func openGuarded(path string, o *bbolt.Options) (b *bbolt.DB, err error) {
	defer guard(debug.SetPanicOnFault(true), &err)
	return bbolt.Open(path, 0o600, o)
}

// load reads the newest revision, and makes the buckets in a new file.
func (d *DB) load() (rev int64, err error) {
	defer guard(debug.SetPanicOnFault(true), &err)
	fresh := false
	err = d.bolt.View(func(tx *bbolt.Tx) error {
		if first, _ := tx.Cursor().First(); first == nil {
			fresh = true
			return nil
		}
		rev, err = revision(tx)
		return err
	})
	if err != nil || !fresh || d.readOnly {
		if fresh && d.readOnly {
			err = fmt.Errorf("%w (it is empty)", ErrDamaged)
		}
		return rev, err
	}
	return 0, d.bolt.Update(func(tx *bbolt.Tx) error {
		d.ahead.reserve(tx)
		if _, err := tx.CreateBucket(bucketKeys); err != nil {
			return err
		}
		self, err := tx.CreateBucket(bucketSelf)
		if err != nil {
			return err
		}
		if err := self.Put(keyFormat, format); err != nil {
			return err
		}
		return self.Put(keyRev, make([]byte, 8))
	})
}

// revision reads the newest revision of a file and checks that it is ours.
func revision(tx *bbolt.Tx) (int64, error) {
	self := tx.Bucket(bucketSelf)
	if self == nil || tx.Bucket(bucketKeys) == nil {
		return 0, fmt.Errorf("%w (it was not written by tocsin)", ErrDamaged)
	}
	if f := self.Get(keyFormat); !bytes.Equal(f, format) {
		return 0, fmt.Errorf("the store has format %q, this tocsin knows %q; use the tocsin that wrote it", f, format)
	}
	rev := self.Get(keyRev)
	if len(rev) != 8 {
		return 0, fmt.Errorf("%w (no revision)", ErrDamaged)
	}
	return int64(binary.BigEndian.Uint64(rev)), nil
}
