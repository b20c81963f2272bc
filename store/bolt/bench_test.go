package bolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// BenchmarkCommit measures durable commits a second with 1, 16 and 100
// concurrent writers: this engine, bare bbolt with one Update for each commit,
// and db.Batch of bbolt with its defaults. The three take turns in short rounds
// of one run, so that a busy machine hurts them alike; read the ratios.
//
//	go test -run xxx -bench Commit ./store/bolt
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 16, 100} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) { compare(b, writers) })
	}
}

const (
	rounds = 4
	turn   = 250 * time.Millisecond
)

var benchValue = make([]byte, 200)

func compare(b *testing.B, writers int) {
	d := fresh(b, Options{})
	bare, batch := bareBolt(b), bareBolt(b)
	contenders := []struct {
		name   string
		commit func(key []byte) error
		n      atomic.Int64
		took   time.Duration
	}{
		{name: "group", commit: func(key []byte) error {
			_, err := d.Commit(context.Background(), putTxn(string(key), string(benchValue)))
			return err
		}},
		{name: "update", commit: func(key []byte) error { return bare.Update(putInto(key)) }},
		{name: "batch", commit: func(key []byte) error { return batch.Batch(putInto(key)) }},
	}
	// One call measures all it needs in a fixed time; b.N stays 1.
	for range rounds {
		for i := range contenders {
			c := &contenders[i]
			begin := time.Now()
			end := begin.Add(turn)
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for time.Now().Before(end) {
						key := binary.BigEndian.AppendUint64([]byte("event/"), uint64(c.n.Add(1)))
						if err := c.commit(key); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			c.took += time.Since(begin)
		}
	}
	rate := func(i int) float64 { return float64(contenders[i].n.Load()) / contenders[i].took.Seconds() }
	for i := range contenders {
		b.ReportMetric(rate(i), contenders[i].name+"-commits/s")
	}
	b.ReportMetric(rate(0)/rate(1), "ratio-to-update")
	b.ReportMetric(rate(0)/rate(2), "ratio-to-batch")
	b.ReportMetric(0, "ns/op")
}

// bareBolt is bbolt as this engine opens it, with nothing around it.
func bareBolt(b *testing.B) *bbolt.DB {
	b.Helper()
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, &bbolt.Options{
		FreelistType: bbolt.FreelistMapType, NoStatistics: true, InitialMmapSize: reserve(),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(bucketKeys); return err }); err != nil {
		b.Fatal(err)
	}
	return db
}

func putInto(key []byte) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		keys := tx.Bucket(bucketKeys)
		keys.FillPercent = 0.8
		return keys.Put(key, benchValue)
	}
}
