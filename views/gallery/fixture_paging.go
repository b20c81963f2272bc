package main

import (
	"github.com/a-h/templ"

	"github.com/tocsin-ops/tocsin/views"
)

func pagedPeople() []views.Paged {
	return []views.Paged{
		{ID: "p3", Person: "Bo Chen", Handle: "bo", At: ago(2 * m), Step: "step 2", Why: "on call in Secondary", State: "waiting", Receipts: []views.Receipt{{Route: "push to Pixel 8", Outcome: "delivered", At: ago(2*m - 1*s), Attempt: 1}}},
		{ID: "p2", Person: "Jonas Berg", Handle: "jonas", At: ago(7 * m), Step: "step 1", Why: "on call in Primary", State: "declined", StateAt: ago(6 * m), Reason: "on a train", Receipts: []views.Receipt{
			{Route: "push to iPhone", Outcome: "failed", Detail: "the push service refused: 410, gone", At: ago(7 * m), Attempt: 1},
			{Route: "SMS", Outcome: "delivered", At: ago(7*m - 4*s), Attempt: 1},
		}},
		{ID: "p1", Person: "Maja Lindqvist", Handle: "maja", At: ago(7 * m), Step: "step 1", Why: "commander", State: "silent", StateAt: ago(2 * m), Receipts: []views.Receipt{
			{Route: "push to Fairphone", Outcome: "sent", At: ago(7 * m), Attempt: 1}, {Route: "e-mail", Outcome: "delivered", At: ago(6*m + 30*s), Attempt: 1}, {Route: "Telegram", Outcome: "suppressed", Detail: "quiet hours", At: ago(6 * m)},
		}},
	}
}

func phone(state string) views.PhonePage {
	b := base("Page", "")
	b.Topics, b.Person.Rooms = nil, nil
	var last []views.Entry
	for i, all := 0, entries(); i < 4; i++ {
		last = append(last, all[len(all)-1-i])
	}
	p := views.PhonePage{
		Base: b, State: state, Number: 42, Severity: "SEV1", Heading: nomad,
		Sentence: "A forged proof lets anybody withdraw: 16.6 M$ in 15 minutes, and it is getting more.",
		Cost:     "$190,000 a minute", CostFrom: "measured: outflow of the bridge, 2 m old", PagedAt: ago(2 * m), BeganAt: ago(41 * m), Why: "You are on call for Secondary until 06:00 UTC (08:00 Zurich).",
		Held: views.Held{State: "nobody", Since: ago(7 * m)}, NextAt: in(3 * m), Next: "all of Treasury", Expires: in(30 * m), People: pagedPeople()[1:],
		AckTo: "/incidents/42/page/ack", DeclineTo: "/incidents/42/page/decline", Room: "/incidents/42", Last: last,
	}
	switch state {
	case views.PhoneMine:
		p.Held = views.Held{State: "acknowledged", Who: []string{"Ana Ruiz"}, Since: ago(20 * s)}
	case views.PhoneTaken:
		p.Held = views.Held{State: "acknowledged", Who: []string{"Bo Chen", "Li Wei"}, Since: ago(1 * m)}
	case views.PhoneSnoozed:
		p.Held = views.Held{State: "snoozed", Until: in(25 * m)}
	case views.PhoneOver:
		p.EndedAt = ago(3 * m)
	case views.PhoneExpired:
		p.SignIn, p.Sentence, p.AckTo, p.DeclineTo, p.People = "/signin?next=/incidents/42/page", "", "", "", nil
	case views.PhoneDead:
		p = views.PhonePage{Base: b, State: state, SignIn: "/signin"}
	}
	return p
}

// pagingPages are the pages of paging by name.
func pagingPages() map[string]templ.Component {
	out := map[string]templ.Component{}
	for _, state := range []string{views.PhoneAsks, views.PhoneMine, views.PhoneTaken, views.PhoneDeclined, views.PhoneSnoozed, views.PhoneOver, views.PhoneExpired, views.PhoneDead} {
		out["page-"+state] = views.PhoneView(phone(state))
	}
	link := phone(views.PhoneAsks)
	link.Person, link.CSRF, link.SignIn = views.Person{}, "", "/signin?next=/incidents/42"
	out["page-link"] = views.PhoneView(link)
	signers := phone(views.PhoneAsks)
	signers.Held.Need, signers.Have, signers.Problem = 3, 1, "The store did not answer. This may have been saved: press it again, it is never done twice."
	out["page-signers"] = views.PhoneView(signers)
	drill := phone(views.PhoneAsks)
	drill.Drill, drill.Severity, drill.Cost = true, "SEV3", ""
	out["page-drill"] = views.PhoneView(drill)
	alone := phone(views.PhoneAsks)
	alone.People, alone.Last, alone.Sentence, alone.Cost, alone.NextAt, alone.Severity, alone.Why = nil, nil, "", "", 0, "SEV5", ""
	alone.Held.State = "exhausted"
	out["page-alone"] = views.PhoneView(alone)
	return out
}
