package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/detection"
	"github.com/tocsin-ops/tocsin/internal/feedback"
	"github.com/tocsin-ops/tocsin/internal/forecast"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/views"
)

// Findings is what pages need of the detectors' figures. Look and Do are safe for concurrent use.
type Findings interface {
	// Look shows the figures as they stand; see must be quick and keep nothing.
	Look(see func(*feedback.State))
	// Do carries out a command of feedback; nil means durable. The error is a *feedback.Refusal when a person can read why not.
	Do(ctx context.Context, id, actor string, at int64, command any) error
}

// Ahead is what pages show of what is likely to happen next. It answers from memory.
type Ahead interface {
	Outlooks() []detection.Outlook
	Spread() []forecast.Reach
}

// reviewed is how many findings the review queue shows at once.
const reviewed = 25

var errNoFindings = refusal("unavailable", "Findings are not judged here.")

// verdict is what was said of a finding, nothing when nobody has.
func (s *Server) verdict(id string) (v views.Verdict) {
	if s.Findings != nil {
		s.Findings.Look(func(st *feedback.State) {
			if l, ok := st.Labels[id]; ok {
				v = views.Verdict{Says: string(l.Verdict), At: l.At, By: l.By, Note: l.Note}
			}
		})
	}
	if v.By != "" {
		v.By = s.name(v.By)
	}
	return v
}

func (s *Server) showDetectors(c *call, refused error) error {
	p := views.DetectorsPage{Judge: c.can(auth.JudgeFinding), Manage: c.can(auth.ManageDetectors)}
	judged := map[string]bool{}
	if s.Findings != nil {
		s.Findings.Look(func(st *feedback.State) {
			for id := range st.Labels {
				judged[id] = true
			}
			for _, m := range st.Summaries(s.now()) {
				p.Rows = append(p.Rows, presentDetector(m))
			}
			p.Changes = presentChanges(st)
		})
	}
	if c.can(auth.ViewMetrics) {
		if err := s.presentRules(&p.Rules); err != nil {
			return err
		}
	}
	if s.Ahead != nil {
		for _, o := range s.Ahead.Outlooks() {
			if o.Near || o.Cross.Likely >= 0.05 {
				p.Ahead = append(p.Ahead, presentOutlook(o))
			}
		}
		for _, r := range s.Ahead.Spread() {
			p.Spread = append(p.Spread, views.SpreadRow{Service: s.chainName(r.Service), Likely: fmt.Sprintf("%.0f %%", 100*r.Likelihood), At: r.Median, Low: r.Low, High: r.High, Path: r.Path, Reason: r.Reason})
		}
	}
	for i := range p.Changes {
		p.Changes[i].By = s.name(p.Changes[i].By)
	}
	s.World.Look(func(v projection.View) {
		p.Base = c.base("Detectors", "detectors", v)
		var queue []signal.Signal
		for g := range v.Signals() {
			if g.Detector != "" && !g.Drill && !judged[g.ID] {
				queue = append(queue, g)
			}
		}
		slices.SortFunc(queue, func(a, b signal.Signal) int {
			if a.Weak != b.Weak {
				if a.Weak {
					return -1
				}
				return 1
			}
			return cmp.Or(cmp.Compare(b.OpenedAt, a.OpenedAt), cmp.Compare(a.ID, b.ID))
		})
		p.Waiting = len(queue)
		for _, g := range queue[:min(len(queue), reviewed)] {
			p.Review = append(p.Review, s.presentSignal(g))
		}
	})
	code := http.StatusOK
	if refused != nil {
		d, known := describe(refused)
		if !known {
			return refused
		}
		p.Problem, code = d.Detail, d.Status
	}
	return c.page(code, views.DetectorsView(p))
}

func (s *Server) detectorsPage(c *call) error { return s.showDetectors(c, nil) }

func presentOutlook(o detection.Outlook) views.Ahead {
	a := views.Ahead{
		Title: o.Bound.Title, Sentence: o.Cross.Sentence, Value: fmt.Sprintf("%.4g", o.Value), Bound: strconv.FormatFloat(o.Bound.Value, 'g', 6, 64),
		Likely: fmt.Sprintf("%.0f %%", 100*o.Cross.Likely), At: o.Cross.At, Low: o.Cross.Low, High: o.Cross.High, Now: o.Now, Near: o.Near,
	}
	var of []string
	for _, k := range slices.Sorted(maps.Keys(o.Labels)) {
		if k != "__name__" {
			of = append(of, o.Labels[k])
		}
	}
	a.Subject = strings.Join(of, ", ")
	for i := 0; i < len(o.Points); i += max(len(o.Points)/60, 1) {
		a.Points = append(a.Points, o.Points[i].Value)
	}
	return a
}

func presentDetector(m feedback.Summary) views.DetectorRow {
	r := views.DetectorRow{
		Name: m.Name, PerDay: rate(m.PerDay), Weak: rate(m.WeakDaily), Last: m.Last, Labelled: m.Labelled, Unsure: m.Unsure,
		Confirmed: m.Sure, OneNode: m.Alone, Unverifiable: m.Unsettled,
		Threshold: strictness(m.Strictness, m.Scored), Moved: m.Strictness != 0, Strict: m.Strictness, Scored: m.Scored,
	}
	if m.Precision >= 0 {
		r.Precision = fmt.Sprintf("%.0f %%", 100*m.Precision)
		r.Interval = fmt.Sprintf("%.0f to %.0f %%", 100*m.Low, 100*m.High)
	}
	if m.Recall >= 0 {
		r.Recall = fmt.Sprintf("%.0f %%", 100*m.Recall)
	}
	return r
}

func presentChanges(st *feedback.State) []views.ThresholdChange {
	var out []views.ThresholdChange
	newest := map[string]bool{}
	for _, ch := range slices.Backward(st.Changes) {
		can := !ch.Undone && ch.Undoes == "" && !newest[ch.Detector]
		if !ch.Undone && ch.Undoes == "" {
			newest[ch.Detector] = true
		}
		out = append(out, views.ThresholdChange{
			ID: ch.ID, At: ch.At, Detector: ch.Detector, Before: strictness(ch.Before, true), After: strictness(ch.After, true),
			Reason: ch.Reason, By: ch.By, Undone: ch.Undone, Undo: can,
		})
	}
	return out
}

func rate(v float64) string {
	if v > 0 && v < 0.05 {
		return "< 0.1"
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// strictness says how a threshold differs from the one that is shipped.
func strictness(decades float64, scored bool) string {
	switch {
	case !scored:
		return "by rule"
	case decades > 0:
		return fmt.Sprintf("%.3g times rarer", math.Pow(10, decades))
	case decades < 0:
		return fmt.Sprintf("%.3g times more common", math.Pow(10, -decades))
	}
	return "as shipped"
}

// judge carries a verdict out. The facts of the finding are the log's, not the caller's.
func (s *Server) judge(c *call, id, verdict, note string) error {
	if s.Findings == nil {
		return errNoFindings
	}
	var g signal.Signal
	var err error
	s.World.Look(func(v projection.View) { g, err = v.Signal(c.Param("id")) })
	if err != nil {
		return refusal("not_found", "This finding is not at hand any more: it was cleared more than a week ago.")
	}
	return s.Findings.Do(c.ctx(), id, c.actor.String(), s.now(), feedback.Judge{
		Signal: g.ID, Detector: g.Detector, Title: g.Title, Score: g.Score, Bound: g.Bound, Weak: g.Weak, Drill: g.Drill, Verdict: feedback.Verdict(verdict), Note: note,
	})
}

func commandID() string { return uuid.Must(uuid.NewV7()).String() }

func (s *Server) judgeForm(c *call) error {
	back := c.FormValue("back")
	if back != "/detectors" && back != "/signals/"+c.Param("id") {
		back = "/detectors"
	}
	if err := s.judge(c, commandID(), c.FormValue("verdict"), c.FormValue("note")); err != nil {
		if back == "/detectors" {
			return s.showDetectors(c, err)
		}
		return s.showSignal(c, err)
	}
	c.tell("done", "Noted. Judging it again replaces what you said.")
	return c.land(back)
}

// verdictRequest is the body of POST /api/v1/signals/{id}/verdict.
type verdictRequest struct {
	ID      string `json:"id" doc:"UUID of this command; the same again is done once"`
	Verdict string `json:"verdict" enum:"true,false,unsure"`
	Note    string `json:"note,omitempty"`
}

type verdictAnswer struct {
	Signal  string `json:"signal"`
	Verdict string `json:"verdict"`
}

func (s *Server) apiJudge(c *call) error {
	var in verdictRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.ID == "" {
		in.ID = commandID()
	} else if _, err := uuid.Parse(in.ID); err != nil {
		return refusal("bad_id", "The id of a command is a UUID.")
	}
	if err := s.judge(c, in.ID, in.Verdict, in.Note); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, verdictAnswer{c.Param("id"), in.Verdict})
}

func (s *Server) undoThreshold(c *call) error {
	if s.Findings == nil {
		return errNoFindings
	}
	if err := s.Findings.Do(c.ctx(), commandID(), c.actor.String(), s.now(), feedback.Undo{Change: c.FormValue("change")}); err != nil {
		return s.showDetectors(c, err)
	}
	c.tell("done", "The change is taken back.")
	return c.land("/detectors")
}

func (s *Server) setThreshold(c *call) error {
	if s.Findings == nil {
		return errNoFindings
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(c.FormValue("strictness")), 64)
	if err != nil {
		return s.showDetectors(c, refusal("bad_number", "The strictness is a number, such as 0.5. 0 is as shipped."))
	}
	if err := s.Findings.Do(c.ctx(), commandID(), c.actor.String(), s.now(), feedback.Set{Detector: c.FormValue("detector"), Strictness: v, Reason: c.FormValue("reason")}); err != nil {
		return s.showDetectors(c, err)
	}
	c.tell("done", "The threshold is moved. The log says by whom and why.")
	return c.land("/detectors")
}

// detectorDoc is one detector on the wire.
type detectorDoc struct {
	Name        string   `json:"name"`
	AlertsDaily float64  `json:"alerts_per_day"`
	WeakDaily   float64  `json:"weak_per_day"`
	True        int      `json:"true"`
	False       int      `json:"false"`
	Unsure      int      `json:"unsure"`
	Missed      int      `json:"missed"`
	Precision   *float64 `json:"precision" doc:"null = nothing judged yet"`
	Low         float64  `json:"precision_low"`
	High        float64  `json:"precision_high"`
	Recall      *float64 `json:"recall"`
	Strictness  float64  `json:"strictness" doc:"powers of ten; 0 = as shipped"`
	Scored      bool     `json:"has_threshold"`

	Confirmed    int `json:"confirmed" doc:"alerts of the last 30 days that a second independent node showed"`
	OneNode      int `json:"one_node" doc:"likewise, that one node alone showed, also after the wait"`
	Unverifiable int `json:"unverifiable" doc:"likewise, that no second node could be asked about"`
}

type changeDoc struct {
	ID       string  `json:"id"`
	At       string  `json:"at"`
	Detector string  `json:"detector"`
	Before   float64 `json:"before"`
	After    float64 `json:"after"`
	Reason   string  `json:"reason"`
	By       string  `json:"by"`
	Undone   bool    `json:"undone,omitempty"`
}

type detectorsAnswer struct {
	Detectors []detectorDoc `json:"detectors"`
	Changes   []changeDoc   `json:"changes"`
}

func (s *Server) apiDetectors(c *call) error {
	out := detectorsAnswer{Detectors: []detectorDoc{}, Changes: []changeDoc{}}
	if s.Findings != nil {
		s.Findings.Look(func(st *feedback.State) {
			for _, m := range st.Summaries(s.now()) {
				d := detectorDoc{Name: m.Name, AlertsDaily: m.PerDay, WeakDaily: m.WeakDaily, True: m.True, False: m.False, Unsure: m.Unsure, Missed: m.Missed,
					Low: m.Low, High: m.High, Strictness: m.Strictness, Scored: m.Scored, Confirmed: m.Sure, OneNode: m.Alone, Unverifiable: m.Unsettled}
				if m.Precision >= 0 {
					d.Precision = &m.Precision
				}
				if m.Recall >= 0 {
					d.Recall = &m.Recall
				}
				out.Detectors = append(out.Detectors, d)
			}
			for _, ch := range slices.Backward(st.Changes) {
				out.Changes = append(out.Changes, changeDoc{ch.ID, rfc3339(ch.At), ch.Detector, ch.Before, ch.After, ch.Reason, ch.By, ch.Undone})
			}
		})
	}
	return c.JSON(http.StatusOK, out)
}

// One signal.

func (s *Server) signalPage(c *call) error { return s.showSignal(c, nil) }

func (s *Server) showSignal(c *call, refused error) error {
	var p views.SignalPage
	var g signal.Signal
	var err error
	s.World.Look(func(v projection.View) {
		if g, err = v.Signal(c.Param("id")); err != nil {
			return
		}
		p = views.SignalPage{Base: c.base(g.Title, "signals", v), Signal: s.presentSignal(g), Judge: c.can(auth.JudgeFinding), Quiet: s.signalQuiet(c, v, g)}
		if k, err := v.Card(g.Incident); g.Incident > 0 && err == nil {
			p.Signal.IncidentName = k.Title
		}
	})
	if err != nil {
		return err
	}
	p.Signal.Plain = true
	p.Evidence = pretty(g.Evidence)
	for _, k := range slices.Sorted(maps.Keys(g.Labels)) {
		p.Labels = append(p.Labels, views.Pair{Name: k, Value: g.Labels[k]})
	}
	p.Metric = known(g)
	p.Graph = s.signalPicture(c.ctx(), g)
	code := http.StatusOK
	if refused != nil {
		d, is := describe(refused)
		if !is {
			return refused
		}
		p.Problem, code = d.Detail, d.Status
	}
	return c.page(code, views.SignalView(p))
}

// known lists what the finding itself says of its certainty.
func known(g signal.Signal) []views.Pair {
	var out []views.Pair
	add := func(name, value string) {
		if value != "" {
			out = append(out, views.Pair{Name: name, Value: value})
		}
	}
	add("Kind", g.Kind)
	add("Subject", g.Subject)
	add("Chain", g.Chain)
	add("Component", g.Component)
	add("Detector", g.Detector)
	if g.Score > 0 {
		add("Likelihood if all were normal", likelihood(g.Score))
	}
	add("Confirmation", certainty(g.Finding))
	add("Seen by", strings.Join(g.Seen, ", "))
	return out
}

// likelihood writes a tail probability for people: "1 in 20,000".
func likelihood(p float64) string {
	switch {
	case p >= 0.5:
		return fmt.Sprintf("%.0f %%", 100*p)
	case p < 1e-12:
		return "less than 1 in 1,000,000,000,000"
	}
	return "1 in " + grouped(int64(math.Round(significant(1/p))))
}

// significant keeps two digits.
func significant(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return math.Round(v/unit) * unit
}

// mostEvidence is how much of the evidence a page shows, in bytes.
const mostEvidence = 24 << 10

func pretty(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return ""
	}
	if b.Len() > mostEvidence {
		return strings.ToValidUTF8(b.String()[:mostEvidence], "") + "\n… the rest is in the log"
	}
	return b.String()
}
