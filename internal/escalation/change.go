package escalation

import "slices"

// Begin is the state after an incident was given a policy: another epoch, at its first step. Who acknowledged before there was any policy has it still.
func (s State) Begin(p Policy, at int64) State {
	first := s.Epoch == 0
	s.Policy = p.bounded()
	s = s.anew(at)
	if first && len(s.Has()) > 0 {
		s.Phase = Acknowledged
		return s
	}
	s.Acks = s.expired(at)
	return s
}

// Restart is the state after the incident was reopened: another epoch of the same policy, if there is one.
func (s State) Restart(at int64) State {
	s.Acks = s.expired(at)
	if s.Epoch == 0 { // nobody has routed it to a policy yet
		s.Phase = Idle
		return s
	}
	return s.anew(at)
}

// anew is the beginning of an epoch.
func (s State) anew(at int64) State {
	s = s.end(at, func(Page) bool { return true })
	s.Epoch++
	s.Round, s.Step, s.From, s.Jump, s.Repeats = 1, 0, 1, 0, 0
	s.Began, s.Since, s.Asked, s.Passed, s.Reached, s.Skipped = at, at, nil, nil, false, false
	s.SnoozedUntil, s.SnoozedFrom = 0, ""
	s.AgainAt, s.Unanswered = 0, 0
	s.Phase = Running
	if len(s.Policy.Steps) == 0 {
		s.Phase = Idle
	}
	return s
}

// Stop is the state after the incident was resolved or merged: nobody is asked any more.
func (s State) Stop(at int64) State {
	if s.Epoch == 0 && len(s.Pages)+len(s.Acks)+len(s.Asks) == 0 {
		return s
	}
	s = s.end(at, func(Page) bool { return true })
	s.Phase, s.Jump, s.Asks, s.SnoozedUntil, s.SnoozedFrom = Stopped, 0, nil, 0, ""
	s.AgainAt, s.Unanswered = 0, 0
	return s
}

// Take is the state after a step began, or a wish by hand was fulfilled.
func (s State) Take(t Turn, at int64) State {
	if t.Ask != 0 {
		s.Asks = slices.DeleteFunc(slices.Clone(s.Asks), func(a Ask) bool { return a.Number == t.Ask })
		return s.paged(t, 0, at)
	}
	passed := s.passed(t.Round)
	if s.Phase == Exhausted {
		s.Phase, s.AgainAt = Running, 0
		if s.Reached && s.Unanswered == 0 { // an event of before did not say so
			s.Unanswered = s.Since
		}
	}
	if t.Round != s.Round {
		s.Repeats, s.From, s.Reached = s.Repeats+1, t.Step, s.asked(passed) // everybody was asked, so it is no news that nobody else is there
		s.Passed = slices.DeleteFunc(slices.Clone(passed), func(p string) bool {
			return slices.ContainsFunc(t.People, func(c Callee) bool { return c.Person == p })
		})
	}
	s.Round, s.Step, s.Since, s.Jump = t.Round, t.Step, at, 0
	s.Skipped = len(t.People) == 0
	s.Reached = s.Reached || !s.Skipped
	s.Asked = nil
	for _, c := range t.People {
		s.Asked = append(s.Asked, c.Person)
	}
	s.Asked = append(append(s.Asked, t.Already...), t.Declined...)
	return s.paged(t, t.Step, at)
}

// paged adds pages; one that waits for the same person as a step's page is repeated by the new one.
func (s State) paged(t Turn, step int, at int64) State {
	if len(t.People) == 0 {
		return s
	}
	again := map[string]bool{}
	for _, c := range t.People {
		again[c.Person] = true
	}
	s = s.end(at, func(p Page) bool { return again[p.Person] })
	for _, c := range t.People {
		s.Pages = append(s.Pages, Page{ID: c.Page, Person: c.Person, Epoch: s.Epoch, Round: s.Round, Step: step, Why: c.Why, At: at, State: Waiting})
	}
	return s
}

// Hand is the state after a person was paged by hand.
func (s State) Hand(c Callee, number int, at int64) State {
	s.ByHand = max(s.ByHand, number)
	return s.paged(Turn{People: []Callee{c}}, 0, at)
}

// Want is the state after a wish that somebody must look up.
func (s State) Want(a Ask) State {
	s.ByHand = max(s.ByHand, a.Number)
	s.Asks = append(slices.Clone(s.Asks), a)
	if len(s.Asks) > MaxAsks {
		s.Asks = s.Asks[1:]
	}
	return s
}

// Fulfil takes a wish off the list.
func (s State) Fulfil(number int) State {
	s.Asks = slices.DeleteFunc(slices.Clone(s.Asks), func(a Ask) bool { return a.Number == number })
	return s
}

// Reassign is the state after the paging was given to one person: all others that wait need not come. Who acknowledged has it still.
func (s State) Reassign(c Callee, number int, at int64) State {
	s = s.end(at, func(Page) bool { return true })
	s.ByHand = max(s.ByHand, number)
	s.Pages = append(s.Pages, Page{ID: c.Page, Person: c.Person, Epoch: s.Epoch, Round: s.Round, Why: c.Why, At: at, State: Waiting})
	if s.Phase == Running {
		s.Since, s.Asked, s.Skipped, s.Reached, s.Jump = at, []string{c.Person}, false, true, 0
	}
	return s
}

// Acknowledge is the state after a person said that they have it. all ends every page of everybody; without it the step wants more people.
func (s State) Acknowledge(person string, all bool, at int64) State {
	s.Acks = slices.DeleteFunc(slices.Clone(s.Acks), func(a Ack) bool { return a.Person == person })
	s.Acks = append(s.Acks, Ack{Person: person, At: at, Epoch: s.Epoch, Round: s.Round, Step: s.Step})
	if len(s.Acks) > MaxAcks {
		s.Acks = s.Acks[1:]
	}
	s.Passed = slices.DeleteFunc(slices.Clone(s.Passed), func(p string) bool { return p == person })
	s.AgainAt, s.Unanswered = 0, 0
	s = s.answer(person, Answered, at)
	if !all {
		return s
	}
	s = s.end(at, func(Page) bool { return true })
	if s.Phase != Snoozed && s.Phase != Stopped {
		s.Phase, s.Jump, s.Since = Acknowledged, 0, at
	}
	return s
}

// Decline is the state after a person said "not me".
func (s State) Decline(person string, at int64) State { return s.answer(person, Declined, at) }

// Withdraw is the state after a person took back that they have it. step, see Without, begins another round, which does not ask them, nor those who had
// said "not me" before; 0: nothing is due by it, and the round that runs does not ask them any more.
func (s State) Withdraw(person string, step int, at int64) State {
	s.Acks = slices.Clone(s.Acks)
	for i, a := range s.Acks {
		if a.Person == person && a.Expired == 0 {
			s.Acks[i].Expired = at
		}
	}
	s = s.Decline(person, at)
	for i := len(s.Pages) - 1; i >= 0; i-- {
		if p := &s.Pages[i]; p.Person == person {
			if p.State != Declined {
				p.State, p.Until = Declined, at
			}
			break
		}
	}
	passed := slices.Clone(s.Passed)
	if step > 0 {
		for _, p := range s.Pages {
			if p.Epoch == s.Epoch && p.Round == s.Round && p.State == Declined && !slices.Contains(passed, p.Person) && len(passed) < MaxPeople {
				passed = append(passed, p.Person)
			}
		}
	}
	if !slices.Contains(passed, person) {
		passed = append(passed, person)
	}
	if step > 0 {
		reached := s.Reached
		s = s.round(step, at)
		s.Reached = reached && step == 1 // everybody was asked, so it is no news that nobody else is there
		for i, a := range s.Acks {
			if a.Expired == 0 { // they have it still, and are counted by the step as it asks again
				s.Acks[i].Round, s.Acks[i].Step = s.Round, step
			}
		}
	} else if s.Phase == Acknowledged && len(s.Has()) == 0 {
		s.Phase = Idle
	}
	s.Passed = passed
	return s
}

// Escalate is the state after a person asked for a step at once. One that has begun in this round begins another round.
func (s State) Escalate(step int, at int64) State {
	step = max(1, min(step, len(s.Policy.Steps)))
	s.Phase, s.SnoozedUntil, s.SnoozedFrom, s.Repeats, s.Since = Running, 0, "", 0, at
	if step <= s.Step {
		return s.roundUnanswered(step, at)
	}
	s.Jump = step
	return s
}

// round is another pass, by hand, that begins at a step.
func (s State) round(step int, at int64) State {
	s.Round++
	s.From, s.Jump, s.Since, s.Reached, s.Repeats, s.Passed = step, step, at, false, 0, nil
	s.AgainAt, s.Unanswered = 0, 0
	s.Phase = Running
	if len(s.Policy.Steps) == 0 {
		s.Phase, s.Jump = Idle, 0
	}
	return s
}

// roundUnanswered is a round that nobody's answer begins: nobody has answered since when nobody had before it.
func (s State) roundUnanswered(step int, at int64) State {
	since := s.Unanswered
	s = s.round(step, at)
	s.Unanswered = since
	return s
}

// Expire is the state after an acknowledgement stopped counting, because nobody did anything for too long: step, see Again, is due.
func (s State) Expire(step int, at int64) State {
	s.Acks = s.expired(at)
	return s.round(max(1, step), at)
}

// Snooze is the state after a person asked for quiet until a moment.
func (s State) Snooze(until, at int64) State {
	s = s.end(at, func(Page) bool { return true })
	if s.Phase != Snoozed {
		s.SnoozedFrom = s.Phase
	}
	s.Phase, s.SnoozedUntil, s.AgainAt, s.Unanswered = Snoozed, until, 0, 0
	return s
}

// Wake is the state after the snooze. When it is over by itself, or nobody had it before, step, see Again, is due; 0: the one that was last.
func (s State) Wake(over bool, step int, at int64) State {
	from := s.SnoozedFrom
	s.SnoozedUntil, s.SnoozedFrom = 0, ""
	if !over && len(s.Has()) > 0 {
		s.Phase, s.Since = Acknowledged, at
		return s
	}
	if from == Idle {
		s.Phase = Idle
		return s
	}
	if step == 0 {
		step = s.Step
	}
	return s.Expire(step, at)
}

// Exhaust is the state after the last step's wait; again and unanswered are as Rest said. Who has it although the steps went on, because more were asked for, is left with it alone, and may
// fall silent as anybody who acknowledged.
func (s State) Exhaust(again, unanswered, at int64) State {
	s.Phase, s.Since, s.Jump = Exhausted, at, 0
	s.AgainAt, s.Unanswered = max(0, again), max(0, unanswered)
	if len(s.Has()) > 0 {
		s.Phase, s.AgainAt, s.Unanswered = Acknowledged, 0, 0
	}
	return s
}

// Worsen is the state after the severity became worse: another round begins at a step, see Missed.
func (s State) Worsen(step int, at int64) State {
	if s.Phase != Exhausted && s.Phase != Running {
		return s
	}
	return s.roundUnanswered(max(1, step), at)
}

// Hear is the state after a person did anything in the incident.
func (s State) Hear(at int64) State {
	s.Heard = max(s.Heard, at)
	return s
}

// Tell is the state after a route said something of a page; pages that are not kept any more are passed over.
func (s State) Tell(page string, r Receipt) State {
	i := slices.IndexFunc(s.Pages, func(p Page) bool { return p.ID == page })
	if i < 0 {
		return s
	}
	s.Pages = slices.Clone(s.Pages)
	list := slices.Clone(s.Pages[i].Receipts)
	if j := slices.IndexFunc(list, func(x Receipt) bool { return x.Route == r.Route && x.Label == r.Label }); j >= 0 {
		list[j] = r
	} else if list = append(list, r); len(list) > MaxReceipts {
		list = list[1:]
	}
	s.Pages[i].Receipts = list
	return s
}

// end ends the pages that wait and that drop names, in memory of its own.
func (s State) end(at int64, drop func(Page) bool) State {
	return s.mark(at, Ended, drop)
}

func (s State) answer(person string, as PageState, at int64) State {
	return s.mark(at, as, func(p Page) bool { return p.Person == person })
}

func (s State) mark(at int64, as PageState, which func(Page) bool) State {
	out := make([]Page, 0, len(s.Pages)+1)
	quiet := 0
	for _, p := range s.Pages {
		if p.State == Waiting && which(p) {
			p.State, p.Until = as, at
		}
		if p.State != Waiting {
			quiet++
		}
		out = append(out, p)
	}
	s.Pages = slices.DeleteFunc(out, func(p Page) bool {
		if p.State == Waiting || quiet <= MaxPages {
			return false
		}
		quiet--
		return true
	})
	return s
}

func (s State) expired(at int64) []Ack {
	out := slices.Clone(s.Acks)
	for i := range out {
		if out[i].Expired == 0 {
			out[i].Expired = at
		}
	}
	return out
}

// bounded is the policy within the bounds, whatever a stream says.
func (p Policy) bounded() Policy {
	p.Steps = p.Steps[:min(len(p.Steps), MaxSteps)]
	p.Repeat = max(0, min(p.Repeat, MaxRepeat))
	return p
}
