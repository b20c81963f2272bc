package escalation

import "slices"

// Has are those who acknowledged and still have it, the first one first.
func (s State) Has() []string {
	var out []string
	for _, a := range s.Acks {
		if a.Expired == 0 {
			out = append(out, a.Person)
		}
	}
	return out
}

// Waits are the pages that nobody has answered, the oldest first.
func (s State) Waits() []Page {
	var out []Page
	for _, p := range s.Pages {
		if p.State == Waiting {
			out = append(out, p)
		}
	}
	return out
}

// WaitsFor is true while a page of the person waits.
func (s State) WaitsFor(person string) bool {
	return slices.ContainsFunc(s.Pages, func(p Page) bool { return p.State == Waiting && p.Person == person })
}

// Settled is true when a person has it already, and saying so once more would change nothing.
func (s State) Settled(person string) bool {
	have, need := s.Need(person)
	return (s.Phase == Acknowledged || s.Phase == Snoozed || have < need) && slices.Contains(s.Has(), person) && !s.WaitsFor(person)
}

// Need is how many different people the current step wants, and how many of them there are with this one.
func (s State) Need(person string) (have, need int) {
	if s.Phase != Running || s.Jump != 0 || s.Step < 1 || s.Step > len(s.Policy.Steps) || s.Skipped {
		return 1, 1
	}
	if need = s.Policy.Steps[s.Step-1].Need; need <= 1 {
		return 1, 1
	}
	for _, p := range s.Asked {
		if p == person || slices.ContainsFunc(s.Acks, func(a Ack) bool {
			return a.Person == p && a.Expired == 0 && a.Epoch == s.Epoch && a.Round == s.Round && a.Step == s.Step
		}) {
			have++
		}
	}
	return have, need
}

// Current is the step that began last; ok is false when none did in this epoch.
func (s State) Current() (step Step, ok bool) {
	if s.Step < 1 || s.Step > len(s.Policy.Steps) {
		return Step{}, false
	}
	return s.Policy.Steps[s.Step-1], true
}

// upcoming is the step that comes next and its round; ok is false when there is none.
func (s State) upcoming() (step, round int, ok bool) {
	n := len(s.Policy.Steps)
	switch {
	case s.Phase != Running || n == 0:
		return 0, 0, false
	case s.Jump > 0 && s.Jump <= n:
		return s.Jump, s.Round, true
	case s.Step >= 0 && s.Step < n:
		return s.Step + 1, s.Round, true
	case !s.Reached && s.From > 1, s.Reached && s.Repeats < s.Policy.Repeat: // a round that began later and found nobody has not asked everybody
		return 1, s.Round + 1, true
	}
	return 0, 0, false
}

// Without is what a person leaves behind who takes back that they have it: how many of those whom the current step asked have it then, how many it wants,
// and the step that is due again at that severity; 0: none is, for somebody has it still, or it is not over.
func (s State) Without(person, severity string) (have, need, step int) {
	need = 1
	if p, ok := s.Current(); ok && p.Need > 1 && !s.Skipped && s.Jump == 0 && (s.Phase == Running || s.Phase == Acknowledged) {
		need = p.Need
	}
	others, were := 0, 0
	for _, a := range s.Acks {
		if a.Expired != 0 {
			continue
		}
		counts := need == 1 || slices.Contains(s.Asked, a.Person) && a.Epoch == s.Epoch && a.Round == s.Round && a.Step == s.Step
		if counts {
			were++
		}
		if a.Person == person {
			continue
		}
		if others++; counts {
			have++
		}
	}
	switch {
	case s.Phase != Acknowledged || len(s.Policy.Steps) == 0:
	case others == 0:
		step = s.Again(severity)
	case were >= need && have < need:
		step = s.Step
	}
	return have, need, step
}

// deadline is when the current step has waited long enough.
func (s State) deadline() int64 {
	step, ok := s.Current()
	if ok && s.rests() {
		return s.Since + max(0, step.Wait)
	}
	if !ok || s.Jump > 0 || s.Skipped || s.answered() {
		return s.Since
	}
	return s.Since + max(0, step.Wait)
}

// rests is true when somebody took back what they had, and nobody else could be paged in the whole round that began with it: they are not asked again
// at once, but after the wait of the last step.
func (s State) rests() bool {
	return s.Skipped && len(s.Passed) > 0 && s.From == 1 && s.Jump == 0 && s.Step == len(s.Policy.Steps) && len(s.Has()) == 0 &&
		!slices.ContainsFunc(s.Pages, func(p Page) bool { return p.Epoch == s.Epoch && p.Round == s.Round })
}

// answered is true when nobody whom the step asked can still answer.
func (s State) answered() bool {
	for _, p := range s.Asked {
		if s.WaitsFor(p) {
			return false
		}
	}
	return true
}

// Ready judges whether a turn may be taken at a moment: due says that it is what comes next, done that it, or a later one, has been taken.
func (s State) Ready(t Turn, severity string, at int64) (due, done bool) {
	if t.Epoch != s.Epoch {
		return false, t.Epoch < s.Epoch
	}
	if t.Ask != 0 {
		due = slices.ContainsFunc(s.Asks, func(a Ask) bool { return a.Number == t.Ask })
		return due, !due && t.Ask <= s.ByHand
	}
	if t.Step < 1 || t.Step > len(s.Policy.Steps) {
		return false, false
	}
	if t.Round < s.Round || t.Round == s.Round && t.Step <= s.Step && s.Jump != t.Step {
		return false, true
	}
	if s.Phase == Exhausted {
		from, ok := s.Resumes(severity, at)
		return ok && at >= from && t.Round == s.Round+1 && len(t.People) > 0, false
	}
	step, round, ok := s.upcoming()
	return ok && step == t.Step && round == t.Round && at >= s.deadline(), false
}

// Through is true when no step is left and the last one has waited long enough.
func (s State) Through(at int64) bool {
	_, _, more := s.upcoming()
	return s.Phase == Running && !more && at >= s.deadline()
}

// Quiet is since when nobody has done anything about what was acknowledged.
func (s State) Quiet() int64 { return max(s.Heard, s.Since) }

// Expiry is when the acknowledgement stops counting; ok is false when it holds for ever, or there is none.
func (s State) Expiry() (at int64, ok bool) {
	if s.Phase != Acknowledged || s.Policy.AckTimeout <= 0 || len(s.Policy.Steps) == 0 {
		return 0, false
	}
	return s.Quiet() + s.Policy.AckTimeout, true
}

// Missed is the step that is due at once because the severity became worse: when the steps are through, the first one; while they are gone through, the
// first one that has begun, or was leapt over, that the milder severity kept from paging and the worse one does not. ok is false when there is none, or
// somebody has it.
func (s State) Missed(from, to string) (step int, ok bool) {
	if len(s.Policy.Steps) == 0 || !worse(to, from) {
		return 0, false
	}
	switch s.Phase {
	case Exhausted:
		return 1, true
	case Running:
		for i, p := range s.Policy.Steps[:max(0, min(s.Step, len(s.Policy.Steps)))] {
			if s.Jump > 0 && s.Jump <= i+1 { // it is gone through anyway
				return 0, false
			}
			if p.If != nil && p.If.Severity != "" && worse(p.If.Severity, from) && !worse(p.If.Severity, to) && !s.hasPaged(s.Round, i+1) {
				return i + 1, true
			}
		}
	}
	return 0, false
}

// Again is the step that pages when nobody has it any more: the one that was last, or one before it that is for this severity and has paged nobody since
// the escalation began, because the severity was milder then.
func (s State) Again(severity string) int {
	for i, p := range s.Policy.Steps[:max(0, min(s.Step-1, len(s.Policy.Steps)))] {
		if p.If != nil && p.If.Severity != "" && !worse(p.If.Severity, severity) && !s.hasPaged(0, i+1) {
			return i + 1
		}
	}
	return max(1, s.Step)
}

// hasPaged is true when the step has paged somebody in that round; 0: in any of the epoch.
func (s State) hasPaged(round, step int) bool {
	return slices.ContainsFunc(s.Pages, func(p Page) bool {
		return p.Epoch == s.Epoch && p.Step == step && (round == 0 || p.Round == round)
	})
}

// Tells is true when a receipt is of a page that is kept, and says anything new.
func (s State) Tells(page string, r Receipt) bool {
	i := slices.IndexFunc(s.Pages, func(p Page) bool { return p.ID == page })
	if i < 0 {
		return false
	}
	return !slices.ContainsFunc(s.Pages[i].Receipts, func(x Receipt) bool {
		return x.Route == r.Route && x.Label == r.Label && (x.At > r.At || x.Outcome == r.Outcome && x.Attempt == r.Attempt && x.Detail == r.Detail)
	})
}

// Grave is true of what people are paged about until somebody answers: SEV1 and SEV2.
func Grave(severity string) bool { return !worse("SEV2", severity) }

// Rest says what comes after the last step, should it be through at a moment: when all are paged again, and since when nobody has answered; both are 0 for
// what is not grave, or when somebody has it. When none of the last round had anybody, again is 0: see RetryEvery.
func (s State) Rest(severity string, at int64) (again, unanswered int64) {
	if !Grave(severity) || len(s.Has()) > 0 {
		return 0, 0
	}
	if unanswered = s.Unanswered; unanswered == 0 {
		unanswered = at
	}
	switch {
	case !s.Reached:
		return 0, unanswered
	case s.Repeats-s.Policy.Repeat >= AgainOften:
		return at + AgainRarely, unanswered
	}
	return at + AgainEvery, unanswered
}

// Stale is how long ago, in ms, steps may have been through in an event that says nothing of what follows, as before this was so: what is grave is still
// taken up then, and what is older is left as it is.
const Stale = 24 * 3600_000

// Resumes is from when on the steps are begun again although all are through: at once when in the last round none had anybody, so that somebody who comes
// on call is paged after all, and at AgainAt while it is grave. ok is false when they are not, as of now.
func (s State) Resumes(severity string, now int64) (at int64, ok bool) {
	switch {
	case s.Phase != Exhausted:
		return 0, false
	case !s.Reached:
		return 0, true
	case s.AgainAt == 0:
		return s.Since + AgainEvery, Grave(severity) && s.fresh(now)
	}
	return s.AgainAt, s.AgainAt > 0 && Grave(severity)
}

// Silent is since when all steps have been through, or nobody could be paged, and no person has done anything in the incident; ok is false when somebody
// has it, or may still answer, or it is not grave, as of now.
func (s State) Silent(severity string, now int64) (since int64, ok bool) {
	if since = s.Unanswered; since == 0 && s.Phase == Exhausted && len(s.Has()) == 0 && s.fresh(now) {
		since = s.Since
	}
	if since <= 0 || !Grave(severity) {
		return 0, false
	}
	return max(since, s.Heard), true
}

func (s State) fresh(now int64) bool { return now-s.Since <= Stale }
