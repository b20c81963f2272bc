package metrics

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// told is a Ruling as one replica tells it to the others. Values of alerts stand apart, in the order of the alerts: JSON has no NaN and no infinity.
type told struct {
	Ruling Ruling   `json:"ruling"`
	Values []string `json:"values"`
}

// EncodeTold is what the others are told of rules that are evaluated here.
func EncodeTold(r Ruling) ([]byte, error) {
	t := told{Ruling: r}
	t.Ruling.Groups = make([]RuleGroup, len(r.Groups))
	for i, g := range r.Groups {
		rules := make([]Rule, len(g.Rules))
		for k, x := range g.Rules {
			alerts := make([]RuleAlert, len(x.Alerts))
			for n, a := range x.Alerts {
				t.Values = append(t.Values, strconv.FormatFloat(a.Value, 'g', -1, 64))
				a.Value = 0
				alerts[n] = a
			}
			x.Alerts = alerts
			rules[k] = x
		}
		g.Rules = rules
		t.Ruling.Groups[i] = g
	}
	b, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode the rules for other replicas: %w", err)
	}
	return b, nil
}

// DecodeTold reads what EncodeTold wrote, of this version of the program or one like it. Other text is an error.
func DecodeTold(b []byte) (Ruling, error) {
	var t told
	if err := json.Unmarshal(b, &t); err != nil {
		return Ruling{}, fmt.Errorf("decode the rules of another replica: %w", err)
	}
	n := 0
	for _, g := range t.Ruling.Groups {
		for _, x := range g.Rules {
			for i := range x.Alerts {
				if n >= len(t.Values) {
					return Ruling{}, errors.New("decode the rules of another replica: alerts without a value")
				}
				v, err := strconv.ParseFloat(t.Values[n], 64)
				if err != nil {
					return Ruling{}, fmt.Errorf("decode the rules of another replica: %w", err)
				}
				x.Alerts[i].Value, n = v, n+1
			}
		}
	}
	t.Ruling.Here = false
	return t.Ruling, nil
}

// Hear takes what the replica that evaluates says of the rules, nil when none says anything any more. It is what Ruling answers while nothing is
// evaluated here. The caller does not change it afterwards.
func (r *Rules) Hear(said *Ruling) { r.heard.Store(said) }
