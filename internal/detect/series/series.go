// Package series owns the judgement of one number over time: how unusual is this sample, given all before it; it never looks ahead, reads no clock and
// keeps no samples but the last two dozen.
package series

import "math"

// Options say what a detector cannot find in its samples. The zero value is right for any series.
type Options struct {
	Unit string // unit of the values in sentences, e.g. "ms"; may be empty
}

// Verdict is what one sample amounts to.
type Verdict struct {
	Score               float64 // anomaly score, finite, at least 0, higher is worse; an alert from Threshold on
	Tail                float64 // estimated share of samples that are as unusual, in (0, 1]
	Expected, Low, High float64 // what was expected, and the band of what is usual
	Why                 string  // a sentence when Score reaches Threshold, else empty
}

// Detector judges one series in bounded memory (see BytesPerSeries). Not safe for concurrent use.
type Detector struct {
	opt Options
	s   state
}

// state is everything that a restart must keep; only sizes fixed at compile time.
type state struct {
	Version      uint32
	N            int64 // samples
	Clock        clock
	Counter      counter
	Season       season
	Forecast     forecast
	Fast, Slow   float64 // mean size of the residual, lately and over long
	Magnitude    float64 // mean size of the values
	Values       past
	Residuals    past
	Deviations   past
	Means        past
	Drift        extent  // of the mean of the last two dozen
	Drifted      int64   // sample at which that last was an alert
	Weekly       bool    // the week has been found to explain much
	OddAfter     float64 // days
	Odd          extent  // of the deviations, once the season is known
	Tail         tail    // of the residuals' sizes in units of noise
	Scores       tail    // of the scores
	Ring         [ringSize]float64
	Last         float64
	Run, Longest int64  // samples of the same value in a row: now, and ever
	Drift16      extent // of the mean of the last sixteen; last, for version 3 had all but this
}

const ringSize = 24

// largest is the size that values are cut off at, so that no sum or product overflows.
const largest = 1e150

// New starts without history.
func New(o Options) *Detector { return &Detector{opt: o, s: state{Version: stateVersion}} }

// Observe judges the sample v taken at (unix ms) by what came before, then learns from it. Times may repeat or jump. NaN and infinities are no samples:
// their Verdict has Score 0 and nothing is learnt.
func (d *Detector) Observe(at int64, v float64) Verdict {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Verdict{Tail: 1}
	}
	s := &d.s
	was := s.Counter.Raw
	v, other := s.Counter.take(clamp(v, largest))
	if other {
		*s = state{Version: stateVersion, Clock: s.Clock, Counter: s.Counter}
	}
	if s.N == 0 {
		s.Season.Level, s.Last, s.Magnitude = v, v, math.Abs(v)
		for k := range s.Forecast.Level {
			s.Forecast.Level[k] = v
		}
		s.Season.begin(s.Clock.step())
		s.OddAfter = oddAfterDays
	}
	if s.Clock.tick(at) {
		s.Season.begin(s.Clock.step())
	}
	x := d.look(at, v)
	out := d.judge(&x)
	d.learn(&x)
	if s.Counter.On {
		out.Expected, out.Low, out.High = was+out.Expected, was+out.Low, was+out.High
	}
	return out
}

// sight is one sample beside what was expected of it.
type sight struct {
	at        int64
	v         float64
	place     place
	base      [3]float64 // seasonal part: none, of the day, of day and week
	expected  float64
	residual  float64 // v less expected
	noise     float64 // usual size of the residual
	deviation float64 // v less what is usual at this time of day and week
	mean      float64 // of the last six samples
	drift     float64 // of the last two dozen
	drift16   float64
	position  float64 // of the residual's size in noise, for the tail
	rare      float64 // its tail probability in decades
	grain     float64 // differences up to this are rounding
}

// look compares v with what was expected.
func (d *Detector) look(at int64, v float64) sight {
	s := &d.s
	x := sight{at: at, v: v, grain: 1e-9 * s.Magnitude}
	x.place = s.Season.at(at, s.Clock.step())
	byDay, byWeek := s.Season.usual(x.place)
	x.base = [3]float64{0, s.Season.Level + byDay, s.Season.Level + byWeek}
	x.expected = s.Forecast.next(&x.base)
	x.residual = x.clean(v - x.expected)
	x.deviation = x.clean(v - s.Season.expects(&x.base, s.Season.best()))
	x.noise = math.Max(mixFast*s.Fast+mixSlow*s.Slow+mixHour*s.Season.Noise[x.place.bucket], 100*x.grain)
	if x.noise > 0 {
		x.position = position(math.Abs(x.residual) / x.noise)
	}
	x.rare = s.Tail.score(x.position)
	s.Ring[s.N%ringSize] = v
	n := min(s.N+1, ringSize)
	sum := 0.0
	for i := range n {
		sum += s.Ring[modulo(s.N-i, ringSize)]
		if i < 6 {
			x.mean = sum / float64(i+1)
		}
		if i < 16 {
			x.drift16 = sum / float64(i+1)
		}
	}
	x.drift = sum / float64(n)
	return x
}

// days is how long the series has been seen, gaps left out.
func (s *state) days() float64 { return float64(s.N) * float64(s.Clock.step()) / day }

func (x *sight) clean(r float64) float64 {
	if math.Abs(r) <= x.grain {
		return 0
	}
	return r
}

// learn takes the sample in.
func (d *Detector) learn(x *sight) {
	s := &d.s
	s.Tail.add(x.position, x.rare)
	s.Values.add(x.v)
	s.Residuals.add(x.residual)
	s.Deviations.add(x.deviation)
	s.Means.add(x.mean)
	if s.N < ringSize {
		s.Drift, s.Drift16 = extent{x.drift, x.drift}, extent{x.drift16, x.drift16}
	} else {
		s.Drift, s.Drift16 = s.Drift.fading(x.drift), s.Drift16.fading(x.drift16)
	}
	if !s.Weekly && s.days() >= weekKnown && s.Season.Error[2] < weekGain*math.Min(s.Season.Error[0], s.Season.Error[1]) {
		s.Weekly, s.OddAfter = true, s.days()+oddAfterDays // what was odd for want of the week is forgotten
	}
	if s.days() < s.OddAfter {
		s.Odd = extent{x.deviation, x.deviation}
	} else {
		s.Odd = s.Odd.fading(x.deviation)
	}
	first := 1 / float64(s.N+1) // plain means until there is more than the rate's memory
	most, size := clipAt*x.noise, math.Abs(x.residual)
	if s.N < 20 {
		most = math.Inf(1)
	} else {
		size = math.Min(size, clipNoise*x.noise)
	}
	s.Forecast.learn(&x.base, x.v, most, math.Max(errorRate, first))
	s.Fast += math.Max(noiseFast, first) * (size - s.Fast)
	s.Slow += math.Max(noiseSlow, first) * (size - s.Slow)
	s.Magnitude += math.Max(noiseSlow, first) * (math.Abs(x.v) - s.Magnitude)

	dev := x.v - s.Season.Level
	slow := math.Max(s.Slow, 100*x.grain)
	step := s.Clock.step()
	for k := range s.Season.Error {
		off := math.Abs(x.v - s.Season.expects(&x.base, k))
		if s.N > 20 {
			off = math.Min(off, 20*slow)
		}
		s.Season.Error[k] += math.Max(math.Min(1, float64(step)/(seasonMemory*day)), first) * (off - s.Season.Error[k])
	}
	s.Season.Level += math.Min(1, math.Max(float64(step)/day, first)) * clamp(x.v-x.base[1], 20*slow)
	steps := clipProfile * slow
	if s.N < 2*day/max(step, 1) {
		steps = math.Inf(1)
	}
	s.Season.learn(x.place, step, dev, size, steps)
	if s.N > 0 && x.v == s.Last {
		s.Run++
	} else {
		s.Longest = max(s.Longest-s.Longest/1024, s.Run)
		s.Run = 0
	}
	s.Last = x.v
	s.N++
}
