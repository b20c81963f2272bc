package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/impact"
)

// Impact says how the score of incidents weighs, and where its figures come from. Without it the preset exchange is used and nothing is assumed.
type Impact struct {
	// Preset is exchange, custodian, validator, bridge, defi, l2 or dora (a financial entity of the EU). Default exchange.
	Preset string `yaml:"preset"`
	// DORA says also with another preset whether an incident is a major one by Delegated Regulation (EU) 2024/1772.
	DORA Flag `yaml:"dora"`
	// EURUSD is how many dollars a euro is, for the thresholds in euros. 0: one, and that is said.
	EURUSD float64 `yaml:"eur_usd"`
	// Weights are those of the five axes; only their proportions count. All 0: the preset's.
	Weights ImpactWeights `yaml:"weights"`
	// UsersTotal is how many clients there are, HeldUSD what is held or locked, in dollars. 0: not known. A query goes before.
	UsersTotal      float64 `yaml:"users_total"`
	UsersTotalQuery string  `yaml:"users_total_query"`
	HeldUSD         float64 `yaml:"held_usd"`
	HeldQuery       string  `yaml:"held_query"`
	// Services are those that you run. A name is a component as alerts have it, or a chain.
	Services []ImpactService `yaml:"services"`
	// Losses are what a minute costs while a signal of a kind is open, beside what the services cost.
	Losses []ImpactKind `yaml:"losses"`
	// Metrics are facts that a query tells.
	Metrics []ImpactMetric `yaml:"metrics"`
}

// ImpactWeights are the weights of the axes.
type ImpactWeights struct {
	Services   float64 `yaml:"services"`
	Users      float64 `yaml:"users"`
	Money      float64 `yaml:"money"`
	Regulatory float64 `yaml:"regulatory"`
	Sentiment  float64 `yaml:"sentiment"`
}

// ImpactService is one service.
type ImpactService struct {
	Name string `yaml:"name"`
	// Criticality is critical, important or normal. Default normal.
	Criticality string `yaml:"criticality"`
	// Users is how many use it. 0: not known.
	Users int `yaml:"users"`
	// Regulated says that an authority oversees it.
	Regulated Flag `yaml:"regulated"`
	// LossPerMinute is what a minute of it costs.
	LossPerMinute ImpactLoss `yaml:"loss_per_minute"`
}

// ImpactLoss is what a minute costs, in dollars: what a query measures, else what is assumed.
type ImpactLoss struct {
	// USD is assumed while the service is affected, Low and High its range. 0: nothing is assumed.
	USD  float64 `yaml:"usd"`
	Low  float64 `yaml:"low"`
	High float64 `yaml:"high"`
	// Query is PromQL that answers with dollars a minute beyond what is normal, such as fees not earned.
	Query string `yaml:"query"`
}

// ImpactKind is what a minute with an open signal of a kind costs.
type ImpactKind struct {
	// Kind is the kind of signal, like sequencer.
	Kind          string     `yaml:"kind"`
	LossPerMinute ImpactLoss `yaml:"loss_per_minute"`
}

// ImpactMetric is a fact that a query tells.
type ImpactMetric struct {
	// Fact is one of the facts with a number, like money_moved_usd.
	Fact string `yaml:"fact"`
	// Query is PromQL. Several series of the answer are added up; of shares the largest counts.
	Query string `yaml:"query"`
	// Service makes it count only for incidents of this service. Empty: for all.
	Service string `yaml:"service"`
}

// Flag is yes or no.
type Flag bool

func (f *Flag) set(text string) error {
	switch strings.ToLower(text) {
	case "yes", "true", "on":
		*f = true
	case "no", "false", "off", "":
		*f = false
	default:
		return errors.New("is neither yes nor no; write one of them")
	}
	return nil
}

const (
	impactServices = 200
	impactQueries  = 50
	queryMost      = 2_000
	dollarsMost    = 1e13
)

// Model is how the score weighs.
func (i Impact) Model() impact.Model {
	m := impact.Model{
		Preset: i.Preset, DORA: bool(i.DORA), EURUSD: i.EURUSD, UsersTotal: i.UsersTotal, HeldUSD: i.HeldUSD,
		Weights: impact.Weights{i.Weights.Services, i.Weights.Users, i.Weights.Money, i.Weights.Regulatory, i.Weights.Sentiment},
	}
	for _, s := range i.Services {
		m.Services = append(m.Services, impact.Service{Name: s.Name, Criticality: s.Criticality, Users: int64(s.Users), Regulated: bool(s.Regulated),
			PerMinute: s.LossPerMinute.USD, Low: s.LossPerMinute.Low, High: s.LossPerMinute.High})
	}
	for _, k := range i.Losses {
		m.Losses = append(m.Losses, impact.KindLoss{Kind: k.Kind, PerMinute: k.LossPerMinute.USD, Low: k.LossPerMinute.Low, High: k.LossPerMinute.High})
	}
	return m
}

func (j *judge) impact() {
	i := &j.Impact
	j.oneOf("impact.preset", i.Preset, impact.Presets())
	amount := func(path string, v, most float64, like string) {
		if !(v >= 0 && v <= most) {
			j.wrong(path, "%v is no such number; write one from 0 to %.0f, like %s", v, most, like)
		}
	}
	query := func(path, q string) {
		if len(q) > queryMost {
			j.wrong(path, "has %d characters; use at most %d, or a recording rule", len(q), queryMost)
		}
	}
	w := i.Weights
	for n, v := range []float64{w.Services, w.Users, w.Money, w.Regulatory, w.Sentiment} {
		amount("impact.weights."+impact.AxisNames[n], v, 1000, "0.25")
	}
	amount("impact.eur_usd", i.EURUSD, 1000, "1.1")
	amount("impact.users_total", i.UsersTotal, 1e10, "250000")
	amount("impact.held_usd", i.HeldUSD, dollarsMost, "190000000")
	query("impact.users_total_query", i.UsersTotalQuery)
	query("impact.held_query", i.HeldQuery)
	loss := func(path string, l ImpactLoss) {
		amount(path+".usd", l.USD, dollarsMost, "2000")
		amount(path+".low", l.Low, dollarsMost, "1000")
		amount(path+".high", l.High, dollarsMost, "5000")
		if (l.Low != 0 || l.High != 0) && (l.Low > l.USD || l.High < l.USD) {
			j.wrong(path, "low and high do not hold usd; write low, usd and high in rising order")
		}
		query(path+".query", l.Query)
	}
	if len(i.Services) > impactServices || len(i.Losses) > impactQueries || len(i.Metrics) > impactQueries {
		j.wrong("impact", "there are %d services, %d losses and %d metrics; use at most %d, %d and %d", len(i.Services), len(i.Losses), len(i.Metrics), impactServices, impactQueries, impactQueries)
	}
	named := map[string]int{}
	for n, s := range i.Services {
		path := fmt.Sprintf("impact.services[%d]", n)
		j.text(path+".name", s.Name, 80, true)
		if first, double := named[strings.ToLower(s.Name)]; double && s.Name != "" {
			j.wrong(path+".name", "the service %q is there already at impact.services[%d].name; remove one", s.Name, first)
		}
		named[strings.ToLower(s.Name)] = n
		if s.Criticality != "" {
			j.oneOf(path+".criticality", s.Criticality, impact.Criticalities())
		}
		amount(path+".users", float64(s.Users), 1e10, "40000")
		loss(path+".loss_per_minute", s.LossPerMinute)
	}
	for n, k := range i.Losses {
		path := fmt.Sprintf("impact.losses[%d]", n)
		j.text(path+".kind", k.Kind, 80, true)
		if k.LossPerMinute.USD == 0 && k.LossPerMinute.Query == "" {
			j.wrong(path+".loss_per_minute", "says nothing; give usd or query")
		}
		loss(path+".loss_per_minute", k.LossPerMinute)
	}
	for n, m := range i.Metrics {
		path := fmt.Sprintf("impact.metrics[%d]", n)
		k, known := impact.FactNamed(m.Fact)
		if !known || !measured(k) {
			j.oneOf(path+".fact", m.Fact, facts())
		}
		if strings.TrimSpace(m.Query) == "" {
			j.wrong(path+".query", "is missing; write PromQL")
		}
		query(path+".query", m.Query)
		j.text(path+".service", m.Service, 80, false)
	}
}

// measured says that a fact is a number.
func measured(k impact.FactKind) bool {
	return slices.Contains([]string{impact.KindCount, impact.KindShare, impact.KindUSD, impact.KindMinutes}, k.Kind)
}

func facts() (out []string) {
	for _, k := range impact.Facts() {
		if measured(k) {
			out = append(out, k.Name)
		}
	}
	return out
}
