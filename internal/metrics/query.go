package metrics

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
)

// Limits of one query, and of queries at a time.
const (
	Timeout    = 5 * time.Second
	MaxSamples = 5_000_000 // held in memory at once
	MaxPoints  = 11_000    // per series of a range query, as Prometheus has it
	MaxMatches = 10_000    // series listed by Series

	maxQueries = 4 // at a time; the others wait their turn within their Timeout
)

// Sentinels of queries.
var (
	ErrQuery   = errors.New("bad query")              // the caller's: syntax, times, step
	ErrLimit   = errors.New("query is too expensive") // more samples or points than allowed
	ErrTimeout = errors.New("query took too long")
)

// Series is one line of a result: its labels (with __name__ where the metric
// is known) and its points as two columns of one length, in order of time.
type Series struct {
	Labels map[string]string
	At     []int64 // Unix milliseconds
	Values []float64
}

// Result is the answer to a query, in order of labels unless the query sorts.
type Result struct {
	// Kind is matrix (a range per series), vector (one point per series),
	// scalar (one series without labels, one point) or string.
	Kind     string
	Series   []Series
	Text     string // of a string, at Series[0].At[0]
	Warnings []string
}

// Query evaluates the PromQL expression at one time.
func (s *Store) Query(ctx context.Context, expr string, at time.Time) (*Result, error) {
	return s.run(ctx, expr, func(ctx context.Context) (promql.Query, error) {
		return s.engine.NewInstantQuery(ctx, s.db, nil, expr, at)
	})
}

// QueryRange evaluates the PromQL expression at start, start+step, ... up to
// end, at most MaxPoints times. step is at least 1 ms.
func (s *Store) QueryRange(ctx context.Context, expr string, start, end time.Time, step time.Duration) (*Result, error) {
	switch {
	case step < time.Millisecond:
		return nil, fmt.Errorf("%w: step %s is below 1ms", ErrQuery, step)
	case end.Before(start):
		return nil, fmt.Errorf("%w: end is before start", ErrQuery)
	case end.Sub(start)/step >= MaxPoints:
		return nil, fmt.Errorf("%w: more than %d points per series, take a longer step", ErrLimit, MaxPoints)
	}
	return s.run(ctx, expr, func(ctx context.Context) (promql.Query, error) {
		return s.engine.NewRangeQuery(ctx, s.db, nil, expr, start, end, step)
	})
}

func (s *Store) run(ctx context.Context, expr string, prepare func(context.Context) (promql.Query, error)) (*Result, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return nil, fmt.Errorf("query %.200q: %w", expr, reason(ctx.Err()))
	}
	q, err := prepare(ctx)
	if err != nil {
		return nil, fmt.Errorf("query %.200q: %w: %w", expr, ErrQuery, err)
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, fmt.Errorf("query %.200q: %w", expr, reason(res.Err))
	}
	return result(res), nil
}

// reason marks what the engine says with our sentinels.
func reason(err error) error {
	var (
		late  promql.ErrQueryTimeout
		many  promql.ErrTooManySamples
		stop  promql.ErrQueryCanceled
		store promql.ErrStorage
	)
	switch {
	case errors.As(err, &late), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	case errors.As(err, &many):
		return fmt.Errorf("%w: %w", ErrLimit, err)
	case errors.As(err, &stop):
		return fmt.Errorf("%w: %w", context.Canceled, err)
	case errors.As(err, &store), errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("%w: %w", ErrQuery, err)
}

func result(res *promql.Result) *Result {
	r := &Result{Kind: string(res.Value.Type())}
	for _, w := range res.Warnings.AsErrors() {
		r.Warnings = append(r.Warnings, w.Error())
	}
	switch v := res.Value.(type) {
	case promql.Matrix:
		for _, line := range v {
			s := Series{Labels: line.Metric.Map(), At: make([]int64, len(line.Floats)), Values: make([]float64, len(line.Floats))}
			for i, p := range line.Floats {
				s.At[i], s.Values[i] = p.T, p.F
			}
			r.Series = append(r.Series, s)
		}
	case promql.Vector:
		for _, p := range v {
			r.Series = append(r.Series, Series{Labels: p.Metric.Map(), At: []int64{p.T}, Values: []float64{p.F}})
		}
	case promql.Scalar:
		r.Series = []Series{{At: []int64{v.T}, Values: []float64{v.V}}}
	case promql.String:
		r.Text, r.Series = v.V, []Series{{At: []int64{v.T}, Values: []float64{0}}}
	}
	return r
}

// Series lists the labels of all series that match any of the selectors (at
// least one) and have samples in the time given, at most MaxMatches.
func (s *Store) Series(ctx context.Context, selectors []string, start, end time.Time) ([]map[string]string, error) {
	if len(selectors) == 0 {
		return nil, fmt.Errorf("list series: %w: no selector", ErrQuery)
	}
	var list []map[string]string
	err := s.look(ctx, selectors, start, end, func(ctx context.Context, q storage.Querier, sets [][]*labels.Matcher) error {
		seen := map[uint64]bool{}
		hints := &storage.SelectHints{Start: timestamp.FromTime(start), End: timestamp.FromTime(end), Func: "series"}
		for _, set := range sets {
			found := q.Select(ctx, true, hints, set...)
			for found.Next() {
				l := found.At().Labels()
				if h := l.Hash(); !seen[h] {
					seen[h] = true
					list = append(list, l.Map())
				}
				if len(list) > MaxMatches {
					return fmt.Errorf("%w: more than %d series", ErrLimit, MaxMatches)
				}
			}
			if found.Err() != nil {
				return found.Err()
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list series: %w", err)
	}
	return list, nil
}

// LabelNames lists, in order, the label names of the series that match any of
// the selectors (none: of all).
func (s *Store) LabelNames(ctx context.Context, selectors []string, start, end time.Time) ([]string, error) {
	return s.list(ctx, selectors, start, end, func(ctx context.Context, q storage.Querier, set []*labels.Matcher) ([]string, error) {
		names, _, err := q.LabelNames(ctx, nil, set...)
		return names, err
	})
}

// LabelValues lists, in order, the values of one label of the series that
// match any of the selectors (none: of all).
func (s *Store) LabelValues(ctx context.Context, name string, selectors []string, start, end time.Time) ([]string, error) {
	if name == "" {
		return nil, fmt.Errorf("list label values: %w: no label name", ErrQuery)
	}
	return s.list(ctx, selectors, start, end, func(ctx context.Context, q storage.Querier, set []*labels.Matcher) ([]string, error) {
		values, _, err := q.LabelValues(ctx, name, nil, set...)
		return values, err
	})
}

func (s *Store) list(ctx context.Context, selectors []string, start, end time.Time, one func(context.Context, storage.Querier, []*labels.Matcher) ([]string, error)) ([]string, error) {
	all := []string{}
	err := s.look(ctx, selectors, start, end, func(ctx context.Context, q storage.Querier, sets [][]*labels.Matcher) error {
		if len(sets) == 0 {
			sets = [][]*labels.Matcher{nil}
		}
		for _, set := range sets {
			some, err := one(ctx, q, set)
			if err != nil {
				return err
			}
			for _, v := range some {
				all = append(all, string([]byte(v))) // not to be used beyond the querier
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list labels: %w", err)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func (s *Store) look(ctx context.Context, selectors []string, start, end time.Time, f func(context.Context, storage.Querier, [][]*labels.Matcher) error) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	sets, err := s.parser.ParseMetricSelectors(selectors)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrQuery, err)
	}
	if end.Before(start) {
		return fmt.Errorf("%w: end is before start", ErrQuery)
	}
	q, err := s.db.Querier(timestamp.FromTime(start), timestamp.FromTime(end))
	if err != nil {
		return err
	}
	defer q.Close()
	if err := f(ctx, q, sets); errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	} else if err != nil {
		return err
	}
	return nil
}
