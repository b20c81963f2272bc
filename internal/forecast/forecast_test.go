package forecast_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-ops/tocsin/internal/forecast"
)

const hour = int64(3_600_000)

func line(n int, step int64, f func(i int) float64) []forecast.Point {
	out := make([]forecast.Point, n)
	for i := range out {
		out[i] = forecast.Point{At: int64(i) * step, Value: f(i)}
	}
	return out
}

func TestAStraightLine(t *testing.T) {
	p := line(100, hour/10, func(i int) float64 { return 100 - float64(i) }) // 10 an hour, 1 left
	c, ok := forecast.Cross(p[:91], 9*hour, forecast.Bound{Value: 0}, 48*hour)
	if !ok || math.Abs(float64(c.At-10*hour)) > float64(hour)/4 || c.Likely < 0.99 || math.Abs(c.Slope+10) > 0.2 || c.Low > c.At || c.High < c.At {
		t.Errorf("%+v", c)
	}
	if !strings.Contains(c.Sentence, "below 0 in about") {
		t.Errorf("%q", c.Sentence)
	}
	if c, _ := forecast.Cross(p, 10*hour, forecast.Bound{Value: 500, Above: true}, 48*hour); c.Likely > 0.01 || c.At != 0 || !strings.Contains(c.Sentence, "not expected") {
		t.Errorf("away from the bound: %+v", c)
	}
	if c, _ := forecast.Cross(p, 10*hour, forecast.Bound{Value: 50}, 48*hour); !c.Crossed || !strings.Contains(c.Sentence, "already") {
		t.Errorf("beyond it: %+v", c)
	}
	if _, ok := forecast.Cross(p[:5], hour, forecast.Bound{Value: 0}, hour); ok {
		t.Error("five points make no trend")
	}
}

// TestADailyRhythmIsNoTrend: the rising flank of a day is not extrapolated with certainty.
func TestADailyRhythmIsNoTrend(t *testing.T) {
	day := func(i int) float64 { return 100 + 40*math.Sin(2*math.Pi*float64(i)/144) }
	p := line(144*3+30, hour/6, day)
	c, ok := forecast.Cross(p, p[len(p)-1].At, forecast.Bound{Value: 400, Above: true}, 24*hour)
	if !ok || c.Likely > 0.2 {
		t.Errorf("%+v", c)
	}
}

// TestIntervalsHold: on walks with a drift, four of five crossings fall into the interval that was said before.
func TestIntervalsHold(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	inside, said := 0, 0
	for range 400 {
		drift, sd, v := 0.2+r.Float64(), 1+3*r.Float64(), 0.0
		next := func() float64 { v += drift + sd*r.NormFloat64(); return v }
		p := line(240, hour/60, func(int) float64 { return next() })
		bound, now := v+40+60*r.Float64(), p[len(p)-1].At
		c, ok := forecast.Cross(p, now, forecast.Bound{Value: bound, Above: true}, 30*24*hour)
		if !ok || c.Crossed {
			continue
		}
		at := now
		for next() < bound && at < now+30*24*hour {
			at += hour / 60
		}
		said++
		if at+hour/60 >= c.Low && (c.High == 0 || at <= c.High) {
			inside++
		}
	}
	share := float64(inside) / float64(said)
	t.Logf("%d of %d crossings inside their 80 %% interval (%.2f)", inside, said, share)
	if share < 0.72 || share > 0.97 {
		t.Errorf("%.2f of the crossings fall into intervals of 80 %%", share)
	}
}

func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 200).Draw(t, "n")
		p := make([]forecast.Point, n)
		at := int64(0)
		for i := range p {
			at += rapid.Int64Range(-1000, 100_000).Draw(t, "dt")
			p[i] = forecast.Point{At: at, Value: rapid.Float64().Draw(t, "v")}
		}
		b := forecast.Bound{Value: rapid.Float64Range(-1e300, 1e300).Draw(t, "b"), Above: rapid.Bool().Draw(t, "above")}
		c, ok := forecast.Cross(p, at, b, 30*24*hour)
		if !ok {
			return
		}
		if math.IsNaN(c.Likely) || c.Likely < 0 || c.Likely > 1 || c.Sentence == "" || (c.Low > 0 && c.At > 0 && c.Low > c.At) || (c.High > 0 && c.High < c.At) {
			t.Fatalf("%+v", c)
		}
	})
}

var graph = []forecast.Edge{{Service: "withdrawals", On: "hot-wallet"}, {Service: "hot-wallet", On: "node"}, {Service: "deposits", On: "node"}, {Service: "node", On: "withdrawals"}, {Service: "site", On: "site"}}

func TestSpreadFromTheGraphAlone(t *testing.T) {
	out := forecast.Spread(graph, nil, map[string]int64{"node": 0}, 60_000)
	if len(out) != 3 || out[0].Service != "deposits" || out[1].Service != "hot-wallet" || out[2].Service != "withdrawals" {
		t.Fatalf("%+v", out)
	}
	w := out[2]
	if math.Abs(w.Likelihood-4.0/9) > 1e-9 || strings.Join(w.Path, ">") != "node>hot-wallet>withdrawals" || w.Median != 2*5*60_000 || w.Low >= w.Median || w.High <= w.Median ||
		!strings.Contains(w.Reason, "no incident of the past has shown it yet") {
		t.Errorf("%+v", w)
	}
	if out := forecast.Spread(graph, nil, map[string]int64{"node": 0, "deposits": 0, "hot-wallet": 0, "withdrawals": 0}, 0); len(out) != 0 {
		t.Errorf("all suffer already: %+v", out)
	}
}

func TestSpreadLearns(t *testing.T) {
	var past []forecast.Past
	for i := range 40 {
		p := forecast.Past{"node": 1000}
		if i%10 == 0 {
			p["deposits"] = 1000 + 2*hour
		}
		p["hot-wallet"] = 1000 + 30_000
		past = append(past, p)
	}
	out := forecast.Spread(graph, past, map[string]int64{"node": 0}, 0)
	byName := map[string]forecast.Reach{}
	for _, r := range out {
		byName[r.Service] = r
	}
	if d := byName["deposits"]; d.Likelihood > 0.2 || d.Learned != 40 {
		t.Errorf("felt once in ten: %+v", d)
	}
	h := byName["hot-wallet"]
	if h.Likelihood < 0.95 || h.Median > 60_000 || h.Median < 20_000 || !strings.Contains(h.Reason, "40 of 40 incidents of node") {
		t.Errorf("felt always after 30 s: %+v", h)
	}
	if w, listed := byName["withdrawals"]; listed {
		t.Errorf("40 incidents of the hot wallet never reached the withdrawals: %+v", w)
	}
}
