package notify

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/store/bolt"
)

// BenchmarkSubmitToSent measures on a real file how long it takes from Submit to the provider's hands: one page at a time, each to another person.
func BenchmarkSubmitToSent(b *testing.B) {
	db, err := bolt.Open(filepath.Join(b.TempDir(), "t.db"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var mu sync.Mutex
	arrived := map[string]chan time.Time{}
	p := &provider{kind: Email, says: func(_ context.Context, parcel Parcel) (Answer, error) {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range parcel.Messages {
			arrived[m.ID] <- time.Now()
		}
		return Answer{Detail: "taken"}, nil
	}}
	n := New(Options{DB: db, Senders: []Sender{p}})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = n.Run(ctx) }()
	defer func() { cancel(); <-done }()
	var took []time.Duration
	i := 0
	for b.Loop() {
		i++
		m := page(int64(i), fmt.Sprint("p", i)) // each person once: nobody's pace is measured
		if err := n.change(ctx, m.Person, func(l *routeList) error {
			l.List = []Route{{ID: "r1", Kind: Email, Label: "e-mail", Verified: 1}}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		at := make(chan time.Time, 1)
		mu.Lock()
		arrived[m.ID] = at
		mu.Unlock()
		time.Sleep(120 * time.Millisecond) // below the provider's rate
		began := time.Now()
		if err := n.Submit(ctx, []Message{m}); err != nil {
			b.Fatal(err)
		}
		took = append(took, (<-at).Sub(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
