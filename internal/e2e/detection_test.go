package e2e

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/e2e/prom"
)

// finding is what the API tells of a signal of our own detectors.
type found struct {
	signal
	Detector     string
	Score, Bound float64
	Weak         bool
	Verification string
	Seen         []string
	OpenedAt     time.Time `json:"opened_at"`
}

// held is how long a finding had been open when its incident was declared, by the clock of the program.
func (s *tocsin) held(f found) time.Duration {
	s.t.Helper()
	var of struct {
		DeclaredAt time.Time `json:"declared_at"`
	}
	s.api("GET", fmt.Sprintf("/api/v1/incidents/%d", f.Incident), nil, &of)
	return of.DeclaredAt.Sub(f.OpenedAt)
}

func (s *tocsin) findings() []found {
	s.t.Helper()
	var out struct{ Signals []found }
	s.api("GET", "/api/v1/signals", nil, &out)
	return out.Signals
}

// told waits until there is a finding that fits, and gives it.
func (s *tocsin) told(what string, within time.Duration, fits func(found) bool) (f found) {
	s.t.Helper()
	took := until(s.t, what, within, func() (bool, string) {
		var all []string
		for _, g := range s.findings() {
			if fits(g) {
				f = g
				return true, ""
			}
			all = append(all, fmt.Sprintf("%s %s %s %q incident %d", g.Kind, g.State, g.Verification, g.Title, g.Incident))
		}
		return false, strings.Join(all, "; ")
	})
	s.t.Logf("%s after %s: %s | %s", what, took.Round(10*time.Millisecond), f.Title, f.Reason)
	return f
}

// push delivers by remote write.
func (s *tocsin) push(key string, list ...prom.Series) {
	s.t.Helper()
	if err := prom.Send(s.client, s.url, key, list); err != nil {
		s.t.Fatal(err)
	}
}

const pushStep = 5 * time.Second

// past is a series every five seconds from a time up to another, exclusive.
func past(from, to time.Time, v func(i int) float64, labels ...string) prom.Series {
	s := prom.Series{Labels: labels}
	for i := 0; from.Before(to); i++ {
		s.Samples = append(s.Samples, prom.Sample{At: from.UnixMilli(), Value: v(i)})
		from = from.Add(pushStep)
	}
	return s
}

// usual is a figure with a level, a wave and some noise.
func usual(i int) float64 { return 200 + 15*math.Sin(float64(i)/30) + float64(i*7919%17) }

// lives counts the openings and ends of a signal in the log.
func (s *tocsin) lives(id string) (opened, cleared int) {
	s.t.Helper()
	for _, e := range s.events() {
		if strings.Contains(string(e.Data), `"`+id+`"`) {
			switch e.Type {
			case "signal.opened":
				opened++
			case "signal.cleared":
				cleared++
			}
		}
	}
	return opened, cleared
}

// TestAnomalyOfAPushedSeries: a series with a history jumps; that is one signal with its reason, through a kill -9 too, and it is over when the
// figure is as it was.
func TestAnomalyOfAPushedSeries(t *testing.T) {
	s := prepare(t, "metrics: {out_of_order: 2h}\ndetection: detection.yaml\n")
	s.beside("detection.yaml", "series: [{match: withdrawals_pending, severity: SEV3}]\n")
	s.up()
	_, _, key := s.source("payout", "metrics")
	now := time.Now()
	jump, back := now.Add(-14*time.Minute), now.Add(-12*time.Minute)
	labels := []string{"__name__", "withdrawals_pending", "asset", "ETH", "service", "payout"}
	quiet := []string{"__name__", "deposits_pending", "asset", "ETH", "service", "payout"}
	s.push(key, past(now.Add(-55*time.Minute), jump, usual, labels...), past(now.Add(-55*time.Minute), back, usual, quiet...))
	s.number(`count_over_time(withdrawals_pending[2h])`, float64(len(past(now.Add(-55*time.Minute), jump, usual).Samples)))
	for _, f := range s.findings() {
		if !f.Weak && f.Kind != "missing_data" { // they ended minutes ago, and a slow machine may get to that
			t.Errorf("a usual series is a finding: %s %s", f.Title, f.Reason)
		}
	}
	s.push(key, past(jump, back, func(i int) float64 { return 5 * usual(i) }, labels...))
	about := func(f found) bool {
		return f.Kind == "anomaly" && f.Source == "detect" && strings.Contains(f.Title, "withdrawals_pending")
	}
	f := s.told("the jump is an anomaly", patience, func(f found) bool { return about(f) && f.State == "open" })
	if f.Reason == "" || f.Score <= 0 || f.Bound < f.Score || f.Weak || f.Detector != "anomaly" {
		t.Errorf("%+v", f)
	}
	s.told("it is an incident", patience, func(f found) bool { return about(f) && f.Incident != 0 })

	s.restart() // kill -9, before anything that was learned is written down
	s.push(key, past(back, now.Add(-3*time.Minute), usual, labels...))
	s.told("it is over", patience, func(f found) bool { return about(f) && f.State == "cleared" })
	if opened, cleared := s.lives(f.ID); opened != 1 || cleared != 1 {
		t.Errorf("the signal was opened %d times and cleared %d times", opened, cleared)
	}
	for _, f := range s.findings() {
		if !f.Weak && !about(f) && f.Kind != "missing_data" { // the series ended three minutes ago, which is told too
			t.Errorf("another finding: %s %s", f.Title, f.Reason)
		}
	}
}

// beside writes a file beside the configuration.
func (s *tocsin) beside(name, text string) string {
	s.t.Helper()
	path := filepath.Join(filepath.Dir(s.config), name)
	must(s.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// TestRuleOfAFile: an alert of a Prometheus rule file is a signal with its severity, and is over with its condition.
func TestRuleOfAFile(t *testing.T) {
	s := prepare(t, "rules: [rules.yml]\nmetrics: {rule_interval: 1s}\n")
	s.beside("rules.yml", `
groups:
  - name: withdrawals
    rules:
      - alert: WithdrawalsFail
        expr: sum by (asset) (withdrawals_failed) > 5
        labels: {severity: critical, component: Withdrawals}
        annotations:
          summary: '{{ $labels.asset }} withdrawals fail'
          description: '{{ $value }} withdrawals of {{ $labels.asset }} failed.'
`)
	s.up()
	_, _, key := s.source("payout", "metrics")
	failed := func(v float64) {
		s.push(key, prom.Series{Labels: []string{"__name__", "withdrawals_failed", "asset", "ETH"}, Samples: []prom.Sample{{At: time.Now().UnixMilli(), Value: v}}})
	}
	failed(2)
	s.number(`withdrawals_failed`, 2)
	failed(7)
	f := s.told("the alert is a signal", patience, func(f found) bool { return f.Source == "rules" && f.State == "open" })
	if f.Severity != "SEV2" || f.Title != "ETH withdrawals fail" || !strings.HasPrefix(f.Reason, "7 withdrawals of ETH failed.") {
		t.Errorf("%+v", f)
	}
	s.told("it is an incident", patience, func(f found) bool { return f.Source == "rules" && f.Incident != 0 })
	failed(1)
	s.told("it is over", patience, func(f found) bool { return f.Source == "rules" && f.State == "cleared" })
}

// TestForecastOfABalance: a balance falls; when it will be empty stands on the page, and is a signal before it is. After it was filled
// up the page says nothing of it any more. (That the signal ends ten minutes later is tested where the clock can be moved.)
func TestForecastOfABalance(t *testing.T) {
	s := prepare(t, "metrics: {out_of_order: 2h}\ndetection: detection.yaml\n")
	s.beside("detection.yaml", "forecasts: [{title: Hot wallet, query: 'wallet_balance{asset=\"ETH\"}', value: 0, warn: 4h, window: 1h}]\n")
	s.up()
	v := s.enter("ana", "Ana")
	_, _, key := s.source("treasury", "metrics")
	labels := []string{"__name__", "wallet_balance", "asset", "ETH", "wallet", "hot-2"}
	now := time.Now()
	s.push(key, past(now.Add(-55*time.Minute), now, func(i int) float64 { return 1000 - float64(i) + float64(i*7919%17)/10 }, labels...))
	f := s.told("the end of the balance is a signal", 2*patience, func(f found) bool { return f.Kind == "forecast" && f.State == "open" })
	if !strings.Contains(f.Title, "Hot wallet") || !strings.Contains(f.Title, "comes near") || !strings.Contains(f.Reason, "in about") {
		t.Errorf("%q, %q", f.Title, f.Reason)
	}
	ahead := func() string {
		_, page := v.get("/detectors")
		_, page, _ = strings.Cut(page, `id="ahead-h"`)
		page, _, _ = strings.Cut(page, "</section>")
		return page
	}
	if page := ahead(); !strings.Contains(page, "Hot wallet") || !strings.Contains(page, "SOON") || !strings.Contains(page, "hot-2") {
		t.Errorf("the page says %q", page)
	}
	s.restart()
	s.push(key, past(time.Now(), time.Now().Add(5*time.Minute), func(int) float64 { return 9000 }, labels...))
	until(t, "after the balance was filled up the page is quiet", 3*patience, func() (bool, string) {
		page := ahead()
		return !strings.Contains(page, "SOON"), page
	})
	if opened, _ := s.lives(f.ID); opened != 1 {
		t.Errorf("the signal was opened %d times", opened)
	}
	if os.Getenv("TOCSIN_PATIENT") != "" {
		s.told("it is over", 15*time.Minute, func(f found) bool { return f.Kind == "forecast" && f.State == "cleared" })
	}
}
