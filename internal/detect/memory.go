package detect

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/observation"
)

// recent remembers what was used last: at most 2*half things, at least the half last used. Its cost does not grow with what it holds, and it
// depends on nothing but the order of use.
type recent[V any] struct {
	Young, Old map[string]*V
	Lost       int64 // forgotten so far
	half       int
}

func newRecent[V any](half int) recent[V] { return recent[V]{half: half} }

// get returns what is remembered under k and makes it young; nil = nothing.
func (r *recent[V]) get(k string) *V {
	if v, ok := r.Young[k]; ok {
		return v
	}
	v, ok := r.Old[k]
	if !ok {
		return nil
	}
	delete(r.Old, k)
	r.put(k, v)
	return v
}

func (r *recent[V]) put(k string, v *V) {
	if _, has := r.Young[k]; !has && len(r.Young) >= r.half {
		r.Lost += int64(len(r.Old))
		r.Old, r.Young = r.Young, nil
	}
	if r.Young == nil {
		r.Young = map[string]*V{}
	}
	delete(r.Old, k)
	r.Young[k] = v
}

// need returns what is remembered, or remembers a new one.
func (r *recent[V]) need(k string) *V {
	v := r.get(k)
	if v == nil {
		v = new(V)
		r.put(k, v)
	}
	return v
}

func (r *recent[V]) drop(k string) {
	delete(r.Young, k)
	delete(r.Old, k)
}

func (r *recent[V]) len() int { return len(r.Young) + len(r.Old) }

// keys are all that is remembered, sorted.
func (r *recent[V]) keys() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for k := range r.Young {
			if !yield(k) {
				return
			}
		}
		for k := range r.Old {
			if !yield(k) {
				return
			}
		}
	})
}

// spread is a histogram of positive numbers in steps of a tenth: how usual a size is, by the subject's own history. Beyond mostSpread numbers
// what is older counts half. Its memory is bounded by the range of a float64.
type spread struct {
	Bins map[int]int64
	N    int64
	Max  float64
}

const mostSpread = 20_000

var logStep = math.Log(1.1)

func binOf(v float64) int { return int(math.Floor(math.Log(v) / logStep)) }

func (s *spread) add(v float64) {
	if !(v > 0) || math.IsInf(v, 0) {
		return
	}
	if s.Bins == nil {
		s.Bins = map[int]int64{}
	}
	s.Bins[binOf(v)]++
	s.N++
	s.Max = max(s.Max, v)
	if s.N > mostSpread {
		s.N = 0
		for _, b := range slices.Sorted(maps.Keys(s.Bins)) {
			if s.Bins[b] /= 2; s.Bins[b] == 0 {
				delete(s.Bins, b)
			}
			s.N += s.Bins[b]
		}
	}
}

// quantile is the size that a share q of the history does not exceed, to a tenth; 0 without history.
func (s *spread) quantile(q float64) float64 {
	bins := slices.Sorted(maps.Keys(s.Bins))
	want := q * float64(s.N)
	sum := 0.0
	for _, b := range bins {
		if sum += float64(s.Bins[b]); sum >= want {
			return min(math.Exp(float64(b+1)*logStep), s.Max)
		}
	}
	return s.Max
}

// tail is the chance of v or more by the history; beyond its largest a power law goes on, whose exponent is estimated from the largest
// twentieth (B. M. Hill, 1975), held between 0.5 and 4.
func (s *spread) tail(v float64) float64 {
	if s.N == 0 || !(v > 0) {
		return 1
	}
	if v <= s.Max {
		n, from := int64(0), binOf(v)
		for b, c := range s.Bins {
			if b >= from {
				n += c
			}
		}
		return float64(n+1) / float64(s.N+1)
	}
	low := math.Max(s.quantile(0.95), math.SmallestNonzeroFloat64)
	k, sum := 0.0, 0.0
	for _, b := range slices.Sorted(maps.Keys(s.Bins)) {
		if x := math.Exp((float64(b) + 0.5) * logStep); x > low {
			k += float64(s.Bins[b])
			sum += float64(s.Bins[b]) * math.Log(x/low)
		}
	}
	alpha := 1.0
	if k >= 5 && sum > 0 {
		alpha = min(max(k/sum, 0.5), 4)
	}
	return math.Pow(s.Max/v, alpha) / float64(s.N+1)
}

// binomial is the chance of k or more of n when each has the chance p: Chernoff's bound, exact enough for alarms and never too small by rule.
func binomial(n, k int, p float64) float64 {
	f := float64(k) / float64(max(n, 1))
	if k <= 0 || f <= p {
		return 1
	}
	if p <= 0 {
		return 0
	}
	d := f * math.Log(f/p)
	if f < 1 {
		d += (1 - f) * math.Log((1-f)/(1-p))
	}
	return math.Exp(-float64(n) * d)
}

// normal writes a decimal number in its one shortest form, so that equal amounts are equal text.
func normal(s string) string {
	whole, rest, _ := strings.Cut(s, ".")
	whole, rest = strings.TrimLeft(whole, "0"), strings.TrimRight(rest, "0")
	if whole == "" {
		whole = "0"
	}
	if rest == "" {
		return whole
	}
	return whole + "." + rest
}

// number is the amount as a float, for sizes and shares only.
func number(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) || v < 0 {
		return 0
	}
	return v
}

// priced is the value in dollars; 0 when it is not told or no number.
func priced(o observation.Observation) float64 {
	if o.USD == nil || !(*o.USD > 0) || *o.USD > 1e18 {
		return 0
	}
	return *o.USD
}

// digits counts the significant digits of a decimal number: 100 has one, 202440.725413 twelve.
func digits(s string) int {
	d := strings.Trim(strings.ReplaceAll(normal(s), ".", ""), "0")
	return max(len(d), 1)
}
