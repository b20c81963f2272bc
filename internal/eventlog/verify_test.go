package eventlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// dump returns every key below prefix.
func dump(t testing.TB, db store.DB, prefix string) []store.KV {
	t.Helper()
	var out []store.KV
	for kv, err := range db.Scan(t.Context(), store.Range{From: []byte(prefix), To: after(prefix)}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, kv)
	}
	return out
}

// wantBad fails unless err is a Bad for the leaf, with the words in it.
func wantBad(t *testing.T, err error, leaf int64, words string) {
	t.Helper()
	var bad *Bad
	if !errors.As(err, &bad) {
		t.Errorf("verify = %v, want a bad leaf %d", err, leaf)
		return
	}
	if bad.Offset != leaf || !strings.Contains(bad.What, words) {
		t.Errorf("verify names leaf %d: %s; want leaf %d with %q", bad.Offset, bad.What, leaf, words)
	}
}

// TestFlippedByte changes every byte of every stored event of a small log and sees
// each named.
func TestFlippedByte(t *testing.T) {
	db := newDB(t)
	l := sample(t, db, 3)
	redact(t, l, 3)
	add(t, l, "people", draft("person.invited"))
	mustVerify(t, db)
	flips := 0
	for _, kv := range dump(t, db, prefixEvent) {
		offset, err := numberAfter(prefixEvent, kv.Key)
		if err != nil {
			t.Fatal(err)
		}
		for i := range kv.Value {
			mask := byte(1 << rand.N(8))
			changed := bytes.Clone(kv.Value)
			changed[i] ^= mask
			put(t, db, kv.Key, changed)
			_, err := verify(t, db, VerifyOptions{})
			var bad *Bad
			if !errors.As(err, &bad) || bad.Offset != offset {
				t.Fatalf("byte %d of event %d xor %#x (%q): verify = %v", i, offset, mask, kv.Value, err)
			}
			flips++
		}
		put(t, db, kv.Key, kv.Value)
	}
	mustVerify(t, db)
	t.Logf("%d flips, each named", flips)
}

// TestFlippedByteInLargeLog flips random bytes in a log of a thousand events,
// and in everything that is derived from events.
func TestFlippedByteInLargeLog(t *testing.T) {
	db := newDB(t)
	l := open(t, db)
	for i := range 10 {
		drafts := make([]Draft, 100)
		for j := range drafts {
			drafts[j] = draft("signal.opened")
			drafts[j].Causation = fmt.Sprintf("c%d", i)
		}
		add(t, l, fmt.Sprintf("signal/%d", i%3), drafts...)
	}
	for i := range int64(10) {
		redact(t, l, i*97)
	}
	keys := dump(t, db, prefixAll)
	for range 60 {
		kv := keys[rand.N(len(keys))]
		changed := bytes.Clone(kv.Value)
		i := rand.N(len(changed))
		changed[i] ^= byte(1 + rand.N(255))
		put(t, db, kv.Key, changed)
		_, err := verify(t, db, VerifyOptions{})
		var bad *Bad
		if !errors.As(err, &bad) {
			t.Fatalf("byte %d of %q changed: verify = %v", i, kv.Key, err)
		}
		if offset, err := numberAfter(prefixEvent, kv.Key); err == nil && bad.Offset != offset {
			t.Fatalf("byte %d of event %d: verify names %v", i, offset, bad)
		}
		put(t, db, kv.Key, kv.Value)
	}
	mustVerify(t, db)
}

// TestTamper is what somebody with the disk in hands may try.
func TestTamper(t *testing.T) {
	get := func(t *testing.T, db store.DB, key []byte) []byte {
		kv, err := db.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return kv.Value
	}
	// forge rewrites event at with another actor, and its hash in the tree.
	forge := func(t *testing.T, db store.DB, at int64) {
		r, err := parseRecord(get(t, db, eventKey(at)))
		if err != nil {
			t.Fatal(err)
		}
		r.header.Actor = "person:eve"
		put(t, db, eventKey(at), presentRecord(appendHeader(nil, &r.header), r.salt, r.payload))
	}
	// rehash recomputes every stored hash, as one who knows the format would.
	rehash := func(t *testing.T, db store.DB) (e edge) {
		e = edge{}
		for _, kv := range dump(t, db, prefixHash) {
			put(t, db, kv.Key, nil)
		}
		var all []byte
		for i, kv := range dump(t, db, prefixEvent) {
			leaf, _, err := splitRecord(kv.Value)
			if err != nil {
				t.Fatal(err)
			}
			hashes, err := e.add(int64(i), tlog.RecordHash(leaf))
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range hashes {
				all = append(all, h[:]...)
			}
		}
		put(t, db, numKey(prefixHash, 0), all)
		return e
	}
	for _, c := range []struct {
		name  string
		leaf  int64
		words string
		do    func(t *testing.T, db *mem.DB, l *Log)
	}{
		{"removed tail", 11, "tail was removed", func(t *testing.T, db *mem.DB, l *Log) { put(t, db, eventKey(11), nil) }},
		{"removed from the middle", 5, "missing", func(t *testing.T, db *mem.DB, l *Log) { put(t, db, eventKey(5), nil) }},
		{"removed head", 0, "missing", func(t *testing.T, db *mem.DB, l *Log) { put(t, db, eventKey(0), nil) }},
		{"swapped pair", 4, "reordered", func(t *testing.T, db *mem.DB, l *Log) {
			a, b := get(t, db, eventKey(4)), get(t, db, eventKey(5))
			put(t, db, eventKey(4), b)
			put(t, db, eventKey(5), a)
		}},
		{"something after the tail", 12, "after the tail", func(t *testing.T, db *mem.DB, l *Log) {
			put(t, db, eventKey(12), get(t, db, eventKey(11)))
		}},
		{"forged event", 6, "not what was appended", func(t *testing.T, db *mem.DB, l *Log) { forge(t, db, 6) }},
		{"forged event and earlier checkpoint entry", 6, "", func(t *testing.T, db *mem.DB, l *Log) {
			forge(t, db, 6)
			put(t, db, eventKey(9), []byte("junk"))
		}},
		{"forged event and leaf hash", 6, "one of the events 6 to 7", func(t *testing.T, db *mem.DB, l *Log) {
			forge(t, db, 6)
			leaf, _, _ := splitRecord(get(t, db, eventKey(6)))
			h := tlog.RecordHash(leaf)
			want := tlog.StoredHashIndex(0, 6)
			for _, kv := range dump(t, db, prefixHash) {
				first, _ := numberAfter(prefixHash, kv.Key)
				if first <= want && want < first+int64(len(kv.Value)/32) {
					v := bytes.Clone(kv.Value)
					copy(v[(want-first)*32:], h[:])
					put(t, db, kv.Key, v)
				}
			}
		}},
		{"forged event and every hash", -1, "do not give the signed root", func(t *testing.T, db *mem.DB, l *Log) {
			forge(t, db, 6)
			rehash(t, db)
		}},
		{"forged event, every hash, signed with another key", -1, "not what the log's key signed", func(t *testing.T, db *mem.DB, l *Log) {
			forge(t, db, 6)
			root, err := tlog.TreeHash(12, rehash(t, db))
			if err != nil {
				t.Fatal(err)
			}
			skey, _, err := newKey(DefaultOrigin)
			if err != nil {
				t.Fatal(err)
			}
			signer, err := note.NewSigner(skey)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := seal(signer, 12, root)
			if err != nil {
				t.Fatal(err)
			}
			put(t, db, []byte(keyHead), signed)
		}},
		{"stored hash of a leaf", 2, "Merkle hash stored", func(t *testing.T, db *mem.DB, l *Log) {
			for _, kv := range dump(t, db, prefixHash) {
				first, _ := numberAfter(prefixHash, kv.Key)
				if want := tlog.StoredHashIndex(0, 2); first <= want && want < first+int64(len(kv.Value)/32) {
					v := bytes.Clone(kv.Value)
					v[(want-first)*32] ^= 1
					put(t, db, kv.Key, v)
				}
			}
		}},
		{"stored hashes removed", 11, "Merkle hashes are missing", func(t *testing.T, db *mem.DB, l *Log) {
			runs := dump(t, db, prefixHash)
			put(t, db, runs[len(runs)-1].Key, nil)
		}},
		{"checkpoint text", -1, "not what the log's key signed", func(t *testing.T, db *mem.DB, l *Log) {
			put(t, db, []byte(keyHead), bytes.Replace(get(t, db, []byte(keyHead)), []byte("\n12\n"), []byte("\n11\n"), 1))
		}},
		{"checkpoint removed", -1, "no signed checkpoint", func(t *testing.T, db *mem.DB, l *Log) { put(t, db, []byte(keyHead), nil) }},
		{"id index entry removed", 8, "index by id", func(t *testing.T, db *mem.DB, l *Log) {
			e, err := l.Read(t.Context(), 8, 1)
			if err != nil {
				t.Fatal(err)
			}
			put(t, db, nameKey(prefixID, e[0].ID), nil)
		}},
		{"stream index run moved", 3, "index of its stream", func(t *testing.T, db *mem.DB, l *Log) {
			put(t, db, appendRunKey(nil, prefixStream, "incident/1", 1), appendNumber(appendNumber(nil, 4), 1))
		}},
		{"stream index entry too many", -1, "index entry", func(t *testing.T, db *mem.DB, l *Log) {
			put(t, db, appendRunKey(nil, prefixStream, "incident/9", 1), appendNumber(appendNumber(nil, 4), 1))
		}},
		{"causation index removed", 3, "index by causation", func(t *testing.T, db *mem.DB, l *Log) {
			put(t, db, appendRunKey(nil, prefixOf, "command-0", 3), nil)
		}},
		{"unknown key", -1, "does not belong", func(t *testing.T, db *mem.DB, l *Log) { put(t, db, []byte("log/z"), []byte("x")) }},
		{"payload blanked without a redaction", 2, "is gone", func(t *testing.T, db *mem.DB, l *Log) {
			leaf, _, _ := splitRecord(get(t, db, eventKey(2)))
			put(t, db, eventKey(2), redactedRecord(leaf, 9))
		}},
		{"removed between a redacted event and its redaction", 5, "missing", func(t *testing.T, db *mem.DB, l *Log) {
			redact(t, l, 3)
			put(t, db, eventKey(5), nil)
		}},
		{"removed redaction", 12, "tail was removed", func(t *testing.T, db *mem.DB, l *Log) {
			redact(t, l, 3)
			put(t, db, eventKey(12), nil)
		}},
		{"removed redaction in the middle", 12, "missing", func(t *testing.T, db *mem.DB, l *Log) {
			redact(t, l, 3)
			redact(t, l, 4)
			put(t, db, eventKey(12), nil)
		}},
		{"payload blanked for a redaction that the log does not reach", 2, "is gone", func(t *testing.T, db *mem.DB, l *Log) {
			leaf, _, _ := splitRecord(get(t, db, eventKey(2)))
			put(t, db, eventKey(2), redactedRecord(leaf, 99))
		}},
		{"redacted payload put back", 3, "there again", func(t *testing.T, db *mem.DB, l *Log) {
			old := get(t, db, eventKey(3))
			redact(t, l, 3)
			put(t, db, eventKey(3), old)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := newDB(t)
			l := sample(t, db, 8) // 12 events, 0 to 11
			if l.Size() != 12 {
				t.Fatalf("the sample has %d events", l.Size())
			}
			mustVerify(t, db)
			c.do(t, db, l)
			_, err := verify(t, db, VerifyOptions{})
			wantBad(t, err, c.leaf, c.words)
		})
	}
}

func copyDB(t *testing.T, from store.DB) *mem.DB {
	t.Helper()
	to := newDB(t)
	for _, prefix := range []string{prefixAll, "secret/"} {
		for _, kv := range dump(t, from, prefix) {
			put(t, to, kv.Key, kv.Value)
		}
	}
	return to
}

// TestMemory: what passes alone does not pass beside what was seen before.
func TestMemory(t *testing.T) {
	db := newDB(t)
	l := sample(t, db, 8)
	early := copyDB(t, db)
	add(t, l, "s", draft("a"), draft("b"))
	path := filepath.Join(t.TempDir(), "state", "checkpoints.json")
	m, err := LoadMemory(path)
	if err != nil {
		t.Fatal(err)
	}
	first, err := verify(t, db, VerifyOptions{Memory: m})
	if err != nil || !first.Learned || first.Known != nil {
		t.Fatalf("first = %+v, %v", first, err)
	}
	if s := first.String(); !strings.Contains(s, "trust on first use") {
		t.Errorf("report does not say that the key was learned:\n%s", s)
	}
	m.Remember(first)
	if err := m.Save(); err != nil {
		t.Fatal(err)
	}
	if m, err = LoadMemory(path); err != nil {
		t.Fatal(err)
	}

	add(t, l, "s", draft("c"))
	second, err := verify(t, db, VerifyOptions{Memory: m})
	if err != nil || second.Learned || second.Known == nil || second.Known.Size != 14 {
		t.Fatalf("second = %+v, %v", second, err)
	}
	m.Remember(second)
	m.Remember(first) // does not go back
	if c := m.Checkpoints(DefaultOrigin, l.Verifier()); len(c) != 1 || c[0].Size != 15 {
		t.Errorf("remembered %+v", c)
	}

	_, err = verify(t, early, VerifyOptions{Memory: m})
	wantBad(t, err, 12, "shortened")
	if r, err := verify(t, early, VerifyOptions{Memory: m, Older: true}); err != nil || len(r.Notes) != 1 {
		t.Errorf("an older copy, allowed: %+v, %v", r, err)
	}
	_, err = verify(t, early, VerifyOptions{Known: &second.Checkpoint})
	wantBad(t, err, 12, "shortened")

	fork := open(t, early) // goes on from 12 differently, with the real key
	add(t, fork, "s", draft("x"), draft("y"), draft("z"), draft("z"))
	mustVerify(t, early)
	_, err = verify(t, early, VerifyOptions{Memory: m})
	wantBad(t, err, -1, "rewritten")

	other := newDB(t) // a new log with a new key in the same place
	sample(t, other, 30)
	_, err = verify(t, other, VerifyOptions{Memory: m})
	wantBad(t, err, -1, "signed with the key")
	_, err = verify(t, other, VerifyOptions{Known: &second.Checkpoint})
	wantBad(t, err, -1, "signed with the key")
	_, err = verify(t, other, VerifyOptions{Verifier: l.Verifier()})
	wantBad(t, err, -1, "not what the log's key signed")

	if r, err := verify(t, db, VerifyOptions{Verifier: l.Verifier()}); err != nil || r.Learned {
		t.Errorf("with the key given: %+v, %v", r, err)
	}
}

func TestMemoryRefusesDamage(t *testing.T) {
	db := newDB(t)
	sample(t, db, 4)
	path := filepath.Join(t.TempDir(), "checkpoints.json")
	m, err := LoadMemory(path)
	if err != nil {
		t.Fatal(err)
	}
	m.Remember(mustVerify(t, db))
	m.file.Logs[0].Size++
	if err := m.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMemory(path); err == nil {
		t.Error("a changed size was taken")
	}
	m.file.Format = 2
	if err := m.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMemory(path); err == nil {
		t.Error("another format was taken")
	}
}

func TestVerifyEmptyAndNothing(t *testing.T) {
	db := newDB(t)
	if _, err := verify(t, db, VerifyOptions{}); err == nil || errors.As(err, new(*Bad)) {
		t.Errorf("no log at all: %v", err)
	}
	open(t, db)
	if r := mustVerify(t, db); r.Checkpoint.Size != 0 {
		t.Errorf("empty log: %+v", r)
	}
}

func TestVerifyNeverReadsTheSecret(t *testing.T) {
	db := newDB(t)
	sample(t, db, 8)
	put(t, db, []byte(keySigner), nil)
	mustVerify(t, db)
}

func TestRedact(t *testing.T) {
	db := newDB(t)
	l := sample(t, db, 8)
	ctx := t.Context()
	before, err := l.Leaf(ctx, 3)
	if err != nil {
		t.Fatal(err)
	}
	target, err := l.Read(ctx, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	e := redact(t, l, 3)
	if e.Stream != target[0].Stream || e.Type != RedactedType || string(e.Data) != `{"offset":3,"reason":"a key was pasted"}` {
		t.Errorf("redaction = %+v", e)
	}
	if after, err := l.Leaf(ctx, 3); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the leaf changed: %s, %v", after, err)
	}
	kv, err := db.Get(ctx, eventKey(3))
	if err != nil || bytes.Contains(kv.Value, target[0].Data) || len(kv.Value) != len(before)+12 {
		t.Errorf("stored after redaction: %q, %v", kv.Value, err)
	}
	got, err := l.Read(ctx, 3, 1)
	want := Redaction{By: "person:bo", At: 1700000001000, Reason: "a key was pasted"}
	if err != nil || got[0].Data != nil || got[0].Redacted == nil || *got[0].Redacted != want || got[0].ID != target[0].ID {
		t.Errorf("read after redaction = %+v, %v", got, err)
	}
	r := mustVerify(t, db)
	if len(r.Redacted) != 1 || r.Redacted[0] != (RedactedEvent{3, want}) {
		t.Errorf("report = %+v", r.Redacted)
	}
	if s := r.String(); !strings.Contains(s, `event 3: redacted by person:bo at 2023-11-14T22:13:21Z: "a key was pasted"`) {
		t.Errorf("report:\n%s", s)
	}

	why := func(s string) Draft { return Draft{Actor: "person:bo", Data: json.RawMessage(s)} }
	for _, c := range []struct {
		name   string
		offset int64
		draft  Draft
		want   error
	}{
		{"again", 3, why(`{"reason":"x"}`), ErrRedacted},
		{"a redaction", e.Offset, why(`{"reason":"x"}`), ErrRedacted},
		{"nothing there", 99, why(`{"reason":"x"}`), ErrNotFound},
		{"before the start", -1, why(`{"reason":"x"}`), ErrNotFound},
		{"no reason", 4, why(`{}`), ErrInvalid},
		{"no data", 4, why(``), ErrInvalid},
		{"no actor", 4, Draft{Data: json.RawMessage(`{"reason":"x"}`)}, ErrInvalid},
		{"endless reason", 4, why(`{"reason":"` + strings.Repeat("x", MaxReason+1) + `"}`), ErrInvalid},
	} {
		if _, err := l.Redact(ctx, c.offset, c.draft); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	once := why(`{"reason":"x"}`)
	once.ID = "redaction-1"
	a, err := l.Redact(ctx, 5, once)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := l.Redact(ctx, 5, once); err != nil || b.Offset != a.Offset {
		t.Errorf("the same redaction again = %+v, %v", b, err)
	}
	mustVerify(t, db)
}
