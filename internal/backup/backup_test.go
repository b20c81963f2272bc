package backup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/internal/backup"
	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/bolt"
	"github.com/tocsin-ops/tocsin/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

var maker = backup.Maker{Version: "test", Engine: "mem", At: noon}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// engines open an empty store of each kind.
var engines = map[string]func(t testing.TB) store.DB{
	"mem": func(testing.TB) store.DB { return mem.New() },
	"bolt": func(t testing.TB) store.DB {
		db := must(bolt.Open(filepath.Join(t.TempDir(), "tocsin.db"), bolt.Options{}))(t)
		t.Cleanup(func() { _ = db.Close() })
		return db
	},
}

func draft(n int) eventlog.Draft {
	data, _ := json.Marshal(map[string]any{"n": n, "text": "withdrawals are stuck"})
	return eventlog.Draft{At: noon.UnixMilli(), Actor: "person:ana", Type: "note.added", Version: 1, Data: data, Causation: fmt.Sprint("cause-", n/2)}
}

// filled puts a log of n events, secrets and what is only true now into db.
func filled(t testing.TB, db store.DB, n int) *eventlog.Log {
	t.Helper()
	log := must(eventlog.Open(t.Context(), db, eventlog.Options{Origin: "tocsin.test/log"}))(t)
	for i := 0; i < n; {
		var drafts []eventlog.Draft
		for range min(9, n-i) {
			drafts = append(drafts, draft(i))
			i++
		}
		must(log.Append(t.Context(), eventlog.Batch{Stream: fmt.Sprint("incident/", i%5), Expect: eventlog.AnySeq, Drafts: drafts}))(t)
	}
	for _, op := range []store.Op{
		{Key: []byte("auth/session/1"), Value: []byte("digest")}, {Key: []byte("chains/ethereum"), Value: []byte(`{"url":"https://node/key"}`)},
		{Key: []byte{0}, Value: nil}, {Key: []byte("zz"), Value: bytes.Repeat([]byte{0xff}, 100_000)}, {Key: []byte("live/replica/1"), Value: []byte("here")},
	} {
		must(db.Commit(t.Context(), store.Txn{Then: []store.Op{op}}))(t)
	}
	return log
}

// everything is every key of db, in order.
func everything(t testing.TB, db store.DB) (out []string) {
	t.Helper()
	for kv, err := range db.Scan(t.Context(), store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(kv.Key, []byte("live/")) {
			out = append(out, fmt.Sprintf("%q=%x", kv.Key, kv.Value))
		}
	}
	return out
}

func written(t testing.TB, db store.DB) ([]byte, backup.Summary) {
	t.Helper()
	var b bytes.Buffer
	s := must(backup.Write(t.Context(), db, &b, maker))(t)
	return b.Bytes(), s
}

func opened(b []byte) backup.Open {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// TestEveryEngineIntoEveryOther is byte-equal key by key, and every log verifies.
func TestEveryEngineIntoEveryOther(t *testing.T) { everyIntoEveryOther(t, engines) }

func everyIntoEveryOther(t *testing.T, engines map[string]func(testing.TB) store.DB) {
	for from, open := range engines {
		db := open(t)
		log := filled(t, db, 100)
		b, s := written(t, db)
		if s.Events != 100 || s.Origin != "tocsin.test/log" || s.Verifier != log.Verifier() {
			t.Errorf("%s: %+v", from, s)
		}
		if again := must(backup.Inspect(t.Context(), opened(b)))(t); again != s {
			t.Errorf("%s: read %+v, written %+v", from, again, s)
		}
		if r := must(eventlog.Verify(t.Context(), backup.Log("file", opened(b)), eventlog.VerifyOptions{Verifier: log.Verifier()}))(t); r.Leaves != 100 || r.Payloads != 100 {
			t.Errorf("%s: the file verifies %v", from, r)
		}
		for to, open := range engines {
			t.Run(from+" to "+to, func(t *testing.T) {
				target := open(t)
				got, report, err := backup.Restore(t.Context(), opened(b), target, backup.Restoration{Verifier: log.Verifier()})
				if err != nil || got != s || report.Leaves != 100 {
					t.Fatalf("%+v %v %v", got, report, err)
				}
				if a, b := everything(t, db), everything(t, target); !slices.Equal(a, b) {
					t.Errorf("%d keys became %d", len(a), len(b))
				}
				// The log goes on where it was, with the same key.
				next := must(eventlog.Open(t.Context(), target, eventlog.Options{}))(t)
				if next.Size() != 100 || next.Verifier() != log.Verifier() {
					t.Errorf("the restored log has %d events", next.Size())
				}
				must(next.Append(t.Context(), eventlog.Batch{Stream: "incident/1", Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{draft(100)}}))(t)
			})
		}
	}
}

// TestWhileWritten backs up while eight write; every backup is whole, and a
// beginning of the log that came to be.
func TestWhileWritten(t *testing.T) { whileWritten(t, engines) }

func whileWritten(t *testing.T, engines map[string]func(testing.TB) store.DB) {
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			log := filled(t, db, 10)
			ctx, stop := context.WithCancel(t.Context())
			var writers sync.WaitGroup
			for w := range 8 {
				writers.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						_, err := log.Append(ctx, eventlog.Batch{Stream: fmt.Sprint("incident/", w), Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{draft(i)}})
						if err != nil && ctx.Err() == nil {
							t.Error(err)
							return
						}
					}
				})
			}
			var made [][]byte
			for size := int64(0); len(made) < 5; {
				b, s := written(t, db)
				if s.Events > size {
					made, size = append(made, b), s.Events
				}
			}
			stop()
			writers.Wait()
			for _, b := range made {
				target := mem.Open(mem.Options{MaxOps: 1000})
				s, _, err := backup.Restore(t.Context(), opened(b), target, backup.Restoration{})
				if err != nil {
					t.Fatal(err)
				}
				seen := must(eventlog.ParseCheckpoint([]byte(s.Checkpoint), s.Verifier))(t)
				if _, err := eventlog.Verify(t.Context(), eventlog.Stored(db, name), eventlog.VerifyOptions{Known: &seen}); err != nil {
					t.Errorf("the backup of %d events is not the beginning of the log: %v", s.Events, err)
				}
			}
		})
	}
}

func TestNothingToBackUp(t *testing.T) {
	if _, err := backup.Write(t.Context(), mem.New(), io.Discard, maker); !errors.Is(err, backup.ErrNoLog) {
		t.Error(err)
	}
}

func TestRestoreOnlyIntoNothing(t *testing.T) {
	db := mem.New()
	filled(t, db, 3)
	b, _ := written(t, db)
	before := everything(t, db)
	_, _, err := backup.Restore(t.Context(), opened(b), db, backup.Restoration{})
	if !errors.Is(err, backup.ErrNotEmpty) || !slices.Equal(before, everything(t, db)) {
		t.Error(err)
	}
	// What is only true now does not count, and stays.
	target := mem.New()
	must(target.Commit(t.Context(), store.Txn{Then: []store.Op{{Key: []byte("live/replica/7"), Value: []byte("here")}}}))(t)
	if _, _, err := backup.Restore(t.Context(), opened(b), target, backup.Restoration{}); err != nil {
		t.Error(err)
	}
	if _, err := target.Get(t.Context(), []byte("live/replica/7")); err != nil {
		t.Error(err)
	}
}

func TestTooLargeForTheTarget(t *testing.T) {
	db, target := mem.New(), mem.New()
	filled(t, db, 3)
	b, _ := written(t, db)
	_, _, err := backup.Restore(t.Context(), opened(b), target, backup.Restoration{ValueLimit: 99_999})
	if !errors.Is(err, backup.ErrTooLarge) || !bytes.Contains([]byte(err.Error()), []byte(`"zz"`)) || everything(t, target) != nil {
		t.Error(err)
	}
}

func TestAnotherKey(t *testing.T) {
	a, b := mem.New(), mem.New()
	filled(t, a, 3)
	other := filled(t, b, 3)
	file, _ := written(t, a)
	target := mem.New()
	var bad *eventlog.Bad
	if _, _, err := backup.Restore(t.Context(), opened(file), target, backup.Restoration{Verifier: other.Verifier()}); !errors.As(err, &bad) {
		t.Error(err)
	}
	if err := backup.Unfinished(t.Context(), target); !errors.Is(err, backup.ErrUnfinished) {
		t.Error(err)
	}
}

// TestRecorded reads a file of format 1 that was written once; it must be read
// for ever and is never written again.
func TestRecorded(t *testing.T) {
	open := func() (io.ReadCloser, error) { return os.Open("testdata/v1.backup") }
	target := mem.New()
	s, report, err := backup.Restore(t.Context(), open, target, backup.Restoration{})
	if err != nil || s.Events != 20 || s.Engine != "mem" || s.Origin != "tocsin.test/log" || report.Payloads != 20 {
		t.Errorf("%+v %v %v", s, report, err)
	}
}
