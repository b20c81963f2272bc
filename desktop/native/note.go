package native

// Urgency is how loud a desktop makes a note.
type Urgency byte

const (
	Low Urgency = iota
	Normal
	Critical
)

// Note is one notification.
type Note struct {
	Key     string // a later note of the same key takes its place
	Title   string // plain text, as Body
	Body    string
	Urgency Urgency
	Sticky  bool     // stays until somebody deals with it
	Actions []Action // the first is what a press on the note itself does, too
}

// Action is a button of a note.
type Action struct{ ID, Label string }

// Choice is what somebody pressed.
type Choice struct {
	Key, Action string
	Token       string // lets a window come to the front where only the user may bring it there; "" where nobody gave one
}

const (
	maxNotes  = 100
	maxTitle  = 200
	maxBody   = 2000
	maxButton = 40
)

// cut keeps a text within n characters.
func cut(text string, n int) string {
	r := []rune(text)
	if len(r) <= n {
		return text
	}
	return string(r[:n-1]) + "…"
}
