package web

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/casebook"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/views"
)

func (s *Server) learned() casebook.Learned {
	if s.Past == nil {
		return casebook.Learned{}
	}
	return s.Past.Learned()
}

func (s *Server) learningPage(c *call) error {
	l := s.learned()
	p := views.LearningPage{Closed: l.Closed, Open: l.Open, Drills: l.Drills, Unlabelled: l.Unlabelled, Least: precedent.LeastResolved, Categories: strings.Join(precedent.Categories(), ", "), Recovery: recoveryMeans + heldSays(l.Held)}
	s.World.Look(func(v projection.View) { p.Base = c.base("Learning", "learning", v) })
	for _, r := range []precedent.Report{l.Category, l.Severity} {
		if r.Target != "" {
			p.Models = append(p.Models, presentModel(r))
		}
	}
	p.Times = presentTimes(l.Times)
	return c.page(http.StatusOK, views.LearningView(p))
}

const recoveryMeans = "An expected recovery in a room is made from what resolved incidents like it took, of those that lasted at least as long already; open ones count for as long as they have lasted. Its range is meant to hold the truth 8 times of 10."

// heldSays is how often it did here.
func heldSays(s precedent.Share) string {
	if s.Of < precedent.LeastTested {
		return " How often it does here is said when it could be checked on " + strconv.Itoa(precedent.LeastTested) + " incidents."
	}
	low, high := s.Interval()
	return fmt.Sprintf(" Checked on the newest %d incidents here, each with what was known when it was declared, it held %s of them (%.0f to %.0f %%).", s.Of, percentOf(s.Value()), 100*low, 100*high)
}

func presentModel(r precedent.Report) views.LearnedModel {
	m := views.LearnedModel{Target: r.Target, Speaks: r.Speaks, Sentence: r.Sentence, Tested: r.Model.Of}
	if r.Target == precedent.TargetSeverity && r.Speaks && !r.Overrules {
		m.Sentence += " It helps while an incident is declared; in a room it contradicts nobody, as what people declared was right more often where they differ."
	}
	if m.Tested == 0 {
		return m
	}
	figure := func(name string, v precedent.Share, f1 string) views.Foretold {
		low, high := v.Interval()
		return views.Foretold{Name: name, Right: percentOf(v.Value()), Interval: fmt.Sprintf("%.0f to %.0f %%", 100*low, 100*high), F1: f1, Of: v.Of}
	}
	model := figure("the model", r.Model, fmt.Sprintf("%.2f", r.F1))
	model.Main = true
	m.Figures = append(m.Figures, model, figure("always the most common one", r.Baseline, fmt.Sprintf("%.2f", r.BaseF1)))
	if r.Declared.Of > 0 {
		m.Figures = append(m.Figures, figure("people, when they declared it", r.Declared, ""))
	}
	if r.Spoken.Of > 0 {
		m.Figures = append(m.Figures, figure("the model, where it was sure enough to speak", r.Spoken, ""))
	}
	for _, k := range r.Classes {
		m.Classes = append(m.Classes, category(k))
	}
	for i, row := range r.Confusion {
		sum := 0
		for _, n := range row {
			sum += n
		}
		v := views.ConfusionRow{Truth: category(r.Classes[i])}
		for j, n := range row {
			cell := views.ConfusionCell{N: n, Right: i == j}
			if n > 0 {
				cell.Level = 1 + min(3, 4*n/(sum+1))
			}
			v.Cells = append(v.Cells, cell)
		}
		m.Confusion = append(m.Confusion, v)
	}
	var ours, base []string
	for _, w := range r.Windows {
		m.Stretches = append(m.Stretches, views.Stretch{At: w.From, Model: 100 * w.Model.Value(), Baseline: 100 * w.Baseline.Value()})
		ours, base = append(ours, fmt.Sprintf("%.0f", 100*w.Model.Value())), append(base, fmt.Sprintf("%.0f", 100*w.Baseline.Value()))
	}
	m.Says = "Per cent right in each stretch of time, oldest first. The model: " + strings.Join(ours, ", ") + ". Always the most common one: " + strings.Join(base, ", ") + "."
	if n := len(r.Windows); n > 0 {
		m.Span = fmt.Sprintf("%s to %s, %d incidents a point", rfc3339(r.Windows[0].From)[:10], rfc3339(r.Windows[n-1].To)[:10], r.Windows[0].Model.Of)
	}
	return m
}

func percentOf(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

// The axis of times goes from 6 minutes to 100 hours by its logarithm: each third of it is ten times as long as the one before.
const (
	axisFrom = 6 * 60_000.0 // 6 minutes
	axisTo   = 100 * 3_600_000.0
)

func onAxis(ms int64) float64 {
	v := (math.Log(max(float64(ms), 1)) - math.Log(axisFrom)) / (math.Log(axisTo) - math.Log(axisFrom))
	return 100 * min(1, max(0, v))
}

func presentTimes(list []precedent.TimesOf) []views.TimesRow {
	var out []views.TimesRow
	for _, t := range list {
		r := views.TimesRow{Category: category(t.Category), Incidents: t.Incidents}
		if r.Category == "" {
			r.Category = "no category"
		}
		for _, v := range []precedent.Spread{t.Acknowledge, t.Mitigate, t.Recover} {
			cell := views.TimesCell{Of: v.Of}
			if v.Of > 0 {
				x, to := onAxis(v.Low), onAxis(v.High)
				cell.Median, cell.Range = precedent.Span(v.Median), precedent.Span(v.Low)+" to "+precedent.Span(v.High)
				cell.X, cell.W, cell.M = x, max(1, to-x), min(98, onAxis(v.Median))
			}
			r.Cells = append(r.Cells, cell)
		}
		out = append(out, r)
	}
	return out
}

type learningAnswer struct {
	Resolved   int           `json:"resolved" doc:"resolved incidents that were learned from"`
	Open       int           `json:"open"`
	Drills     int           `json:"drills"`
	Unlabelled int           `json:"without_category"`
	Held       rightDoc      `json:"recovery_held" doc:"how often the range of an expected recovery, meant to hold 80 %, held what the newest incidents took"`
	Models     []modelDoc    `json:"models"`
	Times      []durationDoc `json:"times"`
}

type modelDoc struct {
	Target     string     `json:"target"`
	Speaks     bool       `json:"speaks"`
	Sentence   string     `json:"sentence"`
	Model      rightDoc   `json:"model"`
	Baseline   rightDoc   `json:"baseline" doc:"always the most common one so far"`
	Declared   *rightDoc  `json:"declared,omitempty" doc:"severity only: as people declared it"`
	F1         float64    `json:"macro_f1"`
	BaselineF1 float64    `json:"baseline_macro_f1"`
	Classes    []string   `json:"classes"`
	Confusion  [][]int    `json:"confusion" doc:"a row for each class that it was, a column for each that was foretold"`
	Course     []rightDoc `json:"course" doc:"the model in stretches of time, oldest first"`
}

type rightDoc struct {
	Right int     `json:"right"`
	Of    int     `json:"of"`
	Share float64 `json:"share"`
	Low   float64 `json:"low" doc:"of the interval that holds the true share 95 times of 100"`
	High  float64 `json:"high"`
}

type durationDoc struct {
	Category    string    `json:"category"`
	Incidents   int       `json:"incidents"`
	Acknowledge spreadDoc `json:"acknowledge"`
	Mitigate    spreadDoc `json:"mitigate"`
	Recover     spreadDoc `json:"recover"`
}

type spreadDoc struct {
	Of     int   `json:"of"`
	Low    int64 `json:"low_ms" doc:"a tenth took less"`
	Median int64 `json:"median_ms"`
	High   int64 `json:"high_ms" doc:"a tenth took more"`
}

func newRight(s precedent.Share) rightDoc {
	low, high := s.Interval()
	return rightDoc{s.Right, s.Of, s.Value(), low, high}
}

func newSpread(s precedent.Spread) spreadDoc { return spreadDoc{s.Of, s.Low, s.Median, s.High} }

func (s *Server) apiLearning(c *call) error {
	l := s.learned()
	out := learningAnswer{Resolved: l.Closed, Open: l.Open, Drills: l.Drills, Unlabelled: l.Unlabelled, Held: newRight(l.Held), Models: []modelDoc{}, Times: []durationDoc{}}
	for _, r := range []precedent.Report{l.Category, l.Severity} {
		if r.Target == "" {
			continue
		}
		m := modelDoc{Target: r.Target, Speaks: r.Speaks, Sentence: r.Sentence, Model: newRight(r.Model), Baseline: newRight(r.Baseline), F1: r.F1, BaselineF1: r.BaseF1,
			Classes: nonNil(r.Classes), Confusion: r.Confusion, Course: []rightDoc{}}
		if m.Confusion == nil {
			m.Confusion = [][]int{}
		}
		if r.Declared.Of > 0 {
			d := newRight(r.Declared)
			m.Declared = &d
		}
		for _, w := range r.Windows {
			m.Course = append(m.Course, newRight(w.Model))
		}
		out.Models = append(out.Models, m)
	}
	for _, t := range l.Times {
		out.Times = append(out.Times, durationDoc{t.Category, t.Incidents, newSpread(t.Acknowledge), newSpread(t.Mitigate), newSpread(t.Recover)})
	}
	return c.JSON(http.StatusOK, out)
}

// draftPast is what the past says of a title that somebody is typing, as a piece of the page that declares.
func (s *Server) draftPast(c *call) error {
	q := c.QueryParams()
	title := q.Get("title")
	if len([]rune(title)) > incident.MaxTitle {
		title = string([]rune(title)[:incident.MaxTitle])
	}
	var p views.Precedent
	if len(strings.TrimSpace(title)) >= 4 {
		p = s.presentDraft(precedent.Typed(title, "", q["components"], q["chains"]))
	}
	return c.page(http.StatusOK, views.DraftRegion(p))
}
