package detect

import "math"

// mostMean bounds what counts in a mean, so that a sum stays a number and can be written down.
const mostMean = 1e300

// meanState is what came of a series since its last mean.
type meanState struct {
	Sum   float64 `json:"sum"`
	N     int64   `json:"n"`
	Since int64   `json:"since"`
	Last  int64   `json:"last,omitempty"` // time of the newest sample that was stored, by its own clock
}

// mean judges the mean of a series that a monitor gives, once it is of enough samples over enough time.
func (q *seriesSet) mean(name string, labels map[string]string, at int64, v float64) {
	if !(math.Abs(v) < mostMean) {
		return
	}
	id := identity(name, labels)
	st := q.means[id]
	if st == nil {
		if len(q.means) >= MaxSeries {
			q.set.tooMany("series", MaxSeries, id)
			return
		}
		st = &meanState{Since: at}
		q.means[id] = st
	}
	st.Sum += v
	st.N++
	if st.N >= meanOf && at-st.Since >= meanOver {
		mean := st.Sum / float64(st.N)
		*st = meanState{Since: at}
		q.sample(name, labels, at, mean, true)
	}
}

// meanOnce is mean for a sample that may have been had before, as after a restart.
func (q *seriesSet) meanOnce(name string, labels map[string]string, own, now int64, v float64) {
	id := identity(name, labels)
	if st := q.means[id]; st != nil && own <= st.Last && st.Last-own <= repeatWithin {
		return
	}
	q.mean(name, labels, now, v)
	if st := q.means[id]; st != nil {
		st.Last = own
	}
}

// ratioState is where a ratio stands.
type ratioState struct {
	Part, Whole         float64
	PartAt, WholeAt     int64
	BasePart, BaseWhole float64
	Based               bool
	Fresh               float64 // of the last window
}

// ratio makes the sample of a ratio when both of its parts have come for one time and the whole has grown enough. A counter that went
// backwards began anew, at 0.
func (q *seriesSet) ratio(name string, labels map[string]string, at int64, v float64) {
	for _, r := range q.forms {
		if name != r.Part && name != r.Whole {
			continue
		}
		id := r.Name + "|" + identity("", labels)
		st := q.ratios[id]
		if st == nil {
			if len(q.ratios) >= MaxSeries {
				q.set.tooMany("series", MaxSeries, id)
				return
			}
			st = &ratioState{}
			q.ratios[id] = st
		}
		if name == r.Part {
			st.Part, st.PartAt = v, at
		} else {
			st.Whole, st.WholeAt = v, at
		}
		if st.PartAt != st.WholeAt {
			continue
		}
		if !st.Based {
			st.BasePart, st.BaseWhole, st.Based = st.Part, st.Whole, true
			continue
		}
		if st.Whole < st.BaseWhole || st.Part < st.BasePart {
			st.BasePart, st.BaseWhole = 0, 0
		}
		least := r.Least
		if least <= 0 {
			least = ratioLeast
		}
		if grown := st.Whole - st.BaseWhole; grown >= least {
			share := min(max((st.Part-st.BasePart)/grown, 0), 1)
			st.BasePart, st.BaseWhole = st.Part, st.Whole
			q.sample(r.Name, labels, at, share, false)
		}
	}
}

// ranks counts how often a series had scores of each size. Detectors say how far a value lies from what is usual; how often that happens in
// this series by mere chance only its own past can tell, and combination needs it to be right.
type ranks struct {
	Bins []uint32 `json:"bins,omitempty"`
	N    int64    `json:"n,omitempty"`
}

const (
	rankSteps = 8  // bins of one unit of score
	rankBins  = 64 // the last holds all that is higher
)

// take counts a score and gives the share of scores so far that were at least so high, itself taken in: never below one in their number.
func (r *ranks) take(score float64) float64 {
	bin := min(max(int(score*rankSteps), 0), rankBins-1)
	for len(r.Bins) <= bin {
		r.Bins = append(r.Bins, 0)
	}
	if r.Bins[bin] < math.MaxUint32 {
		r.Bins[bin]++
	}
	r.N++
	high := int64(0)
	for _, n := range r.Bins[bin:] {
		high += int64(n)
	}
	return float64(high) / float64(r.N)
}
