package eventlog_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

// After a restart the store keeps no change older than itself, while the head
// of the log may be older: watching from the head's revision would spin.
func TestWatchIsQuietAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tocsin.db")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Open(ctx, db, eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	one := eventlog.Batch{Stream: "people", Expect: eventlog.AnySeq, Drafts: []eventlog.Draft{{Actor: "system:test", Type: "test.happened", Version: 1}}}
	if _, err := l.Append(ctx, one); err != nil {
		t.Fatal(err)
	}
	for range 3 { // what is no event comes after the head
		if _, err := db.Commit(ctx, store.Txn{Then: []store.Op{{Key: []byte("auth/other"), Value: []byte("x")}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	if db, err = bolt.Open(path, bolt.Options{}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var said bytes.Buffer
	if l, err = eventlog.Open(ctx, db, eventlog.Options{Log: slog.New(slog.NewTextHandler(&said, nil))}); err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- l.Run(ctx) }()
	// An append that Run has seen shows that it watches.
	if _, err := l.Append(ctx, one); err != nil {
		t.Fatal(err)
	}
	wait, stop := context.WithTimeout(ctx, 45*time.Second)
	defer stop()
	for page, err := range l.Follow(wait, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if page[len(page)-1].Offset == 1 {
			break
		}
	}
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(said.String(), "starts over"); n != 0 {
		t.Errorf("the watch started over %d times after a restart, want none:\n%.300s", n, said.String())
	}
}
