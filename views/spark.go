package views

import (
	"math"
	"strconv"
	"strings"
)

// sparkPoints turns values into the points of a polyline in a 100 by 24 box. Fewer than two values give "".
// A flat series lies on the floor, so that calm looks calm. Values that are not numbers are left out.
func sparkPoints(values []float64) string {
	if len(values) > 60 {
		values = values[len(values)-60:]
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		low, high = math.Min(low, v), math.Max(high, v)
	}
	if len(values) < 2 || low > high {
		return ""
	}
	if low > 0 {
		low = 0 // a line of durations or depths stands on zero
	}
	var b strings.Builder
	step := 100 / float64(len(values)-1)
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		y := 23.0
		if d := high/2 - low/2; d > 0 { // halves: the difference of two huge values is not infinite
			y = 23 - 22*((v/2-low/2)/d)
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.FormatFloat(float64(i)*step, 'f', 1, 64))
		b.WriteByte(',')
		b.WriteString(strconv.FormatFloat(y, 'f', 1, 64))
	}
	return b.String()
}
