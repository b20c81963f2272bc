package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

const (
	storeFile   = "tocsin.db"
	eventPrefix = "log/event/"
	revision    = 8 // bytes before a stored value that belong to the store itself
)

// eventKey is where the store keeps the event at an offset.
func eventKey(offset int64) []byte {
	return binary.BigEndian.AppendUint64([]byte(eventPrefix), uint64(offset))
}

// tampered copies the store of a stopped tocsin into a directory of its own and
// lets change edit the copy. What it returns can be verified.
func tampered(t *testing.T, s *tocsin, change func(keys *bolt.Bucket) error) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, storeFile))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, storeFile)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(func(tx *bolt.Tx) error { return change(tx.Bucket([]byte("keys"))) }); err != nil {
		t.Fatal(err)
	}
	return dir
}

var namedLeaf = regexp.MustCompile(`NOT VERIFIED: \S+: event (\d+): (.+)`)

// caught checks that verify fails and names this leaf as the first bad one.
func caught(t *testing.T, what, place, memory string, leaf int64) string {
	t.Helper()
	code, said := verify(t, place, memory)
	m := namedLeaf.FindStringSubmatch(said)
	if code != 1 || m == nil || m[1] != strconv.FormatInt(leaf, 10) {
		t.Errorf("%s: exit %d, %q; want exit 1 and event %d named", what, code, said, leaf)
		return ""
	}
	return m[0]
}

// TestVerifyNamesTheFirstBadLeaf: one flipped byte anywhere in the stored
// events, a removed tail or a swapped pair, and tocsin verify fails and says
// where.
func TestVerifyNamesTheFirstBadLeaf(t *testing.T) {
	s := start(t, "")
	_, am, _ := s.source("Alertmanager", "alertmanager")
	s.asNobody("POST", am, mustJSON(t, webhook("g", "firing", alert("Slow", "51035", map[string]any{"component": "api"}), alert("Down", "d033", map[string]any{"component": "api"}))))
	n := s.declare("The one to tamper with", "SEV2", nil)
	const mark = "the very words that will be changed in the file"
	blanked := s.note(n, "a name that must go").Events[0]
	s.command(n, "redact", map[string]any{"event": blanked.ID, "reason": "it named a customer"})
	marked := s.note(n, mark).Events[0]
	for i := range 40 {
		s.note(n, fmt.Sprintf("note %d of many, with some words to change", i))
	}
	size := int64(len(s.events()))
	memory := filepath.Join(t.TempDir(), "seen.json")
	if code, said := verify(t, s.url, memory); code != 0 {
		t.Errorf("verify %s: exit %d, %s", s.url, code, said)
	}
	s.kill()
	if code, said := verify(t, s.dir, memory); code != 0 || !regexp.MustCompile(`event \d+: redacted by \S+ at 20`).MatchString(said) {
		t.Errorf("verify %s: exit %d, %s; want it to tell of the redaction", s.dir, code, said)
	}

	fresh := filepath.Join(t.TempDir(), "none.json") // nothing seen before: the log alone must tell
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d, %d events", seed, size)
	for i := range 24 {
		at := rng.Int64N(size)
		if i == 0 {
			at = blanked.Offset
		}
		var where, length int
		dir := tampered(t, s, func(keys *bolt.Bucket) error {
			v := bytes.Clone(keys.Get(eventKey(at)))
			length = len(v) - revision
			where = rng.IntN(length)
			if i == 1 {
				where = length - 1
			}
			v[revision+where] ^= 1 << rng.IntN(8)
			return keys.Put(eventKey(at), v)
		})
		said := caught(t, fmt.Sprintf("a bit of byte %d of %d of event %d", where, length, at), dir, fresh, at)
		if i < 3 {
			t.Log(said)
		}
	}

	// In the bare file, below the store's own structure.
	raw, err := os.ReadFile(filepath.Join(s.dir, storeFile))
	if err != nil {
		t.Fatal(err)
	}
	if k := bytes.Count(raw, []byte(mark)); k == 0 {
		t.Fatal("the words are not in the file")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, storeFile), bytes.ReplaceAll(raw, []byte(mark), []byte(strings.Replace(mark, "very", "Very", 1))), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Log(caught(t, "one letter changed in the bare file", dir, fresh, marked.Offset))

	dir = tampered(t, s, func(keys *bolt.Bucket) error {
		for at := size - 3; at < size; at++ {
			if err := keys.Delete(eventKey(at)); err != nil {
				return err
			}
		}
		return nil
	})
	t.Log(caught(t, "the last three events removed", dir, fresh, size-3))

	dir = tampered(t, s, func(keys *bolt.Bucket) error { return keys.Delete(eventKey(7)) })
	t.Log(caught(t, "one event removed from the middle", dir, fresh, 7))

	dir = tampered(t, s, func(keys *bolt.Bucket) error {
		a, b := bytes.Clone(keys.Get(eventKey(20))), bytes.Clone(keys.Get(eventKey(21)))
		if err := keys.Put(eventKey(20), b); err != nil {
			return err
		}
		return keys.Put(eventKey(21), a)
	})
	t.Log(caught(t, "a pair swapped", dir, fresh, 20))

	dir = tampered(t, s, func(keys *bolt.Bucket) error { return keys.Put(eventKey(size), keys.Get(eventKey(size-1))) })
	if code, said := verify(t, dir, fresh); code != 1 || !strings.Contains(said, "NOT VERIFIED") {
		t.Errorf("an event too many: exit %d, %s", code, said)
	}

	// A log that was put back to an earlier, in itself true state is caught by
	// who saw it before.
	short := start(t, "")
	m := short.declare("Shortened later", "SEV3", nil)
	short.note(m, "one")
	short.kill()
	old, err := os.ReadFile(filepath.Join(short.dir, storeFile))
	if err != nil {
		t.Fatal(err)
	}
	before := int64(0)
	tampered(t, short, func(keys *bolt.Bucket) error {
		c := keys.Cursor()
		for k, _ := c.Seek([]byte(eventPrefix)); bytes.HasPrefix(k, []byte(eventPrefix)); k, _ = c.Next() {
			before++
		}
		return nil
	})
	short.up()
	short.note(m, "two: this one will be denied")
	short.kill()
	seen := filepath.Join(t.TempDir(), "seen.json")
	if code, said := verify(t, short.dir, seen); code != 0 {
		t.Fatalf("exit %d, %s", code, said)
	}
	if err := os.WriteFile(filepath.Join(short.dir, storeFile), old, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Log(caught(t, "the whole store put back", short.dir, seen, before))
}
