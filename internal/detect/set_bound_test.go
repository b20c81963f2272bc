package detect_test

import (
	"testing"

	"github.com/tocsin-ops/tocsin/internal/detect"
)

// TestAnomaliesCarryTheirBound: people's verdicts move a detector's threshold by comparing score and bound, so what alarms is at or below its
// bound, what is weak is above, and what goes further beyond what is usual stands a stricter threshold longer.
func TestAnomaliesCarryTheirBound(t *testing.T) {
	alarms, weak := 0, 0
	for _, times := range []float64{1.5, 1.7, 2, 3, 30} {
		s := newStage(t, detect.Setup{})
		for i := range int64(4000) {
			v := 100 + float64(i*7919%13)
			if i >= 3950 {
				v *= times
			}
			s.see(number("pending", nil, begin+i*15*second, v))
		}
		for _, f := range s.all {
			switch {
			case !f.Firing:
			case f.Kind == detect.KindAnomaly:
				if alarms++; !(f.Bound > 0 && f.Score > 0 && f.Score <= f.Bound) {
					t.Errorf("%g times the usual: an alarm with score %g and bound %g", times, f.Score, f.Bound)
				}
			case f.Kind == detect.KindWeakAnomaly:
				if weak++; !(f.Bound > 0 && f.Score > f.Bound) {
					t.Errorf("%g times the usual: a weak finding with score %g and bound %g", times, f.Score, f.Bound)
				}
			}
		}
	}
	if alarms == 0 {
		t.Error("nothing alarmed")
	}
	t.Logf("%d alarms, %d weak findings", alarms, weak)
}
