package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
)

var (
	// ErrMismatch is returned while reading a blob whose bytes are not those that
	// were put. Nothing that was read before it may be believed.
	ErrMismatch = errors.New("the blob is damaged: its bytes do not have its digest")
	// ErrBlobTooLarge is returned by Put for more bytes than its limit. Nothing is kept.
	ErrBlobTooLarge = errors.New("blob too large")
)

// Digest is the SHA-256 of a blob, and its name.
type Digest [sha256.Size]byte

// String is the digest in hex, 64 lower-case digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest takes exactly what String writes.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(d) || hex.EncodeToString(b) != text {
		return d, fmt.Errorf("%.80q is not a SHA-256 in hex", text)
	}
	copy(d[:], b)
	return d, nil
}

// Blob is one entry of a list.
type Blob struct {
	Digest Digest
	Size   int64
}

// Blobs keeps bytes that are too many for the log under their own digest, which
// an event then names. All methods may be called from any number of goroutines
// and, where the place is shared, from any number of processes.
//
// There is no way to remove a blob: evidence must not vanish by a slip of ours.
// Whoever may thin it out is decided where it is kept (docs/decisions/0018).
type Blobs interface {
	// Put reads r to its end and keeps what it read, durably, before it returns. It
	// fails with ErrBlobTooLarge when r has more than limit bytes, and with any
	// error of r; then nothing is kept. What is there already is written again, so
	// a damaged blob becomes whole.
	Put(ctx context.Context, r io.Reader, limit int64) (Digest, int64, error)

	// Get opens a blob, or fails with ErrNotFound. The reader ends with io.EOF only
	// when all bytes had the digest, else with ErrMismatch: believe nothing before.
	Get(ctx context.Context, d Digest) (io.ReadCloser, error)

	// Has reports whether there is a blob of this name. It does not read it.
	Has(ctx context.Context, d Digest) (bool, error)

	// List yields all blobs in order of their digests, and at most one error, last.
	// A blob put meanwhile may be missed.
	List(ctx context.Context) iter.Seq2[Blob, error]

	// Close releases what is open. Readers must be closed before.
	Close() error
}
