// Package drill owns the scenarios that can be played: real incidents as ordered, timed observations, flows and injects, the same ones at
// every play; it never plays them, never reads a clock, and invents nothing that looks like a source: what is invented says so.
//
// Which figures are real stands in Scenario.Figures, each from the sources named in the file of the scenario. Block hashes are invented (a
// hash of scenario, branch and height), so are the nodes' names, gas, fees, delays and every block time between the anchors.
package drill

import (
	"iter"
	"time"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
)

// Chain is one chain of a scenario. Nobody collects from its nodes: what they say is in the steps.
type Chain struct {
	ID      string // "drill-..."
	Name    string // for people
	Family  chain.Family
	ChainID string
	Nodes   []string
}

// Step is one thing that happens. Exactly one of Observation, Flow, Tick and Inject is set.
type Step struct {
	At          int64              // ms after the scenario's start; below 0 in the lead-in
	Observation *chain.Observation // its times count from the scenario's start too, until Shift
	Flow        *detect.Flow
	Tick        bool // time passes for every monitor and detector
	Inject      string
}

// Scenario is one incident to be played.
type Scenario struct {
	Key, Name string
	Text      string      // two sentences for people
	Figures   [][2]string // label and value, sourced
	Began     int64       // unix ms of the scenario's start as it was
	Length    time.Duration
	Chains    []Chain
	Bridges   []detect.Bridge
	// Lead gives the quiet minutes before the start (times below 0), so that charts have a before.
	Lead iter.Seq[Step]
	// Steps gives what happens from the start on, ascending in time. Every call of it gives the same, in fresh memory.
	Steps iter.Seq[Step]
}

// All lists the scenarios, in the order in which they are offered.
func All() []Scenario { return []Scenario{nomad(), polygon()} }

// Find gives the scenario with a key.
func Find(key string) (Scenario, bool) {
	for _, s := range All() {
		if s.Key == key {
			return s, true
		}
	}
	return Scenario{}, false
}

// Shift gives the step with base (unix ms) added to every time in it but At: a scenario's start becomes base. The step itself stays.
func (s Step) Shift(base int64) Step {
	if f := s.Flow; f != nil {
		g := *f
		g.At += base
		s.Flow = &g
	}
	if o := s.Observation; o != nil {
		g := *o
		g.At += base
		if g.Head != nil {
			b := shiftBlock(*g.Head, base)
			g.Head = &b
		}
		g.Branch = make([]chain.Block, len(o.Branch))
		for i, b := range o.Branch {
			g.Branch[i] = shiftBlock(b, base)
		}
		s.Observation = &g
	}
	return s
}

func shiftBlock(b chain.Block, base int64) chain.Block {
	b.Time += base
	b.SeenAt += base
	return b
}
