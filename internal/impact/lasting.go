package impact

import (
	"fmt"
	"slices"
	"strings"
)

// lasting says of a rule that its signals do not undo by clearing what they told. A reorganisation clears when the chain has gone on; what was
// credited on the branch that is gone stays credited. Only a fact answers that.
type lasting struct {
	rule string
	in   [7]bool // by preset; false: what clears is over there
	says string  // what a cleared signal leaves open
	// counted says that the amount that was taken is an answer too: from then on the money speaks for itself.
	counted bool
}

// lastings are read after all that is open, so that what happens now is named first.
var lastings = []lasting{
	{"funds_moving", [7]bool{true, true, true, true, true, true, true}, "what left has not been counted", true},
	{"ledger_rewritten", [7]bool{0: true, 1: true, 3: true, 6: true}, "what was credited or released on the branch that is gone has not been counted", true}, // a validator, a DeFi protocol and an L2 owe nothing outside their chain
	{"control_lost_much", [7]bool{true, true, true, true, true, true, true}, "nobody has explained why who holds it changed", false},
	{"control_lost", [7]bool{true, true, true, true, true, true, true}, "nobody has explained why who holds it changed", false},
	{"paid_to_attacker", [7]bool{0: true, 1: true, 3: true, 4: true, 5: true, 6: true}, "what was paid has not been counted", true},
}

// hasCleared stands in the reason of a rule that holds although its signal has cleared.
const hasCleared = ". It has cleared, but "

// left calls f for what cleared signals leave open: the rule, its least severity, what it rests on and the sentence, which ends with the answer that
// is waited for.
func (k known) left(f func(rule string, least int, from From, sentence string)) {
	for _, l := range lastings {
		if !l.in[k.m.column()] {
			continue
		}
		i := slices.IndexFunc(rules, func(r rule) bool { return r.name == l.rule })
		for _, s := range k.sigs {
			if s.Open || rank(s.Severity) > rules[i].from || !slices.Contains(rules[i].kinds, s.Kind) || k.answered(s, rules[i], l) {
				continue
			}
			ask := "State that no funds are moving."
			if l.counted {
				ask = "State the money that moved, 0 for none, or that no funds are moving."
			}
			f(l.rule, rules[i].least[k.m.column()], s.from(), fmt.Sprintf("%s%s%s. %s", shorten(s.title(), 100), hasCleared, l.says, ask))
			break
		}
	}
}

// answers are the facts that a rule waits for when it holds although its signal has cleared; those that are asked for anyway are taken off that list.
func (k known) answers(a *Assessment) (out []string) {
	i := slices.IndexFunc(lastings, func(l lasting) bool { return l.rule == a.Rule })
	if i < 0 || !strings.Contains(a.RuleReason.Sentence, hasCleared) {
		return nil
	}
	if lastings[i].counted {
		out = append(out, FactMoneyMoved)
	}
	out = append(out, FactFundsMoving)
	a.Missing = slices.DeleteFunc(a.Missing, func(f string) bool { return slices.Contains(out, f) })
	return out
}

// answered says that what a cleared signal leaves open was answered since it began: by what was stated, or by what is measured. That no funds are
// moving explains what says they move whenever it was stated, as for open signals.
func (k known) answered(s Signal, r rule, l lasting) bool {
	if v, from, _ := k.choice(FactFundsMoving); v == "no" && (r.moving || from.At >= s.OpenedAt) {
		return true
	}
	_, from, ok := k.number(FactMoneyMoved)
	return l.counted && ok && from.At >= s.OpenedAt
}
