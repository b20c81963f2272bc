package eventlog

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// A stored record is
//
//	1 byte   format, 1
//	2 bytes  length of the header, big-endian
//	         header: the exact leaf bytes
//	1 byte   state: 0 payload present, 1 redacted
//
// then, when present, 16 bytes of salt and the payload to the end; when redacted,
// the 8-byte offset of the log.redacted event that did it and nothing else.
type record struct {
	leaf     []byte // header bytes; RFC 6962 leaf data
	header   header
	redacted bool
	by       int64 // offset of the redaction
	salt     [saltSize]byte
	payload  []byte
}

const (
	recordFormat  = 1
	statePresent  = 0
	stateRedacted = 1
	saltSize      = 16
	headerRest    = 280 // bytes of a header beside its names, at most: the fixed text, numbers and the digest
)

// digest is what a leaf knows of a payload. The random salt goes when the payload
// goes, so what is left cannot be compared with guesses.
func digest(salt [saltSize]byte, payload []byte) (d [32]byte) {
	h := sha256.New()
	h.Write(salt[:])
	h.Write(payload)
	h.Sum(d[:0])
	return d
}

func recordStart(leaf []byte, room int) []byte {
	b := make([]byte, 0, 4+len(leaf)+room)
	b = append(b, recordFormat)
	b = binary.BigEndian.AppendUint16(b, uint16(len(leaf)))
	return append(b, leaf...)
}

// newRecord is the record of an event that has its payload, and its leaf, in one
// piece of memory.
func newRecord(h *header, salt [saltSize]byte, payload []byte) (rec, leaf []byte) {
	names := len(h.ID) + len(h.Stream) + len(h.Actor) + len(h.Causation) + len(h.Type)
	rec = append(make([]byte, 0, 3+names+headerRest+1+saltSize+len(payload)), recordFormat, 0, 0)
	rec = appendHeader(rec, h)
	end := len(rec)
	binary.BigEndian.PutUint16(rec[1:], uint16(end-3))
	rec = append(append(append(rec, statePresent), salt[:]...), payload...)
	return rec, rec[3:end:end]
}

func redactedRecord(leaf []byte, by int64) []byte {
	b := append(recordStart(leaf, 8), stateRedacted)
	return binary.BigEndian.AppendUint64(b, uint64(by))
}

// splitRecord finds the leaf without trusting it.
func splitRecord(b []byte) (leaf, rest []byte, err error) {
	if len(b) < 3 {
		return nil, nil, fmt.Errorf("record has %d bytes", len(b))
	}
	if b[0] != recordFormat {
		return nil, nil, fmt.Errorf("record format %d is not known", b[0])
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if len(b) < 3+n+1 {
		return nil, nil, fmt.Errorf("record of %d bytes is cut short", len(b))
	}
	return b[3 : 3+n], b[3+n:], nil
}

// parseRecord decodes a stored record and checks its payload against the leaf.
// It aliases b. On an error after the header was read, leaf and header are set.
func parseRecord(b []byte) (r record, err error) {
	leaf, rest, err := splitRecord(b)
	if err != nil {
		return record{}, err
	}
	r.leaf = leaf
	if r.header, err = parseHeader(leaf); err != nil {
		return r, err
	}
	state, rest := rest[0], rest[1:]
	switch state {
	case statePresent:
		if len(rest) < saltSize {
			return r, fmt.Errorf("payload is cut short")
		}
		r.salt, r.payload = [saltSize]byte(rest), rest[saltSize:]
		if len(r.payload) > MaxPayload {
			return r, fmt.Errorf("payload has %d bytes, at most %d are taken", len(r.payload), MaxPayload)
		}
		if digest(r.salt, r.payload) != r.header.Payload {
			return r, fmt.Errorf("payload does not match its digest")
		}
	case stateRedacted:
		if len(rest) != 8 {
			return r, fmt.Errorf("redacted record carries %d bytes, wanted 8", len(rest))
		}
		r.redacted, r.by = true, int64(binary.BigEndian.Uint64(rest))
	default:
		return r, fmt.Errorf("payload state %d is not known", state)
	}
	return r, nil
}
