package metrics

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// MaxSince is how many stored samples Since gives at most, the newest.
const MaxSince = 4_000_000

// Since gives every stored sample after from and up to to (unix ms) whose name wanted takes, in the order of their times, in pieces. What is
// stored meanwhile may or may not be among them.
func (s *Store) Since(ctx context.Context, from, to int64, wanted func(name string) bool, each func([]Sample)) error {
	if to <= from {
		return nil
	}
	q, err := s.db.Querier(from+1, to)
	if err != nil {
		return fmt.Errorf("read samples since %d: %w", from, err)
	}
	defer q.Close()
	type point struct {
		at     int64
		value  float64
		series int32
	}
	type identity struct {
		name   string
		labels map[string]string
	}
	var series []identity
	var points []point
	found := q.Select(ctx, false, &storage.SelectHints{Start: from + 1, End: to}, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+"))
	var it chunkenc.Iterator
	for found.Next() {
		one := found.At()
		l := one.Labels()
		name := l.Get(labels.MetricName)
		if !wanted(name) {
			continue
		}
		m := l.Map()
		delete(m, labels.MetricName)
		series = append(series, identity{name, m})
		it = one.Iterator(it)
		for v := it.Next(); v != chunkenc.ValNone; v = it.Next() {
			if v != chunkenc.ValFloat {
				continue
			}
			at, value := it.At()
			points = append(points, point{at, value, int32(len(series) - 1)})
		}
		if err := it.Err(); err != nil {
			return fmt.Errorf("read samples of %s since %d: %w", name, from, err)
		}
		if len(points) > 2*MaxSince {
			slices.SortStableFunc(points, func(a, b point) int { return int(b.at - a.at) })
			points = points[:MaxSince]
		}
	}
	if err := found.Err(); err != nil {
		return fmt.Errorf("read samples since %d: %w", from, err)
	}
	slices.SortStableFunc(points, func(a, b point) int { return int(a.at - b.at) })
	points = points[max(len(points)-MaxSince, 0):]
	page := make([]Sample, 0, 512)
	for i, p := range points {
		page = append(page, Sample{Name: series[p.series].name, Labels: series[p.series].labels, At: p.at, Value: p.value})
		if len(page) == cap(page) || i == len(points)-1 {
			each(page)
			page = make([]Sample, 0, 512)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}
