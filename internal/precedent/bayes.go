package precedent

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// smoothing is how often every feature of the vocabulary is taken to have been seen with every category before anything was.
const smoothing = 0.2

// trusts are how far the features may be trusted. Features of one incident depend on each other ("withdrawal" and "withdrawals halted" are one fact),
// so their product is too sure; the power that foretold the past best is taken. 0 is the frequencies alone.
var trusts = []float64{0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1}

// steps part the probabilities of the likeliest class, for calibration: what the model says and how often it is right need not be the same, least
// of all near 1, where wrong labels of the past set a limit.
var steps = []float64{0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99}

// faith is how many cases of its own a step needs before it counts more than what the model says.
const faith = 6

// surest is the most that the model's own word counts: nothing is certain.
const surest = 0.95

// bayes is multinomial naive Bayes (McCallum and Nigam, 1998) over the features of incidents' beginnings. It learns one case at a time, and
// remembers how well each trust would have done, so that its probabilities are calibrated on what it had not seen yet.
type bayes struct {
	classes []string // sorted
	of      map[string]int
	seen    []float64            // cases of a class
	total   []float64            // features of a class, weighted
	counts  map[string][]float64 // feature -> class -> how often, weighted
	all     float64              // cases
	loss    []float64            // of every trust: sum of -ln p(truth)
	judged  int
	sure    []Share // by how sure it was: how often it was right
}

func newBayes() *bayes {
	return &bayes{of: map[string]int{}, counts: map[string][]float64{}, loss: make([]float64, len(trusts)), sure: make([]Share, len(steps)+1)}
}

type token struct {
	key    string
	weight float64
}

// tokens are the features of an incident's beginning, the words first.
func (f Features) tokens() []token {
	var out []token
	add := func(prefix string, weight float64, names []string) {
		for _, n := range names {
			out = append(out, token{prefix + n, weight})
		}
	}
	add("w", 1, f.Words)
	add("k", 2, f.Kinds)
	add("s", 1, f.Sources)
	add("p", 1, f.Components)
	add("c", 1, f.Chains)
	add("a", 1, f.Addresses)
	return out
}

// learn takes one case whose class is known now.
func (b *bayes) learn(f Features, class string) {
	i, ok := b.of[class]
	if !ok {
		i = len(b.classes)
		b.of[class], b.classes = i, append(b.classes, class)
		b.seen, b.total = append(b.seen, 0), append(b.total, 0)
	}
	b.seen[i]++
	b.all++
	for _, t := range f.tokens() {
		row := b.counts[t.key]
		for len(row) <= i {
			row = append(row, 0)
		}
		row[i] += t.weight
		b.counts[t.key] = row
		b.total[i] += t.weight
	}
}

// common is the most common class so far and how often it was seen; of equal ones the one that sorts first.
func (b *bayes) common() (class string, n float64) {
	for i, k := range b.classes {
		if b.seen[i] > n || b.seen[i] == n && n > 0 && k < class {
			class, n = k, b.seen[i]
		}
	}
	return class, n
}

// likelihood is the logarithm of the share that a feature has among the features of class i.
func (b *bayes) likelihood(key string, i int) float64 {
	n := 0.0
	if row := b.counts[key]; i < len(row) {
		n = row[i]
	}
	return math.Log((n + smoothing) / (b.total[i] + smoothing*float64(len(b.counts)+1)))
}

// scores are the logarithms of prior and evidence of each class. Features that were never seen tell nothing.
func (b *bayes) scores(f Features) (prior, evidence []float64) {
	prior, evidence = make([]float64, len(b.classes)), make([]float64, len(b.classes))
	for i := range b.classes {
		prior[i] = math.Log((b.seen[i] + 1) / (b.all + float64(len(b.classes))))
	}
	for _, t := range f.tokens() {
		if _, ok := b.counts[t.key]; !ok {
			continue
		}
		for i := range b.classes {
			evidence[i] += t.weight * b.likelihood(t.key, i)
		}
	}
	return prior, evidence
}

// blend turns scores into probabilities with one trust.
func blend(prior, evidence []float64, trust float64) []float64 {
	out := make([]float64, len(prior))
	most := math.Inf(-1)
	for i := range out {
		out[i] = prior[i] + trust*evidence[i]
		most = max(most, out[i])
	}
	sum := 0.0
	for i := range out {
		out[i] = math.Exp(out[i] - most)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// trust is the one that did best so far; while little was judged, a low one.
func (b *bayes) trust() float64 {
	if b.judged < 10 {
		return 0.15
	}
	best := 0
	for i := range b.loss {
		if b.loss[i] < b.loss[best] {
			best = i
		}
	}
	return trusts[best]
}

// foretell gives the likeliest class and its probability, "" when nothing was learned. The probability is calibrated: that of the model drawn
// towards how often it was right when it was as sure (histogram binning: Zadrozny and Elkan, 2001).
func (b *bayes) foretell(f Features) (class string, p float64) {
	if len(b.classes) == 0 {
		return "", 0
	}
	prior, evidence := b.scores(f)
	class, p = b.likeliest(blend(prior, evidence, b.trust()))
	s := b.sure[step(p)]
	return class, (float64(s.Right) + faith*min(p, surest)) / (float64(s.Of) + faith)
}

func step(p float64) int {
	i := 0
	for i < len(steps) && p >= steps[i] {
		i++
	}
	return i
}

func (b *bayes) likeliest(probs []float64) (class string, p float64) {
	best := 0
	for i := range probs {
		if probs[i] > probs[best] || probs[i] == probs[best] && b.classes[i] < b.classes[best] {
			best = i
		}
	}
	return b.classes[best], probs[best]
}

// judge notes how well each trust foretold a case before it is learned.
func (b *bayes) judge(f Features, truth string) {
	at, ok := b.of[truth]
	if !ok {
		return // a class that nobody could foretell says nothing of trusts
	}
	prior, evidence := b.scores(f)
	class, p := b.likeliest(blend(prior, evidence, b.trust()))
	b.sure[step(p)].count(class == truth)
	for i, t := range trusts {
		b.loss[i] -= math.Log(max(blend(prior, evidence, t)[at], 1e-9))
	}
	b.judged++
}

// because names the features that speak most for a class against the others together, the strongest first.
func (b *bayes) because(f Features, class string, most int) []string {
	at, ok := b.of[class]
	if !ok {
		return nil
	}
	type reason struct {
		key string
		by  float64
	}
	var list []reason
	for _, t := range f.tokens() {
		row, seen := b.counts[t.key]
		if !seen || at >= len(row) || row[at] == 0 {
			continue
		}
		n, total := 0.0, 0.0
		for i := range b.classes {
			if i != at {
				total += b.total[i]
				if i < len(row) {
					n += row[i]
				}
			}
		}
		vocabulary := smoothing * float64(len(b.counts)+1)
		by := t.weight * (b.likelihood(t.key, at) - math.Log((n+smoothing)/(total+vocabulary)))
		if by > 0.2 {
			list = append(list, reason{t.key, by})
		}
	}
	slices.SortFunc(list, func(a, b reason) int { return cmp.Or(cmp.Compare(b.by, a.by), strings.Compare(a.key, b.key)) })
	var out []string
	for _, r := range list[:min(most, len(list))] {
		name := r.key[1:]
		switch r.key[0] {
		case 'w':
			out = append(out, "word “"+name+"”")
		case 'k':
			out = append(out, "signal kind "+strings.ReplaceAll(name, "_", " "))
		case 's':
			out = append(out, "source "+name)
		case 'p':
			out = append(out, "component "+name)
		case 'c':
			out = append(out, "chain "+name)
		case 'a':
			out = append(out, "an address: "+name)
		}
	}
	return out
}
