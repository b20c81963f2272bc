package eventlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-ops/tocsin/store"
)

// record makes the recorded log of this release. Recorded logs must replay for
// ever, so one that exists is never written again.
var recordFlag = flag.Bool("record", false, "record testdata/"+recordedName+" if it is not there yet")

const recordedName = "v1"

// pair is one key of a dump; JSON writes both as base64.
type pair struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value"`
}

func recordLog(t *testing.T, dumpPath, eventsPath string) {
	db := newDB(t)
	l := sample(t, db, 40)
	redact(t, l, 3)
	d := draft("person.invited")
	d.Drill, d.Data = true, json.RawMessage(`{"name":"Zoë","n":[1,2.5,null,true]}`)
	add(t, l, "people", d)
	redact(t, l, 20)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for _, prefix := range []string{prefixAll, "secret/"} {
		for _, kv := range dump(t, db, prefix) {
			if err := enc.Encode(pair{kv.Key, kv.Value}); err != nil {
				t.Fatal(err)
			}
		}
	}
	events, err := l.Read(t.Context(), 0, MaxRead)
	if err != nil {
		t.Fatal(err)
	}
	for path, b := range map[string][]byte{dumpPath: out.Bytes(), eventsPath: []byte(show(events) + "\n")} {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRecordedLogs: every log ever recorded verifies, reads as it read then, and
// takes new events on top.
func TestRecordedLogs(t *testing.T) {
	if *recordFlag {
		path := filepath.Join("testdata", recordedName+".log.ndjson")
		if _, err := os.Stat(path); err == nil {
			t.Fatalf("%s exists; recorded logs are never recorded again: choose a new name", path)
		}
		recordLog(t, path, filepath.Join("testdata", recordedName+".events.json"))
	}
	logs, err := filepath.Glob("testdata/*.log.ndjson")
	if err != nil || len(logs) == 0 {
		t.Fatalf("recorded logs: %v, %v", logs, err)
	}
	for _, path := range logs {
		t.Run(filepath.Base(path), func(t *testing.T) {
			db := newDB(t)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			lines := bufio.NewScanner(f)
			lines.Buffer(nil, 2*MaxPayload)
			for lines.Scan() {
				var p pair
				if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
					t.Fatal(err)
				}
				put(t, db, p.Key, p.Value)
			}
			if err := lines.Err(); err != nil {
				t.Fatal(err)
			}
			before := mustVerify(t, db)
			l := open(t, db)
			events, err := l.Read(t.Context(), 0, MaxRead)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(path[:len(path)-len(".log.ndjson")] + ".events.json")
			if err != nil {
				t.Fatal(err)
			}
			if got := show(events) + "\n"; got != string(want) {
				t.Errorf("it reads now\n%s\nit read\n%s", got, want)
			}
			add(t, l, "incident/1", draft("note.added"))
			r, err := Verify(t.Context(), Stored(store.DB(db), path), VerifyOptions{Known: &before.Checkpoint})
			if err != nil || r.Checkpoint.Size != before.Checkpoint.Size+1 {
				t.Errorf("with one more event: %+v, %v", r, err)
			}
		})
	}
}
