package metrics

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// rulesDoc is the answer of Prometheus' /api/v1/rules, as its documentation has it.
type rulesDoc struct {
	Status string
	Data   struct {
		Groups []struct {
			Name, File, LastEvaluation string
			Interval, EvaluationTime   float64
			Rules                      []struct {
				State, Name, Query, Health, LastError, LastEvaluation, Type string
				Duration, KeepFiringFor, EvaluationTime                     float64
				Labels, Annotations                                         map[string]string
				Alerts                                                      []struct {
					Labels, Annotations    map[string]string
					State, ActiveAt, Value string
				}
			}
		}
		GroupNextToken string
	}
	Warnings []string
}

func (r *Rules) asked(t *testing.T, query string) (d rulesDoc) {
	t.Helper()
	form, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	ask, err := ParseRuleAsk(form)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Ruling(ask)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(EncodeRules(got), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d rulesDoc) names() (out []string) {
	for _, g := range d.Data.Groups {
		for _, r := range g.Rules {
			out = append(out, g.Name+"/"+r.Name)
		}
	}
	return out
}

const ruled = `groups:
- name: g
  interval: 1s
  labels: {room: zug}
  rules:
  - record: pending:sum
    expr: sum(pending)
  - alert: Many
    expr: pending > 10
    keep_firing_for: 2m
    labels: {severity: page}
    annotations: {summary: '{{ $value }} wait'}
  - alert: Waits
    expr: pending > 10
    for: 1h
  - alert: Never
    expr: pending > 1000
- name: h
  interval: 1s
  rules:
  - alert: Fails
    expr: pending * on (job) group_left pending
`

func TestRulesAsPrometheusShowsThem(t *testing.T) {
	s := open(t, t.TempDir())
	path := filepath.Join(t.TempDir(), "r.yml")
	writeRules(t, path, ruled)
	set1(t, s, "pending", 11, "asset", "ETH", "job", "a")
	set1(t, s, "pending", 12, "asset", "BTC", "job", "a")

	// Who does not evaluate knows the rules and says that it knows no more.
	idle, err := s.Rules(RuleOptions{Patterns: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	d := idle.asked(t, "")
	if got := strings.Join(d.names(), " "); got != "g/pending:sum g/Many g/Waits g/Never h/Fails" || len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "another replica evaluates") {
		t.Errorf("%s %v", got, d.Warnings)
	}
	if r := d.Data.Groups[0].Rules[1]; r.State != "unknown" || r.Health != "unknown" || r.Labels["room"] != "zug" || r.Labels["severity"] != "page" || r.LastEvaluation != "0001-01-01T00:00:00Z" || r.KeepFiringFor != 120 {
		t.Errorf("%+v", r)
	}

	j := judge(t, s, path)
	var now Ruling
	j.until("the states", func(Standing) bool {
		if now, err = j.Ruling(RuleAsk{}); err != nil || len(now.Groups) != 2 {
			return false
		}
		rule := now.Groups[0].Rules
		return rule[1].State == RuleFiring && rule[2].State == RulePending && rule[3].State == RuleInactive && now.Groups[1].Rules[0].Health == HealthBad
	})
	if many := now.Groups[0].Rules[1]; !now.Here || many.Active != 2 || many.Since == 0 || many.Since < many.Alerts[0].Since || now.Groups[0].Rules[3].Since != 0 {
		t.Errorf("%+v", many)
	}
	d = j.asked(t, "")
	g := d.Data.Groups[0]
	if d.Status != "success" || len(d.Warnings) != 0 || g.Name != "g" || g.File != path || g.Interval != 1 || g.LastEvaluation < "2026" {
		t.Errorf("%+v", d)
	}
	if r := g.Rules[0]; r.Type != "recording" || r.State != "" || r.Query != "sum(pending)" || r.Health != "ok" || r.LastEvaluation < "2026" {
		t.Errorf("%+v", r)
	}
	r := g.Rules[1]
	if r.Type != "alerting" || r.State != "firing" || r.Query != "pending > 10" || r.Health != "ok" || r.Annotations["summary"] != "{{ $value }} wait" || len(r.Alerts) != 2 {
		t.Fatalf("%+v", r)
	}
	i := slices.IndexFunc(r.Alerts, func(a struct {
		Labels, Annotations    map[string]string
		State, ActiveAt, Value string
	}) bool {
		return a.Labels["asset"] == "ETH"
	})
	if i < 0 || r.Alerts[i].State != "firing" || r.Alerts[i].Value != "1.1e+01" || r.Alerts[i].Annotations["summary"] != "11 wait" || r.Alerts[i].Labels["alertname"] != "Many" {
		t.Errorf("%+v", r.Alerts)
	}
	if r := g.Rules[2]; r.State != "pending" || r.Duration != 3600 || len(r.Alerts) != 2 || r.Alerts[0].State != "pending" {
		t.Errorf("%+v", r)
	}
	if r := g.Rules[3]; r.State != "inactive" || len(r.Alerts) != 0 {
		t.Errorf("%+v", r)
	}
	if r := d.Data.Groups[1].Rules[0]; r.Health != "err" || !strings.Contains(r.LastError, "many-to-many matching not allowed") && !strings.Contains(r.LastError, "duplicate series") {
		t.Errorf("%+v", r)
	}

	// Who was told knows what the one that evaluates knows, until nobody says anything any more.
	said, err := EncodeTold(now)
	if err != nil {
		t.Fatal(err)
	}
	heard, err := DecodeTold(said)
	if err != nil {
		t.Fatal(err)
	}
	idle.Hear(&heard)
	now.Here, now.Told = false, true
	if d := idle.asked(t, ""); len(d.Warnings) != 0 {
		t.Error(d.Warnings)
	}
	for _, query := range []string{"", "exclude_alerts=true", "type=record", "group_limit=1"} {
		form, _ := url.ParseQuery(query)
		ask, _ := ParseRuleAsk(form)
		got, err := idle.Ruling(ask)
		if err != nil || !got.Told || got.Here {
			t.Fatalf("%s: %+v, %v", query, got, err)
		}
		if query == "" && string(EncodeRules(got)) != string(EncodeRules(now)) {
			t.Errorf("%s\n%s", EncodeRules(got), EncodeRules(now))
		}
	}
	if r := idle.asked(t, "exclude_alerts=true").Data.Groups[0].Rules[1]; r.State != "firing" || len(r.Alerts) != 0 {
		t.Errorf("%+v", r)
	}
	idle.Hear(nil)
	if r := idle.asked(t, "").Data.Groups[0].Rules[1]; r.State != "unknown" {
		t.Errorf("%+v", r)
	}

	for query, want := range map[string]string{
		"type=record":                          "g/pending:sum",
		"type=alert&rule_group[]=g":            "g/Many g/Waits g/Never",
		"rule_name[]=Fails&rule_name[]=Many":   "g/Many h/Fails",
		"file[]=other.yml":                     "",
		"group_limit=1":                        "g/pending:sum g/Many g/Waits g/Never",
		"group_limit=2&rule_name[]=Never":      "g/Never",
		"file[]=" + url.QueryEscape(path) + "": "g/pending:sum g/Many g/Waits g/Never h/Fails",
	} {
		if got := strings.Join(j.asked(t, query).names(), " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	first := j.asked(t, "group_limit=1").Data.GroupNextToken
	if next := j.asked(t, "group_limit=1&group_next_token="+first); strings.Join(next.names(), " ") != "h/Fails" || next.Data.GroupNextToken != "" {
		t.Errorf("%+v", next)
	}
	if _, err := j.Ruling(RuleAsk{Most: 1, From: "nothing"}); !errors.Is(err, ErrQuery) {
		t.Error(err)
	}
	if d := j.asked(t, "exclude_alerts=true"); d.Data.Groups[0].Rules[1].State != "firing" || len(d.Data.Groups[0].Rules[1].Alerts) != 0 {
		t.Errorf("%+v", d)
	}
	for _, query := range []string{"type=both", "exclude_alerts=perhaps", "group_limit=0", "group_limit=x", "group_next_token=a", "match[]=a"} {
		form, _ := url.ParseQuery(query)
		if _, err := ParseRuleAsk(form); !errors.Is(err, ErrQuery) {
			t.Errorf("%s: %v", query, err)
		}
	}

	writeRules(t, path, "groups: [")
	j.Reload()
	j.until("that the file is broken", func(s Standing) bool { return s.Broken != "" })
	if d := j.asked(t, "group_limit=1"); len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "r.yml:1") || len(d.Data.Groups) != 1 {
		t.Errorf("%+v", d)
	}
}

// TestRulesAreBounded: a rule with thousands of alerts and files full of text do not make an endless answer; what is left out is counted.
func TestRulesAreBounded(t *testing.T) {
	s := open(t, t.TempDir())
	dir := t.TempDir()
	writeRules(t, filepath.Join(dir, "a.yml"), "groups:\n- name: g\n  rules:\n  - alert: All\n    expr: pending\n")
	var list []Sample
	for i := range maxAlerts + 7 {
		list = append(list, Sample{Name: "pending", Labels: map[string]string{"n": fmt.Sprint(i)}, At: time.Now().UnixMilli(), Value: 1})
	}
	appendAll(t, s, list...)
	j := judge(t, s, filepath.Join(dir, "*.yml"))
	var got Ruling
	j.until("the alerts", func(Standing) bool {
		var err error
		got, err = j.Ruling(RuleAsk{})
		return err == nil && len(got.Groups) == 1 && got.Groups[0].Rules[0].State == RuleFiring
	})
	if r := got.Groups[0].Rules[0]; len(r.Alerts) != maxAlerts || r.Active != maxAlerts+7 || got.BeyondAlerts != 7 {
		t.Errorf("%d alerts of %d, %d left out", len(r.Alerts), r.Active, got.BeyondAlerts)
	}
	for i := range 5 {
		writeRules(t, filepath.Join(dir, fmt.Sprintf("b%d.yml", i)), "groups:\n- name: g\n  rules:\n  - alert: Long\n    expr: absent(x)\n    annotations: {summary: '"+strings.Repeat("x", MaxRuleFile-200)+"'}\n")
	}
	idle, err := s.Rules(RuleOptions{Patterns: []string{filepath.Join(dir, "*.yml")}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err = idle.Ruling(RuleAsk{}); err != nil || got.BeyondRules != 2 || len(got.Groups) != 4 {
		t.Errorf("%v, %d groups, %d rules left out", err, len(got.Groups), got.BeyondRules)
	}
	if n := len(EncodeRules(got)); n > maxRulingText+64<<10 {
		t.Errorf("the answer has %d bytes", n)
	}
	if got, err = idle.Ruling(RuleAsk{Files: []string{filepath.Join(dir, "b4.yml")}}); err != nil || len(got.Groups) != 1 || got.BeyondRules != 0 {
		t.Errorf("what was left out cannot be asked for: %v %d", err, len(got.Groups))
	}
}
