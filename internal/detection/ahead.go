package detection

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/forecast"
)

// KindForecast is the kind of finding that a bound is coming near.
const KindForecast = "forecast"

const (
	lookEvery    = time.Minute
	horizon      = int64(30 * 86_400_000)
	lookSteps    = 240 // points asked for
	warnDefault  = 4 * 3_600_000
	windowUsual  = 6 * 3_600_000
	opensLikely  = 0.5 // a finding opens when the crossing is this likely within the warning ...
	clearsLikely = 0.2 // ... and ends when it is less likely than this ...
	clearsAfter  = 10 * 60_000
	updatesEvery = 10 * 60_000
	outlookMost  = 200 // series looked at for one bound; more are left out, and the log says so
)

// Series is one series of an answer.
type Series struct {
	Labels map[string]string
	Points []forecast.Point
}

// Outlook is one series and its bound.
type Outlook struct {
	Bound   Bound
	Labels  map[string]string
	Now     int64
	Value   float64 // newest
	Points  []forecast.Point
	Cross   forecast.Crossing
	Near    bool
	subject string
}

// Ahead looks at bounds once a minute.
type Ahead struct {
	Bounds []Bound
	// Query asks for a span in steps; its error is told once per bound.
	Query   func(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error)
	Deliver func(ctx context.Context, list []chain.Finding) error
	Leads   func() bool
	Open    func(ctx context.Context) ([]string, error) // keys of findings of this kind that the log holds open
	Clock   func() time.Time
	Log     *slog.Logger

	mu    sync.Mutex
	all   []Outlook
	open  map[string]*told
	led   bool
	wrong map[string]bool
}

type told struct {
	finding chain.Finding
	at      int64
	calm    int64 // since when it is, 0 = it is not
}

// Outlooks are the newest: those near first, then by the time of crossing.
func (a *Ahead) Outlooks() []Outlook {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all)
}

// Run looks until ctx ends.
func (a *Ahead) Run(ctx context.Context) error {
	a.open, a.wrong = map[string]*told{}, map[string]bool{}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		a.Look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Look asks for every bound once and tells what came near or is over.
func (a *Ahead) Look(ctx context.Context) {
	if a.open == nil {
		a.open, a.wrong = map[string]*told{}, map[string]bool{}
	}
	now := a.Clock()
	var all []Outlook
	asked := true
	for _, b := range a.Bounds {
		list, err := a.outlooks(ctx, b, now)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			asked = false
			if !a.wrong[b.Title] {
				a.wrong[b.Title] = true
				a.Log.Warn("a forecast cannot be made; correct its query", "title", b.Title, "query", b.Query, "err", err)
			}
			continue
		}
		all = append(all, list...)
	}
	slices.SortStableFunc(all, func(x, y Outlook) int {
		switch {
		case x.Near != y.Near && x.Near:
			return -1
		case x.Near != y.Near:
			return 1
		case (x.Cross.At == 0) != (y.Cross.At == 0):
			return int(min(max(y.Cross.At-x.Cross.At, -1), 1))
		}
		return int(min(max(x.Cross.At-y.Cross.At, -1), 1))
	})
	a.mu.Lock()
	a.all = all
	a.mu.Unlock()
	a.tell(ctx, all, now.UnixMilli(), asked)
}

func (a *Ahead) outlooks(ctx context.Context, b Bound, now time.Time) ([]Outlook, error) {
	window := int64(b.Window)
	if window == 0 {
		window = windowUsual
	}
	span := time.Duration(window) * time.Millisecond
	list, err := a.Query(ctx, b.Query, now.Add(-span), now, span/lookSteps)
	if err != nil {
		return nil, err
	}
	if len(list) > outlookMost {
		a.Log.Warn("a forecast is made for the first series only", "title", b.Title, "series", len(list), "most", outlookMost)
		list = list[:outlookMost]
	}
	var out []Outlook
	for _, s := range list {
		c, ok := forecast.Cross(s.Points, now.UnixMilli(), forecast.Bound{Value: b.Value, Above: b.Above}, horizon)
		if !ok || len(s.Points) == 0 || now.UnixMilli()-s.Points[len(s.Points)-1].At > window/4 {
			continue // too little, or too old, to say anything
		}
		o := Outlook{Bound: b, Labels: s.Labels, Now: now.UnixMilli(), Value: s.Points[len(s.Points)-1].Value, Points: s.Points, Cross: c, subject: subject(s.Labels)}
		o.Near = c.Crossed || (c.Likely >= opensLikely && c.At > 0 && c.At-o.Now <= b.warn())
		out = append(out, o)
	}
	return out, nil
}

func (b Bound) warn() int64 {
	if b.Warn > 0 {
		return int64(b.Warn)
	}
	return warnDefault
}

// subject writes labels in order; a metric's own name says nothing new.
func subject(l map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(l)) {
		if k != "__name__" {
			parts = append(parts, k+"="+l[k])
		}
	}
	return strings.Join(parts, ",")
}

// Key is that of the finding it opens when it is near.
func (o Outlook) Key() string {
	s := o.subject
	if len(s) > 150 {
		s = s[:150]
	}
	return "ahead/" + KindForecast + "/" + strings.ReplaceAll(o.Bound.Title, "/", "_") + "/" + s
}

// tell opens, renews and ends findings. asked is false when some answer is missing: then nothing ends for want of its cause.
func (a *Ahead) tell(ctx context.Context, all []Outlook, now int64, asked bool) {
	leads := a.Leads == nil || a.Leads()
	if !leads {
		a.led, a.open = false, map[string]*told{}
		return
	}
	if !a.led && a.Open != nil {
		keys, err := a.Open(ctx)
		if err != nil {
			a.Log.Error("open forecasts could not be read; trying again", "err", err)
			return
		}
		for _, k := range keys {
			if a.open[k] == nil {
				a.open[k] = &told{finding: chain.Finding{Key: k, Kind: KindForecast, Detector: KindForecast, Severity: "SEV4", Title: "A bound comes near", Firing: true, Since: now}}
			}
		}
	}
	a.led = true
	var out []chain.Finding
	seen := map[string]bool{}
	for _, o := range all {
		k := o.Key()
		seen[k] = true
		have := a.open[k]
		switch {
		case o.Near:
			f := o.finding(now)
			if have == nil {
				have = &told{}
				a.open[k] = have
			} else if f.Since = have.finding.Since; have.at > 0 && now-have.at < updatesEvery && f.Severity == have.finding.Severity {
				have.calm = 0
				continue
			}
			have.finding, have.at, have.calm = f, now, 0
			out = append(out, f)
		case have != nil && o.Cross.Likely < clearsLikely || have != nil && o.Cross.At-now > 2*o.Bound.warn():
			if have.calm == 0 {
				have.calm = now
			}
			if now-have.calm >= clearsAfter {
				out = append(out, a.end(k, now, o.Cross.Sentence))
			}
		case have != nil:
			have.calm = 0
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a.open)) {
		if !seen[k] && asked {
			have := a.open[k]
			if have.calm == 0 {
				have.calm = now
			}
			if now-have.calm >= clearsAfter {
				out = append(out, a.end(k, now, "There are no recent figures to forecast from any more."))
			}
		}
	}
	if len(out) == 0 {
		return
	}
	if err := a.Deliver(ctx, out); err != nil {
		a.Log.Error("forecasts could not be delivered, trying again in a minute", "err", err)
		for _, f := range out {
			if f.Firing {
				a.open[f.Key].at = 0
			} else {
				a.open[f.Key] = &told{finding: f, calm: now - clearsAfter}
			}
		}
	}
}

func (a *Ahead) end(k string, now int64, why string) chain.Finding {
	f := a.open[k].finding
	delete(a.open, k)
	f.Firing, f.At, f.Reason = false, now, why
	return f
}

// named is what the title of its finding begins with.
func (o Outlook) named() string {
	if o.subject != "" {
		return o.Bound.Title + " (" + o.subject + "): "
	}
	return o.Bound.Title + ": "
}

// OpenedAs reports whether a signal with this title and subject came of this figure and bound.
func (o Outlook) OpenedAs(title, subject string) bool {
	return subject == o.subject && strings.HasPrefix(title, o.named())
}

func (o Outlook) finding(now int64) chain.Finding {
	severity := o.Bound.Severity
	if severity == "" {
		severity = "SEV4"
	}
	title := o.named()
	if o.Cross.Crossed {
		title += "the bound of " + strconv.FormatFloat(o.Bound.Value, 'g', 4, 64) + " is crossed"
	} else {
		title += "the bound of " + strconv.FormatFloat(o.Bound.Value, 'g', 4, 64) + " comes near"
	}
	evidence, err := json.Marshal(map[string]any{"query": o.Bound.Query, "value": o.Value, "bound": o.Bound.Value, "likely": o.Cross.Likely,
		"median": o.Cross.At, "low": o.Cross.Low, "high": o.Cross.High, "slope_per_hour": o.Cross.Slope})
	if err != nil {
		evidence = json.RawMessage(`{}`)
	}
	return chain.Finding{Key: o.Key(), Kind: KindForecast, Detector: KindForecast, Chain: o.Labels["chain"], Subject: o.subject, Severity: severity, Firing: true, Title: title,
		Reason: fmt.Sprintf("%s It is %.4g now.", o.Cross.Sentence, o.Value), At: now, Since: now, Evidence: evidence}
}
