package telemetry

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// TestManualIsNow plays ten minutes of a chain's own time in ten seconds: what leaves is of the wall, the spacing inside is the chain's own.
func TestManualIsNow(t *testing.T) {
	run(t, func(t *testing.T, s *Supervisor, d *desk) {
		c := plain("drill", "a")
		c.Manual = true
		if err := s.Set([]Chain{c}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now().UnixMilli()
		for i := range int64(51) {
			b := chain.Block{Height: i, Hash: string(rune('A' + i)), Parent: string(rune('A' + i - 1)), Time: 1_000_000 + i*12_000}
			inject(t, s, chain.Observation{Kind: chain.KindHead, Chain: "drill", Node: "a", At: b.Time + 500, Head: &b, Drill: true})
			inject(t, s, chain.Observation{Kind: chain.KindTick, Chain: "drill", At: b.Time + 6000, Drill: true})
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			v, _ := s.View("drill")
			if now := time.Now().UnixMilli(); v.At < now-200 || v.At > now || v.Head.Time < now-6200 || v.Head.Time > now || v.Nodes[0].Heard > now || v.HeadAge > 6000 {
				t.Fatalf("at %d: %+v", now, v)
			}
		}
		v, _ := s.View("drill")
		for i, iv := range v.Intervals {
			if iv.MS != 12_000 || i > 0 && iv.At-v.Intervals[i-1].At != 12_000 {
				t.Fatalf("intervals %+v", v.Intervals)
			}
		}
		last := v.Head
		for after := int64(10_000); after <= 70_000; after += 10_000 { // it answers, but nothing new comes
			inject(t, s, chain.Observation{Kind: chain.KindHead, Chain: "drill", Node: "a", At: 1_600_000 + after, Head: &last, Drill: true})
			inject(t, s, chain.Observation{Kind: chain.KindTick, Chain: "drill", At: 1_600_000 + after, Drill: true})
		}
		now := time.Now().UnixMilli()
		if len(d.findings) != 1 || d.findings[0].Kind != chain.FindingStall || d.findings[0].At != now || now-d.findings[0].Since != 69_500 {
			t.Errorf("findings %+v", d.findings)
		}
		for _, m := range d.samples {
			if m.At < began || m.At > now {
				t.Errorf("sample %+v is not of the %d to %d", m, began, now)
			}
		}
	})
}
