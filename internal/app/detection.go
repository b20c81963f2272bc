package app

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/detection"
	"github.com/tocsin-ops/tocsin/internal/feedback"
	"github.com/tocsin-ops/tocsin/internal/forecast"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/internal/observation"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// sourceDetect is where the findings about series, transfers, bridges, feeds and bounds come from.
const sourceDetect = "detect"

// DetectionDir is the name of the directory of what the detectors learned, in the data directory. It may be deleted while nothing runs: they
// learn anew.
const DetectionDir = "detection"

const (
	selfEvery  = 15 * time.Second // between samples of this machine
	learnEvery = time.Minute
	pastMost   = 300 // incidents of the past that teach how faults spread, the newest
)

// detectors are what judges everything but the heads of chains.
type detectors struct {
	app   *App
	file  detection.File
	run   *detection.Detectors
	ahead *detection.Ahead
	*wallets
	followed
	watched []detect.Watched // addresses that the file names, those of the watches too

	mu     sync.Mutex
	strict map[string]float64
	taught []forecast.Past
	past   map[int64]forecast.Past // closed incidents by number; only runLearning touches it
}

// newDetectors reads what the detectors are told and makes them; they run with the App.
func newDetectors(a *App, path string) (*detectors, error) {
	file, err := detection.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := &detectors{app: a, file: file, past: map[int64]forecast.Past{}}
	setup := file.Setup
	setup.ChainsElsewhere = true // telemetry judges the heads
	setup.Chains = operated(setup.Chains, a.opt.Config)
	setup.Watched = namedAddresses(setup.Watched, a.opt.Config)
	setup.Series = append(slices.Clone(setup.Series), detect.SeriesRule{Match: "tocsin_*", NoMissing: true})
	d.run = detection.New(detection.Options{
		Setup: setup, Path: filepath.Join(a.opt.Config.Data, DetectionDir, "state"), Deliver: d.deliver, Leads: a.Collecting,
		Open: func(context.Context) ([]string, error) { return d.open(false), nil }, History: d.history, Clock: a.opt.Clock, Log: a.component("detection"),
	})
	d.ahead = &detection.Ahead{
		Bounds: file.Bounds(), Query: d.query, Deliver: d.deliver, Leads: a.Collecting, Clock: a.opt.Clock, Log: a.component("forecast"),
		Open: func(context.Context) ([]string, error) { return d.open(true), nil },
	}
	d.wallets, d.watched = newWallets(a, setup.Watched), setup.Watched
	a.tsdb.Observe(d.samples)
	return d, nil
}

// samples gives what was stored to the detectors; those of a drill are judged by the drill's own.
func (d *detectors) samples(list []metrics.Sample) {
	out := make([]chain.Sample, 0, len(list))
	for _, s := range list {
		if detection.Judged(s.Name) && d.isReal(s.Labels) {
			out = append(out, chain.Sample{Name: s.Name, Labels: s.Labels, At: s.At, Value: s.Value})
		}
	}
	d.run.Samples(out)
}

// isReal says that a series is not of a drill's chain.
func (d *detectors) isReal(labels map[string]string) bool {
	c := labels["chain"]
	return c == "" || !d.app.chain.isDrill(c)
}

func (d *detectors) history(ctx context.Context, from, to int64, each func([]chain.Sample)) error {
	return d.app.tsdb.Since(ctx, from, to, detection.Judged, func(list []metrics.Sample) {
		out := make([]chain.Sample, 0, len(list))
		for _, s := range list {
			if d.isReal(s.Labels) {
				out = append(out, chain.Sample{Name: s.Name, Labels: s.Labels, At: s.At, Value: s.Value})
			}
		}
		each(out)
	})
}

// observe gives what the watchers saw to the detectors.
func (d *detectors) observe(o observation.Observation) {
	d.wallets.observe(o, d.watched)
	if o.Followed { // nobody's that is watched: it belongs into the graph, and is judged by nobody
		return
	}
	d.run.Observe(context.Background(), o)
}

func (d *detectors) deliver(ctx context.Context, list []chain.Finding) error {
	_, err := d.app.flow.desk.Submit(ctx, sourceDetect, "system:detection", d.app.flow.observations(list))
	return err
}

// open are the keys of our findings that the log holds open: of forecasts, or of all others.
func (d *detectors) open(forecasts bool) (keys []string) {
	d.app.world.Look(func(v projection.View) {
		for s := range v.Signals() {
			if s.IsOpen() && s.Source == sourceDetect && (s.Kind == detection.KindForecast) == forecasts {
				keys = append(keys, s.Key)
			}
		}
	})
	return keys
}

func (d *detectors) query(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]detection.Series, error) {
	r, err := d.app.tsdb.QueryRange(ctx, expr, from, to, step)
	if err != nil {
		return nil, err
	}
	out := make([]detection.Series, 0, len(r.Series))
	for _, s := range r.Series {
		if !d.isReal(s.Labels) {
			continue
		}
		points := make([]forecast.Point, len(s.At))
		for i := range s.At {
			points[i] = forecast.Point{At: s.At[i], Value: s.Values[i]}
		}
		out = append(out, detection.Series{Labels: s.Labels, Points: points})
	}
	return out, nil
}

// moved takes the strictness of detectors as people's verdicts have it.
func (d *detectors) moved(m map[string]float64) {
	d.mu.Lock()
	d.strict = m
	d.mu.Unlock()
}

// gate weighs a finding by the strictness of its detector: what is not rare enough any more waits for review, what is rare enough now alarms.
func (d *detectors) gate(f signal.Finding, severity string) (signal.Finding, string) {
	d.mu.Lock()
	s := d.strict[f.Detector]
	d.mu.Unlock()
	if s == 0 || f.Bound <= 0 || f.Score <= 0 {
		return f, severity
	}
	switch alarms := feedback.Alarms(f.Score, f.Bound, s); {
	case alarms && f.Weak && f.Score > f.Bound: // weak for its score only, not by a rule
		f.Weak = false
		if signal.Rank(severity) > signal.Rank(signal.SEV4) {
			severity = signal.SEV4
		}
	case !alarms && !f.Weak:
		f.Weak, severity = true, signal.SEV5
	}
	return f, severity
}

// runSelf samples this machine until ctx ends.
func (d *detectors) runSelf(ctx context.Context) error {
	tick := time.NewTicker(selfEvery)
	defer tick.Stop()
	for {
		if free, size, ok := disk(d.app.opt.Config.Data); ok {
			labels := map[string]string{"instance": cmp.Or(d.app.id, "this")}
			d.app.storeSamples([]chain.Sample{
				{Name: "tocsin_disk_free_bytes", Labels: labels, At: d.app.millis(), Value: free},
				{Name: "tocsin_disk_size_bytes", Labels: labels, At: d.app.millis(), Value: size},
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// runLearning takes what closed incidents tell of how faults spread, until ctx ends.
func (d *detectors) runLearning(ctx context.Context) error {
	if len(d.file.Graph()) == 0 {
		return nil
	}
	tick := time.NewTicker(learnEvery)
	defer tick.Stop()
	for {
		past := d.learn(ctx)
		d.mu.Lock()
		d.taught = past
		d.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// suffering are the components and chains with an open signal that is no information, and since when.
func (d *detectors) suffering() map[string]int64 {
	out := map[string]int64{}
	d.app.world.Look(func(v projection.View) {
		for s := range v.Signals() {
			if s.IsOpen() && !s.Weak && !s.Held() && s.Drill == d.app.opt.Demo && s.Severity != signal.SEV5 {
				earliest(out, s.Component, s.OpenedAt)
				earliest(out, s.Chain, s.OpenedAt)
			}
		}
	})
	return out
}

func earliest(m map[string]int64, name string, at int64) {
	if have, ok := m[name]; name != "" && (!ok || at < have) {
		m[name] = at
	}
}

// learn is what the newest closed incidents tell of how faults spread. Each is read once.
func (d *detectors) learn(ctx context.Context) []forecast.Past {
	var closed []int64
	d.app.world.Look(func(v projection.View) {
		for _, c := range slices.Backward(v.Cards()) {
			if (c.Status == incident.StatusResolved || c.Status == incident.StatusReviewed) && c.Drill == d.app.opt.Demo && len(closed) < pastMost {
				closed = append(closed, c.Number)
			}
		}
	})
	var out []forecast.Past
	fresh := make(map[int64]forecast.Past, len(closed))
	for _, n := range closed {
		p, ok := d.past[n]
		if !ok {
			p = forecast.Past{}
			if err := d.app.world.LookInto(ctx, n, func(_ projection.View, st incident.State) {
				for _, s := range st.Signals {
					earliest(p, s.Component, s.OpenedAt)
					earliest(p, s.Chain, s.OpenedAt)
				}
			}); err != nil {
				continue
			}
		}
		fresh[n] = p
		out = append(out, p)
	}
	d.past = fresh
	return out
}

// Spread is where the faults of now will be felt.
func (d *detectors) Spread() []forecast.Reach {
	graph := d.file.Graph()
	if len(graph) == 0 {
		return nil
	}
	d.mu.Lock()
	past := d.taught
	d.mu.Unlock()
	return forecast.Spread(graph, past, d.suffering(), d.app.millis())
}

// Outlooks are the bounds that figures come near.
func (d *detectors) Outlooks() []detection.Outlook { return d.ahead.Outlooks() }
