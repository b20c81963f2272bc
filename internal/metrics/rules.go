package metrics

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
)

// Timing of rules.
const (
	RuleInterval = 30 * time.Second // of groups that name none
	reloadEvery  = 30 * time.Second // files are looked at
	standEvery   = 15 * time.Second // what stands is given out, also when nothing changed
	// outage is how long we may have been away for an alert to keep the time it
	// was pending; grace is Prometheus' for, below which nothing is restored.
	outage = time.Hour
	grace  = time.Minute
	// failingFor is how long a rule must fail before it is worth a word.
	failingFor = 2 * time.Minute
)

const (
	maxAlerts  = 1000 // given out at a time; the others are counted
	maxRuling  = 2    // rules evaluated at a time
	maxFailing = 50
)

// Alert is one alert of a rule that is pending or firing.
type Alert struct {
	Name        string
	Key         string // "<name>/<digest of its labels>": the same as long as the labels are
	Labels      map[string]string
	Annotations map[string]string // templates filled in
	Firing      bool              // false: it waits for its "for"
	Value       float64
	Since       int64 // unix ms when the condition began to hold
}

// Standing is what the rules say at one moment.
type Standing struct {
	Alerts []Alert // by key; firing ones first when there are too many
	// Rules are the names of all alerting rules; true when what Alerts lacks of a
	// name is not so: it was evaluated, and restored after a start.
	Rules   map[string]bool
	Failing []Failure
	// Broken says why the files, as they are now, cannot be taken; the rules
	// before them go on. "" = they are in use.
	Broken string
	Beyond int // alerts that were left out
}

// Failure is a rule that cannot be evaluated.
type Failure struct {
	Rule, Group, Why string
	Since            int64 // unix ms
}

// RuleOptions of Rules.
type RuleOptions struct {
	Patterns []string      // of files
	Interval time.Duration // RuleInterval by default
	URL      string        // of this Tocsin, for templates
	Log      *slog.Logger
	// Stand takes what the rules say: after every change, and every 15 s. It is
	// called from one goroutine at a time; after an error it is called again soon.
	Stand func(ctx context.Context, s Standing) error
}

// Rules evaluates rule files in Prometheus' format with the engine of Store.
type Rules struct {
	store   *Store
	opt     RuleOptions
	current atomic.Pointer[ruleSet]
	running atomic.Pointer[rules.Manager] // nil while nothing is evaluated here
	heard   atomic.Pointer[Ruling]        // of another replica; nil: nobody said
	wake    chan struct{}
	reload  chan struct{}

	mu      sync.Mutex
	broken  string
	failing map[string]int64 // since when, unix ms
}

// Rules returns the rules of the patterns, read and judged; the error says which
// file and line is wrong. Nothing is evaluated before Run.
func (s *Store) Rules(o RuleOptions) (*Rules, error) {
	if o.Interval <= 0 {
		o.Interval = RuleInterval
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Rules{store: s, opt: o, wake: make(chan struct{}, 1), reload: make(chan struct{}, 1), failing: map[string]int64{}}
	set, err := readRules(o.Patterns)
	if err != nil {
		return nil, err
	}
	if _, err := set.parse(); err != nil {
		return nil, err
	}
	r.current.Store(set)
	return r, nil
}

// Reload has the files looked at now rather than within half a minute.
func (r *Rules) Reload() { nudge(r.reload) }

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Load implements rules.GroupLoader.
func (r *Rules) Load(path string, ignore bool, scheme model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	return r.current.Load().Load(path, ignore, scheme)
}

// Parse implements rules.GroupLoader.
func (r *Rules) Parse(query string) (parser.Expr, error) { return r.store.parser.ParseExpr(query) }

// Run evaluates until ctx ends; then nothing of it runs any more. After a start
// alerts get back since when they were pending, from what was recorded.
func (r *Rules) Run(ctx context.Context) error {
	where, err := url.Parse(r.opt.URL)
	if err != nil {
		where = &url.URL{}
	}
	m := rules.NewManager(&rules.ManagerOptions{
		Context: ctx, ExternalURL: where, QueryFunc: r.query(), GroupLoader: r, Parser: r.store.parser,
		NotifyFunc: func(context.Context, string, ...*rules.Alert) { nudge(r.wake) },
		Appendable: recorder{r.store}, Queryable: r.store.db,
		Logger:               slog.New(slog.DiscardHandler), // what matters is in Standing
		NameValidationScheme: model.LegacyValidation,
		OutageTolerance:      outage, ForGracePeriod: grace, ResendDelay: time.Minute, RestoreNewRuleGroups: true,
	})
	var ran sync.WaitGroup
	ran.Go(m.Run)
	defer ran.Wait()
	defer m.Stop()
	r.look() // it may have changed since it was judged
	if err := r.apply(m); err != nil {
		return err
	}
	r.running.Store(m)
	defer r.running.Store(nil)
	stand, files := time.NewTicker(standEvery), time.NewTicker(reloadEvery)
	defer stand.Stop()
	defer files.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-stand.C:
		case <-files.C:
			err = r.again(m)
		case <-r.reload:
			err = r.again(m)
		}
		if err != nil {
			return err
		}
		if err := r.opt.Stand(ctx, r.standing(m)); err != nil && ctx.Err() == nil {
			r.opt.Log.Warn("what the rules say was not recorded; it is tried again", "err", err)
		}
	}
}

// look reads the files and reports whether there is something new to apply.
func (r *Rules) look() bool {
	set, err := readRules(r.opt.Patterns)
	if err == nil && set.sum == r.current.Load().sum {
		r.setBroken("")
		return false
	}
	if err == nil {
		_, err = set.parse()
	}
	if err != nil {
		r.setBroken(err.Error())
		return false
	}
	r.setBroken("")
	r.current.Store(set)
	return true
}

func (r *Rules) setBroken(why string) {
	r.mu.Lock()
	changed := r.broken != why
	r.broken = why
	r.mu.Unlock()
	switch {
	case changed && why != "":
		r.opt.Log.Error("the rule files were changed and cannot be used; the rules before go on", "why", why)
	case changed:
		r.opt.Log.Info("the rule files can be used again")
	}
}

func (r *Rules) again(m *rules.Manager) error {
	if !r.look() {
		return nil
	}
	r.opt.Log.Info("the rule files changed", "files", len(r.current.Load().paths))
	return r.apply(m)
}

func (r *Rules) apply(m *rules.Manager) error {
	if err := m.Update(r.opt.Interval, r.current.Load().paths, labels.EmptyLabels(), r.opt.URL, nil); err != nil {
		return fmt.Errorf("take the rule files: %w", err) // they were judged: it cannot be
	}
	return nil
}

// query runs a rule's expression, a few at a time and within the engine's limits.
func (r *Rules) query() rules.QueryFunc {
	ask := rules.EngineQueryFunc(r.store.engine, r.store.db)
	turns := make(chan struct{}, maxRuling)
	return func(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
		select {
		case turns <- struct{}{}:
			defer func() { <-turns }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return ask(ctx, expr, at)
	}
}

// standing reads what the rules say now.
func (r *Rules) standing(m *rules.Manager) Standing {
	s := Standing{Rules: map[string]bool{}}
	now := time.Now().UnixMilli()
	all := map[string]Alert{} // two groups may have the same alert: it is one
	failing := map[string]int64{}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Broken = r.broken
	for _, g := range m.RuleGroups() {
		for _, rule := range g.Rules() {
			bad := rule.Health() == rules.HealthBad
			if id := g.File() + "\x00" + g.Name() + "\x00" + rule.Name(); bad {
				since, known := r.failing[id]
				if !known {
					since = now
				}
				failing[id] = since
				if now-since >= failingFor.Milliseconds() && len(s.Failing) < maxFailing {
					s.Failing = append(s.Failing, Failure{Rule: rule.Name(), Group: g.Name(), Why: flat(fmt.Sprint(rule.LastError())), Since: since})
				}
			}
			a, ok := rule.(*rules.AlertingRule)
			if !ok {
				continue
			}
			settled := a.Restored() && !a.GetEvaluationTimestamp().IsZero() && !bad
			if before, there := s.Rules[a.Name()]; there {
				settled = settled && before
			}
			s.Rules[a.Name()] = settled
			a.ForEachActiveAlert(func(x *rules.Alert) {
				if x.State != rules.StatePending && x.State != rules.StateFiring {
					return
				}
				alert := alertOf(a.Name(), x)
				if _, twice := all[alert.Key]; !twice || alert.Firing {
					all[alert.Key] = alert
				}
			})
		}
	}
	r.failing = failing
	s.Alerts = slices.Collect(maps.Values(all))
	slices.SortFunc(s.Alerts, func(a, b Alert) int {
		if a.Firing != b.Firing {
			if a.Firing {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Key, b.Key)
	})
	if s.Beyond = max(0, len(s.Alerts)-maxAlerts); s.Beyond > 0 {
		s.Alerts = s.Alerts[:maxAlerts]
	}
	return s
}

func alertOf(name string, x *rules.Alert) Alert {
	a := Alert{
		Name: name, Labels: x.Labels.Map(), Annotations: x.Annotations.Map(), Firing: x.State == rules.StateFiring,
		Value: x.Value, Since: x.ActiveAt.UnixMilli(),
	}
	h := sha256.New()
	x.Labels.Range(func(l labels.Label) { fmt.Fprintf(h, "%q=%q,", l.Name, l.Value) }) // in order of names
	a.Key = name + "/" + hex.EncodeToString(h.Sum(nil)[:8])
	return a
}

// recorder stores what rules record, and tells those who observe.
type recorder struct{ store *Store }

// Appender implements storage.Appendable.
func (r recorder) Appender(ctx context.Context) storage.Appender {
	return &recording{Appender: r.store.db.Appender(ctx), store: r.store}
}

type recording struct {
	storage.Appender
	store  *Store
	seen   []Sample
	stored uint64
}

// Append implements storage.Appender; names are bounded as everybody's.
func (r *recording) Append(ref storage.SeriesRef, l labels.Labels, at int64, v float64) (storage.SeriesRef, error) {
	if r.store.full(r.Appender, l, l.Hash()) {
		return 0, fmt.Errorf("%w: there are %d series already", ErrSample, MaxSeries)
	}
	ref, err := r.Appender.Append(ref, l, at, v)
	if err != nil || isStale(v) {
		return ref, err
	}
	r.stored++
	if r.store.watched() {
		r.seen = append(r.seen, sampleOf(l, at, v))
	}
	return ref, nil
}

// Commit implements storage.Appender.
func (r *recording) Commit() error {
	if err := r.Appender.Commit(); err != nil {
		return err
	}
	r.store.stored.Add(r.stored)
	r.store.observed(r.seen, true)
	return nil
}
