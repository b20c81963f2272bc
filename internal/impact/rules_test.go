package impact

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryKindIsWeighed holds the tables against the list of findings: a kind of ours that the score takes for a foreign alert is a mistake.
func TestEveryKindIsWeighed(t *testing.T) {
	raw, err := os.ReadFile("../../docs/findings.md")
	if err != nil {
		t.Fatal(err)
	}
	others := []string{"anomaly", "weak_anomaly", "missing_data", "combined", "too_many", "forecast"}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_0-9]+)` \\|").FindAllStringSubmatch(string(raw), -1) {
		listed[m[1]] = true
		if (classOf(m[1]) == other) != slices.Contains(others, m[1]) {
			t.Errorf("%s is of class %d", m[1], classOf(m[1]))
		}
	}
	if len(listed) < 50 {
		t.Fatalf("only %d kinds are listed; this would prove nothing", len(listed))
	}
	for _, list := range kindsOf {
		for _, k := range list {
			if !listed[k] {
				t.Errorf("%s is weighed, and nothing finds it", k)
			}
		}
	}
	for _, r := range rules {
		for _, k := range r.kinds {
			if !listed[k] {
				t.Errorf("rule %s goes by %s, which nothing finds", r.name, k)
			}
		}
		if r.say == "" || r.source == "" || r.from < 1 || r.from > 4 {
			t.Errorf("rule %s says not what it means or where it comes from", r.name)
		}
	}
}

func TestScalesAscend(t *testing.T) {
	for i, s := range []scale{byShare, byUsers, byPartners, byMoney, byHeldShare, byLoss, byDowntime} {
		last := 0.0
		for v := 0.01; v < 1e12; v *= 1.07 {
			p := s.at(v)
			if p < last || p > 100 {
				t.Fatalf("scale %d gives %v at %v after %v", i, p, v, last)
			}
			last = p
		}
		for _, r := range s.rows {
			if d := s.at(r[0]) - r[1]; d > 1e-9 || d < -1e-9 {
				t.Errorf("scale %d gives %v at %v, not %v", i, s.at(r[0]), r[0], r[1])
			}
		}
	}
	for p, w := range weightsOf {
		sum := 0.0
		for _, x := range w {
			sum += x
		}
		if sum < 0.999999 || sum > 1.000001 || !slices.Contains(Presets(), p) {
			t.Errorf("the weights of %s sum to %v", p, sum)
		}
	}
}

func TestAdvice(t *testing.T) {
	next := func(v Advice, sev string, at int64, sure bool) Advice {
		return v.Next(Assessment{Severity: sev, At: at, Sure: sure})
	}
	v := next(Advice{}, "SEV3", 1, false)
	if v.Speaks("SEV2", v.Severity) || !v.Speaks("SEV4", v.Severity) || v.Speaks("SEV3", v.Severity) {
		t.Errorf("milder advice speaks only when enough is known: %+v", v)
	}
	if v.Speaks("SEV4", "SEV5") || v.Speaks("SEV4", "SEV4") || !v.Speaks("SEV5", "SEV4") {
		t.Errorf("worse advice that waits to fall speaks against what is set by the moment: %+v", v)
	}
	v = next(v, "SEV3", 2, true)
	if !v.Speaks("SEV2", v.Severity) || v.Since != 1 {
		t.Errorf("enough is known now: %+v", v)
	}
	v = v.Decline("person:ana", "a test network", 3)
	if v.Speaks("SEV4", v.Severity) || v.Speaks("SEV2", v.Severity) {
		t.Errorf("declined advice speaks: %+v", v)
	}
	if v = next(v, "SEV4", 4, true); v.Speaks("SEV2", v.Severity) {
		t.Errorf("milder than what was declined speaks: %+v", v)
	}
	if v = next(v, "SEV3", 5, true); v.Speaks("SEV4", v.Severity) {
		t.Errorf("what was declined speaks again: %+v", v)
	}
	if v = next(v, "SEV2", 6, false); !v.Speaks("SEV3", v.Severity) || v.Declined != "" || v.Reason != "" {
		t.Errorf("worse than what was declined is silent: %+v", v)
	}
}

// TestClearingCountsNothing: what the log established does not vanish with the signal. It stays until somebody answers it, and an answer that is
// older than the signal is none.
func TestClearingCountsNothing(t *testing.T) {
	const hour = 3_600_000
	stated := func(name, value string, at int64) []Fact { return []Fact{{Name: name, Value: value, At: at}} }
	for _, c := range []struct {
		kind, severity, preset string
		facts                  []Fact
		rule                   string
	}{
		{"reorg", "SEV1", Exchange, nil, "ledger_rewritten"},
		{"reorg", "SEV1", Custodian, nil, "ledger_rewritten"},
		{"attack", "SEV1", Bridge, nil, "ledger_rewritten"},
		{"reorg", "SEV1", DORA, nil, "ledger_rewritten"},
		{"reorg", "SEV1", DeFi, nil, ""}, // it owes nothing outside the chain
		{"reorg", "SEV1", L2, nil, ""},
		{"reorg", "SEV1", Validator, nil, ""},
		{"reorg", "SEV2", Exchange, nil, ""}, // not past the confirmations
		{"reorg", "SEV1", Exchange, stated(FactMoneyMoved, "0", 3*hour), ""},
		{"reorg", "SEV1", Exchange, stated(FactFundsMoving, "no", 3*hour), ""},
		{"reorg", "SEV1", Exchange, stated(FactFundsMoving, "no", hour), "ledger_rewritten"}, // said before it began
		{"reorg", "SEV1", Exchange, stated(FactMoneyMoved, "0", hour), "ledger_rewritten"},
		{"reorg", "SEV1", Exchange, stated(FactPress, "none", 3*hour), "ledger_rewritten"},
		{"double_spend", "SEV1", Validator, nil, "funds_moving"},
		{"double_spend", "SEV1", Exchange, stated(FactMoneyMoved, "10000", 3*hour), ""},
		{"bridge_drain", "SEV1", DeFi, stated(FactFundsMoving, "no", hour), ""}, // explained, whatever signals say
		{"control_change", "SEV2", Custodian, nil, "control_lost"},
		{"control_change", "SEV1", Bridge, stated(FactMoneyMoved, "0", 3*hour), "control_lost_much"}, // that nothing left yet explains nothing
		{"control_change", "SEV1", Bridge, stated(FactFundsMoving, "no", 3*hour), ""},
		{"paid_to_flagged", "SEV2", Custodian, nil, "paid_to_attacker"},
		{"finality", "SEV1", Validator, nil, ""}, // it is final again
		{"stall", "SEV1", L2, nil, ""},
		{"depeg", "SEV1", DeFi, nil, ""},
	} {
		s := Signal{ID: "s", Kind: c.kind, Severity: c.severity, Title: "It happened.", OpenedAt: 2 * hour, At: 4 * hour}
		a := Assess(Model{Preset: c.preset}, Input{At: 5 * hour, Began: 2 * hour, Signals: []Signal{s}, Facts: c.facts})
		if a.Rule != c.rule {
			t.Errorf("%s %s cleared at a %s with %+v: rule %q, expected %q", c.kind, c.severity, c.preset, c.facts, a.Rule, c.rule)
		}
		if a.Rule != "" && (!strings.Contains(a.RuleReason.Sentence, hasCleared) || !strings.Contains(a.RuleReason.Sentence, "State ") || a.RuleReason.From.Ref != "s") {
			t.Errorf("%s says not what it waits for: %+v", a.Rule, a.RuleReason)
		}
		if first := map[bool]string{true: FactFundsMoving, false: FactMoneyMoved}[strings.HasPrefix(c.rule, "control_")]; a.Rule != "" && (len(a.Missing) == 0 || a.Missing[0] != first) {
			t.Errorf("%s asks for %q, not for %s first", a.Rule, a.Missing, first)
		}
	}
	for _, l := range lastings {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.name == l.rule })
		if i < 0 {
			t.Fatalf("no rule %s", l.rule)
		}
		for p, in := range l.in {
			if in && rules[i].least[p] == 0 {
				t.Errorf("%s lasts for %s, and says nothing there", l.rule, Presets()[p])
			}
		}
	}
	measured := Input{At: 5 * hour, Signals: []Signal{{ID: "s", Kind: "reorg", Severity: "SEV1", OpenedAt: 2 * hour}}, Readings: []Reading{{Name: FactMoneyMoved, Value: 0, Query: "q", At: 5 * hour}}}
	if a := Assess(Model{Preset: Exchange}, measured); a.Rule != "" {
		t.Errorf("what is measured counts: %q", a.Rule)
	}
}
