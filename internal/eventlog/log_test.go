package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newDB(t testing.TB) *mem.DB {
	t.Helper()
	db := mem.Open(mem.Options{MaxOps: 4096})
	t.Cleanup(func() { db.Close() })
	return db
}

func open(t testing.TB, db store.DB) *Log {
	t.Helper()
	l, err := Open(t.Context(), db, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func draft(typ string) Draft {
	return Draft{At: 1700000000000, Actor: "person:ana", Type: typ, Version: 1, Data: json.RawMessage(`{"text":"` + typ + `"}`)}
}

func add(t testing.TB, l *Log, stream string, drafts ...Draft) []Event {
	t.Helper()
	events, err := l.Append(t.Context(), Batch{Stream: stream, Expect: AnySeq, Drafts: drafts})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// sample is a log with several streams, batches, causations and a redaction.
func sample(t testing.TB, db store.DB, n int) *Log {
	t.Helper()
	l := open(t, db)
	for i := range n {
		d := draft(fmt.Sprintf("note.added%d", i%3))
		d.Causation = fmt.Sprintf("command-%d", i/2)
		if i%4 == 0 {
			add(t, l, fmt.Sprintf("incident/%d", i%5), d, draft("tag.set"), d)
		} else {
			add(t, l, fmt.Sprintf("incident/%d", i%5), d)
		}
	}
	return l
}

func redact(t testing.TB, l *Log, offset int64) Event {
	t.Helper()
	e, err := l.Redact(t.Context(), offset, Draft{At: 1700000001000, Actor: "person:bo", Data: json.RawMessage(`{"reason":"a key was pasted"}`)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func verify(t testing.TB, db store.DB, o VerifyOptions) (Report, error) {
	t.Helper()
	return Verify(t.Context(), Stored(db, "/data"), o)
}

func mustVerify(t testing.TB, db store.DB) Report {
	t.Helper()
	r, err := verify(t, db, VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAppendAndRead(t *testing.T) {
	db := newDB(t)
	l := open(t, db)
	ctx := t.Context()
	if l.Size() != 0 {
		t.Fatalf("size of a new log = %d", l.Size())
	}
	d := draft("incident.declared")
	d.Causation, d.Drill = "c1", true
	first := add(t, l, "incident/1", d, d)
	add(t, l, "incident/10", draft("incident.declared"))
	add(t, l, "incident/1", draft("note.added"))
	if first[1].Offset != 1 || first[1].Seq != 2 || first[1].ID == first[0].ID || !first[0].Drill {
		t.Fatalf("first batch = %+v", first)
	}

	got, err := l.Read(ctx, 0, 10)
	if err != nil || len(got) != 4 {
		t.Fatalf("Read = %d events, %v", len(got), err)
	}
	if a, b := fmt.Sprintf("%+v", got[:2]), fmt.Sprintf("%+v", first); a != b {
		t.Errorf("read\n%s\nappended\n%s", a, b)
	}
	if got, err = l.Read(ctx, 1, 2); err != nil || len(got) != 2 || got[0].Offset != 1 {
		t.Errorf("Read(1, 2) = %+v, %v", got, err)
	}
	if got, err = l.Read(ctx, 4, 2); err != nil || got != nil {
		t.Errorf("Read past the end = %+v, %v", got, err)
	}
	for _, c := range []struct {
		stream string
		from   int64
		limit  int
		want   string
	}{
		{"incident/1", 0, 0, "[0 1 3]"}, {"incident/1", 2, 0, "[1 3]"}, {"incident/1", 2, 1, "[1]"}, {"incident/1", 3, 9, "[3]"},
		{"incident/1", 4, 9, "[]"}, {"incident/10", 1, 9, "[2]"}, {"incident/", 1, 9, "[]"}, {"incident/2", 1, 9, "[]"},
	} {
		got, err := l.ReadStream(ctx, c.stream, c.from, c.limit)
		if s := offsets(got); err != nil || s != c.want {
			t.Errorf("ReadStream(%s, %d, %d) = %s, %v; want %s", c.stream, c.from, c.limit, s, err, c.want)
		}
	}
	for stream, want := range map[string]int64{"incident/1": 3, "incident/10": 1, "incident/": 0, "x": 0} {
		if got, err := l.StreamHead(ctx, stream); err != nil || got != want {
			t.Errorf("StreamHead(%s) = %d, %v; want %d", stream, got, err, want)
		}
	}
	for id, want := range map[string]string{"c1": "[0 1]", "c": "[]", "": "[]"} {
		if got, err := l.ByCausation(ctx, id); err != nil || offsets(got) != want {
			t.Errorf("ByCausation(%s) = %s, %v; want %s", id, offsets(got), err, want)
		}
	}
	if e, err := l.ByID(ctx, first[1].ID); err != nil || e.Offset != 1 {
		t.Errorf("ByID = %+v, %v", e, err)
	}
	if _, err := l.ByID(ctx, "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("ByID(nobody) = %v", err)
	}
	mustVerify(t, db)

	again := open(t, db) // everything is durable, nothing lives in l
	if again.Size() != 4 || again.Verifier() != l.Verifier() {
		t.Errorf("reopened: size %d, key %s", again.Size(), again.Verifier())
	}
}

func offsets(events []Event) string {
	out := []int64{}
	for _, e := range events {
		out = append(out, e.Offset)
	}
	return fmt.Sprint(out)
}

func TestExpectedHead(t *testing.T) {
	l := open(t, newDB(t))
	b := Batch{Stream: "s", Expect: 0, Drafts: []Draft{draft("a")}}
	if _, err := l.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	_, err := l.Append(t.Context(), b)
	var c *ConflictError
	if !errors.Is(err, ErrConflict) || !errors.As(err, &c) || c.Head != 1 {
		t.Fatalf("second append at 0 = %v", err)
	}
	b.Expect = 1
	if _, err := l.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func TestRefusals(t *testing.T) {
	small := mem.Open(mem.Options{}) // 64 operations
	defer small.Close()
	l := open(t, small)
	with := func(f func(*Draft)) []Draft { d := draft("a"); f(&d); return []Draft{d} }
	long := string(make([]byte, MaxName+1))
	for _, c := range []struct {
		name   string
		stream string
		drafts []Draft
		want   error
	}{
		{"no events", "s", nil, ErrInvalid},
		{"no stream", "", with(func(*Draft) {}), ErrInvalid},
		{"stream with space", "a b", with(func(*Draft) {}), ErrInvalid},
		{"stream too long", long, with(func(*Draft) {}), ErrInvalid},
		{"no actor", "s", with(func(d *Draft) { d.Actor = "" }), ErrInvalid},
		{"quote in actor", "s", with(func(d *Draft) { d.Actor = `a"b` }), ErrInvalid},
		{"not ASCII", "s", with(func(d *Draft) { d.Type = "é" }), ErrInvalid},
		{"no type", "s", with(func(d *Draft) { d.Type = "" }), ErrInvalid},
		{"reserved type", "s", with(func(d *Draft) { d.Type = RedactedType }), ErrInvalid},
		{"before 1970", "s", with(func(d *Draft) { d.At = -1 }), ErrInvalid},
		{"not JSON", "s", with(func(d *Draft) { d.Data = json.RawMessage("{") }), ErrInvalid},
		{"payload too large", "s", with(func(d *Draft) { d.Data = make([]byte, MaxPayload+1) }), ErrTooLarge},
		{"same id twice", "s", []Draft{{ID: "x", Actor: "a", Type: "t"}, {ID: "x", Actor: "a", Type: "t"}}, ErrInvalid},
		{"more than a Txn takes", "s", make([]Draft, 0), ErrTooLarge},
	} {
		if c.name == "more than a Txn takes" {
			for range 31 {
				c.drafts = append(c.drafts, draft("a"))
			}
		}
		_, err := l.Append(t.Context(), Batch{Stream: c.stream, Expect: AnySeq, Drafts: c.drafts})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if l.Size() != 0 {
		t.Errorf("size = %d after refusals", l.Size())
	}
	thirty := make([]Draft, 30) // 2*30 + 1 + 2 = 63 operations
	for i := range thirty {
		thirty[i] = draft("a")
	}
	add(t, l, "s", thirty...)
	if _, err := l.Append(t.Context(), Batch{Stream: "s", Expect: -2, Drafts: thirty}); !errors.Is(err, ErrInvalid) {
		t.Errorf("Expect -2: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Append(ctx, Batch{Stream: "s", Drafts: thirty}); !errors.Is(err, context.Canceled) {
		t.Errorf("append after ctx ended: %v", err)
	}
	mustVerify(t, small)
}

func TestSameIdsAreTheSameAnswer(t *testing.T) {
	db := newDB(t)
	l := open(t, db)
	a, b, c := draft("a"), draft("b"), draft("c")
	a.ID, b.ID, c.ID = "id-a", "id-b", "id-c"
	batch := Batch{Stream: "s", Expect: 0, Drafts: []Draft{a, b}}
	first, err := l.Append(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.Append(t.Context(), batch)
	if err != nil || fmt.Sprint(first) != fmt.Sprint(second) {
		t.Errorf("second = %v, %v", second, err)
	}
	for name, bad := range map[string]Batch{
		"other order":    {Stream: "s", Expect: AnySeq, Drafts: []Draft{b, a}},
		"one more":       {Stream: "s", Expect: AnySeq, Drafts: []Draft{a, b, c}},
		"one new before": {Stream: "s", Expect: AnySeq, Drafts: []Draft{c, a}},
		"other stream":   {Stream: "z", Expect: AnySeq, Drafts: []Draft{a, b}},
	} {
		if _, err := l.Append(t.Context(), bad); !errors.Is(err, ErrDuplicate) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l.Size() != 2 {
		t.Errorf("size = %d", l.Size())
	}
	mustVerify(t, db)
}

func TestThousandInOneBatch(t *testing.T) {
	db := newDB(t)
	l := open(t, db)
	drafts := make([]Draft, 1000)
	for i := range drafts {
		drafts[i] = draft("signal.opened")
	}
	add(t, l, "signal/a", drafts...)
	events, err := l.ReadStream(t.Context(), "signal/a", 1, 2000)
	if err != nil || len(events) != 1000 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	mustVerify(t, db)
}

func TestUpcasters(t *testing.T) {
	db := newDB(t)
	var u Upcasters
	u.Register("note.added", 1, func(data json.RawMessage) (string, int, json.RawMessage) {
		return "note.added", 2, json.RawMessage(`{"v2":` + string(data) + `}`)
	})
	u.Register("note.added", 2, func(data json.RawMessage) (string, int, json.RawMessage) {
		return "entry.added", 1, data
	})
	l, err := Open(t.Context(), db, Options{Upcasters: &u})
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, "s", draft("note.added"), draft("other"), draft("note.added"))
	redact(t, l, 2)
	got, err := l.Read(t.Context(), 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Type != "entry.added" || got[0].Version != 1 || string(got[0].Data) != `{"v2":{"text":"note.added"}}` {
		t.Errorf("upcast = %+v", got[0])
	}
	if got[1].Type != "other" || got[2].Type != "note.added" || got[2].Data != nil {
		t.Errorf("passed through = %+v", got[1:])
	}
	mustVerify(t, db) // what is stored is what was appended
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(t.Context(), newDB(t), Options{Origin: "a b"}); err == nil {
		t.Error("origin with a space was taken")
	}
	db := newDB(t)
	l, err := Open(t.Context(), db, Options{Origin: "example.org/log"})
	if err != nil || l.Origin() != "example.org/log" {
		t.Fatal(l.Origin(), err)
	}
	if l = open(t, db); l.Origin() != "example.org/log" {
		t.Errorf("a log keeps its origin, got %s", l.Origin())
	}
	add(t, l, "s", draft("a"))
	put(t, db, numKey(prefixHash, 0), make([]byte, 32))
	if _, err := Open(t.Context(), db, Options{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("open with a wrong tree: %v", err)
	}
}

func TestOpenRefusesAnotherKey(t *testing.T) {
	db := newDB(t)
	open(t, db)
	skey, _, err := newKey(DefaultOrigin)
	if err != nil {
		t.Fatal(err)
	}
	put(t, db, []byte(keySigner), []byte(skey))
	if _, err := Open(t.Context(), db, Options{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("open with another key: %v", err)
	}
}

// put writes past the log, as somebody with the disk in hands would.
func put(t testing.TB, db store.DB, key, value []byte) {
	t.Helper()
	op := store.Op{Key: key, Value: value, Delete: value == nil}
	if _, err := db.Commit(t.Context(), store.Txn{Then: []store.Op{op}}); err != nil {
		t.Fatal(err)
	}
}
