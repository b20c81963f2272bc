//go:build unix

package etcd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
)

// replicas appends from n Logs, each with its own connection and writers
// goroutines that append each batches, and returns what each appended, the
// slowest append of each, and how long it took.
func replicas(t *testing.T, n, writers, each int) (ids [][]string, slowest []time.Duration, took time.Duration) {
	t.Helper()
	o := options(cluster)
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer end()
	logs := make([]*eventlog.Log, n)
	for i := range logs {
		db := open(t, o)
		db.Use(i % 3)
		var err error
		if logs[i], err = eventlog.Open(ctx, db, eventlog.Options{}); err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			if err := logs[i].Run(ctx); err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	ids, slowest = make([][]string, n), make([]time.Duration, n)
	var mu sync.Mutex
	var all sync.WaitGroup
	began := time.Now()
	for i, log := range logs {
		for w := range writers {
			all.Go(func() {
				for j := range each {
					start := time.Now()
					events, err := log.Append(ctx, eventlog.Batch{
						Stream: fmt.Sprintf("incident/%d-%d", i, w), Expect: int64(j),
						Drafts: []eventlog.Draft{{At: 1700000000000, Actor: "person:ada", Type: "note.added", Version: 1, Causation: fmt.Sprintf("c%d-%d-%d", i, w, j), Data: json.RawMessage(`{"text":"what was done"}`)}},
					})
					if err != nil {
						t.Errorf("replica %d: append %d: %v", i, j, err)
						return
					}
					mu.Lock()
					ids[i] = append(ids[i], events[0].ID)
					slowest[i] = max(slowest[i], time.Since(start))
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	took = time.Since(began)
	report, err := eventlog.Verify(ctx, eventlog.Stored(open(t, o), "etcd"), eventlog.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Leaves != int64(n*writers*each) {
		t.Errorf("%d events are in the log, %d were appended", report.Leaves, n*writers*each)
	}
	log, err := eventlog.Open(ctx, open(t, o), eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]int{}
	for at := int64(0); at < log.Size(); {
		events, err := log.Read(ctx, at, 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			there[e.ID]++
		}
		at += int64(len(events))
	}
	for i := range ids {
		for _, id := range ids[i] {
			if there[id] != 1 {
				t.Errorf("replica %d: %s is in the log %d times", i, id, there[id])
			}
		}
	}
	return ids, slowest, took
}

// Several replicas append to one log at a time: nothing lost, nothing doubled,
// and what they signed holds.
func TestLogs(t *testing.T) {
	n, writers, each := 3, 8, 10
	if s := os.Getenv("TOCSIN_LOG_WRITERS"); s != "" {
		writers, _ = strconv.Atoi(s)
		each = 40
		_, slowest, took := replicas(t, 1, writers, each)
		t.Logf("1 replica, %d writers: %.0f appends/s, slowest %v", writers, float64(writers*each)/took.Seconds(), slowest)
	}
	_, slowest, took := replicas(t, n, writers, each)
	t.Logf("%d replicas, %d writers each: %.0f appends/s, slowest %v", n, writers, float64(n*writers*each)/took.Seconds(), slowest)
	if len(slices.Compact(slowest)) == 0 {
		t.Fatal("nobody appended")
	}
}
