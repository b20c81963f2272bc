package oncall

import (
	"fmt"
	"slices"
	"time"
)

// MostShifts is how many shifts Shifts returns at most; the rest of a longer time is left out.
const MostShifts = 20_000

// At says who is on call at a moment (unix ms), and why. zone is the location that s.Zone names. From and Until are those of the stretch without
// a change around the moment: in between, At answers the same.
func (s Schedule) At(t int64, zone *time.Location) Duty { return s.read(zone).at(t) }

// Shifts lists who is on call between two moments (unix ms), in order, holes included: each begins where the one before ends, and each is what
// At says at all of its moments. The first may begin before from, the last may end after until.
func (s Schedule) Shifts(from, until int64, zone *time.Location) []Duty {
	r := s.read(zone)
	var out []Duty
	for t := from; t < until && len(out) < MostShifts; {
		d := r.at(t)
		out = append(out, d)
		if d.Until == 0 {
			break
		}
		t = d.Until
	}
	return out
}

// Holes lists when nobody is on call between two moments (unix ms), cut to them; stretches that touch are one.
func (s Schedule) Holes(from, until int64, zone *time.Location) []Duty {
	var out []Duty
	for _, d := range s.Shifts(from, until, zone) {
		if d.Person != "" {
			continue
		}
		d.From = max(d.From, from)
		if d.Until == 0 || d.Until > until {
			d.Until = until
		}
		if n := len(out); n > 0 && out[n-1].Until == d.From {
			out[n-1].Until = d.Until
			continue
		}
		out = append(out, d)
	}
	return out
}

// reading is a schedule with its times read.
type reading struct {
	Schedule
	zone  *time.Location
	spins []spin
}

func (s Schedule) read(zone *time.Location) reading {
	r := reading{Schedule: s, zone: zone}
	for _, l := range s.Layers {
		if x, ok := spinOf(l, zone); ok {
			r.spins = append(r.spins, x)
		}
	}
	return r
}

// at goes from what wins to what is beneath it. What is above and not on duty now only cuts the stretch: where it ended, and where it begins.
func (r reading) at(t int64) Duty {
	lo, hi := never*1000, ever*1000
	duty := func(from, to int64, d Duty) Duty {
		if from = max(lo, from); from > never*1000 {
			d.From = from
		}
		if to = min(hi, to); to < ever*1000 {
			d.Until = to
		}
		d.Why = r.why(d, t)
		return d
	}
	for _, o := range slices.Backward(r.Overrides) {
		switch {
		case o.Until <= o.From:
		case t < o.From:
			hi = min(hi, o.From)
		case t >= o.Until:
			lo = max(lo, o.Until)
		default:
			return duty(o.From, o.Until, Duty{Person: o.Person, Over: o.ID})
		}
	}
	u := floor(t, 1000)
	for _, x := range slices.Backward(r.spins) {
		on, k, from, to := x.at(u)
		if on {
			return duty(from*1000, to*1000, Duty{Person: x.layer.People[k%int64(len(x.layer.People))], Layer: x.layer.ID, Turn: k + 1})
		}
		lo, hi = max(lo, from*1000), min(hi, to*1000)
	}
	return duty(never*1000, ever*1000, Duty{})
}

// why is the reason of a duty as one sentence.
func (r reading) why(d Duty, t int64) string {
	until := ""
	if d.Until > 0 {
		until = " until " + said(d.Until, r.zone)
	}
	if d.Over != "" {
		o, _ := find(r.Overrides, func(o Override) bool { return o.ID == d.Over })
		text := "override"
		switch {
		case o.Swap != "":
			text = "swapped turn"
		case o.By != "" && o.By != o.Person:
			text += " by " + o.By
		}
		if d.Person == "" {
			text += " that leaves nobody on call"
		}
		text += until
		for _, x := range slices.Backward(r.Overrides) {
			if x.ID != o.ID && x.From <= t && t < x.Until && x.Person != o.Person {
				who := x.Person
				if who == "" {
					who = "nobody"
				}
				return text + ", newer than the one for " + who
			}
		}
		return text
	}
	if d.Person == "" {
		return "nobody is on call" + until
	}
	l, _ := find(r.Layers, func(l Layer) bool { return l.ID == d.Layer })
	name := l.Name
	if name == "" {
		name = "layer " + l.ID
	}
	unit := "turn"
	if l.Every == 1 {
		unit = l.Unit
	}
	return fmt.Sprintf("%s %d of %s%s", unit, d.Turn, name, until)
}
