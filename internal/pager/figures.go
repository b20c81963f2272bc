package pager

import (
	"github.com/tocsin-ops/tocsin/internal/incident"
)

// Figures are what a pager says of itself. Those of one that does not lead are all zero.
type Figures struct {
	Leads   bool
	Open    int   // incidents
	Waiting int   // pages that ask somebody to come
	Owed    int   // of these, those that the courier has not taken yet
	Unheard int64 // age in ms of the oldest that waits and of which no route has said anything yet
	Failing int64 // steps in a row that could not do all that was due
}

// Figures returns how it stood after the newest step. It waits for nothing.
func (p *Pager) Figures() Figures {
	f := p.figures.Load()
	if f == nil {
		return Figures{}
	}
	out := *f
	if out.Unheard > 0 {
		out.Unheard = max(0, p.now()-out.Unheard)
	}
	return out
}

// count takes the figures; Unheard is when the oldest such page was made, until it is asked for.
func (p *Pager) count() {
	f := &Figures{Leads: true, Failing: p.failing}
	for _, k := range p.rooms {
		if !incident.Open(k.state) {
			continue
		}
		f.Open++
		f.Owed += len(k.untold())
		for _, g := range k.state.Paging.Pages {
			if !waits(g) {
				continue
			}
			f.Waiting++
			if len(g.Receipts) == 0 && (f.Unheard == 0 || g.At < f.Unheard) {
				f.Unheard = g.At
			}
		}
	}
	p.figures.Store(f)
}
