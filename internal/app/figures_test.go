package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/config"
)

// ruleSignal is a signal of a rule as the API shows it.
type ruleSignal struct {
	Key, Kind, Subject, Title, Severity, State, Reason, Component, Chain string
	Count                                                                int
	Labels                                                               map[string]string
}

func (s *started) ruleSignals() []ruleSignal {
	s.t.Helper()
	var d struct {
		Signals []struct {
			ruleSignal
			Source string
		}
	}
	if err := json.Unmarshal([]byte(s.must("GET", "/api/v1/signals", "")), &d); err != nil {
		s.t.Fatal(err)
	}
	var out []ruleSignal
	for _, g := range d.Signals {
		if g.Source == "rules" {
			out = append(out, g.ruleSignal)
		}
	}
	return out
}

// until waits for the signals of the rules to be as wanted.
func (s *started) until(what string, is func([]ruleSignal) bool) []ruleSignal {
	s.t.Helper()
	end := time.Now().Add(40 * time.Second)
	for {
		list := s.ruleSignals()
		if is(list) {
			return list
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s never came: %+v", what, list)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func state(list []ruleSignal) string {
	var out []string
	for _, g := range list {
		out = append(out, g.Kind+" "+g.State)
	}
	return strings.Join(out, ", ")
}

// push sends one gauge by OTLP.
// pushedAt is the time of the newest pushed sample, ms: two of one series at the same moment are one, and the first stays.
var pushedAt atomic.Int64

func (s *started) push(key, name string, v float64) {
	s.t.Helper()
	at := max(time.Now().UnixMilli(), pushedAt.Load()+1)
	pushedAt.Store(at)
	body := fmt.Sprintf(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":%q,"gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":%g,"attributes":[{"key":"component","value":{"stringValue":"Withdrawals"}}]}]}}]}]}]}`, name, at*1_000_000, v)
	res, err := http.Post("http://"+s.Addr()+"/v1/metrics/"+key, "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); res.StatusCode != 200 {
		s.t.Fatalf("push: %d %s", res.StatusCode, b)
	}
}

func (s *started) metricsKey() string {
	s.t.Helper()
	var made struct{ Key, URL string }
	if err := json.Unmarshal([]byte(s.must("POST", "/api/v1/sources", `{"name":"payments","kind":"metrics"}`)), &made); err != nil || !strings.HasSuffix(made.URL, "/api/v1/write/"+made.Key) {
		s.t.Fatalf("%v %+v", err, made)
	}
	return made.Key
}

func TestRulesFindThings(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "r.yml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rule := `groups:
- name: g
  rules:
  - alert: WithdrawalsWait
    expr: withdrawals_pending > 10
    labels: {severity: critical}
    annotations: {summary: 'Withdrawals wait', description: '{{ $value }} withdrawals wait, 3 are normal', runbook_url: 'https://example.org/r'}
`
	write(rule)
	set := func(c *config.Config) {
		c.Rules, c.Metrics.RuleInterval = []string{file}, config.Duration(50*time.Millisecond)
	}
	a := start(t, dir, set)
	key := a.metricsKey()
	a.push(key, "withdrawals.pending", 12)
	got := a.until("the signal", func(l []ruleSignal) bool { return state(l) == "WithdrawalsWait open" })[0]
	if got.Severity != "SEV2" || got.Title != "Withdrawals wait" || got.Component != "Withdrawals" || got.Subject != "Withdrawals" || got.Labels["source"] != "payments" ||
		!strings.HasPrefix(got.Reason, "12 withdrawals wait, 3 are normal. The condition of the rule WithdrawalsWait was met at ") || !strings.HasSuffix(got.Reason, "its value was 12.") || !strings.HasPrefix(got.Key, "rules/WithdrawalsWait/") {
		t.Errorf("%+v", got)
	}
	until(t, "the rules are as Prometheus shows them", func() bool {
		out := a.must("GET", "/prometheus/api/v1/rules?type=alert", "")
		return strings.Contains(out, `"name":"WithdrawalsWait"`) && strings.Contains(out, `"state":"firing"`) && strings.Contains(out, `"file":"`+file+`"`)
	})
	// A restart neither forgets nor doubles it; what ended meanwhile is noticed.
	a.stop()
	a = start(t, dir, set)
	if again := a.until("the signal after a restart", func(l []ruleSignal) bool { return state(l) == "WithdrawalsWait open" })[0]; again.Key != got.Key || again.Count != 1 {
		t.Errorf("%+v", again)
	}
	a.push(key, "withdrawals.pending", 1)
	if over := a.until("the end", func(l []ruleSignal) bool { return state(l) == "WithdrawalsWait cleared" })[0]; over.Reason == "" {
		t.Errorf("%+v", over)
	}
	// A file that is no good is said, and the rules before go on.
	write("groups: [{name: g, rules: [{alert: X, expr: '('}]}]")
	a.ReloadRules()
	a.until("what is wrong with the file", func(l []ruleSignal) bool {
		return strings.Contains(state(l), "rule_files open") && strings.Contains(fmt.Sprint(l), "r.yml:1: group")
	})
	a.push(key, "withdrawals.pending", 13)
	a.until("the signal again", func(l []ruleSignal) bool { return strings.Contains(state(l), "WithdrawalsWait open") })
	// A rule that is gone takes its alert with it, also when that happens while nobody runs.
	write("")
	a.ReloadRules()
	a.until("the end of the rule", func(l []ruleSignal) bool { return !strings.Contains(state(l), " open") })
	write(rule)
	a.ReloadRules()
	a.until("the signal once more", func(l []ruleSignal) bool { return strings.Contains(state(l), "WithdrawalsWait open") })
	a.stop()
	a = start(t, dir, func(c *config.Config) {})
	a.until("the end of a rule that was taken out of the configuration", func(l []ruleSignal) bool { return !strings.Contains(state(l), " open") })
	if log := a.must("GET", "/api/v1/log?follow=false", ""); !strings.Contains(log, "The rule WithdrawalsWait is no longer in the rule files.") || !strings.Contains(log, "The condition of the rule WithdrawalsWait no longer holds.") {
		t.Error("the log does not say why they ended")
	}
}

func TestBadRulesStopTheStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.yml")
	if err := os.WriteFile(file, []byte("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: 'up =='\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Addr, c.Data, c.Rules = "127.0.0.1:0", t.TempDir(), []string{file}
	if _, err := app.New(t.Context(), app.Options{Config: c}); err == nil || !strings.Contains(err.Error(), "the rule files cannot be used:\n"+file+`:5: group "g", rule 1, "A": could not parse expression`) {
		t.Error(err)
	}
}

func TestTargetsAreScraped(t *testing.T) {
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "hot_wallet_balance{asset=\"ETH\"} %d\n", asked.Add(1))
	}))
	defer srv.Close()
	a := start(t, t.TempDir(), func(c *config.Config) {
		c.Scrape = []config.Scrape{{Name: "wallets", URL: config.NewAddress(srv.URL), Interval: config.Duration(100 * time.Millisecond), Labels: config.Labels{"team": "treasury"}}}
	})
	end := time.Now().Add(45 * time.Second)
	for {
		out := a.must("GET", "/prometheus/api/v1/query?query=hot_wallet_balance", "")
		if strings.Contains(out, `"source":"wallets"`) && strings.Contains(out, `"team":"treasury"`) {
			break
		}
		if time.Now().After(end) {
			t.Fatal(out)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestReplicasShareFigures: one replica asks targets and evaluates rules, every
// replica has the samples, and when the one stops another goes on: the signal is
// neither doubled nor ended by that.
func TestReplicasShareFigures(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.yml")
	if err := os.WriteFile(file, []byte("groups: [{name: g, rules: [{alert: Waits, expr: withdrawals_pending > 10}, {record: pending:sum, expr: sum(withdrawals_pending)}]}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	var asked [2]atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked[r.URL.Path[1]-'0'].Add(1)
		_, _ = io.WriteString(w, "scraped 1\n")
	}))
	defer srv.Close()
	c := newCluster(t, 2, func(i int, c *config.Config) {
		c.Rules, c.Metrics.RuleInterval = []string{file}, config.Duration(100*time.Millisecond)
		c.Scrape = []config.Scrape{{Name: "x", URL: config.NewAddress(fmt.Sprintf("%s/%d", srv.URL, i)), Interval: config.Duration(200 * time.Millisecond)}}
	})
	until(t, "somebody asks the target", func() bool { return asked[0].Load()+asked[1].Load() > 3 })
	leader := 0
	if asked[1].Load() > 0 {
		leader = 1
	}
	if asked[1-leader].Load() != 0 {
		t.Fatalf("both ask: %d and %d", asked[0].Load(), asked[1].Load())
	}
	a, b := c.replicas[leader], c.replicas[1-leader]
	key := a.metricsKey()
	b.push(key, "withdrawals.pending", 12) // at the one that evaluates nothing
	a.until("the signal", func(l []ruleSignal) bool { return state(l) == "Waits open" })
	for _, name := range []string{"scraped", "withdrawals_pending", "pending:sum"} {
		until(t, name+" is everywhere", func() bool {
			return strings.Contains(a.must("GET", "/prometheus/api/v1/query?query="+name, ""), `"value"`) && strings.Contains(b.must("GET", "/prometheus/api/v1/query?query="+name, ""), `"value"`)
		})
	}
	fires := func(r *started) func() bool {
		return func() bool {
			out := r.must("GET", "/prometheus/api/v1/rules?type=alert", "")
			return strings.Contains(out, `"state":"firing"`) && strings.Contains(out, `"value":"1.2e+01"`) && !strings.Contains(out, "warnings")
		}
	}
	until(t, "the one that evaluates says what the rule says", fires(a))
	until(t, "the other says it too", fires(b))
	until(t, "the page says who evaluates", func() bool {
		return strings.Contains(b.must("GET", "/detectors", ""), "Another replica evaluates the rules; this is what it said last.")
	})
	a.stop()
	until(t, "the other asks", func() bool { return asked[1-leader].Load() > 3 })
	b.push(key, "withdrawals.pending", 13)
	if got := b.until("the signal", func(l []ruleSignal) bool { return len(l) > 0 }); state(got) != "Waits open" || got[0].Count != 1 {
		t.Errorf("%+v", got)
	}
	b.push(key, "withdrawals.pending", 1)
	if got := b.until("the end", func(l []ruleSignal) bool { return state(l) == "Waits cleared" }); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestRulesOnADrillAreADrill: a rule that finds something on a chain of a drill pages nobody, and its end is the drill's too.
func TestRulesOnADrillAreADrill(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.yml")
	rule := "groups: [{name: g, rules: [{alert: Deep, expr: vector(1), labels: {chain: drill-polygon, severity: critical}}]}]\n"
	if err := os.WriteFile(file, []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	a := start(t, t.TempDir(), func(c *config.Config) {
		c.Rules, c.Metrics.RuleInterval = []string{file}, config.Duration(50*time.Millisecond)
	})
	until(t, "the drill's incident", func() bool { return strings.Contains(a.must("GET", "/api/v1/incidents?drill=true", ""), `"number":1`) })
	if out := a.must("GET", "/api/v1/signals", ""); !strings.Contains(out, `"drill":true`) {
		t.Errorf("a drill is taken for real: %s", out)
	}
	if err := os.WriteFile(file, []byte("groups: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.ReloadRules()
	a.until("its end", func(l []ruleSignal) bool { return state(l) == "Deep cleared" })
}
