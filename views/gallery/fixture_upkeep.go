package main

import (
	"github.com/a-h/templ"

	"github.com/tocsin-ops/tocsin/views"
)

// upkeepPages are those of maintenance and of sources, in every state.
func upkeepPages() map[string]templ.Component {
	acts := func(labels ...string) (out []views.FormAct) {
		for _, l := range labels {
			out = append(out, views.FormAct{Action: "/maintenance/w/" + l, Label: l, Of: "Validator set upgrade", Grave: l == "Cancel"})
		}
		return out
	}
	form := views.WindowForm{From: "2022-08-01T21:30", Until: "2022-08-01T23:30", Time: "02:00", Minutes: "120", Zone: "UTC",
		Days:    []views.Choice{{Value: "1", Text: "Mon"}, {Value: "2", Text: "Tue"}, {Value: "3", Text: "Wed"}, {Value: "4", Text: "Thu"}, {Value: "5", Text: "Fri"}, {Value: "6", Text: "Sat"}, {Value: "0", Text: "Sun"}},
		Louds:   []views.Choice{{Value: "SEV1", Text: "SEV1: funds are moving", On: true}, {Text: "nothing"}},
		Sources: []views.Choice{{Value: "am", Text: "Alertmanager eu-1"}, {Value: "pd", Text: "Grafana treasury"}}}
	quiet := views.Signal{ID: "q1", Source: "Alertmanager eu-1", Subject: "validator-7", Title: "Validator 7 misses attestations", Reason: "12 of the last 32 are missing", Severity: "SEV3", State: "open", OpenedAt: ago(12 * m), LastAt: ago(m), Count: 11,
		Quiet: "Quiet for maintenance “Validator set upgrade” until 2022-08-01 23:00 UTC: keys move to the new signer"}
	full := views.MaintenancePage{Base: base("Maintenance", "maintenance"), Manage: true, Form: form, JoinForm: views.JoinForm{Sources: form.Sources},
		Undo:   &views.UndoBar{Says: "You moved the rule “same bridge” up: it is tried before “same custodian desk”. It counts for signals that open from now on.", To: "/grouping/r1/undo", Event: "e1", Back: "/maintenance"},
		Active: []views.WindowRow{{ID: "w1", Name: "Validator set upgrade", Reason: "keys move to the new signer", Scope: []views.Pair{{Name: "components", Value: "Validators, Bridge"}, {Name: "chains", Value: "ethereum"}}, From: ago(30 * m), Until: in(60 * m), Loud: "SEV1", Quiet: 3, By: "Ana Alvarez", What: "planned", At: ago(26 * h), Acts: acts("Stop now", "Cancel")}},
		Upcoming: []views.WindowRow{
			{ID: "w2", Name: "Nightly backup of the test network", Reason: "nodes answer slowly meanwhile", Scope: []views.Pair{{Name: "labels", Value: "env=test, host=~db-.*"}}, Repeats: "every Monday, Thursday 02:30 for 90 min (Europe/Zurich)", From: in(6 * h), Until: in(8 * h), By: "Rita Okafor", What: "changed", At: ago(50 * h), Acts: acts("Cancel", "Undo")},
			{ID: "w3", Name: "A window with a very long name that somebody typed in a hurry and never came back to", Reason: "withdrawals_through_the_legacy_custodian_interface_are_drained_by_hand_before_the_switch_over", Scope: []views.Pair{{Name: "components", Value: "Withdrawals, Deposits, Custodian, Reconciliation, Treasury, Trading, Settlement"}, {Name: "from", Value: "Alertmanager eu-1, Grafana treasury"}}, From: in(40 * h), Until: in(44 * h), By: "Ana Alvarez", What: "planned", At: ago(h), Acts: acts("Start now", "Cancel")},
		},
		Past:  []views.WindowRow{{ID: "w4", Name: "Bridge pause", Reason: "audit", Scope: []views.Pair{{Name: "components", Value: "Bridge"}}, From: ago(70 * h), Until: ago(68 * h), By: "Rita Okafor", What: "stopped", At: ago(68 * h), Acts: acts("Undo")}},
		Quiet: []views.Signal{quiet},
		Rules: []views.JoinRow{
			{ID: "r1", N: 1, Down: true, Name: "same bridge", Match: []views.Pair{{Name: "labels", Value: "bridge=~.+"}}, By: "bridge and chain", Window: "30 min", Except: 2, Who: "Ana Alvarez", What: "excepted", At: ago(3 * h), Acts: acts("Remove", "Undo")},
			{ID: "r3", N: 2, Up: true, Name: "same custodian desk", By: "custodian and desk", Who: "Rita Okafor", What: "added", At: ago(5 * h), Acts: acts("Change", "Remove")},
			{ID: "r2", Name: "same custodian", By: "custodian", Removed: true, Who: "Rita Okafor", What: "removed", At: ago(2 * h), Acts: acts("Undo")},
		}}
	empty := views.MaintenancePage{Base: base("Maintenance", "maintenance"), Manage: true, Form: form}
	reader := views.MaintenancePage{Base: base("Maintenance", "maintenance"), Active: full.Active}
	refused := empty
	refused.Problem, refused.Wrong = "Give the window a name, for example what is worked on.", "Name at least one label that must be the same, for example bridge."
	refused.Form.Weekly = true

	source := func(kind, name string) views.SourcePage {
		return views.SourcePage{Base: base(name, "sources"), Source: views.SourceRow{ID: "s", Name: name, Kind: kind, At: ago(90 * h)}, Newest: views.Arrived{At: ago(2 * m), Status: 202, Accepted: 3},
			Snippets: []views.Snippet{{Title: "try it", Text: "curl -sS https://room.example/api/v1/intake/" + kind + "/KEY\n"}}}
	}
	mapped := source("generic", "Custodian webhook")
	fields := []views.MapField{{Name: "key", Expression: "string(uid)"}, {Name: "title", Expression: `body.service.name + ": " + msg`}, {Name: "severity", Expression: `level <= 2 ? "critical" : "warning"`}, {Name: "state", Hint: `ok ? "resolved" : "firing"`}, {Name: "reason", Hint: "message"}, {Name: "labels", Hint: "tags"}}
	mapped.Mapping = &views.Mapping{List: "body.events", Fields: fields, Undo: true, Sample: "{\n  \"service\": {\"name\": \"bridge\"},\n  \"events\": [{\"uid\": 7, \"msg\": \"outflow high\", \"level\": 2}]\n}",
		Result: views.MapResult{Tried: true, Count: 2, Title: "bridge: outflow high", Sev: "SEV2", State: "firing", Signal: []views.Pair{{Name: "key", Value: "7"}, {Name: "label team", Value: "treasury"}}}}
	wrong := source("generic", "Custodian webhook")
	wrong.Newest = views.Arrived{At: ago(2 * m), Status: 400, Problem: "Item 1 of 1: key, line 1, column 3: Cannot fetch b from <nil>.", ProblemAt: ago(2 * m)}
	wrong.Mapping = &views.Mapping{Fields: fields, Sample: "{}", Result: views.MapResult{Tried: true, Wrong: []string{"key, line 1, column 7: Unexpected token Operator(\"*\")."}}}
	beat := source("heartbeat", "Nightly backup")
	severities := []views.Choice{{Value: "SEV2", Text: "SEV2", On: true}, {Value: "SEV3", Text: "SEV3"}}
	beat.Pace = &views.Pace{Every: "1m0s", Grace: "30s", Severities: severities, State: "dead", Says: "Nothing since 14:02:00 UTC, expected every 60 s.", LastAt: ago(9 * m)}
	late := source("heartbeat", "Reconciliation")
	late.Pace = &views.Pace{Every: "24h0m0s", Grace: "1h0m0s", Severities: severities, State: "late", Says: "Nothing since 2022-07-31 02:00:00 UTC, expected every 1 d; a signal is raised at 22:10:00 UTC.", LastAt: ago(25 * h)}
	signed := source("grafana", "Grafana treasury")
	signed.Signing, signed.Signed = true, true
	signed.Newest = views.Arrived{}
	return map[string]templ.Component{
		"maintenance": views.MaintenanceView(full), "maintenance-empty": views.MaintenanceView(empty), "maintenance-reader": views.MaintenanceView(reader), "maintenance-refused": views.MaintenanceView(refused),
		"source-mapping": views.SourceView(mapped), "source-mapping-wrong": views.SourceView(wrong), "source-dead": views.SourceView(beat), "source-late": views.SourceView(late), "source-signed": views.SourceView(signed),
	}
}
