package chain

import (
	"math"
	"slices"
)

const (
	paceWindow  = 200   // intervals remembered
	paceEnough  = 20    // intervals before a rhythm counts as learned; also the weight of the prior
	stallFloor  = 10000 // ms: shorter silences are not judged on any chain
	slotsMissed = 5     // a regular chain stalls after so many missed slots
	month       = 30 * 24 * 3600 * 1000
)

// pace learns how far apart blocks come. Intervals are header times, so a late node does not blur them.
type pace struct {
	prior    int64
	regular  bool // what is known before anything is learned
	onDemand bool
	ring     []float64
	next     int

	fresh   bool // the figures below hold for the ring
	mean    float64
	slots   bool
	after   float64
	learned bool
}

func (p *pace) add(ms int64) {
	v := float64(max(ms, 0))
	p.judge()
	if p.mean > 0 {
		v = math.Min(v, math.Max(20*p.mean, 60000)) // one long halt must not blind the next 200 blocks
	}
	if len(p.ring) < paceWindow {
		p.ring = append(p.ring, v)
	} else {
		p.ring[p.next] = v
		p.next = (p.next + 1) % paceWindow
	}
	p.fresh = false
}

// judge works out the expected interval and the silence that chance does not explain.
//
// A chain with slots (four of five intervals within half of the median) stalls after five missed slots, or twice the interval that only
// one in fifty exceeds, whichever is longer. Any other chain is taken for a Poisson process: silence t has probability exp(-t/mean), and
// stalls below 1e-4, or below one false alarm in thirty days for chains fast enough that 1e-4 would be more (Bitcoin: 92 minutes).
// A chain that makes blocks on demand is judged only after twenty of them came here at a steady pace, not in a burst.
// A heavy-tailed chain is given three times its longest interval. What is judged too early would page, what is never judged sleeps: with a
// prior the first block is enough, without one twenty intervals are needed.
func (p *pace) judge() {
	if p.fresh {
		return
	}
	p.fresh = true
	n := len(p.ring)
	p.learned = n >= paceEnough
	sum := 0.0
	for _, v := range p.ring {
		sum += v
	}
	p.mean, p.after, p.slots = 0, 0, p.regular
	switch {
	case p.prior > 0:
		p.mean = (float64(p.prior)*paceEnough + sum) / float64(paceEnough+n)
	case p.learned:
		p.mean = sum / float64(n)
	default:
		return
	}
	var sorted []float64
	if p.learned {
		sorted = slices.Clone(p.ring)
		slices.Sort(sorted)
		med, near := sorted[n/2], 0
		for _, v := range sorted {
			if v >= med/2 && v <= med*1.5 {
				near++
			}
		}
		p.slots = med > 0 && near*5 >= n*4
		if p.slots {
			p.mean = med
		}
	}
	switch {
	case p.mean <= 0, p.onDemand && (!p.slots || !p.learned || p.mean < 250):
		return
	case p.slots:
		p.after = slotsMissed * p.mean
		if p.learned {
			p.after = max(p.after, 2*sorted[n-1-max(n/50, 1)])
		}
	default:
		p.after = p.mean * -math.Log(math.Min(1e-4, p.mean/month))
		if p.learned && sorted[n*9/10] > 4*p.mean { // exp would have 2.3 means there
			p.after = max(p.after, 3*sorted[n-1])
		}
	}
	p.after = max(p.after, stallFloor)
}
