package precedent

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// What a model needs before it may speak.
const (
	LeastTested  = 30  // cases that it foretold before they were known
	LeastOfClass = 5   // closed cases with what it suggests
	LeastSure    = 0.5 // probability of what it suggests
)

// Targets of suggestions.
const (
	TargetCategory = "category"
	TargetSeverity = "severity"
)

// Share is a number of cases among others.
type Share struct{ Right, Of int }

// Value is the share, 0 of none.
func (s Share) Value() float64 {
	if s.Of == 0 {
		return 0
	}
	return float64(s.Right) / float64(s.Of)
}

// Interval holds the true share 95 times of 100 (Wilson, 1927).
func (s Share) Interval() (low, high float64) {
	if s.Of == 0 {
		return 0, 1
	}
	const z = 1.96
	n, p := float64(s.Of), s.Value()
	mid, half := p+z*z/(2*n), z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, (mid-half)/(1+z*z/n)), min(1, (mid+half)/(1+z*z/n))
}

// Window is a stretch of the back-test.
type Window struct {
	From, To int64 // unix ms, declarations
	Model    Share
	Baseline Share
}

// Report is what a back-test found: every case is foretold from its beginning by a model that learned only from cases that were resolved before it
// was declared.
type Report struct {
	Target   string
	Learned  int // cases that the model knows now
	Model    Share
	Baseline Share // always the most common one so far
	Declared Share // severity only: as people declared it
	// Of the cases in which the two differ, how often the model was right and the other not.
	BeatsBaseline Share
	BeatsDeclared Share
	Spoken        Share // when it would have been sure enough to speak
	F1, BaseF1    float64
	Classes       []string // of truth and of what was foretold, by how common
	Confusion     [][]int  // truth -> foretold
	Windows       []Window
	Speaks        bool
	Overrules     bool // severity only: it may contradict what a person declared
	Sentence      string
}

// Model suggests what an incident will end as. It is never changed.
type Model struct {
	Report Report
	bayes  *bayes
}

// Suggestion is what a model says of one incident. Value is empty when it says nothing; Silence then says why.
type Suggestion struct {
	Target      string
	Value       string
	Probability float64
	Because     []string
	Silence     string
}

func truth(c Case, target string) string {
	if target == TargetCategory {
		return c.Category
	}
	return string(c.Severity)
}

// Train makes a model of a target from the closed cases, by the back-test.
func Train(cases []Case, target string) *Model {
	var list []Case
	for _, c := range cases {
		if c.Closed() && truth(c, target) != "" {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b Case) int {
		return cmp.Or(cmp.Compare(a.DeclaredAt, b.DeclaredAt), cmp.Compare(a.Number, b.Number))
	})
	ended := slices.Clone(list)
	slices.SortFunc(ended, func(a, b Case) int {
		return cmp.Or(cmp.Compare(a.ResolvedAt, b.ResolvedAt), cmp.Compare(a.Number, b.Number))
	})

	b := newBayes()
	t := tally{target: target, pairs: map[[2]string]int{}, basePairs: map[[2]string]int{}}
	known := 0
	learn := func(before int64) {
		for known < len(ended) && ended[known].ResolvedAt < before {
			c := ended[known]
			b.judge(c.Began, truth(c, target))
			b.learn(c.Began, truth(c, target))
			known++
		}
	}
	for _, c := range list {
		learn(c.DeclaredAt)
		if known < LeastOfClass {
			continue
		}
		guess, p := b.foretell(c.Began)
		common, _ := b.common()
		t.take(c, guess, common, p)
	}
	learn(math.MaxInt64)
	r := t.report()
	r.Learned = len(list)
	return &Model{Report: r, bayes: b}
}

// tally collects a back-test.
type tally struct {
	target           string
	pairs, basePairs map[[2]string]int // truth, foretold
	rows             []row
}

type row struct {
	at                                        int64
	right, base, declared, spoken, contradict bool
}

func (t *tally) take(c Case, guess, common string, p float64) {
	want := truth(c, t.target)
	t.pairs[[2]string{want, guess}]++
	t.basePairs[[2]string{want, common}]++
	t.rows = append(t.rows, row{
		at: c.DeclaredAt, right: guess == want, base: common == want, declared: string(c.First) == want,
		spoken: p >= LeastSure, contradict: p >= LeastSure && guess != string(c.First),
	})
}

func (s *Share) count(right bool) {
	s.Of++
	if right {
		s.Right++
	}
}

// windows is how many stretches the course of a back-test is shown in.
const windows = 12

func (t *tally) report() Report {
	r := Report{Target: t.target}
	per := max(10, (len(t.rows)+windows-1)/windows)
	for i, o := range t.rows {
		r.Model.count(o.right)
		r.Baseline.count(o.base)
		if t.target == TargetSeverity {
			r.Declared.count(o.declared)
			if o.contradict && o.right != o.declared {
				r.BeatsDeclared.count(o.right)
			}
		}
		if o.right != o.base {
			r.BeatsBaseline.count(o.right)
		}
		if o.spoken {
			r.Spoken.count(o.right)
		}
		if i%per == 0 {
			r.Windows = append(r.Windows, Window{From: o.at})
		}
		w := &r.Windows[len(r.Windows)-1]
		w.To = o.at
		w.Model.count(o.right)
		w.Baseline.count(o.base)
	}
	r.Classes, r.Confusion = confusion(t.pairs)
	r.F1, r.BaseF1 = macroF1(t.pairs), macroF1(t.basePairs)
	r.Speaks = r.Model.Of >= LeastTested && better(r.BeatsBaseline)
	r.Overrules = r.Speaks && better(r.BeatsDeclared)
	r.Sentence = r.say(t.mostCommon())
	return r
}

// better says that who was right in so many of the differing cases is right more often, and not by chance (a sign test).
func better(s Share) bool {
	low, _ := s.Interval()
	return s.Of > 0 && low > 0.5
}

func (t *tally) mostCommon() (class string) {
	n := map[string]int{}
	for pair, k := range t.pairs {
		n[pair[0]] += k
	}
	for k, v := range n {
		if v > n[class] || v == n[class] && k < class {
			class = k
		}
	}
	return class
}

func (r Report) say(common string) string {
	name := strings.ReplaceAll(common, "_", " ")
	low, high := r.Model.Interval()
	switch {
	case r.Model.Of < LeastTested:
		return fmt.Sprintf("Too little to learn from: %d resolved incidents could be foretold so far, %d are needed. It stays silent.", r.Model.Of, LeastTested)
	case !r.Speaks:
		than := "No better"
		if r.Model.Right > r.Baseline.Right {
			than = "Not surely better"
		}
		return fmt.Sprintf("%s than always saying %s (%s against %s): it stays silent.", than, name, percent(r.Model.Value()), percent(r.Baseline.Value()))
	}
	return fmt.Sprintf("It foretold %s of %d incidents (%s to %s), where always saying the most common one, now %s, was right in %s.", percent(r.Model.Value()), r.Model.Of, percent(low), percent(high), name, percent(r.Baseline.Value()))
}

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

func confusion(pairs map[[2]string]int) (classes []string, table [][]int) {
	n := map[string]int{}
	for p, k := range pairs {
		n[p[0]] += k
		n[p[1]] += 0
	}
	for c := range n {
		classes = append(classes, c)
	}
	slices.SortFunc(classes, func(a, b string) int { return cmp.Or(cmp.Compare(n[b], n[a]), strings.Compare(a, b)) })
	for _, a := range classes {
		row := make([]int, len(classes))
		for j, b := range classes {
			row[j] = pairs[[2]string{a, b}]
		}
		table = append(table, row)
	}
	return classes, table
}

// macroF1 is the mean of F1 over all classes that occurred: a rare one counts as much as a common one.
func macroF1(pairs map[[2]string]int) float64 {
	classes, table := confusion(pairs)
	sum, of := 0.0, 0
	for i := range classes {
		right, wanted, said := table[i][i], 0, 0
		for j := range classes {
			wanted += table[i][j]
			said += table[j][i]
		}
		if wanted == 0 {
			continue
		}
		of++
		sum += 2 * float64(right) / float64(wanted+said)
	}
	if of == 0 {
		return 0
	}
	return sum / float64(of)
}

// Suggest says what c is likely to end as, or why nothing is said.
func (m *Model) Suggest(c Case) Suggestion {
	s := Suggestion{Target: m.Report.Target}
	if !m.Report.Speaks {
		s.Silence = m.Report.Sentence
		return s
	}
	class, p := m.bayes.foretell(c.Began)
	because := m.bayes.because(c.Began, class, 3)
	switch {
	case p < LeastSure:
		s.Silence = "Nothing suggests one " + s.Target + " clearly enough."
	case m.bayes.seen[m.bayes.of[class]] < LeastOfClass:
		s.Silence = "What it looks like was seen too seldom to suggest it."
	case len(because) == 0:
		s.Silence = "Nothing in it was seen in resolved incidents."
	default:
		s.Value, s.Probability, s.Because = class, p, because
	}
	return s
}
