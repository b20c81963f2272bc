package chain

import (
	"math"
	"slices"
)

const (
	seasonSlot   = 300000 // ms that make one value
	seasonDays   = 14     // days remembered of each hour of the day
	seasonPerDay = 12     // values of one hour
	seasonEnough = 24     // values of the hour before it is judged by its own history, from two days at least
	seasonFloor  = 0.10   // least spread: a quiet hour must not make a tenth more a sensation
)

// season is what a value usually is at an hour of the day: the logarithms of five-minute means of the last fourteen days, in UTC. Memory: 24 times 168
// numbers.
type season struct {
	Hours [24][]float64 `json:"hours"` // oldest first
	Slot  int64         `json:"slot"`  // being filled
	Sum   float64       `json:"sum"`
	Count int           `json:"count"`
}

// normal is the median and the spread (1.4826 times the median absolute deviation, at least a tenth) of the logarithm at a time's hour; false
// until the hour is known from two days.
func (s *season) normal(at int64) (mid, spread float64, n int, ok bool) {
	h := s.Hours[at/3600000%24]
	if len(h) < seasonEnough {
		return 0, 0, len(h), false
	}
	v := slices.Clone(h)
	slices.Sort(v)
	mid = v[len(v)/2]
	for i := range v {
		v[i] = math.Abs(v[i] - mid)
	}
	slices.Sort(v)
	return mid, max(1.4826*v[len(v)/2], seasonFloor), len(h), true
}

// add takes a value above 0. What is far above normal is taken for the edge of normal, so that a spike does not teach itself; a lasting
// change of level is learned within days.
func (s *season) add(at int64, v float64) {
	if v <= 0 || at < 0 {
		return
	}
	if slot := at / seasonSlot; slot != s.Slot {
		if s.Count > 0 {
			then := s.Slot * seasonSlot
			x := s.Sum / float64(s.Count)
			if mid, spread, _, ok := s.normal(then); ok {
				x = min(x, mid+spikeZ*spread)
			}
			h := &s.Hours[then/3600000%24]
			if *h = append(*h, x); len(*h) > seasonDays*seasonPerDay {
				*h = slices.Clone((*h)[1:])
			}
		}
		s.Slot, s.Sum, s.Count = slot, 0, 0
	}
	s.Sum += math.Log(v)
	s.Count++
}

// judge gives how far a value is from normal in spreads, and what is normal.
func (s *season) judge(at int64, v float64) (z, normal float64, ok bool) {
	mid, spread, _, ok := s.normal(at)
	if !ok || v <= 0 {
		return 0, 0, false
	}
	return (math.Log(v) - mid) / spread, math.Exp(mid), true
}
