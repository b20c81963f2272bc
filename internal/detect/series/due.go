package series

import "fmt"

// Due tells whether data has stopped coming: ok when, at the time at (unix ms), no sample has come for four steps, nor for half as long again as the longest
// gap so far (which is slowly forgotten). Nothing is learnt from it; it is over with the next sample.
func (d *Detector) Due(at int64) (v Verdict, ok bool) {
	c := &d.s.Clock
	late := at - c.Last
	if d.s.N < ringSize || c.Step == 0 || late < max(4*c.Step, c.Longest+c.Longest/2) {
		return Verdict{}, false
	}
	return Verdict{Score: Threshold, Tail: 1 / float64(d.s.N+1), Why: fmt.Sprintf("No sample has come for %s; one is due every %s, and the longest gap was %s.",
		span(late), span(c.Step), span(c.Longest))}, true
}
