package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
)

// Stream is the stream of the log that says which backups were handed out, and
// TakenType the type of its events, version 1, with a Fact.
const (
	Stream    = "backups"
	TakenType = "backup.taken"
)

// Fact is the payload of a TakenType event. It holds no secret.
type Fact struct {
	Events int64  `json:"events"`
	Keys   int64  `json:"keys"`
	Size   int64  `json:"size"`   // bytes of the file
	SHA256 string `json:"sha256"` // of what is in it
}

// ErrBusy says that another backup is being made or sent.
var ErrBusy = errors.New("another backup is being made or sent")

// Spool makes backups of a store that is served. All fields are required.
type Spool struct {
	DB      store.DB
	Log     *eventlog.Log
	Dir     string // where the file lies while it is sent; it takes the size of a backup
	Version string
	Engine  string
	Clock   func() int64 // unix ms

	one sync.Mutex
}

// Taken is a backup on its way to somebody. Close removes it and lets the next
// one be made.
type Taken struct {
	Summary
	Size int64
	file *os.File
	done func()
}

// Take makes a backup and says in the log that actor took it, before a byte is
// handed out. The store is read only as long as the disk takes to write: whoever
// receives it slowly holds no read transaction. One at a time, sending included;
// else ErrBusy at once. The file has no name (where the system can do that), so
// a crash leaves none.
func (s *Spool) Take(ctx context.Context, actor string) (_ *Taken, err error) {
	if !s.one.TryLock() {
		return nil, ErrBusy
	}
	t := &Taken{}
	if t.file, err = os.CreateTemp(s.Dir, "backup-*.part"); err != nil { // mode 0600
		s.one.Unlock()
		return nil, fmt.Errorf("take a backup: %w", err)
	}
	name := t.file.Name()
	if runtime.GOOS != "windows" {
		_ = os.Remove(name)
	}
	t.done = sync.OnceFunc(func() {
		_ = t.file.Close()
		_ = os.Remove(name)
		s.one.Unlock()
	})
	defer func() {
		if err != nil {
			t.done()
			err = fmt.Errorf("take a backup: %w", err)
		}
	}()
	if t.Summary, err = Write(ctx, s.DB, t.file, Maker{Version: s.Version, Engine: s.Engine, At: time.UnixMilli(s.Clock())}); err != nil {
		return nil, err
	}
	if t.Size, err = t.file.Seek(0, io.SeekEnd); err != nil {
		return nil, err
	}
	if _, err = t.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	fact, err := json.Marshal(Fact{Events: t.Events, Keys: t.Keys, Size: t.Size, SHA256: t.SHA256})
	if err != nil {
		return nil, err
	}
	_, err = s.Log.Append(ctx, eventlog.Batch{Stream: Stream, Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{
		{At: s.Clock(), Actor: actor, Type: TakenType, Version: 1, Data: fact},
	}})
	return t, err
}

// Read reads the backup from its beginning on.
func (t *Taken) Read(b []byte) (int, error) { return t.file.Read(b) }

// Close may be called more than once.
func (t *Taken) Close() error {
	t.done()
	return nil
}
