package chain

import (
	"fmt"
	"strings"
	"testing"
)

const day = 24 * 3600000

// fees plays blocks every five minutes with the base fee that fee gives for a time, from and to in ms.
func fees(m *Monitor, from, to int64, fee func(at int64) float64) (out []Finding) {
	for at := from; at < to; at += 300000 {
		h := at / 300000
		v := fee(at)
		out = append(out, m.Observe(Observation{At: at, Node: "a", Kind: KindHead, Head: &Block{Height: h, Hash: fmt.Sprint("h", h), Parent: fmt.Sprint("h", h-1), Time: at, BaseFee: &v}}).Findings...)
		for tick := at + 20000; tick < at+300000; tick += 20000 {
			out = append(out, m.Tick(tick).Findings...)
		}
	}
	return out
}

// TestFeeSpikeIsHeldAgainstTheSameHour: evenings cost four times the mornings every day, which is no alarm; a morning at evening prices is.
func TestFeeSpikeIsHeldAgainstTheSameHour(t *testing.T) {
	m := NewMonitor(Config{Chain: "x", Family: EVM, ChainID: "none", Nodes: []string{"a"}, Interval: 300000, Recorded: true})
	usual := func(at int64) float64 {
		noise := 1 + 0.1*float64(at/300000%5)
		if at%day >= 16*3600000 {
			return 40 * noise
		}
		return 10 * noise
	}
	start := int64(20 * day)
	if got := fees(m, start, start+7*day, usual); len(got) != 0 {
		t.Fatalf("a usual week: %v", got)
	}
	spike := func(at int64) float64 {
		if at%day >= 6*3600000 && at%day < 8*3600000 {
			return 60
		}
		return usual(at)
	}
	got := fees(m, start+7*day, start+8*day, spike)
	if len(got) < 2 || !got[0].Firing || got[0].Key != "x/fee_spike" || got[len(got)-1].Firing {
		t.Fatalf("a morning at 60: %v", got)
	}
	opens := 0
	for i, f := range got {
		if f.Firing && (i == 0 || !got[i-1].Firing) {
			opens++
		}
	}
	after := got[0].At - (start + 7*day + 6*3600000)
	t.Logf("opened %s after the spike began: %s", dur(after), got[0].Reason)
	if opens != 1 || after > 1800000 || got[0].Score <= 0 || got[0].Score > 0.05 || !strings.Contains(got[0].Reason, "normal at this hour") {
		t.Errorf("%d openings, first after %s: %+v", opens, dur(after), got[0])
	}
	// a level that stays is learned within days, and what was a spike does not count as normal at once
	lasting := func(at int64) float64 { return 6 * usual(at) }
	got = fees(m, start+8*day, start+22*day, lasting)
	if len(got) == 0 || got[len(got)-1].Firing || len(m.Open()) != 0 {
		t.Errorf("a lasting level: open %v after fourteen days", m.Open())
	}
}

// TestPoolAgainstItsOwnPast: what waits in an EVM pool is held against the same hour's past.
func TestPoolAgainstItsOwnPast(t *testing.T) {
	m := NewMonitor(Config{Chain: "x", Family: EVM, ChainID: "none", Nodes: []string{"a"}, Interval: 300000, Recorded: true})
	var got []Finding
	play := func(from, to int64, pending int64) {
		for at := from; at < to; at += 60000 {
			if at%300000 == 0 {
				h := at / 300000
				got = append(got, m.Observe(Observation{At: at, Node: "a", Kind: KindHead, Head: &Block{Height: h, Hash: fmt.Sprint("h", h), Parent: fmt.Sprint("h", h-1), Time: at}}).Findings...)
			}
			got = append(got, m.Observe(Observation{At: at, Node: "a", Kind: KindMempool, Mempool: &Mempool{Pending: pending + at/60000%7}}).Findings...)
			got = append(got, m.Tick(at).Findings...)
		}
	}
	play(20*day, 23*day, 150)
	if len(got) != 0 {
		t.Fatalf("usual days: %v", got)
	}
	play(23*day, 23*day+2*3600000, 5000)
	play(23*day+2*3600000, 23*day+3*3600000, 150)
	if len(got) < 2 || got[0].Key != "x/mempool_full" || got[len(got)-1].Firing {
		t.Fatalf("%v", got)
	}
	t.Log(got[0].Reason, "|", got[len(got)-1].Reason)
}

// TestSeasonIsBounded: memory does not grow with time.
func TestSeasonIsBounded(t *testing.T) {
	var s season
	for at := int64(0); at < 60*day; at += 60000 {
		s.add(at, 1+float64(at%7))
	}
	for h, v := range s.Hours {
		if len(v) != seasonDays*seasonPerDay {
			t.Errorf("hour %d has %d values", h, len(v))
		}
	}
}
