// Package metrics owns the samples: an embedded Prometheus TSDB on disk and
// PromQL over it, with limits. It never decides what a sample means, and never
// holds anything that must not be lost: the log does that.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// Limits of what is stored. A sample beyond them is refused, not cut.
const (
	MaxLabels     = 40      // labels of a sample, its name not counted
	MaxNameBytes  = 128     // of a metric or label name
	MaxValueBytes = 1024    // of a label value
	MaxSeries     = 200_000 // series written to within the last hours; no new ones above that
)

// OutOfOrder is how much older than the newest sample a sample may be, unless
// Options say otherwise: senders that could not reach us catch up.
const OutOfOrder = 30 * time.Minute

// Options of a Store; the zero value is usable.
type Options struct {
	// Retention is how long samples are kept; 15 days by default. The disk
	// gives them back in blocks of at least two hours.
	Retention time.Duration
	// OutOfOrder is how much older than the newest sample a sample may be; the
	// constant of that name by default.
	OutOfOrder time.Duration
	// Log takes what the database says; nothing by default.
	Log *slog.Logger
	// Registerer takes the database's own metrics; nil keeps them to itself.
	Registerer prometheus.Registerer
}

// Store is an open sample store. Its methods may be called from any goroutine
// until Close. Compaction and retention run by themselves while it is open.
type Store struct {
	db     *tsdb.DB
	engine *promql.Engine
	parser parser.Parser
	turns  chan struct{} // one token per running query

	stored, dropped, refused atomic.Uint64

	decoding chan struct{} // one token per delivery that is decoded
	watch    watchers
}

// Open opens or creates the store in dir, which belongs to one process at a
// time. After a crash what had been appended is read back from the write-ahead
// log: a killed process loses nothing, a machine that loses power at most what
// the kernel had not yet written.
func Open(dir string, o Options) (*Store, error) {
	if o.Retention <= 0 {
		o.Retention = 15 * 24 * time.Hour
	}
	if o.OutOfOrder <= 0 {
		o.OutOfOrder = OutOfOrder
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("open metrics in %s: %w", dir, err)
	}
	t := tsdb.DefaultOptions()
	t.RetentionDuration = o.Retention.Milliseconds()
	t.MaxBlockDuration = max(t.MinBlockDuration, t.RetentionDuration/10)
	t.OutOfOrderTimeWindow = o.OutOfOrder.Milliseconds()
	t.WALSegmentSize = 32 << 20
	db, err := tsdb.Open(dir, o.Log, o.Registerer, t, nil)
	if err != nil {
		return nil, fmt.Errorf("open metrics in %s (is another process using it?): %w", dir, err)
	}
	p := parser.NewParser(parser.Options{})
	return &Store{
		db: db, parser: p, turns: make(chan struct{}, maxQueries), decoding: make(chan struct{}, maxDecoding),
		engine: promql.NewEngine(promql.EngineOpts{
			Logger: o.Log, Reg: o.Registerer, Parser: p,
			MaxSamples: MaxSamples, Timeout: Timeout,
			EnableAtModifier: true, EnableNegativeOffset: true,
		}),
	}, nil
}

// Close ends the store; running queries fail.
func (s *Store) Close() error {
	if err := errors.Join(s.engine.Close(), s.db.Close()); err != nil {
		return fmt.Errorf("close metrics: %w", err)
	}
	return nil
}

// Stats are counters since Open, and the number of series in memory.
type Stats struct {
	Stored  uint64 // samples accepted
	Dropped uint64 // samples too old, or a second value for the same time
	Refused uint64 // samples of senders beyond a limit
	Series  uint64
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	return Stats{Stored: s.stored.Load(), Dropped: s.dropped.Load(), Refused: s.refused.Load(), Series: s.db.Head().NumSeries()}
}

// Append stores samples of our own; they can be queried when it returns, and
// those who Observe have them. Samples may be up to OutOfOrder late. Those that are older still, and a second value for
// the same series and time, are dropped and counted: senders repeat
// themselves. A sample beyond the limits does not keep the others from being
// stored; the error, matched by ErrSample, then names the first of them.
func (s *Store) Append(samples []Sample) error {
	app := s.db.Appender(context.Background())
	var refused error
	bad, stored, dropped := 0, uint64(0), uint64(0)
	kept, watched := samples[:0:0], s.watched()
	for i := range samples {
		err := s.append(app, &samples[i])
		switch {
		case err == nil:
			stored++
			if watched {
				kept = append(kept, samples[i])
			}
		case errors.Is(err, ErrSample):
			bad++
			if refused == nil {
				refused = err
			}
		case isOld(err):
			dropped++
		default:
			_ = app.Rollback()
			return fmt.Errorf("append %s at %d: %w", samples[i].Name, samples[i].At, err)
		}
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("append %d samples: %w", len(samples), err)
	}
	s.stored.Add(stored)
	s.dropped.Add(dropped)
	s.observed(kept, false)
	if refused != nil {
		return fmt.Errorf("%d of %d samples not stored, the first because %w", bad, len(samples), refused)
	}
	return nil
}

func (s *Store) append(app storage.Appender, m *Sample) error {
	l, err := m.labels()
	if err != nil {
		return err
	}
	if s.full(app, l, l.Hash()) {
		return fmt.Errorf("%w: %s would be series %d", ErrSample, l, MaxSeries+1)
	}
	_, err = app.Append(0, l, m.At, m.Value)
	return err
}

// full reports whether there is no room for the series, which is not there yet.
func (s *Store) full(app storage.Appender, l labels.Labels, hash uint64) bool {
	if s.db.Head().NumSeries() < MaxSeries {
		return false
	}
	known, ok := app.(storage.GetRef)
	if !ok {
		return true
	}
	ref, _ := known.GetRef(l, hash)
	return ref == 0
}

func isOld(err error) bool {
	return errors.Is(err, storage.ErrOutOfOrderSample) || errors.Is(err, storage.ErrTooOldSample) ||
		errors.Is(err, storage.ErrOutOfBounds) || errors.Is(err, storage.ErrDuplicateSampleForTimestamp)
}
