package web

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/tocsin-ops/tocsin/internal/impact"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/views"
)

const (
	shownReasons = 5  // in the room; the page has all
	shownAsks    = 3  // facts that the room asks for
	shownTrend   = 60 // scores in the line
	trendOver    = 60 * 60_000
)

// axisTitles are the axes as people call them.
var axisTitles = [impact.AxisCount]string{"Services", "Users", "Money", "Regulatory", "Sentiment"}

// presentImpact is how bad it is and why; whole with every reason.
func (s *Server) presentImpact(st incident.State, whole bool) views.Impact {
	a := st.Impact
	out := views.Impact{Number: st.Number, Over: !incident.Open(st), Known: a.Known, Score: a.Score, High: a.High, At: a.At, Advised: a.Severity, Set: string(st.Severity)}
	s.presentAdviceOf(st, &out)
	if a.RuleReason != nil {
		out.Rule, out.RuleFrom = a.RuleReason.Sentence, s.presentFrom(a.RuleReason.From)
	}
	if list := st.Scores[max(0, len(st.Scores)-shownTrend):]; len(list) > 1 {
		for _, p := range list {
			out.Trend = append(out.Trend, float64(p.Score))
		}
		first, last := list[0], list[len(list)-1]
		took := "within a minute"
		if span := last.At - first.At; span >= 60_000 {
			took = "in " + precedent.Span(span)
		}
		out.TrendTo = fmt.Sprintf("from %d to %d %s", first.Score, last.Score, took)
	}
	for i, x := range a.Axes {
		if x.Name == "" {
			continue // nothing was ever scored
		}
		out.Axes = append(out.Axes, views.ImpactAxis{Name: x.Name, Title: axisTitles[i], Known: x.Known, Points: x.Points, Word: pointsWord(x.Points), Weight: fmt.Sprintf("%.0f %%", 100*x.Weight)})
	}
	s.presentReasons(a, whole, &out)
	out.Loss = s.presentLoss(st)
	for _, b := range a.Blast {
		out.Blast = append(out.Blast, views.ImpactHit{Service: s.chainName(b.Service), Now: b.Now, Likely: fmt.Sprintf("%.0f %%", 100*b.Likelihood), At: b.At, Reason: b.Reason})
	}
	if m := a.Major; m != nil {
		out.Major = &views.ImpactMajor{Answer: m.Answer, Sentence: m.Sentence}
		for _, k := range m.Criteria {
			out.Major.Criteria = append(out.Major.Criteria, views.ImpactCriterion{Name: k.Name, Article: k.Article, Met: k.Met, Sentence: k.Sentence})
		}
	}
	if !out.Over {
		out.Missing = asks(st)
	}
	for _, f := range st.Facts {
		k, known := impact.FactNamed(f.Name)
		clear := act("Take back", "clear_fact", map[string]any{"fact": f.Name})
		clear.Undo = &views.Action{Label: "Undo", Command: "set_fact", Args: map[string]any{"fact": f.Name, "value": f.Value, "note": f.Note}}
		v := views.ImpactFact{Name: f.Name, Title: k.Title, Value: f.Show(), Note: f.Note, By: s.name(f.By), At: f.At, Clear: clear}
		if !known {
			v.Title = f.Name
		}
		out.Facts = append(out.Facts, v)
	}
	return out
}

// presentAdviceOf says what is advised against what is set, and what can be done about it.
func (s *Server) presentAdviceOf(st incident.State, out *views.Impact) {
	a, v := st.Impact, st.Advice
	if v.Declined != "" {
		out.Declined = fmt.Sprintf("%s declined %s; %s", s.name(v.DeclinedBy), v.Declined, cmp.Or(v.Reason, "why is on the timeline."))
	}
	if out.Over {
		return
	}
	out.Milder = a.Milder()
	if !v.Speaks(string(st.Severity), a.Moment) {
		return
	}
	out.Says = fmt.Sprintf("The score stands for %s; %s is set.", v.Severity, st.Severity)
	if incident.Severity(v.Severity).Rank() > st.Severity.Rank() {
		out.Says = fmt.Sprintf("By what is known it is %s now; %s is set.", v.Severity, st.Severity)
	}
	seen := map[string]any{"severity": v.Severity}
	follow := act("Follow", "follow_advice", seen)
	follow.Tone = "main"
	decline := act("Decline", "decline_advice", seen)
	decline.Ask, decline.Need = "Why does "+string(st.Severity)+" stay? Write one sentence. The advice is then silent until it gets worse.", "reason"
	out.Actions = []views.Action{follow, decline}
}

func (s *Server) presentReasons(a impact.Assessment, whole bool, out *views.Impact) {
	title := map[impact.Reason]string{}
	for i, x := range a.Axes {
		for _, r := range x.Reasons {
			title[r] = axisTitles[i]
			if whole {
				out.Reasons = append(out.Reasons, views.ImpactReason{Axis: axisTitles[i], Points: r.Points, Sentence: r.Sentence, From: s.presentFrom(r.From)})
			}
		}
	}
	if whole {
		return
	}
	for _, r := range a.Top(shownReasons + 1) {
		if a.RuleReason != nil && r == *a.RuleReason || len(out.Reasons) == shownReasons {
			continue // it stands above
		}
		out.Reasons = append(out.Reasons, views.ImpactReason{Axis: title[r], Points: r.Points, Sentence: r.Sentence, From: s.presentFrom(r.From)})
	}
}

// presentFrom is what a reason rests on, in words.
func (s *Server) presentFrom(f impact.From) views.ImpactSource {
	switch f.Kind {
	case impact.FromFact:
		return views.ImpactSource{Text: "said by " + cmp.Or(s.name(f.By), "somebody"), At: f.At}
	case impact.FromSignal:
		return views.ImpactSource{Text: "signal", Href: "/signals/" + f.Ref, At: f.At}
	case impact.FromMetric:
		return views.ImpactSource{Text: "measured: " + f.Name, At: f.At}
	case impact.FromDeclare:
		return views.ImpactSource{Text: "configuration"}
	case impact.FromAssumed:
		return views.ImpactSource{Text: "assumed, " + f.Name}
	}
	return views.ImpactSource{}
}

// presentLoss is what a minute costs. The sum is that of the minute that begins now; of an incident that is over, of its end.
func (s *Server) presentLoss(st incident.State) views.ImpactLoss {
	l := st.Impact.Loss
	if !l.Known && l.Sum == 0 {
		return views.ImpactLoss{}
	}
	by := cmp.Or(st.ResolvedAt, s.now()/60_000*60_000)
	out := views.ImpactLoss{Known: l.Known, PerMinute: impact.USD(l.PerMinute), Assumption: l.Assumption, From: s.presentFrom(l.From)}
	out.Sum, out.SumAt = impact.USD(rounded(st.Impact.LostBy(by, st.ResolvedAt))), max(by, st.Impact.At)
	if l.High > 0 {
		out.Range = impact.USD(l.Low) + " to " + impact.USD(l.High)
	}
	for _, p := range l.Parts {
		out.Parts = append(out.Parts, views.ImpactPart{Service: s.chainName(p.Service), PerMinute: impact.USD(p.PerMinute), From: s.presentFrom(p.From)})
	}
	return out
}

func rounded(v float64) float64 { return float64(int64(v + 0.5)) }

// asks are buttons for the facts that would tell most.
func asks(st incident.State) (out []views.Action) {
	missing := st.Impact.Missing
	if st.Impact.At == 0 {
		missing = []string{impact.FactFundsMoving, impact.FactUsersAffected, impact.FactCriticalService}
	}
	for _, name := range missing {
		k, ok := impact.FactNamed(name)
		if !ok || len(out) == shownAsks {
			continue
		}
		a := act(k.Title+" …", "set_fact", map[string]any{"fact": k.Name})
		a.Ask, a.Need = k.Title+": "+k.Help+" Write it like “"+k.Example+"”.", "value"
		out = append(out, a)
	}
	return out
}

// pointsWord says points of an axis in a word.
func pointsWord(p int) string {
	switch {
	case p >= 80:
		return "grave"
	case p >= 60:
		return "high"
	case p >= 35:
		return "much"
	case p >= 10:
		return "some"
	case p > 0:
		return "little"
	}
	return "none"
}

// scoreOnStrip sets score, trend and what a minute costs on top of the room.
func scoreOnStrip(st incident.State, out *views.Strip) {
	a := st.Impact
	if a.Known {
		out.Score = strconv.Itoa(a.Score)
		if a.High > a.Score {
			out.Score += "+"
		}
	}
	if a.Loss.Known {
		out.Cost, out.Assumed = impact.USD(a.Loss.PerMinute), a.Loss.Assumption != ""
	}
	n := len(st.Scores)
	if n < 2 || !incident.Open(st) {
		return
	}
	last := st.Scores[n-1]
	first := st.Scores[n-2]
	for i := n - 2; i >= 0 && last.At-st.Scores[i].At <= trendOver; i-- {
		first = st.Scores[i]
	}
	switch {
	case last.Score > first.Score:
		out.Trend = "worse"
	case last.Score < first.Score:
		out.Trend = "better"
	default:
		out.Trend = "same"
	}
	out.TrendText = fmt.Sprintf("score %d, was %d, %s before", last.Score, first.Score, precedent.Span(last.At-first.At))
}
