package series

import "math"

// forecast predicts the next sample by nine levels: three rates of following, each on the plain series, on what the day leaves of it and on what day and week
// leave. They are weighted by how well they did lately, so a season that explains nothing gets no say, and one that is not there does no harm.
type forecast struct {
	Level, Error [9]float64
}

// next is the forecast, given the seasonal part of the next sample without and with a season.
func (f *forecast) next(base *[3]float64) float64 {
	best := math.Inf(1)
	for _, e := range f.Error {
		best = math.Min(best, e)
	}
	if best == 0 {
		for k, e := range f.Error {
			if e == 0 {
				return base[k/3] + f.Level[k]
			}
		}
	}
	var sum, all float64
	for k, e := range f.Error {
		q := best / e
		q *= q
		q *= q
		sum += q * (base[k/3] + f.Level[k])
		all += q
	}
	return sum / all
}

// learn follows v; from one sample each level learns at most most.
func (f *forecast) learn(base *[3]float64, v, most, rate float64) {
	for k := range f.Level {
		r := clamp(v-base[k/3]-f.Level[k], most)
		f.Level[k] += rates[k%3] * r
		f.Error[k] += rate * (math.Abs(r) - f.Error[k])
	}
}
