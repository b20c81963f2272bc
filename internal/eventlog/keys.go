package eventlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	prefixAll    = "log/"
	keyHead      = "log/checkpoint"
	prefixEvent  = "log/event/"
	prefixHash   = "log/hash/"
	prefixID     = "log/id/"
	prefixOf     = "log/of/"
	prefixStream = "log/stream/"
	keyVerifier  = "log/verifier"
	keySigner    = "secret/log-signer"
)

func numKey(prefix string, n int64) []byte {
	b := make([]byte, 0, len(prefix)+8)
	return binary.BigEndian.AppendUint64(append(b, prefix...), uint64(n))
}

func nameKey(prefix, s string) []byte {
	b := make([]byte, 0, len(prefix)+len(s)+9)
	b = append(b, prefix...)
	return append(b, s...)
}

// keyRoom is the longest prefix, a 00, the number of a key, and two as its value.
const keyRoom = len(prefixStream) + 1 + 8 + 16

// appendRunKey writes prefix, name, 00, number: all runs of one name sort by number,
// and no name can be a prefix of another's keys because names hold no 00.
func appendRunKey(b []byte, prefix, s string, n int64) []byte {
	return appendNumber(append(append(append(b, prefix...), s...), 0), n)
}

func eventKey(offset int64) []byte { return numKey(prefixEvent, offset) }

// after is the smallest key above every key with this prefix; the prefixes end in
// '/' or 00, so the last byte can grow.
func after(prefix string) []byte {
	b := []byte(prefix)
	b[len(b)-1]++
	return b
}

// numberAfter is the number at the end of a key that starts with prefix.
func numberAfter(prefix string, key []byte) (int64, error) {
	if len(key) != len(prefix)+8 || string(key[:len(prefix)]) != prefix {
		return 0, fmt.Errorf("key %q: %w", key, ErrCorrupt)
	}
	return number(key[len(prefix):])
}

// split takes a run key apart.
func split(prefix string, key []byte) (string, int64, error) {
	rest, ok := bytes.CutPrefix(key, []byte(prefix))
	i := bytes.IndexByte(rest, 0)
	if !ok || i < 0 || len(rest) != i+9 {
		return "", 0, fmt.Errorf("key %q: %w", key, ErrCorrupt)
	}
	n, err := number(rest[i+1:])
	return string(rest[:i]), n, err
}

func number(b []byte) (int64, error) {
	if len(b) != 8 || b[0]&0x80 != 0 {
		return 0, fmt.Errorf("number % x: %w", b, ErrCorrupt)
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

func appendNumber(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }

func parseRun(b []byte) (offset, count int64, err error) {
	if len(b) != 16 {
		return 0, 0, fmt.Errorf("run % x: %w", b, ErrCorrupt)
	}
	if offset, err = number(b[:8]); err == nil {
		count, err = number(b[8:])
	}
	if err == nil && count < 1 {
		err = fmt.Errorf("run % x: %w", b, ErrCorrupt)
	}
	return offset, count, err
}
