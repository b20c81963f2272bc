package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// Format is the version of the format that is written, and the only one read.
const Format = 1

const (
	magic     = "tocsin backup 1\n"
	family    = "tocsin backup " // what every format begins with
	maxKey    = 32 << 10
	maxValue  = 16 << 20
	maxObject = 64 << 10

	recordManifest, recordKey, recordTrailer = 'M', 'K', 'Z'

	prefixLive  = "live/"
	keyMarker   = "restore/unfinished"
	keyHead     = "log/checkpoint"    // as eventlog has it
	keyVerifier = "log/verifier"      // as eventlog has it
	keySigner   = "secret/log-signer" // as eventlog has it
)

var (
	// ErrDamaged says that a file is no whole backup. What is wrong stands before it.
	ErrDamaged = errors.New("the backup is damaged or was cut off; take another copy of it or an older backup")
	// ErrFormat says that a file is a backup of another format.
	ErrFormat = errors.New("this tocsin does not read it; use the tocsin that wrote it or a newer one")
)

// Manifest tells what wrote a backup.
type Manifest struct {
	Format   int       `json:"format"`
	Version  string    `json:"version"` // of the program
	Engine   string    `json:"engine"`  // of the store: bolt, etcd, mem
	MadeAt   time.Time `json:"made_at"`
	Origin   string    `json:"origin"`   // of the log
	Verifier string    `json:"verifier"` // public key of the log
}

// Contents tells what is in a backup.
type Contents struct {
	Keys       int64  `json:"keys"`
	Bytes      int64  `json:"bytes"` // of keys and values
	Events     int64  `json:"events"`
	Checkpoint string `json:"checkpoint"` // signed, of exactly Events events
	SHA256     string `json:"sha256"`
}

// Summary is both.
type Summary struct {
	Manifest
	Contents
}

// encoder writes records and counts what it wrote.
type encoder struct {
	w       *bufio.Writer
	sum     hash.Hash
	scratch []byte
	c       Contents
}

func newEncoder(w io.Writer) *encoder {
	e := &encoder{w: bufio.NewWriterSize(w, 64<<10), sum: sha256.New()}
	_ = e.write([]byte(magic)) // an error stays in the bufio.Writer until Flush
	return e
}

func (e *encoder) write(b []byte) error {
	e.sum.Write(b)
	_, err := e.w.Write(b)
	return err
}

func (e *encoder) record(kind byte, fields ...[]byte) error {
	e.scratch = append(e.scratch[:0], kind)
	for _, f := range fields {
		e.scratch = binary.AppendUvarint(e.scratch, uint64(len(f)))
		if err := e.write(e.scratch); err != nil {
			return err
		}
		if err := e.write(f); err != nil {
			return err
		}
		e.scratch = e.scratch[:0]
	}
	return nil
}

func (e *encoder) object(kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.record(kind, b)
}

func (e *encoder) key(key, value []byte) error {
	if len(key) == 0 || len(key) > maxKey || len(value) > maxValue {
		return fmt.Errorf("the key %.200q has %d bytes and its value %d: a backup takes at most %d and %d", key, len(key), len(value), maxKey, maxValue)
	}
	e.c.Keys++
	e.c.Bytes += int64(len(key) + len(value))
	return e.record(recordKey, key, value)
}

func (e *encoder) finish() error {
	e.c.SHA256 = hex.EncodeToString(e.sum.Sum(nil))
	if err := e.object(recordTrailer, e.c); err != nil {
		return err
	}
	return e.w.Flush()
}
