package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
)

// sourceRules is the source of what rules that people wrote find.
const sourceRules = "rules"

// leadFigures is the election of the replica that scrapes targets and evaluates
// rules.
const leadFigures = "figures"

// Keys of what is said of the rules themselves. Those of alerts begin with
// "rules/".
const (
	keyAlert   = "rules/"
	keyFiles   = "rule_files/broken"
	keyFailing = "rule_failing/"
	keyBeyond  = "rule_alerts/too_many"
)

// anewEvery is how often a title that changes, like one with a value, is logged.
const anewEvery = 5 * time.Minute

// figures are targets and rules of the configuration file. One replica at a time
// works on them; the samples are told to the others.
type figures struct {
	app      *App
	scraping *metrics.Scraping
	rules    *metrics.Rules
}

func newFigures(a *App) (*figures, error) {
	c, f := a.opt.Config, &figures{app: a}
	var targets []metrics.Target
	for _, s := range c.Scrape {
		targets = append(targets, metrics.Target{Name: s.Name, URL: s.URL.Reveal(), TokenFile: s.BearerTokenFile, Interval: s.Every(), Limit: s.Most(), Labels: s.Labels})
	}
	var err error
	if f.scraping, err = a.tsdb.Scraping(targets, a.component("scrape")); err != nil {
		return nil, err
	}
	f.rules, err = a.tsdb.Rules(metrics.RuleOptions{Patterns: c.Rules, Interval: c.Metrics.RuleInterval.Std(), URL: c.PublicURL, Log: a.component("rules"), Stand: f.stand})
	if err != nil {
		return nil, fmt.Errorf("the rule files cannot be used:\n%w", err)
	}
	return f, nil
}

// run scrapes and judges whenever this replica is the one that does.
func (f *figures) run(ctx context.Context) error {
	return f.app.elected(ctx, leadFigures, "targets and rules are not this replica's", f.lead)
}

func (f *figures) lead(ctx context.Context) error {
	if err := f.app.foldAll(ctx); err != nil { // what is open now
		return err
	}
	defer func() { _ = f.app.peers.TellRules(nil) }()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.scraping.Run(ctx) })
	g.Go(func() error { return f.rules.Run(ctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// tell shows to the other replicas what the rules say: with their alerts, or without where these are too many.
func (f *figures) tell() {
	if !f.app.peers.Shared() {
		return
	}
	var err error
	for _, ask := range []metrics.RuleAsk{{}, {NoAlerts: true}} {
		var r metrics.Ruling
		if r, err = f.rules.Ruling(ask); err != nil || !r.Here {
			break
		}
		var said []byte
		if said, err = metrics.EncodeTold(r); err != nil {
			break
		}
		if err = f.app.peers.TellRules(said); err == nil {
			return
		}
	}
	if err != nil {
		f.app.component("rules").Debug("the other replicas are not told of the rules", "err", err)
	}
	_ = f.app.peers.TellRules(nil)
}

// hear takes what the replica that evaluates the rules says of them.
func (f *figures) hear(said []byte) {
	r, err := metrics.DecodeTold(said)
	if said == nil || err != nil { // it is of another version of the program: what one before it said holds no more
		f.rules.Hear(nil)
		return
	}
	f.rules.Hear(&r)
}

// ReloadRules has changed rule files taken now, rather than within half a minute.
func (a *App) ReloadRules() { a.figures.rules.Reload() }

// ruling is what the rules are and say now, on this replica.
func (a *App) ruling(ask metrics.RuleAsk) (metrics.Ruling, error) { return a.figures.rules.Ruling(ask) }

// stand makes the log say what the rules say: it compares the two, so that
// nothing is lost or doubled by a restart, another replica, or a log that could
// not be written for a while.
func (f *figures) stand(ctx context.Context, s metrics.Standing) error {
	f.tell()
	now := f.app.millis()
	open := map[string]signal.Signal{}
	f.app.world.Look(func(v projection.View) {
		for g := range v.Signals() {
			if g.IsOpen() && g.Source == sourceRules {
				open[g.Key] = g
			}
		}
	})
	var out []signal.Observation
	wanted, waits := map[string]bool{}, map[string]bool{}
	want := func(o signal.Observation) {
		o.At, o.Firing = now, true
		o = o.Bounded()
		wanted[o.Key] = true
		was, is := open[o.Key]
		if !is || was.Severity != o.Severity || was.Title != o.Title && now-was.LastAt >= anewEvery.Milliseconds() {
			out = append(out, o)
		}
	}
	for _, a := range s.Alerts {
		if !a.Firing {
			waits[keyAlert+a.Key] = true
			continue
		}
		o := alertObservation(a)
		o.Drill = o.Chain != "" && f.app.chain.isDrill(o.Chain) // it is an exercise for the rules too
		want(o)
	}
	for _, o := range ruleTroubles(s) {
		want(o)
	}
	for _, key := range slices.Sorted(maps.Keys(open)) {
		if wanted[key] || waits[key] {
			continue
		}
		if why := endOf(key, s); why != "" {
			g := open[key]
			out = append(out, signal.Observation{
				Key: key, Kind: g.Kind, Subject: g.Subject, Title: g.Title, Reason: why, Severity: g.Severity,
				At: now, Chain: g.Chain, Component: g.Component, Drill: g.Drill, Finding: signal.Finding{Detector: g.Detector},
			})
		}
	}
	if len(out) == 0 {
		return nil
	}
	_, err := f.app.flow.desk.Submit(ctx, sourceRules, "system:rules", out)
	return err
}

// endOf says why something open is over, "" when it may not be.
func endOf(key string, s metrics.Standing) string {
	switch {
	case key == keyFiles:
		return "The rule files can be used again."
	case key == keyBeyond:
		return "The rules give out fewer alerts again."
	case strings.HasPrefix(key, keyFailing):
		return "The rule can be evaluated again, or is no longer there."
	}
	rest := strings.TrimPrefix(key, keyAlert)
	name := rest[:max(0, strings.LastIndexByte(rest, '/'))]
	settled, known := s.Rules[name]
	switch {
	case !known:
		return fmt.Sprintf("The rule %s is no longer in the rule files.", name)
	case settled && s.Beyond == 0:
		return fmt.Sprintf("The condition of the rule %s no longer holds.", name)
	}
	return ""
}

// severities of alerting rules, as Prometheus' users write them. Others are
// what they are for any sender.
var ruleSeverities = map[string]string{"critical": signal.SEV2, "page": signal.SEV2, "warning": signal.SEV3, "info": signal.SEV5}

func ruleSeverity(word string) string {
	word = strings.ToLower(strings.TrimSpace(word))
	return cmp.Or(ruleSeverities[word], intake.Severity(word))
}

func firstOf(m map[string]string, names ...string) string {
	for _, n := range names {
		if v := strings.TrimSpace(m[n]); v != "" {
			return v
		}
	}
	return ""
}

func alertObservation(a metrics.Alert) signal.Observation {
	since := time.UnixMilli(a.Since).UTC().Format("15:04 UTC on 2 January")
	value := strconv.FormatFloat(a.Value, 'g', 6, 64)
	reason := firstOf(a.Annotations, "description", "summary", "message")
	if reason != "" && !strings.ContainsAny(reason[len(reason)-1:], ".!?") {
		reason += "."
	}
	reason = strings.TrimSpace(fmt.Sprintf("%s The condition of the rule %s was met at %s; its value was %s.", reason, a.Name, since, value))
	o := signal.Observation{
		Key: keyAlert + a.Key, Kind: a.Name, Subject: cmp.Or(firstOf(a.Labels, "subject", "instance", "node", "chain", "component", "job"), a.Name),
		Title: cmp.Or(firstOf(a.Annotations, "summary", "title", "message", "description"), a.Name), Reason: reason,
		Severity: ruleSeverity(a.Labels["severity"]), Chain: a.Labels["chain"], Component: a.Labels["component"], Labels: a.Labels,
		Finding: signal.Finding{Detector: "rule " + a.Name},
	}
	for _, link := range []struct{ note, text string }{{"runbook_url", "Runbook"}, {"dashboard_url", "Dashboard"}} {
		if u := a.Annotations[link.note]; u != "" {
			o.Links = append(o.Links, signal.Link{Text: link.text, URL: u})
		}
	}
	o.Evidence, _ = json.Marshal(struct { // strings: it cannot fail
		Value       string            `json:"value"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}{value, a.Annotations})
	return o
}

// ruleTroubles are findings about the rules themselves.
func ruleTroubles(s metrics.Standing) (out []signal.Observation) {
	add := func(key, kind, subject, title, reason string) {
		out = append(out, signal.Observation{Key: key, Kind: kind, Subject: subject, Title: title, Reason: reason, Severity: signal.SEV4, Finding: signal.Finding{Detector: "rules"}})
	}
	if s.Broken != "" {
		add(keyFiles, "rule_files", "rule files", "Changed rule files cannot be used", "The rules before the change go on. "+s.Broken)
	}
	if s.Beyond > 0 {
		add(keyBeyond, "rule_alerts", "rules", "Rules give out too many alerts", fmt.Sprintf("%d alerts are shown, %d more are not. Make the rules coarser (sum by, topk).", len(s.Alerts), s.Beyond))
	}
	seen := map[string]bool{}
	for _, f := range s.Failing {
		key := keyFailing + f.Group + "/" + f.Rule
		if len(key) > signal.MaxKey || seen[key] {
			continue
		}
		seen[key] = true
		add(key, "rule_failing", f.Rule, "The rule "+f.Rule+" cannot be evaluated",
			fmt.Sprintf("Since %s it fails, so it finds nothing: %s", time.UnixMilli(f.Since).UTC().Format("15:04 UTC on 2 January"), f.Why))
	}
	return out
}
