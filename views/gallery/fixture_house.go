package main

import (
	"time"

	"github.com/tocsin-ops/tocsin/views"
)

func declare() views.DeclarePage {
	return views.DeclarePage{Base: base("Declare an incident", "incidents"), Title: "Withdrawals", Problem: "Choose how bad it is: the severity decides who is called.", Chains: []views.Choice{{Value: "ethereum", Text: "Ethereum"}, {Value: "bitcoin", Text: "Bitcoin", On: true}, {Value: "polygon-pos", Text: "Polygon PoS"}}, Components: []views.Choice{{Value: "deposits", Text: "Deposits"}, {Value: "withdrawals", Text: "Withdrawals"}, {Value: "trading", Text: "Trading"}}}
}

func peoplePage() views.PeoplePage {
	return views.PeoplePage{Base: base("People", "people"), NewLink: "https://tocsin.meridian.example/join/8xJq2mTQeE0m3u6Zb1n4Yc7pLr", NewFor: "Noor Haddad", NewUntil: in(167 * h),
		People: []views.PersonRow{
			{Handle: "ana", Name: "Ana Ruiz", Role: "administrator", Passkeys: 2, LastAt: ago(5 * s), Self: true},
			{Handle: "jonas", Name: "Jonas Berg", Role: "responder", Passkeys: 1, LastAt: ago(6 * m)},
			{Handle: "li", Name: "Li Wei", Role: "responder", LastAt: ago(9 * m)},
			{Handle: "otto", Name: "Otto Weiss", Role: "stakeholder", Audience: "regulators", Passkeys: 1, LastAt: ago(40 * h)},
			{Handle: "rob", Name: "Rob Gone", Role: "responder", Passkeys: 1, LastAt: ago(900 * h), Disabled: true},
		},
		Invitations: []views.Invitation{{ID: "i1", Name: "Noor Haddad", Role: "responder", By: "Ana Ruiz", At: ago(m), Expires: in(71 * h)}},
		Audiences:   []views.Choice{{Value: "clients", Text: "clients"}, {Value: "partners", Text: "partners"}, {Value: "regulators", Text: "regulators"}}}
}

func mePage() views.MePage {
	return views.MePage{Base: base("My account", "me"), Name: "Ana Ruiz", CodesLeft: 8, NewCodes: []string{"7qk2-m4xw-9rtd", "h3vn-c8pz-2sfy", "w6jb-t5mk-q7xe", "d9ra-y2hu-4ncg"},
		Link:     &views.OwnLink{URL: "https://tocsin.meridian.example/join/join_1Ye9xaE31tNxiPsmBhcPwEsglkaGY9ESuEElXNnc96XCjDcMiUcCoI", Until: in(15 * m)},
		Passkeys: []views.Passkey{{ID: "p1", Name: "MacBook, Touch ID", AddedAt: ago(90 * 24 * h), UsedAt: ago(5 * h)}, {ID: "p2", Name: "Yubikey 5C", AddedAt: ago(89 * 24 * h)}},
		Sessions: []views.Session{{ID: "s1", Agent: "Chromium on Linux", Address: "10.2.0.14", SinceAt: ago(5 * h), SeenAt: ago(5 * s), Current: true}, {ID: "s2", Agent: "Safari on iPhone", Address: "2001:db8::7:1", SinceAt: ago(50 * h), SeenAt: ago(7 * h)}}}
}

func nobody(title string) views.Base {
	b := base(title, "")
	b.Person, b.Open = views.Person{}, 0
	return b
}

func signInPage() views.SignInPage {
	return views.SignInPage{Base: nobody("Sign in"), Problem: "This code is not right or was used already. Codes work once.", Next: "/incidents/42", Handle: "ana"}
}

func linkPage(dead bool) views.LinkPage {
	return views.LinkPage{Base: nobody("Welcome"), Action: "/join/8xJq2m", Purpose: "administrator", Role: "administrator", AskHandle: true, Dead: dead}
}

func tokensPage() views.TokensPage {
	return views.TokensPage{Base: base("Tokens", "tokens"), NewWall: "https://tocsin.meridian.example/wall/w_4mTQeE0m3u6Zb1n4Yc7pLr", NewName: "Operations room, left",
		Scopes: []views.Choice{{Value: "responder", Text: "act in incidents"}, {Value: "read", Text: "read"}, {Value: "administrator", Text: "everything"}},
		Tokens: []views.TokenRow{{ID: "t1", Name: "deploy robot", Scope: "responder", By: "Ana Ruiz", At: ago(400 * h), UsedAt: ago(3 * m)}, {ID: "t2", Name: "old export", Scope: "read", By: "Li Wei", At: ago(2000 * h), UsedAt: ago(1500 * h), Revoked: ago(700 * h)}},
		Walls:  []views.TokenRow{{ID: "w1", Name: "Operations room, left", Scope: "wall", By: "Ana Ruiz", At: ago(m)}}}
}

const alertmanager = `receivers:
  - name: tocsin
    webhook_configs:
      - url: https://tocsin.meridian.example/api/v1/intake/alertmanager/am_8xJq2mTQeE0m3u6Zb1n4Yc7pLr
        send_resolved: true
        max_alerts: 0
route:
  receiver: tocsin
  group_by: [alertname, chain, component]`

func sourcesPage() views.SourcesPage {
	return views.SourcesPage{Watchdog: views.Watchdog{Replica: "fra-1", Beats: []views.BeatRow{
		{Name: "other-site", Host: "tocsin-2.meridian.example", Every: "30 s", Outcome: "taken", Since: ago(26 * h), TakenAt: ago(12 * s)},
		{Name: "outside", Host: "hc-ping.com", Every: "60 s", Outcome: "not taken", Since: ago(4 * m), TakenAt: ago(5 * m), Why: "Nobody took the heartbeat: hc-ping.com answered 503."},
		{Name: "a name that somebody typed in a hurry and never came back to", Host: "heartbeats.of-a-very-long-name.monitoring.meridian.example:8443", Every: "60 min", Outcome: "held back", Since: ago(2 * m), TakenAt: ago(62 * m), Why: "The pages do not follow the log: 1041 of 1042 events for 1m12s."},
		{Name: "new", Host: "cron.example", Every: "5 s"}}},
		Base: base("Sources", "sources"), BaseURL: "https://tocsin.meridian.example",
		New:     &views.NewSource{Name: "Alertmanager eu-1", Kind: "alertmanager", Key: "am_8xJq2mTQeE0m3u6Zb1n4Yc7pLr", URL: "https://tocsin.meridian.example/api/v1/intake/alertmanager/am_8xJq2m", Snippets: []views.Snippet{{Title: "alertmanager.yml", Text: alertmanager}, {Title: "try it", Text: "curl -sS -X POST -H 'Content-Type: application/json' -d @alert.json https://tocsin.meridian.example/api/v1/intake/alertmanager/am_8xJq2m"}}},
		Kinds:   []views.Choice{{Value: "alertmanager", Text: "Prometheus Alertmanager", Hint: "webhook, version 4"}, {Value: "pagerduty", Text: "PagerDuty Events v2", Hint: "what sends to PagerDuty today: change the host, keep the rest"}, {Value: "generic", Text: "Plain JSON", Hint: "a script or anything that can POST"}},
		Sources: []views.SourceRow{{ID: "am1", Name: "Alertmanager eu-1", Kind: "alertmanager", At: ago(800 * h), LastAt: ago(20 * s), Count: 184_221, Open: 3}, {ID: "pd1", Name: "Legacy monitors", Kind: "pagerduty", At: ago(800 * h), LastAt: ago(60 * h), Count: 912, Refused: 14}, {ID: "x", Name: "old script", Kind: "generic", At: ago(2000 * h), Revoked: ago(300 * h)}}}
}

func logPage() views.LogPage {
	p := views.LogPage{Base: base("Log", "log"), Size: 1042, SignedAt: ago(4 * s), Root: "q1n0F3sHqV7w0K8bHk3lJmU2m1sJ7Qy0Qe6mJk6o2xA=", Verifier: "tocsin.meridian.example+9f2c1a44+AT3o0Vb1dWc7qXh2bTn9jQm5eR8sLk4pYz6uWc1xNv0E",
		Checkpoint: "tocsin.meridian.example\n1042\nq1n0F3sHqV7w0K8bHk3lJmU2m1sJ7Qy0Qe6mJk6o2xA=\n\n— tocsin.meridian.example nywaRO1l6Gm3v0b9kq2Xc8WlJ0aXoV5cYt7uQ2n5p4ZbR1s=", Command: "tocsin verify https://tocsin.meridian.example", Older: "/log?before=1030"}
	p.Mixed = true
	p.Replicas = []views.ReplicaRow{
		{ID: "fra-1", Version: "0.9.2", Started: ago(26 * h), Collects: true},
		{ID: "fra-2", Version: "0.9.2", Started: ago(25 * h), Gone: ago(40 * s)},
		{ID: "vie-1", Version: "0.9.3", Started: ago(2 * m), This: true},
	}
	types := []string{"incident.decided", "signal.repeated", "incident.note_added", "incident.update_published", "incident.status_set", "people.invited"}
	for i := range 9 {
		e := views.LogEvent{Offset: int64(1041 - i), At: ago(48*s + time.Duration(i)*97*s), Stream: "incident/42", Seq: int64(60 - i), Type: types[i%len(types)], Actor: "person:ana", ID: "01914a2b-7c00-7000-8000-0000000010aa", Hash: "b1946ac92492d2347c6235b4d2611184a2b1946ac92492d2347c6235b4d26111", Content: "{\n  \"text\": \"Nomad confirms they cannot pause in time.\"\n}", Drill: i == 4}
		if i == 2 {
			e.Redacted, e.Content = &views.Redacted{By: "Ana Ruiz", At: ago(5 * m), Reason: "contained a customer's name"}, ""
		}
		p.Events = append(p.Events, e)
	}
	return p
}

func drillsPage() views.DrillsPage {
	speeds := []views.Choice{{Value: "1", Text: "1 ×"}, {Value: "10", Text: "10 ×", On: true}, {Value: "60", Text: "60 ×"}}
	return views.DrillsPage{Base: base("Drills", "drills"), Running: &views.Running{ID: "d1", Name: "Nomad bridge, 1 August 2022", Since: ago(4 * m), Speed: "10 times real speed", Incident: 44, Done: 38, Out: true}, MayPage: true,
		Scenarios: []views.Scenario{
			{Key: "nomad", Name: "Nomad bridge, 1 August 2022", Text: "A bridge accepts any message as proven. The first withdrawals come in one block; after public chatter a crowd takes the rest. The value is all in how fast somebody may pause.", LengthMs: (2*h + 32*m).Milliseconds(), Speeds: speeds, Figures: []views.Figure{{Label: "taken", Value: "$159.6 M"}, {Label: "withdrawals", Value: "382"}, {Label: "first alert possible", Value: "+12 s"}}},
			{Key: "polygon", Name: "Polygon PoS, 22 February 2023", Text: "157 blocks are replaced while explorers and many providers stay on the losing side for more than two hours. Whose head do you believe, and what do you do with deposits credited in between?", LengthMs: (40 * m).Milliseconds(), Speeds: speeds, Figures: []views.Figure{{Label: "depth", Value: "157"}, {Label: "ordinary", Value: "≤ 32"}, {Label: "history", Value: "5.2 min"}}},
		}}
}

func errorPage() views.ErrorPage {
	return views.ErrorPage{Base: base("Refused", ""), Code: 403, Title: "You may not see this room", Says: "Incident #42 is open to responders; you are a stakeholder of regulators.", Remedy: "Ask Ana Ruiz, an administrator, if you need to.", Href: "/status/regulators", Verb: "Go to your status page", Request: "01914a2b7c0070008000"}
}

func statusPage(b views.StatusBody) views.StatusPage {
	return views.StatusPage{Site: "Meridian Exchange", Build: "g1", Since: 1041, Body: b}
}

func component(name, state, share string, bad ...views.BadDay) views.Component {
	return views.Component{Name: name, State: state, Share: share, Days: 90, Bad: bad}
}

func bad(agoDays int, state string, minutes int) views.BadDay {
	return views.BadDay{Ago: agoDays, Day: (now/86_400_000 - int64(agoDays)) * 86_400_000, State: state, Minutes: minutes}
}

func statusCalm() views.StatusBody {
	day := func(n int64) int64 { return (now/86_400_000 - n) * 86_400_000 }
	return views.StatusBody{Indicator: "none", Sentence: "Everything works", At: now,
		Groups: []views.ComponentGroup{
			{Name: "Trading", Components: []views.Component{component("Spot", "operational", "100 %"), component("Derivatives", "operational", "99.98 %", bad(41, "degraded", 26))}},
			{Name: "Money in and out", Components: []views.Component{component("Deposits", "operational", "99.71 %", bad(60, "partial", 210), bad(1, "major", 286)), component("Withdrawals", "operational", "99.64 %", bad(61, "partial", 170), bad(60, "major", 280), bad(1, "major", 286), bad(12, "maintenance", 60))}},
			{Name: "Access", Components: []views.Component{component("Sign-in", "operational", "100 %"), {Name: "API", State: "operational", Share: "100 %", Days: 31}}},
		},
		History:   []views.HistoryDay{{Day: day(0)}, {Day: day(1), Incidents: []views.PublicIncident{{ID: "40", Title: "Solana deposits and withdrawals were paused", Status: "resolved", Impact: "major", BeganAt: ago(31 * h), ResolvedAt: ago(26*h + 14*m), Components: []string{"Deposits", "Withdrawals"}, Updates: []views.PublicUpdate{{At: ago(26 * h), Status: "resolved", Text: "Solana produces blocks again. All deposits are credited."}, {At: ago(30 * h), Status: "investigating", Text: "Solana has stopped producing blocks. SOL deposits and withdrawals are paused."}}}}}, {Day: day(2)}, {Day: day(3)}},
		Subscribe: []views.Link{{Text: "Atom feed", URL: "/status/history.atom"}, {Text: "JSON", URL: "/api/v2/summary.json"}}}
}

func statusBusy() views.StatusBody {
	b := statusCalm()
	b.Indicator, b.Sentence = "critical", "Deposits and withdrawals over the Nomad bridge are paused"
	b.Groups[1].Components[0].State, b.Groups[1].Components[1].State = "partial", "major"
	b.Groups[1].Components[1].Bad = append(b.Groups[1].Components[1].Bad, bad(0, "major", 41))
	b.Groups[1].Components[0].Bad = append(b.Groups[1].Components[0].Bad, bad(0, "partial", 41))
	b.Open = []views.PublicIncident{{ID: "42", Title: "Nomad bridge assets are paused", Status: "identified", Impact: "critical", BeganAt: ago(41 * m), Components: []string{"Deposits", "Withdrawals"}, Updates: []views.PublicUpdate{
		{At: ago(24 * m), Status: "identified", Text: "Deposits and withdrawals of assets bridged over Nomad are paused. Other balances are not affected.\nNext update by 22:20 UTC."},
		{At: ago(33 * m), Status: "investigating", Text: "We are looking into unusual withdrawals from a bridge that we do not operate."}}}}
	b.Maintenance = []views.PublicIncident{{ID: "m3", Title: "Derivatives engine upgrade", Status: "scheduled", Impact: "maintenance", BeganAt: in(30 * h), Components: []string{"Derivatives"}, Updates: []views.PublicUpdate{{At: ago(60 * h), Text: "No trading of derivatives from 04:00 to 04:30 UTC on 3 August."}}}}
	return b
}
