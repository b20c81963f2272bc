package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/snapshot"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// grown is a log of so many events; each of another seed has other events.
func grown(t *testing.T, seed string, events int) *eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), mem.Open(mem.Options{MaxOps: 4096}), eventlog.Options{Origin: "example.org/log"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		d := eventlog.Draft{ID: fmt.Sprintf("%s-%d", seed, i), At: 1, Actor: "person:ana", Type: "x.y", Version: 1}
		if _, err := log.Append(t.Context(), eventlog.Batch{Stream: "x", Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{d}}); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

var body = []byte("C{\"a\":1}\nC{\"b\":2}\n")

func written(t *testing.T, log snapshot.Log, size int64) snapshot.File {
	t.Helper()
	f := snapshot.File{Path: filepath.Join(t.TempDir(), "snapshot", "world"), Shape: "1-abc"}
	if err := f.Write(t.Context(), log, size, body); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWriteAndRead(t *testing.T) {
	log := grown(t, "a", 7)
	f := written(t, log, 5)
	size, got, err := f.Read(t.Context(), log)
	if err != nil || size != 5 || !bytes.Equal(got, body) {
		t.Errorf("%d, %q, %v", size, got, err)
	}
	info, err := os.Stat(f.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v, %v", info.Mode(), err)
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	if err := f.Remove(); err != nil {
		t.Errorf("no file is no error: %v", err)
	}
	if _, _, err := f.Read(t.Context(), log); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, snapshot.ErrUnfit) {
		t.Error(err)
	}
	if err := f.Write(t.Context(), log, 8, body); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("of more events than there are: %v", err)
	}
}

// TestEveryDamage: no byte can be lost, added or another, anywhere in the file.
func TestEveryDamage(t *testing.T) {
	log := grown(t, "a", 7)
	f := written(t, log, 5)
	whole, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, damaged []byte) {
		t.Helper()
		if err := os.WriteFile(f.Path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, got, err := f.Read(t.Context(), log); !errors.Is(err, snapshot.ErrUnfit) || got != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 0x10
		try(fmt.Sprintf("byte %d is another", i), flipped)
		try(fmt.Sprintf("%d bytes are left", i), whole[:i])
	}
	try("longer", append(bytes.Clone(whole), 0))
	try("twice", append(bytes.Clone(whole), whole...))
	try("zeros", make([]byte, len(whole)))
}

func TestOfAnotherLog(t *testing.T) {
	ctx := t.Context()
	log := grown(t, "a", 7)
	f := written(t, log, 5)
	for name, c := range map[string]struct {
		log  snapshot.Log
		file snapshot.File
		want string
	}{
		"other events":           {grown(t, "b", 7), f, "others than those"},
		"rolled back":            {grown(t, "a", 4), f, "the log 4"},
		"another origin":         {named{log}, f, "not of"},
		"another program":        {log, snapshot.File{Path: f.Path, Shape: "2-abc"}, "another version"},
		"the root is not to had": {silent{log}, f, "no store"},
	} {
		_, got, err := c.file.Read(ctx, c.log)
		if !errors.Is(err, snapshot.ErrUnfit) || got != nil || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	// A log that only grew is the same log, also when an event was redacted.
	if _, err := log.Redact(ctx, 2, eventlog.Draft{At: 1, Actor: "person:ana", Data: []byte(`{"reason":"private"}`)}); err != nil {
		t.Fatal(err)
	}
	if size, _, err := f.Read(ctx, log); err != nil || size != 5 {
		t.Errorf("%d, %v", size, err)
	}
}

type named struct{ *eventlog.Log }

func (named) Origin() string { return "example.com/log" }

type silent struct{ *eventlog.Log }

func (silent) Root(context.Context, int64) (tlog.Hash, error) {
	return tlog.Hash{}, errors.New("no store")
}

// TestCrashWhileWriting: what a crash leaves of a new file takes nothing from
// the old one, is written over, and goes with it.
func TestCrashWhileWriting(t *testing.T) {
	log := grown(t, "a", 7)
	f := written(t, log, 5)
	half := f.Path + ".new"
	if err := os.WriteFile(half, []byte("tocsin snapshot 1\n{\"sha"), 0o600); err != nil {
		t.Fatal(err)
	}
	if size, _, err := f.Read(t.Context(), log); err != nil || size != 5 {
		t.Errorf("%d, %v", size, err)
	}
	if err := f.Write(t.Context(), log, 6, body); err != nil {
		t.Fatal(err)
	}
	if size, _, err := f.Read(t.Context(), log); err != nil || size != 6 {
		t.Errorf("%d, %v", size, err)
	}
	if _, err := os.Stat(half); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(half, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Dir(f.Path)); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
	// A disk that takes nothing leaves the old file.
	f = written(t, log, 5)
	if err := os.Mkdir(f.Path+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), log, 6, body); err == nil {
		t.Error("written where nothing can be written")
	}
	if size, _, err := f.Read(t.Context(), log); err != nil || size != 5 {
		t.Errorf("%d, %v", size, err)
	}
}

func TestShape(t *testing.T) {
	type inner struct{ A int }
	type tree struct{ Children []tree }
	shapes := map[string]string{}
	for name, s := range map[string]string{
		"one": snapshot.Shape(1, inner{}), "version": snapshot.Shape(2, inner{}), "two": snapshot.Shape(1, inner{}, inner{}),
		"name": snapshot.Shape(1, struct{ B int }{}),
		"type": snapshot.Shape(1, struct{ A int32 }{}),
		"tag": snapshot.Shape(1, struct {
			A int `json:"a"`
		}{}),
		"more":    snapshot.Shape(1, struct{ A, B int }{}),
		"nested":  snapshot.Shape(1, struct{ A []map[string]*inner }{}),
		"nested2": snapshot.Shape(1, struct{ A []map[string]inner }{}),
		"array":   snapshot.Shape(1, struct{ A [3]int }{}),
		"array4":  snapshot.Shape(1, struct{ A [4]int }{}),
		"tree":    snapshot.Shape(1, tree{}),
	} {
		if other, twice := shapes[s]; twice {
			t.Errorf("%s and %s are of one shape", name, other)
		}
		shapes[s] = name
	}
	if snapshot.Shape(1, inner{}) != snapshot.Shape(1, inner{}) {
		t.Error("one type has two shapes")
	}
}
