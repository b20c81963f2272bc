package metrics

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ParseRuleAsk reads the parameters of Prometheus' /api/v1/rules. Errors match ErrQuery.
func ParseRuleAsk(form url.Values) (RuleAsk, error) {
	a := RuleAsk{Type: strings.ToLower(form.Get("type")), Names: form["rule_name[]"], Groups: form["rule_group[]"], Files: form["file[]"], From: form.Get("group_next_token")}
	if a.Type != "" && a.Type != "alert" && a.Type != "record" {
		return a, fmt.Errorf("%w: type %.40q is neither alert nor record", ErrQuery, a.Type)
	}
	if len(form["match[]"]) > 0 {
		return a, fmt.Errorf("%w: match[] is not known here; choose by rule_name[], rule_group[] or file[]", ErrQuery)
	}
	if t := form.Get("exclude_alerts"); t != "" {
		var err error
		if a.NoAlerts, err = strconv.ParseBool(strings.ToLower(t)); err != nil {
			return a, fmt.Errorf("%w: exclude_alerts %.40q is neither true nor false", ErrQuery, t)
		}
	}
	if t := form.Get("group_limit"); t != "" {
		n, err := strconv.ParseInt(t, 10, 32)
		if err != nil || n <= 0 {
			return a, fmt.Errorf("%w: group_limit %.40q is not a number above 0", ErrQuery, t)
		}
		a.Most = int(n)
	} else if a.From != "" {
		return a, fmt.Errorf("%w: group_next_token needs a group_limit", ErrQuery)
	}
	return a, nil
}

type groupDoc struct {
	Name           string  `json:"name"`
	File           string  `json:"file"`
	Rules          []any   `json:"rules"`
	Interval       float64 `json:"interval"` // seconds
	Limit          int     `json:"limit"`
	EvaluationTime float64 `json:"evaluationTime"` // seconds
	LastEvaluation string  `json:"lastEvaluation"`
}

type recordingDoc struct {
	Name           string            `json:"name"`
	Query          string            `json:"query"`
	Labels         map[string]string `json:"labels"`
	Health         string            `json:"health"`
	LastError      string            `json:"lastError,omitempty"`
	EvaluationTime float64           `json:"evaluationTime"`
	LastEvaluation string            `json:"lastEvaluation"`
	Type           string            `json:"type"`
}

type alertingDoc struct {
	State         string            `json:"state"`
	Duration      float64           `json:"duration"`
	KeepFiringFor float64           `json:"keepFiringFor"`
	Annotations   map[string]string `json:"annotations"`
	Alerts        []alertDoc        `json:"alerts"`
	recordingDoc
}

type alertDoc struct {
	Labels          map[string]string `json:"labels"`
	Annotations     map[string]string `json:"annotations"`
	State           string            `json:"state"`
	ActiveAt        string            `json:"activeAt"`
	KeepFiringSince string            `json:"keepFiringSince,omitempty"`
	Value           string            `json:"value"`
}

// EncodeRules is the body for rules. What does not hold of it is in its warnings.
func EncodeRules(r Ruling) []byte {
	d := struct {
		Groups []groupDoc `json:"groups"`
		Next   string     `json:"groupNextToken,omitempty"`
	}{Groups: []groupDoc{}, Next: r.Next}
	for _, g := range r.Groups {
		x := groupDoc{Name: g.Name, File: g.File, Interval: g.Interval.Seconds(), Limit: g.Limit, EvaluationTime: g.Took.Seconds(), LastEvaluation: moment(g.LastEvaluated)}
		for _, rule := range g.Rules {
			x.Rules = append(x.Rules, ruleDoc(rule))
		}
		d.Groups = append(d.Groups, x)
	}
	var warn []string
	if r.Broken != "" {
		warn = append(warn, "the rule files were changed and cannot be used; the rules before go on: "+r.Broken)
	}
	if !r.Here && !r.Told && r.Files > 0 {
		warn = append(warn, "another replica evaluates the rules; their states are not known here at the moment")
	}
	if r.BeyondRules > 0 || r.BeyondAlerts > 0 {
		warn = append(warn, fmt.Sprintf("%d rules and %d alerts are left out; ask by file[], rule_group[] or rule_name[], or with exclude_alerts", r.BeyondRules, r.BeyondAlerts))
	}
	return encode(envelope{Status: "success", Data: d, Warnings: warn})
}

func ruleDoc(r Rule) any {
	d := recordingDoc{Name: r.Name, Query: r.Query, Labels: metric(r.Labels), Health: r.Health, LastError: r.LastError, EvaluationTime: r.Took.Seconds(), LastEvaluation: moment(r.LastEvaluated), Type: "recording"}
	if !r.Alerting {
		return d
	}
	d.Type = "alerting"
	a := alertingDoc{State: r.State, Duration: r.For.Seconds(), KeepFiringFor: r.Keep.Seconds(), Annotations: metric(r.Annotations), Alerts: []alertDoc{}, recordingDoc: d}
	for _, x := range r.Alerts {
		y := alertDoc{Labels: metric(x.Labels), Annotations: metric(x.Annotations), State: RulePending, ActiveAt: moment(x.Since), Value: strconv.FormatFloat(x.Value, 'e', -1, 64)}
		if x.Firing {
			y.State = RuleFiring
		}
		if x.Kept > 0 {
			y.KeepFiringSince = moment(x.Kept)
		}
		a.Alerts = append(a.Alerts, y)
	}
	return a
}

// moment writes unix ms as Prometheus does; 0, never, is its year 1.
func moment(ms int64) string {
	if ms == 0 {
		return time.Time{}.Format(time.RFC3339Nano)
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
}
