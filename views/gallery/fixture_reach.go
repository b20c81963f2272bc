package main

import (
	"strings"

	"github.com/tocsin-ops/tocsin/views"
)

func floors(on string) []views.Choice {
	list := []views.Choice{{Text: "every severity", On: on == ""}}
	for _, f := range []string{"SEV1", "SEV2", "SEV3", "SEV4"} {
		list = append(list, views.Choice{Value: f, Text: f + " and worse", On: f == on})
	}
	return list
}

func reachOffers() []views.RouteOffer {
	return []views.RouteOffer{
		{Kind: "email", Label: "E-mail", Field: "E-mail address", Type: "email", Hint: "A code is sent to it; until you have typed it here the address gets nothing else."},
		{Kind: "sms", Label: "SMS", Off: "The server has no SMS gateway. An administrator sets notify.sms.url to one that takes requests by HTTP."},
		{Kind: "telegram", Label: "Telegram", Field: "Chat id", Type: "text", Hint: "Digits. Send /start to the bot first; @userinfobot tells your id."},
		{Kind: "webhook", Label: "Webhook", Field: "Address", Type: "url", Hint: "Gets JSON by POST, signed with a secret that is shown afterwards."},
	}
}

func reachPage() views.ReachPage {
	return views.ReachPage{
		Base: base("Notifications", "me"), Offers: reachOffers(), PushKey: "BG",
		Undo: &views.UndoBar{Says: "The route is removed.", To: "/me/notifications/r9/restore", Back: "/me/notifications"},
		Routes: []views.RouteRow{
			{ID: "r1", N: 1, First: true, Kind: "push", Label: "Chrome, Android", Shown: "fcm.googleapis.com", Verified: true, Outcome: "delivered", Detail: "the device showed it", At: ago(2 * m), Floors: floors("")},
			{ID: "r2", N: 2, Kind: "sms", Label: "work phone", Shown: "+41791234567", Verified: true, Outcome: "sent", Detail: "the SMS gateway took it", At: ago(26 * h), After: "2 min", AfterMinutes: "2", Floor: "SEV2", Floors: floors("SEV2"),
				QuietFrom: "22:00", QuietTo: "07:00", Zone: "Europe/Zurich"},
			{ID: "r3", N: 3, Kind: "email", Label: "e-mail", Shown: "ana@example.org", Waits: true, Floors: floors("")},
			{ID: "r4", N: 4, Last: true, Kind: "webhook", Label: "pager bridge", Shown: "https://example.org/…", Verified: true, Outcome: "failed", Detail: "the webhook answered 410", At: ago(3 * h), Secret: strings.Repeat("4f", 32), Floors: floors("")},
		},
	}
}

func reachEmpty() views.ReachPage {
	return views.ReachPage{Base: base("Notifications", "me"), Offers: reachOffers(), PushKey: "BG"}
}

func reachLong() views.ReachPage {
	p := reachPage()
	p.Undo, p.Problem = nil, "You have 12 routes, which is all there may be. Remove one first."
	for len(p.Routes) < 12 {
		r := p.Routes[1]
		r.ID, r.N = "x"+string(rune('a'+len(p.Routes))), len(p.Routes)+1
		r.Label, r.Shown, r.Detail = "a name of forty characters, all of them in", strings.Repeat("verylongaddress", 12)+"@example.org", strings.Repeat("the provider says at length what went wrong ", 5)
		p.Routes = append(p.Routes, r)
	}
	return p
}
