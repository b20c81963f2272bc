package main

import (
	"fmt"
	"time"

	"github.com/tocsin-ops/tocsin/views"
)

func setup(some bool) views.Setup {
	return views.Setup{Steps: []views.SetupStep{
		{Key: "chain", Text: "Add a chain", Why: "Give the address of a node; heads, reorgs, stalls and lag are watched from the next block on.", Href: "/chains#add", Verb: "Add a chain", Done: some, Note: "6 chains, 12 nodes"},
		{Key: "source", Text: "Connect Alertmanager", Why: "Alerts become signals, and signals that matter become incidents. PagerDuty senders and plain JSON work too.", Href: "/sources", Verb: "Make a key", Done: some, Note: "Alertmanager eu-1"},
		{Key: "people", Text: "Invite people", Why: "Roles are named before they are needed. An invitation is a link that works once.", Href: "/people", Verb: "Invite somebody"},
		{Key: "drill", Text: "Start a drill", Why: "Play the Nomad bridge drain of 2022 through your own room. It takes six minutes and leaves no trace outside.", Href: "/drills", Verb: "Choose a drill"},
	}}
}

var incidents = []views.IncidentRow{
	{Number: 42, Title: nomad, Severity: "SEV1", Status: "mitigating", Since: ago(41*m + 7*s), Commander: "Ana Ruiz", Chains: []string{"Ethereum", "Moonbeam", "Evmos"}, Signals: 2, NextDueAt: in(6*m + 22*s), LastAt: ago(48 * s), LastText: "Nomad confirms they cannot pause in time. We tell institutional clients now and stop waiting for their statement."},
	{Number: 41, Title: "Polygon PoS: 157 blocks replaced below 39 599 624", Severity: "SEV2", Status: "investigating", Since: ago(2*h + 12*m), Chains: []string{"Polygon PoS"}, Signals: 3, NextDueAt: ago(4 * m), LastAt: ago(11 * m), LastText: "Explorer stays on the losing side; our two nodes agree."},
	{Number: 44, Title: "Arbitrum One: us-2 falls behind", Severity: "SEV3", Status: "declared", Since: ago(9 * m), Commander: "Li Wei", Chains: []string{"Arbitrum One"}, Signals: 1, LastAt: ago(9 * m), LastText: "Declared from signal chain-88f0.", Drill: true},
	{Number: 39, Title: long, Severity: "SEV3", Status: "monitoring", Since: ago(26 * h), Commander: "Maria-Alejandra Fernández de Córdoba y Montefalco", Signals: 12, LastAt: ago(2 * h), LastText: long},
	{Number: 38, Title: "Base fee 14 times its weekly median: withdrawals queue", Severity: "SEV4", Status: "monitoring", Since: ago(3 * h), Commander: "Sam Oduya"},
	{Number: 37, Title: "Certificate of the partner feed ends tomorrow", Severity: "SEV5", Status: "declared", Since: ago(5 * h)},
}

func rows(n int) []views.IncidentRow {
	var out []views.IncidentRow
	for i := range n {
		r := incidents[min(i, len(incidents)-1)]
		if i >= len(incidents) {
			r.Number = int64(20 - i)
			r.Title = fmt.Sprintf("Withdrawal queue of venue %d is longer than an hour", i)
		}
		out = append(out, r)
	}
	return out
}

func recent() views.Recent {
	return views.Recent{LastDrill: ago(9 * 24 * h), DrillText: "Ethereum Classic, August 2020", Rows: []views.IncidentRow{
		{Number: 40, Title: "Solana: blocks stopped for 4 h 46 m", Severity: "SEV2", Status: "resolved", Since: ago(31 * h), ResolvedAt: ago(26*h + 14*m), Commander: "Sam Oduya"},
		{Number: 36, Title: "USDC at 0.94 on Kraken", Severity: "SEV1", Status: "reviewed", Since: ago(80 * h), ResolvedAt: ago(33 * h), Commander: "Ana Ruiz"},
		{Number: 35, Title: "Two Bitcoin nodes disagree on the tip for 19 minutes", Severity: "SEV3", Status: "resolved", Since: ago(100 * h), ResolvedAt: ago(100*h - 19*m)},
	}}
}

func looseSignals() []views.Signal {
	return []views.Signal{
		{ID: "chain-12ab", Source: "Tocsin detectors", Kind: "unreachable", Subject: "evmos eu-1", Title: "Node eu-1 of Evmos does not answer", Reason: "connection refused, 31 minutes; us-2 silent too", Severity: "SEV3", State: "open", OpenedAt: ago(31 * m), LastAt: ago(20 * s), Count: 188, Actions: []views.Action{{Label: "Declare incident", Href: "/incidents/new?signal=chain-12ab"}, {Label: "Attach to #42", Command: "attach_signal", Args: map[string]any{"signal": "chain-12ab"}, On: 42}}},
		{ID: "am-0c1d", Source: "Alertmanager eu-1", Kind: "alert", Subject: "kyc-worker", Title: "QueueDepthHigh", Reason: "4 211 jobs, ordinary below 900", Severity: "SEV4", State: "open", OpenedAt: ago(12 * m), LastAt: ago(1 * m), Count: 12, Acknowledged: true, Links: []views.Link{{Text: "runbook", URL: "https://wiki.example/kyc"}}},
	}
}

func wallPage(w views.WallIncident, o views.WallOthers, n int) views.WallPage {
	b := base("Wall", "", "wall", "chains")
	b.Person = views.Person{}
	sum := views.WallSummary{LastDrill: ago(9 * 24 * h), DrillText: "Ethereum Classic, August 2020"}
	if w.Number > 0 {
		sum.Open, sum.Approvals, sum.Signals = 1+len(o.Rows), 1, 2
	}
	return views.WallPage{Base: b, Incident: w, Others: o, Summary: sum, Chains: chains(n, w.Number > 0)}
}

func busyWall() views.WallIncident {
	all := entries()
	var last []views.Entry
	for i := len(all) - 1; i >= 0 && len(last) < 5; i-- {
		last = append(last, all[i])
	}
	return views.WallIncident{
		Number: 42, Strip: strip(), NextDueAt: in(6*m + 22*s), NextSpan: (30 * m).Milliseconds(),
		Know: []views.Statement{
			{At: ago(48 * s), By: "Ana Ruiz", Text: "We tell institutional clients now and stop waiting for Nomad's statement."},
			{At: ago(34 * m), By: "Li Wei", Text: "The zero root counts as proven since the upgrade of 21 June: anybody can withdraw by copying a transaction."},
			{At: ago(31 * m), By: "Ana Ruiz", Text: "Nomad deposits and withdrawals are stopped on Moonbeam and Evmos."},
		},
		Figures: []views.Figure{{Label: "at risk", Value: "$190 M"}, {Label: "moved", Value: "$16.6 M", Tone: "bad"}, {Label: "frozen", Value: "$0"}},
		Clocks:  []views.Clock{{Label: "Clients", DueAt: ago(4 * m)}, {Label: "Public", DueAt: in(6*m + 22*s)}, {Label: "MAS 1 h", DueAt: in(19 * m)}, {Label: "DORA initial", DueAt: in(3*h + 12*m)}},
		Chart:   &views.Chart{ID: "nomad-outflow", Title: "Outflow per minute", Unit: "M$", Of: "nomad bridge, 2 nodes", Last: "3.4", LastAt: ago(20 * s), StaleMs: 60_000, Low: 0, High: 0.5, Alt: "Outflow rose from 0.2 to 3.4 M$ a minute"},
		Last:    last,
	}
}

func longWall() views.WallIncident {
	w := busyWall()
	w.Strip.Title = long
	w.Strip.Commander, w.Strip.ImpactAt = "", ago(51*time.Hour)
	w.Know[0].Text, w.Know[1].Text, w.Know[2].Text = long, long, long
	w.Figures = nil
	w.Chart = nil
	return w
}

func others(n int) views.WallOthers { return views.WallOthers{Rows: rows(n + 1)[1:]} }
