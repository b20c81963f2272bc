package metrics

import (
	"fmt"
	"hash/maphash"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// deltas are the running totals of what a sender reports as increments, at most
// as many as it may have series. They begin at nought with the process, as a
// counter does that was restarted.
type deltas map[uint64]*total

const maxBuckets = 256 // of a histogram of increments

type total struct {
	heard int64 // unix ms of the last increment's arrival
	upTo  pcommon.Timestamp
	since pcommon.Timestamp
	sum   float64
	count uint64
	parts []uint64
	edges []float64
}

var deltaSeed = maphash.MakeSeed()

// cumulate turns delta sums and histograms into cumulative ones, in place. An
// increment that ends before the last one did is left out: it was counted.
func (x *Sender) cumulate(md pmetric.Metrics, got *Receipt, now int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				id := func(attrs pcommon.Map) uint64 {
					var h maphash.Hash
					h.SetSeed(deltaSeed)
					fmt.Fprintf(&h, "%q %q %q %q %d ", m.Name(), m.Unit(), sm.Scope().Name(), sm.Scope().Version(), m.Type())
					spell(&h, rm.Resource().Attributes())
					spell(&h, sm.Scope().Attributes())
					spell(&h, attrs)
					return h.Sum64()
				}
				switch m.Type() {
				case pmetric.MetricTypeSum:
					if m.Sum().AggregationTemporality() == pmetric.AggregationTemporalityDelta {
						m.Sum().DataPoints().RemoveIf(func(p pmetric.NumberDataPoint) bool { return !x.addNumber(p, id(p.Attributes()), m.Name(), got, now) })
						m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
					}
				case pmetric.MetricTypeHistogram:
					if m.Histogram().AggregationTemporality() == pmetric.AggregationTemporalityDelta {
						m.Histogram().DataPoints().RemoveIf(func(p pmetric.HistogramDataPoint) bool {
							return !x.addHistogram(p, id(p.Attributes()), m.Name(), got, now)
						})
						m.Histogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
					}
				}
			}
		}
	}
}

// spell writes attributes; their order does not matter.
func spell(h *maphash.Hash, attrs pcommon.Map) {
	var sum uint64
	for k, v := range attrs.All() {
		sum += maphash.String(deltaSeed, k+"\x00"+v.Type().String()+"\x00"+v.AsString())
	}
	fmt.Fprintf(h, "%d %d ", attrs.Len(), sum)
}

// total finds or begins a running total; nil when there are too many.
func (x *Sender) total(id uint64, name string, start pcommon.Timestamp, got *Receipt, now int64) *total {
	if t := x.deltas[id]; t != nil {
		t.heard = now
		return t
	}
	if len(x.deltas) >= x.limit {
		for k, t := range x.deltas {
			if now-t.heard > SeriesIdle.Milliseconds() {
				delete(x.deltas, k)
			}
		}
	}
	if len(x.deltas) >= x.limit {
		got.refuse(1, "This source has %d series of increments already, as many as it may; %.60s would be one more.", x.limit, name)
		return nil
	}
	t := &total{heard: now, since: start}
	x.deltas[id] = t
	return t
}

func (x *Sender) addNumber(p pmetric.NumberDataPoint, id uint64, name string, got *Receipt, now int64) bool {
	t := x.total(id, name, p.StartTimestamp(), got, now)
	if t == nil {
		return false
	}
	if p.Timestamp() <= t.upTo {
		got.Old++
		return false
	}
	t.upTo = p.Timestamp()
	if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
		t.sum += float64(p.IntValue())
	} else {
		t.sum += p.DoubleValue()
	}
	p.SetDoubleValue(t.sum)
	p.SetStartTimestamp(t.since)
	return true
}

func (x *Sender) addHistogram(p pmetric.HistogramDataPoint, id uint64, name string, got *Receipt, now int64) bool {
	counts, edges := p.BucketCounts().AsRaw(), p.ExplicitBounds().AsRaw()
	if len(counts) > 0 && len(counts) != len(edges)+1 || len(counts) == 0 && len(edges) > 0 {
		got.refuse(1, "The histogram %.60s has %d buckets and %d bounds.", name, len(counts), len(edges))
		return false
	}
	if len(counts) > maxBuckets {
		got.refuse(1, "The histogram %.60s has %d buckets, more than %d.", name, len(counts), maxBuckets)
		return false
	}
	t := x.total(id, name, p.StartTimestamp(), got, now)
	if t == nil {
		return false
	}
	if p.Timestamp() <= t.upTo {
		got.Old++
		return false
	}
	t.upTo = p.Timestamp()
	if !sameEdges(t.edges, edges) || len(t.parts) != len(counts) { // other buckets: a new beginning
		t.since, t.sum, t.count, t.parts, t.edges = p.StartTimestamp(), 0, 0, make([]uint64, len(counts)), edges
	}
	t.sum += p.Sum()
	t.count += p.Count()
	for i, c := range counts {
		t.parts[i] += c
	}
	p.SetSum(t.sum)
	p.SetCount(t.count)
	p.BucketCounts().FromRaw(t.parts)
	p.SetStartTimestamp(t.since)
	p.RemoveMin()
	p.RemoveMax()
	return true
}

func sameEdges(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
