package backup

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
)

// decoder reads what encoder writes. It believes no length: memory grows with
// what has really been read.
type decoder struct {
	r     *bufio.Reader
	sum   hash.Hash
	field bytes.Buffer // the newest
	one   [1]byte
}

// decode reads one stream to its end and calls each with every key, in order; the
// slices are valid during the call. An error of each is returned as it is. Only
// when the error is nil was the stream whole.
func decode(ctx context.Context, r io.Reader, each func(key, value []byte) error) (s Summary, err error) {
	d := &decoder{r: bufio.NewReaderSize(r, 64<<10), sum: sha256.New()}
	if err := d.begin(&s); err != nil {
		return s, err
	}
	var key, last, checkpoint []byte
	var keys, size int64
	for {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		kind, err := d.r.ReadByte()
		if err != nil {
			return s, cut(err)
		}
		if kind == recordTrailer {
			digest := hex.EncodeToString(d.sum.Sum(nil))
			if err := d.end(&s); err != nil {
				return s, err
			}
			switch {
			case s.SHA256 != digest:
				return s, damaged("its SHA-256 is %s, written down is %.80q", digest, s.SHA256)
			case s.Keys != keys || s.Bytes != size:
				return s, damaged("it has %d keys of %d bytes, written down are %d of %d", keys, size, s.Keys, s.Bytes)
			case s.Checkpoint != string(checkpoint):
				return s, damaged("the checkpoint at its end is not that of its log")
			}
			return s, nil
		}
		if kind != recordKey {
			return s, damaged("it has a record of unknown kind %q", kind)
		}
		d.count(kind)
		if err := d.read("a key", maxKey); err != nil {
			return s, err
		}
		last, key = key, append(last[:0], d.field.Bytes()...)
		if err := d.read("a value", maxValue); err != nil {
			return s, err
		}
		switch {
		case len(key) == 0 || bytes.Compare(key, last) <= 0:
			return s, damaged("the key %.200q comes after %.200q", key, last)
		case bytes.HasPrefix(key, []byte(prefixLive)) || string(key) == keyMarker:
			return s, damaged("the key %.200q does not belong into a backup", key)
		case string(key) == keyHead:
			checkpoint = bytes.Clone(d.field.Bytes())
		}
		keys++
		size += int64(len(key) + d.field.Len())
		if err := each(key, d.field.Bytes()); err != nil {
			return s, err
		}
	}
}

// begin reads magic and manifest.
func (d *decoder) begin(s *Summary) error {
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(d.r, head); err != nil {
		return cut(err)
	}
	if string(head) != magic {
		if bytes.HasPrefix(head, []byte(family)) {
			return fmt.Errorf("the backup has format %q: %w", bytes.TrimPrefix(head, []byte(family)), ErrFormat)
		}
		return damaged("it is no backup of tocsin")
	}
	d.sum.Write(head)
	kind, err := d.r.ReadByte()
	if err != nil {
		return cut(err)
	}
	if kind != recordManifest {
		return damaged("it does not begin with a manifest")
	}
	d.count(kind)
	if err := d.object(&s.Manifest); err != nil {
		return err
	}
	if s.Format != Format {
		return fmt.Errorf("the backup has format %d: %w", s.Format, ErrFormat)
	}
	return nil
}

// end reads the trailer, after which nothing may come.
func (d *decoder) end(s *Summary) error {
	if err := d.object(&s.Contents); err != nil {
		return err
	}
	if _, err := d.r.ReadByte(); err == nil {
		return damaged("something follows its end")
	} else if err != io.EOF {
		return cut(err)
	}
	return nil
}

func (d *decoder) count(b byte) {
	d.one[0] = b
	d.sum.Write(d.one[:])
}

// read reads one field.
func (d *decoder) read(what string, most uint64) error {
	n, err := binary.ReadUvarint(lengths{d})
	if err != nil {
		return cut(err)
	}
	if n > most {
		return damaged("%s has %d bytes, at most %d are taken", what, n, most)
	}
	d.field.Reset()
	if _, err := io.CopyN(&d.field, d.r, int64(n)); err != nil {
		return cut(err)
	}
	d.sum.Write(d.field.Bytes())
	return nil
}

func (d *decoder) object(v any) error {
	if err := d.read("manifest or trailer", maxObject); err != nil {
		return err
	}
	if err := json.Unmarshal(d.field.Bytes(), v); err != nil {
		return damaged("its manifest or trailer is not what is known: %v", err)
	}
	return nil
}

// lengths reads the bytes of lengths, which count for the digest.
type lengths struct{ d *decoder }

func (l lengths) ReadByte() (byte, error) {
	b, err := l.d.r.ReadByte()
	if err == nil {
		l.d.count(b)
	}
	return b, err
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrDamaged)
}

// cut says what a stream that cannot be read further is.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it ends early")
	}
	return damaged("it cannot be read further: %v", err)
}
