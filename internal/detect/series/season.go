package series

import "math"

const (
	day  = 86400_000
	week = 7 * day
	hour = 3600_000

	dayBuckets  = 288
	weekBuckets = 7 * 24
)

// season is what time of day and week do to the series: a slow level, a daily profile on it and a weekly correction of that.
type season struct {
	Level   float64 // mean of about a day
	Buckets int32   // buckets of the day in use; 0 before the step is known
	Day     [dayBuckets]float64
	Noise   [dayBuckets]float64
	Week    [weekBuckets]float64
	Days    [dayBuckets]float32  // days learnt
	Weeks   [weekBuckets]float32 // weeks learnt
	Error   [3]float64           // mean deviation from the level alone, with the day, with day and week
}

// place is where a moment lies in the season.
type place struct {
	a, b   int     // buckets of the day
	f      float64 // weight of b
	bucket int     // the nearer one
	week   int
}

func (s *season) begin(step int64) {
	level := s.Level
	*s = season{Level: level, Buckets: int32(max(1, min(dayBuckets, day/max(step, 1))))}
}

func (s *season) at(ms, step int64) place {
	n := int(s.Buckets)
	x := float64(modulo(ms, day)) / day * float64(n)
	b := min(int(x), n-1)
	p := place{a: b, b: b, bucket: b, week: int(modulo(ms-4*day, week) / hour)}
	if day < step*int64(n)*3/2 {
		return p // one sample a bucket: nothing to interpolate
	}
	if f := x - float64(b); f < 0.5 {
		p.a, p.f = (b+n-1)%n, f+0.5
	} else {
		p.b, p.f = (b+1)%n, f-0.5
	}
	return p
}

// usual gives the deviations from Level that are usual at p: by the day alone, and by day and week.
func (s *season) usual(p place) (byDay, byWeek float64) {
	byDay = s.Day[p.a]*(1-p.f) + s.Day[p.b]*p.f
	return byDay, byDay + s.Week[p.week]
}

// best tells which part of the season explains the series best so far: 0 none, 1 the day, 2 day and week.
func (s *season) best() int {
	k := 0
	for i := range s.Error {
		if s.Error[i] < s.Error[k] {
			k = i
		}
	}
	return k
}

// expects is what the season alone expects: the level, with the day (k 1) or with day and week (k 2).
func (s *season) expects(base *[3]float64, k int) float64 {
	if k == 0 {
		return s.Level
	}
	return base[k]
}

// learn takes in that the series was off Level by dev at p while the noise was e; steps of the profile are at most most.
func (s *season) learn(p place, step int64, dev, e, most float64) {
	byDay, byWeek := s.usual(p)
	share := math.Min(1, float64(s.Buckets)*float64(step)/day) // of a bucket's day in one sample
	for _, b := range [2]struct {
		i int
		w float64
	}{{p.a, 1 - p.f}, {p.b, p.f}} {
		if b.w == 0 {
			continue
		}
		s.Days[b.i] += float32(b.w * share)
		g := b.w * share * math.Max(profileRate, math.Min(1, 0.7/float64(s.Days[b.i])))
		s.Day[b.i] += g * clamp(dev-byDay, most)
		s.Noise[b.i] += g * (e - s.Noise[b.i])
	}
	if float64(s.Days[p.bucket]) < weekAfter {
		return // a week that is learnt before the day would hold the day
	}
	share = math.Min(1, float64(step)/hour)
	s.Weeks[p.week] += float32(share)
	s.Week[p.week] += share * math.Max(weekRate, math.Min(1, 0.7/float64(s.Weeks[p.week]))) * clamp(dev-byWeek, most)
}

func clamp(x, most float64) float64 { return math.Max(-most, math.Min(most, x)) }

func modulo(a, m int64) int64 { return (a%m + m) % m }
