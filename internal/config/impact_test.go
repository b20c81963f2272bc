package config

import (
	"fmt"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/impact"
)

func TestImpact(t *testing.T) {
	c, err := Load("testdata/tocsin.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	m := c.Impact.Model()
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	if m.Preset != impact.Exchange || len(m.Services) != 2 || m.Services[0].PerMinute != 2000 || m.Services[0].High != 5000 || !m.Services[0].Regulated || m.Services[1].Regulated || m.Losses[0].Kind != "sequencer" || !m.DORA {
		t.Errorf("%+v", m)
	}
	if err := Default().Impact.Model().Check(); err != nil {
		t.Error(err)
	}
}

func TestImpactIsRefusedWithTheRemedy(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"impact: {preset: bank}", `f.yaml:1: impact.preset: "bank" is not known; write one of exchange, custodian, validator, bridge, defi, l2, dora`},
		{"impact: {dora: perhaps}", `f.yaml:1: impact.dora: "perhaps" is neither yes nor no; write one of them`},
		{"impact: {weights: {money: -1}}", `f.yaml:1: impact.weights.money: -1 is no such number; write one from 0 to 1000, like 0.25`},
		{"impact: {services: [{name: a}, {name: A}]}", `f.yaml:1: impact.services[1].name: the service "A" is there already at impact.services[0].name; remove one`},
		{"impact: {services: [{name: a, criticality: criticl}]}", `f.yaml:1: impact.services[0].criticality: "criticl" is not known; write critical`},
		{"impact: {services: [{name: a, loss_per_minute: {usd: 5, low: 6, high: 7}}]}", `f.yaml:1: impact.services[0].loss_per_minute: low and high do not hold usd; write low, usd and high in rising order`},
		{"impact: {losses: [{kind: stall}]}", `f.yaml:1: impact.losses[0].loss_per_minute: says nothing; give usd or query`},
		{"impact: {metrics: [{fact: money_moved, query: x}]}", `f.yaml:1: impact.metrics[0].fact: "money_moved" is not known; write money_moved_usd`},
		{"impact: {metrics: [{fact: users_affected}]}", `f.yaml:1: impact.metrics[0].query: is missing; write PromQL`},
	} {
		cfg, err := Parse("f.yaml", []byte(c.text))
		if err == nil {
			err = cfg.Validate()
		}
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}
