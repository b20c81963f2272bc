// Package forecast owns what is likely to happen next: when a figure crosses a bound, and where a fault will be felt; it never reads a clock or a
// store, and every answer carries how sure it is.
package forecast

import (
	"fmt"
	"math"
	"slices"
)

// Point is one value at one time (unix ms).
type Point struct {
	At    int64
	Value float64
}

// Bound is a value that is not to be crossed.
type Bound struct {
	Value float64
	Above bool // true: trouble lies above it, false: below
}

// Crossing says when a bound is crossed, if things go on as they went.
type Crossing struct {
	// Crossed is true when the newest value is beyond the bound already; the times are then 0.
	Crossed bool
	// Likely is the probability that the bound is crossed within the horizon.
	Likely float64
	// At is the median time of the crossing, Low and High hold it with 80 % probability. 0 = beyond the horizon.
	At, Low, High int64
	// Slope is the change per hour that was found, Noise its standard error.
	Slope, Noise float64
	Sentence     string
}

const (
	leastPoints = 12 // fewer say nothing about a trend
	steps       = 64 // that a history is cut into
	batches     = 8  // of increments, whose means show how noisy the trend is
	tail        = 0.1
)

// Cross estimates when points (ascending in time) cross a bound within horizon ms after now. False when there are too few points, or no time
// between them, to say anything.
//
// The figure is taken for a random walk with drift; the time until it first crosses a level is then inverse Gaussian (E. Schrödinger, 1915;
// R. S. Chhikara and J. L. Folks, 1989). Drift and noise come from the increments over equal steps; the noise from the means of batches of
// increments, so that what swings to and fro, such as a daily rhythm, counts as noise and not as certainty. The uncertainty of the drift
// itself widens the interval.
func Cross(points []Point, now int64, b Bound, horizon int64) (Crossing, bool) {
	points = clean(points)
	p := even(points)
	if len(p) < leastPoints {
		return Crossing{}, false
	}
	sign := 1.0
	if !b.Above {
		sign = -1
	}
	last := p[len(p)-1]
	distance := sign * (b.Value - level(points))
	span := float64(last.At - p[0].At)
	drift := sign * (last.Value - p[0].Value) / span // per ms
	q := noise(p)                                    // variance per ms
	if math.IsInf(q, 0) || math.IsNaN(q) || math.IsInf(distance, 0) || math.IsInf(drift, 0) {
		return Crossing{}, false // values too far apart to reckon with
	}
	c := Crossing{Slope: sign * drift * 3_600_000, Noise: math.Sqrt(q/span) * 3_600_000}
	if distance <= 0 || sign*(b.Value-last.Value) <= 0 {
		c.Crossed, c.Likely = true, 1
		c.Sentence = fmt.Sprintf("It is %s %s already.", side(b), figure(b.Value))
		return c, true
	}
	doubt := math.Sqrt(q / span)
	c.Likely = mean3(drift, doubt, func(m float64) float64 { return passed(distance, m, q, float64(horizon)) })
	c.Low = within(now, quantile(tail, distance, drift, doubt, q, horizon))
	c.At = within(now, quantile(0.5, distance, drift, doubt, q, horizon))
	c.High = within(now, quantile(1-tail, distance, drift, doubt, q, horizon))
	c.Sentence = c.say(b, now, horizon)
	return c, true
}

func clean(points []Point) []Point {
	pts := make([]Point, 0, len(points))
	for _, p := range points {
		if !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) && (len(pts) == 0 || p.At > pts[len(pts)-1].At) {
			pts = append(pts, p)
		}
	}
	return pts
}

// even cuts a history into equal steps and takes the median of each, so that outliers and uneven sampling do not steer.
func even(pts []Point) []Point {
	if len(pts) <= steps {
		return pts
	}
	first, width := pts[0].At, float64(pts[len(pts)-1].At-pts[0].At+1)/steps
	out := make([]Point, 0, steps)
	var bin []float64
	flush := func(i int) {
		if len(bin) == 0 {
			return
		}
		slices.Sort(bin)
		out = append(out, Point{first + int64((float64(i)+0.5)*width), bin[len(bin)/2]})
		bin = bin[:0]
	}
	at := 0
	for _, p := range pts {
		i := int(float64(p.At-first) / width)
		if i != at {
			flush(at)
			at = i
		}
		bin = append(bin, p.Value)
	}
	flush(at)
	return out
}

// level is where the figure is now: the median of the last three values, so that one outlier does not call it crossed.
func level(p []Point) float64 {
	v := []float64{p[len(p)-1].Value, p[len(p)-2].Value, p[len(p)-3].Value}
	slices.Sort(v)
	return v[1]
}

// noise is the variance of the walk per ms, from batches of increments: the larger of what single steps and whole batches show.
func noise(p []Point) float64 {
	drift := (p[len(p)-1].Value - p[0].Value) / float64(p[len(p)-1].At-p[0].At)
	fine, coarse := 0.0, 0.0
	for i := 1; i < len(p); i++ {
		d := p[i].Value - p[i-1].Value - drift*float64(p[i].At-p[i-1].At)
		fine += d * d
	}
	size := max((len(p)-1)/batches, 1)
	n := 0
	for i := 0; i+size < len(p); i += size {
		d := p[i+size].Value - p[i].Value - drift*float64(p[i+size].At-p[i].At)
		coarse += d * d
		n += size
	}
	span := float64(p[len(p)-1].At - p[0].At)
	coarse *= float64(len(p)-1) / float64(max(n, 1))
	coarse *= batches / (batches - 3.0) // the drift was taken from the same walk, and few batches say little: Student's t with 7 degrees of freedom
	return max(coarse, fine/float64(size)) / span
}

// passed is the probability that a walk with drift m and variance q per ms has been distance d away within t ms.
func passed(d, m, q, t float64) float64 {
	if q <= 0 {
		if m > 0 && d/m <= t {
			return 1
		}
		return 0
	}
	s := math.Sqrt(q * t)
	p := phi((m*t - d) / s)
	// the second term is exp(2dm/q) times a tiny tail; in logarithms it does not overflow
	if e := 2*d*m/q + logPhi((-m*t-d)/s); e > -700 {
		p += math.Exp(min(e, 0))
	}
	return min(max(p, 0), 1)
}

// mean3 is the mean of f over a normal drift, by Gauss and Hermite's rule with three points.
func mean3(m, sd float64, f func(float64) float64) float64 {
	r := math.Sqrt(3) * sd
	return (f(m-r)+f(m+r))/6 + f(m)*2/3
}

// quantile is the time in ms by which the bound is crossed with probability p; infinite when that is beyond the horizon.
func quantile(p, d, m, sd, q float64, horizon int64) float64 {
	f := func(t float64) float64 { return mean3(m, sd, func(m float64) float64 { return passed(d, m, q, t) }) }
	low, high := 0.0, float64(horizon)
	if f(high) < p {
		return math.Inf(1)
	}
	for range 60 {
		if mid := (low + high) / 2; f(mid) < p {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

func within(now int64, t float64) int64 {
	if math.IsInf(t, 1) {
		return 0
	}
	return now + int64(t)
}

func phi(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// logPhi is the logarithm of phi, also where that is too small for a float.
func logPhi(x float64) float64 {
	if x > -30 {
		return math.Log(phi(x))
	}
	return -x*x/2 - math.Log(-x*math.Sqrt(2*math.Pi)) - 1/(x*x)
}

func (c Crossing) say(b Bound, now, horizon int64) string {
	goal := fmt.Sprintf("%s %s", side(b), figure(b.Value))
	switch {
	case c.At == 0 && c.Likely < tail:
		return fmt.Sprintf("It is not expected to be %s within %s.", goal, span(horizon))
	case c.At == 0:
		return fmt.Sprintf("It may be %s within %s: %.0f %% likely.", goal, span(horizon), 100*c.Likely)
	case c.High == 0:
		return fmt.Sprintf("It will be %s in about %s if it goes on so, at the earliest in %s; it may also stay (%.0f %% likely within %s).",
			goal, span(c.At-now), span(c.Low-now), 100*c.Likely, span(horizon))
	}
	return fmt.Sprintf("It will be %s in about %s if it goes on so (80 %% between %s and %s).", goal, span(c.At-now), span(c.Low-now), span(c.High-now))
}

func side(b Bound) string {
	if b.Above {
		return "above"
	}
	return "below"
}

// figure writes a value with at most four digits that count.
func figure(v float64) string {
	for _, u := range []struct {
		unit float64
		name string
	}{{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if math.Abs(v) >= 10*u.unit {
			return fmt.Sprintf("%.4g%s", v/u.unit, u.name)
		}
	}
	return fmt.Sprintf("%.4g", v)
}

func span(ms int64) string {
	s := ms / 1000
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", max(s, 0))
	case s < 3600:
		return fmt.Sprintf("%d min", s/60)
	case s < 48*3600 && s%3600 < 60:
		return fmt.Sprintf("%d h", s/3600)
	case s < 48*3600:
		return fmt.Sprintf("%d h %d min", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%d days", s/86400)
}
