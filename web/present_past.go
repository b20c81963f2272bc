package web

import (
	"fmt"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/casebook"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/views"
)

// Past is what pages need of past incidents. It answers from memory and is safe for concurrent use.
type Past interface {
	// Advise says what the past tells about an incident as it stands, or about one that is being typed.
	Advise(c precedent.Case, now int64) casebook.Advice
	// Recovery says how much longer an open incident is likely to last.
	Recovery(number, now int64) precedent.Recovery
	Learned() casebook.Learned
}

// presentPrecedent is what the past says in the room of an incident.
func (s *Server) presentPrecedent(st incident.State) views.Precedent {
	if s.Past == nil || !incident.Open(st) {
		return views.Precedent{Number: st.Number}
	}
	a := s.Past.Advise(precedent.Of(st), s.now())
	out := s.presentAdvice(a)
	out.Number, out.On = st.Number, true
	if out.Foretold = a.Recovery.Known; out.Foretold || len(out.Similar) > 0 {
		out.Recovery = a.Recovery.Sentence
	}
	if v := a.Category; v.Value != "" && st.Category == "" {
		use := act("Use it", "set_category", map[string]any{"category": v.Value})
		use.Undo = &views.Action{Label: "Undo", Command: "set_category", Args: map[string]any{"category": ""}}
		out.Hints = append(out.Hints, hint(v, &use))
	}
	if v := a.Severity; v.Value != "" && v.Value != string(st.Severity) && a.Overrules {
		use := act("Use it", "set_severity", map[string]any{"severity": v.Value, "reason": "Past incidents suggest it, " + likely(v.Probability) + ": " + strings.Join(v.Because, ", ") + "."})
		out.Hints = append(out.Hints, hint(v, &use))
	}
	if len(out.Hints) == 0 && len(out.Similar) == 0 && !out.Foretold {
		out.Silence = silence(a)
	}
	return out
}

func silence(a casebook.Advice) string {
	if a.Reading {
		return "Past incidents are being read. Look again in a moment."
	}
	switch a.Closed {
	case 0:
		return "No incident is resolved here yet, so there is nothing to compare with."
	case 1:
		return "The one resolved incident is not like this one."
	}
	return fmt.Sprintf("None of the %d resolved incidents is like this one.", a.Closed)
}

// presentDraft is what the past says of what is being typed.
func (s *Server) presentDraft(c precedent.Case) views.Precedent {
	if s.Past == nil {
		return views.Precedent{}
	}
	a := s.Past.Advise(c, s.now())
	out := s.presentAdvice(a)
	for _, v := range []precedent.Suggestion{a.Category, a.Severity} {
		if v.Value != "" {
			out.Hints = append(out.Hints, hint(v, nil))
		}
	}
	return out
}

func (s *Server) presentAdvice(a casebook.Advice) (out views.Precedent) {
	now := s.now()
	for _, m := range a.Similar {
		c := m.Case
		r := views.SimilarRow{
			Number: c.Number, Title: c.Title, Severity: string(c.Severity), Category: category(c.Category), Open: c.Open, Drill: c.Drill,
			Likeness: fmt.Sprintf("%.0f %% alike", 100*m.Likeness), Why: strings.Join(m.Reasons, "; "), Done: strings.Join(c.Done, " · "),
		}
		if c.Open {
			r.Took = "open for " + precedent.Span(now-c.DeclaredAt)
		} else {
			r.Took = "resolved after " + precedent.Span(c.Took())
		}
		out.Similar = append(out.Similar, r)
	}
	return out
}

func hint(v precedent.Suggestion, use *views.Action) views.Hint {
	return views.Hint{Target: v.Target, Value: v.Value, Words: category(v.Value), Likely: likely(v.Probability), Because: strings.Join(v.Because, ", "), Use: use}
}

// category is a category as people read it.
func category(key string) string { return strings.NewReplacer("_", " ", "-", " ").Replace(key) }

// likely is a probability in words and as a number.
func likely(p float64) string {
	word := "more likely than not"
	switch {
	case p >= 0.9:
		word = "very likely"
	case p >= 0.7:
		word = "likely"
	}
	return fmt.Sprintf("%s, %.0f %%", word, 100*min(p, 0.99))
}
