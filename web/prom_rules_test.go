package web

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/metrics"
)

// ruled is a house whose rules are as given.
func ruled(t *testing.T, r *metrics.Ruling) *house {
	return newHouse(t, func(o *Options) {
		o.Ruling = func(ask metrics.RuleAsk) (metrics.Ruling, error) {
			if ask.From != "" {
				return metrics.Ruling{}, fmt.Errorf("%w: no such group", metrics.ErrQuery)
			}
			return *r, nil
		}
	})
}

func TestRulesAreShown(t *testing.T) {
	r := metrics.Ruling{Here: true}
	h := ruled(t, &r)
	rita := h.member("rita", auth.RoleResponder, "")
	rita.get("/detectors").want(200).has("There are no rule files", "rules: [rules/*.yml]", "within half a minute")
	rita.get("/prometheus/api/v1/rules").want(200).has(`{"status":"success","data":{"groups":[]}}`)
	r.Files = 1
	rita.get("/detectors").want(200).has("1 rule file is in use and without a rule")

	at := h.millis()
	r.Groups = []metrics.RuleGroup{{Name: "withdrawals", File: "/etc/tocsin/rules/w.yml", Rules: []metrics.Rule{
		{Name: "pending:sum", Query: "sum(pending)", Health: "ok", LastEvaluated: at},
		{Name: "Wait", Alerting: true, State: "firing", Since: at, Active: 3, Health: "ok", LastEvaluated: at, Query: "pending > 1"},
		{Name: "Long", Alerting: true, State: "pending", Since: at, Active: 1, Health: "ok", LastEvaluated: at},
		{Name: "Calm", Alerting: true, State: "inactive", Health: "ok", LastEvaluated: at},
		{Name: "Bad", Alerting: true, State: "inactive", Health: "err", LastError: "many <b> sides", LastEvaluated: at},
		{Name: "New", Alerting: true, State: "unknown", Health: "unknown"},
	}}}
	page := rita.get("/detectors").want(200).has("<b>firing</b> since", "3 alerts", "pending since", ">inactive<", "It cannot be evaluated, so it finds nothing: many &lt;b&gt; sides", "w.yml", "withdrawals", "not here yet", ">records<", "not known here",
		`<summary aria-label="Expression of Wait">Expression</summary>`, "<code>pending &gt; 1</code>", "in <code>/etc/tocsin/rules/w.yml</code>")
	if strings.Contains(page.body, "Another replica") {
		t.Error("the one that evaluates says another does")
	}
	rita.get("/prometheus/api/v1/rules").want(200).has(`"state":"firing"`, `"type":"recording"`, `"lastError":"many \u003cb\u003e sides"`, `"file":"/etc/tocsin/rules/w.yml"`)
	rita.get("/prometheus/api/v1/rules?type=both").want(400).has(`"errorType":"bad_data"`)
	rita.get("/prometheus/api/v1/rules?group_limit=1&group_next_token=x").want(400).has("no such group")

	r.Here, r.Broken = false, "w.yml:3: nonsense"
	rita.get("/detectors").want(200).has("Another replica evaluates the rules", "the rules before go on. w.yml:3: nonsense")
	rita.get("/prometheus/api/v1/rules").want(200).has(`"warnings":[`)

	// Not for everybody: whoever sees no figures sees no rules.
	h.nobody().get("/prometheus/api/v1/rules").want(401, 303)
	h.member("sam", auth.RoleStakeholder, "clients").get("/prometheus/api/v1/rules").want(403)
	wall, _ := h.wall()
	wall.get("/prometheus/api/v1/rules").want(403)
	robot, _ := h.token(auth.RoleResponder, "")
	robot.get("/prometheus/api/v1/rules").want(200)
}

// TestRulesOnThePageAreBounded: of very many rules the page shows those that are not calm, in the order of the files.
func TestRulesOnThePageAreBounded(t *testing.T) {
	g := metrics.RuleGroup{Name: "g", File: "r.yml"}
	for i := range ruleRows + 50 {
		g.Rules = append(g.Rules, metrics.Rule{Name: fmt.Sprintf("R%04d", i), Alerting: true, State: "inactive", Health: "ok", LastEvaluated: 1})
	}
	n := len(g.Rules)
	g.Rules[n-1].State, g.Rules[n-2].Health, g.Rules[n-3].State = "firing", "err", "pending"
	g.Rules[n-2].LastError = strings.Repeat("é", 5000)
	r := metrics.Ruling{Here: true, Files: 1, Groups: []metrics.RuleGroup{g}, BeyondRules: 4}
	h := ruled(t, &r)
	body := h.ana().get("/detectors").want(200).has("R0000", "R0248", "R0249", "R0247", "54 more are not shown", `<span class="n">254</span>`).body
	if strings.Count(body, "data-rule=") != ruleRows || strings.Contains(body, "R0197") || strings.Contains(body, strings.Repeat("é", 201)) || strings.Index(body, "R0248") > strings.Index(body, "R0249") {
		t.Error("the page is not bounded, or not in order")
	}
	h = newHouse(t, func(o *Options) {
		o.Ruling = func(metrics.RuleAsk) (metrics.Ruling, error) { return metrics.Ruling{}, errors.New("read /secret") }
	})
	if a := h.ana().get("/prometheus/api/v1/rules").want(500); strings.Contains(a.body, "secret") {
		t.Error(a.body)
	}
}
