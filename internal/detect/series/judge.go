package series

import "math"

// judge scores a sight and says why. The score is in decades of minutes: when was the last sample that was as extreme, averaged over the ways to be extreme;
// or, if that is more, one of five rules with a scale made to fit.
func (d *Detector) judge(x *sight) Verdict {
	s := &d.s
	out := Verdict{Tail: 1, Expected: x.expected, Low: x.expected - clipAt*x.noise, High: x.expected + clipAt*x.noise}
	if s.N < ringSize {
		return out
	}
	step := math.Log10(math.Min(float64(s.Clock.step())/60_000, stepAtMost))
	score, why := perDecade*(d.periods(x)+step), unusual
	more := func(than float64, c cause) {
		if than > score {
			score, why = than, c
		}
	}
	long := decades(float64(s.N)) + recordStep*step
	record := func(e extent, y float64) float64 {
		return long + recordGain*math.Max(recordLeast, math.Min(1, math.Log10(e.outside(y, x.grain)/recordUnit)))
	}
	if s.Values.Ever.beyond(x.v, x.grain) && math.Abs(x.residual) > everNoise*x.noise { // a trend goes beyond all the time
		more(record(s.Values.Ever, x.v)+everAdd, never)
	}
	if s.Drift.beyond(x.drift, x.grain) && s.Drift16.beyond(x.drift16, x.grain) && s.N >= s.Drifted+ringSize {
		if r := math.Max(record(s.Drift, x.drift), record(s.Drift16, x.drift16)) + driftAdd; r >= Threshold {
			s.Drifted = s.N // the mean of the same samples is not news again
			more(r, drifted)
		}
	}
	if s.Odd.beyond(x.deviation, x.grain) && s.days() >= s.OddAfter+1 {
		more(record(s.Odd, x.deviation)+oddAdd, odd)
	}
	if run := float64(s.Run + 1); x.v == s.Last && run <= float64(s.N)/10 {
		if q := run / math.Max(flatLeast, flatTimes*float64(s.Longest+1)); q >= 1 {
			more(long-flatFades*math.Log10(q), stuck)
		}
	}
	seen := float64(s.N) * math.Pow(10, step) // minutes
	more(math.Min(x.rare, tailAtMost)*seen/(seen+tailNeeds)+tailAdd, rare)

	out.Score = math.Max(score, 0)
	place := math.Min(out.Score*scoreBins, tailBins-2)
	decade := s.Scores.score(place)
	s.Scores.add(place, decade)
	out.Tail = math.Max(math.Pow(10, -decade), 0.1/float64(s.N)) // so many samples cannot tell more
	if out.Score >= Threshold {
		out.Why = d.why(x, why, out.Tail)
	}
	return out
}

// periods is the mean of the decades of samples for which the sample is the most extreme in each respect.
func (d *Detector) periods(x *sight) float64 {
	s := &d.s
	p := decades(s.Values.period(x.v, x.grain+marginValue*x.noise))
	p += decades(s.Means.period(x.mean, x.grain+marginMean*x.noise))
	if s.N >= warmResidual {
		p += decades(s.Residuals.period(x.residual, x.grain))
	}
	if s.days() >= warmDays {
		p += decades(s.Deviations.period(x.deviation, x.grain))
	}
	return p / respects
}

func decades(n float64) float64 {
	if n <= 1 {
		return 0
	}
	return math.Log10(n)
}
