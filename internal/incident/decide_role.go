package incident

import (
	"slices"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

func (c AssignRole) decide(s State, m Meta) ([]Body, error) {
	var k check
	role, person := k.role(c.Role), k.person(c.Person, m)
	if k.err != nil || s.Holds(role, person) {
		return nil, k.err
	}
	if role.Single() {
		if h := s.Holders(role); len(h) > 0 {
			return nil, refuse(CodeUseHandOver, "@%s is %s. Use /handover %s @%s: it changes when @%s accepts. If @%s cannot be reached, /release %s @%s first.", h[0], role.Title(), role, person, person, h[0], role, h[0])
		}
	}
	if len(s.Roles) >= MaxAssignments {
		return nil, refuse(CodeTooMany, "%d roles are given out, and no more fit. Release one first.", MaxAssignments)
	}
	return append([]Body{RoleAssigned{Role: role, Person: person}}, s.alsoHas(role, person, m)...), nil
}

func (c ReleaseRole) decide(s State, m Meta) ([]Body, error) {
	var k check
	role, person := k.role(c.Role), k.person(c.Person, m)
	if k.err != nil || !s.Holds(role, person) {
		return nil, k.err
	}
	return one(RoleReleased{Role: role, Person: person})
}

func (c HandOverRole) decide(s State, m Meta) ([]Body, error) {
	var k check
	b := HandOverOffered{Role: k.role(c.Role), To: k.person(c.To, m), Note: k.prose("note", c.Note, MaxReason)}
	if k.err != nil || s.Holds(b.Role, b.To) {
		return nil, k.err
	}
	holders := s.Holders(b.Role)
	switch me := PersonOf(m.Actor); {
	case len(holders) == 0:
		return nil, refuse(CodeRoleVacant, "Nobody is %s, so there is nothing to hand over. Use /role %s @%s.", b.Role.Title(), b.Role, b.To)
	case slices.Contains(holders, me):
		b.From = me
	case len(holders) == 1:
		b.From = holders[0]
	default:
		return nil, refuse(CodeNotInRole, "%d people share the role %s. One of them has to hand it over, or use /role %s @%s to add one more.", len(holders), b.Role.Title(), b.Role, b.To)
	}
	if i := s.pending(b.Role); i >= 0 {
		if p := s.PendingHandovers[i]; p.To == b.To && p.From == b.From {
			return nil, nil
		}
	}
	return one(b)
}

func (c AcceptHandOver) decide(s State, m Meta) ([]Body, error) {
	me := PersonOf(m.Actor)
	h, fulfilled, err := offer(s, c.Role, func(h HandOver) bool { return h.To == me })
	if err != nil {
		if fulfilled(me) {
			return nil, nil
		}
		return nil, err
	}
	if h.To != me {
		return nil, refuse(CodeNotYours, "The role %s is offered to @%s, and only @%s can accept it. Ask @%s, or offer it to somebody else with /handover.", h.Role.Title(), h.To, h.To, h.To)
	}
	return append([]Body{HandedOver{Role: h.Role, From: h.From, To: h.To}}, s.alsoHas(h.Role, me, m)...), nil
}

func (c DeclineHandOver) decide(s State, m Meta) ([]Body, error) {
	me := PersonOf(m.Actor)
	h, _, err := offer(s, c.Role, func(h HandOver) bool { return h.To == me || h.By == m.Actor })
	if err != nil {
		paged := slices.ContainsFunc(s.Paging.Pages, func(p escalation.Page) bool { return p.Person == me })
		if c.Role == "" && (paged || slices.Contains(s.Paging.Has(), me) || slices.Contains(s.Paging.Passed, me)) {
			return DeclinePage{}.decide(s, m)
		}
		return nil, err
	}
	switch {
	case h.To == me && me != "":
		return one(HandOverDeclined{Role: h.Role, To: h.To})
	case h.By == m.Actor || h.From == me && me != "":
		return one(HandOverDeclined{Role: h.Role, To: h.To, Withdrawn: true})
	}
	return nil, refuse(CodeNotYours, "The role %s is offered to @%s. Only @%s can decline it, and only who offered it can take it back.", h.Role.Title(), h.To, h.To)
}

// offer finds the offered role that is meant: the one named, or, when none is
// named, the only one that mine says is the actor's. With an error comes a
// function that says whether a person has the named role already.
func offer(s State, named string, mine func(HandOver) bool) (HandOver, func(string) bool, error) {
	never := func(string) bool { return false }
	if lower(named) == "" {
		var found []HandOver
		for _, h := range s.PendingHandovers {
			if mine(h) {
				found = append(found, h)
			}
		}
		switch len(found) {
		case 1:
			return found[0], never, nil
		case 0:
			return HandOver{}, never, refuse(CodeNoHandOver, "No role is offered to you. The timeline shows who was asked.")
		}
		return HandOver{}, never, refuse(CodeMissingArgument, "More than one role is offered. Say which, like /accept %s.", found[0].Role)
	}
	var k check
	role := k.role(named)
	if k.err != nil {
		return HandOver{}, never, k.err
	}
	if i := s.pending(role); i >= 0 {
		return s.PendingHandovers[i], never, nil
	}
	return HandOver{}, func(me string) bool { return me != "" && s.Holds(role, me) },
		refuse(CodeNoHandOver, "The role %s is not offered to anybody. Offer it with /handover %s and a person.", role.Title(), role)
}

func (s State) pending(r Role) int {
	return slices.IndexFunc(s.PendingHandovers, func(h HandOver) bool { return h.Role == r })
}
