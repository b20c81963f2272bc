package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/pager"
	"github.com/tocsin-ops/tocsin/views"
)

// lastEntries is how much of the timeline a page shows.
const lastEntries = 5

// presentPage says to one person what a page is about, what came of it and what they can press.
func (s *Server) presentPage(p *views.PhonePage, b bearer, st incident.State, expired bool) {
	e := st.Paging
	p.Number, p.Severity, p.Heading, p.Sentence = st.Number, string(st.Severity), st.Title, sentenceOf(st)
	p.Cost, p.Held = pager.Cost(st), s.presentHeld(st)
	if p.Cost != "" {
		p.CostFrom = st.Impact.Loss.Assumption
	}
	p.BeganAt, p.EndedAt, p.Room = cmp.Or(st.ImpactBeganAt, st.DeclaredAt), cmp.Or(st.ResolvedAt, mergedAt(st)), fmt.Sprintf("/incidents/%d", st.Number)
	var mine *escalation.Page
	for i, g := range e.Pages {
		if g.Person == b.handle {
			mine = &e.Pages[i]
		}
	}
	p.PagedAt = e.Began
	if mine != nil {
		p.PagedAt, p.Why = mine.At, mine.Why
	}
	for _, g := range slices.Backward(e.Pages) {
		if g.Person != b.handle && !slices.ContainsFunc(p.People, func(q views.Paged) bool { return q.Handle == g.Person }) {
			p.People = append(p.People, s.presentPaged(e, g))
		}
	}
	for _, entry := range slices.Backward(st.Timeline.Last(lastEntries)) {
		p.Last = append(p.Last, s.presentEntry(st, entry))
	}
	has := e.Has()
	p.Have, _ = e.Need("")
	p.Asked = s.asked(e, b.handle)
	switch {
	case expired:
		p.State = views.PhoneExpired
	case !incident.Open(st):
		p.State = views.PhoneOver
	case slices.Contains(has, b.handle) && !e.WaitsFor(b.handle):
		p.State = views.PhoneMine
		p.Expires, _ = e.Expiry()
	case e.Phase == escalation.Snoozed:
		p.State = views.PhoneSnoozed
	case len(has) > 0 && p.Held.Need < 2 && !e.WaitsFor(b.handle):
		p.State = views.PhoneTaken
	case slices.Contains(e.Passed, b.handle) && !e.WaitsFor(b.handle), mine != nil && mine.State == escalation.Declined:
		p.State = views.PhoneDeclined
	default:
		p.State = views.PhoneAsks
	}
	if s.OnCall != nil && incident.Open(st) {
		at, people := pager.Ahead(st, s.OnCall, s.now())
		p.NextAt = at
		for i, k := range people {
			if i > 0 {
				p.Next += ", "
			}
			p.Next += s.person(k.Person)
		}
	}
	if p.State == views.PhoneExpired || p.State == views.PhoneOver || !b.act || b.handle == "" {
		return
	}
	if p.State != views.PhoneMine {
		p.AckTo = b.path + "/acknowledge"
	}
	if p.State == views.PhoneMine || e.WaitsFor(b.handle) {
		p.DeclineTo = b.path + "/decline"
	}
}

// mostSentence is how many characters of it are shown.
const mostSentence = 240

// sentenceOf is what is known, in a sentence: what people wrote, else what the worst signal says.
func sentenceOf(st incident.State) string {
	text := st.Summary
	if text == "" && len(st.Signals) > 0 {
		text = slices.MinFunc(st.Signals, func(a, b incident.Signal) int { return cmp.Compare(a.Severity.Rank(), b.Severity.Rank()) }).Reason
	}
	text, _, _ = strings.Cut(text, "\n")
	if r := []rune(text); len(r) > mostSentence {
		return string(r[:mostSentence-1]) + "…"
	}
	return text
}

// presentHeld says who has an incident.
func (s *Server) presentHeld(st incident.State) (h views.Held) {
	e := st.Paging
	if step, ok := e.Current(); ok && e.Phase == escalation.Running {
		h.Need = step.Need
	}
	for _, a := range e.Acks {
		if a.Expired == 0 {
			h.Who = append(h.Who, s.person(a.Person))
			h.Since = cmp.Or(h.Since, a.At)
		}
	}
	switch {
	case !incident.Open(st):
	case e.Phase == escalation.Snoozed:
		h.State, h.Until = "snoozed", e.SnoozedUntil
	case len(h.Who) > 0 && (e.Phase != escalation.Running || h.Need < 2):
		h.State = "acknowledged"
		h.Until, _ = e.Expiry()
	case e.Phase == escalation.Exhausted:
		h.State, h.Since = "exhausted", e.Since
		if at, ok := st.PagedAgain(s.now()); ok {
			h.Until = at
		}
	case e.Epoch > 0 || len(e.Pages) > 0:
		h.State, h.Since = "nobody", cmp.Or(e.Began, st.DeclaredAt)
	}
	return h
}

// presentPaged is one page and what became of it.
func (s *Server) presentPaged(e escalation.State, g escalation.Page) views.Paged {
	p := views.Paged{ID: g.ID, Person: s.person(g.Person), Handle: g.Person, At: g.At, Step: "by hand", Why: g.Why, StateAt: g.Until}
	if g.Step > 0 {
		p.Step = fmt.Sprintf("step %d", g.Step)
	}
	switch g.State {
	case escalation.Waiting:
		p.State = "waiting"
		if len(g.Receipts) > 0 && !slices.ContainsFunc(g.Receipts, func(r escalation.Receipt) bool {
			return r.Outcome == escalation.Sent || r.Outcome == escalation.Delivered
		}) {
			p.State = "unsent"
		}
	case escalation.Answered:
		p.State = "acknowledged"
	case escalation.Declined:
		p.State = "declined"
	default:
		p.State = "over"
		if len(e.Has()) == 0 {
			p.State = "silent"
		}
	}
	for _, r := range g.Receipts {
		p.Receipts = append(p.Receipts, views.Receipt{Route: cmp.Or(r.Label, r.Route), Outcome: r.Outcome, Detail: r.Detail, At: r.At, Attempt: r.Attempt})
	}
	return p
}
