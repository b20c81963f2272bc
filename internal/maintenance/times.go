package maintenance

import (
	"time"
)

// Span is one time in which a window is active: From inclusive, Until exclusive, unix ms.
type Span struct{ From, Until int64 }

// Zones gives the location of an IANA name; nil when there is none of that name.
type Zones func(name string) *time.Location

// At returns the span that holds now, if the window is active.
func (w Window) At(now int64, zones Zones) (Span, bool) {
	if w.Cancelled || now < w.Paused {
		return Span{}, false
	}
	s, ok := w.next(now, zones)
	return s, ok && s.From <= now
}

// Next returns the span that holds now, or else the first after now.
func (w Window) Next(now int64, zones Zones) (Span, bool) {
	if w.Cancelled {
		return Span{}, false
	}
	return w.next(max(now, w.Paused), zones)
}

// next is the first span that ends after now. A local start that the clocks skip
// on that day is as much later as they skip (time.Date); one that they pass twice
// is the first of the two.
func (w Window) next(now int64, zones Zones) (Span, bool) {
	if w.Weekly == nil {
		return Span{w.From, w.Until}, now < w.Until
	}
	loc := zones(w.Weekly.Zone)
	if loc == nil || len(w.Weekly.Days) == 0 {
		return Span{}, false
	}
	at := time.UnixMilli(max(now, w.From)).In(loc)
	// A span is at most a week long, so one that is active began at most eight days ago.
	var best Span
	for day := -8; day <= 8; day++ {
		d := time.Date(at.Year(), at.Month(), at.Day()+day, w.Weekly.Hour, w.Weekly.Minute, 0, 0, loc)
		for _, back := range []time.Duration{2 * time.Hour, time.Hour, 30 * time.Minute} {
			if e := d.Add(-back); e.Hour() == d.Hour() && e.Minute() == d.Minute() {
				d = e
				break
			}
		}
		noon := time.Date(at.Year(), at.Month(), at.Day()+day, 12, 0, 0, 0, loc)
		if !has(w.Weekly.Days, int(noon.Weekday())) {
			continue
		}
		s := Span{From: d.UnixMilli()}
		s.Until = s.From + int64(w.Weekly.Minutes)*60_000
		if s.From < w.From || w.Until != 0 && s.From >= w.Until || s.Until <= now || s.From < w.Paused {
			continue
		}
		if w.Until != 0 {
			s.Until = min(s.Until, w.Until)
		}
		if best.Until == 0 || s.From < best.From {
			best = s
		}
	}
	return best, best.Until != 0 && now < best.Until
}

func has(days []int, d int) bool {
	for _, x := range days {
		if x == d {
			return true
		}
	}
	return false
}
