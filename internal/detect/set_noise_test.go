package detect_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/detect"
)

// TestNoiseIsNotCombined: ten independent series of mere noise about one thing hardly ever come together, however often one looks.
func TestNoiseIsNotCombined(t *testing.T) {
	for _, c := range []struct{ step, days int64 }{{15, 2}, {60, 6}, {300, 20}} {
		s := newStage(t, detect.Setup{})
		m := &maker{noise: 9}
		for at := begin; at < begin+c.days*86_400*second; at += c.step * second {
			for i := range 10 {
				g := math.Sqrt(-2*math.Log(1-m.random())) * math.Cos(2*math.Pi*m.random())
				s.see(number(fmt.Sprint("noise_", i), map[string]string{"job": "x"}, at, 100+5*g))
			}
		}
		n := s.pages(0, 0)
		t.Logf("a value each %d s, ten series for %d days: pages %v (%.2f anomalies a series and day), weak %d, combined %v", c.step, c.days, n,
			float64(n[detect.KindAnomaly])/float64(10*c.days), s.of("weak_anomaly/")["open"], s.of("combined/"))
		if n[detect.KindCombined] > 1 || s.of("combined/")["worse"] > 0 {
			t.Errorf("combined %d times", n[detect.KindCombined])
		}
		if c.step == 60 { // but when six of them shift together, it is seen before any of them alarms by itself
			was := len(s.all)
			from := s.set.Now()
			for k := range int64(12) {
				for i := range 10 {
					v := 100 + float64(k%3)
					if i < 6 {
						v += 17
					}
					s.see(number(fmt.Sprint("noise_", i), map[string]string{"job": "x"}, from+(k+1)*c.step*second, v))
				}
			}
			first := map[string]int64{}
			for _, f := range s.all[was:] {
				if _, has := first[f.Kind]; !has && f.Firing {
					first[f.Kind] = (f.At - from) / second
				}
			}
			t.Logf("six of ten shift by less than four sigma: first told after s: %v", first)
			if at, has := first[detect.KindCombined]; !has || at > 180 {
				t.Errorf("%v", first)
			}
		}
	}
}
