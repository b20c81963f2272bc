package outbox

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Bounds on what a box holds.
const (
	MaxNotes = 1_000
	MaxLine  = 64 << 10 // bytes
	maxID    = 64       // characters that ids have at most
	maxWords = 2_000    // bytes kept of a refusal
)

// Note is a line said to a room while it could not be reached.
type Note struct {
	ID        string `json:"id"` // of the command, which makes sending it again harmless
	Incident  int    `json:"incident"`
	Line      string `json:"line"`
	WrittenAt int64  `json:"written_at"`   // unix ms
	By        string `json:"by,omitempty"` // handle of who wrote it; nobody else may send it. "" = not known
}

// State is what becomes of a note.
type State string

// The states of a note. One that is in the log is in no box any more.
const (
	StateWaiting State = "waiting"
	StateRefused State = "refused" // the room did not take it; it stays until somebody discards it
)

// Item is a note in a box.
type Item struct {
	Note
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"` // the refusal, a sentence for people
}

// Refused is what post returns for a note that the room understood and will not take: it is kept with the sentence, and the next one is tried.
type Refused struct{ Sentence string }

// Error is the sentence.
func (r Refused) Error() string { return r.Sentence }

// ErrAway is what post returns when the room cannot be reached, or does not know who is speaking: the note stays, and so do those after it.
var ErrAway = errors.New("the room cannot be reached")

// Unkept says why a note was not taken into the box, in a sentence for people.
type Unkept struct {
	Code     string // full, too_long, unreadable, taken, unwritten, closed, sending, not_here
	Sentence string
	cause    error
}

// Error is the sentence, and the cause when there is one.
func (u *Unkept) Error() string {
	if u.cause != nil {
		return u.Sentence + " (" + u.cause.Error() + ")"
	}
	return u.Sentence
}

// Refusal is the sentence for people.
func (u *Unkept) Refusal() string { return u.Sentence }

// Unwrap is the cause, or nil.
func (u *Unkept) Unwrap() error { return u.cause }

// ErrNotTheirs is what post returns for a note of somebody else than who is signed in: it stays, and the next one is tried.
var ErrNotTheirs = errors.New("the note is of somebody else")

func unkept(code, sentence string, args ...any) error {
	return &Unkept{Code: code, Sentence: fmt.Sprintf(sentence, args...)}
}

func (n Note) check() error {
	switch {
	case n.ID == "" || len(n.ID) > maxID || !utf8.ValidString(n.ID):
		return unkept("unreadable", "This note has no id that can be kept. Reload the page and write it again.")
	case n.Incident <= 0:
		return unkept("unreadable", "This note says nothing of the incident it belongs to. Open the room and write it there.")
	case len(n.By) > maxID || !utf8.ValidString(n.By):
		return unkept("unreadable", "This note does not say who wrote it. Reload the page and write it again.")
	case n.Line == "":
		return unkept("unreadable", "The note is empty. Write what you see or did.")
	case len(n.Line) > MaxLine:
		return unkept("too_long", "This note is too long to be kept: %d KB, and %d KB is the most. Send it in parts.", (len(n.Line)+1023)>>10, MaxLine>>10)
	case !utf8.ValidString(n.Line):
		return unkept("unreadable", "This note holds bytes that are no text. Write it again.")
	case n.WrittenAt <= 0:
		return unkept("unreadable", "This note does not say when it was written. Set the clock of this computer and try again.")
	}
	return nil
}
