package oncall

import "fmt"

// Refusal says as a sentence why a command is not done. It is not an error of the program.
type Refusal struct {
	Code     string // stable, snake_case, for programs
	Sentence string // for people: what is wrong and what to do instead
}

// Error is the sentence.
func (r *Refusal) Error() string { return r.Sentence }

// The codes of refusals. They never change their meaning.
const (
	CodeUnknownCommand = "unknown_command"
	CodeBadArgument    = "bad_argument"
	CodeMissing        = "missing_argument"
	CodeTextTooLong    = "text_too_long"
	CodeTooMany        = "too_many"
	CodeTooLarge       = "too_large"
	CodeBadTime        = "bad_time"
	CodeNoSuchTime     = "no_such_time" // a local time that the clocks leave out
	CodeBadZone        = "bad_zone"
	CodeBadPerson      = "bad_person"
	CodeBadTarget      = "bad_target"
	CodeNameTaken      = "name_taken"
	CodeNotFound       = "not_found"
	CodeInUse          = "in_use"
	CodeNotYours       = "not_yours"
	CodeChanged        = "changed_since"
	CodeUndone         = "already_undone"
	CodeOver           = "over" // it lies in the past
	CodeBusy           = "busy"
	CodeIDUsed         = "id_used"
)

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Sentence: fmt.Sprintf(format, args...)}
}
