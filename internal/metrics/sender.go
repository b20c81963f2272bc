package metrics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
)

// What senders are held to. They are outside: nothing of theirs may look like ours.
const (
	// LabelSource is the label that says who sent a series. A sender's own label
	// of that name is kept as LabelExported, as Prometheus does it.
	LabelSource   = "source"
	LabelExported = "exported_source"
	// Reserved begins the names of what Tocsin measures itself.
	Reserved = "tocsin_"
	// SeriesPerSource is how many series one sender may have at a time by default.
	SeriesPerSource = 20_000
	// SeriesIdle is after how long without a sample a series counts no more.
	SeriesIdle = time.Hour
	// Ahead is how far in the future a sample may be, as Prometheus has it. One
	// clock that runs ahead would else make everybody else's samples too old.
	Ahead = 10 * time.Minute
)

const (
	nameAlerts   = "ALERTS"           // written by rules; those here are ours alone
	nameForState = "ALERTS_FOR_STATE" // read back after a restart: forged, it would open alerts early
	sweepEvery   = time.Minute
)

// Sender is one source of samples that is not ourselves. Its methods may be
// called from any goroutine.
type Sender struct {
	store *Store
	name  string // value of LabelSource; "" = ourselves: nothing is added and nothing reserved
	limit int

	mu    sync.Mutex
	seen  map[uint64]int64 // series by hash, unix ms of its last sample; at most limit
	swept int64

	deltas deltas
}

// Sender makes the way in for one source. Every series gets the label
// source=name; at most limit series are taken at a time (0: SeriesPerSource).
// Make one per source and keep it: it counts.
func (s *Store) Sender(name string, limit int) *Sender {
	if limit <= 0 {
		limit = SeriesPerSource
	}
	return &Sender{store: s, name: name, limit: limit, seen: map[uint64]int64{}, deltas: deltas{}}
}

// Receipt says what became of a delivery. When it is returned without an error,
// what was Stored is in the write-ahead log: it survives the death of the
// process. The database does not wait for the disk (fsync) with every delivery:
// a machine that loses power loses what the kernel had not written yet.
type Receipt struct {
	Stored  int // samples
	Old     int // samples too old, or a second value for the same time; dropped, sending again is no use
	Ours    int // samples of series that only rules here write; left out
	Refused int // samples beyond a limit
	// Why is one sentence about the first sample that was refused; "" = none was.
	Why string
}

func (r *Receipt) refuse(n int, format string, args ...any) {
	if n <= 0 {
		return
	}
	if r.Refused += n; r.Why == "" {
		r.Why = fmt.Sprintf(format, args...)
	}
}

// Sentence is Why with how many samples it is about.
func (r *Receipt) Sentence() string {
	if r.Why == "" {
		return ""
	}
	return fmt.Sprintf("%d samples were stored, %d refused. %s", r.Stored, r.Refused, r.Why)
}

// Count returns the number of series that count against the limit.
func (x *Sender) Count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.seen)
}

// admit counts a series in, or reports that the sender has too many.
func (x *Sender) admit(hash uint64, now int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, known := x.seen[hash]; !known && len(x.seen) >= x.limit {
		if now-x.swept < sweepEvery.Milliseconds() {
			return false
		}
		x.swept = now
		for h, at := range x.seen {
			if now-at > SeriesIdle.Milliseconds() {
				delete(x.seen, h)
			}
		}
		if len(x.seen) >= x.limit {
			return false
		}
	}
	x.seen[hash] = now
	return true
}

// delivery is one transaction of a sender. It is a storage.AppenderV2 that never
// fails for a single sample: what is refused is counted.
type delivery struct {
	sender *Sender
	app    storage.Appender
	now    int64
	b      *labels.Builder
	got    Receipt
	seen   []Sample // stored with Commit, for those who observe
	quiet  bool     // nobody observes
}

func (x *Sender) begin(ctx context.Context) *delivery {
	return &delivery{
		sender: x, app: x.store.db.Appender(ctx), now: time.Now().UnixMilli(), b: labels.NewBuilder(labels.EmptyLabels()),
		quiet: !x.store.watched(),
	}
}

// line makes the labels of a series as it is stored; ok is false when it is not.
// n is how many samples hang on it.
func (d *delivery) line(l labels.Labels, n int) (_ labels.Labels, ok bool) {
	own := d.sender.name == ""
	name := l.Get(labels.MetricName)
	switch {
	case !own && (name == nameAlerts || name == nameForState):
		d.got.Ours += n
		return l, false
	case !goodName(name, true):
		d.got.refuse(n, "The metric name %.60q is not letters, digits, underscores and colons.", name)
		return l, false
	case !own && strings.HasPrefix(name, Reserved):
		d.got.refuse(n, "The name %s begins with %s, which is kept for what Tocsin measures itself; drop or rename it at the sender (write_relabel_configs).", name, Reserved)
		return l, false
	}
	if twice, has := l.HasDuplicateLabelNames(); has {
		d.got.refuse(n, "%s has the label %.60q twice.", name, twice)
		return l, false
	}
	var why string
	count := 0
	l.Range(func(x labels.Label) {
		if x.Name == labels.MetricName || why != "" {
			return
		}
		switch count++; {
		case !goodName(x.Name, false):
			why = fmt.Sprintf("%s has the label name %.60q, which is not letters, digits and underscores.", name, x.Name)
		case len(x.Value) > MaxValueBytes:
			why = fmt.Sprintf("%s has %d bytes in the label %s, more than %d.", name, len(x.Value), x.Name, MaxValueBytes)
		case !utf8.ValidString(x.Value):
			why = fmt.Sprintf("%s has a label %s that is not UTF-8.", name, x.Name)
		case count > MaxLabels:
			why = fmt.Sprintf("%s has more than %d labels.", name, MaxLabels)
		}
	})
	if why != "" {
		d.got.refuse(n, "%s", why)
		return l, false
	}
	if own {
		return l, true
	}
	d.b.Reset(l)
	if v := l.Get(LabelSource); v != "" && v != d.sender.name {
		d.b.Set(LabelExported, v)
	}
	d.b.Set(LabelSource, d.sender.name)
	return d.b.Labels(), true
}

// put takes one value of a series whose labels line made.
func (d *delivery) put(l labels.Labels, at int64, v float64) error {
	if at > d.now+Ahead.Milliseconds() {
		d.got.refuse(1, "A sample of %s is of %s, more than %s ahead of the clock here; check the sender's clock.",
			l.Get(labels.MetricName), time.UnixMilli(at).UTC().Format(time.RFC3339), Ahead)
		return nil
	}
	if hash := l.Hash(); !d.sender.admit(hash, d.now) {
		d.got.refuse(1, "This source has %d series already, as many as it may; %s would be one more. Send fewer, or raise the limit in the configuration.",
			d.sender.limit, l.Get(labels.MetricName))
		return nil
	} else if d.sender.store.full(d.app, l, hash) {
		d.got.refuse(1, "There are %d series here already, as many as fit; %s would be one more.", MaxSeries, l.Get(labels.MetricName))
		return nil
	}
	_, err := d.app.Append(0, l, at, v)
	switch {
	case isOld(err):
		d.got.Old++
		return nil
	case err != nil:
		return fmt.Errorf("append %s at %d: %w", l.Get(labels.MetricName), at, err)
	}
	d.got.Stored++
	if !d.quiet && !isStale(v) {
		d.seen = append(d.seen, sampleOf(l, at, v))
	}
	return nil
}

// Commit makes it durable as Receipt says, and tells those who observe.
func (d *delivery) Commit() error {
	if err := d.app.Commit(); err != nil {
		return fmt.Errorf("append %d samples of %s: %w", d.got.Stored, d.sender.name, err)
	}
	s := d.sender.store
	s.stored.Add(uint64(d.got.Stored))
	s.dropped.Add(uint64(d.got.Old))
	s.refused.Add(uint64(d.got.Refused))
	s.observed(d.seen, true)
	return nil
}

// Rollback takes everything back.
func (d *delivery) Rollback() error { return d.app.Rollback() }

// finish ends the transaction: err is what stopped it, nil to commit.
func (d *delivery) finish(err error) (Receipt, error) {
	if err != nil {
		return Receipt{}, errors.Join(err, d.Rollback())
	}
	if err := d.Commit(); err != nil {
		return Receipt{}, err
	}
	return d.got, nil
}

func sampleOf(l labels.Labels, at int64, v float64) Sample {
	m := Sample{At: at, Value: v, Labels: make(map[string]string, l.Len())}
	l.Range(func(x labels.Label) {
		if x.Name == labels.MetricName {
			m.Name = x.Value
			return
		}
		m.Labels[x.Name] = x.Value
	})
	return m
}

// isStale tells the mark that a series ended, which is no value.
func isStale(v float64) bool { return value.IsStaleNaN(v) }
