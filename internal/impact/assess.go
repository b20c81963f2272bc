package impact

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// power is the exponent of the mean over the axes. 1 would be the plain mean, which hides an axis at 100 behind four calm ones; the maximum
// would hear nobody but the loudest. With 4, an axis at 100 with a quarter of the weight makes 71 alone.
const power = 4

// enough is the share of the weights that must be known before a milder severity than the one set is advised aloud.
const enough = 0.5

// Assess is how bad it is, by all that is known. It is pure: the same model and input give the same answer, in whatever order the input's lists
// are. More harm never lowers the score; what is not known adds nothing to Score and 100 to High. in.Before gives hysteresis, sum and Changes.
func Assess(m Model, in Input) Assessment {
	k := study(m, in)
	a := Assessment{At: in.At, Preset: m.Preset}
	a.Loss = k.loss()
	a.Major = k.major(a.Loss)
	heaps := [AxisCount]*heap{k.services(), k.users(), k.money(a.Loss), k.regulatory(a.Major), k.sentiment()}
	share := m.shares()
	low, high, sure := 0.0, 0.0, 0.0
	for i, h := range heaps {
		x := h.axis(AxisNames[i], share[i])
		a.Axes[i] = x
		a.Known = a.Known || x.Known
		low += share[i] * math.Pow(float64(x.Points), power)
		top := float64(x.Points)
		if x.Known {
			sure += share[i]
		} else {
			top = 100
		}
		high += share[i] * math.Pow(top, power)
	}
	a.Sure = sure >= enough
	a.Mean = round(math.Pow(low, 1.0/power))
	a.Score, a.High = a.Mean, round(math.Pow(high, 1.0/power))
	a.Blast = k.blast()
	a.Missing = k.missing(a)
	if name, least, reason := k.rule(a); name != "" {
		a.Known = true
		if least <= rank(severityFor(a.Mean)) { // else the axes say worse by themselves
			a.Rule, a.RuleReason, a.Score = name, &reason, max(a.Score, bands[least-1])
			a.High = max(a.High, a.Score)
			if first := k.answers(&a); len(first) > 0 {
				a.Missing = append(first, a.Missing...)
			}
		}
	}
	if a.Known {
		a.Moment = severityFor(a.Score)
		k.hold(&a)
	}
	if in.Before != nil {
		a.Changes = changes(*in.Before, a)
	}
	return a
}

func round(v float64) int { return int(math.Round(min(v, 100))) }

// rule is the worst least severity that anything known demands.
func (k known) rule(a Assessment) (name string, least int, why Reason) {
	least = 6
	take := func(n string, at int, from From, sentence string) {
		if at > 0 && at < least {
			name, least, why = n, at, Reason{Points: bands[at-1], Sentence: shorten(sentence, MaxSentence), From: from}
		}
	}
	moving, from, said := k.choice(FactFundsMoving)
	if moving == "yes" {
		take("funds_moving", 1, from, "Funds are moving, and nobody explains it.")
	}
	explained := said && moving == "no"
	moved, movedFrom, _ := k.number(FactMoneyMoved)
	var changed, leaves *Signal
	for i := range k.sigs {
		s := &k.sigs[i]
		if !s.Open {
			continue
		}
		if s.Kind == "control_change" && rank(s.Severity) <= 2 && changed == nil {
			changed = s
		}
		if slices.Contains(outflow, s.Kind) && rank(s.Severity) <= 3 && leaves == nil {
			leaves = s
		}
	}
	if changed != nil && !explained && (leaves != nil || moved > 0) {
		what := "funds were moved"
		if leaves != nil {
			what = lower(leaves.title())
		}
		take("funds_moving", 1, changed.from(), fmt.Sprintf("%s, and %s: who took control takes the funds.", changed.title(), what))
	}
	for _, r := range rules {
		if explained && r.moving {
			continue
		}
		for _, s := range k.sigs {
			if s.Open && rank(s.Severity) <= r.from && slices.Contains(r.kinds, s.Kind) {
				take(r.name, r.least[k.m.column()], s.from(), s.title()+". "+r.say)
				break
			}
		}
	}
	back, _, _ := k.number(FactMoneyFrozen)
	if net := moved - back; net >= takenUSD || net > 0 && k.m.HeldUSD > 0 && net >= takenShare*k.m.HeldUSD {
		take("funds_taken", 1, movedFrom, fmt.Sprintf("%s was taken and is not back.", USD(net)))
	}
	if v, from, _ := k.choice(FactMaliciousAccess); v == "yes" {
		take("intruder", 2, from, "Somebody got in who must not.")
	}
	if l, from, _ := k.list(FactCriticalService); len(l) > 0 {
		take("critical_service", 2, from, fmt.Sprintf("A critical service is hit: %s.", strings.Join(l, ", ")))
	}
	if a.Major != nil && a.Major.Answer == Yes {
		take("major", 2, From{Kind: FromAssumed, Name: "Regulation (EU) 2024/1772", At: k.At}, a.Major.Sentence)
	}
	for _, x := range a.Axes {
		if x.Points >= loneAxis && x.Weight > 0 {
			take("one_axis", 2, x.Reasons[0].From, fmt.Sprintf("The axis %s stands at %d: %s", x.Name, x.Points, x.Reasons[0].Sentence))
		}
	}
	k.left(take)
	return name, least, why
}

// Bounds of the rules that need no signal.
const (
	takenUSD   = 1e6  // taken and not back: SEV1
	takenShare = 0.01 // of what is held: SEV1
	loneAxis   = 90   // an axis this high makes SEV2 alone
)

// hold sets the advised severity: a worse one at once, a milder one after it has held for MilderAfter, and only while enough is known.
func (k known) hold(a *Assessment) {
	a.Severity = a.Moment
	b := k.Before
	if b == nil || b.Severity == "" || rank(a.Moment) <= rank(b.Severity) {
		return
	}
	since := b.MilderSince
	if since == 0 {
		since = a.At
	}
	if a.At-since >= MilderAfter && a.Sure {
		return
	}
	a.Severity, a.MilderSince = b.Severity, since
}

// asks are the facts that tell most about an axis, in order.
var asks = [AxisCount][]string{
	Services: {FactCriticalService, FactDowntime}, Users: {FactUsersAffected, FactUsersShare}, Money: {FactMoneyAtRisk, FactMoneyMoved},
	Regulatory: {FactMaliciousAccess, FactRegulators}, Sentiment: {FactPress, FactSentiment},
}

// missing are the facts that would narrow the range, of the weightiest unknown axis first, and a loss when none is known.
func (k known) missing(a Assessment) []string {
	axes := []int{0, 1, 2, 3, 4}
	slices.SortStableFunc(axes, func(x, y int) int { return cmp.Compare(a.Axes[y].Weight, a.Axes[x].Weight) })
	var out []string
	for _, i := range axes {
		if !a.Axes[i].Known && a.Axes[i].Weight > 0 {
			out = append(out, asks[i]...)
		}
	}
	if !a.Loss.Known {
		out = append(out, FactLossPerMinute)
	}
	return out
}

// Range says the score as a sentence: "62", "at least 62, at most 85".
func (a Assessment) Range() string {
	switch {
	case !a.Known:
		return "not known"
	case a.High > a.Score:
		return fmt.Sprintf("at least %d, at most %d", a.Score, a.High)
	}
	return fmt.Sprint(a.Score)
}

// Milder says why what is known now does not yet advise what it stands for; "" when it does.
func (a Assessment) Milder() string {
	switch {
	case a.MilderSince == 0:
		return ""
	case a.Sure:
		return fmt.Sprintf("The moment is milder (%s); that is advised when it has held for ten minutes.", a.Moment)
	}
	return fmt.Sprintf("What is known would be %s, but too little is known to advise it; not known: %s.", a.Moment, strings.Join(a.Unknown(), ", "))
}

// Unknown are the names of the axes that nobody knows anything about.
func (a Assessment) Unknown() []string {
	var out []string
	for _, x := range a.Axes {
		if !x.Known && x.Weight > 0 {
			out = append(out, x.Name)
		}
	}
	return out
}

// Top are the weightiest reasons over all axes, by what they do to the score; at most n. The rule's comes first.
func (a Assessment) Top(n int) []Reason {
	type weighed struct {
		Reason
		by float64
	}
	var all []weighed
	for _, x := range a.Axes {
		for _, r := range x.Reasons {
			if r.Points > 0 {
				all = append(all, weighed{r, x.Weight * math.Pow(float64(r.Points), power)})
			}
		}
	}
	slices.SortStableFunc(all, func(p, q weighed) int {
		return cmp.Or(cmp.Compare(q.by, p.by), strings.Compare(p.Sentence, q.Sentence))
	})
	var out []Reason
	if a.RuleReason != nil {
		out = append(out, *a.RuleReason)
	}
	for _, w := range all {
		out = append(out, w.Reason)
	}
	return out[:min(len(out), n)]
}
