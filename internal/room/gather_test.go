package room

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/store"
)

// late is a store whose commits take 8 ms.
type late struct {
	store.DB
	commits *int
}

func (l late) MaxOps() int { return store.OpLimit(l.DB) }

func (l late) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	*l.commits++
	time.Sleep(8 * time.Millisecond)
	return l.DB.Commit(ctx, txn)
}

// TestWaitsForWhoWasThere: who was in the last batch, or came during it, is
// waited for a part of its time, once; whoever is alone never waits. In one
// incident the desk waits, among several the log.
func TestWaitsForWhoWasThere(t *testing.T) {
	for incidents, wait := range map[int64]time.Duration{1: 8 * time.Millisecond / gather, 2: time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			commits := 0
			h := open(t, late{memory(), &commits})
			n := h.declared("Gathers")
			other := n
			if incidents == 2 {
				other = h.declared("Gathers too")
			}
			commits = 0
			begin := time.Now()
			since := func(want time.Duration, wantCommits int) {
				t.Helper()
				if got := time.Since(begin); got != want || commits != wantCommits {
					t.Errorf("%d incidents: after %s with %d commits, want %s with %d", incidents, got, commits, want, wantCommits)
				}
			}
			const group = 8 * time.Millisecond
			note := func(n int64) { h.must(n, incident.AddNote{Text: "x"}, newID()) }
			var wg sync.WaitGroup
			wg.Go(func() {
				note(n)
				time.Sleep(wait / 2) // is back in time
				note(n)
				since(2*group+wait/2, 2)
			})
			wg.Go(func() {
				time.Sleep(group / 8) // comes while the first is written
				note(other)
				since(2*group+wait/2, 2)
			})
			wg.Wait()
			note(n) // one of two did not come back
			since(3*group+wait/2+wait, 3)
			note(n) // alone
			since(4*group+wait/2+wait, 4)
		})
	}
}
