package pager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ops/tocsin/internal/escalation"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/oncall"
	"github.com/tocsin-ops/tocsin/internal/reactor"
	"github.com/tocsin-ops/tocsin/internal/room"
)

// atOnce is how many incidents are attended to at the same time: their rooms share the log's appends.
const atOnce = 16

// unrouted says whether some team must still be found for an incident. One of SEV5 informs: it comes to a team only when a person hands it on, and
// nobody is paged about it before it becomes worse.
func unrouted(s incident.State) bool {
	if !incident.Open(s) {
		return false
	}
	if s.Severity == incident.SEV5 {
		return s.Triage.Team != "" && s.Triage.Name == ""
	}
	return s.Triage.Name == "" || s.Paging.Epoch == 0
}

// attend does what is due for the named incidents, and returns those for which not all could be done.
func (p *Pager) attend(ctx context.Context, numbers []int64) (again []int64, err error) {
	var at []*known
	var all []error
	for _, n := range numbers {
		k := p.rooms[n]
		if k == nil {
			k, err = p.load(ctx, n)
			if errors.Is(err, room.ErrNoIncident) {
				continue // what its stream holds declares nothing
			}
			if err != nil {
				all, again = append(all, err), append(again, n)
				continue
			}
			k.cancel = true // who led before may have handed over anything
			p.rooms[n] = k
		}
		k.owing = true
		if incident.Open(k.state) {
			delete(p.over, n)
			at = append(at, k)
		}
	}
	settings := p.o.OnCall.Settings()
	errs := make([]error, len(at))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, k := range at {
		g.Go(func() error {
			errs[i] = p.see(ctx, k, settings)
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	for i, err := range errs {
		if err != nil {
			all, again = append(all, err), append(again, at[i].state.Number)
		}
	}
	return again, errors.Join(all...)
}

// see does what is due for one open incident. It touches nothing but k.
func (p *Pager) see(ctx context.Context, k *known, settings oncall.Settings) error {
	s, now := k.state, k.time(p.now())
	k.due = 0
	if unrouted(s) && k.before && s.Triage.Team == "" {
		r := chosen(s, settings)
		r.Policy, r.Why = &escalation.Policy{}, "it was open before paging began here, so nobody is paged by itself; "+r.Why
		return p.give(ctx, k, reactor.CommandID(s.ID, "route before paging"), r)
	}
	if unrouted(s) {
		return p.give(ctx, k, reactor.CommandID(s.ID, fmt.Sprintf("route %d %d %q %t", s.Paging.Epoch, s.Triage.Since, s.Triage.Team, s.Severity == incident.SEV5)), routeOf(s, settings))
	}
	acts, next := escalation.Due(s.Paging, s.Situation(), p.look(k, settings), now)
	k.due = max(0, next-k.ahead)
	for _, a := range acts {
		if s.Severity == incident.SEV5 && a.Do == escalation.DoPage && a.Turn.Ask == 0 {
			break // it informs; only people page about it, and what would follow the step does not
		}
		c := incident.CommandOf(a)
		if a.Do == escalation.DoPolicy {
			c = policyOf(s, a, settings)
		}
		if err := p.give(ctx, k, a.ID, c); err != nil {
			return err
		}
	}
	return nil
}

// give gives one command. What a room refuses was overtaken by something that will be read next; should it not have been, the incident is looked
// at again later.
func (p *Pager) give(ctx context.Context, k *known, id string, c incident.Command) error {
	n := k.state.Number
	m := incident.Meta{ID: id, At: max(k.time(p.now()), k.state.LastAt), Actor: Actor, Drill: k.state.Drill}
	err := p.o.Room.Do(ctx, n, c, m)
	var refusal *incident.Refusal
	if errors.As(err, &refusal) {
		if again := p.now() + later; k.due == 0 || k.due > again {
			k.due = again
		}
		p.o.Logger.InfoContext(ctx, "a room refused what was due", "incident", n, "command", c.Name(), "code", refusal.Code, "sentence", refusal.Sentence)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s on incident %d: %w", c.Name(), n, err)
	}
	return nil
}

// routeOf sends an incident to the team that a person named, or that the rules name.
func routeOf(s incident.State, settings oncall.Settings) incident.Command {
	r := chosen(s, settings)
	if s.Severity == incident.SEV5 {
		r.Policy = nil
	}
	return r
}

func chosen(s incident.State, settings oncall.Settings) incident.Route {
	why := ""
	if wish := s.Triage.Team; wish != "" {
		if t, ok := teamOf(settings, wish); ok {
			return routeTo(t, settings.PolicyOf(t), "handed on to "+t.Name, 0)
		}
		why = fmt.Sprintf("there is no team “%s”; ", wish)
	}
	var kinds []string
	for _, g := range s.Signals {
		if !slices.Contains(kinds, g.Kind) {
			kinds = append(kinds, g.Kind)
		}
	}
	t, policy, because := settings.Route(string(s.Severity), s.Components, s.Chains, kinds)
	return routeTo(t, policy, why+because, 0)
}

// policyOf begins the policy that a person asked for, with the team as it is.
func policyOf(s incident.State, a escalation.Act, settings oncall.Settings) incident.Command {
	policy, ok := settings.Policy(a.Policy)
	if !ok && a.Policy == oncall.DefaultPolicy {
		policy, ok = oncall.Default(), true
	}
	if !ok {
		i := slices.IndexFunc(settings.Policies, func(q escalation.Policy) bool { return strings.EqualFold(q.Name, a.Policy) })
		if i < 0 {
			hole := fmt.Sprintf("There is no policy “%s” any more.", a.Policy)
			return incident.PageStep{Turn: escalation.Turn{Epoch: s.Paging.Epoch, Ask: a.Ask, Holes: []string{hole}}}
		}
		policy = settings.Policies[i]
	}
	policy = oncall.Paging(policy)
	t := oncall.Team{ID: s.Triage.Team, Name: s.Triage.Name, Tier: s.Triage.Tier, Skill: s.Triage.Skill}
	return routeTo(t, policy, "asked for "+policy.Name, a.Ask)
}

func routeTo(t oncall.Team, policy escalation.Policy, why string, ask int) incident.Route {
	return incident.Route{Team: t.ID, TeamName: t.Name, Tier: t.Tier, Skill: t.Skill, Policy: &policy, Why: why, Ask: ask}
}

// teamOf finds a team by its id or by its name.
func teamOf(settings oncall.Settings, wish string) (oncall.Team, bool) {
	if t, ok := settings.Team(wish); ok {
		return t, true
	}
	i := slices.IndexFunc(settings.Teams, func(t oncall.Team) bool { return strings.EqualFold(t.Name, wish) })
	if i < 0 {
		return oncall.Team{}, false
	}
	return settings.Teams[i], true
}

// look answers whom a step means, at a moment, for one incident.
func (p *Pager) look(k *known, settings oncall.Settings) escalation.Lookup {
	s := k.state
	return &lookup{state: s, settings: settings, oncall: p.o.OnCall, ahead: k.ahead}
}

type lookup struct {
	state    incident.State
	settings oncall.Settings
	oncall   OnCall
	ahead    int64    // of the incident's time
	here     []string // everybody who can be paged; nil: not looked up yet
}

// OnCall is escalation.Lookup.OnCall.
func (l *lookup) OnCall(schedule string, at int64) ([]string, string) {
	return l.oncall.OnCall(schedule, at-l.ahead)
}

// Team is escalation.Lookup.Team.
func (l *lookup) Team(id string) ([]string, string) {
	name := id
	if t, ok := teamOf(l.settings, id); ok {
		id, name = t.ID, t.Name
	}
	return l.oncall.Team(id), name
}

// Role is escalation.Lookup.Role.
func (l *lookup) Role(role string) []string {
	var out []string
	for _, a := range l.state.Roles {
		if string(a.Role) == role {
			out = append(out, a.Person)
		}
	}
	return out
}

// Here is escalation.Lookup.Here. While nobody at all is known everybody is taken to be there.
func (l *lookup) Here(person string) bool {
	if l.here == nil {
		l.here = append([]string{}, l.oncall.Team(oncall.Everybody)...)
	}
	return len(l.here) == 0 || slices.Contains(l.here, person)
}
