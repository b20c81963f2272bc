package precedent_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/chain"
	"github.com/tocsin-ops/tocsin/internal/detect"
	"github.com/tocsin-ops/tocsin/internal/drill"
	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/internal/precedent/precedenttest"
)

// findings plays a scenario through the monitors and detectors that the program has.
func findings(s drill.Scenario) []chain.Finding {
	monitors := map[string]*chain.Monitor{}
	for _, c := range s.Chains {
		monitors[c.ID] = chain.NewMonitor(chain.Config{Chain: c.ID, Family: c.Family, ChainID: c.ChainID, Nodes: c.Nodes})
	}
	drains := make([]detect.BridgeDrain, len(s.Bridges))
	for i, b := range s.Bridges {
		drains[i] = detect.NewBridgeDrain(b)
	}
	var out []chain.Finding
	for step := range s.Steps {
		step = step.Shift(s.Began)
		switch {
		case step.Observation != nil:
			out = append(out, monitors[step.Observation.Chain].Observe(*step.Observation).Findings...)
		case step.Flow != nil:
			for i, d := range drains {
				next, o := d.Observe(*step.Flow)
				drains[i] = next
				out = append(out, o.Findings...)
			}
		case step.Tick:
			for _, c := range s.Chains {
				out = append(out, monitors[c.ID].Tick(s.Began+step.At).Findings...)
			}
		}
	}
	return slices.DeleteFunc(out, func(f chain.Finding) bool { return !f.Firing || f.Weak })
}

// played is one play of a scenario as an incident: some of its findings are missed, the first that is not declares it.
func played(t *testing.T, r *rand.Rand, number, at int64, list []chain.Finding, category string) precedent.Case {
	t.Helper()
	var seen []chain.Finding
	for _, f := range list {
		if r.Float64() < 0.6 {
			seen = append(seen, f)
		}
	}
	if len(seen) == 0 {
		seen = list[len(list)-1:]
	}
	st := incident.New(number, fmt.Sprintf("play-%d", number))
	do := func(at int64, c incident.Command) {
		m := incident.Meta{ID: fmt.Sprintf("play-%d-%d", number, at), At: at, Actor: "system:drill", Drill: true}
		bodies, err := incident.Decide(st, c, m)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bodies {
			st = incident.Apply(st, incident.Event{Meta: m, Offset: st.Position + 1, Body: b})
		}
	}
	var attach []incident.Signal
	for _, f := range seen[:min(3, len(seen))] {
		g := incident.Signal{ID: "g-" + f.Key, Source: "drill", Kind: f.Kind, Title: f.Title, Severity: incident.Severity(f.Severity), Chain: f.Chain, State: incident.SignalOpen, OpenedAt: at}
		if !slices.ContainsFunc(attach, func(o incident.Signal) bool { return o.ID == g.ID }) {
			attach = append(attach, g)
		}
	}
	do(at, incident.Declare{Title: seen[0].Title, Severity: seen[0].Severity, Signal: attach[0].ID, Attach: attach, DetectedAt: at})
	do(at+30*60_000, incident.SetCategory{Category: category})
	do(at+int64(40+r.IntN(80))*60_000, incident.Resolve{Validation: "The drill is over"})
	c := precedent.Of(st)
	if !c.Drill || c.Closed() {
		t.Fatal("a drill counts as real")
	}
	c.Drill = false // as if it had happened
	return c
}

// The scenarios that the program plays, forty times among five hundred made-up incidents: each play is foretold by a model that knows only what was
// over before it. Beside it the most common category of that moment.
func TestBackTestOnDrills(t *testing.T) {
	truth := map[string]string{"nomad": "bridge_fault", "polygon-reorg": "consensus_fault"}
	r := rand.New(rand.NewPCG(3, 4))
	scenarios := drill.All()
	raised := map[string][]chain.Finding{}
	for _, s := range scenarios {
		if truth[s.Key] == "" {
			t.Fatalf("which category has the scenario %s?", s.Key)
		}
		raised[s.Key] = findings(s)
	}
	cases := precedenttest.Cases(precedenttest.Years(9, 500))
	before := func(at int64) (out []precedent.Case) {
		for _, c := range cases {
			if c.ResolvedAt < at {
				out = append(out, c)
			}
		}
		return out
	}
	type tally struct{ plays, right, common, spoke, wrong, first int }
	of := map[string]*tally{}
	for n := range 40 {
		s := scenarios[r.IntN(len(scenarios))]
		k := of[s.Key]
		if k == nil {
			k = &tally{}
			of[s.Key] = k
		}
		at := cases[100+n*10].DeclaredAt + 1
		play := played(t, r, int64(9000+n), at, raised[s.Key], truth[s.Key])
		past := before(at)
		m := precedent.Train(past, precedent.TargetCategory)
		most := map[string]int{}
		common := ""
		for _, c := range past {
			if most[c.Category]++; most[c.Category] > most[common] || most[c.Category] == most[common] && c.Category < common {
				common = c.Category
			}
		}
		asked := play
		asked.Category, asked.Open = "", true
		got := m.Suggest(asked)
		k.plays++
		if common == truth[s.Key] {
			k.common++
		}
		switch got.Value {
		case "":
		case truth[s.Key]:
			k.right++
			k.spoke++
			if k.first == 0 {
				k.first = k.plays
			}
		default:
			k.spoke++
			k.wrong++
		}
		cases = append(cases, play)
	}
	var b strings.Builder
	for _, s := range scenarios {
		k := of[s.Key]
		if k == nil {
			t.Fatalf("%s was never played", s.Key)
		}
		fmt.Fprintf(&b, "%-14s %d findings, played %2d times: foretold %2d right, %d wrong, silent %d; always the most common %d right; right for the first time at play %d\n",
			s.Key, len(raised[s.Key]), k.plays, k.right, k.wrong, k.plays-k.spoke, k.common, k.first)
		if k.right*2 < k.plays || k.right <= k.common || k.wrong > k.right {
			t.Errorf("%s: %+v", s.Key, *k)
		}
	}
	t.Log("\n" + b.String())
	golden(t, "drills.txt", b.String())
}
