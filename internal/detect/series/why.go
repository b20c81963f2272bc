package series

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// cause is the rule that gave a sight its score.
type cause int

const (
	unusual cause = iota // the most extreme for long, taken together
	never                // outside everything seen
	drifted              // so is the mean of the last two dozen
	odd                  // so is the deviation from the season
	stuck                // the same value for too long
	rare                 // the tail of the residuals
)

// why says in plain words what is wrong, how it differs from what is usual, and since when nothing was like it.
func (d *Detector) why(x *sight, c cause, tail float64) string {
	s, unit := &d.s, d.opt.Unit
	if unit != "" {
		unit = " " + unit
	}
	value := figure(x.v) + unit
	if s.Counter.On {
		value = "A rise by " + value
	}
	seen := span(s.Clock.step() * s.N)
	switch c {
	case never:
		if x.v > s.Values.Ever.High {
			return fmt.Sprintf("%s is the highest in %s; it was never above %s%s.", value, seen, figure(s.Values.Ever.High), unit)
		}
		return fmt.Sprintf("%s is the lowest in %s; it was never below %s%s.", value, seen, figure(s.Values.Ever.Low), unit)
	case drifted:
		word, edge := "highest", s.Drift.High
		if x.drift < s.Drift.Low {
			word, edge = "lowest", s.Drift.Low
		}
		return fmt.Sprintf("The mean of the last %s, %s%s, is the %s in %s; the record was %s%s.", span(s.Clock.step()*ringSize), figure(x.drift), unit, word, seen, figure(edge), unit)
	case stuck:
		if s.Counter.On && x.v == 0 {
			value = "the same count"
		}
		return fmt.Sprintf("It has stood at %s for %s; it never stood still for longer than %s.", strings.ToLower(value[:1])+value[1:], span(s.Clock.step()*(s.Run+1)), span(s.Clock.step()*(s.Longest+1)))
	}
	usual, when := x.expected, "was expected"
	switch k := s.Season.best(); {
	case k == 0:
	case math.Abs(x.deviation) > math.Abs(x.residual) || c == odd:
		usual, when = x.v-x.deviation, "is usual at this hour"
		if k == 2 {
			when = "is usual on this hour of a " + time.UnixMilli(x.at).UTC().Weekday().String()
		}
	}
	side := "above"
	if x.v < usual {
		side = "below"
	}
	var b strings.Builder
	if share := math.Abs(x.v-usual) / math.Abs(usual); share < 10 {
		fmt.Fprintf(&b, "%s is %.2g %% %s what %s (%s%s)", value, 100*share, side, when, figure(usual), unit)
	} else {
		fmt.Fprintf(&b, "%s is far %s what %s (%s%s)", value, side, when, figure(usual), unit)
	}
	if n := max(s.Residuals.period(x.residual, x.grain), s.Deviations.period(x.deviation, x.grain)); n >= float64(s.N) {
		fmt.Fprintf(&b, ", the furthest in all of %s", seen)
	} else if n > 1 {
		fmt.Fprintf(&b, ", the furthest in %s", span(s.Clock.step()*int64(n)))
	}
	if tail < 0.01 {
		fmt.Fprintf(&b, "; about 1 sample in %s is as unusual", figure(math.Pow(10, math.Round(-10*math.Log10(tail))/10)))
	}
	b.WriteByte('.')
	return b.String()
}

// figure writes a number as people do: four digits that count, thousands set apart.
func figure(v float64) string {
	a := math.Abs(v)
	if a != 0 && (a < 1e-4 || a >= 1e15) {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	if a < 1e4 {
		r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
		return strconv.FormatFloat(r, 'f', -1, 64)
	}
	unit := math.Pow(10, math.Floor(math.Log10(a))-3)
	digits := strconv.FormatFloat(math.Round(a/unit)*unit, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if v < 0 {
		return "-" + digits
	}
	return digits
}

// span writes milliseconds as a length of time.
func span(ms int64) string {
	count := func(n float64, unit string) string {
		if n = math.Round(n); n == 1 {
			return "1 " + unit
		}
		return strconv.FormatFloat(n, 'f', 0, 64) + " " + unit + "s"
	}
	switch s := float64(ms) / 1000; {
	case s < 120:
		return count(s, "second")
	case s < 120*60:
		return count(s/60, "minute")
	case s < 48*3600:
		return count(s/3600, "hour")
	default:
		return count(s/86400, "day")
	}
}
