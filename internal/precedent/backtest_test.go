package precedent_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/precedent"
	"github.com/tocsin-ops/tocsin/internal/precedent/precedenttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; -update writes it anew\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func share(s precedent.Share) string {
	low, high := s.Interval()
	return fmt.Sprintf("%.1f %% of %d (%.1f to %.1f)", 100*s.Value(), s.Of, 100*low, 100*high)
}

func table(b *strings.Builder, r precedent.Report) {
	fmt.Fprintf(b, "%s: learned %d\n", r.Target, r.Learned)
	fmt.Fprintf(b, "  model     %s  macro-F1 %.2f\n", share(r.Model), r.F1)
	fmt.Fprintf(b, "  baseline  %s  macro-F1 %.2f\n", share(r.Baseline), r.BaseF1)
	if r.Declared.Of > 0 {
		fmt.Fprintf(b, "  declared  %s\n", share(r.Declared))
		fmt.Fprintf(b, "  right where it contradicts what was declared: %s\n", share(r.BeatsDeclared))
	}
	fmt.Fprintf(b, "  when sure enough to speak %s\n", share(r.Spoken))
	fmt.Fprintf(b, "  speaks %v, overrules %v: %s\n", r.Speaks, r.Overrules, r.Sentence)
	if r.Target == precedent.TargetSeverity && !r.Speaks {
		return
	}
	for i, c := range r.Classes {
		fmt.Fprintf(b, "  %-16s", c)
		for _, n := range r.Confusion[i] {
			fmt.Fprintf(b, "%5d", n)
		}
		b.WriteByte('\n')
	}
	for i, w := range r.Windows {
		fmt.Fprintf(b, "  window %2d: model %3.0f %%, baseline %3.0f %%\n", i+1, 100*w.Model.Value(), 100*w.Baseline.Value())
	}
}

func TestBackTestOnMadeUpYears(t *testing.T) {
	var b, rows strings.Builder
	rows.WriteString("| incidents | of | model, right (95 of 100 times in) | always the most common | as declared | macro-F1, model and common | right when it would speak | speaks |\n|---|---|---|---|---|---|---|---|\n")
	for _, n := range []int{40, 150, 600, 2000} {
		cases := precedenttest.Cases(precedenttest.Years(1, n))
		fmt.Fprintf(&b, "%d made-up incidents\n", n)
		for _, target := range []string{precedent.TargetCategory, precedent.TargetSeverity} {
			r := precedent.Train(cases, target).Report
			table(&b, r)
			low, high := r.Model.Interval()
			declared := "–"
			if r.Declared.Of > 0 {
				declared = fmt.Sprintf("%.0f %%", 100*r.Declared.Value())
			}
			fmt.Fprintf(&rows, "| %d | %s | %.0f %% (%.0f to %.0f) of %d | %.0f %% | %s | %.2f, %.2f | %.0f %% of %d | %v |\n", n, target,
				100*r.Model.Value(), 100*low, 100*high, r.Model.Of, 100*r.Baseline.Value(), declared, r.F1, r.BaseF1, 100*r.Spoken.Value(), r.Spoken.Of, map[bool]string{true: "yes", false: "no"}[r.Speaks])
		}
		b.WriteByte('\n')
	}
	t.Log("\n" + b.String())
	golden(t, "backtest.txt", b.String())
	documented(t, "back-test", rows.String())
}

// documented holds a table of docs/learning.md against what the test printed.
func documented(t *testing.T, name, rows string) {
	t.Helper()
	const file, to = "../../docs/learning.md", "<!-- end -->"
	from := "<!-- " + name + ": written by the tests of internal/precedent with -update -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), from)
	_, tail, end := strings.Cut(rest, to)
	if !ok || !end {
		t.Fatalf("%s lacks the marks of its table", file)
	}
	want := head + from + rows + to + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("the table of %s differs; -update writes it anew:\n%s", file, rows)
	}
}

// What must hold of any log of this kind, not only of one seed.
func TestModelBeatsBaselineOnEverySeed(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		r := precedent.Train(precedenttest.Cases(precedenttest.Years(seed, 600)), precedent.TargetCategory).Report
		low, _ := r.Model.Interval()
		_, base := r.Baseline.Interval()
		if low <= base || r.F1 <= 2*r.BaseF1 || !r.Speaks {
			t.Errorf("seed %d: model %s, baseline %s, F1 %.2f against %.2f, speaks %v", seed, share(r.Model), share(r.Baseline), r.F1, r.BaseF1, r.Speaks)
		}
	}
}

// A log whose categories have nothing to do with its incidents must leave the model silent.
func TestSilentWhenNothingCanBeLearned(t *testing.T) {
	spoke := 0
	for seed := uint64(1); seed <= 20; seed++ {
		cases := precedenttest.Cases(precedenttest.Years(seed, 300))
		for i := range cases { // the category of another one
			cases[i].Category = cases[(i*7+13)%len(cases)].Category
		}
		m := precedent.Train(cases, precedent.TargetCategory)
		if m.Report.Speaks {
			spoke++
			t.Logf("seed %d: %s", seed, m.Report.Sentence)
			continue
		}
		if s := m.Suggest(cases[5]); s.Value != "" || s.Silence == "" {
			t.Errorf("seed %d: suggests %q though silent (%q)", seed, s.Value, s.Silence)
		}
	}
	if spoke > 1 { // one of 40 is expected of a two-sided 95 % interval
		t.Errorf("spoke on %d of 20 logs without anything to learn", spoke)
	}
}

func TestSilentWhileThereIsLittle(t *testing.T) {
	m := precedent.Train(precedenttest.Cases(precedenttest.Years(1, 20)), precedent.TargetCategory)
	if m.Report.Speaks || !strings.Contains(m.Report.Sentence, "Too little") {
		t.Errorf("20 incidents: speaks %v, %q", m.Report.Speaks, m.Report.Sentence)
	}
	if s := precedent.Train(nil, precedent.TargetCategory).Suggest(precedent.Typed("bridge drained", "", nil, nil)); s.Value != "" || s.Silence == "" {
		t.Errorf("nothing learned: %+v", s)
	}
}

// Probabilities mean what they say: of those around p, about p are right. Foretold by a model that has not seen them.
func TestProbabilitiesAreCalibrated(t *testing.T) {
	var sum, right [10]float64
	var n [10]int
	for seed := uint64(1); seed <= 6; seed++ {
		cases := precedenttest.Cases(precedenttest.Years(seed, 900))
		m := precedent.Train(cases[:700], precedent.TargetCategory)
		for _, c := range cases[700:] {
			want := c.Category
			c.Category, c.Open = "", true
			s := m.Suggest(c)
			if s.Value == "" {
				continue
			}
			b := min(9, int(s.Probability*10))
			n[b]++
			sum[b] += s.Probability
			if s.Value == want {
				right[b]++
			}
		}
	}
	worst, gap, all := 0.0, 0.0, 0
	for b := range n {
		if n[b] == 0 {
			continue
		}
		k := float64(n[b])
		t.Logf("said %.0f %%: right in %.0f %% of %d", 100*sum[b]/k, 100*right[b]/k, n[b])
		d := math.Abs(sum[b]-right[b]) / k
		gap += d * k
		all += n[b]
		if n[b] >= 50 {
			worst = max(worst, d)
		}
	}
	t.Logf("expected calibration error %.3f over %d, worst %.3f", gap/float64(all), all, worst)
	if gap/float64(all) > 0.08 || worst > 0.15 {
		t.Errorf("calibration: error %.3f, worst %.3f", gap/float64(all), worst)
	}
}

func TestSameCasesSameModel(t *testing.T) {
	cases := precedenttest.Cases(precedenttest.Years(3, 300))
	var a, b strings.Builder
	table(&a, precedent.Train(cases, precedent.TargetCategory).Report)
	for i, j := 0, len(cases)-1; i < j; i, j = i+1, j-1 {
		cases[i], cases[j] = cases[j], cases[i]
	}
	table(&b, precedent.Train(cases, precedent.TargetCategory).Report)
	if a.String() != b.String() {
		t.Errorf("the order in which cases are given changes the model:\n%s\n%s", a.String(), b.String())
	}
}
