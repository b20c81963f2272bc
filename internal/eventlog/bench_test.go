package eventlog

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tocsin-ops/tocsin/store/bolt"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// BenchmarkAppend is durable appends on bolt; appends/s is what matters.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("bolt/%d", writers), func(b *testing.B) {
			db, err := bolt.Open(filepath.Join(b.TempDir(), "db"), bolt.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			l := open(b, db)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						_, err := l.Append(context.Background(), Batch{Stream: fmt.Sprintf("s/%d", w), Expect: AnySeq, Drafts: []Draft{draft("t")}})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		})
	}
}

// BenchmarkVerify verifies a log of 100,000 events in memory.
func BenchmarkVerify(b *testing.B) {
	db := mem.Open(mem.Options{MaxOps: 4096})
	defer db.Close()
	l := open(b, db)
	drafts := make([]Draft, 1000)
	for i := range drafts {
		drafts[i] = draft("signal.opened")
		drafts[i].Causation = fmt.Sprintf("c%d", i/3)
	}
	for i := range 100 {
		add(b, l, fmt.Sprintf("signal/%d", i%7), drafts...)
	}
	b.ResetTimer()
	for range b.N {
		if _, err := Verify(context.Background(), Stored(db, "bench"), VerifyOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(100_000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRead reads pages of 512 from memory.
func BenchmarkRead(b *testing.B) {
	l := bigLog(b, 1024)
	b.ResetTimer()
	for range b.N {
		if _, err := l.Read(context.Background(), 256, 512); err != nil {
			b.Fatal(err)
		}
	}
}
