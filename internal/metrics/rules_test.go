package metrics

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func writeRules(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRuleFilesAreJudged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yml")
	rule := func(lines ...string) string {
		return "groups:\n- name: g\n  rules:\n" + strings.Join(lines, "\n") + "\n"
	}
	for text, want := range map[string]string{
		"": "",
		rule("  - alert: A", "    expr: up == 0", "    for: 1m", "    annotations: {summary: '{{ $labels.job }} is down'}"): "",
		rule("  - alert: A", "    expr: up ==", "    for: 1m"):                                                              `a.yml:5: group "g", rule 1, "A": could not parse expression: 1:6: parse error`,
		rule("  - alert: A", "    expr: up", "    annotations: {s: '{{ $x }}'}"):                                            `undefined variable "$x"`,
		rule("  - alert: A", "    expr: up", "    fro: 1m"):                                                                 "a.yml:6: field fro not found",
		rule("  - alert: A", "    expr: up", "    for: soon"):                                                               "not a valid duration",
		rule("  - record: tocsin_mine", "    expr: up"):                                                                     "a name that is kept for Tocsin",
		rule("  - record: ALERTS", "    expr: up"):                                                                          "a name that is kept for Tocsin",
		rule("  - record: 'a b'", "    expr: up"):                                                                           "invalid recording rule name",
		"groups:\n- name: g\n  interval: 10ms\n  rules: [{alert: A, expr: up}]\n":                                           "is evaluated every 10ms; write at least 1s",
		"groups:\n- name: g\n  rules: [{alert: A, expr: up}]\n- name: g\n":                                                  `groupname: "g" is repeated`,
		"groups: [": "a.yml:1: did not find expected node content",
		"\tgroups:": "a.yml: yaml: found character that cannot start any token",
		rule(strings.Repeat("  - {record: a, expr: up}\n", MaxRules+1)): "there are 2001 rules; use at most 2000",
	} {
		writeRules(t, path, text)
		err := CheckRules([]string{filepath.Join(dir, "*.yml")})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.200s\n got %v\nwant %s", text, err, want)
		}
	}
	if err := CheckRules([]string{filepath.Join(dir, "nothing", "*.yml")}); err != nil {
		t.Errorf("a pattern may match nothing yet: %v", err)
	}
	if err := CheckRules([]string{filepath.Join(dir, "missing.yml")}); err == nil || !strings.Contains(err.Error(), "missing.yml: no such file or directory; check the path") {
		t.Error(err)
	}
	if err := CheckRules([]string{dir}); err == nil || !strings.Contains(err.Error(), "name a file, not a directory") {
		t.Error(err)
	}
	writeRules(t, path, strings.Repeat("#", MaxRuleFile+1))
	if err := CheckRules([]string{path}); err == nil || !strings.Contains(err.Error(), "split it") {
		t.Error(err)
	}
}

// judging is Rules that run, and what they say.
type judging struct {
	*Rules
	t     *testing.T
	said  chan Standing
	store *Store
}

func judge(t *testing.T, s *Store, path string) *judging {
	t.Helper()
	j := &judging{t: t, said: make(chan Standing), store: s}
	r, err := s.Rules(RuleOptions{Patterns: []string{path}, Interval: 30 * time.Millisecond, Stand: func(ctx context.Context, s Standing) error {
		select {
		case j.said <- s:
		case <-ctx.Done():
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	j.Rules = r
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return j
}

// until waits for a standing that is as wanted; it asks again and again rather
// than every fifteen seconds.
func (j *judging) until(what string, is func(Standing) bool) Standing {
	j.t.Helper()
	end := time.After(45 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var last Standing
	for {
		select {
		case last = <-j.said:
			if is(last) {
				return last
			}
		case <-tick.C:
			nudge(j.wake)
		case <-end:
			j.t.Fatalf("%s never came; last %+v", what, last)
		}
	}
}

func firing(s Standing) (keys []string) {
	for _, a := range s.Alerts {
		if a.Firing {
			keys = append(keys, a.Name)
		}
	}
	return keys
}

func set1(t *testing.T, s *Store, name string, v float64, pairs ...string) {
	t.Helper()
	m := Sample{Name: name, At: time.Now().UnixMilli(), Value: v, Labels: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		m.Labels[pairs[i]] = pairs[i+1]
	}
	appendAll(t, s, m)
}

func TestAlertLife(t *testing.T) {
	s := open(t, t.TempDir())
	told := make(chan string, 10_000)
	s.Tell(func(list []Sample) {
		for _, m := range list {
			told <- m.Name
		}
	})
	path := filepath.Join(t.TempDir(), "r.yml")
	writeRules(t, path, `groups:
- name: g
  rules:
  - record: pending:sum
    expr: sum(pending)
  - alert: Many
    expr: pending > 10
    labels: {severity: page}
    annotations: {summary: '{{ $value }} withdrawals of {{ $labels.asset }} wait'}
  - alert: Waits
    expr: pending > 10
    for: 1h
`)
	set1(t, s, "pending", 11, "asset", "ETH")
	j := judge(t, s, path)
	got := j.until("an alert", func(s Standing) bool { return len(firing(s)) == 1 && len(s.Alerts) == 2 })
	a := got.Alerts[0]
	if a.Name != "Many" || a.Labels["asset"] != "ETH" || a.Labels["severity"] != "page" || a.Labels["alertname"] != "Many" || a.Value != 11 || a.Annotations["summary"] != "11 withdrawals of ETH wait" || a.Since == 0 {
		t.Errorf("%+v", a)
	}
	key := a.Key
	set1(t, s, "pending", 12, "asset", "ETH") // more of it is the same alert
	got = j.until("the other value", func(s Standing) bool { return len(firing(s)) == 1 && s.Alerts[0].Value == 12 })
	if got.Alerts[0].Key != key {
		t.Errorf("the key changed from %s to %s with the value", key, got.Alerts[0].Key)
	}
	set1(t, s, "pending", 1, "asset", "ETH")
	got = j.until("the end", func(s Standing) bool { return len(s.Alerts) == 0 && s.Rules["Many"] && s.Rules["Waits"] })
	if v := value1(t, s, "pending:sum"); v != "map[__name__:pending:sum]=1" && v != "map[__name__:pending:sum]=12" {
		t.Error(v)
	}
	for name := range told {
		if name == "pending:sum" {
			break // what rules record is told to the other replicas
		}
	}
	_ = got
}

// TestRestartKeepsPendingTime: an alert that waits ten minutes must not wait ten
// more because somebody restarted us; nor fire at once because it was written so.
func TestRestartKeepsPendingTime(t *testing.T) {
	s := open(t, t.TempDir())
	path := filepath.Join(t.TempDir(), "r.yml")
	writeRules(t, path, `groups:
- name: g
  rules:
  - {alert: Long, expr: pending > 10, for: 10m}
`)
	set1(t, s, "pending", 11, "asset", "ETH")
	set1(t, s, "pending", 11, "asset", "BTC")
	now := time.Now()
	for i := range 3 { // ETH has been pending for half an hour when we went down
		appendAll(t, s, Sample{Name: nameForState, Labels: map[string]string{"alertname": "Long", "asset": "ETH"}, At: now.Add(time.Duration(i-20) * time.Second).UnixMilli(), Value: float64(now.Add(-30 * time.Minute).Unix())})
	}
	j := judge(t, s, path)
	got := j.until("the restored alert", func(s Standing) bool { return s.Rules["Long"] && len(firing(s)) > 0 })
	if len(got.Alerts) != 2 || got.Alerts[0].Labels["asset"] != "ETH" || got.Alerts[1].Firing {
		t.Errorf("%+v", got.Alerts)
	}
}

func TestReload(t *testing.T) {
	s := open(t, t.TempDir())
	set1(t, s, "pending", 11)
	dir := t.TempDir()
	path := filepath.Join(dir, "r.yml")
	one := "groups: [{name: g, rules: [{alert: One, expr: pending > 10}]}]"
	writeRules(t, path, one)
	j := judge(t, s, filepath.Join(dir, "*.yml"))
	j.until("the first", func(s Standing) bool { return fmt.Sprint(firing(s)) == "[One]" })
	writeRules(t, path, "groups: [{name: g, rules: [{alert: Two, expr: pending >}]}]")
	j.Reload()
	got := j.until("what is wrong", func(s Standing) bool { return s.Broken != "" })
	if fmt.Sprint(firing(got)) != "[One]" || !strings.Contains(got.Broken, "r.yml:1: group") {
		t.Errorf("%+v", got)
	}
	writeRules(t, path, "groups: [{name: g, rules: [{alert: Two, expr: pending > 10}, {alert: One, expr: pending > 100}]}]")
	j.Reload()
	j.until("the second", func(s Standing) bool { return fmt.Sprint(firing(s)) == "[Two]" && s.Broken == "" && s.Rules["One"] })
	writeRules(t, filepath.Join(dir, "more.yml"), "groups: [{name: m, rules: [{alert: Three, expr: pending > 10}, {alert: Many, expr: 'label_replace(vector(1), \"a\", \"b\", \"\", \"\") or pending'}]}]")
	writeRules(t, path, "")
	j.Reload()
	j.until("the third alone", func(s Standing) bool {
		_, one := s.Rules["One"]
		return !one && s.Rules["Three"] && len(firing(s)) == 3
	})
}

func TestFailingRuleIsNamed(t *testing.T) {
	s := open(t, t.TempDir())
	set1(t, s, "pending", 11, "asset", "ETH")
	set1(t, s, "pending", 11, "asset", "BTC")
	path := filepath.Join(t.TempDir(), "r.yml")
	writeRules(t, path, "groups: [{name: g, rules: [{alert: Bad, expr: pending * on() pending > 1}]}]")
	j := judge(t, s, path)
	long := time.Now().Add(-failingFor).UnixMilli() - 1
	got := j.until("the failure", func(s Standing) bool {
		j.mu.Lock() // as if it had failed for long
		for k := range j.failing {
			j.failing[k] = long
		}
		j.mu.Unlock()
		return len(s.Failing) == 1
	})
	if f := got.Failing[0]; f.Rule != "Bad" || f.Group != "g" || f.Since != long || !strings.Contains(f.Why, "found duplicate series") || got.Rules["Bad"] {
		t.Errorf("%+v %v", f, got.Rules)
	}
}

func TestTooManyAlerts(t *testing.T) {
	s := open(t, t.TempDir())
	var list []Sample
	for i := range maxAlerts + 5 {
		list = append(list, Sample{Name: "pending", Labels: map[string]string{"i": fmt.Sprint(i)}, At: time.Now().UnixMilli(), Value: 11})
	}
	appendAll(t, s, list...)
	path := filepath.Join(t.TempDir(), "r.yml")
	writeRules(t, path, "groups: [{name: g, rules: [{alert: Many, expr: pending > 10}]}]")
	j := judge(t, s, path)
	j.until("those beyond", func(s Standing) bool { return len(s.Alerts) == maxAlerts && s.Beyond == 5 })
}
