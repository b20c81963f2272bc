package web

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/pager"
	"github.com/tocsin-ops/tocsin/views"
)

// shownPages is how many pages the panel of a room lists; the rest is on the timeline.
const shownPages = 12

// presentPaging is the panel of the room. Nothing in it depends on who looks.
func (s *Server) presentPaging(st incident.State) views.Paging {
	e := st.Paging
	out := views.Paging{Number: st.Number, Held: s.presentHeld(st), Policy: e.Policy.Name, Phase: phaseOf(e), Claimed: s.person(st.Triage.ClaimedBy), Since: st.Triage.Since, Queue: st.Triage.Name}
	if out.Queue != "" && st.Triage.Tier > 0 {
		out.Queue += ", tier " + strconv.Itoa(st.Triage.Tier)
	}
	if s.OnCall != nil && e.Policy.ID != "" {
		if p, ok := s.OnCall.Settings().Policy(e.Policy.ID); ok {
			out.Href, out.Newer = "/oncall/policies/"+p.ID, p.Version != e.Policy.Version
		}
	}
	for _, g := range slices.Backward(e.Pages) {
		if len(out.Pages) == shownPages {
			out.More = len(e.Pages) - shownPages
			break
		}
		out.Pages = append(out.Pages, s.presentPaged(e, g))
	}
	if !incident.Open(st) {
		return out
	}
	out.Expires, _ = e.Expiry()
	if s.OnCall != nil {
		at, people := pager.Ahead(st, s.OnCall, s.now())
		var names []string
		for _, k := range people {
			names = append(names, s.person(k.Person))
		}
		if at > 0 && len(names) > 0 {
			out.NextAt, out.Next = at, fewer(names)
		}
	}
	out.Actions = pagingActions(st, out)
	if i := slices.IndexFunc(out.Actions, func(a views.Action) bool { return a.Label == notAfterAll }); i >= 0 {
		out.Actions[i].Said = s.afterAll(st)
	}
	return out
}

// notAfterAll takes back "I have it".
const notAfterAll = "Not me after all"

// afterAll says who is asked when somebody who has an incident takes that back.
func (s *Server) afterAll(st incident.State) string {
	const gone = "You do not have it any more. "
	e := st.Paging
	if len(e.Has()) > 1 {
		return gone + "Who else has it has it still; the panel shows who is asked."
	}
	me := e.Has()[0]
	_, _, step := e.Without(me, string(st.Severity))
	st.Paging = e.Withdraw(me, step, s.now())
	if asked := s.asked(st.Paging, ""); asked != "" && step == 0 {
		return gone + "Nobody has it; asked now: " + asked + "."
	}
	if st.Paging.Phase == escalation.Snoozed {
		return gone + "Nobody has it, and nobody is paged while it is snoozed."
	}
	if s.OnCall != nil {
		at, people := pager.Ahead(st, s.OnCall, s.now())
		var names []string
		for _, k := range people {
			names = append(names, s.person(k.Person))
		}
		switch {
		case len(names) > 0 && at <= s.now():
			return gone + "Paged now: " + fewer(names) + "."
		case len(names) > 0:
			return gone + "Nobody else is there to page now. Paged at " + time.UnixMilli(at).UTC().Format("15:04") + " UTC: " + fewer(names) + "."
		}
	}
	return gone + "Nobody has it, and nobody is paged by itself: page somebody."
}

// asked names whose pages wait, but one person; "" is nobody.
func (s *Server) asked(e escalation.State, but string) string {
	var names []string
	for _, g := range e.Waits() {
		if n := s.person(g.Person); g.Person != but && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return fewer(names)
}

// fewer names at most four people.
func fewer(names []string) string {
	if len(names) > 4 {
		return strings.Join(names[:3], ", ") + " and " + strconv.Itoa(len(names)-3) + " more"
	}
	return strings.Join(names, ", ")
}

func phaseOf(e escalation.State) string {
	steps := len(e.Policy.Steps)
	step := fmt.Sprintf("step %d of %d", e.Step, steps)
	if e.Round > 1 {
		step += fmt.Sprintf(", round %d", e.Round)
	}
	switch e.Phase {
	case escalation.Running:
		if e.Step == 0 {
			return "Paging begins"
		}
		return title(step)
	case escalation.Acknowledged:
		if e.Step == 0 {
			return "Paging stopped"
		}
		return "Paging stopped at " + step
	case escalation.Snoozed:
		return "Paging rests at " + step
	case escalation.Exhausted:
		if !e.Reached {
			return "No step has anybody; it is looked again every five minutes"
		}
		return fmt.Sprintf("All %d %s of %s are through", steps, plural(steps, "step", "steps"), e.Policy.Name)
	case escalation.Stopped:
		return "Paging is over"
	}
	if len(e.Pages) > 0 {
		return "Paged by hand"
	}
	return ""
}

// pagingActions are what can be pressed while the incident is open.
func pagingActions(st incident.State, p views.Paging) []views.Action {
	e := st.Paging
	var out []views.Action
	if e.Phase == escalation.Snoozed {
		out = append(out, act("End the snooze", "unsnooze", nil))
	}
	have := act("I have it", "acknowledge", nil)
	if p.Held.State != "acknowledged" {
		have.Tone = "main"
	}
	for _, who := range e.Has() {
		if e.Settled(who) {
			have.But = append(have.But, who)
		}
	}
	out = append(out, have)
	out = append(out, mayDecline(e, "")...)
	if len(e.Has()) > 0 {
		back, undo := act(notAfterAll, "decline_page", nil), act("I have it", "acknowledge", nil)
		back.Undo, back.Only = &undo, e.Has()
		out = append(out, back)
	}
	if e.Phase == escalation.Running && e.Step < len(e.Policy.Steps) || e.Phase == escalation.Acknowledged && len(e.Policy.Steps) > 0 {
		next := act("Next step now", "escalate", nil)
		next.Ask = "Begin the next step of " + e.Policy.Name + " now? Its people are paged at once."
		out = append(out, next)
	}
	if e.Phase == escalation.Exhausted && len(e.Policy.Steps) > 0 {
		again := act("Page all again now", "escalate", nil)
		again.Ask = "Begin " + e.Policy.Name + " again now? Its first step pages at once."
		out = append(out, again)
	}
	who := act("Page somebody", "page", nil)
	who.Ask, who.Need = "Whom? Write a handle, such as @ana.", "person"
	give := act("Reassign", "reassign", nil)
	give.Ask, give.Need = "To whom? Write a handle, such as @ana. Nobody else is asked any more.", "person"
	out = append(out, who, give)
	if e.Phase == escalation.Running {
		wait := act("Snooze 30 m", "snooze", map[string]any{"for": "30m"})
		undo := act("End the snooze", "unsnooze", nil)
		wait.Undo = &undo
		out = append(out, wait)
	}
	return out
}

// mayDecline is how who is asked to come passes it on: one person, or "" for all. Who has it is not offered it, also while another page of theirs waits: it would
// take back that they have it.
func mayDecline(e escalation.State, person string) []views.Action {
	has, one := e.Has(), act("Not me", "decline_page", nil)
	for _, w := range e.Waits() {
		if who := w.Person; (person == "" || who == person) && !slices.Contains(has, who) && !slices.Contains(one.Only, who) {
			one.Only = append(one.Only, who)
		}
	}
	if len(one.Only) == 0 {
		return nil
	}
	return []views.Action{one}
}

// heldOf says who has an incident, by what its card knows.
func (s *Server) heldOf(k incident.Card) (h views.Held) {
	p := k.Paging
	for _, who := range p.Has {
		h.Who = append(h.Who, s.person(who))
	}
	h.Since = p.Since
	switch {
	case !k.Open():
	case p.Phase == escalation.Snoozed:
		h.State, h.Until = "snoozed", p.SnoozedUntil
	case p.Phase == escalation.Exhausted:
		h.State, h.Until = "exhausted", p.Again
	case p.Phase == escalation.Acknowledged || len(h.Who) > 0 && len(p.Asked) == 0:
		h.State = "acknowledged"
	case p.Phase == escalation.Running || len(p.Asked) > 0:
		h.State = "nobody"
	}
	return h
}

// Queues.

// shownInQueue is how many incidents a queue shows.
const shownInQueue = 20

// presentQueues says what waits in which queue. Nothing in it depends on who looks.
func (s *Server) presentQueues(open []incident.State) views.Queues {
	var set oncall.Settings
	if s.OnCall != nil {
		set = s.OnCall.Settings()
	}
	var out views.Queues
	at := map[string]int{}
	for _, t := range set.Teams {
		if t.Tier == 0 {
			continue
		}
		q := views.Queue{ID: t.ID, Name: t.Name, Tier: t.Tier, Skill: t.Skill}
		if t.Schedule != "" {
			people, _ := s.OnCall.OnCall(t.Schedule, s.now())
			for _, p := range people {
				q.Now = append(q.Now, s.person(p))
			}
			q.Gap = len(people) == 0
		}
		out.List = append(out.List, q)
	}
	for _, st := range open {
		t := st.Triage
		if t.Team != "" && t.Name != "" && !slices.ContainsFunc(out.List, func(q views.Queue) bool { return q.ID == t.Team }) {
			out.List = append(out.List, views.Queue{ID: t.Team, Name: t.Name, Tier: max(t.Tier, 1), Skill: t.Skill}) // a team that is gone, or everybody
		}
	}
	slices.SortStableFunc(out.List, func(a, b views.Queue) int { return cmp.Compare(a.Tier, b.Tier) })
	for i, q := range out.List {
		at[q.ID] = i
	}
	for _, st := range open {
		item := s.presentInQueue(st)
		i, ok := at[st.Triage.Team]
		switch {
		case !ok || st.Triage.Team == "":
			out.Unrouted = append(out.Unrouted, item)
		case len(out.List[i].Items) == shownInQueue:
			out.List[i].More++
		default:
			out.List[i].Items = append(out.List[i].Items, item)
		}
	}
	return out
}

func (s *Server) presentInQueue(st incident.State) views.QueueItem {
	t := st.Triage
	item := views.QueueItem{
		Number: st.Number, Title: st.Title, Severity: string(st.Severity), Status: string(st.Status), Drill: st.Drill, Cost: pager.Cost(st), Since: cmp.Or(t.Since, st.DeclaredAt),
		Claimed: s.person(t.ClaimedBy), Handle: t.ClaimedBy, At: t.ClaimedAt, Held: s.presentHeld(st), Note: t.Note,
	}
	if n := len(t.Past); n > 0 && t.Note != "" {
		item.From = cmp.Or(t.Past[n-1].Name, t.Past[n-1].Team)
	}
	return item
}
