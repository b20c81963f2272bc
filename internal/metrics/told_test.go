package metrics

import (
	"math"
	"testing"
)

// What JSON has no number for comes through, and what belongs together stays so.
func TestToldValues(t *testing.T) {
	alerts := func(values ...float64) (out []RuleAlert) {
		for _, v := range values {
			out = append(out, RuleAlert{Alert: Alert{Name: "A", Value: v}})
		}
		return out
	}
	in := Ruling{Here: true, Files: 2, Groups: []RuleGroup{{Name: "g", Rules: []Rule{{Name: "A", Alerts: alerts(math.NaN(), 1)}, {Name: "R"}, {Name: "B", Alerts: alerts(math.Inf(1))}}}, {Name: "h", Rules: []Rule{{Name: "C", Alerts: alerts(-0.25)}}}}}
	said, err := EncodeTold(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := DecodeTold(said)
	if err != nil {
		t.Fatal(err)
	}
	r := out.Groups[0].Rules
	if out.Here || out.Files != 2 || !math.IsNaN(r[0].Alerts[0].Value) || r[0].Alerts[1].Value != 1 || len(r[1].Alerts) != 0 || !math.IsInf(r[2].Alerts[0].Value, 1) || out.Groups[1].Rules[0].Alerts[0].Value != -0.25 {
		t.Errorf("%+v", out)
	}
	if !math.IsNaN(in.Groups[0].Rules[0].Alerts[0].Value) {
		t.Error("what was told has changed")
	}
	for _, bad := range []string{"", "x", "[]", `{"ruling":{"Groups":[{"Rules":[{"Alerts":[{}]}]}]}}`, `{"ruling":{"Groups":[{"Rules":[{"Alerts":[{}]}]}]},"values":["many"]}`} {
		if _, err := DecodeTold([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// FuzzTold: what another replica tells is read or refused.
func FuzzTold(f *testing.F) {
	f.Add([]byte(`{"ruling":{"Groups":[{"Name":"g","Rules":[{"Name":"A","Alerting":true,"Active":2,"Alerts":[{"Name":"A"}]}]}]},"values":["1"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeTold(b)
		if err != nil {
			return
		}
		r := &Rules{}
		r.current.Store(&ruleSet{})
		r.Hear(&got)
		out, err := r.Ruling(RuleAsk{})
		if err != nil || !out.Told {
			t.Fatalf("%v", err)
		}
		EncodeRules(out)
	})
}
