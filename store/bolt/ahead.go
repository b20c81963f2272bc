package bolt

import (
	"os"
	"runtime"

	"go.etcd.io/bbolt"
)

// aheadChunk is how much is made ready at a time, and twice what is left when
// the next chunk is.
const aheadChunk = 1 << 20

// zeros is what a chunk is made of; nobody writes to it.
var zeros [aheadChunk]byte

// ahead keeps the part of the file behind the last page in use written with
// zeros. A sync of pages that the disk has places for is one write of data; a
// sync of a file that grows, or of a hole in it, is one of the file system's
// journal besides. Only the leader uses it, inside its Update.
//
// It is safe because nothing refers to what it writes: no meta page, also not
// the older one, names a page at or above the high-water mark that the Update
// began with, and bbolt writes pages only after the Update's function returned.
// A chunk that a crash leaves unwritten or half written is never read. When it
// cannot be written (a full disk), bbolt makes room itself as it always did.
type ahead struct {
	file  *os.File // bbolt's own; nil = off
	ready int64    // everything in [high-water mark, ready) has a place
}

// opener lets bbolt open its file and keeps hold of it. It is off where it would
// not pay or could not be: Windows places pages differently, and a test's disk
// that is full must stay so.
func (a *ahead) opener(o *bbolt.Options) {
	if runtime.GOOS == "windows" || o.ReadOnly || o.MaxSize > 0 {
		return
	}
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag, mode)
		if err == nil && a.file == nil {
			a.file = f
		}
		return f, err
	}
}

// reserve makes the next chunk ready if little is left. The sync of the Update
// that it is called in takes it to the disk.
func (a *ahead) reserve(tx *bbolt.Tx) {
	if a.file == nil {
		return
	}
	a.ready = max(a.ready, tx.Size())
	if a.ready-tx.Size() > aheadChunk/2 {
		return
	}
	if _, err := a.file.WriteAt(zeros[:], a.ready); err != nil {
		a.file = nil
		return
	}
	a.ready += aheadChunk
}
