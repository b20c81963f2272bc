package incident

import "fmt"

// Refusal is the only error that Decide, ParseCommand and ParseLine return.
type Refusal struct {
	Code     string // stable, snake_case, for programs
	Sentence string // for people: what is wrong and what to do instead
}

// Error is the sentence.
func (r *Refusal) Error() string { return r.Sentence }

// The codes of refusals. They never change their meaning.
const (
	CodeUnknownCommand  = "unknown_command"
	CodeUnknownArgument = "unknown_argument"
	CodeBadArgument     = "bad_argument"     // wrong type or not readable
	CodeMissingArgument = "missing_argument" // a required argument is empty
	CodeTextTooLong     = "text_too_long"
	CodeTextNotPlain    = "text_not_plain" // not UTF-8, or control characters
	CodeTooMany         = "too_many"
	CodeBadSeverity     = "bad_severity"
	CodeBadStatus       = "bad_status"
	CodeBadRole         = "bad_role"
	CodeBadPerson       = "bad_person"
	CodeBadAudience     = "bad_audience"
	CodeBadLink         = "bad_link"
	CodeBadTime         = "bad_time"
	CodeActorMissing    = "actor_missing"
	CodeNotDeclared     = "not_declared"
	CodeAlreadyDeclared = "already_declared"
	CodeReasonMissing   = "reason_missing"
	CodeUseResolve      = "use_resolve"
	CodeUseReview       = "use_review_done"
	CodeUseReopen       = "use_reopen"
	CodeUseHandOver     = "use_hand_over"
	CodeNotResolved     = "not_resolved"
	CodeNoValidation    = "validation_missing"
	CodeAlreadyResolved = "already_resolved"
	CodeNotInRole       = "not_in_role"
	CodeRoleVacant      = "role_vacant"
	CodeNoHandOver      = "no_hand_over"
	CodeNotYours        = "not_yours_to_answer"
	CodeNoSuchTask      = "no_such_task"
	CodeNoSuchLink      = "no_such_link"
	CodeNoSuchUpdate    = "no_such_update"
	CodeNoSuchEvent     = "no_such_event"
	CodeNoSuchAddress   = "no_such_address" // or transaction
	CodeBadAddress      = "bad_address"     // or transaction, or kind
	CodeNeedsApproval   = "needs_approval"
	CodeNeedsAnother    = "needs_another_person"
	CodePublished       = "already_published"
	CodeDiscarded       = "already_discarded"
	CodeNotAttached     = "signal_not_attached"
	CodeMergeSelf       = "merge_into_itself"
	CodeMergeChain      = "merge_chain"
	CodeMerged          = "already_merged"
	CodeNothingToRedact = "nothing_to_redact"
	CodeNotAPerson      = "not_a_person" // a token or the program says what only a person can
	CodeNotPaged        = "not_paged"
	CodeNoPolicy        = "no_policy" // nobody is paged by steps
	CodeNotDue          = "not_due"   // paging has gone on; the program's own commands
	CodeBadFact         = "bad_fact"
	CodeNoAdvice        = "no_advice"
	CodeOtherAdvice     = "other_advice" // than the one that was seen
)

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Sentence: fmt.Sprintf(format, args...)}
}
