package oncall

import "time"

// spin is a layer with its times read, in one zone.
type spin struct {
	layer    Layer
	zone     *time.Location
	start    int64 // the first hand-over, local seconds
	from, to int64 // the layer's own first and last moment, unix seconds
	unit     int64 // local seconds of a turn; 0: months
	only     []hoursOf
}

// hoursOf is a window with its times read, in seconds of the day that it begins on.
type hoursOf struct {
	on       [7]bool
	from, to int64
}

const (
	ever  = int64(1) << 50 // seconds: no end
	never = -ever          // no beginning
)

// spinOf reads a layer; ok is false for one that never has anybody on duty.
func spinOf(l Layer, zone *time.Location) (s spin, ok bool) {
	s = spin{layer: l, zone: zone, to: ever}
	if s.start, ok = wall(l.Start); !ok || len(l.People) == 0 || l.Every < 1 {
		return s, false
	}
	switch l.Unit {
	case Hourly:
		s.unit = 3600
	case Daily:
		s.unit = 86_400
	case Weekly:
		s.unit = 7 * 86_400
	case Monthly:
	default:
		return s, false
	}
	s.unit *= int64(l.Every)
	s.from = First(zone, s.start)
	if l.End != "" {
		end, read := wall(l.End)
		if !read {
			return s, false
		}
		s.to = First(zone, end)
	}
	for _, w := range l.Only {
		h := hoursOf{on: [7]bool{true, true, true, true, true, true, true}}
		var ok1, ok2 bool
		h.from, ok1 = clock(w.From)
		h.to, ok2 = clock(w.To)
		if !ok1 || !ok2 {
			continue
		}
		if h.to <= h.from {
			h.to += 86_400
		}
		if len(w.Days) > 0 {
			h.on = [7]bool{}
			for _, d := range w.Days {
				h.on[((d%7)+7)%7] = true
			}
		}
		s.only = append(s.only, h)
	}
	return s, s.from < s.to
}

// begin is when turn k (from 0) begins. Turns are counted in local time: k units after the first hand-over by the clock on the wall, or so many
// months later on the same day, the month's last where it has no such day.
func (s spin) begin(k int64) int64 {
	if s.unit > 0 {
		return First(s.zone, s.start+k*s.unit)
	}
	t := time.Unix(s.start, 0).UTC()
	month := time.Date(t.Year(), t.Month(), 1, t.Hour(), t.Minute(), 0, 0, time.UTC).AddDate(0, int(k)*s.layer.Every, 0)
	last := month.AddDate(0, 1, -1).Day()
	return First(s.zone, month.AddDate(0, 0, min(t.Day(), last)-1).Unix())
}

// turn is the last turn that has begun at u (unix seconds), which is not before s.from.
func (s spin) turn(u int64) int64 {
	local := shown(s.zone, u)
	var k int64
	if s.unit > 0 {
		k = (local - s.start) / s.unit
	} else {
		a, b := time.Unix(s.start, 0).UTC(), time.Unix(local, 0).UTC()
		k = (int64(b.Year()-a.Year())*12 + int64(b.Month()) - int64(a.Month())) / int64(s.layer.Every)
	}
	k = max(k, 0)
	for k > 0 && s.begin(k) > u {
		k--
	}
	for s.begin(k+1) <= u {
		k++
	}
	return k
}

// at says what the layer has at u: on duty, turn k over [from, to); or off, with the end of what was before and the beginning of what comes next
// (never and ever: none).
func (s spin) at(u int64) (on bool, k, from, to int64) {
	if u < s.from {
		return false, 0, never, s.next(s.from)
	}
	if u >= s.to {
		return false, 0, s.past(s.to), ever
	}
	k = s.turn(u)
	from, to = s.begin(k), min(s.begin(k+1), s.to)
	if len(s.layer.Only) == 0 {
		return true, k, from, to
	}
	a, b, in := s.within(u, from, to)
	if !in {
		return false, 0, s.past(u), s.next(u)
	}
	return true, k, max(from, a), min(to, b)
}

// days looks at windows that begin so many local days before and after u.
const (
	windowDays = 3
	searchDays = 16 // a weekly window that falls into a gap is there again a week later
)

// windows yields the windows that begin on the local days around u, as unix seconds; one that a gap swallows is left out.
func (s spin) windows(u int64, before, after int64, yield func(a, b int64)) {
	day := floor(shown(s.zone, u), 86_400)
	for d := day - before; d <= day+after; d++ {
		weekday := int((d%7 + 7 + 4) % 7) // 1970-01-01 was a Thursday
		for _, w := range s.only {
			if !w.on[weekday] {
				continue
			}
			if a, b := First(s.zone, d*86_400+w.from), First(s.zone, d*86_400+w.to); a < b {
				yield(a, b)
			}
		}
	}
}

// within is the stretch of windows without a break that u lies in, looked for no further than [from, to).
func (s spin) within(u, from, to int64) (a, b int64, in bool) {
	a, b = u, u
	grow := func(at int64) {
		s.windows(at, windowDays, windowDays, func(x, y int64) {
			if x <= u && u < y {
				a, b, in = min(a, x), max(b, y), true
			}
		})
	}
	if grow(u); !in {
		return 0, 0, false
	}
	for more := true; more && b < to; {
		more = false
		s.windows(b, windowDays, windowDays, func(x, y int64) {
			if x <= b && y > b {
				b, more = y, true
			}
		})
	}
	for more := true; more && a > from; {
		more = false
		s.windows(a, windowDays, windowDays, func(x, y int64) {
			if y >= a && x < a {
				a, more = x, true
			}
		})
	}
	return a, b, true
}

// next is when the layer has somebody on duty for the first time at or after u, where it has nobody or begins.
func (s spin) next(u int64) int64 {
	u = max(u, s.from)
	best := ever
	if len(s.layer.Only) == 0 {
		best = u
	} else {
		for _, days := range []int64{windowDays, searchDays} { // the next one is nearly always near
			s.windows(u, windowDays, days, func(a, b int64) {
				if b > u {
					best = min(best, max(a, u))
				}
			})
			if best < ever {
				break
			}
		}
	}
	if best >= s.to {
		return ever
	}
	return best
}

// past is when the layer had somebody on duty for the last time before u.
func (s spin) past(u int64) int64 {
	u = min(u, s.to)
	best := never
	if len(s.layer.Only) == 0 {
		best = u
	} else {
		// A window ends at most two days after the day that it begins on: what ended within three days is later than all that were not looked at.
		near := First(s.zone, (floor(shown(s.zone, u), 86_400)-windowDays)*86_400)
		for _, days := range []int64{windowDays + 2, searchDays} {
			s.windows(u, days, windowDays, func(a, b int64) {
				if a < u {
					best = max(best, min(b, u))
				}
			})
			if best > near {
				break
			}
		}
	}
	if best <= s.from {
		return never
	}
	return best
}

func floor(v, by int64) int64 {
	if v < 0 {
		return -((-v + by - 1) / by)
	}
	return v / by
}
