package incident

import (
	"iter"
	"slices"
	"strings"
)

// Kind sorts timeline entries for filters and ink.
type Kind string

// The kinds of entries.
const (
	KindNote     Kind = "note"
	KindDecision Kind = "decision"
	KindSeverity Kind = "severity"
	KindStatus   Kind = "status"
	KindRole     Kind = "role"
	KindTask     Kind = "task"
	KindSignal   Kind = "signal"
	KindUpdate   Kind = "update"
	KindLink     Kind = "link"
	KindAddress  Kind = "address" // addresses and transactions
	KindTimes    Kind = "times"
	KindPaging   Kind = "paging" // who was paged, and what they said
	KindTriage   Kind = "triage" // which team has it
	KindImpact   Kind = "impact" // facts, scores, advice, category
	KindSystem   Kind = "system"
)

// PartType says what one piece of an entry's sentence is.
type PartType string

// The types of parts. Quote is text that a person or a source typed; all other
// text comes from this package.
const (
	PartText     PartType = "text"
	PartQuote    PartType = "quote"
	PartPerson   PartType = "person"   // Text "@ana", Ref "ana"
	PartSeverity PartType = "severity" // Text and Ref "SEV1"
	PartStatus   PartType = "status"   // Text and Ref "mitigating"
	PartRole     PartType = "role"     // Text "comms lead", Ref "comms"
	PartTask     PartType = "task"     // Text and Ref "T1"
	PartUpdate   PartType = "update"   // Text and Ref "U1"
	PartSignal   PartType = "signal"   // Text its title, Ref its id
	PartIncident PartType = "incident" // Text "#12", Ref "12"
	PartLink     PartType = "link"     // Text its title or address, Ref the address
	PartAddress  PartType = "address"  // Text an address, a hash or a number, Ref its number on the list
	PartTime     PartType = "time"     // Text RFC 3339 UTC, Ref unix milliseconds
	PartRedacted PartType = "redacted" // Text "[redacted]"
)

// Part is one piece of an entry's sentence. Parts follow one another without
// added spaces.
type Part struct {
	Type PartType
	Text string
	Ref  string
}

// Entry is one line of the timeline: what one event said.
type Entry struct {
	Offset  int64  // global offset of the event
	EventID string // names the event for redact
	// CommandID is the command that led to the event; who sent it recognises its own entry.
	CommandID string
	At        int64
	WrittenAt int64 `json:",omitempty"` // unix ms: when a note was written that arrived later; else 0
	Actor     string
	Drill     bool
	Kind      Kind
	Type      string // type of the event
	Parts     []Part
	Redacted  *Redaction // set when the words were blanked; Parts then hold one PartRedacted
}

// Text is the entry's sentence without marks.
func (e Entry) Text() string {
	var b strings.Builder
	for _, p := range e.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// chunk is the number of entries copied at most by one append.
const chunk = 16

// Timeline is a persistent list of entries, oldest first. Appending copies at
// most 16 entries and leaves every older Timeline as it was. The zero value is
// empty.
type Timeline struct {
	full [][]Entry // every one holds exactly chunk entries
	tail []Entry   // fewer than chunk
}

// Len is the number of entries.
func (t Timeline) Len() int { return len(t.full)*chunk + len(t.tail) }

// At returns entry i, 0 being the oldest. It panics when i is out of range.
func (t Timeline) At(i int) Entry {
	if c := i / chunk; c < len(t.full) {
		return t.full[c][i%chunk]
	}
	return t.tail[i-len(t.full)*chunk]
}

// All walks the entries, oldest first, with their index.
func (t Timeline) All() iter.Seq2[int, Entry] {
	return func(yield func(int, Entry) bool) {
		for i := range t.Len() {
			if !yield(i, t.At(i)) {
				return
			}
		}
	}
}

// Newest walks the entries, newest first, with their index.
func (t Timeline) Newest() iter.Seq2[int, Entry] {
	return func(yield func(int, Entry) bool) {
		for i := t.Len() - 1; i >= 0; i-- {
			if !yield(i, t.At(i)) {
				return
			}
		}
	}
}

// Last returns the newest n entries (or all, when there are fewer), oldest
// first. The caller owns the slice.
func (t Timeline) Last(n int) []Entry {
	n = max(0, min(n, t.Len()))
	out := make([]Entry, 0, n)
	for i := t.Len() - n; i < t.Len(); i++ {
		out = append(out, t.At(i))
	}
	return out
}

// Find returns the index of the entry of the event at offset, or -1.
func (t Timeline) Find(offset int64) int {
	for i, e := range t.Newest() {
		if e.Offset == offset {
			return i
		}
	}
	return -1
}

func (t Timeline) with(e Entry) Timeline {
	tail := append(make([]Entry, 0, len(t.tail)+1), t.tail...)
	tail = append(tail, e)
	if len(tail) < chunk {
		return Timeline{full: t.full, tail: tail}
	}
	return Timeline{full: append(slices.Clip(slices.Clone(t.full)), tail)}
}

func (t Timeline) set(i int, e Entry) Timeline {
	if c := i / chunk; c < len(t.full) {
		page := slices.Clone(t.full[c])
		page[i%chunk] = e
		t.full = slices.Clone(t.full)
		t.full[c] = page
		return t
	}
	t.tail = slices.Clone(t.tail)
	t.tail[i-len(t.full)*chunk] = e
	return t
}
