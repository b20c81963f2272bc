package intake_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/eventlog"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/store/mem"
)

// TestSeededDesk: a desk that begins with what the world knows, however old that
// is, writes what a desk writes that has read the whole stream.
func TestSeededDesk(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ctx := t.Context()
		now := int64(1_795_000_000_000)
		clock := func() time.Time { return time.UnixMilli(now) }
		var logs [2]*eventlog.Log
		var desks [2]*intake.Desk
		for i := range logs {
			log, err := eventlog.Open(ctx, mem.Open(mem.Options{MaxOps: 4096}), eventlog.Options{})
			if err != nil {
				rt.Fatalf("%v", err)
			}
			logs[i], desks[i] = log, intake.NewDesk(log, clock)
		}
		world := projection.New(logs[1])
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			now += rapid.SampledFrom([]int64{1000, 61_000, 6 * 60_000, 4 * 24 * 3600_000}).Draw(rt, "later")
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0: // both programs start anew
				desks[0], desks[1] = intake.NewDesk(logs[0], clock), intake.NewDesk(logs[1], clock)
				desks[1].SeedFrom(world.Source)
				continue
			case 1:
				world = projection.New(logs[1])
				if err := world.CatchUp(ctx); err != nil {
					rt.Fatalf("%v", err)
				}
			}
			o := signal.Observation{
				Key: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key"), Title: "t", Severity: rapid.SampledFrom([]string{"SEV2", "SEV3"}).Draw(rt, "severity"),
				Firing: rapid.Bool().Draw(rt, "firing"), Ack: rapid.IntRange(0, 5).Draw(rt, "ack") == 0, Drill: rapid.IntRange(0, 5).Draw(rt, "drill") == 0,
				StartsAt: rapid.SampledFrom([]int64{0, now - 1000, now - 3600_000}).Draw(rt, "start"),
			}
			for i, d := range desks {
				at, err := d.Submit(ctx, "am", "source:am", []signal.Observation{o})
				if err != nil || at != logs[i].Size()-1 {
					rt.Fatalf("desk %d: at %d of %d events, %v", i, at, logs[i].Size(), err)
				}
			}
		}
		var said [2]string
		for i, log := range logs {
			page, err := log.Read(ctx, 0, 1000)
			if err != nil {
				rt.Fatalf("%v", err)
			}
			var b strings.Builder
			for _, e := range page {
				fmt.Fprintf(&b, "%d %s %d %s\n", e.Seq, e.Type, e.At, e.Data)
			}
			said[i] = b.String()
		}
		if said[0] != said[1] {
			rt.Fatalf("seeded:\n%s\nfrom the whole stream:\n%s", said[1], said[0])
		}
	})
}

// TestDesksInContention: three replicas that take deliveries of one source at
// the same time take them all, and nothing is there twice.
func TestDesksInContention(t *testing.T) {
	const desks, deliveries = 3, 60
	db := mem.Open(mem.Options{MaxOps: 4096})
	clock := func() time.Time { return time.UnixMilli(1_795_000_000_000) }
	var all sync.WaitGroup
	for i := range desks {
		log, err := eventlog.Open(t.Context(), db.Replica(), eventlog.Options{})
		if err != nil {
			t.Fatal(err)
		}
		desk := intake.NewDesk(log, clock)
		all.Go(func() {
			for n := range deliveries {
				o := func(key string, firing bool) signal.Observation {
					return signal.Observation{Key: key, Title: "t", Severity: "SEV2", Firing: firing}
				}
				// Its own alert, one that all desks send, and the end of the one before.
				list := []signal.Observation{o(fmt.Sprintf("%d-%d", i, n), true), o(fmt.Sprintf("all-%d", n), true)}
				if n > 0 {
					list = append(list, o(fmt.Sprintf("%d-%d", i, n-1), false))
				}
				if _, err := desk.Submit(t.Context(), "am", "source:am", list); err != nil {
					t.Errorf("desk %d, delivery %d: %v", i, n, err)
				}
			}
		})
	}
	all.Wait()
	log, err := eventlog.Open(t.Context(), db, eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for from := int64(1); ; {
		page, err := log.ReadStream(t.Context(), signal.StreamPrefix+"am", from, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			var about struct{ Key string }
			if err := json.Unmarshal(e.Data, &about); err != nil {
				t.Fatal(err)
			}
			times[e.Type+" "+about.Key]++
		}
		from = page[len(page)-1].Seq + 1
	}
	if want := desks*deliveries + deliveries + desks*(deliveries-1); len(times) != want {
		t.Errorf("%d facts, not %d", len(times), want)
	}
	for what, n := range times {
		if n != 1 {
			t.Errorf("%s %d times", what, n)
		}
	}
}
