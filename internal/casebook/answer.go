package casebook

import "github.com/tocsin-ops/tocsin/internal/precedent"

// Advice is what the past says about one incident.
type Advice struct {
	Similar  []precedent.Match // at most three
	Recovery precedent.Recovery
	Category precedent.Suggestion
	Severity precedent.Suggestion
	// Overrules says that the severity may be set against what a person declared.
	Overrules bool
	Closed    int  // resolved incidents that it was learned from
	Reading   bool // the log is being read for the first time, and nothing is known yet
}

// Advise says what the past tells at a time, unix ms, about an incident as it stands, or about one that is not declared yet (precedent.Typed): that
// lasts no time, and nothing is said of how long.
func (s *Service) Advise(c precedent.Case, now int64) Advice {
	select {
	case <-s.awake:
	default:
		return Advice{Reading: true}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	severity := s.models[precedent.TargetSeverity]
	a := Advice{
		Similar: s.index.Similar(c, shown), Category: s.models[precedent.TargetCategory].Suggest(c), Severity: severity.Suggest(c),
		Overrules: severity.Report.Overrules, Closed: s.counts.closed,
	}
	if c.Open && c.DeclaredAt > 0 {
		a.Recovery = s.index.Recovery(c, now-c.DeclaredAt, now)
	}
	return a
}

// Recovery says how much longer an open incident is likely to last; not known when the incident is not.
func (s *Service) Recovery(number, now int64) precedent.Recovery {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.fold.Cases[number]
	if !ok || !c.Open {
		return precedent.Recovery{}
	}
	return s.index.Recovery(c, now-c.DeclaredAt, now)
}

// Learned is what the models rest on and how good they are.
type Learned struct {
	Closed, Open, Drills int
	Unlabelled           int // closed without a category
	Category, Severity   precedent.Report
	Times                []precedent.TimesOf
	Held                 precedent.Share // how often the interval of a recovery held what the newest incidents took
}

// Learned returns the figures as of the last training. What it holds is not changed any more.
func (s *Service) Learned() Learned {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Learned{
		Closed: s.counts.closed, Open: s.counts.open, Drills: s.counts.drills, Unlabelled: s.counts.unlabelled, Times: s.times, Held: s.held,
		Category: s.models[precedent.TargetCategory].Report, Severity: s.models[precedent.TargetSeverity].Report,
	}
}
