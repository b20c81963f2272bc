package oncall

import (
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/escalation"
)

func (d *deciding) policyOf(id string) (escalation.Policy, error) {
	if p, ok := d.s.Policy(id); ok {
		return p, nil
	}
	if id == DefaultPolicy {
		return escalation.Policy{}, refuse(CodeNotFound, "The policy of everybody is built in and cannot be changed. Create a policy of your own.")
	}
	return escalation.Policy{}, refuse(CodeNotFound, "There is no policy %s. Reload the list of policies.", short(id))
}

func (d *deciding) policyName(id, name string) error {
	if slices.ContainsFunc(d.s.Policies, func(p escalation.Policy) bool { return p.ID != id && strings.EqualFold(p.Name, name) }) {
		return refuse(CodeNameTaken, "Another policy has the name %s already. Choose another one.", name)
	}
	return nil
}

func (d *deciding) createPolicy(c CreatePolicy) error {
	if len(d.s.Policies) >= MaxPolicies {
		return refuse(CodeTooMany, "There are %d policies already. Remove one first.", MaxPolicies)
	}
	p, err := d.policy(c.Policy, escalation.Policy{})
	if err != nil {
		return err
	}
	if err := d.policyName("", p.Name); err != nil {
		return err
	}
	p.ID, p.Version = d.id("esc-"), 1
	d.body.Policies = []Diff[escalation.Policy]{{After: &p}}
	d.did(policyCreated, "created policy %s", p.Name)
	return nil
}

func (d *deciding) editPolicy(c EditPolicy) error {
	was, err := d.policyOf(c.Policy.ID)
	if err != nil {
		return err
	}
	p, err := d.policy(c.Policy, was)
	if err != nil {
		return err
	}
	if err := d.policyName(p.ID, p.Name); err != nil {
		return err
	}
	if p.Version = was.Version; equal(p, was) {
		return nil
	}
	p.Version++
	d.body.Policies = []Diff[escalation.Policy]{{&was, &p}}
	d.did(policyChanged, "changed policy %s", was.Name)
	return nil
}

func (d *deciding) removePolicy(c RemovePolicy) error {
	p, err := d.policyOf(c.Policy)
	if err != nil {
		return err
	}
	if err := unused("policy", p.Name, d.s.usesPolicy(p.ID)); err != nil {
		return err
	}
	d.body.Policies = []Diff[escalation.Policy]{{Before: &p}}
	d.did(policyRemoved, "removed policy %s", p.Name)
	return nil
}

// rules records the rules as they stand after a change.
func (d *deciding) rules(after []Rule, format string, args ...any) {
	if before := d.s.Rules; !equal(before, after) {
		d.body.Rules = &Diff[[]Rule]{&before, &after}
		d.did(rulesChanged, format, args...)
	}
}

func (d *deciding) indexRule(id string) (int, error) {
	i := slices.IndexFunc(d.s.Rules, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return 0, refuse(CodeNotFound, "There is no such rule any more. Reload the list of rules.")
	}
	return i, nil
}

func (d *deciding) addRule(c AddRule) error {
	if len(d.s.Rules) >= MaxRules {
		return refuse(CodeTooMany, "There are %d rules already. Remove one first.", MaxRules)
	}
	r, err := d.rule(c.Rule)
	if err != nil {
		return err
	}
	r.ID = d.id("rule-")
	d.rules(append(slices.Clone(d.s.Rules), r), "added rule %d", len(d.s.Rules)+1)
	return nil
}

func (d *deciding) editRule(c EditRule) error {
	i, err := d.indexRule(c.Rule.ID)
	if err != nil {
		return err
	}
	after := slices.Clone(d.s.Rules)
	if after[i], err = d.rule(c.Rule); err != nil {
		return err
	}
	d.rules(after, "changed rule %d", i+1)
	return nil
}

func (d *deciding) moveRule(c MoveRule) error {
	i, err := d.indexRule(c.Rule)
	if err != nil {
		return err
	}
	to := i + 1
	if c.Up {
		to = i - 1
	}
	if to < 0 || to >= len(d.s.Rules) {
		return nil
	}
	after := slices.Clone(d.s.Rules)
	after[i], after[to] = after[to], after[i]
	d.rules(after, "moved rule %d to place %d", i+1, to+1)
	return nil
}

func (d *deciding) removeRule(c RemoveRule) error {
	i, err := d.indexRule(c.Rule)
	if err != nil {
		return err
	}
	d.rules(slices.Delete(slices.Clone(d.s.Rules), i, i+1), "removed rule %d", i+1)
	return nil
}
