package incident

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

// me is the person who gives the command; robots do not come when they are paged.
func (c *check) me(m Meta) string {
	p := PersonOf(m.Actor)
	if p == "" {
		c.refuse(CodeNotAPerson, "Only a person can say this. Sign in as the one who takes it, or use the link in the page.")
	}
	return p
}

// working refuses what makes no sense once the incident is over.
func (c *check) working(s State) {
	if !Open(s) {
		c.refuse(CodeUseReopen, "Incident #%d is %s, so nobody is paged about it. Use /reopen and say why it is not over.", s.Number, s.Status)
	}
}

// withReason adds the words that were given with an event.
func withReason(of Command, text string, bodies ...Body) []Body {
	if text != "" {
		bodies = append(bodies, ReasonGiven{Of: of.Name(), Text: text})
	}
	return bodies
}

func (Acknowledge) decide(s State, m Meta) ([]Body, error) {
	var k check
	me := k.me(m)
	k.working(s)
	if k.err != nil {
		return nil, k.err
	}
	p := s.Paging
	if p.Settled(me) {
		return nil, nil
	}
	have, need := p.Need(me)
	out := []Body{Acknowledged{Person: me, Have: have, Need: need}}
	if len(p.Has()) == 0 && s.Commander() == "" && len(s.Roles) < MaxAssignments {
		out = append(out, RoleAssigned{Role: RoleCommander, Person: me})
	}
	return out, nil
}

// alsoHas: who takes command while people are paged and nobody has it, has it. Whom somebody else names has not answered.
func (s State) alsoHas(role Role, person string, m Meta) []Body {
	p := s.Paging
	paging := p.Phase == escalation.Running || p.Phase == escalation.Exhausted || len(p.Waits()) > 0
	if role != RoleCommander || PersonOf(m.Actor) != person || !Open(s) || !paging || len(p.Has()) > 0 {
		return nil
	}
	have, need := p.Need(person)
	return []Body{Acknowledged{Person: person, Have: have, Need: need}}
}

func (c DeclinePage) decide(s State, m Meta) ([]Body, error) {
	var k check
	me, reason := k.me(m), k.prose("reason", c.Reason, MaxReason)
	if k.err != nil {
		return nil, k.err
	}
	p := s.Paging
	switch has := p.Has(); {
	case Open(s) && slices.Contains(has, me):
		return withReason(c, reason, s.withdraw(me)...), nil
	case p.WaitsFor(me):
		return withReason(c, reason, PageDeclined{Person: me}), nil
	case slices.Contains(p.Passed, me) || slices.ContainsFunc(p.Pages, func(p escalation.Page) bool { return p.Person == me && p.State == escalation.Declined }):
		return nil, nil
	case Open(s) && len(has) > 0:
		return nil, refuse(CodeNotPaged, "No page waits for you: @%s has it already, so there is nothing to decline.", has[0])
	}
	return nil, refuse(CodeNotPaged, "No page waits for you, so there is nothing to decline. The paging panel shows who is asked to come.")
}

// withdraw takes back that somebody has it, and the command that came with it.
func (s State) withdraw(me string) []Body {
	b := AcknowledgementWithdrawn{Person: me}
	b.Have, b.Need, b.Step = s.Paging.Without(me, string(s.Severity))
	var since int64
	for _, a := range s.Paging.Acks {
		switch {
		case a.Expired != 0:
		case a.Person == me:
			since = a.At
		default:
			b.Left = append(b.Left, a.Person)
		}
	}
	out := []Body{b}
	for _, r := range s.Roles {
		if r.Role != RoleCommander || r.Person != me || r.Since != since || PersonOf(r.By) != me {
			continue
		}
		if out = append(out, RoleReleased{Role: RoleCommander, Person: me}); len(b.Left) > 0 {
			out = append(out, RoleAssigned{Role: RoleCommander, Person: b.Left[0]})
		}
	}
	return out
}

func (c Escalate) decide(s State, _ Meta) ([]Body, error) {
	var k check
	k.working(s)
	if k.err != nil {
		return nil, k.err
	}
	n, step := len(s.Paging.Policy.Steps), c.Step
	switch {
	case n == 0:
		return nil, refuse(CodeNoPolicy, "No escalation policy pages for incident #%d. Page a person with /page @ana, or a team with its policy on the paging panel.", s.Number)
	case step < 0 || step > n:
		return nil, refuse(CodeBadArgument, "The policy has %d steps. Name one of 1 to %d, or none for the next one.", n, n)
	case step == 0 && s.Paging.Step >= n:
		step = 1
	case step == 0:
		step = s.Paging.Step + 1
	}
	if s.Paging.Phase == escalation.Running && s.Paging.Jump == step {
		return nil, nil
	}
	return one(Escalated{Step: step})
}

func (c PageByHand) decide(s State, m Meta) ([]Body, error) {
	var k check
	k.working(s)
	reason := k.prose("reason", c.Reason, MaxReason)
	team, policy, handle := k.line("team", c.Team, MaxName), k.line("policy", c.Policy, MaxName), ""
	given := 0
	for _, t := range []string{strings.TrimSpace(c.Person), team, policy} {
		if t != "" {
			given++
		}
	}
	if given != 1 {
		k.refuse(CodeMissingArgument, "Say whom to page: one person, one team or one policy. For example: /page @ana the bridge drains")
	}
	if strings.TrimSpace(c.Person) != "" {
		handle = k.person(c.Person, m)
	}
	if k.err != nil {
		return nil, k.err
	}
	number := s.Paging.ByHand + 1
	if handle != "" {
		if s.Paging.WaitsFor(handle) {
			return nil, nil
		}
		return withReason(c, reason, PagedByHand{s.byHand(handle, number, m), number}), nil
	}
	for _, a := range s.Paging.Asks {
		if a.Team == team && a.Policy == policy {
			return nil, nil
		}
	}
	if len(s.Paging.Asks) >= escalation.MaxAsks {
		return nil, refuse(CodeTooMany, "%d wishes to page somebody wait to be looked up. Wait a moment, or page a person.", escalation.MaxAsks)
	}
	return withReason(c, reason, PageWanted{Number: number, Team: team, Policy: policy}), nil
}

func (s State) byHand(handle string, number int, m Meta) escalation.Callee {
	why := "paged by hand"
	if p := PersonOf(m.Actor); p != "" {
		why = "paged by @" + p
	}
	return escalation.Callee{Page: escalation.HandID(s.Number, s.Paging.Epoch, number, handle), Person: handle, Why: why}
}

func (c Reassign) decide(s State, m Meta) ([]Body, error) {
	var k check
	k.working(s)
	handle := k.person(c.Person, m)
	if k.err != nil {
		return nil, k.err
	}
	if w := s.Paging.Waits(); len(w) == 1 && w[0].Person == handle {
		return nil, nil
	}
	number := s.Paging.ByHand + 1
	to := s.byHand(handle, number, m)
	to.Why = strings.Replace(to.Why, "paged", "given the paging", 1)
	return one(Reassigned{to, number})
}

func (c Snooze) decide(s State, m Meta) ([]Body, error) {
	var k check
	k.working(s)
	reason, until := k.prose("reason", c.Reason, MaxReason), c.Until
	if c.For != "" {
		until = m.At + k.long(c.For)
	}
	switch {
	case k.err != nil:
		return nil, k.err
	case until == 0:
		return nil, refuse(CodeMissingArgument, "Say how long it may be quiet, like /snooze 30m or /snooze 2h waiting for the vendor.")
	case until <= m.At:
		return nil, refuse(CodeBadTime, "The end of the snooze has passed already. Give one that is still to come.")
	case until > m.At+MaxSnooze:
		return nil, refuse(CodeBadTime, "A snooze lasts at most 7 days. Resolve the incident if it needs nobody for longer.")
	case len(s.Paging.Policy.Steps) == 0:
		return nil, refuse(CodeNoPolicy, "No escalation policy pages for incident #%d, so nobody would be paged after the snooze. Write a task with a time, or page somebody then.", s.Number)
	case s.Paging.SnoozedUntil == until:
		return nil, nil
	}
	return withReason(c, reason, Snoozed{Until: until}), nil
}

// MaxSnooze is how long a snooze may last, in milliseconds.
const MaxSnooze = 7 * day

// long is a time of some length: "30m", "2h", "1h30m", "1d".
func (c *check) long(text string) int64 {
	t := lower(text)
	if d, ok := strings.CutSuffix(t, "d"); ok {
		if n, err := strconv.ParseUint(d, 10, 8); err == nil && n > 0 {
			return int64(n) * day
		}
	}
	if n, err := strconv.ParseUint(t, 10, 16); err == nil && n > 0 {
		return int64(n) * minute
	}
	d, err := time.ParseDuration(t)
	if err != nil || d < time.Minute {
		c.refuse(CodeBadTime, "%s is not how long. Write it like 30m, 2h or 1d; a minute is the least.", shown(text))
		return 0
	}
	return d.Milliseconds()
}

func (Unsnooze) decide(s State, m Meta) ([]Body, error) {
	if s.Paging.Phase != escalation.Snoozed {
		return nil, nil
	}
	over := m.At >= s.Paging.SnoozedUntil
	if PersonOf(m.Actor) == "" && !over {
		return nil, refuse(CodeNotDue, "The snooze of incident #%d lasts until %s.", s.Number, stamp(s.Paging.SnoozedUntil))
	}
	return one(Unsnoozed{Over: over, Step: s.Paging.Again(string(s.Severity))})
}

func (c PageStep) decide(s State, m Meta) ([]Body, error) {
	var k check
	t := c.Turn
	if len(t.People) > escalation.MaxPeople || len(t.Already) > escalation.MaxPeople || len(t.Declined) > escalation.MaxPeople || len(t.Holes) > 2*escalation.MaxTargets {
		return nil, refuse(CodeTooMany, "One step pages at most %d people. Make the step smaller.", escalation.MaxPeople)
	}
	t.People, t.Already, t.Declined, t.Holes, t.Unmet = nil, nil, nil, nil, clip(t.Unmet, maxWhy)
	for _, h := range c.Holes {
		t.Holes = append(t.Holes, clip(h, maxWhy))
	}
	for _, p := range c.People {
		if !isHandle(p.Person) { // it must not keep the others from being paged
			t.Holes = append(t.Holes, clip(shown(p.Person)+" is not a person's handle", maxWhy))
			continue
		}
		p.Why, p.Page = clip(p.Why, maxWhy), escalation.PageID(s.Number, t.Epoch, t.Round, t.Step, p.Person)
		if t.Ask != 0 {
			p.Page = escalation.HandID(s.Number, t.Epoch, t.Ask, p.Person)
		}
		t.People = append(t.People, p)
	}
	for _, h := range c.Already {
		if isHandle(h) {
			t.Already = append(t.Already, h)
		}
	}
	for _, h := range c.Declined {
		if isHandle(h) {
			t.Declined = append(t.Declined, h)
		}
	}
	k.working(s)
	if k.err != nil {
		return nil, k.err
	}
	switch due, done := s.Paging.Ready(t, string(s.Severity), m.At); {
	case done:
		return nil, nil
	case !due:
		return nil, refuse(CodeNotDue, "Step %d of round %d is not due: the paging of incident #%d has gone on. Look at it again.", t.Step, t.Round, s.Number)
	}
	return one(StepPaged{t})
}

func (c PageReceipts) decide(s State, m Meta) ([]Body, error) {
	var k check
	if len(c.Receipts) > MaxReceiptBatch {
		return nil, refuse(CodeTooMany, "%d receipts are too many for one command. Tell of at most %d at a time.", len(c.Receipts), MaxReceiptBatch)
	}
	var out []PageReceipt
	for _, r := range c.Receipts {
		r.Page, r.Person = k.line("page", r.Page, 200), k.person(r.Person, m)
		r.Route, r.Label, r.Detail = clip(r.Route, MaxName), clip(r.Label, MaxName), clip(r.Detail, maxWhy)
		switch r.Outcome {
		case escalation.Sent, escalation.Delivered, escalation.Failed, escalation.Suppressed:
		default:
			k.refuse(CodeBadArgument, "%s is not what can become of a page. It is sent, delivered, failed or suppressed.", shown(r.Outcome))
		}
		if r.At <= 0 {
			r.At = m.At
		}
		if s.Paging.Tells(r.Page, r.Receipt) {
			out = append(out, r)
		}
	}
	if k.err != nil || len(out) == 0 {
		return nil, k.err
	}
	return one(PagesReceipted{Receipts: out})
}

func (ExpireAcknowledgement) decide(s State, m Meta) ([]Body, error) {
	if s.Paging.Phase == escalation.Running {
		return nil, nil
	}
	at, ok := s.Paging.Expiry()
	if !ok || !Open(s) || m.At < at {
		return nil, refuse(CodeNotDue, "The acknowledgement of incident #%d still holds.", s.Number)
	}
	return one(AcknowledgementExpired{People: s.Paging.Has(), Silent: m.At - s.Paging.Quiet(), Step: s.Paging.Again(string(s.Severity))})
}

func (Exhaust) decide(s State, m Meta) ([]Body, error) {
	if s.Paging.Phase == escalation.Exhausted {
		return nil, nil
	}
	if !Open(s) || !s.Paging.Through(m.At) {
		return nil, refuse(CodeNotDue, "The steps of incident #%d are not through yet.", s.Number)
	}
	b := PagingExhausted{Reached: s.Paging.Reached, People: s.Paging.Has()}
	b.Again, b.Unanswered = s.Paging.Rest(string(s.Severity), m.At)
	return one(b)
}
