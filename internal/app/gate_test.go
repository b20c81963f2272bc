package app

import (
	"cmp"
	"fmt"
	"math"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/feedback"
	"github.com/tocsin-ops/tocsin/internal/observation"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

const began = int64(1_700_000_000_000)

// stalled is a Bitcoin chain that makes no block any more.
func stalled() (out []chain.Finding) {
	m := chain.NewMonitor(chain.Config{Chain: "btc", Family: chain.Bitcoin, ChainID: "main", Nodes: []string{"a"}, Recorded: true})
	b := chain.Block{Height: 1, Hash: "x1", Time: began}
	m.Observe(chain.Observation{Kind: chain.KindHead, Node: "a", At: began, Head: &b})
	for at := began; at < began+3*3_600_000; at += 10_000 {
		out = append(out, m.Tick(at).Findings...)
	}
	return out
}

// spiked is a chain whose fee is so many times what it was for three days.
func spiked(times float64) (out []chain.Finding) {
	m := chain.NewMonitor(chain.Config{Chain: "eth", Family: chain.EVM, ChainID: "1", Nodes: []string{"a"}})
	for i := range int64(3*7200 + 60) {
		fee := 20.0
		if i%9 == 0 {
			fee = 22
		}
		if i >= 3*7200 {
			fee *= times
		}
		b := chain.Block{Height: i, Hash: fmt.Sprint("h", i), Parent: fmt.Sprint("h", i-1), Time: began + i*12_000, BaseFee: &fee}
		out = append(out, m.Observe(chain.Observation{Kind: chain.KindHead, Node: "a", At: b.Time, How: chain.Polled, Head: &b}).Findings...)
	}
	return out
}

// repeated is a bridge that pays the same odd amount to ever more parties.
func repeated() (out []chain.Finding) {
	s := detect.NewSet(detect.Setup{})
	pay := func(i int64, amount string, usd float64) {
		out = append(out, s.Observe(observation.Observation{At: began + i*60_000, Kind: observation.Withdrawal, Bridge: "b", Chain: "ethereum", Tx: fmt.Sprint("0x", i),
			ID: fmt.Sprint(i), Token: "USDC", Amount: amount, USD: &usd, Beneficiary: fmt.Sprint("p", i)})...)
	}
	for i := range int64(300) {
		pay(i, fmt.Sprint(1000+i*37), float64(1000+i*37))
	}
	for i := range int64(20) {
		pay(300+i, "100000", 100000)
	}
	return out
}

// odd is a queue that is somewhat longer than it was.
func odd(times float64) (out []chain.Finding) {
	s := detect.NewSet(detect.Setup{})
	for i := range int64(4000) {
		v := 100 + float64(i*7919%13)
		if i >= 3950 {
			v *= times
		}
		out = append(out, s.Observe(observation.Observation{At: began + i*15_000, Kind: observation.Sample, Series: "pending", Value: &v})...)
	}
	return out
}

// TestStrictnessMoves: half a decade stricter makes of an alarm just beyond its bound a weak finding, and of one far beyond it none; half a decade
// more sensitive makes an alarm of a weak one just short of it; and nothing that is weak by another rule becomes an alarm.
func TestStrictnessMoves(t *testing.T) {
	kinds := map[string]int{}
	look := func(list []chain.Finding) {
		for _, f := range list {
			if !f.Firing || f.Bound <= 0 {
				continue
			}
			if f.Score <= 0 || !f.Weak && f.Score > f.Bound {
				t.Errorf("%s: score %g and bound %g of an alarm", f.Key, f.Score, f.Bound)
			}
			kinds[f.Kind]++
			for _, s := range []float64{-0.5, 0, 0.5} {
				d := &detectors{strict: map[string]float64{"x": s}}
				got, severity := d.gate(signal.Finding{Detector: "x", Score: f.Score, Bound: f.Bound, Weak: f.Weak}, f.Severity)
				want := f.Weak
				switch {
				case s > 0:
					want = f.Weak || f.Score > f.Bound/math.Sqrt(10)
				case s < 0 && f.Weak:
					want = f.Score <= f.Bound || f.Score > f.Bound*math.Sqrt(10)
				}
				if got.Weak != want || got.Weak && !f.Weak && severity != signal.SEV5 || !got.Weak && f.Weak && severity == signal.SEV5 {
					t.Errorf("%s: score %g, bound %g, weak %v, at %+g: weak %v, %s", f.Key, f.Score, f.Bound, f.Weak, s, got.Weak, severity)
				}
			}
		}
	}
	look(stalled())
	for _, times := range []float64{3.2, 4, 40} {
		look(spiked(times))
	}
	look(repeated())
	for _, times := range []float64{1.3, 1.5, 1.7, 2, 3, 30} {
		look(odd(times))
	}
	for _, kind := range []string{chain.FindingStall, chain.FindingFeeSpike, detect.KindRepeatedAmount} {
		if kinds[kind] == 0 {
			t.Errorf("no %s: %v", kind, kinds)
		}
	}
	// The same at the very edge.
	for _, c := range []struct {
		score float64
		weak  bool
		by    float64
		want  bool
	}{{0.9e-4, false, 0.5, true}, {1e-6, false, 0.5, false}, {2e-4, true, -0.5, false}, {5e-4, true, -0.5, true}, {0.5e-4, true, -0.5, true}, {0.5e-4, true, 0.25, true}} {
		d := &detectors{strict: map[string]float64{"x": c.by}}
		if f, _ := d.gate(signal.Finding{Detector: "x", Score: c.score, Bound: 1e-4, Weak: c.weak}, signal.SEV4); f.Weak != c.want {
			t.Errorf("%+v: weak %v", c, f.Weak)
		}
	}
	if !feedback.Alarms(1e-4, 1e-4, 0) || cmp.Compare(feedback.Strictest, 0.5) < 0 {
		t.Error("the bound itself is no alarm")
	}
}
