package main

import (
	"github.com/a-h/templ"

	"github.com/tocsin-ops/tocsin/views"
)

// impactPages are the page of an incident's impact, and rooms with it in its states.
func impactPages() map[string]templ.Component {
	agree, unknown, over := roomPage(), newRoom(), resolvedRoom()
	agree.Impact = impacts()
	agree.Impact.Says, agree.Impact.Actions, agree.Impact.Set = "", nil, "SEV1"
	agree.Impact.Declined = "Jonas Keller declined SEV1: the outflow is our own migration to the new vault"
	unknown.Impact = views.Impact{Number: 42, Set: "SEV3", Missing: factAsks()}
	over.Impact = impacts()
	over.Impact.Over, over.Impact.Says, over.Impact.Actions, over.Impact.Missing, over.Impact.Blast = true, "", nil, nil, nil
	page := impactPage(impacts())
	refused := impactPage(impacts())
	refused.Problem, refused.Value = "Money moved: \"1,5\" is not a number that can be read. Write it as $16.6M.", "1,5"
	none := impactPage(views.Impact{Number: 42, Set: "SEV3"})
	long := impacts()
	for range 3 {
		long.Reasons = append(long.Reasons, long.Reasons...)
		long.Blast = append(long.Blast, long.Blast...)
	}
	long.Reasons = append(long.Reasons, views.ImpactReason{Axis: "Money", Points: 41, Sentence: "Eine-Ueberlange-Kennung-ohne-Leerzeichen-" + thief + thief + thief + ": $41 M so far.", From: views.ImpactSource{Text: "measured: sum by (bridge) (rate(tocsin_bridge_outflow_usd{bridge=\"nomad\",chain=~\"ethereum|moonbeam\"}[5m])) > 0", At: ago(m)}})
	held := impacts()
	held.Says, held.Actions, held.Set, held.Score, held.Reasons = "", nil, "SEV1", 80, nil
	held.Rule = "Reorg of 157 blocks, past the confirmations of deposits. It has cleared, but what was credited or released on the branch that is gone has not been counted. State the money that moved, 0 for none, or that no funds are moving."
	waits := held
	waits.Rule, waits.Score, waits.Set, waits.Trend, waits.Loss, waits.Blast = "", 0, "SEV3", nil, views.ImpactLoss{}, nil
	waits.Axes = []views.ImpactAxis{{Name: "services", Title: "Services", Known: true, Word: "none"}, {Name: "users", Title: "Users"}, {Name: "money", Title: "Money"}, {Name: "regulatory", Title: "Regulatory"}, {Name: "sentiment", Title: "Sentiment"}}
	waits.Milder = "What is known would be SEV5, but too little is known to advise it; not known: users, money, regulatory, sentiment."
	return map[string]templ.Component{
		"impact-cleared":      views.ImpactView(impactPage(held)),
		"impact-waits":        views.ImpactView(impactPage(waits)),
		"room-impact-agrees":  views.IncidentView(agree),
		"room-impact-unknown": views.IncidentView(unknown),
		"room-impact-over":    views.IncidentView(over),
		"impact":              views.ImpactView(page),
		"impact-refused":      views.ImpactView(refused),
		"impact-none":         views.ImpactView(none),
		"impact-long":         views.ImpactView(impactPage(long)),
	}
}

func factAsks() []views.Action {
	ask := func(title, fact string) views.Action {
		return views.Action{Label: title + " …", Command: "set_fact", Args: map[string]any{"fact": fact}, Ask: title + "?", Need: "value"}
	}
	return []views.Action{ask("Funds are moving", "funds_moving"), ask("Users affected", "users_affected"), ask("Critical services hit", "critical_services")}
}

func impacts() views.Impact {
	signal := views.ImpactSource{Text: "signal", Href: "/signals/s1", At: ago(6 * m)}
	said := views.ImpactSource{Text: "said by Ana Ruiz", At: ago(12 * m)}
	measured := views.ImpactSource{Text: "measured: sum(bridge_outflow_usd)", At: ago(20 * s)}
	return views.Impact{
		Number: 42, Known: true, Score: 86, High: 93, At: ago(20 * s), Advised: "SEV1", Set: "SEV2",
		Says: "The score stands for SEV1; SEV2 is set.",
		Rule: "5.4 % of the bridge's value left in 5 min. Funds are moving, and nobody explains it.", RuleFrom: signal,
		Actions: []views.Action{{Label: "Follow", Command: "follow_advice", Tone: "main"}, {Label: "Decline", Command: "decline_advice", Ask: "Why does SEV2 stay?", Need: "reason"}},
		Trend:   []float64{12, 12, 55, 55, 62, 62, 80, 80, 85, 86}, TrendTo: "from 12 to 86 in 41 m",
		Axes: []views.ImpactAxis{
			{Name: "services", Title: "Services", Known: true, Points: 90, Word: "grave", Weight: "20 %"}, {Name: "users", Title: "Users", Known: true, Points: 50, Word: "much", Weight: "10 %"},
			{Name: "money", Title: "Money", Known: true, Points: 92, Word: "grave", Weight: "50 %"}, {Name: "regulatory", Title: "Regulatory", Weight: "5 %"},
			{Name: "sentiment", Title: "Sentiment", Known: true, Points: 35, Word: "much", Weight: "15 %"},
		},
		Reasons: []views.ImpactReason{
			{Axis: "Money", Points: 90, Sentence: "$16.6 M was taken.", From: measured}, {Axis: "Services", Points: 90, Sentence: "Nomad bridge: outflow 5.4 % of TVL in 5 min (SEV1).", From: signal},
			{Axis: "Money", Points: 83, Sentence: "8.7 % of the $191 M held is gone.", From: measured}, {Axis: "Users", Points: 50, Sentence: "Nomad bridge has 15,000 users; it is assumed that all feel it.", From: views.ImpactSource{Text: "assumed, impact.services.nomad"}},
			{Axis: "Sentiment", Points: 35, Sentence: "Social media talk about it.", From: said},
		},
		Loss: views.ImpactLoss{Known: true, PerMinute: "$2,000", Range: "$1,000 to $5,000", Sum: "$82,000", SumAt: ago(38 * s), Assumption: "Assumed: $2,000 a minute while Withdrawals is affected, from the configuration.", From: views.ImpactSource{Text: "assumed, impact.services.Withdrawals"},
			Parts: []views.ImpactPart{{Service: "Withdrawals", PerMinute: "$1,700", From: views.ImpactSource{Text: "assumed, impact.services.Withdrawals"}}, {Service: "Nomad bridge", PerMinute: "$300", From: measured}}},
		Blast: []views.ImpactHit{
			{Service: "Nomad bridge", Now: true, At: ago(41 * m), Reason: "Outflow 5.4 % of TVL in 5 min."},
			{Service: "Lending", Likely: "67 %", At: in(5 * m), Reason: "It depends on Nomad bridge: 67 % likely to be felt in about 5 min; the service graph says so; no incident of the past has shown it yet."},
		},
		Missing: []views.Action{{Label: "Malicious access …", Command: "set_fact", Args: map[string]any{"fact": "malicious_access"}, Ask: "Malicious access?", Need: "value"}, {Label: "Regulators to be told …", Command: "set_fact", Args: map[string]any{"fact": "regulators"}, Ask: "Regulators?", Need: "value"}},
		Facts: []views.ImpactFact{
			{Name: "press_coverage", Title: "Press coverage", Value: "social", By: "Ana Ruiz", At: ago(12 * m), Clear: views.Action{Label: "Take back", Command: "clear_fact", Args: map[string]any{"fact": "press_coverage"}}},
		},
	}
}

func impactPage(i views.Impact) views.ImpactPage {
	p := views.ImpactPage{Base: base("Impact of #42", "incidents", "incident/42"), Title: "Nomad bridge: outflow 5.4 % of TVL in 5 min", Status: "mitigating", Impact: i, State: true,
		Choices: []views.FactChoice{
			{Name: "users_affected", Title: "Users affected", Help: "How many clients cannot do what they came for, or lost something.", Example: "12,000"},
			{Name: "money_moved_usd", Title: "Money moved", Help: "What was taken or left without a right to, in dollars.", Example: "$16.6M", Chosen: true},
			{Name: "funds_moving", Title: "Funds are moving", Help: "Yes while value leaves that nobody explains. No says that it is explained or has been stopped, whatever signals say.", Example: "yes"},
		}}
	if !i.Known {
		return p
	}
	p.Impact.Major = &views.ImpactMajor{Answer: "unknown", Sentence: "Major: not yet known, because one of the six criteria is met and it is not known: malicious access, clients, counterparts and transactions.",
		Criteria: []views.ImpactCriterion{{Name: "critical services", Article: "6, 8(1)", Met: "yes", Sentence: "Critical services are hit: withdrawals."}, {Name: "malicious access", Article: "9(5)(b)", Met: "unknown", Sentence: "Nobody said whether somebody got in."},
			{Name: "member states", Article: "9(4)", Met: "no", Sentence: "Fewer than two member states are affected."}, {Name: "economic impact", Article: "9(6)", Met: "yes", Sentence: "Costs and losses are EUR 16,600,000, more than 100,000."}}}
	p.Impact.Changes = []views.ImpactEvent{
		{At: ago(20 * s), Score: "at least 86, at most 93", Severity: "SEV1", PerMinute: "$2,000", Changes: []string{"money +90: $16.6 M was taken.", "money +83: 8.7 % of the $191 M held is gone."}},
		{At: ago(12 * m), Score: "at least 81, at most 90", Severity: "SEV1", PerMinute: "$2,000", Changes: []string{"sentiment +35: Social media talk about it."}},
		{At: ago(20 * m), Redacted: true},
		{At: ago(40 * m), Score: "at least 80, at most 88", Severity: "SEV1", PerMinute: "$2,000", Changes: []string{"SEV1 is advised, it was SEV4.", "5.4 % of the bridge's value left in 5 min. Funds are moving, and nobody explains it. This alone makes it SEV1."}},
		{At: ago(41 * m), Score: "at least 12, at most 93", Severity: "SEV5"},
	}
	p.More = 3
	return p
}
