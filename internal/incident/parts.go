package incident

import "strconv"

// RedactedText stands where words were blanked.
const RedactedText = "[redacted]"

func say(text string) Part            { return Part{Type: PartText, Text: text} }
func quote(text string) Part          { return Part{Type: PartQuote, Text: text} }
func person(handle string) Part       { return Part{Type: PartPerson, Text: "@" + handle, Ref: handle} }
func severity(v Severity) Part        { return Part{Type: PartSeverity, Text: string(v), Ref: string(v)} }
func status(v Status) Part            { return Part{Type: PartStatus, Text: string(v), Ref: string(v)} }
func roleOf(v Role) Part              { return Part{Type: PartRole, Text: v.Title(), Ref: string(v)} }
func task(id string) Part             { return Part{Type: PartTask, Text: id, Ref: id} }
func updateOf(id string) Part         { return Part{Type: PartUpdate, Text: id, Ref: id} }
func address(text, entry string) Part { return Part{Type: PartAddress, Text: text, Ref: entry} }
func signalOf(id, name string) Part   { return Part{Type: PartSignal, Text: name, Ref: id} }
func moment(ms int64) Part {
	return Part{Type: PartTime, Text: stamp(ms), Ref: strconv.FormatInt(ms, 10)}
}
func incidentOf(n int64) Part {
	text := strconv.FormatInt(n, 10)
	return Part{Type: PartIncident, Text: "#" + text, Ref: text}
}
func linkOf(url, title string) Part {
	if title == "" {
		title = url
	}
	return Part{Type: PartLink, Text: title, Ref: url}
}

// because adds ": reason" when there is a reason.
func because(parts []Part, reason string) []Part {
	if reason == "" {
		return parts
	}
	return append(parts, say(": "), quote(reason))
}

func listOf(names []string) []Part {
	if len(names) == 0 {
		return []Part{say("none")}
	}
	var out []Part
	for i, n := range names {
		if i > 0 {
			out = append(out, say(", "))
		}
		out = append(out, quote(n))
	}
	return out
}
