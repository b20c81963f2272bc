package escalation

// RetryEvery is how often, in ms, it is looked up again whether a step has anybody, after a whole round had nobody.
const RetryEvery = 5 * 60_000

// AgainEvery is how long, in ms, all rest before they are paged again when nobody answered something grave; after AgainOften times it is AgainRarely.
const (
	AgainEvery  = 30 * 60_000
	AgainOften  = 48
	AgainRarely = 6 * 3600_000
)

// Due says what is due at a moment, in the order in which it is to be given, and when to ask again (unix ms, always after now; 0: not before something
// happens to the incident). It is pure, it always ends, and after its acts are done nothing but a policy to look up is due at the same moment. A step
// that is late, because nobody asked for a while, begins now, and its wait with it: time that nobody was paged in is not counted as time to answer. What comes behind DoPolicy holds when there is no such policy; when there is, it begins
// another escalation, and the rest is refused.
func Due(s State, sit Situation, look Lookup, now int64) (acts []Act, next int64) {
	if !sit.Open || s.Phase == Stopped {
		return nil, 0
	}
	for _, a := range s.Asks {
		if a.Policy != "" {
			acts = append(acts, Act{Do: DoPolicy, Policy: a.Policy, Ask: a.Number, ID: join("policy", int(sit.Incident), a.Number)})
			continue
		}
		t := s.wish(a, look)
		acts = append(acts, Act{Do: DoPage, Turn: t, ID: HandID(sit.Incident, s.Epoch, a.Number, "team")})
		s = s.Take(t, now)
	}
	for range (MaxRepeat+2)*MaxSteps + 4 {
		a, at, ok := s.act(sit, look, now)
		if !ok {
			return acts, at
		}
		acts = append(acts, a)
		s = s.after(a, sit, now)
	}
	return acts, now + RetryEvery
}

// aheadHops bounds how many moments Ahead looks at: a whole round of the longest policy that has nobody, and its rest.
const aheadHops = MaxSteps + 4

// Ahead says who is paged next and when (unix ms), should nothing happen before and the lookup not change; at is 0 when nobody is within aheadHops
// moments at which something is due. A policy to look up is taken for one that is not there. Pure, like Due.
func Ahead(s State, sit Situation, look Lookup, now int64) (at int64, people []Callee) {
	for range aheadHops {
		acts, next := Due(s, sit, look, now)
		for _, a := range acts {
			if a.Do == DoPage && len(a.Turn.People) > 0 {
				return now, a.Turn.People
			}
			s = s.after(a, sit, now)
		}
		if next == 0 {
			return 0, nil
		}
		now = next
	}
	return 0, nil
}

// after is the state when an act is done.
func (s State) after(a Act, sit Situation, now int64) State {
	switch a.Do {
	case DoPage:
		return s.Take(a.Turn, now)
	case DoExpire:
		return s.Expire(s.Again(sit.Severity), now)
	case DoWake:
		return s.Wake(true, s.Again(sit.Severity), now)
	case DoExhaust:
		again, unanswered := s.Rest(sit.Severity, now)
		return s.Exhaust(again, unanswered, now)
	}
	return s
}

// act is the one thing that is due now; when there is none, at is when to ask again.
func (s State) act(sit Situation, look Lookup, now int64) (a Act, at int64, ok bool) {
	n := int(sit.Incident)
	switch s.Phase {
	case Acknowledged:
		at, ok := s.Expiry()
		if !ok || now < at {
			return a, at, false
		}
		return Act{Do: DoExpire, ID: join("expire", n, s.Epoch, s.Round)}, 0, true
	case Snoozed:
		if now < s.SnoozedUntil {
			return a, s.SnoozedUntil, false
		}
		return Act{Do: DoWake, ID: join("wake", n, s.Epoch, s.Round, int(s.SnoozedUntil))}, 0, true
	case Running:
		if at := s.deadline(); now < at {
			return a, at, false
		}
		step, round, ok := s.upcoming()
		if !ok {
			return Act{Do: DoExhaust, ID: join("exhaust", n, s.Epoch, s.Round, s.Step)}, 0, true
		}
		return s.page(s.turn(step, round, sit, look, now), n), 0, true
	case Exhausted:
		if at, ok := s.Resumes(sit.Severity, now); !ok {
			return a, 0, false
		} else if now < at {
			return a, at, false
		}
		for i := range s.Policy.Steps {
			if t := s.turn(i+1, s.Round+1, sit, look, now); len(t.People) > 0 {
				return s.page(t, n), 0, true
			}
		}
		return a, now + RetryEvery, false
	}
	return a, 0, false
}

func (s State) page(t Turn, incident int) Act {
	return Act{Do: DoPage, Turn: t, ID: join("page", incident, t.Epoch, t.Round, t.Step)}
}
