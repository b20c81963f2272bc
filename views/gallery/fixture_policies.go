package main

import (
	"fmt"

	"github.com/a-h/templ"

	"github.com/tocsin-ops/tocsin/views"
)

func severities(on string) (out []views.Choice) {
	for _, s := range []string{"SEV1", "SEV2", "SEV3", "SEV4", "SEV5"} {
		out = append(out, views.Choice{Value: s, Text: s, On: s == on})
	}
	return out
}

func ruleForm(id string) views.RuleForm {
	return views.RuleForm{ID: id, Severities: append([]views.Choice{{Text: "any"}}, severities("SEV2")...), Components: "nomad, bridge", Teams: []views.Choice{{Value: "t1", Text: "Front line"}, {Value: "t2", Text: "Protocol", On: true}}, Policies: []views.Choice{{Text: "as the team is"}, {Value: "p1", Text: "Front line"}}}
}

func policiesPage() views.PoliciesPage {
	return views.PoliciesPage{
		Base: base("Escalation", "policies"), Manage: true, New: ruleForm(""), Fallback: "No rule fits: the front line is Front line.",
		Rules: []views.RuleRow{
			{ID: "r1", Says: "SEV1, kind key_compromise", Team: "Treasury", Policy: "Treasury, two signers", Down: true, Form: ruleForm("r1")},
			{ID: "r2", Says: "SEV2 or worse, component nomad or bridge", Team: "Protocol", Up: true, Down: true, Hit: true, Form: ruleForm("r2")},
			{ID: "r3", Says: "any incident on Bitcoin", Team: "Front line", Up: true, Form: ruleForm("r3")},
		},
		Try: views.RuleTry{Severities: severities("SEV2"), Components: "nomad", Says: "It goes to Protocol, by the built-in policy, because of rule 2: SEV2 is at least SEV2, component nomad."},
		Policies: []views.PolicyRow{
			{ID: "p1", Name: "Front line", Href: "/oncall/policies/p1", Says: []string{"at once: who is on call in Primary", "after 5 m: who is on call in Secondary, commander", "after 15 m: all of Front line"}, After: "Again twice, then the room says that nobody answered.", UsedBy: []string{"Front line", "rule 3"}},
			{ID: "p2", Name: "Treasury, two signers", Href: "/oncall/policies/p2", Says: []string{"at once: all of Treasury, until 2 have it", "after 10 m: Ana Ruiz"}, After: "Once, then the room says that nobody answered."},
		},
	}
}

func stepForm(n int) views.StepForm {
	groups := func(on string) []views.TargetGroup {
		g := []views.TargetGroup{{Name: "On call", List: []views.Choice{{Value: "schedule:s1", Text: "who is on call in Primary"}, {Value: "schedule:s2", Text: "who is on call in Secondary"}}}, {Name: "Teams", List: []views.Choice{{Value: "team:t1", Text: "all of Front line"}}}, {Name: "People", List: []views.Choice{{Value: "person:ana", Text: "Ana Ruiz"}}}}
		for i := range g {
			for j := range g[i].List {
				g[i].List[j].On = g[i].List[j].Value == on
			}
		}
		return g
	}
	return views.StepForm{N: n, Targets: [][]views.TargetGroup{groups("schedule:s1"), groups("")}, Wait: "5", Sev: append([]views.Choice{{Text: "any"}}, severities("")...), Hours: []views.Choice{{Text: "always"}, {Value: "in", Text: "only within"}, {Value: "out", Text: "only outside of"}}, Zone: "Europe/Zurich", Days: weekdays()}
}

func policyPage() views.PolicyPage {
	return views.PolicyPage{
		Base: base("Front line", "policies"), ID: "p1", Name: "Front line", Version: 4, Manage: true, Repeat: 2, AckAfter: "30 m", AckField: "30", UsedBy: []string{"Front line", "rule 3"}, End: "Then it begins again, twice. After that the room says that nobody answered.", New: stepForm(0),
		Steps: []views.StepView{
			{N: 1, When: "At once", Targets: []views.StepTarget{{Kind: "schedule", Text: "who is on call in Primary", Now: "Ana Ruiz"}}, Wait: "5 m", Form: stepForm(1), Down: true},
			{N: 2, When: "After 5 m", Targets: []views.StepTarget{{Kind: "schedule", Text: "who is on call in Secondary", Gap: true}, {Kind: "role", Text: "the commander of the incident"}}, Wait: "10 m", If: "it is SEV2 or worse, outside of Mon to Fri 09:00 to 18:00 in Europe/Zurich", Form: stepForm(2), Up: true, Down: true},
			{N: 3, When: "After 15 m", Targets: []views.StepTarget{{Kind: "signers", Text: "signers of Treasury", Now: "Bo Chen, Li Wei, Tove Wolodarski-Hammarskjöld"}}, Need: 2, Wait: "10 m", Form: stepForm(3), Up: true},
		},
		Preview: views.Preview{Severities: severities("SEV2"), At: "2022-08-01T22:13", End: "Then nobody is left: the room says that nobody answered.", Rows: []views.PreviewRow{
			{At: now, After: "at once", Step: "step 1", Who: []views.PreviewWho{{Name: "Ana Ruiz", Why: "week 3 of Primary"}}},
			{At: in(5 * m), After: "after 5 m", Step: "step 2", Gap: "Secondary: no layer covers Monday 22:00 to Tuesday 01:00"},
			{At: in(5 * m), After: "after 5 m", Step: "step 3", Who: []views.PreviewWho{{Name: "Bo Chen", Why: "Treasury"}, {Name: "Li Wei", Why: "Treasury"}, {Name: "Tove Wolodarski-Hammarskjöld", Why: "Treasury"}}},
			{At: in(15 * m), After: "after 15 m", Step: "step 1 again", Who: []views.PreviewWho{{Name: "Ana Ruiz", Why: "week 3 of Primary"}}},
		}},
	}
}

func queues() views.Queues {
	item := func(n int64, sev, title string) views.QueueItem {
		return views.QueueItem{Number: n, Severity: sev, Title: title, Status: "declared", Since: ago(7 * m), Held: views.Held{State: "nobody", Since: ago(7 * m)}}
	}
	worst := item(42, "SEV1", nomad)
	worst.Cost, worst.Claimed, worst.Handle, worst.Held = "$190,000 a minute", "Ana Ruiz", "ana", views.Held{State: "acknowledged", Who: []string{"Ana Ruiz"}, Since: ago(5 * m)}
	waits := item(47, "SEV2", "Withdrawals of ETH wait for more than 30 minutes on the hot wallets of two regions")
	waits.Cost = "$4,200 a minute"
	handed := item(44, "SEV3", "Evmos node lags by 4,000 blocks")
	handed.Note, handed.From, handed.Held, handed.Since = "It is the pruning of last night; only the archive is hit.", "Front line", views.Held{State: "snoozed", Until: in(40 * m)}, ago(3*h)
	drill := item(48, "SEV2", "Drill: a signer's laptop is lost")
	drill.Drill, drill.Held = true, views.Held{State: "exhausted"}
	return views.Queues{List: []views.Queue{
		{ID: "t1", Name: "Front line", Tier: 1, Skill: "front-line", Now: []string{"Ana Ruiz"}, Items: []views.QueueItem{waits, drill}},
		{ID: "t2", Name: "Protocol", Tier: 2, Skill: "protocol", Now: []string{"Tove Wolodarski-Hammarskjöld"}, Items: []views.QueueItem{worst, handed}},
		{ID: "t3", Name: "Treasury", Tier: 2, Skill: "treasury", Gap: true},
		{ID: "t5", Name: "Forensics", Tier: 2, Skill: "forensics"},
	}, Unrouted: []views.QueueItem{item(50, "SEV5", "Certificate of status page ends in 9 days")}}
}

func queuesPage() views.QueuesPage {
	return views.QueuesPage{Base: base("Triage", "triage", "board"), Queues: queues(), Teams: []views.Choice{{Value: "t1", Text: "Front line"}, {Value: "t2", Text: "Protocol"}}}
}

func paging(held string) views.Paging {
	p := views.Paging{
		Number: 42, Policy: "Front line", Href: "/oncall/policies/p1", Phase: "Step 2 of 3", NextAt: in(3 * m), Next: "all of Treasury", Queue: "Protocol, tier 2", Since: ago(7 * m), Pages: pagedPeople(), More: 4,
		Held: views.Held{State: held, Since: ago(7 * m)},
		Actions: []views.Action{
			{Label: "I have it", Command: "acknowledge", Tone: "main"}, {Label: "Not me", Command: "decline_page", Only: []string{"ana", "bo"}},
			{Label: "Next step now", Command: "escalate", Ask: "Page the next step now: all of Treasury?"}, {Label: "Page somebody", Href: "#composer"}, {Label: "Snooze 30 m", Command: "snooze", Args: map[string]any{"for": "30m"}},
		},
	}
	switch held {
	case "acknowledged":
		p.Held.Who, p.NextAt, p.Expires, p.Claimed = []string{"Ana Ruiz"}, 0, in(28*m), "Ana Ruiz"
		p.Phase = "Paging stopped at step 2 of 3"
		p.Actions[0] = views.Action{Label: "I have it", Command: "acknowledge", But: []string{"ana"}}
		p.Actions[1] = views.Action{Label: "Not me after all", Command: "decline_page", Only: []string{"ana"}, Said: "You do not have it any more. Nobody has it; asked now: Bo Chen.", Undo: &views.Action{Label: "I have it", Command: "acknowledge"}}
		p.Pages = append([]views.Paged{{ID: "p4", Person: "Ana Ruiz", Handle: "ana", At: ago(6 * m), Step: "step 1", State: "acknowledged", StateAt: ago(5 * m), Receipts: []views.Receipt{{Route: "push to Pixel 8", Outcome: "delivered", At: ago(6 * m), Attempt: 1}}}}, p.Pages...)
	case "exhausted":
		p.Phase, p.NextAt = "All 3 steps are through", 0
	}
	return p
}

// policyPages are the pages of escalation and triage by name.
func policyPages() map[string]templ.Component {
	hand := queuesPage()
	hand.Hand = &views.HandForm{Number: 47, Title: "Withdrawals of ETH wait", Teams: hand.Teams, Problem: "Write a sentence for whoever takes it: what is known, what was tried."}
	many := queuesPage()
	for q := range many.Queues.List {
		for i := range 12 {
			it := queues().List[i%2].Items[0]
			it.Number = int64(100*q + i)
			many.Queues.List[q].Items = append(many.Queues.List[q].Items, it)
		}
		many.Queues.List[q].More = 31
	}
	for i := range 5 {
		many.Queues.List = append(many.Queues.List, views.Queue{ID: fmt.Sprint("x", i), Name: "Regional " + fmt.Sprint(i), Tier: 2})
	}
	look := policyPage()
	look.Manage = false
	waits := roomPage()
	waits.Paging, waits.Strip.Held = paging("nobody"), views.Held{State: "nobody", Since: ago(7 * m)}
	taken := roomPage()
	taken.Paging, taken.Strip.Held = paging("acknowledged"), views.Held{State: "acknowledged", Who: []string{"Ana Ruiz"}, Since: ago(5 * m)}
	through := roomPage()
	through.Paging, through.Strip.Held, through.Strip.Commander = paging("exhausted"), views.Held{State: "exhausted"}, ""
	held := busyWall()
	held.Strip.Held = views.Held{State: "nobody", Since: ago(7 * m)}
	return map[string]templ.Component{
		"policies": views.PoliciesView(policiesPage()), "policies-none": views.PoliciesView(views.PoliciesPage{Base: base("Escalation", "policies"), Manage: true, Fallback: "No team takes incidents yet: everybody is paged.", Try: views.RuleTry{Severities: severities("SEV3")}, New: ruleForm("")}),
		"policy": views.PolicyView(policyPage()), "policy-responder": views.PolicyView(look), "policy-none": views.PolicyView(views.PolicyPage{Base: base("New", "policies"), ID: "p9", Name: "New", Manage: true, New: stepForm(0), End: "Nobody is paged."}),
		"queues": views.QueuesView(queuesPage()), "queues-hand": views.QueuesView(hand), "queues-many": views.QueuesView(many), "queues-none": views.QueuesView(views.QueuesPage{Base: base("Triage", "triage", "board")}),
		"room-paging": views.IncidentView(waits), "room-acknowledged": views.IncidentView(taken), "room-exhausted": views.IncidentView(through),
		"wall-unanswered": views.WallView(wallPage(held, others(2), 6)),
	}
}
