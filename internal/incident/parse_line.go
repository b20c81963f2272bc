package incident

import (
	"strconv"
	"strings"
	"unicode"
)

// ParseLine reads what somebody typed into the composer: plain text is a note,
// "/word ..." a command (see Grammar), "//text" a note that starts with a
// slash. The error is always a *Refusal; one for a word that is not known names
// the nearest. Whether the values make sense is for Decide.
func ParseLine(line string) (Command, error) {
	text := strings.TrimSpace(line)
	if text == "" {
		return nil, refuse(CodeMissingArgument, "Nothing was written. Type a note, or /help to see the commands.")
	}
	if strings.HasPrefix(text, "//") {
		return AddNote{Text: text[1:]}, nil
	}
	if text[0] != '/' {
		return AddNote{Text: text}, nil
	}
	word, rest := cut(text[1:])
	if v, ok := find(word); ok {
		return v.read(rest)
	}
	var words []string
	for _, v := range verbs() {
		words = append(words, v.Name[1:])
	}
	if near := nearest(strings.ToLower(word), words); near != "" {
		return nil, refuse(CodeUnknownCommand, "There is no command %s. Did you mean /%s? Start with // to write a note that begins with a slash.", shown("/"+word), near)
	}
	return nil, refuse(CodeUnknownCommand, "There is no command %s. Type /help to see all, or start with // to write a note that begins with a slash.", shown("/"+word))
}

// cut splits at the first white space; both sides are trimmed.
func cut(text string) (word, rest string) {
	text = strings.TrimSpace(text)
	i := strings.IndexFunc(text, unicode.IsSpace)
	if i < 0 {
		return text, ""
	}
	return text[:i], strings.TrimSpace(text[i:])
}

// usage is the refusal of a line that lacks something.
func usage(word string) error {
	v, _ := find(word)
	return refuse(CodeMissingArgument, "Write %s. For example: %s", v.Usage.Usage, v.Example)
}

// readSummary wants words: a bare /summary sent by mistake must not clear what
// is known. A dash says that it shall.
func readSummary(rest string) (Command, error) {
	switch rest {
	case "":
		return nil, usage("summary")
	case "-", "–", "—":
		rest = ""
	}
	return SetSummary{Summary: rest}, nil
}

func readSeverity(rest string) (Command, error) {
	word, reason := cut(rest)
	if strings.EqualFold(word, "sev") {
		var n string
		n, reason = cut(reason)
		word += n
	}
	if word == "" {
		return nil, usage("sev")
	}
	return SetSeverity{Severity: word, Reason: bare(reason)}, nil
}

func readStatus(rest string) (Command, error) {
	word, reason := cut(rest)
	if word == "" {
		return nil, usage("status")
	}
	return SetStatus{Status: word, Reason: bare(reason)}, nil
}

// bare takes the "because" off a reason that starts with it.
func bare(reason string) string {
	if word, rest := cut(reason); strings.EqualFold(strings.TrimRight(word, ":"), "because") && rest != "" {
		return rest
	}
	return reason
}

// cutRole takes a role of one or two words off the front.
func cutRole(text string) (role, rest string) {
	first, rest := cut(text)
	if second, after := cut(rest); second != "" {
		if _, ok := ParseRole(first + " " + second); ok {
			return first + " " + second, after
		}
	}
	return first, rest
}

func roleAndPerson(word, rest string) (role, person, after string, err error) {
	role, rest = cutRole(rest)
	if strings.HasPrefix(role, "@") { // the other way round
		person = role
		if role, after = cutRole(rest); role == "" {
			return "", "", "", usage(word)
		}
		return role, person, after, nil
	}
	if person, after = cut(rest); person == "" {
		return "", "", "", usage(word)
	}
	return role, person, after, nil
}

func readRole(rest string) (Command, error) {
	role, person, after, err := roleAndPerson("role", rest)
	if err == nil && after != "" {
		err = usage("role")
	}
	if err != nil {
		return nil, err
	}
	return AssignRole{Role: role, Person: person}, nil
}

func readRelease(rest string) (Command, error) {
	role, person, after, err := roleAndPerson("release", rest)
	if err == nil && after != "" {
		err = usage("release")
	}
	if err != nil {
		return nil, err
	}
	return ReleaseRole{Role: role, Person: person}, nil
}

func readHandOver(rest string) (Command, error) {
	role, person, note, err := roleAndPerson("handover", rest)
	if err != nil {
		return nil, err
	}
	return HandOverRole{Role: role, To: person, Note: note}, nil
}

// readTask takes a person at the end of the text as who has it.
func readTask(rest string) (Command, error) {
	if i := strings.LastIndexFunc(rest, unicode.IsSpace); i >= 0 {
		last := strings.TrimLeftFunc(rest[i:], unicode.IsSpace)
		if h, ok := strings.CutPrefix(last, "@"); ok && isHandle(strings.ToLower(h)) {
			return AddTask{Title: strings.TrimSpace(rest[:i]), Assignee: strings.ToLower(h)}, nil
		}
	}
	return AddTask{Title: rest}, nil
}

func readGive(rest string) (Command, error) {
	task, person := cut(rest)
	if task == "" || person == "" {
		return nil, usage("give")
	}
	return AssignTask{Task: task, Person: person}, nil
}

func readUpdate(rest string) (Command, error) {
	audience, text := cut(rest)
	if text == "" {
		return nil, usage("update")
	}
	return DraftUpdate{Audience: audience, Text: text}, nil
}

func readEdit(rest string) (Command, error) {
	id, text := cut(rest)
	if text == "" {
		return nil, usage("edit")
	}
	return EditUpdate{Update: id, Text: text}, nil
}

func readLink(rest string) (Command, error) {
	url, title := cut(rest)
	if url == "" {
		return nil, usage("link")
	}
	return AddLink{URL: url, Title: title}, nil
}

func readAddress(rest string) (Command, error) {
	kind, rest := cut(rest)
	chain, rest := cut(rest)
	address, label := cut(rest)
	if address == "" {
		return nil, usage("addr")
	}
	return AddAddress{Chain: chain, Address: address, Kind: kind, Label: label}, nil
}

func readUnaddress(rest string) (Command, error) {
	entry, reason := cut(rest)
	if entry == "" {
		return nil, usage("unaddr")
	}
	return RemoveAddress{Address: entry, Reason: bare(reason)}, nil
}

func readTx(rest string) (Command, error) {
	chain, rest := cut(rest)
	tx, note := cut(rest)
	if tx == "" {
		return nil, usage("tx")
	}
	return AddTransaction{Chain: chain, Tx: tx, Note: note}, nil
}

func readUntx(rest string) (Command, error) {
	entry, reason := cut(rest)
	if entry == "" {
		return nil, usage("untx")
	}
	return RemoveTransaction{Tx: entry, Reason: bare(reason)}, nil
}

func readImpact(rest string) (Command, error) {
	at, reason := cut(rest)
	if at == "" {
		return nil, usage("impact")
	}
	return SetTimes{ImpactClock: at, Reason: bare(reason)}, nil
}

func readDetected(rest string) (Command, error) {
	at, reason := cut(rest)
	if at == "" {
		return nil, usage("detected")
	}
	return SetTimes{DetectedClock: at, Reason: bare(reason)}, nil
}

func readDetach(rest string) (Command, error) {
	id, reason := cut(rest)
	if id == "" {
		return nil, usage("detach")
	}
	return DetachSignal{Signal: id, Reason: bare(reason)}, nil
}

func readMerge(rest string) (Command, error) {
	word, after := cut(rest)
	if strings.EqualFold(word, "into") {
		word, after = cut(after)
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(word, "#"), 10, 64)
	if err != nil || after != "" {
		return nil, usage("merge")
	}
	return Merge{Into: n}, nil
}

// commas splits a list at commas; Decide trims and drops what is empty.
func commas(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// readDecline takes words that are no role as the reason why one does not come.
func readDecline(rest string) (Command, error) {
	if first, _ := cut(rest); len(first) < len(rest) {
		if _, ok := ParseRole(rest); !ok {
			return DeclinePage{Reason: bare(rest)}, nil
		}
	}
	return DeclineHandOver{Role: rest}, nil
}

func readPage(rest string) (Command, error) {
	who, reason := cut(rest)
	if word := lower(who); (word == "team" || word == "policy") && reason != "" {
		id, reason := cut(reason)
		if word == "team" {
			return PageByHand{Team: id, Reason: bare(reason)}, nil
		}
		return PageByHand{Policy: id, Reason: bare(reason)}, nil
	}
	if who == "" {
		return nil, usage("page")
	}
	return PageByHand{Person: who, Reason: bare(reason)}, nil
}

func readEscalate(rest string) (Command, error) {
	if lower(rest) == "" {
		return Escalate{}, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(lower(rest), "step")))
	if err != nil || n < 1 {
		return nil, usage("escalate")
	}
	return Escalate{Step: n}, nil
}

func readSnooze(rest string) (Command, error) {
	long, reason := cut(rest)
	if long == "" {
		return nil, usage("snooze")
	}
	return Snooze{For: long, Reason: bare(reason)}, nil
}

func readHandOn(rest string) (Command, error) {
	team, note := cut(rest)
	if team == "" {
		return nil, usage("handon")
	}
	return HandOn{Team: team, Note: note}, nil
}

func readCategory(rest string) (Command, error) {
	switch rest {
	case "":
		return nil, usage("category")
	case "-", "–", "—":
		rest = ""
	}
	return SetCategory{Category: rest}, nil
}

func readFact(rest string) (Command, error) {
	name, value := cut(rest)
	if value == "" {
		return nil, usage("fact")
	}
	return SetFact{Fact: name, Value: value}, nil
}
