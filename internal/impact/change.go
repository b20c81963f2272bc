package impact

import (
	"fmt"
	"math"
	"strings"
)

// What makes a change material.
const (
	axisMoved = 5   // points of an axis
	lossMoved = 0.2 // of what a minute costs
)

// key tells reasons apart: what they rest on, not their words.
func (r Reason) key(axis string) string {
	return axis + "\x00" + r.From.Kind + "\x00" + r.From.Name + "\x00" + r.From.Ref
}

func keyed(a Assessment) map[string]Reason {
	out := map[string]Reason{}
	for _, x := range a.Axes {
		for _, r := range x.Reasons {
			if k := r.key(x.Name); r.Points >= out[k].Points {
				out[k] = r
			}
		}
	}
	if a.RuleReason != nil {
		out[a.RuleReason.key("rule")] = *a.RuleReason
	}
	return out
}

// Material says that an assessment differs from the one recorded so much that it is recorded too: the advised or the momentary severity, the rule,
// an axis by 5 points, what a minute costs by a fifth, a reason that appeared or vanished, or what the answer to “major” is.
func Material(before, now Assessment) bool {
	if Urgent(before, now) || before.Known != now.Known || before.Rule != now.Rule || before.Preset != now.Preset || before.Loss.Known != now.Loss.Known {
		return true
	}
	for i := range now.Axes {
		if d := now.Axes[i].Points - before.Axes[i].Points; d >= axisMoved || d <= -axisMoved || now.Axes[i].Known != before.Axes[i].Known {
			return true
		}
	}
	if b := before.Loss.PerMinute; math.Abs(now.Loss.PerMinute-b) >= lossMoved*math.Max(b, 1) {
		return true
	}
	was, is := keyed(before), keyed(now)
	for k := range is {
		if _, ok := was[k]; !ok {
			return true
		}
	}
	for k := range was {
		if _, ok := is[k]; !ok {
			return true
		}
	}
	return len(before.Blast) != len(now.Blast)
}

// Urgent says that the change waits for no minute: a severity is another, or the answer to “major” is.
func Urgent(before, now Assessment) bool {
	return before.Severity != now.Severity || before.Moment != now.Moment || answer(before) != answer(now)
}

func answer(a Assessment) string {
	if a.Major == nil {
		return ""
	}
	return a.Major.Answer
}

// changes says as sentences what is different.
func changes(before, now Assessment) []string {
	var out []string
	say := func(format string, args ...any) {
		if len(out) < MaxChanges {
			out = append(out, shorten(fmt.Sprintf(format, args...), MaxSentence))
		}
	}
	if before.Severity != now.Severity && now.Severity != "" {
		switch {
		case before.Severity == "":
			say("%s is advised.", now.Severity)
		case rank(now.Severity) > rank(before.Severity):
			say("%s is advised, it was %s: it has been milder for ten minutes.", now.Severity, before.Severity)
		default:
			say("%s is advised, it was %s.", now.Severity, before.Severity)
		}
	}
	if now.MilderSince != 0 && !now.Sure && (before.MilderSince == 0 || before.Sure || before.Moment != now.Moment) {
		say("%s stays advised. %s", now.Severity, now.Milder())
	}
	if now.Rule != before.Rule {
		if now.RuleReason != nil {
			say("%s This alone makes it %s.", now.RuleReason.Sentence, severityFor(now.RuleReason.Points))
		} else if before.RuleReason != nil && rank(now.Moment) >= rank(before.Moment) {
			say("No longer: %s", before.RuleReason.Sentence)
		}
	} else if r, b := now.RuleReason, before.RuleReason; r != nil && b != nil && strings.Contains(r.Sentence, hasCleared) && !strings.Contains(b.Sentence, hasCleared) {
		say("%s", r.Sentence)
	}
	if a := answer(now); a != answer(before) && now.Major != nil {
		say("%s", now.Major.Sentence)
	}
	was := keyed(before)
	is := keyed(now)
	for i, x := range now.Axes {
		for _, r := range x.Reasons {
			old, had := was[r.key(x.Name)]
			switch {
			case !had:
				say("%s +%d: %s", x.Name, r.Points, r.Sentence)
			case is[r.key(x.Name)].Sentence == r.Sentence && (r.Points-old.Points >= axisMoved || old.Points-r.Points >= axisMoved):
				say("%s %d, was %d: %s", x.Name, r.Points, old.Points, r.Sentence)
			}
		}
		for _, r := range before.Axes[i].Reasons {
			if _, has := is[r.key(x.Name)]; !has && was[r.key(x.Name)].Sentence == r.Sentence {
				say("%s, no longer: %s", x.Name, r.Sentence)
			}
		}
	}
	switch b, n := before.Loss, now.Loss; {
	case n.Known && !b.Known:
		say("A minute costs %s.", USD(n.PerMinute))
	case math.Abs(n.PerMinute-b.PerMinute) >= lossMoved*math.Max(b.PerMinute, 1):
		say("A minute costs %s, it was %s.", USD(n.PerMinute), USD(b.PerMinute))
	}
	return out
}
