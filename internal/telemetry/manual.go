package telemetry

import "github.com/tocsin-ops/tocsin/internal/chain"

// A Manual chain is judged in the time of what is injected, which may run faster than the wall. What leaves it is put onto the wall: the
// newest moment of its monitor is now, and what was before keeps its distance. So ages on pages, samples and findings are those of a chain
// that is being watched at this moment. For other chains, and before the first injection, nothing is moved.

// shift is what is added to the monitor's times on the way out.
func (r *runner) shift() int64 {
	if !r.cfg.Manual || r.newest == 0 {
		return 0
	}
	return r.opt.Now().UnixMilli() - r.newest
}

func moveSamples(list []chain.Sample, by int64) {
	for i := range list {
		list[i].At += by
	}
}

func moveFindings(list []chain.Finding, by int64) {
	for i := range list {
		list[i].At += by
		list[i].Since += by
	}
}

// moved gives the view with every time in it moved; 0 (not known) stays. The slices of a view are its receiver's.
func moved(v chain.View, by int64) chain.View {
	at := func(t *int64) {
		if *t != 0 {
			*t += by
		}
	}
	at(&v.At)
	at(&v.Head.Time)
	at(&v.Head.SeenAt)
	for i := range v.Intervals {
		at(&v.Intervals[i].At)
	}
	for i := range v.Nodes {
		at(&v.Nodes[i].Heard)
	}
	for i := range v.Reorgs {
		at(&v.Reorgs[i].At)
	}
	moveFindings(v.Findings, by)
	return v
}
