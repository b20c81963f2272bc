package main

import (
	"fmt"

	"github.com/a-h/templ"

	"github.com/tocsin-ops/tocsin/views"
)

// pastPages are the queue by cost, what was learned, and rooms with what past incidents say.
func pastPages() map[string]templ.Component {
	quiet := roomPage()
	quiet.Precedent = views.Precedent{Number: 42, On: true, Silence: "None of the 31 resolved incidents is like this one."}
	learning := learningPage()
	silent := learningPage()
	silent.Closed, silent.Unlabelled, silent.Times = 22, 15, silent.Times[:2]
	silent.Models = []views.LearnedModel{
		{Target: "category", Sentence: "Too little to learn from: 7 resolved incidents could be foretold so far, 30 are needed. It stays silent.", Tested: 7,
			Figures: []views.Foretold{{Name: "the model", Right: "29 %", Interval: "8 to 64 %", F1: "0.18", Of: 7, Main: true}, {Name: "always the most common one", Right: "43 %", Interval: "16 to 75 %", F1: "0.20", Of: 7}},
			Classes: []string{"infrastructure"}, Confusion: []views.ConfusionRow{{Truth: "infrastructure", Cells: []views.ConfusionCell{{N: 2, Level: 4, Right: true}}}}},
		{Target: "severity", Sentence: "No better than always saying SEV3 (34 % against 43 %): it stays silent."},
	}
	b := base("Queue", "queue", "queue")
	mine := costQueue(6)
	declare := views.DeclarePage{Base: base("Declare an incident", "incidents"), Title: "Withdrawals from the bridge without a proof"}
	return map[string]templ.Component{
		"queue":            views.QueueView(views.QueuePage{Base: b, Teams: []string{"team-front"}, Queue: costQueue(9)}),
		"queue-mine":       views.QueueView(views.QueuePage{Base: b, Show: "mine", Queue: mine}),
		"queue-team-none":  views.QueueView(views.QueuePage{Base: b, Show: "team", Queue: mine}),
		"queue-empty":      views.QueueView(views.QueuePage{Base: b}),
		"queue-overflow":   views.QueueView(views.QueuePage{Base: b, Queue: overfull()}),
		"learning":         views.LearningView(learning),
		"learning-silent":  views.LearningView(silent),
		"learning-empty":   views.LearningView(views.LearningPage{Base: base("Learning", "learning"), Least: 8, Recovery: recovers, Models: []views.LearnedModel{{Target: "category", Sentence: "Too little to learn from: 0 resolved incidents could be foretold so far, 30 are needed. It stays silent."}, {Target: "severity", Sentence: "Too little to learn from: 0 resolved incidents could be foretold so far, 30 are needed. It stays silent."}}}),
		"room-past":        views.IncidentView(pastRoom()),
		"room-past-silent": views.IncidentView(quiet),
		"declare-past":     views.DeclareView(declare),
	}
}

const recovers = "An expected recovery in a room is made from what resolved incidents like it took, of those that lasted at least as long already; open ones count for as long as they have lasted. Its range is meant to hold the truth 8 times of 10."

func precedents() views.Precedent {
	category := act("Use it", "set_category", map[string]any{"category": "bridge_fault"})
	return views.Precedent{
		Number: 42, On: true, Foretold: true, Recovery: "likely 40 m to 3 h more (from 12 resolved like it)",
		Hints: []views.Hint{{Target: "category", Value: "bridge_fault", Words: "bridge fault", Likely: "likely, 82 %", Because: "signal kind bridge drain, word “proof”, component deposits", Use: &category}},
		Similar: []views.SimilarRow{
			{Number: 31, Title: "Relayer of the Nomad bridge stuck, deposits not credited", Severity: "SEV2", Category: "bridge fault", Likeness: "61 % alike", Why: "same signal kind bridge drain; same components deposits, withdrawals; words proof, relayer", Done: "We stop crediting deposits from Nomad · Restart the relayer · Checked: escrow and minted agree for an hour", Took: "resolved after 2 h 40 m"},
			{Number: 12, Title: "Wormhole: minted without deposit", Severity: "SEV1", Category: "exploit", Drill: true, Likeness: "44 % alike", Why: "same signal kind bridge drain; words bridge, minted", Done: "Paused the bridge · Asked the exchanges to freeze", Took: "resolved after 6 h"},
			{Number: 40, Title: "Moonbeam deposits wait for confirmation", Severity: "SEV3", Open: true, Likeness: "29 % alike", Why: "same chain moonbeam; word deposit", Took: "open for 3 h 10 m"},
		},
	}
}

func pastRoom() views.IncidentPage {
	p := roomPage()
	p.Precedent = precedents()
	return p
}

func costQueue(n int) views.CostQueue {
	claim, have := act("Claim", "claim", nil), act("I have it", "acknowledge", nil)
	claim.On, have.On = 42, 42
	rows := []views.CostRow{
		{ID: "queue-incident-42", Number: 42, Href: "/incidents/42", Title: nomad, Severity: "SEV1", Status: "mitigating", Since: ago(41 * m), Cost: "$9.8 million", Reason: "$82,000 a minute × likely 2 h more = $9.8 million", Team: "Front line", TeamID: "team-front", Claimed: "Ana Ruiz", Mine: []string{"ana", "li"}, Paging: "Ana Ruiz has it"},
		{ID: "queue-incident-43", Number: 43, Href: "/incidents/43", Title: "Polygon PoS: 157 blocks replaced", Severity: "SEV2", Status: "declared", Since: ago(4 * m), Cost: "$160,000", Reason: "$2,000 a minute × likely 1 h 20 m more = $160,000", Team: "Protocol", TeamID: "team-protocol", Paging: "paging Li Wei and Sam Oduya", Mine: []string{"li", "sam"}, Claim: &claim, Have: &have},
		{ID: "queue-incident-39", Number: 39, Href: "/incidents/39", Title: "Custodian API answers slowly; withdrawals above 50,000 $ wait for a second signature that does not come", Severity: "SEV2", Status: "investigating", Since: ago(190 * m), Cost: "$120,000", Assumed: true, Reason: "$1,000 a minute (assumed for SEV2) × 2 h more (assumed) = $120,000", Paging: "paged everybody, nobody came", Unmanned: true, Claim: &claim, Have: &have},
		{ID: "queue-signal-1", Href: "/signals/detect-0b", Title: "hot-wallet-2 is below its floor in 3 h 20 min if it goes on so", Severity: "SEV3", Status: "signal of Detectors", Since: ago(12 * m), Cost: "$12,000", Assumed: true, Reason: "$100 a minute (assumed for SEV3) × 2 h more (assumed) = $12,000"},
		{ID: "queue-incident-40", Number: 40, Href: "/incidents/40", Title: "Moonbeam deposits wait for confirmation", Severity: "SEV3", Status: "monitoring", Since: ago(3*h + 10*m), Cost: "$3,200", Reason: "$40 a minute × likely 1 h 20 m more = $3,200", Team: "Treasury", TeamID: "team-treasury", Claimed: "Priya Nair", Mine: []string{"priya"}, Paging: "Priya Nair has it"},
		{ID: "queue-incident-44", Number: 44, Href: "/incidents/44", Title: "Nomad bridge, as it was", Severity: "SEV1", Status: "investigating", Drill: true, Since: ago(20 * m), Reason: "A drill: it costs nothing, and comes after what is real.", Paging: "nobody paged", Claim: &claim, Have: &have},
	}
	q := views.CostQueue{Rows: rows[:min(n, len(rows))], PerMinute: "$84,000"}
	for _, r := range q.Rows {
		if r.Number > 0 {
			q.Incidents++
		} else {
			q.Signals++
		}
	}
	return q
}

func overfull() views.CostQueue {
	q := costQueue(6)
	for n := range 60 {
		r := q.Rows[2+n%3]
		r.ID, r.Drill = fmt.Sprintf("queue-more-%d", n), false
		q.Rows = append(q.Rows, r)
	}
	q.More, q.Incidents, q.Signals = 41, 47, 60
	return q
}

func learningPage() views.LearningPage {
	p := views.LearningPage{Base: base("Learning", "learning"), Closed: 612, Open: 5, Drills: 14, Unlabelled: 12, Least: 8, Categories: "exploit, key_compromise, consensus_fault, bridge_fault, oracle_fault, market, infrastructure, third_party, human_error, other", Recovery: recovers}
	ours, common := []float64{62, 70, 74, 82, 86, 78, 80, 84, 72, 78, 82, 84}, []float64{32, 44, 14, 32, 24, 46, 28, 28, 34, 30, 24, 16}
	c := views.LearnedModel{
		Target: "category", Speaks: true, Tested: 595, Span: "2021-01-04 to 2021-08-17, 50 incidents a point",
		Sentence: "It foretold 78 % of 595 incidents (74 % to 81 %), where always saying the most common one, now infrastructure, was right in 29 %.",
		Figures:  []views.Foretold{{Name: "the model", Right: "78 %", Interval: "74 to 81 %", F1: "0.61", Of: 595, Main: true}, {Name: "always the most common one", Right: "29 %", Interval: "25 to 32 %", F1: "0.04", Of: 595}, {Name: "the model, where it was sure enough to speak", Right: "87 %", Interval: "84 to 90 %", Of: 475}},
		Classes:  []string{"infrastructure", "third party", "consensus fault", "human error", "market", "oracle fault", "bridge fault", "exploit", "key compromise", "other"},
		Says:     "Per cent right in each stretch of time, oldest first. The model: 62, 70, 74, 82, 86, 78, 80, 84, 72, 78, 82, 84. Always the most common one: 32, 44, 14, 32, 24, 46, 28, 28, 34, 30, 24, 16.",
	}
	table := [][]int{{159, 3, 1, 1, 2, 0, 4, 0, 0, 0}, {7, 88, 4, 2, 1, 0, 0, 1, 0, 0}, {11, 0, 75, 1, 2, 1, 2, 0, 0, 0}, {9, 2, 1, 59, 2, 1, 0, 0, 0, 0}, {5, 0, 6, 2, 24, 2, 0, 0, 0, 0}, {7, 0, 1, 4, 4, 16, 2, 1, 0, 0}, {7, 1, 0, 2, 0, 2, 21, 0, 0, 0}, {4, 1, 1, 1, 2, 1, 1, 19, 0, 0}, {5, 0, 2, 2, 0, 0, 0, 1, 2, 0}, {1, 1, 2, 1, 0, 0, 0, 0, 2, 0}}
	for i, row := range table {
		sum := 0
		for _, n := range row {
			sum += n
		}
		r := views.ConfusionRow{Truth: c.Classes[i]}
		for j, n := range row {
			cell := views.ConfusionCell{N: n, Right: i == j}
			if n > 0 {
				cell.Level = 1 + min(3, 4*n/(sum+1))
			}
			r.Cells = append(r.Cells, cell)
		}
		c.Confusion = append(c.Confusion, r)
	}
	for i := range ours {
		c.Stretches = append(c.Stretches, views.Stretch{Model: ours[i], Baseline: common[i]})
	}
	sev := c
	sev.Target, sev.Speaks, sev.Sentence = "severity", false, "No better than always saying SEV3 (35 % against 35 %): it stays silent."
	sev.Figures = []views.Foretold{{Name: "the model", Right: "35 %", Interval: "31 to 39 %", F1: "0.17", Of: 595, Main: true}, {Name: "always the most common one", Right: "35 %", Interval: "32 to 39 %", F1: "0.14", Of: 595}, {Name: "people, when they declared it", Right: "80 %", Interval: "76 to 83 %", Of: 595}}
	sev.Classes, sev.Confusion = []string{"SEV3", "SEV4", "SEV2", "SEV1", "SEV5"}, nil
	sev.Stretches = nil
	for i := range common {
		sev.Stretches = append(sev.Stretches, views.Stretch{Model: common[i] + float64(i%3) - 1, Baseline: common[i]})
	}
	p.Models = []views.LearnedModel{c, sev}
	cell := func(median, span string, x, w, m float64) views.TimesCell {
		return views.TimesCell{Of: 40, Median: median, Range: span, X: x, W: w, M: m}
	}
	p.Times = []views.TimesRow{
		{Category: "infrastructure", Incidents: 171, Cells: []views.TimesCell{cell("12 m", "4 m to 21 m", 0, 18, 10), cell("1 h", "20 m to 3 h 40 m", 17, 35, 33), cell("1 h 10 m", "25 m to 4 h 20 m", 21, 34, 36)}},
		{Category: "bridge fault", Incidents: 33, Cells: []views.TimesCell{cell("11 m", "3 m to 20 m", 0, 17, 9), cell("4 h 10 m", "1 h 20 m to 16 h", 38, 36, 53), cell("5 h 10 m", "1 h 35 m to 20 h", 40, 37, 57)}},
		{Category: "key compromise", Incidents: 12, Cells: []views.TimesCell{cell("9 m", "2 m to 14 m", 0, 12, 6), {}, cell("13 h", "3 h 10 m to 2 d 4 h", 50, 40, 70)}},
	}
	return p
}
