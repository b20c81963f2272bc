package series

import "math"

const (
	blockSize  = 4  // samples in the smallest block
	pastLevels = 16 // the oldest samples kept are 4*2^16 to 4*2^17 samples back
)

// extent is how far a statistic went in one block of samples.
type extent struct{ Low, High float64 }

func (e extent) and(o extent) extent {
	return extent{math.Min(e.Low, o.Low), math.Max(e.High, o.High)}
}

// fading is and, after e has shrunk a little towards y, so that what was extreme long ago does not hide everything for ever.
func (e extent) fading(y float64) extent {
	return extent{math.Min(e.Low+fades*(y-e.Low), y), math.Max(e.High+fades*(y-e.High), y)}
}

// past tells how long ago a statistic was last as extreme as now. It keeps the extents of blocks that double in length with age (an exponential histogram:
// Datar et al. 2002), so that its memory is bounded and a period is known to about a third of itself.
type past struct {
	Block  [pastLevels][2]extent // [0] is the newer
	Held   [pastLevels]uint8
	Open   extent
	Opened uint8
	N      int64 // samples seen
	Ever   extent
}

func (p *past) add(y float64) {
	e := extent{y, y}
	if p.N == 0 {
		p.Ever = e
	} else {
		p.Ever = p.Ever.fading(y)
	}
	p.N++
	if p.Opened > 0 {
		e = p.Open.and(e)
	}
	p.Open = e
	if p.Opened++; p.Opened < blockSize {
		return
	}
	p.Opened = 0
	for l := range p.Block {
		b := &p.Block[l]
		switch p.Held[l] {
		case 0:
			b[0], p.Held[l] = e, 1
			return
		case 1:
			b[1], b[0], p.Held[l] = b[0], e, 2
			return
		}
		older := b[0].and(b[1])
		b[0], p.Held[l] = e, 1
		e = older
	}
}

// beyond tells whether y is outside e by more than grain: values that repeat must not be records of their own rounding errors.
func (e extent) beyond(y, grain float64) bool { return y > e.High+grain || y < e.Low-grain }

// period counts the newest samples in a row that y is beyond, all on the same side.
func (p *past) period(y, grain float64) float64 {
	e, n := extent{math.Inf(1), math.Inf(-1)}, 0
	if p.Opened > 0 {
		if e = p.Open; !e.beyond(y, grain) {
			return 0
		}
		n = int(p.Opened)
	}
	for l, size := 0, blockSize; l < pastLevels; l, size = l+1, 2*size {
		for i := range p.Block[l][:p.Held[l]] {
			if e = e.and(p.Block[l][i]); !e.beyond(y, grain) {
				return float64(n)
			}
			n += size
		}
	}
	return float64(max(int64(n), p.N))
}

// outside is how far y is outside e, as a share of its range; 0 when inside or when e is one point.
func (e extent) outside(y, grain float64) float64 {
	r := e.High - e.Low
	if !e.beyond(y, grain) {
		return 0
	}
	if r == 0 {
		return 1e3
	}
	return math.Min(math.Max(y-e.High, e.Low-y)/r, 1e3)
}
