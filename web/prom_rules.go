package web

import (
	"path/filepath"
	"slices"

	"github.com/tocsin-ops/tocsin/internal/metrics"
	"github.com/tocsin-ops/tocsin/views"
)

// Ruling answers from memory what the rules of the rule files are and say. The error is about what was asked and matches metrics.ErrQuery.
type Ruling func(metrics.RuleAsk) (metrics.Ruling, error)

// ruleRows is how many rules a page shows at once.
const ruleRows = 200

// promRules is Prometheus' /api/v1/rules.
func (s *Server) promRules(c *call) error {
	ask, err := metrics.ParseRuleAsk(c.QueryParams())
	if err != nil {
		return promAnswer(c, nil, err)
	}
	r := metrics.Ruling{Here: true}
	if s.Ruling != nil {
		if r, err = s.Ruling(ask); err != nil {
			return promAnswer(c, nil, err)
		}
	}
	return promAnswer(c, metrics.EncodeRules(r), nil)
}

// presentRules fills the part of /detectors about rules.
func (s *Server) presentRules(p *views.RulesPart) error {
	p.Show = true
	if s.Ruling == nil {
		return nil
	}
	r, err := s.Ruling(metrics.RuleAsk{NoAlerts: true})
	if err != nil {
		return err
	}
	p.Elsewhere, p.Told, p.Broken, p.Files, p.Beyond = !r.Here && !r.Told, r.Told, r.Broken, r.Files, r.BeyondRules
	var rows []views.PromRule
	for _, g := range r.Groups {
		for _, x := range g.Rules {
			rows = append(rows, views.PromRule{
				File: filepath.Base(g.File), Path: g.File, Group: g.Name, Name: x.Name, Query: head200(x.Query), Records: !x.Alerting,
				State: x.State, Since: x.Since, Active: x.Active, Failing: x.Health == metrics.HealthBad, Error: head200(x.LastError), Last: x.LastEvaluated,
			})
		}
	}
	p.Total = len(rows) + r.BeyondRules
	if len(rows) > ruleRows { // what is not calm is among those that are shown
		p.Beyond += len(rows) - ruleRows
		order := make([]int, len(rows))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return urgency(rows[a]) - urgency(rows[b]) })
		order = order[:ruleRows]
		slices.Sort(order)
		for _, i := range order {
			p.Rows = append(p.Rows, rows[i])
		}
		return nil
	}
	p.Rows = rows
	return nil
}

// urgency is 0 for what must be seen first.
func urgency(r views.PromRule) int {
	switch {
	case r.Failing:
		return 0
	case r.State == metrics.RuleFiring:
		return 1
	case r.State == metrics.RulePending:
		return 2
	}
	return 3
}

// head200 keeps the first 200 characters of a text.
func head200(text string) string {
	n := 0
	for i := range text {
		if n++; n > 200 {
			return text[:i] + "…"
		}
	}
	return text
}
