package intake_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/mem"
	"github.com/tocsin-ops/tocsin/store/storetest"
)

// Whatever the store does to a commit, a sender who sends until it is told 202
// ends with every alert opened and cleared exactly once.
func TestNothingLostNothingTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		faults := rapid.SliceOfN(rapid.IntRange(0, 3), 0, 12).Draw(rt, "faults")
		armed := false
		var n int
		db := storetest.Faulty(mem.New(), func(int, store.Txn) storetest.Fault {
			if !armed || n >= len(faults) {
				return storetest.Pass()
			}
			n++
			return []storetest.Fault{storetest.Pass(), storetest.Lose(), storetest.SaveAndFail(), storetest.SaveLater()}[faults[n-1]]
		})
		h := open(t, db)
		src, key := h.source(intake.Alertmanager)
		armed = true
		alerts := func(status, more string) string {
			var list []string
			for i := range 40 { // two appends of what the store takes at once
				list = append(list, fmt.Sprintf(`{"status":%q,"fingerprint":"f%d","startsAt":"2026-11-20T21:00:00Z"%s}`, status, i, more))
			}
			return `{"alerts":[` + strings.Join(list, ",") + `]}`
		}
		for _, body := range []string{alerts("firing", ""), alerts("resolved", `,"endsAt":"2026-11-20T21:01:00Z"`)} {
			for try := 0; ; try++ {
				if rapid.Bool().Draw(rt, "killed") {
					h.restart()
				}
				r := h.post(intake.Alertmanager, key, body)
				if rapid.Bool().Draw(rt, "late") {
					db.Settle(t.Context())
				}
				if r.Status == 202 {
					break
				}
				if r.Status != 503 || r.RetryAfter == 0 || try > 30 {
					rt.Fatalf("%+v", r)
				}
			}
		}
		db.Settle(t.Context())
		h.restart()
		state := signal.State{Source: src.ID}
		counts := map[string]int{}
		for seq := int64(1); ; {
			events, err := h.log.ReadStream(t.Context(), signal.StreamPrefix+src.ID, seq, 0)
			if err != nil {
				rt.Fatal(err)
			}
			if len(events) == 0 {
				break
			}
			for _, e := range events {
				counts[e.Type]++
				state = signal.Apply(state, intake.Fact(src.ID, e))
			}
			seq = events[len(events)-1].Seq + 1
		}
		if counts[signal.TypeOpened] != 40 || counts[signal.TypeCleared] != 40 || len(counts) != 2 || state.Len() != 0 {
			rt.Fatalf("%v, %d open", counts, state.Len())
		}
		if _, err := eventlog.Open(t.Context(), db, eventlog.Options{}); err != nil {
			rt.Fatal(err)
		}
	})
}
