package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/views"
)

const nomad = "Nomad bridge: outflow 5.4 % of TVL in 5 minutes"

func strip() views.Strip {
	return views.Strip{Number: 42, Title: nomad, Severity: "SEV1", Status: "mitigating", Score: "86+", Cost: "$2,000", Assumed: true, ImpactAt: ago(41*m + 7*s), DetectedAt: ago(40*m + 55*s), DeclaredAt: ago(38 * m), Commander: "Ana Ruiz", Deputy: "Li Wei", Vacant: []string{"scribe", "decision maker"}, Trend: "worse", TrendText: "outflow per minute rising since 22:05"}
}

func act(label, command string, args map[string]any) views.Action {
	return views.Action{Label: label, Command: command, Args: args}
}

func entries() []views.Entry {
	e := []views.Entry{
		{At: ago(40*m + 58*s), Actor: "Tocsin", ActorKind: "system", Kind: "paging", Text: "step 1 pages Ana Ruiz (on call in Secondary)"},
		{At: ago(40*m + 57*s), Actor: "Tocsin", ActorKind: "system", Kind: "paging", Text: "page to Ana Ruiz: sent by push to Pixel 8"},
		{At: ago(40*m + 56*s), Actor: "Ana Ruiz", ActorKind: "person", Handle: "ana", Kind: "paging", Text: "Ana Ruiz has it; paging stops"},
		{At: ago(40*m + 55*s), Actor: "Tocsin", ActorKind: "system", Kind: "signal", Text: "Outflow of the bridge is 31 times its band: 100 WBTC withdrawn in block 15 259 101, no matching deposit.", Actions: []views.Action{act("Detach", "detach_signal", map[string]any{"signal": "detect-19ac"})}},
		{At: ago(38 * m), Actor: "Tocsin", ActorKind: "system", Kind: "declared", Text: "Declared from signal detect-19ac.", Reason: "Net outflow above 5 % of TVL in 5 minutes is SEV2 until a person says otherwise."},
		{At: ago(37*m + 41*s), Actor: "Ana Ruiz", ActorKind: "person", Handle: "ana", Kind: "role", Text: "Ana Ruiz is commander."},
		{At: ago(37*m + 2*s), Actor: "Ana Ruiz", ActorKind: "person", Handle: "ana", Role: "commander", Kind: "severity", From: "SEV2", To: "SEV1", Reason: "Funds are leaving now and each withdrawal is the same: 100 WBTC to a new address."},
		{At: ago(36 * m), Actor: "Ana Ruiz", ActorKind: "person", Handle: "ana", Role: "commander", Kind: "status", From: "declared", To: "investigating"},
		{At: ago(34*m + 12*s), Actor: "Li Wei", ActorKind: "person", Handle: "li", Role: "deputy", Kind: "note", Text: "process() accepts any message whose root is zero. confirmAt[0x00] is 1 since the upgrade of 21 June, so every message counts as proven."},
		{At: ago(33 * m), Actor: "Alertmanager eu-1", ActorKind: "source", Kind: "signal", Text: "BridgeTVLDrop firing: tvl_usd 174.1 M, was 190.7 M 15 minutes ago."},
		{At: ago(31*m + 30*s), Actor: "Ana Ruiz", ActorKind: "person", Handle: "ana", Role: "commander", Kind: "decision", Text: "We stop crediting deposits from Nomad on Moonbeam and Evmos now. Withdrawals of nomad assets stop too."},
		{At: ago(31 * m), Actor: "Ana Ruiz", ActorKind: "person", Handle: "ana", Role: "commander", Kind: "task", Text: "New task for Sam Oduya: pause nomadUSDC, nomadETH and nomadWBTC deposits."},
		{At: ago(27*m + 48*s), Actor: "Sam Oduya", ActorKind: "person", Handle: "sam", Role: "operations", Kind: "task", Text: "Done: pause nomadUSDC, nomadETH and nomadWBTC deposits."},
		{At: ago(27 * m), Actor: "Ana Ruiz", ActorKind: "person", Handle: "ana", Role: "commander", Kind: "status", From: "investigating", To: "mitigating"},
		{At: ago(24*m + 5*s), Actor: "Priya Nair", ActorKind: "person", Handle: "priya", Role: "comms", Kind: "update", Audience: "public", Text: "Deposits and withdrawals of assets bridged over Nomad are paused. Other balances are not affected. Next update by 22:20 UTC."},
		{At: ago(16 * m), Actor: "Sam Oduya", ActorKind: "person", Handle: "sam", Role: "operations", Kind: "link", Text: "Nomad bridge on Etherscan", Link: &views.Link{Text: "0x88a69b4e698a4b090df6cf5bd7b2d47325ad30a3", URL: "https://etherscan.io/address/0x88a69b4e698a4b090df6cf5bd7b2d47325ad30a3"}},
		{At: ago(9 * m), Actor: "Li Wei", ActorKind: "person", Handle: "li", Role: "deputy", Kind: "note", Text: "Copies of the first transaction with only the recipient changed. Over 200 withdrawals of exactly 202,440.725413 USDC. This is a crowd now, not one attacker."},
		{At: ago(7*m + 3*s), WrittenAt: ago(19*m + 40*s), Actor: "Sam Oduya", ActorKind: "person", Handle: "sam", Role: "operations", Kind: "note", Text: "Written on the train, no network: custodian desk answers on the second number only, +41 44 555 01 99. They need the list of addresses by mail."},
		{At: ago(7*m + 2*s), WrittenAt: ago(26 * time.Hour), Actor: "Sam Oduya", ActorKind: "person", Handle: "sam", Role: "operations", Kind: "note", Text: "Nomad's upgrade of 21 June is announced for tonight; nobody on our side has read the diff."},
		{At: ago(6*m + 20*s), Actor: "Jonas Berg", ActorKind: "person", Handle: "jonas", Kind: "note", Redacted: &views.Redacted{By: "Ana Ruiz", At: ago(5 * m), Reason: "contained a customer's name"}},
		{At: ago(2*m + 9*s), Actor: "Tocsin", ActorKind: "system", Kind: "signal", Text: "Outflow again outside its band: 3.4 M$ a minute, rising."},
		{At: ago(48 * s), Actor: "Ana Ruiz", ActorKind: "person", Handle: "ana", Role: "commander", Kind: "decision", Text: "Nomad confirms they cannot pause in time. We tell institutional clients now and stop waiting for their statement."},
	}
	for i := range e {
		e[i].Offset = int64(1001 + i)
		e[i].EventID = fmt.Sprintf("01914a2b-7c00-7000-8000-%012d", i)
	}
	return e
}

func roomSignals() views.RoomSignals {
	return views.RoomSignals{Number: 42, Signals: []views.Signal{
		{ID: "detect-19ac", Source: "Tocsin detectors", Kind: "outflow", Subject: "nomad bridge", Title: "Outflow 31 times its band", Reason: "16.6 M$ in 15 minutes against 0.5 M$ ordinary; no deposits match", Severity: "SEV1", State: "open", OpenedAt: ago(41 * m), LastAt: ago(2 * m), Count: 14, Incident: 42, Actions: []views.Action{act("Detach", "detach_signal", map[string]any{"signal": "detect-19ac"})}},
		{ID: "am-7f31", Source: "Alertmanager eu-1", Kind: "alert", Subject: "bridge-indexer", Title: "BridgeTVLDrop", Reason: "tvl_usd 174.1 M, was 190.7 M", Severity: "SEV2", State: "open", OpenedAt: ago(33 * m), LastAt: ago(1 * m), Count: 32, Acknowledged: true, Incident: 42, Links: []views.Link{{Text: "graph", URL: "https://prometheus.example/graph?g0"}}},
		{ID: "am-8811", Source: "Alertmanager eu-1", Kind: "alert", Subject: "rpc-evmos", Title: "RPCErrorRateHigh", Reason: "12 % of calls fail", Severity: "SEV4", State: "cleared", OpenedAt: ago(30 * m), ClearedAt: ago(12 * m), LastAt: ago(13 * m), Count: 3, Incident: 42},
	}}
}

func roles() views.Roles {
	release := act("Release", "release_role", map[string]any{"role": "commander", "person": "ana"})
	take := func(role string) *views.Action {
		a := act("I take it", "assign_role", map[string]any{"role": role, "person": "@me"})
		return &a
	}
	return views.Roles{Number: 42, Roles: []views.Role{
		{Key: "commander", Name: "Commander", Needed: true, Holders: []views.Holder{{Handle: "ana", Name: "Ana Ruiz", Since: ago(37 * m), Release: &release}}},
		{Key: "deputy", Name: "Deputy", Needed: true, Holders: []views.Holder{{Handle: "li", Name: "Li Wei", Since: ago(35 * m)}}},
		{Key: "scribe", Name: "Scribe", Needed: true, Take: take("scribe")},
		{Key: "comms", Name: "Comms lead", Needed: true, Holders: []views.Holder{{Handle: "priya", Name: "Priya Nair", Since: ago(30 * m)}}},
		{Key: "operations", Name: "Operations", Holders: []views.Holder{{Handle: "sam", Name: "Sam Oduya", Since: ago(31 * m)}, {Handle: "jonas", Name: "Jonas Berg", Since: ago(22 * m), Pending: true}}},
		{Key: "expert", Name: "Subject expert", Take: take("expert")},
		{Key: "decider", Name: "Decision maker", Needed: true, Take: take("decider")},
	}}
}

func comms() views.Comms {
	return views.Comms{Number: 42, Lines: []views.AudienceLine{
		{Audience: "public", Last: "Deposits and withdrawals of assets bridged over Nomad are paused. Other balances are not affected. Next update by 22:20 UTC.", LastAt: ago(24 * m), NextDueAt: in(6*m + 22*s)},
		{Audience: "clients", NextDueAt: ago(4 * m), Drafts: []views.Draft{{ID: "u7", By: "Priya Nair", At: ago(3 * m), Text: "Institutional clients: nomad-wrapped balances are segregated and frozen at 21:44 UTC. Your dedicated contact calls within the hour with your exposure.", Actions: []views.Action{{Label: "Approve", Command: "approve_update", Args: map[string]any{"update": "u7"}, Tone: "main"}, {Label: "Publish", Command: "publish_update", Args: map[string]any{"update": "u7"}}}}}},
		{Audience: "internal", Last: "Support: use macro NOMAD-1 only.", LastAt: ago(20 * m)},
	}}
}

func waiting() views.Waiting {
	return views.Waiting{Items: []views.WaitingItem{
		{ID: "update-u7", Kind: "approval", Text: "Approve the update for clients, drafted by Priya Nair", Roles: []string{"commander", "decider"}, Since: ago(3 * m), Tally: "0/1", Actions: []views.Action{{Label: "Approve", Command: "approve_update", Args: map[string]any{"update": "u7"}}}},
		{ID: "clock-clients", Kind: "clock", Text: "Clients wait for an update", Roles: []string{"comms"}, DueAt: ago(4 * m)},
		{ID: "clock-public", Kind: "clock", Text: "Public update is due", Roles: []string{"comms"}, DueAt: in(6*m + 22*s)},
		{ID: "role-decider", Kind: "role", Text: "Nobody is decision maker", Since: ago(38 * m)},
		{ID: "task-t3", Kind: "task", Text: "List every address that withdrew 202 440.725413 USDC", For: []string{"jonas"}, Since: ago(9 * m)},
	}}
}

func taskList() views.Tasks {
	done := func(id string) views.Action {
		undo := act("Reopen", "reopen_task", map[string]any{"task": id})
		a := act("Done", "complete_task", map[string]any{"task": id})
		a.Undo = &undo
		return a
	}
	return views.Tasks{Number: 42, Tasks: []views.Task{
		{ID: "t3", Title: "List every address that withdrew 202 440.725413 USDC", Assignee: "Jonas Berg", Handle: "jonas", AddedAt: ago(9 * m), Action: done("t3")},
		{ID: "t4", Title: "Ask Circle and Tether which of them they can freeze", Assignee: "Ana Ruiz", Handle: "ana", AddedAt: ago(7 * m), Action: done("t4")},
		{ID: "t5", Title: "Reconcile nomad-wrapped balances per client", AddedAt: ago(4 * m), Action: done("t5")},
		{ID: "t1", Title: "Pause nomadUSDC, nomadETH and nomadWBTC deposits", Assignee: "Sam Oduya", Handle: "sam", AddedAt: ago(31 * m), DoneAt: ago(27 * m), Action: act("Reopen", "reopen_task", map[string]any{"task": "t1"})},
	}}
}

func hints() []views.CommandHint {
	return []views.CommandHint{
		{Name: "/sev", Usage: "/sev 1 funds are moving", Hint: "change the severity; a reason is required"},
		{Name: "/status", Usage: "/status mitigating", Hint: "change the status"},
		{Name: "/role", Usage: "/role comms @ana", Hint: "give somebody a role"},
		{Name: "/task", Usage: "/task pause deposits @sam", Hint: "add a task"},
		{Name: "/decide", Usage: "/decide we stop deposits", Hint: "record a decision"},
		{Name: "/update", Usage: "/update public deposits are paused", Hint: "draft an update for an audience"},
		{Name: "/link", Usage: "/link https://…", Hint: "add a link"},
		{Name: "/resolve", Usage: "/resolve what proves that it works again", Hint: "resolve; a validation note is required"},
	}
}

func present(n int) views.Presence {
	all := []views.Present{
		{Handle: "ana", Name: "Ana Ruiz", Role: "commander"}, {Handle: "li", Name: "Li Wei", Role: "deputy"}, {Handle: "priya", Name: "Priya Nair", Role: "comms"},
		{Handle: "jonas", Name: "Jonas Berg"}, {Handle: "maja", Name: "Maja Lindqvist"}, {Handle: "otto", Name: "Otto Weiss"}, {Handle: "sam", Name: "Sam Oduya"},
		{Handle: "tove", Name: "Tove Wolodarski-Hammarskjöld"}, {Handle: "uma", Name: "Uma Patel"}, {Handle: "vic", Name: "Vic Ames"}, {Handle: "wen", Name: "Wen Zhao"}, {Handle: "yusuf", Name: "Yusuf Demir"},
	}
	return views.Presence{Count: n, People: all[:min(n, len(all))]}
}

// heldRoom is the room while nothing can be written, full of people and of what robots say.
func heldRoom() views.IncidentPage {
	p := roomPage()
	p.Held = views.ReadOnly{Since: ago(3*m + 12*s)}
	p.Presence = present(23)
	var many []views.Entry
	for i, e := range p.Timeline.Entries {
		if i == 8 {
			for k := range 14 {
				many = append(many, views.Entry{At: ago(30*m - time.Duration(k)*30*s), Actor: "Alertmanager eu-1", ActorKind: "source", Kind: "signal", Text: fmt.Sprintf("BridgeTVLDrop updated: tvl_usd %d.2 M.", 170-k)})
			}
		}
		many = append(many, e)
	}
	for i := range many {
		many[i].Offset = int64(2001 + i)
	}
	p.Timeline.Entries = many
	return p
}

func roomPage() views.IncidentPage {
	b := base("#42 "+nomad, "incidents", "incident/42", "chains")
	return views.IncidentPage{
		Base: b, Incident: 42, Strip: strip(), Impact: impacts(), Waiting: waiting(), Timeline: views.Timeline{Incident: 42, Entries: entries()},
		Facts: views.Facts{Number: 42, Summary: "Anybody can withdraw from the Nomad bridge by copying a transaction: the zero root counts as proven since the upgrade of 21 June. We hold 4.1 M$ of nomad-wrapped assets for clients.", Components: []string{"Deposits", "Withdrawals"}, Chains: []string{"Ethereum", "Moonbeam", "Evmos"}, ImpactAt: ago(41*m + 7*s), DetectedAt: ago(40*m + 55*s), DeclaredAt: ago(38 * m),
			Decisions: []views.Statement{{At: ago(48 * s), By: "Ana Ruiz", Text: "We tell institutional clients now and stop waiting for their statement."}, {At: ago(31 * m), By: "Ana Ruiz", Text: "We stop crediting deposits from Nomad on Moonbeam and Evmos now."}}},
		Charts:  views.Charts{Charts: []views.Chart{{ID: "nomad-outflow", Title: "Outflow per minute", Unit: "M$", Of: "nomad bridge, 2 nodes", Last: "3.4", LastAt: ago(20 * s), StaleMs: 60_000, Low: 0, High: 0.5, Alt: "Outflow rose from 0.2 to 3.4 M$ a minute"}, {ID: "ethereum-fee", Title: "Base fee", Unit: "gwei", Of: "Ethereum, eu-1", Last: "23.4", LastAt: ago(8 * s), StaleMs: 60_000, Low: 10, High: 30}}},
		Chains:  []views.Chain{chains(1, false).Chains[0], chains(8, true).Chains[7]},
		Signals: roomSignals(), Tasks: taskList(), Roles: roles(), Comms: comms(), Presence: present(5), Commands: hints(), Addresses: addresses(),
		Links:  views.Links{Number: 42, Links: []views.Link{{Text: "Nomad bridge on Etherscan", URL: "https://etherscan.io/address/0x88a6"}, {Text: "Call", URL: "https://meet.example/nomad"}, {Text: "not an address", URL: "javascript:alert(1)"}}},
		People: []views.Candidate{{Handle: "ana", Name: "Ana Ruiz"}, {Handle: "li", Name: "Li Wei"}, {Handle: "sam", Name: "Sam Oduya"}, {Handle: "priya", Name: "Priya Nair"}, {Handle: "jonas", Name: "Jonas Berg"}},
	}
}

func addresses() views.Addresses {
	off := func(id string) *views.Action {
		undo := act("Put back", "add_address", map[string]any{"chain": "ethereum", "address": "0x88a69b4e698a4b090df6cf5bd7b2d47325ad30a3", "kind": "bridge"})
		a := act("Take off", "remove_address", map[string]any{"address": id})
		a.Undo = &undo
		return &a
	}
	return views.Addresses{Number: 42,
		Addresses: []views.Address{
			{ID: "A1", Chain: "ethereum", ChainName: "Ethereum", Address: "0x88a69b4e698a4b090df6cf5bd7b2d47325ad30a3", Kind: "bridge", Label: "Nomad ERC20 bridge", Remove: off("A1")},
			{ID: "A2", Chain: "ethereum", ChainName: "Ethereum", Address: "0xb5c55f76f90cc528b2609109ca14d8d84593590e", Kind: "attacker", Label: "largest of the first hour, 45.7 M$", Remove: off("A2")},
			{ID: "A4", Chain: "ethereum", ChainName: "Ethereum", Address: "0x2faf487a4414fe77e2327f0bf4ae2a264a776ad2", Kind: "exchange", Remove: off("A4")},
			{ID: "A5", Chain: "moonbeam", ChainName: "Moonbeam", Address: "0x3c0de9d2a5c4c2f6d8c3e1a4a1e0f2b3c4d5e6f7", Kind: "ours", Label: "custody, deposits", Remove: off("A5")},
			{ID: "A6", Chain: "bitcoin", ChainName: "Bitcoin", Address: "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", Kind: "other", Remove: off("A6")},
		},
		Transactions: []views.Transaction{{ID: "X1", ChainName: "Ethereum", Tx: "0xa5fe9d044e4f3e5aa5bc4c0709333cd2190cba0f4e7f16bcf73f49f83e4a5460", Note: "first withdrawal", Remove: off("X1")}},
		Suggested:    []views.Suggestion{{ChainName: "Ethereum", Address: "0x56d8b635a7c88fd1104d23d632af40c1c3aac4e3", Add: act("Add", "add_address", map[string]any{"chain": "ethereum", "address": "0x56d8b635a7c88fd1104d23d632af40c1c3aac4e3", "kind": "other"})}},
	}
}

func newRoom() views.IncidentPage {
	p := roomPage()
	p.Strip = views.Strip{Number: 43, Title: "Polygon PoS: 157 blocks replaced", Severity: "SEV2", Status: "declared", DeclaredAt: ago(8 * s), Vacant: []string{"commander", "comms lead"}}
	p.Facts = views.Facts{Number: 43, Chains: []string{"Polygon PoS"}, DeclaredAt: ago(8 * s)}
	p.Timeline.Entries = entries()[:2]
	p.Waiting, p.Tasks, p.Links, p.Charts = views.Waiting{}, views.Tasks{}, views.Links{}, views.Charts{}
	p.Addresses = views.Addresses{Number: 43}
	p.Signals, p.Chains = views.RoomSignals{Number: 43}, chains(6, true).Chains[2:3]
	p.Comms = views.Comms{Number: 43, Lines: []views.AudienceLine{{Audience: "public"}, {Audience: "internal"}}}
	for i := range p.Roles.Roles {
		p.Roles.Roles[i].Holders = nil
	}
	return p
}

const long = "Withdrawals from the hot wallets of seven venues exceed deposits by more than four standard deviations while two of three custodians do not answer and the settlement window in Singapore closes in less than one hour"

func longRoom() views.IncidentPage {
	p := roomPage()
	p.Strip.Title, p.Strip.Trend = long, "better"
	p.Strip.Commander = "Maria-Alejandra Fernández de Córdoba y Montefalco"
	p.Facts.Summary = strings.Repeat(long+". ", 3)
	var many []views.Entry
	for i := range 200 {
		e := entries()[i%17]
		e.Offset, e.At = int64(i+1), ago(m*26*60)+int64(i)*7*60_000
		many = append(many, e)
	}
	many[120].Text = "0x" + strings.Repeat("d1ab", 60) + " " + long
	p.Timeline.Entries, p.OlderHref = many, "/incidents/42?before=1"
	p.Chains = chains(6, true).Chains
	return p
}

func resolvedRoom() views.IncidentPage {
	p := roomPage()
	p.Strip.Status, p.Strip.ResolvedAt, p.Strip.Trend = "resolved", ago(2*m), ""
	p.Facts.ResolvedAt, p.Facts.Validation = ago(2*m), "Deposits of 10 USDC credited on all three chains within 4 minutes; withdrawals reconciled against the ledger, difference 0."
	p.Strip.Actions = []views.Action{{Label: "Review done", Command: "review_done", Ask: "Is the review of #42 written and agreed? The incident is closed with it.", Tone: "main"}, {Label: "Reopen", Command: "reopen", Ask: "What shows that #42 is not over? Write one sentence.", Need: "reason", Tone: "grave"}}
	return p
}

func mergedRoom() views.IncidentPage {
	p := newRoom()
	p.Strip.MergedInto, p.Strip.ResolvedAt, p.Strip.Vacant = 42, ago(4*s), nil
	p.Waiting, p.Facts.Moved = views.Waiting{}, true
	for i := range p.Roles.Roles {
		p.Roles.Roles[i].Take = nil
	}
	p.Tasks = views.Tasks{Number: 43, Tasks: []views.Task{{ID: "T1", Title: "Ask the validators", AddedAt: ago(7 * s)}}}
	return p
}
