package precedent_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/incident"
	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/internal/precedent/precedenttest"
)

// TestSeveritySpeaksWhenItCanBeLearned: where what is hit decides how bad it is, the model finds it out, is right more often than always saying the
// most common severity and than people where they differ, and says so aloud.
func TestSeveritySpeaksWhenItCanBeLearned(t *testing.T) {
	var b, rows strings.Builder
	rows.WriteString("| incidents | model, right (95 of 100 times in) | always the most common | as declared | right when it would speak | speaks | contradicts people |\n|---|---|---|---|---|---|---|\n")
	yes := map[bool]string{true: "yes", false: "no"}
	for _, n := range []int{40, 150, 600, 2000} {
		r := precedent.Train(precedenttest.Cases(precedenttest.ByComponent(1, n)), precedent.TargetSeverity).Report
		fmt.Fprintf(&b, "%d made-up incidents whose severity follows the component\n", n)
		table(&b, r)
		b.WriteByte('\n')
		low, high := r.Model.Interval()
		fmt.Fprintf(&rows, "| %d | %.0f %% (%.0f to %.0f) of %d | %.0f %% | %.0f %% | %.0f %% of %d | %s | %s |\n", n, 100*r.Model.Value(), 100*low, 100*high, r.Model.Of, 100*r.Baseline.Value(), 100*r.Declared.Value(),
			100*r.Spoken.Value(), r.Spoken.Of, yes[r.Speaks], yes[r.Overrules])
	}
	t.Log("\n" + b.String())
	golden(t, "severity.txt", b.String())
	documented(t, "severity", rows.String())

	for seed := uint64(1); seed <= 5; seed++ {
		r := precedent.Train(precedenttest.Cases(precedenttest.ByComponent(seed, 600)), precedent.TargetSeverity).Report
		low, _ := r.Model.Interval()
		_, base := r.Baseline.Interval()
		if !r.Speaks || !r.Overrules || low <= base || r.F1 <= 2*r.BaseF1 || !strings.HasPrefix(r.Sentence, "It foretold ") {
			t.Errorf("seed %d: model %s, baseline %s, F1 %.2f against %.2f, speaks %v, overrules %v: %s", seed, share(r.Model), share(r.Baseline), r.F1, r.BaseF1, r.Speaks, r.Overrules, r.Sentence)
		}
	}
}

// TestSeveritySuggestedBeforeItIsKnown asks a model for incidents that it has not seen: most of what it says is not the most common severity, and it is
// right more often than that would be, and more often than who declared them where the two differ.
func TestSeveritySuggestedBeforeItIsKnown(t *testing.T) {
	var said, others, right, common, beats precedent.Share
	for seed := uint64(1); seed <= 4; seed++ {
		list := precedenttest.ByComponent(seed, 700)
		cases := precedenttest.Cases(list)
		m := precedent.Train(cases[:600], precedent.TargetSeverity)
		n := map[incident.Severity]int{}
		for _, c := range cases[:600] {
			n[c.Severity]++
		}
		most := incident.SEV1
		for _, s := range incident.Severities() {
			if n[s] > n[most] {
				most = s
			}
		}
		for i, c := range cases[600:] {
			now, ok := list[600+i].Case(c.DeclaredAt + 60_000) // a minute after it was declared
			if !ok || now.Closed() {
				t.Fatalf("incident %d is not open a minute after it was declared", c.Number)
			}
			s := m.Suggest(now)
			said.Of++
			if s.Value == "" {
				continue
			}
			said.Right++
			is := string(c.Severity)
			others.Of++
			if s.Value != string(most) {
				others.Right++
			}
			right.Of, common.Of = right.Of+1, common.Of+1
			if s.Value == is {
				right.Right++
			}
			if string(most) == is {
				common.Right++
			}
			if s.Value != string(c.First) && (s.Value == is) != (string(c.First) == is) {
				beats.Of++
				if s.Value == is {
					beats.Right++
				}
			}
			if math.IsNaN(s.Probability) || s.Probability < precedent.LeastSure || s.Probability > 1 || len(s.Because) == 0 {
				t.Errorf("it says %+v", s)
			}
		}
	}
	t.Logf("it speaks of %s; says another than the most common in %s; right %s, the most common %s; right where it contradicts people %s", share(said), share(others), share(right), share(common), share(beats))
	low, _ := right.Interval()
	_, base := common.Interval()
	beaten, _ := beats.Interval()
	if said.Value() < 0.5 || others.Value() < 0.5 || low <= base || beaten <= 0.5 {
		t.Error("the suggestion of a severity is not worth its place")
	}
}
