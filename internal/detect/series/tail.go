package series

import "math"

const (
	tailBins   = 96 // a quarter of a power of two each
	perOctave  = 4.0
	tailLowest = -7.8765433 // log2 of the smallest size told apart; odd, so that no usual number lies on a border
	log10e     = 0.4342944819032518
)

// tail estimates how rarely a size is seen: ranks as far as ranks go, beyond them an exponential in the logarithm of the size, that is a Pareto tail (Hill 1975),
// fitted to the largest twentieth.
type tail struct {
	Weight [tailBins]float32
	Sum    float64
	Start  float64 // position where the tail starts, as of the last refresh
	Since  int32
}

// position is where a size lies on the scale of bins.
func position(z float64) float64 {
	if !(z > 0) {
		return 0
	}
	return math.Min(math.Max((math.Log2(z)-tailLowest)*perOctave, 0), tailBins-2)
}

// score is the tail probability of position x in decades; 0 when it is not in the tail.
func (t *tail) score(x float64) float64 {
	if t.Sum < 1 || x < t.Start-1 {
		return 0
	}
	need := tailStart * t.Sum
	top := math.Min(tailTop, need)
	above, moment, beyondX := 0.0, 0.0, -1.0
	start, topAt := 0.0, -1.0
	for i := tailBins - 1; i >= 0; i-- {
		w, edge := float64(t.Weight[i]), float64(i)+0.5
		if beyondX < 0 && edge-1 <= x {
			beyondX = above + w*math.Max(0, math.Min(1, edge-x))
		}
		if topAt < 0 && above+w >= top {
			topAt = edge - (top-above)/w
		}
		if above+w >= need {
			part := (need - above) / w
			start = edge - part
			moment += (need - above) * (edge - part/2)
			above = need
			break
		}
		above += w
		moment += w * float64(i)
	}
	t.Start = start
	if x <= start {
		return 0
	}
	if x <= topAt {
		return -math.Log10(math.Max(beyondX, 1e-9) / t.Sum)
	}
	excess := (math.Max(moment-above*start, 0) + tailPrior*tailExcess) / (above + tailPrior)
	return math.Min(-math.Log10(top/t.Sum)+(x-topAt)/excess*log10e, 99)
}

// add learns position x, whose score was s.
func (t *tail) add(x, s float64) {
	const start = 1.3010299956639813 // decades at Start
	if s > tailLearns && x > t.Start {
		x = t.Start + (x-t.Start)*(tailLearns-start)/(s-start)
	}
	i := int(x)
	f := float32(x - float64(i))
	t.Weight[i] += 1 - f
	t.Weight[i+1] += f
	t.Sum++
	if t.Since++; t.Since < 256 {
		return
	}
	t.Since = 0
	if t.Sum > tailMemory {
		keep := float32(tailMemory / t.Sum)
		for j := range t.Weight {
			t.Weight[j] *= keep
		}
		t.Sum = tailMemory
	}
	t.Start = 0
	t.score(tailBins - 2)
}
