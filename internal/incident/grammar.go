package incident

import "strings"

// Usage is one line of the composer's grammar.
type Usage struct {
	Name    string // "/sev"; "" for plain text
	Usage   string // "/sev 1-5 reason"
	Hint    string // what it does, one sentence
	Example string // a whole line
}

// slot is what the composer expects as one argument.
type slot string

const (
	slotSeverity slot = "severity"
	slotStatus   slot = "status"
	slotRole     slot = "role"
	slotPerson   slot = "person"
	slotPage     slot = "whom" // a person, or the word team
	slotTask     slot = "task"
	slotUpdate   slot = "update"
	slotLink     slot = "link"
	slotSignal   slot = "signal"
	slotAudience slot = "audience"
	slotKind     slot = "kind"
	slotChain    slot = "chain"
	slotAddress  slot = "address"
	slotTx       slot = "transaction"
	slotTeam     slot = "team"
	slotFact     slot = "fact"
	slotCategory slot = "category"
	slotStep     slot = "step"
	slotFor      slot = "how long"
	slotText     slot = "text" // takes the rest of the line; people can be named in it
)

// verb is one word of the grammar.
type verb struct {
	Usage
	also  []string // other spellings, without the slash
	slots []slot
	read  func(rest string) (Command, error)
}

func v(word, args, does, example string, slots []slot, read func(string) (Command, error), also ...string) verb {
	return verb{Usage: Usage{Name: word, Usage: strings.TrimSpace(word + " " + args), Hint: does, Example: example}, also: also, slots: slots, read: read}
}

func verbs() []verb {
	return []verb{
		v("/sev", "1-5 reason", "Change the severity and say why.", "/sev 1 funds are leaving the bridge", []slot{slotSeverity, slotText}, readSeverity, "severity"),
		v("/status", "status [reason]", "Say how far the work is; going back needs a reason.", "/status mitigating", []slot{slotStatus, slotText}, readStatus),
		v("/role", "role @person", "Give somebody a role.", "/role comms @ana", []slot{slotRole, slotPerson}, readRole, "assign"),
		v("/release", "role @person", "Take a role from somebody.", "/release comms @ana", []slot{slotRole, slotPerson}, readRelease),
		v("/handover", "role @person [note]", "Offer a role to somebody, who has to accept it.", "/handover commander @li end of my shift", []slot{slotRole, slotPerson, slotText}, readHandOver, "hand-over"),
		v("/accept", "[role]", "Take the role that was offered to you.", "/accept", []slot{slotRole}, func(r string) (Command, error) { return AcceptHandOver{Role: r}, nil }),
		v("/decline", "[role | reason]", "Decline the role that was offered to you, or take your offer back; without one, say “not me” to a page.", "/decline", []slot{slotRole, slotText}, readDecline, "notme"),
		v("/ack", "", "Say that you have it; nobody else is paged any more.", "/ack", nil, func(string) (Command, error) { return Acknowledge{}, nil }, "acknowledge", "mine"),
		v("/page", "@person | team name | policy name [reason]", "Page somebody by hand.", "/page @ana the bridge drains", []slot{slotPage, slotTeam, slotText}, readPage),
		v("/escalate", "[step]", "Page the next step now, or the one named.", "/escalate 2", []slot{slotStep}, readEscalate),
		v("/reassign", "@person", "Give the paging to one person; nobody else is asked to come.", "/reassign @ana", []slot{slotPerson}, func(r string) (Command, error) { return Reassign{Person: r}, nil }),
		v("/snooze", "30m [reason]", "Page nobody for a while.", "/snooze 30m the vendor restarts it", []slot{slotFor, slotText}, readSnooze),
		v("/unsnooze", "", "End the snooze.", "/unsnooze", nil, func(string) (Command, error) { return Unsnooze{}, nil }),
		v("/claim", "", "Take it from the queue.", "/claim", nil, func(string) (Command, error) { return Claim{}, nil }),
		v("/handon", "team [note]", "Give it to another team.", "/handon treasury they hold the keys", []slot{slotTeam, slotText}, readHandOn, "hand-on"),
		v("/category", "word", "Say what sort of incident it is; a dash clears it.", "/category bridge_fault", []slot{slotCategory}, readCategory),
		v("/fact", "name value", "State what is known; the score follows from it.", "/fact users_affected 12000", []slot{slotFact, slotText}, readFact),
		v("/unfact", "name", "Take a fact back.", "/unfact users_affected", []slot{slotFact}, func(r string) (Command, error) { return ClearFact{Fact: r}, nil }),
		v("/follow", "", "Set the severity that the score advises.", "/follow", nil, func(string) (Command, error) { return FollowAdvice{}, nil }),
		v("/keep", "reason", "Keep the severity against the score, and say why.", "/keep the figure counts test accounts", []slot{slotText}, func(r string) (Command, error) { return DeclineAdvice{Reason: bare(r)}, nil }),
		v("/decide", "text", "Record a decision; it stands out on the timeline.", "/decide pause withdrawals until both nodes agree", []slot{slotText}, func(r string) (Command, error) { return RecordDecision{Text: r}, nil }, "decision"),
		v("/task", "text [@person]", "Add something to be done.", "/task call the custodian @ana", []slot{slotText}, readTask, "todo"),
		v("/give", "task @person", "Give a task to somebody.", "/give T3 @ana", []slot{slotTask, slotPerson}, readGive),
		v("/done", "task", "Tick a task off.", "/done T3", []slot{slotTask}, func(r string) (Command, error) { return CompleteTask{Task: r}, nil }),
		v("/undone", "task", "Take the tick back.", "/undone T3", []slot{slotTask}, func(r string) (Command, error) { return ReopenTask{Task: r}, nil }),
		v("/update", "audience text", "Draft what an audience is told.", "/update public Withdrawals are paused. Funds are safe.", []slot{slotAudience, slotText}, readUpdate),
		v("/edit", "update text", "Write a draft anew; an approval is dropped.", "/edit U1 Withdrawals are paused since 14:05 UTC.", []slot{slotUpdate, slotText}, readEdit),
		v("/approve", "[update]", "Let a draft of somebody else out.", "/approve U1", []slot{slotUpdate}, func(r string) (Command, error) { return ApproveUpdate{Update: r}, nil }),
		v("/publish", "[update]", "Tell the audience; only after approval.", "/publish U1", []slot{slotUpdate}, func(r string) (Command, error) { return PublishUpdate{Update: r}, nil }),
		v("/discard", "update", "Throw a draft away.", "/discard U1", []slot{slotUpdate}, func(r string) (Command, error) { return DiscardUpdate{Update: r}, nil }),
		v("/link", "address [title]", "Point to something outside.", "/link https://dash.example/bridge outflow", []slot{slotText}, readLink),
		v("/unlink", "link", "Take a link away.", "/unlink L1", []slot{slotLink}, func(r string) (Command, error) { return RemoveLink{Link: r}, nil }),
		v("/addr", "kind chain address [label]", "Put an address on the list.", "/addr attacker ethereum 0xb5c55f76f90cc528b2609109ca14d8d84593590e drained the router", []slot{slotKind, slotChain, slotText}, readAddress, "address"),
		v("/unaddr", "number [reason]", "Take an address off the list.", "/unaddr A1 belongs to a customer", []slot{slotAddress, slotText}, readUnaddress),
		v("/tx", "chain hash [note]", "Put a transaction on the list.", "/tx ethereum 0xa5fe9d044e4f3e5aa5bc4c0709333cd2190cba0f4e7f16bcf73f49f83e4a5460 first withdrawal", []slot{slotChain, slotText}, readTx, "transaction"),
		v("/untx", "number [reason]", "Take a transaction off the list.", "/untx X1 another contract", []slot{slotTx, slotText}, readUntx),
		v("/title", "text", "Give the incident another title.", "/title Bridge drained through a forged proof", []slot{slotText}, func(r string) (Command, error) { return Rename{Title: r}, nil }, "rename"),
		v("/summary", "text", "Say what we know now, in place of what stood there; a dash clears it.", "/summary Withdrawals leave the bridge without deposits since 14:02.", []slot{slotText}, readSummary, "know"),
		v("/components", "name, name", "Name all affected components.", "/components bridge, withdrawals", []slot{slotText}, func(r string) (Command, error) { return SetComponents{Components: commas(r)}, nil }),
		v("/chains", "name, name", "Name all affected chains.", "/chains ethereum, moonbeam", []slot{slotText}, func(r string) (Command, error) { return SetChains{Chains: commas(r)}, nil }),
		v("/impact", "time [reason]", "Say when impact began, in UTC.", "/impact 14:05", []slot{slotText}, readImpact),
		v("/detected", "time [reason]", "Say when it was detected, in UTC.", "/detected 14:09", []slot{slotText}, readDetected),
		v("/detach", "signal [reason]", "Say that a signal does not belong here.", "/detach am-1f2e3d4c5b another chain", []slot{slotSignal, slotText}, readDetach),
		v("/merge", "#number", "Say that this incident is a duplicate of another.", "/merge #12", nil, readMerge),
		v("/resolve", "how it was checked", "End the incident.", "/resolve withdrawals at the usual rate since 14:20, @li checked both nodes", []slot{slotText}, func(r string) (Command, error) { return Resolve{Validation: r}, nil }),
		v("/reopen", "reason", "Say that it is not over.", "/reopen outflow started again at 15:02", []slot{slotText}, func(r string) (Command, error) { return Reopen{Reason: r}, nil }),
		v("/reviewed", "[note]", "Close the post-incident review.", "/reviewed see the review of 3 March", []slot{slotText}, func(r string) (Command, error) { return ReviewDone{Note: r}, nil }, "review"),
		v("/note", "text", "Write a note; plain text does the same.", "/note both nodes are at the same height", []slot{slotText}, func(r string) (Command, error) { return AddNote{Text: r}, nil }),
		v("/help", "", "Show this list.", "/help", nil, func(string) (Command, error) { return Help{}, nil }, "?"),
	}
}

// Grammar lists what the composer understands, in the order of use. The caller
// owns the slice.
func Grammar() []Usage {
	out := []Usage{{Usage: "text", Hint: "Write a note. Start with // when the note itself starts with a slash.", Example: "outflow stopped at 14:12"}}
	for _, v := range verbs() {
		out = append(out, v.Usage)
	}
	return out
}

func find(word string) (verb, bool) {
	word = strings.ToLower(word)
	for _, v := range verbs() {
		if v.Name[1:] == word {
			return v, true
		}
		for _, a := range v.also {
			if a == word {
				return v, true
			}
		}
	}
	return verb{}, false
}
